//! What shoppers chose after a search: which items for which words, and how much of it the position explains.
//!
//! In: events that name a query, in log order. Out: for a query the items that several different shoppers chose after
//! it, each with a strength from 0 to 1. It is a fold of the facts, so a choice counts for the next search as soon as
//! it is acknowledged; it is bounded, saved in checkpoints, part of the digest, and gone with the records of a person.
//!
//! **Position bias.** A choice at a low position says more than one at the top, which every visitor sees. Each choice
//! counts `1/θ(position)`, at most [`MAX_WEIGHT`] (inverse propensity weighting: Joachims, Swaminathan, Schnabel,
//! *Unbiased learning-to-rank with biased feedback*, WSDM 2017). θ, the probability that a position is looked at
//! compared with the first, is estimated from impressions and choices that name a position: choices there, divided by
//! what the items that stood there would have got anywhere (the position-based model as Wang et al., *Position bias
//! estimation for unbiased learning to rank in personal search*, WSDM 2018, fit it, taken one event at a time). As long
//! as a position has fewer than [`ENOUGH`] impressions, θ is `1/√(1 + position)`. Events of the shop's own and those of
//! published keys, which say of positions what their sender wants, are counted apart: θ is that of own events once the
//! first position has [`ENOUGH`] of their impressions. Until then, choices of own events count by the prior, and those of
//! published keys by the θ of their own kind.
//!
//! **Enough evidence.** An item counts once [`SHOPPERS`] different shoppers have chosen it after the query; events of
//! published keys, which anybody may send, weigh [`PUBLISHED`] and need [`PUBLISHED_SHOPPERS`].

mod first;

use std::collections::BTreeMap;
use std::ops::Bound;

use accrue_event::{DAY_MS, Event, EventType, normalised};
use accrue_kernel::exp2;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use self::first::FirstSearches;
use crate::ItemIdx;
use crate::split::shopper_hash;

/// Queries that are remembered. Beyond them those make room after which no event of the shop's own chose, or that were
/// chosen after longest ago.
pub const MAX_QUERIES: usize = 20_000;
/// Items of a query that are remembered; the weakest makes room, first of those that only published keys reported.
const MAX_ITEMS: usize = 24;
/// Longest query that is remembered, in bytes.
pub(crate) const MAX_QUERY_BYTES: usize = 100;
/// Different shoppers without whom an item does not count.
pub const SHOPPERS: usize = 3;
/// The same if most of them are known from published keys alone.
pub const PUBLISHED_SHOPPERS: usize = 10;
/// What a choice that a published key reports is worth.
const PUBLISHED: f32 = 0.25;
/// What a further choice of the same item by the same shopper is worth.
const AGAIN: f32 = 0.25;
/// Half of what choices are worth is gone after this.
const HALF_LIFE_MS: f32 = 30.0 * DAY_MS as f32;
/// The most that the position makes of a choice.
const MAX_WEIGHT: f32 = 10.0;
/// The same of a choice that a published key reports.
const MAX_PUBLISHED_WEIGHT: f32 = 3.0;
/// Choices that the strength is smoothed by.
const SMOOTHING: f32 = 3.0;
/// Positions that are told apart.
const POSITIONS: usize = 50;
/// Impressions of a position from which on its θ is estimated.
const ENOUGH: f32 = 300.0;
/// Choices for an impression, before any is known.
const RATE: f32 = 0.05;
/// Impressions that this rate is worth.
const RATE_WEIGHT: f32 = 10.0;

/// Choices after searches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Searches {
    /// By the hash of the words.
    queries: BTreeMap<u64, QueryChoices>,
    /// Queries after which enough shoppers of own events chose one item, so that their words are not the words of one
    /// person.
    common: BTreeMap<Box<str>, u64>,
    /// By own events.
    positions: Positions,
    /// By events of published keys.
    published: Positions,
}

/// Choices after one query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct QueryChoices {
    items: Vec<ItemChoices>,
    is_common: bool,
    last_ms: i64,
}

/// Choices of one item after one query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ItemChoices {
    item: ItemIdx,
    /// Choices, weighted by what they are worth and by their position, as of `at_ms`.
    chosen: f32,
    /// Choices and impressions of own events, and of events of published keys.
    looks: [Looks; 2],
    at_ms: i64,
    /// Hashes of the different shoppers of own events, and of those of published keys.
    shoppers: Vec<u32>,
    published: Vec<u32>,
}

