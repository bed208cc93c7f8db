//! Bounded rows of decayed pair weights, for members that count pairs of items.
//!
//! In: pairs as they happen, in units of a whole number of half-lives (forward decay, see [`decay`](crate::decay)).
//! Out: for an item, those that it was paired with. A row that is full examines a few of its items, a different few
//! each time, and drops the weakest of them.

use std::ops::Deref;

use accrue_kernel::Shared;
use accrue_store::ItemIdx;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cow::CowVec;
use crate::decay::power_of_two;

/// Neighbours examined for the weakest when a row is full.
const LOOKED_AT: usize = 16;

/// The items that one item is paired with, in no order, with `N` decayed weights each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PairRow<const N: usize> {
    pub(crate) items: Vec<ItemIdx>,
    /// In the order of the items, in units of the epoch.
    pub(crate) weights: Vec<[f32; N]>,
    /// Sums of all weights ever added, including those of items that were dropped.
    pub(crate) totals: [f32; N],
    epoch: i32,
    /// Where the next search for the weakest begins.
    cursor: u32,
}

impl<const N: usize> PairRow<N> {
    /// Adds `weights`, which are in units of `epoch` (a whole number of half-lives).
    pub(crate) fn add(&mut self, item: ItemIdx, mut weights: [f32; N], epoch: i32, capacity: usize) {
        let unit = self.unit(epoch);
        for (weight, total) in weights.iter_mut().zip(&mut self.totals) {
            *weight *= unit;
            *total += *weight;
        }
        if let Some(place) = accrue_kernel::find(&self.items, item) {
            for (known, weight) in self.weights[place].iter_mut().zip(weights) {
                *known += weight;
            }
        } else if self.items.len() < capacity {
            self.items.push(item);
            self.weights.push(weights);
        } else {
            self.shrink(capacity);
            let weakest = self.weakest();
            self.items[weakest] = item;
            self.weights[weakest] = weights;
        }
    }

    /// Whether every weight is finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.weights.iter().flatten().chain(&self.totals).all(|weight| weight.is_finite())
    }

    /// Drops the weakest neighbours if the row is longer than its capacity, which falls as the catalogue grows.
    #[inline]
    fn shrink(&mut self, capacity: usize) {
        if self.items.len() <= capacity {
            return;
        }
        let mut strongest: Vec<usize> = (0..self.items.len()).collect();
        strongest.sort_by(|&a, &b| self.strength(b).total_cmp(&self.strength(a)).then(a.cmp(&b)));
        strongest.truncate(capacity);
        strongest.sort_unstable();
        self.items = strongest.iter().map(|&place| self.items[place]).collect();
        self.weights = strongest.iter().map(|&place| self.weights[place]).collect();
    }

    fn strength(&self, place: usize) -> f32 {
        self.weights[place].iter().sum()
    }

    /// What a weight in units of `epoch` is worth in this row's; moves the row's epoch when that grows large.
    fn unit(&mut self, epoch: i32) -> f32 {
        if self.items.is_empty() {
            self.epoch = epoch;
        }
        if epoch - self.epoch > 30 {
            let shrink = power_of_two(self.epoch - epoch);
            self.weights.iter_mut().flatten().chain(&mut self.totals).for_each(|weight| *weight *= shrink);
            self.epoch = epoch;
        }
        power_of_two(epoch - self.epoch)
    }

    /// What one unit of this row's weights is worth at `position`, in half-lives.
    #[inline]
    pub(crate) fn unit_at(&self, position: f64) -> f32 {
        accrue_kernel::exp2((f64::from(self.epoch) - position) as f32)
    }

    /// The weakest of a few neighbours. The cursor moves on through the row, so that each is examined in turn.
    fn weakest(&mut self) -> usize {
        let len = self.items.len();
        // A division takes longer than all the rest, and is hardly ever needed.
        let within = |place: usize| if place < len { place } else { place % len };
        let first = within(self.cursor as usize);
        self.cursor = within(first + LOOKED_AT) as u32;
        match self.weights[first..].first_chunk::<LOOKED_AT>() {
            Some(weights) => first + accrue_kernel::least_row(weights),
            // They reach beyond the end of the row and go on at its beginning.
            None => {
                let place = |number: usize| (first + number) % len;
                let weights: [[f32; N]; LOOKED_AT] = std::array::from_fn(|number| self.weights[place(number)]);
                place(accrue_kernel::least_row(&weights))
            }
        }
    }

    /// The weights that the next search for the weakest examines first.
    fn next_examined(&self) -> &[[f32; N]] {
        let rest = self.weights.get(self.cursor as usize..).unwrap_or_default();
        &rest[..rest.len().min(LOOKED_AT)]
    }
}

impl<const N: usize> Default for PairRow<N> {
    fn default() -> Self {
        Self { items: Vec::new(), weights: Vec::new(), totals: [0.0; N], epoch: 0, cursor: 0 }
    }
}

