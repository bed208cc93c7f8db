//! The kinds of records that a shop sends.

use serde::{Deserialize, Serialize};

use crate::raw::{RawEvent, RawItem, RawUser};

/// What a record describes: an event, an item or a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Events: what shoppers did.
    #[default]
    Events,
    /// Products.
    Items,
    /// Customers.
    Users,
}

impl RecordKind {
    /// The name of this kind in files and answers.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Events => "events",
            RecordKind::Items => "items",
            RecordKind::Users => "users",
        }
    }

    /// The names of the fields of such a record.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            RecordKind::Events => RawEvent::FIELDS,
            RecordKind::Items => RawItem::FIELDS,
            RecordKind::Users => RawUser::FIELDS,
        }
    }
}
