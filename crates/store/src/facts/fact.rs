//! What a record means: its names as indices, and nothing of its form in the log.

use accrue_event::{Event, EventType, Item, ItemId, ItemPatch, Shopper, User, UserId};

use super::Facts;
use super::shopper_names::{guest_name, session_hash, user_name};
use crate::{
    Body, CheckedEvent, Circumstances, Interaction, ItemIdx, ItemVector, Offset, Record, ShopperIdx, shopper_hash,
};

/// The names in an event, which an [`Interaction`] has only as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Names<'a> {
    /// Its type, if it is a custom one.
    pub own_type: Option<&'a EventType>,
    /// The page, app or feed that sent it.
    pub source: Option<&'a str>,
    /// [`shopper_hash`] of the visitor whom the event names.
    pub shopper: u64,
    /// Whether the event came with a published key.
    pub is_published: bool,
    /// Whether it is no evidence of how often what is shown is clicked ([`CheckedEvent::is_evidence`]).
    pub no_evidence: bool,
    /// Whether it takes no part in what others see ([`CheckedEvent::is_for_own_pages`]).
    pub own_pages: bool,
    /// Where and how the shopper looked.
    pub circumstances: Circumstances<'a>,
}

/// The meaning of a record, with names resolved to indices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact<'a> {
    /// Nothing is learned from it.
    Nothing,
    /// A shopper did something with an item.
    Interaction(Interaction, Names<'a>),
    /// A shopper was shown an item. An impression creates no index. The facts may be ahead of the learner, so it skips
    /// shoppers and items that it has not met.
    Shown(Interaction, Names<'a>),
    /// An item got a new description.
    Described(ItemIdx, &'a Item),
    /// Some fields of an item changed.
    Patched(ItemIdx, &'a ItemPatch),
    /// An encoder computed a vector for an item.
    Encoded(ItemIdx, &'a ItemVector),
    /// A user got a new description.
    UserDescribed(ShopperIdx, &'a User),
    /// The description of a user was removed.
    UserRemoved(ShopperIdx),
    /// A guest's history became a user's.
    Merged {
        /// The guest.
        guest: ShopperIdx,
        /// The same session as events of published keys name it. A follower that has not met it passes over it.
        published: Option<ShopperIdx>,
        /// The user.
        user: ShopperIdx,
    },
    /// Other settings are in force from here on.
    Settings(&'a str),
    /// An operator chose a version to go on from.
    Chosen {
        /// Its number.
        version: u64,
        /// The reason, for the operator.
        why: &'a str,
    },
    /// A challenger replaces the current model.
    Promoted {
        /// The description of the challenger, as TOML.
        challenge: &'a str,
        /// The reason, for the operator.
        why: &'a str,
    },
    /// Suspect records were released and are learned.
    WindowReleased {
        /// The first record.
        from: Offset,
        /// The record after the last.
        to: Offset,
    },
    /// A challenger was refused.
    ChallengeRefused {
        /// The description of the challenger, as TOML.
        challenge: &'a str,
        /// The reason, for the operator.
        why: &'a str,
    },
}

impl Facts {
    /// The meaning of a record that was applied. It does not depend on how far the facts are ahead of it.
    pub fn resolve<'a>(&self, record: &'a Record) -> Fact<'a> {
        let item = |id: &ItemId| self.items.get(id.as_str());
        let shopper = |user: &UserId| self.shoppers.get(&user_name(user));
        match &record.body {
            Body::Event(checked) => self.happened(checked),
            Body::Released { event, .. } => self.happened(event),
            Body::Item(description) => {
                item(&description.id).map_or(Fact::Nothing, |index| Fact::Described(index, description))
            }
            Body::ItemPatched { id, patch } => item(id).map_or(Fact::Nothing, |index| Fact::Patched(index, patch)),
            Body::User(user) => shopper(&user.id).map_or(Fact::Nothing, |shopper| Fact::UserDescribed(shopper, user)),
            Body::UserRemoved(user) => shopper(user).map_or(Fact::Nothing, Fact::UserRemoved),
            Body::Encoded(vector) => item(&vector.item).map_or(Fact::Nothing, |index| Fact::Encoded(index, vector)),
            Body::Merged { session, user } => {
                let guest = self.shoppers.get(&guest_name(session.as_str()));
                let published = self.shopper(&Shopper::PublishedGuest(session.clone()));
                guest.zip(shopper(user)).map_or(Fact::Nothing, |(guest, user)| Fact::Merged { guest, published, user })
            }
            Body::Settings(settings) => Fact::Settings(settings),
            Body::Chosen { version, why } => Fact::Chosen { version: *version, why },
            Body::Promoted { challenge, why } => Fact::Promoted { challenge, why },
            Body::WindowReleased { from, to } => Fact::WindowReleased { from: *from, to: *to },
            Body::ChallengeRefused { challenge, why } => Fact::ChallengeRefused { challenge, why },
            Body::Tombstone
            | Body::Quarantined { .. }
            | Body::Dropped { .. }
            | Body::ItemRetired(_)
            | Body::Duplicates { .. }
            | Body::Served(_)
            | Body::Rules(_)
            | Body::Scenes(_)
            | Body::Synonyms(_)
            | Body::SearchChoice(_)
            | Body::SearchProposal(_)
            | Body::SourceRead(_)
            | Body::Campaigns(_)
            | Body::Published(_) => Fact::Nothing,
        }
    }

    /// The event with its names resolved; `None` for one that is not an interaction (an impression, a search without an
    /// item) or that has a name that was never applied.
    pub fn interaction(&self, event: &Event) -> Option<Interaction> {
        let is_choice = event.event_type != EventType::Impression;
        is_choice.then(|| self.numbered(event, &event.shopper())).flatten()
    }

    fn happened<'a>(&self, checked: &'a CheckedEvent) -> Fact<'a> {
        let event = &checked.event;
        let shopper = event.shopper();
        let own_type = Some(&event.event_type).filter(|event_type| matches!(event_type, EventType::Custom(_)));
        let (source, circumstances) = (event.source.as_deref(), Circumstances::of(event));
        let (shopper_hash, is_published) = (shopper_hash(&event.visitor()), event.id.is_published());
        let no_evidence = is_published && !checked.is_evidence();
        let own_pages = is_published && checked.is_for_own_pages();
        let names =
            Names { own_type, source, shopper: shopper_hash, is_published, no_evidence, own_pages, circumstances };
        match self.numbered(event, &shopper) {
            None => Fact::Nothing,
            Some(shown) if event.event_type == EventType::Impression => Fact::Shown(shown, names),
            Some(interaction) => Fact::Interaction(interaction, names),
        }
    }

    /// The event with indices in the place of names.
    fn numbered(&self, event: &Event, shopper: &Shopper) -> Option<Interaction> {
        Some(Interaction {
            shopper: self.shopper(shopper)?,
            item: self.items.get(event.item.as_ref()?.as_str())?,
            type_code: self.type_code(&event.event_type)?,
            at_ms: event.at.0,
            session: event.session.as_ref().map(|session| session_hash(session.as_str())),
            value: event.value,
            quantity: event.quantity,
        })
    }
}
