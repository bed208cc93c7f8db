//! Where records come from.

use std::io;

use super::entry::Entry;

/// Something that has records, one after the other: rows of a table, objects on lines.
///
/// A source reads and maps its records. [`Reader`](crate::Reader) makes batches of them and gives ids to events that have none.
pub trait Source: Send {
    /// The next record, with the number of its line or row, from 1; `None` at the end.
    ///
    /// # Errors
    /// If the source breaks off.
    fn next(&mut self) -> io::Result<Option<(u64, Entry)>>;

    /// Lines or rows read so far.
    fn n_read(&self) -> u64;
}
