//! Checkpoints: a state at an offset, as named sections in one file.
//!
//! In: bytes by name. Out: the same bytes, or an error that names the file and the section. What the sections mean is the
//! business of whoever writes them. A file is written beside its place, synced and renamed, so it is whole or absent.
//!
//! Layout: magic, format version, header (postcard, with checksum); the sections one after another; a table of contents
//! (name, place, length, checksum); then its place, length and checksum, a checksum over all bytes before, and a closing
//! magic. All numbers are little-endian, all checksums xxh3-64.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::log::sync_dir;
use crate::{Offset, StoreError};

const MAGIC: &[u8; 8] = b"ACCRUECK";
const END_MAGIC: &[u8; 8] = b"ACCRUEND";
const FORMAT: u32 = 2;
/// Place, length and checksum of the table of contents, checksum of the file, closing magic.
const FOOTER_BYTES: u64 = 40;
/// A header is some names and numbers; a longer one is damage.
const HEADER_LIMIT_BYTES: u32 = 1 << 16;
const BUFFER_BYTES: usize = 1 << 20;
const EXTENSION: &str = "ckpt";

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// The state holds all records before this one.
    pub offset: Offset,
    /// The seed of the run.
    pub seed: u64,
    /// The instruction set that the state was computed with; byte equality is promised for equal ones.
    pub instruction_set: String,
    /// The version of the build that wrote it.
    pub build: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    start: u64,
    len: u64,
    checksum: u64,
}

/// Writes one checkpoint. Nothing is at its place before [`CheckpointWriter::finish`].
pub struct CheckpointWriter {
    path: PathBuf,
    unfinished: PathBuf,
    file: HashingFile,
    entries: Vec<Entry>,
    finished: bool,
}

impl CheckpointWriter {
    /// Begins a checkpoint that will lie at `path`.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn create(path: &Path, header: &CheckpointHeader) -> Result<Self, StoreError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".tmp");
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished).map_err(|e| StoreError::io(&unfinished, "making a checkpoint", e))?;
        let file =
            HashingFile { out: BufWriter::with_capacity(BUFFER_BYTES, file), all: Xxh3::new(), section: None, at: 0 };
        let mut writer = Self { path: path.into(), unfinished, file, entries: Vec::new(), finished: false };
        let header = postcard::to_stdvec(header).expect("a header is plain values");
        let begun = writer.write_header(&header);
        begun.map_err(|e| writer.failed(e))?;
        Ok(writer)
    }

    fn write_header(&mut self, header: &[u8]) -> io::Result<()> {
        self.file.write_all(MAGIC)?;
        self.file.write_all(&FORMAT.to_le_bytes())?;
        self.file.write_all(&(header.len() as u32).to_le_bytes())?;
        self.file.write_all(header)?;
        self.file.write_all(&xxh3_64(header).to_le_bytes())
    }

    /// Writes a section through `write`; its length need not be known before.
    ///
    /// # Errors
    /// If the name was used already or the disk refuses.
    pub fn section(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        if self.entries.iter().any(|entry| entry.name == name) {
            return Err(StoreError::Section { path: self.path.clone(), section: name.into(), what: "is there twice" });
        }
        let start = self.file.at;
        self.file.section = Some(Xxh3::new());
        let written = write(&mut self.file);
        let checksum = self.file.section.take().map_or(0, |section| section.digest());
        written.map_err(|e| self.failed(e))?;
        self.entries.push(Entry { name: name.into(), start, len: self.file.at - start, checksum });
        Ok(())
    }

    /// Writes a section that is in memory already.
    ///
    /// # Errors
    /// As [`CheckpointWriter::section`].
    pub fn write_section(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.section(name, |out| out.write_all(bytes))
    }

    /// Makes the checkpoint durable and puts it in its place.
    ///
    /// # Errors
    /// If the disk refuses; the place is as it was before.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let written = self.write_end();
        written.map_err(|e| self.failed(e))?;
        std::fs::rename(&self.unfinished, &self.path).map_err(|e| self.failed(e))?;
        self.finished = true;
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => sync_dir(dir),
            _ => sync_dir(Path::new(".")),
        }
    }

    fn write_end(&mut self) -> io::Result<()> {
        let entries = postcard::to_stdvec(&self.entries).expect("a table of contents is plain values");
        let start = self.file.at;
        self.file.write_all(&entries)?;
        self.file.write_all(&start.to_le_bytes())?;
        self.file.write_all(&(entries.len() as u64).to_le_bytes())?;
        self.file.write_all(&xxh3_64(&entries).to_le_bytes())?;
        let all = self.file.all.digest();
        self.file.write_all(&all.to_le_bytes())?;
        self.file.write_all(END_MAGIC)?;
        self.file.out.flush()?;
        self.file.out.get_ref().sync_all()
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::io(&self.unfinished, "writing a checkpoint", source)
    }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Litter at worst: the name is never read.
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}

