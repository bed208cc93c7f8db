//! The element-wise parts of neural layers and their backward passes: normalisation, masks, softmax over rows.
//!
//! In: rows of floats. Out: rows of floats. Sums have the order of [`dot`](crate::dot): 16 lanes, then one tree, so
//! every instruction set returns the same bits. Backward functions add to the gradients they are given. Slices whose
//! lengths do not match cause a panic.

// Index loops over lanes; a whole layer has many operands.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

use crate::Draws;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::N_LANES;
use crate::math::{exp, ln, sigmoid, softplus};

/// Added to a variance before its square root is taken.
const VARIANCE_FLOOR: f32 = 1e-5;

/// Random words that are drawn at once for a mask.
const DRAWS_AT_ONCE: usize = 64;

/// Layer normalisation: `out = (x - mean) / deviation · gain + shift`, row by row.
/// `x, out: [n, d], gain, shift: [d], statistics: [n, 2]` (mean, then 1 / deviation; the backward pass reads them).
///
/// Ba, Kiros and Hinton, *Layer normalization* (2016).
///
/// # Panics
/// If the lengths do not match.
pub fn layer_norm(x: &[f32], gain: &[f32], shift: &[f32], statistics: &mut [f32], out: &mut [f32]) {
    layer_norm_on(Supported::best(), VARIANCE_FLOOR, x, gain, shift, statistics, out);
}

/// [`layer_norm`] with a floor of its own under the variance; the bits of [`normalise_rows`]. `x, out: [n, d], gain, shift:
/// [d], statistics: [n, 2]`
///
/// # Panics
/// If the lengths do not match.
pub fn layer_norm_above(floor: f32, x: &[f32], gain: &[f32], shift: &[f32], statistics: &mut [f32], out: &mut [f32]) {
    layer_norm_on(Supported::best(), floor, x, gain, shift, statistics, out);
}

/// Layer normalisation in place, without what a backward pass needs: `x = (x - mean) / √(variance + floor) · gain + shift`,
/// row by row. `x: [n, d], gain, shift: [d]`
///
/// # Panics
/// If the lengths do not match.
pub fn normalise_rows(floor: f32, gain: &[f32], shift: &[f32], x: &mut [f32]) {
    normalise_rows_on(Supported::best(), floor, gain, shift, x);
}

/// The backward pass of [`layer_norm`]: adds to `dx: [n, d]`, `d_gain, d_shift: [d]`. `dy: [n, d]`.
///
/// # Panics
/// If the lengths do not match.
pub fn layer_norm_backward(
    x: &[f32],
    gain: &[f32],
    statistics: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_gain: &mut [f32],
    d_shift: &mut [f32],
) {
    layer_norm_backward_on(Supported::best(), x, gain, statistics, dy, dx, d_gain, d_shift);
}

/// Softmax of a row in place: `row = exp(scale · row - log_sum)`. Returns `log_sum`. `row: [n]`, n > 0, all finite.
///
/// Unlike [`softmax_in_place`](crate::softmax_in_place), the sum runs in 16 lanes, which is faster for long rows.
///
/// # Panics
/// If the row is empty.
pub fn softmax_row(scale: f32, row: &mut [f32]) -> f32 {
    assert!(!row.is_empty(), "softmax_row: the row is empty");
    let set = Supported::best();
    let (largest, sum) = exp_of_row_on(set, scale, row);
    multiply_by_on(set, 1.0 / sum, row);
    largest + ln(sum)
}

/// `row = exp(row - log_sum) · weight`: the softmax of a part of a row whose `log_sum` [`softmax_row`] returned. `row:
/// [n]`.
pub fn exp_minus(log_sum: f32, weight: f32, row: &mut [f32]) {
    exp_minus_on(Supported::best(), log_sum, weight, row);
}

/// The backward pass of a softmax, in place: `dp = (dp - Σ p · dp) · p · scale`. `p, dp: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn softmax_backward(scale: f32, p: &[f32], dp: &mut [f32]) {
    let mean = crate::dot(p, dp);
    softmax_backward_on(Supported::best(), scale, mean, p, dp);
}

/// Draws a mask: each byte is 1 with probability `1 - rate` (to a multiple of 2⁻¹⁶), else 0. Uses one draw per 4 bytes.
///
/// # Panics
/// If the rate is not within 0 … 1.
pub fn draw_mask(draws: &mut Draws, rate: f32, mask: &mut [u8]) {
    assert!((0.0..=1.0).contains(&rate), "a dropout rate of {rate}");
    let threshold = (f64::from(rate) * 65_536.0) as u32;
    let set = Supported::best();
    for run in mask.chunks_mut(4 * DRAWS_AT_ONCE) {
        let mut bits = [0; DRAWS_AT_ONCE];
        let n = run.len().div_ceil(4);
        draws.fill(&mut bits[..n]);
        compare_on(set, threshold, &bits, run);
    }
}

