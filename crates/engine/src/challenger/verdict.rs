//! The verdict on a challenger, after both models have predicted the same choices: their gains, the time that a page takes, and the
//! memory that each holds.
//!
//! The time of a page depends on the machine and the moment, so a verdict is not a function of the log: it is written into the log as
//! a record.

use std::fmt;
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

/// The gate's decision, with the figures that it rests on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// The challenger may replace the current model: it was shown not to be worse, and costs no more than it may.
    Promoted(ShadowResult),
    /// It was shown to be worse.
    Worse(ShadowResult),
    /// It could not be shown not to be worse by more than the margin.
    Unproved(ShadowResult, f64),
    /// A page takes too long; milliseconds of the challenger and of the current model.
    Slow(ShadowResult, (f64, f64)),
    /// It holds too many learned numbers; those of the challenger and of the current model.
    Large(ShadowResult, (u64, u64)),
    /// The current model was rolled back or replaced while both were compared.
    Interrupted,
}

impl Decision {
    pub(crate) fn is_promoted(&self) -> bool {
        matches!(self, Self::Promoted(_))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self {
            Self::Promoted(result) => write!(f, "not worse").map(|()| result),
            Self::Worse(result) => write!(f, "it is worse").map(|()| result),
            Self::Unproved(result, margin) => {
                write!(f, "it could not be shown to be no worse by {margin}").map(|()| result)
            }
            Self::Slow(result, (challenger, current)) => {
                write!(f, "a page takes {challenger:.2} ms instead of {current:.2}").map(|()| result)
            }
            Self::Large(result, (challenger, current)) => {
                write!(f, "it holds {challenger} learned numbers instead of {current}").map(|()| result)
            }
            Self::Interrupted => {
                return f.write_str(
                    "within these records the current model was rolled back or replaced; shadow fewer, those since then",
                );
            }
        };
        let ShadowResult { n, challenger, current, .. } = result?;
        write!(f, ": mean gain {challenger:.4} against {current:.4} over {n} choices")
    }
}

/// Whether the challenger may replace the current model.
pub(crate) fn verdict(result: &ShadowResult, costs: &Costs, gate: &GateSettings) -> Decision {
    let (result, page_ms, n_params) = (result.clone(), costs.page_ms, costs.n_params);
    match result.verdict {
        Verdict::Worse => Decision::Worse(result),
        Verdict::Open | Verdict::Unproved => Decision::Unproved(result, gate.margin),
        Verdict::NotWorse if page_ms.0 > gate.max_latency * page_ms.1 && page_ms.0 > NOTICEABLE_MS => {
            Decision::Slow(result, page_ms)
        }
        Verdict::NotWorse if n_params.0 as f64 > gate.max_params * n_params.1 as f64 => {
            Decision::Large(result, n_params)
        }
        Verdict::NotWorse => Decision::Promoted(result),
    }
}

/// The verdict as the log keeps it.
pub(crate) fn record(challenge: &Challenge, decision: &Decision) -> Body {
    let (challenge, why) = (challenge.to_record().into(), decision.to_string().into());
    match decision.is_promoted() {
        true => Body::Promoted { challenge, why },
        false => Body::ChallengeRefused { challenge, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(verdict_of: Verdict, page_ms: (f64, f64), n_params: (u64, u64)) -> Decision {
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
            let decision = decided(result, page_ms, n_params);
            assert_eq!(decision.is_promoted(), place < 2, "{decision:?}");
            let told = decision.to_string();
            assert!(told.contains(why) && told.ends_with("mean gain 0.7100 against 0.7200 over 700 choices"), "{told}");
        }
    }
}
