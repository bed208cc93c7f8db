//! The lines of a file with their numbers. The file is decompressed if its first bytes say that it is compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Longest accepted line.
const MAX_LINE_BYTES: usize = 64 << 20;
/// Characters of an invalid text that a message shows.
const SHOWN: usize = 40;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file ends early or is damaged.
    #[error("{}: after line {line}: {source}; the file is damaged or cut off", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The number of the last line that was read, from 1; 0 if none was.
        line: usize,
        /// The system's error.
        source: io::Error,
    },
    /// A line does not have the form that the protocol expects.
    #[error("{}: line {line}: {found}; expected {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The fault of the line.
        found: LineFault,
        /// The expected form.
        expected: &'static str,
    },
    /// A row of a table lacks what the protocol needs.
    #[error("{}: row {row}: {found}; expected {expected}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The number of the row among those that were taken, from 1.
        row: usize,
        /// The fault of the row.
        found: LineFault,
        /// The expected form.
        expected: &'static str,
    },
    /// The file contains no lines.
    #[error("{}: the file is empty; expected {expected}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The expected form.
        expected: &'static str,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LineFault {
    /// The line is too long.
    #[error("a line of more than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// The line is not UTF-8.
    #[error("bytes that are not UTF-8 text")]
    NotUtf8,
    /// A word cannot be an id.
    #[error("`{0}` is not an id")]
    NotAnId(String),
    /// A word is not a finite number.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// A word is not a whole number of at least 0.
    #[error("`{0}` is not a whole number")]
    NotAWholeNumber(String),
    /// A word is not a time.
    #[error("`{0}` is not a time")]
    NotATime(String),
    /// The line has another number of words.
    #[error("{0} words")]
    Words(usize),
    /// The line has another number of words than the lines before it.
    #[error("{found} words, but other lines have {others}")]
    OtherWords {
        /// Words of this line.
        found: usize,
        /// Words of the other lines.
        others: usize,
    },
    /// The line has too few columns.
    #[error("{0} columns")]
    Columns(usize),
    /// A row lacks a value.
    #[error("no `{0}`")]
    NoValue(&'static str),
    /// The header lacks a column.
    #[error("a header without `{0}`")]
    NoColumn(&'static str),
    /// The header lacks a column that another file has.
    #[error("a header without `{0}`, which the training file has")]
    NoNamedColumn(String),
    /// A propensity that is not above 0 and at most 1.
    #[error("a propensity of {0}")]
    Propensity(f64),
    /// A click that is neither 0 nor 1.
    #[error("a click of {0}")]
    Click(u32),
    /// A label that is neither 1 nor 0 nor −1.
    #[error("a label of `{0}`")]
    Label(String),
    /// A feature without a name.
    #[error("`{0}` is not a feature")]
    Feature(String),
    /// A query without a tab.
    #[error("no tab")]
    NoTab,
    /// A session with a tab.
    #[error("a tab, as in a file of queries")]
    Tab,
    /// A query without negative items.
    #[error("no negative items")]
    NoNegatives,
    /// A user with a second, different line.
    #[error("user `{user}` already has line {first}")]
    SecondLine {
        /// The beginning of the user's name.
        user: String,
        /// The number of the user's first line.
        first: usize,
    },
}

/// Calls `take(line number, line)` for each line that is not blank.
pub(super) fn for_each_line(
    path: &Path,
    expected: &'static str,
    mut take: impl FnMut(usize, &str) -> Result<(), LineFault>,
) -> Result<(), ReadError> {
    let mut input = open(path).map_err(|source| ReadError::Open { path: path.into(), source })?;
    let (mut line, mut number, mut any) = (Vec::new(), 0, false);
    loop {
        line.clear();
        let limited = (&mut input).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line);
        let n = limited.map_err(|source| ReadError::Broken { path: path.into(), line: number, source })?;
        if n == 0 {
            return if any { Ok(()) } else { Err(ReadError::Empty { path: path.into(), expected }) };
        }
        number += 1;
        let wrong = |found| ReadError::Line { path: path.into(), line: number, found, expected };
        if n == MAX_LINE_BYTES {
            return Err(wrong(LineFault::TooLong));
        }
        let text = std::str::from_utf8(&line).map_err(|_| wrong(LineFault::NotUtf8))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
        if !text.is_empty() {
            any = true;
            take(number, text).map_err(wrong)?;
        }
    }
}

/// The content of a file, decompressed if its first bytes say that it is compressed.
///
/// # Errors
/// The system's, or one that says what is wrong with the file.
pub fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name a file in it"));
    }
    let mut plain = BufReader::with_capacity(1 << 17, file);
    let is_zstd = plain.fill_buf()?.starts_with(&ZSTD);
    if is_zstd {
        return Ok(Box::new(BufReader::with_capacity(1 << 17, zstd::stream::read::Decoder::with_buffer(plain)?)));
    }
    if path.extension().is_some_and(|ending| ending == "zst") {
        let what = "the name ends in .zst, but the content is not compressed that way";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(Box::new(plain))
}

/// The text itself, if it can be an id.
pub(super) fn id(word: &str) -> Result<&str, LineFault> {
    let is_id = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte) || byte >= 0x80);
    if is_id && !word.is_empty() { Ok(word) } else { Err(LineFault::NotAnId(shown(word))) }
}

/// The finite number in a text.
pub(super) fn number(word: &str) -> Result<f32, LineFault> {
    let number = word.parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| LineFault::NotANumber(shown(word)))
}

/// The beginning of a text, for a message.
pub(super) fn shown(word: &str) -> String {
    match word.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_string(),
    }
}
