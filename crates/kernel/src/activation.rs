//! Activation functions of neural layers, element by element, and their derivatives.
//!
//! In: floats. Out: floats; tests check the error bounds stated below. The functions have no branches, so that loops
//! over slices vectorise, and return the same bits on every instruction set. `NaN` in gives `NaN` out.

use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::math::{exp, sigmoid};

/// `x · Φ(x)`, where Φ is the distribution function of the normal distribution, within 4e-7 · max(1, |x|) of the value.
///
/// Hendrycks and Gimpel, *Gaussian error linear units* (2016); the exact form, not the one with `tanh`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    x * normal_distribution(x).0
}

/// The derivative of [`gelu`]: `Φ(x) + x · φ(x)`.
#[inline(always)]
pub fn gelu_slope(x: f32) -> f32 {
    let (below, bell) = normal_distribution(x);
    below + x * (bell * 0.398_942_3)
}

/// `Φ(x)` within 2e-7, and `exp(-x² / 2)`. Abramowitz and Stegun, formula 7.1.26.
#[inline(always)]
fn normal_distribution(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut p = 1.061_405_4 * t - 1.453_152;
    p = p * t + 1.421_413_7;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    // The exponent stops at -80: smaller results have no effect, and denormal numbers would double the time.
    let square = z * z;
    let bell = exp(-(if square > 80.0 { 80.0 } else { square }));
    let tail = 0.5 * p * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell)
}

/// Hyperbolic tangent, within 5e-7.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// `x = gelu(x)`.
pub fn gelu_in_place(x: &mut [f32]) {
    gelu_in_place_on(Supported::best(), x);
}

/// `dx += dy · gelu'(x)`. `x, dy, dx: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn gelu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    gelu_backward_on(Supported::best(), x, dy, dx);
}

/// `x = dy · gelu'(x)`: the backward pass where `x` is not needed any more. `dy, x: [n]`.
///
/// # Panics
/// If the lengths differ.
pub fn gelu_backward_in_place(dy: &[f32], x: &mut [f32]) {
    gelu_backward_in_place_on(Supported::best(), dy, x);
}

/// `x = max(x, 0)`; `NaN` is kept.
pub fn relu_in_place(x: &mut [f32]) {
    relu_in_place_on(Supported::best(), x);
}

/// `x = min(max(x, 0), 6)`; `NaN` is kept.
pub fn relu6_in_place(x: &mut [f32]) {
    relu6_in_place_on(Supported::best(), x);
}

/// `x = 1 / (1 + e⁻ˣ)`.
pub fn sigmoid_in_place(x: &mut [f32]) {
    sigmoid_in_place_on(Supported::best(), x);
}

/// `x = tanh x`.
pub fn tanh_in_place(x: &mut [f32]) {
    tanh_in_place_on(Supported::best(), x);
}

compiled_for_each_set! { fn gelu_in_place_on(x: &mut [f32]) = gelu_in_place_inlined }
compiled_for_each_set! { fn gelu_backward_on(x: &[f32], dy: &[f32], dx: &mut [f32]) = gelu_backward_inlined }
compiled_for_each_set! { fn gelu_backward_in_place_on(dy: &[f32], x: &mut [f32]) = gelu_backward_in_place_inlined }
compiled_for_each_set! { fn relu_in_place_on(x: &mut [f32]) = relu_in_place_inlined }
compiled_for_each_set! { fn relu6_in_place_on(x: &mut [f32]) = relu6_in_place_inlined }
compiled_for_each_set! { fn sigmoid_in_place_on(x: &mut [f32]) = sigmoid_in_place_inlined }
compiled_for_each_set! { fn tanh_in_place_on(x: &mut [f32]) = tanh_in_place_inlined }

#[inline(always)]
pub(crate) fn gelu_in_place_inlined(x: &mut [f32]) {
    for x in x {
        *x = gelu(*x);
    }
}

#[inline(always)]
fn gelu_backward_inlined(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && x.len() == dx.len(), "gelu_backward: lengths differ");
    for ((&x, &dy), dx) in x.iter().zip(dy).zip(dx) {
        *dx += dy * gelu_slope(x);
    }
}

