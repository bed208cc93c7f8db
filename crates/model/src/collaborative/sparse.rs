//! Sparse rows: the largest entries of an items × items matrix.
//!
//! In: for each item, sums gathered into a [`RowSums`]. Out: the largest `k` of each row, in ascending order of ids.

use serde::{Deserialize, Serialize};

use super::parallel;

/// The strongest entries of each row of an items × items matrix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Neighbourhood {
    /// `[n_items + 1]`
    begins: Vec<usize>,
    ids: Vec<u32>,
    weights: Vec<f32>,
}

impl Neighbourhood {
    /// Calls `gather(item, sums)` for each item and keeps the `k` largest positive sums; ties go to the smaller id.
    pub fn build(n_items: usize, k: usize, threads: usize, gather: impl Fn(usize, &mut RowSums) + Sync) -> Self {
        let scratch = || RowSums::new(n_items);
        let rows = parallel::map(threads, n_items, scratch, |sums, item| {
            sums.clear();
            gather(item, sums);
            sums.largest(k)
        });
        Self::from_rows(rows)
    }

    /// From rows of `(id, weight)`.
    pub fn from_rows(rows: Vec<Vec<(u32, f32)>>) -> Self {
        let mut built = Self { begins: vec![0], ..Self::default() };
        for row in rows {
            built.ids.extend(row.iter().map(|&(id, _)| id));
            built.weights.extend(row.iter().map(|&(_, weight)| weight));
            built.begins.push(built.ids.len());
        }
        built
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// One row: ids and weights. Empty for an unknown item.
    pub fn row(&self, item: u32) -> (&[u32], &[f32]) {
        let Some(&[begin, end]) = self.begins.get(item as usize..item as usize + 2) else { return (&[], &[]) };
        (&self.ids[begin..end], &self.weights[begin..end])
    }

    /// `out += alpha · row`. `out: [n_items]`
    pub fn add_row(&self, item: u32, alpha: f32, out: &mut [f32]) {
        let (ids, weights) = self.row(item);
        for (&id, &weight) in ids.iter().zip(weights) {
            out[id as usize] += alpha * weight;
        }
    }
}

/// Sums by id, over few ids of many.
pub(crate) struct RowSums {
    sums: Vec<f32>,
    /// Ids with an entry, in the order they came.
    touched: Vec<u32>,
    is_touched: Vec<bool>,
}

impl RowSums {
    /// Sums for `n` ids, all empty.
    pub fn new(n: usize) -> Self {
        Self { sums: vec![0.0; n], touched: Vec::new(), is_touched: vec![false; n] }
    }

    /// Adds to the sum of `id`.
    #[inline]
    pub fn add(&mut self, id: u32, x: f32) {
        let place = id as usize;
        if !self.is_touched[place] {
            self.is_touched[place] = true;
            self.touched.push(id);
        }
        self.sums[place] += x;
    }

    /// Removes an id's sum.
    pub fn remove(&mut self, id: u32) {
        self.sums[id as usize] = 0.0;
    }

    /// Replaces each sum by `weigh(id, sum)`.
    pub fn scale(&mut self, weigh: impl Fn(u32, f32) -> f32) {
        for &id in &self.touched {
            let sum = &mut self.sums[id as usize];
            if *sum != 0.0 {
                *sum = weigh(id, *sum);
            }
        }
    }

    /// Ids with their sums, in the order they came.
    pub fn entries(&self) -> impl Iterator<Item = (u32, f32)> {
        self.touched.iter().map(|&id| (id, self.sums[id as usize]))
    }

    /// Removes all sums.
    pub fn clear(&mut self) {
        for id in self.touched.drain(..) {
            self.sums[id as usize] = 0.0;
            self.is_touched[id as usize] = false;
        }
    }

    /// The `k` largest positive sums, ids ascending.
    pub fn largest(&self, k: usize) -> Vec<(u32, f32)> {
        let mut entries: Vec<(u32, f32)> = self.entries().filter(|&(_, sum)| sum > 0.0).collect();
        if k < entries.len() && k > 0 {
            entries.select_nth_unstable_by(k - 1, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        entries.truncate(k);
        entries.sort_unstable_by_key(|&(id, _)| id);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_and_ties_go_to_the_smaller_id() {
        let mut sums = RowSums::new(6);
        for (id, x) in [(5, 1.0), (0, 2.0), (3, 1.0), (4, -1.0), (0, 1.0)] {
            sums.add(id, x);
        }
        assert_eq!(sums.largest(2), [(0, 3.0), (3, 1.0)]);
        sums.clear();
        assert_eq!(sums.largest(2), []);
        let rows = Neighbourhood::from_rows(vec![vec![], vec![(0, 2.0)]]);
        let mut out = [1.0, 1.0];
        rows.add_row(1, 0.5, &mut out);
        rows.add_row(9, 0.5, &mut out);
        assert_eq!(out, [2.0, 1.0]);
    }
}
