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

use std::collections::BTreeMap;
use std::ops::Bound;

use accrue_event::{DAY_MS, Event, EventType, normalised};
use accrue_kernel::exp2;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

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

/// The same as earlier builds saved it (section version 1): events of both kinds in one.
#[derive(Deserialize)]
pub(crate) struct FirstSearches {
    queries: BTreeMap<u64, FirstQueryChoices>,
    common: BTreeMap<Box<str>, u64>,
    positions: Positions,
}

#[derive(Deserialize)]
struct FirstQueryChoices {
    items: Vec<FirstItemChoices>,
    is_common: bool,
    last_ms: i64,
}

#[derive(Deserialize)]
struct FirstItemChoices {
    item: ItemIdx,
    chosen: f32,
    n: f32,
    seen: f32,
    at_ms: i64,
    shoppers: Vec<u32>,
    published: Vec<u32>,
}

impl From<FirstItemChoices> for ItemChoices {
    fn from(first: FirstItemChoices) -> Self {
        let FirstItemChoices { item, chosen, n, seen, at_ms, shoppers, published } = first;
        // Nothing says which kind they were; those of a shop that reports choices itself are mostly its own.
        let mut looks = [Looks::default(); 2];
        looks[usize::from(shoppers.is_empty())] = Looks { n, seen };
        Self { item, chosen, looks, at_ms, shoppers, published }
    }
}

