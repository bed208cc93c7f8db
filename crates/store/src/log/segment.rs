//! One segment of the log: an SQLite file with the records of a range of offsets.
//!
//! Tables: `records(seq, received_at, body)`; `meta(key, value)`; and, once sealed, `filter` and `ids` (see [`super::seal`]).
//! The row key is the offset, because SQLite is fastest at appending in key order. A new file is created under another name
//! and renamed when it is complete, so a crash leaves no incomplete segment.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use accrue_event::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{row, wal};
use crate::{Body, Offset, Record, StoreError};

/// The format of a segment file.
pub(super) const FORMAT: u32 = 2;
/// `ACRL`, which distinguishes segments from other SQLite files.
const APPLICATION_ID: u32 = u32::from_be_bytes(*b"ACRL");
const EXTENSION: &str = "seg";

/// Pages of the write-ahead log after which the writer copies them into the file. Fewer would not be
/// slower, because a page is full when it is copied; more make writes wait longer for a copy.
const CHECKPOINT_PAGES: u32 = 1000;
/// Bytes of a page in the write-ahead log, its header included.
const FRAME: u64 = 4096 + 24;
/// The largest size that the write-ahead log is extended to before it is used: what is copied at once, and a large commit more.
const RESERVED: u64 = (CHECKPOINT_PAGES as u64 + 256) * FRAME;
/// Approximate number of bytes of a record in the write-ahead log.
const RECORD_BYTES: u64 = 256;
/// A row as it is stored: offset, time of arrival, blob.
pub(super) type RawRow = (Offset, Timestamp, Vec<u8>);

/// An open segment file.
pub(super) struct Segment {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    /// The offset of its first record, which is also its name.
    pub(super) first: Offset,
}

/// The file of the segment that begins at `first`.
pub(super) fn path_of(dir: &Path, first: Offset) -> PathBuf {
    dir.join(format!("{:020}.{EXTENSION}", first.0))
}

/// The file beside a segment with an additional suffix.
fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut file = path.to_path_buf().into_os_string();
    file.push(suffix);
    file.into()
}

/// First offsets of the segments in a folder, ascending. Unfinished files that a crash left are not included.
pub(super) fn list(dir: &Path) -> Result<Vec<Offset>, StoreError> {
    let mut firsts = Vec::new();
    let entries = std::fs::read_dir(dir).map_err(|e| StoreError::io(dir, "listing the log", e))?;
    for entry in entries {
        let path = entry.map_err(|e| StoreError::io(dir, "listing the log", e))?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 20);
        let Some(first) = stem.and_then(|stem| stem.parse().ok()) else {
            return Err(StoreError::Foreign { path, what: "its name is not the offset of a segment".into() });
        };
        firsts.push(Offset(first));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Makes a folder's entries durable, such as a rename or a removal.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::io(dir, "syncing the folder", e))
}

/// Removes a segment with its side files.
pub(super) fn remove(dir: &Path, first: Offset) -> Result<(), StoreError> {
    let path = path_of(dir, first);
    // The side files are removed first, because a segment is complete without them and they are of no use without it.
    for suffix in ["-wal", "-shm", ""] {
        let file = side_file(&path, suffix);
        match std::fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&file, "removing a segment", e));
            }
            _ => {}
        }
    }
    sync_dir(dir)
}

/// Refuses a write-ahead log with commits that SQLite would leave out without a word.
fn refuse_damaged_wal(wal: &Path) -> Result<(), StoreError> {
    match wal::damage(wal).map_err(|e| StoreError::io(wal, "reading the write-ahead log", e))? {
        None => Ok(()),
        Some(wal::Damage { at, n_commits }) => Err(StoreError::Corrupt {
            path: wal.to_path_buf(),
            what: format!(
                "it is damaged at byte {at}, and {n_commits} commits behind it cannot be read; restore a backup, or keep a copy of the \
                 folder and cut the file there (`truncate -s {at}`), which loses these commits"
            ),
        }),
    }
}

impl Segment {
    /// Creates the file of a new segment, durable and empty, and opens it for writing.
    pub(super) fn create(dir: &Path, first: Offset) -> Result<Self, StoreError> {
        let unfinished = dir.join("new.tmp");
        for leftover in ["new.tmp", "new.tmp-wal", "new.tmp-shm", "new.tmp-journal"] {
            let _ = std::fs::remove_file(dir.join(leftover));
        }
        let failed = |e| StoreError::sqlite(&unfinished, "making a segment", e);
        let conn = Connection::open(&unfinished).map_err(failed)?;
        conn.execute_batch(&format!(
            "PRAGMA page_size = 4096;
             PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             PRAGMA application_id = {APPLICATION_ID};
             BEGIN;
             CREATE TABLE records(seq INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, body BLOB NOT NULL);
             CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID;
             CREATE TABLE filter(part INTEGER PRIMARY KEY, bits BLOB NOT NULL);
             CREATE TABLE ids(bucket INTEGER PRIMARY KEY, entries BLOB NOT NULL);
             INSERT INTO meta VALUES ('format', {FORMAT}), ('first', {first});
             COMMIT;
             PRAGMA journal_mode = WAL;",
            first = first.0,
        ))
        .map_err(failed)?;
        conn.close().map_err(|(_, e)| failed(e))?;
        let path = path_of(dir, first);
        File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .map_err(|e| StoreError::io(&path, "making a segment", e))?;
        sync_dir(dir)?;
        Self::open(dir, first)
    }

