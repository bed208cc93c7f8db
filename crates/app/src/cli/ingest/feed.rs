//! Batches into the engine: events in order, products and customers through their own calls.

use std::collections::{BTreeSet, HashMap, HashSet};

use accrue_engine::{Absent, Change, Engine, EngineError, Incoming, Ingested};
use accrue_event::{
    Cell as _, EventId, Item, ItemId, Mapping, RawEvent, RawItem, RawValue, Reason, RecordKind, Undo, clean_id, listed,
};
use accrue_ingest::{Entry, Sample, taken_back};
use accrue_store::SourcePosition;

use super::described::Described;
use super::ids::{columns_of_ids, names_item};
use super::part::{Part, add};
use super::titles::Titles;
use super::{Sink, ids_of_attributes, returns};

/// What became of the items that the files do not name.
pub(super) enum Retirement {
    /// The files are not the whole catalogue.
    NotAsked,
    /// So many were retired.
    Retired(u64),
    /// None was retired.
    Refused(NoRetirement),
}

/// Why no item was retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRetirement {
    #[error("no product was taken")]
    NothingTaken,
    #[error("{n} records cannot be read, and each may be about any product")]
    Unreadable { n: u64 },
    #[error(
        "{n_absent} of the {n_sold} products are not in the files: a part of the catalogue, or other ids? --retire-most retires them"
    )]
    Most { n_absent: usize, n_sold: usize },
}

/// An engine that receives the entries of files.
pub(super) struct Feed {
    engine: Engine,
    /// Items that the facts had before the files.
    n_before: usize,
    /// Which fields each item of the catalogue has, so that lines of events describe an item only once.
    described: HashMap<Box<str>, u32>,
    /// Which fields each variant has from its product, where lines of events name it.
    inherited: HashMap<Box<str>, u32>,
    /// The titles that lines of events have.
    titles: Titles,
    lacking: Described,
    /// Variants that lack something, which their product may have. It may come later.
    variants: Vec<ItemId>,
    /// Whether the catalogue has products that more is known of than lines of events say; `None` if that is to be found
    /// out.
    has_products: Option<bool>,
    /// Items that lines of events describe and a catalogue with products lacks.
    left_unknown: HashSet<ItemId>,
    /// Items are changes of some fields.
    is_patch: bool,
    /// The items that the files name, where they are the whole catalogue.
    listed: Option<Listed>,
    /// Records of the latest batch that say nothing.
    n_skipped: u64,
    /// Products of the catalogue keep what the records do not say of them.
    keeps_the_rest: bool,
}

/// The items that files name, of records that were refused too.
#[derive(Default)]
struct Listed {
    ids: BTreeSet<ItemId>,
    /// Records of which the item cannot be read.
    n_nameless: u64,
    n_taken: u64,
}

impl Feed {
    pub fn new(engine: Engine, is_patch: bool) -> Self {
        let n_before = engine.with_shop(|shop| shop.facts.entries().len());
        Self {
            engine,
            n_before,
            described: HashMap::new(),
            inherited: HashMap::new(),
            titles: Titles::default(),
            lacking: Described::default(),
            variants: Vec::new(),
            has_products: None,
            left_unknown: HashSet::new(),
            is_patch,
            listed: None,
            n_skipped: 0,
            keeps_the_rest: false,
        }
    }

    /// Whether the catalogue has more of an item than a record says that has no column for the rest.
    fn is_known_better(&self, item: &RawItem) -> bool {
        let known = item_id(item).and_then(|id| self.engine.item(&id));
        known.is_some_and(|known| {
            let has_more = |raw: RawItem| present(&raw) & !present(item) != 0;
            let is_own = |name: &str| item.attributes.iter().any(|(own, _)| **own == *name);
            known.attributes.keys().any(|name| !is_own(name)) || as_raw(&known).is_some_and(has_more)
        })
    }

    /// The files are the whole catalogue.
    pub fn for_whole_catalogue(self, is_whole: bool) -> Self {
        Self { listed: is_whole.then(Listed::default), ..self }
    }

