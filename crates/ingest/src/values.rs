//! Records as the elements of a JSON array, or as values over several lines: what REST interfaces and `jq` write.
//!
//! The elements are found by their brackets and quotes before they are parsed, so that one that is no record costs only
//! itself, and the array is never in memory as a whole.

use std::io::{self, Read};
use std::sync::Arc;

use accrue_event::{Family, Sales, UnknownStates, is_answer};

use super::entry::{Batch, MAX_LINE_BYTES};
use super::lines::{LOOK_AHEAD_BYTES, Lines};
use super::objects::Parser;
use super::source::Source;

/// Where the records of a text begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    /// Bytes before the first record.
    pub n_before: usize,
    /// How many brackets are open there.
    pub n_open: usize,
}

/// Objects in one another that are looked into for the array of an answer.
const MAX_DEPTH: usize = 3;

/// Where the first record begins, if this is the start of an array, of an answer with one, or of values over several
/// lines; `None` if each line is an object. A file whose name says so (`is_by_line`) has an object on each line unless
/// it is an array, so that a damaged line costs only itself. `is_named` says which fields of a record the mapping leads
/// into.
pub(super) fn records_begin(start: &[u8], is_by_line: bool, is_named: &dyn Fn(&str) -> bool) -> Option<Begin> {
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    let skipped = start.len() - text.len();
    let blank = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let first = skipped + blank(text);
    match start.get(first)? {
        b'[' => return Some(Begin { n_before: first + 1, n_open: 1 }),
        // Streams that write objects into files put nothing between them: `{…}{…}`.
        b'{' if is_followed_at_once(&start[first..]) => return Some(Begin { n_before: first, n_open: 0 }),
        b'{' if !is_by_line => {}
        _ => return None,
    }
    let object = &start[first..];
    if let Some((inside, n_open)) = array_of_answer(object, is_named, 0)
        && !is_one_of_many(object)
    {
        return Some(Begin { n_before: first + inside, n_open });
    }
    // An object that goes on after its first line.
    let line_end = object.iter().position(|byte| *byte == b'\n')?;
    let (mut depth, mut scan) = (0, Scan::default());
    object[..line_end].iter().for_each(|byte| depth = scan.step(*byte, depth));
    let next = object[line_end..].trim_ascii_start();
    (depth > 0 && !next.starts_with(b"{")).then_some(Begin { n_before: first, n_open: 0 })
}

/// Whether another object stands behind the first one on its line.
fn is_followed_at_once(object: &[u8]) -> bool {
    let rest = value_len(object).and_then(|len| object.get(len..)).unwrap_or_default();
    let n_blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b',')).count();
    rest.get(n_blank) == Some(&b'{')
}

/// Whether the object is whole on its line and another one follows: then each line is read for itself.
fn is_one_of_many(object: &[u8]) -> bool {
    let first_line = object.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (mut depth, mut scan) = (0, Scan::default());
    first_line.iter().for_each(|byte| depth = scan.step(*byte, depth));
    depth == 0 && object[first_line.len()..].trim_ascii_start().starts_with(b"{")
}

/// Bytes up to the first record of `{"total": 7, "products": [{…`, and how many brackets are open there, if the object
/// is an answer of an interface as far as it can be seen.
fn array_of_answer(object: &[u8], is_named: &dyn Fn(&str) -> bool, depth: usize) -> Option<(usize, usize)> {
    let mut place = 1;
    let mut beside: Vec<&str> = Vec::new();
    let mut found: Option<(&str, usize, usize)> = None;
    let skip_blank = |place: usize| {
        let rest = object.get(place..).unwrap_or_default();
        place + rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',').count()
    };
    loop {
        place = skip_blank(place);
        if object.get(place) != Some(&b'"') {
            break;
        }
        let name_len = value_len(&object[place..])?;
        let name = std::str::from_utf8(&object[place + 1..place + name_len - 1]).ok()?;
        place = skip_blank(place + name_len);
        if object.get(place) != Some(&b':') {
            break;
        }
        place = skip_blank(place + 1);
        let value = object.get(place..).unwrap_or_default();
        if is_named(name) && !repeats_inside(name, value) {
            return None;
        }
        let inside = match value {
            [b'[', elements @ ..] if elements.trim_ascii_start().starts_with(b"{") => Some((1, 2)),
            [b'{', ..] if depth < MAX_DEPTH => {
                array_of_answer(value, is_named, depth + 1).map(|(n, open)| (n, open + 1))
            }
            [b'[' | b'{', ..] => None,
            _ => {
                beside.push(name);
                None
            }
        };
        if let (Some((inside, n_open)), None) = (inside, found) {
            found = Some((name, place + inside, n_open));
        }
        // What is behind the end of the buffer is not seen.
        let Some(len) = value_len(value) else { break };
        place += len;
    }
    let (name, inside, n_open) = found?;
    // What is in an inner object was judged there.
    let is_answer = n_open > 2 && is_answer("data", beside.iter().copied());
    (is_answer || is_answer_with(name, &beside)).then_some((inside, n_open))
}

