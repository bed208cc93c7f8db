//! Why settings cannot be used, with the place of the fault.

use std::path::PathBuf;

use accrue_event::{Mismatch, SettingFault, nearest};

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// An unknown key.
    #[error("{place}: there is no key `{key}`{}", there_is(key, known))]
    Unknown {
        /// File and line, variable or flag.
        place: String,
        /// The key, without the tables that hold it.
        key: String,
        /// The keys of the same table.
        known: Vec<&'static str>,
    },
    /// A variable that names no key and is almost the one of a key.
    #[error("{variable}: no key has this variable; did you mean `{key}` ({near})?")]
    NearMiss {
        /// The variable.
        variable: String,
        /// The key that was probably meant.
        key: String,
        /// Its variable.
        near: String,
    },
    /// A key that another one has replaced.
    #[error("{place}: there is no key `{key}` any more; write `{new}`")]
    Moved {
        /// File and line, variable or flag.
        place: String,
        /// The old key.
        key: String,
        /// The new key.
        new: &'static str,
    },
    /// A key inside a value that is not a table.
    #[error("{place}: `{key}` is not a section")]
    NotASection {
        /// Variable or flag.
        place: String,
        /// The key that would have to be a table.
        key: String,
    },
    /// A value of the wrong kind.
    #[error("{place}: {mismatch}")]
    Kind {
        /// File and line, variable or flag.
        place: String,
        /// The key and the fault.
        mismatch: Mismatch,
    },
    /// A text that is not TOML.
    #[error("{place}: {}", error.message())]
    Syntax {
        /// File and line.
        place: String,
        /// The fault.
        error: toml::de::Error,
    },
    /// A value that is not accepted.
    #[error("{place}: {fault}")]
    Setting {
        /// File, variable or flag.
        place: String,
        /// The key, its value and what is accepted.
        fault: SettingFault,
    },
}

/// What there is instead of an unknown key.
fn there_is(key: &str, known: &[&'static str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}
