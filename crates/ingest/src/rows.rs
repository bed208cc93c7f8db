//! Rows of cells under a header: CSV and TSV.

use std::io::{self, Read};
use std::sync::Arc;

use accrue_event::{BoundMapping, Family, Sales, UnknownStates};

use super::dialect::{Dialect, named_delimiter};
use super::encoding::{Guess, NO_KNOWN_ENCODING};
use super::entry::{Batch, unreadable};
use super::format::Quotes;
use super::lines::{Found, Lines};
use super::quoted::{Cells, Scan};
use super::source::Source;

/// Longest row that spans lines. Beyond it, an unclosed quote is more likely than a cell of that size.
const MAX_QUOTED_BYTES: usize = 1 << 20;

/// Rows of a file whose header was read.
pub(super) struct Rows<R> {
    lines: Lines<R>,
    cells: Cells,
    dialect: Dialect,
    n_columns: usize,
    mapping: Option<BoundMapping>,
    encoding: Guess,
    is_encoding_told: bool,
    has_short_rows: bool,
    are_short_rows_told: bool,
}

/// A row as it lies in the buffer.
enum Row {
    /// Its size in bytes, and over how many lines.
    Whole(usize, u64),
    /// The first line is no row; its size in bytes.
    Bad(usize, &'static str),
    TooLong,
}

impl<R: Read> Rows<R> {
    /// Rows of `n_columns` cells, after the header. Without a mapping there are none.
    pub fn new(lines: Lines<R>, dialect: Dialect, n_columns: usize, mapping: Option<BoundMapping>) -> Self {
        Self {
            lines,
            cells: Cells::default(),
            dialect,
            n_columns,
            mapping,
            encoding: Guess::default(),
            is_encoding_told: false,
            has_short_rows: false,
            are_short_rows_told: false,
        }
    }

    fn find_row(&mut self) -> io::Result<Option<Row>> {
        let first = match self.lines.find(0)? {
            Found::Nothing => return Ok(None),
            Found::TooLong(_) => return Ok(Some(Row::TooLong)),
            Found::Line(len) => len,
        };
        if !is_marked(self.lines.peek(first), self.dialect) {
            return Ok(Some(Row::Whole(first, 1)));
        }
        let (mut len, mut n_lines, mut scan, mut scanned) = (first, 1, Scan::default(), 0);
        loop {
            let row = self.lines.peek(len);
            scan = scan.over(&trim_end(row)[scanned.min(trim_end(row).len())..], self.dialect);
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
        let Some(mapping) = self.mapping.as_mut() else { return };
        let bytes = trim_end(self.lines.peek(len));
        // Excel writes rows of empty cells for rows that were once filled.
        if bytes.iter().all(|byte| *byte == self.dialect.delimiter) {
            return;
        }
        if !bytes.is_empty() && bytes.first() == self.dialect.comment.as_ref() {
            return;
        }
        let Some(text) = self.encoding.text(bytes, self.lines.buffered()) else {
            let why = match self.encoding {
                Guess::Unknown => NO_KNOWN_ENCODING,
                _ => "not UTF-8; if the whole file is in another encoding, name it in the mapping (`encoding`)",
            };
            return batch.push(number, unreadable(number, mapping.kind(), why, bytes));
        };
        let mut row: Vec<&str> = Vec::with_capacity(self.n_columns + 1);
        if is_marked(bytes, self.dialect) {
            row.extend(self.cells.split(&text, self.dialect));
        } else {
            row.extend(text.split(char::from(self.dialect.delimiter)));
        }
        // A delimiter at the end of a row adds an empty cell.
        if row.len() > self.n_columns && row[self.n_columns..].iter().all(|cell| cell.trim().is_empty()) {
            row.truncate(self.n_columns);
        }
        // Spreadsheets leave out the delimiters of empty cells at the end. A row that the file's end cuts is no such row.
        let is_cut = self.lines.buffered().len() <= len;
        if (2..self.n_columns).contains(&row.len()) && !is_cut {
            row.resize(self.n_columns, "");
            self.has_short_rows = true;
        }
        if row.len() != self.n_columns {
            let why = format!("{} columns, but the header has {}", row.len(), self.n_columns);
            return batch.push(number, unreadable(number, mapping.kind(), &why, bytes));
        }
        row.iter_mut().for_each(|cell| *cell = meant(cell));
        let kind = mapping.kind();
        if mapping.is_nested() {
            mapping.apply_nested(&row).into_iter().for_each(|mapped| batch.push_mapped(number, kind, mapped));
        } else {
            batch.push_mapped(number, kind, mapping.apply(&row));
        }
    }
}

impl<R: Read + Send> Source for Rows<R> {
    fn n_read(&self) -> u64 {
        self.lines.n_taken()
    }

