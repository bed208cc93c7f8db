//! Retention: listing full segments, and removing the oldest ones or only the served answers in them.
//!
//! A running server prunes in three steps, so that writes never wait for the disk. Any thread writes the digest of the records that are
//! to be removed into the first segment that stays ([`LogReader::note_digests`]); the writer's thread removes the segments from the log
//! ([`Log::detach`]); any thread deletes their files ([`Detached::remove`]). After a crash between two steps the log is complete, with or
//! without the oldest segments: they are deleted from the oldest on, and each segment after them has the digest of all records before it.

use accrue_event::Timestamp;

use super::reader::LogReader;
use super::segment::Segment;
use super::segment_store::SegmentStore;
use super::{Log, Sealed};
use crate::{Body, Offset, StoreError};

/// Number of records read at once.
const CHUNK: usize = 4_096;

/// A segment that is no longer written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullSegment {
    /// Its first record.
    pub first: Offset,
    /// The record after its last one.
    pub end: Offset,
    /// When the first record arrived.
    pub from: Timestamp,
    /// When the last record arrived. No earlier record arrived later.
    pub to: Timestamp,
    /// Size of its file.
    pub size_bytes: u64,
}

/// Segments that were removed from a log and whose files still exist.
pub struct Detached {
    store: Box<dyn SegmentStore>,
    sealed: Vec<Sealed>,
}

impl Detached {
    /// Deletes them, the oldest first.
    ///
    /// # Errors
    /// If the place cannot be written. Remaining segments belong to the log again when it is next opened.
    pub fn remove(self) -> Result<(), StoreError> {
        for sealed in self.sealed {
            let first = sealed.segment.first;
            drop(sealed);
            self.store.remove(first)?;
        }
        Ok(())
    }
}

impl LogReader {
    /// First offsets of all segments, ascending; never empty.
    pub fn segment_starts(&self) -> Vec<Offset> {
        self.extent.firsts.read().clone()
    }

    /// The first offset of the segment that is being written.
    pub fn last_segment(&self) -> Offset {
        self.extent.firsts.read().last().copied().unwrap_or_default()
    }

    /// All segments but the one that is being written.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn full_segments(&mut self) -> Result<Vec<FullSegment>, StoreError> {
        let starts = self.segment_starts();
        let mut full = Vec::with_capacity(starts.len());
        for (&first, &end) in starts.iter().zip(starts.iter().skip(1)) {
            let segment = self.segment(first)?;
            let stamp = |offset| match segment.row(offset)? {
                Some((_, stamp, _)) => Ok(stamp),
                None => Err(segment.corrupt(format!("the record at offset {offset} is missing"))),
            };
            let (from, to) = (stamp(first)?, stamp(Offset(end.0 - 1))?);
            let size_bytes = segment.rows.size_bytes()?;
            full.push(FullSegment { first, end, from, to, size_bytes });
        }
        Ok(full)
    }

    /// Writes the digest of all records before `cut`, where a segment begins, into the segments up to that one, so that those before
    /// it can be removed. Readers see no change.
    ///
    /// # Errors
    /// If no segment begins at `cut`, a record is damaged, or a segment cannot be written.
    pub fn note_digests(&mut self, cut: Offset) -> Result<(), StoreError> {
        let starts = self.segment_starts();
        if !starts.contains(&cut) {
            let path = self.store.name_of(cut);
            return Err(StoreError::Corrupt { path, what: "no segment begins there".into() });
        }
        let mut before = starts[0];
        let mut chain = self.segment(before)?.chain_before()?;
        for &first in starts.iter().skip(1).take_while(|first| **first <= cut) {
            chain = self.chain_over(chain, before, first)?;
            let sum = self.segment(before)?.sum(Offset(first.0 - 1))?;
            Segment::open(&*self.store, first)?.set_before(chain, sum)?;
            before = first;
        }
        Ok(())
    }

    /// Replaces the served answers of a full segment by tombstones, durably, except those at `spared`, and returns their number. A record
    /// whose checksum binds a checkpoint must be spared. A segment without served answers is not read again.
    ///
    /// # Errors
    /// If the segment is damaged or cannot be written. It may be repeated.
    pub fn erase_served(&mut self, full: &FullSegment, spared: &[Offset]) -> Result<u64, StoreError> {
        let (offsets, n_spared) = self.served_in(full, spared)?;
        let Some(offsets) = offsets else { return Ok(0) };
        let mut segment = Segment::open(&*self.store, full.first)?;
        // A full segment that is not sealed yet has no sum of its records. It is treated after it is sealed.
        if segment.sealed()?.is_none() {
            return Ok(0);
        }
        for chunk in offsets.chunks(CHUNK) {
            segment.erase(chunk)?;
        }
        if n_spared == 0 {
            segment.rows.set_metas(&[(SERVED_ERASED, 1)])?;
        }
        if !offsets.is_empty() {
            segment.drop_old_bytes()?;
        }
        Ok(offsets.len() as u64)
    }

    /// Number of answers that [`LogReader::erase_served`] would erase.
    ///
    /// # Errors
    /// If the segment is damaged.
    pub fn count_served(&mut self, full: &FullSegment, spared: &[Offset]) -> Result<u64, StoreError> {
        Ok(self.served_in(full, spared)?.0.map_or(0, |offsets| offsets.len() as u64))
    }

    /// Offsets of the served answers in a segment and the number of spared ones; `None` if the segment is known to have none.
    fn served_in(&mut self, full: &FullSegment, spared: &[Offset]) -> Result<(Option<Vec<Offset>>, u64), StoreError> {
        if self.segment(full.first)?.meta(SERVED_ERASED)?.is_some() {
            return Ok((None, 0));
        }
        let (mut offsets, mut n_spared, mut next) = (Vec::new(), 0, full.first);
        while next < full.end {
            let limit = CHUNK.min((full.end.0 - next.0) as usize);
            next = self.read(next, limit, |record| match record.body {
                Body::Served(_) if spared.contains(&record.offset) => n_spared += 1,
                Body::Served(_) => offsets.push(record.offset),
                _ => {}
            })?;
        }
        Ok((Some(offsets), n_spared))
    }
}

/// The entry of a segment without served answers.
pub(super) const SERVED_ERASED: &str = "served_erased";

impl Log {
    /// Removes the segments that end at or before `before` from the log, after [`LogReader::note_digests`]; [`Detached::remove`] deletes
    /// their files. The segment that is being sealed and the one that is being written stay.
    pub fn detach(&mut self, before: Offset) -> Detached {
        let n = self.sealed.iter().take_while(|sealed| sealed.end <= before).count();
        self.extent.firsts.write().drain(..n);
        Detached { store: self.store.another(), sealed: self.sealed.drain(..n).collect() }
    }

    pub(super) fn prune_sealed(&mut self, before: Offset) -> Result<(), StoreError> {
        self.finish_sealing()?;
        let Some(cut) = self.sealed.iter().map(|sealed| sealed.end).take_while(|end| *end <= before).last() else {
            return Ok(());
        };
        self.reader().note_digests(cut)?;
        self.detach(cut).remove()
    }
}
