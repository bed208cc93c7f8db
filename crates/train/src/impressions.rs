//! Impressions that wait for their label. An impression without a choice within a window is a negative.
//!
//! A choice may follow minutes after an impression, so an impression says nothing when it arrives. In: impressions and
//! choices, in log order. Out: the pairs of shopper and item whose window has passed, one negative step each. Windows
//! begin and end in stream time, the largest `at` of the events so far, so they end in the order in which they began,
//! whatever clocks the shop's pages have. A choice within the window removes the impression; a second impression of the
//! same item begins the window again. The number of waiting impressions is bounded: beyond `capacity` the oldest ones
//! get no label, and are counted.
//!
//! Chapelle, *Modeling delayed feedback in display advertising* (KDD 2014) explains why a missing click is not a label
//! until enough time has passed; a fixed window is the simplest solution (He et al., *Practical lessons from predicting
//! clicks on ads at Facebook*, 2014, §5).

use std::collections::{BTreeMap, VecDeque};

use accrue_event::SettingFault;
use accrue_store::{ItemIdx, ShopperIdx};
use serde::{Deserialize, Serialize};

/// How impressions become negatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImpressionSettings {
    /// Stream time after which an impression without a choice is a negative, in seconds; 0 for never.
    pub window_s: u32,
    /// Weight of such a negative; a view has 1.
    pub weight: f32,
    /// Largest number of impressions that wait.
    pub capacity: usize,
}

impl ImpressionSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("capacity", self.capacity, 0..=100_000_000)?;
        SettingFault::check("weight", self.weight, 0.0..=1.0)
    }
}

impl Default for ImpressionSettings {
    fn default() -> Self {
        Self { window_s: 0, weight: 0.1, capacity: 65_536 }
    }
}

/// An impression. Nothing is learned from it before its window has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The shopper.
    pub(crate) shopper: ShopperIdx,
    /// The item that was shown.
    pub(crate) item: ItemIdx,
    /// The record of the impression.
    pub(crate) offset: u64,
    /// Hash of the shopper's name.
    pub(crate) name: u64,
}

/// The window of an impression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Window {
    ends_ms: i64,
    shopper: ShopperIdx,
    item: ItemIdx,
    offset: u64,
    name: u64,
}

/// All waiting impressions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Impressions {
    /// Windows in the order in which they end, with those that were closed early.
    windows: VecDeque<Window>,
    /// For each pair, the record of the impression that waits.
    waiting: BTreeMap<(ShopperIdx, ItemIdx), u64>,
    stream_ms: Option<i64>,
    n_overflown: u64,
}

impl Impressions {
    /// Advances stream time to an event's time; it never goes back.
    pub(crate) fn observe(&mut self, at_ms: i64) {
        self.stream_ms = self.stream_ms.max(Some(at_ms));
    }

    /// Stream time.
    pub(crate) fn stream_ms(&self) -> i64 {
        self.stream_ms.unwrap_or(0)
    }

    /// An item was shown.
    pub(crate) fn show(&mut self, settings: &ImpressionSettings, shown: Shown) {
        let Shown { shopper, item, offset, name } = shown;
        if settings.window_s == 0 || settings.capacity == 0 {
            return;
        }
        while self.windows.len() >= settings.capacity {
            let oldest = self.windows.pop_front().expect("the queue is full");
            self.n_overflown += u64::from(self.close(&oldest));
        }
        let ends_ms = self.stream_ms() + i64::from(settings.window_s) * 1000;
        self.windows.push_back(Window { ends_ms, shopper, item, offset, name });
        self.waiting.insert((shopper, item), offset);
    }

    /// An item was chosen: its impression is not a negative.
    pub(crate) fn choose(&mut self, shopper: ShopperIdx, item: ItemIdx) {
        self.waiting.remove(&(shopper, item));
    }

