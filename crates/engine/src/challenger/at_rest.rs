//! A challenge on a data folder that no server has open: the current model and a challenger both predict the last choices of the log,
//! and the verdict is written into the log.

use std::path::Path;
use std::time::Instant;

use accrue_store::{Log, LogReader, Offset};
use accrue_train::{Challenge, Challenger, GateSettings, ResolvedLog, ShadowResult, Verdict, follow, recover, save};
use serde::Serialize;

use super::verdict::{Costs, Decision, N_TIMED, record, verdict};
use crate::clock::now;
use crate::config::{Config, learn_settings};
use crate::error::EngineError;
use crate::folder::checkpoints_in;
use crate::forget::at_rest::finish_forgetting;

/// The outcome of a challenge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChallengeReport {
    /// Whether the challenger was promoted.
    pub promoted: bool,
    /// The reason of the verdict.
    pub why: String,
    /// The gains of both at the end.
    pub standing: ShadowResult,
    /// Median time of a page by the challenger and by the current model, in milliseconds.
    pub page_ms: (f64, f64),
    /// Learned numbers of the challenger and of the current model.
    pub n_params: (u64, u64),
    /// Records over which both were compared.
    pub shadowed: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Trains the challenger (all passes, whatever its `until` says) up to the last `shadow` records, compares both models on those, and
/// promotes or refuses it.
///
/// # Errors
/// If another process holds the folder, or the log cannot be read or written.
pub fn challenge(
    dir: &Path,
    config: &Config,
    challenge: &Challenge,
    shadow: u64,
    gate: &GateSettings,
    mut progress: impl FnMut(u64, u64),
) -> Result<ChallengeReport, EngineError> {
    let started = Instant::now();
    // A folder without a log is not created.
    LogReader::open(config.log_place(dir))?;
    finish_forgetting(dir, config)?;
    let mut log = Log::open(config.log_place(dir), (&config.log).into())?;
    let (mut reader, checkpoints) = (log.reader(), checkpoints_in(dir));
    let (settings, end) = (learn_settings(config), log.end());
    if end.0 == 0 {
        return Err(EngineError::Conflict { message: "the log is empty: there is nothing to be judged by".into() });
    }
    if challenge.from >= end {
        let message = format!("there is nothing to learn from record {} on: the log ends at {end}", challenge.from);
        return Err(EngineError::Invalid { field: "from", message });
    }
    // In a small shop the second half is compared: both models need some records to learn from first.
    let shadow = shadow.min(end.0.div_ceil(2));
    let from = Offset(end.0 - shadow);
    let challenge = &Challenge { until: from, ..challenge.clone() };
    let all = recover(&mut reader, &checkpoints, &settings, end, true)?;
    let mut before = recover(&mut reader, &checkpoints, &settings, from, true)?;
    before.catch_up(&mut reader)?;
    let (facts, mut learner) = (all.facts, before.learner);
    let mut challenger = Challenger::new(challenge, learner.lineage().windows());
    challenger.learn(&mut ResolvedLog { log: &mut reader, facts: &facts }, from)?;
    learner.shadow(challenger, gate.clone());
    let mut result = None;
    while learner.end() < end {
        let until = Offset((learner.end().0 + 4_096).min(end.0));
        follow(&mut learner, &facts, &mut reader, until)?;
        progress(learner.end().0 - from.0, shadow);
        // A rollback or another promotion ends the comparison.
        result = learner.shadow_result();
        if result.is_none() {
            break;
        }
    }
    let costs = learner.shadow_model().map_or_else(Costs::default, |challenger| {
        let shoppers: Vec<_> = (0..).take(N_TIMED).map(|shopper| learner.histories().get(shopper)).collect();
        Costs::measure(&shoppers, learner.weights(), challenger, learner.ensemble(), facts.stream_time.0)
    });
    let verdict = match &result {
        Some(result) => verdict(result, &costs, gate),
        None => Decision::Interrupted,
    };
    let body = record(challenge, &verdict);
    let (promoted, why) = (verdict.is_promoted(), verdict.to_string());
    log.append(now(), std::slice::from_ref(&body))?;
    if promoted {
        let mut now = recover(&mut reader, &checkpoints, &settings, log.end(), true)?;
        follow(&mut learner, &now.facts, &mut reader, log.end())?;
        now.learner = learner;
        // Training a challenger takes long: with a checkpoint the next start does not have to repeat it.
        save(&checkpoints, |end| reader.sum_before(end), &now.facts, &now.learner)?;
    }
    let result = result.unwrap_or(ShadowResult { n: 0, challenger: 0.0, current: 0.0, verdict: Verdict::Unproved });
    let seconds = started.elapsed().as_millis() as f64 / 1e3;
    let Costs { page_ms, n_params } = costs;
    Ok(ChallengeReport { promoted, why, standing: result, page_ms, n_params, shadowed: end.0 - from.0, seconds })
}
