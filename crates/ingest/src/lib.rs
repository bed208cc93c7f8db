//! Files of events, products and customers, read as a shop has them: CSV, TSV, NDJSON, XML and Parquet, plain or compressed;
//! and, in [`remote`], tables of other servers.
//!
//! In: files or standard input, and a mapping. Out: [`Batch`]es of raw records, or a [`Sample`] to write a mapping from. Line
//! ends, delimiter, encoding, decimal sign and the usual names of columns are recognised, and [`Reader::take_notes`] says what was. What cannot be read as a
//! record (a line that is no UTF-8, has too few columns, is no JSON) comes out as [`Entry::Unreadable`] with its line, and
//! reading goes on; only a file that breaks off or a header that does not fit ends it. Nothing is judged here.

mod dialect;
mod element;
mod encoding;
#[cfg(test)]
mod encoding_tests;
mod entry;
mod error;
mod format;
mod input;
mod latin;
mod legacy;
mod lines;
mod objects;
#[cfg(feature = "parquet")]
mod parquet;
mod quoted;
mod reader;
pub mod remote;
mod rows;
mod sample;
mod single_quotes;
mod snowplow;
mod source;
#[cfg(test)]
mod tests;
mod values;
mod xml;
#[cfg(test)]
mod xml_tests;

pub use entry::{Batch, Entry, MAX_LINE_BYTES, taken_back};
pub use error::ReadError;
pub use format::{Format, Quotes};
pub use input::Progress;
pub use reader::{ReadSettings, Reader};
pub use sample::Sample;
pub use source::Source;
