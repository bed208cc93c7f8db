//! Records as JSON objects, one a line.

use std::io::{self, Read};
use std::sync::Arc;

use accrue_event::{
    BoundMapping, Family, Mismatch, Object, RawEvent, RawPatch, RawValue, RecordKind, Sales, Tree, UnknownStates,
};
use serde::de::DeserializeOwned;

use super::entry::{Batch, Entry, unreadable};
use super::lines::{Found, Lines};
use super::source::Source;

/// Makes records of JSON texts.
pub(super) struct Parser {
    mapping: BoundMapping,
    /// Whether the mapping says nothing, so that a record that has its fields under our names can be read without it.
    is_plain: bool,
    is_patch: bool,
}

impl Parser {
    pub fn new(mapping: BoundMapping, is_plain: bool) -> Self {
        Self { mapping, is_plain, is_patch: false }
    }

    /// Has the objects read as changes of items, so that `null` is told from what is left out.
    pub fn for_patches(self, is_patch: bool) -> Self {
        Self { is_patch, ..self }
    }

    /// The kind of record that the objects describe.
    pub fn kind(&self) -> RecordKind {
        self.mapping.kind()
    }

    /// The records of an object; a text that is none becomes one that says why.
    pub fn records(&mut self, text: &[u8], number: u64, batch: &mut Batch) {
        let kind = self.kind();
        match kind {
            RecordKind::Events if self.is_plain => {
                if let Ok(event) = serde_json::from_slice::<RawEvent>(text)
                    && is_ours(&event)
                {
                    return batch.push(number, Entry::Event(event, None));
                }
            }
            RecordKind::Items if self.is_plain && self.is_patch => {
                if let Ok(patch) = serde_json::from_slice::<RawPatch>(text)
                    && !patch.item.id.is_missing()
                {
                    return batch.push(number, Entry::Patch(patch));
                }
            }
            _ => {}
        }
        match read::<Object>(text) {
            Ok(object) => {
                let records = object.into_records(|name| self.mapping.leads_into(name));
                for record in records {
                    let mapped = self.mapping.apply_object(record);
                    mapped.into_iter().for_each(|mapped| batch.push_mapped(number, kind, mapped));
                }
            }
            Err(why) => batch.push(number, unreadable(number, kind, &why.to_string(), text)),
        }
    }

    /// Whether the mapping leads into a field of objects.
    pub fn leads_into(&self, name: &str) -> bool {
        self.mapping.leads_into(name)
    }

    /// What became of the prices of sales.
    pub fn sales(&self) -> Sales {
        self.mapping.sales()
    }

    /// The states of orders that are not known.
    pub fn unknown_states(&self) -> Vec<UnknownStates> {
        self.mapping.unknown_states()
    }

    /// Has records completed by what others of the file say of them.
    pub fn set_family(&mut self, family: Arc<Family>) {
        self.mapping.set_family(family);
    }

    /// Which names were recognised since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        self.mapping.take_notes()
    }
}

/// Whether an event has what every event needs under our names. It is written for us, and its other fields are too. What is an
/// object, such as the `{"$oid": …}` of MongoDB, is looked into with the mapping.
fn is_ours(event: &RawEvent) -> bool {
    let is_given = |value: &RawValue| !value.is_missing() && !matches!(value, RawValue::Other(_));
    is_given(&event.event_type)
        && (is_given(&event.user) || is_given(&event.session))
        && (is_given(&event.item) || is_given(&event.query))
        && is_given(&event.at)
}

/// Objects of a file.
pub(super) struct Objects<R> {
    lines: Lines<R>,
    parser: Parser,
}

impl<R: Read> Objects<R> {
    pub fn new(lines: Lines<R>, parser: Parser) -> Self {
        Self { lines, parser }
    }
}

impl<R: Read + Send> Source for Objects<R> {
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
        let number = self.lines.number();
        let len = match self.lines.find(0)? {
            Found::Nothing => return Ok(false),
            Found::Line(len) => len,
            Found::TooLong(_) => {
                batch.push(number, unreadable(number, self.parser.kind(), "longer than 16 MiB", self.lines.peek(200)));
                self.lines.skip_line()?;
                return Ok(true);
            }
        };
        let mut line = self.lines.peek(len).trim_ascii();
        if number == 1 {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        // Lines may be the elements of an array without its brackets.
        if let Some(rest) = line.strip_suffix(b",").map(<[u8]>::trim_ascii_end).filter(|rest| rest.ends_with(b"}")) {
            line = rest;
        }
        if !line.is_empty() {
            self.parser.records(line, number, batch);
        }
        self.lines.take(len, 1);
        Ok(true)
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

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(text).map_err(|error| {
        if std::str::from_utf8(text).is_err() {
            return Unreadable::NotUtf8;
        }
        // Read again as plain values, because those errors are data.
        let mismatch = match serde_json::from_slice::<Tree>(text) {
            Ok(tree) => tree.read::<T>().err(),
            Err(syntax) if syntax.is_eof() => return Unreadable::Incomplete,
            Err(_) => None,
        };
        mismatch.map_or(Unreadable::Syntax { column: error.column() }, Unreadable::Mismatch)
    })
}
