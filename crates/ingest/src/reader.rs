//! A file from its first byte to its last record, whatever it is written in.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use accrue_event::{
    BoundMapping, ContentIds, Decimal, Family, FamilyFinder, Mapping, RawEvent, Reason, RecordKind, Refusal, Rejection,
    Sales, UnknownStates, listed,
};

use super::dialect::{Dialect, delimiter_name, delimiter_of, ends_lines_with_cr, lines_before_header, named_delimiter};
use super::encoding::{self, Guess, NO_KNOWN_ENCODING, Transcoded};
use super::entry::{Batch, Entry};
use super::error::ReadError;
use super::format::{Format, Quotes};
use super::input::{Input, Progress, read_start};
use super::legacy;
use super::lines::{Bytes, LOOK_AHEAD_BYTES, Lines};
use super::objects::{Objects, Parser};
use super::quoted::Scan;
use super::rows::{Rows, read_header, sample, trim_end};
use super::single_quotes::has_single_quotes;
use super::snowplow;
use super::source::Source;
use super::values::{Values, records_begin};
use super::xml::{Document, Records, Xml};

/// What the command line says about how files are to be read.
#[derive(Clone, Debug, Default)]
pub struct ReadSettings {
    /// The form; otherwise told by the name or the content.
    pub format: Option<Format>,
    /// Whether `"` encloses cells; otherwise told by the form.
    pub quotes: Option<Quotes>,
    /// Names of the columns of files that have no header.
    pub columns: Option<Vec<String>>,
    /// How the source's names become ours.
    pub mapping: Mapping,
    /// Whether events without a time are refused. Otherwise the check gives them the time of their arrival, which is wrong for
    /// a history.
    pub needs_time: bool,
    /// Items are changes of some fields, in which `null` clears a field.
    pub is_patch: bool,
}

/// Records of one file, in batches.
pub struct Reader {
    name: String,
    source: Box<dyn Source>,
    /// Records returned so far.
    n_returned: u64,
    /// Ordinals among equals count over the whole file, so that the file read again has the same ids.
    ids: ContentIds,
    /// What ended the file before its end; told after the records before it.
    failure: Option<ReadError>,
    notes: Vec<String>,
    needs_time: bool,
    /// The file and how it is read, if its rows need what others of the file say of them.
    family: Option<(PathBuf, ReadSettings)>,
}

/// Rows that are read at once where a file is read before for what its rows need of others.
const FAMILY_BATCH: usize = 4096;

impl Reader {
    /// Reads from a source; `name` is what messages call it.
    pub fn new(name: String, source: Box<dyn Source>) -> Self {
        Self {
            name,
            source,
            n_returned: 0,
            ids: ContentIds::default(),
            failure: None,
            notes: Vec::new(),
            needs_time: false,
            family: None,
        }
    }

    /// Opens a file (`-` is standard input), reads its header and fits the mapping to it.
    pub fn open(path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        if settings.format.or_else(|| Format::from_name(path)) == Some(Format::Parquet) {
            return Self::open_parquet(path, settings, progress);
        }
        let input = Input::open(path, progress)?;
        let reader = Self::of_input(input, path, settings, progress)?;
        let can_be_read_again = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        let needs_family = settings.mapping.variants.is_some() && can_be_read_again;
        Ok(Self { family: needs_family.then(|| (path.to_owned(), settings.clone())), ..reader })
    }

    /// Reads the whole file once for what its rows need of others.
    fn find_family(path: &Path, settings: ReadSettings) -> Result<Option<Family>, ReadError> {
        let name = || path.display().to_string();
        let finder = FamilyFinder::of(&settings.mapping);
        let Some(mut finder) = finder.map_err(|source| ReadError::Mapping { name: name(), source })? else {
            return Ok(None);
        };
        let settings = ReadSettings { mapping: finder.mapping().clone(), ..settings };
        let mut reader = Self::open(path, &settings, &Progress::default())?;
        loop {
            let batch = reader.next_batch(FAMILY_BATCH)?;
            if batch.entries.is_empty() && batch.n_skipped == 0 {
                return Ok(Some(finder.finish()));
            }
            for entry in &batch.entries {
                if let Entry::Item(item) = entry {
                    finder.add(item);
                }
            }
        }
    }

