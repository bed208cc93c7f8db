//! Erasures that have begun: which records they are about, written down until every trace is gone.
//!
//! An erasure changes several files, and a crash may come between any two; what tells whose a record is may itself be erased first.
//! So the offsets are noted before the first change and the note is removed after the last, and the next start can finish what was
//! begun. The people are noted too: what they do after the note was written is to be erased with the rest, also if the server
//! stops before that. What an erasure that failed has noted stays in the note when another one begins. A checksum comes first,
//! because a damaged list would have the records of other people erased.
//! In: a data folder. Out: offsets and people. Erases nothing itself.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use accrue_event::UserId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Offset, StoreError};

/// Name of the note in the data folder.
const NOTE: &str = "erasure.pending";

/// The note of a data folder.
#[derive(Clone, Debug)]
pub struct PendingErasure {
    dir: PathBuf,
}

/// What a note says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The records to erase, ascending.
    pub offsets: Vec<Offset>,
    /// Whose they are. Notes of earlier builds do not say it.
    pub users: BTreeSet<UserId>,
}

impl Noted {
    /// Whether nothing is to be erased.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty() && self.users.is_empty()
    }
}

impl PendingErasure {
    /// That of the data folder `dir`, whether there is one or not.
    pub fn of(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join(NOTE)
    }

    /// What has begun to be erased and was not finished.
    ///
    /// # Errors
    /// If the note cannot be read or is damaged.
    pub fn noted(&self) -> Result<Noted, StoreError> {
        let path = self.path();
        match std::fs::read(&path) {
            Ok(bytes) => read(&bytes).ok_or_else(|| StoreError::Corrupt {
                path,
                what: "the note of an erasure that began and did not end is damaged, so nothing is erased; remove it, and forget the \
                       same people again"
                    .into(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Noted::default()),
            Err(error) => Err(StoreError::io(&path, "reading the note of an erasure", error)),
        }
    }

    /// Adds these records of these people to the note, durably. Returns all that it says then: what an earlier erasure that did not
    /// end has noted is still to be erased.
    ///
    /// # Errors
    /// If the note cannot be read or is damaged, or the folder cannot be written: then the note is what it was.
    pub fn begin(&self, offsets: &[Offset], users: &BTreeSet<UserId>) -> Result<Noted, StoreError> {
        let noted = self.noted()?;
        let mut all = noted.clone();
        all.offsets.extend_from_slice(offsets);
        all.offsets.sort_unstable();
        all.offsets.dedup();
        all.users.extend(users.iter().cloned());
        if all != noted {
            self.write(&all)?;
        }
        Ok(all)
    }

    fn write(&self, noted: &Noted) -> Result<(), StoreError> {
        let (path, beside) = (self.path(), self.dir.join("erasure.pending.tmp"));
        let write = || {
            let mut file = std::fs::File::create(&beside)?;
            let list = postcard::to_stdvec(noted).map_err(std::io::Error::other)?;
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

/// What a note says; `None` if its checksum does not fit.
fn read(note: &[u8]) -> Option<Noted> {
    let (sum, content) = note.split_first_chunk()?;
    if u64::from_le_bytes(*sum) != xxh3_64(content) {
        return None;
    }
    let (offsets, users) = postcard::take_from_bytes(content).ok()?;
    // Earlier builds wrote the offsets only.
    let users = if users.is_empty() { BTreeSet::new() } else { postcard::from_bytes(users).ok()? };
    Some(Noted { offsets, users })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_note_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let note = PendingErasure::of(dir.path());
        assert_eq!(note.noted().unwrap(), Noted::default());
        let noted =
            Noted { offsets: vec![Offset(3), Offset(1000)], users: BTreeSet::from(["ann".into(), "bob".into()]) };
        assert_eq!(note.begin(&noted.offsets, &noted.users).unwrap(), noted);
        assert_eq!(note.noted().unwrap(), noted);
        let whole = std::fs::read(note.path()).unwrap();
        for place in 0..whole.len() {
            let mut bent = whole.clone();
            bent[place] ^= 1;
            std::fs::write(note.path(), bent).unwrap();
            assert!(matches!(note.noted(), Err(StoreError::Corrupt { .. })), "byte {place}");
            assert!(
                matches!(note.begin(&[Offset(5)], &BTreeSet::new()), Err(StoreError::Corrupt { .. })),
                "byte {place} is not replaced"
            );
            std::fs::write(note.path(), &whole[..place]).unwrap();
            assert!(matches!(note.noted(), Err(StoreError::Corrupt { .. })), "{place} bytes");
        }
        note.end().unwrap();
        assert_eq!(note.noted().unwrap(), Noted::default());
    }

    #[test]
    fn a_note_without_names_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let note = PendingErasure::of(dir.path());
        let list = postcard::to_stdvec(&[Offset(3), Offset(1000)][..]).unwrap();
        std::fs::write(note.path(), [&xxh3_64(&list).to_le_bytes()[..], &list].concat()).unwrap();
        let noted = note.noted().unwrap();
        assert_eq!((noted.offsets, noted.users), (vec![Offset(3), Offset(1000)], BTreeSet::new()));
    }

    #[test]
    fn what_an_erasure_that_did_not_end_has_noted_stays() {
        let dir = tempfile::tempdir().unwrap();
        let note = PendingErasure::of(dir.path());
        let begin = |offsets: &[u64], user: &str| {
            let offsets: Vec<_> = offsets.iter().copied().map(Offset).collect();
            note.begin(&offsets, &BTreeSet::from([user.into()]))
        };
        begin(&[7, 3], "ann").unwrap();
        let both = Noted { offsets: [3, 5, 7].map(Offset).into(), users: BTreeSet::from(["ann".into(), "bob".into()]) };
        assert_eq!(begin(&[5, 7], "bob").unwrap(), both);
        assert_eq!(note.noted().unwrap(), both);
        assert_eq!(begin(&[], "ann").unwrap(), both);
        // If the folder cannot be written, the note is what it was.
        std::fs::create_dir(dir.path().join("erasure.pending.tmp")).unwrap();
        assert!(begin(&[9], "ann").is_err());
        assert_eq!(note.noted().unwrap(), both);
        note.end().unwrap();
        std::fs::remove_dir(dir.path().join("erasure.pending.tmp")).unwrap();
        assert_eq!(begin(&[9], "ann").unwrap().offsets, [Offset(9)], "what has ended is not noted again");
    }
}
