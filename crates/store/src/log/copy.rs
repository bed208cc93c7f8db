//! Copying a log while it is written: each segment as one snapshot, oldest first, so that the copy is a prefix of the log.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;

use super::segment::{Segment, list, path_of};
use crate::{Offset, StoreError};

/// Copies the segments of a log that may be written meanwhile, oldest first, so that the copy is a prefix of the log;
/// returns its first offset.
pub(crate) fn copy_log(dir: &Path, target: &Path) -> Result<Offset, StoreError> {
    std::fs::create_dir_all(target).map_err(|e| StoreError::io(target, "making a folder", e))?;
    let firsts = list(dir)?;
    let Some(&start) = firsts.first() else {
        return Err(StoreError::NoLog { path: dir.into() });
    };
    for &first in &firsts {
        let copied = copy_segment(dir, target, first);
        if copied.is_err() && !path_of(dir, first).exists() {
            return Err(StoreError::Pruned { offset: first, start: first.next() });
        }
        copied?;
    }
    // The last segment may have been sealed before it was copied, but a log ends with one that can be written.
    let last = Segment::open_to_read(target, firsts[firsts.len() - 1])?;
    if last.sealed()?.is_some() {
        let end = last.bounds()?.map_or(last.first, |(_, high)| high.next());
        Segment::create(target, end)?;
    }
    drop(last);
    remove_side_files(target)?;
    Ok(start)
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

fn copy_segment(dir: &Path, target: &Path, first: Offset) -> Result<(), StoreError> {
    let source = Segment::open_to_read(dir, first)?;
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
