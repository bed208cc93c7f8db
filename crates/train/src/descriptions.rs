//! Descriptions of shoppers, as far as the learner has read: what members may know of a shopper besides the history.
//!
//! In: descriptions of users and their removals, in log order. Out: a shopper's [`Descriptor`]s, only those that enough
//! shoppers have in common ([`SharedDescriptors`]). The learner keeps them, not the models: like histories they are a
//! fold of records, so forgetting a person removes them.

use std::collections::BTreeMap;

use accrue_event::User;
use accrue_store::{Descriptor, Facts, PagedMap, SharedDescriptors, ShopperIdx, shopper_descriptors};
use serde::{Deserialize, Deserializer, Serialize};

/// Shoppers in a page of a checkpoint.
const PAGE: usize = 64;

/// The descriptors of each described shopper.
type Shoppers = PagedMap<ShopperIdx, Box<[Descriptor]>, PAGE>;

/// The descriptors of all described shoppers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Descriptions {
    shoppers: Shoppers,
    /// Follows from the descriptors, so it is neither saved nor part of a digest.
    #[serde(skip)]
    shared: SharedDescriptors,
}

/// The first format of the section: only attributes and values with a place were kept, those that came first.
#[derive(Deserialize)]
pub(crate) struct FirstFormat {
    shoppers: Shoppers,
    /// How many shoppers had each value, by attribute.
    counts: BTreeMap<u32, BTreeMap<u32, u32>>,
}

impl FirstFormat {
    /// Attributes that had a place, and values of one.
    const MAX_ATTRIBUTES: usize = 64;
    const MAX_VALUES: usize = 256;

    /// The descriptions; `None` if some may be missing, because there were as many as had a place.
    pub(crate) fn into_whole(self) -> Option<Descriptions> {
        let is_whole = self.counts.len() < Self::MAX_ATTRIBUTES
            && self.counts.values().all(|values| values.len() < Self::MAX_VALUES);
        is_whole.then(|| Descriptions::from(self.shoppers))
    }
}

impl From<Shoppers> for Descriptions {
    fn from(shoppers: Shoppers) -> Self {
        Self { shared: SharedDescriptors::of(shoppers.values().map(|descriptors| &**descriptors)), shoppers }
    }
}

impl<'de> Deserialize<'de> for Descriptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Saved {
            shoppers: Shoppers,
        }
        Saved::deserialize(deserializer).map(|saved| Self::from(saved.shoppers))
    }
}

impl Descriptions {
    /// The descriptions that the facts hold: for a checkpoint that does not have them all.
    pub(crate) fn of(facts: &Facts) -> Self {
        let mut descriptions = Self::default();
        facts.described_users().for_each(|(shopper, user)| descriptions.describe(shopper, user));
        descriptions
    }

    /// Replaces a shopper's description.
    pub(crate) fn describe(&mut self, shopper: ShopperIdx, user: &User) {
        self.remove(shopper);
        let descriptors = shopper_descriptors(&user.attributes);
        if !descriptors.is_empty() {
            self.shared.add(&descriptors);
            self.shoppers.insert(shopper, descriptors.into());
        }
    }

    /// Removes a shopper's description.
    pub(crate) fn remove(&mut self, shopper: ShopperIdx) {
        if let Some(descriptors) = self.shoppers.remove(&shopper) {
            self.shared.remove(&descriptors);
        }
    }

