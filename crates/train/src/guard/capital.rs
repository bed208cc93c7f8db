//! A sequential test that may be read at any time: the capital of a gambler who bets that the current model does harm.
//!
//! In: one harm after another, each in `[-1, 1]`. Out: the capital, which begins at 1. Under the hypothesis that the mean harm given the
//! past is at most 0, the capital is a nonnegative supermartingale, so it ever reaches
//! `1/α` with probability at most `α` (Ville's inequality), however often it is read and whenever one stops. Betting: Waudby-Smith,
//! Ramdas, *Estimating means of bounded random variables by betting* (2023), section 4. The stake is a mixture over the size of
//! the bet and over the moment at which the betting begins, since harm begins late and a capital that was lost in good times
//! would not be there in bad ones (Shin, Ramdas, Rinaldo, *E-detectors*, 2023).

use serde::{Deserialize, Serialize};

/// Sizes of the bets; the largest is below 1, so that no capital is ever lost whole.
const BETS: [f64; 6] = [0.05, 0.1, 0.2, 0.4, 0.7, 0.95];
/// Moments at which betting may begin; half of the stake is spread over them, the other half bets from the first.
const BEGINNINGS: u64 = 4_096;

/// The capital of one test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capital {
    /// By bet: what has been in play from the first difference on.
    early: [f64; BETS.len()],
    /// By bet: what has come into play since.
    late: [f64; BETS.len()],
    /// By bet: what a gambler would have who had begun at the best moment for it.
    lucky: [f64; BETS.len()],
    n: u64,
}

impl Default for Capital {
    fn default() -> Self {
        Self { early: [1.0; BETS.len()], late: [0.0; BETS.len()], lucky: [1.0; BETS.len()], n: 0 }
    }
}

impl Capital {
    /// Takes a harm in, -1 to 1, against the hypothesis that its mean is at most 0.
    pub fn add(&mut self, harm: f64) {
        debug_assert!(harm.abs() <= 1.0, "{harm}");
        let enters = if self.n < BEGINNINGS { 1.0 / BEGINNINGS as f64 } else { 0.0 };
        for (place, bet) in BETS.iter().enumerate() {
            let factor = 1.0 + bet * harm;
            self.early[place] *= factor;
            self.lucky[place] = self.lucky[place].max(1.0) * factor;
            self.late[place] = (self.late[place] + enters) * factor;
        }
        self.n += 1;
    }

    /// What the gambler has now; 1 at the start.
    pub fn value(&self) -> f64 {
        let waiting = 1.0 - self.n.min(BEGINNINGS) as f64 / BEGINNINGS as f64;
        let mean = |capital: &[f64]| capital.iter().sum::<f64>() / BETS.len() as f64;
        0.5 * mean(&self.early) + 0.5 * (mean(&self.late) + waiting)
    }

    /// Harms taken in.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The best that any bet has come to from any moment on (CUSUM; Page 1954): it rises at once when harm begins, and proves nothing.
    pub fn suspicion(&self) -> f64 {
        self.lucky.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use accrue_kernel::Draws;

    use super::*;

    /// Differences of 0 or ±1 with this mean.
    fn difference(draws: &mut Draws, mean: f64) -> f64 {
        let u = draws.below(1 << 20) as f64 / f64::from(1 << 20);
        // A third of the pairs differ at all.
        if u < (1.0 / 3.0 + mean) / 2.0 {
            1.0
        } else if u < 1.0 / 3.0 {
            -1.0
        } else {
            0.0
        }
    }

    #[test]
    fn harmless_lines_seldom_make_anybody_rich() {
        // Ville: at most one in 20 ever reaches 20; here the mean is 0 itself, the worst case.
        let rich = (0..400).filter(|&seed| {
            let mut draws = Draws::new(seed, 1, 1);
            let mut capital = Capital::default();
            (0..5_000).any(|_| {
                capital.add(difference(&mut draws, 0.0));
                capital.value() >= 20.0
            })
        });
        let n_rich = rich.count();
        assert!(n_rich <= 20, "{n_rich} of 400");
    }

    #[test]
    fn harm_is_found_soon_however_late_it_begins() {
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
