//! The places of the parts of a data folder.

use std::path::{Path, PathBuf};

use accrue_store::Checkpoints;

/// The checkpoints of a data folder.
pub fn checkpoints_in(dir: &Path) -> Checkpoints {
    Checkpoints::new(dir.join("checkpoints"))
}

/// The search index of a data folder.
pub(crate) fn search_in(dir: &Path) -> PathBuf {
    dir.join("search")
}
