//! Texts in other encodings than UTF-8.
//!
//! An encoding that is named (by the mapping, or by a byte order mark) is decoded as the bytes are read. In a table
//! without one, the first text that is not ASCII decides between UTF-8, Windows-1252, which holds Latin-1, and the other
//! encodings of Latin letters (`latin.rs`). Texts that make no words in any are in an encoding that has to be named: read as
//! Windows-1252, a catalogue in Cyrillic would be taken in and never be found.

use std::borrow::Cow;
use std::io::{self, Read};

use encoding_rs::{CoderResult, Decoder, Encoding, WINDOWS_1252};

use super::latin;

const RAW_BYTES: usize = 32 << 10;

/// The encoding of this name (WHATWG's names, such as `windows-1252`, `iso-8859-15`, `shift_jis`, `cp1252`).
pub(super) fn named(name: &str) -> Option<&'static Encoding> {
    Encoding::for_label(name.trim().as_bytes())
}

/// Bytes in some encoding, read as UTF-8. What cannot be decoded becomes U+FFFD.
pub(super) struct Transcoded<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    start: usize,
    end: usize,
    text: Vec<u8>,
    n_read: usize,
    is_at_end: bool,
}

impl<R: Read> Transcoded<R> {
    pub fn new(input: R, encoding: &'static Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder(),
            raw: vec![0; RAW_BYTES],
            start: 0,
            end: 0,
            text: Vec::new(),
            n_read: 0,
            is_at_end: false,
        }
    }

    fn decode_more(&mut self) -> io::Result<bool> {
        while self.n_read == self.text.len() {
            if self.is_at_end {
                return Ok(false);
            }
            if self.start == self.end {
                (self.start, self.end) = (0, self.input.read(&mut self.raw)?);
            }
            let is_last = self.end == 0;
            self.text.resize(4 * RAW_BYTES, 0);
            let raw = &self.raw[self.start..self.end];
            let (result, n_raw, n_text, _) = self.decoder.decode_to_utf8(raw, &mut self.text, is_last);
            self.text.truncate(n_text);
            self.start += n_raw;
            self.n_read = 0;
            self.is_at_end = is_last && result == CoderResult::InputEmpty;
        }
        Ok(true)
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.decode_more()? {
            return Ok(0);
        }
        let n = buffer.len().min(self.text.len() - self.n_read);
        buffer[..n].copy_from_slice(&self.text[self.n_read..self.n_read + n]);
        self.n_read += n;
        Ok(n)
    }
}

/// The encoding of a table's texts, as far as its texts have told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Guess {
    /// Only ASCII so far.
    #[default]
    Open,
    Utf8,
    /// One of Latin letters, a byte each.
    Latin(&'static Encoding),
    /// None of these.
    Unknown,
}

/// What is to be done about a text that is in neither of the encodings that are recognised.
pub(super) const NO_KNOWN_ENCODING: &str = "the texts are neither UTF-8 nor windows-1252, and do not tell \
    their encoding; name it: `--encoding windows-1251` (Cyrillic), windows-1250 (Central Europe), windows-1253 (Greek), shift_jis or \
    gbk, or `encoding` in a mapping";

impl Guess {
    /// The text of a row. `ahead` is the row and what is known of the file behind it, for the decision.
    pub fn text<'a>(&mut self, row: &'a [u8], ahead: &[u8]) -> Option<Cow<'a, str>> {
        if *self == Self::Open && !row.is_ascii() {
            *self = Self::of(ahead);
        }
        match self {
            Self::Open | Self::Utf8 => std::str::from_utf8(row).ok().map(Cow::Borrowed),
            Self::Latin(encoding) => Some(encoding.decode_without_bom_handling(row).0),
            Self::Unknown => None,
        }
    }

    /// UTF-8 if as many characters fit it as do not. Texts of other encodings hardly ever fit by chance.
    pub fn of(bytes: &[u8]) -> Self {
        let (mut n_fitting, mut n_others) = (0_usize, 0_usize);
        for chunk in bytes.utf8_chunks() {
            n_fitting += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
            n_others += usize::from(!chunk.invalid().is_empty());
        }
        match (n_fitting, n_others) {
            (0, 0) => Self::Open,
            _ if n_fitting >= n_others => Self::Utf8,
            _ => match latin::recognised(bytes) {
                Some(encoding) => Self::Latin(encoding),
                None if makes_words_of_windows_1252(bytes) => Self::Latin(WINDOWS_1252),
                None => Self::Unknown,
            },
        }
    }
}

/// Whether the words of a text with bytes above ASCII can be words of Western Europe. In those, letters with marks stand
/// among plain ones; words of other alphabets have none but bytes above ASCII, and Polish has signs such as `³` between
/// letters.
fn makes_words_of_windows_1252(bytes: &[u8]) -> bool {
    // Dashes, quotation marks, ellipsis and the blank that does not break.
    let is_typographic = |byte: u8| matches!(byte, 0x82 | 0x84 | 0x85 | 0x91..=0x97 | 0xA0 | 0xAB | 0xBB);
    let is_in_word = |byte: u8| byte.is_ascii_alphabetic() || (byte >= 0x80 && !is_typographic(byte));
    let is_sign = |byte: u8| matches!(byte, 0xA3 | 0xA5 | 0xAF | 0xB3 | 0xB9 | 0xBE);
    let (mut n_marked, mut n_foreign) = (0_usize, 0_usize);
    for word in bytes.split(|byte| !is_in_word(*byte)).filter(|word| !word.is_ascii()) {
        n_marked += 1;
        let mut runs = word.split(u8::is_ascii);
        let has_sign_inside =
            || word.windows(3).any(|three| three[0].is_ascii_alphabetic() && is_sign(three[1]) && three[2].is_ascii());
        // Bytes that Windows-1252 leaves open.
        let has_open = || word.iter().any(|byte| matches!(byte, 0x81 | 0x8D | 0x8F | 0x90 | 0x9D));
        n_foreign += usize::from(runs.any(|run| run.len() >= 3) || has_sign_inside() || has_open());
    }
    // Icelandic has a few words with three such letters in a row.
    3 * n_foreign < n_marked.max(1)
}
