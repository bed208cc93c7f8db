//! A file from its first byte to its last record, whatever it is written in.

use std::io::{Cursor, Read};
use std::path::Path;

use accrue_event::{BoundMapping, ContentIds, Mapping, RecordKind};

use super::dialect::{delimiter_name, delimiter_of, ends_lines_with_cr, named_delimiter};
use super::encoding::{self, Transcoded};
use super::entry::{Batch, Entry};
use super::error::ReadError;
use super::format::{Format, Quotes};
use super::input::{Input, Progress, read_start};
use super::lines::Lines;
use super::objects::{Objects, Parser};
use super::rows::{Rows, read_header, trim_end};
use super::source::Source;
use super::values::{Values, records_begin};

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
    /// Items are changes of some fields, in which `null` clears a field.
    pub is_patch: bool,
}

/// Records of one file, in batches.
pub struct Reader {
    name: String,
    source: Box<dyn Source>,
    /// Ordinals among equals count over the whole file, so that the file read again has the same ids.
    ids: ContentIds,
    /// What ended the file before its end; told after the records before it.
    failure: Option<ReadError>,
    notes: Vec<String>,
}

/// Bytes from which line ends, delimiter and the like are recognised.
const LOOK_AHEAD_BYTES: usize = 64 << 10;

impl Reader {
    /// Reads from a source; `name` is what messages call it.
    pub fn new(name: String, source: Box<dyn Source>) -> Self {
        Self { name, source, ids: ContentIds::default(), failure: None, notes: Vec::new() }
    }

    /// Opens a file (`-` is standard input), reads its header and fits the mapping to it.
    pub fn open(path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        if settings.format.or_else(|| Format::from_name(path)) == Some(Format::Parquet) {
            return Self::open_parquet(path, settings, progress);
        }
        let input = Input::open(path, progress)?;
        Self::of_input(input, path, settings, progress)
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
        let mut batch = Batch::with_capacity(n);
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
            for entry in &mut batch.entries[n_before..] {
                match entry {
                    Entry::Event(event, _) => self.ids.assign(event),
                    Entry::Unreadable(refusal) => refusal.id = self.ids.repeated(refusal.id),
                    Entry::Item(_) | Entry::Patch(_) | Entry::User(_) => {}
                }
            }
        }
        Ok(batch)
    }

    /// What was recognised of the file since the last call: its delimiter, encoding and the like, where they are not the
    /// usual ones.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.source.take_notes());
        notes
    }

    fn of_input(input: Input, path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        let Input { name, bytes } = input;
        let broken = |source| ReadError::Broken { name: name.clone(), line: 0, source };
        let (mut lines, encoding) = decoded(&name, bytes, &settings.mapping)?;
        let start = lines.start(LOOK_AHEAD_BYTES).map_err(broken)?;
        refuse_foreign(&name, start)?;
        let format = settings.format.or_else(|| Format::from_name(path)).unwrap_or_else(|| Format::from_content(start));
        let mut notes: Vec<String> = encoding.into_iter().collect();
        let source: Box<dyn Source> = match format {
            Format::Parquet if path == Path::new("-") => {
                let what = "Parquet cannot be read from standard input; name the file".into();
                return Err(ReadError::Format { name, what });
            }
            Format::Parquet => return Self::open_parquet(path, settings, progress),
            Format::Ndjson => {
                let parser = Parser::new(settings.mapping.kind, bind_objects(&name, &settings.mapping)?)
                    .for_patches(settings.is_patch);
                let begin = records_begin(start, Format::is_by_line(path));
                match begin {
                    Some(begin) => {
                        lines.pass(begin);
                        Box::new(Values::new(lines, parser))
                    }
                    None => Box::new(Objects::new(lines, parser)),
                }
            }
            Format::Csv | Format::Tsv => {
                let table = Table::recognise(&name, start, format, settings)?;
                notes.extend(table.notes());
                lines.end_lines_with(table.line_end);
                let header = match &settings.columns {
                    Some(columns) => columns.clone(),
                    None => read_header(&mut lines, table.delimiter, table.quotes).map_err(broken)?,
                };
                // An empty file has no header to fit a mapping to, and no rows.
                let mapping = if header.is_empty() { None } else { Some(bind(&name, &settings.mapping, &header)?) };
                Box::new(Rows::new(lines, table.delimiter, table.quotes, header.len(), mapping))
            }
        };
        Ok(Self { notes, ..Self::new(name, source) })
    }

    #[cfg(feature = "parquet")]
    fn open_parquet(path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let (file, header) = super::parquet::ParquetFile::open(path, progress)?;
        let mapping = bind(&name, &settings.mapping, &header)?;
        Ok(Self::new(name, Box::new(file.rows(mapping))))
    }

    #[cfg(not(feature = "parquet"))]
    fn open_parquet(path: &Path, _settings: &ReadSettings, _progress: &Progress) -> Result<Self, ReadError> {
        let what =
            "this build does not read Parquet; build one that does with: cargo build --release --features parquet";
        Err(ReadError::Format { name: path.display().to_string(), what: what.into() })
    }
}

/// Bytes of a file, from wherever they come.
type Bytes = Box<dyn Read + Send>;

