//! The body of a checkpoint that is being written. In: the bytes of sections. Out: a file with the chunks that no earlier file has.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::format::Chunk;
use super::marks::PageMarks;
use super::tail::{Block, Place, Run, Tail};

/// Length of the chunks that a stream or a long page is cut into. Small chunks make the table of contents long; of
/// large ones, more bytes are written again for one changed byte.
pub(super) const CHUNK_BYTES: usize = 1 << 13;
/// Size of the buffer of the file.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes collected before they are cut into chunks, because a state writes a few at a time.
const PENDING_BYTES: usize = 1 << 16;

/// The file, and the section that is being written into it.
pub(super) struct Body {
    out: BufWriter<File>,
    /// Hash of all bytes so far.
    pub(super) all: Xxh3,
    pub(super) at: u64,
    /// The chunks of earlier files; those of this one are added as they are written.
    pub(super) tail: Tail,
    pub(super) chunks: Vec<Chunk>,
    /// Bytes of the section that are not cut into chunks yet.
    pending: Vec<u8>,
    section: Section,
    block: Option<OpenBlock>,
    /// The error of a write for a serializer, whose own error type cannot carry it.
    fault: Option<io::Error>,
}

/// The part of a section that is written so far.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) len: u64,
    pub(super) runs: Vec<Run>,
}

/// The block of pages that is being written.
struct OpenBlock {
    /// Where its pages were last written, if that place can still be referred to.
    before: Option<Block>,
    now: Block,
    /// Whether a page is being serialised. Its runs so far are the last ones of `now`.
    in_page: bool,
}

impl Body {
    pub(super) fn new(file: File, tail: Tail) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            all: Xxh3::new(),
            at: 0,
            tail,
            chunks: Vec::new(),
            pending: Vec::with_capacity(2 * PENDING_BYTES),
            section: Section::default(),
            block: None,
            fault: None,
        }
    }

    /// Writes to the file itself.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.all.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Makes all written bytes durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }

    /// Adds bytes to the section.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PENDING_BYTES { self.cut(CHUNK_BYTES) } else { Ok(()) }
    }

    /// Cuts the pending bytes into chunks, while at least `least` bytes remain.
    fn cut(&mut self, least: usize) -> io::Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let mut kept = 0;
        while pending.len() - kept >= least.max(1) {
            let end = pending.len().min(kept + CHUNK_BYTES);
            self.put(&pending[kept..end])?;
            kept = end;
        }
        pending.drain(..kept);
        self.pending = pending;
        Ok(())
    }

    /// Writes a chunk unless an earlier file or this one has it, and records its place.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let hash = xxh3_128(bytes).to_le_bytes();
        let place = match self.tail.known.get(&hash) {
            Some(&place) => place,
            None => {
                let place = Place { file: self.tail.own(), number: self.chunks.len() as u32 };
                self.append(bytes)?;
                self.chunks.push(Chunk { hash, len: bytes.len() as u32 });
                self.tail.known.insert(hash, place);
                place
            }
        };
        let run = Run { file: place.file, first: place.number, n: 1, len: bytes.len() as u64 };
        match &mut self.block {
            Some(block) if block.in_page => block.now.extend_page(run),
            _ => self.section.add(run),
        }
        Ok(())
    }

    /// Ends the section and returns its runs of chunks.
    pub(super) fn end_section(&mut self) -> io::Result<Section> {
        self.cut(1)?;
        debug_assert!(self.block.is_none(), "a block ends with the value that it belongs to");
        Ok(std::mem::take(&mut self.section))
    }

    /// Discards the section after a failed write, and returns the error.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        self.block = None;
        self.fault.take()
    }

    /// Adds bytes from a serializer; `false` if this or an earlier write failed.
    pub(super) fn push_or_fail(&mut self, bytes: &[u8]) -> bool {
        if self.fault.is_none() {
            self.fault = self.push(bytes).err();
        }
        self.fault.is_none()
    }

    /// Begins a block of pages; `false` inside another block.
    pub(super) fn begin_block(&mut self, marks: &PageMarks, n_pages: usize) -> bool {
        if self.block.is_some() {
            return false;
        }
        self.note_fault(|body| body.cut(1));
        let before = self.tail.take_block(marks.written());
        self.block = Some(OpenBlock { before, now: Block::with_capacity(n_pages), in_page: false });
        true
    }

    /// Begins a page; `false` if it has not changed since it was written, so that it is referred to.
    pub(super) fn begin_page(&mut self, marks: &PageMarks, page: usize) -> bool {
        let Some(block) = &mut self.block else { return true };
        let known = block.before.as_ref().filter(|_| !marks.is_changed(page)).and_then(|before| before.page(page));
        match known {
            Some(runs) => {
                runs.iter().for_each(|&run| self.section.add(run));
                block.now.add_page(runs);
                false
            }
            None => {
                block.now.add_page(&[]);
                block.in_page = true;
                true
            }
        }
    }

    /// Ends the page that was begun.
    pub(super) fn end_page(&mut self) {
        self.note_fault(|body| body.cut(1));
        let Some(block) = &mut self.block else { return };
        block.in_page = false;
        block.now.last_page().iter().for_each(|&run| self.section.add(run));
    }

    /// Ends the block and sets its marks to this writing.
    pub(super) fn end_block(&mut self, marks: &PageMarks) {
        let Some(OpenBlock { before, now, .. }) = self.block.take() else { return };
        match before {
            // Nothing was written, so the name of the earlier writing stays valid.
            Some(before) if !marks.has_changes() && before.n_pages() >= now.n_pages() => {
                self.tail.keep_block(marks.written(), before);
            }
            before => {
                // Clones of the block may still have the old name.
                if let Some(before) = before {
                    self.tail.keep_block(marks.written(), before);
                }
                self.tail.keep_block(marks.note_written(), now);
            }
        }
    }

    fn note_fault(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.fault.is_none() {
            self.fault = write(self).err();
        }
    }
}

impl Section {
    fn add(&mut self, run: Run) {
        self.len += run.len;
        match self.runs.last_mut() {
            Some(last) if last.is_followed_by(&run) => last.join(&run),
            _ => self.runs.push(run),
        }
    }
}

/// Connects the serializer to a body.
pub(super) struct Flow(pub(super) std::rc::Rc<std::cell::RefCell<Body>>);

impl postcard::ser_flavors::Flavor for Flow {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        match self.0.borrow_mut().push_or_fail(data) {
            true => Ok(()),
            false => Err(postcard::Error::SerializeBufferFull),
        }
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.try_extend(&[data])
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
