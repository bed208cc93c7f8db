//! One segment of the log: the records of a range of offsets, verified whenever they are read.
//!
//! Where its rows are is behind [`SegmentRows`].

use std::path::PathBuf;

use accrue_event::Timestamp;

use super::row;
use super::segment_store::{RawRow, SegmentRows, SegmentStore};
use crate::{Body, Offset, Record, StoreError};

/// The format of rows, filters and indexes, in every place.
pub(super) const FORMAT: u32 = 2;

/// An open segment.
pub(super) struct Segment {
    pub(super) rows: Box<dyn SegmentRows>,
    /// Its name, for messages.
    pub(super) path: PathBuf,
    /// The offset of its first record.
    pub(super) first: Offset,
}

impl Segment {
    /// Creates a segment, durable and empty, and opens it for writing.
    pub(super) fn create(store: &dyn SegmentStore, first: Offset) -> Result<Self, StoreError> {
        Ok(Self { rows: store.create(first)?, path: store.name_of(first), first })
    }

    /// Opens the segment for writing.
    pub(super) fn open(store: &dyn SegmentStore, first: Offset) -> Result<Self, StoreError> {
        Ok(Self { rows: store.open(first)?, path: store.name_of(first), first })
    }

    /// Opens the segment for reading; another connection may be writing it.
    pub(super) fn open_to_read(store: &dyn SegmentStore, first: Offset) -> Result<Self, StoreError> {
        Ok(Self { rows: store.open_to_read(first)?, path: store.name_of(first), first })
    }

    /// Offsets of the first and the last record.
    pub(super) fn bounds(&self) -> Result<Option<(Offset, Offset)>, StoreError> {
        let bounds = self.rows.bounds()?;
        match bounds {
            Some((low, _)) if low != self.first => {
                Err(self.corrupt(format!("its first record is at {low}, not at {}", self.first)))
            }
            bounds => Ok(bounds),
        }
    }

    /// Refuses the first segment of a log if the segments before it are missing although they were not pruned. Pruning leaves an entry in it.
    pub(super) fn refuse_if_segments_before_are_missing(&self) -> Result<(), StoreError> {
        if self.first == Offset(0) || self.sum_before()?.is_some() {
            return Ok(());
        }
        Err(StoreError::Gap { path: self.path.clone(), expected: Offset(0), found: self.first })
    }

    /// Passes the rows of `from..until` to `row_seen`, verified and without a gap: offset, time of arrival, body, sum.
    pub(super) fn scan(
        &self,
        from: Offset,
        until: Offset,
        mut row_seen: impl FnMut(Offset, Timestamp, &[u8], u64) -> Result<(), row::Damage>,
    ) -> Result<Offset, StoreError> {
        let mut next = from;
        self.rows.each_row(from, until, &mut |offset, received_at, blob| {
            if offset != next {
                return Err(self.corrupt(format!("offset {next} is followed by {offset}")));
            }
            row::verified(offset, received_at, blob)
                .and_then(|(body, sum)| row_seen(offset, received_at, body, sum))
                .map_err(|damage| self.bad_record(offset, damage))?;
            next = next.next();
            Ok(())
        })?;
        Ok(next)
    }

    /// Copies the rows of `from..until` into `rows`, as they are stored. The query ends before they are used,
    /// so a slow reader never prevents the writer from truncating its write-ahead log.
    pub(super) fn copy_rows(&self, from: Offset, until: Offset, rows: &mut row::Rows) -> Result<(), StoreError> {
        rows.clear();
        let mut next = from;
        self.rows.each_row(from, until, &mut |offset, received_at, blob| {
            if offset == next {
                rows.push(offset, received_at, blob);
                next = next.next();
            }
            Ok(())
        })?;
        if next != until {
            return Err(self.corrupt(format!("the record at offset {next} is missing")));
        }
        Ok(())
    }

    /// One row as it is stored.
    pub(super) fn row(&self, offset: Offset) -> Result<Option<RawRow>, StoreError> {
        self.rows.row(offset)
    }

    /// One record, verified.
    pub(super) fn record(&self, offset: Offset) -> Result<Option<Record>, StoreError> {
        let Some((offset, received_at, blob)) = self.row(offset)? else { return Ok(None) };
        row::decode(offset, received_at, &blob).map(Some).map_err(|damage| self.bad_record(offset, damage))
    }

    /// Whether the record at `offset` has this key. A tombstone has none.
    pub(super) fn has_key(&self, offset: Offset, key: row::Key<'_>) -> Result<bool, StoreError> {
        let Some((offset, received_at, blob)) = self.row(offset)? else {
            return Err(self.bad_record(offset, "it is in the index, but missing"));
        };
        row::verified(offset, received_at, &blob)
            .and_then(|(body, _)| row::key(body))
            .map(|found| found == Some(key))
            .map_err(|damage| self.bad_record(offset, damage))
    }

    /// Appends bodies from `from` on, in one durable transaction; returns the sum of their sums.
    pub(super) fn append(
        &mut self,
        from: Offset,
        received_at: Timestamp,
        bodies: &[Body],
        blob: &mut Vec<u8>,
    ) -> Result<u64, StoreError> {
        self.rows.append(from, received_at, bodies, blob)
    }

    /// Replaces records by tombstones and returns the change of the segment's checksum. The place no longer contains their bytes after
    /// [`Segment::drop_old_bytes`].
    pub(super) fn erase(&mut self, offsets: &[Offset]) -> Result<u64, StoreError> {
        self.rows.erase(offsets)
    }

    /// Removes what is left of replaced bytes.
    pub(super) fn drop_old_bytes(&self) -> Result<(), StoreError> {
        self.rows.drop_old_bytes()
    }

    /// A property of the segment.
    pub(super) fn meta(&self, key: &str) -> Result<Option<i64>, StoreError> {
        self.rows.meta(key)
    }

    /// The digest of all records before this segment, if they were pruned; 0 for the first segment ever.
    pub(super) fn chain_before(&self) -> Result<u128, StoreError> {
        let halves = (self.meta("chain_before_high")?, self.meta("chain_before_low")?);
        Ok(match halves {
            (Some(high), Some(low)) => (u128::from(high as u64) << 64) | u128::from(low as u64),
            _ => 0,
        })
    }

    /// The checksum of the record before this segment, if it was pruned.
    pub(super) fn sum_before(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.meta("sum_before")?.map(|sum| sum as u64))
    }

    /// The checksum of one record.
    pub(super) fn sum(&self, offset: Offset) -> Result<u64, StoreError> {
        let Some((offset, received_at, blob)) = self.row(offset)? else {
            return Err(self.bad_record(offset, "it is missing"));
        };
        let (_, sum) = row::verified(offset, received_at, &blob).map_err(|damage| self.bad_record(offset, damage))?;
        Ok(sum)
    }

    /// Stores the digest of all records before this segment, and the checksum of the last of them.
    pub(super) fn set_before(&mut self, chain: u128, sum: u64) -> Result<(), StoreError> {
        self.rows.set_metas(&[
            ("chain_before_high", (chain >> 64) as u64 as i64),
            ("chain_before_low", chain as u64 as i64),
            ("sum_before", sum as i64),
        ])
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), what: what.into() }
    }

    pub(super) fn bad_record(&self, offset: Offset, damage: row::Damage) -> StoreError {
        StoreError::CorruptRecord { path: self.path.clone(), offset, what: damage.into() }
    }
}
