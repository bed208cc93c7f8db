//! The log: the durable sequence of records, with one writer and many readers.
//!
//! In: bodies, in groups. Out: an offset for each when it is durable, and the records in order for every reader. The records
//! are in segments named by their first offset, in `DIR/log/` or in the tables of an SQL server ([`LogPlace`]). The last segment is
//! written; the others are sealed and have a filter and an index of their ids. The log checks nothing. It finds duplicates ([`Log::find_events`],
//! [`Log::find_refusals`]); the caller decides what to do about them.

mod copy;
mod embedded;
mod ids;
mod local_part;
mod place;
mod prune;
mod reader;
mod row;
mod seal;
mod segment;
mod segment_store;
#[cfg(feature = "sql")]
mod sql;
#[cfg(test)]
mod tests;
mod wal;

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use accrue_event::{EventId, RefusalId, SettingFault, Timestamp};

pub(crate) use self::copy::{copy_log, move_log, refuse_if_not_empty, remove_side_files};
pub(crate) use self::embedded::sync_dir;
use self::ids::{Filter, LiveIds};
pub use self::place::LogPlace;
pub use self::prune::{Detached, FullSegment};
use self::reader::Extent;
pub use self::reader::LogReader;
use self::row::Key;
use self::segment::Segment;
use self::segment_store::SegmentStore;
use crate::{Body, Offset, StoreError};

/// Settings of a log; they may differ from one opening to the next.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Records after which a segment is sealed. A group is never split, so a segment may have a few more.
    pub segment_records: u64,
}

impl LogSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The fault; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("segment_records", self.segment_records, 1..)
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { segment_records: 2_000_000 }
    }
}

/// The log, open for writing.
pub struct Log {
    /// The name of its place, for messages.
    name: PathBuf,
    store: Box<dyn SegmentStore>,
    settings: LogSettings,
    /// A segment is also full when its first record is this old.
    segment_span: Option<Duration>,
    _lock: File,
    extent: Arc<Extent>,
    sealed: Vec<Sealed>,
    sealing: Option<Sealing>,
    active: Active,
    last_received_at: Timestamp,
    /// The first failure of a write; nothing is written after it.
    poison: Option<String>,
    blob: Vec<u8>,
}

/// The segment being written.
struct Active {
    segment: Segment,
    ids: LiveIds,
    count: u64,
    checksum: u64,
    /// When the first record arrived.
    begun_at: Option<Timestamp>,
}

/// A full segment whose index a thread is writing. Until it is done, ids are found in the map in memory.
struct Sealing {
    segment: Segment,
    end: Offset,
    ids: Arc<LiveIds>,
    thread: JoinHandle<Result<(Filter, u32), StoreError>>,
}

/// A segment with its index.
struct Sealed {
    segment: Segment,
    end: Offset,
    filter: Filter,
    index: Index,
}

/// Where the ids of a full segment are found.
enum Index {
    /// In the segment, whose index has so many bits of a hash for a bucket.
    Stored { bucket_bits: u32 },
    /// In memory, because the disk had no room to write an index. The next start tries again.
    Live(LiveIds),
}

/// The segments of a folder, as they are found there.
struct Segments {
    firsts: Vec<Offset>,
    sealed: Vec<Sealed>,
    active: Active,
    last_received_at: Timestamp,
    end: Offset,
}

impl Segments {
    fn open(store: &dyn SegmentStore, settings: &LogSettings) -> Result<Self, StoreError> {
        let mut firsts = store.list()?;
        if firsts.is_empty() {
            drop(Segment::create(store, Offset(0))?);
            firsts.push(Offset(0));
        }
        let (&last, full) = firsts.split_last().expect("at least the one just made");
        let mut sealed = Vec::new();
        for (idx, &first) in full.iter().enumerate() {
            sealed.push(Sealed::open(store, first, firsts[idx + 1])?);
        }
        let segment = Segment::open(store, last)?;
        if segment.sealed()?.is_some() {
            return Err(segment.corrupt("it is sealed, but the segment after it is missing"));
        }
        let begins = sealed.first().map_or(&segment, |sealed| &sealed.segment);
        begins.refuse_if_segments_before_are_missing()?;
        segment.rows.reserve(settings.segment_records);
        let (active, last_stamp) = Active::recover(segment)?;
        let before_last = sealed.last().map(Sealed::last_stamp).transpose()?.flatten();
        let end = Offset(last.0 + active.count);
        let last_received_at = last_stamp.or(before_last).unwrap_or(Timestamp(i64::MIN));
        Ok(Self { firsts, sealed, active, last_received_at, end })
    }
}

