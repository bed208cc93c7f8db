//! Checkpoints: a state at an offset, as named sections.
//!
//! In: bytes by name. Out: the same bytes, or an error that names the file and the section. What the sections mean is the
//! business of whoever writes them. A file is written beside its place, synced and renamed, so it is whole or absent.
//!
//! Sections are cut into chunks by their content (`chunker.rs`), and a chunk that an earlier file has is referred to, not written
//! again: a checkpoint after few events is a **delta** of some megabytes, however large the state; two equal sections are written
//! once. References only go backwards, so what was forgotten is gone when the files from some offset on are removed. The first file
//! that a process writes refers to one that it has read and found whole, or is a **base** that refers to none; so is the next one
//! when a delta would refer to too many files, or to files that are mostly garbage (`format.rs` has the bytes, `writer.rs` and
//! `reader.rs` the two ways).
//!
//! A flipped bit makes every checkpoint unsound that has the chunk: sections have checksums over what was written, wherever it lies.

mod chunker;
mod format;
mod reader;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use self::format::broken;
pub use self::reader::{Checkpoint, SectionReader};
pub use self::writer::{CheckpointWriter, Written};
use crate::{Offset, StoreError};

const EXTENSION: &str = "ckpt";
/// Added to the name of a file that is being written.
const UNFINISHED: &str = ".tmp";
/// A delta refers to so many files at most: each is opened when it is read.
const MAX_BASES: usize = 16;

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// The state holds all records before this one.
    pub offset: Offset,
    /// The seed of the run.
    pub seed: u64,
    /// The instruction set that the state was computed with; byte equality is promised for equal ones.
    pub instruction_set: String,
    /// The version of the build that wrote it.
    pub build: String,
}

/// The newest checkpoint that holds, and what was wrong with newer ones.
#[derive(Debug)]
pub struct Found {
    /// Every checksum of it was compared.
    pub checkpoint: Checkpoint,
    /// The newer ones that were passed over, newest first; worth a warning each.
    pub skipped: Vec<StoreError>,
}

/// The checkpoint that the next one may refer to, if there is one: it was read and found whole, or was just written. Clones of
/// [`Checkpoints`] share it.
#[derive(Clone, Debug)]
struct Trust(Arc<AtomicU64>);

impl Trust {
    const NOBODY: u64 = u64::MAX;

    fn get(&self) -> Option<Offset> {
        Some(self.0.load(Ordering::Acquire)).filter(|&offset| offset != Self::NOBODY).map(Offset)
    }

    fn set(&self, offset: Option<Offset>) {
        self.0.store(offset.map_or(Self::NOBODY, |offset| offset.0), Ordering::Release);
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
    /// Uses `dir`, which is made at the first writing.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), trust: Trust(Arc::new(AtomicU64::new(Trust::NOBODY))) }
    }

    /// Begins the checkpoint at `header.offset`; one that is there already is replaced when this one is whole. It refers to the one
    /// before it that this process last wrote or found whole, unless a new base is due.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn writer(&self, header: &CheckpointHeader) -> Result<CheckpointWriter, StoreError> {
        let base = self.trust.get().filter(|base| *base < header.offset);
        // One that was taken away or changed since then is no base; the log has everything.
        let base = base.and_then(|base| Checkpoint::open(&self.path_of(base)).ok()).filter(is_worth_referring_to);
        self.begin(header, base.as_ref())
    }

    /// Begins a checkpoint that refers to no other.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn writer_of_base(&self, header: &CheckpointHeader) -> Result<CheckpointWriter, StoreError> {
        self.begin(header, None)
    }

    fn begin(&self, header: &CheckpointHeader, base: Option<&Checkpoint>) -> Result<CheckpointWriter, StoreError> {
        std::fs::create_dir_all(&self.dir)
            .map_err(|e| StoreError::io(&self.dir, "making the checkpoints' folder", e))?;
        CheckpointWriter::begin(&self.path_of(header.offset), header, base, self.trust.clone())
    }

    /// Offsets of the checkpoints, ascending. Whether they hold is seen at their opening.
    ///
    /// # Errors
    /// If the folder cannot be read; one that is not there yet is empty.
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

    /// The newest checkpoint that holds, if there is one.
    ///
    /// # Errors
    /// If the folder cannot be read, or if there are checkpoints and not one of them holds: then the newest one's error.
    pub fn newest(&self) -> Result<Option<Found>, StoreError> {
        self.newest_up_to(Offset(u64::MAX))
    }

    /// The newest checkpoint that holds among those at `offset` or before, if there is one.
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
                    self.trust.set(Some(offset));
                    return Ok(Some(Found { checkpoint, skipped }));
                }
                Err(error) => skipped.push(error),
            }
        }
        if skipped.is_empty() { Ok(None) } else { Err(skipped.swap_remove(0)) }
    }

    /// Removes all but the newest `n` checkpoints (at least one stays) and the files that those refer to.
    ///
    /// # Errors
    /// If the folder cannot be written, or a file that is kept cannot be read.
    pub fn keep(&self, n: usize) -> Result<(), StoreError> {
        let offsets = self.list()?;
        let (old, kept) = offsets.split_at(offsets.len().saturating_sub(n.max(1)));
        let mut needed: Vec<Offset> = kept.to_vec();
        let mut next = 0;
        // What a needed file refers to is needed as well, so that it stays a checkpoint itself. References go backwards: this ends.
        while next < needed.len() {
            match Checkpoint::open(&self.path_of(needed[next])) {
                Ok(checkpoint) => {
                    let bases: Vec<Offset> = checkpoint.bases().filter(|base| !needed.contains(base)).collect();
                    needed.extend(bases);
                }
                // A broken one needs nothing that would help it.
                Err(StoreError::BrokenCheckpoint { .. } | StoreError::Foreign { .. } | StoreError::Version { .. }) => {}
                Err(error) => return Err(error),
            }
            next += 1;
        }
        for &offset in old.iter().filter(|offset| !needed.contains(offset)) {
            let path = self.path_of(offset);
            std::fs::remove_file(&path).map_err(|e| StoreError::io(&path, "removing a checkpoint", e))?;
        }
        self.remove_unfinished()
    }

    /// Removes what a crash left of checkpoints that were being written; nobody writes one meanwhile.
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

    /// Removes the checkpoints that cover the record at `offset`, durably; returns how many there were.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn remove_after(&self, offset: Offset) -> Result<u64, StoreError> {
        let mut removed = 0;
        self.trust.set(None);
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

    /// Where the checkpoint at `offset` lies.
    pub fn path_of(&self, offset: Offset) -> PathBuf {
        file_of(&self.dir, offset)
    }
}

/// Whether a delta to this one saves more than it costs: in few files, of which at least two thirds are still of use.
fn is_worth_referring_to(checkpoint: &Checkpoint) -> bool {
    let (stored, live) = checkpoint.stored_and_live_bytes();
    checkpoint.bases().count() < MAX_BASES && stored <= live + live / 2
}
