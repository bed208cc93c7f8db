//! How content shoppers are with what they chose: how long they stayed with it, whether they went back to the list at
//! once, whether they come again, and what they say of it.
//!
//! In: events, in log order. Out: counts by day. It is a fold of the facts.
//!
//! - A **stay** begins with a click that names its answer, and ends with the shopper's next event about another item.
//!   Events about the same item belong to it. A stay without an end within half an hour has no known length.
//! - A stay of less than [`SHORT_MS`] is **short**. A short stay without a favourite, a cart or a purchase, that ends
//!   with a click on another item of the same answer, is a **return to the list** ("pogo-sticking").
//! - A shopper with a first event on a day is a **visitor** of that day, and a **returning** one if the event before
//!   was on an earlier of the [`RETURN_DAYS`] days before.
//! - **Said**: favourites and ratings of 4 and more are content; dislikes, returns and ratings of 2 and less are not.
//!
//! **Bounded.** Of the latest [`OPEN`] shoppers a stay can be open; the latest [`DAYS`] days are kept singly.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{Event, EventType};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ShopperIdx;
use crate::ledger::day_of;

/// Stays that may be open, at most.
const OPEN: usize = 65_536;
/// Days that are kept singly.
const DAYS: usize = 35;
/// A shorter stay is short.
pub const SHORT_MS: i64 = 10_000;
/// A longer one has no known length.
const LONGEST_MS: i64 = 30 * 60 * 1000;
/// Days after which a shopper counts as new again.
const RETURN_DAYS: i64 = 30;
/// Upper bounds of the lengths of stays that are counted apart, in seconds.
pub const STAYS_S: [u32; 6] = [5, 10, 30, 60, 180, 600];

/// What was counted in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SatisfactionCounts {
    /// Clicks that name their answer.
    pub clicks: u64,
    /// Stays with a known length that are no longer than each of [`STAYS_S`].
    pub stays: [u64; STAYS_S.len()],
    /// Stays with a known length.
    pub n_stays: u64,
    /// Their lengths together, in milliseconds.
    pub stayed_ms: u64,
    /// Returns to the list.
    pub returns_to_list: u64,
    /// Shoppers by day.
    pub visitors: u64,
    /// Those who were there before.
    pub returning: u64,
    /// Events that say that the shopper is content.
    pub content: u64,
    /// Events that say the opposite.
    pub discontent: u64,
}

impl SatisfactionCounts {
    fn add(&mut self, other: &Self) {
        self.clicks += other.clicks;
        self.stays.iter_mut().zip(other.stays).for_each(|(sum, stays)| *sum += stays);
        self.n_stays += other.n_stays;
        self.stayed_ms += other.stayed_ms;
        self.returns_to_list += other.returns_to_list;
        self.visitors += other.visitors;
        self.returning += other.returning;
        self.content += other.content;
        self.discontent += other.discontent;
    }
}

/// A click whose end is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stay {
    answer: u64,
    item: u64,
    at_ms: i64,
    /// Whether the item was marked, put into the cart or bought since.
    is_wanted: bool,
}

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Satisfaction {
    total: SatisfactionCounts,
    /// In order, counted from 1970.
    days: VecDeque<(i64, SatisfactionCounts)>,
    open: BTreeMap<ShopperIdx, Stay>,
    /// The shoppers of `open` in the order of their clicks, each with the time of the click.
    order: VecDeque<(ShopperIdx, i64)>,
}

impl Satisfaction {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Since the log began.
    pub fn total(&self) -> &SatisfactionCounts {
        &self.total
    }

    /// Of the latest `n_days` days of the stream.
    pub fn latest(&self, n_days: i64) -> SatisfactionCounts {
        let mut sum = SatisfactionCounts::default();
        let Some((latest, _)) = self.days.back() else { return sum };
        self.days.iter().filter(|(day, _)| *day > latest - n_days).for_each(|(_, counts)| sum.add(counts));
        sum
    }

    /// Takes in an event. `before_ms` is the time of the shopper's event before it.
    pub(crate) fn observe(&mut self, event: &Event, shopper: ShopperIdx, before_ms: Option<i64>) {
        let mut counts = SatisfactionCounts::default();
        if event.event_type != EventType::Impression {
            count_visitor(event.at.0, before_ms, &mut counts);
            self.stay(event, shopper, &mut counts);
        }
        match (&event.event_type, event.value) {
            (EventType::Favorite, _) => counts.content = 1,
            (EventType::Dislike | EventType::Return, _) => counts.discontent = 1,
            (EventType::Rating, value) if value >= 4.0 => counts.content = 1,
            (EventType::Rating, value) if value <= 2.0 => counts.discontent = 1,
            _ => {}
        }
        if counts != SatisfactionCounts::default() {
            self.total.add(&counts);
            self.count_on(day_of(event.at.0), &counts);
        }
    }

