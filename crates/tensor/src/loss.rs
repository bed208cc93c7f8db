//! Losses: from scores to a loss and its derivatives.
//!
//! In: scores and the values they should have. Out: the sum of losses, and its derivative by each score (its slope).
//! The caller applies weights and averages. The loss over many candidates is in `softmax.rs`.

use accrue_kernel::{logistic_loss, sigmoid, softmax_row, softplus};

/// A loss on single scores or on pairs of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// [`binary_cross_entropy`]: each score on its own.
    BinaryCrossEntropy,
    /// [`pairwise_logistic`]: the chosen item's score above the other's, as in BPR.
    Pairwise,
    /// [`hinge`]: the chosen item's score above the other's by a margin.
    Hinge {
        /// The required difference of scores.
        margin: f32,
    },
}

/// `softplus(x) - label · x`. `x, labels: [n] → Σ loss, slopes: [n]`. A label is a probability.
///
/// ```
/// let mut slopes = [0.0];
/// let loss = accrue_tensor::binary_cross_entropy(&[0.0], &[1.0], &mut slopes);
/// assert!((loss - 0.693_147).abs() < 1e-5 && slopes == [-0.5]);
/// ```
pub fn binary_cross_entropy(x: &[f32], labels: &[f32], slopes: &mut [f32]) -> f64 {
    logistic_loss(x, labels, slopes)
}

/// Cross-entropy of a softmax over each row: `log Σ exp(x) - x[target]`.
/// `x: [n, m], targets: [n] → Σ loss, slopes: [n, m]`.
///
/// # Panics
/// If a target is not below `m` or the lengths do not match.
pub fn cross_entropy(x: &[f32], targets: &[usize], slopes: &mut [f32]) -> f64 {
    assert!(x.len() == slopes.len() && x.len().is_multiple_of(targets.len().max(1)), "cross_entropy: lengths");
    let m = x.len() / targets.len().max(1);
    let mut total = 0.0;
    for ((x, slopes), &target) in x.chunks_exact(m.max(1)).zip(slopes.chunks_exact_mut(m.max(1))).zip(targets) {
        slopes.copy_from_slice(x);
        let log_sum = softmax_row(1.0, slopes);
        total += f64::from(log_sum - x[target]);
        slopes[target] -= 1.0;
    }
    total
}

/// `softplus(other - chosen)`: Rendle et al., *BPR: Bayesian personalized ranking from implicit feedback* (2009).
/// `chosen, other: [n] → Σ loss`, slopes by both.
pub fn pairwise_logistic(chosen: &[f32], other: &[f32], chosen_slopes: &mut [f32], other_slopes: &mut [f32]) -> f64 {
    pairs(chosen, other, chosen_slopes, other_slopes, |lead| (f64::from(softplus(-lead)), sigmoid(-lead)))
}

/// `max(0, margin - (chosen - other))`. `chosen, other: [n] → Σ loss`, slopes by both.
pub fn hinge(margin: f32, chosen: &[f32], other: &[f32], chosen_slopes: &mut [f32], other_slopes: &mut [f32]) -> f64 {
    let of_lead = |lead| if lead < margin { (f64::from(margin - lead), 1.0) } else { (0.0, 0.0) };
    pairs(chosen, other, chosen_slopes, other_slopes, of_lead)
}

/// Huber's loss: `½ e²` up to `delta`, then `delta · (|e| - ½ delta)`, so that no slope exceeds `delta`.
/// `x, y: [n] → Σ loss, slopes: [n]`. Huber, *Robust estimation of a location parameter* (1964).
pub fn huber(delta: f32, x: &[f32], y: &[f32], slopes: &mut [f32]) -> f64 {
    let mut total = 0.0;
    for ((&x, &y), slope) in x.iter().zip(y).zip(slopes) {
        let error = x - y;
        *slope = error.clamp(-delta, delta);
        let size = error.abs();
        total += f64::from(if size <= delta { 0.5 * error * error } else { delta * (size - 0.5 * delta) });
    }
    total
}

/// `of_lead` maps the difference of a pair's scores to the loss and the size of its slope.
fn pairs(
    chosen: &[f32],
    other: &[f32],
    chosen_slopes: &mut [f32],
    other_slopes: &mut [f32],
    of_lead: impl Fn(f32) -> (f64, f32),
) -> f64 {
    let n = chosen.len();
    assert!(other.len() == n && chosen_slopes.len() == n && other_slopes.len() == n, "pairs: lengths differ");
    let mut total = 0.0;
    for i in 0..n {
        let (loss, pull) = of_lead(chosen[i] - other[i]);
        (chosen_slopes[i], other_slopes[i]) = (-pull, pull);
        total += loss;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares slopes with finite differences of the loss at four scores.
    fn check(what: &str, loss: impl Fn(&[f32; 4], &mut [f32; 4]) -> f64) {
        let x = [0.3, -1.2, 2.1, 0.05];
        let mut slopes = [0.0; 4];
        loss(&x, &mut slopes);
        for i in 0..4 {
            let at = |step: f32| {
                let mut moved = x;
                moved[i] += step;
                loss(&moved, &mut [0.0; 4])
            };
            let difference = (at(0.01) - at(-0.01)) / 0.02;
            assert!((difference - f64::from(slopes[i])).abs() < 1e-3, "{what} {i}: {difference} {}", slopes[i]);
        }
    }

    #[test]
    fn slopes_equal_finite_differences_of_the_loss() {
        check("bce", |x, slopes| binary_cross_entropy(x, &[1.0, 0.0, 0.3, 1.0], slopes));
        check("cross entropy", |x, slopes| cross_entropy(x, &[1, 0], slopes));
        check("huber", |x, slopes| huber(0.5, x, &[0.0, 0.0, 2.0, 1.0], slopes));
        check("pairwise", |x, slopes| {
            let (chosen, other) = slopes.split_at_mut(2);
            pairwise_logistic(&x[..2], &x[2..], chosen, other)
        });
        check("hinge", |x, slopes| {
            let (chosen, other) = slopes.split_at_mut(2);
            hinge(0.5, &x[..2], &x[2..], chosen, other)
        });
    }

    #[test]
    fn losses_have_known_values() {
        assert!((cross_entropy(&[0.0; 4], &[2], &mut [0.0; 4]) - 4.0_f64.ln()).abs() < 1e-6);
        assert_eq!(huber(1.0, &[3.0, 0.5], &[0.0, 0.0], &mut [0.0; 2]), 2.5 + 0.125);
        assert_eq!(hinge(1.0, &[2.0, 0.0], &[0.0, 0.0], &mut [0.0; 2], &mut [0.0; 2]), 1.0);
        let tied = pairwise_logistic(&[1.0], &[1.0], &mut [0.0], &mut [0.0]);
        assert!((tied - std::f64::consts::LN_2).abs() < 1e-6);
    }
}
