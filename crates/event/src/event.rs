//! An event: one validated fact about what a shopper did.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Attributes, EventId, ItemId, SessionId, Shopper, Timestamp, UserId};

/// What a shopper did. A closed set of common types, and the shop's own by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The item was seen on a page (the client's word, not the server's).
    Impression,
    /// The item's page was opened.
    View,
    /// The item was clicked in a list.
    Click,
    /// Marked to keep.
    Favorite,
    /// Put into the cart.
    Cart,
    /// Bought.
    Purchase,
    /// Given back, or an order cancelled.
    Return,
    /// Rated; the rating is the event's `value`.
    Rating,
    /// Searched; the text is the event's `query`. Needs no item.
    Search,
    /// Marked as unwanted.
    Dislike,
    /// A type that the shop's configuration names.
    Custom(Box<str>),
}

impl EventType {
    /// The built-in types, in the order of their codes.
    pub const BUILT_IN: [EventType; 10] = [
        EventType::Impression,
        EventType::View,
        EventType::Click,
        EventType::Favorite,
        EventType::Cart,
        EventType::Purchase,
        EventType::Return,
        EventType::Rating,
        EventType::Search,
        EventType::Dislike,
    ];

    /// The name in requests, files and reports.
    pub fn name(&self) -> &str {
        match self {
            EventType::Impression => "impression",
            EventType::View => "view",
            EventType::Click => "click",
            EventType::Favorite => "favorite",
            EventType::Cart => "cart",
            EventType::Purchase => "purchase",
            EventType::Return => "return",
            EventType::Rating => "rating",
            EventType::Search => "search",
            EventType::Dislike => "dislike",
            EventType::Custom(name) => name,
        }
    }

    /// The built-in type of that name, else a custom one.
    pub fn from_name(name: &str) -> Self {
        Self::BUILT_IN
            .into_iter()
            .find(|built_in| built_in.name() == name)
            .unwrap_or_else(|| EventType::Custom(name.into()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl serde::de::Visitor<'_> for Name {
            type Value = EventType;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an event type")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<EventType, E> {
                Ok(EventType::from_name(name))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// One validated fact. Only the check makes these; whoever holds one may rely on what the fields say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique over the whole log; derived from the content where the shop gave none.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Who, if known. A user or a session is always present.
    pub user: Option<UserId>,
    /// The visit, if known.
    pub session: Option<SessionId>,
    /// The item concerned; present for every type but `search`.
    pub item: Option<ItemId>,
    /// When it happened, by the shop's word.
    pub at: Timestamp,
    /// Strength of the event: a rating, a dwell time, 1 where nothing was said. Finite.
    pub value: f32,
    /// Pieces, at least 1.
    pub quantity: u32,
    /// Price of one piece in the shop's currency unit, not negative.
    pub price: Option<f32>,
    /// The search text that led here.
    pub query: Option<Box<str>>,
    /// The platform that sent it.
    pub source: Option<Box<str>>,
    /// The answer of ours that the shopper acted on.
    pub recommendation_id: Option<Box<str>>,
    /// The place in that answer, from 0.
    pub position: Option<u32>,
    /// Whatever else the shop sent.
    pub properties: Attributes,
}

impl Event {
    /// Whose history this event belongs to.
    pub fn shopper(&self) -> Shopper {
        match (&self.user, &self.session) {
            (Some(user), _) => Shopper::User(user.clone()),
            (None, Some(session)) => Shopper::Guest(session.clone()),
            (None, None) => unreachable!("the check lets no event in without a user or a session"),
        }
    }
}
