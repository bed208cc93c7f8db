//! Lines of a stream, without a copy or an allocation for each, bounded in length.
//!
//! A record may need several lines (a quoted cell with line ends in it), and may turn out not to; so a line is looked
//! at first and taken afterwards.

use std::io::{self, Read};

use super::entry::MAX_LINE_BYTES;

const READ_BYTES: usize = 256 << 10;
/// Bytes from which line ends, delimiter and the like are recognised.
pub(super) const LOOK_AHEAD_BYTES: usize = 64 << 10;

/// Bytes of a file, from wherever they come.
pub(super) type Bytes = Box<dyn Read + Send>;

/// Lines of `input`.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What is filled and not taken yet: `start..end`.
    start: usize,
    end: usize,
    is_at_end: bool,
    /// Lines taken so far.
    n_taken: u64,
    /// The byte that ends a line.
    line_end: u8,
}

/// What there is from a place on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The line ends before this place.
    Line(usize),
    /// The line is longer than allowed; this many bytes of it can be read.
    TooLong(usize),
    /// There is nothing more.
    Nothing,
}

impl<R: Read> Lines<R> {
    pub fn new(input: R) -> Self {
        Self { input, buffer: vec![0; READ_BYTES], start: 0, end: 0, is_at_end: false, n_taken: 0, line_end: b'\n' }
    }

    /// Sets the byte that ends a line, which is LF otherwise.
    pub fn end_lines_with(&mut self, line_end: u8) {
        self.line_end = line_end;
    }

    /// What has been read and is not taken yet.
    pub fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// What was read and is not taken yet, and the rest of the input.
    pub fn into_parts(self) -> (Vec<u8>, R) {
        (self.buffer[self.start..self.end].to_vec(), self.input)
    }

    /// Takes bytes that are not a line of their own; the line ends among them count.
    pub fn pass(&mut self, len: usize) {
        let passed = self.peek(len);
        let n_lines = passed.iter().filter(|byte| **byte == self.line_end).count() as u64;
        self.start = (self.start + len).min(self.end);
        self.n_taken += n_lines;
    }

    /// Number of the line to be looked at next, from 1.
    pub fn number(&self) -> u64 {
        self.n_taken + 1
    }

    /// Lines taken so far.
    pub fn n_taken(&self) -> u64 {
        self.n_taken
    }

    /// The first `len` bytes that are not taken yet.
    pub fn peek(&self, len: usize) -> &[u8] {
        &self.buffer[self.start..(self.start + len).min(self.end)]
    }

    /// At least this many bytes, if the input has them.
    pub fn start(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.end - self.start < len && self.fill()? {}
        Ok(self.peek(len))
    }

    /// Where the line ends that begins `from` bytes after what was taken.
    pub fn find(&mut self, from: usize) -> io::Result<Found> {
        let mut searched = from;
        loop {
            let unsearched = &self.buffer[(self.start + searched).min(self.end)..self.end];
            let found = unsearched.iter().position(|byte| *byte == self.line_end);
            searched = found.map_or(self.end - self.start, |place| searched + place);
            if searched.saturating_sub(from) > MAX_LINE_BYTES {
                return Ok(Found::TooLong(searched));
            }
            if found.is_some() {
                return Ok(Found::Line(searched));
            }
            if !self.fill()? {
                return Ok(if searched > from { Found::Line(searched) } else { Found::Nothing });
            }
        }
    }

    /// Takes `len` bytes, which hold `n_lines` lines, and the line end after them.
    pub fn take(&mut self, len: usize, n_lines: u64) {
        self.start = (self.start + len + 1).min(self.end);
        self.n_taken += n_lines;
    }

    /// Skips the rest of a line, however long.
    pub fn skip_line(&mut self) -> io::Result<()> {
        loop {
            match self.buffer[self.start..self.end].iter().position(|byte| *byte == self.line_end) {
                Some(place) => {
                    self.take(place, 1);
                    return Ok(());
                }
                None => self.start = self.end,
            }
            if !self.fill()? {
                self.n_taken += 1;
                return Ok(());
            }
        }
    }

    /// Reads more; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.is_at_end {
            return Ok(false);
        }
        if self.start > 0 && self.buffer.len() - self.end < READ_BYTES / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        let n = loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += n;
        self.is_at_end = n == 0;
        Ok(n > 0)
    }
}
