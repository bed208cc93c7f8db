//! An item as the catalogue has it.

use accrue_event::Item;
use serde::{Deserialize, Serialize};

/// An item of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// Its description; without attributes for an item that only events have named.
    pub item: Item,
    /// Whether the shop has described it.
    pub described: bool,
    /// Whether it is no longer sold.
    pub retired: bool,
}

impl CatalogueEntry {
    /// Whether the catalogue has it: it is described and not retired.
    pub fn is_in_catalogue(&self) -> bool {
        self.described && !self.retired
    }

    /// Whether a page may show it.
    pub fn can_be_shown(&self) -> bool {
        !self.retired && self.item.can_be_shown()
    }
}
