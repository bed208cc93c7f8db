//! Texts of a source as records: read as JSON, mapped, with ids that the place gives.

use accrue_event::{BoundMapping, Mapping, RawValue, RefusalId, lacks_id, placed_id};

use super::{RemoteError, RemoteSettings};
use crate::entry::{Batch, Entry};
use crate::objects::Parser;
use crate::reader::without_time;

/// Where a record stands in its source.
pub(super) struct Place<'a> {
    /// Its place, in the same words whenever it is read: `17/0`.
    pub key: &'a str,
    /// The same for people: `id = 17`.
    pub shown: &'a str,
    /// Its number, for summaries.
    pub number: u64,
}

/// Makes records of texts.
pub(super) struct Records {
    name: String,
    parser: Parser,
    needs_time: bool,
}

impl Records {
    pub fn new(settings: &RemoteSettings) -> Result<Self, RemoteError> {
        let RemoteSettings { name, mapping, needs_time, is_patch, .. } = settings;
        let is_plain = *mapping == (Mapping { kind: mapping.kind, ..Mapping::default() });
        let bound: Result<BoundMapping, _> = mapping.bind_objects();
        let bound = bound.map_err(|source| RemoteError::Mapping { name: name.clone(), source })?;
        let parser = Parser::new(bound, is_plain).for_patches(*is_patch);
        Ok(Self { name: name.clone(), parser, needs_time: *needs_time })
    }

    /// Which names were recognised since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        self.parser.take_notes()
    }

    /// Appends the records of a text.
    pub fn add(&mut self, text: &[u8], place: &Place<'_>, batch: &mut Batch) {
        let before = batch.entries.len();
        self.parser.records(text, place.number, batch);
        for (number, entry) in batch.entries[before..].iter_mut().enumerate() {
            if self.needs_time
                && let Entry::Event(event, _) | Entry::Undone(event, _) = entry
                && event.at.is_missing()
            {
                *entry = without_time(event, place.number);
            }
            match entry {
                Entry::Event(event, _) | Entry::Undone(event, _) if lacks_id(event) => {
                    event.id = RawValue::text(placed_id(&self.name, place.key, number).as_str());
                }
                Entry::Unreadable(refusal) => {
                    // Two equal records that cannot be read are two records, and one that is read again is one.
                    let named = format!("{} {} {number}", self.name, place.key);
                    refusal.id = RefusalId::of(refusal.kind, named.as_bytes());
                    let detail = &*refusal.rejection.detail;
                    let detail = detail.strip_prefix(&format!("line {}: ", place.number)).unwrap_or(detail);
                    refusal.rejection.detail = format!("{}, {}: {detail}", self.name, place.shown).into();
                }
                _ => {}
            }
        }
    }
}
