//! The facts: everything that follows from the log without learning. The first of the two folds.
//!
//! In: records in order. Out: names and their indices, the catalogue, histories, what lies in quarantine, the rules'
//! statistics and counters. Applied before a write is acknowledged; rebuilt from the log when missing. Judges nothing:
//! verdicts were written down when the record came in.

use std::sync::Arc;

use accrue_event::{
    Event, EventType, Item, ItemId, ItemPatch, KnownItem, RuleCounters, RuleStatistics, Shopper, Timestamp, User,
    UserId,
};
use serde::{Deserialize, Serialize};

use crate::{
    Body, CheckedEvent, CheckpointWriter, Described, Histories, Interaction, ItemIdx, Offset, PagedMap, PagedVec,
    Products, Record, SectionSource, ShopperIdx, StoreError, Vocabulary, shopper_hash,
};

/// Codes left for a shop's own event types.
const MAX_CUSTOM_TYPES: usize = 54;
/// Items, places of users and places of refused records in a page of a checkpoint.
const ENTRIES: usize = 16;
const USERS: usize = 64;
const REASONS: usize = 4_096;

/// An item as the shop stands with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its description; bare for an item that only events named.
    pub item: Item,
    /// Whether the catalogue described it at all.
    pub described: bool,
    /// No longer sold.
    pub retired: bool,
}

impl Entry {
    /// Whether a page may show it.
    pub fn can_be_shown(&self) -> bool {
        !self.retired && self.item.can_be_shown()
    }
}

/// What an event says by name, where an [`Interaction`] has only numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Names<'a> {
    /// Its type, if that is one of the shop's own.
    pub own_type: Option<&'a EventType>,
    /// Which of the shop's pages, apps or feeds sent it.
    pub source: Option<&'a str>,
    /// [`shopper_hash`] of who it was.
    pub shopper: u64,
}

