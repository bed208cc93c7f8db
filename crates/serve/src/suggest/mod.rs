//! Suggestions: what a shopper who is typing may want, before the search.
//!
//! In: the beginning of a text, and whose it is. Out: past queries, titles, brands and categories that begin like it,
//! best first, in plain text. Past queries are those of several different shoppers ([`accrue_store::Searches`]), so
//! that the text of one person is not shown to others. Nothing is suggested that a page would not show: of an item that
//! is sold out, retired or not published yet, nothing, and a brand or category only while it has an item that may be
//! shown.
//!
//! [`Suggestions`] is an index of the words in titles, brands and categories, derived from the catalogue and kept in
//! memory; one writer sets items, any number of readers ask. Each word of a request must be in a text, the last one as
//! the beginning of a word. Where fewer texts than wanted have the words as they are written, texts follow whose words
//! differ by typing errors (`words`): never above exact ones, and never in the first letter or in numbers. Two words also stand for
//! one, and one for two side by side (`spellings`). Of the variants of a product the best one is suggested. What one request
//! may compare is bounded, however many words begin like the last one (`matching`).
//!
//! ```text
//! score = begins · (FLOOR + popularity) · (1 + OWN · own)
//! ```
//!
//! `begins` is 1 if the text begins like the request, and less if a later word does; `popularity` is how the best item
//! sells compared with the leader of the shop; `own` is the part of the shopper's latest choices that are of the same
//! category or brand. Equal scores are ordered by text.

mod matching;
mod spellings;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use accrue_event::{Item, normalised};
use accrue_store::ItemIdx;
use serde::Serialize;

use self::matching::Left;
use self::words::errors_allowed;
pub(crate) use self::words::words;
use crate::shop::Product;
use crate::{Shop, Visitor};

/// Suggestions in one answer, at most.
pub const MAX_SUGGESTIONS: usize = 50;
/// Texts that are compared for one answer, in the order of the words; the best sellers are always among them.
const MAX_COMPARED: usize = 2_000;
/// Best sellers that are compared if the texts are too many.
const MAX_LEADERS: usize = 256;
/// Choices of a shopper that say what they like.
const CHOICES: usize = 50;

/// What a text that never sold is worth.
const FLOOR: f32 = 0.1;
/// Where a later word of a text begins like the request.
const LATER: f32 = 0.7;
/// How much the shopper's own categories count.
const OWN: f32 = 1.0;
/// What brands and categories, which lead to many items, are worth beside titles.
const GROUP: f32 = 1.5;

/// What queries are worth beside titles, and how much must be chosen after one for half of it.
const QUERY: f32 = 2.0;
const HALF: f32 = 20.0;
/// Past queries that are compared for one answer.
const MAX_QUERIES: usize = 500;

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

/// A suggestion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// Plain text, as the shop writes it.
    pub text: Box<str>,
    /// What it is.
    pub kind: SuggestionKind,
    /// The item, for one.
    pub id: Option<Box<str>>,
}

/// The caller that asks for suggestions, and how many it asks for.
#[derive(Clone, Debug, Default)]
pub struct SuggestRequest {
    /// What the shopper has typed so far.
    pub query: String,
    /// The visitor.
    pub visitor: Visitor,
    /// Suggestions wanted, at most [`MAX_SUGGESTIONS`].
    pub n: usize,
}

/// A text that can be suggested.
#[derive(Clone, Debug)]
struct Entry {
    kind: SuggestionKind,
    text: Box<str>,
    /// The items that have it, sorted; empty if the place is free.
    items: Vec<ItemIdx>,
}

/// The entries of one item.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// Of the texts; an item whose other fields change is not looked at again.
    hash: u64,
    entries: Box<[u32]>,
}

