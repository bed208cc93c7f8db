//! Writing a checkpoint: sections are cut into chunks, and only chunks that no earlier file has are written.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::body::{Body, Flow, Section};
use super::format::{CheckpointHeader, Contents, END_MAGIC, Extent, FORMAT, FileName, IndexEntry, MAGIC};
use super::pages::Writing;
use super::reader::Checkpoint;
use super::tail::{Run, Tail};
use super::{Trust, Written};
use crate::StoreError;
use crate::log::sync_dir;

/// Writes one checkpoint. It exists under its name only after [`CheckpointWriter::finish`].
pub struct CheckpointWriter {
    path: PathBuf,
    unfinished: PathBuf,
    body: Rc<RefCell<Body>>,
    sections: Vec<WrittenSection>,
    header: CheckpointHeader,
    trust: Trust,
    finished: bool,
}

struct WrittenSection {
    name: String,
    version: u32,
    content: Section,
}

impl CheckpointWriter {
    /// Begins a checkpoint with the name `path` that may refer to `tail`. When it is finished, `trust` refers to it.
    pub(super) fn begin(path: &Path, header: &CheckpointHeader, tail: Tail, trust: Trust) -> Result<Self, StoreError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(super::UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished).map_err(|e| StoreError::io(&unfinished, "making a checkpoint", e))?;
        let body = Rc::new(RefCell::new(Body::new(file, tail)));
        let header = header.clone();
        let writer = Self { path: path.into(), unfinished, body, sections: Vec::new(), header, trust, finished: false };
        writer.write_header().map_err(|e| writer.failed(e))?;
        Ok(writer)
    }

    fn write_header(&self) -> io::Result<()> {
        let header = postcard::to_stdvec(&self.header).expect("a header is plain values");
        let mut body = self.body.borrow_mut();
        body.append(MAGIC)?;
        body.append(&FORMAT.to_le_bytes())?;
        body.append(&(header.len() as u32).to_le_bytes())?;
        body.append(&header)?;
        body.append(&xxh3_64(&header).to_le_bytes())
    }

    /// Writes a section through `write`; its length need not be known before. `version` is the version of its encoding.
    ///
    /// # Errors
    /// If the name was used already, or the file cannot be written.
    pub fn section(
        &mut self,
        name: &str,
        version: u32,
        write: impl FnOnce(&mut SectionWriter<'_>) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        if self.sections.iter().any(|section| section.name == name) {
            return Err(StoreError::Section { path: self.path.clone(), section: name.into(), what: "is there twice" });
        }
        let written = write(&mut SectionWriter(&self.body)).and_then(|()| self.body.borrow_mut().end_section());
        let content = written.map_err(|e| self.failed(e))?;
        self.sections.push(WrittenSection { name: name.into(), version, content });
        Ok(())
    }

    /// Writes a section that is one value.
    ///
    /// # Errors
    /// As [`CheckpointWriter::section`].
    pub fn value<T: Serialize + ?Sized>(&mut self, name: &str, version: u32, value: &T) -> Result<(), StoreError> {
        self.section(name, version, |out| out.value(value))
    }

    /// Copies a section of another checkpoint, chunk by chunk.
    pub(super) fn copy_section(&mut self, from: &Checkpoint, name: &str, version: u32) -> Result<(), StoreError> {
        let mut reader = from.section(name)?;
        let body = self.body.clone();
        self.section(name, version, |_| {
            while let Some(chunk) = reader.next_chunk()? {
                body.borrow_mut().put(chunk)?;
            }
            Ok(())
        })
    }

    /// Makes the checkpoint durable and renames it to its name.
    ///
    /// # Errors
    /// If the file cannot be written. Then an earlier checkpoint of that name is unchanged.
    pub fn finish(mut self) -> Result<Written, StoreError> {
        let (written, tail) = self.write_end().map_err(|e| self.failed(e))?;
        std::fs::rename(&self.unfinished, &self.path).map_err(|e| self.failed(e))?;
        self.finished = true;
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => sync_dir(dir)?,
            _ => sync_dir(Path::new("."))?,
        }
        self.trust.set(self.header.offset, Some(tail));
        Ok(written)
    }

    fn write_end(&mut self) -> io::Result<(Written, Tail)> {
        let mut body = self.body.borrow_mut();
        let runs = || self.sections.iter().flat_map(|section| &section.content.runs);
        let (files, numbers) = body.tail.number(runs());
        let entry = |section: &WrittenSection| IndexEntry {
            name: section.name.clone(),
            version: section.version,
            len: section.content.len,
            extents: section.content.runs.iter().map(|run| extent(run, &numbers)).collect(),
        };
        let chunks = std::mem::take(&mut body.chunks);
        let contents = Contents { files, chunks, sections: self.sections.iter().map(entry).collect() };
        let state_bytes = contents.sections.iter().map(|entry| entry.len).sum();
        let n_bases = contents.files.len();
        let encoded = postcard::to_stdvec(&contents).expect("a table of contents is plain values");
        let start = body.at;
        body.append(&encoded)?;
        body.append(&start.to_le_bytes())?;
        body.append(&(encoded.len() as u64).to_le_bytes())?;
        body.append(&xxh3_64(&encoded).to_le_bytes())?;
        let checksum = body.all.digest();
        body.append(&checksum.to_le_bytes())?;
        body.append(END_MAGIC)?;
        body.sync()?;
        let name = FileName { offset: self.header.offset, checksum };
        let tail = std::mem::take(&mut body.tail).finish(name, &contents.chunks, runs());
        Ok((Written { state_bytes, file_bytes: body.at, n_bases }, tail))
    }

    fn failed(&self, source: io::Error) -> StoreError {
        StoreError::io(&self.unfinished, "writing a checkpoint", source)
    }
}

fn extent(run: &Run, numbers: &[u32]) -> Extent {
    Extent { file: numbers[run.file as usize], first: run.first, n: run.n }
}

impl Drop for CheckpointWriter {
    fn drop(&mut self) {
        if !self.finished {
            // If this fails, the file only takes space: it is never read.
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}

/// Writes one section; see [`CheckpointWriter::section`].
pub struct SectionWriter<'a>(&'a Rc<RefCell<Body>>);

impl SectionWriter<'_> {
    /// Writes a value in its postcard form. Its pages ([`serialize_pages`](crate::serialize_pages)) that an earlier checkpoint of this
    /// process has are referred to and not serialised.
    ///
    /// # Errors
    /// If the file cannot be written, or the value has no such form.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> io::Result<()> {
        let _writing = Writing::into_file(self.0);
        let written = postcard::serialize_with_flavor(value, Flow(self.0.clone()));
        match (self.0.borrow_mut().take_fault(), written) {
            (Some(fault), _) => Err(fault),
            (None, written) => written.map_err(io::Error::other),
        }
    }
}

impl Write for SectionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().push(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