    fn take_notes(&mut self) -> Vec<String> {
        let mut notes = self.mapping.as_mut().map(BoundMapping::take_notes).unwrap_or_default();
        if let Guess::Latin(encoding) = self.encoding
            && !std::mem::replace(&mut self.is_encoding_told, true)
        {
            notes.push(encoding.name().to_lowercase());
        }
        if self.has_short_rows && !std::mem::replace(&mut self.are_short_rows_told, true) {
            notes.push("rows without their last cells, which are taken as empty".into());
        }
        notes
    }

    fn sales(&self) -> Sales {
        self.mapping.as_ref().map(BoundMapping::sales).unwrap_or_default()
    }

    fn unknown_states(&self) -> Vec<UnknownStates> {
        self.mapping.as_ref().map(BoundMapping::unknown_states).unwrap_or_default()
    }

    fn set_family(&mut self, family: Arc<Family>) {
        if let Some(mapping) = &mut self.mapping {
            mapping.set_family(family);
        }
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

/// What a cell says: `="007"` is how a spreadsheet is kept from taking the zeros of `007`, and `\N` how MySQL and Hive write
/// that there is no value.
fn meant(cell: &str) -> &str {
    match cell.trim() {
        "\\N" => "",
        formula => formula.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or(cell),
    }
}

/// Whether a row has quotes or escapes, so that it is not simply split at its delimiters.
fn is_marked(row: &[u8], dialect: Dialect) -> bool {
    (dialect.quotes == Quotes::On && row.contains(&dialect.quote))
        || dialect.escape.is_some_and(|escape| row.contains(&escape))
}

/// The names of the columns, from the first line after `n_before` others. Excel's line `sep=;` is passed over, and so
/// are comments, blank lines, and the empty names that delimiters at the header's end make.
pub(super) fn read_header<R: Read>(lines: &mut Lines<R>, dialect: Dialect, n_before: usize) -> io::Result<Vec<String>> {
    let mut n_passed = 0;
    loop {
        let len = match lines.find(0)? {
            Found::Nothing => return Ok(Vec::new()),
            Found::Line(len) => len,
            Found::TooLong(_) => return Err(invalid("the header is longer than 16 MiB")),
        };
        let line = trim_end(lines.peek(len));
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        let is_comment = !line.is_empty() && line.first() == dialect.comment.as_ref();
        let is_before = !is_comment && n_passed < n_before;
        n_passed += usize::from(is_before);
        if !is_before && !is_comment && named_delimiter(line).is_none() && !line.trim_ascii().is_empty() {
            let names = names_of(line, dialect)?;
            lines.take(len, 1);
            return Ok(names);
        }
        lines.take(len, 1);
    }
}

/// Columns that a table may have. A first line with more is a row of numbers, or the whole file.
const MAX_COLUMNS: usize = 4096;
/// Bytes that the name of a column may have.
const MAX_NAME_BYTES: usize = 4096;

fn names_of(line: &[u8], dialect: Dialect) -> io::Result<Vec<String>> {
    let not_utf8 = || invalid("the header is not UTF-8; name its encoding in a mapping (`encoding`)");
    let text = Guess::of(line).text(line, line).ok_or_else(not_utf8)?;
    let scan = Scan::default().over(text.as_bytes(), dialect);
    if dialect.quotes == Quotes::On && (scan == Scan::Broken || scan.is_open()) {
        return Err(invalid("the header has a quote that is never closed, or text after one"));
    }
    let mut names = Vec::new();
    for name in Cells::default().split(&text, dialect) {
        if name.len() > MAX_NAME_BYTES {
            return Err(invalid(
                "the first line is no header: it has a cell that is too long for the name of a column",
            ));
        }
        names.push(name.trim().to_owned());
    }
    while names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    if names.len() > MAX_COLUMNS {
        return Err(invalid("the first line is no header: it has more cells than a table has columns"));
    }
    Ok(names)
}

/// The cells of some rows from their beginning on, as far as they lie in `bytes` and have as many cells as the header.
pub(super) fn sample(bytes: &[u8], line_end: u8, dialect: Dialect, n_columns: usize) -> Vec<Vec<String>> {
    let mut cells = Cells::default();
    let mut lines = Vec::new();
    let (mut scan, mut begin, mut end) = (Scan::default(), 0, 0);
    for line in bytes.split(|byte| *byte == line_end) {
        end += line.len();
        scan = scan.over(trim_end(line), dialect);
        if scan.is_open() {
            // The row goes on on the next line.
            scan = scan.over(&[line_end], dialect);
        } else {
            lines.extend(Some(trim_end(&bytes[begin..end])).filter(|_| scan != Scan::Broken));
            (scan, begin) = (Scan::default(), end + 1);
        }
        end += 1;
    }
    let mut encoding = Guess::of(bytes);
    let rows =
        lines.into_iter().map(|line| encoding.text(line, bytes).unwrap_or_else(|| String::from_utf8_lossy(line)));
    let rows = rows.map(|row| cells.split(&row, dialect).map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|row| row.len() >= n_columns && row[n_columns..].iter().all(String::is_empty)).collect()
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
