//! Compares two logs of one shop: the value of the second log's policy as estimated from the first log, whose choices
//! were randomised, and as observed in the second log.
//!
//! The policy is estimated from its own log, as the share of each item at each position; its clicks are not used for
//! the estimate. This is the policy's average over the period, so a policy that learned meanwhile is treated as
//! constant.

use std::collections::BTreeMap;

use accrue_event::SettingFault;
use serde::Serialize;

use super::{Cell, Decision, OffPolicySettings, clustered, estimate};
use crate::cost::Stopwatch;
use crate::metrics::Interval;
use crate::read::{BanditData, BanditLine, Vocabulary, read_bandit};
use crate::settings::Pairs;
use crate::{Cost, LabError};

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct OpenBanditRequest {
    /// The log to estimate from.
    pub train: BanditData,
    /// The log of the target policy.
    pub test: BanditData,
    /// `clip`, `least_effective`, `folds`, `smoothing`.
    pub settings: Vec<(String, String)>,
    /// The seed that assigns users to folds.
    pub seed: u64,
}

/// The comparison. The same bytes for the same seed, except for `cost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenBanditReport {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// The name of the model.
    pub model: String,
    /// The settings of the estimates.
    pub settings: BTreeMap<String, String>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Clicks per item shown: `logged` of the first log; `ips`, `snips` and `dr` of the policy as estimated from the
    /// first log; `actual` of the policy in its own log. Also `n_effective`, `max_weight` and `mean_weight`.
    pub metrics: BTreeMap<&'static str, f64>,
    /// 95 % intervals over users.
    pub ci95: BTreeMap<&'static str, Interval>,
    /// Number of lines of the first log.
    pub n_eval: usize,
    /// Number of cells of the policy.
    pub n_params: u64,
    /// Time and memory used.
    pub cost: Cost,
}

/// Reads both logs and computes the estimates.
///
/// # Errors
/// [`LabError`] if a file or a setting cannot be used, or the first log contains too little information about the
/// policy.
pub fn evaluate_open_bandit(request: &OpenBanditRequest) -> Result<OpenBanditReport, LabError> {
    let mut stopwatch = Stopwatch::start();
    let settings = settings(&request.settings, request.seed)?;
    let (mut items, mut users) = (Vocabulary::default(), Vocabulary::default());
    let logged = read_bandit(&request.train, &mut items, &mut users)?;
    let own = read_bandit(&request.test, &mut items, &mut users)?;
    let policy = Frequencies::of(&own);
    let decisions: Vec<Decision> = logged.iter().map(|line| policy.decision(line)).collect();
    let estimates = stopwatch.evaluating(|| estimate(&decisions, &settings))?;
    let click = |line: &BanditLine| (line.user, f64::from(u8::from(line.clicked)), 1.0);
    let actual =
        clustered(own.iter().map(click)).ok_or_else(|| LabError::TooFewUsers { path: request.test.path().clone() })?;
    let (mut metrics, mut ci95) = (BTreeMap::new(), BTreeMap::new());
    let found =
        [("logged", estimates.logged), ("ips", estimates.ips), ("snips", estimates.snips), ("dr", estimates.dr)];
    for (name, estimate) in found.into_iter().chain([("actual", actual)]) {
        metrics.insert(name, estimate.value);
        ci95.insert(name, estimate.ci95);
    }
    metrics.insert("n_effective", estimates.n_effective);
    metrics.insert("max_weight", estimates.max_weight);
    metrics.insert("mean_weight", estimates.mean_weight);
    let mut described = BTreeMap::from([
        ("least_effective".to_string(), settings.least_effective.to_string()),
        ("folds".to_string(), settings.folds.to_string()),
        ("smoothing".to_string(), settings.smoothing.to_string()),
    ]);
    described.extend(settings.clip.map(|clip| ("clip".to_string(), clip.to_string())));
    Ok(OpenBanditReport {
        protocol: "off-policy",
        model: "logged-policy".into(),
        settings: described,
        seed: request.seed,
        metrics,
        ci95,
        n_eval: decisions.len(),
        n_params: policy.shares.values().map(|shares| shares.len() as u64).sum(),
        cost: stopwatch.cost(own.len() as u64),
    })
}

/// The accepted values of numbers.
const POSITIVE: &str = "a finite number above 0";

fn settings(given: &[(String, String)], seed: u64) -> Result<OffPolicySettings, LabError> {
    let mut pairs = Pairs::new(given);
    let default = OffPolicySettings { seed, ..OffPolicySettings::default() };
    let clip = pairs.take("clip", f64::INFINITY, "a number above 0, or inf")?;
    let settings = OffPolicySettings {
        clip: (clip != f64::INFINITY).then_some(clip),
        least_effective: pairs.take("least_effective", default.least_effective, POSITIVE)?,
        folds: pairs.take("folds", default.folds, "a whole number of at least 2")?,
        smoothing: pairs.take("smoothing", default.smoothing, POSITIVE)?,
        seed,
    };
    if let Some(key) = pairs.rest().into_keys().next() {
        let known = ["clip", "least_effective", "folds", "smoothing"].map(String::from).into();
        return Err(LabError::NoSetting { owner: "protocol `off-policy`".into(), key, known });
    }
    let numbers = [
        ("clip", settings.clip.unwrap_or(1.0)),
        ("least_effective", settings.least_effective),
        ("smoothing", settings.smoothing),
    ];
    for (key, number) in numbers {
        if !(number > 0.0 && number.is_finite()) {
            return Err(SettingFault::new(key, number, POSITIVE).into());
        }
    }
    SettingFault::check("folds", settings.folds, 2..)?;
    Ok(settings)
}

/// The frequency of each item at each position under a policy.
struct Frequencies {
    /// By position: the items in the order of their indices, each with its share.
    shares: BTreeMap<u32, Vec<(Cell, f64)>>,
}

impl Frequencies {
    fn of(lines: &[BanditLine]) -> Self {
        let mut counts: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
        for line in lines {
            *counts.entry(line.position).or_default().entry(line.item).or_default() += 1;
        }
        let shares = counts.into_iter().map(|(place, items)| {
            let n = items.values().sum::<u64>() as f64;
            (place, items.into_iter().map(|(item, count)| (Cell { item, place }, count as f64 / n)).collect())
        });
        Self { shares: shares.collect() }
    }

    fn decision(&self, line: &BanditLine) -> Decision {
        let cell = Cell { item: line.item, place: line.position };
        let expected = self.shares.get(&line.position).cloned().unwrap_or_default();
        let target = expected.iter().find(|(other, _)| *other == cell).map_or(0.0, |(_, share)| *share);
        let reward = f64::from(u8::from(line.clicked));
        Decision { user: line.user, propensity: line.propensity, target, shown: vec![(cell, reward)], expected }
    }
}
