//! Copying a log while it is written: segments oldest first, so that the copy is a prefix of the log. Files are copied as one snapshot
//! each, and rows of a server up to the end that it had when the copy began.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;

use super::embedded::{EmbeddedRows, EmbeddedStore, list, path_of};
use super::place::LogPlace;
use super::prune::SERVED_ERASED;
use super::reader::LogReader;
use super::row::Rows;
use super::segment::Segment;
use super::segment_store::SegmentStore;
use crate::{Offset, StoreError};

/// Number of rows copied in one transaction from or to a server.
const CHUNK: u64 = 8_192;

/// Copies the segments of a log that may be written meanwhile into the folder `target`, oldest first, so that the copy is a prefix of
/// the log; returns its first offset.
pub(crate) fn copy_log(place: &LogPlace, target: &Path) -> Result<Offset, StoreError> {
    std::fs::create_dir_all(target).map_err(|e| StoreError::io(target, "making a folder", e))?;
    let source = place.to_read()?;
    let firsts = source.list()?;
    let Some(&start) = firsts.first() else {
        return Err(StoreError::NoLog { path: source.name() });
    };
    let store = EmbeddedStore::new(target.into());
    for &first in &firsts {
        let copied = match place.is_embedded() {
            true => copy_file(&place.folder().join("log"), target, first),
            false => copy_segment(&*source, &store, first),
        };
        if copied.is_err() && !source.has(first) {
            return Err(StoreError::Pruned { offset: first, start: first.next() });
        }
        copied?;
    }
    // The last segment may have been sealed before it was copied, but a log ends with one that can be written.
    let last = Segment::open_to_read(&store, firsts[firsts.len() - 1])?;
    if last.sealed()?.is_some() {
        let end = last.bounds()?.map_or(last.first, |(_, high)| high.next());
        Segment::create(&store, end)?;
    }
    drop(last);
    remove_side_files(target)?;
    Ok(start)
}

/// Copies a whole log into a place that has none yet, and returns the digest of the copy. The segments are sealed there when the log
/// is opened.
///
/// # Errors
/// If the place has records, or one of the two cannot be read or written.
pub(crate) fn move_log(from: &LogPlace, to: &LogPlace) -> Result<u128, StoreError> {
    let (source, target) = (from.to_read()?, to.to_write()?);
    let lock = target.lock()?;
    if has_records(&*target)? {
        return Err(is_there(&*target));
    }
    target.set_complete(false)?;
    for first in target.list()? {
        target.remove(first)?;
    }
    let firsts = source.list()?;
    target.begin_at(firsts.first().copied().unwrap_or_default())?;
    for &first in &firsts {
        copy_segment(&*source, &*target, first)?;
    }
    target.set_complete(true)?;
    drop((source, target, lock));
    LogReader::open(to.clone())?.verify()
}

/// Refuses a place that has records.
pub(crate) fn refuse_if_not_empty(place: &LogPlace) -> Result<(), StoreError> {
    let store = place.to_write()?;
    match has_records(&*store)? {
        true => Err(is_there(&*store)),
        false => Ok(()),
    }
}

fn has_records(store: &dyn SegmentStore) -> Result<bool, StoreError> {
    Ok(match store.list()?[..] {
        [] => false,
        [Offset(0)] => store.open_to_read(Offset(0))?.bounds()?.is_some(),
        _ => true,
    })
}

fn is_there(store: &dyn SegmentStore) -> StoreError {
    let why =
        "there is a log already, which is not overwritten; name another prefix (?prefix=NAME) or an empty database"
            .into();
    StoreError::Refused { place: store.name().display().to_string(), why }
}

/// Copies a segment row by row: between places of different kinds. Its index is written when the log is opened.
fn copy_segment(source: &dyn SegmentStore, target: &dyn SegmentStore, first: Offset) -> Result<(), StoreError> {
    let from = Segment::open_to_read(source, first)?;
    let mut into = target.create(first)?;
    let metas = ["chain_before_high", "chain_before_low", "sum_before", SERVED_ERASED];
    let mut known = Vec::new();
    for key in metas {
        known.extend(from.meta(key)?.map(|value| (key, value)));
    }
    if !known.is_empty() {
        into.set_metas(&known)?;
    }
    let end = from.bounds()?.map_or(first, |(_, high)| high.next());
    let (mut next, mut rows) = (first, Rows::default());
    while next < end {
        let until = Offset(end.0.min(next.0 + CHUNK));
        from.copy_rows(next, until, &mut rows)?;
        into.append_rows(&rows)?;
        next = until;
    }
    Ok(())
}

/// Removes the files that readers leave in a folder that no process has open: empty write-ahead logs and their indexes.
pub(crate) fn remove_side_files(dir: &Path) -> Result<(), StoreError> {
    for first in list(dir)? {
        for suffix in ["-wal", "-shm"] {
            let mut file = path_of(dir, first).into_os_string();
            file.push(suffix);
            let holds_records = suffix == "-wal" && std::fs::metadata(&file).is_ok_and(|wal| wal.len() > 0);
            if !holds_records {
                let _ = std::fs::remove_file(&file);
            }
        }
    }
    Ok(())
}

fn copy_file(dir: &Path, target: &Path, first: Offset) -> Result<(), StoreError> {
    let source = EmbeddedRows::open_to_read(dir, first)?;
    let path = path_of(target, first);
    let failed = |e| StoreError::sqlite(&path, "copying a segment", e);
    let mut copy = Connection::open(&path).map_err(failed)?;
    {
        let backup = rusqlite::backup::Backup::new(&source.conn, &mut copy).map_err(failed)?;
        // All pages in one step: a snapshot that a writer cannot force to begin again.
        match backup.step(-1).map_err(failed)? {
            rusqlite::backup::StepResult::Done => {}
            _ => {
                return Err(failed(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                    Some("the writer held the file for too long".into()),
                )));
            }
        }
    }
    copy.close().map_err(|(_, e)| failed(e))?;
    File::open(&path).and_then(|file| file.sync_all()).map_err(|e| StoreError::io(&path, "copying a segment", e))
}
