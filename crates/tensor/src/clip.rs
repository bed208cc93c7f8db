//! The norm of gradients: whether they are finite, and how far to shorten them.

use crate::TensorError;
use accrue_kernel::squared_norm;

/// Numbers summed in f32 before they enter the f64 total.
const RUN: usize = 4096;

/// The square of the Euclidean norm of a gradient, summed in a fixed order.
///
/// # Errors
/// [`TensorError::NotFinite`] if it is no finite number; then no step may be taken.
pub fn finite_norm(step: u64, parts: &[&[f32]]) -> Result<f64, TensorError> {
    let sum: f64 = parts.iter().flat_map(|part| part.chunks(RUN)).map(|run| f64::from(squared_norm(run))).sum();
    if sum.is_finite() { Ok(sum.sqrt()) } else { Err(TensorError::NotFinite { what: "gradient", step }) }
}

/// The factor that shortens a gradient to `limit` if it is longer; 0 as a limit is none.
/// Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks* (2013).
pub fn scale_to_norm(norm: f64, limit: f64) -> f32 {
    if limit > 0.0 && norm > limit { (limit / norm) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_gradients_are_shortened_and_broken_ones_refused() {
        let norm = finite_norm(0, &[&[3.0; 1], &[4.0; 1]]).unwrap();
        assert_eq!(norm, 5.0);
        assert_eq!(scale_to_norm(norm, 1.0), 0.2);
        assert_eq!(scale_to_norm(norm, 10.0), 1.0);
        assert_eq!(scale_to_norm(norm, 0.0), 1.0);
        let error = finite_norm(7, &[&[f32::NAN]]).unwrap_err().to_string();
        assert!(error.contains("step 7") && error.contains("gradient"), "{error}");
    }
}
