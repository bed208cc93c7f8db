//! The log in tables of PostgreSQL or MySQL.
//!
//! | table | holds |
//! |---|---|
//! | `PREFIX_log` | one row: the format, the identity of the log, the epoch of its writer, its end |
//! | `PREFIX_records` | offset, time of arrival, bytes of the body with their checksum: those of a segment file |
//! | `PREFIX_segments` | properties of segments, which here are ranges of offsets |
//! | `PREFIX_filters`, `PREFIX_ids` | the filter and the index of each sealed segment: the bytes of a segment file |
//!
//! Ids of the segment that is written are in the writer's memory, as they are with files, so that a commit inserts in the order of one key
//! and nothing else. A group is one transaction with the end of the log in it. What differs between servers is behind
//! [`Session`](session::Session), and what happens when connections are lost is in [`client`].

mod client;
mod mysql;
mod postgres;
mod session;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use accrue_event::Timestamp;
use parking_lot::Mutex;

use self::client::{Client, Fault, Shared};
use self::session::{Arg, Cell, Dialect, Kind};
use super::local_part::LocalPart;
use super::row;
use super::segment::FORMAT as SEGMENT_FORMAT;
use super::segment_store::{Bucket, RawRow, RowSeen, SegmentRows, SegmentStore};
use crate::{Body, Offset, StoreError, StoreUrl};

/// The format of the tables.
const FORMAT: i64 = 1;
/// The format of tables into which a log is being copied.
const UNFINISHED: i64 = 0;
/// Rows read at once.
const ROWS: u64 = 4_096;
/// Buckets of an index written at once.
const BUCKETS: usize = 256;
/// Records removed in one transaction.
const REMOVED: i64 = 50_000;

/// The store of a log in PostgreSQL.
pub(super) fn open_postgres(url: &StoreUrl, local: LocalPart) -> Result<Box<dyn SegmentStore>, StoreError> {
    open(&postgres::DIALECT, "postgres", url, local)
}

/// The store of a log in MySQL or MariaDB.
pub(super) fn open_mysql(url: &StoreUrl, local: LocalPart) -> Result<Box<dyn SegmentStore>, StoreError> {
    open(&mysql::DIALECT, "mysql", url, local)
}

fn open(
    dialect: &'static Dialect,
    scheme: &str,
    url: &StoreUrl,
    local: LocalPart,
) -> Result<Box<dyn SegmentStore>, StoreError> {
    let shared = Arc::new(Shared::new(dialect, scheme, url, local)?);
    Ok(Box::new(SqlStore::new(shared)))
}

/// A connection that several segments of one thread use.
type Link = Arc<Mutex<Client>>;

struct SqlStore {
    shared: Arc<Shared>,
    link: Link,
}

impl SqlStore {
    fn new(shared: Arc<Shared>) -> Self {
        let link = Arc::new(Mutex::new(Client::new(shared.clone())));
        Self { shared, link }
    }

    fn rows_of(&self, first: Offset) -> Box<SqlRows> {
        Box::new(SqlRows { shared: self.shared.clone(), link: self.link.clone(), first })
    }

    /// The format and the identity of the log; `None` if there is none.
    fn log(&self) -> Result<Option<(i64, String)>, StoreError> {
        let sql = format!("SELECT format, identity FROM {} WHERE one = 1", self.shared.tables.log);
        let found = self
            .link
            .lock()
            .read("reading the state of the log", |session| session.query(&sql, &[], &[Kind::Int, Kind::Text]));
        let rows = match found {
            Err(StoreError::NoLog { .. }) => return Ok(None),
            rows => rows?,
        };
        Ok(match rows.into_iter().next().map(<[Cell; 2]>::try_from) {
            Some(Ok([Cell::Int(format), Cell::Text(identity)])) => Some((format, identity)),
            _ => None,
        })
    }

