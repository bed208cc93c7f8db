//! Which items compete with the chosen ones in a step, and how likely each is among them.
//!
//! The choices of the step are negatives for one another; in-batch negatives alone would never show the model an item
//! that is not chosen, so items drawn evenly are mixed with them, and some drawn as often as they are chosen (Yang et
//! al., *Mixed negative sampling for learning two-tower neural networks in recommendations*, WWW 2020). An item stands
//! for `1 / π` items where π is the probability that it is in the sample (log-Q correction: Yi et al.,
//! *Sampling-bias-corrected neural modeling for large corpus item recommendations*, RecSys 2019). How often an item is
//! chosen is estimated as in the latter: from the number of choices between two of it.

use accrue_kernel::{Draws, exp, ln};
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::examples::{Example, Reservoir};
use crate::cow::CowVec;

/// How fast the estimated interval follows the latest one.
const FOLLOW: f32 = 0.1;

/// How often an item was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Rate {
    n: u32,
    /// The number of choices of any item before the latest one of this.
    last: u64,
    /// Choices between two of this item.
    interval: f32,
}

/// How often each item was chosen, counted in choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rates {
    of_items: CowVec<Rate>,
    n: u64,
}

impl Default for Rates {
    fn default() -> Self {
        Self { of_items: CowVec::new(64, Rate { n: 0, last: 0, interval: 0.0 }), n: 0 }
    }
}

impl Rates {
    /// Counts a choice.
    pub(super) fn count(&mut self, item: ItemIdx) {
        self.n += 1;
        let rate = self.of_items.get_mut(item as usize);
        let since = (self.n - rate.last) as f32;
        rate.interval = if rate.n == 0 { since } else { rate.interval + FOLLOW * (since - rate.interval) };
        rate.last = self.n;
        rate.n = rate.n.saturating_add(1);
    }

    /// Choices so far.
    pub(super) fn n(&self) -> u64 {
        self.n
    }

    /// How often the item was chosen.
    #[inline]
    pub(super) fn n_chosen(&self, item: ItemIdx) -> u32 {
        self.of_items.get(item as usize).n
    }

    /// The probability that a choice is of this item.
    fn probability(&self, item: ItemIdx) -> f32 {
        let rate = self.of_items.get(item as usize);
        if rate.n == 0 { 0.0 } else { 1.0 / rate.interval.max(1.0) }
    }

    pub(super) fn share_with(&mut self, other: &Self) {
        self.of_items.share_with(&other.of_items);
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.of_items.copied_bytes()
    }

    pub(super) fn is_finite(&self) -> bool {
        self.of_items.iter().all(|rate| rate.interval.is_finite())
    }
}

/// The items of a step.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// In ascending order, each once.
    pub(super) items: Vec<ItemIdx>,
    /// `ln(1 / π)` of each.
    pub(super) corrections: Vec<f32>,
}

impl Sample {
    /// The chosen items of the examples, `popular` drawn from the reservoir, and `even` drawn evenly below `n_items`.
    pub(super) fn draw(
        examples: &[std::sync::Arc<Example>],
        (popular, reservoir): (usize, &Reservoir),
        (even, n_items): (usize, u32),
        rates: &Rates,
        mut draws: Draws,
    ) -> Self {
        let mut items: Vec<ItemIdx> = examples.iter().map(|example| example.chosen).collect();
        let drawn: Vec<ItemIdx> = (0..popular).filter_map(|_| Some(reservoir.draw(&mut draws)?.chosen)).collect();
        let n_by_rate = (items.len() + drawn.len()) as f32;
        items.extend(drawn);
        items.extend((0..even).map(|_| draws.below(u64::from(n_items)) as ItemIdx));
        items.sort_unstable();
        items.dedup();
        let evenly = even as f32 / n_items.max(1) as f32;
        // The number of times that an item is drawn is about a Poisson variable, and π the probability of one or more.
        let correction = |&item: &ItemIdx| -ln((1.0 - exp(-(n_by_rate * rates.probability(item) + evenly))).max(1e-9));
        let corrections = items.iter().map(correction).collect();
        Self { items, corrections }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrections_are_those_of_the_observed_shares_of_samples() {
        let mut rates = Rates::default();
        let mut draws = Draws::new(1, 2, 3);
        // Item 0 is every second choice, the others share the rest.
        let mut chosen = || if draws.below(2) == 0 { 0 } else { 1 + draws.below(199) as ItemIdx };
        (0..20_000).for_each(|_| rates.count(chosen()));
        let (mut n_found, mut expected) = ([0_u32; 200], [0.0_f32; 200]);
        for round in 0..2_000 {
            let examples: Vec<_> = (0..4).map(|_| Example { chosen: chosen(), ..Example::default() }.into()).collect();
            let draws = Draws::new(1, 4, round);
            let sample = Sample::draw(&examples, (0, &Reservoir::default()), (20, 200), &rates, draws);
            for (&item, &correction) in sample.items.iter().zip(&sample.corrections) {
                n_found[item as usize] += 1;
                expected[item as usize] = exp(-correction);
            }
        }
        let share = |item: usize| n_found[item] as f32 / 2_000.0;
        assert!((share(0) - expected[0]).abs() < 0.06, "{} {}", share(0), expected[0]);
        let mean = |of: &dyn Fn(usize) -> f32| (1..200).map(of).sum::<f32>() / 199.0;
        let (found, stated) = (mean(&share), mean(&|item| expected[item]));
        assert!((found - stated).abs() < 0.01, "{found} {stated}");
    }
}
