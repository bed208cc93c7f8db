//! The demo's data folder: a temporary one that is removed when the demo ends, or a given one.
//!
//! A given folder is used if it is new or empty, or if an earlier demo created it and nothing else has written to it
//! since; then its data is removed. Any other folder is refused, so that simulated shoppers are never mixed with real
//! ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use accrue_engine::{Config, Engine, EngineError};
use serde::{Deserialize, Serialize};

/// The file that marks a given folder as a demo's.
const MARK: &str = "accrue-demo.json";

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It holds other data.
    #[error("{path}: holds data that no demo wrote, and simulated shoppers must not get among it", path = path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The engine cannot open the data of an earlier demo.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The content of the mark.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    note: String,
    /// The log's end when the demo ended; absent while it runs, or if it was killed.
    end: Option<u64>,
}

/// The demo's folder. Dropping it removes a temporary one.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    /// A new folder among the system's temporary ones.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn temporary() -> Result<Self, FolderError> {
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("accrue-demo-{}-{:08x}", std::process::id(), started.subsec_nanos());
        let path = std::env::temp_dir().join(name);
        // Fails if it exists: a folder of another program is never used or removed.
        fs::create_dir(&path).map_err(at(&path))?;
        Ok(Self { path, is_temporary: true })
    }

    /// The given folder, emptied of an earlier demo's data.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn named(path: &Path, config: &Config) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(at(path))?;
        let mut entries = fs::read_dir(path).map_err(at(path))?;
        if entries.next().is_some() {
            clear(path, config)?;
        }
        let folder = Self { path: path.to_owned(), is_temporary: false };
        folder.mark(None)?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is removed when the demo ends.
    pub fn is_temporary(&self) -> bool {
        self.is_temporary
    }

    /// Records how far the demo wrote.
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn mark(&self, end: Option<u64>) -> Result<(), FolderError> {
        if self.is_temporary {
            return Ok(());
        }
        let path = self.path.join(MARK);
        let mark = Mark { note: "made by `accrue demo`: all shoppers in here are simulated".into(), end };
        let text = serde_json::to_vec(&mark).expect("a note is plain data");
        fs::write(&path, text).map_err(at(&path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the demo's folder was not removed");
        }
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> FolderError + '_ {
    move |source| FolderError::Io { path: path.to_owned(), source }
}

/// Removes the data of an earlier demo; refuses any other.
fn clear(path: &Path, config: &Config) -> Result<(), FolderError> {
    let foreign = || FolderError::Foreign { path: path.to_owned() };
    let mark: Mark = match fs::read(path.join(MARK)) {
        Ok(text) => serde_json::from_slice(&text).map_err(|_| foreign())?,
        Err(_) => return Err(foreign()),
    };
    // Opening it also detects another process that uses it.
    let engine = Engine::open(path, config)?;
    let end = engine.status().log_end;
    engine.close()?;
    if mark.end.is_some_and(|known| known != end) {
        return Err(foreign());
    }
    // The mark is removed last, so that the rest of an interrupted removal is still known as a demo's.
    for entry in fs::read_dir(path).map_err(at(path))? {
        let entry = entry.map_err(at(path))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(at(path))?);
        if entry.file_name() == MARK {
            continue;
        }
        let removed = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(at(&path))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what fails here fails a test")]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_removed_with_the_demo() {
        let folder = Folder::temporary().unwrap();
        let path = folder.path().to_owned();
        fs::write(path.join("log"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_is_used_again_only_if_nothing_else_wrote_to_it() {
        let parent = Folder::temporary().unwrap();
        let (path, config) = (parent.path().join("shop"), Config::default());
        let fill = |n_users: usize| {
            let engine = Engine::open(&path, &config).unwrap();
            let items = (0..n_users).map(|n| serde_json::from_value(serde_json::json!({"id": format!("mug-{n}")})));
            engine.put_items_blocking(items.map(Result::unwrap).collect(), false).unwrap();
            let end = engine.status().log_end;
            engine.close().unwrap();
            end
        };
        let folder = Folder::named(&path, &config).unwrap();
        let end = fill(1);
        folder.mark(Some(end)).unwrap();
        let again = Folder::named(&path, &config).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "only the mark is left");
        again.mark(Some(fill(1))).unwrap();
        fill(2);
        assert!(matches!(Folder::named(&path, &config), Err(FolderError::Foreign { .. })));
        assert!(fs::read_dir(&path).unwrap().count() > 1, "a refused folder is not changed");
    }

    #[test]
    fn a_folder_with_other_files_is_refused() {
        let parent = Folder::temporary().unwrap();
        fs::write(parent.path().join("letter.txt"), "dear all").unwrap();
        let refused = Folder::named(parent.path(), &Config::default());
        assert!(matches!(refused, Err(FolderError::Foreign { .. })));
    }
}
