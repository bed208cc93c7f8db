//! Erasures that have begun: which records they are about, written down until every trace is gone.
//!
//! An erasure changes several files, and a crash may come between any two; what tells whose a record is may itself be erased first.
//! So the offsets are noted before the first change and the note is removed after the last, and the next start can finish what was
//! begun. In: a data folder. Out: the offsets. Erases nothing itself, and holds no names.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Offset, StoreError};

/// Name of the note in the data folder.
const NOTE: &str = "erasure.pending";

/// The note of a data folder.
#[derive(Clone, Debug)]
pub struct PendingErasure {
    dir: PathBuf,
}

impl PendingErasure {
    /// That of the data folder `dir`, whether there is one or not.
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(NOTE)
    }

    /// The records whose erasure has begun and did not end.
    ///
    /// # Errors
    /// If the note cannot be read.
    pub fn offsets(&self) -> Result<Vec<Offset>, StoreError> {
        let path = self.path();
        match std::fs::read(&path) {
            Ok(bytes) => postcard::from_bytes(&bytes)
                .map_err(|error| StoreError::io(&path, "reading the note of an erasure", std::io::Error::other(error))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::io(&path, "reading the note of an erasure", error)),
        }
    }

    /// Writes the note, durably.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn begin(&self, offsets: &[Offset]) -> Result<(), StoreError> {
        let (path, beside) = (self.path(), self.dir.join("erasure.pending.tmp"));
        let write = || {
            let mut file = std::fs::File::create(&beside)?;
            file.write_all(&postcard::to_stdvec(offsets).map_err(std::io::Error::other)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            self.sync()
        };
        write().map_err(|error| StoreError::io(&path, "writing the note of an erasure", error))
    }

    /// Removes the note: nothing is left of the records.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn end(&self) -> Result<(), StoreError> {
        let path = self.path();
        let remove = || match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => self.sync(),
        };
        remove().map_err(|error| StoreError::io(&path, "removing the note of an erasure", error))
    }

    fn sync(&self) -> std::io::Result<()> {
        std::fs::File::open(&self.dir)?.sync_all()
    }
}
