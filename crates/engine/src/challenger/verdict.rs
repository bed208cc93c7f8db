//! The verdict on a challenger, after both models have predicted the same choices: their gains, the time that a page takes, and the
//! memory that each holds.
//!
//! The time of a page depends on the machine and the moment, so a verdict is not a function of the log: it is written into the log as
//! a record.

use std::time::Instant;

use accrue_model::{Context, Ensemble, Prepared, TypeWeights};
use accrue_store::{Body, History};
use accrue_train::{Challenge, GateSettings, ShadowResult, Verdict};

/// Pages timed for each model.
pub(crate) const N_TIMED: usize = 200;
/// A difference between pages that take less than this is not noticeable.
const NOTICEABLE_MS: f64 = 1.0;

/// What both models cost, the challenger's figure first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Costs {
    /// Median time of a page, in milliseconds.
    pub page_ms: (f64, f64),
    /// Learned numbers.
    pub n_params: (u64, u64),
}

impl Costs {
    /// Measures both models on pages of these shoppers.
    pub(crate) fn measure(
        shoppers: &[History],
        weights: &TypeWeights,
        challenger: &Ensemble,
        current: &Ensemble,
        now_ms: i64,
    ) -> Self {
        let mut prepared = Prepared::default();
        let mut times: [Vec<f64>; 2] = Default::default();
        // Both models in turn for each page: other work of the machine slows both alike.
        for history in shoppers {
            let context = Context::new(history, None, now_ms, weights);
            for (model, times) in [challenger, current].into_iter().zip(&mut times) {
                let started = Instant::now();
                std::hint::black_box(model.rank(&context, &mut prepared, 20, |_| true));
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        let [challenger_ms, current_ms] = times.map(median);
        Self { page_ms: (challenger_ms, current_ms), n_params: (challenger.n_params(), current.n_params()) }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Why the challenger may replace the current model (`Ok`), or why it may not.
pub(crate) fn verdict(result: &ShadowResult, costs: &Costs, gate: &GateSettings) -> Result<String, String> {
    let ShadowResult { n, challenger, current, verdict } = result;
    let (page_ms, n_params) = (costs.page_ms, costs.n_params);
    let gains = format!("mean gain {challenger:.4} against {current:.4} over {n} choices");
    match verdict {
        Verdict::Worse => return Err(format!("it is worse: {gains}")),
        Verdict::Open | Verdict::Unproved => {
            return Err(format!("it could not be shown to be no worse by {}: {gains}", gate.margin));
        }
        Verdict::NotWorse => {}
    }
    if page_ms.0 > gate.max_latency * page_ms.1 && page_ms.0 > NOTICEABLE_MS {
        return Err(format!("a page takes {:.2} ms instead of {:.2}: {gains}", page_ms.0, page_ms.1));
    }
    if n_params.0 as f64 > gate.max_params * n_params.1 as f64 {
        return Err(format!("it holds {} learned numbers instead of {}: {gains}", n_params.0, n_params.1));
    }
    Ok(format!("not worse: {gains}"))
}

/// The verdict as the log keeps it.
pub(crate) fn record(challenge: &Challenge, verdict: &Result<String, String>) -> Body {
    let challenge = challenge.to_record().into();
    match verdict {
        Ok(why) => Body::Promoted { challenge, why: why.as_str().into() },
        Err(why) => Body::ChallengeRefused { challenge, why: why.as_str().into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(verdict_of: Verdict, page_ms: (f64, f64), n_params: (u64, u64)) -> Result<String, String> {
        let result = ShadowResult { n: 700, challenger: 0.71, current: 0.72, verdict: verdict_of };
        verdict(&result, &Costs { page_ms, n_params }, &GateSettings::default())
    }

    #[test]
    fn a_challenger_has_to_be_not_worse_and_fast_and_small() {
        let cases = [
            (Verdict::NotWorse, (1.0, 1.0), (10, 10), "not worse"),
            (Verdict::NotWorse, (0.9, 0.1), (10, 10), "not worse"),
            (Verdict::Worse, (1.0, 1.0), (10, 10), "it is worse"),
            (Verdict::Unproved, (1.0, 1.0), (10, 10), "could not be shown"),
            (Verdict::Open, (1.0, 1.0), (10, 10), "could not be shown"),
            (Verdict::NotWorse, (2.5, 1.0), (10, 10), "a page takes 2.50 ms instead of 1.00"),
            (Verdict::NotWorse, (1.0, 1.0), (41, 10), "it holds 41 learned numbers"),
        ];
        for (place, (result, page_ms, n_params, why)) in cases.into_iter().enumerate() {
            let told = told(result, page_ms, n_params);
            assert_eq!(told.is_ok(), place < 2, "{told:?}");
            assert!(told.clone().unwrap_or_else(|why| why).contains(why), "{told:?}");
        }
    }
}
