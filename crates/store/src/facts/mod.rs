//! The facts: the part of the state that follows from the log without learning. The first of the two folds.
//!
//! In: records in order. Out: names and their indices, the catalogue, histories, the records in quarantine, the rules'
//! statistics and counters. They are applied before a write is acknowledged, and can be computed again from the log.
//! They check nothing: the log has the outcome of each check.

mod fact;
mod older;
mod sections;
mod shopper_names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_event::{
    EventType, Item, ItemId, KnownItem, PublishedStatistics, RuleCounters, RuleStatistics, SessionId, Shopper,
    Timestamp, User, UserId,
};
use serde::Serialize;

pub use self::fact::{Fact, Names};
pub use self::older::OlderParts;
use self::shopper_names::{guest_name, user_name};
pub use self::shopper_names::{session_hash, shopper_name};
use crate::columns::Columns;
use crate::new_products::{Earlier, Now};
use crate::{
    Body, CatalogueEntry, CataloguePlace, CheckedEvent, Column, ColumnField, Described, Descriptor, DrawAccount,
    Encoded, Histories, ItemIdx, Ledger, NewProducts, Offset, OnSale, Overview, PagedMap, PagedVec, Products,
    PublishedCounts, PublishedRecord, Record, RuleTexts, Satisfaction, SearchProposal, SearchRanking, Searches, Served,
    SharedDescriptors, ShopperIdx, Shown, Vocabulary, shopper_descriptors, shopper_hash,
};

/// Number of codes for a shop's custom event types.
const MAX_CUSTOM_TYPES: usize = 54;
/// Items, users, refused records and items with a vector in a page of a checkpoint.
const ENTRIES: usize = 16;
const USERS: usize = 64;
const REASONS: usize = 4_096;
const ENCODED: usize = 256;

/// The facts up to an offset.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// Names of items.
    pub items: Vocabulary,
    /// Names of shoppers: `u` + user or `g` + session; of those in events of published keys, `q` + user or `p` +
    /// session.
    pub shoppers: Vocabulary,
    /// Names of custom event types.
    types: Vocabulary,
    catalogue: PagedVec<CataloguePlace, ENTRIES>,
    /// Follows from the catalogue, so it is neither saved nor part of a digest.
    #[serde(skip)]
    overview: Overview,
    /// Which items are variants of one product; follows from the catalogue like the overview.
    #[serde(skip)]
    pub products: Products,
    /// Fields of the whole catalogue, as far as they were asked for.
    #[serde(skip)]
    columns: Columns,
    /// The descriptions of users, by their index.
    users: PagedMap<ShopperIdx, User, USERS>,
    /// Which of their attributes count; follows from the descriptions.
    #[serde(skip)]
    shared_descriptors: SharedDescriptors,
    /// The latest events of each shopper.
    pub histories: Histories,
    /// The reason of each record in quarantine, by offset.
    pub quarantine: PagedMap<Offset, Box<str>, REASONS>,
    /// The statistics that the check's rules use.
    pub statistics: RuleStatistics,
    /// Number of repairs and refusals of each rule.
    pub counters: RuleCounters,
    /// Number of events that were not kept because their id was known: with the same content, and with another.
    pub duplicates: [u64; 2],
    /// What published keys caused.
    #[serde(skip)]
    pub published: PublishedCounts,
    /// Which text of each item was encoded last; shorter than the catalogue where items at its end have no vector.
    #[serde(skip)]
    encoded: PagedVec<Encoded, ENCODED>,
    /// The settings in force.
    pub settings: Box<str>,
    /// The rules of the shop.
    #[serde(skip)]
    pub shop_rules: RuleTexts,
    /// The scenes of the shop that requests described.
    #[serde(skip)]
    pub scenes: RuleTexts,
    /// The shop's synonyms, a rule a line; empty if there are none.
    #[serde(skip)]
    pub synonyms: Box<str>,
    /// What was chosen after searches.
    #[serde(skip)]
    pub searches: Searches,
    /// What shoppers were shown and did not choose.
    #[serde(skip)]
    pub shown: Shown,
    /// What choices taught about the order of hits.
    #[serde(skip)]
    pub search_ranking: SearchRanking,
    /// What campaigns were shown for and what they spent.
    #[serde(skip)]
    pub ledger: Ledger,
    /// Clicks on answers that were drawn by chance, and on the others.
    #[serde(skip)]
    pub draws: DrawAccount,
    /// New products, and what showing them costs.
    #[serde(skip)]
    pub new_products: NewProducts,
    /// How content shoppers are with what they chose.
    #[serde(skip)]
    pub satisfaction: Satisfaction,
    /// What was decided about proposals of search, by their ids.
    #[serde(skip)]
    pub search_proposals: BTreeMap<Box<str>, SearchProposal>,
    /// How far each source was read, by its name.
    #[serde(skip)]
    pub sources: BTreeMap<Box<str>, Box<str>>,
    /// The largest `at` of the events so far.
    pub stream_time: Timestamp,
    /// The offset after the last change of the catalogue.
    pub catalogue_changed: Offset,
    /// The next record.
    pub end: Offset,
}

