//! The norm of a gradient: checks that it is finite, and how much to shorten the gradient.

use crate::TensorError;
use accrue_kernel::squared_norm;

/// Numbers that are summed in f32 before they are added to the f64 total.
const RUN: usize = 4096;

/// The Euclidean norm of a gradient, summed in a fixed order.
///
/// # Errors
/// [`TensorError::NotFinite`] if the gradient is not finite; no step may be taken then.
pub fn finite_norm(step: u64, parts: &[&[f32]]) -> Result<f64, TensorError> {
    let sum: f64 = parts.iter().flat_map(|part| part.chunks(RUN)).map(|run| f64::from(squared_norm(run))).sum();
    if sum.is_finite() { Ok(sum.sqrt()) } else { Err(TensorError::NotFinite { what: "gradient", step }) }
}

/// The factor that shortens a gradient to `limit` if it is longer. A limit of 0 means no limit.
/// Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks* (2013).
pub fn scale_to_norm(norm: f64, limit: f64) -> f32 {
    if limit > 0.0 && norm > limit { (limit / norm) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gradients_are_shortened_and_infinite_ones_refused() {
        let norm = finite_norm(0, &[&[3.0; 1], &[4.0; 1]]).unwrap();
        assert_eq!(norm, 5.0);
        assert_eq!(scale_to_norm(norm, 1.0), 0.2);
        assert_eq!(scale_to_norm(norm, 10.0), 1.0);
        assert_eq!(scale_to_norm(norm, 0.0), 1.0);
        let error = finite_norm(7, &[&[f32::NAN]]).unwrap_err().to_string();
        assert!(error.contains("step 7") && error.contains("gradient"), "{error}");
    }
}
