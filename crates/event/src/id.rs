//! Identifiers: one type for each kind, so that a user's id cannot be passed where an item's is expected.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Text;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// Wraps a name without changes; the check trims it and bounds its length.
            pub fn new(name: impl Into<Text>) -> Self {
                Self(name.into())
            }

            /// The name, as the shop wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }
    };
}

id!(
    /// Identifies an event; two events with the same id are the same event.
    EventId
);
id!(
    /// Identifies a product (a stock-keeping unit).
    ItemId
);
id!(
    /// Identifies a customer who is known across visits.
    UserId
);
id!(
    /// Identifies one visit, of a customer or of a guest.
    SessionId
);

/// The owner of a history: a known user, or a guest, whose identity is the session. What events of published keys claim
/// has owners of its own, so that it never adds to what the shop itself says of a user or a guest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shopper {
    /// A customer known across visits.
    User(UserId),
    /// A shopper without a login, who is known for one session only.
    Guest(SessionId),
    /// A session that events of published keys name.
    PublishedGuest(SessionId),
    /// A user whom events of published keys name without a session.
    PublishedUser(UserId),
}
