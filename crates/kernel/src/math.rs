//! Exponentials, logarithms and functions derived from them, with the same bits on every machine.
//!
//! In: floats. Out: floats near the true value; tests compare them with f64 and check the error bounds stated below.
//! `NaN` in gives `NaN` out.
//!
//! The polynomials use plain multiplications and additions. The system's mathematical library is not used because its
//! results differ between machines, and fused multiply-adds would be slow on targets without the instruction. The
//! functions that run over slices have no branches, so that the loops vectorise. The f32 polynomials are those of
//! Moshier's *Cephes* (`expf`, `logf`).

use crate::dense::scale;
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::N_LANES;

/// 1.5 · 2²³: adding it rounds an f32 to the nearest integer and leaves that integer in the low bits.
const ROUNDER: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has 9 significant bits, so that small multiples of it are exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `eˣ`, within 2 ulp. 0 below -104, denormal below -87.4, infinity above 88.73.
#[inline]
pub fn exp(x: f32) -> f32 {
    // Comparisons instead of `clamp` and `min`: these keep NaN and become one instruction each.
    let x = if x > 90.0 { 90.0 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let n = rounded - ROUNDER;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    times_power_of_two(exp_near_zero(r), integer(rounded))
}

/// `2ˣ`, within 2 ulp; exact for integers. 0 below -150, denormal below -126, infinity from 128 on.
#[inline]
pub fn exp2(x: f32) -> f32 {
    let x = if x > 130.0 { 130.0 } else { x };
    let x = if x < -152.0 { -152.0 } else { x };
    let rounded = x + ROUNDER;
    let r = x - (rounded - ROUNDER);
    times_power_of_two(exp_near_zero(r * std::f32::consts::LN_2), integer(rounded))
}

/// [`exp2`] of each of `x: [n]`, with the same bits.
pub fn exp2_in_place(x: &mut [f32]) {
    exp2_on(Supported::best(), x);
}

/// `out = x / by`, rounded to 64 bits and then to 32. `x: [n], out: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn quotients(x: &[f64], by: f64, out: &mut [f32]) {
    quotients_on(Supported::best(), x, by, out);
}

/// Natural logarithm, within 2 ulp. `ln(0) = -inf`, of a negative number `NaN`, of infinity infinity.
#[inline]
pub fn ln(x: f32) -> f32 {
    if x <= 0.0 {
        return if x == 0.0 { f32::NEG_INFINITY } else { f32::NAN };
    }
    // The logarithms of infinity and NaN are infinity and NaN.
    if x >= f32::INFINITY || x.is_nan() {
        return x;
    }
    let (x, lifted) = if x < f32::MIN_POSITIVE { (x * 8_388_608.0, -23) } else { (x, 0) };
    // x = 2ⁿ · (1 + m) with 1 + m within √½ … √2: the offset moves the lower bound of that range from 1 to √½.
    let bits = x.to_bits().wrapping_sub(0x3F35_04F3);
    let n = ((bits as i32 >> 23) + lifted) as f32;
    let m = f32::from_bits((bits & 0x007F_FFFF).wrapping_add(0x3F35_04F3)) - 1.0;
    let z = m * m;
    let mut p = 7.037_683_6e-2 * m - 1.151_461e-1;
    p = p * m + 1.167_699_9e-1;
    p = p * m - 1.242_014_1e-1;
    p = p * m + 1.424_932_3e-1;
    p = p * m - 1.666_805_8e-1;
    p = p * m + 2.000_071_5e-1;
    p = p * m - 2.499_999_4e-1;
    p = p * m + 3.333_333e-1;
    let curve = m * z * p + n * LN_2_LOW - 0.5 * z;
    m + curve + n * LN_2_HIGH
}

/// `ln(1 + x)`, within 4e-7 of the value, also for tiny `x`. `ln_1p(-1) = -inf`, below that `NaN`.
#[inline]
pub fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    // 1 + x is rounded. Kahan's correction divides by the rounded difference, which cancels the error.
    if u == 1.0 || u >= f32::INFINITY || u <= 0.0 {
        return if u == 1.0 { x } else { ln(u) };
    }
    ln(u) * (x / (u - 1.0))
}

