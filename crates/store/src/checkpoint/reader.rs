//! Reading a checkpoint: a section streams out of the files that its chunks lie in.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::format::{Entry, FileName, Frame, broken};
use super::{CheckpointHeader, Checkpoints, Written, file_of};
use crate::{Offset, StoreError};

/// A delta is read in many short runs, so what is read ahead is often for nothing.
const BUFFER_BYTES: usize = 1 << 16;

/// A checkpoint, open for reading. Its header and table of contents hold, and so do those of the files that it refers to; sections
/// are checked while they are read.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    frame: Frame,
    /// The files that it refers to, in the order of its table.
    bases: Vec<(PathBuf, Frame)>,
}

impl Checkpoint {
    /// Opens a checkpoint and checks its frame: format, header, length, table of contents, and that the files that it refers to are
    /// there and are the ones that it means.
    ///
    /// # Errors
    /// Names the file and what does not hold.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let frame = Frame::read(path)?;
        let dir = path.parent().unwrap_or(Path::new(""));
        let bases = frame.contents.files.iter().map(|name| open_base(path, dir, name)).collect::<Result<_, _>>()?;
        let checkpoint = Self { path: path.into(), frame, bases };
        let fits = |entry: &Entry| {
            let places = entry.extents.iter().map(|extent| checkpoint.frame_of(extent.file)?.1.place(extent));
            places.map(|place| place.map(|(start, end)| end - start)).sum::<Option<u64>>() == Some(entry.len)
        };
        match checkpoint.frame.contents.sections.iter().find(|entry| !fits(entry)) {
            Some(entry) => Err(broken(path, &format!("section {:?}", entry.name), "its place is impossible")),
            None => Ok(checkpoint),
        }
    }

    /// What it says of itself.
    pub fn header(&self) -> &CheckpointHeader {
        &self.frame.header
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names and lengths in bytes of its sections, in the order of their writing.
    pub fn sections(&self) -> impl Iterator<Item = (&str, u64)> {
        self.frame.contents.sections.iter().map(|entry| (&*entry.name, entry.len))
    }

    /// Offsets of the earlier checkpoints that hold a part of it, in the order of its table.
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

    /// Bytes of chunks in all its files, and how many of them are its own state: the rest is only of use to other checkpoints.
    pub(super) fn stored_and_live_bytes(&self) -> (u64, u64) {
        let mut is_live: Vec<Vec<bool>> = self.frames().map(|frame| vec![false; frame.contents.chunks.len()]).collect();
        for extent in self.frame.contents.sections.iter().flat_map(|entry| &entry.extents) {
            is_live[extent.file as usize][extent.first as usize..][..extent.n as usize].fill(true);
        }
        let (mut stored, mut live) = (0, 0);
        for (frame, is_live) in self.frames().zip(is_live) {
            for (chunk, is_live) in frame.contents.chunks.iter().zip(is_live) {
                stored += u64::from(chunk.len);
                live += if is_live { u64::from(chunk.len) } else { 0 };
            }
        }
        (stored, live)
    }

    fn frame_of(&self, file: u32) -> Option<(&Path, &Frame)> {
        match file.checked_sub(1) {
            None => Some((&self.path, &self.frame)),
            Some(base) => self.bases.get(base as usize).map(|(path, frame)| (&**path, frame)),
        }
    }

    /// Streams a section. Its checksum is compared at its end: the last read fails if a byte is not what was written.
    ///
    /// # Errors
    /// If there is no such section.
    pub fn section(&self, name: &str) -> Result<SectionReader, StoreError> {
        let Some(entry) = self.frame.contents.sections.iter().find(|entry| entry.name == name) else {
            return Err(StoreError::Section { path: self.path.clone(), section: name.into(), what: "is missing" });
        };
        let mut stretches: Vec<Stretch> = Vec::with_capacity(entry.extents.len());
        for extent in entry.extents.iter().rev() {
            let (path, frame) = self.frame_of(extent.file).expect("places were checked at the opening");
            let (at, end) = frame.place(extent).expect("places were checked at the opening");
            stretches.push(Stretch { file: path.into(), at, end });
        }
        Ok(SectionReader {
            path: self.path.clone(),
            name: entry.name.clone(),
            checksum: entry.checksum,
            left: entry.len,
            stretches,
            open: None,
            hash: Xxh3::new(),
        })
    }

    /// A whole section, checked.
    ///
    /// # Errors
    /// If there is no such section, or it is damaged.
    pub fn section_bytes(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.section(name)?;
        // The length is that of bytes in files, so it is safe to allocate.
        let mut bytes = Vec::with_capacity(reader.remaining() as usize);
        reader.read_to_end(&mut bytes).map_err(|e| self.section_failed(name, e))?;
        Ok(bytes)
    }

    /// Reads all sections and the whole file, and compares every checksum.
    ///
    /// # Errors
    /// Names the section that does not hold, where it is one.
    pub fn verify(&self) -> Result<(), StoreError> {
        for entry in &self.frame.contents.sections {
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

    /// Writes it into another folder, as one file that refers to none.
    ///
    /// # Errors
    /// If it is damaged, or the folder cannot be written.
    pub fn copy_whole(&self, into: &Checkpoints) -> Result<Written, StoreError> {
        let mut writer = into.writer_of_base(self.header())?;
        for (name, _) in self.sections() {
            let mut reader = self.section(name)?;
            writer.section(name, |out| io::copy(&mut reader, out).map(|_| ()))?;
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

/// Bytes of a file.
struct Stretch {
    file: PathBuf,
    at: u64,
    end: u64,
}

/// The file that the last read came from, and how far it was read.
struct OpenFile {
    path: PathBuf,
    file: BufReader<File>,
    at: u64,
}

/// Streams one section; see [`Checkpoint::section`].
pub struct SectionReader {
    path: PathBuf,
    name: String,
    checksum: u64,
    /// Bytes still to read.
    left: u64,
    /// Where they lie, the next one last.
    stretches: Vec<Stretch>,
    open: Option<OpenFile>,
    hash: Xxh3,
}

impl SectionReader {
    /// Bytes still to read.
    pub fn remaining(&self) -> u64 {
        self.left
    }

    /// Reads on in the stretch at hand; 0 bytes mean that there is none.
    fn read_stretch(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.stretches.last().is_some_and(|stretch| stretch.at == stretch.end) {
            self.stretches.pop();
        }
        let Some(stretch) = self.stretches.last_mut() else { return Ok(0) };
        if self.open.as_ref().is_none_or(|open| open.path != stretch.file) {
            let file = BufReader::with_capacity(BUFFER_BYTES, File::open(&stretch.file)?);
            self.open = Some(OpenFile { path: stretch.file.clone(), file, at: 0 });
        }
        let open = self.open.as_mut().expect("opened above");
        if open.at != stretch.at {
            // Within the buffer this asks the system nothing: most runs of a delta lie near to each other.
            open.file.seek_relative(stretch.at as i64 - open.at as i64)?;
            open.at = stretch.at;
        }
        let wanted = usize::try_from(stretch.end - stretch.at).unwrap_or(usize::MAX).min(buffer.len());
        let n = open.file.read(&mut buffer[..wanted])?;
        if n == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stretch.at += n as u64;
        open.at = stretch.at;
        Ok(n)
    }
}

impl Read for SectionReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.read_stretch(buffer)?;
        self.hash.update(&buffer[..n]);
        self.left -= n as u64;
        if self.left == 0 && self.hash.digest() != self.checksum {
            let section = format!("section {:?}", self.name);
            let error = broken(&self.path, &section, "its checksum does not match its content");
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(n)
    }
}
