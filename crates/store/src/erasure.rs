//! Erasures that have begun: which records they are about, written down until every trace is gone.
//!
//! An erasure changes several files, and a crash may come between any two; what tells whose a record is may itself be erased first.
//! So the offsets are noted before the first change and the note is removed after the last, and the next start can finish what was
//! begun. What an erasure that failed has noted stays in the note when another one begins. A checksum comes first, because a damaged
//! list would have the records of other people erased. In: a data folder. Out: the offsets. Erases nothing itself, and holds no names.

use std::io::Write;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

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
    /// If the note cannot be read or is damaged.
    pub fn offsets(&self) -> Result<Vec<Offset>, StoreError> {
        let path = self.path();
        match std::fs::read(&path) {
            Ok(bytes) => read(&bytes).ok_or_else(|| StoreError::Corrupt {
                path,
                what: "the note of an erasure that began and did not end is damaged, so nothing is erased; remove it, and forget the \
                       same people again"
                    .into(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(StoreError::io(&path, "reading the note of an erasure", error)),
        }
    }

    /// Adds these records to the note, durably. Returns all that it names then, ascending: those of an earlier erasure that did not end
    /// are still to be erased.
    ///
    /// # Errors
    /// If the note cannot be read or is damaged, or the folder cannot be written: then the note is what it was.
    pub fn begin(&self, offsets: &[Offset]) -> Result<Vec<Offset>, StoreError> {
        let noted = self.offsets()?;
        let mut all = noted.clone();
        all.extend_from_slice(offsets);
        all.sort_unstable();
        all.dedup();
        if all != noted {
            self.write(&all)?;
        }
        Ok(all)
    }

    fn write(&self, offsets: &[Offset]) -> Result<(), StoreError> {
        let (path, beside) = (self.path(), self.dir.join("erasure.pending.tmp"));
        let write = || {
            let mut file = std::fs::File::create(&beside)?;
            let list = postcard::to_stdvec(offsets).map_err(std::io::Error::other)?;
            file.write_all(&xxh3_64(&list).to_le_bytes())?;
            file.write_all(&list)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            self.sync()
        };
        write().map_err(|error| {
            // On a full disk the unfinished file would take space that the log needs.
            let _ = std::fs::remove_file(&beside);
            StoreError::io(&path, "writing the note of an erasure", error)
        })
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

/// The offsets of a note; `None` if its checksum does not fit.
fn read(note: &[u8]) -> Option<Vec<Offset>> {
    let (sum, list) = note.split_first_chunk()?;
    (u64::from_le_bytes(*sum) == xxh3_64(list)).then(|| postcard::from_bytes(list).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_note_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let note = PendingErasure::of(dir.path());
        assert_eq!(note.offsets().unwrap(), []);
        let offsets = [Offset(3), Offset(1000)];
        assert_eq!(note.begin(&offsets).unwrap(), offsets);
        assert_eq!(note.offsets().unwrap(), offsets);
        let whole = std::fs::read(note.path()).unwrap();
        for place in 0..whole.len() {
            let mut bent = whole.clone();
            bent[place] ^= 1;
            std::fs::write(note.path(), bent).unwrap();
            assert!(matches!(note.offsets(), Err(StoreError::Corrupt { .. })), "byte {place}");
            assert!(
                matches!(note.begin(&[Offset(5)]), Err(StoreError::Corrupt { .. })),
                "byte {place} is not replaced"
            );
            std::fs::write(note.path(), &whole[..place]).unwrap();
            assert!(matches!(note.offsets(), Err(StoreError::Corrupt { .. })), "{place} bytes");
        }
        note.end().unwrap();
        assert_eq!(note.offsets().unwrap(), []);
    }

    #[test]
    fn what_an_erasure_that_did_not_end_has_noted_stays() {
        let dir = tempfile::tempdir().unwrap();
        let note = PendingErasure::of(dir.path());
        note.begin(&[Offset(7), Offset(3)]).unwrap();
        assert_eq!(note.begin(&[Offset(5), Offset(7)]).unwrap(), [3, 5, 7].map(Offset));
        assert_eq!(note.offsets().unwrap(), [3, 5, 7].map(Offset));
        assert_eq!(note.begin(&[]).unwrap(), [3, 5, 7].map(Offset));
        // If the folder cannot be written, the note is what it was.
        std::fs::create_dir(dir.path().join("erasure.pending.tmp")).unwrap();
        assert!(note.begin(&[Offset(9)]).is_err());
        assert_eq!(note.offsets().unwrap(), [3, 5, 7].map(Offset));
        note.end().unwrap();
        std::fs::remove_dir(dir.path().join("erasure.pending.tmp")).unwrap();
        assert_eq!(note.begin(&[Offset(9)]).unwrap(), [Offset(9)], "what has ended is not noted again");
    }
}
