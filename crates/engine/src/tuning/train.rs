//! The steps of a training: as many as the time allows, at their share of the machine.

use std::path::Path;
use std::time::{Duration, Instant};

use accrue_encode::{Pairs, Tuner};

use super::{TuneError, TuneProgress, TuneRequest};

/// How often the state is written.
const SAVED: Duration = Duration::from_secs(60);

/// Sleeps so long that the work before takes the share of the time.
pub(super) fn rest(worked: Duration, share: f64) {
    if share < 1.0 {
        std::thread::sleep(worked.mul_f64(1.0 / share.max(0.01) - 1.0));
    }
}

/// What a training goes by.
pub(super) struct Run<'a> {
    pub request: &'a TuneRequest,
    pub begun: Instant,
    pub state: &'a Path,
    pub plan: &'a str,
}

/// What the steps of a call did.
pub(super) struct Done {
    pub is_over: bool,
    pub step_ms: f64,
    pub loss: [f64; 2],
}

/// Takes the steps that are left, as far as the time allows.
pub(super) fn train(
    tuner: &mut Tuner,
    pairs: &Pairs,
    run: &Run<'_>,
    progress: &mut dyn FnMut(TuneProgress),
) -> Result<Done, TuneError> {
    let Run { request, begun, state, plan } = run;
    let n_steps = tuner.settings().steps;
    let (mut saved, mut losses, mut times) = (Instant::now(), Vec::new(), Vec::new());
    while tuner.n_steps() < n_steps {
        let step = Instant::now();
        let batch = pairs.batch(request.seed, tuner.n_steps(), request.batch, request.negatives);
        losses.push(tuner.step(&batch)?);
        times.push(step.elapsed().as_secs_f64() * 1e3);
        progress(TuneProgress::Step(tuner.n_steps(), n_steps, losses.last().copied().unwrap_or(0.0)));
        rest(step.elapsed(), request.share);
        // At least one step a call, so that a budget that is too small ends some day.
        if request.budget.is_some_and(|budget| begun.elapsed() >= budget) {
            break;
        }
        if saved.elapsed() >= SAVED {
            tuner.save(state, plan)?;
            saved = Instant::now();
        }
    }
    if !losses.is_empty() {
        tuner.save(state, plan)?;
    }
    let twentieth = losses.len().div_ceil(20);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let loss = [mean(&losses[..twentieth]), mean(&losses[losses.len() - twentieth..])];
    times.sort_by(f64::total_cmp);
    let step_ms = times.get(times.len() / 2).copied().unwrap_or(0.0);
    Ok(Done { is_over: tuner.n_steps() >= n_steps, step_ms, loss })
}
