//! Reading the log, from any thread or process, beside the writer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::place::LogPlace;
use super::row;
use super::segment::Segment;
use super::segment_store::SegmentStore;
use crate::{Body, Offset, Record, StoreError};

/// Number of rows copied from the database at once.
const ROWS_AT_A_TIME: u64 = 1024;
/// Largest number of segments that a reader keeps open.
const OPEN_SEGMENTS: usize = 16;

/// Where the log begins and ends. The writer changes it, readers only read it.
pub(super) struct Extent {
    store: Box<dyn SegmentStore>,
    /// First offsets of the segments, ascending, never empty.
    pub(super) firsts: RwLock<Vec<Offset>>,
    end: AtomicU64,
}

impl Extent {
    pub(super) fn new(store: Box<dyn SegmentStore>, firsts: Vec<Offset>, end: Offset) -> Self {
        Self { store, firsts: RwLock::new(firsts), end: AtomicU64::new(end.0) }
    }

    pub(super) fn start(&self) -> Offset {
        self.firsts.read()[0]
    }

    pub(super) fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire))
    }

    /// Makes the records before `end` visible.
    pub(super) fn publish(&self, end: Offset) {
        self.end.store(end.0, Ordering::Release);
    }

    /// The segment of an offset, and where that segment ends.
    fn locate(&self, offset: Offset) -> Result<(Offset, Offset), StoreError> {
        let firsts = self.firsts.read();
        let n_before = firsts.partition_point(|first| *first <= offset);
        let Some(idx) = n_before.checked_sub(1) else {
            return Err(StoreError::Pruned { offset, start: firsts[0] });
        };
        let until = firsts.get(n_before).copied().unwrap_or_else(|| self.end());
        Ok((firsts[idx], until))
    }
}

/// Reads records by offset through connections of its own. It sees all committed records.
pub struct LogReader {
    pub(super) extent: Arc<Extent>,
    /// With connections of its own.
    pub(super) store: Box<dyn SegmentStore>,
    open: BTreeMap<Offset, Segment>,
    rows: row::Rows,
    /// Records that are returned as tombstones, ascending.
    hidden: Vec<Offset>,
}

impl LogReader {
    pub(super) fn new(extent: Arc<Extent>) -> Self {
        Self {
            store: extent.store.another(),
            extent,
            open: BTreeMap::new(),
            rows: row::Rows::default(),
            hidden: Vec::new(),
        }
    }

    /// Opens the log of a data folder as it is now; a server may be writing to it. Later records are seen after opening it again.
    ///
    /// # Errors
    /// If there is no log, or a damaged one.
    pub fn open(place: impl Into<LogPlace>) -> Result<Self, StoreError> {
        let store = place.into().to_read()?;
        let firsts = store.list()?;
        let Some(&last) = firsts.last() else {
            return Err(StoreError::NoLog { path: store.name() });
        };
        let mut expected = None;
        for &first in &firsts {
            let segment = Segment::open_to_read(&*store, first)?;
            if expected.is_none() {
                segment.refuse_if_segments_before_are_missing()?;
            }
            if let Some(expected) = expected.filter(|expected| *expected != first) {
                return Err(StoreError::Gap { path: segment.path, expected, found: first });
            }
            let end = segment.bounds()?.map_or(first, |(_, high)| high.next());
            expected = Some(end);
        }
        let end = expected.unwrap_or(last);
        Ok(Self::new(Arc::new(Extent::new(store, firsts, end))))
    }

    /// Another reader of the same log, which sees later records as this one does and hides none.
    pub fn another(&self) -> Self {
        Self::new(self.extent.clone())
    }

    /// From now on returns these records as tombstones, as after [`Log::erase`](crate::Log::erase). Digests stay those of the written
    /// records.
    pub fn hide(&mut self, offsets: &[Offset]) {
        self.hidden.extend_from_slice(offsets);
        self.hidden.sort_unstable();
        self.hidden.dedup();
    }

    /// The first offset that was not pruned.
    pub fn start(&self) -> Offset {
        self.extent.start()
    }

    /// The offset that the next record will get.
    pub fn end(&self) -> Offset {
        self.extent.end()
    }

    /// Passes up to `limit` records from `from` on to `f`, in order. Returns the offset to continue from, which is `from` at the end.
    ///
    /// # Errors
    /// If `from` was pruned, or a record is damaged. The records before it were passed to `f`.
    pub fn read(&mut self, from: Offset, limit: usize, mut f: impl FnMut(Record)) -> Result<Offset, StoreError> {
        let end = Offset(self.end().0.min(from.0.saturating_add(limit as u64)));
        let hidden = std::mem::take(&mut self.hidden);
        let read = self.chunks(from, end, |rows, path| {
            for (offset, received_at, blob) in rows.iter() {
                let record =
                    row::decode(offset, received_at, blob).map_err(|damage| bad_record(path, offset, damage))?;
                f(if hidden.binary_search(&offset).is_ok() {
                    Record { body: Body::Tombstone, ..record }
                } else {
                    record
                });
            }
            Ok(())
        });
        self.hidden = hidden;
        read
    }