    /// Refuses tables that this build cannot read, and those of another log than the data folder's.
    fn refuse_if_unusable(&self, format: i64, identity: &str) -> Result<(), StoreError> {
        match format {
            FORMAT => self.shared.local.refuse_if_of_another(&self.shared.url, identity),
            UNFINISHED => Err(self.shared.refused(format!(
                "a restore into these tables did not end; drop the tables {}_*, and restore again into a new data folder",
                self.shared.tables.prefix
            ))),
            other => Err(self.shared.refused(format!(
                "its tables have format {other}, but this build reads format {FORMAT}; use the build that wrote them, or another prefix"
            ))),
        }
    }

    /// Makes the tables, if they are not there.
    fn create_tables(&self) -> Result<(), StoreError> {
        let (tables, dialect) = (&self.shared.tables, self.shared.dialect);
        let (blob, engine) = (dialect.blob, dialect.engine);
        let made = [
            format!(
                "{} (one SMALLINT NOT NULL PRIMARY KEY, format BIGINT NOT NULL, identity VARCHAR(64) NOT NULL, epoch BIGINT NOT NULL, \
                 until BIGINT NOT NULL)",
                tables.log
            ),
            format!(
                "{} (seq BIGINT NOT NULL PRIMARY KEY, received_at BIGINT NOT NULL, body {blob} NOT NULL)",
                tables.records
            ),
            format!(
                "{} (first BIGINT NOT NULL, name VARCHAR(40) NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (first, name))",
                tables.segments
            ),
            format!("{} (first BIGINT NOT NULL PRIMARY KEY, bits {blob} NOT NULL)", tables.filters),
            format!(
                "{} (first BIGINT NOT NULL, bucket BIGINT NOT NULL, entries {blob} NOT NULL, PRIMARY KEY (first, bucket))",
                tables.ids
            ),
        ];
        let mut client = self.link.lock();
        for table in made {
            client.run("making the log's tables", &format!("CREATE TABLE IF NOT EXISTS {table}{engine}"), &[])?;
        }
        let sql = format!(
            "INSERT INTO {} (one, format, identity, epoch, until) SELECT 1, {FORMAT}, {}, 0, 0 WHERE NOT EXISTS (SELECT one FROM {})",
            tables.log, dialect.identity, tables.log
        );
        client.run("beginning the log", &sql, &[]).map(drop)
    }

    /// Begins the epoch of this process's writer.
    fn begin_epoch(&self) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        let mut client = self.link.lock();
        client.run("opening the log", &format!("UPDATE {} SET epoch = epoch + 1 WHERE one = 1", tables.log), &[])?;
        let state =
            client.state()?.ok_or_else(|| self.shared.refused("the tables of the log are gone; restore them"))?;
        self.shared.epoch.store(state.epoch, Ordering::Release);
        let sql = format!("SELECT MAX(seq) FROM {}", tables.records);
        let last = client.read("opening the log", |session| session.query(&sql, &[], &[Kind::Int]))?;
        let last = last.first().and_then(|row| row[0].int());
        if last.is_some_and(|last| last + 1 != state.until) {
            return Err(self.shared.refused(format!(
                "the log ends at {}, but its last record is at {}: records are missing, or something else has written to its tables; \
                 restore a backup",
                state.until,
                last.unwrap_or_default()
            )));
        }
        self.shared.until.store(state.until as u64, Ordering::Release);
        Ok(())
    }

    /// Removes what was pruned before a process ended.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let start = self.list()?.first().copied();
        start.map_or(Ok(()), |start| self.remove_before(start))
    }

    /// Removes the rows before `start`, in transactions of bounded size.
    fn remove_before(&self, start: Offset) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        let mut client = self.link.lock();
        let sql = format!("SELECT MIN(seq) FROM {}", tables.records);
        let low = client.read("pruning", |session| session.query(&sql, &[], &[Kind::Int]))?;
        let mut low = low.first().and_then(|row| row[0].int()).unwrap_or(start.0 as i64);
        while low < start.0 as i64 {
            low = (low + REMOVED).min(start.0 as i64);
            let sql = format!("DELETE FROM {} WHERE seq < ?", tables.records);
            client.transaction("pruning", |session| Ok(session.run(&sql, &[Arg::Int(low)])?))?;
        }
        client.transaction("pruning", |session| {
            for table in [&tables.ids, &tables.filters] {
                session.run(&format!("DELETE FROM {table} WHERE first < ?"), &[Arg::Int(start.0 as i64)])?;
            }
            Ok(())
        })
    }
}