/// Whether the first element of an array has an array of the same name, as the orders of Magento have their lines:
/// `{"items": [{"items": […]}]}`. A path of the mapping leads into the inner one.
fn repeats_inside(name: &str, array: &[u8]) -> bool {
    let Some(elements) = array.strip_prefix(b"[").map(<[u8]>::trim_ascii_start) else { return false };
    let first = &elements[..value_len(elements).unwrap_or(elements.len())];
    let quoted = format!("\"{name}\"");
    let places = first.windows(quoted.len()).enumerate().filter(|(_, window)| *window == quoted.as_bytes());
    places
        .map(|(place, _)| first[place + quoted.len()..].trim_ascii_start())
        .any(|rest| rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"[")))
}

fn is_answer_with(name: &str, beside: &[&str]) -> bool {
    is_answer(name, beside.iter().copied())
}

/// The length of the JSON value at the beginning, if it ends.
fn value_len(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut scan) = (0, Scan::default());
    for (place, byte) in bytes.iter().enumerate() {
        let was_quoted = scan.is_quoted;
        if depth == 0
            && !was_quoted
            && place > 0
            && matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\r' | b'\t')
        {
            return Some(place);
        }
        depth = scan.step(*byte, depth);
        if depth == 0 && place > 0 && !scan.is_quoted && (was_quoted || matches!(byte, b'}' | b']')) {
            return Some(place + 1);
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
    /// Brackets that are open around the records.
    n_open: usize,
    is_at_end: bool,
}

impl<R: Read> Values<R> {
    /// Values from what is not taken of `lines`, at this depth of open brackets.
    pub fn new(lines: Lines<R>, parser: Parser, n_open: usize) -> Self {
        Self { lines, parser, n_open, is_at_end: false }
    }

    /// Passes over what stands between values; `false` at the end of the array or file.
    fn find_begin(&mut self) -> io::Result<bool> {
        loop {
            match self.lines.start(1)?.first() {
                None => return Ok(false),
                Some(b']' | b'}') if self.n_open > 0 => self.leave_answer()?,
                Some(b']') => return Ok(false),
                Some(b',') => self.lines.pass(1),
                Some(byte) if byte.is_ascii_whitespace() => self.lines.pass(1),
                Some(_) => return Ok(true),
            }
        }
    }

    /// Passes over the end of an array and of the answer around it. A file may hold several answers, a page each.
    fn leave_answer(&mut self) -> io::Result<()> {
        let (mut depth, mut scan) = (i64::try_from(self.n_open).unwrap_or(i64::MAX), Scan::default());
        while depth > 0 {
            let Some(byte) = self.lines.start(1)?.first().copied() else { break };
            depth = scan.step(byte, depth);
            self.lines.pass(1);
        }
        self.n_open = 0;
        while self.lines.start(1)?.first().is_some_and(u8::is_ascii_whitespace) {
            self.lines.pass(1);
        }
        let parser = &self.parser;
        let ahead = self.lines.start(LOOK_AHEAD_BYTES)?;
        if let Some(begin) = records_begin(ahead, false, &|name| parser.leads_into(name)) {
            self.lines.pass(begin.n_before);
            self.n_open = begin.n_open;
        }
        Ok(())
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

    fn sales(&self) -> Sales {
        self.parser.sales()
    }

    fn unknown_states(&self) -> Vec<UnknownStates> {
        self.parser.unknown_states()
    }

    fn set_family(&mut self, family: Arc<Family>) {
        self.parser.set_family(family);
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
            self.is_at_end = true;
            let why = format!(
                "line {number}: a JSON value that does not end, or is longer than 16 MiB; the rest of the file was not read"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.lines.pass(len);
        Ok(true)
    }
}