/// `x = x · mask · scale`. `x, mask: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn mask_in_place(mask: &[u8], scale: f32, x: &mut [f32]) {
    mask_in_place_on(Supported::best(), mask, scale, x);
}

/// `out += x · mask · scale`. `x, mask, out: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn add_masked(x: &[f32], mask: &[u8], scale: f32, out: &mut [f32]) {
    add_masked_on(Supported::best(), x, mask, scale, out);
}

/// `out += x · y`, element by element. `x, y, out: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn add_product(x: &[f32], y: &[f32], out: &mut [f32]) {
    add_product_on(Supported::best(), x, y, out);
}

/// `out[j] += Σ x[i, j]` over rows from the first to the last. `x: [n, d], out: [d]`.
///
/// # Panics
/// If `x` does not consist of whole rows.
pub fn add_row_sums(x: &[f32], out: &mut [f32]) {
    assert!(x.len().is_multiple_of(out.len().max(1)), "add_row_sums: the rows are not whole");
    for row in x.chunks_exact(out.len().max(1)) {
        crate::axpy(1.0, row, out);
    }
}

/// `dx += dy` where the output of a rectifier was above 0. `y, dy, dx: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn relu_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    relu_backward_on(Supported::best(), y, dy, dx);
}

/// `dx += dy · y · (1 - y)`, y the output of a sigmoid. `y, dy, dx: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn sigmoid_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    sigmoid_backward_on(Supported::best(), y, dy, dx);
}

/// `dx += dy · (1 - y²)`, y the output of a hyperbolic tangent. `y, dy, dx: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn tanh_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    tanh_backward_on(Supported::best(), y, dy, dx);
}

/// Logistic loss of each score and its slope: `loss = softplus(x) - label · x`, `slope = sigmoid(x) - label`.
/// `x, labels, slope: [n] → Σ loss`, summed from the first to the last.
///
/// # Panics
/// If the lengths differ.
pub fn logistic_loss(x: &[f32], labels: &[f32], slope: &mut [f32]) -> f64 {
    assert!(x.len() == labels.len() && x.len() == slope.len(), "logistic_loss: lengths differ");
    let mut total = 0.0;
    for ((&x, &label), slope) in x.iter().zip(labels).zip(slope) {
        *slope = sigmoid(x) - label;
        total += f64::from(softplus(x) - label * x);
    }
    total
}

compiled_for_each_set! {
    fn layer_norm_on(
        floor: f32, x: &[f32], gain: &[f32], shift: &[f32], statistics: &mut [f32], out: &mut [f32]
    ) = layer_norm_rows
}
compiled_for_each_set! {
    fn normalise_rows_on(floor: f32, gain: &[f32], shift: &[f32], x: &mut [f32]) = normalise_rows_inlined
}
compiled_for_each_set! {
    fn layer_norm_backward_on(
        x: &[f32], gain: &[f32], statistics: &[f32], dy: &[f32], dx: &mut [f32], d_gain: &mut [f32], d_shift: &mut [f32]
    ) = layer_norm_backward_rows
}
compiled_for_each_set! { fn exp_of_row_on(scale: f32, row: &mut [f32]) -> (f32, f32) = exp_of_row }
compiled_for_each_set! { fn multiply_by_on(factor: f32, row: &mut [f32]) = multiply_by }
compiled_for_each_set! { fn exp_minus_on(log_sum: f32, weight: f32, row: &mut [f32]) = exp_minus_elements }
compiled_for_each_set! {
    fn softmax_backward_on(scale: f32, mean: f32, p: &[f32], dp: &mut [f32]) = softmax_backward_elements
}
compiled_for_each_set! { fn compare_on(threshold: u32, bits: &[u64; DRAWS_AT_ONCE], mask: &mut [u8]) = compare }
compiled_for_each_set! { fn mask_in_place_on(mask: &[u8], scale: f32, x: &mut [f32]) = mask_elements }
compiled_for_each_set! { fn add_masked_on(x: &[f32], mask: &[u8], scale: f32, out: &mut [f32]) = add_masked_elements }
compiled_for_each_set! { fn add_product_on(x: &[f32], y: &[f32], out: &mut [f32]) = add_product_elements }
compiled_for_each_set! { fn relu_backward_on(y: &[f32], dy: &[f32], dx: &mut [f32]) = relu_backward_elements }
compiled_for_each_set! { fn sigmoid_backward_on(y: &[f32], dy: &[f32], dx: &mut [f32]) = sigmoid_backward_elements }
compiled_for_each_set! { fn tanh_backward_on(y: &[f32], dy: &[f32], dx: &mut [f32]) = tanh_backward_elements }

