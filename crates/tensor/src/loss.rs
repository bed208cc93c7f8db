//! Losses: from scores to a loss and its derivatives.
//!
//! In: scores and the values they should have. Out: the sum of losses, and its derivative by each score (its slope).
//! The caller applies weights and averages. The loss over many candidates is in `softmax.rs`.

use accrue_kernel::{logistic_loss, sigmoid, softplus};

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
        assert_eq!(hinge(1.0, &[2.0, 0.0], &[0.0, 0.0], &mut [0.0; 2], &mut [0.0; 2]), 1.0);
        let tied = pairwise_logistic(&[1.0], &[1.0], &mut [0.0], &mut [0.0]);
        assert!((tied - std::f64::consts::LN_2).abs() < 1e-6);
    }
}
