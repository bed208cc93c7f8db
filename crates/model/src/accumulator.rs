//! Sums over items, kept between requests so that nothing is allocated or cleared while scoring.

use accrue_kernel::{Stamped, TopK};
use accrue_store::ItemIdx;

/// A sparse sum over items: a dense array whose cells are stamped, and the list of items touched since the last clearing.
#[derive(Clone, Debug, Default)]
pub struct Accumulator<const N: usize> {
    cells: Vec<Stamped<N>>,
    /// The items touched, then room for as many as there are cells, and one more.
    touched: Vec<ItemIdx>,
    n_touched: usize,
    round: u32,
}

impl<const N: usize> Accumulator<N> {
    const EMPTY: Stamped<N> = Stamped { sums: [0.0; N], stamp: 0 };

    /// Forgets all sums and allocates cells for items below `n_items`.
    pub fn clear(&mut self, n_items: usize) {
        if self.round == u32::MAX {
            self.cells.fill(Self::EMPTY);
            self.round = 0;
        }
        self.round += 1;
        self.n_touched = 0;
        if self.cells.len() < n_items {
            self.reserve(n_items);
        }
    }

    /// Allocates cells for `items`.
    fn hold(&mut self, items: &[ItemIdx]) {
        let largest = accrue_kernel::largest_id(items);
        if let Some(end) = largest.map(|item| item as usize + 1).filter(|&end| end > self.cells.len()) {
            self.reserve(end);
        }
    }

    #[cold]
    #[inline(never)]
    fn reserve(&mut self, n_items: usize) {
        self.cells.resize(n_items, Self::EMPTY);
        self.touched.resize(n_items + 1, 0);
    }

    /// The sums of an item, for adding to; zero at first touch.
    #[inline]
    pub fn entry(&mut self, item: ItemIdx) -> &mut [f32; N] {
        let place = item as usize;
        if place >= self.cells.len() {
            self.reserve(place + 1);
        }
        let cell = &mut self.cells[place];
        if cell.stamp != self.round {
            *cell = Stamped { sums: [0.0; N], stamp: self.round };
            self.touched[self.n_touched] = item;
            self.n_touched += 1;
        }
        &mut cell.sums
    }

    /// Replaces the sums of an item, which are zero at first touch, by what `change` makes of them. Unlike
    /// [`Accumulator::entry`] it has no branch on whether the item was touched before, which the processor could not
    /// predict: the item is written behind the list of those touched in any case, and kept there at its first touch.
    #[inline]
    pub fn update(&mut self, item: ItemIdx, change: impl FnOnce([f32; N]) -> [f32; N]) {
        let place = item as usize;
        if place >= self.cells.len() {
            self.reserve(place + 1);
        }
        let cell = &mut self.cells[place];
        let is_live = cell.stamp == self.round;
        let mask = if is_live { u32::MAX } else { 0 };
        let before = cell.sums.map(|sum| f32::from_bits(sum.to_bits() & mask));
        *cell = Stamped { sums: change(before), stamp: self.round };
        self.touched[self.n_touched] = item;
        self.n_touched += usize::from(!is_live);
    }

    /// The sums of an item; zero if it was not touched.
    #[inline]
    pub fn get(&self, item: ItemIdx) -> [f32; N] {
        let cell = self.cells.get(item as usize).unwrap_or(&Self::EMPTY);
        let mask = if cell.stamp == self.round { u32::MAX } else { 0 };
        cell.sums.map(|sum| f32::from_bits(sum.to_bits() & mask))
    }

    /// Writes the sums of `items` `[n]` to `out` `[N, n]`, which is filled with zeros.
    pub fn columns(&self, items: &[ItemIdx], out: &mut [f32]) {
        if self.n_touched == 0 {
            return;
        }
        let n = items.len();
        for (place, &item) in items.iter().enumerate() {
            for (column, sum) in self.get(item).into_iter().enumerate() {
                out[column * n + place] = sum;
            }
        }
    }

    /// Offers each item touched with the total of its sums.
    pub fn push_totals(&self, best: &mut TopK) {
        let total = |&item: &ItemIdx| self.cells[item as usize].sums.iter().sum::<f32>();
        let totals: Vec<f32> = self.touched().iter().map(total).collect();
        best.push_many(&totals, self.touched());
    }

