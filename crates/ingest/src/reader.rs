//! A file from its first byte to its last record, whatever it is written in.

use std::io::Read;
use std::path::Path;

use accrue_event::{BoundMapping, ContentIds, Mapping, Reason, RecordKind, Refusal, RefusalId, Rejection};

use super::input::{Input, Progress};
use super::lines::Lines;
use super::objects::Objects;
use super::rows::Rows;
use super::{Batch, Entry, Format, Quotes, ReadError};

/// How much of a line that is no record is kept beside the reason.
const KEPT_BYTES: usize = 4096;

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
    source: Source,
    mapping: Option<BoundMapping>,
    /// Ordinals among equals count over the whole file, so that the file read again has the same ids.
    ids: ContentIds,
    /// What ended the file before its end; told after the records before it.
    failure: Option<ReadError>,
}

enum Source {
    Rows(Rows<Box<dyn Read + Send>>),
    Objects(Objects<Box<dyn Read + Send>>),
    #[cfg(feature = "parquet")]
    Parquet(super::parquet::ParquetRows),
}

impl Reader {
    /// Opens a file (`-` is standard input), reads its header and fits the mapping to it.
    pub fn open(path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        if settings.format.or_else(|| Format::from_name(path)) == Some(Format::Parquet) {
            return Self::open_parquet(path, settings, progress);
        }
        let input = Input::open(path, progress)?;
        Self::new(input, path, settings, progress)
    }

    /// Reads `bytes` as if they were the file of that name.
    pub fn from_bytes(
        path: &Path,
        bytes: impl Read + Send + 'static,
        settings: &ReadSettings,
        progress: &Progress,
    ) -> Result<Self, ReadError> {
        let input = Input::new(path.display().to_string(), path, Box::new(bytes), progress)?;
        Self::new(input, path, settings, progress)
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
            let next = match &mut self.source {
                Source::Rows(rows) => match &self.mapping {
                    Some(mapping) => rows.next(mapping),
                    None => Ok(None), // An empty file has no header to fit a mapping to.
                },
                Source::Objects(objects) => objects.next(self.mapping.as_ref()),
                #[cfg(feature = "parquet")]
                Source::Parquet(rows) => rows.next(self.mapping.as_ref()),
            };
            match next {
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
                    let failure = ReadError::Broken { name: self.name.clone(), line: self.n_taken(), source };
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

    fn n_taken(&self) -> u64 {
        match &self.source {
            Source::Rows(rows) => rows.n_taken(),
            Source::Objects(objects) => objects.n_taken(),
            #[cfg(feature = "parquet")]
            Source::Parquet(rows) => rows.n_taken(),
        }
    }

    fn new(input: Input, path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
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
                let source = Source::Objects(Objects::new(lines, settings.mapping.kind));
                Ok(Self { name, source, mapping, ids: ContentIds::default(), failure: None })
            }
            Format::Csv | Format::Tsv => {
                let delimiter = delimiter(&name, format, &settings.mapping)?;
                let quotes = settings.quotes.unwrap_or_else(|| format.quotes(delimiter));
                let (rows, header) =
                    Rows::new(lines, delimiter, quotes, settings.columns.as_deref()).map_err(broken)?;
                let mapping = if header.is_empty() { None } else { Some(bind(&name, &settings.mapping, &header)?) };
                Ok(Self { name, source: Source::Rows(rows), mapping, ids: ContentIds::default(), failure: None })
            }
        }
    }

    #[cfg(feature = "parquet")]
    fn open_parquet(path: &Path, settings: &ReadSettings, progress: &Progress) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let (rows, header) = super::parquet::ParquetRows::open(path, progress)?;
        let mapping = Some(bind(&name, &settings.mapping, &header)?);
        Ok(Self { name, source: Source::Parquet(rows), mapping, ids: ContentIds::default(), failure: None })
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

/// A line that is no record, with its number and its beginning. Its name is that of the whole line, wherever it stands.
pub(super) fn unreadable(line: u64, kind: RecordKind, why: &str, bytes: &[u8]) -> Entry {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT_BYTES)]);
    Entry::Unreadable(Refusal {
        id: RefusalId::of(kind, bytes),
        kind,
        rejection: Rejection::new(Reason::Malformed, format!("line {line}: {why}")),
        raw: serde_json::json!({ "line": line, "text": text }).to_string().into(),
    })
}

/// A record that a rule of the mapping refuses.
pub(super) fn refused(line: u64, kind: RecordKind, rejection: Rejection, raw: Box<str>) -> Entry {
    let rejection = Rejection::new(rejection.reason, format!("line {line}: {}", rejection.detail));
    Entry::Unreadable(Refusal::of(kind, rejection, raw.into()))
}
