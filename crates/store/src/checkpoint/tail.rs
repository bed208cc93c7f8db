//! The chunks and pages of the last checkpoint, kept in memory because the next one may refer to them.

use std::collections::HashMap;
use std::path::Path;

use super::format::{Chunk, FileName, checksum_of};
use super::reader::Checkpoint;
use super::{MAX_BASES, file_of};
use crate::Offset;

/// Chunks by the hash of their bytes. It is only looked up, so its order does not reach any byte.
pub(super) type Known = HashMap<[u8; 16], Place>;

/// The number of a chunk's file, and of the chunk in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) number: u32,
}

/// Consecutive chunks of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) file: u32,
    pub(super) first: u32,
    pub(super) n: u32,
    /// Total number of their bytes.
    pub(super) len: u64,
}

impl Run {
    pub(super) fn is_followed_by(&self, next: &Run) -> bool {
        self.file == next.file && self.first + self.n == next.first
    }

    pub(super) fn join(&mut self, next: &Run) {
        self.n += next.n;
        self.len += next.len;
    }
}

/// The places of a block's pages.
#[derive(Debug, Default)]
pub(super) struct Block {
    runs: Vec<Run>,
    /// Where the runs of each page end.
    ends: Vec<u32>,
    /// Number of the last writing that used it.
    used: u64,
}

impl Block {
    pub(super) fn with_capacity(n_pages: usize) -> Self {
        Self { runs: Vec::with_capacity(n_pages), ends: Vec::with_capacity(n_pages), used: 0 }
    }

    pub(super) fn n_pages(&self) -> usize {
        self.ends.len()
    }

    /// The runs of a page, if the block had it.
    pub(super) fn page(&self, page: usize) -> Option<&[Run]> {
        let end = *self.ends.get(page)? as usize;
        let start = page.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        Some(&self.runs[start..end])
    }

    pub(super) fn last_page(&self) -> &[Run] {
        self.n_pages().checked_sub(1).and_then(|last| self.page(last)).unwrap_or_default()
    }

    pub(super) fn add_page(&mut self, runs: &[Run]) {
        self.runs.extend_from_slice(runs);
        self.ends.push(self.runs.len() as u32);
    }

    /// Adds a run to the last page.
    pub(super) fn extend_page(&mut self, run: Run) {
        let start = self.n_pages().checked_sub(2).map_or(0, |before| self.ends[before] as usize);
        match self.runs[start..].last_mut() {
            Some(last) if last.is_followed_by(&run) => last.join(&run),
            _ => self.runs.push(run),
        }
        *self.ends.last_mut().expect("a page was begun") = self.runs.len() as u32;
    }
}

/// A file whose chunks may be referred to.
#[derive(Debug)]
struct BaseFile {
    name: FileName,
    /// Lengths of its chunks.
    lens: Vec<u32>,
}

/// Everything that the next checkpoint may refer to.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The checkpoint whose writing it comes from.
    newest: Option<Offset>,
    /// Files by number; the number of a file that is no longer used stays empty.
    files: Vec<Option<BaseFile>>,
    pub(super) known: Known,
    /// Blocks of pages by the number of their writing. It is only looked up, so its order does not reach any byte.
    blocks: HashMap<u64, Block>,
    /// Number of writings so far.
    writing: u64,
    /// Whether a delta saves more than it costs: it refers to few files, of which at least two thirds are still used.
    is_worth_it: bool,
}