    /// Retires the items that the files do not name. A file of which nothing was taken is no catalogue, and a record of
    /// which the item cannot be read may be about any item: then nothing is retired.
    pub fn retire_absent(&mut self, absent: Absent) -> Result<Retirement, EngineError> {
        Ok(match self.listed.take() {
            None => Retirement::NotAsked,
            Some(Listed { n_taken: 0, .. }) => Retirement::Refused(NoRetirement::NothingTaken),
            Some(Listed { n_nameless: 0, ids, .. }) => {
                match self.engine.retire_absent_blocking(self.n_before, ids, absent) {
                    Ok(n) => Retirement::Retired(n),
                    Err(EngineError::UnsafeSync { n_absent, n_sold }) => {
                        Retirement::Refused(NoRetirement::Most { n_absent, n_sold })
                    }
                    Err(error) => return Err(error),
                }
            }
            Some(Listed { n_nameless, .. }) => Retirement::Refused(NoRetirement::Unreadable { n: n_nameless }),
        })
    }

    /// How many items lines of events describe that were not taken into the catalogue, because it has products of its
    /// own.
    pub fn n_left_unknown(&self) -> usize {
        self.left_unknown.len()
    }

    /// Counts the item of an event whose line does not describe it, if a catalogue with products lacks it.
    fn count_unknown(&mut self, event: &RawEvent) {
        if event.item.is_missing() || self.left_unknown.len() >= MAX_LEFT_UNKNOWN {
            return;
        }
        let id = ItemId::from(&*clean_id(&event.item.text()));
        if self.left_unknown.contains(&id) || self.described.contains_key(id.as_str()) || !self.has_products() {
            return;
        }
        match self.engine.item(&id) {
            Some(item) if item != Item::bare(id.clone()) => drop(self.described.insert(id.as_str().into(), 0)),
            _ => drop(self.left_unknown.insert(id)),
        }
    }

    /// The columns that have the ids of the catalogue in a file of events of which the mapping names others for the item.
    pub fn ids_of_catalogue(&self, mapping: &Mapping, sample: &Sample) -> Option<Vec<String>> {
        let share = |column: &str| self.share_of_ids(sample, column);
        let own: Vec<&str> = mapping.fields.get("item").map(|names| names.iter().collect()).unwrap_or_default();
        // Small numbers of pieces are ids of products too, in shops whose ids are small numbers.
        let others = mapping.fields.iter().filter(|(field, _)| ***field != *"item").flat_map(|(_, names)| names.iter());
        let others: HashSet<&str> = others.collect();
        let n_different = |column: &str| sample.texts(column).collect::<HashSet<_>>().len();
        let n_own = own.iter().map(|own| n_different(own)).max().unwrap_or_default();
        let is_candidate = |column: &&String| {
            own.contains(&&***column) || (!others.contains(&***column) && 2 * n_different(column) >= n_own)
        };
        let columns: Vec<String> = sample.columns.iter().filter(is_candidate).cloned().collect();
        columns_of_ids(&own, &columns, share)
    }

    /// The columns that name the items of a file in place of those of a mapping that was recognised. Numbers of orders, lines
    /// and carts are ids too, in shops whose ids are small numbers, and another item makes another event of a row that the log
    /// has. So this is so only where the catalogue has nearly none of the ids that the mapping means and most of those of a
    /// column whose name is one of an item's id.
    pub fn items_in_place_of(&self, mapping: &Mapping, sample: &Sample) -> Option<Vec<String>> {
        let own: Vec<&str> = mapping.fields.get("item").map(|names| names.iter().collect()).unwrap_or_default();
        let share = |column: &str| self.share_of_ids(sample, column);
        let is_better = |column: &String| own.contains(&&**column) || (names_item(column) && share(column) > 0.5);
        let found = self.ids_of_catalogue(mapping, sample)?;
        // What stays among the columns, or becomes the first of them, is not replaced.
        let mut replaced = own.iter().filter(|own| !found.iter().any(|column| *column == **own));
        (replaced.all(|own| share(own) < 0.1) && found.iter().all(is_better)).then_some(found)
    }