    /// Reads `bytes` as if they were the file of that name.
    pub fn from_bytes(
        path: &Path,
        bytes: impl Read + Send + 'static,
        settings: &ReadSettings,
        progress: &Progress,
    ) -> Result<Self, ReadError> {
        let input = Input::new(path.display().to_string(), path, Box::new(bytes), progress)?;
        Self::of_input(input, path, settings, progress)
    }

    /// The file's name, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next `n` records or fewer; empty at the end.
    ///
    /// # Errors
    /// If the file breaks off, after all records before that have been returned.
    pub fn next_batch(&mut self, n: usize) -> Result<Batch, ReadError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if let Some((path, settings)) = self.family.take()
            && let Some(family) = Self::find_family(&path, settings)?
        {
            self.source.set_family(Arc::new(family));
        }
        let mut batch = Batch { n_before: self.n_returned, ..Batch::with_capacity(n) };
        while batch.entries.len() < n {
            let n_before = batch.entries.len();
            match self.source.next(&mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(source) => {
                    let failure = ReadError::Broken { name: self.name.clone(), line: self.source.n_read(), source };
                    if batch.entries.is_empty() {
                        return Err(failure);
                    }
                    self.failure = Some(failure);
                    break;
                }
            }
            for (entry, line) in batch.entries[n_before..].iter_mut().zip(&batch.lines[n_before..]) {
                if self.needs_time
                    && let Entry::Event(event, _) | Entry::Undone(event, _) = entry
                    && event.at.is_missing()
                {
                    *entry = without_time(event, *line);
                }
                match entry {
                    Entry::Event(event, _) | Entry::Undone(event, _) => self.ids.assign(event),
                    Entry::Unreadable(refusal) => refusal.id = self.ids.repeated(refusal.id),
                    Entry::Item(_)
                    | Entry::Patch(_)
                    | Entry::User(_)
                    | Entry::ItemRemoved(_)
                    | Entry::UserRemoved(_) => {}
                }
            }
        }
        self.n_returned += batch.entries.len() as u64;
        Ok(batch)
    }

    /// What was recognised of the file since the last call: its delimiter, encoding and the like, where they are not the
    /// usual ones.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.source.take_notes());
        notes
    }

    /// What became of the prices of sales so far.
    pub fn sales(&self) -> Sales {
        self.source.sales()
    }

    /// The states of orders so far that are not known, so that their lines are purchases.
    pub fn unknown_states(&self) -> Vec<UnknownStates> {
        self.source.unknown_states()
    }

    fn of_input(input: Input, path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        let Input { name, bytes } = input;
        let broken = |source| ReadError::Broken { name: name.clone(), line: 0, source };
        let (mut lines, encoding) = decoded(&name, bytes, &settings.mapping)?;
        let is_decoded = encoding.is_some() || settings.mapping.encoding.is_some();
        let start = lines.start(LOOK_AHEAD_BYTES).map_err(broken)?;
        refuse_foreign(&name, start)?;
        let format = Format::of(settings.format, path, start);
        let mut notes: Vec<String> = encoding.into_iter().collect();
        let source: Box<dyn Source> = match format {
            Format::Parquet if path == Path::new("-") => {
                let what = "Parquet cannot be read from standard input; name the file".into();
                return Err(ReadError::Format { name, what });
            }
            Format::Parquet => return Self::open_parquet(path, settings, progress),
            Format::Ndjson => {
                let mapping = &settings.mapping;
                let is_plain = *mapping == (Mapping { kind: mapping.kind, ..Mapping::default() });
                let bound = mapping.bind_objects();
                let bound = bound.map_err(|source| ReadError::Mapping { name: name.clone(), source })?;
                let parser = Parser::new(bound, is_plain).for_patches(settings.is_patch);
                let begin = records_begin(start, Format::is_by_line(path), &|name| parser.leads_into(name));
                match begin {
                    Some(begin) => {
                        lines.pass(begin.n_before);
                        Box::new(Values::new(lines, parser, begin.n_open))
                    }
                    None => Box::new(Objects::new(lines, parser)),
                }
            }
            Format::Xml => {
                let document = Document::new(lines, is_decoded).map_err(broken)?;
                notes.extend(document.note);
                let bound = settings.mapping.bind_objects();
                let bound = bound.map_err(|source| ReadError::Mapping { name: name.clone(), source })?;
                let records = Records::find(&document.start, settings.mapping.element.as_deref());
                Box::new(Xml::new(document.bytes, records, Parser::new(bound, false)))
            }
            Format::Csv | Format::Tsv => {
                if Guess::of(start) == Guess::Unknown {
                    return Err(ReadError::Format { name, what: NO_KNOWN_ENCODING.into() });
                }
                let table = Table::recognise(&name, start, format, settings)?;
                notes.extend(table.notes());
                Box::new(rows_of(&name, lines, &table, settings, &mut notes)?)
            }
        };
        Ok(Self { notes, needs_time: settings.needs_time, ..Self::new(name, source) })
    }

    #[cfg(feature = "parquet")]
    fn open_parquet(path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let (file, header) = super::parquet::ParquetFile::open(path, progress)?;
        let mapping = bind(&name, settings, &header)?;
        Ok(Self { needs_time: settings.needs_time, ..Self::new(name, Box::new(file.rows(mapping))) })
    }

    #[cfg(not(feature = "parquet"))]
    fn open_parquet(path: &Path, _settings: &ReadSettings, _progress: &Progress) -> Result<Self, ReadError> {
        let what =
            "this build does not read Parquet; build one that does with: cargo build --release --features parquet";
        Err(ReadError::Format { name: path.display().to_string(), what: what.into() })
    }
}

