//! Errors of stored data. Each message names the fault, the place, and what to do next.

use std::path::{Path, PathBuf};

use crate::Offset;

/// An error of the log, a checkpoint or a backup.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the log open.
    #[error(
        "{path}: another process is using this folder; stop it, or give this one a folder of its own (--data DIR)",
        path = path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The disk has no space left.
    #[error("{path}: the disk is full ({cause}); free some space: a running server then continues by itself, a command is to be repeated", path = path.display())]
    DiskFull {
        /// The file being written.
        path: PathBuf,
        /// The message of the operating system.
        cause: String,
    },
    /// The file or folder cannot be written.
    #[error("{path}: not writable ({cause}); check the owner, the permissions and the mount: a running server then continues by itself, a command is to be repeated", path = path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// The message of the operating system.
        cause: String,
    },
    /// The file is damaged.
    #[error("{path}: damaged: {what}; restore the folder from a backup (accrue restore)", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The folder holds no log.
    #[error("{path}: it holds no segment of a log", path = path.display())]
    NoLog {
        /// The folder.
        path: PathBuf,
    },
    /// There is no data folder of this name, or it is another kind of folder.
    #[error("{path}: there is no data folder here: it has no folder `log`", path = path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// One record of the log is damaged.
    #[error(
        "{path}: the record at offset {offset} is damaged: {what}; restore the folder from a backup (accrue restore)",
        path = path.display()
    )]
    CorruptRecord {
        /// The segment.
        path: PathBuf,
        /// The record.
        offset: Offset,
        /// What is wrong.
        what: String,
    },
    /// The file was not written by Accrue.
    #[error("{path}: {what}; move it out of the folder, or point --data at another one", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why it cannot have been written by Accrue.
        what: String,
    },
    /// The file has another format version.
    #[error("{path}: format version {found}, but this build reads version {expected}; use the build that wrote it, or export and ingest again", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The version of this build.
        expected: u32,
    },
    /// Records are missing between two segments.
    #[error(
        "{path}: begins at offset {found}, but the log before it ends at {expected}: a segment is missing; restore the folder from a backup (accrue restore)",
        path = path.display()
    )]
    Gap {
        /// The segment after the gap.
        path: PathBuf,
        /// Where it should begin.
        expected: Offset,
        /// Where it begins.
        found: Offset,
    },
    /// The server that holds the log cannot be reached, or broke off.
    #[error(
        "{place}: {why}; check that the database runs and is reached from here: what a server is doing it tries again by itself, a command is to be repeated"
    )]
    Unreachable {
        /// The address, without its password.
        place: String,
        /// What was seen of it.
        why: String,
    },
    /// The place of the log cannot be used as it is.
    #[error("{place}: {why}")]
    Refused {
        /// The address, without its password, or the folder.
        place: String,
        /// Why, and what to do.
        why: String,
    },
    /// An earlier write failed, so nothing is written any more.
    #[error("{path}: an earlier write failed ({cause}); reads go on, nothing more is written until the log was opened again", path = path.display())]
    Poisoned {
        /// The log's folder.
        path: PathBuf,
        /// The first failure.
        cause: String,
    },
    /// Retention removed the requested records.
    #[error("offset {offset} was pruned: the log begins at {start}; start from a checkpoint at or after that")]
    Pruned {
        /// The requested offset.
        offset: Offset,
        /// The first offset of the log.
        start: Offset,
    },
    /// The requested offset is after the end of the log.
    #[error("offset {offset} is beyond the end of the log, {end}; ask for an offset up to that")]
    BeyondEnd {
        /// The requested offset.
        offset: Offset,
        /// The end of the log.
        end: Offset,
    },
    /// A checkpoint is damaged or incomplete.
    #[error("{path}: broken checkpoint, {section}: {what}; delete the file, and the one before it will be used", path = path.display())]
    BrokenCheckpoint {
        /// The file.
        path: PathBuf,
        /// The section (or `header`, `table of contents`, `end`).
        section: String,
        /// What is wrong.
        what: String,
    },
    /// A checkpoint lacks a section, or would have it twice.
    #[error("{path}: section {section:?} {what}; the checkpoint was written by another build, replay the log instead", path = path.display())]
    Section {
        /// The file.
        path: PathBuf,
        /// The section's name.
        section: String,
        /// `is missing` or `is there twice`.
        what: &'static str,
    },
    /// A backup was to be written into the data folder itself.
    #[error("{}: lies in the data folder {}; write the backup to another disk or folder", path.display(), dir.display())]
    BackupInside {
        /// The target.
        path: PathBuf,
        /// The data folder.
        dir: PathBuf,
    },
    /// The target folder is not empty.
    #[error("{path}: not empty; give an empty or a new folder", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is not a complete backup.
    #[error("{path}: not a complete backup: {what}; take the backup again, or restore from another one", path = path.display())]
    BrokenBackup {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Any other failure of the embedded database.
    #[error("{path}: {doing} failed: {source}; check the disk and the system's log: what a server is doing it tries again by itself, a command is to be repeated", path = path.display())]
    Sqlite {
        /// The segment.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The message of the database.
        source: rusqlite::Error,
    },
    /// Any other failure of the file system.
    #[error("{path}: {doing} failed: {source}; check the disk and the system's log: what a server is doing it tries again by itself, a command is to be repeated", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The message of the operating system.
        source: std::io::Error,
    },
}

impl StoreError {
    /// The error of the embedded database, with its place and, if it is a common one, its remedy.
    pub(crate) fn sqlite(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path, cause: source.to_string() },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path, cause: source.to_string() }
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, what: source.to_string() }
            }
            // A row is missing, or has another type than was written.
            None => Self::Corrupt { path, what: source.to_string() },
            _ => Self::Sqlite { path, doing, source },
        }
    }

    /// The error of the file system, with its place and, if it is a common one, its remedy.
    pub fn io(path: &Path, doing: &'static str, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let path = path.to_path_buf();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull { path, cause: source.to_string() },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, cause: source.to_string() }
            }
            _ => Self::Io { path, doing, source },
        }
    }
}
