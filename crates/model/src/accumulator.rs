//! Sums over items, kept between requests so that nothing is allocated or cleared while scoring.

use accrue_kernel::Stamped;
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

    /// The sums of an item; zero if it was not touched.
    #[inline]
    pub fn get(&self, item: ItemIdx) -> [f32; N] {
        let cell = self.cells.get(item as usize).unwrap_or(&Self::EMPTY);
        let mask = if cell.stamp == self.round { u32::MAX } else { 0 };
        cell.sums.map(|sum| f32::from_bits(sum.to_bits() & mask))
    }

    /// The items touched, in the order of their first touch, with their sums.
    pub fn sums(&self) -> impl Iterator<Item = (ItemIdx, [f32; N])> {
        self.touched().iter().map(|&item| (item, self.cells[item as usize].sums))
    }

    /// The items touched, in the order of their first touch.
    pub fn touched(&self) -> &[ItemIdx] {
        &self.touched[..self.n_touched]
    }
}

impl Accumulator<3> {
    /// Adds to the sums of each of `items` the numbers in its place of `rows`, times `scale`.
    pub fn add_row(&mut self, items: &[ItemIdx], rows: &[[f32; 3]], scale: [f32; 3]) {
        if let Some(end) = items.iter().max().map(|&item| item as usize + 1).filter(|&end| end > self.cells.len()) {
            self.reserve(end);
        }
        let touched = (&mut *self.touched, self.n_touched);
        self.n_touched = accrue_kernel::add_stamped_rows(&mut self.cells, touched, self.round, items, rows, scale);
    }
}
