//! A challenge on a data folder that no server has open: the last choices of the log are lived through once more, with a challenger
//! beside the line, and the verdict goes into the log.

use std::path::Path;
use std::time::Instant;

use accrue_store::{Log, LogReader, Offset};
use accrue_train::{Challenge, Challenger, Folded, GateSettings, Standing, Verdict, follow, recover, save};
use serde::Serialize;

use super::verdict::{Budgets, N_TIMED, record, verdict};
use super::writer::now;
use super::{EngineError, checkpoints_in, learn_settings};
use crate::config::Config;

/// What came of a challenge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChallengeReport {
    /// Whether the challenger is the line now.
    pub promoted: bool,
    /// Why, or why not.
    pub why: String,
    /// How it stood at the end.
    pub standing: Standing,
    /// Median time of a page by the challenger and by the line, in milliseconds.
    pub page_ms: (f64, f64),
    /// Learned numbers of the challenger and of the line.
    pub n_params: (u64, u64),
    /// Records lived through by both.
    pub shadowed: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Learns the challenger (all passes, whatever its `until` says) up to the last `shadow` records, lives through those with both, and promotes or refuses it.
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
    // A folder without a log is not made.
    LogReader::open(dir)?;
    super::finish_forgetting(dir, config)?;
    let mut log = Log::open(dir, (&config.log).into())?;
    let (mut reader, checkpoints) = (log.reader(), checkpoints_in(dir));
    let (settings, end) = (learn_settings(config), log.end());
    if end.0 == 0 {
        return Err(EngineError::Conflict { message: "the log is empty: there is nothing to be judged by".into() });
    }
    if challenge.from >= end {
        let message = format!("there is nothing to learn from record {} on: the log ends at {end}", challenge.from);
        return Err(EngineError::Invalid { field: "from", message });
    }
    // A small shop is lived through from the middle on: both have to have learned something.
    let shadow = shadow.min(end.0.div_ceil(2));
    let from = Offset(end.0 - shadow);
    let challenge = &Challenge { until: from, ..challenge.clone() };
    let all = recover(&mut reader, &checkpoints, &settings, end, true)?;
    let mut before = recover(&mut reader, &checkpoints, &settings, from, true)?;
    before.catch_up(&mut reader)?;
    let (facts, mut learner) = (all.facts, before.learner);
    let mut challenger = Challenger::new(challenge, learner.lineage().windows());
    challenger.learn(&mut Folded { log: &mut reader, facts: &facts }, from)?;
    learner.shadow(challenger, gate.clone());
    let mut standing = None;
    while learner.end() < end {
        let until = Offset((learner.end().0 + 4_096).min(end.0));
        follow(&mut learner, &facts, &mut reader, until)?;
        progress(learner.end().0 - from.0, shadow);
        // Begun anew by a rollback, the line has nobody beside it any more.
        standing = learner.standing();
        if standing.is_none() {
            break;
        }
    }
    let budgets = learner.shadowing().map_or_else(Budgets::default, |shadowing| {
        let shoppers: Vec<_> = (0..).take(N_TIMED).map(|shopper| learner.histories().get(shopper).clone()).collect();
        Budgets::measure(&shoppers, learner.weights(), shadowing, learner.ensemble(), facts.stream_time.0)
    });
    let verdict = match &standing {
        Some(standing) => verdict(standing, &budgets, gate),
        None => Err("within these records the line was rolled back or replaced; shadow fewer, those since then".into()),
    };
    let body = record(challenge, &verdict);
    let (promoted, why) = (verdict.is_ok(), verdict.unwrap_or_else(|why| why));
    log.append(now(), std::slice::from_ref(&body))?;
    if promoted {
        let mut now = recover(&mut reader, &checkpoints, &settings, log.end(), true)?;
        follow(&mut learner, &now.facts, &mut reader, log.end())?;
        now.learner = learner;
        // To learn a challenger again takes long: the next start shall not have to.
        save(&checkpoints, |end| reader.sum_before(end), &now.facts, &now.learner)?;
    }
    let standing = standing.unwrap_or(Standing { n: 0, challenger: 0.0, line: 0.0, verdict: Verdict::Unproved });
    let seconds = started.elapsed().as_secs_f64();
    let Budgets { page_ms, n_params } = budgets;
    Ok(ChallengeReport { promoted, why, standing, page_ms, n_params, shadowed: end.0 - from.0, seconds })
}