impl SegmentStore for SqlStore {
    fn another(&self) -> Box<dyn SegmentStore> {
        Box::new(Self::new(self.shared.clone()))
    }

    fn name(&self) -> PathBuf {
        self.shared.name()
    }

    fn name_of(&self, first: Offset) -> PathBuf {
        PathBuf::from(format!("{} (segment {first})", self.shared.url))
    }

    fn lock(&self) -> Result<File, StoreError> {
        let file = self.shared.local.lock()?;
        self.link.lock().become_writer()?;
        if self.log()?.is_none() {
            self.create_tables()?;
        }
        let Some((format, identity)) = self.log()? else {
            return Err(self.shared.refused("the log could not be begun: its first row is missing"));
        };
        self.refuse_if_unusable(format, &identity)?;
        self.begin_epoch()?;
        self.remove_leftovers()?;
        self.shared.local.note_place(&self.shared.url, &identity)?;
        Ok(file)
    }

    fn list(&self) -> Result<Vec<Offset>, StoreError> {
        let Some((format, identity)) = self.log()? else { return Ok(Vec::new()) };
        if self.shared.epoch.load(Ordering::Acquire) == 0 {
            self.refuse_if_unusable(format, &identity)?;
        }
        let sql = format!("SELECT first FROM {} WHERE name = 'first' ORDER BY first", self.shared.tables.segments);
        let rows = self.link.lock().read("listing the log", |session| session.query(&sql, &[], &[Kind::Int]))?;
        Ok(rows.iter().filter_map(|row| row[0].int()).map(|first| Offset(first as u64)).collect())
    }

    fn has(&self, first: Offset) -> bool {
        !matches!(self.rows_of(first).meta("first"), Ok(None))
    }

    fn create(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError> {
        let mut rows = self.rows_of(first);
        rows.set_metas(&[("format", i64::from(SEGMENT_FORMAT)), ("first", first.0 as i64)])?;
        Ok(rows)
    }

    fn open(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError> {
        self.open_to_read(first)
    }

    fn open_to_read(&self, first: Offset) -> Result<Box<dyn SegmentRows>, StoreError> {
        let rows = self.rows_of(first);
        match rows.meta("format")? {
            Some(format) if format == i64::from(SEGMENT_FORMAT) => Ok(rows),
            Some(format) => {
                let found = u32::try_from(format).unwrap_or_default();
                Err(StoreError::Version { path: self.name_of(first), found, expected: SEGMENT_FORMAT })
            }
            None => Err(StoreError::Corrupt { path: self.name_of(first), what: "the segment is missing".into() }),
        }
    }

    fn remove(&self, first: Offset) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        let rows = self.rows_of(first);
        let next = rows.next()?;
        // Without its properties it is no longer a part of the log; what is left of it is removed now or at the next start.
        let sql = format!("DELETE FROM {} WHERE first = ?", tables.segments);
        let args = [Arg::Int(first.0 as i64)];
        self.link.lock().transaction("pruning", |session| Ok(session.run(&sql, &args)?))?;
        next.map_or(Ok(()), |next| self.remove_before(next))
    }

    fn prepare_to_reopen(&self) -> Result<(), StoreError> {
        self.link.lock().reconnect().map(drop)
    }

    fn set_complete(&self, is_complete: bool) -> Result<(), StoreError> {
        let format = if is_complete { FORMAT } else { UNFINISHED };
        let sql = format!("UPDATE {} SET format = ? WHERE one = 1", self.shared.tables.log);
        let args = [Arg::Int(format)];
        self.link.lock().transaction("copying a log", |session| Ok(session.run(&sql, &args)?)).map(drop)
    }

    fn begin_at(&self, first: Offset) -> Result<(), StoreError> {
        let sql = format!("UPDATE {} SET until = ? WHERE one = 1", self.shared.tables.log);
        let args = [Arg::Int(first.0 as i64)];
        self.link.lock().transaction("copying a log", |session| Ok(session.run(&sql, &args)?))?;
        self.shared.until.store(first.0, Ordering::Release);
        Ok(())
    }
}

/// The rows of one segment.
struct SqlRows {
    shared: Arc<Shared>,
    link: Link,
    first: Offset,
}

impl SqlRows {
    /// Where the next segment begins.
    fn next(&self) -> Result<Option<Offset>, StoreError> {
        let sql = format!("SELECT MIN(first) FROM {} WHERE first > ?", self.shared.tables.segments);
        let found = self.numbers(&sql, &[Arg::Int(self.first.0 as i64)])?;
        Ok(found.map(|first| Offset(first as u64)))
    }

