//! Bounded rows of decayed pair weights, for members that count pairs of items.
//!
//! In: pairs as they happen, in units of a whole number of half-lives (forward decay, see [`decay`](crate::decay)).
//! Out: for an item, those that it was paired with. A row that is full examines a few of its items, a different few
//! each time, and drops the weakest of them.

use accrue_kernel::Shared;
use accrue_store::ItemIdx;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cow::CowVec;
use crate::decay::power_of_two;

/// Neighbours examined for the weakest when a row is full.
const LOOKED_AT: usize = 16;

/// Rows of which [`find_in_rows`] finds the places at once.
pub(crate) const FOUND_AT_ONCE: usize = 32;

/// The items that one item is paired with, in no order, with `N` decayed weights each. Versions share its memory until it
/// is written. Items and weights are one allocation: a row is copied by nearly every event after a publication, and three
/// allocations take longer than the copying.
#[derive(Clone, Debug)]
pub(crate) struct PairRow<const N: usize> {
    /// Room for some items, then room for the bits of as many times `N` weights.
    words: Shared<[u32]>,
    /// How many items there are.
    len: u32,
    epoch: i32,
    /// Where the next search for the weakest begins.
    cursor: u32,
    /// Sums of all weights ever added, including those of items that were dropped.
    pub(crate) totals: [f32; N],
}

impl<const N: usize> PairRow<N> {
    /// A row of these items and weights, with room for `room` of them.
    fn of(items: &[ItemIdx], weights: &[[f32; N]], room: usize) -> Self {
        let spare = room - items.len();
        let words = items.iter().copied().chain(std::iter::repeat_n(0, spare));
        let bits = weights.as_flattened().iter().map(|weight| weight.to_bits());
        let words = words.chain(bits).chain(std::iter::repeat_n(0, N * spare)).collect();
        Self { words, len: items.len() as u32, epoch: 0, cursor: 0, totals: [0.0; N] }
    }

    /// Items that there is room for.
    #[inline]
    fn room(&self) -> usize {
        self.words.len() / (N + 1)
    }

    /// The items.
    #[inline]
    pub(crate) fn items(&self) -> &[ItemIdx] {
        &self.words[..self.len as usize]
    }

    /// Their weights in the order of the items, in units of the epoch.
    #[inline]
    pub(crate) fn weights(&self) -> &[[f32; N]] {
        let (weights, _) = accrue_kernel::as_floats(&self.words[self.room()..]).as_chunks::<N>();
        &weights[..self.len as usize]
    }

    /// Items and weights for writing, with the room behind them.
    #[inline]
    fn parts_mut(&mut self) -> (&mut [ItemIdx], &mut [[f32; N]]) {
        let room = self.room();
        let (items, bits) = self.words.make_mut().split_at_mut(room);
        (items, accrue_kernel::as_floats_mut(bits).as_chunks_mut::<N>().0)
    }

    /// The weights for writing.
    #[inline]
    fn weights_mut(&mut self) -> &mut [[f32; N]] {
        let len = self.len as usize;
        &mut self.parts_mut().1[..len]
    }

    /// Adds `weights`, which are in units of `epoch` (a whole number of half-lives).
    pub(crate) fn add(&mut self, item: ItemIdx, weights: [f32; N], epoch: i32, capacity: usize) {
        let place = accrue_kernel::find(self.items(), item);
        self.add_at(place, item, weights, epoch, capacity);
    }

    /// [`PairRow::add`] of an item whose place in the row is known; `None` if it is not there.
    #[inline]
    pub(crate) fn add_at(
        &mut self,
        place: Option<usize>,
        item: ItemIdx,
        mut weights: [f32; N],
        epoch: i32,
        capacity: usize,
    ) {
        let unit = self.unit(epoch);
        for (weight, total) in weights.iter_mut().zip(&mut self.totals) {
            *weight *= unit;
            *total += *weight;
        }
        if let Some(place) = place {
            for (known, weight) in self.weights_mut()[place].iter_mut().zip(weights) {
                *known += weight;
            }
            return;
        }
        let place = match self.len as usize {
            len if len < capacity => {
                if len == self.room() {
                    self.grow(capacity);
                }
                self.len += 1;
                len
            }
            _ => {
                self.shrink(capacity);
                self.weakest()
            }
        };
        let (all_items, all_weights) = self.parts_mut();
        all_items[place] = item;
        all_weights[place] = weights;
    }