    /// Opens the segment for writing.
    pub(super) fn open(dir: &Path, first: Offset) -> Result<Self, StoreError> {
        refuse_damaged_wal(&side_file(&path_of(dir, first), "-wal"))?;
        let segment = Self::connect(dir, first, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        segment
            .conn
            .execute_batch(&format!(
                "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA secure_delete = ON;"
            ))
            .map_err(|e| segment.failed("opening a segment", e))?;
        Ok(segment)
    }

    /// Extends the write-ahead log with zeros for a segment of up to `n_records`. A commit then overwrites blocks that the file has, and
    /// waits for its own data alone. One that makes the file longer also waits for the file system's journal, and with it for the
    /// writes of other programs. SQLite stops reading a write-ahead log at the first frame with a wrong checksum, and zeros are such a
    /// frame. It is done for speed only, so a failure changes nothing.
    pub(super) fn reserve_wal(&self, n_records: u64) {
        let wanted = n_records.saturating_mul(RECORD_BYTES).next_multiple_of(FRAME).min(RESERVED);
        let _ = File::options().append(true).create(true).open(side_file(&self.path, "-wal")).and_then(|mut file| {
            let missing = wanted.saturating_sub(file.metadata()?.len());
            std::io::copy(&mut std::io::repeat(0).take(missing), &mut file)?;
            file.sync_all()
        });
    }

    /// Opens the segment for reading; another connection may be writing it.
    pub(super) fn open_to_read(dir: &Path, first: Offset) -> Result<Self, StoreError> {
        Self::connect(dir, first, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn connect(dir: &Path, first: Offset, access: OpenFlags) -> Result<Self, StoreError> {
        let path = path_of(dir, first);
        let failed = |e| StoreError::sqlite(&path, "opening a segment", e);
        let conn = Connection::open_with_flags(&path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
        conn.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
        conn.execute_batch("PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;").map_err(failed)?;
        let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(failed);
        let application_id = pragma("application_id")?;
        if application_id != i64::from(APPLICATION_ID) {
            return Err(StoreError::Foreign { path, what: "it is a database, but not a segment of a log".into() });
        }
        let segment = Self { conn, path, first };
        let format = segment.meta("format")?;
        if format != Some(i64::from(FORMAT)) {
            let found = format.and_then(|format| u32::try_from(format).ok());
            let found = found.ok_or_else(|| segment.corrupt("it does not have a format version"))?;
            return Err(StoreError::Version { path: segment.path, found, expected: FORMAT });
        }
        if segment.meta("first")? != Some(first.0 as i64) {
            return Err(segment.corrupt("its first offset is not the one in its name"));
        }
        Ok(segment)
    }

    /// Offsets of the first and the last record.
    pub(super) fn bounds(&self) -> Result<Option<(Offset, Offset)>, StoreError> {
        let bounds = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
        let bounds = self
            .conn
            // Two subqueries, each of which is one lookup, because min and max in one query would scan the table.
            .query_row("SELECT (SELECT min(seq) FROM records), (SELECT max(seq) FROM records)", [], bounds)
            .map_err(|e| self.failed("reading a segment", e))?;
        let (Some(low), Some(high)) = bounds else { return Ok(None) };
        if low != self.first.0 as i64 {
            return Err(self.corrupt(format!("its first record is at {low}, not at {}", self.first)));
        }
        Ok(Some((Offset(low as u64), Offset(high as u64))))
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
        let failed = |e| self.failed("reading records", e);
        let sql = "SELECT seq, received_at, body FROM records WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params![from.0 as i64, until.0 as i64]).map_err(failed)?;
        let mut next = from;
        while let Some(row) = rows.next().map_err(failed)? {
            let offset = Offset(row.get::<_, i64>(0).map_err(failed)? as u64);
            if offset != next {
                return Err(self.corrupt(format!("offset {next} is followed by {offset}")));
            }
            let received_at = Timestamp(row.get(1).map_err(failed)?);
            let blob = row.get_ref(2).map_err(failed)?.as_blob().map_err(|_| self.corrupt("a body is no blob"))?;
            row::verified(offset, received_at, blob)
                .and_then(|(body, sum)| row_seen(offset, received_at, body, sum))
                .map_err(|damage| self.bad_record(offset, damage))?;
            next = next.next();
        }
        Ok(next)
    }

    /// Copies up to `limit` rows from `from` on into `rows`, as they are stored. The query ends before they are used,
    /// so a slow reader never prevents the writer from truncating its write-ahead log.
    pub(super) fn copy_rows(&self, from: Offset, until: Offset, rows: &mut row::Rows) -> Result<(), StoreError> {
        let failed = |e| self.failed("reading records", e);
        let sql = "SELECT seq, received_at, body FROM records WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        let mut found = statement.query(params![from.0 as i64, until.0 as i64]).map_err(failed)?;
        rows.clear();
        let mut next = from;
        while let Some(row) = found.next().map_err(failed)? {
            let offset = Offset(row.get::<_, i64>(0).map_err(failed)? as u64);
            if offset != next {
                break;
            }
            let received_at = Timestamp(row.get(1).map_err(failed)?);
            let blob = row.get_ref(2).map_err(failed)?.as_blob().map_err(|_| self.corrupt("a body is no blob"))?;
            rows.push(offset, received_at, blob);
            next = next.next();
        }
        if next != until {
            return Err(self.corrupt(format!("the record at offset {next} is missing")));
        }
        Ok(())
    }

    /// One row as it is stored.
    pub(super) fn row(&self, offset: Offset) -> Result<Option<RawRow>, StoreError> {
        let failed = |e| self.failed("reading a record", e);
        let mut statement =
            self.conn.prepare_cached("SELECT received_at, body FROM records WHERE seq = ?1").map_err(failed)?;
        statement
            .query_row([offset.0 as i64], |row| Ok((offset, Timestamp(row.get(0)?), row.get(1)?)))
            .optional()
            .map_err(failed)
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
        let Self { conn, path, .. } = self;
        let failed = |e| StoreError::sqlite(path, "appending records", e);
        let transaction = conn.transaction().map_err(failed)?;
        let mut checksum = 0u64;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3)").map_err(failed)?;
            let mut offset = from;
            for body in bodies {
                checksum = checksum.wrapping_add(row::encode(blob, offset, received_at, body));
                insert.execute(params![offset.0 as i64, received_at.0, blob.as_slice()]).map_err(failed)?;
                offset = offset.next();
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(checksum)
    }

    /// Replaces records by tombstones and returns the change of the segment's checksum. The files no longer contain their bytes when
    /// the write-ahead log has been emptied.
    pub(super) fn erase(&mut self, offsets: &[Offset]) -> Result<u64, StoreError> {
        let path = self.path.clone();
        let failed = |e| StoreError::sqlite(&path, "erasing records", e);
        let mut change = 0u64;
        let mut blob = Vec::new();
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let mut replaced = || -> Result<(), StoreError> {
            for &offset in offsets {
                let Some((_, received_at, old)) = self.row(offset)? else {
                    return Err(self.bad_record(offset, "it is missing"));
                };
                let (_, sum) = row::verified(offset, received_at, &old).map_err(|d| self.bad_record(offset, d))?;
                let tombstone = row::encode(&mut blob, offset, received_at, &Body::Tombstone);
                change = change.wrapping_add(tombstone).wrapping_sub(sum);
                let mut update =
                    self.conn.prepare_cached("UPDATE records SET body = ?2 WHERE seq = ?1").map_err(failed)?;
                update.execute(params![offset.0 as i64, blob.as_slice()]).map_err(failed)?;
            }
            if let Some(checksum) = self.meta("sealed_checksum")? {
                self.set_meta("sealed_checksum", checksum.wrapping_add(change as i64))?;
            }
            Ok(())
        };
        if let Err(error) = replaced() {
            let _ = self.conn.execute_batch("ROLLBACK");
            return Err(error);
        }
        self.conn.execute_batch("COMMIT").map_err(failed)?;
        Ok(change)
    }

    /// Copies the write-ahead log into the file and truncates it, so that it contains no old bytes.
    pub(super) fn truncate_wal(&self) -> Result<(), StoreError> {
        let failed = |e| self.failed("emptying the write-ahead log", e);
        let busy: i64 = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
        if busy != 0 {
            return Err(failed(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                Some("a reader held the file for too long".into()),
            )));
        }
        Ok(())
    }

    /// A number in the segment's table `meta`.
    pub(super) fn meta(&self, key: &str) -> Result<Option<i64>, StoreError> {
        let failed = |e| self.failed("reading the properties of a segment", e);
        let mut statement = self.conn.prepare_cached("SELECT value FROM meta WHERE key = ?1").map_err(failed)?;
        statement.query_row([key], |row| row.get(0)).optional().map_err(failed)
    }

    pub(super) fn set_meta(&self, key: &str, value: i64) -> Result<(), StoreError> {
        let failed = |e| self.failed("writing the properties of a segment", e);
        let mut statement = self.conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)").map_err(failed)?;
        statement.execute(params![key, value]).map_err(failed)?;
        Ok(())
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
    pub(super) fn set_before(&self, chain: u128, sum: u64) -> Result<(), StoreError> {
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(|e| self.failed("pruning", e))?;
        self.set_meta("chain_before_high", (chain >> 64) as u64 as i64)?;
        self.set_meta("chain_before_low", chain as u64 as i64)?;
        self.set_meta("sum_before", sum as i64)?;
        self.conn.execute_batch("COMMIT").map_err(|e| self.failed("pruning", e))
    }

    pub(super) fn failed(&self, doing: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, doing, source)
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), what: what.into() }
    }

    pub(super) fn bad_record(&self, offset: Offset, damage: row::Damage) -> StoreError {
        StoreError::CorruptRecord { path: self.path.clone(), offset, what: damage.into() }
    }
}
