//! Detection of fresh accounts that act together on one item: its shoppers include a far larger share of newcomers than
//! those of the shop's other items.
//!
//! In: accepted events, in log order. Out: how strongly an item's shoppers of the current day (of event time)
//! contradict the shop's usual share of newcomers. With `f` newcomers among `n` shoppers of the item, and the share `b`
//! of newcomers among the shoppers of all other items, the evidence is the exponent of Chernoff's bound (1952):
//!
//! ```text
//! evidence = n·KL(f/n ‖ b) = f·ln(f/(n·b)) + (n−f)·ln((n−f)/(n·(1−b)))      if f/n > b, else 0
//! ```
//!
//! Each shopper counts once per item and day. Shoppers seen before are kept in Bloom filters (Bloom 1970). Where a
//! filter is wrong, a newcomer counts as an old customer, never the reverse. Tables have a fixed size: under load a
//! count may be lost, so that an attack may pass, but no item is suspected because of another item's shoppers. Two
//! cases cannot be recognised: an advertisement that brings newcomers to one item looks like an attack, and accounts
//! that were opened long before an attack look like customers.

use std::fmt;

use accrue_kernel::ln;
use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Event, EventType, Timestamp};

/// Days after which a shopper is certainly not a newcomer.
const FRESH_DAYS: i64 = 7;
/// Number of items that are counted at a time; each can be at one of two places.
const N_PLACES: usize = 1 << 12;
/// Number of shoppers of other items, of today and of the days before, below which their share of newcomers is not
/// used.
const LEAST_ELSEWHERE: f64 = 100.0;
/// Bits of a filter: at a million shoppers, one newcomer in seven counts as an old customer.
const FILTER_BITS: usize = 1 << 22;
const FILTER_HASHES: u64 = 3;
/// Seeds for the hashes of names.
const ITEM: u64 = 7;
const USER: u64 = 8;
const GUEST: u64 = 9;

/// The shoppers of an item on the current day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Suspicion {
    /// Number of newcomers among them, including the shopper of the event.
    pub fresh: u32,
    /// Number of all of them.
    pub shoppers: u32,
    /// Share of newcomers among the shoppers of other items.
    pub elsewhere: f64,
    /// The exponent of Chernoff's bound.
    pub evidence: f64,
}

/// Shoppers seen before, and today's shoppers by item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Newcomers {
    /// Shoppers seen before the current week.
    settled: Filter,
    /// Shoppers seen in the current week.
    lately: Filter,
    week: i64,
    day: i64,
    items: ItemTable,
    /// Numbers of pairs of a shopper and an item, and of those with a newcomer, on earlier days; a day counts half as
    /// much as the day after it. Days without events are skipped, so that the numbers are still valid after a weekend
    /// without business.
    before: Pairs,
    /// The same numbers for today.
    today: Pairs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pairs {
    all: u64,
    fresh: u64,
}

impl Newcomers {
    /// The evidence against an event; `None` if its shopper is not a newcomer, or if it is not about an item.
    pub(super) fn suspicion(&self, event: &Event) -> Option<Suspicion> {
        let (item, shopper) = keys(event)?;
        let day = event.at.day();
        // In a shop's first week every shopper is a newcomer.
        if day != self.day || self.settled.words.is_empty() || self.settled.contains(shopper) {
            return None;
        }
        let count = self.items.get(item).filter(|count| count.day == day).copied().unwrap_or_default();
        // The event's shopper is added to the count even if the item has already seen a shopper with the same bit.
        // Otherwise every shopper who shares a bit with an accepted one would pass below the bound.
        let (fresh, shoppers) = (count.fresh + 1, count.shoppers + 1);
        let Self { before, today, .. } = self;
        let others = (before.all + today.all).saturating_sub(u64::from(count.shoppers)) as f64;
        let others_fresh = (before.fresh + today.fresh).saturating_sub(u64::from(count.fresh)) as f64;
        if others < LEAST_ELSEWHERE {
            return None;
        }
        // One newcomer is assumed, so that the share is not 0 in a shop that has had none.
        let elsewhere = (others_fresh + 1.0) / (others + 2.0);
        Some(Suspicion { fresh, shoppers, elsewhere, evidence: evidence(fresh, shoppers, elsewhere) })
    }

    /// Adds an accepted event.
    pub(super) fn add(&mut self, event: &Event) {
        let Some((item, shopper)) = keys(event) else { return };
        self.turn(event.at);
        let is_fresh = !self.settled.contains(shopper);
        if is_fresh {
            self.lately.add(shopper);
        }
        // A late event of an earlier day is not counted for today.
        if event.at.day() == self.day && self.items.add(item, shopper, self.day, is_fresh) {
            self.today.all += 1;
            self.today.fresh += u64::from(is_fresh);
        }
    }

