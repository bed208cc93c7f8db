//! Histories: the latest events of each shopper in a compact form, from which every personal score is computed.
//!
//! In: interactions in log order. Out: a shopper's last events, oldest first, and how many of them belong to the visit in
//! progress. Histories can be computed again from the log. They contain dense indices, not names. In memory they are
//! packed ([`packed`]), and a reader gets the events of one shopper as values.

mod packed;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use self::packed::PackedHistory;
use crate::PagedVec;

/// Dense index of an item, in order of first appearance in the log.
pub type ItemIdx = u32;
/// Dense index of a shopper (user or guest), in order of first appearance in the log.
pub type ShopperIdx = u32;

/// Events of one shopper further apart than this belong to different visits, where no session says otherwise.
pub const VISIT_GAP_MS: i64 = 30 * 60 * 1000;

/// One event of a shopper's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastEvent {
    /// The item.
    pub item: ItemIdx,
    /// Its time, in seconds since 1970 (clamped to the range of 32 bits: 1970 to 2106).
    pub at_s: u32,
    /// Code of the event type.
    pub type_code: u8,
    /// Whether a new visit begins with this event.
    pub starts_visit: bool,
    /// The event's value, rounded to bfloat16 (three significant digits).
    value_bf16: u16,
}

impl PastEvent {
    /// The event's value to three significant digits.
    pub fn value(&self) -> f32 {
        f32::from_bits(u32::from(self.value_bf16) << 16)
    }

    /// Milliseconds since 1970.
    pub fn at_ms(&self) -> i64 {
        i64::from(self.at_s) * 1000
    }
}

/// One event, before it is added to a history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// The shopper.
    pub shopper: ShopperIdx,
    /// The item.
    pub item: ItemIdx,
    /// Code of the event type, below 64.
    pub type_code: u8,
    /// Its time, in milliseconds since 1970.
    pub at_ms: i64,
    /// Hash of the session's name, if the event names one.
    pub session: Option<u32>,
    /// Its strength: a rating, a dwell time, or 1 if none was sent.
    pub value: f32,
    /// Number of pieces.
    pub quantity: u32,
}

impl Interaction {
    fn as_past_event(&self, starts_visit: bool) -> PastEvent {
        PastEvent {
            item: self.item,
            at_s: (self.at_ms / 1000).clamp(0, i64::from(u32::MAX)) as u32,
            type_code: self.type_code,
            starts_visit,
            value_bf16: (self.value.to_bits() >> 16) as u16,
        }
    }
}

/// One shopper's last events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    past: Vec<PastEvent>,
    session: Option<u32>,
}

impl History {
    /// The events kept, oldest first.
    pub fn past(&self) -> &[PastEvent] {
        &self.past
    }

    /// How many of the last events belong to the visit of an event at `at_ms` in `session`.
    pub fn in_visit(&self, session: Option<u32>, at_ms: i64) -> usize {
        if !self.continues(session, at_ms) {
            return 0;
        }
        let from_start = self.past.iter().rev().position(|past| past.starts_visit);
        from_start.map_or(self.past.len(), |earlier| earlier + 1)
    }

    /// Whether an event at `at_ms` in `session` continues the last visit.
    fn continues(&self, session: Option<u32>, at_ms: i64) -> bool {
        continues(self.past.last().map(PastEvent::at_ms), self.session, session, at_ms)
    }

    /// Adds an event, and drops the oldest beyond `capacity`.
    pub fn push(&mut self, interaction: &Interaction, capacity: usize) {
        let starts_visit = !self.continues(interaction.session, interaction.at_ms);
        if starts_visit || interaction.session.is_some() {
            self.session = interaction.session;
        }
        self.insert(interaction.as_past_event(starts_visit));
        self.truncate(capacity);
    }

    /// Inserts `past` after all events that are not later, so that an event that arrives late does not become the latest.
    fn insert(&mut self, past: PastEvent) {
        let later = self.past.iter().rev().take_while(|other| other.at_s > past.at_s).count();
        self.past.insert(self.past.len() - later, past);
    }

    fn truncate(&mut self, capacity: usize) {
        if self.past.len() > longest(capacity) {
            let surplus = self.past.len() - capacity;
            self.past.drain(..surplus);
        }
    }

    /// The history without one event. If it began a visit, the next event begins it.
    pub fn without(&self, place: usize) -> Self {
        let mut other = self.clone();
        let removed = other.past.remove(place);
        if let Some(next) = other.past.get_mut(place) {
            next.starts_visit |= removed.starts_visit;
        }
        other
    }

    /// Adds the events of another history in the order of time: of a guest that was merged into this shopper.
    pub fn absorb(&mut self, other: &History, capacity: usize) {
        for &past in &other.past {
            self.insert(past);
        }
        self.session = other.session.or(self.session);
        self.truncate(capacity);
    }
}

