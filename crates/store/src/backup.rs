//! Backups: a consistent copy of a data folder while a server writes to it, and restoring one.
//!
//! A backup contains a prefix of the log, the newest checkpoint at or before its end (as one file that refers to no
//! other), the configuration, and a manifest with the checksum of every file. The manifest is written last, so a folder
//! without one is not a complete backup. An erasure does not change earlier backups: after forgetting a person, take a
//! new one and delete the old ones.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::log::{LogReader, copy_log, move_log, refuse_if_not_empty, remove_side_files, sync_dir};
use crate::{Checkpoint, Checkpoints, LogPlace, Offset, StoreError};

const MANIFEST: &str = "manifest";
const TITLE: &str = "accrue-backup 1";
const CONFIG: &str = "accrue.toml";
const CHECKPOINTS: &str = "checkpoints";
/// The file of a data folder with the parts of another shop that its models began with.
pub const PARTS: &str = "init.parts";
/// Retention may remove segments while they are copied. The backup is then begun again, at most this often.
const ATTEMPTS: usize = 3;

/// The contents of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The first offset of its log.
    pub start: Offset,
    /// The end of its log: it has every record from `start` up to this one.
    pub end: Offset,
    /// The log's digest up to `end`.
    pub digest: u128,
    /// The offset of its checkpoint, if there was one.
    pub checkpoint: Option<Offset>,
    /// Total size of its files.
    pub size_bytes: u64,
}