impl Facts {
    /// The facts of an empty log. Of each shopper `history_capacity` events are kept.
    pub fn new(history_capacity: usize) -> Self {
        Self {
            items: Vocabulary::default(),
            shoppers: Vocabulary::default(),
            types: Vocabulary::default(),
            catalogue: PagedVec::default(),
            overview: Overview::default(),
            products: Products::default(),
            columns: Columns::default(),
            users: PagedMap::default(),
            shared_descriptors: SharedDescriptors::default(),
            histories: Histories::new(history_capacity),
            quarantine: PagedMap::default(),
            statistics: RuleStatistics::default(),
            counters: RuleCounters::default(),
            duplicates: [0; 2],
            published: PublishedCounts::default(),
            encoded: PagedVec::default(),
            settings: Box::default(),
            shop_rules: RuleTexts::default(),
            scenes: RuleTexts::default(),
            synonyms: Box::default(),
            searches: Searches::default(),
            shown: Shown::default(),
            search_ranking: SearchRanking::default(),
            ledger: Ledger::default(),
            draws: DrawAccount::default(),
            new_products: NewProducts::default(),
            satisfaction: Satisfaction::default(),
            search_proposals: BTreeMap::new(),
            sources: BTreeMap::new(),
            stream_time: Timestamp::default(),
            catalogue_changed: Offset(0),
            end: Offset(0),
        }
    }

    /// The counts of published keys, with the statistics of their events; `None` if they sent no event that was
    /// accepted or refused.
    pub fn published(&self) -> Option<(&PublishedCounts, &PublishedStatistics)> {
        let both = (&self.published, self.statistics.published());
        (both != (&PublishedCounts::default(), &PublishedStatistics::default())).then_some(both)
    }

    /// The rules of the shop; `None` if there never were any.
    pub fn rule_texts(&self) -> Option<&RuleTexts> {
        (self.shop_rules != RuleTexts::default()).then_some(&self.shop_rules)
    }

    /// The scenes that requests described; `None` if none ever did.
    pub fn scene_texts(&self) -> Option<&RuleTexts> {
        (self.scenes != RuleTexts::default()).then_some(&self.scenes)
    }

    /// Which text of each item was encoded last; `None` if no item ever got a vector.
    pub fn encoded_items(&self) -> Option<&PagedVec<Encoded, ENCODED>> {
        (!self.encoded.is_empty()).then_some(&self.encoded)
    }

    /// Which text of an item was encoded last.
    pub fn encoded(&self, item: ItemIdx) -> Encoded {
        self.encoded.get(item as usize).copied().unwrap_or_default()
    }

    /// How many items have a vector of a space.
    pub fn n_encoded(&self, space: u64) -> u64 {
        self.encoded.iter().filter(|encoded| encoded.space == space).count() as u64
    }