    fn turn(&mut self, at: Timestamp) {
        let day = at.day();
        if day > self.day {
            let Pairs { all, fresh } = std::mem::take(&mut self.today);
            self.before = Pairs { all: self.before.all / 2 + all, fresh: self.before.fresh / 2 + fresh };
            self.day = day;
        }
        let week = self.day.div_euclid(FRESH_DAYS);
        if week > self.week {
            self.settled.take(&mut self.lately);
            self.week = week;
        }
    }
}

/// `n·KL(f/n ‖ b)` if the share of newcomers is above `b`, else 0.
fn evidence(fresh: u32, shoppers: u32, elsewhere: f64) -> f64 {
    let (f, n) = (f64::from(fresh), f64::from(shoppers));
    if n == 0.0 || f <= n * elsewhere {
        return 0.0;
    }
    let term = |count: f64, share: f64| match count > 0.0 {
        true => count * f64::from(ln((count / (n * share)) as f32)),
        false => 0.0,
    };
    term(f, elsewhere) + term(n - f, 1.0 - elsewhere)
}

/// Hashes of the item and the shopper; `None` for impressions and searches, which are not deliberate acts on an item.
fn keys(event: &Event) -> Option<(u64, u64)> {
    if matches!(event.event_type, EventType::Impression | EventType::Search) {
        return None;
    }
    let hash = |name: &str, kind: u64| xxh3_64_with_seed(name.as_bytes(), kind);
    // Never 0, which marks a free place.
    let item = hash(event.item.as_ref()?.as_str(), ITEM) | 1;
    let shopper = match (&event.user, &event.session) {
        (_, Some(session)) if event.id.is_published() => hash(session.as_str(), GUEST),
        (Some(user), _) => hash(user.as_str(), USER),
        (None, Some(session)) => hash(session.as_str(), GUEST),
        (None, None) => return None,
    };
    Some((item, shopper))
}

/// A Bloom filter of shoppers: it contains every shopper that was added, and possibly others.
///
/// It is stored in blocks of bytes of one length, so that a shopper who is added changes the bytes of three blocks at
/// most, and a checkpoint writes only those. Before, it was stored as numbers of as many bytes as each needed, so that
/// each added shopper could move all later bytes; that form is still read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Filter {
    /// Empty until the first shopper is added, then always `FILTER_BITS` bits.
    words: Vec<u64>,
}

/// Words of a filter.
const FILTER_WORDS: usize = FILTER_BITS / 64;
/// Words of a block of a stored filter.
const BLOCK_WORDS: usize = 512;

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut blocks = serializer.serialize_seq(Some(self.words.len() / BLOCK_WORDS))?;
        for words in self.words.chunks_exact(BLOCK_WORDS) {
            let is_empty = words.iter().all(|word| *word == 0);
            let words = if is_empty { &[] } else { words };
            blocks.serialize_element(&Block(words.iter().flat_map(|word| word.to_le_bytes()).collect()))?;
        }
        blocks.end()
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FilterVisitor)
    }
}

/// Reads both stored forms; the number of elements tells them apart.
struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the blocks or the words of a filter")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Filter, A::Error> {
        let mut words = Vec::new();
        match seq.size_hint() {
            Some(FILTER_WORDS) => {
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
            }
            _ => {
                while let Some(Block(bytes)) = seq.next_element()? {
                    let end = words.len() + BLOCK_WORDS;
                    words.extend(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)));
                    words.resize(end, 0);
                }
            }
        }
        match words.len() {
            0 | FILTER_WORDS => Ok(Filter { words }),
            n => Err(de::Error::invalid_length(n, &self)),
        }
    }
}

/// A block of a stored filter; without bytes if no bit of it is set.
struct Block(Vec<u8>);

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Block;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a block of a filter")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Block, E> {
                match bytes.is_empty() || bytes.len() == 8 * BLOCK_WORDS {
                    true => Ok(Block(bytes.to_vec())),
                    false => Err(E::invalid_length(bytes.len(), &self)),
                }
            }

            // Formats for people have no bytes, only numbers.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Block, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element::<u8>()? {
                    bytes.push(byte);
                }
                self.visit_bytes(&bytes)
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

impl Filter {
    fn bits(key: u64) -> impl Iterator<Item = usize> {
        let step = key.rotate_left(32) | 1;
        (0..FILTER_HASHES).map(move |nth| key.wrapping_add(nth.wrapping_mul(step)) as usize % FILTER_BITS)
    }

