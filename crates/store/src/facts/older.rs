//! Parts of the facts that an older build counted in another way, computed again from the log.
//!
//! A section of an older version can be converted, but its counts are not those that this build comes to from the same
//! records. Where the log has all records, these parts alone are folded again; the names of items, which they refer to,
//! are those of the facts. Where retention removed records, the converted counts stay.

use std::collections::BTreeMap;

use accrue_event::{Item, ItemId, Shopper, Timestamp};

use super::{Facts, guest_name, shopper_name, user_name};
use crate::new_products::{Earlier, Now};
use crate::{
    Body, CatalogueEntry, CheckedEvent, DrawAccount, ItemIdx, NewProducts, PublishedCounts, Record, SearchRanking,
    Searches, shopper_hash,
};

/// The parts of the facts that are folded again. What is learned from choices about the order of hits depends on how likely a position is
/// looked at, which the other part counts, so both are folded together.
#[derive(Debug, Default)]
pub struct OlderParts {
    searches: Searches,
    search_ranking: SearchRanking,
    draws: DrawAccount,
    new_products: NewProducts,
    published: PublishedCounts,
    /// Shoppers that records have named so far: those with smaller indices.
    n_shoppers: u32,
    /// What the library of new products depends on, as it was at each record.
    catalogue: BTreeMap<ItemIdx, CatalogueEntry>,
    stream_time: Timestamp,
}

impl OlderParts {
    /// Takes in the next record. `facts` include it; they may be ahead.
    pub fn apply(&mut self, facts: &Facts, record: &Record) {
        let item_of = |id: &ItemId| -> Option<ItemIdx> { facts.items.get(id.as_str()) };
        match &record.body {
            Body::Event(checked) | Body::Released { event: checked, .. } => {
                self.stream_time = self.stream_time.max(checked.event.at);
                if checked.is_evidence() {
                    self.draws.observe(&checked.event, record.received_at);
                }
                if self.meet(facts, &shopper_name(&checked.event.shopper())) && checked.event.id.is_published() {
                    self.published.add_shopper(record.received_at);
                }
                if let Some(item) = checked.event.item.as_ref().and_then(item_of) {
                    if !checked.is_for_own_pages() {
                        self.searches.observe(&checked.event, item);
                    }
                    self.observe(checked, item, record.received_at);
                }
            }
            Body::User(user) => drop(self.meet(facts, &user_name(&user.id))),
            Body::Merged { session, user } => {
                self.meet(facts, &guest_name(session.as_str()));
                self.meet(facts, &user_name(user));
            }
            Body::Item(item) => {
                if let Some(index) = item_of(&item.id) {
                    self.describe(index, &item.id, record.received_at, |described| *described = (**item).clone());
                }
            }
            Body::ItemPatched { id, patch } => {
                if let Some(index) = item_of(id) {
                    self.describe(index, id, record.received_at, |item| patch.apply(item));
                }
            }
            Body::ItemRetired(id) => {
                if let Some(index) = item_of(id) {
                    self.entry(index, id);
                }
            }
            Body::Served(served) => {
                self.draws.serve(served, record.received_at);
                let user = || served.user.clone().map(Shopper::User);
                let guest = || served.session.clone().map(Shopper::Guest);
                let shopper = user().or_else(guest).map(|shopper| shopper_hash(&shopper));
                // The facts are ahead, and may know items that were not named yet.
                let catalogue = &self.catalogue;
                let named = |id: &ItemId| item_of(id).filter(|item| catalogue.contains_key(item));
                self.new_products.serve(served, shopper, record.received_at, named);
            }
            Body::SearchChoice(choice) => {
                let propensity = self.searches.propensity(choice.position as usize, choice.is_published);
                self.search_ranking.observe(choice, propensity);
            }
            _ => {}
        }
    }

    /// Whether no record has named this shopper before. Indices are given in the order of the records.
    fn meet(&mut self, facts: &Facts, name: &str) -> bool {
        let is_new = facts.shoppers.get(name).is_some_and(|index| index >= self.n_shoppers);
        self.n_shoppers += u32::from(is_new);
        is_new
    }

    /// What is known of an item; nothing but its id at first.
    fn entry(&mut self, index: ItemIdx, id: &ItemId) -> &mut CatalogueEntry {
        let bare = || CatalogueEntry { item: Item::bare(id.clone()), described: false, retired: false };
        self.catalogue.entry(index).or_insert_with(bare)
    }

    fn observe(&mut self, checked: &CheckedEvent, index: ItemIdx, received_at: Timestamp) {
        let Some(id) = &checked.event.item else { return };
        self.entry(index, id);
        if checked.is_evidence() {
            self.new_products.observe(&checked.event, index, Some(&self.catalogue[&index].item), received_at);
        }
    }

    fn describe(&mut self, index: ItemIdx, id: &ItemId, received_at: Timestamp, change: impl FnOnce(&mut Item)) {
        let earlier = self.catalogue.get(&index).map_or(Earlier::NotNamed, Earlier::of_entry);
        let entry = self.entry(index, id);
        change(&mut entry.item);
        // The library reads no more of it.
        let Item { categories, brand, price, published_at, .. } =
            std::mem::replace(&mut entry.item, Item::bare(id.clone()));
        entry.item = Item { categories, brand, price, published_at, ..Item::bare(id.clone()) };
        entry.described = true;
        let has_events = self.stream_time != Timestamp::default();
        let at_ms = if has_events { self.stream_time.0 } else { received_at.0 };
        self.new_products.describe(index, &self.catalogue[&index].item, earlier, Now { at_ms, has_events });
    }

    /// Puts the parts into the facts, in the place of those that an older build counted.
    pub fn replace_in(self, facts: &mut Facts) {
        (facts.searches, facts.search_ranking) = (self.searches, self.search_ranking);
        (facts.new_products, facts.draws) = (self.new_products, self.draws);
        // The older build counted the rest of it as this one does.
        facts.published.places = self.published.places;
    }
}
