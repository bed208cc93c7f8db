//! The input and the results of the writer, as plain values.

use accrue_event::{EventId, Namespace, RawEvent, RecordKind, Refusal, Timestamp};
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

/// The sender of a batch of events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// The shop's own programs. Their ids may not be those of published keys' events.
    Shop,
    /// Who runs the server: files of this machine, a key with every right. What was exported may come in again, with
    /// the ids of published keys' events.
    #[default]
    Operator,
    /// A client with a key that is published in a page. The key's name makes the namespace of the ids.
    Published(Namespace),
}

impl Sender {
    /// Whether the events came with a published key.
    pub fn is_published(&self) -> bool {
        matches!(self, Self::Published(_))
    }

    /// Moves the id of an event into the sender's namespace.
    pub(crate) fn claim(&self, raw: &mut RawEvent) {
        if let Self::Published(namespace) = self {
            namespace.claim(raw);
        }
    }

    /// An id in the sender's namespace.
    pub(crate) fn id(&self, id: EventId) -> EventId {
        match self {
            Self::Shop | Self::Operator => id,
            Self::Published(namespace) => namespace.id(&id),
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
    /// Already known by id, or refused before.
    pub duplicates: u64,
    /// Refused, with reasons, in the order of the batch: put into quarantine, or, of a published key that sends many
    /// such records, counted.
    pub quarantined: Vec<Refused>,
    /// Refused as before: counted among the duplicates, since the quarantine has them already.
    #[serde(skip)]
    pub refused_again: Vec<Refused>,
    /// The log's end after this batch: its records are before it.
    pub offset: u64,
}

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
