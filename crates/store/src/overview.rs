//! What the catalogue has as a whole: how many items of which kind, which attributes, and the order of publication.
//!
//! In: each entry before and after a change. Out: counts and an order that a request reads without a walk through the
//! catalogue. Everything here follows from the entries, so a checkpoint does not hold it, and it is computed again when
//! the facts are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use accrue_event::{Attribute, Price, Timestamp};

use crate::sale::Sale;
use crate::{CatalogueEntry, CataloguePlace, ItemIdx};

/// A view of the whole catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    n_described: u64,
    n_unknown: u64,
    n_titled: u64,
    n_priced: u64,
    /// Described items with each attribute, and those of them with a number, retired ones included, so that a filter does
    /// not become invalid when the last item with the attribute is no longer sold.
    attributes: BTreeMap<Box<str>, (u64, u64)>,
    /// Items with a date of publication that are not retired.
    published: BTreeSet<(Timestamp, ItemIdx)>,
    /// By item: when it is shown; up to the last of which something is known.
    sales: Vec<Sale>,
}

impl Overview {
    /// The overview of these entries.
    pub(crate) fn of(entries: &[CataloguePlace]) -> Self {
        let mut overview = Self::default();
        for (item, entry) in (0..).zip(entries) {
            overview.add(item, &entry.read());
        }
        overview
    }

    /// Counts an entry.
    pub(crate) fn add(&mut self, item: ItemIdx, entry: &CatalogueEntry) {
        let counts = Counts::of(entry);
        self.n_described += counts.described;
        self.n_unknown += counts.unknown;
        self.n_titled += counts.titled;
        self.n_priced += counts.priced;
        for (name, value) in &entry.item.attributes {
            if !self.attributes.contains_key(name) {
                self.attributes.insert(name.clone(), (0, 0));
            }
            let (n, n_numbers) = self.attributes.get_mut(name).expect("it was just inserted");
            *n += 1;
            *n_numbers += u64::from(matches!(value, Attribute::Number(_)));
        }
        self.published.extend(date(item, entry));
        self.set_sale(item, Sale::of(entry));
    }

    /// Takes back what [`Overview::add`] counted.
    pub(crate) fn remove(&mut self, item: ItemIdx, entry: &CatalogueEntry) {
        let counts = Counts::of(entry);
        self.n_described -= counts.described;
        self.n_unknown -= counts.unknown;
        self.n_titled -= counts.titled;
        self.n_priced -= counts.priced;
        for (name, value) in &entry.item.attributes {
            if let Some((n, n_numbers)) = self.attributes.get_mut(name) {
                *n -= 1;
                *n_numbers -= u64::from(matches!(value, Attribute::Number(_)));
                if *n == 0 {
                    self.attributes.remove(name);
                }
            }
        }
        if let Some(dated) = date(item, entry) {
            self.published.remove(&dated);
        }
        self.set_sale(item, Sale::NONE);
    }

    fn set_sale(&mut self, item: ItemIdx, sale: Sale) {
        let place = item as usize;
        if place >= self.sales.len() {
            self.sales.resize(place + 1, Sale::NONE);
        }
        self.sales[place] = sale;
        // So that equal catalogues have equal overviews.
        while self.sales.last() == Some(&Sale::NONE) {
            self.sales.pop();
        }
    }

    /// Items that the catalogue described, retired ones included; 0 where no catalogue was ever sent.
    pub fn n_described(&self) -> u64 {
        self.n_described
    }

    /// Items that only events name.
    pub fn n_unknown(&self) -> u64 {
        self.n_unknown
    }

    /// Items of the catalogue with a title, without retired ones.
    pub fn n_titled(&self) -> u64 {
        self.n_titled
    }

    /// Items of the catalogue with a price above 0, without retired ones.
    pub fn n_priced(&self) -> u64 {
        self.n_priced
    }

