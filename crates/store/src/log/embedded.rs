//! Segments as SQLite files in a folder: the log's own form, which needs no server.
//!
//! A segment is a file named by its first offset. Tables: `records(seq, received_at, body)`; `meta(key, value)`; and, once sealed,
//! `filter` and `ids` (see [`super::seal`]). The row key is the offset, because SQLite is fastest at appending in key order. A
//! new file is created under another name and renamed when it is complete, so a crash leaves no incomplete segment.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};

use accrue_event::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::segment::FORMAT;
use super::segment_store::{Bucket, RawRow, RowSeen, SegmentRows, SegmentStore};
use super::{row, wal};
use crate::{Body, Offset, StoreError};

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
/// Bytes that must fit on the disk before a log whose write failed accepts writes again.
const ROOM: u64 = 4 << 20;

/// The folder of the segments.
pub(super) struct EmbeddedStore {
    dir: PathBuf,
}

impl EmbeddedStore {
    /// The folder `dir`, which need not exist yet.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }
}

impl SegmentStore for EmbeddedStore {
    fn another(&self) -> Box<dyn SegmentStore> {
        Box::new(Self { dir: self.dir.clone() })
    }

    fn name(&self) -> PathBuf {
        self.dir.clone()
    }

    fn name_of(&self, first: Offset) -> PathBuf {
        path_of(&self.dir, first)
    }

    fn lock(&self) -> Result<File, StoreError> {
        std::fs::create_dir_all(&self.dir).map_err(|e| StoreError::io(&self.dir, "making the log's folder", e))?;
        lock(&self.dir)
    }

    fn list(&self) -> Result<Vec<Offset>, StoreError> {
        list(&self.dir)
    }

    fn has(&self, first: Offset) -> bool {
        path_of(&self.dir, first).exists()
    }

    fn create(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError> {
        Ok(Box::new(EmbeddedRows::create(&self.dir, first)?))
    }

    fn open(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError> {
        Ok(Box::new(EmbeddedRows::open(&self.dir, first)?))
    }

    fn open_to_read(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError> {
        Ok(Box::new(EmbeddedRows::open_to_read(&self.dir, first)?))
    }

    fn remove(&self, first: Offset) -> Result<(), StoreError> {
        remove(&self.dir, first)
    }

    /// Writes and removes a file that is as large as a large commit. Without it a full disk would take some small commits, and fail again.
    fn prepare_to_reopen(&self) -> Result<(), StoreError> {
        let path = self.dir.join("room.tmp");
        let written = File::create(&path).and_then(|mut file| {
            std::io::copy(&mut std::io::repeat(0).take(ROOM), &mut file)?;
            file.sync_all()
        });
        let removed = std::fs::remove_file(&path);
        written.and(removed).map_err(|e| StoreError::io(&path, "writing to the log's folder", e))
    }
}

/// Locks the folder for this process, as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| StoreError::io(&path, "locking the log", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_path_buf() }),
        Err(TryLockError::Error(e)) => Err(StoreError::io(&path, "locking the log", e)),
    }
}

/// An open segment file.
pub(super) struct EmbeddedRows {
    pub(super) conn: Connection,
    path: PathBuf,
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

impl EmbeddedRows {
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
        let segment = Self { conn, path };
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

    fn set_meta(&self, key: &str, value: i64) -> Result<(), StoreError> {
        let failed = |e| self.failed("writing the properties of a segment", e);
        let mut statement = self.conn.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)").map_err(failed)?;
        statement.execute(params![key, value]).map_err(failed)?;
        Ok(())
    }

    fn failed(&self, doing: &'static str, source: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, doing, source)
    }

    fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), what: what.into() }
    }

    fn bad_record(&self, offset: Offset, damage: row::Damage) -> StoreError {
        StoreError::CorruptRecord { path: self.path.clone(), offset, what: damage.into() }
    }
}