    /// Applies the next record.
    ///
    /// # Panics
    /// If the record is not the next one.
    pub fn apply(&mut self, record: &Record) {
        assert_eq!(record.offset, self.end, "records are folded in order, without a gap");
        match &record.body {
            Body::Tombstone
            | Body::Chosen { .. }
            | Body::Promoted { .. }
            | Body::WindowReleased { .. }
            | Body::ChallengeRefused { .. } => {}
            Body::Served(served) => self.serve(served, record.received_at),
            Body::Campaigns(json) => self.ledger.take(json, record.offset.next(), record.received_at, self.stream_time),
            Body::Event(checked) => self.apply_event(record, checked),
            Body::Released { of, event } => {
                self.quarantine.remove(of);
                self.apply_event(record, event);
            }
            Body::Quarantined { reason, .. } => {
                self.counters.count_quarantined(reason);
                self.quarantine.insert(record.offset, reason.clone());
            }
            Body::Dropped { of } => {
                self.quarantine.remove(of);
            }
            Body::Item(item) => {
                let earlier = self.earlier(&item.id);
                self.describe(record.offset, (**item).clone());
                self.note_new(&item.id, earlier, record.received_at);
            }
            Body::ItemPatched { id, patch } => {
                let earlier = self.earlier(id);
                self.edit_item(record.offset, id, |entry| {
                    patch.apply(&mut entry.item);
                    entry.described = true;
                });
                self.note_new(id, earlier, record.received_at);
            }
            Body::ItemRetired(id) => self.edit_item(record.offset, id, |entry| entry.retired = true),
            Body::User(user) => {
                let shopper = self.shoppers.intern(&user_name(&user.id));
                let before = self.users.insert(shopper, user.clone());
                self.shared_descriptors.add(&shopper_descriptors(&user.attributes));
                self.uncount_descriptors(before);
            }
            Body::UserRemoved(id) => {
                if let Some(shopper) = self.shoppers.get(&user_name(id)) {
                    let before = self.users.remove(&shopper);
                    self.uncount_descriptors(before);
                }
            }
            Body::Merged { session, user } => self.merge(session, user),
            Body::Settings(settings) => self.settings = settings.clone(),
            Body::Synonyms(synonyms) => self.synonyms = synonyms.clone(),
            Body::Rules(rules) => self.shop_rules = RuleTexts { json: rules.clone(), since: record.offset.next() },
            Body::Scenes(scenes) => self.scenes = RuleTexts { json: scenes.clone(), since: record.offset.next() },
            Body::Duplicates { same, conflicting } => {
                self.duplicates[0] += same;
                self.duplicates[1] += conflicting;
            }
            Body::Published(published) => self.apply_published(record.received_at, published),
            Body::SearchChoice(choice) => {
                let propensity = self.searches.propensity(choice.position as usize, choice.is_published);
                self.search_ranking.observe(choice, propensity);
            }
            Body::SearchProposal(decided) => {
                self.search_proposals.insert(decided.id.clone(), (**decided).clone());
            }
            Body::Encoded(vector) => {
                // An item that no record has named has nothing that could have been encoded.
                if let Some(item) = self.items.get(vector.item.as_str()) {
                    let encoded = Encoded { space: vector.space, text: vector.text };
                    *self.encoded.get_mut_or_grow(item as usize) = encoded;
                }
            }
            Body::SourceRead(read) => drop(self.sources.insert(read.source.clone(), read.position.clone())),
        }
        self.end = record.offset.next();
    }

    /// Takes in what an answer put on its page.
    fn serve(&mut self, served: &Served, received_at: Timestamp) {
        let visitor = || served.user.clone().map(Shopper::User);
        let guest = || served.session.clone().map(Shopper::Guest);
        let shopper = visitor().or_else(guest).map(|shopper| shopper_hash(&shopper));
        self.ledger.serve(served, shopper, received_at);
        self.draws.serve(served, received_at);
        let item_of = |id: &ItemId| self.items.get(id.as_str());
        self.new_products.serve(served, shopper, received_at, item_of);
    }

    /// Gives a user what the guest of a session did, also under a published key.
    fn merge(&mut self, session: &SessionId, user: &UserId) {
        let guest = self.shoppers.intern(&guest_name(session.as_str()));
        let user = self.shoppers.intern(&user_name(user));
        self.histories.merge(guest, user);
        self.shown.merge(guest, user);
        let published = Shopper::PublishedGuest(session.clone());
        if let Some(published) = self.shopper(&published).filter(|&guest| self.histories.n_events(guest) > 0) {
            self.histories.merge(published, user);
            self.shown.merge(published, user);
        }
    }

    fn uncount_descriptors(&mut self, before: Option<User>) {
        if let Some(before) = before {
            self.shared_descriptors.remove(&shopper_descriptors(&before.attributes));
        }
    }

    fn apply_published(&mut self, received_at: Timestamp, record: &PublishedRecord) {
        match record {
            PublishedRecord::Inert { why, .. } => *self.published.inert.entry(*why).or_default() += 1,
            PublishedRecord::Refusals { kept, counted } => {
                self.published.kept_refusals.add(received_at, *kept);
                for (reason, n) in counted {
                    self.published.n_counted += n;
                    self.counters.add_quarantined(reason, *n);
                }
            }
        }
    }

