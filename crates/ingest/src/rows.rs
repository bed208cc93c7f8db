//! Rows of cells under a header: CSV and TSV.

use std::io::{self, Read};

use accrue_event::BoundMapping;

use super::entry::{Entry, mapped, unreadable};
use super::format::Quotes;
use super::lines::{Found, Lines};
use super::quoted::{Cells, Scan};
use super::source::Source;

/// Longest row that spans lines. Beyond, a quote that nobody closes is more likely than a cell of that size.
const MAX_QUOTED_BYTES: usize = 1 << 20;

/// Rows of a file whose header was read.
pub(super) struct Rows<R> {
    lines: Lines<R>,
    cells: Cells,
    delimiter: u8,
    quotes: Quotes,
    n_columns: usize,
    mapping: Option<BoundMapping>,
}

/// A row as it lies in the buffer.
enum Row {
    /// So many bytes over so many lines.
    Whole(usize, u64),
    /// The first line, of so many bytes, is no row.
    Bad(usize, &'static str),
    TooLong,
}

impl<R: Read> Rows<R> {
    /// Rows of `n_columns` cells, after the header. Without a mapping there are none.
    pub fn new(
        lines: Lines<R>,
        delimiter: u8,
        quotes: Quotes,
        n_columns: usize,
        mapping: Option<BoundMapping>,
    ) -> Self {
        Self { lines, cells: Cells::default(), delimiter, quotes, n_columns, mapping }
    }

    fn find_row(&mut self) -> io::Result<Option<Row>> {
        let first = match self.lines.find(0)? {
            Found::Nothing => return Ok(None),
            Found::TooLong(_) => return Ok(Some(Row::TooLong)),
            Found::Line(len) => len,
        };
        if self.quotes == Quotes::Off || !self.lines.peek(first).contains(&b'"') {
            return Ok(Some(Row::Whole(first, 1)));
        }
        let (mut len, mut n_lines, mut scan, mut scanned) = (first, 1, Scan::default(), 0);
        loop {
            let row = self.lines.peek(len);
            scan = scan.over(&trim_end(row)[scanned.min(trim_end(row).len())..], self.delimiter);
            if scan == Scan::Broken {
                return Ok(Some(Row::Bad(first, "text after a closing quote; double the quotes inside a cell")));
            }
            if !scan.is_open() {
                return Ok(Some(Row::Whole(len, n_lines)));
            }
            // The line end, which is part of the cell.
            scanned = trim_end(row).len();
            match self.lines.find(len + 1)? {
                Found::Line(end) if end <= MAX_QUOTED_BYTES => (len, n_lines) = (end, n_lines + 1),
                _ => return Ok(Some(Row::Bad(first, "a quote that is never closed"))),
            }
        }
    }

    /// The record of a row; `None` for a blank line.
    fn record(&mut self, len: usize, number: u64) -> Option<Entry> {
        let mapping = self.mapping.as_ref()?;
        let bytes = trim_end(self.lines.peek(len));
        if bytes.is_empty() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Some(unreadable(number, mapping.kind(), "not UTF-8", bytes));
        };
        let mut row: Vec<&str> = Vec::with_capacity(self.n_columns + 1);
        if self.quotes == Quotes::On && bytes.contains(&b'"') {
            row.extend(self.cells.split_quoted(text, self.delimiter));
        } else {
            row.extend(text.split(char::from(self.delimiter)));
        }
        if row.len() != self.n_columns {
            let why = format!("{} columns, but the header has {}", row.len(), self.n_columns);
            return Some(unreadable(number, mapping.kind(), &why, bytes));
        }
        Some(mapped(number, mapping.kind(), mapping.apply(&row)))
    }
}

impl<R: Read + Send> Source for Rows<R> {
    fn n_read(&self) -> u64 {
        self.lines.n_taken()
    }

    fn next(&mut self) -> io::Result<Option<(u64, Entry)>> {
        let Some(kind) = self.mapping.as_ref().map(BoundMapping::kind) else { return Ok(None) };
        loop {
            let number = self.lines.number();
            let Some(row) = self.find_row()? else { return Ok(None) };
            match row {
                Row::TooLong => {
                    let entry = unreadable(number, kind, "longer than 16 MiB", self.lines.peek(200));
                    self.lines.skip_line()?;
                    return Ok(Some((number, entry)));
                }
                Row::Bad(len, why) => {
                    let entry = unreadable(number, kind, why, self.lines.peek(len));
                    self.lines.take(len, 1);
                    return Ok(Some((number, entry)));
                }
                Row::Whole(len, n_lines) => {
                    let entry = self.record(len, number);
                    self.lines.take(len, n_lines);
                    if let Some(entry) = entry {
                        return Ok(Some((number, entry)));
                    }
                }
            }
        }
    }
}

/// The names of the columns, from the first line.
pub(super) fn read_header<R: Read>(lines: &mut Lines<R>, delimiter: u8, quotes: Quotes) -> io::Result<Vec<String>> {
    let len = match lines.find(0)? {
        Found::Nothing => return Ok(Vec::new()),
        Found::Line(len) => len,
        Found::TooLong(_) => return Err(invalid("the header is longer than 16 MiB")),
    };
    let text = std::str::from_utf8(trim_end(lines.peek(len))).map_err(|_| invalid("the header is not UTF-8"))?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let scan = Scan::default().over(text.as_bytes(), delimiter);
    if quotes == Quotes::On && (scan == Scan::Broken || scan.is_open()) {
        return Err(invalid("the header has a quote that is never closed, or text after one"));
    }
    let names: Vec<String> = match quotes {
        Quotes::On => Cells::default().split_quoted(text, delimiter).map(|name| name.trim().to_owned()).collect(),
        Quotes::Off => text.split(char::from(delimiter)).map(|name| name.trim().to_owned()).collect(),
    };
    lines.take(len, 1);
    Ok(names)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A line without the carriage return of Windows.
pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
