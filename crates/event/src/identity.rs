//! Ids and hashes derived from the content of records: an id for an event without one, a hash that tells a repeated
//! event from a different event with the same id, and the ids of refused records of one batch (`refusal_id.rs` has the id).
//!
//! The content is rendered to bytes in one fixed way and hashed with XXH3 (128 bits), whose result is the same on every
//! machine. XXH3 is not a cryptographic hash: it does not prevent deliberate collisions. A shop that has to fear them
//! sends its own ids.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use xxhash_rust::xxh3::xxh3_128;

use crate::check::{clean_id, is_placeholder};
use crate::raw::RawEvent;
use crate::{Attribute, Event, EventId, Price, RawValue, RefusalId, Timestamp};

/// Assigns ids to the events of one batch or file. Records with equal content are numbered, so that genuine repetitions
/// get different ids, and the same batch sent again gets the same ids.
///
/// The id of an event without a time depends on its other fields only. Where it is taken in, its arrival is added
/// ([`arrival_id`]): the same event sent later, also without a time, is another event.
#[derive(Debug, Default)]
pub struct ContentIds {
    /// How often each content occurred. It is only looked up, never iterated, so its order has no effect.
    seen: HashMap<u128, u32>,
    buffer: Vec<u8>,
}

impl ContentIds {
    /// The id of the next event of the batch, computed after mapping and before the check.
    pub fn id_for(&mut self, raw: &RawEvent) -> EventId {
        self.buffer.clear();
        render(raw, &mut self.buffer);
        let content = xxh3_128(&self.buffer);
        match self.seen.entry(content) {
            Entry::Vacant(first) => {
                first.insert(0);
                encode(content)
            }
            Entry::Occupied(mut again) => {
                *again.get_mut() += 1;
                self.buffer.extend(again.get().to_le_bytes());
                encode(xxh3_128(&self.buffer))
            }
        }
    }

    /// The id of a refused record in the batch: the first with its content keeps `id`, each further one gets its own.
    pub fn repeated(&mut self, id: RefusalId) -> RefusalId {
        match self.seen.entry(id.0) {
            Entry::Vacant(first) => {
                first.insert(0);
                id
            }
            Entry::Occupied(mut again) => {
                *again.get_mut() += 1;
                self.buffer.clear();
                self.buffer.extend(id.0.to_le_bytes());
                self.buffer.extend(again.get().to_le_bytes());
                RefusalId(xxh3_128(&self.buffer))
            }
        }
    }

    /// Sets the id of an event that has none; a placeholder such as `undefined` is none.
    pub fn assign(&mut self, raw: &mut RawEvent) {
        if lacks_id(raw) {
            let id = self.id_for(raw);
            raw.id = RawValue::text(id.as_str());
        }
    }
}

/// Whether an event was sent without an id, or with a placeholder such as `undefined` in its place.
pub fn lacks_id(raw: &RawEvent) -> bool {
    match &raw.id {
        // As the rules will read it: what is left of an id of control characters or blanks alone is none, however long it is.
        RawValue::Text(id) => {
            let clean = clean_id(id);
            clean.trim().is_empty() || (id.len() <= 128 && is_placeholder(clean.trim()))
        }
        id => id.is_missing(),
    }
}

/// The id of an event that was sent without an id and without a time: that of its content with its arrival and its place
/// in the log and the batch, which no other event shares.
pub fn arrival_id(content: &EventId, received_at: Timestamp, place: (u64, u64)) -> EventId {
    let mut buffer = Vec::with_capacity(64);
    push_bytes(&mut buffer, b't', content.as_str().as_bytes());
    buffer.extend(received_at.0.to_le_bytes());
    buffer.extend(place.0.to_le_bytes());
    buffer.extend(place.1.to_le_bytes());
    encode(xxh3_128(&buffer))
}

