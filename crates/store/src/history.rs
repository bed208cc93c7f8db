//! What each shopper did lately, compactly: the memory that every personal score is computed from.
//!
//! In: interactions in log order. Out: a shopper's last events, oldest first, and how many of them belong to the visit
//! that is going on. Derived from the log, rebuilt when missing. Holds dense indices, not names; computes no score.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::PagedVec;

/// Dense index of an item, in order of first appearance in the log.
pub type ItemIdx = u32;
/// Dense index of a shopper (user or guest), in order of first appearance in the log.
pub type ShopperIdx = u32;

/// Events of one shopper further apart than this belong to different visits, where no session says otherwise.
pub const VISIT_GAP_MS: i64 = 30 * 60 * 1000;

/// One event of a shopper's history; 12 bytes, for there may be tens of millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastEvent {
    /// What it was about.
    pub item: ItemIdx,
    /// When, in seconds since 1970 (clamped to what 32 bits hold: 1970 to 2106).
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

/// One event, as a history takes it in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// Who.
    pub shopper: ShopperIdx,
    /// What about.
    pub item: ItemIdx,
    /// Code of the event type, below 64.
    pub type_code: u8,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Hash of the session's name, if the event names one.
    pub session: Option<u32>,
    /// Strength: a rating, a dwell time, 1 where nothing was said.
    pub value: f32,
    /// Pieces.
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

/// One shopper's last events. Copies share memory until one of them takes an event in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    past: Arc<Vec<PastEvent>>,
    session: Option<u32>,
}

impl History {
    /// The events kept, oldest first.
    pub fn past(&self) -> &[PastEvent] {
        &self.past
    }

    /// How many of the last events belong to the visit in which something happens at `at_ms` under `session`.
    pub fn in_visit(&self, session: Option<u32>, at_ms: i64) -> usize {
        if !self.continues(session, at_ms) {
            return 0;
        }
        let from_start = self.past.iter().rev().position(|past| past.starts_visit);
        from_start.map_or(self.past.len(), |earlier| earlier + 1)
    }

    /// Whether something at `at_ms` under `session` goes on with the last visit.
    fn continues(&self, session: Option<u32>, at_ms: i64) -> bool {
        let Some(last) = self.past.last() else { return false };
        match (session, self.session) {
            (Some(asked), Some(known)) => asked == known,
            _ => at_ms - last.at_ms() <= VISIT_GAP_MS,
        }
    }

    /// Takes an event in, and drops the oldest beyond `capacity`.
    pub fn push(&mut self, interaction: &Interaction, capacity: usize) {
        let starts_visit = !self.continues(interaction.session, interaction.at_ms);
        if starts_visit || interaction.session.is_some() {
            self.session = interaction.session;
        }
        self.insert(interaction.as_past_event(starts_visit));
        self.truncate(capacity);
    }

    /// Puts `past` behind everything that is not later, so that a late event does not pose as the latest.
    fn insert(&mut self, past: PastEvent) {
        let events = self.own();
        if events.len() == events.capacity() {
            events.reserve_exact(room(events.len()));
        }
        let later = events.iter().rev().take_while(|other| other.at_s > past.at_s).count();
        if later == 0 {
            return events.push(past);
        }
        let place = events.len() - later;
        events.insert(place, past);
    }

    /// The events for writing: copied first if somebody else holds them, with room for a few more.
    fn own(&mut self) -> &mut Vec<PastEvent> {
        if Arc::get_mut(&mut self.past).is_none() {
            let mut events = Vec::with_capacity(self.past.len() + room(self.past.len()));
            events.extend_from_slice(&self.past);
            self.past = Arc::new(events);
        }
        Arc::make_mut(&mut self.past)
    }

    fn truncate(&mut self, capacity: usize) {
        // A quarter of slack, so that the shift is paid once in many events.
        if self.past.len() > capacity + capacity / 4 {
            let surplus = self.past.len() - capacity;
            self.own().drain(..surplus);
        }
    }

    /// The same history without one event; the visit that it began goes on with the next one.
    pub fn without(&self, place: usize) -> Self {
        let mut other = self.clone();
        let events = other.own();
        let removed = events.remove(place);
        if let Some(next) = events.get_mut(place) {
            next.starts_visit |= removed.starts_visit;
        }
        other
    }

    /// Takes another history in, by time: a guest who turned out to be this shopper.
    pub fn absorb(&mut self, other: &History, capacity: usize) {
        for &past in other.past.iter() {
            self.insert(past);
        }
        self.session = other.session.or(self.session);
        self.truncate(capacity);
    }
}

