//! A challenge on a data folder that no server has open: the last choices of the log are lived through once more, with a challenger
//! beside the line, and the verdict goes into the log.

use std::path::Path;
use std::time::Instant;

use accrue_model::{Context, Ensemble, Prepared};
use accrue_store::{Body, Log, Offset};
use accrue_train::{Challenge, Challenger, Folded, GateSettings, Learner, Standing, Verdict, follow, recover, save};
use serde::Serialize;

use super::writer::now;
use super::{EngineError, checkpoints_in, learn_settings};
use crate::config::Config;

/// Pages timed of each model.
const N_TIMED: usize = 200;

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
    super::finish_forgetting(dir, config)?;
    let mut log = Log::open(dir, (&config.log).into())?;
    let (mut reader, checkpoints) = (log.reader(), checkpoints_in(dir));
    let (settings, end) = (learn_settings(config), log.end());
    let from = Offset(end.0.saturating_sub(shadow));
    if end.0 == 0 {
        return Err(EngineError::Conflict { message: "the log is empty: there is nothing to be judged by".into() });
    }
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
    let page_ms = learner.shadowing().map(|shadowing| {
        (page_ms(&learner, shadowing, facts.stream_time.0), page_ms(&learner, learner.ensemble(), facts.stream_time.0))
    });
    let n_params = learner.shadowing().map(|state| (state.n_params(), learner.ensemble().n_params()));
    let (page_ms, n_params) = (page_ms.unwrap_or_default(), n_params.unwrap_or_default());
    let verdict = verdict(standing.as_ref(), page_ms, n_params, gate);
    let (promoted, why) = (verdict.is_ok(), verdict.unwrap_or_else(|why| why));
    let body = {
        let (challenge, why) = (challenge.to_record().into(), why.clone().into());
        if promoted { Body::Promoted { challenge, why } } else { Body::ChallengeRefused { challenge, why } }
    };
    log.append(now(), std::slice::from_ref(&body))?;
    if promoted {
        let mut now = recover(&mut reader, &checkpoints, &settings, log.end(), true)?;
        follow(&mut learner, &now.facts, &mut reader, log.end())?;
        now.learner = learner;
        // To learn a challenger again takes long: the next start shall not have to.
        save(&checkpoints, &now.facts, &now.learner)?;
    }
    let standing = standing.unwrap_or(Standing { n: 0, challenger: 0.0, line: 0.0, verdict: Verdict::Unproved });
    let seconds = started.elapsed().as_secs_f64();
    Ok(ChallengeReport { promoted, why, standing, page_ms, n_params, shadowed: end.0 - from.0, seconds })
}

/// Why the challenger may replace the line, or why it may not.
fn verdict(
    standing: Option<&Standing>,
    page_ms: (f64, f64),
    n_params: (u64, u64),
    gate: &GateSettings,
) -> Result<String, String> {
    let Some(Standing { n, challenger, line, verdict }) = standing else {
        return Err("within these records the line was rolled back or replaced; shadow fewer, those since then".into());
    };
    let gains = format!("mean gain {challenger:.4} against {line:.4} over {n} choices");
    match verdict {
        Verdict::Worse => return Err(format!("it is worse: {gains}")),
        Verdict::Open | Verdict::Unproved => {
            return Err(format!("it could not be shown to be no worse by {}: {gains}", gate.margin));
        }
        Verdict::NotWorse => {}
    }
    if page_ms.0 > gate.max_latency * page_ms.1 && page_ms.0 > 1.0 {
        return Err(format!("a page takes {:.2} ms instead of {:.2}: {gains}", page_ms.0, page_ms.1));
    }
    if n_params.0 as f64 > gate.max_params * n_params.1 as f64 {
        return Err(format!("it holds {} learned numbers instead of {}: {gains}", n_params.0, n_params.1));
    }
    Ok(format!("not worse: {gains}"))
}

/// Median time of a page for shoppers who did something, in milliseconds.
fn page_ms(learner: &Learner, model: &Ensemble, now_ms: i64) -> f64 {
    let mut prepared = Prepared::default();
    let shoppers = (0..).take(N_TIMED).map(|shopper| learner.histories().get(shopper));
    let mut times: Vec<f64> = shoppers
        .map(|history| {
            let context = Context::new(history, None, now_ms, learner.weights());
            let started = Instant::now();
            std::hint::black_box(model.rank(&context, &mut prepared, 20, |_| true));
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
