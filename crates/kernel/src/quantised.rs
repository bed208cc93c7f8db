//! Rows of int8 codes with one f32 scale each, and a scan over them for approximate dot products.
//!
//! In: f32 rows to quantise; codes, scales and a [`QuantisedQuery`] to scan. Out: codes and a scale; approximate dot
//! products. Quantisation is symmetric: `value ≈ code · scale`, `scale = max|value| / 127`. Codes are summed in i32,
//! which is exact, and the final `(sum as f32) · scale_row · scale_query` is multiplied in one order, so all versions
//! return the same bits. Slices whose lengths do not match, and more than [`MAX_DIMENSIONS`] dimensions, cause a panic.
//!
//! A row with a `NaN` or an infinity gets codes of zero and the scale `NaN`. All its products are then `NaN`, so
//! [`TopK`](crate::TopK) rejects and counts it.

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};

#[cfg(target_arch = "x86_64")]
mod x86;

/// Largest dimension of a row: 128 · 127 · 65,536 is within the range of i32.
pub const MAX_DIMENSIONS: usize = 1 << 16;

/// Bytes of the widest register; the query's codes are padded with zeros to a multiple of it.
const WIDEST: usize = 64;

/// A quantised query, which can be scanned against many rows.
///
/// ```
/// use accrue_kernel::{QuantisedQuery, quantise, scan};
/// let items = [[0.9, 0.1], [-0.2, 0.8]];
/// let mut codes = [0_i8; 4];
/// let scales = [quantise(&items[0], &mut codes[..2]), quantise(&items[1], &mut codes[2..])];
/// let mut scores = [0.0; 2];
/// scan(&QuantisedQuery::new(&[1.0, 0.5]), &codes, &scales, &mut scores);
/// assert!((scores[0] - 0.95).abs() < 0.01 && (scores[1] - 0.2).abs() < 0.01);
/// ```
#[derive(Clone, Debug)]
pub struct QuantisedQuery {
    /// `[d]`, padded with zeros to a multiple of [`WIDEST`]; each within ±127.
    codes: Vec<i8>,
    d: usize,
    scale: f32,
    /// Σ codes. Subtracts the offset of the unsigned-by-signed products of AVX-512 VNNI.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    sum: i32,
}

impl QuantisedQuery {
    /// Quantises a query. `query: [d]`.
    ///
    /// # Panics
    /// If `d` is more than [`MAX_DIMENSIONS`].
    pub fn new(query: &[f32]) -> Self {
        let d = query.len();
        assert!(d <= MAX_DIMENSIONS, "a query of {d} dimensions; an i32 can sum at most {MAX_DIMENSIONS}");
        let mut codes = vec![0; d.next_multiple_of(WIDEST)];
        let scale = quantise(query, &mut codes[..d]);
        let sum = codes.iter().map(|&code| i32::from(code)).sum();
        Self { codes, d, scale, sum }
    }

    /// Number of dimensions.
    pub fn dimensions(&self) -> usize {
        self.d
    }

    /// The codes. `[d]`, each within ±127.
    pub fn codes(&self) -> &[i8] {
        &self.codes[..self.d]
    }

    /// The scale: `value ≈ code · scale`.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// Quantises one row and returns its scale. `row: [d] → out: [d]`, codes within ±127, rounded to nearest, ties to even.
///
/// A row whose largest magnitude is below 4e-37 gets the scale 0. A row with a `NaN` or an infinity gets the scale
/// `NaN`.
///
/// # Panics
/// If the lengths differ.
pub fn quantise(row: &[f32], out: &mut [i8]) -> f32 {
    assert_eq!(row.len(), out.len(), "quantise: lengths differ");
    quantise_on(Supported::best(), row, out)
}

/// Approximate dot products of a query with rows. `rows: [n, d] codes, scales: [n] → out: [n]`.
///
/// # Panics
/// If the lengths of `scales` or `rows` do not match `out` and the query's dimension.
#[inline]
pub fn scan(query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    scan_on(Supported::best(), query, rows, scales, out);
}

/// [`scan`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// As [`scan`], or if the processor does not support the set.
pub fn scan_with(set: InstructionSet, query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    scan_on(Supported::check(set), query, rows, scales, out);
}

fn scan_on(set: Supported, query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    assert_eq!(scales.len(), out.len(), "scan: not one scale per row");
    assert_eq!(Some(rows.len()), query.d.checked_mul(out.len()), "scan: rows are not [out.len(), d]");
    if query.d == 0 {
        return out.fill(0.0);
    }
    match set.set() {
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx512 => x86::scan_avx512(set, query, rows, scales, out),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 => x86::scan_avx2(set, query, rows, scales, out),
        _ => scan_scalar(query, rows, scales, out),
    }
}

fn scan_scalar(query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    for ((row, &scale), out) in rows.chunks_exact(query.d).zip(scales).zip(out) {
        let sum = row.iter().zip(query.codes()).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
        *out = product(sum, scale, query.scale);
    }
}

/// Turns a sum of codes into a score; every version multiplies in this order.
#[inline(always)]
fn product(sum: i32, scale_row: f32, scale_query: f32) -> f32 {
    sum as f32 * scale_row * scale_query
}

compiled_for_each_set! { fn quantise_on(row: &[f32], out: &mut [i8]) -> f32 = quantise_elements }

#[inline(always)]
fn quantise_elements(row: &[f32], out: &mut [i8]) -> f32 {
    // Compared as integers, magnitudes have the order of the floats, and NaN and infinity are above every finite one.
    let largest = f32::from_bits(row.iter().fold(0, |largest, x| largest.max(x.abs().to_bits())));
    let inverse = 127.0 / largest;
    if !largest.is_finite() || !inverse.is_finite() {
        out.fill(0);
        return if largest.is_finite() { 0.0 } else { f32::NAN };
    }
    // Adding 1.5 · 2²³ rounds to the nearest integer and leaves it in the low bits, without a library call or
    // saturation.
    const ROUNDER: f32 = 12_582_912.0;
    for (code, &x) in out.iter_mut().zip(row) {
        *code = (x * inverse + ROUNDER).to_bits() as i8;
    }
    largest / 127.0
}

#[cfg(test)]
mod tests;