impl<const N: usize> Serialize for PairRow<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { items, weights, totals, epoch, cursor } = self;
        (items, weights.as_flattened(), totals.as_slice(), epoch, cursor).serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for PairRow<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Stored = (Vec<ItemIdx>, Vec<f32>, Vec<f32>, i32, u32);
        let (items, weights, totals, epoch, cursor) = Stored::deserialize(deserializer)?;
        let (weights, rest) = weights.as_chunks::<N>();
        let totals = totals.try_into().map_err(|_| D::Error::custom("a row of pairs with totals of another number"))?;
        if weights.len() != items.len() || !rest.is_empty() {
            return Err(D::Error::custom("a row of pairs whose weights do not fit its items"));
        }
        Ok(Self { items, weights: weights.to_vec(), totals, epoch, cursor })
    }
}

/// A row that versions share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SharedRow<const N: usize>(Shared<PairRow<N>>);

impl<const N: usize> Deref for SharedRow<N> {
    type Target = PairRow<N>;

    #[inline]
    fn deref(&self) -> &PairRow<N> {
        &self.0
    }
}

impl<const N: usize> Serialize for SharedRow<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for SharedRow<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PairRow::deserialize(deserializer).map(|row| Self(Shared::new(row)))
    }
}

/// Asks for the rows of `items` to be brought into the cache. A row is three reads away, each of which waits for the
/// one before; going over the items once for each read has the waits of all items overlap.
pub(crate) fn prefetch<const N: usize>(rows: &CowVec<SharedRow<N>>, items: impl Iterator<Item = ItemIdx> + Clone) {
    prefetch_rows(rows, items.clone());
    for item in items {
        let row = rows.get(item as usize);
        accrue_kernel::prefetch(&row.items);
        accrue_kernel::prefetch(&row.weights);
    }
}

/// [`prefetch`] for adding a pair to each row: of the weights, those that are examined if the row is full.
pub(crate) fn prefetch_items<const N: usize>(
    rows: &CowVec<SharedRow<N>>,
    items: impl Iterator<Item = ItemIdx> + Clone,
) {
    prefetch_rows(rows, items.clone());
    for item in items {
        let row = rows.get(item as usize);
        accrue_kernel::prefetch(&row.items);
        accrue_kernel::prefetch(row.next_examined());
    }
}

fn prefetch_rows<const N: usize>(rows: &CowVec<SharedRow<N>>, items: impl Iterator<Item = ItemIdx> + Clone) {
    items.clone().for_each(|item| rows.prefetch(item as usize));
    for item in items {
        let row = &rows.get(item as usize).0;
        row.prefetch_count();
        accrue_kernel::prefetch(std::slice::from_ref(&**row));
    }
}

/// A row for writing. One that a snapshot still holds is copied first, which adds to `copied_bytes`.
#[inline]
pub(crate) fn row_mut<'a, const N: usize>(
    rows: &'a mut CowVec<SharedRow<N>>,
    item: ItemIdx,
    copied_bytes: &mut u64,
) -> &'a mut PairRow<N> {
    let SharedRow(row) = rows.get_mut(item as usize);
    if row.get_mut().is_none() {
        *copied_bytes += (row.items.len() * size_of::<(ItemIdx, [f32; N])>()) as u64;
    }
    row.make_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_strongest_when_the_catalogue_outgrows_it() {
        let mut row = PairRow::<3>::default();
        for item in 0..8 {
            row.add(item, [0.0, (item * 7 % 8) as f32 + 1.0, 0.0], 0, 8);
        }
        row.add(100, [0.0, 9.0, 0.0], 0, 4);
        assert_eq!(row.items.len(), 4);
        let mut kept = row.items.clone();
        kept.sort_unstable();
        // Weights were 1, 8, 7, 6, 5, …: of the four strongest the weakest was dropped.
        assert_eq!(kept, [1, 2, 3, 100]);
    }

    #[test]
    fn a_full_row_drops_the_weakest_of_those_examined_in_turn() {
        const CAPACITY: usize = 40;
        let strength = |item: u32| ((item * 29 % 41) as f32 - 20.0) * 0.5;
        let mut row = PairRow::<3>::default();
        (0..CAPACITY as u32).for_each(|item| row.add(item, [0.25, strength(item) - 0.5, 0.25], 0, CAPACITY));
        let mut expected: Vec<(u32, f32)> = (0..CAPACITY as u32).map(|item| (item, strength(item))).collect();
        for number in 0..100 {
            let (item, weight) = (1_000 + number, (number % 7) as f32 - 3.0);
            row.add(item, [weight, 0.0, 0.0], 0, CAPACITY);
            let examined = (0..LOOKED_AT).map(|n| (number as usize * LOOKED_AT + n) % CAPACITY);
            let weakest = examined.min_by(|&a, &b| expected[a].1.total_cmp(&expected[b].1)).unwrap();
            expected[weakest] = (item, weight);
            assert_eq!(row.items, expected.iter().map(|&(item, _)| item).collect::<Vec<_>>(), "after {number}");
        }
    }
}
