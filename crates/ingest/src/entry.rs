//! Records as they are read, and what becomes of lines that are none.

use accrue_event::{
    Cell as _, Mapped, RawEvent, RawItem, RawPatch, RawUser, RawValue, Reason, RecordKind, Refusal, RefusalId,
    Rejection, Undo,
};

/// Longest line that is read; a longer one is refused, since no check would let it in.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Bytes that are kept, beside the reason, of a line that is not a record.
const KEPT_BYTES: usize = 4096;

/// One record of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An event, and what the line tells of its item.
    Event(RawEvent, Option<Box<RawItem>>),
    /// An event that the source has taken back, as it was before: its [`taken_back`] is a return, if the log has it.
    Undone(RawEvent, Undo),
    /// A product.
    Item(RawItem),
    /// A change of some fields of a product.
    Patch(RawPatch),
    /// A customer.
    User(RawUser),
    /// The product of this id is no longer sold.
    ItemRemoved(RawValue),
    /// The description of the customer of this id is to be removed.
    UserRemoved(RawValue),
    /// A line that is no record, or that a rule of the mapping refuses: it goes into quarantine as it is.
    Unreadable(Refusal),
}

/// The return that takes an event back. It has an id of its own, always the same one.
pub fn taken_back(event: RawEvent) -> RawEvent {
    let id = RawValue::text(format!("{}-return", event.id.text()));
    RawEvent { id, event_type: RawValue::text("return"), ..event }
}

/// Records in the order of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The records.
    pub entries: Vec<Entry>,
    /// The line (or row of a Parquet file) that each stands on, from 1.
    pub lines: Vec<u64>,
    /// Records of the file before these.
    pub n_before: u64,
    /// Lines that the mapping leaves out, up to here since the batch before.
    pub n_skipped: u64,
    /// Those among them that have no item where the mapping looks for it.
    pub n_without_item: u64,
}

impl Batch {
    /// Capacity, in records.
    pub fn with_capacity(n: usize) -> Self {
        Self { entries: Vec::with_capacity(n), lines: Vec::with_capacity(n), ..Self::default() }
    }

    /// Appends a record of this line.
    pub fn push(&mut self, line: u64, entry: Entry) {
        self.entries.push(entry);
        self.lines.push(line);
    }

    /// Appends what a mapping made of a row or object.
    pub(crate) fn push_mapped(&mut self, line: u64, kind: RecordKind, mapped: Mapped) {
        let entry = match mapped {
            Mapped::Event { event, undo: Some(undo), .. } => Entry::Undone(event, undo),
            Mapped::Event { event, item, undo: None } => Entry::Event(event, item),
            Mapped::Item(item) => Entry::Item(item),
            Mapped::User(user) => Entry::User(user),
            Mapped::ItemRemoved(id) => Entry::ItemRemoved(id),
            Mapped::UserRemoved(id) => Entry::UserRemoved(id),
            Mapped::Skipped | Mapped::WithoutItem => {
                self.n_skipped += 1;
                self.n_without_item += u64::from(mapped == Mapped::WithoutItem);
                return;
            }
            Mapped::Quarantined { rejection, raw } => refused(line, kind, rejection, raw),
        };
        self.push(line, entry);
    }
}

/// A line that is no record, with its number and its beginning. Its name is that of the whole line, wherever it stands.
pub(crate) fn unreadable(line: u64, kind: RecordKind, why: &str, bytes: &[u8]) -> Entry {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT_BYTES)]);
    Entry::Unreadable(Refusal {
        id: RefusalId::of(kind, bytes),
        kind,
        rejection: Rejection::new(Reason::Malformed, format!("line {line}: {why}")),
        raw: serde_json::json!({ "line": line, "text": text }).to_string().into(),
    })
}

/// A record that a rule of the mapping refuses.
fn refused(line: u64, kind: RecordKind, rejection: Rejection, raw: Box<str>) -> Entry {
    let rejection = Rejection::new(rejection.reason, format!("line {line}: {}", rejection.detail));
    Entry::Unreadable(Refusal::of(kind, rejection, raw.into()))
}
