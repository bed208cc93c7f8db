//! One step of an optimizer over consecutive parameters that share a step number.
//!
//! In: parameters, their gradients and the optimizer's state, all `[n]`. Out: the changed parameters and state. Slices
//! of different lengths cause a panic. The caller decides which rows are updated, and when.

use crate::instruction_set::{Supported, compiled_for_each_set};

/// The numbers of one Adam step that all its parameters share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Step size, including the correction of both moments for their start at 0.
    pub rate: f32,
    /// Decay of the mean of gradients.
    pub beta_1: f32,
    /// Decay of the mean of squared gradients.
    pub beta_2: f32,
    /// Added to the square root; scaled by the correction of the second moment.
    pub epsilon: f32,
    /// Factor that a parameter is multiplied by before the step: 1 without weight decay (Loshchilov and Hutter, AdamW).
    pub keep: f32,
    /// Factor that every gradient is multiplied by first; less than 1 where gradients are clipped.
    pub gradient_scale: f32,
}

/// Moments below this are set to 0: they have no measurable effect, and denormal numbers would double the time of a
/// step.
const SMALLEST_MOMENT: f32 = 1e-30;

/// `m = β₁ m + (1 - β₁) g`, `v = β₂ v + (1 - β₂) g²`, `x = keep · x - rate · m / (√v + ε)`.
/// Kingma and Ba, *Adam* (2015).
///
/// # Panics
/// If the lengths differ.
pub fn adam(step: &AdamStep, g: &[f32], x: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    adam_on(Supported::best(), step, g, x, m, v);
}

/// `s = s + g²`, `x = x - rate · g / (√s + ε)`. Duchi, Hazan and Singer, *Adaptive subgradient methods* (2011).
///
/// # Panics
/// If the lengths differ.
pub fn adagrad(rate: f32, epsilon: f32, g: &[f32], x: &mut [f32], s: &mut [f32]) {
    adagrad_on(Supported::best(), rate, epsilon, g, x, s);
}

/// `m = μ m + g`, `x = x - rate · m`; with μ = 0 this is plain gradient descent.
///
/// # Panics
/// If the lengths differ.
pub fn momentum(rate: f32, mu: f32, g: &[f32], x: &mut [f32], m: &mut [f32]) {
    momentum_on(Supported::best(), rate, mu, g, x, m);
}

compiled_for_each_set! {
    fn adam_on(step: &AdamStep, g: &[f32], x: &mut [f32], m: &mut [f32], v: &mut [f32]) = adam_elements
}
compiled_for_each_set! {
    fn adagrad_on(rate: f32, epsilon: f32, g: &[f32], x: &mut [f32], s: &mut [f32]) = adagrad_elements
}
compiled_for_each_set! {
    fn momentum_on(rate: f32, mu: f32, g: &[f32], x: &mut [f32], m: &mut [f32]) = momentum_elements
}

#[inline(always)]
fn adam_elements(step: &AdamStep, g: &[f32], x: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let n = x.len();
    assert!(g.len() == n && m.len() == n && v.len() == n, "adam: lengths differ");
    let AdamStep { rate, beta_1, beta_2, epsilon, keep, gradient_scale } = *step;
    for (((x, &g), m), v) in x.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * gradient_scale;
        let mean = beta_1 * *m + (1.0 - beta_1) * g;
        let square = beta_2 * *v + (1.0 - beta_2) * (g * g);
        *m = if mean.abs() < SMALLEST_MOMENT { 0.0 } else { mean };
        *v = if square < SMALLEST_MOMENT { 0.0 } else { square };
        *x = keep * *x - rate * *m / (v.sqrt() + epsilon);
    }
}

#[inline(always)]
fn adagrad_elements(rate: f32, epsilon: f32, g: &[f32], x: &mut [f32], s: &mut [f32]) {
    assert!(g.len() == x.len() && s.len() == x.len(), "adagrad: lengths differ");
    for ((x, &g), s) in x.iter_mut().zip(g).zip(s) {
        *s += g * g;
        *x -= rate * g / (s.sqrt() + epsilon);
    }
}

#[inline(always)]
fn momentum_elements(rate: f32, mu: f32, g: &[f32], x: &mut [f32], m: &mut [f32]) {
    assert!(g.len() == x.len() && m.len() == x.len(), "momentum: lengths differ");
    for ((x, &g), m) in x.iter_mut().zip(g).zip(m) {
        *m = mu * *m + g;
        *x -= rate * *m;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draws, InstructionSet};

    const STEP: AdamStep =
        AdamStep { rate: 0.1, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, keep: 1.0, gradient_scale: 1.0 };

    #[test]
    fn every_set_has_the_same_bits() {
        let mut draws = Draws::new(1, 0, 0);
        let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| draws.normal()).collect() };
        let (g, x, m, v) = (normal(67), normal(67), normal(67), vec![0.5; 67]);
        let run = |set: InstructionSet| {
            let supported = Supported::check(set);
            let (mut x, mut m, mut v) = (x.clone(), m.clone(), v.clone());
            adam_on(supported, &STEP, &g, &mut x, &mut m, &mut v);
            adagrad_on(supported, 0.1, 1e-8, &g, &mut x, &mut v);
            momentum_on(supported, 0.1, 0.9, &g, &mut x, &mut m);
            [x, m, v].concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let expected = run(InstructionSet::Scalar);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert_eq!(run(set), expected, "{}", set.name());
        }
    }

    #[test]
    fn first_steps_match_the_papers() {
        let (mut x, mut m, mut v) = ([1.0], [0.0], [0.0]);
        // The first bias-corrected step of Adam has the length of the rate and the direction of the gradient.
        let corrected = AdamStep { rate: 0.1 * (0.001_f32).sqrt() / 0.1, epsilon: 0.0, ..STEP };
        adam(&corrected, &[3.0], &mut x, &mut m, &mut v);
        assert!((x[0] - 0.9).abs() < 1e-5, "{}", x[0]);
        let (mut x, mut s) = ([1.0], [0.0]);
        adagrad(0.1, 0.0, &[3.0], &mut x, &mut s);
        assert_eq!((x, s), ([0.9], [9.0]));
        let (mut x, mut m) = ([1.0], [1.0]);
        momentum(0.5, 0.5, &[1.0], &mut x, &mut m);
        assert_eq!((x, m), ([0.25], [1.5]));
    }

    #[test]
    fn moments_never_become_denormal() {
        let (mut x, mut m, mut v) = ([1.0], [1e-30], [1e-30]);
        adam(&STEP, &[0.0], &mut x, &mut m, &mut v);
        assert_eq!((m, v), ([0.0], [0.0]));
    }
}
