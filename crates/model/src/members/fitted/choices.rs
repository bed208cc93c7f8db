//! The latest choices in the order in which they were learned: the data of a fit.
//!
//! In: pairs of shopper and item. Out: the histories of any range of them that is still kept. A ring of fixed size in
//! shared chunks, so that a snapshot copies only pointers. Events that are not learned (the holdout, suspect windows,
//! shoppers of other arms) are not added, and a rollback drops what came after it together with the state that held it.

use accrue_store::{ItemIdx, ShopperIdx};
use serde::{Deserialize, Serialize};

use crate::collaborative::{Interactions, InteractionsBuilder};
use crate::cow::CowVec;

/// Choices of a chunk.
const CHUNK: usize = 512;

/// The latest choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Choices {
    capacity: usize,
    ring: CowVec<(ShopperIdx, ItemIdx)>,
    /// The number of the first choice that was put into this ring.
    first: u64,
    /// Choices so far, including those that are no longer kept.
    n: u64,
}

impl Choices {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, ring: CowVec::new(CHUNK, (0, 0)), first: 0, n: 0 }
    }

    /// Choices so far, including those that are no longer kept.
    pub(super) fn n(&self) -> u64 {
        self.n
    }

    pub(super) fn push(&mut self, shopper: ShopperIdx, item: ItemIdx) {
        *self.ring.get_mut((self.n % self.capacity as u64) as usize) = (shopper, item);
        self.n += 1;
    }

    /// The number of the oldest choice that is kept.
    pub(super) fn oldest(&self) -> u64 {
        self.n.saturating_sub(self.capacity as u64).max(self.first)
    }

    /// The same choices in a ring of another size.
    pub(super) fn resized(&self, capacity: usize) -> Self {
        let mut resized = Self { first: self.oldest(), n: self.oldest(), ..Self::new(capacity) };
        (self.oldest()..self.n).for_each(|number| {
            let (shopper, item) = self.get(number);
            resized.push(shopper, item);
        });
        resized
    }

    fn get(&self, number: u64) -> (ShopperIdx, ItemIdx) {
        *self.ring.get((number % self.capacity as u64) as usize)
    }

    /// The choices `from..to`, a history for each shopper, in the order of shoppers; and the items up to the largest among them.
    ///
    /// # Panics
    /// If they are not kept.
    pub(super) fn histories(&self, from: u64, to: u64) -> Interactions {
        assert!(self.oldest() <= from && to <= self.n, "choices {from} to {to} are not kept");
        let mut pairs: Vec<_> = (from..to).map(|number| self.get(number)).collect();
        let n_items = pairs.iter().map(|&(_, item)| item as usize + 1).max().unwrap_or(0);
        // Stable: a shopper's choices stay in their order.
        pairs.sort_by_key(|&(shopper, _)| shopper);
        let mut builder = InteractionsBuilder::new(n_items);
        for of_shopper in pairs.chunk_by(|(one, _), (other, _)| one == other) {
            let items: Vec<ItemIdx> = of_shopper.iter().map(|&(_, item)| item).collect();
            builder.push(&items);
        }
        builder.build()
    }

    pub(super) fn share_with(&mut self, other: &Self) {
        self.ring.share_with(&other.ring);
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.ring.copied_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(capacity: usize, n: u32) -> Choices {
        let mut choices = Choices::new(capacity);
        (0..n).for_each(|number| choices.push(number % 3, number));
        choices
    }

    #[test]
    fn histories_are_those_of_the_range_in_order() {
        let histories = filled(10, 25).histories(16, 23);
        assert_eq!(histories.histories().collect::<Vec<_>>(), [[18, 21].as_slice(), &[16, 19, 22], &[17, 20]]);
    }

    #[test]
    fn another_size_keeps_the_latest_choices_and_their_numbers() {
        let choices = filled(10, 25);
        for capacity in [4, 10, 17] {
            let mut resized = choices.resized(capacity);
            let oldest = 25 - capacity.min(10) as u64;
            assert_eq!((resized.n(), resized.oldest()), (25, oldest), "{capacity}");
            assert_eq!(resized.histories(oldest, 25), choices.histories(oldest, 25), "{capacity}");
            resized.push(0, 25);
            assert_eq!(resized.oldest(), oldest.max(26_u64.saturating_sub(capacity as u64)), "{capacity}");
        }
    }
}
