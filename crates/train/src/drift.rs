//! Drift: whether the choices of shoppers have changed, so that the models predict them less well than before.
//!
//! In: the place at which the blend ranked each choice before learning it (prequential; Dawid 1984). The error of a
//! place is 1 minus its gain, `1 / log2(1 + rank)` for the first 20 ranks and 0 after them. Out: the window over which
//! the error has one mean, with its width and mean; changes of that mean; and, for a while after a change for the
//! worse, a larger learning-rate multiplier. Drift undoes nothing. The guard asks whether learning did harm, drift asks
//! whether the shop has changed. The state is part of the fold, so a replay finds the same changes at the same offsets.
//!
//! The detector is ADWIN (Bifet, Gavaldà: "Learning from time-changing data with adaptive windowing", SDM 2007), second
//! version: the window is an exponential histogram of buckets, and its older end is dropped while for some cut into n₀
//! older and n₁ newer values the means differ by at least
//!
//! ```text
//! ε = √(2/m · σ² · ln(2/δ')) + 2/(3m) · ln(2/δ')      1/m = 1/n₀ + 1/n₁      δ' = δ / ln n
//! ```
//!
//! with σ² the variance of the window. Theorem 3.1 there bounds the probability of a false change at each test by δ.

use std::ops::Bound;

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

use crate::gain::{LIST, gain};

/// Largest number of buckets of one size: M in the paper.
const PER_SIZE: usize = 5;
/// All cuts are tested after each this many values.
const TEST_EVERY: u64 = 32;
/// Smallest number of values on each side of a cut.
const MIN_SIDE: u64 = 16;
/// Largest number of changes remembered.
const REMEMBERED: usize = 16;

/// Settings of the detector and of the learning-rate multiplier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftSettings {
    /// Bound on the probability of a false change at each test.
    pub delta: f64,
    /// The learning-rate multiplier of factorization and blend right after a change for the worse; 1 turns it off.
    pub boost: f32,
    /// Events after which half of the increase is gone.
    pub boost_half_life: u64,
}

impl DriftSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("delta", self.delta, (Bound::Excluded(0.0), Bound::Excluded(1.0)))?;
        SettingFault::check("boost", self.boost, 1.0..=10.0)?;
        SettingFault::check("boost_half_life", self.boost_half_life, 10..)
    }
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self { delta: 0.002, boost: 1.0, boost_half_life: 5_000 }
    }
}

/// A change of the error's mean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The record at which the change was found.
    pub offset: u64,
    /// The mean before it.
    pub from: f64,
    /// The mean after it.
    pub to: f64,
}

/// The detector, the changes that it found, and the learning-rate multiplier that follows from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    window: Window,
    /// The learning-rate multiplier minus 1.
    excess: f32,
    n_changes: u64,
    n_worse: u64,
    /// The latest changes, in order.
    changes: Vec<Change>,
}

impl Drift {
    /// Number of values in the window, over which the error has one mean.
    pub fn width(&self) -> u64 {
        self.window.width
    }

    /// Mean error over the window.
    pub fn mean(&self) -> f64 {
        self.window.sums().mean()
    }

    /// Changes found so far, for the better and for the worse. There are many at the beginning of a log, because the models improve fast then.
    pub fn n_changes(&self) -> u64 {
        self.n_changes
    }

    /// Changes for the worse among them.
    pub fn n_worse(&self) -> u64 {
        self.n_worse
    }

    /// The latest changes, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The learning-rate multiplier now.
    pub fn rate_multiplier(&self) -> f32 {
        1.0 + self.excess
    }

    /// Observes a learned event. `place` is the rank (from 0) that it had before it was learned, if it was ranked.
    pub(crate) fn observe(&mut self, settings: &DriftSettings, offset: u64, place: Option<usize>) {
        if self.excess > 0.0 {
            // ½^(1/h), by the first two terms of its series: half-lives are long.
            self.excess *= 1.0 - std::f32::consts::LN_2 / settings.boost_half_life.max(2) as f32;
            if self.excess < 1e-3 {
                self.excess = 0.0;
            }
        }
        let Some(rank) = place else { return };
        let error = if rank < LIST { 1.0 - gain(rank) } else { 1.0 };
        let Some((from, to)) = self.window.push(error, settings.delta) else { return };
        self.n_changes += 1;
        if self.changes.len() == REMEMBERED {
            self.changes.remove(0);
        }
        self.changes.push(Change { offset, from, to });
        if to > from {
            self.n_worse += 1;
            self.excess = (settings.boost - 1.0).max(0.0);
        }
    }
}