/// The rows of a table under its header, with the mapping that fits its columns.
fn rows_of(
    name: &str,
    mut lines: Lines<Bytes>,
    table: &Table,
    settings: &ReadSettings,
    notes: &mut Vec<String>,
) -> Result<Rows<Bytes>, ReadError> {
    let broken = |source| ReadError::Broken { name: name.to_owned(), line: 0, source };
    lines.end_lines_with(table.line_end);
    let header = match &table.columns {
        Some(columns) => {
            // A header is read without the mark, and without one the mark would stay before the first cell.
            if lines.start(3).map_err(broken)?.starts_with(b"\xEF\xBB\xBF") {
                lines.pass(3);
            }
            columns.clone()
        }
        None => read_header(&mut lines, table.dialect, table.n_before).map_err(broken)?,
    };
    // An empty file has no header to fit a mapping to, and no rows.
    if header.is_empty() {
        return Ok(Rows::new(lines, table.dialect, 0, None));
    }
    let bound = bind(name, settings, &header)?;
    let start = lines.start(LOOK_AHEAD_BYTES).map_err(broken)?;
    // A row that is cut off may end in the middle of a number.
    let is_cut = start.len() == LOOK_AHEAD_BYTES;
    let end = start.iter().rposition(|byte| is_cut && *byte == table.line_end).unwrap_or(start.len());
    let rows = sample(&start[..end], table.line_end, table.dialect, header.len());
    let mapping = match recognised_decimal(&bound, &settings.mapping, &rows) {
        None => bound,
        Some(decimal) => {
            if decimal == Decimal::Comma {
                notes.push("decimal commas".into());
            }
            let mapping = Mapping { decimal, ..settings.mapping.clone() };
            bind(name, &ReadSettings { mapping, ..settings.clone() }, &header)?
        }
    };
    Ok(Rows::new(lines, table.dialect, header.len(), Some(mapping)))
}

/// Lines of a file as UTF-8, and the name of the encoding if it was recognised and is another one.
pub(super) fn decoded(
    name: &str,
    mut bytes: Bytes,
    mapping: &Mapping,
) -> Result<(Lines<Bytes>, Option<String>), ReadError> {
    let given = match &mapping.encoding {
        None => None,
        Some(label) => Some(encoding::named(label).ok_or_else(|| {
            let what = format!("`encoding` is {label:?}, which is no known encoding; use a name such as windows-1252");
            ReadError::Format { name: name.into(), what }
        })?),
    };
    let broken = |source| ReadError::Broken { name: name.into(), line: 0, source };
    let start = read_start(&mut bytes, 4).map_err(broken)?;
    // A byte order mark is exact, so it wins over a name.
    let marked = encoding_rs::Encoding::for_bom(&start).map(|(encoding, _)| encoding);
    // Two ASCII characters of UTF-16 without a mark.
    let marked = marked.or(match start[..] {
        [1..=255, 0, 1..=255, 0] => Some(encoding_rs::UTF_16LE),
        [0, 1..=255, 0, 1..=255] => Some(encoding_rs::UTF_16BE),
        _ => None,
    });
    let whole: Bytes = Box::new(Cursor::new(start).chain(bytes));
    match marked.or(given) {
        Some(other) if other != encoding_rs::UTF_8 => {
            let told = (marked.is_some() && given != marked).then(|| other.name().to_owned());
            Ok((Lines::new(Box::new(Transcoded::new(whole, other))), told))
        }
        None => recognised(Lines::new(whole)).map_err(broken),
        _ => Ok((Lines::new(whole), None)),
    }
}

