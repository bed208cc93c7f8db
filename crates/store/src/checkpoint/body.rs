//! The body of a checkpoint that is being written: bytes come in, chunks that no earlier file has go out.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::format::Chunk;
use super::marks::PageMarks;
use super::tail::{Block, Place, Run, Tail};

/// Length of the chunks that a stream or a long page is cut into. Small chunks make a table of contents long, large ones are written
/// again for one changed byte.
pub(super) const CHUNK_BYTES: usize = 1 << 13;
/// Bytes gathered for the file before they are handed to the system.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes gathered before they are cut: a state writes a few at a time.
const PENDING_BYTES: usize = 1 << 16;

/// The file, and the section that is being written into it.
pub(super) struct Body {
    out: BufWriter<File>,
    /// Over all bytes so far.
    pub(super) all: Xxh3,
    pub(super) at: u64,
    /// What earlier files have; this one is added to it chunk by chunk.
    pub(super) tail: Tail,
    pub(super) chunks: Vec<Chunk>,
    /// Bytes of the section not yet cut.
    pending: Vec<u8>,
    section: Section,
    block: Option<OpenBlock>,
    /// Why bytes could not be written that came from a serializer, which cannot carry the reason.
    fault: Option<io::Error>,
}

/// What there is of a section so far.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) len: u64,
    pub(super) runs: Vec<Run>,
}

/// The block of pages that is being written.
struct OpenBlock {
    /// Where its pages were written last, if they were, and are still to be found there.
    before: Option<Block>,
    now: Block,
    /// Whether a page is being serialised; what it has so far is the last of `now`.
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

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().sync_all()
    }

    /// Takes bytes of the section in.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PENDING_BYTES { self.cut(CHUNK_BYTES) } else { Ok(()) }
    }

    /// Cuts what is pending into chunks, while at least `least` bytes are left.
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

    /// Writes a chunk unless it is known, and takes note of where it lies.
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

    /// Ends the section, and returns what it is made of.
    pub(super) fn end_section(&mut self) -> io::Result<Section> {
        self.cut(1)?;
        debug_assert!(self.block.is_none(), "a block ends with the value that it belongs to");
        Ok(std::mem::take(&mut self.section))
    }

    /// Forgets what is there of a section that could not be written, and why.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        self.block = None;
        self.fault.take()
    }

    /// Takes bytes in that a serializer wrote; `false` if that failed, now or before.
    pub(super) fn push_or_fail(&mut self, bytes: &[u8]) -> bool {
        if self.fault.is_none() {
            self.fault = self.push(bytes).err();
        }
        self.fault.is_none()
    }

    /// Begins a block of pages; `false` within another one.
    pub(super) fn begin_block(&mut self, marks: &PageMarks, n_pages: usize) -> bool {
        if self.block.is_some() {
            return false;
        }
        self.note_fault(|body| body.cut(1));
        let before = self.tail.take_block(marks.written());
        self.block = Some(OpenBlock { before, now: Block::with_capacity(n_pages), in_page: false });
        true
    }

    /// Begins a page; `false` if it is as it was written before, and is referred to.
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

    /// Ends the block, and has its marks name this writing.
    pub(super) fn end_block(&mut self, marks: &PageMarks) {
        let Some(OpenBlock { before, now, .. }) = self.block.take() else { return };
        match before {
            // Nothing was written: the name that it has still holds.
            Some(before) if !marks.has_changes() && before.n_pages() >= now.n_pages() => {
                self.tail.keep_block(marks.written(), before);
            }
            before => {
                // Other blocks may still go by the old name: clones that changed, or did not, since then.
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

/// The serializer's way into a body.
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