/// Count, sum and sum of squared deviations of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    n: u64,
    sum: f64,
    /// Sum of squared distances from the mean.
    spread: f64,
}

impl Sums {
    fn mean(&self) -> f64 {
        self.sum / self.n.max(1) as f64
    }

    /// The sums over both sets of values (Chan, Golub, LeVeque 1979).
    fn with(&self, other: &Self) -> Self {
        if self.n == 0 || other.n == 0 {
            return if self.n == 0 { *other } else { *self };
        }
        let (n, m) = (self.n as f64, other.n as f64);
        let apart = self.mean() - other.mean();
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            spread: self.spread + other.spread + apart * apart * n * m / (n + m),
        }
    }
}

/// ADWIN's window over values from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    /// Buckets of `2^i` values at place `i`, the oldest first.
    sizes: Vec<Vec<Sums>>,
    width: u64,
    /// Values since the last test.
    since_test: u64,
}

impl Window {
    /// Adds a value; returns the means before and after, if a change was found.
    fn push(&mut self, value: f64, delta: f64) -> Option<(f64, f64)> {
        self.width += 1;
        let mut carried = Some(Sums { n: 1, sum: value, spread: 0.0 });
        let mut size = 0;
        while let Some(bucket) = carried {
            if size == self.sizes.len() {
                self.sizes.push(Vec::with_capacity(PER_SIZE + 1));
            }
            let buckets = &mut self.sizes[size];
            buckets.push(bucket);
            carried = (buckets.len() > PER_SIZE).then(|| buckets.remove(0).with(&buckets.remove(0)));
            size += 1;
        }
        self.since_test += 1;
        if self.since_test < TEST_EVERY {
            return None;
        }
        self.since_test = 0;
        let mut change = None;
        while let Some((from, to)) = self.cut(delta) {
            // The first cut compares the longest windows. The later ones only locate the change.
            change = change.or(Some((from, to)));
            self.drop_oldest();
        }
        change.map(|(from, _)| (from, self.sums().mean()))
    }

    /// The means of both sides of the first cut, from the oldest on, at which they differ too much.
    fn cut(&self, delta: f64) -> Option<(f64, f64)> {
        let all = self.sums();
        if all.n < 2 * MIN_SIDE {
            return None;
        }
        let n = all.n as f64;
        let log = ln(2.0 * ln(n) / delta);
        let variance = all.spread / n;
        let mut old = Sums::default();
        for bucket in self.buckets() {
            old = old.with(bucket);
            let n_new = all.n - old.n;
            if n_new < MIN_SIDE {
                return None;
            }
            if old.n < MIN_SIDE {
                continue;
            }
            let (from, to) = (old.mean(), (all.sum - old.sum) / n_new as f64);
            let one_over_m = 1.0 / old.n as f64 + 1.0 / n_new as f64;
            let bound = (2.0 * one_over_m * variance * log).sqrt() + 2.0 / 3.0 * one_over_m * log;
            if (from - to).abs() >= bound {
                return Some((from, to));
            }
        }
        None
    }

    fn drop_oldest(&mut self) {
        while self.sizes.last().is_some_and(Vec::is_empty) {
            self.sizes.pop();
        }
        if let Some(buckets) = self.sizes.last_mut() {
            self.width -= buckets.remove(0).n;
        }
    }

    /// All buckets, the oldest first.
    fn buckets(&self) -> impl Iterator<Item = &Sums> {
        self.sizes.iter().rev().flatten()
    }

    fn sums(&self) -> Sums {
        self.buckets().fold(Sums::default(), |sums, bucket| sums.with(bucket))
    }
}

