//! Records as the elements of a JSON array, or as values over several lines: what REST interfaces and `jq` write.
//!
//! The elements are found by their brackets and quotes before they are parsed, so that one that is no record costs only
//! itself, and the array is never in memory as a whole.

use std::io::{self, Read};

use super::entry::{Batch, MAX_LINE_BYTES, unreadable};
use super::lines::Lines;
use super::objects::Parser;
use super::source::Source;

/// Names under which REST interfaces wrap an array of records.
const WRAPPERS: [&str; 14] = [
    "products",
    "orders",
    "customers",
    "events",
    "items",
    "data",
    "results",
    "records",
    "variants",
    "users",
    "value",
    "entries",
    "Items",
    "Feedback",
];

/// What such interfaces say of the page of records before the array.
const OF_THE_PAGE: [&str; 14] = [
    "count",
    "cursor",
    "has_more",
    "hasmore",
    "limit",
    "next",
    "object",
    "offset",
    "page",
    "page_size",
    "per_page",
    "previous",
    "status",
    "total",
];

/// Bytes before the first record, if this is the start of an array or of values over several lines; `None` if each line
/// is an object. A file whose name says so (`is_by_line`) has an object on each line unless it is an array, so that a
/// damaged line costs only itself.
pub(super) fn records_begin(start: &[u8], is_by_line: bool) -> Option<usize> {
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    let skipped = start.len() - text.len();
    let blank = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let first = blank(text);
    match text.get(first)? {
        b'[' => return Some(skipped + first + 1),
        b'{' if !is_by_line => {}
        _ => return None,
    }
    let object = &text[first..];
    if let Some(inside) = wrapped_array(object) {
        return Some(skipped + first + inside);
    }
    // An object that goes on after its first line.
    let line_end = object.iter().position(|byte| *byte == b'\n')?;
    let (mut depth, mut scan) = (0, Scan::default());
    object[..line_end].iter().for_each(|byte| depth = scan.step(*byte, depth));
    let next = object[line_end..].trim_ascii_start();
    (depth > 0 && !next.starts_with(b"{")).then_some(skipped + first)
}

/// Bytes up to the first element of `{"products": [{…`, if the object begins so and is not one of many.
fn wrapped_array(object: &[u8]) -> Option<usize> {
    let mut rest = object.strip_prefix(b"{")?;
    let (name, rest) = loop {
        let (name, value) = member(rest)?;
        match value.strip_prefix(b"[") {
            Some(inside) if WRAPPERS.contains(&name) => break (name, inside),
            _ if OF_THE_PAGE.contains(&&*name.to_ascii_lowercase()) => rest = behind_single(value)?,
            _ => return None,
        }
    };
    if !rest.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    // Objects of which each has a list of this name stand on lines of their own. `items` is what events have.
    let first_line = object.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (mut depth, mut scan) = (0, Scan::default());
    first_line.iter().for_each(|byte| depth = scan.step(*byte, depth));
    let is_one_of_many =
        depth == 0 && (name == "items" || object[first_line.len()..].trim_ascii_start().starts_with(b"{"));
    (!is_one_of_many).then_some(object.len() - rest.len())
}

/// The name of the member that begins here, and what is behind its colon.
fn member(object: &[u8]) -> Option<(&str, &[u8])> {
    let rest = object.trim_ascii_start().strip_prefix(b"\"")?;
    let name_end = rest.iter().position(|byte| *byte == b'"')?;
    let value = rest[name_end + 1..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    Some((std::str::from_utf8(&rest[..name_end]).ok()?, value))
}

/// What is behind a value that is no list and no object, and the comma after it.
fn behind_single(value: &[u8]) -> Option<&[u8]> {
    let mut scan = Scan::default();
    for (place, byte) in value.iter().enumerate() {
        let was_quoted = scan.is_quoted;
        if scan.step(*byte, 0) != 0 {
            return None;
        }
        if !was_quoted && *byte == b',' {
            return Some(&value[place + 1..]);
        }
    }
    None
}

/// Where a scan over JSON stands.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    is_quoted: bool,
    is_escaped: bool,
}

impl Scan {
    /// The depth of brackets after this byte.
    fn step(&mut self, byte: u8, depth: i64) -> i64 {
        if self.is_quoted {
            (self.is_quoted, self.is_escaped) = match byte {
                _ if self.is_escaped => (true, false),
                b'\\' => (true, true),
                byte => (byte != b'"', false),
            };
            return depth;
        }
        match byte {
            b'"' => {
                self.is_quoted = true;
                depth
            }
            b'{' | b'[' => depth + 1,
            b'}' | b']' => depth - 1,
            _ => depth,
        }
    }
}

/// Values of a file, one after the other.
pub(super) struct Values<R> {
    lines: Lines<R>,
    parser: Parser,
    is_at_end: bool,
}

impl<R: Read> Values<R> {
    /// Values from what is not taken of `lines`.
    pub fn new(lines: Lines<R>, parser: Parser) -> Self {
        Self { lines, parser, is_at_end: false }
    }

    /// Passes over what stands between values; `false` at the end of the array or file.
    fn find_begin(&mut self) -> io::Result<bool> {
        loop {
            match self.lines.start(1)?.first() {
                None | Some(b']') => return Ok(false),
                Some(b',') => self.lines.pass(1),
                Some(byte) if byte.is_ascii_whitespace() => self.lines.pass(1),
                Some(_) => return Ok(true),
            }
        }
    }

    /// The length of the value that begins here, and whether it is whole.
    fn find_end(&mut self) -> io::Result<(usize, bool)> {
        let (mut len, mut depth, mut scan) = (0, 0, Scan::default());
        loop {
            if self.lines.start(len + 1)?.len() <= len {
                return Ok((len, depth == 0 && !scan.is_quoted));
            }
            let ahead = self.lines.buffered();
            while let Some(byte) = ahead.get(len) {
                let was_quoted = scan.is_quoted;
                let is_bare_end = depth == 0 && !was_quoted && len > 0 && matches!(byte, b',' | b']' | b'}' | b'\n');
                if is_bare_end {
                    return Ok((len, true));
                }
                depth = scan.step(*byte, depth);
                len += 1;
                if depth == 0 && !was_quoted && matches!(byte, b'}' | b']') {
                    return Ok((len, true));
                }
                if len > MAX_LINE_BYTES {
                    return Ok((len, false));
                }
            }
        }
    }
}

impl<R: Read + Send> Source for Values<R> {
    fn n_read(&self) -> u64 {
        self.lines.n_taken()
    }

    fn take_notes(&mut self) -> Vec<String> {
        self.parser.take_notes()
    }

    fn next(&mut self, batch: &mut Batch) -> io::Result<bool> {
        if self.is_at_end || !self.find_begin()? {
            return Ok(false);
        }
        let number = self.lines.number();
        let (len, is_whole) = self.find_end()?;
        if is_whole {
            self.parser.records(self.lines.peek(len), number, batch);
        } else {
            // Nothing tells where the next value begins.
            let why = "a JSON value that does not end, or is longer than 16 MiB; the rest of the file was not read";
            batch.push(number, unreadable(number, self.parser.kind(), why, self.lines.peek(len.min(200))));
            self.is_at_end = true;
        }
        self.lines.pass(len);
        Ok(true)
    }
}
