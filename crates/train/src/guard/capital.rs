//! A sequential test by betting that may be read at any time. The tested hypothesis is that a model does no harm.
//!
//! In: one measured harm after another, each in `[-1, 1]`. Out: the *capital*, which begins at 1: what a player would
//! own who bets against the hypothesis at each value. If the mean harm, given the earlier values, is at most 0, the
//! capital is a nonnegative supermartingale, so the probability that it ever reaches `1/α` is at most `α` (Ville's
//! inequality), however often it is read and whenever the test stops. Betting: Waudby-Smith, Ramdas, *Estimating means
//! of bounded random variables by betting* (2023), section 4. The stake is a mixture over the size of the bet and over
//! the value at which betting begins: harm begins late, and a capital that was lost before it began could not show it
//! (Shin, Ramdas, Rinaldo, *E-detectors*, 2023).

use serde::{Deserialize, Serialize};

/// Sizes of the bets. The largest is below 1, so that one value never takes the whole capital.
const BETS: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.7, 0.95];
/// Number of values at each of which betting may begin. Half of the stake is spread over them, the other half bets from
/// the first value.
const BEGINNINGS: u64 = 4_096;

/// The capital of one test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capital {
    /// For each bet: the capital that has been bet from the first value on.
    early: [f64; BETS.len()],
    /// For each bet: the capital whose betting began at a later value.
    late: [f64; BETS.len()],
    /// For each bet: the capital if betting had begun at the value that turned out best.
    best_start: [f64; BETS.len()],
    n: u64,
}

impl Default for Capital {
    fn default() -> Self {
        Self { early: [1.0; BETS.len()], late: [0.0; BETS.len()], best_start: [1.0; BETS.len()], n: 0 }
    }
}

impl Capital {
    /// Adds a measured harm, -1 to 1. The hypothesis is that its mean is at most 0.
    pub fn add(&mut self, harm: f64) {
        debug_assert!(harm.abs() <= 1.0, "{harm}");
        let enters = if self.n < BEGINNINGS { 1.0 / BEGINNINGS as f64 } else { 0.0 };
        for (place, bet) in BETS.iter().enumerate() {
            let factor = 1.0 + bet * harm;
            self.early[place] *= factor;
            self.best_start[place] = self.best_start[place].max(1.0) * factor;
            self.late[place] = (self.late[place] + enters) * factor;
        }
        self.n += 1;
    }

    /// The capital now; 1 at the start.
    pub fn value(&self) -> f64 {
        let waiting = 1.0 - self.n.min(BEGINNINGS) as f64 / BEGINNINGS as f64;
        let mean = |capital: &[f64]| capital.iter().sum::<f64>() / BETS.len() as f64;
        0.5 * mean(&self.early) + 0.5 * (mean(&self.late) + waiting)
    }

    /// Number of values added.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The largest capital of any bet from any beginning on (CUSUM; Page 1954). It rises as soon as harm begins, and
    /// proves nothing, because the beginning is chosen afterwards.
    pub fn suspicion(&self) -> f64 {
        self.best_start.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    /// A random difference of 0 or ±1 with this mean.
    fn difference(draws: &mut Draws, mean: f64) -> f64 {
        let u = draws.below(1 << 20) as f64 / f64::from(1 << 20);
        // One pair in three differs.
        if u < (1.0 / 3.0 + mean) / 2.0 {
            1.0
        } else if u < 1.0 / 3.0 {
            -1.0
        } else {
            0.0
        }
    }

    #[test]
    fn a_harmless_model_seldom_reaches_the_threshold() {
        // Ville: the probability of ever reaching 20 is at most 1/20. A mean of exactly 0 is the worst case.
        let reached = (0..400).filter(|&seed| {
            let mut draws = Draws::new(seed, 1, 1);
            let mut capital = Capital::default();
            (0..5_000).any(|_| {
                capital.add(difference(&mut draws, 0.0));
                capital.value() >= 20.0
            })
        });
        let n_reached = reached.count();
        assert!(n_reached <= 20, "{n_reached} of 400");
    }

    #[test]
    fn harm_is_found_soon_after_it_begins_however_late_that_is() {
        for begins in [0, 500, 3_000] {
            let mut delays: Vec<usize> = (0..60)
                .map(|seed| {
                    let mut draws = Draws::new(seed, 2, 2);
                    let mut capital = Capital::default();
                    (0..begins).for_each(|_| capital.add(difference(&mut draws, -0.02)));
                    (0..5_000)
                        .position(|_| {
                            capital.add(difference(&mut draws, 0.13));
                            capital.value() >= 4_000.0
                        })
                        .expect("harm is found")
                })
                .collect();
            delays.sort_unstable();
            assert!(delays[30] < 600, "begins {begins}: median delay {}", delays[30]);
        }
    }
}