    /// The number that a statement finds.
    fn numbers(&self, sql: &str, args: &[Arg<'_>]) -> Result<Option<i64>, StoreError> {
        let rows = self.link.lock().read("reading a segment", |session| session.query(sql, args, &[Kind::Int]))?;
        Ok(rows.first().and_then(|row| row[0].int()))
    }

    /// The bytes that a statement finds.
    fn bytes(&self, doing: &str, sql: &str, args: &[Arg<'_>]) -> Result<Vec<u8>, StoreError> {
        let rows = self.link.lock().read(doing, |session| session.query(sql, args, &[Kind::Bytes]))?;
        match rows.into_iter().next().map(|mut row| row.remove(0)) {
            Some(Cell::Bytes(bytes)) => Ok(bytes),
            _ => Err(self.corrupt("a part of its index is missing")),
        }
    }

    fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt { path: self.shared.name(), what: format!("segment {}: {what}", self.first) }
    }

    fn raw_rows(rows: Vec<Vec<Cell>>) -> impl Iterator<Item = Option<RawRow>> {
        rows.into_iter().map(|row| match <[Cell; 3]>::try_from(row) {
            Ok([Cell::Int(seq), Cell::Int(at), Cell::Bytes(blob)]) => Some((Offset(seq as u64), Timestamp(at), blob)),
            _ => None,
        })
    }

    fn upsert_metas(&self, metas: &[(&str, i64)]) -> Result<(), StoreError> {
        let columns = ["first", "name", "value"];
        let sql = (self.shared.dialect.upsert)(&self.shared.tables.segments, &columns, 2, metas.len());
        let args: Vec<Arg<'_>> = metas
            .iter()
            .flat_map(|(name, value)| [Arg::Int(self.first.0 as i64), Arg::Text(name), Arg::Int(*value)])
            .collect();
        let doing = "writing the properties of a segment";
        self.link.lock().transaction(doing, |session| Ok(session.run(&sql, &args)?)).map(drop)
    }
}

impl SegmentRows for SqlRows {
    fn append(
        &mut self,
        from: Offset,
        received_at: Timestamp,
        bodies: &[Body],
        blob: &mut Vec<u8>,
    ) -> Result<u64, StoreError> {
        let mut rows = row::Rows::default();
        let mut checksum = 0u64;
        let mut offset = from;
        for body in bodies {
            checksum = checksum.wrapping_add(row::encode(blob, offset, received_at, body));
            rows.push(offset, received_at, blob);
            offset = offset.next();
        }
        self.link.lock().append(from, &rows)?;
        Ok(checksum)
    }

