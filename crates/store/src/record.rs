//! What the log holds: every fact that can change a state, each with its place and the time of its arrival.

use accrue_event::{Event, Item, ItemId, ItemPatch, RecordKind, RefusalId, SessionId, Timestamp, User, UserId};
use serde::{Deserialize, Serialize};

use crate::{PublishedRecord, Served};

/// The place of a record in the log: 0, 1, 2 … without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The place after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Offset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it stands.
    pub offset: Offset,
    /// When the writer took it in; the only clock reading in the system. Never decreases along the log.
    pub received_at: Timestamp,
    /// What it says.
    pub body: Body,
}

/// What a record says. The order of the variants is part of the format: add at the end only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// An erased record: an identity step.
    Tombstone,
    /// A checked event.
    Event(CheckedEvent),
    /// A record that was refused; kept whole until it is released or dropped.
    Quarantined {
        /// Its name by content: the log holds each once.
        id: RefusalId,
        /// What it was sent as.
        kind: RecordKind,
        /// The stable reason code.
        reason: Box<str>,
        /// What exactly was wrong, for a person.
        detail: Box<str>,
        /// The record as it was sent (JSON).
        raw: Box<str>,
    },
    /// A quarantined record that was let in after all, with its original `at`.
    Released {
        /// The quarantined record.
        of: Offset,
        /// The event that it became.
        event: CheckedEvent,
    },
    /// A quarantined record that was given up.
    Dropped {
        /// The quarantined record.
        of: Offset,
    },
    /// A new item, or all of a known one's description.
    Item(Box<Item>),
    /// A change of some fields of an item.
    ItemPatched {
        /// Which item.
        id: ItemId,
        /// The fields to change.
        patch: Box<ItemPatch>,
    },
    /// The item is no longer sold.
    ItemRetired(ItemId),
    /// A new user, or all of a known one's attributes.
    User(User),
    /// The user's description is gone (their events are not: that is an erasure).
    UserRemoved(UserId),
    /// A guest turned out to be a known user: the guest's history becomes the user's.
    Merged {
        /// The guest.
        session: SessionId,
        /// The user they are.
        user: UserId,
    },
    /// The settings that hold from here on, as TOML.
    Settings(Box<str>),
    /// Counts of what a source sent and the log did not keep.
    Duplicates {
        /// Events whose id and content were known.
        same: u64,
        /// Events whose id was known with other content; the first stays.
        conflicting: u64,
    },
    /// An answer that was served: an identity step.
    Served(Box<Served>),
    /// An operator chose a version to go on from.
    Chosen {
        /// Its number.
        version: u64,
        /// Why, for a person.
        why: Box<str>,
    },
    /// A challenger replaces what was learned so far.
    Promoted {
        /// What it is and how it was learned, as TOML.
        challenge: Box<str>,
        /// Why, for a person.
        why: Box<str>,
    },
    /// Suspect records are learned after all.
    WindowReleased {
        /// The first of them.
        from: Offset,
        /// The record after the last.
        to: Offset,
    },
    /// A challenger was refused: what was learned goes on, and when the next one is due is counted from here.
    ChallengeRefused {
        /// What it was, as TOML.
        challenge: Box<str>,
        /// Why, for a person.
        why: Box<str>,
    },
    /// About events of a published key.
    Published(Box<PublishedRecord>),
}

/// A checked event, with what the check did to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckedEvent {
    /// The fact.
    pub event: Event,
    /// Codes of the repairs made, in order; empty for an event accepted as sent.
    pub repairs: Vec<Box<str>>,
    /// The record as it was sent (JSON), kept where a repair made it differ from the fact.
    pub raw: Option<Box<str>>,
}
