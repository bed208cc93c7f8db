//! Changes of the catalogue, as the search index's thread gets them.

use accrue_event::Item;
use accrue_store::{Facts, ItemIdx, Offset};

/// A change for the search index.
pub(crate) enum IndexChange {
    /// The description of an item.
    Item(ItemIdx, Box<Item>),
    /// The item is no longer sold.
    Removed(ItemIdx),
    /// Every change before this offset was sent.
    Covered(Offset),
}

impl IndexChange {
    /// The item as the facts describe it now, with what it lacks from its product.
    pub fn of_item(facts: &Facts, item: ItemIdx) -> Self {
        let is_sold = facts.entry(item).is_some_and(|entry| !entry.is_retired());
        match facts.described_item(item).filter(|_| is_sold) {
            Some(described) => Self::Item(item, Box::new(described)),
            None => Self::Removed(item),
        }
    }
}