/// A file that hashes what goes into it.
struct HashingFile {
    out: BufWriter<File>,
    all: Xxh3,
    section: Option<Xxh3>,
    at: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.all.update(&bytes[..n]);
        if let Some(section) = &mut self.section {
            section.update(&bytes[..n]);
        }
        self.at += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A checkpoint, open for reading. Its header and table of contents hold; sections are checked while they are read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    header: CheckpointHeader,
    entries: Vec<Entry>,
}

impl Checkpoint {
    /// Opens a checkpoint and checks its frame: format, header, length, table of contents.
    ///
    /// # Errors
    /// Names the file and what does not hold.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |e| StoreError::io(path, "opening a checkpoint", e);
        let mut file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let (header, body_start) = read_header(path, &mut file)?;
        let entries = read_contents(path, &mut file, len, body_start)?;
        Ok(Self { path: path.into(), header, entries })
    }

    /// What it says of itself.
    pub fn header(&self) -> &CheckpointHeader {
        &self.header
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names and lengths in bytes of its sections, in the order of their writing.
    pub fn sections(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.iter().map(|entry| (&*entry.name, entry.len))
    }

    /// Streams a section. Its checksum is compared at its end: the last read fails if a byte is not what was written.
    ///
    /// # Errors
    /// If there is no such section.
    pub fn section(&self, name: &str) -> Result<SectionReader, StoreError> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Err(StoreError::Section { path: self.path.clone(), section: name.into(), what: "is missing" });
        };
        let failed = |e| StoreError::io(&self.path, "reading a checkpoint", e);
        let mut file = File::open(&self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(entry.start)).map_err(failed)?;
        Ok(SectionReader {
            path: self.path.clone(),
            name: entry.name.clone(),
            checksum: entry.checksum,
            file: BufReader::with_capacity(BUFFER_BYTES, file).take(entry.len),
            hash: Xxh3::new(),
        })
    }

    /// A whole section, checked.
    ///
    /// # Errors
    /// If there is no such section, or it is damaged.
    pub fn section_bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.section(name)?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|e| self.section_failed(name, e))?;
        Ok(bytes)
    }

    /// Reads the whole file and compares every checksum.
    ///
    /// # Errors
    /// Names the section that does not hold, where it is one.
    pub fn verify(&self) -> Result<(), StoreError> {
        for entry in &self.entries {
            let mut reader = self.section(&entry.name)?;
            io::copy(&mut reader, &mut io::sink()).map_err(|e| self.section_failed(&entry.name, e))?;
        }
        // The sections hold; this finds damage between them, and a file put together from two.
        let failed = |e| StoreError::io(&self.path, "reading a checkpoint", e);
        let file = File::open(&self.path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let mut hashed = Xxh3::new();
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        io::copy(&mut file.by_ref().take(len - 16), &mut HashOnly(&mut hashed)).map_err(failed)?;
        let mut end = [0; 8];
        file.read_exact(&mut end).map_err(failed)?;
        if end != hashed.digest().to_le_bytes() {
            return Err(broken(&self.path, "end", "the checksum of the whole file does not match"));
        }
        Ok(())
    }

    fn section_failed(&self, name: &str, source: io::Error) -> StoreError {
        match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                broken(&self.path, &format!("section {name:?}"), "its checksum does not match its content")
            }
            _ => StoreError::io(&self.path, "reading a checkpoint", source),
        }
    }
}

