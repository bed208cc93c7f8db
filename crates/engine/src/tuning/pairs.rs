//! Pairs of texts that belong together, from a data folder's log.
//!
//! In: choices. Out: pairs in the order of time, of three kinds: a search text and the item that was chosen after it; two
//! items of one basket; an item's title and the rest of its text. Items have the text that an encoder reads of them. Events
//! of published keys, which anybody may send, and records that were undone make no pair.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use accrue_encode::{Kind, item_text};
use accrue_event::{DAY_MS, Event, EventType, Item, normalised};
use accrue_store::{Body, Facts, ItemIdx, LogReader, Offset, Record};
use accrue_train::SuspectWindow;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::config::Config;
use crate::content::described;
use crate::error::EngineError;
use crate::offline::folded;

/// Records read at once.
const CHUNK: usize = 4_096;
/// Items of a basket that make pairs; one that is larger is a wholesaler's.
const MAX_BASKET: usize = 100;
/// Bytes of a search text that is learned from.
const MAX_QUERY_BYTES: usize = 400;
/// Pairs from choices from which on titles are left out.
const ENOUGH: usize = 1_000;
/// Baskets in memory; of more, those end whose first line is older than a day.
const OPEN_BASKETS: usize = 200_000;
/// Choices after searches that are remembered, so that one of the same shopper makes no second pair; beyond them all are
/// forgotten.
const REMEMBERED: usize = 2_000_000;

/// Why two texts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairKind {
    /// An item was chosen after a search.
    Search,
    /// Two items were bought together.
    Together,
    /// A title and the rest of its item's text.
    Title,
}

impl PairKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Search, Self::Together, Self::Title];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Together => "together",
            Self::Title => "title",
        }
    }
}

/// Two texts that belong together, named by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPair {
    /// Why.
    pub kind: PairKind,
    /// What was searched for; of items, one of them.
    pub query: u32,
    /// The text that belongs to it.
    pub passage: u32,
    /// When it was seen.
    pub at_ms: i64,
    /// The hash of the shopper, or of the item for a title.
    pub shopper: u64,
}

/// Pairs with their texts.
#[derive(Clone, Debug, Default)]
pub struct TextPairs {
    /// The texts.
    pub texts: Vec<(Kind, String)>,
    /// The pairs in the order of time; those of titles come last.
    pub pairs: Vec<TextPair>,
    /// The texts of items, and the rests of texts that belong to titles: what is searched among, by kind.
    pub candidates: BTreeMap<PairKind, Vec<u32>>,
}

/// Which pairs are read.
#[derive(Clone, Debug)]
pub struct PairSettings {
    /// Of these kinds; without any, of searches and baskets, and where those are few of titles.
    pub kinds: Vec<PairKind>,
    /// From the records before this offset.
    pub to: Offset,
    /// The most pairs; of more, the latest.
    pub most: usize,
    /// Of everything random.
    pub seed: u64,
}

/// Reads the pairs of a data folder, also beside a running server.
///
/// # Errors
/// If the folder has no log, or a damaged one.
pub fn text_pairs(dir: &Path, config: &Config, settings: &PairSettings) -> Result<TextPairs, EngineError> {
    let mut log = LogReader::open(config.log_place(dir))?;
    let recovered = folded(&mut log, dir, config, Some(settings.to), true)?;
    let mut reading = Reading::of(&recovered.facts, settings);
    let undone: Vec<SuspectWindow> =
        recovered.learner.lineage().windows().iter().filter(|window| !window.released).cloned().collect();
    drop(recovered);
    let mut from = log.start();
    while from < settings.to {
        let limit = CHUNK.min((settings.to.0 - from.0) as usize);
        let next = log.read(from, limit, |record| {
            if undone.iter().all(|window| !window.contains(record.offset)) {
                reading.take(&record);
            }
        })?;
        if next == from {
            break;
        }
        from = next;
    }
    Ok(reading.ended(settings))
}

/// Texts by their places.
#[derive(Default)]
struct Texts {
    all: Vec<(Kind, String)>,
    places: BTreeMap<(bool, String), u32>,
}

impl Texts {
    fn place(&mut self, kind: Kind, text: String) -> u32 {
        let Self { all, places } = self;
        *places.entry((kind == Kind::Query, text)).or_insert_with_key(|(_, text)| {
            all.push((kind, text.clone()));
            all.len() as u32 - 1
        })
    }
}

/// What was read so far.
struct Reading {
    texts: Texts,
    /// By the item's id, the place of its text.
    items: BTreeMap<Box<str>, u32>,
    titles: Vec<TextPair>,
    rests: Vec<u32>,
    pairs: Vec<TextPair>,
    /// Searches that made a pair: shopper, query, passage.
    seen: BTreeSet<(u64, u32, u32)>,
    /// Baskets that may still grow, with the time of their first line. In the order of their hashes.
    baskets: BTreeMap<u64, Basket>,
    /// The number of baskets at which the next look for those that are over is worth it.
    look_at: usize,
    seed: u64,
    most: usize,
}

#[derive(Default)]
struct Basket {
    at_ms: i64,
    shopper: u64,
    items: Vec<u32>,
}

