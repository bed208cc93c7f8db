//! Identifiers: one newtype for each thing that has a name, so that a user can never be passed where an item belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Wraps a name as it is; the check is what trims and bounds it.
            pub fn new(name: impl Into<Box<str>>) -> Self {
                Self(name.into())
            }

            /// The name as the shop wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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
    /// Names an event; the same id twice is the same event.
    EventId
);
id!(
    /// Names a product (a stock-keeping unit).
    ItemId
);
id!(
    /// Names a customer who is known across visits.
    UserId
);
id!(
    /// Names one visit, of a customer or of a guest.
    SessionId
);

/// Whose history an event belongs to: a known user's, or a guest's, who is a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shopper {
    /// A customer known across visits.
    User(UserId),
    /// Somebody without a login, known for one session only.
    Guest(SessionId),
}