    fn apply_event(&mut self, record: &Record, checked: &CheckedEvent) {
        let offset = record.offset;
        let CheckedEvent { event, repairs, .. } = checked;
        let known = event.item.as_ref().and_then(|item| known_item(&self.items, &self.catalogue, item));
        self.statistics.observe(event, known);
        if repairs.is_empty() {
            self.counters.accepted += 1;
        } else {
            self.counters.count_repaired(repairs.iter().map(|code| &**code));
        }
        self.stream_time = self.stream_time.max(event.at);
        self.ledger.pass(event, record.received_at, checked.is_traffic());
        let is_evidence = checked.is_evidence();
        if is_evidence {
            self.draws.observe(event, record.received_at);
        }
        let n_shoppers = self.shoppers.len();
        let shopper = self.shoppers.intern(&shopper_name(&event.shopper()));
        if self.shoppers.len() > n_shoppers && event.id.is_published() {
            self.published.add_shopper(record.received_at);
        }
        if let EventType::Custom(name) = &event.event_type
            && self.types.len() < MAX_CUSTOM_TYPES
        {
            self.types.intern(name);
        }
        let before_ms = self.histories.last_ms(shopper);
        self.satisfaction.observe(event, shopper, before_ms);
        if let Some(item) = &event.item {
            let item = self.intern_item(offset, item);
            if !checked.is_for_own_pages() {
                self.searches.observe(event, item);
            }
            self.shown.observe(&event.event_type, shopper, item, event.at.0);
            if let Some(entry) = self.catalogue.get(item as usize).filter(|_| is_evidence) {
                let described = entry.known().map(|entry| &entry.item);
                self.new_products.observe(event, item, described, record.received_at);
            }
        }
        if let Some(interaction) = self.interaction(event) {
            self.histories.push(&interaction);
        }
    }

    fn intern_item(&mut self, offset: Offset, id: &ItemId) -> ItemIdx {
        let index = self.items.intern(id.as_str());
        if index as usize == self.catalogue.len() {
            self.catalogue_changed = offset.next();
            let place = CataloguePlace::named(id.clone());
            self.overview.add(index, &place.read());
            self.catalogue.push(place);
            self.products.add(index, id.as_str());
        }
        index
    }

    fn describe(&mut self, offset: Offset, item: Item) {
        let id = item.id.clone();
        self.edit_item(offset, &id, |entry| *entry = CatalogueEntry { item, described: true, retired: false });
    }

    /// What is known of an item before a description.
    fn earlier(&self, id: &ItemId) -> Earlier {
        let item = self.items.get(id.as_str());
        Earlier::of(item.and_then(|item| self.catalogue.get(item as usize)))
    }

    /// Tells the library of new products of a description.
    fn note_new(&mut self, id: &ItemId, earlier: Earlier, received_at: Timestamp) {
        let Some(item) = self.items.get(id.as_str()) else { return };
        let Some(entry) = self.catalogue.get(item as usize) else { return };
        let has_events = self.stream_time != Timestamp::default();
        let at_ms = if has_events { self.stream_time.0 } else { received_at.0 };
        self.new_products.describe(item, &entry.item, earlier, Now { at_ms, has_events });
    }

    fn edit_item(&mut self, offset: Offset, id: &ItemId, edit: impl FnOnce(&mut CatalogueEntry)) {
        let index = self.intern_item(offset, id);
        let entry = self.catalogue.get_mut(index as usize);
        let entry = entry.make_mut();
        let parent = entry.item.parent.clone();
        self.overview.remove(index, entry);
        edit(entry);
        self.overview.add(index, entry);
        self.columns.change(index, entry);
        self.products.change(index, parent.as_deref(), &self.items, &self.catalogue);
        self.catalogue_changed = offset.next();
    }

    /// The code of an event type: the built-in types in their order, then custom ones in the order of their appearance.
    pub fn type_code(&self, event_type: &EventType) -> Option<u8> {
        let built_in = EventType::BUILT_IN.iter().position(|known| known == event_type);
        let code = match event_type {
            EventType::Custom(name) => EventType::BUILT_IN.len() + self.types.get(name)? as usize,
            _ => built_in?,
        };
        u8::try_from(code).ok()
    }

    /// The event type with that code.
    pub fn type_of(&self, code: u8) -> Option<EventType> {
        let code = usize::from(code);
        match EventType::BUILT_IN.get(code) {
            Some(built_in) => Some(built_in.clone()),
            None => {
                let name = self.types.name((code - EventType::BUILT_IN.len()) as u32)?;
                Some(EventType::Custom(name.into()))
            }
        }
    }

    /// The index of a user or guest, if a record has named them.
    pub fn shopper(&self, shopper: &Shopper) -> Option<ShopperIdx> {
        self.shoppers.get(&shopper_name(shopper))
    }

    /// An item of the catalogue, by index.
    pub fn entry(&self, item: ItemIdx) -> Option<&CataloguePlace> {
        self.catalogue.get(item as usize)
    }