    /// The sums of an item; `None` if it was not touched.
    #[inline]
    pub fn known(&self, item: ItemIdx) -> Option<&[f32; N]> {
        self.cells.get(item as usize).filter(|cell| cell.stamp == self.round).map(|cell| &cell.sums)
    }

    /// The items touched, in the order of their first touch.
    pub fn touched(&self) -> &[ItemIdx] {
        &self.touched[..self.n_touched]
    }
}

impl Accumulator<0> {
    /// Touches an item.
    #[inline]
    pub fn meet(&mut self, item: ItemIdx) {
        self.update(item, |nothing| nothing);
    }
}

impl Accumulator<3> {
    /// Adds to the sums of each of `items` the numbers in its place of `rows`, times `scale`.
    pub fn add_row(&mut self, items: &[ItemIdx], rows: &[[f32; 3]], scale: [f32; 3]) {
        self.hold(items);
        let touched = (&mut *self.touched, self.n_touched);
        self.n_touched = accrue_kernel::add_stamped_rows(&mut self.cells, touched, self.round, items, rows, scale);
    }
}

impl Accumulator<2> {
    /// For each of `items` and its place of `rows`: the first sum becomes the first number of the row times `first`, if
    /// there is such a factor, and the second one is raised to the second number times `second`.
    pub fn raise_row(&mut self, items: &[ItemIdx], rows: &[[f32; 3]], first: Option<f32>, second: f32) {
        // A number that is not one is above none, as it is for `f32::max`.
        let raised = |largest: f32, row: &[f32; 3]| {
            let part = row[1] * second;
            if part > largest { part } else { largest }
        };
        let pairs = items.iter().zip(rows);
        match first {
            Some(first) => {
                pairs.for_each(|(&item, row)| self.update(item, |[_, largest]| [row[0] * first, raised(largest, row)]))
            }
            None => pairs.for_each(|(&item, row)| self.update(item, |[next, largest]| [next, raised(largest, row)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_an_earlier_round_are_forgotten() {
        let mut sums = Accumulator::<2>::default();
        sums.clear(4);
        *sums.entry(1) = [3.0, 4.0];
        sums.clear(4);
        assert_eq!((sums.known(1), sums.get(1)), (None, [0.0; 2]));
        sums.entry(2)[1] = 5.0;
        let mut out = [0.0; 6];
        sums.columns(&[2, 1, 9], &mut out);
        assert_eq!(out, [0.0, 0.0, 0.0, 5.0, 0.0, 0.0]);
        assert_eq!((sums.known(2), sums.touched()), (Some(&[0.0, 5.0]), &[2][..]));
    }

    #[test]
    fn a_row_raises_the_second_sums_and_sets_the_first_ones_where_it_has_a_factor() {
        let mut best = Accumulator::<2>::default();
        // Items beyond those allocated get cells.
        best.clear(2);
        let rows = [[1.0, 2.0, 9.0], [3.0, 4.0, 9.0]];
        best.raise_row(&[5, 1], &rows, Some(2.0), 0.5);
        best.raise_row(&[1, 7], &[[8.0, 2.0, 9.0], [8.0, 1.0, 9.0]], None, 1.0);
        assert_eq!([5, 1, 7, 0].map(|item| best.get(item)), [[2.0, 1.0], [6.0, 2.0], [0.0, 1.0], [0.0; 2]]);
        assert_eq!(best.touched(), [5, 1, 7]);
    }

    #[test]
    fn the_largest_totals_are_found() {
        const N: u32 = 1_000;
        let mut sums = Accumulator::<3>::default();
        sums.clear(300);
        for item in 0..N {
            *sums.entry(item * 7 % N) = [(item * 31 % 97) as f32, 0.5, -1.0];
        }
        let mut expected = TopK::new(30);
        sums.touched().iter().for_each(|&item| expected.push(sums.get(item).iter().sum(), item));
        let mut best = TopK::new(30);
        sums.push_totals(&mut best);
        assert_eq!(best.into_sorted(), expected.into_sorted());
    }
}
