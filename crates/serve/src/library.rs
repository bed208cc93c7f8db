//! The library of new products, for people: what is new in the shop, how well it is known by now, and how unlike it is
//! to what the shop had before.

use accrue_model::new_product;
use accrue_store::{ItemIdx, ShownClicked};

use crate::Shop;
use crate::request::NewTrial;

/// Products that are looked at, at most, the latest first.
const MAX_LOOKED_AT: usize = 1_024;
/// Descriptions that a new one is compared with, at most, the latest first.
const MAX_COMPARED: u32 = 2_048;

/// A product of the library.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewListed {
    /// The item.
    pub item: ItemIdx,
    /// Since when it is in the shop, in milliseconds since 1970.
    pub since_ms: i64,
    /// How often it was shown and clicked.
    pub shown: ShownClicked,
    /// Answers in which it was drawn into a place for new products.
    pub draws: u64,
    /// The probability of a click that is expected by its category, brand and price.
    pub expected: f32,
    /// The same with what is known of it.
    pub estimated: f32,
    /// One less the cosine of its description with the likest one that the shop had before: 1 is like nothing. `None`
    /// where it has no description yet.
    pub novelty: Option<f32>,
    /// Whether it may stand in places for new products.
    pub is_new: bool,
}

impl Shop<'_> {
    /// The latest `n` products of the library that are in the catalogue.
    pub fn library(&self, n: usize, trial: &NewTrial) -> Vec<NewListed> {
        let latest = self.facts.new_products.latest().take(MAX_LOOKED_AT);
        let in_catalogue =
            latest.filter(|(item, _)| self.facts.entry(*item).is_some_and(|entry| entry.is_in_catalogue()));
        let listed = in_catalogue.take(n).map(|(item, new)| {
            let expected = self.expected_of(item);
            NewListed {
                item,
                since_ms: new.since_ms,
                shown: new.shown,
                draws: new.draws,
                expected,
                estimated: new_product::estimate(expected, new.seen()),
                novelty: self.novelty(item),
                is_new: self.is_new(item, new, trial) && self.may_recommend(item, None),
            }
        });
        listed.collect()
    }

    /// How unlike an item is to what the shop had before it.
    fn novelty(&self, item: ItemIdx) -> Option<f32> {
        let catalogue = &self.version.ensemble.catalogue;
        if catalogue.cosine(item, item) <= 0.0 {
            return None;
        }
        let own = self.product(item);
        let is_other = |other: &ItemIdx| self.product(*other) != own;
        let before = (0..item).rev().take(MAX_COMPARED as usize).filter(is_other);
        let likest = before.map(|other| catalogue.cosine(item, other)).fold(0.0, f32::max);
        Some((1.0 - likest).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, Size};
    use crate::request::NewTrial;

    #[test]
    fn the_library_lists_what_came_after_the_events_with_what_is_expected_of_it() {
        let shop = Fixture::new(Size { n_items: 60, n_unmet: 10, n_events: 300, variant_each: 100, ..Size::default() });
        let trial = NewTrial { is_shown: true, seed: 1, max_age_days: 30, enough_clicks: 20 };
        let listed = shop.shop().library(100, &trial);
        let items: Vec<u32> = listed.iter().map(|new| new.item).collect();
        assert_eq!(items, (50..60).rev().collect::<Vec<u32>>());
        assert!(listed.iter().all(|new| new.is_new && new.draws == 0 && new.expected > 0.0), "{listed:?}");
        assert!(listed.iter().all(|new| new.expected == new.estimated), "nothing is known of them");
        assert_eq!(shop.shop().library(3, &trial).len(), 3);
        let old = NewTrial { enough_clicks: 0, ..trial };
        assert!(shop.shop().library(100, &old).iter().all(|new| !new.is_new));
    }
}