struct HashOnly<'a>(&'a mut Xxh3);

impl Write for HashOnly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken(path: &Path, section: &str, what: &str) -> StoreError {
    StoreError::BrokenCheckpoint { path: path.into(), section: section.into(), what: what.into() }
}

fn read_header(path: &Path, file: &mut File) -> Result<(CheckpointHeader, u64), StoreError> {
    let short = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => broken(path, "header", "the file ends within it"),
        _ => StoreError::io(path, "opening a checkpoint", e),
    };
    let mut frame = [0; 16];
    file.read_exact(&mut frame).map_err(short)?;
    if frame[..8] != *MAGIC {
        return Err(StoreError::Foreign { path: path.into(), what: "it is no checkpoint".into() });
    }
    let number = |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let (format, header_len) = (number(8), number(12));
    if format != FORMAT {
        return Err(StoreError::Version { path: path.into(), found: format, expected: FORMAT });
    }
    if header_len > HEADER_LIMIT_BYTES {
        return Err(broken(path, "header", "its length is impossible"));
    }
    let mut header = vec![0; header_len as usize];
    let mut checksum = [0; 8];
    file.read_exact(&mut header).map_err(short)?;
    file.read_exact(&mut checksum).map_err(short)?;
    if xxh3_64(&header).to_le_bytes() != checksum {
        return Err(broken(path, "header", "its checksum does not match its content"));
    }
    let header = postcard::from_bytes(&header).map_err(|_| broken(path, "header", "it does not decode"))?;
    Ok((header, 16 + u64::from(header_len) + 8))
}

fn read_contents(path: &Path, file: &mut File, len: u64, body_start: u64) -> Result<Vec<Entry>, StoreError> {
    let failed = |e| StoreError::io(path, "opening a checkpoint", e);
    let truncated = || broken(path, "end", "the file is truncated, or was never finished");
    let footer_start = len.checked_sub(FOOTER_BYTES).filter(|start| *start >= body_start).ok_or_else(truncated)?;
    let mut footer = [0; FOOTER_BYTES as usize];
    file.seek(SeekFrom::Start(footer_start)).and_then(|_| file.read_exact(&mut footer)).map_err(failed)?;
    if footer[32..] != *END_MAGIC {
        return Err(truncated());
    }
    let number = |at: usize| u64::from_le_bytes(footer[at..at + 8].try_into().expect("8 bytes"));
    let (start, contents_len, checksum) = (number(0), number(8), number(16));
    if start < body_start || start.checked_add(contents_len) != Some(footer_start) {
        return Err(broken(path, "table of contents", "its place is impossible"));
    }
    // The length is that of bytes in the file, so it is safe to allocate.
    let mut contents = vec![0; contents_len as usize];
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut contents)).map_err(failed)?;
    if xxh3_64(&contents) != checksum {
        return Err(broken(path, "table of contents", "its checksum does not match its content"));
    }
    let entries: Vec<Entry> =
        postcard::from_bytes(&contents).map_err(|_| broken(path, "table of contents", "it does not decode"))?;
    let in_place =
        |entry: &Entry| entry.start >= body_start && entry.start.checked_add(entry.len).is_some_and(|end| end <= start);
    if let Some(entry) = entries.iter().find(|entry| !in_place(entry)) {
        return Err(broken(path, &format!("section {:?}", entry.name), "its place is impossible"));
    }
    Ok(entries)
}

/// Streams one section; see [`Checkpoint::section`].
pub struct SectionReader {
    path: PathBuf,
    name: String,
    checksum: u64,
    file: io::Take<BufReader<File>>,
    hash: Xxh3,
}

impl SectionReader {
    /// Bytes still to read.
    pub fn remaining(&self) -> u64 {
        self.file.limit()
    }
}