/// Choices of an item after a query, and how often it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Looks {
    /// Choices.
    n: f32,
    /// Impressions, each weighted by how likely its position is looked at.
    seen: f32,
}

/// What is known of positions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Positions {
    /// By position: impressions, choices, and the choices that were expected of the items that stood there.
    shown: Vec<f32>,
    chosen: Vec<f32>,
    expected: Vec<f32>,
}

/// An item that was chosen after a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// The item.
    pub item: ItemIdx,
    /// How often, compared with the item that was chosen most: 0 to 1.
    pub strength: f32,
    /// Different shoppers, as far as they are counted.
    pub n_shoppers: usize,
}

/// The words of a query in the form in which equal searches are equal; `None` if there are none, or too many.
pub(crate) fn words(query: &str) -> Option<String> {
    if query.len() > 4 * MAX_QUERY_BYTES {
        return None;
    }
    let folded = normalised(query);
    let words: Vec<&str> = folded.split_whitespace().collect();
    let text = words.join(" ");
    (!text.is_empty() && text.len() <= MAX_QUERY_BYTES).then_some(text)
}

fn key(query: &str) -> Option<u64> {
    words(query).map(|text| xxh3_64(text.as_bytes()))
}

/// What a choice of this type is worth; 0 for one that is none.
fn worth(event_type: &EventType) -> f32 {
    match event_type {
        EventType::View | EventType::Click => 1.0,
        EventType::Favorite => 2.0,
        EventType::Cart => 3.0,
        EventType::Purchase => 5.0,
        _ => 0.0,
    }
}

impl Searches {
    /// Takes in an event about an item. Only impressions and choices with a query count.
    pub fn observe(&mut self, event: &Event, item: ItemIdx) {
        let worth = worth(&event.event_type);
        let is_impression = event.event_type == EventType::Impression;
        if worth == 0.0 && !is_impression {
            return;
        }
        let Some(key) = event.query.as_deref().and_then(key) else { return };
        let position = event.position.map(|position| position as usize);
        let is_published = event.id.is_published();
        let seen = position.map_or(1.0, |position| self.positions_of(is_published).propensity(position));
        if is_impression {
            // Items without a choice are not remembered for their impressions; their rate is the usual one.
            let rate = match self.queries.remove(&key) {
                None => RATE,
                Some(mut query) => {
                    let rate = query.see(item, seen, is_published, event.at.0);
                    self.queries.insert(key, query);
                    rate
                }
            };
            self.positions_by(is_published).show(position, rate);
            return;
        }
        self.positions_by(is_published).choose(position);
        let mut query = self.queries.remove(&key).unwrap_or_default();
        // The position of an event of a published key is what its sender says it is.
        let most = if is_published { MAX_PUBLISHED_WEIGHT } else { MAX_WEIGHT };
        let weight = (1.0 / seen).min(most);
        query.choose(item, worth * weight, event);
        self.make_room();
        if !query.is_common && query.items.iter().any(|item| item.shoppers.len() >= SHOPPERS) {
            query.is_common = true;
            self.common.extend(event.query.as_deref().and_then(words).map(|text| (text.into(), key)));
        }
        self.queries.insert(key, query);
    }

    /// The items that enough shoppers chose after this query, by item.
    pub fn chosen(&self, query: &str, now_ms: i64) -> Vec<Chosen> {
        let Some(query) = key(query).and_then(|key| self.queries.get(&key)) else { return Vec::new() };
        let most = query.items.iter().map(|item| item.chosen_at(now_ms)).fold(0.0, f32::max);
        let counted = query.items.iter().filter(|item| item.is_enough()).map(|item| Chosen {
            item: item.item,
            strength: item.chosen_at(now_ms) / (most + SMOOTHING),
            n_shoppers: item.shoppers.len() + item.published.len(),
        });
        let mut counted: Vec<Chosen> = counted.collect();
        counted.sort_unstable_by_key(|chosen| chosen.item);
        counted
    }

    /// The queries of several different shoppers that begin with this text, at most `n`, each with the items that were
    /// chosen after it and how much was chosen in all.
    pub fn common(&self, beginning: &str, n: usize, now_ms: i64) -> Vec<(&str, Vec<ItemIdx>, f32)> {
        let Some(text) = words(beginning) else { return Vec::new() };
        let from = (Bound::Included(text.as_str()), Bound::Unbounded);
        let begins = self.common.range::<str, _>(from).take_while(|(known, _)| known.starts_with(&text)).take(n);
        let with_items = begins.filter_map(|(known, key)| {
            let query = self.queries.get(key)?;
            let own = query.items.iter().filter(|item| item.shoppers.len() >= SHOPPERS).map(|item| item.item);
            let chosen = query.items.iter().map(|item| item.chosen_at(now_ms)).sum();
            Some((&**known, own.collect(), chosen))
        });
        with_items.collect()
    }

