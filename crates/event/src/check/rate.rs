//! Counts of each shopper's events in the current minute of event time.
//!
//! The table has a fixed size. A shopper can be at one of two places, and a new shopper replaces the entry with the
//! older minute. Under load a count may be lost, so that a bot may pass, but no shopper is rejected because of another
//! one's events.

use serde::{Deserialize, Serialize};

use crate::{Event, EventType, Timestamp};

/// Places in the table; with two places for each shopper it is enough for about ten thousand shoppers per minute.
const N_PLACES: usize = 1 << 14;

/// Events that share one count. A page shows many items at once, and an order has many lines, so these have counts of
/// their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateClass {
    Actions,
    Impressions,
    BasketLines,
}

impl RateClass {
    pub(super) fn of(event_type: &EventType) -> Self {
        match event_type {
            EventType::Impression => RateClass::Impressions,
            EventType::Purchase | EventType::Return => RateClass::BasketLines,
            EventType::View
            | EventType::Click
            | EventType::Favorite
            | EventType::Cart
            | EventType::Rating
            | EventType::Search
            | EventType::Dislike
            | EventType::Custom(_) => RateClass::Actions,
        }
    }
}

/// One shopper's count in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    key: u64,
    minute: i64,
    events: u32,
}

/// The table of counts. Serialised as its occupied places, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u16, Count)>", into = "Vec<(u16, Count)>")]
pub(super) struct RateTable {
    /// Empty until the first event, then always `N_PLACES`.
    places: Vec<Count>,
}

impl RateTable {
    /// Number of events counted in the event's minute, for its shopper and class.
    pub(super) fn events_in_minute(&self, event: &Event) -> u32 {
        let (key, minute) = (key(event), minute(event.at));
        self.place(key).map_or(0, |idx| {
            let count = &self.places[idx];
            if is_current(count, minute) { count.events } else { 0 }
        })
    }

    /// Counts an event.
    pub(super) fn add(&mut self, event: &Event) {
        if self.places.is_empty() {
            self.places = vec![Count::default(); N_PLACES];
        }
        let (key, minute) = (key(event), minute(event.at));
        match self.place(key) {
            Some(idx) if is_current(&self.places[idx], minute) => {
                let count = &mut self.places[idx];
                count.events = count.events.saturating_add(1);
            }
            Some(idx) => self.places[idx] = Count { key, minute, events: 1 },
            None => {
                let [first, second] = both_places(key);
                let idx = if self.places[second].minute < self.places[first].minute { second } else { first };
                self.places[idx] = Count { key, minute, events: 1 };
            }
        }
    }

    fn place(&self, key: u64) -> Option<usize> {
        both_places(key).into_iter().find(|idx| self.places.get(*idx).is_some_and(|count| count.key == key))
    }
}

/// Whether a count is for this minute. An event that is up to a minute late is counted in the newer minute.
fn is_current(count: &Count, minute: i64) -> bool {
    count.minute == minute || count.minute == minute + 1
}

fn both_places(key: u64) -> [usize; 2] {
    [key as usize % N_PLACES, (key >> 32) as usize % N_PLACES]
}

fn minute(at: Timestamp) -> i64 {
    at.0.div_euclid(60_000)
}

/// A key for shopper and class: never 0, which marks a free place. A user and a guest with the same name have different
/// keys, and so has what each published key sends in their names.
fn key(event: &Event) -> u64 {
    let hash = |name: &str, seed| xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed);
    let class = RateClass::of(&event.event_type) as u64;
    let published_by = event.id.published_by();
    let (kind, name) = match (&event.user, &event.session) {
        (_, Some(session)) if published_by.is_some() => (1, session.as_str()),
        (Some(user), _) => (0, user.as_str()),
        (None, Some(session)) => (1, session.as_str()),
        (None, None) => (2, ""),
    };
    let seed = class * 3 + kind;
    hash(name, published_by.map_or(seed, |key| hash(key, seed))) | 1
}

impl From<Vec<(u16, Count)>> for RateTable {
    fn from(taken: Vec<(u16, Count)>) -> Self {
        let mut places = if taken.is_empty() { Vec::new() } else { vec![Count::default(); N_PLACES] };
        for (idx, count) in taken {
            places[usize::from(idx) % N_PLACES] = count;
        }
        Self { places }
    }
}

impl From<RateTable> for Vec<(u16, Count)> {
    fn from(table: RateTable) -> Self {
        let taken = |(idx, count): (usize, Count)| (count.key != 0).then_some((idx as u16, count));
        table.places.into_iter().enumerate().filter_map(taken).collect()
    }
}