/// Whether an event at `at_ms` in `session` continues the visit whose last event was at `last_ms`, in the session `known`.
fn continues(last_ms: Option<i64>, known: Option<u32>, session: Option<u32>, at_ms: i64) -> bool {
    let Some(last_ms) = last_ms else { return false };
    match (session, known) {
        (Some(asked), Some(known)) => asked == known,
        _ => at_ms - last_ms <= VISIT_GAP_MS,
    }
}

/// The most events of a history: a quarter more than the capacity, so that the oldest are dropped only once in many
/// additions.
fn longest(capacity: usize) -> usize {
    capacity + capacity / 4
}

/// Shoppers in a page of a checkpoint.
const PAGE: usize = 8;

/// Shoppers whose histories are unpacked beside the packed ones. Events of one shopper often follow each other, as the
/// lines of an order do.
const OPENED: usize = 64;

/// The histories of all shoppers, by dense index.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Histories {
    capacity: usize,
    shoppers: PagedVec<PackedHistory, PAGE>,
    /// Unpacked copies, each at its shopper's index modulo their number; none before the first is opened.
    #[serde(skip)]
    opened: Vec<Option<(ShopperIdx, History)>>,
}

/// Unpacked copies are not part of the state.
impl PartialEq for Histories {
    fn eq(&self, other: &Self) -> bool {
        let Self { capacity, shoppers, opened: _ } = self;
        *capacity == other.capacity && *shoppers == other.shoppers
    }
}