impl From<FirstSearches> for Searches {
    fn from(first: FirstSearches) -> Self {
        let of = |query: FirstQueryChoices| QueryChoices {
            items: query.items.into_iter().map(ItemChoices::from).collect(),
            is_common: query.is_common,
            last_ms: query.last_ms,
        };
        let queries: BTreeMap<u64, QueryChoices> =
            first.queries.into_iter().map(|(key, query)| (key, of(query))).collect();
        // Counts that published keys may have made do not go on deciding how own choices count.
        let has_published = queries.values().flat_map(|query| &query.items).any(|item| !item.published.is_empty());
        let (positions, published) = match has_published {
            true => (Positions::default(), first.positions),
            false => (first.positions, Positions::default()),
        };
        Self { queries, common: first.common, positions, published }
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::Timestamp;
    use accrue_kernel::Draws;

    use super::*;

    fn event(kind: EventType, user: &str, query: &str, position: Option<u32>) -> Event {
        Event {
            id: "e".into(),
            event_type: kind,
            user: Some(user.into()),
            session: None,
            item: None,
            at: Timestamp(1_000),
            value: 1.0,
            quantity: 1,
            price: None,
            query: Some(query.into()),
            source: None,
            recommendation_id: None,
            position,
            properties: Default::default(),
        }
    }

    fn strength(searches: &Searches, query: &str, item: ItemIdx) -> f32 {
        searches.chosen(query, 1_000).iter().find(|chosen| chosen.item == item).map_or(0.0, |chosen| chosen.strength)
    }

    #[test]
    fn an_item_counts_once_several_shoppers_chose_it_after_the_same_words() {
        let mut searches = Searches::default();
        for n in 0..100 {
            searches.observe(&event(EventType::Click, "ann", &format!("Red  mug {}", n % 2), Some(0)), 7);
            searches.observe(&event(EventType::Click, "ann", "red mug", Some(0)), 7);
        }
        searches.observe(&event(EventType::Click, "bob", "red mug", Some(0)), 7);
        assert_eq!(searches.chosen("red mug", 1_000), [], "two shoppers, however often");
        searches.observe(&event(EventType::Click, "eve", " RED mug", Some(0)), 7);
        assert!(strength(&searches, "Red   MUG", 7) > 0.5);
        let common =
            |beginning| searches.common(beginning, 10, 1_000).into_iter().map(|(text, ..)| text).collect::<Vec<_>>();
        assert_eq!(
            (common("re"), common("red mug 0")),
            (vec!["red mug"], vec![]),
            "what one shopper typed stays theirs"
        );
        assert_eq!(searches.chosen("mug red", 1_000), [], "other words");
        searches.observe(&event(EventType::Search, "eve", "red mug", None), 8);
        searches.observe(&event(EventType::Return, "eve", "red mug", None), 8);
        assert_eq!(searches.chosen("red mug", 1_000).len(), 1);
        assert!(searches.chosen("red mug", 1_000 + 300 * DAY_MS)[0].strength < 0.2, "it fades");
    }

    #[test]
    fn events_of_published_keys_weigh_less_and_need_more_shoppers() {
        let mut searches = Searches::default();
        for n in 0..PUBLISHED_SHOPPERS - 1 {
            let mut click = event(EventType::Click, "x", "mug", None);
            (click.user, click.session, click.id) =
                (None, Some(format!("s{n}").as_str().into()), "@publish:web:1".into());
            searches.observe(&click, 7);
        }
        assert_eq!(searches.chosen("mug", 1_000), []);
        searches.observe(&event(EventType::Click, "ann", "mug", None), 7);
        let published = strength(&searches, "mug", 7);
        let mut own = Searches::default();
        (0..PUBLISHED_SHOPPERS).for_each(|n| own.observe(&event(EventType::Click, &n.to_string(), "mug", None), 7));
        assert!(published > 0.0 && strength(&own, "mug", 7) > published);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut searches = Searches::default();
        for n in 0..MAX_QUERIES + 100 {
            let mut click = event(EventType::Click, "ann", &format!("query {n}"), None);
            click.at = Timestamp(n as i64);
            searches.observe(&click, 7);
        }
        assert!(searches.n_queries() <= MAX_QUERIES && searches.n_queries() > MAX_QUERIES / 2);
        for item in 0..10 * MAX_ITEMS as u32 {
            searches.observe(&event(EventType::Click, "ann", "mug", Some(1_000_000)), item);
        }
        assert_eq!(searches.queries[&key("mug").unwrap()].items.len(), MAX_ITEMS);
        assert_eq!(key(&"x".repeat(10_000)), None);
        assert_eq!(key(" \t"), None);
    }

    #[test]
    fn published_choices_take_no_place_from_own_ones() {
        let published = |n: usize, query: &str| {
            let mut click = event(EventType::Cart, "x", query, Some(99));
            (click.user, click.session, click.id) =
                (None, Some(format!("s{n}").as_str().into()), "@publish:web:1".into());
            click.at = Timestamp(2_000 + n as i64);
            click
        };
        let mut searches = Searches::default();
        for shopper in ["ann", "bob", "eve"] {
            searches.observe(&event(EventType::Click, shopper, "red mug", Some(0)), 7);
        }
        let strength_before = strength(&searches, "red mug", 7);
        (0..3 * MAX_ITEMS).for_each(|n| searches.observe(&published(n, "red mug"), 100 + n as u32));
        assert_eq!(strength(&searches, "red mug", 7), strength_before, "items of a query");
        (0..2 * MAX_QUERIES).for_each(|n| searches.observe(&published(n, &format!("query {n}")), 8));
        assert_eq!(strength(&searches, "red mug", 7), strength_before, "queries");
        assert!(searches.n_queries() <= MAX_QUERIES);
        for item in 200..200 + 2 * MAX_ITEMS as u32 {
            searches.observe(&event(EventType::Click, "ann", "red mug", None), item);
        }
        let of_query = &searches.queries[&key("red mug").unwrap()];
        assert!(of_query.items.iter().all(ItemChoices::has_own), "own choices take the places of published ones");
    }

    #[test]
    fn the_bias_of_positions_is_estimated_and_taken_out_of_choices() {
        // Two items are equally good, but one mostly stands below; positions are looked at with these probabilities.
        let looked_at = [1.0, 0.5, 0.25, 0.12];
        let mut searches = Searches::default();
        let mut draws = Draws::new(7, 1, 0);
        for n in 0..20_000_u32 {
            let shopper = format!("u{n}");
            let mut order = [0_u32, 1, 2, 3];
            if draws.below(10) < 3 {
                order.rotate_left(draws.below(4) as usize);
            }
            for (position, &item) in order.iter().enumerate() {
                let at = Some(position as u32);
                searches.observe(&event(EventType::Impression, &shopper, "mug", at), item);
                if draws.uniform() < 0.3 * looked_at[position] {
                    searches.observe(&event(EventType::Click, &shopper, "mug", at), item);
                }
            }
        }
        for (position, truth) in looked_at.iter().enumerate() {
            let found = searches.propensity(position, false);
            assert!((found - truth).abs() < 0.25 * truth + 0.05, "{position}: {found} instead of {truth}");
        }
        let (top, below) = (strength(&searches, "mug", 0), strength(&searches, "mug", 3));
        assert!(below > 0.7 * top && top > 0.7 * below, "{top} {below}");
    }

    #[test]
    fn published_events_do_not_decide_how_own_choices_count() {
        let published = |kind, n: usize, position| {
            let mut event = event(kind, "x", &format!("query {n}"), Some(position));
            (event.user, event.session, event.id) =
                (None, Some(format!("s{n}").as_str().into()), "@publish:web:1".into());
            event
        };
        let fill = |searches: &mut Searches| {
            for n in 0..400 {
                searches.observe(&published(EventType::Impression, n, 0), 1);
                searches.observe(&published(EventType::Impression, n, 3), 2);
            }
            for n in 0..1_800 {
                searches.observe(&published(EventType::Click, n, 0), 3);
            }
        };
        let own = |searches: &mut Searches| {
            for n in 0..16 {
                let (item, position) = if n < 12 { (10, 0) } else { (20, 3) };
                searches.observe(&event(EventType::Click, &format!("u{n}"), "mug", Some(position)), item);
            }
        };
        let (mut flooded, mut plain) = (Searches::default(), Searches::default());
        fill(&mut flooded);
        own(&mut flooded);
        own(&mut plain);
        assert_eq!(flooded.chosen("mug", 1_000), plain.chosen("mug", 1_000));
        assert_eq!(flooded.propensity(3, false), plain.propensity(3, false));
        assert!(flooded.propensity(3, true) < plain.propensity(3, true), "those of published keys by what these say");
        // What is known from own events holds for all.
        for n in 0..400 {
            flooded.observe(&event(EventType::Impression, &format!("v{n}"), "mug", Some(0)), 10);
            flooded.observe(&event(EventType::Impression, &format!("v{n}"), "mug", Some(3)), 20);
        }
        assert_eq!(flooded.propensity(3, true), flooded.propensity(3, false));
    }

    /// The form of section version 1, item by item.
    type Older = (
        BTreeMap<u64, (Vec<(ItemIdx, f32, f32, f32, i64, Vec<u32>, Vec<u32>)>, bool, i64)>,
        BTreeMap<Box<str>, u64>,
        Positions,
    );

    #[test]
    fn what_earlier_builds_saved_is_read() {
        let positions = Positions { shown: vec![500.0], chosen: vec![20.0], expected: vec![30.0] };
        let older = |published: Vec<u32>| -> Older {
            let item = (7, 3.5, 3.0, 9.0, 1_000, vec![1, 2, 3], published);
            ([(9, (vec![item], true, 1_000))].into(), [("mug".into(), 9)].into(), positions.clone())
        };
        let read = |older: Older| -> Searches {
            Searches::from(postcard::from_bytes::<FirstSearches>(&postcard::to_stdvec(&older).unwrap()).unwrap())
        };
        let own = read(older(Vec::new()));
        let looks = [Looks { n: 3.0, seen: 9.0 }, Looks::default()];
        let item = &own.queries[&9].items[0];
        assert_eq!((item.item, item.chosen, item.looks, item.shoppers.len()), (7, 3.5, looks, 3));
        assert_eq!((&own.positions, &own.published), (&positions, &Positions::default()));
        let mixed = read(older(vec![4]));
        assert_eq!((&mixed.positions, &mixed.published), (&Positions::default(), &positions));
        assert_eq!(postcard::from_bytes::<Searches>(&postcard::to_stdvec(&mixed).unwrap()).unwrap(), mixed);
    }
}
