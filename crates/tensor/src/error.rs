//! The errors of weight files and training steps.

use std::path::PathBuf;

/// Why weights were not read or written, or a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    /// A loss or a gradient is not finite.
    #[error("step {step}: the {what} is not finite; lower the learning rate or clip gradients")]
    NotFinite {
        /// The loss or the gradient.
        what: &'static str,
        /// Number of steps taken before.
        step: u64,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not in the safetensors format.
    #[error("{path}: not a safetensors file: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The error of the format's reader.
        source: safetensors::SafeTensorError,
    },
    /// The file does not contain a weight.
    #[error("{path}: no weight `{name}`; the file has {}", found.join(", "))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The weight.
        name: String,
        /// The names that the file contains, sorted.
        found: Vec<String>,
    },
    /// A weight has another shape or type than in the model.
    #[error("{path}: weight `{name}` is {found}, expected F32 {expected:?}")]
    Misshapen {
        /// The file.
        path: PathBuf,
        /// The weight.
        name: String,
        /// Type and shape in the file.
        found: String,
        /// Shape in the model.
        expected: [usize; 2],
    },
    /// A weight contains a number that is not finite.
    #[error("{path}: weight `{name}` contains a number that is not finite, at index {index}")]
    NotFiniteWeight {
        /// The file.
        path: PathBuf,
        /// The weight.
        name: String,
        /// The index of the first such number, counted row by row.
        index: usize,
    },
}
