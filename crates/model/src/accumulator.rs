//! Sums over items, kept between requests so that nothing is allocated or cleared while scoring.

use accrue_store::ItemIdx;

/// A loop over sums prefetches the cell of the item this many places ahead.
pub const AHEAD: usize = 8;

/// A sparse sum over items: a dense array whose cells are stamped, and the list of items touched since the last clearing.
#[derive(Clone, Debug, Default)]
pub struct Accumulator<const N: usize> {
    cells: Vec<Cell<N>>,
    touched: Vec<ItemIdx>,
    round: u32,
}

/// The sums and their stamp are adjacent, because they are read together and in an order that the cache cannot predict.
#[derive(Clone, Copy, Debug)]
struct Cell<const N: usize> {
    sums: [f32; N],
    /// The sums are valid if this is the current round.
    stamp: u32,
}

impl<const N: usize> Cell<N> {
    const EMPTY: Self = Self { sums: [0.0; N], stamp: 0 };
}

impl<const N: usize> Accumulator<N> {
    /// Forgets all sums and allocates cells for items below `n_items`.
    pub fn clear(&mut self, n_items: usize) {
        if self.round == u32::MAX {
            self.cells.fill(Cell::EMPTY);
            self.round = 0;
        }
        self.round += 1;
        self.touched.clear();
        if self.cells.len() < n_items {
            self.cells.resize(n_items, Cell::EMPTY);
        }
    }

    /// Prefetches the cell of an item.
    #[inline]
    pub fn prefetch(&self, item: ItemIdx) {
        if let Some(cell) = self.cells.get(item as usize) {
            accrue_kernel::prefetch_first(cell);
        }
    }

    /// The sums of an item, for adding to; zero at first touch.
    #[inline]
    pub fn entry(&mut self, item: ItemIdx) -> &mut [f32; N] {
        let place = item as usize;
        if place >= self.cells.len() {
            self.cells.resize(place + 1, Cell::EMPTY);
        }
        let cell = &mut self.cells[place];
        if cell.stamp != self.round {
            *cell = Cell { sums: [0.0; N], stamp: self.round };
            self.touched.push(item);
        }
        &mut cell.sums
    }

    /// The sums of an item; zero if it was not touched.
    #[inline]
    pub fn get(&self, item: ItemIdx) -> [f32; N] {
        match self.cells.get(item as usize) {
            Some(cell) if cell.stamp == self.round => cell.sums,
            _ => [0.0; N],
        }
    }

    /// The items touched, in the order of their first touch.
    pub fn touched(&self) -> &[ItemIdx] {
        &self.touched
    }
}
