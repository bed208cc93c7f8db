//! A file from its first byte to its last record, whatever it is written in.

use std::io::Read;
use std::path::Path;

use accrue_event::{BoundMapping, ContentIds, Mapping, RecordKind};

use super::entry::{Batch, Entry};
use super::error::ReadError;
use super::format::{Format, Quotes};
use super::input::{Input, Progress};
use super::lines::Lines;
use super::objects::Objects;
use super::rows::{Rows, read_header};
use super::source::Source;

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
}

/// Records of one file, in batches.
pub struct Reader {
    name: String,
    source: Box<dyn Source>,
    /// Ordinals among equals count over the whole file, so that the file read again has the same ids.
    ids: ContentIds,
    /// What ended the file before its end; told after the records before it.
    failure: Option<ReadError>,
}

impl Reader {
    /// Reads from a source; `name` is what messages call it.
    pub fn new(name: String, source: Box<dyn Source>) -> Self {
        Self { name, source, ids: ContentIds::default(), failure: None }
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
            match self.source.next() {
                Ok(Some((line, mut entry))) => {
                    match &mut entry {
                        Entry::Event(event, _) => self.ids.assign(event),
                        Entry::Unreadable(refusal) => refusal.id = self.ids.repeated(refusal.id),
                        Entry::Item(_) | Entry::User(_) => {}
                    }
                    batch.push(line, entry);
                }
                Ok(None) => break,
                Err(source) => {
                    let failure = ReadError::Broken { name: self.name.clone(), line: self.source.n_read(), source };
                    if batch.entries.is_empty() {
                        return Err(failure);
                    }
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        Ok(batch)
    }

    fn of_input(input: Input, path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        let Input { name, bytes } = input;
        let broken = |source| ReadError::Broken { name: name.clone(), line: 0, source };
        let mut lines = Lines::new(bytes);
        let start = lines.start(4096).map_err(broken)?;
        refuse_foreign(&name, start)?;
        let format = settings.format.or_else(|| Format::from_name(path)).unwrap_or_else(|| Format::from_content(start));
        match format {
            Format::Parquet if path == Path::new("-") => {
                let what = "Parquet cannot be read from standard input; name the file".into();
                Err(ReadError::Format { name, what })
            }
            Format::Parquet => Self::open_parquet(path, settings, progress),
            Format::Ndjson => {
                if start.trim_ascii_start().starts_with(b"[") {
                    let what = "a JSON array, but one object a line is read; convert it with: jq -c '.[]'".into();
                    return Err(ReadError::Format { name, what });
                }
                let mapping = bind_objects(&name, &settings.mapping)?;
                Ok(Self::new(name, Box::new(Objects::new(lines, settings.mapping.kind, mapping))))
            }
            Format::Csv | Format::Tsv => {
                let delimiter = delimiter(&name, format, &settings.mapping)?;
                let quotes = settings.quotes.unwrap_or_else(|| format.quotes(delimiter));
                let header = match &settings.columns {
                    Some(columns) => columns.clone(),
                    None => read_header(&mut lines, delimiter, quotes).map_err(broken)?,
                };
                // An empty file has no header to fit a mapping to, and no rows.
                let mapping = if header.is_empty() { None } else { Some(bind(&name, &settings.mapping, &header)?) };
                Ok(Self::new(name, Box::new(Rows::new(lines, delimiter, quotes, header.len(), mapping))))
            }
        }
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

/// Refuses what would otherwise end up in quarantine line by line.
fn refuse_foreign(name: &str, start: &[u8]) -> Result<(), ReadError> {
    let what = match start {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "UTF-16; convert it with: iconv -f UTF-16 -t UTF-8",
        [b'P', b'K', 3, 4, ..] => "a zip archive or an Excel workbook; unpack it, or save it as CSV",
        _ => return Ok(()),
    };
    Err(ReadError::Format { name: name.into(), what: what.into() })
}

fn delimiter(name: &str, format: Format, mapping: &Mapping) -> Result<u8, ReadError> {
    match mapping.delimiter {
        None => Ok(format.delimiter()),
        Some(given) if given.is_ascii() && !matches!(given, '"' | '\n' | '\r') => Ok(given as u8),
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
