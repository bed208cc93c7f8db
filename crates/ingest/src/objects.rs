//! Records as JSON objects, one a line.

use std::io::{self, Read};

use accrue_event::{BoundMapping, Mapped, RawEvent, RawItem, RawUser, RecordKind};
use serde::Deserialize;

use super::Entry;
use super::lines::{Found, Lines};
use super::reader::{refused, unreadable};

/// Objects of a file.
pub(super) struct Objects<R> {
    lines: Lines<R>,
    kind: RecordKind,
}

impl<R: Read> Objects<R> {
    pub fn new(lines: Lines<R>, kind: RecordKind) -> Self {
        Self { lines, kind }
    }

    /// Lines taken so far.
    pub fn n_taken(&self) -> u64 {
        self.lines.n_taken()
    }

    /// The next record with its line; `None` at the end. Without a mapping the names are ours.
    pub fn next(&mut self, mapping: Option<&BoundMapping>) -> io::Result<Option<(u64, Entry)>> {
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
            let entry = if line.is_empty() { None } else { Some(self.record(line, number, mapping)) };
            self.lines.take(len, 1);
            if let Some(entry) = entry {
                return Ok(Some((number, entry)));
            }
        }
    }

    fn record(&self, line: &[u8], number: u64, mapping: Option<&BoundMapping>) -> Entry {
        match (mapping, self.kind) {
            (Some(mapping), _) => match read::<RawEvent>(line) {
                Ok(object) => mapped(number, self.kind, mapping.apply_object(object)),
                Err(why) => unreadable(number, self.kind, &why, line),
            },
            (None, RecordKind::Events) => read::<RawEvent>(line)
                .map_or_else(|why| unreadable(number, self.kind, &why, line), |e| Entry::Event(e, None)),
            (None, RecordKind::Items) => {
                read::<RawItem>(line).map_or_else(|why| unreadable(number, self.kind, &why, line), Entry::Item)
            }
            (None, RecordKind::Users) => {
                read::<RawUser>(line).map_or_else(|why| unreadable(number, self.kind, &why, line), Entry::User)
            }
        }
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| match std::str::from_utf8(line) {
        Ok(_) => format!("not a JSON object: {error}").replace("line 1 ", ""),
        Err(_) => "not UTF-8".into(),
    })
}

/// What a mapping made of a row or object.
pub(super) fn mapped(number: u64, kind: RecordKind, mapped: Mapped) -> Entry {
    match mapped {
        Mapped::Event { event, item } => Entry::Event(event, item),
        Mapped::Item(item) => Entry::Item(item),
        Mapped::User(user) => Entry::User(user),
        Mapped::Quarantined { rejection, raw } => refused(number, kind, rejection, raw),
    }
}