impl Histories {
    /// Empty histories that keep at least the last `capacity` events of each shopper.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, shoppers: PagedVec::default(), opened: Vec::new() }
    }

    /// The history of a shopper; empty for one never seen.
    pub fn get(&self, shopper: ShopperIdx) -> History {
        self.shoppers.get(shopper as usize).map(PackedHistory::unpack).unwrap_or_default()
    }

    /// The history of a shopper who probably acts again soon: it is unpacked once and stays so until a few dozen others are
    /// opened, or so.
    pub fn open(&mut self, shopper: ShopperIdx) -> &History {
        let place = shopper as usize % OPENED;
        if !matches!(self.opened.get(place), Some(Some((of, _))) if *of == shopper) {
            let history = self.get(shopper);
            self.opened.resize(OPENED, None);
            self.opened[place] = Some((shopper, history));
        }
        self.opened[place].as_ref().map(|(_, history)| history).expect("it was opened")
    }

    /// The unpacked copy of a shopper's history, if there is one.
    fn opened_mut(&mut self, shopper: ShopperIdx) -> Option<&mut History> {
        let place = self.opened.get_mut(shopper as usize % OPENED)?;
        place.as_mut().filter(|(of, _)| *of == shopper).map(|(_, history)| history)
    }

    /// How many events of a shopper are kept.
    pub fn n_events(&self, shopper: ShopperIdx) -> usize {
        self.shoppers.get(shopper as usize).map_or(0, PackedHistory::len)
    }

    /// The time of a shopper's latest event, in milliseconds since 1970.
    pub fn last_ms(&self, shopper: ShopperIdx) -> Option<i64> {
        self.shoppers.get(shopper as usize)?.last_ms()
    }

    /// Number of shoppers with a place.
    pub fn len(&self) -> usize {
        self.shoppers.len()
    }

    /// Whether there are no shoppers.
    pub fn is_empty(&self) -> bool {
        self.shoppers.is_empty()
    }

    /// Adds an event to its shopper's history.
    pub fn push(&mut self, interaction: &Interaction) {
        let capacity = self.capacity;
        self.entry(interaction.shopper).push(interaction, capacity);
        if let Some(history) = self.opened_mut(interaction.shopper) {
            history.push(interaction, capacity);
        }
    }

    /// Moves a guest's history into a user's.
    pub fn merge(&mut self, guest: ShopperIdx, user: ShopperIdx) {
        if guest == user {
            return;
        }
        let moved = std::mem::take(self.entry(guest)).unpack();
        let capacity = self.capacity;
        let entry = self.entry(user);
        let mut history = entry.unpack();
        history.absorb(&moved, capacity);
        *entry = PackedHistory::pack(&history);
        for shopper in [guest, user] {
            let history = self.get(shopper);
            self.opened_mut(shopper).into_iter().for_each(|opened| opened.clone_from(&history));
        }
    }

    /// Shares the memory of `other` for these shoppers where both histories are equal, so that two folds over the same events have most
    /// histories in memory once.
    pub fn share_with(&mut self, other: &Self, shoppers: Range<usize>) {
        let end = shoppers.end.min(self.shoppers.len()).min(other.shoppers.len());
        let places = shoppers.start.min(end)..end;
        for (mine, theirs) in self.shoppers.interchange()[places.clone()].iter_mut().zip(&other.shoppers[places]) {
            if !mine.is_shared_with(theirs) && mine == theirs {
                *mine = theirs.clone();
            }
        }
    }

    /// How many shoppers' histories both have in the same memory.
    pub fn n_shared_with(&self, other: &Self) -> usize {
        self.shoppers.iter().zip(&*other.shoppers).filter(|(mine, theirs)| mine.is_shared_with(theirs)).count()
    }

    fn entry(&mut self, shopper: ShopperIdx) -> &mut PackedHistory {
        self.shoppers.get_mut_or_grow(shopper as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(item: ItemIdx, at_s: i64, session: Option<u32>) -> Interaction {
        Interaction { shopper: 0, item, type_code: 1, at_ms: at_s * 1000, session, value: 1.0, quantity: 1 }
    }

    #[test]
    fn a_named_session_is_one_visit_however_long_it_lasts() {
        let mut history = History::default();
        history.push(&event(1, 0, Some(7)), 10);
        history.push(&event(2, 100_000, Some(7)), 10);
        assert_eq!(history.in_visit(Some(7), 200_000_000), 2);
        assert_eq!(history.in_visit(Some(8), 100_000_000), 0);
    }

    #[test]
    fn without_sessions_a_gap_of_half_an_hour_begins_a_visit() {
        let mut history = History::default();
        history.push(&event(1, 0, None), 10);
        history.push(&event(2, 4_000, None), 10);
        history.push(&event(3, 4_100, None), 10);
        assert_eq!(history.in_visit(None, 4_200_000), 2);
        assert_eq!(history.in_visit(None, 9_000_000), 0);
    }

    #[test]
    fn an_event_that_arrives_late_is_not_the_latest() {
        let mut history = History::default();
        history.push(&event(1, 50, None), 10);
        history.push(&event(2, 10, None), 10);
        assert_eq!(history.past().iter().map(|past| past.item).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_oldest_are_dropped_beyond_the_capacity() {
        let mut histories = Histories::new(8);
        for item in 0..100 {
            histories.push(&event(item, i64::from(item), None));
        }
        let history = histories.get(0);
        let past = history.past();
        assert!((8..=10).contains(&past.len()));
        assert_eq!(past.last().unwrap().item, 99);
    }

    #[test]
    fn a_guest_who_logs_in_continues_the_visit() {
        let mut histories = Histories::new(8);
        histories.push(&event(1, 10, None));
        histories.push(&Interaction { shopper: 1, ..event(2, 5, Some(3)) });
        histories.merge(1, 0);
        assert_eq!(histories.get(0).past().iter().map(|past| past.item).collect::<Vec<_>>(), [2, 1]);
        assert!(histories.get(1).past().is_empty());
    }

    #[test]
    fn an_opened_history_is_the_packed_one_after_any_change() {
        let mut histories = Histories::new(8);
        for n in 0..3_000_u32 {
            let shopper = n * 7 % 130;
            let opened = histories.open(shopper).clone();
            assert_eq!(opened, histories.get(shopper));
            histories.push(&Interaction { shopper, ..event(n, i64::from(n * n % 10_007), None) });
            if n % 50 == 0 {
                histories.merge(shopper, shopper / 2);
            }
            for shopper in [shopper, shopper / 2] {
                assert_eq!(histories.open(shopper).clone(), histories.get(shopper), "after {n}");
            }
        }
        let again: Histories = postcard::from_bytes(&postcard::to_stdvec(&histories).unwrap()).unwrap();
        assert!(again == histories && again.opened.is_empty());
    }

    #[test]
    fn two_folds_share_equal_histories_until_one_changes() {
        let mut ahead = Histories::new(8);
        for item in 0..5 {
            ahead.push(&event(item, i64::from(item), None));
            ahead.push(&Interaction { shopper: 1, ..event(item, i64::from(item), None) });
        }
        let bytes = postcard::to_stdvec(&ahead).unwrap();
        let mut behind: Histories = postcard::from_bytes(&bytes).unwrap();
        ahead.push(&event(9, 9, None));
        behind.share_with(&ahead, 0..7);
        assert_eq!(behind.n_shared_with(&ahead), 1, "that of shopper 1");
        assert_eq!(postcard::to_stdvec(&behind).unwrap(), bytes);
        behind.push(&Interaction { shopper: 1, ..event(7, 7, None) });
        assert_eq!((ahead.n_events(1), behind.n_events(1), behind.n_shared_with(&ahead)), (5, 6, 0));
    }
}
