//! Many rows with one vector: their weighted sum, their dot products with it, and a step of each along it.
//!
//! In: rows that lie anywhere in memory. Out: what [`axpy`](crate::axpy), [`dot`](crate::dot) and
//! [`axpby`](crate::axpby) give row by row, with the same bits. The sums stay in registers and the chains of several rows
//! overlap, so that a row costs little more than reading it.

use crate::dense::products;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{Lanes256, Lanes512};

/// Chunks of 16 columns that are summed at once.
const CHUNKS: usize = 4;
/// Rows that [`dot_each`] multiplies at once.
const ROWS_AT_ONCE: usize = 4;

/// `out += Σ weight · row`, each element a chain of fused multiply-adds in the order of the rows.
/// `rows: k × (weight, [d]), out: [d]`.
///
/// ```
/// let mut sum = [1.0, 0.0];
/// accrue_kernel::add_rows(&[(2.0, &[1.0, 1.0]), (-1.0, &[0.0, 3.0])], &mut sum);
/// assert_eq!(sum, [3.0, -1.0]);
/// ```
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn add_rows(rows: &[(f32, &[f32])], out: &mut [f32]) {
    add_rows_on(Supported::best(), rows, out);
}

/// The dot product of `query` with each of `rows`. `query: [d], rows: k × [d], out: [k]`.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn dot_each(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    dot_each_on(Supported::best(), query, rows, out);
}

/// Rows that [`axpby_each`] moves, one after the other: the rows of a table cannot all be borrowed for writing at once.
pub trait RowsToMove {
    /// The next row `[d]`, after its factors `alpha` and `beta`; `None` after the last.
    fn next_row(&mut self) -> Option<(f32, f32, &mut [f32])>;
}

/// `row = alpha · x + beta · row` for each of `rows`, as [`axpby`](crate::axpby) computes it. `x: [d]`.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn axpby_each<R: RowsToMove>(x: &[f32], rows: R) {
    axpby_each_on(Supported::best(), x, rows);
}