/// With the logarithm of `kernel`, so that a change is found at the same record on every machine.
fn ln(x: f64) -> f64 {
    f64::from(accrue_kernel::ln(x as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(seed: u64, place: u64) -> f64 {
        (accrue_kernel::random(seed, 0xd21f, place, 0) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// 1 with this probability, else 0.
    fn coin(seed: u64, place: u64, chance: f64) -> f64 {
        f64::from(u8::from(uniform(seed, place) < chance))
    }

    /// The places at which changes were found, with both means.
    fn changes(values: impl Iterator<Item = f64>) -> Vec<(u64, f64, f64)> {
        let mut window = Window::default();
        let found = (0..).zip(values).filter_map(|(place, value)| {
            let (from, to) = window.push(value, DriftSettings::default().delta)?;
            Some((place, from, to))
        });
        found.collect()
    }

    #[test]
    fn stationary_streams_have_almost_no_changes() {
        // 300 streams of 20,000 values: coins of many probabilities, and values in between. A rate of δ = .002 per test
        // would be 375 changes.
        let mut n_false = 0;
        for seed in 0..100 {
            let chance = 0.02 + 0.96 * uniform(seed, u64::MAX);
            n_false += changes((0..20_000).map(|place| coin(seed, place, chance))).len();
            n_false += changes((0..20_000).map(|place| uniform(seed, place))).len();
            let skewed = |place| uniform(seed, place) * uniform(!seed, place) * uniform(seed + 1_000, place);
            n_false += changes((0..20_000).map(|place| 1.0 - skewed(place))).len();
        }
        println!("{n_false} false changes in 6,000,000 values");
        assert!(n_false <= 12, "{n_false} false changes in 6,000,000 values: more than one in 500,000");
    }

    #[test]
    fn a_change_is_found_soon_and_the_window_forgets_what_was_before() {
        for (before, after, most) in [(0.2, 0.5, 250), (0.5, 0.2, 250), (0.3, 0.4, 1_800), (0.9, 0.95, 2_500)] {
            let mut slowest = 0;
            for seed in 0..50 {
                let stream = (0..15_000).map(|place| coin(seed, place, if place < 10_000 { before } else { after }));
                let found = changes(stream);
                let first = found.iter().find(|(place, ..)| *place >= 10_000);
                let (place, from, to) = *first.unwrap_or_else(|| panic!("{before} to {after}, seed {seed}: not found"));
                assert!((to > from) == (after > before), "{before} to {after}, seed {seed}: {from} {to}");
                slowest = slowest.max(place - 10_000);
            }
            println!("{before} to {after}: found after {slowest} values at the latest");
            assert!(slowest <= most, "{before} to {after}: found after {slowest}");
        }
    }

    #[test]
    fn the_window_holds_its_width_in_few_buckets_and_sums_what_is_in_it() {
        let mut window = Window::default();
        let values: Vec<f64> = (0..50_000).map(|place| uniform(3, place)).collect();
        for &value in &values {
            assert_eq!(window.push(value, 1e-9), None);
        }
        let sums = window.sums();
        assert_eq!((sums.n, window.width), (50_000, 50_000));
        let mean = values.iter().sum::<f64>() / 50_000.0;
        let spread: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        assert!((sums.mean() - mean).abs() < 1e-9 && (sums.spread / spread - 1.0).abs() < 1e-9);
        assert!(window.buckets().count() < 100);
    }

    #[test]
    fn a_change_for_the_worse_raises_learning_rates_for_a_while() {
        let settings = DriftSettings { boost: 3.0, boost_half_life: 1_000, ..Default::default() };
        let place_of = |hit: f64| if hit > 0.0 { 0 } else { LIST };
        let mut drift = Drift::default();
        let mut multipliers = Vec::new();
        for place in 0..30_000 {
            let chance = if place < 10_000 { 0.6 } else { 0.1 };
            drift.observe(&settings, place, Some(place_of(coin(5, place, chance))));
            multipliers.push(drift.rate_multiplier());
        }
        // A large change is found early, after few values, and may be found again with more of them.
        let n_found = drift.n_changes();
        assert!((1..=3).contains(&n_found) && drift.n_worse() == n_found && drift.changes().len() as u64 == n_found);
        let [first, .., last] = [drift.changes()[0], *drift.changes().last().unwrap()];
        assert!((10_000..10_200).contains(&first.offset) && first.from < 0.5 && first.to > 0.5, "{first:?}");
        assert!((drift.mean() - 0.9).abs() < 0.02, "the window has forgotten what was before: {}", drift.mean());
        assert!(last.offset < 11_000, "{last:?}");
        assert_eq!((multipliers[first.offset as usize - 1], multipliers[first.offset as usize]), (1.0, 3.0));
        let after = multipliers[last.offset as usize + 1_000];
        assert!((after - 2.0).abs() < 0.01, "half of it is left after a half-life: {after}");
        assert_eq!(*multipliers.last().unwrap(), 1.0, "and nothing in the end");
        let back: Drift = postcard::from_bytes(&postcard::to_stdvec(&drift).unwrap()).unwrap();
        assert_eq!(back, drift);
        // A change for the better raises nothing.
        for place in 30_000..50_000 {
            drift.observe(&settings, place, Some(place_of(coin(5, place, 0.6))));
        }
        assert!(drift.n_changes() > n_found);
        assert_eq!((drift.n_worse(), drift.rate_multiplier()), (n_found, 1.0));
    }
}