    /// Whether every weight is finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.weights().iter().flatten().chain(&self.totals).all(|weight| weight.is_finite())
    }

    /// Makes room for half as many items again, but for no more than the row may keep.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, capacity: usize) {
        let len = self.len as usize;
        let room = (len + len / 2 + 1).next_multiple_of(4).min(capacity.max(len + 1));
        self.words = Self::of(self.items(), self.weights(), room).words;
    }

    /// Drops the weakest neighbours if the row is longer than its capacity, which falls as the catalogue grows.
    #[inline]
    fn shrink(&mut self, capacity: usize) {
        if self.len as usize <= capacity {
            return;
        }
        let mut strongest: Vec<usize> = (0..self.len as usize).collect();
        strongest.sort_by(|&a, &b| self.strength(b).total_cmp(&self.strength(a)).then(a.cmp(&b)));
        strongest.truncate(capacity);
        strongest.sort_unstable();
        let items: Vec<ItemIdx> = strongest.iter().map(|&place| self.items()[place]).collect();
        let weights: Vec<[f32; N]> = strongest.iter().map(|&place| self.weights()[place]).collect();
        self.words = Self::of(&items, &weights, items.len()).words;
        self.len = items.len() as u32;
    }

    fn strength(&self, place: usize) -> f32 {
        self.weights()[place].iter().sum()
    }

    /// What a weight in units of `epoch` is worth in this row's; moves the row's epoch when that grows large.
    fn unit(&mut self, epoch: i32) -> f32 {
        if self.len == 0 {
            self.epoch = epoch;
        }
        if epoch - self.epoch > 30 {
            let shrink = power_of_two(self.epoch - epoch);
            self.weights_mut().iter_mut().flatten().for_each(|weight| *weight *= shrink);
            self.totals.iter_mut().for_each(|total| *total *= shrink);
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
        let len = self.len as usize;
        // A division takes longer than all the rest, and is hardly ever needed.
        let within = |place: usize| if place < len { place } else { place % len };
        let first = within(self.cursor as usize);
        self.cursor = within(first + LOOKED_AT) as u32;
        let weights = self.weights();
        match weights[first..].first_chunk::<LOOKED_AT>() {
            Some(weights) => first + accrue_kernel::least_row(weights),
            // They reach beyond the end of the row and go on at its beginning.
            None => {
                let place = |number: usize| (first + number) % len;
                let weights: [[f32; N]; LOOKED_AT] = std::array::from_fn(|number| weights[place(number)]);
                place(accrue_kernel::least_row(&weights))
            }
        }
    }

    /// The weights that the next search for the weakest examines first.
    fn next_examined(&self) -> &[[f32; N]] {
        let rest = self.weights().get(self.cursor as usize..).unwrap_or_default();
        &rest[..rest.len().min(LOOKED_AT)]
    }
}

/// Two rows are equal whatever room they have.
impl<const N: usize> PartialEq for PairRow<N> {
    fn eq(&self, other: &Self) -> bool {
        (self.epoch, self.cursor, self.totals) == (other.epoch, other.cursor, other.totals)
            && (self.words.ptr_eq(&other.words) && self.len == other.len
                || self.items() == other.items() && self.weights() == other.weights())
    }
}

impl<const N: usize> Default for PairRow<N> {
    fn default() -> Self {
        Self::of(&[], &[], 0)
    }
}

