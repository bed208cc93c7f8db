//! How far sound versions come to lie from one another: what learning on moves, though nothing is wrong.
//!
//! In: the anchor loss of each version that stood the tests. Out: the loss up to which the next one is taken as sound. Any model that
//! follows a shop also follows its noise, and some shops change faster than others; a tolerance that ignores this cries wolf in
//! one shop and sleeps in the other.

use serde::{Deserialize, Serialize};

/// Versions that it looks back over, about.
const LOOKS_BACK: f64 = 16.0;
/// Standard deviations above the mean that are still sound.
const SPREAD: f64 = 2.0;
/// It reaches no further than so many least tolerances: harm that creeps in is not taken for wandering for ever.
const FURTHEST: f64 = 4.0;

/// Mean and mean square of the losses of sound versions, the older ones decayed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Wander {
    n: u64,
    mean: f64,
    square: f64,
}

impl Wander {
    /// Takes the loss of a sound version in.
    pub(super) fn observe(&mut self, loss: f64) {
        self.n += 1;
        let share = 1.0 / (self.n as f64).min(LOOKS_BACK);
        self.mean += share * (loss - self.mean);
        self.square += share * (loss * loss - self.square);
    }

    /// The loss up to which a version is taken as sound; between `least` and a few times that. While few versions are known, as if
    /// there had been others that wandered as far as `least`.
    pub(super) fn reach(&self, least: f64) -> f64 {
        let unknown = 1.0 / (1.0 + self.n as f64);
        let variance = (self.square - self.mean * self.mean).max(0.0);
        let spread = (variance * (1.0 - unknown) + least * least * unknown).sqrt();
        (self.mean + SPREAD * spread).clamp(least, FURTHEST * least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_shop_within_bounds() {
        let reach = |losses: &[f64]| {
            let mut wander = Wander::default();
            losses.iter().for_each(|&loss| wander.observe(loss));
            wander.reach(0.005)
        };
        assert_eq!(reach(&[]), 0.01);
        assert!(reach(&[0.0; 200]) < 0.0051);
        let restless: Vec<f64> = (0..200).map(|number| if number % 2 == 0 { 0.004 } else { -0.004 }).collect();
        assert!((0.007..0.009).contains(&reach(&restless)), "{}", reach(&restless));
        assert_eq!(reach(&[0.3; 200]), 0.02);
        assert_eq!(reach(&[-0.3; 200]), 0.005);
    }
}
