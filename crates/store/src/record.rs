//! The records of the log: every fact that can change a state, with its offset and its time of arrival.

use accrue_event::{Item, ItemId, ItemPatch, RecordKind, RefusalId, SessionId, Timestamp, User, UserId};
use serde::{Deserialize, Serialize};

use crate::{CheckedEvent, ItemVector, Offset, PublishedRecord, SearchChoice, SearchProposal, Served};

/// One record of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// When the writer received it. It never decreases along the log.
    pub received_at: Timestamp,
    /// Its content.
    pub body: Body,
}

/// The content of a record. The order of the variants is part of the format: add new ones at the end only. The log stores
/// bodies with `postcard`, which has no names of fields, so that a field can never be added to a variant or to a type in it:
/// that takes a new variant. `docs/internals/extending.md` has the places that a new variant needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// An erased record, which changes no state.
    Tombstone,
    /// A checked event.
    Event(CheckedEvent),
    /// A record that was refused. It is kept until it is released or dropped.
    Quarantined {
        /// Its id, computed from the content; the log has each id once.
        id: RefusalId,
        /// The kind of record that it was sent as.
        kind: RecordKind,
        /// The stable reason code.
        reason: Box<str>,
        /// The exact fault, for the operator.
        detail: Box<str>,
        /// The record as it was sent (JSON).
        raw: Box<str>,
    },
    /// A quarantined record that was released, with its original `at`.
    Released {
        /// The quarantined record.
        of: Offset,
        /// The event that it became.
        event: CheckedEvent,
    },
    /// A quarantined record that was dropped.
    Dropped {
        /// The quarantined record.
        of: Offset,
    },
    /// A new item, or a new description of a known one.
    Item(Box<Item>),
    /// A change of some fields of an item.
    ItemPatched {
        /// The item.
        id: ItemId,
        /// The fields to change.
        patch: Box<ItemPatch>,
    },
    /// The item is no longer sold.
    ItemRetired(ItemId),
    /// A new user, or new attributes of a known one.
    User(User),
    /// The user's description was removed. Events are removed by an erasure only.
    UserRemoved(UserId),
    /// A guest is merged into a user: the guest's history becomes the user's.
    Merged {
        /// The guest.
        session: SessionId,
        /// The user.
        user: UserId,
    },
    /// The settings in force from here on, as TOML.
    Settings(Box<str>),
    /// Numbers of events that were sent and not kept.
    Duplicates {
        /// Events with a known id and the same content.
        same: u64,
        /// Events with a known id and other content. The first one stays.
        conflicting: u64,
    },
    /// A served answer, which changes no state.
    Served(Box<Served>),
    /// An operator chose a version to go on from.
    Chosen {
        /// Its number.
        version: u64,
        /// The reason, for the operator.
        why: Box<str>,
    },
    /// A challenger replaces the current model.
    Promoted {
        /// The description of the challenger, as TOML.
        challenge: Box<str>,
        /// The reason, for the operator.
        why: Box<str>,
    },
    /// Suspect records are released and learned.
    WindowReleased {
        /// The first record.
        from: Offset,
        /// The record after the last.
        to: Offset,
    },
    /// A challenger was refused. The period until the next reset is counted from here.
    ChallengeRefused {
        /// The description of the challenger, as TOML.
        challenge: Box<str>,
        /// The reason, for the operator.
        why: Box<str>,
    },
    /// About events of a published key.
    Published(Box<PublishedRecord>),
    /// The rules of the shop in force from here on, as JSON: a list of [`accrue_event::ShopRule`].
    Rules(Box<str>),
    /// The shop's synonyms in force from here on, a rule a line.
    Synonyms(Box<str>),
    /// What an encoder computed for an item.
    Encoded(Box<ItemVector>),
    /// The scenes of the shop that requests described, in force from here on, as JSON: settings by the scene's name.
    Scenes(Box<str>),
    /// How far a source was read. It is in the same commit as the records that were read up to there.
    SourceRead(Box<SourcePosition>),
    /// What stood on the page of a search from which the event before it chose an item.
    SearchChoice(Box<SearchChoice>),
    /// About campaigns, as JSON: an [`accrue_event::CampaignRecord`], all campaigns in force from here on or a charge.
    Campaigns(Box<str>),
    /// What was decided about a repair that search proposed.
    SearchProposal(Box<SearchProposal>),
}

impl Body {
    /// The event that the record is about.
    pub fn event(&self) -> Option<&CheckedEvent> {
        match self {
            Self::Event(checked) | Self::Released { event: checked, .. } => Some(checked),
            Self::Published(record) => match &**record {
                PublishedRecord::Inert { event, .. } => Some(event),
                PublishedRecord::Refusals { .. } => None,
            },
            Self::Tombstone
            | Self::Quarantined { .. }
            | Self::Dropped { .. }
            | Self::Item(_)
            | Self::ItemPatched { .. }
            | Self::ItemRetired(_)
            | Self::User(_)
            | Self::UserRemoved(_)
            | Self::Merged { .. }
            | Self::Settings(_)
            | Self::Rules(_)
            | Self::Synonyms(_)
            | Self::Duplicates { .. }
            | Self::Served(_)
            | Self::Chosen { .. }
            | Self::Promoted { .. }
            | Self::WindowReleased { .. }
            | Self::ChallengeRefused { .. }
            | Self::Encoded(_)
            | Self::Scenes(_)
            | Self::SourceRead(_)
            | Self::SearchChoice(_)
            | Self::Campaigns(_)
            | Self::SearchProposal(_) => None,
        }
    }

    /// The bytes of its content in the log.
    pub fn n_bytes(&self) -> u64 {
        postcard::to_stdvec(self).map_or(0, |bytes| bytes.len() as u64)
    }

    /// Whether a published key sent what the record holds, so that the user whom it names is a claim.
    pub fn is_of_published_key(&self) -> bool {
        match self {
            Self::SearchChoice(choice) => choice.is_published,
            body => body.event().is_some_and(|checked| checked.event.id.is_published()),
        }
    }

    /// The user and the guest that the record names. A refused record may name more, in a form that was not read.
    pub fn names(&self) -> (Option<&UserId>, Option<&SessionId>) {
        match self {
            Self::User(user) => (Some(&user.id), None),
            Self::UserRemoved(user) => (Some(user), None),
            Self::Merged { session, user } => (Some(user), Some(session)),
            Self::Served(served) => (served.user.as_ref(), served.session.as_ref()),
            Self::SearchChoice(choice) => (choice.user.as_ref(), choice.session.as_ref()),
            Self::Event(_) | Self::Released { .. } | Self::Published(_) => self
                .event()
                .map_or((None, None), |checked| (checked.event.user.as_ref(), checked.event.session.as_ref())),
            Self::Tombstone
            | Self::Quarantined { .. }
            | Self::Dropped { .. }
            | Self::Item(_)
            | Self::ItemPatched { .. }
            | Self::ItemRetired(_)
            | Self::Settings(_)
            | Self::Rules(_)
            | Self::Synonyms(_)
            | Self::Duplicates { .. }
            | Self::Chosen { .. }
            | Self::Promoted { .. }
            | Self::WindowReleased { .. }
            | Self::ChallengeRefused { .. }
            | Self::Encoded(_)
            | Self::Scenes(_)
            | Self::SourceRead(_)
            | Self::Campaigns(_)
            | Self::SearchProposal(_) => (None, None),
        }
    }
}

/// How far a table of another server was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// The name of the source.
    pub source: Box<str>,
    /// The place after the last record that was read, in the source's own form (JSON).
    pub position: Box<str>,
}
