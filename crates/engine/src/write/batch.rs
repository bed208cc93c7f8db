//! What goes into the writer and what comes out of it, as plain values.

use accrue_event::{EventId, Namespace, RawEvent, RecordKind, Refusal, Timestamp};
use serde::Serialize;

/// An event, item or user as it comes in.
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

/// Who sent a batch of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// The shop itself: its backend or its files.
    #[default]
    Shop,
    /// Somebody with a key that stands in a page. The key's name makes the namespace of the ids.
    Published(Namespace),
}

impl Sender {
    /// Moves the id of an event into the sender's namespace.
    pub(crate) fn claim(&self, raw: &mut RawEvent) {
        if let Self::Published(namespace) = self {
            namespace.claim(raw);
        }
    }

    /// An id in the sender's namespace.
    pub(crate) fn id(&self, id: EventId) -> EventId {
        match self {
            Self::Shop => id,
            Self::Published(namespace) => namespace.id(&id),
        }
    }
}

/// What became of a batch. `received` = accepted + repaired + duplicates + quarantined.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ingested {
    /// Taken in as sent.
    pub accepted: u64,
    /// Taken in after repairs.
    pub repaired: u64,
    /// Known already: by id, or refused once before.
    pub duplicates: u64,
    /// Refused, with reasons, in the order of the batch: put into quarantine, or, of a published key that sends many such
    /// records, counted.
    pub quarantined: Vec<Refused>,
    /// Refused as before: counted among the duplicates, since the quarantine has them already.
    #[serde(skip)]
    pub refused_again: Vec<Refused>,
    /// The log's end after this batch: its records lie below.
    pub offset: u64,
}

/// A refused record of a batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Place in the batch, from 0.
    pub index: usize,
    /// Stable reason code.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
}

/// A quarantined record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuarantinedRecord {
    /// Its place in the log: its name in `release` and `drop`.
    pub offset: u64,
    /// When it arrived (RFC 3339).
    pub received_at: Timestamp,
    /// What it was sent as: `events`, `items` or `users`.
    pub kind: RecordKind,
    /// Stable reason code.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
    /// The record as it was sent (JSON).
    pub raw: String,
}
