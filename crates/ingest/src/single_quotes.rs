//! Tables whose cells are in single quotes, recognised from their first lines.

use super::dialect::Dialect;
use super::format::Quotes;
use super::quoted::Scan;

/// Lines that are looked at.
const MAX_LINES: usize = 20;

/// Whether all cells of a table are in single quotes, but for those that are empty: the names of the columns and the rows.
pub(super) fn has_single_quotes<'l>(lines: impl Iterator<Item = &'l [u8]>, plain: Dialect) -> bool {
    let quoted = Dialect { quotes: Quotes::On, quote: b'\'', ..plain };
    // The last line of what is seen may be cut.
    let lines: Vec<&[u8]> = lines.filter(|line| !line.trim_ascii().is_empty()).take(MAX_LINES).collect();
    // Numbers may stand without quotes.
    let is_begin = |byte: u8| byte == plain.delimiter || byte.is_ascii_digit() || matches!(byte, b'\'' | b' ' | b'-');
    let is_quoted = |line: &&[u8]| {
        let mut scan = Scan::default();
        let is_fault = |place: usize| {
            let was_begin = scan == Scan::Begin;
            scan = scan.over(&line[place..=place], quoted);
            scan == Scan::Broken || (was_begin && !is_begin(line[place]))
        };
        !(0..line.len()).any(is_fault) && !scan.is_open()
    };
    let is_named = lines.first().is_some_and(|header| header.starts_with(b"'") && header.ends_with(b"'"));
    lines.len() > 1 && is_named && lines.iter().take((lines.len() - 1).max(2)).all(is_quoted)
}