    /// The queries of several different shoppers after which most was chosen, at most `n`, as [`Searches::common`] has
    /// them.
    pub fn most_chosen(&self, n: usize, now_ms: i64) -> Vec<(&str, Vec<ItemIdx>, f32)> {
        let chosen = |query: &QueryChoices| query.items.iter().map(|item| item.chosen_at(now_ms)).sum::<f32>();
        let known = self.common.iter().filter_map(|(words, key)| Some((&**words, self.queries.get(key)?)));
        let mut known: Vec<_> = known.map(|(words, query)| (words, query, chosen(query))).collect();
        known.sort_unstable_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(b.0)));
        known.truncate(n);
        let items = |query: &QueryChoices| {
            let mut own: Vec<&ItemChoices> =
                query.items.iter().filter(|item| item.shoppers.len() >= SHOPPERS).collect();
            own.sort_unstable_by(|a, b| b.chosen_at(now_ms).total_cmp(&a.chosen_at(now_ms)).then(a.item.cmp(&b.item)));
            own.iter().map(|item| item.item).collect()
        };
        known.into_iter().map(|(words, query, chosen)| (words, items(query), chosen)).collect()
    }

    /// Queries that are remembered.
    pub fn n_queries(&self) -> usize {
        self.queries.len()
    }

    /// How likely a position is looked at, compared with the first, for a choice of an own or of a published event.
    pub fn propensity(&self, position: usize, is_published: bool) -> f32 {
        self.positions_of(is_published).propensity(position)
    }

    /// The positions by which a choice of an own or of a published event counts. Own events decide about both once they
    /// are enough.
    fn positions_of(&self, is_published: bool) -> &Positions {
        if is_published && !self.positions.is_enough() { &self.published } else { &self.positions }
    }

    /// The position counts that an event updates.
    fn positions_by(&mut self, is_published: bool) -> &mut Positions {
        if is_published { &mut self.published } else { &mut self.positions }
    }

    /// Removes a sixteenth of the queries when there are too many: first those after which only events of published keys
    /// chose, which any visitor of a page can send without end, and among equals those chosen after longest ago.
    fn make_room(&mut self) {
        if self.queries.len() < MAX_QUERIES {
            return;
        }
        let rank = |(key, query): (&u64, &QueryChoices)| (query.has_own(), query.last_ms, *key);
        let mut oldest: Vec<(bool, i64, u64)> = self.queries.iter().map(rank).collect();
        oldest.sort_unstable();
        let mut has_common = false;
        for (_, _, key) in &oldest[..MAX_QUERIES / 16] {
            has_common |= self.queries.remove(key).is_some_and(|query| query.is_common);
        }
        if has_common {
            let queries = &self.queries;
            self.common.retain(|_, key| queries.contains_key(key));
        }
    }
}

impl QueryChoices {
    /// Takes in an impression of an item that was chosen before; its rate of choices per look.
    fn see(&mut self, item: ItemIdx, seen: f32, is_published: bool, at_ms: i64) -> f32 {
        let Some(known) = self.items.iter_mut().find(|known| known.item == item) else { return RATE };
        let rate = known.looks[usize::from(is_published)].rate();
        known.decay(at_ms);
        known.looks[usize::from(is_published)].seen += seen;
        rate
    }

    fn choose(&mut self, item: ItemIdx, weight: f32, event: &Event) {
        let at_ms = event.at.0;
        self.last_ms = self.last_ms.max(at_ms);
        if !self.items.iter().any(|known| known.item == item) {
            if self.items.len() >= MAX_ITEMS && !self.drop_weakest(at_ms, event.id.is_published()) {
                return;
            }
            self.items.push(ItemChoices { item, at_ms, ..ItemChoices::default() });
        }
        let Some(known) = self.items.iter_mut().find(|known| known.item == item) else { return };
        known.decay(at_ms);
        let is_published = event.id.is_published();
        let (shoppers, most) = match is_published {
            true => (&mut known.published, PUBLISHED_SHOPPERS),
            false => (&mut known.shoppers, SHOPPERS.max(8)),
        };
        let shopper = shopper_hash(&event.visitor()) as u32;
        let is_known = shoppers.contains(&shopper);
        if !is_known && shoppers.len() < most {
            shoppers.push(shopper);
        }
        let again = if is_known { AGAIN } else { 1.0 };
        let trust = if is_published { PUBLISHED } else { 1.0 };
        known.chosen += weight * again * trust;
        known.looks[usize::from(is_published)].n += 1.0;
    }
}