/// `1 / (1 + e⁻ˣ)`, within 4e-7 of the value. 0 far below, 1 far above.
#[inline]
pub fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let above = if x < 0.0 { e } else { 1.0 };
    above / (1.0 + e)
}

/// `ln(1 + eˣ)`, within 4e-7 of the value. 0 far below, `x` far above. Its derivative is [`sigmoid`].
#[inline]
pub fn softplus(x: f32) -> f32 {
    let above = if x < 0.0 { 0.0 } else { x };
    above + ln_1p(exp(-x.abs()))
}

/// Turns scores into probabilities and returns the logarithm of the sum of their exponentials. `scores: [n]`.
///
/// The largest score is subtracted first; the sum runs from the first element to the last. A score of `-inf` gets
/// probability 0. If all scores are `-inf`, each gets `1 / n` and the result is `-inf`, which is also the result for no
/// scores. If a score is `NaN` or `+inf`, all probabilities are `NaN`.
///
/// ```
/// let mut scores = [1.0, 1.0, f32::NEG_INFINITY];
/// let log_sum = accrue_kernel::softmax_in_place(&mut scores);
/// assert_eq!(scores, [0.5, 0.5, 0.0]);
/// assert!((log_sum - 1.693_147_2).abs() < 1e-6);
/// ```
pub fn softmax_in_place(scores: &mut [f32]) -> f32 {
    let set = Supported::best();
    let largest = largest_on(set, scores);
    if largest == f32::NEG_INFINITY && !scores.iter().any(|x| x.is_nan()) {
        scores.fill(1.0 / scores.len() as f32);
        return f32::NEG_INFINITY;
    }
    exp_of_differences_on(set, largest, scores);
    let sum: f32 = scores.iter().fold(0.0, |sum, x| sum + x);
    scale(1.0 / sum, scores);
    largest + ln(sum)
}

compiled_for_each_set! { fn quotients_on(x: &[f64], by: f64, out: &mut [f32]) = quotient_elements }
compiled_for_each_set! { fn exp2_on(x: &mut [f32]) = exp2_elements }
compiled_for_each_set! { fn largest_on(scores: &[f32]) -> f32 = largest }
compiled_for_each_set! { fn exp_of_differences_on(largest: f32, scores: &mut [f32]) = exp_of_differences }

/// The largest score; `NaN` is ignored. The result does not depend on the order of comparisons, so it may vectorise.
#[inline(always)]
fn largest(scores: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = scores.as_chunks::<N_LANES>();
    let mut lanes = [f32::NEG_INFINITY; N_LANES];
    for chunk in chunks {
        for l in 0..N_LANES {
            lanes[l] = larger(lanes[l], chunk[l]);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[inline(always)]
fn quotient_elements(x: &[f64], by: f64, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "quotients: lengths differ");
    for (out, x) in out.iter_mut().zip(x) {
        *out = (x / by) as f32;
    }
}

#[inline(always)]
fn exp2_elements(x: &mut [f32]) {
    for x in x {
        *x = exp2(*x);
    }
}

#[inline(always)]
fn exp_of_differences(largest: f32, scores: &mut [f32]) {
    for x in scores {
        *x = exp(*x - largest);
    }
}

/// The integer that [`ROUNDER`] left in the low bits.
#[inline(always)]
fn integer(rounded: f32) -> i32 {
    (rounded.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32)
}

/// `y · 2ⁿ` for n within -252 … 254. Overflow gives infinity; underflow rounds once.
#[inline(always)]
fn times_power_of_two(y: f32, n: i32) -> f32 {
    // Two factors, because 2ⁿ itself may be outside the range of normal numbers. For NaN n is arbitrary, so the
    // operations wrap.
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    y * power(half) * power(n.wrapping_sub(half))
}

/// `eʳ` for |r| ≤ ln 2 / 2.
#[inline(always)]
fn exp_near_zero(r: f32) -> f32 {
    let mut p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    p * (r * r) + r + 1.0
}

#[cfg(test)]
mod tests;