/// Lines of a file as UTF-8, and the name of the encoding if it was recognised and is another one.
fn decoded(name: &str, mut bytes: Bytes, mapping: &Mapping) -> Result<(Lines<Bytes>, Option<String>), ReadError> {
    let given = match &mapping.encoding {
        None => None,
        Some(label) => Some(encoding::named(label).ok_or_else(|| {
            let what = format!("`encoding` is {label:?}, which is no known encoding; use a name such as windows-1252");
            ReadError::Format { name: name.into(), what }
        })?),
    };
    let start = read_start(&mut bytes, 2).map_err(|source| ReadError::Broken { name: name.into(), line: 0, source })?;
    // A byte order mark is exact, so it wins over a name.
    let marked = encoding_rs::Encoding::for_bom(&start).map(|(encoding, _)| encoding);
    let whole: Bytes = Box::new(Cursor::new(start).chain(bytes));
    match marked.or(given) {
        Some(other) if other != encoding_rs::UTF_8 => {
            let told = (marked.is_some() && given != marked).then(|| other.name().to_owned());
            Ok((Lines::new(Box::new(Transcoded::new(whole, other))), told))
        }
        _ => Ok((Lines::new(whole), None)),
    }
}

/// Refuses what would otherwise end up in quarantine line by line.
fn refuse_foreign(name: &str, start: &[u8]) -> Result<(), ReadError> {
    let what = match start {
        [b'P', b'K', 3, 4, ..] => "a zip archive or an Excel workbook; unpack it, or save it as CSV",
        [0xD0, 0xCF, 0x11, 0xE0, ..] => "an old Excel workbook; save it as CSV",
        _ => {
            let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
            match text {
                [b'<', b'?' | b'!' | b'a'..=b'z' | b'A'..=b'Z', ..] => {
                    "XML or HTML, which is not read; export it as CSV, TSV or JSON"
                }
                _ => return Ok(()),
            }
        }
    };
    Err(ReadError::Format { name: name.into(), what: what.into() })
}

/// How a table is written.
struct Table {
    line_end: u8,
    delimiter: u8,
    quotes: Quotes,
    is_delimiter_recognised: bool,
}

impl Table {
    fn recognise(name: &str, start: &[u8], format: Format, settings: &ReadSettings) -> Result<Self, ReadError> {
        let given = given_delimiter(name, &settings.mapping)?;
        let usual = given.unwrap_or_else(|| format.delimiter());
        let quotes = |delimiter| settings.quotes.unwrap_or_else(|| format.quotes(delimiter));
        let line_end = if ends_lines_with_cr(start, quotes(usual)) { b'\r' } else { b'\n' };
        let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        let first_line = trim_end(text.split(|byte| *byte == line_end).next().unwrap_or_default());
        let delimiter = given
            .or_else(|| named_delimiter(first_line))
            .unwrap_or_else(|| delimiter_of(first_line, format.delimiter()));
        let is_delimiter_recognised = given.is_none() && delimiter != format.delimiter();
        Ok(Self { line_end, delimiter, quotes: quotes(delimiter), is_delimiter_recognised })
    }

    fn notes(&self) -> impl Iterator<Item = String> {
        let delimiter = self.is_delimiter_recognised.then(|| delimiter_name(self.delimiter));
        let line_end = (self.line_end == b'\r').then(|| "lines that end with CR alone".to_owned());
        delimiter.into_iter().chain(line_end)
    }
}

fn given_delimiter(name: &str, mapping: &Mapping) -> Result<Option<u8>, ReadError> {
    match mapping.delimiter {
        None => Ok(None),
        Some(given) if given.is_ascii() && !matches!(given, '"' | '\n' | '\r') => Ok(Some(given as u8)),
        Some(given) => {
            let what = format!("`delimiter` is {given:?}, but must be one ASCII character, no quote and no line end");
            Err(ReadError::Format { name: name.into(), what })
        }
    }
}

/// Fits a mapping to the header of a file, and makes sure that every event can get what it needs.
fn bind(name: &str, mapping: &Mapping, header: &[String]) -> Result<BoundMapping, ReadError> {
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let bound = mapping.bind(&header).map_err(|source| ReadError::Mapping { name: name.into(), source })?;
    let is_given = |field: &str| {
        mapping.constants.contains_key(field) || mapping.fields.contains_key(field) || header.contains(&field)
    };
    let missing = match mapping.kind {
        RecordKind::Events if !is_given("type") => Some("`type`"),
        RecordKind::Events if !is_given("user") && !is_given("session") => Some("`user` or `session`"),
        RecordKind::Items | RecordKind::Users if !is_given("id") => Some("`id`"),
        _ => None,
    };
    match missing {
        // Rules may set any field.
        Some(missing) if mapping.rule.is_empty() => {
            Err(ReadError::Columns { name: name.into(), missing, header: header.join(", ") })
        }
        _ => Ok(bound),
    }
}

fn bind_objects(name: &str, mapping: &Mapping) -> Result<Option<BoundMapping>, ReadError> {
    if *mapping == (Mapping { kind: mapping.kind, ..Mapping::default() }) {
        return Ok(None);
    }
    mapping.bind_objects().map(Some).map_err(|source| ReadError::Mapping { name: name.into(), source })
}
