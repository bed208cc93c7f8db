//! Checkpoints: a state at an offset, as named sections.
//!
//! In: values and bytes by name, each with a version. Out: the same bytes, or an error that names the file and the section. The meaning
//! of sections is up to the caller. A file is written under another name, synced and renamed, so it is complete or absent.
//!
//! Sections are cut into chunks, and a chunk that an earlier file has is referred to and not written again. So a checkpoint after few
//! events is a **delta** of some megabytes, whatever the size of the state, and equal chunks are written once. Large structures are
//! written in pages (`pages.rs`), and a page that did not change since the last checkpoint of this process is not even serialised. Files
//! refer only to earlier files, so removing all files from some offset on removes what they contain for good. The first file that a
//! process writes refers to one that it has read and verified, or is a **base** that refers to none. A new base is also written when a
//! delta would refer to too many files, or to files whose chunks are mostly unused. `format.rs` has the bytes, `writer.rs` and
//! `reader.rs` write and read them, `tail.rs` is what is kept in memory in between.
//!
//! Each chunk has a checksum. A flipped bit in a chunk damages every checkpoint that uses it.

mod body;
mod format;
mod marks;
mod pages;
mod reader;
mod source;
mod tail;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

pub use self::format::CheckpointHeader;
use self::format::{Frame, broken};
pub use self::marks::{PAGES, PageMarks};
pub use self::pages::{SequenceMarks, serialize_pages};
pub use self::reader::{Checkpoint, SectionReader};
pub use self::source::{SectionSource, Unread, UnreadReason};
use self::tail::Tail;
pub use self::writer::{CheckpointWriter, SectionWriter};
use crate::{Offset, StoreError};

const EXTENSION: &str = "ckpt";
/// Added to the name of a file that is being written.
const UNFINISHED: &str = ".tmp";
/// Largest number of files that a delta refers to, because each is opened when it is read.
const MAX_BASES: usize = 16;

/// The size of a finished checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of all sections.
    pub state_bytes: u64,
    /// Bytes of the file: the chunks that no earlier file had, and the table of contents.
    pub file_bytes: u64,
    /// Number of earlier files that it refers to.
    pub n_bases: usize,
}

/// The newest sound checkpoint, and the errors of newer ones.
#[derive(Debug)]
pub struct Found {
    /// The checkpoint; all its checksums were compared.
    pub checkpoint: Checkpoint,
    /// The errors of newer ones that were skipped, newest first; each deserves a warning.
    pub skipped: Vec<StoreError>,
}

/// The checkpoint that the next one may refer to, if there is one: it was verified, or was just written. Clones of [`Checkpoints`] share
/// it.
#[derive(Clone, Debug, Default)]
struct Trust(Arc<Mutex<Trusted>>);

#[derive(Debug, Default)]
struct Trusted {
    offset: Option<Offset>,
    /// Its chunks and pages, if this process wrote it.
    tail: Option<Tail>,
}

impl Trust {
    fn set(&self, offset: Offset, tail: Option<Tail>) {
        *self.0.lock() = Trusted { offset: Some(offset), tail };
    }

    /// Trusts a checkpoint that was verified.
    fn found(&self, offset: Offset) {
        let mut trusted = self.0.lock();
        let tail = trusted.tail.take().filter(|tail| tail.ends_with(offset));
        *trusted = Trusted { offset: Some(offset), tail };
    }

    fn forget(&self) {
        *self.0.lock() = Trusted::default();
    }
}

/// The checkpoints of a folder, named by their offsets.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    trust: Trust,
}

fn file_of(dir: &Path, offset: Offset) -> PathBuf {
    dir.join(format!("{:020}.{EXTENSION}", offset.0))
}