impl Log {
    /// Opens the log of a data folder, or creates one there. Only the ids of the last segment are read.
    ///
    /// # Errors
    /// If another process has it open, if a file is damaged, foreign or missing, or if the folder cannot be written.
    pub fn open(place: impl Into<LogPlace>, settings: LogSettings) -> Result<Self, StoreError> {
        let store = place.into().to_write()?;
        let lock = store.lock()?;
        let Segments { firsts, sealed, active, last_received_at, end } = Segments::open(&*store, &settings)?;
        Ok(Self {
            settings,
            segment_span: None,
            _lock: lock,
            extent: Arc::new(Extent::new(store.another(), firsts, end)),
            name: store.name(),
            store,
            sealed,
            sealing: None,
            active,
            last_received_at,
            poison: None,
            blob: Vec::new(),
        })
    }

    /// Opens the files again after a write that failed, as a new process would, and accepts writes again. The log may be longer
    /// afterwards: a group whose commit was reported as failed can be in it all the same. Readers see that.
    ///
    /// # Errors
    /// Those of [`Log::open`]; then it stays poisoned, and this may be repeated.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        if let Some(sealing) = self.sealing.take() {
            // What came of it is seen in the files.
            let _ = sealing.thread.join();
        }
        self.store.prepare_to_reopen()?;
        let Segments { firsts, sealed, active, last_received_at, end } = Segments::open(&*self.store, &self.settings)?;
        (self.sealed, self.active, self.last_received_at, self.poison) = (sealed, active, last_received_at, None);
        *self.extent.firsts.write() = firsts;
        self.extent.publish(end);
        Ok(())
    }

    /// From here on a segment is also full when its first record is this old. Retention removes whole segments, so a record
    /// is removed at most this much later than its own age requires.
    pub fn set_segment_span(&mut self, span: Option<Duration>) {
        self.segment_span = span;
    }

    /// The time that records get which arrive at `at`: that of the last record, if the clock went back.
    pub fn stamp(&self, at: Timestamp) -> Timestamp {
        at.max(self.last_received_at)
    }

    /// Appends `bodies` in one durable commit and returns their offsets. They get the time that [`Log::stamp`] says.
    ///
    /// # Errors
    /// A failed write poisons the log: this and every later append fail, and reads continue.
    pub fn append(&mut self, received_at: Timestamp, bodies: &[Body]) -> Result<Range<Offset>, StoreError> {
        self.refuse_if_poisoned()?;
        let start = self.end();
        if bodies.is_empty() {
            return Ok(start..start);
        }
        let appended = self.commit(start, self.stamp(received_at), bodies);
        self.poison_on_error(appended)
    }

    /// The first offset that was not pruned.
    pub fn start(&self) -> Offset {
        self.extent.start()
    }

    /// The offset that the next record will get.
    pub fn end(&self) -> Offset {
        self.extent.end()
    }

    /// A reader for any thread. It sees all committed records, also later ones.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.extent.clone())
    }

    /// The digest of all records before `upto`; see [`LogReader::digest`].
    ///
    /// # Errors
    /// If `upto` is outside the log, or a record is damaged.
    pub fn digest(&self, upto: Offset) -> Result<u128, StoreError> {
        self.reader().digest(upto)
    }

    /// The offset at which the event with this id first occurs, as an event or released from quarantine. Erased events and those
    /// of pruned segments are not found.
    ///
    /// # Errors
    /// If an index or a record is damaged.
    pub fn find_event(&self, id: &EventId) -> Result<Option<Offset>, StoreError> {
        Ok(self.find_events([id])?[0])
    }

    /// [`Log::find_event`] for many ids at once, which is faster. The results have the order of `ids`.
    ///
    /// # Errors
    /// If an index or a record is damaged.
    pub fn find_events<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a EventId>,
    ) -> Result<Vec<Option<Offset>>, StoreError> {
        self.find(ids.into_iter().map(|id| Key::Event(id.as_str())))
    }

    /// The offsets at which the refused records with these ids first occur, in the order of `ids`, whether they were released or
    /// dropped since. Those of pruned segments are not found.
    ///
    /// # Errors
    /// If an index or a record is damaged.
    pub fn find_refusals(&self, ids: impl IntoIterator<Item = RefusalId>) -> Result<Vec<Option<Offset>>, StoreError> {
        self.find(ids.into_iter().map(Key::Refused))
    }

    fn find<'a>(&self, keys: impl Iterator<Item = Key<'a>>) -> Result<Vec<Option<Offset>>, StoreError> {
        let keys: Vec<(Key<'a>, u64)> = keys.map(|key| (key, key.hash())).collect();
        let mut found = vec![None; keys.len()];
        // Segment by segment, so that a filter stays in the processor's cache; oldest first, because the first offset counts.
        for sealed in &self.sealed {
            for (found, (key, hash)) in found.iter_mut().zip(&keys) {
                if found.is_none() && sealed.filter.may_contain(*hash) {
                    *found = sealed.find(*key, *hash)?;
                }
            }
        }
        let live = self.sealing.iter().map(|sealing| (&sealing.segment, &*sealing.ids));
        for (segment, live) in live.chain([(&self.active.segment, &self.active.ids)]) {
            for (found, (key, hash)) in found.iter_mut().zip(&keys) {
                if found.is_none() {
                    *found = first_with_key(segment, *key, live.candidates(*hash))?;
                }
            }
        }
        Ok(found)
    }

    /// Replaces these records by tombstones, durably. Afterwards the log's files no longer contain their bytes; backups and
    /// earlier checkpoints still may. Offsets of pruned records are skipped.
    ///
    /// # Errors
    /// If an offset is after the end of the log. A failed write poisons the log. After an error the erasure may be repeated, also
    /// if a reader prevented a write-ahead log from being emptied.
    pub fn erase(&mut self, offsets: &[Offset]) -> Result<(), StoreError> {
        self.refuse_if_poisoned()?;
        let (start, end) = (self.start(), self.end());
        let mut offsets: Vec<Offset> = offsets.iter().copied().filter(|offset| *offset >= start).collect();
        offsets.sort_unstable();
        offsets.dedup();
        if let Some(&offset) = offsets.last().filter(|offset| **offset >= end) {
            return Err(StoreError::BeyondEnd { offset, end });
        }
        let erased = self.erase_sorted(&offsets);
        // If a reader prevents the second half, the log is not poisoned: the tombstones are durable, only old bytes remain.
        let touched = self.poison_on_error(erased)?;
        for segment in &touched {
            segment.drop_old_bytes()?;
        }
        if offsets.last().is_some_and(|offset| *offset >= self.active.segment.first) {
            self.active.segment.drop_old_bytes()?;
            self.active.segment.rows.reserve(self.settings.segment_records);
        }
        Ok(())
    }

    /// Removes whole sealed segments that end at or before `before`; the caller has a checkpoint that includes them. Their event
    /// ids are forgotten: such an event counts as new if it is sent again. The digest does not change. While the log is written,
    /// use [`Log::detach`].
    ///
    /// # Errors
    /// A failed write poisons the log. Segments that were removed before it stay removed.
    pub fn prune(&mut self, before: Offset) -> Result<(), StoreError> {
        self.refuse_if_poisoned()?;
        let pruned = self.prune_sealed(before);
        self.poison_on_error(pruned)
    }

    fn refuse_if_poisoned(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(cause) => Err(StoreError::Poisoned { path: self.name.clone(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    fn poison_on_error<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.poison = Some(error.to_string());
        }
        result
    }

    fn commit(&mut self, start: Offset, stamp: Timestamp, bodies: &[Body]) -> Result<Range<Offset>, StoreError> {
        if self.sealing.as_ref().is_some_and(|sealing| sealing.thread.is_finished()) {
            self.finish_sealing()?;
        }
        if self.active.count >= self.settings.segment_records || self.active.spans(self.segment_span, stamp) {
            self.begin_segment(start)?;
        }
        let active = &mut self.active;
        active.begun_at = active.begun_at.or(Some(stamp));
        let sum = active.segment.append(start, stamp, bodies, &mut self.blob)?;
        for (position, body) in (active.count as u32..).zip(bodies) {
            if let Some(key) = row::key_of(body) {
                active.ids.insert(key.hash(), position);
            }
        }
        active.checksum = active.checksum.wrapping_add(sum);
        active.count += bodies.len() as u64;
        self.last_received_at = stamp;
        let end = Offset(start.0 + bodies.len() as u64);
        self.extent.publish(end);
        Ok(start..end)
    }

    /// Begins the segment at `first` and starts a thread that seals the one before.
    fn begin_segment(&mut self, first: Offset) -> Result<(), StoreError> {
        self.finish_sealing()?;
        let segment = Segment::create(&*self.store, first)?;
        segment.rows.reserve(self.settings.segment_records);
        let to_read = Segment::open_to_read(&*self.store, self.active.segment.first)?;
        let next = Active { segment, ids: LiveIds::default(), count: 0, checksum: 0, begun_at: None };
        let full = std::mem::replace(&mut self.active, next);
        self.extent.firsts.write().push(first);
        let ids = Arc::new(full.ids);
        let to_index = ids.clone();
        let mut segment = full.segment;
        segment.rows.move_apart();
        let thread = std::thread::spawn(move || seal(&mut segment, full.count, full.checksum, &to_index));
        self.sealing = Some(Sealing { segment: to_read, end: first, ids, thread });
        Ok(())
    }

    /// Waits for the sealing thread, if there is one.
    fn finish_sealing(&mut self) -> Result<(), StoreError> {
        let Some(Sealing { segment, end, thread, .. }) = self.sealing.take() else { return Ok(()) };
        let (filter, bucket_bits) = match thread.join() {
            Ok(done) => done?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        self.sealed.push(Sealed { segment, end, filter, index: Index::Stored { bucket_bits } });
        Ok(())
    }

    /// Erases the records and returns the sealed segments that changed.
    fn erase_sorted(&mut self, offsets: &[Offset]) -> Result<Vec<Segment>, StoreError> {
        self.finish_sealing()?;
        let mut touched = Vec::new();
        let mut rest = offsets;
        for sealed in &self.sealed {
            let (own, later) = rest.split_at(rest.partition_point(|offset| *offset < sealed.end));
            if !own.is_empty() {
                let mut segment = Segment::open(&*self.store, sealed.segment.first)?;
                segment.erase(own)?;
                touched.push(segment);
            }
            rest = later;
        }
        if !rest.is_empty() {
            let change = self.active.segment.erase(rest)?;
            self.active.checksum = self.active.checksum.wrapping_add(change);
        }
        Ok(touched)
    }
}

impl Drop for Log {
    /// Waits for a segment that is being sealed, because the next opening would seal it again. A failure shows then.
    fn drop(&mut self) {
        if let Some(sealing) = self.sealing.take() {
            let _ = sealing.thread.join();
        }
    }
}

impl Active {
    /// Reads a whole segment: its ids, its sum, and the time of its last record.
    fn recover(segment: Segment) -> Result<(Self, Option<Timestamp>), StoreError> {
        let mut active = Self { segment, ids: LiveIds::default(), count: 0, checksum: 0, begun_at: None };
        let mut last_stamp = None;
        active.segment.scan(active.segment.first, Offset(i64::MAX as u64), |_, received_at, body, sum| {
            if let Some(key) = row::key(body)? {
                active.ids.insert(key.hash(), active.count as u32);
            }
            active.count += 1;
            active.checksum = active.checksum.wrapping_add(sum);
            last_stamp = Some(received_at);
            active.begun_at = active.begun_at.or(last_stamp);
            Ok(())
        })?;
        Ok((active, last_stamp))
    }

    /// Whether its first record arrived at least `span` before `stamp`.
    fn spans(&self, span: Option<Duration>, stamp: Timestamp) -> bool {
        let (Some(span), Some(begun_at)) = (span, self.begun_at) else { return false };
        u128::from(stamp.0.abs_diff(begun_at.0)) >= span.as_millis()
    }
}

impl Sealed {
    /// Opens a segment that must reach up to `end`. If a crash or a full disk prevented its sealing, it is sealed now.
    fn open(store: &dyn SegmentStore, first: Offset, end: Offset) -> Result<Self, StoreError> {
        let segment = Segment::open_to_read(store, first)?;
        let reached = segment.bounds()?.map_or(first, |(_, high)| high.next());
        if reached != end {
            return Err(StoreError::Gap { path: store.name_of(end), expected: reached, found: end });
        }
        let Some(seal) = segment.sealed()? else {
            let (active, _) = Active::recover(Segment::open(store, first)?)?;
            return Self::of_unsealed(segment, end, active);
        };
        if seal.count != end.0 - first.0 {
            return Err(segment.corrupt(format!("it was sealed with {} records, not {}", seal.count, end.0 - first.0)));
        }
        let filter = segment.filter()?;
        Ok(Self { segment, end, filter, index: Index::Stored { bucket_bits: seal.bucket_bits } })
    }

    /// Seals a full segment, which is also open for writing as `active`. On a full disk it stays as it is, and a server starts and
    /// reads all the same.
    fn of_unsealed(segment: Segment, end: Offset, mut active: Active) -> Result<Self, StoreError> {
        match seal(&mut active.segment, active.count, active.checksum, &active.ids) {
            Ok((filter, bucket_bits)) => Ok(Self { segment, end, filter, index: Index::Stored { bucket_bits } }),
            Err(StoreError::DiskFull { .. }) => {
                let filter = Filter::build(&active.ids.sorted());
                Ok(Self { segment, end, filter, index: Index::Live(active.ids) })
            }
            Err(error) => Err(error),
        }
    }

    fn find(&self, key: Key<'_>, hash: u64) -> Result<Option<Offset>, StoreError> {
        match &self.index {
            Index::Stored { bucket_bits } => {
                first_with_key(&self.segment, key, self.segment.candidates(*bucket_bits, hash)?)
            }
            Index::Live(ids) => first_with_key(&self.segment, key, ids.candidates(hash)),
        }
    }

    fn last_stamp(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.segment.row(Offset(self.end.0 - 1))?.map(|(_, stamp, _)| stamp))
    }
}

fn first_with_key(
    segment: &Segment,
    key: Key<'_>,
    positions: impl IntoIterator<Item = u32>,
) -> Result<Option<Offset>, StoreError> {
    for position in positions {
        let offset = ids::offset_of(segment.first, position);
        if segment.has_key(offset, key)? {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

/// Gives a full segment its index and its seal, and removes what its writing has left.
fn seal(segment: &mut Segment, count: u64, checksum: u64, ids: &LiveIds) -> Result<(Filter, u32), StoreError> {
    let pairs = ids.sorted();
    let filter = segment.seal(count, checksum, &pairs)?;
    // A reader may prevent it. What is not copied now is copied when the segment is next opened for writing.
    let _ = segment.drop_old_bytes();
    Ok((filter, ids::bucket_bits(pairs.len())))
}