    /// Writes the descriptors of a shopper that count into `out`.
    pub(crate) fn read(&self, shopper: ShopperIdx, out: &mut Vec<Descriptor>) {
        out.clear();
        let descriptors = self.shoppers.get(&shopper).into_iter().flatten();
        out.extend(descriptors.filter(|descriptor| self.shared.counts(descriptor)));
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{Attribute, Timestamp};
    use accrue_store::{Body, Fact, Offset, Record};

    use super::*;

    fn user(shopper: ShopperIdx, city: &str) -> User {
        let name = Attribute::Text(format!("name {shopper}").into());
        let attributes = [("city".into(), Attribute::Text(city.into())), ("name".into(), name)];
        User { id: format!("u{shopper}").as_str().into(), attributes: attributes.into() }
    }

    fn read(descriptions: &Descriptions, shopper: ShopperIdx) -> Vec<Descriptor> {
        let mut descriptors = Vec::new();
        descriptions.read(shopper, &mut descriptors);
        descriptors
    }

    fn n_read(descriptions: &Descriptions, shopper: ShopperIdx) -> usize {
        read(descriptions, shopper).len()
    }

    #[test]
    fn only_what_several_shoppers_have_in_common_counts() {
        let mut descriptions = Descriptions::default();
        (0..4).for_each(|shopper| descriptions.describe(shopper, &user(shopper, "Rome")));
        assert_eq!(n_read(&descriptions, 0), 0, "four are too few");
        descriptions.describe(4, &user(4, "rome"));
        assert_eq!((n_read(&descriptions, 0), n_read(&descriptions, 9)), (1, 0), "the city and not the name");
        descriptions.describe(4, &user(4, "Oslo"));
        assert_eq!(n_read(&descriptions, 0), 0, "one has moved");
    }

    #[test]
    fn a_removed_description_leaves_nothing() {
        let mut descriptions = Descriptions::default();
        (0..10).for_each(|shopper| descriptions.describe(shopper, &user(shopper, "Rome")));
        (0..10).for_each(|shopper| descriptions.remove(shopper));
        assert_eq!(descriptions, Descriptions::default());
    }

    /// Descriptions of many users with many values, in the order of a log that changes and removes some of them.
    fn bodies() -> Vec<Body> {
        let named = |shopper: u32, city: u32| Body::User(user(shopper, &format!("city {city}")));
        let first = (0..3_000).map(|shopper| named(shopper, shopper % 500));
        let moved = (0..3_000).step_by(3).map(|shopper| named(shopper, shopper % 7));
        let removed = (0..3_000).step_by(5).map(|shopper| Body::UserRemoved(format!("u{shopper}").as_str().into()));
        first.chain(moved).chain(removed).collect()
    }

    /// The facts, and what a learner knows, after those records.
    fn folded() -> (Facts, Descriptions) {
        let (mut facts, mut learned) = (Facts::new(1), Descriptions::default());
        for (place, body) in (0..).zip(bodies()) {
            let record = Record { offset: Offset(place), received_at: Timestamp(0), body };
            facts.apply(&record);
            match facts.resolve(&record) {
                Fact::UserDescribed(shopper, user) => learned.describe(shopper, user),
                Fact::UserRemoved(shopper) => learned.remove(shopper),
                _ => unreachable!("the records are of users alone"),
            }
        }
        (facts, learned)
    }

    #[test]
    fn what_counts_does_not_depend_on_the_order_in_which_it_was_counted() {
        let (facts, in_order) = folded();
        let saved = postcard::to_stdvec(&in_order).unwrap();
        let counts: Vec<usize> = (0..3_000).map(|shopper| n_read(&in_order, shopper)).collect();
        assert!(counts.contains(&1) && counts.contains(&0));
        for again in [Descriptions::of(&facts), postcard::from_bytes(&saved).unwrap()] {
            assert!(again == in_order);
            assert_eq!((0..3_000).map(|shopper| n_read(&again, shopper)).collect::<Vec<_>>(), counts);
        }
    }

    #[test]
    fn a_page_uses_the_descriptors_that_are_learned() {
        let (facts, learned) = folded();
        for shopper in 0..3_000 {
            let of_page = facts.descriptors(&format!("u{shopper}").as_str().into());
            assert_eq!(of_page, read(&learned, shopper), "{shopper}");
        }
    }

    #[test]
    fn the_first_format_is_read_where_it_has_everything() {
        let first = |n: u32| {
            let shoppers: BTreeMap<ShopperIdx, Box<[Descriptor]>> = (0..n)
                .map(|shopper| (shopper, shopper_descriptors(&user(shopper, "Rome").attributes).into()))
                .collect();
            let mut counts: BTreeMap<u32, BTreeMap<u32, u32>> = BTreeMap::new();
            for descriptor in shoppers.values().flatten() {
                *counts.entry(descriptor.attribute).or_default().entry(descriptor.value).or_default() += 1;
            }
            let saved = postcard::to_stdvec(&(shoppers, counts)).unwrap();
            postcard::from_bytes::<FirstFormat>(&saved).unwrap().into_whole()
        };
        let mut expected = Descriptions::default();
        (0..255).for_each(|shopper| expected.describe(shopper, &user(shopper, "Rome")));
        assert!(first(255) == Some(expected));
        assert!(first(256).is_none(), "the 257th name may have been left out");
    }
}
