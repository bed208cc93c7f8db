//! Files of events, products and customers, read as a shop has them: CSV, TSV, NDJSON and Parquet, plain or compressed.
//!
//! In: files or standard input, and a mapping. Out: [`Batch`]es of raw records for the engine. What cannot be read as a
//! record (a line that is no UTF-8, has too few columns, is no JSON) comes out as [`Entry::Unreadable`] with its line, and
//! reading goes on; only a file that breaks off or a header that does not fit ends it. Nothing is judged here.

mod format;
mod input;
mod lines;
mod objects;
#[cfg(feature = "parquet")]
mod parquet;
mod quoted;
mod reader;
mod rows;
#[cfg(test)]
mod tests;

use accrue_event::{MappingError, RawEvent, RawItem, RawUser, Refusal};

pub use format::{Format, Quotes};
pub use input::Progress;
pub use reader::{ReadSettings, Reader};

/// Longest line that is read; a longer one is refused, since no check would let it in.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// One record of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An event, and what the line tells of its item.
    Event(RawEvent, Option<Box<RawItem>>),
    /// A product.
    Item(RawItem),
    /// A customer.
    User(RawUser),
    /// A line that is no record, or that a rule of the mapping refuses: it goes into quarantine as it is.
    Unreadable(Refusal),
}

/// Records in the order of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The records.
    pub entries: Vec<Entry>,
    /// The line (or row of a Parquet file) that each stands on, from 1.
    pub lines: Vec<u64>,
}

impl Batch {
    /// Room for so many records.
    pub fn with_capacity(n: usize) -> Self {
        Self { entries: Vec::with_capacity(n), lines: Vec::with_capacity(n) }
    }

    fn push(&mut self, line: u64, entry: Entry) {
        self.entries.push(entry);
        self.lines.push(line);
    }
}

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
}
