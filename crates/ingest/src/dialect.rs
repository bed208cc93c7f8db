//! What can be recognised of a table from its first bytes: line ends and delimiter.

use super::format::Quotes;

/// Delimiters that are recognised, the more usual ones first, with the word that messages use.
const DELIMITERS: [(u8, &str); 4] = [(b',', "commas"), (b';', "semicolons"), (b'\t', "tabs"), (b'|', "vertical bars")];

/// Whether lines end with CR alone, as in Excel's "CSV (Macintosh)": the first line end outside quotes is one.
pub(super) fn ends_lines_with_cr(start: &[u8], quotes: Quotes) -> bool {
    let mut is_quoted = false;
    for (place, byte) in start.iter().enumerate() {
        match byte {
            b'"' if quotes == Quotes::On => is_quoted = !is_quoted,
            b'\n' if !is_quoted => return false,
            b'\r' if !is_quoted => {
                let after = &start[place..];
                let n_returns = after.iter().take_while(|byte| **byte == b'\r').count();
                return after.get(n_returns).is_none_or(|byte| *byte != b'\n');
            }
            _ => {}
        }
    }
    false
}

/// The delimiter that a first line `sep=;` names, as Excel writes and reads it.
pub(super) fn named_delimiter(line: &[u8]) -> Option<u8> {
    match line
        .strip_prefix(b"sep=")
        .or_else(|| line.strip_prefix(b"\"sep="))
        .map(|rest| rest.strip_suffix(b"\"").unwrap_or(rest))
    {
        Some([delimiter]) if delimiter.is_ascii() => Some(*delimiter),
        _ => None,
    }
}

/// The delimiter that a header has most often outside quotes; the usual one of the format if it has none.
pub(super) fn delimiter_of(header: &[u8], usual: u8) -> u8 {
    let count = |delimiter: u8| {
        let mut is_quoted = false;
        let mut n = 0;
        for byte in header {
            match *byte {
                b'"' if usual != b'\t' => is_quoted = !is_quoted,
                byte if byte == delimiter && !is_quoted => n += 1,
                _ => {}
            }
        }
        n
    };
    let mut best = (count(usual), usual);
    for (delimiter, _) in DELIMITERS {
        let n = count(delimiter);
        if n > best.0 {
            best = (n, delimiter);
        }
    }
    best.1
}

/// The word for a delimiter in messages.
pub(super) fn delimiter_name(delimiter: u8) -> String {
    let known = DELIMITERS.iter().find(|(byte, _)| *byte == delimiter);
    known.map_or_else(|| format!("`{}` between cells", char::from(delimiter)), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_carriage_return_ends_lines_only_outside_quotes() {
        assert!(ends_lines_with_cr(b"a,b\r1,2\r", Quotes::On));
        assert!(ends_lines_with_cr(b"a,\"b\nc\"\r1,2\r", Quotes::On));
        assert!(!ends_lines_with_cr(b"a,b\r\n1,2\r\n", Quotes::On));
        assert!(!ends_lines_with_cr(b"a,b\r\r\n1,2", Quotes::On));
        assert!(!ends_lines_with_cr(b"a,\"b\rc\"\n1,2", Quotes::On));
        assert!(!ends_lines_with_cr(b"a,b\n1,2\r3", Quotes::On));
    }

    #[test]
    fn the_delimiter_is_the_one_that_the_header_has_most() {
        assert_eq!(delimiter_of(b"id;title;price, EUR", b','), b';');
        assert_eq!(delimiter_of(b"id,\"a;b;c;d\",price", b','), b',');
        assert_eq!(delimiter_of(b"id|title|price", b','), b'|');
        assert_eq!(delimiter_of(b"id", b','), b',');
        assert_eq!(delimiter_of(b"id,title", b'\t'), b',');
        assert_eq!(named_delimiter(b"sep=;"), Some(b';'));
        assert_eq!(named_delimiter(b"sep=none"), None);
    }
}