#[inline(always)]
fn gelu_backward_in_place_inlined(dy: &[f32], x: &mut [f32]) {
    assert!(x.len() == dy.len(), "gelu_backward_in_place: lengths differ");
    for (&dy, x) in dy.iter().zip(x) {
        *x = dy * gelu_slope(*x);
    }
}

#[inline(always)]
pub(crate) fn relu_in_place_inlined(x: &mut [f32]) {
    for x in x {
        *x = if *x < 0.0 { 0.0 } else { *x };
    }
}

#[inline(always)]
fn relu6_in_place_inlined(x: &mut [f32]) {
    for x in x {
        let above = if *x < 0.0 { 0.0 } else { *x };
        *x = if above > 6.0 { 6.0 } else { above };
    }
}

#[inline(always)]
fn sigmoid_in_place_inlined(x: &mut [f32]) {
    for x in x {
        *x = sigmoid(*x);
    }
}

#[inline(always)]
fn tanh_in_place_inlined(x: &mut [f32]) {
    for x in x {
        *x = tanh(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relu6_clamps_and_keeps_what_is_no_number() {
        let mut x: Vec<f32> = vec![-1.0, 0.0, 3.5, 6.0, 6.5, f32::INFINITY, f32::NEG_INFINITY];
        relu6_in_place(&mut x);
        assert_eq!(x, [0.0, 0.0, 3.5, 6.0, 6.0, 6.0, 0.0]);
        let mut nan = [f32::NAN];
        relu6_in_place(&mut nan);
        assert!(nan[0].is_nan());
    }

    /// `Φ(x)` by the midpoint rule, with an error far below the rounding of f32.
    fn distribution(x: f64) -> f64 {
        let n = 20_000;
        let width = x / f64::from(n);
        let bell = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        0.5 + (0..n).map(|i| bell((f64::from(i) + 0.5) * width)).sum::<f64>() * width
    }

    #[test]
    fn gelu_and_its_slope_are_near_the_true_values() {
        for i in -120..=120 {
            let x = f64::from(i) / 20.0;
            let below = distribution(x);
            let bell = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let error = (f64::from(gelu(x as f32)) - x * below).abs();
            assert!(error < 4e-7 * x.abs().max(1.0), "gelu({x}): {error:e}");
            let error = (f64::from(gelu_slope(x as f32)) - below - x * bell).abs();
            assert!(error < 1e-6, "slope at {x}: {error:e}");
        }
        assert_eq!(gelu(0.0), 0.0);
        assert!(gelu(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_near_the_true_value() {
        for i in -400..=400 {
            let x = f64::from(i) / 40.0;
            let error = (f64::from(tanh(x as f32)) - x.tanh()).abs();
            assert!(error < 5e-7, "tanh({x}): {error:e}");
        }
    }

    #[test]
    fn slices_have_the_bits_of_single_elements() {
        let x: Vec<f32> = (-70..70_i8).map(|i| f32::from(i) * 0.11).collect();
        type Pair = (fn(&mut [f32]), fn(f32) -> f32);
        let pairs: [Pair; 4] = [
            (gelu_in_place, gelu),
            (relu_in_place, |x| x.max(0.0)),
            (sigmoid_in_place, sigmoid),
            (tanh_in_place, tanh),
        ];
        for (in_place, single) in pairs {
            let mut y = x.clone();
            in_place(&mut y);
            assert!(y.iter().zip(&x).all(|(y, &x)| y.to_bits() == single(x).to_bits()));
        }
    }

    #[test]
    fn backward_adds_to_the_gradient() {
        let mut dx = [1.0; 3];
        gelu_backward(&[0.0, 1.0, -1.0], &[2.0, 0.0, 1.0], &mut dx);
        assert_eq!(dx[0], 2.0);
        assert_eq!(dx[1], 1.0);
        assert_eq!(dx[2], 1.0 + gelu_slope(-1.0));
        let mut x = [0.0, 1.0, -1.0];
        gelu_backward_in_place(&[2.0, 0.0, 1.0], &mut x);
        assert_eq!(x, [1.0, 0.0, gelu_slope(-1.0)]);
    }
}