    /// Ends the stay of the shopper, or goes on with it, and begins one with a click.
    fn stay(&mut self, event: &Event, shopper: ShopperIdx, counts: &mut SatisfactionCounts) {
        let Some(item) = event.item.as_ref().map(|item| hash(item.as_str())) else { return };
        let answer = event.recommendation_id.as_deref().map(hash);
        let is_click = event.event_type == EventType::Click;
        if let Some(stay) = self.open.get_mut(&shopper) {
            if stay.item == item {
                let wanted = [EventType::Favorite, EventType::Cart, EventType::Purchase];
                stay.is_wanted |= wanted.contains(&event.event_type);
                // The same click, reported twice.
                if answer == Some(stay.answer) || !is_click {
                    return;
                }
            }
            let stay = *stay;
            self.open.remove(&shopper);
            // An event that comes late says nothing about the end.
            let length_ms = event.at.0.saturating_sub(stay.at_ms);
            if (0..=LONGEST_MS).contains(&length_ms) {
                counts.n_stays = 1;
                counts.stayed_ms = length_ms as u64;
                let is_within = |of: &u32| u64::from(length_ms <= i64::from(*of) * 1000);
                counts.stays = STAYS_S.map(|of| is_within(&of));
                let is_back = is_click && answer == Some(stay.answer) && length_ms < SHORT_MS && !stay.is_wanted;
                counts.returns_to_list = u64::from(is_back);
            }
        }
        if let Some(answer) = answer.filter(|_| is_click) {
            counts.clicks = 1;
            self.open.insert(shopper, Stay { answer, item, at_ms: event.at.0, is_wanted: false });
            self.order.push_back((shopper, event.at.0));
            while self.order.len() > OPEN
                && let Some((oldest, at_ms)) = self.order.pop_front()
            {
                if self.open.get(&oldest).is_some_and(|stay| stay.at_ms == at_ms) {
                    self.open.remove(&oldest);
                }
            }
        }
    }

    fn count_on(&mut self, day: i64, counts: &SatisfactionCounts) {
        let place = self.days.partition_point(|(known, _)| *known < day);
        if self.days.get(place).is_none_or(|(known, _)| *known != day) {
            // A day before those that are kept counts in the total alone.
            if self.days.len() == DAYS && place == 0 {
                return;
            }
            self.days.insert(place, (day, SatisfactionCounts::default()));
        }
        self.days[place].1.add(counts);
        if self.days.len() > DAYS {
            self.days.pop_front();
        }
    }
}

fn count_visitor(at_ms: i64, before_ms: Option<i64>, counts: &mut SatisfactionCounts) {
    let (day, before) = (day_of(at_ms), before_ms.map(day_of));
    if before.is_some_and(|before| before >= day) {
        return;
    }
    counts.visitors = 1;
    counts.returning = u64::from(before.is_some_and(|before| day - before <= RETURN_DAYS));
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use accrue_event::{DAY_MS, Timestamp};

    use super::*;

    fn event(event_type: EventType, item: &str, at_s: i64, answer: Option<&str>) -> Event {
        Event {
            user: Some("ann".into()),
            item: Some(item.into()),
            recommendation_id: answer.map(Into::into),
            ..Event::bare("e1".into(), event_type, Timestamp(1000 * at_s))
        }
    }

    fn after(events: &[Event]) -> Satisfaction {
        let mut satisfaction = Satisfaction::default();
        let mut before = None;
        for event in events {
            satisfaction.observe(event, 7, before);
            before = Some(event.at.0);
        }
        satisfaction
    }

    #[test]
    fn a_stay_lasts_until_something_else_is_looked_at() {
        use EventType::{Cart, Click, View};
        let found = after(&[
            event(Click, "mug", 100, Some("r1")),
            event(View, "mug", 101, None),
            event(Click, "cup", 104, Some("r1")),
            event(Cart, "cup", 106, None),
            event(Click, "pot", 108, Some("r1")),
            event(Click, "pot", 109, Some("r1")),
            event(View, "tea", 208, None),
            event(Click, "tin", 300, Some("r2")),
            event(View, "jar", 10_000, None),
        ]);
        let total = found.total();
        assert_eq!((total.clicks, total.n_stays, total.stayed_ms), (4, 3, 108_000));
        assert_eq!((total.stays, total.returns_to_list), ([2, 2, 2, 2, 3, 3], 1), "the cup went into the cart");
    }

    #[test]
    fn a_shopper_counts_once_a_day_and_comes_again_within_a_month() {
        use EventType::{Dislike, Favorite, Impression, Purchase, Rating};
        let day = DAY_MS / 1000;
        let rating = |value, at_s| Event { value, ..event(Rating, "mug", at_s, None) };
        let found = after(&[
            event(Purchase, "mug", 10, None),
            event(Impression, "mug", day, None),
            event(Favorite, "mug", day + 5, None),
            event(Dislike, "cup", 60 * day, None),
            rating(5.0, 60 * day + 1),
            rating(1.0, 60 * day + 2),
            rating(3.0, 60 * day + 3),
        ]);
        let total = found.total();
        assert_eq!((total.content, total.discontent), (2, 2));
        // The impression is not a visit, so the favourite on the same day comes after an event of that day here.
        assert_eq!((total.visitors, total.returning), (2, 0));
        assert_eq!((found.latest(1).visitors, found.latest(1_000)), (1, *total));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut found = Satisfaction::default();
        for n in 0..70_000_u32 {
            let at_s = i64::from(n) * 60;
            found.observe(&event(EventType::Click, "mug", at_s, Some("r1")), n, None);
        }
        assert_eq!((found.open.len(), found.order.len(), found.days.len()), (OPEN, OPEN, DAYS));
        found.observe(&event(EventType::Click, "mug", 0, Some("r1")), 1, None);
        assert_eq!((found.days.len(), found.total().clicks), (DAYS, 70_001));
    }
}
