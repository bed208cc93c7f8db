//! Sums over items, kept between requests so that nothing is allocated or cleared while scoring.

use accrue_store::ItemIdx;

/// A loop over sums prefetches the cell of the item this many places ahead.
pub const AHEAD: usize = 8;

/// A sparse sum over items: a dense array whose cells are stamped, and the list of items touched since the last clearing.
#[derive(Clone, Debug, Default)]
pub struct Accumulator<const N: usize> {
    cells: Vec<Cell<N>>,
    /// The items touched, then room for as many as there are cells, and one more.
    touched: Vec<ItemIdx>,
    n_touched: usize,
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

    /// The sums if they are of `round`, otherwise zeros.
    #[inline]
    fn live(&self, round: u32) -> [f32; N] {
        let mask = if self.stamp == round { u32::MAX } else { 0 };
        self.sums.map(|sum| f32::from_bits(sum.to_bits() & mask))
    }
}

impl<const N: usize> Accumulator<N> {
    /// Forgets all sums and allocates cells for items below `n_items`.
    pub fn clear(&mut self, n_items: usize) {
        if self.round == u32::MAX {
            self.cells.fill(Cell::EMPTY);
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
        self.cells.resize(n_items, Cell::EMPTY);
        self.touched.resize(n_items + 1, 0);
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
            self.reserve(place + 1);
        }
        let cell = &mut self.cells[place];
        if cell.stamp != self.round {
            *cell = Cell { sums: [0.0; N], stamp: self.round };
            self.touched[self.n_touched] = item;
            self.n_touched += 1;
        }
        &mut cell.sums
    }

    /// Adds to the sums of each of `items` the numbers in its place of `rows`, times `scale`.
    ///
    /// The loop has no branch on whether an item was touched before, which the processor cannot predict: sums are
    /// selected, and an item is written behind the list of those touched in any case and kept there at its first touch.
    pub fn add_row(&mut self, items: &[ItemIdx], rows: &[[f32; N]], scale: [f32; N]) {
        let round = self.round;
        let mut n_touched = self.n_touched;
        for (place, (&item, row)) in items.iter().zip(rows).enumerate() {
            if let Some(&ahead) = items.get(place + AHEAD) {
                self.prefetch(ahead);
            }
            if item as usize >= self.cells.len() {
                self.reserve(item as usize + 1);
            }
            let cell = &mut self.cells[item as usize];
            let mut sums = cell.live(round);
            for ((sum, scale), number) in sums.iter_mut().zip(scale).zip(row) {
                *sum += scale * number;
            }
            self.touched[n_touched] = item;
            n_touched += usize::from(cell.stamp != round);
            *cell = Cell { sums, stamp: round };
        }
        self.n_touched = n_touched;
    }

    /// The sums of an item; zero if it was not touched.
    #[inline]
    pub fn get(&self, item: ItemIdx) -> [f32; N] {
        self.cells.get(item as usize).unwrap_or(&Cell::EMPTY).live(self.round)
    }

    /// The items touched, in the order of their first touch.
    pub fn touched(&self) -> &[ItemIdx] {
        &self.touched[..self.n_touched]
    }
}
