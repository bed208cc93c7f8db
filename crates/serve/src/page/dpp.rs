//! Diversity by a determinantal point process: each place is filled by the item that adds most volume to those above it.
//!
//! A determinantal point process gives a set `Y` of items the probability `∝ det(L_Y)`, the squared volume that their
//! vectors span, so a set of like items is unlikely. The best set is found greedily (Chen, Zhang, Zhou, *Fast greedy MAP
//! inference for determinantal point process to improve recommendation diversity*, NeurIPS 2018). With similarity
//! `S` (`S_ii = 1`), relevance `r` in 0 to 1 and diversity `d`, the next item is
//!
//! ```text
//! argmax_i (1 − d)·r_i + d·ln d_i²        d_i² = det(S_{Y∪i}) / det(S_Y)
//! ```
//!
//! With the Cholesky factor `S_Y = V·Vᵀ` and `V·c_i = S_{Y,i}`, `d_i² = S_ii − |c_i|²`. When item `j` is picked, every
//! other item needs one product:
//!
//! ```text
//! e_i = (S_ji − c_j·c_i) / d_j        c_i ← [c_i e_i]        d_i² ← d_i² − e_i²
//! ```
//!
//! Only the latest [`MEMORY`] picks count (section 4 of the paper: what is far above is not seen together with an item).
//! The oldest pick is removed by Givens rotations: with `V = [[v₁₁, 0], [v, W]]` and `c_i = [a_i, b_i]`, rotations turn
//! `[v W]` into `[0 W']` and `[a_i, b_i]` into `[a'_i, b'_i]`; then `W'` and `b'_i` are those without the pick, and
//! `d_i² ← d_i² + a'_i²`. So a page of `n` out of `m` items costs `O(n·m·MEMORY)` and `n·m` similarities.

use super::greedy::Greedy;

/// Picks that count for the next.
pub(super) const MEMORY: usize = 10;
/// Added to each item's own similarity, before all are scaled back: so that equal items have a finite logarithm.
const RIDGE: f64 = 0.01;

/// The process over the items of a window, by place.
pub(super) struct Dpp<'a, S: Fn(usize, usize) -> f32> {
    /// `[items]`, 0 to 1.
    relevance: &'a [f32],
    diversity: f32,
    similarity: S,
    /// Rows of `V`: of the pick `k` in memory `[..k + 1]`.
    factor: Vec<Vec<f64>>,
    /// `c_i` by item.
    coordinates: Vec<Vec<f64>>,
    /// `d_i²` by item.
    volume: Vec<f64>,
}

impl<'a, S: Fn(usize, usize) -> f32> Dpp<'a, S> {
    /// No item is picked. `relevance: [items]`, 0 to 1; `similarity` of two places is at most 1.
    pub fn new(relevance: &'a [f32], diversity: f32, similarity: S) -> Self {
        let n = relevance.len();
        let (coordinates, volume) = (vec![Vec::with_capacity(MEMORY); n], vec![1.0; n]);
        Self { relevance, diversity, similarity, factor: Vec::new(), coordinates, volume }
    }

    /// Removes the oldest pick from memory, for the items `still` without a place.
    fn forget_oldest(&mut self, still: &[usize]) {
        self.factor.remove(0);
        let mut below: Vec<f64> = self.factor.iter_mut().map(|row| row.remove(0)).collect();
        let mut removed: Vec<f64> = still.iter().map(|&item| self.coordinates[item].remove(0)).collect();
        for column in 0..self.factor.len() {
            let (diagonal, off) = (self.factor[column][column], below[column]);
            // Not `hypot`, which is the system's and differs between machines; neither number is extreme.
            let length = (diagonal * diagonal + off * off).sqrt();
            let (cos, sin) = (diagonal / length, off / length);
            let turn = |kept: &mut f64, removed: &mut f64| {
                (*kept, *removed) = (cos * *kept + sin * *removed, cos * *removed - sin * *kept);
            };
            for (row, below) in self.factor.iter_mut().zip(&mut below).skip(column) {
                turn(&mut row[column], below);
            }
            for (&item, removed) in still.iter().zip(&mut removed) {
                turn(&mut self.coordinates[item][column], removed);
            }
        }
        for (&item, removed) in still.iter().zip(removed) {
            self.volume[item] += removed * removed;
        }
    }
}