    /// The record at `offset`; `None` if it was pruned or is after the end.
    ///
    /// # Errors
    /// If the record is damaged.
    pub fn get(&mut self, offset: Offset) -> Result<Option<Record>, StoreError> {
        if offset >= self.end() || offset < self.start() {
            return Ok(None);
        }
        let is_hidden = self.hidden.binary_search(&offset).is_ok();
        let (first, _) = self.extent.locate(offset)?;
        let segment = self.segment(first)?;
        match segment.record(offset)? {
            Some(record) => Ok(Some(if is_hidden { Record { body: Body::Tombstone, ..record } } else { record })),
            None => Err(segment.bad_record(offset, "it is missing")),
        }
    }

    /// The digest of all records before `upto`: a chain of xxh3-128 over offset, stamp and body, from the first record ever
    /// written. It does not depend on batches, segments or pruning; an erasure changes it.
    ///
    /// # Errors
    /// If `upto` is outside the log, or a record is damaged.
    pub fn digest(&mut self, upto: Offset) -> Result<u128, StoreError> {
        let (start, end) = (self.start(), self.end());
        if upto > end {
            return Err(StoreError::BeyondEnd { offset: upto, end });
        }
        if upto < start {
            return Err(StoreError::Pruned { offset: upto, start });
        }
        let chain = self.segment(start)?.chain_before()?;
        self.chain_over(chain, start, upto)
    }

    /// The digest of all records before `upto`, given that of all before `from`.
    pub(super) fn chain_over(&mut self, mut chain: u128, from: Offset, upto: Offset) -> Result<u128, StoreError> {
        self.chunks(from, upto, |rows, path| {
            for (offset, received_at, blob) in rows.iter() {
                let (body, _) =
                    row::verified(offset, received_at, blob).map_err(|damage| bad_record(path, offset, damage))?;
                chain = row::chain(chain, offset, received_at, body);
            }
            Ok(())
        })?;
        Ok(chain)
    }

    /// The checksum of the record before `end`, which binds a checkpoint to its log. `None` at the beginning of the log, and if that
    /// record was pruned together with later ones.
    ///
    /// # Errors
    /// If the log ends before `end`, or the record is damaged.
    pub fn sum_before(&mut self, end: Offset) -> Result<Option<u64>, StoreError> {
        let start = self.start();
        if end > self.end() {
            return Err(StoreError::BeyondEnd { offset: end, end: self.end() });
        }
        if end < start || end == Offset(0) {
            return Ok(None);
        }
        if end == start {
            return self.segment(start)?.sum_before();
        }
        let offset = Offset(end.0 - 1);
        let (first, _) = self.extent.locate(offset)?;
        self.segment(first)?.sum(offset).map(Some)
    }

    /// Reads every record and every index and compares them with their checksums; returns the digest of the whole log.
    ///
    /// # Errors
    /// The first fault.
    pub fn verify(&mut self) -> Result<u128, StoreError> {
        let firsts = self.extent.firsts.read().clone();
        let end = self.end();
        for (idx, &first) in firsts.iter().enumerate() {
            let until = firsts.get(idx + 1).copied().unwrap_or(end);
            self.segment(first)?.verify(until)?;
        }
        self.digest(end)
    }

    /// Rows from `from` up to `end`, in chunks that never cross a segment's border.
    fn chunks(
        &mut self,
        mut from: Offset,
        end: Offset,
        mut chunk_seen: impl FnMut(&row::Rows, &Path) -> Result<(), StoreError>,
    ) -> Result<Offset, StoreError> {
        let start = self.start();
        if from < start {
            return Err(StoreError::Pruned { offset: from, start });
        }
        let mut rows = std::mem::take(&mut self.rows);
        while from < end {
            let (first, until) = self.extent.locate(from)?;
            let until = Offset(until.0.min(end.0).min(from.0 + ROWS_AT_A_TIME));
            let read = self.segment(first).and_then(|segment| {
                segment.copy_rows(from, until, &mut rows)?;
                chunk_seen(&rows, &segment.path)
            });
            if let Err(error) = read {
                // The next attempt opens the file again.
                self.open.remove(&first);
                return Err(error);
            }
            from = until;
        }
        self.rows = rows;
        Ok(from)
    }

    pub(super) fn segment(&mut self, first: Offset) -> Result<&Segment, StoreError> {
        let start = self.start();
        self.open.retain(|open, _| *open >= start);
        if !self.open.contains_key(&first) {
            let opened = Segment::open_to_read(&*self.store, first);
            if opened.is_err() && !self.store.has(first) {
                // Retention removed it in the meantime, in this process or in the one that writes the log.
                let left = self.store.list()?.into_iter().find(|left| *left > first);
                if let Some(start) = left {
                    return Err(StoreError::Pruned { offset: first, start });
                }
            }
            let segment = opened?;
            if self.open.len() == OPEN_SEGMENTS {
                self.open.pop_first();
            }
            self.open.insert(first, segment);
        }
        Ok(&self.open[&first])
    }
}

fn bad_record(path: &Path, offset: Offset, damage: row::Damage) -> StoreError {
    StoreError::CorruptRecord { path: path.into(), offset, what: damage.into() }
}
