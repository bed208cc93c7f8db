//! Cells of a row between delimiters, with or without quotes (RFC 4180).
//!
//! Quotes (`"`, or another sign that the dialect says) are read strictly: a cell that begins with one ends with one before a delimiter or the line's end. A row that
//! does otherwise is told as broken, so that a stray quote costs its own line and not all the lines up to the next quote.

use super::dialect::Dialect;
use super::format::Quotes;

/// Where a scan over quoted cells stands; it can go on with the bytes that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scan {
    /// At the begin of a cell.
    #[default]
    Begin,
    /// In a cell without quotes.
    Plain,
    /// In a cell without quotes, behind the escape character.
    PlainEscape,
    /// Between quotes.
    Quoted,
    /// Between quotes, behind the escape character.
    QuotedEscape,
    /// After a quote between quotes: the end, or half of `""`.
    Quote,
    /// Something other than a delimiter follows the closing quote.
    Broken,
}

impl Scan {
    /// Goes on over `bytes`.
    pub fn over(mut self, bytes: &[u8], dialect: Dialect) -> Self {
        let (delimiter, quote, has_quotes) = (dialect.delimiter, dialect.quote, dialect.quotes == Quotes::On);
        for &byte in bytes {
            let is_escape = dialect.escape == Some(byte);
            self = match self {
                Self::Begin | Self::Plain if is_escape => Self::PlainEscape,
                Self::Begin | Self::Plain if byte == delimiter => Self::Begin,
                Self::Begin if byte == quote && has_quotes => Self::Quoted,
                Self::Begin if byte == b' ' && dialect.skips_blanks => Self::Begin,
                Self::Begin | Self::Plain | Self::PlainEscape => Self::Plain,
                Self::Quoted if is_escape => Self::QuotedEscape,
                Self::Quoted if byte == quote => Self::Quote,
                Self::Quoted | Self::QuotedEscape => Self::Quoted,
                Self::Quote if byte == quote => Self::Quoted,
                Self::Quote if byte == delimiter => Self::Begin,
                Self::Quote | Self::Broken => return Self::Broken,
            };
        }
        self
    }

    /// Whether the row goes on on the next line.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Quoted | Self::QuotedEscape | Self::PlainEscape)
    }
}

/// Cells of one row; keep it for the next.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The cells without quotes and escapes, one after the other.
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    /// Splits a whole row that has quotes or escapes.
    pub fn split<'a>(&'a mut self, row: &str, dialect: Dialect) -> impl Iterator<Item = &'a str> {
        self.text.clear();
        self.ends.clear();
        let mut rest = row;
        let quote = char::from(dialect.quote);
        loop {
            let unpadded = rest.trim_start_matches(' ');
            let n_blanks =
                if dialect.skips_blanks && unpadded.starts_with(quote) { rest.len() - unpadded.len() } else { 0 };
            let quoted = rest[n_blanks..].strip_prefix(quote).filter(|_| dialect.quotes == Quotes::On);
            let cell_end = match quoted {
                Some(quoted) => n_blanks + 1 + self.unquote(quoted, dialect),
                None => self.unescape(rest, dialect),
            };
            self.ends.push(self.text.len());
            // A row that a scan calls broken has no delimiter here; what follows is no cell.
            match rest.get(cell_end + 1..) {
                Some(after) if cell_end < rest.len() => rest = after,
                _ => break,
            }
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }

    /// Appends a cell up to its delimiter; how many bytes it took.
    fn unescape(&mut self, rest: &str, dialect: Dialect) -> usize {
        let is_end = |byte: u8| byte == dialect.delimiter || dialect.escape == Some(byte);
        let mut from = 0;
        loop {
            let end = rest.as_bytes()[from..].iter().position(|byte| is_end(*byte)).map_or(rest.len(), |n| from + n);
            self.text.push_str(&rest[from..end]);
            if end == rest.len() || rest.as_bytes()[end] == dialect.delimiter {
                break end;
            }
            // `\N` alone is how MySQL writes that there is no value.
            let is_null = from == 0 && end == 0 && rest[1..].starts_with('N');
            let after = rest.as_bytes().get(2);
            if is_null && after.is_none_or(|byte| *byte == dialect.delimiter) {
                break 2.min(rest.len());
            }
            from = end + 1 + self.push_escaped(&rest[end + 1..]);
        }
    }

    /// Appends a cell up to its closing quote; how many bytes it took, with that quote.
    fn unquote(&mut self, quoted: &str, dialect: Dialect) -> usize {
        let quote = dialect.quote;
        let is_end = |byte: u8| byte == quote || dialect.escape == Some(byte);
        let mut from = 0;
        while let Some(n) = quoted.as_bytes()[from..].iter().position(|byte| is_end(*byte)) {
            let found = from + n;
            self.text.push_str(&quoted[from..found]);
            if quoted.as_bytes()[found] != quote {
                from = found + 1 + self.push_escaped(&quoted[found + 1..]);
            } else if quoted.as_bytes().get(found + 1) == Some(&quote) {
                self.text.push(char::from(quote));
                from = found + 2;
            } else {
                return found + 1;
            }
        }
        self.text.push_str(&quoted[from..]);
        quoted.len()
    }

    /// Appends the character behind an escape; how many bytes it has.
    fn push_escaped(&mut self, rest: &str) -> usize {
        let Some(escaped) = rest.chars().next() else { return 0 };
        self.text.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            other => other,
        });
        escaped.len_utf8()
    }
}