impl<S: Fn(usize, usize) -> f32> Greedy for Dpp<'_, S> {
    fn bound(&self, item: usize) -> f32 {
        let volume = self.volume[item].max(RIDGE / 10.0);
        (1.0 - self.diversity) * self.relevance[item] + self.diversity * accrue_kernel::ln(volume as f32)
    }

    fn is_exact(&mut self, _: usize) -> bool {
        true
    }

    fn pick(&mut self, item: usize, left: &[usize]) {
        if self.factor.len() == MEMORY {
            let still: Vec<usize> = left.iter().copied().chain([item]).collect();
            self.forget_oldest(&still);
        }
        let own = self.coordinates[item].clone();
        let length = self.volume[item].max(RIDGE / 10.0).sqrt();
        for &other in left {
            let similarity = f64::from((self.similarity)(item, other)) / (1.0 + RIDGE);
            let shared: f64 = own.iter().zip(&self.coordinates[other]).map(|(a, b)| a * b).sum();
            let added = (similarity - shared) / length;
            self.coordinates[other].push(added);
            self.volume[other] -= added * added;
        }
        let mut row = own;
        row.push(length);
        self.factor.push(row);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::greedy::fill;

    /// The determinant by elimination.
    fn determinant(mut rows: Vec<Vec<f64>>) -> f64 {
        let mut product = 1.0;
        for at in 0..rows.len() {
            let pivot = rows[at][at];
            product *= pivot;
            let (done, below) = rows.split_at_mut(at + 1);
            for row in below {
                let factor = row[at] / pivot;
                row[at..].iter_mut().zip(&done[at][at..]).for_each(|(value, of_pivot)| *value -= factor * of_pivot);
            }
        }
        product
    }

    /// The definition: determinants of all candidates at every place, over the latest picks.
    fn by_determinants(relevance: &[f32], diversity: f32, similarity: &[Vec<f32>], n: usize) -> Vec<usize> {
        let at = |a: usize, b: usize| if a == b { 1.0 } else { f64::from(similarity[a][b]) / (1.0 + RIDGE) };
        let volume =
            |items: &[usize]| determinant(items.iter().map(|&a| items.iter().map(|&b| at(a, b)).collect()).collect());
        let mut picked: Vec<usize> = Vec::new();
        while picked.len() < n {
            let near = &picked[picked.len().saturating_sub(MEMORY)..];
            let value = |item: usize| {
                let with: Vec<usize> = near.iter().copied().chain([item]).collect();
                let gain = (volume(&with) / if near.is_empty() { 1.0 } else { volume(near) }).max(RIDGE / 10.0);
                f64::from(1.0 - diversity) * f64::from(relevance[item]) + f64::from(diversity) * gain.ln()
            };
            let left = (0..relevance.len()).filter(|item| !picked.contains(item));
            let best = left.reduce(|best, item| if value(item) > value(best) + 1e-9 { item } else { best });
            picked.push(best.unwrap());
        }
        picked
    }

    proptest! {
        #[test]
        fn it_picks_what_determinants_say_also_when_old_picks_are_forgotten(
            vectors in proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f32, 6), 14..30),
            diversity in 0.0..0.95_f32,
        ) {
            let unit = |vector: &Vec<f32>| {
                let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-3);
                vector.iter().map(|x| x / norm).collect::<Vec<f32>>()
            };
            let vectors: Vec<Vec<f32>> = vectors.iter().map(unit).collect();
            let dot = |a: &Vec<f32>, b: &Vec<f32>| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
            let similarity: Vec<Vec<f32>> = vectors.iter().map(|a| vectors.iter().map(|b| dot(a, b)).collect()).collect();
            let n = vectors.len();
            let relevance: Vec<f32> = (0..n).map(|place| 1.0 - place as f32 / n as f32).collect();
            let mut dpp = Dpp::new(&relevance, diversity, |a, b| similarity[a][b]);
            let picked = fill(&mut dpp, n, 13, |_, _| true).picked;
            let wanted = by_determinants(&relevance, diversity, &similarity, 13);
            // Equal gains up to rounding may be picked in either order; then the gains are equal, too.
            prop_assert_eq!(picked, wanted);
        }
    }
}
