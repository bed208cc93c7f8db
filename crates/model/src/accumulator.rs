//! Sums over items, kept between requests so that nothing is allocated or cleared while scoring.

use accrue_store::ItemIdx;

/// A sparse sum over items: dense arrays with a stamp, and the list of items touched since the last clearing.
#[derive(Clone, Debug, Default)]
pub struct Accumulator<const N: usize> {
    stamp: Vec<u32>,
    sums: Vec<[f32; N]>,
    touched: Vec<ItemIdx>,
    round: u32,
}

impl<const N: usize> Accumulator<N> {
    /// Forgets all sums and makes room for items below `n_items`.
    pub fn clear(&mut self, n_items: usize) {
        if self.round == u32::MAX {
            self.stamp.fill(0);
            self.round = 0;
        }
        self.round += 1;
        self.touched.clear();
        if self.stamp.len() < n_items {
            self.stamp.resize(n_items, 0);
            self.sums.resize(n_items, [0.0; N]);
        }
    }

    /// The sums of an item, for adding to; zero at first touch.
    pub fn entry(&mut self, item: ItemIdx) -> &mut [f32; N] {
        let place = item as usize;
        if place >= self.stamp.len() {
            self.stamp.resize(place + 1, 0);
            self.sums.resize(place + 1, [0.0; N]);
        }
        if self.stamp[place] != self.round {
            self.stamp[place] = self.round;
            self.sums[place] = [0.0; N];
            self.touched.push(item);
        }
        &mut self.sums[place]
    }

    /// The sums of an item; zero if it was not touched.
    pub fn get(&self, item: ItemIdx) -> [f32; N] {
        match self.stamp.get(item as usize) {
            Some(&stamp) if stamp == self.round => self.sums[item as usize],
            _ => [0.0; N],
        }
    }

    /// The items touched, in the order of their first touch.
    pub fn touched(&self) -> &[ItemIdx] {
        &self.touched
    }
}