/// Sum over `term` of the elements of two slices of one length: 16 lanes, then the tree of [`dot`](crate::dot).
#[inline(always)]
fn sum_in_lanes(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; N_LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<N_LANES>(), y.as_chunks::<N_LANES>());
    for (x, y) in x.iter().zip(y) {
        for l in 0..N_LANES {
            lanes[l] += term(x[l], y[l]);
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *lane += term(x, y);
    }
    for width in [8, 4, 2, 1] {
        for l in 0..width {
            lanes[l] += lanes[l + width];
        }
    }
    lanes[0]
}

#[inline(always)]
fn layer_norm_rows(floor: f32, x: &[f32], gain: &[f32], shift: &[f32], statistics: &mut [f32], out: &mut [f32]) {
    let d = gain.len();
    assert!(d > 0 && shift.len() == d && x.len() == out.len(), "layer_norm: lengths do not match");
    assert!(statistics.len() * d == x.len() * 2, "layer_norm: not two statistics per row");
    let rows = x.chunks_exact(d).zip(out.chunks_exact_mut(d)).zip(statistics.chunks_exact_mut(2));
    for ((x, out), statistics) in rows {
        let (mean, inverse) = mean_and_inverse(x, floor);
        statistics.copy_from_slice(&[mean, inverse]);
        for (((out, &x), &gain), &shift) in out.iter_mut().zip(x).zip(gain).zip(shift) {
            *out = (x - mean) * inverse * gain + shift;
        }
    }
}

/// The mean of a row, and 1 / √(variance + floor).
#[inline(always)]
fn mean_and_inverse(x: &[f32], floor: f32) -> (f32, f32) {
    let mean = sum_in_lanes(x, x, |x, _| x) / x.len() as f32;
    let variance = sum_in_lanes(x, x, |x, _| (x - mean) * (x - mean)) / x.len() as f32;
    (mean, 1.0 / (variance + floor).sqrt())
}

#[inline(always)]
fn normalise_rows_inlined(floor: f32, gain: &[f32], shift: &[f32], x: &mut [f32]) {
    let d = gain.len();
    assert!(d > 0 && shift.len() == d && x.len().is_multiple_of(d), "normalise_rows: lengths do not match");
    for x in x.chunks_exact_mut(d) {
        let (mean, inverse) = mean_and_inverse(x, floor);
        for ((x, &gain), &shift) in x.iter_mut().zip(gain).zip(shift) {
            *x = (*x - mean) * inverse * gain + shift;
        }
    }
}

#[inline(always)]
fn layer_norm_backward_rows(
    x: &[f32],
    gain: &[f32],
    statistics: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_gain: &mut [f32],
    d_shift: &mut [f32],
) {
    let d = gain.len();
    assert!(d > 0 && d_gain.len() == d && d_shift.len() == d, "layer_norm_backward: lengths do not match");
    assert!(x.len() == dy.len() && x.len() == dx.len(), "layer_norm_backward: lengths do not match");
    assert!(statistics.len() * d == x.len() * 2, "layer_norm_backward: not two statistics per row");
    let (mut normal, mut slope) = (vec![0.0; d], vec![0.0; d]);
    let rows = x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)).zip(statistics.chunks_exact(2));
    for (((x, dy), dx), statistics) in rows {
        let (mean, inverse) = (statistics[0], statistics[1]);
        for (normal, &x) in normal.iter_mut().zip(x) {
            *normal = (x - mean) * inverse;
        }
        for ((slope, &dy), &gain) in slope.iter_mut().zip(dy).zip(gain) {
            *slope = dy * gain;
        }
        for ((d_gain, &dy), &normal) in d_gain.iter_mut().zip(dy).zip(&normal) {
            *d_gain += dy * normal;
        }
        for (d_shift, &dy) in d_shift.iter_mut().zip(dy) {
            *d_shift += dy;
        }
        let mean_slope = sum_in_lanes(&slope, &slope, |slope, _| slope) / d as f32;
        let mean_along = sum_in_lanes(&slope, &normal, |slope, normal| slope * normal) / d as f32;
        for ((dx, &slope), &normal) in dx.iter_mut().zip(&slope).zip(&normal) {
            *dx += (slope - mean_slope - normal * mean_along) * inverse;
        }
    }
}

