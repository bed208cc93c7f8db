//! The statistics that rules depend on: computed from accepted events, bounded in size, and always serialised to the
//! same bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::coordinated::Newcomers;
use super::histogram::LogHistogram;
use super::rate::RateTable;
use crate::{Event, EventType, Price};

/// Number of categories whose prices are counted; later categories are not.
const MAX_CATEGORIES: usize = 4096;

/// What the catalogue knows of an item, as far as the check needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KnownItem<'a> {
    /// Its price.
    pub price: Option<Price>,
    /// Its first category.
    pub category: Option<&'a str>,
}

/// Quantiles, medians and rates for the rules. Reading changes nothing; only [`RuleStatistics::observe`] does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleStatistics {
    /// Quantities by type of event, in the order of [`EventType::BUILT_IN`], with all custom types in one last entry.
    quantities: Vec<LogHistogram>,
    /// Prices of all events.
    prices: LogHistogram,
    /// Prices of the events of each category.
    category_prices: BTreeMap<Box<str>, LogHistogram>,
    /// Prices of events divided by the known price of their item.
    price_ratios: LogHistogram,
    /// Counts of each shopper's events in the current minute.
    rates: RateTable,
    /// Shoppers seen before, and the shoppers of each item today.
    newcomers: Newcomers,
    /// What events of published keys are compared with. A checkpoint stores it as a section of its own.
    #[serde(skip)]
    published: PublishedStatistics,
}

/// Statistics of the events of published keys, kept apart, so that whoever reads a key off a page cannot have the shop's
/// own events refused. Their prices and quantities are not counted at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedStatistics {
    rates: RateTable,
    newcomers: Newcomers,
}

impl RuleStatistics {
    /// Adds an accepted event; `item` is what the catalogue knew of its item before.
    pub fn observe(&mut self, event: &Event, item: Option<KnownItem<'_>>) {
        if event.id.is_published() {
            self.published.rates.add(event);
            self.published.newcomers.add(event);
            return;
        }
        self.rates.add(event);
        self.newcomers.add(event);
        // Other types have no quantity of their own and would add nothing but ones.
        if has_quantity(&event.event_type) {
            if self.quantities.is_empty() {
                self.quantities.resize_with(EventType::BUILT_IN.len() + 1, LogHistogram::default);
            }
            self.quantities[type_idx(&event.event_type)].add(event.quantity as f32);
        }
        let Some(price) = event.price.map(Price::to_f32) else { return };
        self.prices.add(price);
        let Some(item) = item else { return };
        if let Some(known) = item.price.map(Price::to_f32).filter(|known| *known > 0.0) {
            let ratio = price / known;
            if ratio.is_finite() {
                self.price_ratios.add(ratio);
            }
        }
        if let Some(category) = item.category {
            self.observe_category(category, price);
        }
    }

    /// Counts of each shopper's events in the current minute, among those that the event is compared with.
    pub(super) fn rates(&self, event: &Event) -> &RateTable {
        if event.id.is_published() { &self.published.rates } else { &self.rates }
    }

    /// Shoppers seen before and those of each item today, among those that the event is compared with.
    pub(super) fn newcomers(&self, event: &Event) -> &Newcomers {
        if event.id.is_published() { &self.published.newcomers } else { &self.newcomers }
    }

    /// The statistics of published events.
    pub fn published(&self) -> &PublishedStatistics {
        &self.published
    }

    /// Continues from these statistics of published events.
    pub fn set_published(&mut self, published: PublishedStatistics) {
        self.published = published;
    }

    fn observe_category(&mut self, category: &str, price: f32) {
        if let Some(prices) = self.category_prices.get_mut(category) {
            return prices.add(price);
        }
        if self.category_prices.len() < MAX_CATEGORIES {
            self.category_prices.entry(category.into()).or_default().add(price);
        }
    }

    /// Quantities in events of this type.
    pub fn quantities(&self, event_type: &EventType) -> Option<&LogHistogram> {
        self.quantities.get(type_idx(event_type))
    }

    /// Prices of all events.
    pub fn prices(&self) -> &LogHistogram {
        &self.prices
    }

    /// Prices in a category.
    pub fn category_prices(&self, category: &str) -> Option<&LogHistogram> {
        self.category_prices.get(category)
    }

    /// Prices divided by the known price of the item.
    pub fn price_ratios(&self) -> &LogHistogram {
        &self.price_ratios
    }
}

fn has_quantity(event_type: &EventType) -> bool {
    matches!(event_type, EventType::Cart | EventType::Purchase | EventType::Return | EventType::Custom(_))
}

fn type_idx(event_type: &EventType) -> usize {
    match event_type {
        EventType::Impression => 0,
        EventType::View => 1,
        EventType::Click => 2,
        EventType::Favorite => 3,
        EventType::Cart => 4,
        EventType::Purchase => 5,
        EventType::Return => 6,
        EventType::Rating => 7,
        EventType::Search => 8,
        EventType::Dislike => 9,
        EventType::Custom(_) => 10,
    }
}