impl QueryChoices {
    /// Whether an event of the shop's own chose after it.
    fn has_own(&self) -> bool {
        self.items.iter().any(ItemChoices::has_own)
    }

    /// Drops the weakest item, first of those that only events of published keys chose. What the shop's own events chose
    /// does not make room for such an event; then `false` is returned.
    fn drop_weakest(&mut self, at_ms: i64, for_published: bool) -> bool {
        let rank = |item: &ItemChoices| (item.has_own(), item.chosen_at(at_ms));
        let order = |&a: &usize, &b: &usize| {
            let ((a_own, a_level), (b_own, b_level)) = (rank(&self.items[a]), rank(&self.items[b]));
            a_own.cmp(&b_own).then(a_level.total_cmp(&b_level))
        };
        let weakest = (0..self.items.len()).min_by(order);
        let weakest = weakest.filter(|&place| !for_published || !self.items[place].has_own());
        weakest.map(|place| self.items.swap_remove(place)).is_some()
    }
}

impl ItemChoices {
    fn has_own(&self) -> bool {
        !self.shoppers.is_empty()
    }

    fn is_enough(&self) -> bool {
        self.shoppers.len() >= SHOPPERS || self.shoppers.len() + self.published.len() >= PUBLISHED_SHOPPERS
    }

    fn left(&self, at_ms: i64) -> f32 {
        exp2(-((at_ms - self.at_ms).max(0) as f32 / HALF_LIFE_MS))
    }

    fn chosen_at(&self, at_ms: i64) -> f32 {
        self.chosen * self.left(at_ms)
    }

    fn decay(&mut self, at_ms: i64) {
        let left = self.left(at_ms);
        self.chosen *= left;
        for looks in &mut self.looks {
            (looks.n, looks.seen) = (looks.n * left, looks.seen * left);
        }
        self.at_ms = self.at_ms.max(at_ms);
    }
}

impl Looks {
    /// Choices for each look.
    fn rate(&self) -> f32 {
        ((self.n + RATE * RATE_WEIGHT) / (self.seen + RATE_WEIGHT)).min(1.0)
    }
}

impl Positions {
    fn propensity(&self, position: usize) -> f32 {
        let prior = 1.0 / (1.0 + position as f32).sqrt();
        let of = |place: usize| match (self.shown.get(place), self.expected.get(place)) {
            (Some(&shown), Some(&expected)) if shown >= ENOUGH && expected > 0.0 => {
                Some((self.chosen[place] / expected).max(1e-3))
            }
            _ => None,
        };
        match (of(position), of(0)) {
            (Some(own), Some(first)) => (own / first).clamp(1.0 / MAX_WEIGHT, 1.0),
            _ => prior.max(1.0 / MAX_WEIGHT),
        }
    }

    /// Whether the first position, with which all others are compared, was shown often enough.
    fn is_enough(&self) -> bool {
        self.shown.first().is_some_and(|&shown| shown >= ENOUGH)
    }

    fn show(&mut self, position: Option<usize>, rate: f32) {
        if let Some(place) = self.place(position) {
            self.shown[place] += 1.0;
            self.expected[place] += rate;
        }
    }

    fn choose(&mut self, position: Option<usize>) {
        if let Some(place) = self.place(position) {
            self.chosen[place] += 1.0;
        }
    }

    /// The place of a position, if it is one of those told apart. Beyond a million impressions, all counts are halved,
    /// so that the sums stay exact enough and the latest ones count.
    fn place(&mut self, position: Option<usize>) -> Option<usize> {
        let place = position.filter(|&position| position < POSITIONS)?;
        for counts in [&mut self.shown, &mut self.chosen, &mut self.expected] {
            if counts.len() <= place {
                counts.resize(place + 1, 0.0);
            }
        }
        if self.shown[place] >= 1e6 {
            for counts in [&mut self.shown, &mut self.chosen, &mut self.expected] {
                counts.iter_mut().for_each(|count| *count *= 0.5);
            }
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests;