    /// The share of a column's texts that are ids of the catalogue.
    fn share_of_ids(&self, sample: &Sample, column: &str) -> f64 {
        let texts: Vec<&str> = sample.texts(column).map(str::trim).filter(|text| !text.is_empty()).collect();
        let is_known = |text: &&&str| {
            let id = ItemId::from(&*clean_id(text));
            self.engine.item(&id).is_some_and(|item| item != Item::bare(id))
        };
        texts.iter().filter(is_known).count() as f64 / texts.len().max(1) as f64
    }

    /// What is to be said of a file of events whose items the catalogue lacks, if another of its columns has the ids of the
    /// catalogue.
    pub fn note_on_ids(&self, file: &str, mapping: &Mapping, sample: &Sample) -> Option<String> {
        let Some(columns) = self.ids_of_catalogue(mapping, sample) else {
            return ids_of_attributes::note(&self.engine, file, mapping, sample);
        };
        let (names, value) = match &columns[..] {
            [one] => (format!("`{one}`"), format!("{one:?}")),
            several => (listed(several), format!("{several:?}")),
        };
        Some(format!(
            "{file}: the ids of the catalogue are in {names}; write `item = {value}` under [fields] into the mapping that --guess prints"
        ))
    }

    /// How many items pages can show, and how many of them have no title.
    pub fn untitled(&self) -> (u64, u64) {
        self.engine.with_shop(|shop| shop.count_untitled())
    }

    /// The fields that an item has from its product, a bit each, as in [`present`].
    fn inherited(&mut self, id: &ItemId) -> u32 {
        if let Some(known) = self.inherited.get(id.as_str()) {
            return *known;
        }
        let product = self.engine.item(id).and_then(|item| item.parent).map(|product| ItemId::from(&*product));
        let product = product.filter(|product| product != id).and_then(|product| self.engine.item(&product));
        let fields = product.as_ref().and_then(as_raw).map_or(0, |mut product| {
            // Stock and availability are those of each variant.
            for name in ["id", "parent", "available", "stock", "published_at"] {
                product.field_mut(name).into_iter().for_each(|field| *field = RawValue::Null);
            }
            present(&product)
        });
        self.inherited.insert(id.as_str().into(), fields);
        fields
    }

    /// Whether the catalogue has products from a source that describes products.
    fn has_products(&mut self) -> bool {
        let of_engine = || {
            self.engine.with_shop(|shop| {
                shop.facts.entries().iter().any(|entry| entry.is_in_catalogue() && is_more_than_a_line(&entry.item))
            })
        };
        *self.has_products.get_or_insert_with(of_engine)
    }