impl Checkpoints {
    /// Uses `dir`, which is created at the first writing.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), trust: Trust::default() }
    }

    /// Begins the checkpoint at `header.offset`. An existing one there is replaced when this one is complete. It refers to the checkpoint
    /// that this process last wrote or verified, unless a new base is due.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn writer(&self, header: &CheckpointHeader) -> Result<CheckpointWriter, StoreError> {
        self.begin(header, self.tail(header.offset))
    }

    /// Begins a checkpoint that refers to no other.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn writer_of_base(&self, header: &CheckpointHeader) -> Result<CheckpointWriter, StoreError> {
        self.begin(header, Tail::default())
    }

    fn begin(&self, header: &CheckpointHeader, tail: Tail) -> Result<CheckpointWriter, StoreError> {
        std::fs::create_dir_all(&self.dir)
            .map_err(|e| StoreError::io(&self.dir, "making the checkpoints' folder", e))?;
        CheckpointWriter::begin(&self.path_of(header.offset), header, tail, self.trust.clone())
    }

    /// What the checkpoint at `offset` may refer to. A file that was removed or changed since it was written is not referred to.
    fn tail(&self, offset: Offset) -> Tail {
        let mut trusted = self.trust.0.lock();
        let Some(base) = trusted.offset.filter(|base| *base < offset) else { return Tail::default() };
        // Taken out until the next one is written, because a failed writing may leave it incomplete.
        let tail = trusted.tail.take();
        let tail = tail.or_else(|| Checkpoint::open(&self.path_of(base)).ok().map(|base| Tail::of(&base)));
        tail.filter(|tail| tail.is_usable(&self.dir)).unwrap_or_default()
    }

    /// Offsets of the checkpoints, ascending. Whether they are sound is found out when they are opened.
    ///
    /// # Errors
    /// If the folder cannot be read. A folder that does not exist yet is empty.
    pub fn list(&self) -> Result<Vec<Offset>, StoreError> {
        let failed = |e| StoreError::io(&self.dir, "listing checkpoints", e);
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut offsets = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                offsets.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).map(Offset));
            }
        }
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// The header of the checkpoint at `offset`, without reading the rest.
    ///
    /// # Errors
    /// If the file cannot be read, or its header is damaged.
    pub fn header_of(&self, offset: Offset) -> Result<CheckpointHeader, StoreError> {
        format::header_of(&self.path_of(offset))
    }

    /// The newest sound checkpoint, if there is one.
    ///
    /// # Errors
    /// If the folder cannot be read; or, if there are checkpoints and none is sound, the error of the newest one.
    pub fn newest(&self) -> Result<Option<Found>, StoreError> {
        self.newest_up_to(Offset(u64::MAX))
    }

    /// The newest sound checkpoint at or before `offset`, if there is one.
    ///
    /// # Errors
    /// As [`Checkpoints::newest`].
    pub fn newest_up_to(&self, offset: Offset) -> Result<Option<Found>, StoreError> {
        let mut skipped = Vec::new();
        for offset in self.list()?.into_iter().rev().filter(|found| *found <= offset) {
            let checked = Checkpoint::open(&self.path_of(offset)).and_then(|checkpoint| {
                if checkpoint.header().offset != offset {
                    return Err(broken(checkpoint.path(), "header", "its offset is not the one in its name"));
                }
                checkpoint.verify()?;
                Ok(checkpoint)
            });
            match checked {
                Ok(checkpoint) => {
                    self.trust.found(offset);
                    return Ok(Some(Found { checkpoint, skipped }));
                }
                Err(error) => skipped.push(error),
            }
        }
        if skipped.is_empty() { Ok(None) } else { Err(skipped.swap_remove(0)) }
    }

    /// Removes all files but the newest `n` checkpoints (at least one) and those that they refer to.
    ///
    /// # Errors
    /// If the folder cannot be written, or a file that is kept cannot be read.
    pub fn keep(&self, n: usize) -> Result<(), StoreError> {
        self.keep_for(n, &[]).map(|_| ())
    }

    /// [`Checkpoints::keep`] for a log whose segments begin at `starts` (ascending) and are removed from the oldest on. For each segment
    /// the first checkpoint is kept too from which the log can be resumed when the segments before are removed. Checkpoints that cannot
    /// be resumed from any more are removed. Returns the number of removed checkpoints.
    ///
    /// # Errors
    /// Those of [`Checkpoints::keep`].
    pub fn keep_for(&self, n: usize, starts: &[Offset]) -> Result<u64, StoreError> {
        let offsets = self.list()?;
        let mut needed: Vec<Offset> = offsets[offsets.len().saturating_sub(n.max(1))..].to_vec();
        if starts.iter().any(|start| *start > Offset(0)) {
            // A checkpoint with a damaged header cannot be resumed from; it is removed if it is among the old ones.
            let resume = |offset: Offset| self.header_of(offset).ok().map(|header| header.resume);
            let usable: Vec<(Offset, Offset)> =
                offsets.iter().filter_map(|&offset| Some((offset, resume(offset)?))).collect();
            let first_after = |start: Offset| usable.iter().find(|(_, resume)| *resume >= start);
            if usable.iter().any(|(_, resume)| *resume >= starts[0]) {
                needed.retain(|offset| usable.iter().all(|(usable, resume)| usable != offset || *resume >= starts[0]));
            }
            needed.extend(starts.iter().filter_map(|&start| first_after(start)).map(|(offset, _)| *offset));
            needed.sort_unstable();
            needed.dedup();
        }
        let mut next = 0;
        // A file that a needed file refers to is needed too, with those that it refers to itself. References go backwards, so this ends.
        while next < needed.len() {
            match Frame::read(&self.path_of(needed[next])) {
                Ok(frame) => {
                    let bases = frame.contents.files.iter().map(|name| name.offset);
                    let bases: Vec<Offset> = bases.filter(|base| !needed.contains(base)).collect();
                    needed.extend(bases);
                }
                // Nothing would help a damaged one.
                Err(StoreError::BrokenCheckpoint { .. } | StoreError::Foreign { .. } | StoreError::Version { .. }) => {}
                Err(error) => return Err(error),
            }
            next += 1;
        }
        let mut removed = 0;
        for &offset in offsets.iter().filter(|offset| !needed.contains(offset)) {
            let path = self.path_of(offset);
            std::fs::remove_file(&path).map_err(|e| StoreError::io(&path, "removing a checkpoint", e))?;
            removed += 1;
        }
        self.remove_unfinished()?;
        Ok(removed)
    }

    /// Removes unfinished files that a crash left. No checkpoint is written meanwhile.
    fn remove_unfinished(&self) -> Result<(), StoreError> {
        let failed = |e| StoreError::io(&self.dir, "removing unfinished checkpoints", e);
        let unfinished = format!(".{EXTENSION}{UNFINISHED}");
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.to_str().is_some_and(|path| path.ends_with(&unfinished)) {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes the checkpoints that include the record at `offset`, durably, and returns their number.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn remove_after(&self, offset: Offset) -> Result<u64, StoreError> {
        let mut removed = 0;
        self.trust.forget();
        for found in self.list()?.into_iter().filter(|found| *found > offset) {
            let path = self.path_of(found);
            std::fs::remove_file(&path).map_err(|e| StoreError::io(&path, "removing a checkpoint", e))?;
            removed += 1;
        }
        if removed > 0 {
            let synced = std::fs::File::open(&self.dir).and_then(|dir| dir.sync_all());
            synced.map_err(|e| StoreError::io(&self.dir, "removing checkpoints", e))?;
        }
        Ok(removed)
    }

    /// The file of the checkpoint at `offset`.
    pub fn path_of(&self, offset: Offset) -> PathBuf {
        file_of(&self.dir, offset)
    }
}
