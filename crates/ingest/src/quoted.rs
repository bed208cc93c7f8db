//! Cells of a row between delimiters, with or without quotes (RFC 4180).
//!
//! Quotes are read strictly: a cell that begins with `"` ends with `"` before a delimiter or the line's end. A row that
//! does otherwise is told as broken, so that a stray quote costs its own line and not all the lines up to the next quote.

/// Where a scan over quoted cells stands; it can go on with the bytes that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scan {
    /// At the begin of a cell.
    #[default]
    Begin,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote between quotes: the end, or half of `""`.
    Quote,
    /// Something other than a delimiter follows the closing quote.
    Broken,
}

impl Scan {
    /// Goes on over `bytes`.
    pub fn over(mut self, bytes: &[u8], delimiter: u8) -> Self {
        for &byte in bytes {
            self = match self {
                Self::Begin | Self::Plain if byte == delimiter => Self::Begin,
                Self::Begin if byte == b'"' => Self::Quoted,
                Self::Begin | Self::Plain => Self::Plain,
                Self::Quoted if byte == b'"' => Self::Quote,
                Self::Quoted => Self::Quoted,
                Self::Quote if byte == b'"' => Self::Quoted,
                Self::Quote if byte == delimiter => Self::Begin,
                Self::Quote | Self::Broken => return Self::Broken,
            };
        }
        self
    }

    /// Whether the row goes on on the next line.
    pub fn is_open(self) -> bool {
        self == Self::Quoted
    }
}

/// Cells of one row; keep it for the next.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The cells without their quotes, one after the other; used only where there are quotes.
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    /// Splits a whole row of quoted cells.
    pub fn split_quoted<'a>(&'a mut self, row: &str, delimiter: u8) -> impl Iterator<Item = &'a str> {
        self.text.clear();
        self.ends.clear();
        let mut rest = row;
        loop {
            let cell_end = match rest.strip_prefix('"') {
                Some(quoted) => 1 + self.unquote(quoted),
                None => {
                    let end = rest.bytes().position(|byte| byte == delimiter).unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    end
                }
            };
            self.ends.push(self.text.len());
            if cell_end >= rest.len() {
                break;
            }
            rest = &rest[cell_end + 1..];
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }

    /// Appends a cell up to its closing quote; how many bytes it took, with that quote.
    fn unquote(&mut self, quoted: &str) -> usize {
        let mut from = 0;
        while let Some(place) = quoted[from..].find('"') {
            let quote = from + place;
            if !quoted[quote + 1..].starts_with('"') {
                self.text.push_str(&quoted[from..quote]);
                return quote + 1;
            }
            self.text.push_str(&quoted[from..=quote]);
            from = quote + 2;
        }
        self.text.push_str(&quoted[from..]);
        quoted.len()
    }
}