/// Room for so many more events behind `len`: doubling would leave a third of the largest part of the memory empty.
fn room(len: usize) -> usize {
    len / 16 + 2
}

/// Shoppers in a page of a checkpoint.
const PAGE: usize = 8;

/// The histories of all shoppers, by dense index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histories {
    capacity: usize,
    shoppers: PagedVec<History, PAGE>,
}

impl Histories {
    /// Empty histories that keep at least the last `capacity` events of each shopper.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, shoppers: PagedVec::default() }
    }

    /// The history of a shopper; empty for one never seen.
    pub fn get(&self, shopper: ShopperIdx) -> &History {
        static EMPTY: LazyLock<History> = LazyLock::new(History::default);
        self.shoppers.get(shopper as usize).unwrap_or_else(|| &EMPTY)
    }

    /// How many shoppers have a place here.
    pub fn len(&self) -> usize {
        self.shoppers.len()
    }

    /// Whether nobody did anything yet.
    pub fn is_empty(&self) -> bool {
        self.shoppers.is_empty()
    }

    /// Takes an event into its shopper's history.
    pub fn push(&mut self, interaction: &Interaction) {
        let capacity = self.capacity;
        self.entry(interaction.shopper).push(interaction, capacity);
    }

    /// Moves a guest's history into a user's.
    pub fn merge(&mut self, guest: ShopperIdx, user: ShopperIdx) {
        if guest == user {
            return;
        }
        let moved = std::mem::take(self.entry(guest));
        let capacity = self.capacity;
        self.entry(user).absorb(&moved, capacity);
    }

    /// Holds the memory of `other` for these shoppers wherever both say the same. Who folds the same events twice, one fold behind the
    /// other, needs each shopper's events but once.
    pub fn share_with(&mut self, other: &Self, shoppers: Range<usize>) {
        let end = shoppers.end.min(self.shoppers.len()).min(other.shoppers.len());
        let places = shoppers.start.min(end)..end;
        for (mine, theirs) in self.shoppers.interchange()[places.clone()].iter_mut().zip(&other.shoppers[places]) {
            if !Arc::ptr_eq(&mine.past, &theirs.past) && mine == theirs {
                *mine = theirs.clone();
            }
        }
    }

    fn entry(&mut self, shopper: ShopperIdx) -> &mut History {
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
    fn an_event_takes_twelve_bytes() {
        assert_eq!(std::mem::size_of::<PastEvent>(), 12);
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
    fn a_late_event_does_not_pose_as_the_latest() {
        let mut history = History::default();
        history.push(&event(1, 50, None), 10);
        history.push(&event(2, 10, None), 10);
        assert_eq!(history.past().iter().map(|past| past.item).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_oldest_give_way_beyond_the_capacity() {
        let mut histories = Histories::new(8);
        for item in 0..100 {
            histories.push(&event(item, i64::from(item), None));
        }
        let past = histories.get(0).past();
        assert!((8..=10).contains(&past.len()));
        assert_eq!(past.last().unwrap().item, 99);
    }

    #[test]
    fn a_guest_who_logs_in_brings_the_visit_along() {
        let mut histories = Histories::new(8);
        histories.push(&event(1, 10, None));
        histories.push(&Interaction { shopper: 1, ..event(2, 5, Some(3)) });
        histories.merge(1, 0);
        assert_eq!(histories.get(0).past().iter().map(|past| past.item).collect::<Vec<_>>(), [2, 1]);
        assert!(histories.get(1).past().is_empty());
    }

    #[test]
    fn two_folds_of_the_same_events_hold_them_once_and_part_when_one_goes_on() {
        let mut ahead = Histories::new(8);
        for item in 0..5 {
            ahead.push(&event(item, i64::from(item), None));
            ahead.push(&Interaction { shopper: 1, ..event(item, i64::from(item), None) });
        }
        let bytes = postcard::to_stdvec(&ahead).unwrap();
        let mut behind: Histories = postcard::from_bytes(&bytes).unwrap();
        ahead.push(&event(9, 9, None));
        behind.share_with(&ahead, 0..7);
        let is_shared = |a: &Histories, b: &Histories, who| std::ptr::eq(a.get(who).past(), b.get(who).past());
        assert!(!is_shared(&ahead, &behind, 0) && is_shared(&ahead, &behind, 1));
        assert_eq!(postcard::to_stdvec(&behind).unwrap(), bytes);
        behind.push(&Interaction { shopper: 1, ..event(7, 7, None) });
        assert_eq!((ahead.get(1).past().len(), behind.get(1).past().len()), (5, 6));
    }
}