/// What a record means to those who follow the log, with names resolved to indices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact<'a> {
    /// Nothing to learn from.
    Nothing,
    /// Somebody did something with an item.
    Interaction(Interaction, Names<'a>),
    /// Somebody was shown an item. An impression gives nobody a name: who never did anything, or an item that nothing is known of,
    /// may be resolved by facts that have run ahead, and is to be passed over by a follower that has not seen them.
    Shown(Interaction, Names<'a>),
    /// An item was described, wholly.
    Described(ItemIdx, &'a Item),
    /// Some fields of an item changed.
    Patched(ItemIdx, &'a ItemPatch),
    /// A guest's history became a user's.
    Merged {
        /// The guest.
        guest: ShopperIdx,
        /// The user.
        user: ShopperIdx,
    },
    /// Other settings hold from here on.
    Settings(&'a str),
    /// A version to go on from was chosen.
    Chosen {
        /// Its number.
        version: u64,
        /// Why, for a person.
        why: &'a str,
    },
    /// A challenger replaces what was learned so far.
    Promoted {
        /// What it is and how it was learned, as TOML.
        challenge: &'a str,
        /// Why, for a person.
        why: &'a str,
    },
    /// Suspect records are learned after all.
    WindowReleased {
        /// The first of them.
        from: Offset,
        /// The record after the last.
        to: Offset,
    },
    /// A challenger was refused: what was learned goes on.
    ChallengeRefused {
        /// What it was, as TOML.
        challenge: &'a str,
        /// Why, for a person.
        why: &'a str,
    },
}

/// The fold of the log's facts up to an offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Names of items.
    pub items: Vocabulary,
    /// Names of shoppers: `u` + user, or `g` + session.
    pub shoppers: Vocabulary,
    /// Names of the shop's own event types.
    types: Vocabulary,
    catalogue: PagedVec<Arc<Entry>, ENTRIES>,
    /// Which items are variants of one product.
    #[serde(skip)]
    pub products: Products,
    /// What the shop told of users, by their index.
    users: PagedMap<ShopperIdx, User, USERS>,
    /// What each shopper did lately.
    pub histories: Histories,
    /// Reason by offset of every record that lies in quarantine.
    pub quarantine: PagedMap<Offset, Box<str>, REASONS>,
    /// What the check's rules look at.
    pub statistics: RuleStatistics,
    /// How often each rule did what.
    pub counters: RuleCounters,
    /// Events not kept: known id with the same, and with other content.
    pub duplicates: [u64; 2],
    /// The settings in force.
    pub settings: Box<str>,
    /// The largest `at` of the events so far.
    pub stream_time: Timestamp,
    /// The catalogue's last change lies before this offset.
    pub catalogue_changed: Offset,
    /// Records folded so far.
    pub end: Offset,
}

impl Facts {
    /// The facts of an empty log. `history_capacity` events are kept of each shopper.
    pub fn new(history_capacity: usize) -> Self {
        Self {
            items: Vocabulary::default(),
            shoppers: Vocabulary::default(),
            types: Vocabulary::default(),
            catalogue: PagedVec::default(),
            products: Products::default(),
            users: PagedMap::default(),
            histories: Histories::new(history_capacity),
            quarantine: PagedMap::default(),
            statistics: RuleStatistics::default(),
            counters: RuleCounters::default(),
            duplicates: [0; 2],
            settings: Box::default(),
            stream_time: Timestamp::default(),
            catalogue_changed: Offset(0),
            end: Offset(0),
        }
    }

    /// Writes them into a checkpoint, a section for each part.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        writer.value("facts/items", 1, &self.items)?;
        writer.value("facts/shoppers", 1, &self.shoppers)?;
        writer.value("facts/types", 1, &self.types)?;
        writer.value("facts/catalogue", 1, &self.catalogue)?;
        writer.value("facts/users", 1, &self.users)?;
        writer.value("facts/histories", 1, &self.histories)?;
        writer.value("facts/quarantine", 1, &self.quarantine)?;
        writer.value("facts/rules", 2, &(&self.statistics, &self.counters, self.duplicates))?;
        writer.value("facts/settings", 1, &self.settings)?;
        writer.value("facts/position", 1, &(self.stream_time, self.catalogue_changed, self.end))
    }

    /// Reads them from a checkpoint; `None` if there is a part that this build cannot use, for each of them is needed.
    ///
    /// # Errors
    /// If a section is damaged.
    pub fn load(source: &mut SectionSource<'_>) -> Result<Option<Self>, StoreError> {
        let (items, shoppers) = (source.value("facts/items", 1)?, source.value("facts/shoppers", 1)?);
        let (types, catalogue) = (source.value("facts/types", 1)?, source.value("facts/catalogue", 1)?);
        let (users, histories) = (source.value("facts/users", 1)?, source.value("facts/histories", 1)?);
        let (quarantine, rules) = (source.value("facts/quarantine", 1)?, source.value_since("facts/rules", 1..=2)?);
        let (settings, position) = (source.value("facts/settings", 1)?, source.value("facts/position", 1)?);
        let assemble = || {
            let (statistics, counters, duplicates) = rules?;
            let (stream_time, catalogue_changed, end) = position?;
            let (items, catalogue): (Vocabulary, PagedVec<Arc<Entry>, ENTRIES>) = (items?, catalogue?);
            Some(Self {
                products: Products::of_catalogue(&items, &catalogue),
                items,
                shoppers: shoppers?,
                types: types?,
                catalogue,
                users: users?,
                histories: histories?,
                quarantine: quarantine?,
                statistics,
                counters,
                duplicates,
                settings: settings?,
                stream_time,
                catalogue_changed,
                end,
            })
        };
        Ok(assemble())
    }

    /// Takes the next record in.
    ///
    /// # Panics
    /// If the record is not the next one.
    pub fn apply(&mut self, record: &Record) {
        assert_eq!(record.offset, self.end, "records are folded in order, without a gap");
        match &record.body {
            Body::Tombstone
            | Body::Served(_)
            | Body::Chosen { .. }
            | Body::Promoted { .. }
            | Body::WindowReleased { .. }
            | Body::ChallengeRefused { .. } => {}
            Body::Event(checked) => self.apply_event(record.offset, checked),
            Body::Released { of, event } => {
                self.quarantine.remove(of);
                self.apply_event(record.offset, event);
            }
            Body::Quarantined { reason, .. } => {
                self.counters.count_quarantined(reason);
                self.quarantine.insert(record.offset, reason.clone());
            }
            Body::Dropped { of } => {
                self.quarantine.remove(of);
            }
            Body::Item(item) => self.describe(record.offset, (**item).clone()),
            Body::ItemPatched { id, patch } => {
                self.edit_item(record.offset, id, |entry| {
                    patch.apply(&mut entry.item);
                    entry.described = true;
                });
            }
            Body::ItemRetired(id) => self.edit_item(record.offset, id, |entry| entry.retired = true),
            Body::User(user) => {
                let shopper = self.shoppers.intern(&user_name(&user.id));
                self.users.insert(shopper, user.clone());
            }
            Body::UserRemoved(id) => {
                if let Some(shopper) = self.shoppers.get(&user_name(id)) {
                    self.users.remove(&shopper);
                }
            }
            Body::Merged { session, user } => {
                let guest = self.shoppers.intern(&guest_name(session.as_str()));
                let user = self.shoppers.intern(&user_name(user));
                self.histories.merge(guest, user);
            }
            Body::Settings(settings) => self.settings = settings.clone(),
            Body::Duplicates { same, conflicting } => {
                self.duplicates[0] += same;
                self.duplicates[1] += conflicting;
            }
        }
        self.end = record.offset.next();
    }

    fn apply_event(&mut self, offset: Offset, checked: &CheckedEvent) {
        let CheckedEvent { event, repairs, .. } = checked;
        let known = event.item.as_ref().and_then(|item| known_item(&self.items, &self.catalogue, item));
        self.statistics.observe(event, known);
        if repairs.is_empty() {
            self.counters.accepted += 1;
        } else {
            self.counters.count_repaired(repairs.iter().map(|code| &**code));
        }
        self.stream_time = self.stream_time.max(event.at);
        self.shoppers.intern(&shopper_name(&event.shopper()));
        if let EventType::Custom(name) = &event.event_type
            && self.types.len() < MAX_CUSTOM_TYPES
        {
            self.types.intern(name);
        }
        if let Some(item) = &event.item {
            self.intern_item(offset, item);
        }
        if let Some(interaction) = self.interaction(event) {
            self.histories.push(&interaction);
        }
    }

    fn intern_item(&mut self, offset: Offset, id: &ItemId) -> ItemIdx {
        let index = self.items.intern(id.as_str());
        if index as usize == self.catalogue.len() {
            self.catalogue_changed = offset.next();
            let entry = Entry { item: Item::bare(id.clone()), described: false, retired: false };
            self.catalogue.push(Arc::new(entry));
            self.products.add(index, id.as_str());
        }
        index
    }

    fn describe(&mut self, offset: Offset, item: Item) {
        let id = item.id.clone();
        self.edit_item(offset, &id, |entry| *entry = Entry { item, described: true, retired: false });
    }

    fn edit_item(&mut self, offset: Offset, id: &ItemId, edit: impl FnOnce(&mut Entry)) {
        let index = self.intern_item(offset, id);
        let entry = Arc::make_mut(self.catalogue.get_mut(index as usize));
        let parent = entry.item.parent.clone();
        edit(entry);
        self.products.change(index, parent.as_deref(), &self.items, &self.catalogue);
        self.catalogue_changed = offset.next();
    }

    /// What an applied record means to a follower. Only reads, so it gives the same however far the facts have run ahead.
    pub fn resolve<'a>(&self, record: &'a Record) -> Fact<'a> {
        let item = |id: &ItemId| self.items.get(id.as_str());
        match &record.body {
            Body::Event(checked) => self.happened(&checked.event),
            Body::Released { event, .. } => self.happened(&event.event),
            Body::Item(description) => {
                item(&description.id).map_or(Fact::Nothing, |index| Fact::Described(index, description))
            }
            Body::ItemPatched { id, patch } => item(id).map_or(Fact::Nothing, |index| Fact::Patched(index, patch)),
            Body::Merged { session, user } => {
                let guest = self.shoppers.get(&guest_name(session.as_str()));
                let user = self.shoppers.get(&user_name(user));
                guest.zip(user).map_or(Fact::Nothing, |(guest, user)| Fact::Merged { guest, user })
            }
            Body::Settings(settings) => Fact::Settings(settings),
            Body::Chosen { version, why } => Fact::Chosen { version: *version, why },
            Body::Promoted { challenge, why } => Fact::Promoted { challenge, why },
            Body::WindowReleased { from, to } => Fact::WindowReleased { from: *from, to: *to },
            Body::ChallengeRefused { challenge, why } => Fact::ChallengeRefused { challenge, why },
            _ => Fact::Nothing,
        }
    }

    /// The event with its names resolved; `None` for one that is no choice of the shopper's (an impression, a search without
    /// an item) or with a name that was never applied.
    pub fn interaction(&self, event: &Event) -> Option<Interaction> {
        let is_choice = event.event_type != EventType::Impression;
        is_choice.then(|| self.numbered(event, &event.shopper())).flatten()
    }

    fn happened<'a>(&self, event: &'a Event) -> Fact<'a> {
        let shopper = event.shopper();
        let own_type = Some(&event.event_type).filter(|event_type| matches!(event_type, EventType::Custom(_)));
        let names = Names { own_type, source: event.source.as_deref(), shopper: shopper_hash(&shopper) };
        match self.numbered(event, &shopper) {
            None => Fact::Nothing,
            Some(shown) if event.event_type == EventType::Impression => Fact::Shown(shown, names),
            Some(interaction) => Fact::Interaction(interaction, names),
        }
    }

    /// The event with indices for names.
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

    /// The code of an event type: the built-in ones in their order, then the shop's own as they appeared.
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

    /// The index of a user or guest, if anything is known of them.
    pub fn shopper(&self, shopper: &Shopper) -> Option<ShopperIdx> {
        self.shoppers.get(&shopper_name(shopper))
    }

    /// An item's place in the catalogue.
    pub fn entry(&self, item: ItemIdx) -> Option<&Arc<Entry>> {
        self.catalogue.get(item as usize)
    }

    /// An item's description, with what it lacks from its product.
    pub fn described(&self, item: ItemIdx) -> Option<Described<'_>> {
        let own = &self.entry(item)?.item;
        let Some(product) = self.products.of(item) else { return Some(own.into()) };
        match self.products.describing(product, &self.catalogue).filter(|&other| other != item) {
            Some(other) => {
                let is_parent = self.products.parent(product) == Some(other);
                Some(Described::with(own, &self.entry(other)?.item, is_parent))
            }
            None => Some(own.into()),
        }
    }

    /// The items whose descriptions may change with that of `item`, because it describes their product.
    pub fn described_by(&self, item: ItemIdx) -> &[ItemIdx] {
        let product = self.products.of(item);
        let product = product.filter(|&of| self.products.describing(of, &self.catalogue) == Some(item));
        product.map_or(&[], |product| self.products.variants(product))
    }

    /// All items, by index.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.catalogue
    }

    /// An item by its name.
    pub fn find(&self, id: &ItemId) -> Option<&Arc<Entry>> {
        self.entry(self.items.get(id.as_str())?)
    }

    /// What the check may know of an item.
    pub fn known_item(&self, id: &ItemId) -> Option<KnownItem<'_>> {
        known_item(&self.items, &self.catalogue, id)
    }

    /// What the shop told of a user, if it did.
    pub fn described_user(&self, id: &UserId) -> Option<&User> {
        self.users.get(&self.shoppers.get(&user_name(id))?)
    }

    /// A user's description; a bare one for a user whom only events name.
    pub fn user(&self, id: &UserId) -> Option<User> {
        let shopper = self.shoppers.get(&user_name(id))?;
        let bare = || User { id: id.clone(), attributes: Default::default() };
        Some(self.users.get(&shopper).cloned().unwrap_or_else(bare))
    }

    /// The users known by name (not the guests), in order of first appearance.
    pub fn user_names(&self) -> impl Iterator<Item = &str> {
        self.shoppers.names().filter_map(|name| name.strip_prefix('u'))
    }
}

