//! Records as JSON objects, one a line.

use std::io::{self, Read};

use accrue_event::{BoundMapping, Mismatch, RawEvent, RawItem, RawPatch, RawUser, RecordKind, Tree};
use serde::de::DeserializeOwned;

use super::entry::{Batch, Entry, unreadable};
use super::lines::{Found, Lines};
use super::source::Source;

/// Makes records of JSON texts.
pub(super) struct Parser {
    kind: RecordKind,
    /// Without one, the names of fields are ours already.
    mapping: Option<BoundMapping>,
    is_patch: bool,
}

impl Parser {
    pub fn new(kind: RecordKind, mapping: Option<BoundMapping>) -> Self {
        Self { kind, mapping, is_patch: false }
    }

    /// Has the objects read as changes of items, so that `null` is told from what is left out.
    pub fn for_patches(self, is_patch: bool) -> Self {
        Self { is_patch, ..self }
    }

    /// The kind of record that the objects describe.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// The records of an object; a text that is none becomes one that says why.
    pub fn records(&self, text: &[u8], number: u64, batch: &mut Batch) {
        let entry = match (&self.mapping, self.kind) {
            (Some(mapping), _) => match read::<RawEvent>(text) {
                Ok(object) => {
                    batch.push_mapped(number, self.kind, mapping.apply_object(object));
                    return;
                }
                Err(why) => Err(why),
            },
            (None, RecordKind::Events) => read::<RawEvent>(text).map(|event| Entry::Event(event, None)),
            (None, RecordKind::Items) if self.is_patch => read::<RawPatch>(text).map(Entry::Patch),
            (None, RecordKind::Items) => read::<RawItem>(text).map(Entry::Item),
            (None, RecordKind::Users) => read::<RawUser>(text).map(Entry::User),
        };
        batch.push(number, entry.unwrap_or_else(|why| unreadable(number, self.kind, &why.to_string(), text)));
    }
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
