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
//! **Published keys.** Anyone can send events with one. Such an event counts only if it cites one of the latest
//! [`PAGES`] answers of the trial and is about an item that the answer has, and comes from the answer's shopper if that was
//! asked for with a published key too; of one answer the first impression and the first click of each item count, and one
//! click for the account. How many such answers an address gets is bounded where pages are made.
//!
//! **Bounded.** The latest [`KEPT`] new items, [`PAGES`] answers, and [`KINDS`] kinds; kinds that come later are not
//! counted.

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{DAY_MS, Event, EventType, Item, ItemId, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::ledger::CLICK_WINDOW_MS;
use crate::{CatalogueEntry, DrawAccount, ItemIdx, Served, Trial, shopper_hash};

/// New items that are kept.
const KEPT: usize = 4_096;
/// Answers that events with a published key may cite.
const PAGES: usize = 16_384;
/// Items of an answer about which such events count, from its first place on.
const ITEMS: usize = 32;
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
    /// Answers to the shop's own programs in which it was drawn into a place for new products.
    pub draws: u64,
}

impl NewProduct {
    /// How often shoppers saw it, and clicked it then. An answer in which it was drawn counts as an impression where the
    /// shop sends none: a product that is shown a thousand times and never clicked is not unknown.
    pub fn seen(&self) -> ShownClicked {
        ShownClicked { impressions: self.shown.impressions.max(self.draws), ..self.shown }
    }
}

