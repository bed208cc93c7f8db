//! The input and the results of the writer, as plain values.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use accrue_event::{
    DAY_MS, EventId, MisspeltField, Namespace, RawEvent, RawItem, RawPatch, RawUser, RawValue, RecordKind, Refusal,
    Repair, Timestamp,
};
use accrue_store::CheckedEvent;
use serde::Serialize;

/// An incoming event, item or user.
#[derive(Clone, Debug)]
pub enum Incoming<R> {
    /// To be checked.
    Record(R),
    /// Refused before the check: it could not be read, or a rule of the mapping refuses it. It goes into quarantine.
    Refused(Refusal),
}

impl<R> From<R> for Incoming<R> {
    fn from(raw: R) -> Self {
        Self::Record(raw)
    }
}

/// A record of a source that has records of several kinds, in the order of the source.
#[derive(Clone, Debug)]
pub enum Change {
    /// An event.
    Event(RawEvent),
    /// An item, as it is from here on.
    Item(RawItem),
    /// Some fields of an item.
    Patch(RawPatch),
    /// A user, as they are described from here on.
    User(RawUser),
    /// The item of this id is no longer sold.
    ItemRemoved(RawValue),
    /// The user of this id is no longer described.
    UserRemoved(RawValue),
    /// It could not be read, or a rule of the mapping refuses it.
    Refused(Refusal),
}

/// The sender of a batch of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// The shop's own programs. Their ids may not be those of published keys' events.
    Shop,
    /// Who runs the server: files of this machine, a key with every right. What was exported may come in again, with
    /// the ids of published keys' events.
    #[default]
    Operator,
    /// A client with a key that is published in a page.
    Published {
        /// The namespace of the ids, which the key's name makes.
        namespace: Namespace,
        /// The client's address, as far as it is known.
        address: Option<IpAddr>,
    },
}

impl Sender {
    /// Whether the events came with a published key.
    pub fn is_published(&self) -> bool {
        matches!(self, Self::Published { .. })
    }

    /// Moves the id of an event into the sender's namespace.
    pub(crate) fn claim(&self, raw: &mut RawEvent) {
        if let Self::Published { namespace, .. } = self {
            namespace.claim(raw);
        }
    }

    /// An id in the sender's namespace.
    pub(crate) fn id(&self, id: EventId) -> EventId {
        match self {
            Self::Shop | Self::Operator => id,
            Self::Published { namespace, .. } => namespace.id(&id),
        }
    }
}

/// The outcome of a batch. `received` = accepted + repaired + duplicates + quarantined.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ingested {
    /// Accepted as sent.
    pub accepted: u64,
    /// Accepted after repairs.
    pub repaired: u64,
    /// The repaired records by the code of each repair; a record may have several.
    pub repairs: BTreeMap<Box<str>, u64>,
    /// Already known by id, or refused before.
    pub duplicates: u64,
    /// Refused, with reasons, in the order of the batch: put into quarantine, or, of a published key that sends many
    /// such records, counted.
    pub quarantined: Vec<Refused>,
    /// Refused as before: counted among the duplicates, since the quarantine has them already.
    #[serde(skip)]
    pub refused_again: Vec<Refused>,
    /// Of a whole catalogue: items that were retired because it lacks them; `None` of any other batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<u64>,
    /// Names that were kept as attributes or properties and are near those of fields, by name.
    pub misspelt: Vec<MisspeltField>,
    /// Attributes and properties that were left out, because their values are objects, with the number of records.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<Box<str>, u64>,
    /// An event that is much newer than all before it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leap: Option<TimeLeap>,
    /// The log's end after this batch: its records are before it.
    pub offset: u64,
}