    /// An item's description, with what it lacks from its product.
    pub fn described(&self, item: ItemIdx) -> Option<Described<'_>> {
        let own = &self.entry(item)?.item;
        match self.completing(item) {
            Some((other, is_parent)) => Some(Described::with(own, &self.entry(other)?.item, is_parent)),
            None => Some(own.into()),
        }
    }

    /// [`Facts::described`] as an item.
    pub fn described_item(&self, item: ItemIdx) -> Option<Item> {
        let place = self.entry(item)?;
        match (place.known(), self.completing(item)) {
            // Reading it as an entry would keep one in memory.
            (None, None) => Some(place.read().into_owned().item),
            _ => Some(self.described(item)?.to_item()),
        }
    }

    /// The item whose description has what that of `item` lacks, and whether it is the parent, which has attributes for its
    /// variants too.
    pub fn completing(&self, item: ItemIdx) -> Option<(ItemIdx, bool)> {
        let product = self.products.of(item)?;
        let other = self.products.describing(product, &self.catalogue).filter(|&other| other != item)?;
        Some((other, self.products.parent(product) == Some(other)))
    }

    /// The product that the item is a variant of, if the shop has described it.
    pub fn product_entry(&self, variant: ItemIdx) -> Option<&CatalogueEntry> {
        let parent = self.products.parent(self.products.of(variant)?)?;
        let entry = self.entry(parent)?.known()?;
        Some(entry).filter(|entry| parent != variant && entry.described)
    }

    /// When pages may show an item, without reading its entry where that is not needed: a page asks it of hundreds.
    pub fn on_sale(&self, item: ItemIdx) -> OnSale {
        self.overview.sale(item).on_sale(|| {
            let parent = self.products.parent(self.products.of(item)?).filter(|&parent| parent != item)?;
            Some(self.overview.sale(parent))
        })
    }

    /// A field of the whole catalogue. It is made when it is first asked for.
    pub fn column(&self, field: &ColumnField) -> Arc<Column> {
        self.columns.get(field, &self.catalogue)
    }

    /// The items whose descriptions may change with that of `item`, because it describes their product.
    pub fn described_by(&self, item: ItemIdx) -> &[ItemIdx] {
        let product = self.products.of(item);
        let product = product.filter(|&of| self.products.describing(of, &self.catalogue) == Some(item));
        product.map_or(&[], |product| self.products.variants(product))
    }

    /// All items, by index.
    pub fn entries(&self) -> &[CataloguePlace] {
        &self.catalogue
    }

    /// The catalogue as a whole.
    pub fn overview(&self) -> &Overview {
        &self.overview
    }

    /// An item by its name.
    pub fn find(&self, id: &ItemId) -> Option<&CataloguePlace> {
        self.entry(self.items.get(id.as_str())?)
    }

    /// What the check uses of an item.
    pub fn known_item(&self, id: &ItemId) -> Option<KnownItem<'_>> {
        known_item(&self.items, &self.catalogue, id)
    }

    /// The users that the shop has described, with their indices.
    pub fn described_users(&self) -> impl Iterator<Item = (ShopperIdx, &User)> {
        self.users.iter().map(|(&shopper, user)| (shopper, user))
    }

    /// The description of a user, if there is one.
    pub fn described_user(&self, id: &UserId) -> Option<&User> {
        self.users.get(&self.shoppers.get(&user_name(id))?)
    }

    /// What pages may use of a user's description: the descriptors that several users have.
    pub fn descriptors(&self, id: &UserId) -> Vec<Descriptor> {
        let Some(user) = self.described_user(id) else { return Vec::new() };
        let mut descriptors = shopper_descriptors(&user.attributes);
        descriptors.retain(|descriptor| self.shared_descriptors.counts(descriptor));
        descriptors
    }

    /// A user's description; without attributes for a user that only events have named.
    pub fn user(&self, id: &UserId) -> Option<User> {
        let shopper = self.shoppers.get(&user_name(id))?;
        let bare = || User { id: id.clone(), attributes: Default::default() };
        Some(self.users.get(&shopper).cloned().unwrap_or_else(bare))
    }

    /// The ids of users (without guests), in order of first appearance.
    pub fn user_names(&self) -> impl Iterator<Item = &str> {
        self.shoppers.names().filter_map(|name| name.strip_prefix('u'))
    }
}

fn known_item<'a>(items: &Vocabulary, catalogue: &'a [CataloguePlace], id: &ItemId) -> Option<KnownItem<'a>> {
    let place = catalogue.get(items.get(id.as_str())? as usize)?;
    let Some(CatalogueEntry { item, .. }) = place.known() else { return Some(KnownItem::default()) };
    Some(KnownItem { price: item.price, category: item.categories.first().map(|category| &**category) })
}
