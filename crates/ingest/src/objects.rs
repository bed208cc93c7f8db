//! Records as JSON objects, one a line.

use std::io::{self, Read};

use accrue_event::{BoundMapping, Mismatch, RawEvent, RawItem, RawUser, RecordKind, Tree};
use serde::de::DeserializeOwned;

use super::entry::{Entry, mapped, unreadable};
use super::lines::{Found, Lines};
use super::source::Source;

/// Objects of a file.
pub(super) struct Objects<R> {
    lines: Lines<R>,
    kind: RecordKind,
    /// Without one, the names of fields are ours already.
    mapping: Option<BoundMapping>,
}

impl<R: Read> Objects<R> {
    pub fn new(lines: Lines<R>, kind: RecordKind, mapping: Option<BoundMapping>) -> Self {
        Self { lines, kind, mapping }
    }

    fn record(&self, line: &[u8], number: u64) -> Entry {
        match (&self.mapping, self.kind) {
            (Some(mapping), _) => match read::<RawEvent>(line) {
                Ok(object) => mapped(number, self.kind, mapping.apply_object(object)),
                Err(why) => unreadable(number, self.kind, &why.to_string(), line),
            },
            (None, RecordKind::Events) => read::<RawEvent>(line)
                .map_or_else(|why| unreadable(number, self.kind, &why.to_string(), line), |e| Entry::Event(e, None)),
            (None, RecordKind::Items) => read::<RawItem>(line)
                .map_or_else(|why| unreadable(number, self.kind, &why.to_string(), line), Entry::Item),
            (None, RecordKind::Users) => read::<RawUser>(line)
                .map_or_else(|why| unreadable(number, self.kind, &why.to_string(), line), Entry::User),
        }
    }
}

impl<R: Read + Send> Source for Objects<R> {
    fn n_read(&self) -> u64 {
        self.lines.n_taken()
    }

    fn next(&mut self) -> io::Result<Option<(u64, Entry)>> {
        loop {
            let number = self.lines.number();
            let len = match self.lines.find(0)? {
                Found::Nothing => return Ok(None),
                Found::Line(len) => len,
                Found::TooLong(_) => {
                    let entry = unreadable(number, self.kind, "longer than 16 MiB", self.lines.peek(200));
                    self.lines.skip_line()?;
                    return Ok(Some((number, entry)));
                }
            };
            let mut line = self.lines.peek(len).trim_ascii();
            if number == 1 {
                line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
            }
            let entry = if line.is_empty() { None } else { Some(self.record(line, number)) };
            self.lines.take(len, 1);
            if let Some(entry) = entry {
                return Ok(Some((number, entry)));
            }
        }
    }
}

/// A line that is not a JSON object of the expected kind.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not a JSON object: it ends before it is complete")]
    Incomplete,
    #[error("not a JSON object: byte {column} is not expected")]
    Syntax { column: usize },
    #[error("not a JSON object: {0}")]
    Mismatch(Mismatch),
}

fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(line).map_err(|error| {
        if std::str::from_utf8(line).is_err() {
            return Unreadable::NotUtf8;
        }
        // Read again as plain values, because those errors are data.
        let mismatch = match serde_json::from_slice::<Tree>(line) {
            Ok(tree) => tree.read::<T>().err(),
            Err(syntax) if syntax.is_eof() => return Unreadable::Incomplete,
            Err(_) => None,
        };
        mismatch.map_or(Unreadable::Syntax { column: error.column() }, Unreadable::Mismatch)
    })
}
