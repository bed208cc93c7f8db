//! Reading a checkpoint: a section is streamed from the files that have its chunks.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::format::{Extent, FileName, Frame, IndexEntry, broken};
use super::{CheckpointHeader, Checkpoints, Written, file_of};
use crate::{Offset, StoreError};

/// Small, because a delta is read in many short runs, and what is read ahead is often not used.
const BUFFER_BYTES: usize = 1 << 16;

/// A checkpoint, open for reading. Its header and table of contents are verified, and those of the files that it refers to. Chunks are
/// verified when they are read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    frame: Frame,
    /// The files that it refers to, in the order of its table.
    bases: Vec<(PathBuf, Frame)>,
}

impl Checkpoint {
    /// Opens a checkpoint and verifies format, header, length and table of contents, and that the files that it refers to exist and are
    /// unchanged.
    ///
    /// # Errors
    /// If one of these is wrong; the error names the file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let frame = Frame::read(path)?;
        let dir = path.parent().unwrap_or(Path::new(""));
        let bases = frame.contents.files.iter().map(|name| open_base(path, dir, name)).collect::<Result<_, _>>()?;
        let checkpoint = Self { path: path.into(), frame, bases };
        let fits = |entry: &IndexEntry| {
            let places = entry.extents.iter().map(|extent| checkpoint.frame_of(extent.file)?.1.place(extent));
            places.map(|place| place.map(|(start, end)| end - start)).sum::<Option<u64>>() == Some(entry.len)
        };
        match checkpoint.frame.contents.sections.iter().find(|entry| !fits(entry)) {
            Some(entry) => Err(broken(path, &format!("section {:?}", entry.name), "its place is impossible")),
            None => Ok(checkpoint),
        }
    }

    /// Its header.
    pub fn header(&self) -> &CheckpointHeader {
        &self.frame.header
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names and lengths in bytes of its sections, in the order of their writing.
    pub fn sections(&self) -> impl Iterator<Item = (&str, u64)> {
        self.frame.contents.sections.iter().map(|entry| (&*entry.name, entry.len))
    }

    /// Offsets of the earlier checkpoints that it refers to, in the order of its table.
    pub fn bases(&self) -> impl Iterator<Item = Offset> {
        self.frame.contents.files.iter().map(|name| name.offset)
    }

    /// The names of its own file and of those that it refers to.
    pub(super) fn file_names(&self) -> Vec<FileName> {
        let own = FileName { offset: self.frame.header.offset, checksum: self.frame.checksum };
        std::iter::once(own).chain(self.frame.contents.files.iter().copied()).collect()
    }

    /// The frames in the order of [`Checkpoint::file_names`].
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        std::iter::once(&self.frame).chain(self.bases.iter().map(|(_, frame)| frame))
    }

    /// The extents of all its sections.
    pub(super) fn extents(&self) -> impl Iterator<Item = &Extent> {
        self.frame.contents.sections.iter().flat_map(|entry| &entry.extents)
    }

    fn frame_of(&self, file: u32) -> Option<(&Path, &Frame)> {
        match file.checked_sub(1) {
            None => Some((&self.path, &self.frame)),
            Some(base) => self.bases.get(base as usize).map(|(path, frame)| (&**path, frame)),
        }
    }

    /// Streams a section. Each chunk is compared with its checksum before any of its bytes is returned.
    ///
    /// # Errors
    /// If there is no such section.
    pub fn section(&self, name: &str) -> Result<SectionReader<'_>, StoreError> {
        let Some(entry) = self.entry(name) else {
            return Err(StoreError::Section { path: self.path.clone(), section: name.into(), what: "is missing" });
        };
        Ok(SectionReader {
            checkpoint: self,
            entry,
            left: entry.len,
            extent: 0,
            chunk: 0,
            open: None,
            bytes: Vec::new(),
            taken: 0,
        })
    }

    fn entry(&self, name: &str) -> Option<&IndexEntry> {
        self.frame.contents.sections.iter().find(|entry| entry.name == name)
    }

    /// The version of a section; `None` if there is no such section.
    pub fn section_version(&self, name: &str) -> Option<u32> {
        self.entry(name).map(|entry| entry.version)
    }

    /// A whole section, verified.
    ///
    /// # Errors
    /// If there is no such section, or it is damaged.
    pub fn section_bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.section(name)?;
        // The files have this many bytes, so it is safe to allocate them.
        let mut bytes = Vec::with_capacity(reader.remaining() as usize);
        reader.read_to_end(&mut bytes).map_err(|e| self.section_failed(name, e))?;
        Ok(bytes)
    }

    /// Reads all sections and the whole file, and compares all checksums.
    ///
    /// # Errors
    /// If a checksum does not match; the error names the section, if it is one.
    pub fn verify(&self) -> Result<(), StoreError> {
        for entry in &self.frame.contents.sections {
            let mut reader = self.section(&entry.name)?;
            io::copy(&mut reader, &mut io::sink()).map_err(|e| self.section_failed(&entry.name, e))?;
        }
        // This also finds damage in chunks that only later files use, and a file whose parts come from two files.
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

    /// Writes it into another folder, as one file that refers to no other.
    ///
    /// # Errors
    /// If it is damaged, or the folder cannot be written.
    pub fn copy_whole(&self, into: &Checkpoints) -> Result<Written, StoreError> {
        let mut writer = into.writer_of_base(self.header())?;
        for entry in &self.frame.contents.sections {
            writer.copy_section(self, &entry.name, entry.version)?;
        }
        writer.finish()
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

fn open_base(path: &Path, dir: &Path, name: &FileName) -> Result<(PathBuf, Frame), StoreError> {
    let base = file_of(dir, name.offset);
    let unusable = |what: &str| broken(path, &format!("the part in {}", base.display()), what);
    let frame = match Frame::read(&base) {
        Ok(frame) => frame,
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(unusable("that file is gone"));
        }
        Err(StoreError::BrokenCheckpoint { .. } | StoreError::Foreign { .. } | StoreError::Version { .. }) => {
            return Err(unusable("that file is damaged"));
        }
        Err(error) => return Err(error),
    };
    if frame.checksum != name.checksum || frame.header.offset != name.offset {
        return Err(unusable("that file was replaced by another"));
    }
    Ok((base, frame))
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

/// The file of the last chunk, and the position in it.
#[derive(Debug)]
struct OpenFile {
    number: u32,
    file: BufReader<File>,
    at: u64,
}

/// Streams one section; see [`Checkpoint::section`].
#[derive(Debug)]
pub struct SectionReader<'a> {
    checkpoint: &'a Checkpoint,
    entry: &'a IndexEntry,
    /// Bytes still to read.
    left: u64,
    /// The next chunk: number `chunk` of extent number `extent`.
    extent: usize,
    chunk: u32,
    open: Option<OpenFile>,
    /// The present chunk, and how much of it was returned.
    bytes: Vec<u8>,
    taken: usize,
}

impl SectionReader<'_> {
    /// Bytes still to read.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// Reads the next chunk into `bytes` and compares it with its checksum; `false` at the end.
    fn read_chunk(&mut self) -> io::Result<bool> {
        let extent = loop {
            match self.entry.extents.get(self.extent) {
                None => return Ok(false),
                Some(extent) if self.chunk < extent.n => break extent,
                Some(_) => (self.extent, self.chunk) = (self.extent + 1, 0),
            }
        };
        let number = (extent.first + self.chunk) as usize;
        let (path, frame) = self.checkpoint.frame_of(extent.file).expect("places were checked at the opening");
        let chunk = &frame.contents.chunks[number];
        if self.open.as_ref().is_none_or(|open| open.number != extent.file) {
            let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
            self.open = Some(OpenFile { number: extent.file, file, at: 0 });
        }
        let open = self.open.as_mut().expect("opened above");
        if open.at != frame.starts[number] {
            // Within the buffer this needs no system call, and most runs of a delta are close to each other.
            open.file.seek_relative(frame.starts[number] as i64 - open.at as i64)?;
        }
        // The length is that of bytes in the file, so it is safe to allocate.
        self.bytes.resize(chunk.len as usize, 0);
        open.file.read_exact(&mut self.bytes)?;
        open.at = frame.starts[number + 1];
        if xxh3_128(&self.bytes).to_le_bytes() != chunk.hash {
            let section = format!("section {:?}", self.entry.name);
            let error = broken(&self.checkpoint.path, &section, "its checksum does not match its content");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        (self.taken, self.chunk) = (0, self.chunk + 1);
        Ok(true)
    }

    /// The rest of the present chunk, or the next one; `None` at the end.
    pub(super) fn next_chunk(&mut self) -> io::Result<Option<&[u8]>> {
        while self.taken == self.bytes.len() {
            if !self.read_chunk()? {
                return Ok(None);
            }
        }
        let taken = std::mem::replace(&mut self.taken, self.bytes.len());
        self.left -= (self.bytes.len() - taken) as u64;
        Ok(Some(&self.bytes[taken..]))
    }
}

impl Read for SectionReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.bytes.len() {
            if !self.read_chunk()? {
                return Ok(0);
            }
        }
        let n = buffer.len().min(self.bytes.len() - self.taken);
        buffer[..n].copy_from_slice(&self.bytes[self.taken..self.taken + n]);
        self.taken += n;
        self.left -= n as u64;
        Ok(n)
    }
}
