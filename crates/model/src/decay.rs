//! Exponential decay that costs no work between events.
//!
//! Forward decay (Cormode, Shkapenyuk, Srivastava, Xu 2009, "Forward Decay"): an event at time `t` weighs
//! `2^(t/h − epoch)` when it is added, so that nothing has to be multiplied down later; only a comparison with another
//! moment needs the factor. When the exponent grows large, the sum is rescaled by a power of two, which is exact in
//! binary floating point. A late event simply weighs less.

use accrue_event::DAY_MS;
pub use accrue_kernel::log2;
use serde::{Deserialize, Serialize};

/// How fast the weight of past events falls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HalfLife {
    ms: f64,
}

/// Above this exponent a sum is rescaled to a new epoch.
const MAX_EXPONENT: f64 = 40.0;

impl HalfLife {
    /// Half of the weight is gone after this many days.
    pub fn days(days: f64) -> Self {
        assert!(days > 0.0, "a half-life is positive");
        Self { ms: days * DAY_MS as f64 }
    }

    /// Time in half-lives.
    #[inline]
    pub fn position(&self, at_ms: i64) -> f64 {
        at_ms as f64 / self.ms
    }

    /// The epoch of a moment `position` in half-lives, and what a weight of 1 that is added then is worth in it.
    #[inline]
    pub fn unit(position: f64) -> (i32, f32) {
        let epoch = position.floor() as i32;
        (epoch, accrue_kernel::exp2((position - f64::from(epoch)) as f32))
    }

    /// The share of weight left after `age_ms`; 1 for a negative age.
    #[inline]
    pub fn left(&self, age_ms: i64) -> f32 {
        accrue_kernel::exp2(-(age_ms.max(0) as f64 / self.ms) as f32)
    }

    /// [`HalfLife::left`] of each of `ages_ms`, none of which is negative. `left: [ages]`
    pub fn left_of_each(&self, ages_ms: &[f64], left: &mut [f32]) {
        accrue_kernel::quotients(ages_ms, self.ms, left);
        left.iter_mut().for_each(|exponent| *exponent = -*exponent);
        accrue_kernel::exp2_in_place(left);
    }
}

/// A sum of decaying weights. Values of different sums compare through [`Decayed::level`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decayed {
    value: f32,
    epoch: i32,
}

impl Decayed {
    /// Adds `weight` at the moment `position` (in half-lives, [`HalfLife::position`]). Never falls below zero.
    #[inline]
    pub fn add(&mut self, weight: f32, position: f64) {
        if self.value == 0.0 {
            self.epoch = position.floor() as i32;
        }
        if position - f64::from(self.epoch) > MAX_EXPONENT {
            let epoch = position.floor() as i32;
            self.value *= power_of_two(self.epoch - epoch);
            self.epoch = epoch;
        }
        let factor = accrue_kernel::exp2((position - f64::from(self.epoch)) as f32);
        self.value = (self.value + weight * factor).max(0.0);
    }

    /// The sum at `position`.
    #[inline]
    pub fn at(&self, position: f64) -> f32 {
        self.value * accrue_kernel::exp2((f64::from(self.epoch) - position) as f32)
    }

    /// Whether the sum is a number.
    pub(crate) fn is_finite(&self) -> bool {
        self.value.is_finite()
    }

    /// Logarithm (base 2) of the sum, less a term that is the same for all sums at a given moment: a larger level means
    /// a larger sum.
    #[inline]
    pub fn level(&self) -> f32 {
        if self.value > 0.0 { log2(self.value) + self.epoch as f32 } else { f32::NEG_INFINITY }
    }
}

/// `2^exponent`; zero below what a float holds.
#[inline]
pub fn power_of_two(exponent: i32) -> f32 {
    if exponent < -126 { 0.0 } else { f32::from_bits(((exponent.min(127) + 127) as u32) << 23) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_halves_in_a_half_life() {
        let half_life = HalfLife::days(7.0);
        let mut sum = Decayed::default();
        sum.add(1.0, half_life.position(14_000 * DAY_MS));
        assert!((sum.at(half_life.position(14_007 * DAY_MS)) - 0.5).abs() < 1e-5);
    }

    #[test]
    fn what_is_left_of_many_ages_has_the_bits_of_one_at_a_time() {
        let half_life = HalfLife::days(45.0);
        let ages: Vec<i64> = (0..40).map(|n| n * n * n * 7_654_321).collect();
        let ages_ms: Vec<f64> = ages.iter().map(|&age| age as f64).collect();
        let mut left = vec![0.0; ages.len()];
        half_life.left_of_each(&ages_ms, &mut left);
        for (&age, left) in ages.iter().zip(left) {
            assert_eq!(left.to_bits(), half_life.left(age).to_bits(), "{age}");
        }
    }

    #[test]
    fn order_of_arrival_does_not_matter_much_and_years_do_not_overflow() {
        let half_life = HalfLife::days(1.0);
        let (mut early_first, mut late_first) = (Decayed::default(), Decayed::default());
        for day in [0, 30, 3650] {
            early_first.add(1.0, half_life.position(day * DAY_MS));
        }
        for day in [3650, 30, 0] {
            late_first.add(1.0, half_life.position(day * DAY_MS));
        }
        let end = half_life.position(3651 * DAY_MS);
        assert!((early_first.at(end) - 0.5).abs() < 1e-5);
        assert!((late_first.at(end) - 0.5).abs() < 1e-5);
    }

    #[test]
    fn levels_order_sums_whatever_their_epochs() {
        let half_life = HalfLife::days(7.0);
        let (mut old, mut new) = (Decayed::default(), Decayed::default());
        for _ in 0..3 {
            old.add(1.0, half_life.position(100 * DAY_MS));
        }
        new.add(1.0, half_life.position(500 * DAY_MS));
        assert!(new.level() > old.level());
        assert_eq!(Decayed::default().level(), f32::NEG_INFINITY);
    }
}