impl<const N: usize> Serialize for PairRow<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (weights, totals) = (self.weights().as_flattened(), self.totals.as_slice());
        (self.items(), weights, totals, self.epoch, self.cursor).serialize(serializer)
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
        Ok(Self { totals, epoch, cursor, ..Self::of(&items, weights, items.len()) })
    }
}

/// Asks for the beginning of a row to be brought into the cache; the processor itself fetches what is read in order. What
/// says where the row is has to be there, so that this does not wait.
pub(crate) fn prefetch_row<const N: usize>(rows: &CowVec<PairRow<N>>, item: ItemIdx) {
    let row = rows.get(item as usize);
    let (items, weights) = (row.items(), row.weights());
    accrue_kernel::prefetch(&items[..items.len().min(64)]);
    accrue_kernel::prefetch(&weights[..weights.len().min(32)]);
}

/// The place of `item` in each of the rows of `others`, at most [`FOUND_AT_ONCE`] of them;
/// [`NO_PLACE`](accrue_kernel::NO_PLACE) where it is not in the row. The rows are brought into the cache for adding a pair
/// to each: of the weights, those that are examined if a row is full.
pub(crate) fn find_in_rows<const N: usize>(
    rows: &CowVec<PairRow<N>>,
    others: impl Iterator<Item = ItemIdx> + Clone,
    item: ItemIdx,
) -> [u32; FOUND_AT_ONCE] {
    // A row is two reads away; going over the rows once for each has the waits of all overlap.
    others.clone().for_each(|other| rows.prefetch(other as usize));
    let mut lists: [&[ItemIdx]; FOUND_AT_ONCE] = [&[]; FOUND_AT_ONCE];
    let mut n = 0;
    for (list, other) in lists.iter_mut().zip(others) {
        let row = rows.get(other as usize);
        row.words.prefetch_count();
        accrue_kernel::prefetch(row.items());
        accrue_kernel::prefetch(row.next_examined());
        *list = row.items();
        n += 1;
    }
    let mut places = [accrue_kernel::NO_PLACE; FOUND_AT_ONCE];
    accrue_kernel::find_each(&lists[..n], item, &mut places[..n]);
    places
}

/// A row for writing. One that a snapshot still holds is copied first, which adds to `copied_bytes`.
#[inline]
pub(crate) fn row_mut<'a, const N: usize>(
    rows: &'a mut CowVec<PairRow<N>>,
    item: ItemIdx,
    copied_bytes: &mut u64,
) -> &'a mut PairRow<N> {
    let row = rows.get_mut(item as usize);
    // Rows without an item share their memory for ever; the first item takes new memory in any case.
    if row.len > 0 {
        row.words.make_mut_noting(|words| *copied_bytes += size_of_val::<[u32]>(words) as u64);
    }
    row
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
        assert_eq!(row.items().len(), 4);
        let mut kept = row.items().to_vec();
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
            assert_eq!(row.items(), expected.iter().map(|&(item, _)| item).collect::<Vec<_>>(), "after {number}");
        }
    }

    #[test]
    fn a_row_grows_within_its_capacity_and_comes_back_from_its_bytes() {
        let mut row = PairRow::<3>::default();
        for item in 0..300 {
            let snapshot = row.clone();
            row.add(item, [1.0, item as f32, 0.5], 0, 130);
            assert!(snapshot != row && snapshot.len as usize == snapshot.weights().len());
            assert!(row.room() <= 130);
            if item == 100 {
                row.add(7, [0.0, 10.0, 0.0], 0, 130);
                assert_eq!(row.weights()[7], [1.0, 17.0, 0.5]);
                assert_eq!((row.items()[99], row.weights()[99]), (99, [1.0, 99.0, 0.5]));
            }
        }
        assert_eq!(row.items().len(), 130);
        let bytes = postcard::to_stdvec(&row).unwrap();
        let back: PairRow<3> = postcard::from_bytes(&bytes).unwrap();
        assert!(back == row);
        assert_eq!(postcard::to_stdvec(&back).unwrap(), bytes);
    }
}
