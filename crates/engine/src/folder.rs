//! The places of the parts of a data folder.

use std::path::{Path, PathBuf};

use accrue_serve::search::SearchError;
use accrue_store::Checkpoints;

/// The checkpoints of a data folder.
pub fn checkpoints_in(dir: &Path) -> Checkpoints {
    Checkpoints::new(dir.join("checkpoints"))
}

/// The search index of a data folder.
pub(crate) fn search_in(dir: &Path) -> PathBuf {
    dir.join("search")
}

/// Removes the search index; the next opening builds it again.
pub(crate) fn remove_search(dir: &Path) -> Result<(), SearchError> {
    let path = search_in(dir);
    match std::fs::remove_dir_all(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(SearchError::Io { path, source }),
        _ => Ok(()),
    }
}
