//! Impressions that the click heads wait for, and what followed each.
//!
//! In: impressions with the features of their moment, and choices, in log order. Out: heads that learned each impression
//! once its window had passed. As in [`impressions`](crate::impressions), windows begin and end in stream time. A choice
//! of the item by the shopper within the window raises what followed; showing the pair again ends the window of the
//! impression before, so that a choice is credited to the latest one. With a published key anyone can show a pair again, so there
//! the impression that waits stays.
//!
//! The heads are not part of a version: they read what the ensemble computes and learn on from whatever replaces it. The
//! number of waiting impressions is bounded: while it is reached, new ones are not learned from. Which these are does not
//! depend on what follows them, so the rates that are learned stay true.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{EventType, SettingFault};
use accrue_model::ranker::{ClickHeads, ColumnNames, Followed, Foreseen, ItemFeatures, Keys, PageFeatures};
use accrue_model::{Context, Ensemble};
use accrue_store::{ItemIdx, ShopperIdx};
use serde::{Deserialize, Serialize};

/// How the click heads learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickSettings {
    /// Whether they learn from impressions.
    pub enabled: bool,
    /// Stream time after an impression within which a choice counts as its consequence, in seconds.
    pub window_s: u32,
    /// Largest number of impressions that wait.
    pub capacity: usize,
}

impl Default for ClickSettings {
    fn default() -> Self {
        Self { enabled: true, window_s: 1_800, capacity: 16_384 }
    }
}

impl ClickSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("window_s", self.window_s, 1..=2_592_000)?;
        SettingFault::check("capacity", self.capacity, 1..=10_000_000)
    }
}

/// An impression that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    ends_ms: i64,
    shopper: ShopperIdx,
    page: PageFeatures,
    shown: ItemFeatures,
    foreseen: Foreseen,
    followed: Followed,
}

/// The heads, and the impressions that they wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clicks {
    heads: ClickHeads,
    /// Windows in the order in which they end; `None` where one was closed early.
    windows: VecDeque<Option<Waiting>>,
    /// The number of the window at the front.
    first: u64,
    /// For each pair, the number of the window that waits.
    waiting: BTreeMap<(ShopperIdx, ItemIdx), u64>,
    /// Impressions that found no place.
    n_left_out: u64,
}

/// Memory that is used while an impression is taken in.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClickScratch {
    keys: Keys,
    names: ColumnNames,
}

impl Clicks {
    pub(crate) fn new(seed: u64) -> Self {
        let (windows, waiting) = (VecDeque::new(), BTreeMap::new());
        Self { heads: ClickHeads::new(seed), windows, first: 0, waiting, n_left_out: 0 }
    }

    /// The heads.
    pub fn heads(&self) -> &ClickHeads {
        &self.heads
    }

    /// Impressions whose window has not passed.
    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Impressions that were not learned from because too many waited.
    pub fn n_left_out(&self) -> u64 {
        self.n_left_out
    }

    /// Whether nothing was ever shown.
    pub(crate) fn is_untouched(&self) -> bool {
        self.heads.n_learned() == 0 && self.windows.is_empty() && self.n_left_out == 0
    }

    /// Whether one more impression may wait. Those that were closed early count until their window has passed, because
    /// they take memory until then.
    pub(crate) fn has_room(&mut self, settings: &ClickSettings) -> bool {
        let has_room = self.windows.len() < settings.capacity;
        self.n_left_out += u64::from(!has_room);
        has_room
    }

    /// An item was shown, at a place of a page.
    pub(crate) fn show(
        &mut self,
        (shopper, now_ms): (ShopperIdx, i64),
        settings: &ClickSettings,
        page: &PageFeatures,
        shown: ItemFeatures,
        ensemble: &Ensemble,
        scratch: &mut ClickScratch,
    ) {
        if let Some(&before) = self.waiting.get(&(shopper, shown.item)) {
            self.close(before, ensemble, scratch);
        }
        let names = &ColumnNames::of(&ensemble.columns());
        scratch.keys.begin(page);
        scratch.keys.show(page, &shown, &ensemble.catalogue, names);
        let foreseen = self.heads.foresee(&scratch.keys);
        let ends_ms = now_ms + i64::from(settings.window_s) * 1000;
        self.waiting.insert((shopper, shown.item), self.first + self.windows.len() as u64);
        let (page, followed) = (page.clone(), Followed::NOTHING);
        self.windows.push_back(Some(Waiting { ends_ms, shopper, page, shown, foreseen, followed }));
    }