    fn append_rows(&mut self, rows: &row::Rows) -> Result<(), StoreError> {
        let Some((from, _, _)) = rows.iter().next() else { return Ok(()) };
        self.link.lock().append(from, rows)
    }

    fn move_apart(&mut self) {
        self.link = Arc::new(Mutex::new(Client::new(self.shared.clone())));
    }

    fn bounds(&self) -> Result<Option<(Offset, Offset)>, StoreError> {
        let records = &self.shared.tables.records;
        let next = self.next()?.map_or(i64::MAX, |next| next.0 as i64);
        let sql = format!("SELECT MIN(seq), MAX(seq) FROM {records} WHERE seq >= ? AND seq < ?");
        let args = [Arg::Int(self.first.0 as i64), Arg::Int(next)];
        let rows = self
            .link
            .lock()
            .read("reading a segment", |session| session.query(&sql, &args, &[Kind::Int, Kind::Int]))?;
        let bounds = rows.first().and_then(|row| Some((row[0].int()?, row[1].int()?)));
        Ok(bounds.map(|(low, high)| (Offset(low as u64), Offset(high as u64))))
    }

    fn each_row(&self, from: Offset, until: Offset, seen: &mut RowSeen<'_>) -> Result<(), StoreError> {
        let sql = format!(
            "SELECT seq, received_at, body FROM {} WHERE seq >= ? AND seq < ? ORDER BY seq",
            self.shared.tables.records
        );
        // Where no end is said it is that of the segment.
        let until =
            if until.0 >= i64::MAX as u64 { self.bounds()?.map_or(from, |(_, high)| high.next()) } else { until };
        let mut from = from;
        while from < until {
            let to = Offset(until.0.min(from.0 + ROWS));
            let args = [Arg::Int(from.0 as i64), Arg::Int(to.0 as i64)];
            let kinds = [Kind::Int, Kind::Int, Kind::Bytes];
            let rows = self.link.lock().read("reading records", |session| session.query(&sql, &args, &kinds))?;
            for row in Self::raw_rows(rows) {
                let (offset, received_at, blob) = row.ok_or_else(|| self.corrupt("a record has an empty column"))?;
                seen(offset, received_at, &blob)?;
            }
            from = to;
        }
        Ok(())
    }

    fn row(&self, offset: Offset) -> Result<Option<RawRow>, StoreError> {
        let sql = format!("SELECT seq, received_at, body FROM {} WHERE seq = ?", self.shared.tables.records);
        let args = [Arg::Int(offset.0 as i64)];
        let kinds = [Kind::Int, Kind::Int, Kind::Bytes];
        let rows = self.link.lock().read("reading a record", |session| session.query(&sql, &args, &kinds))?;
        let row = Self::raw_rows(rows).next();
        row.map(|row| row.ok_or_else(|| self.corrupt("a record has an empty column"))).transpose()
    }

    fn erase(&mut self, offsets: &[Offset]) -> Result<u64, StoreError> {
        let tables = &self.shared.tables;
        let select = format!("SELECT seq, received_at, body FROM {} WHERE seq = ?", tables.records);
        let update = format!("UPDATE {} SET body = ? WHERE seq = ?", tables.records);
        let seal = format!("UPDATE {} SET value = ? WHERE first = ? AND name = 'sealed_checksum'", tables.segments);
        let sealed = format!("SELECT value FROM {} WHERE first = ? AND name = 'sealed_checksum'", tables.segments);
        let first = self.first.0 as i64;
        let bad = |offset, what: &str| -> Fault {
            Fault::Store(StoreError::CorruptRecord { path: self.shared.name(), offset, what: what.into() })
        };
        self.link.lock().transaction("erasing records", |session| {
            let (mut change, mut blob) = (0u64, Vec::new());
            for &offset in offsets {
                let found =
                    session.query(&select, &[Arg::Int(offset.0 as i64)], &[Kind::Int, Kind::Int, Kind::Bytes])?;
                let Some(Some((_, received_at, old))) = Self::raw_rows(found).next() else {
                    return Err(bad(offset, "it is missing"));
                };
                let (_, sum) = row::verified(offset, received_at, &old).map_err(|damage| bad(offset, damage))?;
                let tombstone = row::encode(&mut blob, offset, received_at, &Body::Tombstone);
                change = change.wrapping_add(tombstone).wrapping_sub(sum);
                session.run(&update, &[Arg::Bytes(&blob), Arg::Int(offset.0 as i64)])?;
            }
            let checksum = session.query(&sealed, &[Arg::Int(first)], &[Kind::Int])?;
            if let Some(checksum) = checksum.first().and_then(|row| row[0].int()) {
                session.run(&seal, &[Arg::Int(checksum.wrapping_add(change as i64)), Arg::Int(first)])?;
            }
            Ok(change)
        })
    }