impl SegmentRows for EmbeddedRows {
    fn append(
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

    fn append_rows(&mut self, rows: &row::Rows) -> Result<(), StoreError> {
        let Self { conn, path, .. } = self;
        let failed = |e| StoreError::sqlite(path, "appending records", e);
        let transaction = conn.transaction().map_err(failed)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3)").map_err(failed)?;
            for (offset, received_at, blob) in rows.iter() {
                insert.execute(params![offset.0 as i64, received_at.0, blob]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    fn reserve(&self, n_records: u64) {
        // A commit then overwrites blocks that the file has, and waits for its own data alone. One that makes the file longer also waits
        // for the file system's journal, and with it for the writes of other programs. SQLite stops reading a write-ahead log at the first
        // frame with a wrong checksum, and zeros are such a frame. It is done for speed only, so a failure changes nothing.
        let wanted = n_records.saturating_mul(RECORD_BYTES).next_multiple_of(FRAME).min(RESERVED);
        let _ = File::options().append(true).create(true).open(side_file(&self.path, "-wal")).and_then(|mut file| {
            let missing = wanted.saturating_sub(file.metadata()?.len());
            std::io::copy(&mut std::io::repeat(0).take(missing), &mut file)?;
            file.sync_all()
        });
    }

    fn bounds(&self) -> Result<Option<(Offset, Offset)>, StoreError> {
        let bounds = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
        let bounds = self
            .conn
            // Two subqueries, each of which is one lookup, because min and max in one query would scan the table.
            .query_row("SELECT (SELECT min(seq) FROM records), (SELECT max(seq) FROM records)", [], bounds)
            .map_err(|e| self.failed("reading a segment", e))?;
        let (Some(low), Some(high)) = bounds else { return Ok(None) };
        Ok(Some((Offset(low as u64), Offset(high as u64))))
    }

    fn each_row(&self, from: Offset, until: Offset, seen: &mut RowSeen<'_>) -> Result<(), StoreError> {
        let failed = |e| self.failed("reading records", e);
        let sql = "SELECT seq, received_at, body FROM records WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params![from.0 as i64, until.0 as i64]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let offset = Offset(row.get::<_, i64>(0).map_err(failed)? as u64);
            let received_at = Timestamp(row.get(1).map_err(failed)?);
            let blob = row.get_ref(2).map_err(failed)?.as_blob().map_err(|_| self.corrupt("a body is no blob"))?;
            seen(offset, received_at, blob)?;
        }
        Ok(())
    }

    fn row(&self, offset: Offset) -> Result<Option<RawRow>, StoreError> {
        let failed = |e| self.failed("reading a record", e);
        let mut statement =
            self.conn.prepare_cached("SELECT received_at, body FROM records WHERE seq = ?1").map_err(failed)?;
        statement
            .query_row([offset.0 as i64], |row| Ok((offset, Timestamp(row.get(0)?), row.get(1)?)))
            .optional()
            .map_err(failed)
    }

    fn erase(&mut self, offsets: &[Offset]) -> Result<u64, StoreError> {
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
    fn drop_old_bytes(&self) -> Result<(), StoreError> {
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

    fn meta(&self, key: &str) -> Result<Option<i64>, StoreError> {
        let failed = |e| self.failed("reading the properties of a segment", e);
        let mut statement = self.conn.prepare_cached("SELECT value FROM meta WHERE key = ?1").map_err(failed)?;
        statement.query_row([key], |row| row.get(0)).optional().map_err(failed)
    }

    fn set_metas(&mut self, metas: &[(&str, i64)]) -> Result<(), StoreError> {
        let failed = |e| self.failed("writing the properties of a segment", e);
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        if let Err(error) = metas.iter().try_for_each(|(key, value)| self.set_meta(key, *value)) {
            let _ = self.conn.execute_batch("ROLLBACK");
            return Err(error);
        }
        self.conn.execute_batch("COMMIT").map_err(failed)
    }

    fn write_index(
        &mut self,
        filter: &[u8],
        buckets: &mut dyn Iterator<Item = Bucket>,
        metas: &[(&str, i64)],
    ) -> Result<(), StoreError> {
        let failed = |e| StoreError::sqlite(&self.path, "sealing a segment", e);
        self.conn.execute_batch("BEGIN IMMEDIATE; DELETE FROM ids; DELETE FROM filter;").map_err(failed)?;
        let mut written = || -> Result<(), StoreError> {
            self.conn.execute("INSERT INTO filter VALUES (0, ?1)", [filter]).map_err(failed)?;
            let mut insert = self.conn.prepare_cached("INSERT INTO ids VALUES (?1, ?2)").map_err(failed)?;
            for (bucket, entries) in &mut *buckets {
                insert.execute(params![bucket as i64, entries]).map_err(failed)?;
            }
            metas.iter().try_for_each(|(key, value)| self.set_meta(key, *value))
        };
        if let Err(error) = written() {
            let _ = self.conn.execute_batch("ROLLBACK");
            return Err(error);
        }
        self.conn.execute_batch("COMMIT").map_err(failed)
    }

    fn filter(&self) -> Result<Vec<u8>, StoreError> {
        self.conn
            .query_row("SELECT bits FROM filter WHERE part = 0", [], |row| row.get(0))
            .map_err(|e| self.failed("reading a filter", e))
    }

    fn bucket(&self, bucket: u64) -> Result<Vec<u8>, StoreError> {
        let failed = |e| self.failed("reading the index", e);
        let mut statement = self.conn.prepare_cached("SELECT entries FROM ids WHERE bucket = ?1").map_err(failed)?;
        statement.query_row([bucket as i64], |row| row.get(0)).map_err(failed)
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        let file = std::fs::metadata(&self.path);
        Ok(file.map_err(|e| StoreError::io(&self.path, "reading a segment's size", e))?.len())
    }

    #[cfg(test)]
    fn sqlite(&self) -> &Connection {
        &self.conn
    }
}