    /// Takes records in their order, and with them how far their source was read, in one commit. What lines of events say of
    /// items comes in a commit before it, and is there already if the same records come again.
    pub fn take_in_order(
        &mut self,
        batch: Vec<Entry>,
        position: Option<SourcePosition>,
    ) -> Result<Ingested, EngineError> {
        let mut news = News::default();
        let mut items = Vec::new();
        let mut changes = Vec::with_capacity(batch.len());
        for entry in batch {
            changes.push(match entry {
                Entry::Event(event, item) => {
                    match item {
                        Some(item) => drop(self.news(*item, &event, &mut news)),
                        None => self.count_unknown(&event),
                    }
                    Change::Event(event)
                }
                Entry::Item(item) if self.is_patch => Change::Patch(item.into()),
                Entry::Item(item) => {
                    items.extend(item_id(&item));
                    Change::Item(item)
                }
                Entry::Patch(patch) => Change::Patch(patch),
                Entry::User(user) => Change::User(user),
                Entry::Undone(event, undo) if undo.is_of_order() => {
                    let lines = returns::of_order(&self.engine, event, undo, &changes)?;
                    self.n_skipped += u64::from(lines.is_empty());
                    changes.extend(lines);
                    continue;
                }
                Entry::Undone(event, undo) => {
                    let id = EventId::from(&*clean_id(&event.id.text()));
                    let is_before = |change: &Change| matches!(change, Change::Event(other) if other.id == event.id);
                    let is_known = || self.engine.has_events(vec![id]).map(|known| known.contains(&true));
                    if undo == Undo::IfKnown && !changes.iter().any(is_before) && !is_known()? {
                        self.n_skipped += 1;
                        continue;
                    }
                    Change::Event(taken_back(event))
                }
                Entry::ItemRemoved(id) => Change::ItemRemoved(id),
                Entry::UserRemoved(id) => Change::UserRemoved(id),
                Entry::Unreadable(refusal) => Change::Refused(refusal),
            });
        }
        if !news.items.is_empty() {
            self.engine.put_items_blocking(news.items, false)?;
        }
        let ingested = self.engine.take_changes(changes, position)?;
        if !items.is_empty() {
            items.iter().filter_map(|id| self.engine.item(id)).for_each(|item| self.lacking.add(&item));
            self.has_products = None;
        }
        Ok(Ingested { offset: ingested.offset.max(self.engine.status().log_end), ..ingested })
    }

    /// Notes the products of a batch of the whole catalogue.
    fn list(&mut self, batch: &[Entry]) {
        let Some(listed) = &mut self.listed else { return };
        for entry in batch {
            match entry {
                Entry::Item(item) => match self.engine.item_id(item) {
                    Some(id) => drop(listed.ids.insert(id)),
                    None => listed.n_nameless += 1,
                },
                // A rule of the mapping refuses what is no product.
                Entry::Unreadable(refusal) => {
                    let is_product = refusal.kind == RecordKind::Items;
                    listed.n_nameless += u64::from(is_product && refusal.rejection.reason == Reason::Malformed);
                }
                Entry::Event(..)
                | Entry::Undone(..)
                | Entry::Patch(_)
                | Entry::User(_)
                | Entry::ItemRemoved(_)
                | Entry::UserRemoved(_) => {}
            }
        }
    }

    /// Counts what was taken of a whole catalogue.
    fn count_listed(&mut self, ingested: &Ingested) {
        if let Some(listed) = &mut self.listed {
            let refused_again = ingested.refused_again.len() as u64;
            listed.n_taken += ingested.accepted + ingested.repaired + ingested.duplicates - refused_again;
        }
    }

