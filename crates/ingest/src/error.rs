//! Why a file cannot be read.

use accrue_event::MappingError;

/// Why a file cannot be read, or no further.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened.
    #[error("{name}: cannot be opened: {source}")]
    Open {
        /// The file.
        name: String,
        /// The system's own words.
        source: std::io::Error,
    },
    /// It breaks off, or its compression is damaged.
    #[error("{name}: damaged or cut short after line {line}: {source}")]
    Broken {
        /// The file.
        name: String,
        /// The last whole line that was read.
        line: u64,
        /// What the system or the decompressor says.
        source: std::io::Error,
    },
    /// It is not what its name says, or nothing that can be read.
    #[error("{name}: {what}")]
    Format {
        /// The file.
        name: String,
        /// What it is instead.
        what: String,
    },
    /// The mapping does not fit the file.
    #[error("{name}: the mapping does not fit: {source}")]
    Mapping {
        /// The file.
        name: String,
        /// What does not fit.
        source: MappingError,
    },
    /// Nothing in the header says what every event needs.
    #[error("{name}: no column for {missing}; the header has: {header}")]
    Columns {
        /// The file.
        name: String,
        /// The fields that nothing fills.
        missing: &'static str,
        /// The columns that there are.
        header: String,
    },
    /// Nothing in the header says when the events happened.
    #[error(
        "{name}: no column for the time of the events (`at`); the header has: {header}{}",
        if likely.is_empty() { String::new() } else { format!("; perhaps it is {likely}") }
    )]
    NoTime {
        /// The file.
        name: String,
        /// The columns that there are.
        header: String,
        /// The columns that look like times.
        likely: String,
    },
}
