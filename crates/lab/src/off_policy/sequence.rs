//! Intervals that may be read at any time, and a test of the declared split of shoppers.
//!
//! In: one number from 0 to 1 per shopper, once it is final, in any order that does not depend on the number. Out: an
//! interval that contains the mean at all times at once with probability 1 − α, however often it is read and whenever
//! the experiment is stopped. Predictable plug-in empirical Bernstein (Waudby-Smith, Ramdas 2023, theorem 2):
//!
//! ```text
//! λ_t = min(½, √(2·ln(2/α) / (σ²_{t−1}·t·ln(1+t))))    ψ(λ) = (−ln(1−λ) − λ)/4
//! mean: Σ λ_i x_i / Σ λ_i  ±  (ln(2/α) + Σ 4·(x_i − μ_{i−1})²·ψ(λ_i)) / Σ λ_i
//! ```
//!
//! intersected over time. [`Balance`] is the mixture e-process of Lindon and Malek (2022) for multinomial counts.

use accrue_kernel::ln;

use crate::metrics::Interval;

/// Weight of the prior of [`Balance`], in shoppers; with this value deviations of a few percent are found soonest.
const CONCENTRATION: f64 = 100.0;
/// The largest λ.
const MAX_STAKE: f64 = 0.5;

/// The running mean of numbers from 0 to 1, with an interval that is valid at all times.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidenceSequence {
    /// `ln(2/α)`
    log_odds: f64,
    n: u64,
    sum: f64,
    /// Σ (x_i − μ_i)², for the variance.
    squares: f64,
    stakes: f64,
    staked: f64,
    spread: f64,
    held: Interval,
}

impl ConfidenceSequence {
    /// A sequence without observations. The probability that its interval is wrong at any time is at most `alpha`.
    pub fn new(alpha: f64) -> Self {
        let log_odds = f64::from(ln((2.0 / alpha) as f32));
        let held = Interval(0.0, 1.0);
        Self { log_odds, n: 0, sum: 0.0, squares: 0.0, stakes: 0.0, staked: 0.0, spread: 0.0, held }
    }

    /// Adds the next shopper's number; numbers outside 0 to 1 are clamped.
    pub fn observe(&mut self, x: f64) {
        let x = x.clamp(0.0, 1.0);
        let before = self.n as f64;
        let mean_before = (0.5 + self.sum) / (before + 1.0);
        let variance_before = (0.25 + self.squares) / (before + 1.0);
        self.n += 1;
        self.sum += x;
        let t = self.n as f64;
        let mean = (0.5 + self.sum) / (t + 1.0);
        self.squares += (x - mean) * (x - mean);
        let stake = (2.0 * self.log_odds / (variance_before * t * f64::from(ln(1.0 + t as f32)))).sqrt().min(MAX_STAKE);
        self.stakes += stake;
        self.staked += stake * x;
        self.spread += 4.0 * (x - mean_before) * (x - mean_before) * psi(stake);
        let centre = self.staked / self.stakes;
        let half = (self.log_odds + self.spread) / self.stakes;
        self.held = Interval(self.held.0.max(centre - half), self.held.1.min(centre + half));
    }

    /// Number of observations.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The plain mean; `None` before the first observation.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }

    /// The current interval. If the mean has moved so far that no value was in all intervals, its lower end is above
    /// its upper end.
    pub fn interval(&self) -> Interval {
        self.held
    }
}

/// `(−ln(1−λ) − λ)/4` for λ up to ½, by its series, because the difference would lose its digits.
fn psi(stake: f64) -> f64 {
    let (mut power, mut sum) = (stake, 0.0);
    for k in 2..64 {
        power *= stake;
        sum += power / f64::from(k);
    }
    sum / 4.0
}

/// The interval of `b − a`; its α is the sum of theirs.
pub fn difference(a: &ConfidenceSequence, b: &ConfidenceSequence) -> Interval {
    let (a, b) = (a.interval(), b.interval());
    Interval(b.0 - a.1, b.1 - a.0)
}

/// Evidence against the declared shares of a split.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    shares: Vec<f64>,
    counts: Vec<u64>,
    log_evidence: f64,
    most: f64,
}

impl Balance {
    /// `shares` are above 0 and sum to 1.
    pub fn new(shares: Vec<f64>) -> Self {
        Self { counts: vec![0; shares.len()], shares, log_evidence: 0.0, most: 0.0 }
    }

    /// Adds a shopper of this arm.
    pub fn observe(&mut self, arm: usize) {
        let n: u64 = self.counts.iter().sum();
        let (Some(share), Some(count)) = (self.shares.get(arm), self.counts.get_mut(arm)) else { return };
        let predicted = (CONCENTRATION * share + *count as f64) / (CONCENTRATION + n as f64);
        self.log_evidence += f64::from(ln((predicted / share) as f32));
        self.most = self.most.max(self.log_evidence);
        *count += 1;
    }

    /// Number of shoppers by arm.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The p-value of the strongest evidence so far against the declared shares, valid at all times.
    pub fn p_value(&self) -> f64 {
        f64::from(accrue_kernel::exp(-self.most as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_kernel::Draws;

    #[test]
    fn the_interval_contains_the_mean_at_all_times_and_narrows() {
        let (mut n_wrong, n_runs) = (0, 300);
        for run in 0..n_runs {
            let mut sequence = ConfidenceSequence::new(0.05);
            let mut draws = Draws::new(run, 7, 0);
            let mut is_wrong = false;
            for _ in 0..4_000 {
                sequence.observe(f64::from(u8::from(draws.uniform() < 0.06)));
                let Interval(low, high) = sequence.interval();
                is_wrong |= !(low..=high).contains(&0.06);
            }
            let Interval(low, high) = sequence.interval();
            assert!(high - low < 0.06, "{low} {high}");
            n_wrong += u32::from(is_wrong);
        }
        assert!(f64::from(n_wrong) < 0.05 * n_runs as f64, "{n_wrong}");
    }

    #[test]
    fn an_existing_difference_is_found() {
        let mut arms = [ConfidenceSequence::new(0.025), ConfidenceSequence::new(0.025)];
        let mut draws = Draws::new(1, 8, 0);
        for number in 0..20_000 {
            let arm = number % 2;
            arms[arm].observe(f64::from(u8::from(draws.uniform() < [0.05, 0.1][arm])));
        }
        let Interval(low, high) = difference(&arms[0], &arms[1]);
        assert!(0.0 < low && low < 0.05 && 0.05 < high, "{low} {high}");
    }

    #[test]
    fn a_split_that_loses_shoppers_is_found_and_a_correct_one_is_not() {
        let (mut n_alarms, n_runs) = (0, 200);
        for run in 0..n_runs {
            let (mut right, mut lossy) = (Balance::new(vec![0.5, 0.5]), Balance::new(vec![0.5, 0.5]));
            let mut draws = Draws::new(run, 9, 0);
            for _ in 0..10_000 {
                let arm = draws.below(2) as usize;
                right.observe(arm);
                if arm == 0 || draws.uniform() > 0.15 {
                    lossy.observe(arm);
                }
            }
            n_alarms += u32::from(right.p_value() < 0.05);
            assert!(lossy.p_value() < 0.01, "run {run}: {:?} {}", lossy.counts(), lossy.p_value());
        }
        assert!(n_alarms <= 10, "{n_alarms} of {n_runs}");
    }

    #[test]
    fn the_series_equals_the_formula() {
        for stake in [0.5_f64, 0.3, 0.1] {
            assert!((psi(stake) - (-(1.0 - stake).ln() - stake) / 4.0).abs() < 1e-15);
        }
    }
}