/// The words of all titles, brands and categories.
#[derive(Clone, Debug, Default)]
pub struct Suggestions {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// The entries of each kind and text without case. Only looked up.
    places: HashMap<(SuggestionKind, Box<str>), u32>,
    /// The entries that have a word, sorted.
    words: BTreeMap<Box<str>, Vec<u32>>,
    slots: Vec<Slot>,
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
            self.slots.resize(place + 1, Slot::default());
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
        self.slots[place] = Slot { hash, entries: entries.into() };
    }

    fn join(&mut self, item: ItemIdx, kind: SuggestionKind, text: &str) -> u32 {
        let key = (kind, Box::from(&*normalised(text)));
        let entry = match self.places.get(&key) {
            Some(&entry) => entry,
            None => {
                let new = Entry { kind, text: text.into(), items: Vec::new() };
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
        let Entry { kind, text, items } = &mut self.entries[entry as usize];
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
    fn title_of(&self, item: ItemIdx) -> Option<u32> {
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

/// A text that matches, with its score.
struct Scored {
    entry: u32,
    item: ItemIdx,
    score: f32,
}

impl Shop<'_> {
    /// Suggestions for what a shopper is typing. Without a letter or digit there are none.
    pub fn suggest(&self, suggestions: &Suggestions, request: &SuggestRequest) -> Vec<Suggestion> {
        let typed = words(&request.query);
        let n = request.n.min(MAX_SUGGESTIONS);
        if typed.is_empty() || n == 0 {
            return Vec::new();
        }
        let liked = self.liked(&request.visitor);
        let mut left = Left::default();
        let exact = suggestions.matching(&typed, false, &mut left);
        let mut chosen = self.best(suggestions, exact, &typed, &liked);
        chosen.extend(self.otherwise_spelled(suggestions, &typed, &liked, &mut left));
        sort(suggestions, &mut chosen);
        let mut products = HashSet::new();
        self.keep_one_of_each_product(suggestions, &mut chosen, &mut products);
        chosen.truncate(n);
        let mut n_near = 0;
        if chosen.len() < n && typed.iter().any(|word| errors_allowed(word) > 0) {
            let known: HashSet<u32> = chosen.iter().map(|scored| scored.entry).collect();
            let near = suggestions.matching(&typed, true, &mut Left::default());
            let near = near.into_iter().filter(|entry| !known.contains(entry)).collect();
            let mut near = self.best(suggestions, near, &typed, &liked);
            self.keep_one_of_each_product(suggestions, &mut near, &mut products);
            n_near = near.len().min(n - chosen.len());
            chosen.extend(near.into_iter().take(n_near));
        }
        let queries = self.past_queries(&request.query, n);
        let suggestion = |scored: Scored| {
            let Entry { kind, text, .. } = &suggestions.entries[scored.entry as usize];
            let id = (*kind == SuggestionKind::Item).then(|| self.facts.items.name(scored.item)).flatten();
            Suggestion { text: text.clone(), kind: *kind, id: id.map(Box::from) }
        };
        let texts = chosen.into_iter().map(|scored| (scored.score, suggestion(scored)));
        let mut all: Vec<(f32, Suggestion)> = queries.into_iter().chain(texts).collect();
        // A stable sort: queries come before equal texts, and corrected texts stay behind exact ones.
        let n_exact = all.len() - n_near;
        all[..n_exact].sort_by(|(a, _), (b, _)| b.total_cmp(a));
        all.truncate(n);
        all.into_iter().map(|(_, suggestion)| suggestion).collect()
    }

    /// The entries that have the words written together or apart.
    fn otherwise_spelled(
        &self,
        suggestions: &Suggestions,
        typed: &[String],
        liked: &HashMap<Box<str>, f32>,
        left: &mut Left,
    ) -> Vec<Scored> {
        let mut all: Vec<Scored> = Vec::new();
        for spelling in suggestions.spellings(typed) {
            let mut matching = suggestions.matching(&spelling.words, false, left);
            matching.retain(|&entry| spelling.fits(&suggestions.entries[entry as usize].text));
            let scored =
                matching.into_iter().filter_map(|entry| self.score_entry(suggestions, entry, &spelling.words, liked));
            all.extend(scored);
        }
        all
    }

    /// Keeps the first title of each product, as pages show one variant of it; and each other entry once.
    fn keep_one_of_each_product(
        &self,
        suggestions: &Suggestions,
        scored: &mut Vec<Scored>,
        products: &mut HashSet<Product>,
    ) {
        let mut known = HashSet::new();
        scored.retain(|one| {
            let is_item = suggestions.entries[one.entry as usize].kind == SuggestionKind::Item;
            known.insert(one.entry) && (!is_item || products.insert(self.product(one.item)))
        });
    }

    /// What several different shoppers searched for, and chose something after that may still be shown. What was typed
    /// already is not suggested again.
    fn past_queries(&self, typed: &str, n: usize) -> Vec<(f32, Suggestion)> {
        let common = self.facts.searches.common(typed, MAX_QUERIES, self.facts.stream_time.0);
        let is_new = |text: &str| words(text) != words(typed);
        let leads = |items: &[ItemIdx]| items.iter().any(|&item| self.may_recommend(item, None));
        let mut queries: Vec<(f32, Suggestion)> = common
            .into_iter()
            .filter(|(text, items, _)| is_new(text) && !text.contains(['<', '>']) && leads(items))
            .map(|(text, _, chosen)| {
                let suggestion = Suggestion { text: text.into(), kind: SuggestionKind::Query, id: None };
                (QUERY * (FLOOR + chosen / (chosen + HALF)), suggestion)
            })
            .collect();
        queries.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.text.cmp(&other.text)));
        queries.truncate(n);
        queries
    }

    /// The entries that may be shown, best first. Best sellers that match are among them, also if they were not looked
    /// at.
    fn best(
        &self,
        suggestions: &Suggestions,
        mut matching: Vec<u32>,
        typed: &[String],
        liked: &HashMap<Box<str>, f32>,
    ) -> Vec<Scored> {
        if matching.len() >= MAX_COMPARED / 2 {
            let leaders = self.version.ensemble.popularity().leaders(self.facts.stream_time.0);
            let titles = leaders.take(MAX_LEADERS).filter_map(|leader| suggestions.title_of(leader.item));
            matching.extend(titles.filter(|&entry| has_all(&suggestions.entries[entry as usize].text, typed)));
            matching.sort_unstable();
            matching.dedup();
        }
        let mut scored: Vec<Scored> =
            matching.into_iter().filter_map(|entry| self.score_entry(suggestions, entry, typed, liked)).collect();
        sort(suggestions, &mut scored);
        scored
    }

    fn score_entry(
        &self,
        suggestions: &Suggestions,
        entry: u32,
        typed: &[String],
        liked: &HashMap<Box<str>, f32>,
    ) -> Option<Scored> {
        let place = entry;
        let entry = suggestions.entries.get(entry as usize)?;
        let mut best: Option<(f32, ItemIdx)> = None;
        for &item in entry.items.iter().filter(|&&item| self.may_recommend(item, None)) {
            let standing = self.standing(item);
            if best.is_none_or(|(known, _)| standing > known) {
                best = Some((standing, item));
            }
        }
        let (standing, item) = best?;
        let own = match entry.kind {
            _ if liked.is_empty() => 0.0,
            SuggestionKind::Item => self.facts.described(item).map_or(0.0, |item| {
                let part = |text: &str| liked.get(&*normalised(text)).copied().unwrap_or(0.0);
                let category = item.categories().iter().map(|text| part(text)).fold(0.0, f32::max);
                0.5 * (category + item.brand().map_or(0.0, part))
            }),
            _ => liked.get(&*normalised(&entry.text)).copied().unwrap_or(0.0),
        };
        let begins = if begins_like(&entry.text, &typed[0]) { 1.0 } else { LATER };
        let group = if entry.kind == SuggestionKind::Item { 1.0 } else { GROUP };
        let score = begins * group * (FLOOR + standing) * (1.0 + OWN * own);
        Some(Scored { entry: place, item, score })
    }

    /// The part of the visitor's latest choices in each category and brand.
    fn liked(&self, visitor: &Visitor) -> HashMap<Box<str>, f32> {
        let past = self.past(visitor, None, &[]);
        let choices: Vec<ItemIdx> = past.history.past().iter().rev().take(CHOICES).map(|event| event.item).collect();
        let mut liked: HashMap<Box<str>, f32> = HashMap::new();
        for &item in &choices {
            let Some(described) = self.facts.described(item) else { continue };
            let groups: BTreeSet<_> =
                described.categories().iter().map(|text| &**text).chain(described.brand()).map(normalised).collect();
            for group in groups {
                *liked.entry(group.into()).or_default() += 1.0 / choices.len() as f32;
            }
        }
        liked
    }
}

/// Best first; equal scores by text.
fn sort(suggestions: &Suggestions, scored: &mut [Scored]) {
    let text = |entry: u32| &suggestions.entries[entry as usize].text;
    scored.sort_unstable_by(|a, b| {
        b.score.total_cmp(&a.score).then_with(|| text(a.entry).cmp(text(b.entry))).then(a.entry.cmp(&b.entry))
    });
}

/// Whether the first word of a text begins like this one.
fn begins_like(text: &str, typed: &str) -> bool {
    if text.is_ascii() {
        let start = text.as_bytes().get(..typed.len());
        return start.is_some_and(|start| start.eq_ignore_ascii_case(typed.as_bytes()));
    }
    words(text).first().is_some_and(|word| word.starts_with(typed))
}

/// Whether a text has each of these words, the last one as a beginning.
fn has_all(text: &str, typed: &[String]) -> bool {
    let words = words(text);
    let Some((last, whole)) = typed.split_last() else { return false };
    whole.iter().all(|typed| words.contains(typed)) && words.iter().any(|word| word.starts_with(&**last))
}

#[cfg(test)]
mod tests {
    use accrue_event::{Event, EventType, Timestamp};
    use accrue_store::{Body, CheckedEvent, Facts, Record};

    use super::*;
    use crate::fixture::{Fixture, Size, user};

    fn item(id: usize, title: &str, brand: &str, category: &str) -> Item {
        let mut item = Item::bare(format!("i{id}").as_str().into());
        (item.title, item.brand) = (Some(title.into()), Some(brand.into()));
        item.categories = vec![category.into()];
        item.price = accrue_event::Price::new(5.0);
        item
    }

    /// A shop that sells these items, in which nothing was chosen yet.
    struct Case {
        fixture: Fixture,
        facts: Facts,
        suggestions: Suggestions,
    }

    impl Case {
        fn new(items: &[Item]) -> Self {
            let fixture = Fixture::new(Size { n_events: 0, n_unmet: 0, ..Size::default() });
            let mut case = Self { fixture, facts: Facts::new(100), suggestions: Suggestions::default() };
            items.iter().zip(0..).for_each(|(item, place)| case.describe(place, item));
            case
        }

        fn take(&mut self, body: Body) {
            self.facts.apply(&Record { offset: self.facts.end, received_at: Timestamp(0), body });
        }

        fn describe(&mut self, place: ItemIdx, item: &Item) {
            self.take(Body::Item(Box::new(item.clone())));
            let described = self.facts.described(place).unwrap().to_item();
            self.suggestions.set(place, Some(&described));
        }

        fn suggest(&self, query: &str, visitor: Visitor) -> Vec<String> {
            let request = SuggestRequest { query: query.into(), visitor, n: 5 };
            let suggested = Shop { facts: &self.facts, ..self.fixture.shop() }.suggest(&self.suggestions, &request);
            suggested.into_iter().map(|one| format!("{:?} {}", one.kind, one.text).to_lowercase()).collect()
        }

        fn anybody(&self, query: &str) -> Vec<String> {
            self.suggest(query, Visitor::default())
        }
    }

    fn shop() -> Case {
        Case::new(&[
            item(0, "Red lunch bag", "Acme", "Bags"),
            item(1, "Bagpipe", "Bolt", "Music"),
            item(2, "Lunchbox", "Acme", "Kitchen"),
            item(3, "Hot water bottle", "Cask", "Home"),
        ])
    }

    #[test]
    fn titles_brands_and_categories_that_begin_like_the_text_are_suggested() {
        let shop = shop();
        let bag = shop.anybody("ba");
        assert_eq!(
            BTreeSet::from_iter(bag.iter().map(|one| &**one)),
            ["category bags", "item bagpipe", "item red lunch bag"].into()
        );
        assert_eq!(shop.anybody("lunch b"), ["item lunchbox", "item red lunch bag"], "also written together");
        assert_eq!(shop.anybody("AC"), ["brand acme"]);
        assert_eq!(shop.anybody("water hot"), ["item hot water bottle"]);
        for nothing in ["", " ", "?!", "zebra", "lunch zebra"] {
            assert_eq!(shop.anybody(nothing), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn words_are_suggested_written_together_and_apart() {
        let shop = Case::new(&[
            item(0, "Regency cakestand", "Acme", "Kitchen"),
            item(1, "T-Shirt blue", "Bolt", "Wear"),
            item(2, "Tea towel shirt", "Cask", "Home"),
        ]);
        for typed in ["cake st", "cake stand", "regency cake s"] {
            assert_eq!(shop.anybody(typed), ["item regency cakestand"], "{typed}");
        }
        assert_eq!(shop.anybody("tshi"), ["item t-shirt blue"]);
        assert_eq!(shop.anybody("tshirt bl"), ["item t-shirt blue"]);
        assert_eq!(shop.anybody("teashirt"), [""; 0], "the words do not stand side by side");
    }

    #[test]
    fn one_variant_of_a_product_is_suggested() {
        let variant = |id, title: &str| {
            let mut variant = item(id, title, "Acme", "Wear");
            variant.parent = Some("shirt".into());
            variant
        };
        let shop = Case::new(&[
            variant(0, "Linen shirt S"),
            variant(1, "Linen shirt M"),
            item(2, "Linen trousers", "Bolt", "Wear"),
        ]);
        assert_eq!(shop.anybody("linen"), ["item linen shirt m", "item linen trousers"]);
        assert_eq!(shop.anybody("linwn"), ["item linen shirt m", "item linen trousers"], "also with typing errors");
    }

    #[test]
    fn typing_errors_are_forgiven_after_what_matches_as_it_is_written() {
        let shop = shop();
        assert_eq!(shop.anybody("hot wtaer botle"), ["item hot water bottle"]);
        assert_eq!(shop.anybody("luch"), ["item lunchbox", "item red lunch bag"]);
        assert_eq!(shop.anybody("kunch"), [""; 0], "not in the first letter");
    }

    #[test]
    fn what_is_not_shown_is_not_suggested_and_changes_are_followed() {
        let mut shop = shop();
        let mut sold_out = item(1, "Bagpipe", "Bolt", "Music");
        sold_out.stock = Some(0);
        shop.describe(1, &sold_out);
        assert_eq!((shop.anybody("bagpip"), shop.anybody("bol")), (vec![], vec![]));
        shop.describe(1, &item(1, "Violin", "Bolt", "Music"));
        assert_eq!(
            (shop.anybody("bagpip").len(), shop.anybody("viol").len(), &*shop.anybody("bolt")[0]),
            (0, 1, "brand bolt")
        );
        shop.suggestions.set(1, None);
        assert_eq!((shop.anybody("viol").len(), shop.anybody("music").len()), (0, 0));
        (0..4).for_each(|place| shop.suggestions.set(place, None));
        assert!(shop.suggestions.words.is_empty() && shop.suggestions.n_texts() == 0);
    }

    #[test]
    fn a_known_shoppers_categories_come_first() {
        let mut shop = Case::new(&[
            item(0, "Blue bowl", "Acme", "Kitchen"),
            item(1, "Blue ball", "Acme", "Toys"),
            item(2, "Blue boat", "Acme", "Toys"),
        ]);
        let neutral = shop.anybody("blue b");
        assert_eq!(neutral[0], "item blue ball", "equal ones by text");
        let other = Fixture::new(Size { n_items: 1, n_unmet: 0, n_events: 1, ..Size::default() });
        for n in 0..3 {
            let event = Event { user: Some("ann".into()), ..other.event(EventType::Purchase, 0, n) };
            shop.take(Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None }));
        }
        let ann = Visitor { user: Some("ann".into()), session: None };
        assert_eq!(shop.suggest("blue b", ann)[0], "item blue bowl");
        assert_eq!(shop.suggest("blue b", user(99)), neutral);
    }
}
