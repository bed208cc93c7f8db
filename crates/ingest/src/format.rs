//! What a file is written in: told by its name, by the command line, or by its first bytes.

use std::path::Path;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// Cells between commas (or the mapping's delimiter), with quotes as in RFC 4180.
    Csv,
    /// Cells between tabs; a quote is a character like any other.
    Tsv,
    /// One JSON object a line, one array of objects, or objects over several lines.
    Ndjson,
    /// Elements of XML: a product feed (RSS, Atom) or a list of products.
    Xml,
    /// Apache Parquet (in builds with the feature `parquet`).
    Parquet,
}

/// Whether `"` encloses cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Quotes {
    /// It does: cells may hold delimiters and line ends.
    On,
    /// It is a character like any other.
    Off,
}

impl Format {
    /// The form that a name tells, after the ending of a compression. `None` if it tells nothing.
    pub fn from_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "xml" | "rss" | "atom" => Some(Self::Xml),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Whether a name says that each line is a JSON object.
    pub(crate) fn is_by_line(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        let name = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(&name);
        name.ends_with(".ndjson") || name.ends_with(".jsonl")
    }

    /// The form of a file: what the command line says, or else its name, unless the file begins as XML does; or else what the
    /// first bytes look like.
    pub(crate) fn of(given: Option<Self>, path: &Path, start: &[u8]) -> Self {
        let content = Self::from_content(start);
        given.or((content == Self::Xml).then_some(content)).or_else(|| Self::from_name(path)).unwrap_or(content)
    }

    /// The form that the first bytes look like.
    pub fn from_content(start: &[u8]) -> Self {
        if start.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
        let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        match first_line {
            [b'{' | b'[', ..] => Self::Ndjson,
            [b'<', b'?' | b'!' | b'a'..=b'z' | b'A'..=b'Z', ..] => Self::Xml,
            line if line.contains(&b'\t') => Self::Tsv,
            _ => Self::Csv,
        }
    }

    /// What separates cells where the mapping does not say it.
    pub fn delimiter(self) -> u8 {
        if self == Self::Tsv { b'\t' } else { b',' }
    }

    /// Whether quotes enclose cells if neither the mapping nor a flag says so. Not between tabs and other control characters: such files are written
    /// without quoting, and a product called `12" plate` must not swallow the lines after it.
    pub fn quotes(self, delimiter: u8) -> Quotes {
        if self == Self::Csv && !delimiter.is_ascii_control() { Quotes::On } else { Quotes::Off }
    }
}