    /// Whether an impression of the item waits for what the shopper does.
    pub(crate) fn is_waiting(&self, shopper: ShopperIdx, item: ItemIdx) -> bool {
        self.waiting.contains_key(&(shopper, item))
    }

    /// An item was chosen, by an event of this type.
    pub(crate) fn choose(&mut self, shopper: ShopperIdx, item: ItemIdx, type_code: u8) {
        let Some(&number) = self.waiting.get(&(shopper, item)) else { return };
        let Some(Some(waiting)) = self.windows.get_mut((number - self.first) as usize) else { return };
        let followed = match EventType::BUILT_IN.get(usize::from(type_code)) {
            Some(EventType::Purchase) => Followed::PURCHASE,
            Some(EventType::Cart) => Followed::CART,
            _ => Followed::CLICK,
        };
        waiting.followed = waiting.followed.max(followed);
    }

    /// Drops the impression of a pair that waits: what followed it is no evidence, and that nothing followed would be wrong. Where
    /// evidence has followed before, it stays.
    pub(crate) fn drop_pair(&mut self, shopper: ShopperIdx, item: ItemIdx) {
        let Some(&number) = self.waiting.get(&(shopper, item)) else { return };
        let Some(window) = self.windows.get_mut((number - self.first) as usize) else { return };
        if window.as_ref().is_none_or(|waiting| waiting.followed == Followed::NOTHING) {
            *window = None;
            self.waiting.remove(&(shopper, item));
        }
    }

    /// Learns the impressions whose window has passed at `now_ms`, stream time.
    pub(crate) fn close_until(&mut self, now_ms: i64, ensemble: &Ensemble, scratch: &mut ClickScratch) {
        while let Some(front) = self.windows.front() {
            if front.as_ref().is_some_and(|waiting| waiting.ends_ms > now_ms) {
                return;
            }
            self.close(self.first, ensemble, scratch);
            self.windows.pop_front();
            self.first += 1;
        }
    }

    /// Learns one impression with what has followed so far.
    fn close(&mut self, number: u64, ensemble: &Ensemble, scratch: &mut ClickScratch) {
        let window = self.windows.get_mut((number - self.first) as usize).and_then(Option::take);
        let Some(Waiting { shopper, page, shown, foreseen, followed, .. }) = window else { return };
        self.waiting.remove(&(shopper, shown.item));
        let ClickScratch { keys, names } = scratch;
        keys.begin(&page);
        *names = ColumnNames::of(&ensemble.columns());
        keys.show(&page, &shown, &ensemble.catalogue, names);
        self.heads.learn(keys, &foreseen, followed);
    }

    /// Drops the impressions of a guest who became a user: a later choice would be the user's.
    pub(crate) fn forget_shopper(&mut self, guest: ShopperIdx) {
        let pairs: Vec<_> =
            self.waiting.range((guest, 0)..=(guest, ItemIdx::MAX)).map(|(&pair, &at)| (pair, at)).collect();
        for (pair, number) in pairs {
            self.waiting.remove(&pair);
            self.windows[(number - self.first) as usize] = None;
        }
    }

    /// Drops all waiting impressions: what was computed for them no longer fits the columns of the models.
    pub(crate) fn drop_waiting(&mut self) {
        self.first += self.windows.len() as u64;
        self.windows.clear();
        self.waiting.clear();
    }
}

/// The page that impressions are of, read once for all that arrive one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShownPage {
    /// Whose page it is, in which session and minute; `None` once anything but an impression was learned.
    of: Option<(ShopperIdx, Option<u32>, i64)>,
    page: PageFeatures,
}

impl ShownPage {
    /// Whether the latest impression was of the same page, so that what was prepared for it still holds. Otherwise this
    /// page is the latest.
    pub(crate) fn is_of(&mut self, of: (ShopperIdx, Option<u32>, i64), context: &Context<'_>) -> bool {
        let page = PageFeatures::of(context);
        let is_same = self.of == Some(of) && self.page == page;
        (self.of, self.page) = (Some(of), page);
        is_same
    }

    /// What is the same for all items of the latest page.
    pub(crate) fn page(&self) -> &PageFeatures {
        &self.page
    }

    /// Something was learned: what was prepared no longer holds.
    pub(crate) fn end(&mut self) {
        self.of = None;
    }
}
