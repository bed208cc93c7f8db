//! Whether the intervals hold what they say: many simulated shops, where the value of a policy that is never in force is known.
//!
//! In each shop a finder brings the best items of a front page, a logging policy draws the first places nearly evenly, another one
//! would draw them close to their ranks. The estimates see every fourth shopper; the truth is the mean over all shoppers' visits,
//! each page's clicks being exact. Out: how often 95 % intervals hold the truth, and how far off the estimates are.

use std::collections::BTreeMap;

use accrue_event::Shopper;
use accrue_kernel::Draws;
use accrue_model::Exploration;
use serde::Serialize;

use super::{Decision, Estimate, ListPolicy, OffPolicyError, OffPolicySettings, ShownList, estimate};
use crate::simulator::{Request, Simulator, SimulatorSettings, Step, Visit};

/// Streams of random numbers: what is shown, whose visits are seen.
const SHOWN: u64 = 0x5348_4f57;
const SEEN: u64 = 0x5345_454e;
/// One shopper in so many is seen.
const SEEN_ONE_IN: u64 = 4;

/// The policy that fills the pages, and the one that is asked about.
const LOGGING: Exploration = Exploration { places: 2, among: 4, temperature: 4.0 };
const TARGET: Exploration = Exploration { places: 2, among: 4, temperature: 1.0 };

/// How many shops of what size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoverageSettings {
    /// Shops: their seeds follow on `seed`.
    pub seeds: u64,
    /// The first seed.
    pub seed: u64,
    /// Front pages of each shop; every fourth shopper's are seen.
    pub visits: usize,
}

impl Default for CoverageSettings {
    fn default() -> Self {
        Self { seeds: 200, seed: 1, visits: 4_000 }
    }
}

/// How an estimator did over the shops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Share of shops whose truth lies in the 95 % interval.
    pub coverage: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean error.
    pub bias: f64,
    /// Mean width of the interval.
    pub width: f64,
}

/// How the estimators did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CoverageReport {
    /// Shops.
    pub seeds: u64,
    /// Decisions that were seen, a mean over shops.
    pub n: f64,
    /// Effective ones among them.
    pub n_effective: f64,
    /// What a page of the logging policy earned.
    pub logged: f64,
    /// What a page of the other policy is worth.
    pub truth: f64,
    /// By estimator.
    pub estimators: BTreeMap<&'static str, Quality>,
}

/// Runs the shops one after another; `progress` hears the share that is done.
///
/// # Errors
/// [`OffPolicyError`] if a shop's log says too little, as one with few visits does.
pub fn coverage(settings: &CoverageSettings, progress: &dyn Fn(f64)) -> Result<CoverageReport, OffPolicyError> {
    let mut report = CoverageReport { seeds: settings.seeds, ..CoverageReport::default() };
    let each = 1.0 / settings.seeds.max(1) as f64;
    for number in 0..settings.seeds {
        let (decisions, truth) = shop(settings.seed + number, settings.visits);
        let estimates = estimate(&decisions, &OffPolicySettings { seed: settings.seed, ..Default::default() })?;
        report.n += each * estimates.n as f64;
        report.n_effective += each * estimates.n_effective;
        report.logged += each * estimates.logged.value;
        report.truth += each * truth;
        for (name, found) in [("ips", estimates.ips), ("snips", estimates.snips), ("dr", estimates.dr)] {
            let quality = report.estimators.entry(name).or_default();
            add(quality, found, truth, each);
        }
        progress((number + 1) as f64 * each);
    }
    for quality in report.estimators.values_mut() {
        quality.rmse = quality.rmse.sqrt();
    }
    Ok(report)
}

fn add(quality: &mut Quality, found: Estimate, truth: f64, each: f64) {
    let error = found.value - truth;
    quality.coverage += each * f64::from(u8::from(found.ci95.0 <= truth && truth <= found.ci95.1));
    quality.rmse += each * error * error;
    quality.bias += each * error;
    quality.width += each * (found.ci95.1 - found.ci95.0);
}