/// Lines in an encoding that is neither UTF-8 nor Windows-1252, as UTF-8, if their beginning tells which it is. A document of XML
/// says it itself.
fn recognised(mut lines: Lines<Bytes>) -> std::io::Result<(Lines<Bytes>, Option<String>)> {
    let start = lines.start(LOOK_AHEAD_BYTES)?;
    if start.trim_ascii_start().starts_with(b"<") {
        return Ok((lines, None));
    }
    let other = match Guess::of(start) {
        Guess::Open | Guess::Utf8 => None,
        Guess::Latin(encoding) => Some(encoding).filter(|encoding| *encoding != encoding_rs::WINDOWS_1252),
        Guess::Unknown => legacy::recognised(start),
    };
    let Some(other) = other else { return Ok((lines, None)) };
    let (rest, input) = lines.into_parts();
    let whole: Bytes = Box::new(Cursor::new(rest).chain(input));
    Ok((Lines::new(Box::new(Transcoded::new(whole, other))), Some(other.name().to_owned())))
}

/// Refuses what would otherwise end up in quarantine line by line.
pub(super) fn refuse_foreign(name: &str, start: &[u8]) -> Result<(), ReadError> {
    let what = match start {
        [b'P', b'K', 3, 4, ..] => "a zip archive or an Excel workbook; unpack it, or save it as CSV",
        [0xD0, 0xCF, 0x11, 0xE0, ..] => "an old Excel workbook; save it as CSV",
        [b'B', b'Z', b'h', ..] => "compressed with bzip2; unpack it, or compress it with gzip or zstd",
        [0xFD, b'7', b'z', b'X', b'Z', ..] => "compressed with xz; unpack it, or compress it with gzip or zstd",
        [b'7', b'z', 0xBC, 0xAF, ..] | [b'R', b'a', b'r', b'!', ..] => "an archive; unpack it",
        _ if start.get(257..262) == Some(b"ustar") => {
            "an archive (tar); unpack it. The documents in a dump of Meilisearch are in indexes/NAME/documents.jsonl"
        }
        [b'%', b'P', b'D', b'F', ..] => "a PDF; export the data as CSV or JSON",
        [b'S', b'Q', b'L', b'i', b't', b'e', b' ', b'f', ..] => "an SQLite database; export a table of it as CSV",
        _ => {
            let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
            let begin = String::from_utf8_lossy(&text[..text.len().min(200)]).to_ascii_lowercase();
            if !begin.starts_with('<') || !(begin.contains("<!doctype html") || begin.contains("<html")) {
                return Ok(());
            }
            "a page of HTML and no data; perhaps the address of the export leads to a page that asks for a login"
        }
    };
    Err(ReadError::Format { name: name.into(), what: what.into() })
}

/// An event of a file that has no time.
pub(super) fn without_time(event: &RawEvent, line: u64) -> Entry {
    let detail =
        format!("line {line}: at: missing; a record of a file is not of today. Map its time to `at`, or use --now");
    Entry::Unreadable(Refusal::of(RecordKind::Events, Rejection::new(Reason::BadTime, detail), event.to_json()))
}

/// How a table is written, and what of it was recognised.
pub(super) struct Table {
    pub line_end: u8,
    pub dialect: Dialect,
    /// Lines before the header.
    pub n_before: usize,
    /// The names of the columns if they are not in a header: given, or those of a form that never has one.
    pub columns: Option<Vec<String>>,
    is_form_recognised: bool,
    is_quoting_recognised: bool,
    pub is_delimiter_recognised: bool,
    is_escape_recognised: bool,
}