/// `row = exp(scale · row - largest)`; returns the largest scaled score and the sum.
#[inline(always)]
fn exp_of_row(scale: f32, row: &mut [f32]) -> (f32, f32) {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = row.as_chunks::<N_LANES>();
    let mut lanes = [f32::NEG_INFINITY; N_LANES];
    for chunk in chunks {
        for l in 0..N_LANES {
            lanes[l] = larger(lanes[l], scale * chunk[l]);
        }
    }
    let rest = rest.iter().map(|x| scale * x);
    let largest = lanes.into_iter().chain(rest).fold(f32::NEG_INFINITY, larger);
    for x in row.iter_mut() {
        *x = exp(scale * *x - largest);
    }
    (largest, sum_in_lanes(row, row, |x, _| x))
}

#[inline(always)]
fn multiply_by(factor: f32, row: &mut [f32]) {
    for x in row {
        *x *= factor;
    }
}

#[inline(always)]
fn exp_minus_elements(log_sum: f32, weight: f32, row: &mut [f32]) {
    for x in row {
        *x = exp(*x - log_sum) * weight;
    }
}

#[inline(always)]
fn softmax_backward_elements(scale: f32, mean: f32, p: &[f32], dp: &mut [f32]) {
    for (dp, &p) in dp.iter_mut().zip(p) {
        *dp = (*dp - mean) * p * scale;
    }
}

/// Compares each group of 16 bits of each word, from the lowest, with the threshold.
#[inline(always)]
fn compare(threshold: u32, bits: &[u64; DRAWS_AT_ONCE], mask: &mut [u8]) {
    let kept = |bits: u64, place: usize| u8::from((bits >> (16 * place)) as u32 & 0xFFFF >= threshold);
    let (fours, rest) = mask.as_chunks_mut::<4>();
    for (four, &bits) in fours.iter_mut().zip(bits) {
        *four = [kept(bits, 0), kept(bits, 1), kept(bits, 2), kept(bits, 3)];
    }
    let n = fours.len();
    for (place, to) in rest.iter_mut().enumerate() {
        *to = kept(bits[n], place);
    }
}

#[inline(always)]
fn mask_elements(mask: &[u8], scale: f32, x: &mut [f32]) {
    assert_eq!(mask.len(), x.len(), "mask_in_place: lengths differ");
    for (x, &kept) in x.iter_mut().zip(mask) {
        *x *= f32::from(kept) * scale;
    }
}

#[inline(always)]
fn add_masked_elements(x: &[f32], mask: &[u8], scale: f32, out: &mut [f32]) {
    assert!(x.len() == mask.len() && x.len() == out.len(), "add_masked: lengths differ");
    for ((out, &x), &kept) in out.iter_mut().zip(x).zip(mask) {
        *out += x * (f32::from(kept) * scale);
    }
}

#[inline(always)]
fn add_product_elements(x: &[f32], y: &[f32], out: &mut [f32]) {
    assert!(x.len() == y.len() && x.len() == out.len(), "add_product: lengths differ");
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out += x * y;
    }
}

#[inline(always)]
fn relu_backward_elements(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(y.len() == dy.len() && y.len() == dx.len(), "relu_backward: lengths differ");
    for ((&y, &dy), dx) in y.iter().zip(dy).zip(dx) {
        *dx += if y > 0.0 { dy } else { 0.0 };
    }
}

#[inline(always)]
fn sigmoid_backward_elements(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(y.len() == dy.len() && y.len() == dx.len(), "sigmoid_backward: lengths differ");
    for ((&y, &dy), dx) in y.iter().zip(dy).zip(dx) {
        *dx += dy * y * (1.0 - y);
    }
}