    fn contains(&self, key: u64) -> bool {
        Self::bits(key).all(|bit| self.words.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1))
    }

    fn add(&mut self, key: u64) {
        if self.words.is_empty() {
            self.words = vec![0; FILTER_WORDS];
        }
        Self::bits(key).for_each(|bit| self.words[bit / 64] |= 1 << (bit % 64));
    }

    /// Moves all shoppers of another filter into this one.
    fn take(&mut self, other: &mut Filter) {
        let other = std::mem::take(&mut other.words);
        if self.words.is_empty() {
            self.words = other;
        } else {
            self.words.iter_mut().zip(other).for_each(|(word, more)| *word |= more);
        }
    }
}

/// Counts of an item's shoppers on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    key: u64,
    day: i64,
    shoppers: u32,
    fresh: u32,
    /// One of 256 bits per shopper; a second shopper with the same bit is not counted.
    seen: [u64; 4],
}

impl Count {
    fn has(&self, shopper: u64) -> bool {
        let bit = (shopper >> 40) as usize % 256;
        self.seen[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn mark(&mut self, shopper: u64) {
        let bit = (shopper >> 40) as usize % 256;
        self.seen[bit / 64] |= 1 << (bit % 64);
    }
}

/// The table of counts by item. Serialised as its occupied places, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, Count)>", into = "Vec<(u16, Count)>")]
struct ItemTable {
    /// Empty until the first event, then always `N_PLACES`.
    places: Vec<Count>,
}

impl ItemTable {
    fn both_places(key: u64) -> [usize; 2] {
        [key as usize % N_PLACES, (key >> 32) as usize % N_PLACES]
    }

    fn get(&self, key: u64) -> Option<&Count> {
        Self::both_places(key).into_iter().filter_map(|idx| self.places.get(idx)).find(|count| count.key == key)
    }

    /// Counts a shopper; returns whether they are the item's first one today with their bit.
    fn add(&mut self, key: u64, shopper: u64, day: i64, is_fresh: bool) -> bool {
        if self.places.is_empty() {
            self.places = vec![Count::default(); N_PLACES];
        }
        let both = Self::both_places(key);
        let of_key = both.into_iter().find(|&idx| self.places[idx].key == key);
        // A new item replaces an entry of an earlier day, or else the item with fewer newcomers.
        let worth = |idx: usize| (self.places[idx].day, self.places[idx].fresh);
        let idx = of_key.unwrap_or(if worth(both[1]) < worth(both[0]) { both[1] } else { both[0] });
        let count = &mut self.places[idx];
        if count.key != key || count.day != day {
            *count = Count { key, day, ..Count::default() };
        }
        if count.has(shopper) {
            return false;
        }
        count.mark(shopper);
        count.shoppers += 1;
        count.fresh += u32::from(is_fresh);
        true
    }
}

impl From<Vec<(u16, Count)>> for ItemTable {
    fn from(taken: Vec<(u16, Count)>) -> Self {
        let mut places = if taken.is_empty() { Vec::new() } else { vec![Count::default(); N_PLACES] };
        for (idx, count) in taken {
            places[usize::from(idx) % N_PLACES] = count;
        }
        Self { places }
    }
}

impl From<ItemTable> for Vec<(u16, Count)> {
    fn from(table: ItemTable) -> Self {
        let taken = |(idx, count): (usize, Count)| (count.key != 0).then_some((idx as u16, count));
        table.places.into_iter().enumerate().filter_map(taken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DAY_MS;
    use crate::{Check, CheckSettings, Outcome, RawEvent, RuleStatistics};

    const START: i64 = 1_767_571_200_000;

    fn view(user: &str, item: &str, at: i64) -> RawEvent {
        RawEvent::from_texts([("type", "view"), ("user", user), ("item", item), ("at", &Timestamp(at).to_string())])
    }

    /// Passes events through the check one by one, and returns how many were rejected as coordinated.
    fn refused(check: &mut Check, events: impl IntoIterator<Item = RawEvent>) -> usize {
        let mut n = 0;
        for raw in events {
            match check.judge(&raw, Timestamp(START + 400 * DAY_MS), |_| None) {
                Outcome::Accepted(event) | Outcome::Repaired(event, _) => check.observe(&event, None),
                Outcome::Quarantined(rejection) => {
                    assert_eq!(rejection.reason.code(), "coordinated", "{rejection}");
                    n += 1;
                }
            }
        }
        n
    }

    /// Thirty days of 300 customers and, on each day, the given number of newcomers; each views five of a hundred
    /// items.
    fn calm(newcomers: i64) -> Vec<RawEvent> {
        let mut events = Vec::new();
        for day in 0..30 {
            for n in 0..300 + newcomers {
                let user = if n < 300 { format!("u{n}") } else { format!("new-{day}-{n}") };
                for view_idx in 0..5 {
                    let item = (n * 7 + view_idx * view_idx * 13 + day) % 100;
                    events.push(view(&user, &format!("i{}", item * item / 100), START + day * DAY_MS + n * 60_000));
                }
            }
        }
        events
    }

    fn check() -> Check {
        Check::new(CheckSettings::default(), RuleStatistics::default()).unwrap()
    }

    fn flood(day: i64, n: i64) -> impl Iterator<Item = RawEvent> {
        (0..n).map(move |n| view(&format!("fresh-{n}"), "i5", START + day * DAY_MS + 40_000_000 + n * 1_000))
    }

    #[test]
    fn shops_without_attacks_are_not_suspected_at_any_share_of_newcomers() {
        for newcomers in [0, 20, 300] {
            assert_eq!(refused(&mut check(), calm(newcomers)), 0, "{newcomers}");
        }
    }

    #[test]
    fn fresh_accounts_on_one_item_are_rejected_and_customers_are_not() {
        let mut check = check();
        assert_eq!(refused(&mut check, calm(20)), 0);
        let n = refused(&mut check, flood(29, 500));
        assert!(n >= 470, "{n} of 500");
        let customers = (0..100).map(|n| view(&format!("u{n}"), "i5", START + 29 * DAY_MS + 50_000_000 + n));
        assert_eq!(refused(&mut check, customers), 0, "customers may still act on the item");
        let elsewhere = (0..20).map(|n| view(&format!("fresh-{n}"), "i9", START + 29 * DAY_MS + 51_000_000 + n));
        assert_eq!(refused(&mut check, elsewhere), 0, "the accounts may act on other items, like all newcomers");
    }

    #[test]
    fn an_attack_is_found_after_a_weekend_without_events() {
        let mut check = check();
        refused(&mut check, calm(20));
        let n = refused(&mut check, flood(32, 500));
        assert!(n >= 470, "{n} of 500");
    }

    #[test]
    fn the_rule_can_be_turned_off_and_resumes_from_its_bytes() {
        let mut first = check();
        refused(&mut first, calm(20));
        let bytes = postcard::to_allocvec(first.statistics()).unwrap();
        let mut again = Check::new(CheckSettings::default(), postcard::from_bytes(&bytes).unwrap()).unwrap();
        assert_eq!(refused(&mut again, flood(29, 500)), refused(&mut first, flood(29, 500)));
        assert_eq!(first.statistics(), again.statistics());
        let mut off = CheckSettings::default();
        off.coordinated.least = 0;
        let mut off = Check::new(off, first.statistics().clone()).unwrap();
        assert_eq!(refused(&mut off, flood(29, 500)), 0);
    }

    #[test]
    fn a_stored_filter_changes_in_few_places_and_its_former_form_is_read() {
        let mut filter = Filter::default();
        assert_eq!(postcard::to_allocvec(&filter).unwrap(), [0]);
        let key = |n: u64| xxh3_64_with_seed(&n.to_le_bytes(), USER);
        (0..50_000).for_each(|n| filter.add(key(n)));
        let former = postcard::to_allocvec(&filter.words).unwrap();
        assert_eq!(postcard::from_bytes::<Filter>(&former).unwrap(), filter);
        assert_eq!(postcard::from_bytes::<Filter>(&[0]).unwrap(), Filter::default());
        let before = postcard::to_allocvec(&filter).unwrap();
        assert_eq!(postcard::from_bytes::<Filter>(&before).unwrap(), filter);
        filter.add(key(60_000));
        let after = postcard::to_allocvec(&filter).unwrap();
        let n_changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!(before.len() == after.len() && (1..=3).contains(&n_changed), "{n_changed} bytes");
        assert!(postcard::from_bytes::<Filter>(&before[..before.len() - 1]).is_err());
        assert!(postcard::from_bytes::<Filter>(&[1, 3, 0, 0, 0]).is_err(), "a block of another length");
    }

    #[test]
    fn evidence_is_the_exponent_of_chernoffs_bound() {
        let expected = 30.0 * (0.75_f64 / 0.1).ln() + 10.0 * (0.25_f64 / 0.9).ln();
        assert!((evidence(30, 40, 0.1) - expected).abs() < 1e-4);
        assert_eq!((evidence(3, 40, 0.1), evidence(0, 0, 0.1)), (0.0, 0.0));
        assert!((evidence(40, 40, 0.1) - 40.0 * 10.0_f64.ln()).abs() < 1e-4);
    }
}
