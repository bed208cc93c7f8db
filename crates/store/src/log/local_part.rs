//! What a data folder has of a log that is elsewhere: a lock, and a note about where it is.
//!
//! The note has the identity of the log too, so that checkpoints and indexes of one log are never used with another.

#[cfg(feature = "sql")]
use std::fs::File;
use std::path::{Path, PathBuf};

use super::embedded;
use crate::{StoreError, StoreUrl};

/// The file of a data folder that says where its log is, if it is not in the folder.
const ELSEWHERE: &str = "elsewhere";

/// What a data folder has of its log: the segments, or only a lock and a note about where they are.
#[derive(Clone, Debug)]
pub(super) struct LocalPart {
    /// `DIR/log`
    pub(super) dir: PathBuf,
}

impl LocalPart {
    pub(super) fn of(dir: &Path) -> Self {
        Self { dir: dir.join("log") }
    }

    /// The note: the place, and the identity of the log there.
    fn note(&self) -> Result<Option<(String, String)>, StoreError> {
        let path = self.dir.join(ELSEWHERE);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let (place, identity) = text.trim_end().split_once('\n').unwrap_or((text.trim_end(), ""));
                Ok(Some((place.into(), identity.into())))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(&path, "reading where the log is", error)),
        }
    }

    pub(super) fn refuse_if_elsewhere(&self) -> Result<(), StoreError> {
        match self.note()? {
            None => Ok(()),
            Some((place, _)) => Err(StoreError::Refused {
                place: self.dir.display().to_string(),
                why: format!("the log of this data folder is in {place}; name it with --store or in `[store] url`"),
            }),
        }
    }

    pub(super) fn refuse_if_embedded(&self, url: &StoreUrl) -> Result<(), StoreError> {
        if self.dir.is_dir() && !embedded::list(&self.dir)?.is_empty() {
            let why = format!(
                "this data folder has a log of its own, which would be left out; move it with: accrue backup COPY, and accrue restore \
                 COPY --data NEW_DIR --store {url}"
            );
            return Err(StoreError::Refused { place: self.dir.display().to_string(), why });
        }
        Ok(())
    }

    /// Refuses a data folder whose derived state belongs to another log.
    #[cfg(feature = "sql")]
    pub(super) fn refuse_if_of_another(&self, url: &StoreUrl, identity: &str) -> Result<(), StoreError> {
        match self.note()? {
            Some((place, known)) if known != identity => Err(StoreError::Refused {
                place: self.dir.display().to_string(),
                why: format!(
                    "this data folder belongs to another log, which was in {place}; name that one, or give the log in {url} a new \
                     folder (--data DIR), which is filled from it"
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Locks the folder for this process and notes where its log is.
    #[cfg(feature = "sql")]
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        std::fs::create_dir_all(&self.dir).map_err(|e| StoreError::io(&self.dir, "making the log's folder", e))?;
        embedded::lock(&self.dir)
    }

    /// Notes where the folder's log is.
    #[cfg(feature = "sql")]
    pub(super) fn note_place(&self, url: &StoreUrl, identity: &str) -> Result<(), StoreError> {
        let path = self.dir.join(ELSEWHERE);
        let text = format!("{url}\n{identity}\n");
        if std::fs::read_to_string(&path).is_ok_and(|noted| noted == text) {
            return Ok(());
        }
        let written = File::create(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|e| StoreError::io(&path, "noting where the log is", e))?;
        embedded::sync_dir(&self.dir)
    }
}