/// Copies a data folder (log, newest checkpoint, configuration) into `target`, which must be empty or absent. A
/// server may write to it meanwhile, and is not delayed. The log is in the copy's own folder, wherever it is in the original.
///
/// # Errors
/// If `target` is not empty or lies in `dir`, or a file is damaged or cannot be written. Then the copy is removed
/// again.
pub fn backup(place: impl Into<LogPlace>, target: &Path) -> Result<Backup, StoreError> {
    let place = place.into();
    refuse_inside(place.folder(), target)?;
    fill_empty(target, |unfinished| {
        let mut attempt = 1;
        loop {
            match copy_all(&place, unfinished) {
                Ok(()) => break,
                Err(StoreError::Pruned { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
            attempt += 1;
            clear(unfinished)?;
        }
        let contents = inspect(unfinished)?;
        write_manifest(unfinished, &contents)?;
        Ok(contents)
    })
}

/// Restores a backup into `target`, which must be empty or absent, and verifies every file and record.
///
/// # Errors
/// If `target` is not empty, or the backup is incomplete or damaged. Then `target` is unchanged.
pub fn restore(source: &Path, target: &Path) -> Result<Backup, StoreError> {
    let manifest = Manifest::read(source)?;
    fill_empty(target, |unfinished| {
        for file in &manifest.files {
            let to = unfinished.join(&file.name);
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder).map_err(|e| StoreError::io(folder, "making a folder", e))?;
            }
            let from = source.join(&file.name);
            let copied = copy_file(&from, &to)?;
            if copied != (file.size_bytes, file.checksum) {
                let what = "the file is not what was backed up".into();
                return Err(StoreError::BrokenBackup { path: from, what });
            }
        }
        let contents = inspect(unfinished)?;
        if (contents.end, contents.digest) != (manifest.end, manifest.digest) {
            let what = "the log is not what was backed up".into();
            return Err(StoreError::BrokenBackup { path: source.into(), what });
        }
        Ok(contents)
    })
}

/// Restores a backup into the data folder of `place`, which must be empty or absent, and its log into the place, which must have no
/// records. Where the log is in the folder, this is [`restore`].
///
/// # Errors
/// Those of [`restore`], and if the place has a log or cannot be written. After a failure of the place remove the folder and what is in
/// the place, and repeat it.
pub fn restore_into(source: &Path, place: &LogPlace) -> Result<Backup, StoreError> {
    if !place.is_embedded() {
        // Before anything is copied.
        refuse_if_not_empty(place)?;
    }
    let dir = place.folder();
    let restored = restore(source, dir)?;
    if place.is_embedded() {
        return Ok(restored);
    }
    let moving = dir.join("log.moving");
    let log = dir.join("log");
    std::fs::create_dir_all(&moving)
        .and_then(|()| std::fs::rename(&log, moving.join("log")))
        .map_err(|e| StoreError::io(&log, "moving the log", e))?;
    let digest = move_log(&LogPlace::from(&moving), place)?;
    if digest != restored.digest {
        let what = "the log in the database is not what was backed up".into();
        return Err(StoreError::BrokenBackup { path: source.into(), what });
    }
    std::fs::remove_dir_all(&moving).map_err(|e| StoreError::io(&moving, "removing the moved log", e))?;
    Ok(restored)
}

/// Refuses a target within the data folder: a disk that fails would take both, and a later backup would copy the
/// earlier.
fn refuse_inside(dir: &Path, target: &Path) -> Result<(), StoreError> {
    let is_inside = is_inside(dir, target).map_err(|e| StoreError::io(target, "finding a folder", e))?;
    match is_inside {
        true => Err(StoreError::BackupInside { path: target.into(), dir: dir.into() }),
        false => Ok(()),
    }
}

/// Whether a path, which need not exist yet, is a folder or lies below it.
///
/// # Errors
/// If the path is empty.
pub fn is_inside(dir: &Path, path: &Path) -> io::Result<bool> {
    let Ok(dir) = std::fs::canonicalize(dir) else { return Ok(false) };
    // The path need not exist, but some folder above it does.
    let path = std::path::absolute(path)?;
    let above = path.ancestors().find_map(|folder| std::fs::canonicalize(folder).ok());
    Ok(above.is_some_and(|above| above.starts_with(&dir)))
}

/// Fills a folder beside `target` and renames it to `target` when it is complete.
fn fill_empty(target: &Path, fill: impl FnOnce(&Path) -> Result<Backup, StoreError>) -> Result<Backup, StoreError> {
    match std::fs::read_dir(target).map(|mut entries| entries.next().is_none()) {
        Ok(true) => {}
        Ok(false) => return Err(StoreError::NotEmpty { path: target.into() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(StoreError::io(target, "reading a folder", e)),
    }
    let mut unfinished = target.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    clear(&unfinished)?;
    let filled = fill(&unfinished).and_then(|contents| {
        sync_tree(&unfinished)?;
        std::fs::rename(&unfinished, target).map_err(|e| StoreError::io(target, "putting a folder in its place", e))?;
        if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
        Ok(contents)
    });
    if filled.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    filled
}

fn clear(dir: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(StoreError::io(dir, "clearing a folder", e)),
        _ => {}
    }
    std::fs::create_dir_all(dir).map_err(|e| StoreError::io(dir, "making a folder", e))
}

/// Copies the checkpoint first, so that the log, which is copied later, contains every record that the checkpoint
/// includes.
fn copy_all(place: &LogPlace, target: &Path) -> Result<(), StoreError> {
    let dir = place.folder();
    let (checkpoints, copies) = (Checkpoints::new(dir.join(CHECKPOINTS)), Checkpoints::new(target.join(CHECKPOINTS)));
    let newest = checkpoints.newest()?;
    if let Some(found) = &newest {
        found.checkpoint.copy_whole(&copies)?;
    }
    for name in [CONFIG, PARTS] {
        let file = dir.join(name);
        if file.exists() {
            copy_file(&file, &target.join(name))?;
        }
    }
    let start = copy_log(place, &target.join("log"))?;
    let resume = newest.as_ref().map_or(Offset(0), |found| found.checkpoint.header().resume);
    if start > resume {
        // Retention removed segments in between: the log now begins after the checkpoint.
        return Err(StoreError::Pruned { offset: resume, start });
    }
    if start > Offset(0) {
        copy_first(&checkpoints, &copies, start)?;
    }
    Ok(())
}

/// For a log whose beginning was pruned, copies the first checkpoint from which the remaining records can be folded.
/// Without it, a person with records before the newest checkpoint could not be forgotten in the restored folder.
fn copy_first(from: &Checkpoints, into: &Checkpoints, start: Offset) -> Result<(), StoreError> {
    let is_usable = |offset: &Offset| from.header_of(*offset).is_ok_and(|header| header.resume >= start);
    for offset in from.list()?.into_iter().filter(is_usable) {
        if into.list()?.contains(&offset) {
            break;
        }
        let checkpoint = Checkpoint::open(&from.path_of(offset))?;
        if checkpoint.verify().is_ok() {
            checkpoint.copy_whole(into)?;
            break;
        }
    }
    Ok(())
}

/// Verifies a copied data folder and returns its contents.
fn inspect(dir: &Path) -> Result<Backup, StoreError> {
    let mut reader = LogReader::open(dir)?;
    let digest = reader.verify()?;
    let checkpoint = Checkpoints::new(dir.join(CHECKPOINTS)).newest()?.map(|found| found.checkpoint.header().offset);
    let (start, end) = (reader.start(), reader.end());
    drop(reader);
    remove_side_files(&dir.join("log"))?;
    let mut size_bytes = 0;
    for name in files(dir)? {
        let path = dir.join(name);
        size_bytes += path.metadata().map_err(|e| StoreError::io(&path, "reading a file", e))?.len();
    }
    Ok(Backup { start, end, digest, checkpoint, size_bytes })
}

/// Names of the files below `dir`, relative to it, sorted.
fn files(dir: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for folder in ["", "log", CHECKPOINTS] {
        let path = dir.join(folder);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(StoreError::io(&path, "reading a folder", e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| StoreError::io(&path, "reading a folder", e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // SQLite creates its side files again when they are needed.
            let is_side_file = name.ends_with("-shm") || name.ends_with("-wal");
            if entry.path().is_file() && name != MANIFEST && !is_side_file {
                names.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Copies a file and makes it durable; returns its length and checksum.
fn copy_file(from: &Path, to: &Path) -> Result<(u64, u64), StoreError> {
    let mut reader = File::open(from).map_err(|e| StoreError::io(from, "copying a file", e))?;
    let mut writer = File::create(to).map_err(|e| StoreError::io(to, "copying a file", e))?;
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size_bytes = 0;
    loop {
        let n = reader.read(&mut buffer).map_err(|e| StoreError::io(from, "copying a file", e))?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        writer.write_all(&buffer[..n]).map_err(|e| StoreError::io(to, "copying a file", e))?;
        size_bytes += n as u64;
    }
    writer.sync_all().map_err(|e| StoreError::io(to, "copying a file", e))?;
    Ok((size_bytes, hash.digest()))
}

fn sync_tree(dir: &Path) -> Result<(), StoreError> {
    for folder in ["log", CHECKPOINTS, ""] {
        let path = dir.join(folder);
        if path.exists() {
            sync_dir(&path)?;
        }
    }
    Ok(())
}

struct Manifest {
    end: Offset,
    digest: u128,
    files: Vec<ManifestFile>,
}

struct ManifestFile {
    size_bytes: u64,
    checksum: u64,
    name: String,
}

fn write_manifest(dir: &Path, contents: &Backup) -> Result<(), StoreError> {
    let mut text = format!("{TITLE}\nend {}\ndigest {:032x}\n", contents.end, contents.digest);
    for name in files(dir)? {
        let (size_bytes, checksum) = hash_file(&dir.join(&name))?;
        text.push_str(&format!("file {size_bytes} {checksum:016x} {name}\n"));
    }
    text.push_str("complete\n");
    let path = dir.join(MANIFEST);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| StoreError::io(&path, "writing the manifest", e))
}

fn hash_file(path: &Path) -> Result<(u64, u64), StoreError> {
    let failed = |e| StoreError::io(path, "reading a file", e);
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size_bytes = 0;
    loop {
        let n = reader.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            return Ok((size_bytes, hash.digest()));
        }
        hash.update(&buffer[..n]);
        size_bytes += n as u64;
    }
}

impl Manifest {
    fn read(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(MANIFEST);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                let what = "it has no readable manifest".into();
                return Err(StoreError::BrokenBackup { path: dir.into(), what });
            }
            Err(e) => return Err(StoreError::io(&path, "reading the manifest", e)),
        };
        Self::parse(&text)
            .ok_or_else(|| StoreError::BrokenBackup { path, what: "the manifest is damaged or incomplete".into() })
    }

    fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(TITLE)?.strip_prefix('\n')?.strip_suffix("complete\n")?;
        let mut lines = body.lines();
        let end = Offset(lines.next()?.strip_prefix("end ")?.parse().ok()?);
        let digest = u128::from_str_radix(lines.next()?.strip_prefix("digest ")?, 16).ok()?;
        let mut files = Vec::new();
        for line in lines {
            let mut parts = line.strip_prefix("file ")?.splitn(3, ' ');
            let size_bytes = parts.next()?.parse().ok()?;
            let checksum = u64::from_str_radix(parts.next()?, 16).ok()?;
            let name = parts.next()?.to_string();
            // A name must not point outside the folder.
            if name.starts_with('/') || name.split('/').any(|part| part == ".." || part.is_empty()) {
                return None;
            }
            files.push(ManifestFile { size_bytes, checksum, name });
        }
        Some(Self { end, digest, files })
    }
}
