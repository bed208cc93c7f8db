//! How a table is written, and what can be recognised of it from its first bytes: line ends, delimiter, lines before the header.

use super::format::Quotes;

/// How the rows of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// What separates cells.
    pub delimiter: u8,
    /// Whether quotes enclose cells.
    pub quotes: Quotes,
    /// The sign of quotes: `"`, or `'` where all cells are in those.
    pub quote: u8,
    /// Whether blanks before a quote are no part of its cell.
    pub skips_blanks: bool,
    /// What makes the next character part of the cell.
    pub escape: Option<u8>,
    /// What lines begin with that are no rows.
    pub comment: Option<u8>,
}

/// Most lines that can stand before a header.
const MAX_PREAMBLE: usize = 20;

/// How many lines stand before the header: titles and dates of a report, which have no delimiter or are filled up with them to
/// the width of the sheet, and lines that begin with `#`.
pub(super) fn lines_before_header<'l>(lines: impl Iterator<Item = &'l [u8]>, given: Option<u8>) -> usize {
    let lines: Vec<&[u8]> = lines.take(MAX_PREAMBLE + 1).collect();
    let n_padded = padded_lines_before_header(&lines, given);
    if n_padded > 0 { n_padded } else { plain_lines_before_header(&lines, given) }
}

/// The lines before the header of a sheet: blank ones, and titles in one or two cells of a row whose other cells are empty, above
/// a row with many more cells, none of which is a number.
fn padded_lines_before_header(lines: &[&[u8]], given: Option<u8>) -> usize {
    let is_delimiter = |byte: &u8| match given {
        Some(given) => *byte == given,
        None => DELIMITERS.iter().any(|(known, _)| known == byte),
    };
    let Some(delimiter) = lines.iter().find_map(|line| line.last().copied().filter(is_delimiter)) else { return 0 };
    let cells = |line: &[u8]| -> Vec<String> {
        let cells = line.split(|byte| *byte == delimiter).map(|cell| String::from_utf8_lossy(cell).trim().to_owned());
        cells.filter(|cell| !cell.is_empty()).collect()
    };
    let is_title = |line: &[u8]| {
        let n = cells(line).len();
        n == 0 || (n <= 2 && line.last() == Some(&delimiter)) || (n == 1 && !line.contains(&delimiter))
    };
    let n_before = lines.iter().take_while(|line| named_delimiter(line).is_none() && is_title(line)).count();
    let Some(header) = lines.get(n_before) else { return 0 };
    let names = cells(header);
    let n_title = lines[..n_before].iter().map(|line| cells(line).len()).max().unwrap_or(0);
    let is_much_wider = if n_title <= 1 { names.len() > n_title } else { names.len() >= 3 * n_title };
    let has_names = names.iter().all(|name| name.parse::<f64>().is_err());
    if n_title > 0 && is_much_wider && has_names { n_before } else { 0 }
}

