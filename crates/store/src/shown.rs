//! What shoppers were shown and did not choose, for pages that show less of it.
//!
//! In: impressions and choices, in log order. Out: for a shopper, how often each item was shown since they last chose it.
//! It is a fold of the facts: in checkpoints, in the digest, and gone with the records of a person.
//!
//! **Bounded.** There are [`SLOTS`] places, a shopper's is their index modulo that number, and the latest shopper has it;
//! of each shopper the [`ITEMS`] items that were shown last are kept. An item that was not shown for [`FORGOTTEN_DAYS`]
//! begins again at 0.

use accrue_event::{DAY_MS, EventType};
use serde::{Deserialize, Serialize};

use crate::{ItemIdx, PagedMap, ShopperIdx};

/// Shoppers that are remembered, at most.
const SLOTS: u32 = 131_072;
/// Items that are remembered of a shopper.
const ITEMS: usize = 24;
/// Days without an impression after which an item begins again.
const FORGOTTEN_DAYS: u32 = 14;
/// Places in a page of a checkpoint.
const PAGE: usize = 256;

/// Impressions without a choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    slots: PagedMap<u32, ShownTo, PAGE>,
}

/// What one shopper was shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ShownTo {
    shopper: ShopperIdx,
    /// The one that was shown last at the end.
    items: Vec<ShownItem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct ShownItem {
    item: ItemIdx,
    n: u16,
    /// Day of the last impression, counted from 1970.
    day: u32,
}

/// Whether an event of this type is a choice that ends the count.
fn is_choice(event_type: &EventType) -> bool {
    !matches!(event_type, EventType::Impression | EventType::Search | EventType::Return | EventType::Dislike)
}

fn day(at_ms: i64) -> u32 {
    u32::try_from(at_ms.max(0) / DAY_MS).unwrap_or(u32::MAX)
}

impl Shown {
    /// Whether there is no impression.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes in an event about an item.
    pub(crate) fn observe(&mut self, event_type: &EventType, shopper: ShopperIdx, item: ItemIdx, at_ms: i64) {
        if *event_type == EventType::Impression {
            self.show(shopper, item, 1, day(at_ms));
        } else if is_choice(event_type) && self.to(shopper).iter().any(|shown| shown.item == item) {
            self.change(shopper, |items| items.retain(|shown| shown.item != item));
        }
    }

    fn show(&mut self, shopper: ShopperIdx, item: ItemIdx, n: u16, day: u32) {
        self.change(shopper, |items| {
            let mut shown = ShownItem { item, n, day };
            if let Some(place) = items.iter().position(|known| known.item == item) {
                let known = items.remove(place);
                shown.day = day.max(known.day);
                if shown.day - known.day.min(day) <= FORGOTTEN_DAYS {
                    shown.n = n.saturating_add(known.n);
                }
            }
            items.push(shown);
            items.drain(..items.len().saturating_sub(ITEMS));
        });
    }

    /// A guest's become a user's.
    pub(crate) fn merge(&mut self, guest: ShopperIdx, user: ShopperIdx) {
        let of_guest = self.to(guest).to_vec();
        if guest == user || of_guest.is_empty() {
            return;
        }
        self.slots.remove(&(guest % SLOTS));
        for ShownItem { item, n, day } in of_guest {
            self.show(user, item, n, day);
        }
    }

    fn change(&mut self, shopper: ShopperIdx, change: impl FnOnce(&mut Vec<ShownItem>)) {
        let slot = shopper % SLOTS;
        let known = self.slots.remove(&slot).filter(|known| known.shopper == shopper);
        let mut items = known.map(|known| known.items).unwrap_or_default();
        change(&mut items);
        if !items.is_empty() {
            self.slots.insert(slot, ShownTo { shopper, items });
        }
    }

    fn to(&self, shopper: ShopperIdx) -> &[ShownItem] {
        let known = self.slots.get(&(shopper % SLOTS)).filter(|known| known.shopper == shopper);
        known.map_or(&[], |known| &known.items)
    }

    /// The items that a shopper was shown lately without choosing them, each with how often.
    pub fn of(&self, shopper: ShopperIdx, now_ms: i64) -> impl Iterator<Item = (ItemIdx, u32)> + '_ {
        let since = day(now_ms).saturating_sub(FORGOTTEN_DAYS);
        let lately = self.to(shopper).iter().filter(move |shown| shown.day >= since);
        lately.map(|shown| (shown.item, shown.n.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventType::{Cart, Dislike, Impression};

    fn of(shown: &Shown, shopper: u32, day: i64) -> Vec<(ItemIdx, u32)> {
        shown.of(shopper, day * DAY_MS).collect()
    }

    #[test]
    fn impressions_are_counted_until_the_item_is_chosen_or_forgotten() {
        let mut shown = Shown::default();
        for (at_day, item) in [(100, 7), (100, 8), (101, 7), (103, 7)] {
            shown.observe(&Impression, 3, item, at_day * DAY_MS);
        }
        assert_eq!(of(&shown, 3, 103), [(8, 1), (7, 3)]);
        assert_eq!(of(&shown, 3, 116), [(7, 3)], "8 was shown sixteen days ago");
        shown.observe(&Dislike, 3, 7, 104 * DAY_MS);
        assert_eq!(of(&shown, 3, 104).len(), 2);
        shown.observe(&Cart, 3, 7, 104 * DAY_MS);
        assert_eq!(of(&shown, 3, 104), [(8, 1)]);
        shown.observe(&Impression, 3, 8, 130 * DAY_MS);
        assert_eq!(of(&shown, 3, 130), [(8, 1)], "it begins again");
        assert_eq!(of(&shown, 4, 130), []);
    }

    #[test]
    fn it_is_bounded_and_the_latest_shopper_has_a_place() {
        let mut shown = Shown::default();
        for item in 0..100 {
            shown.observe(&Impression, 1, item, 0);
        }
        assert_eq!(of(&shown, 1, 0).len(), ITEMS);
        shown.observe(&Impression, 1 + SLOTS, 5, 0);
        assert_eq!((of(&shown, 1, 0), of(&shown, 1 + SLOTS, 0)), (vec![], vec![(5, 1)]));
        for _ in 0..70_000 {
            shown.observe(&Impression, 9, 5, 0);
        }
        assert_eq!(of(&shown, 9, 0), [(5, u32::from(u16::MAX))]);
    }

    #[test]
    fn a_guest_who_logs_in_keeps_what_they_were_shown() {
        let mut shown = Shown::default();
        shown.observe(&Impression, 1, 5, 0);
        shown.observe(&Impression, 2, 5, 0);
        shown.observe(&Impression, 2, 6, 0);
        shown.merge(2, 1);
        assert_eq!((of(&shown, 1, 0), of(&shown, 2, 0)), (vec![(5, 2), (6, 1)], vec![]));
    }
}