/// The id of an event that was sent without one and has a place of its own: the name of its source, the place there, and
/// its number among the events of that place. Equal events at two places are two events, and an event that is read again has
/// the same id.
pub fn placed_id(source: &str, place: &str, number: usize) -> EventId {
    let mut buffer = Vec::with_capacity(64);
    push_bytes(&mut buffer, b's', source.as_bytes());
    push_bytes(&mut buffer, b'p', place.as_bytes());
    buffer.extend((number as u64).to_le_bytes());
    encode(xxh3_128(&buffer))
}

/// The id of the first event with this content.
pub(crate) fn content_id(raw: &RawEvent) -> EventId {
    let mut buffer = Vec::with_capacity(256);
    render(raw, &mut buffer);
    encode(xxh3_128(&buffer))
}

/// A hash of all fields of an event except its id.
pub fn content_hash(event: &Event) -> u128 {
    let mut buffer = Vec::with_capacity(256);
    let texts = [
        Some(event.event_type.name()),
        event.user.as_ref().map(|id| id.as_str()),
        event.session.as_ref().map(|id| id.as_str()),
        event.item.as_ref().map(|id| id.as_str()),
        event.query.as_deref(),
        event.source.as_deref(),
        event.recommendation_id.as_deref(),
    ];
    for text in texts {
        match text {
            Some(text) => push_bytes(&mut buffer, b't', text.as_bytes()),
            None => buffer.push(b'0'),
        }
    }
    buffer.extend(event.at.0.to_le_bytes());
    buffer.extend(event.value.to_bits().to_le_bytes());
    buffer.extend(event.quantity.to_le_bytes());
    push_price(&mut buffer, event.price);
    push_option(&mut buffer, event.position);
    for (name, attribute) in &event.properties {
        push_bytes(&mut buffer, b'n', name.as_bytes());
        match attribute {
            Attribute::Bool(value) => buffer.extend([b'b', u8::from(*value)]),
            Attribute::Number(value) => push_bytes(&mut buffer, b'f', &value.to_bits().to_le_bytes()),
            Attribute::Text(text) => push_bytes(&mut buffer, b't', text.as_bytes()),
            Attribute::List(texts) => {
                push_bytes(&mut buffer, b'l', &(texts.len() as u64).to_le_bytes());
                texts.iter().for_each(|text| push_bytes(&mut buffer, b't', text.as_bytes()));
            }
        }
    }
    xxh3_128(&buffer)
}

/// Renders a raw event: each field that is present with its number, then the properties by name, each text preceded by
/// its length, so that no two contents have the same bytes.
fn render(raw: &RawEvent, buffer: &mut Vec<u8>) {
    for (idx, (name, value)) in raw.fields().enumerate() {
        if name != "id" && !value.is_missing() {
            buffer.push(idx as u8);
            render_value(value, buffer);
        }
    }
    let mut rest: Vec<_> = raw.properties.iter().filter(|(_, value)| *value != RawValue::Null).collect();
    // The sort is stable: the last of several properties with one name is valid, so their order is part of the content.
    rest.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in rest {
        push_bytes(buffer, b'n', name.as_bytes());
        render_value(value, buffer);
    }
}

