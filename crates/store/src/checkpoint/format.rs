//! The bytes of a checkpoint file, format 8.
//!
//! Layout: magic, format version, header (postcard, with checksum); chunks one after another; a table of contents (postcard); a footer
//! with the table's place, length and checksum, a checksum over all bytes before, and a closing magic. Numbers are little-endian,
//! checksums are xxh3-64. The name of a chunk is the xxh3-128 of its bytes, which is compared when they are read.
//!
//! A section has a name, a version and a list of extents: runs of consecutive chunks in this file or in an earlier one that the table
//! names. So the table of a small delta is small: it lists each chunk of its own file, and only the runs in earlier files. The sizes of
//! chunks are not part of the format: a section is the bytes of its chunks, one after another.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Offset, StoreError};

pub(super) const MAGIC: &[u8; 8] = b"ACCRUECK";
pub(super) const END_MAGIC: &[u8; 8] = b"ACCRUEND";
pub(super) const FORMAT: u32 = 8;
/// Place, length and checksum of the table of contents, checksum of the file, closing magic.
pub(super) const FOOTER_BYTES: u64 = 40;
/// A header consists of a few names and numbers; a longer one is damaged.
const HEADER_LIMIT_BYTES: u32 = 1 << 16;

/// The header of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    /// The state includes all records before this one.
    pub offset: Offset,
    /// The first record that is read from the log to resume, because a part of the state may be behind. Not later than `offset`.
    pub resume: Offset,
    /// Checksum of the record before `offset` ([`LogReader::sum_before`](crate::LogReader::sum_before)): it shows
    /// whether a log is the one that the state was folded from. `None` if there is no such record, or no log.
    pub last_record: Option<u64>,
    /// The seed of the run.
    pub seed: u64,
    /// The instruction set that the state was computed with. Equal bytes are guaranteed for the same one only.
    pub instruction_set: String,
    /// The version of the build that wrote it.
    pub build: String,
}

/// A chunk of this file: its name and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    /// xxh3-128 of the bytes, as bytes: they are random, so a varint would be longer.
    pub hash: [u8; 16],
    pub len: u32,
}

/// A file with chunks, named by its offset and the checksum of all its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileName {
    pub offset: Offset,
    pub checksum: u64,
}

/// `n` chunks from number `first` on, in file number `file`: 0 is this one, the others are [`Contents::files`] from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub file: u32,
    pub first: u32,
    pub n: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexEntry {
    pub name: String,
    /// Version of the section's encoding.
    pub version: u32,
    pub len: u64,
    pub extents: Vec<Extent>,
}

/// The table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// Earlier checkpoints whose chunks this one uses.
    pub files: Vec<FileName>,
    /// The chunks of this file, in their order.
    pub chunks: Vec<Chunk>,
    pub sections: Vec<IndexEntry>,
}

/// A file without the bytes of its chunks.
#[derive(Debug)]
pub(super) struct Frame {
    pub header: CheckpointHeader,
    pub contents: Contents,
    /// Checksum of all bytes before it. Together with the offset it names the file.
    pub checksum: u64,
    /// Where each chunk begins, and finally where the last one ends.
    pub starts: Vec<u64>,
}

/// The verified header of a file, without reading the rest.
pub(super) fn header_of(path: &Path) -> Result<CheckpointHeader, StoreError> {
    let mut file = File::open(path).map_err(|e| StoreError::io(path, "opening a checkpoint", e))?;
    Ok(read_header(path, &mut file)?.0)
}

/// The checksum in the footer of a file, if it ends as a checkpoint does.
pub(super) fn checksum_of(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let mut end = [0; 16];
    file.seek(SeekFrom::End(-(end.len() as i64)))?;
    file.read_exact(&mut end)?;
    let (checksum, magic) = end.split_at(8);
    Ok((magic == END_MAGIC).then(|| u64::from_le_bytes(checksum.try_into().expect("8 bytes"))))
}

pub(super) fn broken(path: &Path, section: &str, what: &str) -> StoreError {
    StoreError::BrokenCheckpoint { path: path.into(), section: section.into(), what: what.into() }
}

impl Frame {
    /// Reads and verifies header, footer and table of contents.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let failed = |e| StoreError::io(path, "opening a checkpoint", e);
        let mut file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let (header, body_start) = read_header(path, &mut file)?;
        let (contents, body_end, checksum) = read_contents(path, &mut file, len, body_start)?;
        let mut starts = Vec::with_capacity(contents.chunks.len() + 1);
        starts.push(body_start);
        for chunk in &contents.chunks {
            starts.push(starts[starts.len() - 1] + u64::from(chunk.len));
        }
        if starts.last() != Some(&body_end) {
            return Err(broken(path, "table of contents", "its chunks do not fill the file"));
        }
        Ok(Self { header, contents, checksum, starts })
    }

    /// Start and length of the bytes of an extent in this file, if it has these chunks.
    pub fn place(&self, extent: &Extent) -> Option<(u64, u64)> {
        let end = extent.first.checked_add(extent.n)?;
        Some((*self.starts.get(extent.first as usize)?, *self.starts.get(end as usize)?))
    }
}

fn read_header(path: &Path, file: &mut File) -> Result<(CheckpointHeader, u64), StoreError> {
    let short = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => broken(path, "header", "the file ends within it"),
        _ => StoreError::io(path, "opening a checkpoint", e),
    };
    let mut frame = [0; 16];
    file.read_exact(&mut frame).map_err(short)?;
    if frame[..8] != *MAGIC {
        return Err(StoreError::Foreign { path: path.into(), what: "it is not a checkpoint".into() });
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

/// The table of contents, where it begins, and the checksum of the file.
fn read_contents(path: &Path, file: &mut File, len: u64, body_start: u64) -> Result<(Contents, u64, u64), StoreError> {
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
    let contents =
        postcard::from_bytes(&contents).map_err(|_| broken(path, "table of contents", "it does not decode"))?;
    Ok((contents, start, number(24)))
}