    /// A guest became a user: impressions of the guest are dropped, because a later choice would be the user's.
    pub(crate) fn forget_shopper(&mut self, guest: ShopperIdx) {
        let pairs: Vec<_> = self.waiting.range((guest, 0)..=(guest, ItemIdx::MAX)).map(|(&pair, _)| pair).collect();
        for pair in pairs {
            self.waiting.remove(&pair);
        }
    }

    /// The next impression without a choice: its window has passed.
    pub(crate) fn next_unchosen(&mut self) -> Option<Shown> {
        let now_ms = self.stream_ms();
        while let Some(&window) = self.windows.front().filter(|window| window.ends_ms <= now_ms) {
            self.windows.pop_front();
            if self.close(&window) {
                let Window { shopper, item, offset, name, .. } = window;
                return Some(Shown { shopper, item, offset, name });
            }
        }
        None
    }

    /// Removes the pair of a window, and returns whether it still waited: a choice or a later impression may have
    /// removed it.
    fn close(&mut self, window: &Window) -> bool {
        let pair = (window.shopper, window.item);
        let waits = self.waiting.get(&pair) == Some(&window.offset);
        if waits {
            self.waiting.remove(&pair);
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: ImpressionSettings = ImpressionSettings { window_s: 60, weight: 0.1, capacity: 3 };

    fn shown(shopper: ShopperIdx, item: ItemIdx, offset: u64) -> Shown {
        Shown { shopper, item, offset, name: 0 }
    }

    const NOTHING: [u64; 0] = [];

    fn unchosen(impressions: &mut Impressions, at_ms: i64) -> Vec<u64> {
        impressions.observe(at_ms);
        std::iter::from_fn(|| impressions.next_unchosen()).map(|unchosen| unchosen.offset).collect()
    }

    #[test]
    fn an_impression_without_a_choice_in_its_window_is_a_negative() {
        let mut impressions = Impressions::default();
        impressions.observe(1_000);
        impressions.show(&MINUTE, shown(1, 7, 10));
        impressions.show(&MINUTE, shown(1, 8, 11));
        assert_eq!(unchosen(&mut impressions, 60_999), NOTHING);
        impressions.choose(1, 7);
        assert_eq!(unchosen(&mut impressions, 61_000), [11]);
        assert_eq!(unchosen(&mut impressions, 90_000), NOTHING);
    }

    #[test]
    fn a_second_impression_begins_the_window_again() {
        let mut impressions = Impressions::default();
        impressions.show(&MINUTE, shown(1, 7, 10));
        impressions.observe(30_000);
        impressions.show(&MINUTE, shown(1, 7, 20));
        assert_eq!(unchosen(&mut impressions, 60_000), NOTHING);
        assert_eq!(unchosen(&mut impressions, 90_000), [20]);
    }

    #[test]
    fn a_late_event_moves_no_window_back() {
        let mut impressions = Impressions::default();
        impressions.observe(100_000);
        impressions.observe(5_000);
        impressions.show(&MINUTE, shown(1, 7, 10));
        assert_eq!(unchosen(&mut impressions, 159_999), NOTHING);
        assert_eq!(unchosen(&mut impressions, 160_000), [10]);
    }

    #[test]
    fn beyond_the_capacity_the_oldest_get_no_label_and_are_counted() {
        let mut impressions = Impressions::default();
        (0..5).for_each(|item| impressions.show(&MINUTE, shown(1, item, 10 + u64::from(item))));
        assert_eq!(impressions.n_overflown, 2);
        assert_eq!(unchosen(&mut impressions, 60_000), [12, 13, 14]);
    }

    #[test]
    fn impressions_of_a_merged_guest_are_dropped() {
        let mut impressions = Impressions::default();
        impressions.show(&MINUTE, shown(1, 7, 10));
        impressions.show(&MINUTE, shown(2, 7, 11));
        impressions.forget_shopper(1);
        assert_eq!(unchosen(&mut impressions, 60_000), [11]);
    }
}
