//! The library of new products: since when the shop has each, how often it was shown and clicked, and what showing it
//! costs.
//!
//! In: descriptions, answers and events, in log order. Out: for each new product its counts; for kinds of items (a
//! category, a brand, a magnitude of price) how often their items are clicked, which is what is expected of a new one;
//! and the [account](DrawAccount) of answers in which new products may stand, beside those in which they may not. It is
//! a fold of the facts. What of the library may stand on a page is decided where pages are made.
//!
//! An item is new from its date of publication on, or, without one, from the description in which the shop first named
//! it. In a shop without events nothing that has no date is new: its first catalogue is not news.
//!
//! **Bounded.** The latest [`KEPT`] new items, and [`KINDS`] kinds; kinds that come later are not counted.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{DAY_MS, Event, EventType, Item, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{DrawAccount, ItemIdx, Served, Trial, Vocabulary};

/// New items that are kept.
const KEPT: usize = 4_096;
/// Kinds that are counted.
const KINDS: usize = 4_096;
/// An item that was published longer ago when the shop first describes it is not new.
const LONGEST_DAYS: i64 = 90;

/// How often something was shown, and clicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownClicked {
    /// Impressions.
    pub impressions: u64,
    /// Clicks on pages.
    pub clicks: u64,
}

impl ShownClicked {
    fn count(&mut self, event_type: &EventType) {
        match event_type {
            EventType::Impression => self.impressions += 1,
            _ => self.clicks += 1,
        }
    }
}

/// A new product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProduct {
    /// Since when it is in the shop, in milliseconds since 1970.
    pub since_ms: i64,
    /// How often it was shown and clicked, wherever it stood.
    pub shown: ShownClicked,
    /// Answers in which it was drawn into a place for new products.
    pub draws: u64,
}

/// The library.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NewProducts {
    known: BTreeMap<ItemIdx, NewProduct>,
    /// Their items in the order in which they came.
    order: VecDeque<ItemIdx>,
    of_all: ShownClicked,
    by_kind: BTreeMap<u64, ShownClicked>,
    /// Clicks on answers in which new products may stand, and on those beside them in which they may not.
    pub trial: DrawAccount,
}

impl NewProducts {
    /// Whether nothing was ever counted.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// What is known of a new product; `None` of an item that is none.
    pub fn get(&self, item: ItemIdx) -> Option<&NewProduct> {
        self.known.get(&item)
    }

    /// All new products, the ones that came last first.
    pub fn latest(&self) -> impl Iterator<Item = (ItemIdx, &NewProduct)> {
        self.order.iter().rev().filter_map(|item| Some((*item, self.known.get(item)?)))
    }

    /// How often all items together were shown and clicked.
    pub fn of_all(&self) -> ShownClicked {
        self.of_all
    }

    /// How often the items of each kind that an item has were shown and clicked: of its category, its brand, its
    /// magnitude of price.
    pub fn of_kinds(&self, item: &Item) -> impl Iterator<Item = ShownClicked> {
        kinds(item).into_iter().flatten().filter_map(|kind| self.by_kind.get(&kind).copied())
    }

    /// Takes in a description. `is_first`: the shop had not named the item before.
    pub(crate) fn describe(&mut self, index: ItemIdx, item: &Item, is_first: bool, now: Now) {
        let known = self.known.get(&index).map(|known| known.since_ms);
        let since_ms = match (item.published_at, known) {
            (Some(at), _) => at.0,
            (None, Some(since_ms)) => since_ms,
            (None, None) if is_first && now.has_events => now.at_ms,
            (None, None) => return,
        };
        if known.is_none() && now.at_ms.saturating_sub(since_ms) > LONGEST_DAYS * DAY_MS {
            return;
        }
        if known.is_none() {
            self.order.push_back(index);
        }
        self.known.entry(index).or_default().since_ms = since_ms;
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Takes in an answer.
    pub(crate) fn serve(&mut self, served: &Served, received_at: Timestamp, items: &Vocabulary) {
        match &served.trial {
            Trial::None => {}
            Trial::Without => self.trial.count(served, false, received_at),
            Trial::With(slots) => {
                self.trial.count(served, true, received_at);
                for slot in slots.iter().filter(|slot| slot.is_new) {
                    let item = served.items.get(usize::from(slot.place)).and_then(|item| items.get(item.as_str()));
                    if let Some(known) = item.and_then(|item| self.known.get_mut(&item)) {
                        known.draws += 1;
                    }
                }
            }
        }
    }

    /// Takes in an event about an item.
    pub(crate) fn observe(&mut self, event: &Event, index: ItemIdx, item: &Item, received_at: Timestamp) {
        if event.event_type == EventType::Click {
            self.trial.observe(event, received_at);
        }
        // A click that no page led to says nothing of how often what is shown is clicked.
        let is_of_page = event.recommendation_id.is_some() || event.position.is_some();
        if !is_of_page || !matches!(event.event_type, EventType::Impression | EventType::Click) {
            return;
        }
        self.of_all.count(&event.event_type);
        for kind in kinds(item).into_iter().flatten() {
            if self.by_kind.len() < KINDS || self.by_kind.contains_key(&kind) {
                self.by_kind.entry(kind).or_default().count(&event.event_type);
            }
        }
        if let Some(known) = self.known.get_mut(&index) {
            known.shown.count(&event.event_type);
        }
    }
}

/// The moment of a description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The time of the stream, or of the record before there is any event.
    pub at_ms: i64,
    /// Whether the shop has events.
    pub has_events: bool,
}