fn plain_lines_before_header(lines: &[&[u8]], given: Option<u8>) -> usize {
    let delimiters = DELIMITERS.iter().map(|(byte, _)| *byte).filter(|byte| given.is_none_or(|given| *byte == given));
    let delimiters: Vec<u8> = delimiters.chain(given).collect();
    let count = |line: &[u8]| line.iter().filter(|byte| delimiters.contains(byte)).count();
    // `#id,title` is a header; `# Required | …` is none.
    let is_remark = |line: &[u8]| line.starts_with(b"# ");
    let is_preamble = |line: &[u8]| line.trim_ascii().is_empty() || line.starts_with(b"#") || count(line) == 0;
    let n_before = lines.iter().take_while(|line| named_delimiter(line).is_none() && is_preamble(line)).count();
    let has_title = lines[..n_before].iter().any(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
    // A line that begins with `#` may be the header, whose first column has that name. It is one if it has as many cells as the line
    // below it, which a sign of another kind, or one in quotes, does not divide.
    let is_narrower = |line: &[u8], header: &[u8]| {
        let in_both = |delimiter: &u8| (n_outside_quotes(header, *delimiter), n_outside_quotes(line, *delimiter));
        let widest = delimiters.iter().copied().max_by_key(in_both);
        widest.is_some_and(|delimiter| n_outside_quotes(line, delimiter) < n_outside_quotes(header, delimiter))
    };
    match lines.get(n_before) {
        // A table of one column has no delimiters at all, and one of comments alone has no header.
        Some(header)
            if count(header) > usize::from(has_title)
                && lines[..n_before].iter().all(|line| is_remark(line) || is_narrower(line, header)) =>
        {
            n_before
        }
        _ => 0,
    }
}

/// How often a delimiter stands in a line outside quotes.
fn n_outside_quotes(line: &[u8], delimiter: u8) -> usize {
    let mut is_quoted = false;
    let divides = |byte: &&u8| {
        is_quoted ^= **byte == b'"';
        **byte == delimiter && !is_quoted
    };
    line.iter().filter(divides).count()
}

/// Delimiters that are recognised, the more usual ones first, with the word that messages use.
const DELIMITERS: [(u8, &str); 8] = [
    (b',', "commas"),
    (b';', "semicolons"),
    (b'\t', "tabs"),
    (b'|', "vertical bars"),
    (b'~', "tildes"),
    (b'^', "carets"),
    // Hive and Redshift write these.
    (0x01, "the character \\x01 between cells"),
    (0x1F, "the character \\x1F between cells"),
];

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
    fn titles_and_comments_before_a_header_are_no_rows() {
        let check = |text: &str, n: usize| {
            let lines: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'\n').collect();
            assert_eq!(lines_before_header(lines.into_iter(), None), n, "{text:?}");
        };
        check("# ---\n# Products\n\nid,title\n1,Mug\n", 3);
        check("Product report\n\nid;title;price\n1;Mug;9,99\n", 2);
        check("id,title\n1,Mug\n", 0);
        check("#id,title\n1,Mug\n", 0);
        check("#;SKU;Name;Preis\n1;A;Tasse;9,99\n", 0);
        check("#id,title\n1,\"Mug, blue\"\n", 0);
        check("#,sku,name,category\n1,A,Mug,Home|Kitchen\n", 0);
        check("#id\ttitle\n1\tMug, blue\n", 0);
        check("#id,title\n1,Mug; blue\n", 0);
        check("#exported 2026, all shops\nid;title;price\n1;Mug;9,99\n", 1);
        check("#exported 2026, all shops\nid,title,price\n1,Mug,9\n", 1);
        check("# Required | id,# Required | title\nid,title\n1,Mug\n", 1);
        check("id\nA\nB,C\n", 0);
        check("\nid,title\n1,Mug\n", 1);
        check("sep=;\nid;title\n", 0);
        check("", 0);
        // A spreadsheet fills every row up to the width of the sheet.
        check("Stock of 29.11.2026;;;\n;;;\nid;title;price;stock\n1;Mug;9,99;3\n", 2);
        check("Stock of;29.11.2026;;;;;\nid;title;price;stock;brand;colour;size\n1;Mug;9;3;A;;\n", 1);
        check("Price list;\nid;title\n1;Mug\n", 1);
        check("id;;\n1;Mug;9\n", 0);
        check("id;title;;\n1;Mug;red;small\n", 0);
        check("id,title,\n1,Mug,\n", 0);
        check("id,title,\nA,Mug,red\n", 0);
    }

    #[test]
    fn the_delimiter_is_the_one_that_the_header_has_most() {
        assert_eq!(delimiter_of(b"id;title;price, EUR", b','), b';');
        assert_eq!(delimiter_of(b"id,\"a;b;c;d\",price", b','), b',');
        assert_eq!(delimiter_of(b"id|title|price", b','), b'|');
        assert_eq!(delimiter_of(b"id~title~price, EUR", b','), b'~');
        assert_eq!(delimiter_of(b"id^title^price", b','), b'^');
        assert_eq!(delimiter_of(b"id\x01title\x01price", b','), 1);
        assert_eq!(delimiter_of(b"id", b','), b',');
        assert_eq!(delimiter_of(b"id,title", b'\t'), b',');
        assert_eq!(named_delimiter(b"sep=;"), Some(b';'));
        assert_eq!(named_delimiter(b"sep=none"), None);
    }
}
