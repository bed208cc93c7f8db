//! What the log needs of the place where its segments are, and the places that there are.
//!
//! The log's own form is a folder of files ([`super::embedded`]). Another place is a file that implements [`SegmentStore`] and
//! [`SegmentRows`], and a line of [`BACKENDS`](super::place). Rows, filters and indexes have the same bytes in every place, so that
//! digests and checkpoints do not depend on it. What the bytes mean is decided in [`super::segment`]; a place only keeps them.

use std::fs::File;
use std::path::PathBuf;

use accrue_event::Timestamp;

use super::row;
use crate::{Body, Offset, StoreError};

/// A row as it is stored: offset, time of arrival, blob.
pub(super) type RawRow = (Offset, Timestamp, Vec<u8>);
/// A bucket of an index: its number and its bytes.
pub(super) type Bucket = (u64, Vec<u8>);
/// What is called with each row that is read.
pub(super) type RowSeen<'a> = dyn FnMut(Offset, Timestamp, &[u8]) -> Result<(), StoreError> + 'a;

/// The segments of one log.
pub(super) trait SegmentStore: Send + Sync {
    /// The same segments through connections of its own, for another thread.
    fn another(&self) -> Box<dyn SegmentStore>;

    /// The name of the place, for messages.
    fn name(&self) -> PathBuf;

    /// The name of a segment, for messages.
    fn name_of(&self, first: Offset) -> PathBuf;

    /// Makes this process the only one that writes, until the file is closed and this store is dropped.
    fn lock(&self) -> Result<File, StoreError>;

    /// The first offsets of the segments, ascending.
    fn list(&self) -> Result<Vec<Offset>, StoreError>;

    /// Whether there is a segment that begins at `first`. One that cannot be looked for counts as there.
    fn has(&self, first: Offset) -> bool;

    /// Creates a segment, durable and empty, and opens it for writing.
    fn create(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError>;

    /// Opens a segment for writing.
    fn open(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError>;

    /// Opens a segment for reading; another connection may be writing it.
    fn open_to_read(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError>;

    /// Removes a segment with everything that belongs to it. It is the oldest one.
    fn remove(&self, first: Offset) -> Result<(), StoreError>;

    /// Finds out, after a write that failed, whether writing can succeed again; what a lost connection left open is decided afterwards.
    fn prepare_to_reopen(&self) -> Result<(), StoreError>;

    /// Says whether the whole log is there: while one is copied into the place, nothing else can open it.
    fn set_complete(&self, _is_complete: bool) -> Result<(), StoreError> {
        Ok(())
    }

    /// Says where the first segment of an empty place will begin.
    fn begin_at(&self, _first: Offset) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The rows of one open segment.
pub(super) trait SegmentRows: Send {
    /// Appends bodies from `from` on, in one durable transaction; returns the sum of their sums. `blob` is memory to use again.
    fn append(
        &mut self,
        from: Offset,
        received_at: Timestamp,
        bodies: &[Body],
        blob: &mut Vec<u8>,
    ) -> Result<u64, StoreError>;

    /// Appends rows as they are stored elsewhere, in one durable transaction.
    fn append_rows(&mut self, rows: &row::Rows) -> Result<(), StoreError>;

    /// Prepares for `n_records`, for speed only.
    fn reserve(&self, _n_records: u64) {}

    /// From now on another thread uses it, beside the one that has used it.
    fn move_apart(&mut self) {}

    /// Offsets of the first and the last record.
    fn bounds(&self) -> Result<Option<(Offset, Offset)>, StoreError>;

    /// Passes the rows of `from..until` to `seen`, in order, up to its first error.
    fn each_row(&self, from: Offset, until: Offset, seen: &mut RowSeen<'_>) -> Result<(), StoreError>;

    /// One row.
    fn row(&self, offset: Offset) -> Result<Option<RawRow>, StoreError>;

    /// Replaces records by tombstones, with the checksum of the seal if there is one, and returns the change of the segment's
    /// checksum.
    fn erase(&mut self, offsets: &[Offset]) -> Result<u64, StoreError>;

    /// Removes what is left of replaced bytes, as far as the place can.
    fn drop_old_bytes(&self) -> Result<(), StoreError>;

    /// A property of the segment.
    fn meta(&self, key: &str) -> Result<Option<i64>, StoreError>;

    /// Writes properties in one transaction.
    fn set_metas(&mut self, metas: &[(&str, i64)]) -> Result<(), StoreError>;

    /// Writes the index and the properties that belong to it. The properties are seen after all of it.
    fn write_index(
        &mut self,
        filter: &[u8],
        buckets: &mut dyn Iterator<Item = Bucket>,
        metas: &[(&str, i64)],
    ) -> Result<(), StoreError>;

    /// The bytes of the filter.
    fn filter(&self) -> Result<Vec<u8>, StoreError>;

    /// The bytes of a bucket of the index.
    fn bucket(&self, bucket: u64) -> Result<Vec<u8>, StoreError>;

    /// How much room it takes, about.
    fn size_bytes(&self) -> Result<u64, StoreError>;

    /// The connection of a file, which tests change.
    #[cfg(test)]
    fn sqlite(&self) -> &rusqlite::Connection {
        unreachable!("only files have one")
    }
}
