//! Rows of int8 codes with one f32 scale each, and a scan of them for approximate dot products.
//!
//! In: f32 rows to quantise; codes, scales and a [`QuantisedQuery`] to scan. Out: codes and a scale; approximate dot
//! products. Symmetric: `value ≈ code · scale`, `scale = max|value| / 127`. Codes are summed in i32, which is exact, so
//! all versions agree; the final `(sum as f32) · scale_row · scale_query` has one order everywhere.
//! Refuses: slices that do not fit each other, and more than [`MAX_DIMENSIONS`] (both panic).
//!
//! A row with a `NaN` or an infinity gets codes of zero and the scale `NaN`: all its products are `NaN`, so that it
//! never enters a top k unseen.

use crate::InstructionSet;
use crate::instruction_set::{Supported, compiled_for_each_set};

#[cfg(target_arch = "x86_64")]
mod x86;

/// Largest `d` of a row: 128 · 127 · 65,536 still fits an i32.
pub const MAX_DIMENSIONS: usize = 1 << 16;

/// Bytes of the widest register; query codes are padded with zeros to a multiple of it.
const WIDEST: usize = 64;

/// A query ready to be scanned against many rows.
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
    /// `[d]` rounded up to a multiple of [`WIDEST`] with zeros; each within ±127.
    codes: Vec<i8>,
    d: usize,
    scale: f32,
    /// Σ codes; takes back the offset of the unsigned-by-signed products of AVX-512 VNNI.
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
        assert!(d <= MAX_DIMENSIONS, "a query of {d} dimensions; at most {MAX_DIMENSIONS} can be summed in an i32");
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

    /// `value ≈ code · scale`.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}

/// Quantises one row and returns its scale. `row: [d] → out: [d]`, codes within ±127, nearest, halves to even.
///
/// A zero row, and one whose largest value is below 4e-37, gets the scale 0. A row that is not finite gets `NaN`.
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
/// If `scales` or `rows` do not fit `out` and the query's dimensions.
#[inline]
pub fn scan(query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    scan_on(Supported::best(), query, rows, scales, out);
}

/// [`scan`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// If `scales` or `rows` do not fit, or the processor has not got the set.
pub fn scan_with(set: InstructionSet, query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    scan_on(Supported::check(set), query, rows, scales, out);
}

fn scan_on(set: Supported, query: &QuantisedQuery, rows: &[i8], scales: &[f32], out: &mut [f32]) {
    assert_eq!(scales.len(), out.len(), "scan: one scale a row");
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

/// The one order in which a sum of codes becomes a score.
#[inline(always)]
fn product(sum: i32, scale_row: f32, scale_query: f32) -> f32 {
    sum as f32 * scale_row * scale_query
}

compiled_for_each_set! { fn quantise_on(row: &[f32], out: &mut [i8]) -> f32 = quantise_elements }

#[inline(always)]
fn quantise_elements(row: &[f32], out: &mut [i8]) -> f32 {
    // As integers, magnitudes compare in the order of the floats, and NaN and infinity come out on top.
    let largest = f32::from_bits(row.iter().fold(0, |largest, x| largest.max(x.abs().to_bits())));
    let inverse = 127.0 / largest;
    if !largest.is_finite() || !inverse.is_finite() {
        out.fill(0);
        return if largest.is_finite() { 0.0 } else { f32::NAN };
    }
    // Adding 1.5 · 2²³ rounds to the nearest integer and leaves it in the low bits: no library call, no saturation.
    const ROUNDER: f32 = 12_582_912.0;
    for (code, &x) in out.iter_mut().zip(row) {
        *code = (x * inverse + ROUNDER).to_bits() as i8;
    }
    largest / 127.0
}

#[cfg(test)]
mod tests;
