//! Where records come from.

use std::io;
use std::sync::Arc;

use accrue_event::{Family, Sales, UnknownStates};

use super::entry::Batch;

/// Something that has records, one after the other: rows of a table, objects on lines.
///
/// A source reads and maps its records. [`Reader`](crate::Reader) makes batches of them and gives ids to events that have none.
pub trait Source: Send {
    /// Appends the next record, with the number of its line or row, from 1; several if a record holds several, none for a
    /// blank line. `false` at the end.
    ///
    /// # Errors
    /// If the source breaks off.
    fn next(&mut self, batch: &mut Batch) -> io::Result<bool>;

    /// Lines or rows read so far.
    fn n_read(&self) -> u64;

    /// What was recognised since the last call and should be said, such as `windows-1252`.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// What became of the prices of sales so far.
    fn sales(&self) -> Sales {
        Sales::default()
    }

    /// The states of orders so far that are not known.
    fn unknown_states(&self) -> Vec<UnknownStates> {
        Vec::new()
    }

    /// Has the following records completed by what others of the file say of them.
    fn set_family(&mut self, _: Arc<Family>) {}
}