/// The kinds that an item is of.
fn kinds(item: &Item) -> [Option<u64>; 3] {
    let category = item.categories.last().map(|category| xxh3_64_with_seed(category.as_bytes(), 1));
    let brand = item.brand.as_ref().map(|brand| xxh3_64_with_seed(brand.as_bytes(), 2));
    // The exponent and the first bit behind the point: the same for prices that differ by less than a half.
    let magnitude = item.price.map(|price| price.to_f64().to_bits() >> 51);
    [category, brand, magnitude.map(|magnitude| xxh3_64_with_seed(&magnitude.to_le_bytes(), 3))]
}

#[cfg(test)]
mod tests {
    use accrue_event::Price;

    use super::*;
    use crate::{NewSlot, Offset, Page};

    const NOW: Now = Now { at_ms: 400 * DAY_MS, has_events: true };

    fn item(id: &str, published_day: Option<i64>) -> Item {
        let published_at = published_day.map(|day| Timestamp(day * DAY_MS));
        let (brand, price) = (Some("Acme".into()), Price::new(8.5));
        Item { published_at, brand, price, categories: vec!["mugs".into()], ..Item::bare(id.into()) }
    }

    fn event(event_type: EventType, position: Option<u32>) -> Event {
        Event {
            id: "e1".into(),
            event_type,
            user: Some("ann".into()),
            session: None,
            item: Some("mug".into()),
            at: Timestamp(NOW.at_ms),
            value: 1.0,
            quantity: 1,
            price: None,
            query: None,
            source: None,
            recommendation_id: position.map(|_| "r1".into()),
            position,
            properties: Default::default(),
        }
    }

    #[test]
    fn an_item_is_new_from_its_publication_or_its_first_description_on() {
        let mut library = NewProducts::default();
        let before = Now { has_events: false, ..NOW };
        library.describe(0, &item("first catalogue", None), true, before);
        library.describe(1, &item("dated", Some(390)), true, before);
        library.describe(2, &item("old", Some(200)), true, NOW);
        library.describe(3, &item("just named", None), true, NOW);
        library.describe(4, &item("known from events", None), false, NOW);
        library.describe(5, &item("to come", Some(410)), true, NOW);
        library.describe(3, &item("just named", None), false, Now { at_ms: 450 * DAY_MS, ..NOW });
        let since: Vec<(u32, i64)> = library.latest().map(|(item, new)| (item, new.since_ms / DAY_MS)).collect();
        assert_eq!(since, [(5, 410), (3, 400), (1, 390)]);
        for number in 10..10 + 2 * KEPT as u32 {
            library.describe(number, &item("many", None), true, NOW);
        }
        assert_eq!((library.known.len(), library.order.len()), (KEPT, KEPT));
        assert!(library.get(5).is_none(), "the oldest made room");
    }

    #[test]
    fn impressions_and_clicks_of_pages_count_for_the_product_and_its_kinds() {
        let mut library = NewProducts::default();
        let (mug, other) = (item("mug", Some(399)), Item { brand: None, ..item("cup", None) });
        library.describe(0, &mug, true, NOW);
        let mut observe = |kind: EventType, position, index, item: &Item| {
            library.observe(&event(kind, position), index, item, Timestamp(0));
        };
        observe(EventType::Impression, Some(3), 0, &mug);
        observe(EventType::Impression, Some(3), 7, &other);
        observe(EventType::Click, Some(3), 0, &mug);
        observe(EventType::Click, None, 0, &mug);
        observe(EventType::Purchase, Some(3), 0, &mug);
        let counts = |impressions, clicks| ShownClicked { impressions, clicks };
        assert_eq!((library.of_all(), library.get(0).unwrap().shown), (counts(2, 1), counts(1, 1)));
        let of_kinds: Vec<ShownClicked> = library.of_kinds(&mug).collect();
        assert_eq!(of_kinds, [counts(2, 1), counts(1, 1), counts(2, 1)], "category, brand, price");
    }

    #[test]
    fn draws_count_for_the_product_and_answers_for_the_account() {
        let mut library = NewProducts::default();
        library.describe(0, &item("mug", Some(399)), true, NOW);
        let mut items = Vocabulary::default();
        items.intern("mug");
        let served = |id: &str, trial: Trial| Served {
            recommendation_id: id.into(),
            page: Page::Recommend,
            user: None,
            session: None,
            version: 1,
            learned: Offset(0),
            first_position: 0,
            items: vec!["cup".into(), "mug".into()],
            propensities: Vec::new(),
            arm: None,
            ranks: Vec::new(),
            asked: Box::default(),
            sponsored: Vec::new(),
            published: false,
            trial,
        };
        let slot = |is_new| Trial::With(vec![NewSlot { place: 1, propensity: 0.25, is_new }]);
        for (id, trial) in [("a", slot(true)), ("b", Trial::Without), ("c", slot(false)), ("d", Trial::None)] {
            library.serve(&served(id, trial), Timestamp(0), &items);
        }
        assert_eq!(library.get(0).unwrap().draws, 1);
        let day = *library.trial.days().next().unwrap();
        assert_eq!((day.drawn.answers, day.others.answers), (2, 1));
    }
}
