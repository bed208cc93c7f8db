//! The learning rate as a function of the training step.
//!
//! In: the index of a step, the number of steps, the number of warm-up steps. Out: a factor for the rate. With `w`
//! warm-up steps and `t = (step − w) / (n − w)`:
//!
//! ```text
//! step < w:  (step + 1) / w          then  constant 1 · linear 1 − t · cosine (1 + cos πt) / 2 · inverse root √(w / (step + 1))
//! ```
//!
//! A step is one update by the optimizer, so with accumulated gradients it spans several batches. Beyond the last step
//! the factor keeps its last value.

use serde::{Deserialize, Serialize};

/// A factor for the learning rate at each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// 1 after the warm-up.
    #[default]
    Constant,
    /// Falls linearly from 1 to 0.
    Linear,
    /// Falls along half a cosine from 1 to 0: Loshchilov and Hutter, *SGDR* (2017), without restarts.
    Cosine,
    /// Falls with the inverse square root of the step.
    InverseRoot,
}

impl Schedule {
    /// The factor of step `step` (from 0) of `n_steps`. It rises linearly over the first `warm_up` steps.
    ///
    /// ```
    /// use accrue_tensor::Schedule;
    /// assert_eq!(Schedule::Constant.factor(0, 4, 100), 0.25);
    /// assert_eq!(Schedule::Linear.factor(50, 0, 100), 0.5);
    /// ```
    pub fn factor(self, step: u64, warm_up: u64, n_steps: u64) -> f32 {
        if step < warm_up {
            return (step + 1) as f32 / warm_up as f32;
        }
        let done = (step - warm_up) as f32 / n_steps.saturating_sub(warm_up).max(1) as f32;
        let done = done.min(1.0);
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - done,
            Self::Cosine => half_cosine(done),
            Self::InverseRoot => (warm_up.max(1) as f32 / (step + 1).max(warm_up.max(1)) as f32).sqrt(),
        }
    }
}

/// `(1 + cos(π x)) / 2` for x within 0 … 1, within 1e-6. Computed from the Taylor series around the middle, because the
/// system's cosine differs between machines.
fn half_cosine(x: f32) -> f32 {
    let y = (0.5 - x) * std::f32::consts::PI;
    let z = y * y;
    let sine = y * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0 * (1.0 - z / 110.0)))));
    0.5 + 0.5 * sine
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_at_1_and_end_at_their_last_value() {
        for schedule in [Schedule::Constant, Schedule::Linear, Schedule::Cosine, Schedule::InverseRoot] {
            assert!((schedule.factor(10, 10, 110) - 1.0).abs() < 0.05, "{schedule:?}");
            assert!(schedule.factor(0, 10, 110) < 0.11);
        }
        assert_eq!(Schedule::Linear.factor(110, 10, 110), 0.0);
        assert!(Schedule::Cosine.factor(110, 10, 110).abs() < 1e-6);
        assert!((Schedule::InverseRoot.factor(39, 10, 110) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_cosine_is_within_its_error_bound() {
        for i in 0..=100_u8 {
            let x = f32::from(i) / 100.0;
            let expected = (1.0 + (f64::from(x) * std::f64::consts::PI).cos()) / 2.0;
            assert!((f64::from(half_cosine(x)) - expected).abs() < 1e-6, "{x}");
        }
    }
}
