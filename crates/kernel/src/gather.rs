//! Weighted sums of rows at arbitrary positions of a table: the inner step of smoothing over a graph.
//!
//! In: a table, the indices of rows, a weight for each row. Out: the weighted sum. Each element is one chain of fused
//! multiply-adds in the order of `ids`, followed by one multiplication, so all instruction sets return the same bits.
//! The sum stays in registers and later rows are prefetched, so the cost is that of reading the rows. Slices whose
//! lengths do not match, and indices beyond the table, cause a panic.

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
use crate::prefetch;

/// How many rows ahead of the current one are prefetched.
const AHEAD: usize = 8;
/// Chunks of 16 columns that are summed at once, so that independent chains overlap.
const CHUNKS: usize = 4;

/// `out = scale · Σ weights[id] · table[id]` over `ids`. `ids: [k], weights: [n], table: [n, d] → out: [d]`.
///
/// ```
/// let mut sum = [0.0; 2];
/// accrue_kernel::gather_rows(0.5, &[2, 0], &[1.0, 7.0, 3.0], &[1.0, 2.0, 0.0, 0.0, 1.0, 0.0], &mut sum);
/// assert_eq!(sum, [2.0, 1.0]);
/// ```
///
/// # Panics
/// If the table is not `[weights.len(), out.len()]` or an id is not below `weights.len()`.
#[inline]
pub fn gather_rows(scale: f32, ids: &[u32], weights: &[f32], table: &[f32], out: &mut [f32]) {
    gather_rows_on(Supported::best(), scale, ids, weights, table, out);
}

/// [`gather_rows`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// As [`gather_rows`], or if the processor does not support the set.
pub fn gather_rows_with(set: InstructionSet, scale: f32, ids: &[u32], weights: &[f32], table: &[f32], out: &mut [f32]) {
    gather_rows_on(Supported::check(set), scale, ids, weights, table, out);
}

compiled_for_each_set! {
    fn gather_rows_on(scale: f32, ids: &[u32], weights: &[f32], table: &[f32], out: &mut [f32]) = gather_lanes<Lanes>
}

#[inline(always)]
fn gather_lanes<L: Lanes>(scale: f32, ids: &[u32], weights: &[f32], table: &[f32], out: &mut [f32]) {
    let d = out.len();
    assert_eq!(weights.len().checked_mul(d), Some(table.len()), "gather_rows: the table is not [weights, {d}]");
    let mut first = 0;
    while first + CHUNKS * N_LANES <= d {
        columns::<L, CHUNKS>(scale, ids, weights, table, d, first, out);
        first += CHUNKS * N_LANES;
    }
    while first < d {
        columns::<L, 1>(scale, ids, weights, table, d, first, out);
        first += N_LANES;
    }
}

/// Computes the columns `first..first + 16 C` of the sum. With `C` = 1 the last chunk may have fewer than 16 columns.
#[inline(always)]
fn columns<L: Lanes, const C: usize>(
    scale: f32,
    ids: &[u32],
    weights: &[f32],
    table: &[f32],
    d: usize,
    first: usize,
    out: &mut [f32],
) {
    let end = (first + C * N_LANES).min(d);
    let row = |id: u32| &table[id as usize * d + first..id as usize * d + end];
    let mut sum = [L::zero(); C];
    for (k, &id) in ids.iter().enumerate() {
        if let Some(&later) = ids.get(k + AHEAD) {
            prefetch(row(later));
        }
        let (weight, row) = (L::splat(weights[id as usize]), row(id));
        let (chunks, tail) = row.as_chunks::<N_LANES>();
        if tail.is_empty() {
            for c in 0..C {
                sum[c] = sum[c].multiply_add(weight, L::load(&chunks[c]));
            }
        } else {
            sum[0] = sum[0].multiply_add(weight, L::load_tail(tail));
        }
    }
    for (sum, out) in sum.iter().zip(out[first..end].chunks_mut(N_LANES)) {
        let mut lanes = [0.0; N_LANES];
        sum.store(&mut lanes);
        out.iter_mut().zip(lanes).for_each(|(out, lane)| *out = scale * lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draws;

    #[test]
    fn every_set_returns_the_bits_of_one_chain_per_element() {
        const ROWS: usize = 23;
        let mut draws = Draws::new(1, 2, 3);
        for d in [1, 15, 16, 17, 48, 63, 64, 65, 80, 128, 150] {
            let table: Vec<f32> = (0..ROWS * d).map(|_| draws.normal()).collect();
            let weights: Vec<f32> = (0..ROWS).map(|_| draws.normal()).collect();
            for k in [0, 1, 7, 40] {
                let ids: Vec<u32> = (0..k).map(|_| draws.below(ROWS as u64) as u32).collect();
                let element = |column: usize| {
                    let chain = ids
                        .iter()
                        .fold(0.0_f32, |sum, &id| weights[id as usize].mul_add(table[id as usize * d + column], sum));
                    0.3 * chain
                };
                let expected: Vec<u32> = (0..d).map(|column| element(column).to_bits()).collect();
                for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                    let mut out = vec![f32::NAN; d];
                    gather_rows_with(set, 0.3, &ids, &weights, &table, &mut out);
                    let found: Vec<u32> = out.into_iter().map(f32::to_bits).collect();
                    assert_eq!(found, expected, "{} d={d} k={k}", set.name());
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "the table is not [weights, 3]")]
    fn a_table_of_another_width_is_refused() {
        gather_rows(1.0, &[0], &[1.0], &[1.0, 2.0], &mut [0.0; 3]);
    }
}
