//! An event: one validated fact about what a shopper did.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Attributes, EventId, ItemId, Price, SessionId, Shopper, Text, Timestamp, UserId};

/// What a shopper did: one of the common types, or a type of the shop's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The item was seen on a page, as the client reports it.
    Impression,
    /// The item's page was opened.
    View,
    /// The item was clicked in a list.
    Click,
    /// The item was marked as a favourite.
    Favorite,
    /// The item was put into the cart.
    Cart,
    /// The item was bought.
    Purchase,
    /// The item was returned, or its order was cancelled.
    Return,
    /// The item was rated; the rating is the event's `value`.
    Rating,
    /// The shopper searched; the text is the event's `query`. Needs no item.
    Search,
    /// The item was marked as unwanted.
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

    /// The built-in type that the log stores as `code`; `None` for the code of a custom type.
    pub fn built_in(code: u8) -> Option<&'static Self> {
        Self::BUILT_IN.get(usize::from(code))
    }

    /// The built-in type of this name, otherwise a custom one.
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

/// One validated fact. Only the check creates events, so their fields satisfy what is stated here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique in the whole log; derived from the content if the shop sent no id.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The user, if known. A user or a session is always present.
    pub user: Option<UserId>,
    /// The visit, if known.
    pub session: Option<SessionId>,
    /// The item concerned; present for every type except `search`.
    pub item: Option<ItemId>,
    /// When it happened, as the shop states it.
    pub at: Timestamp,
    /// Strength of the event: a rating, a dwell time, or 1 if the shop sent no value. Finite.
    pub value: f32,
    /// Number of pieces, at least 1.
    pub quantity: u32,
    /// Price of one piece in the shop's currency.
    pub price: Option<Price>,
    /// The search text that led to the event.
    pub query: Option<Text>,
    /// The platform that sent the event.
    pub source: Option<Text>,
    /// The recommendation that the shopper acted on.
    pub recommendation_id: Option<Text>,
    /// The item's position in that recommendation, from 0.
    pub position: Option<u32>,
    /// All other fields that the shop sent.
    pub properties: Attributes,
}

impl Event {
    /// An event of which only this is known: one piece of value 1, without a shopper and an item.
    pub fn bare(id: EventId, event_type: EventType, at: Timestamp) -> Self {
        Self {
            id,
            event_type,
            user: None,
            session: None,
            item: None,
            at,
            value: 1.0,
            quantity: 1,
            price: None,
            query: None,
            source: None,
            recommendation_id: None,
            position: None,
            properties: Attributes::new(),
        }
    }

    /// The shopper whose history contains this event. An event of a published key belongs to its session, because
    /// any visitor of the page can send it in the name of any user.
    pub fn shopper(&self) -> Shopper {
        match (&self.user, &self.session) {
            (_, Some(session)) if self.id.is_published() => Shopper::PublishedGuest(session.clone()),
            (Some(user), _) if self.id.is_published() => Shopper::PublishedUser(user.clone()),
            _ => self.visitor(),
        }
    }

    /// The visitor that the event names, whoever sent it: whose pages it followed.
    pub fn visitor(&self) -> Shopper {
        match (&self.user, &self.session) {
            (Some(user), _) => Shopper::User(user.clone()),
            (None, Some(session)) => Shopper::Guest(session.clone()),
            (None, None) => unreachable!("the check accepts no event without a user or a session"),
        }
    }
}