impl Table {
    pub fn recognise(name: &str, start: &[u8], format: Format, settings: &ReadSettings) -> Result<Self, ReadError> {
        let mapping = &settings.mapping;
        let given = ascii(name, "delimiter", mapping.delimiter)?;
        let (escape, comment) = (ascii(name, "escape", mapping.escape)?, ascii(name, "comment", mapping.comment)?);
        let usual = given.unwrap_or_else(|| format.delimiter());
        let quotes = |delimiter| settings.quotes.unwrap_or_else(|| format.quotes(delimiter));
        let line_end = if ends_lines_with_cr(start, quotes(usual)) { b'\r' } else { b'\n' };
        let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        let is_row = |line: &&[u8]| comment.is_none() || line.first() != comment.as_ref();
        let lines = || text.split(|byte| *byte == line_end).map(trim_end);
        let known = match settings.columns {
            Some(_) => None,
            None => lines().next().and_then(snowplow::columns_of),
        };
        let is_form_recognised = known.is_some();
        let columns = settings.columns.clone().or(known);
        let n_before = match (mapping.skip_lines, &columns) {
            (Some(n), _) => n,
            (None, Some(_)) => 0,
            (None, None) => lines_before_header(lines().filter(is_row), given),
        };
        let first_line = lines().filter(is_row).nth(n_before).unwrap_or_default();
        let delimiter = given
            .or_else(|| named_delimiter(first_line))
            .unwrap_or_else(|| delimiter_of(first_line, format.delimiter()));
        let is_delimiter_recognised = given.is_none() && delimiter != format.delimiter();
        let mut dialect =
            Dialect { delimiter, quotes: quotes(delimiter), quote: b'"', skips_blanks: false, escape, comment };
        if settings.quotes.is_none() && has_single_quotes(lines().skip(n_before), dialect) {
            (dialect.quotes, dialect.quote) = (Quotes::On, b'\'');
        }
        let is_quoting_recognised = settings.quotes.is_none()
            && dialect.quotes == Quotes::Off
            && !is_form_recognised
            && has_quoted_cells(lines().skip(n_before), dialect);
        if is_quoting_recognised {
            dialect.quotes = Quotes::On;
        }
        dialect.skips_blanks = has_blanks_before_quotes(lines(), dialect);
        let is_escape_recognised = escape.is_none() && has_backslash_escapes(lines(), dialect);
        if is_escape_recognised {
            dialect.escape = Some(b'\\');
        }
        Ok(Self {
            line_end,
            dialect,
            n_before,
            columns,
            is_form_recognised,
            is_quoting_recognised,
            is_delimiter_recognised,
            is_escape_recognised,
        })
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let delimiter = self.is_delimiter_recognised.then(|| delimiter_name(self.dialect.delimiter));
        let line_end = (self.line_end == b'\r').then(|| "lines that end with CR alone".to_owned());
        let before = (self.n_before > 0).then(|| match self.n_before {
            1 => "a line before the header".to_owned(),
            n => format!("{n} lines before the header"),
        });
        let escape = self.is_escape_recognised.then(|| "quotes behind backslashes".to_owned());
        let quotes = self.is_quoting_recognised.then(|| "cells in quotes".to_owned());
        let single = (self.dialect.quote == b'\'').then(|| "cells in single quotes".to_owned());
        let blanks = self.dialect.skips_blanks.then(|| "blanks before quotes".to_owned());
        let form = self.is_form_recognised.then(|| "the 131 columns of Snowplow's enriched events".to_owned());
        form.into_iter()
            .chain(delimiter)
            .chain(quotes)
            .chain(single)
            .chain(line_end)
            .chain(before)
            .chain(escape)
            .chain(blanks)
    }
}

/// Whether cells between tabs are in quotes, as any writer of CSV puts them where they hold quotes: every cell that begins with
/// one ends with one, and its row has as many cells as the header.
fn has_quoted_cells<'l>(lines: impl Iterator<Item = &'l [u8]>, plain: Dialect) -> bool {
    let quoted = Dialect { quotes: Quotes::On, ..plain };
    let (mut scan, mut n_lines, mut n_cells, mut n_columns, mut found) = (Scan::default(), 0, 1, None, false);
    let mut is_marked = false;
    for line in lines {
        let begins_quoted = |place: usize| line[place] == b'"' && (place == 0 || line[place - 1] == plain.delimiter);
        is_marked |= scan == Scan::default() && (0..line.len()).any(begins_quoted);
        for byte in line {
            scan = scan.over(std::slice::from_ref(byte), quoted);
            n_cells += usize::from(scan == Scan::Begin && *byte == plain.delimiter);
        }
        n_lines += 1;
        if scan == Scan::Broken || n_lines > MAX_LINES_OF_ROW {
            return false;
        }
        if scan.is_open() {
            continue;
        }
        // A blank line at the end, or the last one of what is seen, may be short.
        let n_expected = *n_columns.get_or_insert(n_cells);
        if is_marked && n_cells != n_expected {
            return found && n_cells < n_expected;
        }
        found |= is_marked;
        (scan, n_lines, n_cells, is_marked) = (Scan::default(), 0, 1, false);
    }
    found
}

