//! Numbers as features: centred by their running mean and scaled by their running deviation.
//!
//! In: the values of one measured feature, in order. Out: values around 0, of a size that a vector can be multiplied
//! by. What is missing has the value 0, which is the mean. Welford, *Note on a method for calculating corrected sums of
//! squares* (1962).

use serde::{Deserialize, Serialize};

/// A standardised value is at most this far from 0: an outlier must not dominate a row.
const REACH: f64 = 4.0;

/// Mean and variance of the values so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    n: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// Takes a value in; one that is not finite says nothing.
    pub fn observe(&mut self, x: f64) {
        if !x.is_finite() {
            return;
        }
        self.n += 1.0;
        let before = x - self.mean;
        self.mean += before / self.n;
        self.squares += before * (x - self.mean);
    }

    /// Number of values.
    pub fn n(&self) -> f64 {
        self.n
    }

    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The value in deviations from the mean, at most 4 of them. 0 for what is missing (not finite), and as long as all
    /// values were equal.
    pub fn standardised(&self, x: f64) -> f32 {
        let deviation = (self.squares / self.n.max(1.0)).sqrt();
        let is_known = x.is_finite() && deviation > 1e-12 * (1.0 + self.mean.abs());
        if is_known { ((x - self.mean) / deviation).clamp(-REACH, REACH) as f32 } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_centred_and_scaled_and_what_is_missing_is_the_mean() {
        let mut moments = Moments::default();
        assert_eq!(moments.standardised(7.0), 0.0);
        [2.0, 4.0, f64::NAN, 6.0, f64::INFINITY].into_iter().for_each(|x| moments.observe(x));
        assert_eq!((moments.n(), moments.mean()), (3.0, 4.0));
        assert!((moments.standardised(6.0) - 1.224_745).abs() < 1e-5);
        assert_eq!(moments.standardised(f64::NAN), 0.0);
        assert_eq!(moments.standardised(1e300), 4.0);
        let mut constant = Moments::default();
        (0..9).for_each(|_| constant.observe(0.1));
        assert_eq!(constant.standardised(5.0), 0.0);
    }
}