impl Reading {
    fn of(facts: &Facts, &PairSettings { seed, most, .. }: &PairSettings) -> Self {
        let (mut texts, mut items) = (Texts::default(), BTreeMap::new());
        let (mut titles, mut rests) = (Vec::new(), BTreeSet::new());
        for number in 0..facts.entries().len() as ItemIdx {
            let Some(item) = described(facts, number) else { continue };
            let Some(text) = item_text(&item) else { continue };
            items.insert(item.id.as_str().into(), texts.place(Kind::Passage, text));
            let title = item_text(&Item { title: item.title.clone(), ..Item::bare(item.id.clone()) });
            let rest = item_text(&Item { title: None, ..item.clone() });
            if let (Some(title), Some(rest)) = (title, rest) {
                let (query, passage) = (texts.place(Kind::Passage, title), texts.place(Kind::Passage, rest));
                rests.insert(passage);
                let shopper = hash(item.id.as_str(), seed);
                titles.push(TextPair { kind: PairKind::Title, query, passage, at_ms: 0, shopper });
            }
        }
        // A share of the items is held out, whatever the order in which they were described.
        titles.sort_unstable_by_key(|pair| pair.shopper);
        let rests = rests.into_iter().collect();
        Self {
            texts,
            items,
            titles,
            rests,
            pairs: Vec::new(),
            seen: BTreeSet::new(),
            baskets: BTreeMap::new(),
            look_at: OPEN_BASKETS,
            seed,
            most,
        }
    }

    fn take(&mut self, record: &Record) {
        let (Body::Event(checked) | Body::Released { event: checked, .. }) = &record.body else { return };
        let event = &checked.event;
        let Some(item) = event.item.as_ref().and_then(|item| self.items.get(item.as_str())).copied() else { return };
        let is_bought = matches!(event.event_type, EventType::Cart | EventType::Purchase);
        let is_chosen =
            is_bought || matches!(event.event_type, EventType::Click | EventType::View | EventType::Favorite);
        if !is_chosen || event.id.is_published() {
            return;
        }
        let shopper = hash(&format!("{:?}", event.visitor()), 0);
        self.search(event, shopper, item);
        if is_bought {
            self.basket(event, shopper, item);
        }
    }

    /// A choice after a search: once for each shopper.
    fn search(&mut self, event: &Event, shopper: u64, passage: u32) {
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        let Some(query) = event.query.as_deref().filter(|query| query.len() <= MAX_QUERY_BYTES) else { return };
        let words = normalised(query).split_whitespace().collect::<Vec<_>>().join(" ");
        if words.is_empty() {
            return;
        }
        let query = self.texts.place(Kind::Query, words);
        if self.seen.insert((shopper, query, passage)) {
            let at_ms = event.at.0;
            self.pairs.push(TextPair { kind: PairKind::Search, query, passage, at_ms, shopper });
        }
    }

    /// A line of a basket: the events of one session, or of one time where there is none.
    fn basket(&mut self, event: &Event, shopper: u64, item: u32) {
        let session = event.session.as_ref().map(|session| session.as_str());
        let key = match session {
            Some(session) => hash(session, shopper),
            None => hash(&event.at.0.to_string(), shopper),
        };
        let basket =
            self.baskets.entry(key).or_insert_with(|| Basket { at_ms: event.at.0, shopper, items: Vec::new() });
        if basket.items.len() <= MAX_BASKET && !basket.items.contains(&item) {
            basket.items.push(item);
        }
        if self.baskets.len() > self.look_at {
            self.together(event.at.0 - DAY_MS);
            self.look_at = OPEN_BASKETS.max(2 * self.baskets.len());
        }
    }

    /// Every item of a basket with another one of it, drawn by chance; of the baskets that began before a time.
    fn together(&mut self, before_ms: i64) {
        let (ended, open) =
            std::mem::take(&mut self.baskets).into_iter().partition(|(_, basket)| basket.at_ms < before_ms);
        self.baskets = open;
        let ended: BTreeMap<u64, Basket> = ended;
        for (key, Basket { at_ms, shopper, items }) in ended {
            let n = items.len();
            if !(2..=MAX_BASKET).contains(&n) {
                continue;
            }
            for (place, &query) in items.iter().enumerate() {
                let drawn = xxh3_64_with_seed(&key.to_le_bytes(), self.seed ^ place as u64) as usize % (n - 1);
                let passage = items[drawn + usize::from(drawn >= place)];
                self.pairs.push(TextPair { kind: PairKind::Together, query, passage, at_ms, shopper });
            }
        }
        // The latest are kept in the end, so that earlier ones need not be remembered.
        if self.pairs.len() > 4 * self.most {
            self.pairs.sort_by_key(|pair| pair.at_ms);
            self.pairs.drain(..self.pairs.len() - 2 * self.most);
        }
    }

    fn ended(mut self, settings: &PairSettings) -> TextPairs {
        self.together(i64::MAX);
        let mut pairs = std::mem::take(&mut self.pairs);
        let wants = |kind| settings.kinds.is_empty() || settings.kinds.contains(&kind);
        pairs.retain(|pair| wants(pair.kind));
        // The order of equal times is that of the log for searches; baskets come in the order of their hashes.
        pairs.sort_by_key(|pair| pair.at_ms);
        pairs.drain(..pairs.len().saturating_sub(settings.most));
        let wants_titles = match settings.kinds.is_empty() {
            true => pairs.len() < ENOUGH,
            false => wants(PairKind::Title),
        };
        let room = settings.most - pairs.len();
        pairs.extend(self.titles.into_iter().filter(|_| wants_titles).take(room));
        let of_items: Vec<u32> = self.items.into_values().collect::<BTreeSet<u32>>().into_iter().collect();
        let candidates = BTreeMap::from([
            (PairKind::Search, of_items.clone()),
            (PairKind::Together, of_items),
            (PairKind::Title, self.rests),
        ]);
        TextPairs { texts: self.texts.all, pairs, candidates }
    }
}

fn hash(text: &str, seed: u64) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), seed)
}