/// The decisions that are seen in one shop, and what the other policy is worth over all of its visits.
fn shop(seed: u64, visits: usize) -> (Vec<Decision>, f64) {
    let mut shop = Simulator::new(SimulatorSettings {
        seed,
        n_items: 200,
        n_shoppers: 400,
        page_size: LOGGING.among,
        ..SimulatorSettings::default()
    });
    let (mut decisions, mut truth, mut n_visits) = (Vec::new(), 0.0, 0);
    let mut users: BTreeMap<Shopper, u32> = BTreeMap::new();
    let mut items: BTreeMap<String, u32> = BTreeMap::new();
    while n_visits < visits {
        let Step::Visit(visit) = shop.next_step() else { continue };
        if visit.request != Request::Home {
            continue;
        }
        n_visits += 1;
        let found = shop.best_page(&visit);
        truth += value(&shop, &visit, &found);
        let drawn = LOGGING.draw(found.len(), &mut Draws::new(seed, SHOWN, visit.number));
        let shown: Vec<_> = drawn.ranks.iter().map(|&rank| found[rank as usize].clone()).collect();
        let outcome = shop.respond(&visit, &shown);
        let next = users.len() as u32;
        let user = *users.entry(visit.shopper.clone()).or_insert(next);
        if !accrue_kernel::random(seed, SEEN, u64::from(user), 0).is_multiple_of(SEEN_ONE_IN) {
            continue;
        }
        let mut rewards = vec![0.0; shown.len()];
        for event in outcome.events.iter().filter(|event| event.event_type == accrue_event::EventType::Click) {
            if let Some(reward) = event.position.and_then(|place| rewards.get_mut(place as usize)) {
                *reward = 1.0;
            }
        }
        let mut number = |item: &accrue_event::ItemId| {
            let next = items.len() as u32;
            *items.entry(item.as_str().to_string()).or_insert(next)
        };
        let numbers: Vec<u32> = shown.iter().map(&mut number).collect();
        let list = ShownList {
            user,
            items: &numbers,
            ranks: &drawn.ranks,
            propensities: &drawn.propensities,
            rewards: &rewards,
        };
        decisions.push(list.decision(&ListPolicy::Drawn(TARGET)));
    }
    (decisions, truth / visits.max(1) as f64)
}

/// Expected clicks of the visit's page under the policy that is asked about: exact.
fn value(shop: &Simulator, visit: &Visit, found: &[accrue_event::ItemId]) -> f64 {
    let worth = |(top, chance): (Vec<u32>, f64)| {
        let rest = (0..found.len() as u32).filter(|rank| !top.contains(rank));
        let page: Vec<_> = top.iter().copied().chain(rest).map(|rank| found[rank as usize].clone()).collect();
        let chances = shop.chances(visit, &page);
        chance * chances.iter().map(|place| place.examined * place.clicked).sum::<f64>()
    };
    TARGET.fillings(found.len()).into_iter().map(worth).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(settings: CoverageSettings, least: f64, most: f64) {
        let report = coverage(&settings, &|_| {}).unwrap();
        for (name, quality) in &report.estimators {
            assert!((least..=most).contains(&quality.coverage), "{name}: {report:?}");
        }
        let rmse = |name| report.estimators[name].rmse;
        assert!(rmse("dr") < rmse("ips"), "{report:?}");
        assert!(report.truth > report.logged, "{report:?}");
    }

    #[test]
    fn intervals_hold_the_truth_in_a_few_small_shops() {
        check(CoverageSettings { seeds: 12, visits: 1_600, ..Default::default() }, 0.75, 1.0);
    }

    #[test]
    #[ignore = "minutes: cargo test --release -p accrue-lab --lib off_policy -- --ignored"]
    fn intervals_hold_the_truth_as_often_as_they_say_over_200_shops() {
        check(CoverageSettings::default(), 0.92, 0.98);
    }
}