    /// The server removes old versions of rows by itself, some time later.
    fn drop_old_bytes(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn meta(&self, key: &str) -> Result<Option<i64>, StoreError> {
        let sql = format!("SELECT value FROM {} WHERE first = ? AND name = ?", self.shared.tables.segments);
        self.numbers(&sql, &[Arg::Int(self.first.0 as i64), Arg::Text(key)])
    }

    fn set_metas(&mut self, metas: &[(&str, i64)]) -> Result<(), StoreError> {
        self.upsert_metas(metas)
    }

    fn write_index(
        &mut self,
        filter: &[u8],
        buckets: &mut dyn Iterator<Item = Bucket>,
        metas: &[(&str, i64)],
    ) -> Result<(), StoreError> {
        let (tables, upsert) = (&self.shared.tables, self.shared.dialect.upsert);
        let (first, doing) = (self.first.0 as i64, "sealing a segment");
        let sql = upsert(&tables.filters, &["first", "bits"], 1, 1);
        self.link.lock().run(doing, &sql, &[Arg::Int(first), Arg::Bytes(filter)])?;
        loop {
            let own: Vec<Bucket> = (&mut *buckets).take(BUCKETS).collect();
            if own.is_empty() {
                break;
            }
            let sql = upsert(&tables.ids, &["first", "bucket", "entries"], 2, own.len());
            let args: Vec<Arg<'_>> = own
                .iter()
                .flat_map(|(bucket, entries)| [Arg::Int(first), Arg::Int(*bucket as i64), Arg::Bytes(entries)])
                .collect();
            self.link.lock().run(doing, &sql, &args)?;
        }
        let int = self.shared.dialect.int;
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(LENGTH(body) + 24), 0) AS {int}) FROM {} WHERE seq >= ? AND seq < ?",
            tables.records
        );
        let until = self.next()?.map_or(i64::MAX, |next| next.0 as i64);
        let size = self.numbers(&sql, &[Arg::Int(first), Arg::Int(until)])?.unwrap_or_default();
        let metas: Vec<(&str, i64)> = metas.iter().copied().chain([("size_bytes", size)]).collect();
        self.upsert_metas(&metas)
    }

    fn filter(&self) -> Result<Vec<u8>, StoreError> {
        let sql = format!("SELECT bits FROM {} WHERE first = ?", self.shared.tables.filters);
        self.bytes("reading a filter", &sql, &[Arg::Int(self.first.0 as i64)])
    }

    fn bucket(&self, bucket: u64) -> Result<Vec<u8>, StoreError> {
        let sql = format!("SELECT entries FROM {} WHERE first = ? AND bucket = ?", self.shared.tables.ids);
        self.bytes("reading the index", &sql, &[Arg::Int(self.first.0 as i64), Arg::Int(bucket as i64)])
    }

    /// As it was when the segment was sealed; 0 before.
    fn size_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.meta("size_bytes")?.unwrap_or_default() as u64)
    }
}