impl Read for SectionReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.hash.update(&buffer[..n]);
        let ended = self.file.limit() == 0;
        if !ended && n == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if ended && self.hash.digest() != self.checksum {
            let error =
                broken(&self.path, &format!("section {:?}", self.name), "its checksum does not match its content");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(n)
    }
}

/// The newest checkpoint that holds, and what was wrong with newer ones.
#[derive(Debug)]
pub struct Found {
    /// Every checksum of it was compared.
    pub checkpoint: Checkpoint,
    /// The newer ones that were passed over, newest first; worth a warning each.
    pub skipped: Vec<StoreError>,
}

/// The checkpoints of a folder, named by their offsets.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// Uses `dir`, which is made at the first writing.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Begins the checkpoint at `header.offset`; one that is there already is replaced when this one is whole.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn writer(&self, header: &CheckpointHeader) -> Result<CheckpointWriter, StoreError> {
        std::fs::create_dir_all(&self.dir)
            .map_err(|e| StoreError::io(&self.dir, "making the checkpoints' folder", e))?;
        CheckpointWriter::create(&self.path_of(header.offset), header)
    }

    /// Offsets of the checkpoints, ascending. Whether they hold is seen at their opening.
    ///
    /// # Errors
    /// If the folder cannot be read; one that is not there yet is empty.
    pub fn list(&self) -> Result<Vec<Offset>, StoreError> {
        let failed = |e| StoreError::io(&self.dir, "listing checkpoints", e);
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut offsets = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                offsets.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).map(Offset));
            }
        }
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// The newest checkpoint that holds, if there is one.
    ///
    /// # Errors
    /// If the folder cannot be read, or if there are checkpoints and not one of them holds: then the newest one's error.
    pub fn newest(&self) -> Result<Option<Found>, StoreError> {
        self.newest_up_to(Offset(u64::MAX))
    }

    /// The newest checkpoint that holds among those at `offset` or before, if there is one.
    ///
    /// # Errors
    /// As [`Checkpoints::newest`].
    pub fn newest_up_to(&self, offset: Offset) -> Result<Option<Found>, StoreError> {
        let mut skipped = Vec::new();
        for offset in self.list()?.into_iter().rev().filter(|found| *found <= offset) {
            let checked = Checkpoint::open(&self.path_of(offset)).and_then(|checkpoint| {
                if checkpoint.header.offset != offset {
                    return Err(broken(&checkpoint.path, "header", "its offset is not the one in its name"));
                }
                checkpoint.verify()?;
                Ok(checkpoint)
            });
            match checked {
                Ok(checkpoint) => return Ok(Some(Found { checkpoint, skipped })),
                Err(error) => skipped.push(error),
            }
        }
        if skipped.is_empty() { Ok(None) } else { Err(skipped.swap_remove(0)) }
    }

    /// Removes all but the newest `n` checkpoints (at least one stays).
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn keep(&self, n: usize) -> Result<(), StoreError> {
        let offsets = self.list()?;
        for &offset in &offsets[..offsets.len().saturating_sub(n.max(1))] {
            let path = self.path_of(offset);
            std::fs::remove_file(&path).map_err(|e| StoreError::io(&path, "removing a checkpoint", e))?;
        }
        Ok(())
    }

    /// Removes the checkpoints that cover the record at `offset`, durably; returns how many there were.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn remove_after(&self, offset: Offset) -> Result<u64, StoreError> {
        let mut removed = 0;
        for found in self.list()?.into_iter().filter(|found| *found > offset) {
            let path = self.path_of(found);
            std::fs::remove_file(&path).map_err(|e| StoreError::io(&path, "removing a checkpoint", e))?;
            removed += 1;
        }
        if removed > 0 {
            let synced = std::fs::File::open(&self.dir).and_then(|dir| dir.sync_all());
            synced.map_err(|e| StoreError::io(&self.dir, "removing checkpoints", e))?;
        }
        Ok(removed)
    }

    /// Where the checkpoint at `offset` lies.
    pub fn path_of(&self, offset: Offset) -> PathBuf {
        self.dir.join(format!("{:020}.{EXTENSION}", offset.0))
    }
}