impl Tail {
    /// The chunks of a checkpoint and of the files that it refers to.
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let mut tail = Self { newest: Some(checkpoint.header().offset), ..Self::default() };
        let chunks: Vec<&[Chunk]> = checkpoint.frames().map(|frame| &*frame.contents.chunks).collect();
        tail.known.reserve(chunks.iter().map(|chunks| chunks.len()).sum());
        for ((file, name), chunks) in (0..).zip(checkpoint.file_names()).zip(&chunks) {
            let places = (0..).map(|number| Place { file, number });
            tail.known.extend(chunks.iter().map(|chunk| chunk.hash).zip(places));
            tail.files.push(Some(BaseFile { name, lens: chunks.iter().map(|chunk| chunk.len).collect() }));
        }
        let extents = checkpoint.extents();
        tail.judge(extents.map(|extent| Run { file: extent.file, first: extent.first, n: extent.n, len: 0 }));
        tail
    }

    /// The number of the file that is being written.
    pub(super) fn own(&self) -> u32 {
        self.files.len() as u32
    }

    /// Whether the next checkpoint should refer to it: that saves more than it costs, and its files are unchanged.
    pub(super) fn is_usable(&self, dir: &Path) -> bool {
        let is_there = |file: &BaseFile| {
            let checksum = checksum_of(&file_of(dir, file.name.offset));
            checksum.is_ok_and(|checksum| checksum == Some(file.name.checksum))
        };
        self.is_worth_it && self.files.iter().flatten().all(is_there)
    }

    /// The files of these runs, without the one that is being written; and for each file number its place among them, from 1 on (0 is the
    /// file itself).
    pub(super) fn number<'a>(&self, runs: impl Iterator<Item = &'a Run>) -> (Vec<FileName>, Vec<u32>) {
        let mut numbers = vec![0; self.files.len() + 1];
        runs.for_each(|run| numbers[run.file as usize] = 1);
        let mut names = Vec::new();
        for (file, number) in self.files.iter().zip(&mut numbers).filter(|(_, number)| **number > 0) {
            names.extend(file.as_ref().map(|file| file.name));
            *number = names.len() as u32;
        }
        numbers[self.files.len()] = 0;
        (names, numbers)
    }

    /// The file is written and renamed: from now on only chunks that it uses may be referred to.
    pub(super) fn finish<'a>(mut self, name: FileName, chunks: &[Chunk], runs: impl Iterator<Item = &'a Run>) -> Self {
        self.newest = Some(name.offset);
        self.files.push(Some(BaseFile { name, lens: chunks.iter().map(|chunk| chunk.len).collect() }));
        self.judge(runs.copied());
        let writing = self.writing;
        self.blocks.retain(|_, block| block.used == writing);
        self.writing += 1;
        self
    }

    /// Drops files without used chunks, and decides whether referring to the rest saves more than it costs.
    fn judge(&mut self, runs: impl Iterator<Item = Run>) {
        let lens = |file: &Option<BaseFile>| file.as_ref().map_or(0, |file| file.lens.len());
        let mut is_live: Vec<Vec<bool>> = self.files.iter().map(|file| vec![false; lens(file)]).collect();
        for run in runs {
            is_live[run.file as usize][run.first as usize..][..run.n as usize].fill(true);
        }
        let (mut stored, mut live, mut n_dropped) = (0, 0, 0);
        for (file, is_live) in self.files.iter_mut().zip(&is_live) {
            if !is_live.contains(&true) {
                n_dropped += u32::from(file.take().is_some());
            }
            for (len, is_live) in file.iter().flat_map(|file| &file.lens).zip(is_live) {
                stored += u64::from(*len);
                live += if *is_live { u64::from(*len) } else { 0 };
            }
        }
        if n_dropped > 0 {
            let files = &self.files;
            self.known.retain(|_, place| files[place.file as usize].is_some());
            self.blocks.retain(|_, block| block.runs.iter().all(|run| files[run.file as usize].is_some()));
        }
        self.is_worth_it = self.files.iter().flatten().count() <= MAX_BASES && stored <= live + live / 2;
    }

    /// Removes a block, to be put back or replaced.
    pub(super) fn take_block(&mut self, written: u64) -> Option<Block> {
        self.blocks.remove(&written)
    }

    /// Keeps the places of a block.
    pub(super) fn keep_block(&mut self, written: u64, block: Block) {
        self.blocks.insert(written, Block { used: self.writing, ..block });
    }

    /// Whether it comes from the checkpoint at `offset`.
    pub(super) fn ends_with(&self, offset: Offset) -> bool {
        self.newest == Some(offset)
    }
}
