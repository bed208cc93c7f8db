//! Erasures that have begun: whom they are about, written down until every trace is gone.
//!
//! An erasure changes several files, and a crash may come between any two. The note is written before the first and removed
//! after the last, so that the next start can finish what was begun. In: a data folder. Out: the users named. Erases nothing itself.

use std::io::Write;
use std::path::{Path, PathBuf};

use accrue_event::UserId;

use crate::StoreError;

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

    /// The users whose erasure has begun and did not end.
    ///
    /// # Errors
    /// If the note cannot be read.
    pub fn users(&self) -> Result<Vec<UserId>, StoreError> {
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
    pub fn begin(&self, users: &[UserId]) -> Result<(), StoreError> {
        let (path, beside) = (self.path(), self.dir.join("erasure.pending.tmp"));
        let write = || {
            let mut file = std::fs::File::create(&beside)?;
            file.write_all(&postcard::to_stdvec(users).map_err(std::io::Error::other)?)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            self.sync()
        };
        write().map_err(|error| StoreError::io(&path, "writing the note of an erasure", error))
    }

    /// Removes the note: nothing is left of the users.
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
