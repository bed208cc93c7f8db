//! Dense f32 vectors: dot products, norms, scaled sums.
//!
//! In: slices of equal length. Out: sums in one fixed order: 16 lanes, each a chain of fused multiply-adds, then one
//! fixed tree (lane `l` takes lane `l + 8`, then `+ 4`, `+ 2`, `+ 1`); a tail is padded with zeros. So the scalar, AVX2
//! and AVX-512 versions return the same bits. Slices of different lengths cause a panic.
//!
//! A `NaN` in the input gives `NaN`, with unspecified bits. Denormal numbers are kept, never flushed to zero. On a
//! target without fused multiply-add the scalar version is slow, because exactness is required there too.

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};

/// Rows that [`dot_rows`] computes at once, so that their chains of additions overlap.
const ROWS_AT_ONCE: usize = 4;

/// Dot product. `a: [d], b: [d] → scalar`.
///
/// ```
/// let (shopper, item) = ([0.5, -1.0, 2.0], [1.0, 1.0, 0.25]);
/// assert_eq!(accrue_kernel::dot(&shopper, &item), 0.0);
/// ```
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_on(Supported::best(), a, b)
}

/// [`dot`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// If the lengths differ or the processor does not support the set.
pub fn dot_with(set: InstructionSet, a: &[f32], b: &[f32]) -> f32 {
    dot_on(Supported::check(set), a, b)
}

/// Sum of squares. `a: [d] → scalar`; the same bits as `dot(a, a)`.
#[inline]
pub fn squared_norm(a: &[f32]) -> f32 {
    dot_on(Supported::best(), a, a)
}

/// [`squared_norm`] on a chosen instruction set.
///
/// # Panics
/// If the processor does not support the set.
pub fn squared_norm_with(set: InstructionSet, a: &[f32]) -> f32 {
    dot_on(Supported::check(set), a, a)
}

/// `y += alpha · x`, each element with one fused multiply-add. `x: [d], y: [d]`.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) {
    axpy_on(Supported::best(), alpha, x, y);
}

/// [`axpy`] on a chosen instruction set.
///
/// # Panics
/// If the lengths differ or the processor does not support the set.
pub fn axpy_with(set: InstructionSet, alpha: f32, x: &[f32], y: &mut [f32]) {
    axpy_on(Supported::check(set), alpha, x, y);
}

/// `y = alpha · x + beta · y`, each element a product and a fused multiply-add. `x: [d], y: [d]`.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn axpby(alpha: f32, x: &[f32], beta: f32, y: &mut [f32]) {
    axpby_on(Supported::best(), alpha, x, beta, y);
}

/// [`axpby`] on a chosen instruction set.
///
/// # Panics
/// If the lengths differ or the processor does not support the set.
pub fn axpby_with(set: InstructionSet, alpha: f32, x: &[f32], beta: f32, y: &mut [f32]) {
    axpby_on(Supported::check(set), alpha, x, beta, y);
}

/// `y *= alpha`. `y: [d]`.
#[inline]
pub fn scale(alpha: f32, y: &mut [f32]) {
    scale_on(Supported::best(), alpha, y);
}

/// [`scale`] on a chosen instruction set.
///
/// # Panics
/// If the processor does not support the set.
pub fn scale_with(set: InstructionSet, alpha: f32, y: &mut [f32]) {
    scale_on(Supported::check(set), alpha, y);
}

/// Dot products of one query with many rows. `query: [d], rows: [n, d] → out: [n]`.
///
/// Each result has the bits that [`dot`] gives for its row.
///
/// # Panics
/// If `rows.len() != query.len() * out.len()`.
#[inline]
pub fn dot_rows(query: &[f32], rows: &[f32], out: &mut [f32]) {
    dot_rows_on(Supported::best(), query, rows, out);
}

/// [`dot_rows`] on a chosen instruction set.
///
/// # Panics
/// If `rows.len() != query.len() * out.len()` or the processor does not support the set.
pub fn dot_rows_with(set: InstructionSet, query: &[f32], rows: &[f32], out: &mut [f32]) {
    dot_rows_on(Supported::check(set), query, rows, out);
}

compiled_for_each_set! { fn dot_on(a: &[f32], b: &[f32]) -> f32 = dot_lanes<Lanes> }
compiled_for_each_set! { fn axpy_on(alpha: f32, x: &[f32], y: &mut [f32]) = axpy_elements }
compiled_for_each_set! { fn axpby_on(alpha: f32, x: &[f32], beta: f32, y: &mut [f32]) = axpby_elements }
compiled_for_each_set! { fn scale_on(alpha: f32, y: &mut [f32]) = scale_elements }
compiled_for_each_set! { fn dot_rows_on(query: &[f32], rows: &[f32], out: &mut [f32]) = dot_rows_lanes<Lanes> }

#[inline(always)]
fn dot_lanes<L: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "dot: lengths differ");
    let [lanes] = products::<L, 1>(a, [b]);
    lanes.sum()
}

#[inline(always)]
fn axpy_elements(alpha: f32, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "axpy: lengths differ");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = alpha.mul_add(x, *y);
    }
}

#[inline(always)]
fn axpby_elements(alpha: f32, x: &[f32], beta: f32, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "axpby: lengths differ");
    for (y, &x) in y.iter_mut().zip(x) {
        *y = alpha.mul_add(x, beta * *y);
    }
}

#[inline(always)]
fn scale_elements(alpha: f32, y: &mut [f32]) {
    for y in y {
        *y *= alpha;
    }
}

#[inline(always)]
fn dot_rows_lanes<L: Lanes>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    let d = query.len();
    assert_eq!(Some(rows.len()), d.checked_mul(out.len()), "dot_rows: rows are not [out.len(), query.len()]");
    if d == 0 {
        return out.fill(0.0);
    }
    let mut blocks = rows.chunks_exact(d * ROWS_AT_ONCE);
    let mut sums = out.chunks_exact_mut(ROWS_AT_ONCE);
    for (block, sums) in blocks.by_ref().zip(sums.by_ref()) {
        let rows: [&[f32]; ROWS_AT_ONCE] = std::array::from_fn(|r| &block[r * d..][..d]);
        sums.copy_from_slice(&L::sum_four(products(query, rows)));
    }
    for (row, sum) in blocks.remainder().chunks_exact(d).zip(sums.into_remainder()) {
        let [lanes] = products::<L, 1>(query, [row]);
        *sum = lanes.sum();
    }
}

/// Products of `query` with `R` rows, summed per lane. `query: [d], rows: R × [d] → R × [16]`.
#[inline(always)]
pub(crate) fn products<L: Lanes, const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [L; R] {
    let (chunks, tail) = query.as_chunks::<N_LANES>();
    let row_chunks = rows.map(|row| &row.as_chunks::<N_LANES>().0[..chunks.len()]);
    let mut lanes = [L::zero(); R];
    for (c, chunk) in chunks.iter().enumerate() {
        let q = L::load(chunk);
        for r in 0..R {
            lanes[r] = lanes[r].multiply_add(q, L::load(&row_chunks[r][c]));
        }
    }
    if !tail.is_empty() {
        let q = L::load_tail(tail);
        for r in 0..R {
            lanes[r] = lanes[r].multiply_add(q, L::load_tail(&rows[r][chunks.len() * N_LANES..]));
        }
    }
    lanes
}

#[cfg(test)]
mod tests;