    /// Whether any described item, also a retired one, has this attribute.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attributes.contains_key(name)
    }

    /// Whether any described item has a number as this attribute.
    pub fn has_numbers(&self, name: &str) -> bool {
        self.attributes.get(name).is_some_and(|(_, n_numbers)| *n_numbers > 0)
    }

    /// Whether every described item that has this attribute has a number.
    pub fn has_numbers_only(&self, name: &str) -> bool {
        self.attributes.get(name).is_some_and(|(n, n_numbers)| n == n_numbers)
    }

    /// The attributes that described items have, by name.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(|name| &**name)
    }

    /// Items that were published in `period`, with the time, latest first.
    pub fn published(&self, period: impl RangeBounds<Timestamp>) -> impl Iterator<Item = (Timestamp, ItemIdx)> {
        let start = period.start_bound().map(|&at| (at, 0));
        let end = period.end_bound().map(|&at| (at, ItemIdx::MAX));
        self.published.range((start, end)).rev().copied()
    }

    /// When pages may show the item.
    pub(crate) fn sale(&self, item: ItemIdx) -> Sale {
        self.sales.get(item as usize).copied().unwrap_or(Sale::NONE)
    }

    /// Items that have a date of publication, without retired ones.
    pub fn n_published(&self) -> u64 {
        self.published.len() as u64
    }
}

/// What one entry adds to each count.
struct Counts {
    described: u64,
    unknown: u64,
    titled: u64,
    priced: u64,
}

impl Counts {
    fn of(entry: &CatalogueEntry) -> Self {
        let is_sold = entry.described && !entry.retired;
        Self {
            described: u64::from(entry.described),
            unknown: u64::from(!entry.described && !entry.retired),
            titled: u64::from(is_sold && entry.item.title.is_some()),
            priced: u64::from(is_sold && entry.item.price.is_some_and(|price| price > Price::ZERO)),
        }
    }
}

fn date(item: ItemIdx, entry: &CatalogueEntry) -> Option<(Timestamp, ItemIdx)> {
    entry.item.published_at.filter(|_| !entry.retired).map(|at| (at, item))
}

#[cfg(test)]
mod tests {
    use accrue_event::Item;

    use super::*;

    fn entry(id: &str, edit: impl FnOnce(&mut CatalogueEntry)) -> CataloguePlace {
        let mut entry = CatalogueEntry { item: Item::bare(id.into()), described: true, retired: false };
        edit(&mut entry);
        entry.into()
    }

    #[test]
    fn counts_follow_every_change() {
        let entries = [
            entry("unknown", |entry| entry.described = false),
            entry("mug", |entry| {
                entry.item.title = Some("Red mug".into());
                entry.item.price = Price::new(9.5);
                entry.item.published_at = Some(Timestamp(20));
                entry.item.attributes.insert("colour".into(), Attribute::Text("red".into()));
            }),
            entry("gift", |entry| {
                entry.item.price = Price::new(0.0);
                entry.item.published_at = Some(Timestamp(10));
            }),
            entry("old", |entry| {
                entry.retired = true;
                entry.item.title = Some("Old mug".into());
                entry.item.attributes.insert("season".into(), Attribute::Text("winter".into()));
            }),
        ];
        let mut overview = Overview::of(&entries);
        let counts = |overview: &Overview| {
            (overview.n_described(), overview.n_unknown(), overview.n_titled(), overview.n_priced())
        };
        assert_eq!(counts(&overview), (3, 1, 1, 1));
        assert_eq!(overview.attributes().collect::<Vec<_>>(), ["colour", "season"]);
        assert_eq!(overview.published(..).collect::<Vec<_>>(), [(Timestamp(20), 1), (Timestamp(10), 2)]);
        assert_eq!(overview.published(..=Timestamp(19)).count(), 1);
        for (item, entry) in (0..).zip(&entries) {
            overview.remove(item, entry);
        }
        assert_eq!(overview, Overview::default());
    }
}