#[inline(always)]
fn tanh_backward_elements(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(y.len() == dy.len() && y.len() == dx.len(), "tanh_backward: lengths differ");
    for ((&y, &dy), dx) in y.iter().zip(dy).zip(dx) {
        *dx += dy * (1.0 - y * y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstructionSet;

    fn normal(n: usize, seed: u64) -> Vec<f32> {
        let mut draws = Draws::new(seed, 0, 0);
        (0..n).map(|_| draws.normal()).collect()
    }

    /// Runs one body on every set and compares the bits.
    fn same_on_all(what: &str, run: impl Fn(Supported) -> Vec<f32>) {
        let expected = run(Supported::check(InstructionSet::Scalar));
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let found = run(Supported::check(set));
            let same = found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{what} on {}", set.name());
        }
    }

    #[test]
    fn every_set_has_the_same_bits_at_odd_lengths() {
        for d in [1, 7, 16, 50, 64, 67] {
            let (x, dy, gain, shift) = (normal(3 * d, 1), normal(3 * d, 2), normal(d, 3), normal(d, 4));
            let mask: Vec<u8> = (0..3 * d).map(|i| u8::from(i % 3 != 0)).collect();
            let norm = |set| {
                let (mut statistics, mut out) = (vec![0.0; 6], vec![0.0; 3 * d]);
                layer_norm_on(set, VARIANCE_FLOOR, &x, &gain, &shift, &mut statistics, &mut out);
                let (mut dx, mut d_gain, mut d_shift) = (dy.clone(), gain.clone(), shift.clone());
                layer_norm_backward_on(set, &x, &gain, &statistics, &dy, &mut dx, &mut d_gain, &mut d_shift);
                [out, statistics, dx, d_gain, d_shift].concat()
            };
            same_on_all("layer_norm", norm);
            same_on_all("normalise_rows", |set| {
                let (mut statistics, mut out, mut in_place) = (vec![0.0; 6], vec![0.0; 3 * d], x.clone());
                layer_norm_on(set, VARIANCE_FLOOR, &x, &gain, &shift, &mut statistics, &mut out);
                normalise_rows_on(set, VARIANCE_FLOOR, &gain, &shift, &mut in_place);
                assert_eq!(in_place, out, "the same numbers as layer_norm");
                in_place
            });
            same_on_all("softmax", |set| {
                let mut row = x.clone();
                let (largest, sum) = exp_of_row_on(set, 0.7, &mut row);
                multiply_by_on(set, 1.0 / sum, &mut row);
                let mut dp = dy.clone();
                softmax_backward_on(set, 0.7, 0.1, &row, &mut dp);
                let mut part = x.clone();
                exp_minus_on(set, 1.5, 0.5, &mut part);
                [row, dp, part, vec![largest, sum]].concat()
            });
            type Backward = fn(Supported, &[f32], &[f32], &mut [f32]);
            let backwards: [Backward; 4] = [relu_backward_on, sigmoid_backward_on, tanh_backward_on, add_product_on];
            for backward in backwards {
                same_on_all("backward", |set| {
                    let mut dx = dy.clone();
                    backward(set, &x, &dy, &mut dx);
                    dx
                });
            }
            same_on_all("mask", |set| {
                let mut out = x.clone();
                mask_in_place_on(set, &mask, 1.25, &mut out);
                add_masked_on(set, &dy, &mask, 1.25, &mut out);
                out
            });
        }
    }

    #[test]
    fn a_normalised_row_has_mean_0_and_variance_1() {
        let x = normal(50, 5);
        let (mut statistics, mut out) = ([0.0; 2], vec![0.0; 50]);
        layer_norm(&x, &[1.0; 50], &[0.0; 50], &mut statistics, &mut out);
        let mean = out.iter().sum::<f32>() / 50.0;
        let variance = out.iter().map(|x| x * x).sum::<f32>() / 50.0;
        assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
    }

    #[test]
    fn softmax_rows_sum_to_1_and_their_parts_equal_the_whole() {
        let x = normal(100, 6);
        let mut row = x.clone();
        let log_sum = softmax_row(1.0, &mut row);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let mut part = x[30..40].to_vec();
        exp_minus(log_sum, 1.0, &mut part);
        assert!(part.iter().zip(&row[30..40]).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn masks_keep_the_requested_share_and_repeat_for_the_same_key() {
        let draw = |rate| {
            let mut mask = vec![9; 40_001];
            draw_mask(&mut Draws::new(1, 2, 3), rate, &mut mask);
            mask
        };
        let kept = draw(0.3).iter().map(|&kept| f64::from(kept)).sum::<f64>() / 40_001.0;
        assert!((kept - 0.7).abs() < 0.01, "{kept}");
        assert_eq!(draw(0.3), draw(0.3));
        assert!(draw(0.0).iter().all(|&kept| kept == 1) && draw(1.0).iter().all(|&kept| kept == 0));
    }

    #[test]
    fn logistic_loss_has_known_values_and_slopes() {
        let mut slope = [0.0; 2];
        let loss = logistic_loss(&[0.0, 0.0], &[1.0, 0.0], &mut slope);
        assert!((loss - 2.0 * std::f64::consts::LN_2).abs() < 1e-6);
        assert_eq!(slope, [-0.5, 0.5]);
    }
}