/// What `compiled_for_each_set` makes, for a body with a type of its own.
#[inline]
#[allow(unsafe_code)]
fn axpby_each_on<R: RowsToMove>(set: Supported, x: &[f32], rows: R) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
    fn avx512<R: RowsToMove>(x: &[f32], rows: R) {
        move_rows::<Lanes512, R>(x, rows);
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<R: RowsToMove>(x: &[f32], rows: R) {
        move_rows::<Lanes256, R>(x, rows);
    }
    match set.set() {
        // SAFETY: a `Supported` is constructed only for a set that the processor was found to support.
        #[cfg(target_arch = "x86_64")]
        crate::InstructionSet::Avx512 => unsafe { avx512(x, rows) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        crate::InstructionSet::Avx2 => unsafe { avx2(x, rows) },
        _ => move_rows::<[f32; N_LANES], R>(x, rows),
    }
}

#[inline(always)]
fn move_rows<L: Lanes, R: RowsToMove>(x: &[f32], mut rows: R) {
    let (x_chunks, x_rest) = x.as_chunks::<N_LANES>();
    while let Some((alpha, beta, row)) = rows.next_row() {
        assert!(row.len() == x.len(), "axpby_each: lengths differ");
        let (chunks, rest) = row.as_chunks_mut::<N_LANES>();
        let (of_x, of_row) = (L::splat(alpha), L::splat(beta));
        for (chunk, x) in chunks.iter_mut().zip(x_chunks) {
            L::load(chunk).multiply(of_row).multiply_add(of_x, L::load(x)).store(chunk);
        }
        for (number, x) in rest.iter_mut().zip(x_rest) {
            *number = alpha.mul_add(*x, beta * *number);
        }
    }
}

compiled_for_each_set! { fn add_rows_on(rows: &[(f32, &[f32])], out: &mut [f32]) = add_rows_lanes<Lanes> }
compiled_for_each_set! {
    fn dot_each_on(query: &[f32], rows: &[&[f32]], out: &mut [f32]) = dot_each_lanes<Lanes>
}

#[inline(always)]
fn add_rows_lanes<L: Lanes>(rows: &[(f32, &[f32])], out: &mut [f32]) {
    let d = out.len();
    assert!(rows.iter().all(|(_, row)| row.len() == d), "add_rows: lengths differ");
    let mut first = 0;
    while first + CHUNKS * N_LANES <= d {
        add_columns::<L, CHUNKS>(rows, first, out);
        first += CHUNKS * N_LANES;
    }
    while first + N_LANES <= d {
        add_columns::<L, 1>(rows, first, out);
        first += N_LANES;
    }
    for (weight, row) in rows {
        for (out, x) in out[first..].iter_mut().zip(&row[first..]) {
            *out = weight.mul_add(*x, *out);
        }
    }
}

/// Adds the columns `first..first + 16 C`.
#[inline(always)]
fn add_columns<L: Lanes, const C: usize>(rows: &[(f32, &[f32])], first: usize, out: &mut [f32]) {
    let (out, _) = out[first..first + C * N_LANES].as_chunks_mut::<N_LANES>();
    let mut sums: [L; C] = std::array::from_fn(|c| L::load(&out[c]));
    for (weight, row) in rows {
        let (row, _) = row[first..first + C * N_LANES].as_chunks::<N_LANES>();
        let weight = L::splat(*weight);
        for c in 0..C {
            sums[c] = sums[c].multiply_add(weight, L::load(&row[c]));
        }
    }
    for c in 0..C {
        sums[c].store(&mut out[c]);
    }
}

#[inline(always)]
fn dot_each_lanes<L: Lanes>(query: &[f32], rows: &[&[f32]], out: &mut [f32]) {
    assert!(rows.len() == out.len(), "dot_each: there is no place for each row");
    assert!(rows.iter().all(|row| row.len() == query.len()), "dot_each: lengths differ");
    let (blocks, rest) = rows.as_chunks::<ROWS_AT_ONCE>();
    let (sums, sums_of_rest) = out.as_chunks_mut::<ROWS_AT_ONCE>();
    for (block, sums) in blocks.iter().zip(sums) {
        *sums = L::sum_four(products(query, *block));
    }
    for (row, sum) in rest.iter().zip(sums_of_rest) {
        let [lanes] = products::<L, 1>(query, [row]);
        *sum = lanes.sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, InstructionSet};

    #[test]
    fn every_set_returns_the_bits_of_one_row_at_a_time() {
        let mut draws = Draws::new(1, 2, 3);
        for d in [1, 15, 16, 17, 63, 64, 65, 100, 130] {
            for k in [0, 1, 4, 9, 30] {
                let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| draws.normal()).collect() };
                let (query, table, weights) = (normal(d), normal(k * d), normal(k));
                let rows: Vec<&[f32]> = table.chunks_exact(d).collect();
                let mut sum = query.clone();
                rows.iter().zip(&weights).for_each(|(row, &weight)| crate::axpy(weight, row, &mut sum));
                let dots: Vec<f32> = rows.iter().map(|row| crate::dot(&query, row)).collect();
                let weighted: Vec<(f32, &[f32])> = weights.iter().copied().zip(rows.iter().copied()).collect();
                for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                    let (mut out, mut each) = (query.clone(), vec![f32::NAN; k]);
                    add_rows_on(Supported::check(set), &weighted, &mut out);
                    dot_each_on(Supported::check(set), &query, &rows, &mut each);
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&out), bits(&sum), "{} d={d} k={k}", set.name());
                    assert_eq!(bits(&each), bits(&dots), "{} d={d} k={k}", set.name());
                }
            }
        }
    }

    struct Rows<'a>(std::slice::ChunksExactMut<'a, f32>, std::slice::Iter<'a, f32>);

    impl RowsToMove for Rows<'_> {
        fn next_row(&mut self) -> Option<(f32, f32, &mut [f32])> {
            Some((*self.1.next()?, 0.75, self.0.next()?))
        }
    }

    #[test]
    fn rows_move_as_they_do_one_at_a_time() {
        let mut draws = Draws::new(4, 5, 6);
        for d in [1, 15, 16, 17, 64, 100] {
            let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| draws.normal()).collect() };
            let (x, mut table, mut factors) = (normal(d), normal(9 * d), normal(9));
            (table[0], factors[0]) = (-0.0, 0.0);
            let mut expected = table.clone();
            for (row, &alpha) in expected.chunks_exact_mut(d).zip(&factors) {
                crate::axpby(alpha, &x, 0.75, row);
            }
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let mut moved = table.clone();
                axpby_each_on(Supported::check(set), &x, Rows(moved.chunks_exact_mut(d), factors.iter()));
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&moved), bits(&expected), "{} d={d}", set.name());
            }
        }
    }

    #[test]
    #[should_panic(expected = "add_rows: lengths differ")]
    fn rows_of_another_width_are_refused() {
        add_rows(&[(1.0, &[1.0])], &mut [0.0, 0.0]);
    }
}