/// Lines of one row, beyond which a quote is rather a sign for inches than the begin of a cell.
const MAX_LINES_OF_ROW: usize = 200;

/// Whether rows have quotes behind backslashes: some have text after a closing quote, and none has if a backslash escapes.
fn has_backslash_escapes<'l>(lines: impl Iterator<Item = &'l [u8]>, strict: Dialect) -> bool {
    let escaped = Dialect { escape: Some(b'\\'), ..strict };
    let scan = |line: &[u8], dialect| Scan::default().over(line, dialect);
    let marked: Vec<&[u8]> = lines.filter(|line| line.windows(2).any(|pair| *pair == [b'\\', strict.quote])).collect();
    strict.quotes == Quotes::On
        && marked.iter().any(|line| scan(line, strict) == Scan::Broken)
        && !marked.iter().any(|line| scan(line, escaped) == Scan::Broken)
}

/// Whether blanks stand between a delimiter and a quote outside quotes, as in `A, "Mug, blue"`, and every cell that begins so ends with a quote.
fn has_blanks_before_quotes<'l>(lines: impl Iterator<Item = &'l [u8]>, strict: Dialect) -> bool {
    let skipping = Dialect { skips_blanks: true, ..strict };
    let is_marked = |line: &&[u8]| {
        let mut scan = Scan::default();
        (0..line.len()).any(|place| {
            scan = scan.over(&line[place..=place], strict);
            scan == Scan::Begin && line[place + 1..].starts_with(b" \"")
        })
    };
    let mut marked = lines.filter(is_marked).peekable();
    strict.quotes == Quotes::On
        && strict.delimiter != b' '
        && marked.peek().is_some()
        && marked.all(|line| {
            let end = Scan::default().over(line, skipping);
            end != Scan::Broken && !end.is_open()
        })
}

/// The decimal sign of a table's numbers, if its first rows show one and none shows the other.
fn recognised_decimal(bound: &BoundMapping, mapping: &Mapping, rows: &[Vec<String>]) -> Option<Decimal> {
    if !mapping.decimal.is_any() {
        return None;
    }
    let columns = bound.amount_columns();
    let signs = rows.iter().flat_map(|row| columns.iter().filter_map(|place| Decimal::shown_by(row.get(*place)?)));
    let mut recognised = None;
    for sign in signs {
        match recognised {
            Some(other) if other != sign => return None,
            _ => recognised = Some(sign),
        }
    }
    recognised
}

fn ascii(name: &str, key: &str, given: Option<char>) -> Result<Option<u8>, ReadError> {
    match given {
        None => Ok(None),
        Some(given) if given.is_ascii() && !matches!(given, '"' | '\n' | '\r') => Ok(Some(given as u8)),
        Some(given) => {
            let what = format!("`{key}` is {given:?}, but must be one ASCII character, no quote and no line end");
            Err(ReadError::Format { name: name.into(), what })
        }
    }
}

/// Fits a mapping to the header of a file, and makes sure that every record can get what it needs.
fn bind(name: &str, settings: &ReadSettings, header: &[String]) -> Result<BoundMapping, ReadError> {
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let bound = settings.mapping.bind(&names).map_err(|source| ReadError::Mapping { name: name.into(), source })?;
    let is_given = |field: &str| bound.fills(field);
    let missing = match settings.mapping.kind {
        RecordKind::Events if !is_given("type") => "`type`",
        RecordKind::Events if !is_given("user") && !is_given("session") => "`user` or `session`",
        RecordKind::Events if settings.needs_time && !is_given("at") => {
            let is_likely = |column: &&&str| {
                let column = column.to_lowercase();
                ["time", "date", "datum", "zeit", "fecha", "heure", "stamp", "_at"]
                    .iter()
                    .any(|word| column.contains(word))
            };
            let likely: Vec<String> = names.iter().filter(is_likely).map(|column| format!("`{column}`")).collect();
            return Err(ReadError::NoTime { name: name.into(), header: listed(&names), likely: listed(&likely) });
        }
        RecordKind::Items | RecordKind::Users if !is_given("id") => "`id`",
        _ => return Ok(bound),
    };
    Err(ReadError::Columns { name: name.into(), missing, header: listed(&names) })
}
