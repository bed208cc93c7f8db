//! Calibration that follows a stream: at each level of the predicted logit, what happened over what was predicted.
//!
//! In: predictions, and later whether it happened. Out: probabilities. Knots lie at equal distances of the logit, and a
//! prediction counts at the two around it. Each knot moves the logit by the difference between the observed and the
//! predicted log-odds there, shrunk towards no change by [`PRIOR`] events; counts decay, so that the curve follows
//! changes. Histogram binning (Zadrozny and Elkan, ICML 2001) with interpolation between the bins.

use serde::{Deserialize, Serialize};

/// Knots, from the lowest logit to the highest.
const N_KNOTS: usize = 25;
const LOWEST: f32 = -9.0;
const STEP: f32 = 0.5;
/// Events of both outcomes that each knot is assumed to have seen at its own level, and as many impressions at most.
const PRIOR: f64 = 8.0;
const MAX_PRIOR: f64 = 2_000.0;
/// Impressions after which a count weighs half.
const HALF_LIFE: f64 = 30_000.0;

/// What was predicted and what happened around one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Knot {
    n: f64,
    predicted: f64,
    happened: f64,
}

/// The calibration of one head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationCurve {
    knots: [Knot; N_KNOTS],
    /// How much each knot moves the logit.
    moves: [f32; N_KNOTS],
}

impl CalibrationCurve {
    /// The calibrated probability of a logit.
    pub fn probability(&self, logit: f32) -> f32 {
        let (knot, share) = place(logit);
        let moved = (1.0 - share) * self.moves[knot] + share * self.moves[knot + 1];
        accrue_kernel::sigmoid(logit + moved)
    }

    /// Counts a prediction and what happened.
    pub fn count(&mut self, logit: f32, label: f32) {
        let keep = libm::exp2(-1.0 / HALF_LIFE);
        let p = f64::from(accrue_kernel::sigmoid(logit));
        let (below, share) = place(logit);
        for (knot, share) in [(below, 1.0 - share), (below + 1, share)] {
            let share = f64::from(share);
            let knot_of = &mut self.knots[knot];
            knot_of.n = keep * knot_of.n + share;
            knot_of.predicted = keep * knot_of.predicted + share * p;
            knot_of.happened = keep * knot_of.happened + share * f64::from(label);
            self.moves[knot] = knot_of.moved(knot);
        }
    }
}

impl Knot {
    /// The difference of the log-odds.
    fn moved(self, place: usize) -> f32 {
        let level = f64::from(accrue_kernel::sigmoid(LOWEST + STEP * place as f32));
        let prior = (PRIOR / (level * (1.0 - level))).min(MAX_PRIOR);
        let log_odds = |of: f64| {
            let p = ((of + prior * level) / (self.n + prior)).clamp(1e-7, 1.0 - 1e-7);
            libm::log(p / (1.0 - p))
        };
        (log_odds(self.happened) - log_odds(self.predicted)) as f32
    }
}

/// The knot below a logit, and the share of the next one.
fn place(logit: f32) -> (usize, f32) {
    let last = (N_KNOTS - 1) as f32;
    let place = ((logit - LOWEST) / STEP).clamp(0.0, last);
    let below = (place as usize).min(N_KNOTS - 2);
    (below, place - below as f32)
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    #[test]
    fn predictions_that_are_too_high_or_too_flat_are_corrected_at_every_level() {
        let mut curve = CalibrationCurve::default();
        let mut draws = Draws::new(1, 2, 3);
        // The truth is half as steep and lower than predicted.
        let truth = |logit: f32| accrue_kernel::sigmoid(0.5 * logit - 1.0);
        for _ in 0..60_000 {
            let logit = 2.0 * draws.normal() - 1.0;
            curve.count(logit, f32::from(u8::from(draws.uniform() < truth(logit))));
        }
        for logit in [-4.0, -2.0, -0.75, 0.0, 1.0, 2.0] {
            let (found, expected) = (curve.probability(logit), truth(logit));
            // Of a level as rare as the last one about a thousand impressions are remembered.
            assert!((found - expected).abs() < 0.035, "{logit}: {found} {expected}");
        }
    }

    #[test]
    fn few_impressions_change_little_and_extremes_are_finite() {
        let mut curve = CalibrationCurve::default();
        (0..20).for_each(|_| curve.count(-3.0, 0.0));
        let found = curve.probability(-3.0);
        assert!(found < 0.0475 && found > 0.04, "{found}");
        for logit in [-1e9, 1e9, f32::MIN, f32::MAX] {
            curve.count(logit, 1.0);
            assert!((0.0..=1.0).contains(&curve.probability(logit)), "{logit}");
        }
    }
}