/// An answer that events with a published key may cite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    received_at: Timestamp,
    shopper: Option<u64>,
    is_published: bool,
    items: Box<[ItemIdx]>,
    /// The items whose impression, and whose click, was counted: a bit each.
    shown: u32,
    clicked: u32,
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
    /// By the hash of the answer's id, and in their order.
    pages: BTreeMap<u64, Page>,
    pages_in_order: VecDeque<u64>,
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

    /// Takes in a description.
    pub(crate) fn describe(&mut self, index: ItemIdx, item: &Item, earlier: Earlier, now: Now) {
        let known = self.known.get(&index).map(|known| known.since_ms);
        let since_ms = match (item.published_at, known) {
            (Some(at), Some(_)) => at.0,
            (None, Some(since_ms)) => since_ms,
            // Some exports have the date of the last change there: what the shop has had for years is not new by it.
            (Some(at), None) if earlier.may_become_new(now) => at.0,
            (None, None) if earlier == Earlier::NotNamed && now.has_events => now.at_ms,
            (_, None) => return,
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

    /// Takes in an answer, which was given to `shopper`.
    pub(crate) fn serve(
        &mut self,
        served: &Served,
        shopper: Option<u64>,
        received_at: Timestamp,
        item_of: impl Fn(&ItemId) -> Option<ItemIdx>,
    ) {
        let slots = match &served.trial {
            Trial::None => return,
            Trial::Without => [].as_slice(),
            Trial::With(slots) => slots,
        };
        let hash = xxh3_64(served.recommendation_id.as_bytes());
        if self.pages.contains_key(&hash) {
            return;
        }
        self.trial.count(served, matches!(served.trial, Trial::With(_)), received_at);
        let items: Vec<Option<ItemIdx>> = served.items.iter().map(item_of).collect();
        for slot in slots.iter().filter(|slot| slot.is_new) {
            let item = items.get(usize::from(slot.place)).copied().flatten();
            // Anyone can ask for pages with a published key, so such draws say nothing of shoppers.
            if !served.published
                && let Some(known) = item.and_then(|item| self.known.get_mut(&item))
            {
                known.draws += 1;
            }
        }
        let page = Page {
            received_at,
            shopper,
            is_published: served.published,
            items: items.into_iter().flatten().take(ITEMS).collect(),
            shown: 0,
            clicked: 0,
        };
        self.pages.insert(hash, page);
        self.pages_in_order.push_back(hash);
        while let Some(oldest) = self.pages_in_order.front()
            && (self.pages_in_order.len() > PAGES || self.is_over(*oldest, received_at))
        {
            self.pages.remove(oldest);
            self.pages_in_order.pop_front();
        }
    }

    /// Takes in an event about an item.
    pub(crate) fn observe(&mut self, event: &Event, index: ItemIdx, item: &Item, received_at: Timestamp) {
        if !matches!(event.event_type, EventType::Impression | EventType::Click) {
            return;
        }
        let counts = self.admit(event, index);
        if event.event_type == EventType::Click && counts.for_account {
            self.trial.observe(event, received_at);
        }
        // A click that no page led to says nothing of how often what is shown is clicked.
        let is_of_page = event.recommendation_id.is_some() || event.position.is_some();
        if !is_of_page || !counts.for_item {
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

    /// Whether an answer is too old to be cited.
    fn is_over(&self, page: u64, now: Timestamp) -> bool {
        let known = self.pages.get(&page);
        known.is_none_or(|page| now.0.saturating_sub(page.received_at.0) > CLICK_WINDOW_MS)
    }

    /// What an impression or a click counts for.
    fn admit(&mut self, event: &Event, index: ItemIdx) -> Counts {
        let id = event.recommendation_id.as_deref();
        let page = id.and_then(|id| self.pages.get_mut(&xxh3_64(id.as_bytes())));
        let Some(page) = page.filter(|page| page.is_published || event.id.is_published()) else {
            let is_own = !event.id.is_published();
            return Counts { for_item: is_own, for_account: is_own };
        };
        let none = Counts { for_item: false, for_account: false };
        // The page of a shop's own server may be for a user whom the browser knows as a session only.
        if page.is_published && event.id.is_published() && page.shopper != Some(shopper_hash(&event.shopper())) {
            return none;
        }
        let Some(place) = page.items.iter().position(|item| *item == index) else { return none };
        let is_click = event.event_type == EventType::Click;
        let counted = if is_click { &mut page.clicked } else { &mut page.shown };
        let is_first_of_page = *counted == 0;
        let is_first = *counted & (1 << place) == 0;
        *counted |= 1 << place;
        Counts { for_item: is_first, for_account: is_click && is_first_of_page }
    }
}

/// What an event counts for: the item and its kinds, and the account of what new products cost.
struct Counts {
    for_item: bool,
    for_account: bool,
}

/// What the shop knew of an item before a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// Nothing.
    NotNamed,
    /// Events have named it.
    Named,
    /// It was described, with this date of publication.
    Described(Option<Timestamp>),
}

impl Earlier {
    /// Of the item's entry in the catalogue.
    pub fn of(entry: Option<&CatalogueEntry>) -> Self {
        match entry {
            None => Self::NotNamed,
            Some(entry) if entry.described => Self::Described(entry.item.published_at),
            Some(_) => Self::Named,
        }
    }

    fn may_become_new(self, now: Now) -> bool {
        match self {
            Self::NotNamed | Self::Named => true,
            Self::Described(published_at) => published_at.is_some_and(|at| at.0 > now.at_ms),
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
    use accrue_event::{Price, Shopper};

    use super::*;
    use crate::{NewSlot, Offset, Vocabulary};

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

    fn answer(id: &str) -> Served {
        Served {
            recommendation_id: id.into(),
            page: crate::Page::Recommend,
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
            trial: Trial::None,
        }
    }

    #[test]
    fn an_item_is_new_from_its_publication_or_its_first_description_on() {
        let mut library = NewProducts::default();
        let before = Now { has_events: false, ..NOW };
        library.describe(0, &item("first catalogue", None), Earlier::NotNamed, before);
        library.describe(1, &item("dated", Some(390)), Earlier::NotNamed, before);
        library.describe(2, &item("old", Some(200)), Earlier::NotNamed, NOW);
        library.describe(3, &item("just named", None), Earlier::NotNamed, NOW);
        library.describe(4, &item("known from events", None), Earlier::Named, NOW);
        library.describe(5, &item("to come", Some(410)), Earlier::NotNamed, NOW);
        library.describe(3, &item("just named", None), Earlier::Described(None), Now { at_ms: 450 * DAY_MS, ..NOW });
        library.describe(6, &item("changed", Some(399)), Earlier::Described(None), NOW);
        library.describe(7, &item("changed again", Some(399)), Earlier::Described(Some(Timestamp(0))), NOW);
        library.describe(8, &item("preponed", Some(395)), Earlier::Described(Some(Timestamp(410 * DAY_MS))), NOW);
        let since: Vec<(u32, i64)> = library.latest().map(|(item, new)| (item, new.since_ms / DAY_MS)).collect();
        assert_eq!(since, [(8, 395), (5, 410), (3, 400), (1, 390)]);
        for number in 10..10 + 2 * KEPT as u32 {
            library.describe(number, &item("many", None), Earlier::NotNamed, NOW);
        }
        assert_eq!((library.known.len(), library.order.len()), (KEPT, KEPT));
        assert!(library.get(5).is_none(), "the oldest made room");
    }

    #[test]
    fn impressions_and_clicks_of_pages_count_for_the_product_and_its_kinds() {
        let mut library = NewProducts::default();
        let (mug, other) = (item("mug", Some(399)), Item { brand: None, ..item("cup", None) });
        library.describe(0, &mug, Earlier::NotNamed, NOW);
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
        library.describe(0, &item("mug", Some(399)), Earlier::NotNamed, NOW);
        let mut items = Vocabulary::default();
        items.intern("mug");
        let served = |id: &str, trial: Trial| Served { trial, ..answer(id) };
        let slot = |is_new| Trial::With(vec![NewSlot { place: 1, propensity: 0.25, is_new }]);
        for (id, trial) in [("a", slot(true)), ("b", Trial::Without), ("c", slot(false)), ("d", Trial::None)] {
            library.serve(&served(id, trial), None, Timestamp(0), |id| items.get(id.as_str()));
        }
        assert_eq!(library.get(0).unwrap().draws, 1);
        let day = *library.trial.days().next().unwrap();
        assert_eq!((day.drawn.answers, day.others.answers), (2, 1));
    }

    #[test]
    fn with_a_published_key_each_item_of_an_answer_counts_once_and_only_for_its_shopper() {
        let mut library = NewProducts::default();
        let mut items = Vocabulary::default();
        let (mug, cup) = (items.intern("mug"), items.intern("cup"));
        library.describe(mug, &item("mug", Some(399)), Earlier::NotNamed, NOW);
        let guest = Shopper::PublishedGuest("s1".into());
        let served = Served {
            published: true,
            trial: Trial::With(vec![NewSlot { place: 0, propensity: 0.5, is_new: true }]),
            ..answer("r1")
        };
        library.serve(&served, Some(shopper_hash(&guest)), Timestamp(0), |id| items.get(id.as_str()));
        let mut observe = |kind, session: &str, of: &str, index| {
            let event = Event {
                id: format!("{}k:e", accrue_event::PUBLISHED_PREFIX).as_str().into(),
                user: None,
                session: Some(session.into()),
                recommendation_id: Some(of.into()),
                ..event(kind, Some(0))
            };
            library.observe(&event, index, &item("mug", Some(399)), Timestamp(0));
        };
        for _ in 0..30 {
            observe(EventType::Impression, "s1", "r1", mug);
            observe(EventType::Click, "s1", "r1", mug);
            observe(EventType::Click, "s1", "r1", cup);
            observe(EventType::Click, "s2", "r1", mug);
            observe(EventType::Click, "s1", "no answer", mug);
            observe(EventType::Click, "s1", "r1", 77);
        }
        assert_eq!(library.get(mug).unwrap().shown, ShownClicked { impressions: 1, clicks: 1 });
        assert_eq!(library.of_all(), ShownClicked { impressions: 1, clicks: 2 });
        assert_eq!(library.trial.days().next().unwrap().drawn.clicks, 1);
        // The shop's own event about that answer, of a user whom the answer did not know; and the answer once more.
        let own = Event { recommendation_id: Some("r1".into()), ..event(EventType::Click, Some(1)) };
        library.observe(&own, cup, &item("cup", None), Timestamp(0));
        assert_eq!(library.of_all().clicks, 2, "it was clicked before");
        library.serve(&served, Some(shopper_hash(&guest)), Timestamp(0), |id| items.get(id.as_str()));
        library.observe(&own, cup, &item("cup", None), Timestamp(0));
        assert_eq!(library.of_all().clicks, 2, "an id that is served twice counts once");
        assert_eq!(library.get(mug).unwrap().draws, 0);
        for number in 0..2 * PAGES {
            library.serve(
                &Served { recommendation_id: format!("{number}").into(), ..served.clone() },
                None,
                Timestamp(0),
                |id| items.get(id.as_str()),
            );
        }
        assert_eq!((library.pages.len(), library.pages_in_order.len()), (PAGES, PAGES));
        let later = Timestamp(CLICK_WINDOW_MS + 1);
        library.serve(&Served { recommendation_id: "late".into(), ..served }, None, later, |id| items.get(id.as_str()));
        assert_eq!(library.pages.len(), 1, "what cannot be clicked any more is forgotten");
    }

    #[test]
    fn a_draw_counts_as_an_impression_where_the_shop_sends_none() {
        let new = NewProduct { draws: 40, ..NewProduct::default() };
        assert_eq!(new.seen(), ShownClicked { impressions: 40, clicks: 0 });
        let new = NewProduct { shown: ShownClicked { impressions: 50, clicks: 2 }, ..new };
        assert_eq!(new.seen(), ShownClicked { impressions: 50, clicks: 2 });
    }
}
