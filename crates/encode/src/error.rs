//! The errors of encoders: which file, and what was expected in it.

use std::path::PathBuf;

/// Why a picture cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureFault {
    /// The path is that of a folder, a pipe or a device.
    #[error("no file; expected JPEG, PNG or WebP")]
    NoFile,
    /// The path of a folder is that of a file.
    #[error("a file; expected a folder of pictures")]
    NoFolder,
    /// The network computed numbers that are not finite, or only zeros.
    #[error("the encoder's weights give no usable vector for it; the encoder's folder is damaged")]
    NoVector,
    /// The file has no byte.
    #[error("the file is empty; expected JPEG, PNG or WebP")]
    Empty,
    /// The file has more bytes than this.
    #[error("the file has more than {0} bytes, which is the limit")]
    TooLong(u64),
    /// The bytes are not those of a picture.
    #[error("not a picture; expected JPEG, PNG or WebP")]
    NoPicture,
    /// A picture in a format that is not read.
    #[error("a picture in the format {0}; expected JPEG, PNG or WebP")]
    Format(String),
    /// A picture with several frames.
    #[error("an animated picture; expected one with a single frame")]
    Animated,
    /// A decoder would need more than it may.
    #[error("too large; at most {pixels} pixels, {side} a side, are read")]
    TooLarge {
        /// The most pixels.
        pixels: u64,
        /// The most columns, and the most rows.
        side: u32,
    },
    /// More pixels than are read.
    #[error("{width} × {height} pixels; at most {most} are read")]
    TooManyPixels {
        /// Its columns.
        width: u32,
        /// Its rows.
        height: u32,
        /// The most pixels.
        most: u64,
    },
    /// No column or no row.
    #[error("a picture without pixels")]
    NoPixels,
    /// The decoder cannot read on, for this reason.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Why an encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not JSON, or not of the form expected.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The fault, with its line.
        source: serde_json::Error,
    },
    /// A value of a configuration that this build cannot follow.
    #[error("{}: {key} is {found}, expected {expected}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What this build supports.
        expected: String,
    },
    /// A file of weights is not in the safetensors format.
    #[error("{}: not a safetensors file: {fault}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: String,
    },
    /// A tensor is missing.
    #[error("{}: no tensor `{name}`; the file has {}", path.display(), first_of(found))]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The names in the file, sorted.
        found: Vec<String>,
    },
    /// A tensor has another shape or type than `config.json` says.
    #[error("{}: tensor `{name}` is {found}, expected F32, F16 or BF16 {expected:?}", path.display())]
    Misshapen {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type and shape.
        found: String,
        /// The shape that `config.json` asks for.
        expected: Vec<usize>,
    },
    /// A tensor contains a number that is not finite.
    #[error("{}: tensor `{name}` contains a number that is not finite, at index {index}", path.display())]
    NotFiniteWeight {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The index of the first one, counted row by row.
        index: usize,
    },
    /// The tokenizer cannot be used.
    #[error("{}: {fault}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The fault.
        fault: String,
    },
    /// The tokenizer has tokens for which the network has no row.
    #[error(
        "{}: token `{token}` has id {id}, but the network has embeddings for ids below {rows}; \
         tokenizer.json and model.safetensors belong to different models", path.display()
    )]
    Vocabulary {
        /// The tokenizer's file.
        path: PathBuf,
        /// The token with the largest id.
        token: String,
        /// Its id.
        id: u32,
        /// Rows of the network's table of words.
        rows: usize,
    },
    /// A picture cannot be read or used.
    #[error("{}: {fault}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        fault: PictureFault,
    },
    /// The network computed numbers that are not finite, or only zeros.
    #[error("the encoder's weights give no usable vector for a text of {tokens} tokens; the folder is damaged")]
    NoVector {
        /// The text's tokens.
        tokens: usize,
    },
    /// The numbers of a training are no longer finite.
    #[error("step {step} of the training has numbers that are not finite; a smaller rate may help")]
    NotFiniteStep {
        /// The step, from 1.
        step: u64,
    },
    /// The state of a training is of another one.
    #[error("{}: the state of a training with another encoder, other pairs or other settings", path.display())]
    OtherPlan {
        /// The file.
        path: PathBuf,
    },
    /// The tokenizer failed on a text.
    #[error("a text cannot be divided into tokens: {0}")]
    Text(String),
}

/// At most eight names, and how many more there are.
fn first_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".into(),
        n if n > SHOWN => format!("{shown} and {} more", n - SHOWN),
        _ => shown,
    }
}
