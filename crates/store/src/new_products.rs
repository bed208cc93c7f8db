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
//! click for the account. How many such answers an address gets is bounded where pages are made, and the writer marks
//! what an address says again ([`CheckedEvent::is_evidence`](crate::CheckedEvent::is_evidence)), which is not taken in.
//!
//! **Once for each shopper.** That one shopper sees, or clicks, the same item on twenty pages is one piece of evidence.
//! An impression, a click and a draw of an item count once for each shopper within [`CLICK_WINDOW_MS`], whoever sent the
//! event and whichever answers it cites.
//!
//! **Bounded.** The latest [`KEPT`] new items, [`PAGES`] answers, [`KINDS`] kinds, and [`COUNTED`] impressions, clicks and
//! draws that are not counted again; kinds that come later are not counted.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use accrue_event::{DAY_MS, Event, EventType, Item, ItemId, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::ledger::{CLICK_WINDOW_MS, Latest};
use crate::{CatalogueEntry, CataloguePlace, DrawAccount, ItemIdx, Served, Trial, shopper_hash};

/// New items that are kept.
const KEPT: usize = 4_096;
/// Answers that events with a published key may cite.
const PAGES: usize = 16_384;
/// Items of an answer about which such events count, from its first place on.
const ITEMS: usize = 32;
/// Kinds that are counted.
const KINDS: usize = 4_096;
/// Impressions, clicks and draws of the latest [`CLICK_WINDOW_MS`] that are remembered, at most.
const COUNTED: usize = 65_536;
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
    /// When each shopper's latest impression, click or draw of an item was counted, by the hash of all three.
    counted: Latest<u64, Timestamp>,
}

/// The same as earlier builds saved it (section version 2): each of a shopper's clicks counted.
#[derive(Deserialize)]
pub(crate) struct FirstNewProducts {
    known: BTreeMap<ItemIdx, NewProduct>,
    order: VecDeque<ItemIdx>,
    of_all: ShownClicked,
    by_kind: BTreeMap<u64, ShownClicked>,
    trial: DrawAccount,
    pages: BTreeMap<u64, Page>,
    pages_in_order: VecDeque<u64>,
}

impl From<FirstNewProducts> for NewProducts {
    fn from(first: FirstNewProducts) -> Self {
        let FirstNewProducts { known, order, of_all, by_kind, trial, pages, pages_in_order } = first;
        Self { known, order, of_all, by_kind, trial, pages, pages_in_order, counted: Latest::default() }
    }
}

/// What is counted of a shopper and an item.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Impression = 1,
    Click = 2,
    Draw = 3,
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
            let Some(item) = item.filter(|item| self.known.contains_key(item)) else { continue };
            // Anyone can ask for pages with a published key, so such draws say nothing of shoppers.
            if !served.published
                && shopper.is_none_or(|shopper| self.is_first(Seen::Draw, shopper, item, received_at))
                && let Some(known) = self.known.get_mut(&item)
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

    /// Takes in an event about an item. Its kinds are those of its description; one without a description has none.
    pub(crate) fn observe(&mut self, event: &Event, index: ItemIdx, item: Option<&Item>, received_at: Timestamp) {
        if !matches!(event.event_type, EventType::Impression | EventType::Click) {
            return;
        }
        // A click that no page led to says nothing of how often what is shown is clicked.
        let is_of_page = event.recommendation_id.is_some() || event.position.is_some();
        if !is_of_page {
            return;
        }
        let counts = self.admit(event, index, received_at);
        if event.event_type == EventType::Click && counts.for_account {
            self.trial.observe(event, received_at);
        }
        if !counts.for_item {
            return;
        }
        self.of_all.count(&event.event_type);
        for kind in item.map(kinds).into_iter().flatten().flatten() {
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

    /// What an impression or a click counts for: for nothing if its shopper's latest one of the item was counted within
    /// the window.
    fn admit(&mut self, event: &Event, index: ItemIdx, received_at: Timestamp) -> Counts {
        let counts = self.admit_of_answer(event, index);
        let of = if event.event_type == EventType::Click { Seen::Click } else { Seen::Impression };
        let is_first = (counts.for_item || counts.for_account)
            && self.is_first(of, shopper_hash(&event.shopper()), index, received_at);
        if is_first { counts } else { Counts { for_item: false, for_account: false } }
    }

    /// Whether nothing of the kind was counted of a shopper and an item within the window. It is counted now.
    fn is_first(&mut self, of: Seen, shopper: u64, item: ItemIdx, now: Timestamp) -> bool {
        let is_over = |at: &Timestamp| now.0.saturating_sub(at.0) > CLICK_WINDOW_MS;
        self.counted.forget_while(is_over);
        let of = [((of as u64) << 32) | u64::from(item), shopper].map(u64::to_le_bytes);
        let key = xxh3_64(of.as_flattened());
        let is_first = self.counted.get(key).is_none_or(is_over);
        if is_first {
            *self.counted.entry(key, COUNTED) = now;
        }
        is_first
    }

    /// What an impression or a click counts for by the answer that it cites.
    fn admit_of_answer(&mut self, event: &Event, index: ItemIdx) -> Counts {
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
    pub fn of(place: Option<&CataloguePlace>) -> Self {
        place.map_or(Self::NotNamed, |place| place.known().map_or(Self::Named, Self::of_entry))
    }

    pub fn of_entry(entry: &CatalogueEntry) -> Self {
        if entry.described { Self::Described(entry.item.published_at) } else { Self::Named }
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