fn known_item<'a>(items: &Vocabulary, catalogue: &'a [Arc<Entry>], id: &ItemId) -> Option<KnownItem<'a>> {
    let entry = catalogue.get(items.get(id.as_str())? as usize)?;
    Some(KnownItem { price: entry.item.price, category: entry.item.categories.first().map(|category| &**category) })
}

/// A shopper's name in the vocabulary: users and guests may share one, so the first letter tells them apart.
pub fn shopper_name(shopper: &Shopper) -> String {
    match shopper {
        Shopper::User(user) => user_name(user),
        Shopper::Guest(session) => guest_name(session.as_str()),
    }
}

fn user_name(user: &UserId) -> String {
    format!("u{user}")
}

fn guest_name(session: &str) -> String {
    format!("g{session}")
}

/// What a history keeps of a session's name.
pub fn session_hash(session: &str) -> u32 {
    xxhash_rust::xxh3::xxh3_64(session.as_bytes()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, user: &str, item: &str, at_s: i64) -> Body {
        Body::Event(CheckedEvent {
            event: Event {
                id: id.into(),
                event_type: EventType::View,
                user: Some(user.into()),
                session: None,
                item: Some(item.into()),
                at: Timestamp(at_s * 1000),
                value: 1.0,
                quantity: 1,
                price: None,
                query: None,
                source: None,
                recommendation_id: None,
                position: None,
                properties: Default::default(),
            },
            repairs: vec![],
            raw: None,
        })
    }

    fn fold(bodies: Vec<Body>) -> Facts {
        let mut facts = Facts::new(10);
        for (place, body) in bodies.into_iter().enumerate() {
            facts.apply(&Record { offset: Offset(place as u64), received_at: Timestamp(0), body });
        }
        facts
    }

    #[test]
    fn names_get_indices_in_order_of_appearance() {
        let facts = fold(vec![event("1", "ann", "mug", 1), event("2", "bob", "cup", 2), event("3", "ann", "cup", 3)]);
        assert_eq!((facts.items.get("mug"), facts.items.get("cup")), (Some(0), Some(1)));
        assert_eq!(facts.user_names().collect::<Vec<_>>(), ["ann", "bob"]);
        assert_eq!(facts.histories.get(0).past().len(), 2);
        assert_eq!(facts.stream_time, Timestamp(3000));
    }

    #[test]
    fn a_tombstone_changes_nothing_but_the_end() {
        let before = fold(vec![event("1", "ann", "mug", 1)]);
        let mut after = fold(vec![event("1", "ann", "mug", 1), Body::Tombstone]);
        assert_eq!(after.end, Offset(2));
        after.end = before.end;
        assert!(after == before);
    }

    #[test]
    fn a_served_answer_changes_nothing_but_the_end() {
        let served = crate::Served {
            recommendation_id: "r1".into(),
            page: crate::Page::Recommend,
            user: Some("bob".into()),
            session: None,
            version: 3,
            learned: Offset(1),
            first_position: 0,
            items: vec!["cup".into()],
            propensities: Vec::new(),
            arm: None,
            ranks: Vec::new(),
        };
        assert_eq!(served.propensity(0), 1.0, "where no chance was involved");
        let before = fold(vec![event("1", "ann", "mug", 1)]);
        let mut after = fold(vec![event("1", "ann", "mug", 1), Body::Served(Box::new(served))]);
        after.end = before.end;
        assert!(after == before, "neither the shopper nor the item is known by being shown");
    }

    #[test]
    fn a_retired_item_is_hidden_until_it_is_described_again() {
        let item = Item { title: Some("Red mug".into()), ..Item::bare("mug".into()) };
        let describe = || Body::Item(Box::new(item.clone()));
        let retired = fold(vec![describe(), Body::ItemRetired("mug".into())]);
        assert!(!retired.find(&"mug".into()).unwrap().can_be_shown());
        let back = fold(vec![describe(), Body::ItemRetired("mug".into()), describe()]);
        assert!(back.find(&"mug".into()).unwrap().can_be_shown());
    }

    #[test]
    fn facts_come_back_from_their_bytes() {
        let facts = fold(vec![event("1", "ann", "mug", 1), event("2", "bob", "cup", 2)]);
        let back: Facts = postcard::from_bytes(&postcard::to_stdvec(&facts).unwrap()).unwrap();
        assert!(back == facts);
    }
}
