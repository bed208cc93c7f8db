//! Rows of cells under a header: CSV and TSV.

use std::io::{self, Read};

use accrue_event::BoundMapping;

use super::dialect::named_delimiter;
use super::encoding::Guess;
use super::entry::{Batch, unreadable};
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
    encoding: Guess,
    is_encoding_told: bool,
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
        Self {
            lines,
            cells: Cells::default(),
            delimiter,
            quotes,
            n_columns,
            mapping,
            encoding: Guess::default(),
            is_encoding_told: false,
        }
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

    /// Appends the record of a row; a blank line has none.
    fn record(&mut self, len: usize, number: u64, batch: &mut Batch) {
        let Some(mapping) = self.mapping.as_ref() else { return };
        let bytes = trim_end(self.lines.peek(len));
        // Excel writes rows of empty cells for rows that were once filled.
        if bytes.iter().all(|byte| *byte == self.delimiter) {
            return;
        }
        let Some(text) = self.encoding.text(bytes, self.lines.buffered()) else {
            let why = "not UTF-8; if the whole file is in another encoding, name it in the mapping (`encoding`)";
            return batch.push(number, unreadable(number, mapping.kind(), why, bytes));
        };
        let mut row: Vec<&str> = Vec::with_capacity(self.n_columns + 1);
        if self.quotes == Quotes::On && bytes.contains(&b'"') {
            row.extend(self.cells.split_quoted(&text, self.delimiter));
        } else {
            row.extend(text.split(char::from(self.delimiter)));
        }
        // A delimiter at the end of a row adds an empty cell.
        if row.len() > self.n_columns && row[self.n_columns..].iter().all(|cell| cell.trim().is_empty()) {
            row.truncate(self.n_columns);
        }
        if row.len() != self.n_columns {
            let why = format!("{} columns, but the header has {}", row.len(), self.n_columns);
            return batch.push(number, unreadable(number, mapping.kind(), &why, bytes));
        }
        batch.push_mapped(number, mapping.kind(), mapping.apply(&row));
    }
}

impl<R: Read + Send> Source for Rows<R> {
    fn n_read(&self) -> u64 {
        self.lines.n_taken()
    }

    fn take_notes(&mut self) -> Vec<String> {
        if self.encoding != Guess::Windows1252 || std::mem::replace(&mut self.is_encoding_told, true) {
            return Vec::new();
        }
        vec!["windows-1252".into()]
    }

    fn next(&mut self, batch: &mut Batch) -> io::Result<bool> {
        let Some(kind) = self.mapping.as_ref().map(BoundMapping::kind) else { return Ok(false) };
        let number = self.lines.number();
        let Some(row) = self.find_row()? else { return Ok(false) };
        match row {
            Row::TooLong => {
                batch.push(number, unreadable(number, kind, "longer than 16 MiB", self.lines.peek(200)));
                self.lines.skip_line()?;
            }
            Row::Bad(len, why) => {
                batch.push(number, unreadable(number, kind, why, self.lines.peek(len)));
                self.lines.take(len, 1);
            }
            Row::Whole(len, n_lines) => {
                self.record(len, number, batch);
                self.lines.take(len, n_lines);
            }
        }
        Ok(true)
    }
}

/// The names of the columns, from the first line. Excel's line `sep=;` before it is passed over, and so are the empty
/// names that delimiters at its end make.
pub(super) fn read_header<R: Read>(lines: &mut Lines<R>, delimiter: u8, quotes: Quotes) -> io::Result<Vec<String>> {
    let len = match lines.find(0)? {
        Found::Nothing => return Ok(Vec::new()),
        Found::Line(len) => len,
        Found::TooLong(_) => return Err(invalid("the header is longer than 16 MiB")),
    };
    let line = trim_end(lines.peek(len));
    if named_delimiter(line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)).is_some() {
        lines.take(len, 1);
        return read_header(lines, delimiter, quotes);
    }
    let text = Guess::of(line).text(line, line).ok_or_else(|| invalid("the header is not UTF-8"))?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let scan = Scan::default().over(text.as_bytes(), delimiter);
    if quotes == Quotes::On && (scan == Scan::Broken || scan.is_open()) {
        return Err(invalid("the header has a quote that is never closed, or text after one"));
    }
    let mut names: Vec<String> = match quotes {
        Quotes::On => Cells::default().split_quoted(text, delimiter).map(|name| name.trim().to_owned()).collect(),
        Quotes::Off => text.split(char::from(delimiter)).map(|name| name.trim().to_owned()).collect(),
    };
    while names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    lines.take(len, 1);
    Ok(names)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A line without the carriage return of Windows, of which a file that was converted twice has several.
pub(super) fn trim_end(mut line: &[u8]) -> &[u8] {
    while let Some(rest) = line.strip_suffix(b"\r") {
        line = rest;
    }
    line
}
