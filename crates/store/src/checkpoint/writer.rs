//! Writing a checkpoint: sections are cut into chunks while they stream by, and only chunks that no earlier file has are written.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use super::chunker::{MAX_BYTES, cut};
use super::format::{Chunk, Contents, END_MAGIC, Entry, Extent, FORMAT, FileName, MAGIC};
use super::{Checkpoint, CheckpointHeader, Trust};
use crate::StoreError;
use crate::log::sync_dir;

/// Bytes gathered before they are cut: a state writes a few at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Writes one checkpoint. Nothing is at its place before [`CheckpointWriter::finish`].
pub struct CheckpointWriter {
    path: PathBuf,
    unfinished: PathBuf,
    body: Body,
    sections: Vec<Entry>,
    header: CheckpointHeader,
    trust: Trust,
    finished: bool,
}

/// What a finished checkpoint took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of all sections.
    pub state_bytes: u64,
    /// Bytes of the file: what no earlier file had, and the table of contents.
    pub file_bytes: u64,
    /// Earlier files that it refers to.
    pub n_bases: usize,
}

impl CheckpointWriter {
    /// Begins a checkpoint that will lie at `path` and may refer to the chunks of `base` and of the files that `base` refers to.
    /// When finished, it tells `trust`.
    pub(super) fn begin(
        path: &Path,
        header: &CheckpointHeader,
        base: Option<&Checkpoint>,
        trust: Trust,
    ) -> Result<Self, StoreError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(super::UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished).map_err(|e| StoreError::io(&unfinished, "making a checkpoint", e))?;
        let body = Body::new(file, base);
        let header = header.clone();
        let mut writer =
            Self { path: path.into(), unfinished, body, sections: Vec::new(), header, trust, finished: false };
        let begun = writer.write_header();
        begun.map_err(|e| writer.failed(e))?;
        Ok(writer)
    }

    fn write_header(&mut self) -> io::Result<()> {
        let header = postcard::to_stdvec(&self.header).expect("a header is plain values");
        self.body.append(MAGIC)?;
        self.body.append(&FORMAT.to_le_bytes())?;
        self.body.append(&(header.len() as u32).to_le_bytes())?;
        self.body.append(&header)?;
        self.body.append(&xxh3_64(&header).to_le_bytes())
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
        if self.sections.iter().any(|entry| entry.name == name) {
            return Err(StoreError::Section { path: self.path.clone(), section: name.into(), what: "is there twice" });
        }
        let written = write(&mut self.body).and_then(|()| self.body.end_section(name));
        let entry = written.map_err(|e| self.failed(e))?;
        self.sections.push(entry);
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
    pub fn finish(mut self) -> Result<Written, StoreError> {
        let written = self.write_end();
        let written = written.map_err(|e| self.failed(e))?;
        std::fs::rename(&self.unfinished, &self.path).map_err(|e| self.failed(e))?;
        self.finished = true;
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => sync_dir(dir)?,
            _ => sync_dir(Path::new("."))?,
        }
        self.trust.set(Some(self.header.offset));
        Ok(written)
    }

    fn write_end(&mut self) -> io::Result<Written> {
        let mut contents = Contents {
            files: self.body.bases.clone(),
            chunks: std::mem::take(&mut self.body.chunks),
            sections: std::mem::take(&mut self.sections),
        };
        name_used_files_alone(&mut contents);
        let state_bytes = contents.sections.iter().map(|entry| entry.len).sum();
        let n_bases = contents.files.len();
        let contents = postcard::to_stdvec(&contents).expect("a table of contents is plain values");
        let start = self.body.at;
        self.body.append(&contents)?;
        self.body.append(&start.to_le_bytes())?;
        self.body.append(&(contents.len() as u64).to_le_bytes())?;
        self.body.append(&xxh3_64(&contents).to_le_bytes())?;
        let all = self.body.all.digest();
        self.body.append(&all.to_le_bytes())?;
        self.body.append(END_MAGIC)?;
        self.body.out.flush()?;
        self.body.out.get_ref().sync_all()?;
        Ok(Written { state_bytes, file_bytes: self.body.at, n_bases })
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

/// Drops files that no extent lies in: a checkpoint depends on no more than it needs.
fn name_used_files_alone(contents: &mut Contents) {
    let mut number: Vec<Option<u32>> = vec![None; contents.files.len() + 1];
    for extent in contents.sections.iter().flat_map(|entry| &entry.extents) {
        number[extent.file as usize] = Some(0);
    }
    number[0] = Some(0);
    let mut files = Vec::new();
    for (file, number) in contents.files.iter().zip(&mut number[1..]).filter(|(_, number)| number.is_some()) {
        files.push(*file);
        *number = Some(files.len() as u32);
    }
    contents.files = files;
    for extent in contents.sections.iter_mut().flat_map(|entry| &mut entry.extents) {
        extent.file = number[extent.file as usize].expect("files of extents were numbered");
    }
}

/// The file, and the section that is being written into it.
struct Body {
    out: BufWriter<File>,
    /// Over all bytes so far.
    all: Xxh3,
    at: u64,
    bases: Vec<FileName>,
    /// Where a chunk lies, by its name: file and number. Looked up only, so its order reaches no byte.
    known: HashMap<[u8; 16], (u32, u32)>,
    chunks: Vec<Chunk>,
    /// Bytes of the section not yet cut.
    pending: Vec<u8>,
    section: Section,
}

#[derive(Default)]
struct Section {
    len: u64,
    hash: Xxh3,
    extents: Vec<Extent>,
}

impl Body {
    fn new(file: File, base: Option<&Checkpoint>) -> Self {
        let (mut bases, mut known) = (Vec::new(), HashMap::new());
        if let Some(base) = base {
            bases = base.file_names();
            known.reserve(base.frames().map(|frame| frame.contents.chunks.len()).sum());
            for (file, frame) in (1..).zip(base.frames()) {
                known.extend((0..).zip(&frame.contents.chunks).map(|(number, chunk)| (chunk.hash, (file, number))));
            }
        }
        Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            all: Xxh3::new(),
            at: 0,
            bases,
            known,
            chunks: Vec::new(),
            pending: Vec::with_capacity(BUFFER_BYTES + MAX_BYTES),
            section: Section::default(),
        }
    }

    /// Writes to the file itself.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.all.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Cuts what is pending into chunks. Without `ended` it keeps back what the next bytes could still make longer, so where
    /// chunks end does not depend on how the section was written.
    fn cut(&mut self, ended: bool) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        let least = if ended { 1 } else { MAX_BYTES };
        while rest.len() >= least {
            let (chunk, behind) = rest.split_at(cut(rest));
            self.put(chunk)?;
            rest = behind;
        }
        let kept = pending.len() - rest.len();
        self.section.hash.update(&pending[..kept]);
        self.section.len += kept as u64;
        self.pending = pending;
        self.pending.drain(..kept);
        Ok(())
    }

    /// Writes a chunk unless it is known, and takes note of where it lies.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let hash = xxh3_128(bytes).to_le_bytes();
        let (file, number) = match self.known.get(&hash) {
            Some(&place) => place,
            None => {
                let number = self.chunks.len() as u32;
                self.append(bytes)?;
                self.chunks.push(Chunk { hash, len: bytes.len() as u32 });
                self.known.insert(hash, (0, number));
                (0, number)
            }
        };
        match self.section.extents.last_mut() {
            Some(last) if last.file == file && last.first + last.n == number => last.n += 1,
            _ => self.section.extents.push(Extent { file, first: number, n: 1 }),
        }
        Ok(())
    }

    fn end_section(&mut self, name: &str) -> io::Result<Entry> {
        self.cut(true)?;
        let Section { len, hash, extents } = std::mem::take(&mut self.section);
        Ok(Entry { name: name.into(), len, checksum: hash.digest(), extents })
    }
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BUFFER_BYTES);
        self.pending.extend_from_slice(&bytes[..taken]);
        if self.pending.len() >= BUFFER_BYTES {
            self.cut(false)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