    /// The part of a line's description of an item that is still unknown; fields of the catalogue stay. A line makes no
    /// item of a catalogue that has products of its own: what it names may be sold no more, or may be a tip.
    /// A line that the check refuses says nothing.
    fn news(&mut self, mut told: RawItem, event: &RawEvent, batch: &mut News) -> Option<()> {
        // A line at price 0 is a correction or a present, and says nothing about what the item costs.
        if matches!(told.price, RawValue::Int(0)) || matches!(told.price, RawValue::Float(price) if price == 0.0) {
            told.price = RawValue::Null;
        }
        let id = item_id(&told)?;
        // What a variant has from its product is not lacking, and an old order must not say otherwise.
        let inherited = self.inherited(&id);
        let names: Vec<&'static str> = told.fields().map(|(name, _)| name).collect();
        for (place, name) in names.into_iter().enumerate() {
            if inherited & (1 << place) != 0
                && let Some(field) = told.field_mut(name)
            {
                *field = RawValue::Null;
            }
        }
        let fields = present(&told);
        let known = self.described.get(id.as_str()).copied().unwrap_or(0);
        let is_renamed = match &told.title {
            RawValue::Text(title) => {
                let engine = &self.engine;
                self.titles.count(id.as_str(), title, || {
                    let item = engine.item(&id);
                    let product = item.as_ref().and_then(|item| product_of(engine, item));
                    item.into_iter().chain(product).any(|item| item.title.is_some())
                })
            }
            _ => false,
        };
        if fields & !known == 0 && !is_renamed {
            return None;
        }
        if !self.engine.judge_inline(vec![event.clone()]).1.is_empty() {
            return None;
        }
        let item = self.engine.item(&id);
        let product = item.as_ref().and_then(|item| product_of(&self.engine, item));
        leave_out_inherited(&mut told, product.as_ref());
        let is_in_catalogue = item.as_ref().is_some_and(|item| *item != Item::bare(id.clone()));
        if !is_in_catalogue && self.has_products() {
            if self.left_unknown.len() < MAX_LEFT_UNKNOWN {
                self.left_unknown.insert(id);
            }
            return None;
        }
        let held = batch.places.get(id.as_str()).map(|place| batch.items[*place].clone());
        // Orders may be in several currencies, and the price list of the catalogue is in one.
        let is_priced = item.iter().chain(&product).any(|item| item.price.is_some());
        if self.has_products() && is_in_catalogue && is_priced {
            told.currency = RawValue::Null;
        }
        let mut whole = held.or_else(|| item.and_then(|item| as_raw(&item))).unwrap_or_default();
        let known = present(&whole);
        if is_renamed {
            whole.title = RawValue::Null;
        }
        let is_new = present(&told) & !known != 0;
        for (name, value) in told.fields().filter(|(_, value)| !value.is_missing()) {
            if let Some(field) = whole.field_mut(name).filter(|field| field.is_missing()) {
                *field = value.clone();
            }
        }
        self.described.insert(id.as_str().into(), known | fields);
        if is_new || is_renamed {
            batch.put(id.as_str(), whole);
        }
        Some(())
    }
}

impl Feed {
    fn put_items(&mut self, items: Vec<RawItem>) -> Result<Ingested, EngineError> {
        let ids: Vec<ItemId> = items.iter().filter_map(item_id).collect();
        let taken = self.engine.put_items_blocking(items, false)?;
        for item in ids.iter().filter_map(|id| self.engine.item(id)) {
            let may_inherit = item.parent.is_some() && !Described::is_whole(&item);
            if may_inherit && self.variants.len() < MAX_VARIANTS {
                self.variants.push(item.id);
            } else {
                self.lacking.add(&item);
            }
        }
        self.has_products = None;
        self.count_listed(&taken);
        Ok(taken)
    }
}

impl Sink for Feed {
    fn keep_the_rest(&mut self, is_kept: bool) {
        self.keeps_the_rest = is_kept;
    }

    fn described(&self) -> Described {
        let mut described = self.lacking;
        for item in self.variants.iter().filter_map(|id| self.engine.item(id)) {
            match item.parent.as_deref().and_then(|product| self.engine.item(&ItemId::from(product))) {
                Some(product) => described.add_variant(&item, &product),
                None => described.add(&item),
            }
        }
        described
    }

    fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.n_skipped)
    }

    fn take(&mut self, batch: Vec<Entry>) -> Result<Ingested, EngineError> {
        self.list(&batch);
        if batch.iter().any(|entry| matches!(entry, Entry::ItemRemoved(_) | Entry::UserRemoved(_))) {
            let ingested = self.take_in_order(batch, None)?;
            self.count_listed(&ingested);
            return Ok(ingested);
        }
        let mut ingested = Ingested::default();
        let mut events = Part::default();
        let mut items = Part::default();
        let mut patches = Part::default();
        let mut users = Part::default();
        let mut undone = Vec::new();
        let mut news = News::default();
        for (index, entry) in batch.into_iter().enumerate() {
            match entry {
                Entry::Event(event, item) => {
                    match item {
                        Some(item) => drop(self.news(*item, &event, &mut news)),
                        None => self.count_unknown(&event),
                    }
                    events.push(index, Incoming::Record(event));
                }
                Entry::Undone(event, undo) => undone.push((index, event, undo)),
                // A refused record is not read, so any kind will do.
                Entry::Unreadable(refusal) => events.push(index, Incoming::Refused(refusal)),
                Entry::Item(item) if self.is_patch => patches.push(index, item.into()),
                Entry::Item(item) if self.keeps_the_rest && self.is_known_better(&item) => {
                    patches.push(index, item.into());
                }
                Entry::Item(item) => items.push(index, item),
                Entry::Patch(patch) => patches.push(index, patch),
                Entry::User(user) => users.push(index, user),
                // Taken above.
                Entry::ItemRemoved(_) | Entry::UserRemoved(_) => {}
            }
        }
        // Items first, so that the check knows their prices.
        if !news.items.is_empty() {
            self.engine.put_items_blocking(news.items, false)?;
        }
        if !items.entries.is_empty() {
            let taken = self.put_items(items.entries)?;
            add(&mut ingested, taken, &items.places);
        }
        if !patches.entries.is_empty() {
            let taken = self.engine.patch_items_blocking(patches.entries)?;
            add(&mut ingested, taken, &patches.places);
        }
        if !users.entries.is_empty() {
            let taken = self.engine.put_users_blocking(users.entries)?;
            add(&mut ingested, taken, &users.places);
        }
        if !events.entries.is_empty() {
            let taken = self.engine.ingest(events.entries)?;
            add(&mut ingested, taken, &events.places);
        }
        self.n_skipped += returns::take(&self.engine, undone, &mut ingested)?;
        ingested.offset = ingested.offset.max(self.engine.status().log_end);
        ingested.quarantined.sort_by_key(|refused| refused.index);
        Ok(ingested)
    }
}

/// Variants whose products are looked at in the end, at most.
const MAX_VARIANTS: usize = 1_000_000;

/// Items that are counted as left unknown, at most.
const MAX_LEFT_UNKNOWN: usize = 1_000_000;

/// Whether more is known of an item than lines of events say.
fn is_more_than_a_line(item: &Item) -> bool {
    let Item { description, tags, parent, stock, published_at, attributes, .. } = item;
    description.is_some()
        || parent.is_some()
        || stock.is_some()
        || published_at.is_some()
        || !tags.is_empty()
        || !attributes.is_empty()
}

/// The product of the catalogue that an item is a variant of.
fn product_of(engine: &Engine, item: &Item) -> Option<Item> {
    item.parent.as_deref().and_then(|product| engine.item(&ItemId::from(product)))
}

/// Leaves out of what a line says of a variant what the variant has from its product: an old order must not fix the price
/// or the title of a variant that follows its product's.
fn leave_out_inherited(told: &mut RawItem, product: Option<&Item>) {
    let Some(product) = product.and_then(as_raw) else { return };
    for (name, _) in product.fields().filter(|(name, value)| *name != "id" && !value.is_missing()) {
        if let Some(field) = told.field_mut(name) {
            *field = RawValue::Null;
        }
    }
}

/// What the lines of a batch say of items, each item once: a later line adds to what an earlier one says.
#[derive(Default)]
struct News {
    items: Vec<RawItem>,
    places: HashMap<Box<str>, usize>,
}

impl News {
    fn put(&mut self, id: &str, item: RawItem) {
        match self.places.get(id) {
            Some(place) => self.items[*place] = item,
            None => {
                self.places.insert(id.into(), self.items.len());
                self.items.push(item);
            }
        }
    }
}

/// The fields that have a value, a bit each.
fn present(item: &RawItem) -> u32 {
    item.fields().enumerate().filter(|(_, (_, value))| !value.is_missing()).map(|(place, _)| 1 << place).sum()
}

/// The id under which the catalogue has an item.
fn item_id(item: &RawItem) -> Option<ItemId> {
    match &item.id {
        RawValue::Text(id) => Some(ItemId::from(&*clean_id(id))),
        RawValue::Int(id) => Some(ItemId::from(&*id.to_string())),
        _ => None,
    }
}

/// A description as the shop would send it.
fn as_raw(item: &accrue_event::Item) -> Option<RawItem> {
    serde_json::from_str(&serde_json::to_string(item).ok()?).ok()
}