impl Ingested {
    /// Counts a record that was taken, with the codes of its repairs.
    pub fn take<'c>(&mut self, repairs: impl IntoIterator<Item = &'c str>) {
        let mut is_repaired = false;
        for code in repairs {
            is_repaired = true;
            match self.repairs.get_mut(code) {
                Some(n) => *n += 1,
                None => drop(self.repairs.insert(code.into(), 1)),
            }
        }
        *(if is_repaired { &mut self.repaired } else { &mut self.accepted }) += 1;
    }

    /// Counts what was lost of a record that changes nothing besides: an attribute beyond the limit is told each time.
    pub fn note_lost(&mut self, repairs: &[Repair]) {
        let lost = repairs.iter().filter(|repair| **repair == Repair::PropertyDropped).count() as u64;
        if lost > 0 {
            *self.repairs.entry(Repair::PropertyDropped.code().into()).or_default() += lost;
        }
    }

    /// Adds the repairs and the misspelt names of another batch.
    pub fn add_notes(&mut self, repairs: BTreeMap<Box<str>, u64>, misspelt: Vec<MisspeltField>) {
        for (code, n) in repairs {
            *self.repairs.entry(code).or_default() += n;
        }
        for found in misspelt {
            let known = self.misspelt.iter().position(|known| known.name == found.name && known.near == found.near);
            match known {
                Some(place) => self.misspelt[place].records += found.records,
                None if self.misspelt.len() < MAX_MISSPELT => self.misspelt.push(found),
                None => {}
            }
        }
    }
}

/// How much newer than all events before it an event is that leaps.
const LEAP_MS: i64 = 30 * DAY_MS;

/// An event that is more than 30 days newer than all events before it. What is popular and in season is counted back from
/// the newest event, so what happened before counts as long ago from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeLeap {
    /// The time of the newest event before it.
    pub from: Timestamp,
    /// Its own time.
    pub to: Timestamp,
    /// Whether it had no time, so that it is that of its arrival.
    pub is_filled: bool,
}

impl TimeLeap {
    /// The leap from the newest of earlier events to this one, if it is one. The first event of a shop leaps from nowhere.
    pub(crate) fn between(newest: Timestamp, event: &CheckedEvent) -> Option<Self> {
        let (from, to) = (newest, event.event.at);
        let is_filled = event.repairs.iter().any(|code| **code == *Repair::AtFilled.code());
        (from != Timestamp::default() && to.0.saturating_sub(from.0) > LEAP_MS).then_some(Self { from, to, is_filled })
    }
}

impl fmt::Display for TimeLeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.to.0.saturating_sub(self.from.0) / DAY_MS;
        write!(
            f,
            "an event of {} is {days} days newer than all before it ({}): what is popular is counted back from the newest \
             event, so all of that counts as long ago now",
            self.to, self.from
        )?;
        if self.is_filled {
            write!(f, "; it came without a time (`at`), send one that fits the others")?;
        }
        Ok(())
    }
}

impl Ingested {
    /// Adds the names that another batch left out, and its leap.
    pub fn add_warnings(&mut self, dropped: BTreeMap<Box<str>, u64>, leap: Option<TimeLeap>) {
        for (name, n) in dropped {
            if self.dropped.len() < MAX_MISSPELT || self.dropped.contains_key(&name) {
                *self.dropped.entry(name).or_default() += n;
            }
        }
        self.leap = self.leap.or(leap);
    }
}

/// Misspelt names that are kept of several batches.
const MAX_MISSPELT: usize = 32;

/// A refused record of a batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Place in the batch, from 0.
    pub index: usize,
    /// Stable reason code.
    pub reason: String,
    /// The exact fault.
    pub detail: String,
}

/// A quarantined record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuarantinedRecord {
    /// Its offset, by which it is released or dropped.
    pub offset: u64,
    /// When it arrived (RFC 3339).
    pub received_at: Timestamp,
    /// The kind of record that it was sent as: `events`, `items` or `users`.
    pub kind: RecordKind,
    /// Stable reason code.
    pub reason: String,
    /// The exact fault.
    pub detail: String,
    /// The record as it was sent (JSON).
    pub raw: String,
}
