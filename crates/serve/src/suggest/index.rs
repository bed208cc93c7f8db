//! The texts that can be suggested, found by their words: titles, brands and categories of items that are sold.

use std::collections::{BTreeMap, HashMap};

use accrue_event::{Item, normalised};
use accrue_store::ItemIdx;
use serde::Serialize;

use super::words::words;

/// Texts that are compared for one answer, in the order of the words; the best sellers are always among them.
pub(super) const MAX_COMPARED: usize = 2_000;

/// What a suggestion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionKind {
    /// What other shoppers searched for, and found.
    Query,
    /// An item, by its title.
    Item,
    /// A category.
    Category,
    /// A brand.
    Brand,
}

/// A text that can be suggested.
#[derive(Clone, Debug)]
pub(super) struct SuggestedText {
    pub(super) kind: SuggestionKind,
    pub(super) text: Box<str>,
    /// The items that have it, sorted; empty if the place is free.
    pub(super) items: Vec<ItemIdx>,
}

/// The entries of one item.
#[derive(Clone, Debug, Default)]
struct ItemTexts {
    /// Of the texts; an item whose other fields change is not looked at again.
    hash: u64,
    entries: Box<[u32]>,
}

/// The words of all titles, brands and categories.
#[derive(Clone, Debug, Default)]
pub struct Suggestions {
    pub(super) entries: Vec<SuggestedText>,
    free: Vec<u32>,
    /// The entries of each kind and text without case. Only looked up.
    places: HashMap<(SuggestionKind, Box<str>), u32>,
    /// The entries that have a word, sorted.
    pub(super) words: BTreeMap<Box<str>, Vec<u32>>,
    slots: Vec<ItemTexts>,
}

impl Suggestions {
    /// Texts that can be suggested.
    pub fn n_texts(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Takes in how an item is described now; `None` for one that is no longer sold.
    pub fn set(&mut self, item: ItemIdx, described: Option<&Item>) {
        let place = item as usize;
        if self.slots.len() <= place {
            self.slots.resize(place + 1, ItemTexts::default());
        }
        let texts = described.map(texts).unwrap_or_default();
        let hash = hash_of(&texts);
        if self.slots[place].hash == hash {
            return;
        }
        let before = std::mem::take(&mut self.slots[place].entries);
        let mut entries: Vec<u32> = texts.into_iter().map(|(kind, text)| self.join(item, kind, text)).collect();
        entries.sort_unstable();
        entries.dedup();
        before
            .iter()
            .filter(|&&entry| entries.binary_search(&entry).is_err())
            .for_each(|&entry| self.leave(item, entry));
        self.slots[place] = ItemTexts { hash, entries: entries.into() };
    }

    fn join(&mut self, item: ItemIdx, kind: SuggestionKind, text: &str) -> u32 {
        let key = (kind, Box::from(&*normalised(text)));
        let entry = match self.places.get(&key) {
            Some(&entry) => entry,
            None => {
                let new = SuggestedText { kind, text: text.into(), items: Vec::new() };
                let entry = match self.free.pop() {
                    Some(entry) => {
                        self.entries[entry as usize] = new;
                        entry
                    }
                    None => {
                        self.entries.push(new);
                        (self.entries.len() - 1) as u32
                    }
                };
                self.places.insert(key, entry);
                for word in distinct_words(text) {
                    let postings = self.words.entry(word.into()).or_default();
                    if let Err(place) = postings.binary_search(&entry) {
                        postings.insert(place, entry);
                    }
                }
                entry
            }
        };
        let items = &mut self.entries[entry as usize].items;
        if let Err(place) = items.binary_search(&item) {
            items.insert(place, item);
        }
        entry
    }

    fn leave(&mut self, item: ItemIdx, entry: u32) {
        let SuggestedText { kind, text, items } = &mut self.entries[entry as usize];
        if let Ok(place) = items.binary_search(&item) {
            items.remove(place);
        }
        if !items.is_empty() {
            return;
        }
        for word in distinct_words(text) {
            if let Some(postings) = self.words.get_mut(word.as_str()) {
                postings.retain(|other| *other != entry);
                if postings.is_empty() {
                    self.words.remove(word.as_str());
                }
            }
        }
        self.places.remove(&(*kind, Box::from(&*normalised(text))));
        self.free.push(entry);
    }

    /// The entry of an item's title.
    pub(super) fn title_of(&self, item: ItemIdx) -> Option<u32> {
        let entries = &self.slots.get(item as usize)?.entries;
        entries.iter().copied().find(|&entry| self.entries[entry as usize].kind == SuggestionKind::Item)
    }
}

/// The texts of an item that can be suggested.
fn texts(item: &Item) -> Vec<(SuggestionKind, &str)> {
    let of = |kind| move |text| (kind, text);
    let title = item.title.as_deref().map(of(SuggestionKind::Item));
    let brand = item.brand.as_deref().map(of(SuggestionKind::Brand));
    let categories = item.categories.iter().map(|text| &**text).map(of(SuggestionKind::Category));
    title.into_iter().chain(brand).chain(categories).collect()
}

/// 0 for an item without a text.
fn hash_of(texts: &[(SuggestionKind, &str)]) -> u64 {
    use std::hash::{Hash, Hasher};
    if texts.is_empty() {
        return 0;
    }
    let mut hasher = std::hash::DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish().max(1)
}

fn distinct_words(text: &str) -> Vec<String> {
    let mut all = words(text);
    all.sort_unstable();
    all.dedup();
    all
}
