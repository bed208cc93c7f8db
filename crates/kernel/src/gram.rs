//! Products with a Gram matrix that is never stored: `Σ_r (row_r · p) row_r`, the inner step of conjugate gradients.
//!
//! In: rows stored one after the other. Out: sums in one fixed order: rows are taken four at a time, each product is
//! computed as [`dot`](crate::dot) computes it, and the rows are added to the sum in their order with fused
//! multiply-adds. So all instruction sets return the same bits. Slices whose lengths do not match cause a panic.

use crate::InstructionSet;
use crate::dense::products;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};

/// `out += Σ_r (row_r · p) row_r`. `rows: [n, d], p: [d], out: [d]`.
///
/// ```
/// let mut out = [0.0, 1.0];
/// accrue_kernel::gram_product(&[1.0, 0.0, 2.0, 1.0], &[1.0, 1.0], &mut out);
/// assert_eq!(out, [7.0, 4.0]);
/// ```
///
/// # Panics
/// If `out` is not as long as `p`, or the length of `rows` is not a multiple of it.
#[inline]
pub fn gram_product(rows: &[f32], p: &[f32], out: &mut [f32]) {
    gram_product_on(Supported::best(), rows, p, out);
}

/// [`gram_product`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// As [`gram_product`], or if the processor does not support the set.
pub fn gram_product_with(set: InstructionSet, rows: &[f32], p: &[f32], out: &mut [f32]) {
    gram_product_on(Supported::check(set), rows, p, out);
}

/// The descent direction of least squares: `out += Σ_r (target - row_r · x) row_r`. `rows: [n, d], x: [d], out: [d]`.
///
/// # Panics
/// As [`gram_product`].
#[inline]
pub fn residual_sum(rows: &[f32], target: f32, x: &[f32], out: &mut [f32]) {
    residual_sum_on(Supported::best(), rows, target, x, out);
}

/// [`residual_sum`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// As [`gram_product`], or if the processor does not support the set.
pub fn residual_sum_with(set: InstructionSet, rows: &[f32], target: f32, x: &[f32], out: &mut [f32]) {
    residual_sum_on(Supported::check(set), rows, target, x, out);
}

compiled_for_each_set! { fn gram_product_on(rows: &[f32], p: &[f32], out: &mut [f32]) = gram_product_lanes<Lanes> }
compiled_for_each_set! {
    fn residual_sum_on(rows: &[f32], target: f32, x: &[f32], out: &mut [f32]) = residual_sum_lanes<Lanes>
}

#[inline(always)]
fn gram_product_lanes<L: Lanes>(rows: &[f32], p: &[f32], out: &mut [f32]) {
    weighted_rows::<L>(rows, p, out, |product| product);
}

#[inline(always)]
fn residual_sum_lanes<L: Lanes>(rows: &[f32], target: f32, x: &[f32], out: &mut [f32]) {
    weighted_rows::<L>(rows, x, out, |product| target - product);
}

/// `out += Σ_r weight(row_r · p) row_r`
#[inline(always)]
fn weighted_rows<L: Lanes>(rows: &[f32], p: &[f32], out: &mut [f32], weight: impl Fn(f32) -> f32) {
    let d = p.len();
    assert_eq!(out.len(), d, "gram_product: lengths differ");
    if d == 0 {
        return;
    }
    assert!(rows.len().is_multiple_of(d), "gram_product: rows are not [n, {d}]");
    let mut blocks = rows.chunks_exact(4 * d);
    for block in blocks.by_ref() {
        let four: [&[f32]; 4] = std::array::from_fn(|r| &block[r * d..][..d]);
        let s = L::sum_four(products(p, four)).map(&weight);
        let sum =
            |out: f32, x: [f32; 4]| s[3].mul_add(x[3], s[2].mul_add(x[2], s[1].mul_add(x[1], s[0].mul_add(x[0], out))));
        // Chunks of a constant length, so that the compiler keeps each in one register.
        let (chunks, tail) = out.as_chunks_mut::<N_LANES>();
        let row_chunks = four.map(|row| &row.as_chunks::<N_LANES>().0[..chunks.len()]);
        for (c, out) in chunks.iter_mut().enumerate() {
            for l in 0..N_LANES {
                out[l] = sum(out[l], row_chunks.map(|row| row[c][l]));
            }
        }
        let done = d - tail.len();
        for (l, out) in tail.iter_mut().enumerate() {
            *out = sum(*out, four.map(|row| row[done + l]));
        }
    }
    for row in blocks.remainder().chunks_exact(d) {
        let [lanes] = products::<L, 1>(p, [row]);
        let s = weight(lanes.sum());
        for (out, &x) in out.iter_mut().zip(row) {
            *out = s.mul_add(x, *out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, axpy, dot};

    #[test]
    fn every_set_returns_the_bits_of_separate_dots_and_sums() {
        for (n, d) in [(0, 5), (1, 1), (3, 16), (4, 17), (9, 64), (13, 100)] {
            let mut draws = Draws::new(n as u64, 1, d as u64);
            let mut vector = |len: usize| -> Vec<f32> { (0..len).map(|_| draws.normal()).collect() };
            let (rows, p, start) = (vector(n * d), vector(d), vector(d));
            let mut expected = start.clone();
            for row in rows.chunks_exact(d) {
                axpy(dot(p.as_slice(), row), row, &mut expected);
            }
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let mut out = start.clone();
                gram_product_with(set, &rows, &p, &mut out);
                assert_eq!(out, expected, "{} n={n} d={d}", set.name());
                let (mut out, mut expected) = (start.clone(), start.clone());
                rows.chunks_exact(d).for_each(|row| axpy(0.5 - dot(&p, row), row, &mut expected));
                residual_sum_with(set, &rows, 0.5, &p, &mut out);
                assert_eq!(out, expected, "{} n={n} d={d}", set.name());
            }
        }
    }
}
