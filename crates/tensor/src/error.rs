//! What can go wrong with weights and training.

use std::path::PathBuf;

/// Why weights were not read or a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    /// A loss or a gradient is no finite number.
    #[error("step {step}: the {what} is no finite number; lower the learning rate or clip gradients")]
    NotFinite {
        /// Loss or gradient.
        what: &'static str,
        /// Steps taken before.
        step: u64,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not in the safetensors format.
    #[error("{path}: not a safetensors file: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the format's reader says.
        reason: String,
    },
    /// A weight is not in the file.
    #[error("{path}: no weight `{name}`; the file has {found}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The weight.
        name: String,
        /// Names that are there.
        found: String,
    },
    /// A weight has another shape or type than the model.
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
    /// A weight holds a number that is not finite.
    #[error("{path}: weight `{name}` holds a number that is not finite, at {index}")]
    NotFiniteWeight {
        /// The file.
        path: PathBuf,
        /// The weight.
        name: String,
        /// The first such place, counted along the rows.
        index: usize,
    },
}