fn render_value(value: &RawValue, buffer: &mut Vec<u8>) {
    match value {
        RawValue::Null => buffer.push(b'0'),
        RawValue::Bool(value) => buffer.extend([b'b', u8::from(*value)]),
        RawValue::Int(value) => push_bytes(buffer, b'i', &value.to_le_bytes()),
        // 1 and 1.0 are the same number, and JSON writers differ in which they write.
        RawValue::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => {
            push_bytes(buffer, b'i', &(*value as i64).to_le_bytes());
        }
        RawValue::Float(value) => push_bytes(buffer, b'f', &value.to_bits().to_le_bytes()),
        RawValue::Text(text) => push_bytes(buffer, b't', text.as_bytes()),
        RawValue::Other(json) => push_bytes(buffer, b'o', json.as_bytes()),
        RawValue::List(values) => {
            push_bytes(buffer, b'l', &(values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| render_value(value, buffer));
        }
    }
}

fn push_bytes(buffer: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    buffer.push(tag);
    buffer.extend((bytes.len() as u64).to_le_bytes());
    buffer.extend(bytes);
}

/// A price in single precision, as all prices were once, and what that leaves out.
fn push_price(buffer: &mut Vec<u8>, price: Option<Price>) {
    push_option(buffer, price.map(|price| price.to_f32().to_bits()));
    if let Some(long) = price.filter(|price| price.as_short().is_none()) {
        push_bytes(buffer, b'p', &long.to_f64().to_bits().to_le_bytes());
    }
}

fn push_option(buffer: &mut Vec<u8>, value: Option<u32>) {
    match value {
        Some(value) => {
            buffer.push(1);
            buffer.extend(value.to_le_bytes());
        }
        None => buffer.push(0),
    }
}

/// 26 digits of Crockford's base 32: short, without upper case, safe in URLs and file names.
fn encode(hash: u128) -> EventId {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digits: String = (0..26).rev().map(|place| char::from(DIGITS[(hash >> (5 * place)) as usize & 31])).collect();
    EventId::new(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecordKind;

    fn raw(json: &str) -> RawEvent {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_batch_sent_twice_has_the_same_ids_and_repetitions_within_it_differ() {
        let batch = [r#"{"user":"u","item":"a"}"#, r#"{"user":"u","item":"b"}"#, r#"{"user":"u","item":"a"}"#].map(raw);
        let ids = || {
            let mut ids = ContentIds::default();
            batch.iter().map(|raw| ids.id_for(raw)).collect::<Vec<_>>()
        };
        assert_eq!(ids(), ids());
        let distinct: std::collections::BTreeSet<_> = ids().into_iter().collect();
        assert_eq!(distinct.len(), 3);
        assert_eq!(content_id(&batch[0]), ids()[0]);
    }

    #[test]
    fn an_id_depends_on_the_content_and_not_on_how_it_is_written() {
        let same = [
            r#"{"user":"u","quantity":1,"a":"x","b":"y"}"#,
            r#"{"quantity":1.0,"user":"u","properties":{"b":"y","a":"x"},"item":null}"#,
            r#"{"user":"u","quantity":1,"a":"x","b":"y","session":""}"#,
        ];
        let others = [r#"{"user":"u1","a":"x","b":"y"}"#, r#"{"user":"u","quantity":1,"a":"x","by":""}"#];
        let expected = content_id(&raw(same[0]));
        same.iter().for_each(|json| assert_eq!(content_id(&raw(json)), expected, "{json}"));
        others.iter().for_each(|json| assert_ne!(content_id(&raw(json)), expected, "{json}"));
    }

    #[test]
    fn refused_records_are_identified_by_content_kind_and_ordinal() {
        let names = || {
            let mut ids = ContentIds::default();
            let sent = [
                (RecordKind::Events, "x"),
                (RecordKind::Events, "x"),
                (RecordKind::Items, "x"),
                (RecordKind::Events, "y"),
            ];
            sent.map(|(kind, text)| ids.repeated(RefusalId::of(kind, text.as_bytes())))
        };
        assert_eq!(names(), names());
        assert_eq!(std::collections::BTreeSet::from(names()).len(), 4);
        assert_eq!(names()[0], RefusalId::of(RecordKind::Events, b"x"));
        // Must never change: logs contain these ids.
        assert_eq!(names()[0].hash64(), 70_736_588_627_182_528);
    }

    #[test]
    fn an_id_is_assigned_only_where_there_is_none() {
        let mut ids = ContentIds::default();
        let mut named = raw(r#"{"id":"e1","user":"u"}"#);
        ids.assign(&mut named);
        assert_eq!(named.id, RawValue::text("e1"));
        let mut nameless = raw(r#"{"id":" ","user":"u"}"#);
        ids.assign(&mut nameless);
        // Must never change: logs contain ids that were derived by this rendering.
        assert_eq!(nameless.id, RawValue::text("4pkab8zrb570tz45f2sm0f1hmm"));
    }
}
