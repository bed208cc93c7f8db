//! Impressions that wait for their label: what was shown and not chosen within a while was passed over.
//!
//! A choice may follow what was shown minutes later, so an impression says nothing when it arrives. In: impressions and choices, in
//! log order. Out: the pairs of shopper and item whose window has passed, for a negative step each. Time is stream time: the largest
//! `at` of the events so far, at which a window begins and by which it expires; so windows expire in the order in which they began,
//! whatever the clocks of the shop's pages say. A choice within the window takes the impression out, a second impression of the same
//! item begins the window anew. Bounded: with more than `capacity` waiting the oldest go unlabelled, and are counted.
//!
//! Chapelle, *Modeling delayed feedback in display advertising* (KDD 2014) sets out why a missing click is no label until its time
//! is up; a fixed window is the simplest of the answers (He et al., *Practical lessons from predicting clicks on ads at Facebook*,
//! 2014, §5).

use std::collections::{BTreeMap, VecDeque};

use accrue_event::SettingFault;
use accrue_store::{ItemIdx, ShopperIdx};
use serde::{Deserialize, Serialize};

/// How impressions become negatives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImpressionSettings {
    /// Stream time after which an impression without a choice is a negative, in seconds; 0 is never.
    pub window_s: u32,
    /// What such a negative is worth, beside 1 for a view.
    pub weight: f32,
    /// Impressions that may wait at once.
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

/// An impression, of which nothing is learned before its window has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Who was shown it.
    pub(crate) shopper: ShopperIdx,
    /// What was shown.
    pub(crate) item: ItemIdx,
    /// The record of the impression.
    pub(crate) offset: u64,
    /// Hash of the shopper's name.
    pub(crate) name: u64,
}

/// A window in the order of its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Window {
    ends_ms: i64,
    shopper: ShopperIdx,
    item: ItemIdx,
    offset: u64,
    name: u64,
}

/// All impressions that wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Impressions {
    /// Windows in the order in which they end, those that were closed early included.
    windows: VecDeque<Window>,
    /// The record of the impression that waits, by pair.
    waiting: BTreeMap<(ShopperIdx, ItemIdx), u64>,
    stream_ms: Option<i64>,
    n_overflown: u64,
}

impl Impressions {
    /// Moves stream time on to an event's time, never back.
    pub(crate) fn observe(&mut self, at_ms: i64) {
        self.stream_ms = self.stream_ms.max(Some(at_ms));
    }

    /// Stream time.
    pub(crate) fn stream_ms(&self) -> i64 {
        self.stream_ms.unwrap_or(0)
    }

    /// Something was shown.
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

    /// Something was chosen: whatever was shown of it has its label.
    pub(crate) fn choose(&mut self, shopper: ShopperIdx, item: ItemIdx) {
        self.waiting.remove(&(shopper, item));
    }

    /// A guest became a user: what waits of the guest is let go, for whose choice would tell is unclear.
    pub(crate) fn forget_shopper(&mut self, guest: ShopperIdx) {
        let pairs: Vec<_> = self.waiting.range((guest, 0)..=(guest, ItemIdx::MAX)).map(|(&pair, _)| pair).collect();
        for pair in pairs {
            self.waiting.remove(&pair);
        }
    }

    /// The next impression whose window has passed.
    pub(crate) fn next_passed(&mut self) -> Option<Shown> {
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

    /// Takes the pair of a window out if no choice and no later impression did.
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

    fn passed(impressions: &mut Impressions, at_ms: i64) -> Vec<u64> {
        impressions.observe(at_ms);
        std::iter::from_fn(|| impressions.next_passed()).map(|passed| passed.offset).collect()
    }

    #[test]
    fn what_is_not_chosen_within_its_window_is_passed_over() {
        let mut impressions = Impressions::default();
        impressions.observe(1_000);
        impressions.show(&MINUTE, shown(1, 7, 10));
        impressions.show(&MINUTE, shown(1, 8, 11));
        assert_eq!(passed(&mut impressions, 60_999), NOTHING);
        impressions.choose(1, 7);
        assert_eq!(passed(&mut impressions, 61_000), [11]);
        assert_eq!(passed(&mut impressions, 90_000), NOTHING);
    }

    #[test]
    fn a_second_impression_begins_the_window_anew() {
        let mut impressions = Impressions::default();
        impressions.show(&MINUTE, shown(1, 7, 10));
        impressions.observe(30_000);
        impressions.show(&MINUTE, shown(1, 7, 20));
        assert_eq!(passed(&mut impressions, 60_000), NOTHING);
        assert_eq!(passed(&mut impressions, 90_000), [20]);
    }

    #[test]
    fn a_late_event_moves_no_window_back() {
        let mut impressions = Impressions::default();
        impressions.observe(100_000);
        impressions.observe(5_000);
        impressions.show(&MINUTE, shown(1, 7, 10));
        assert_eq!(passed(&mut impressions, 159_999), NOTHING);
        assert_eq!(passed(&mut impressions, 160_000), [10]);
    }

    #[test]
    fn too_many_go_unlabelled_oldest_first_and_are_counted() {
        let mut impressions = Impressions::default();
        (0..5).for_each(|item| impressions.show(&MINUTE, shown(1, item, 10 + u64::from(item))));
        assert_eq!(impressions.n_overflown, 2);
        assert_eq!(passed(&mut impressions, 60_000), [12, 13, 14]);
    }

    #[test]
    fn of_a_merged_guest_nothing_waits() {
        let mut impressions = Impressions::default();
        impressions.show(&MINUTE, shown(1, 7, 10));
        impressions.show(&MINUTE, shown(2, 7, 11));
        impressions.forget_shopper(1);
        assert_eq!(passed(&mut impressions, 60_000), [11]);
    }
}
