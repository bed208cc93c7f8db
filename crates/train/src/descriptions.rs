//! Descriptions of shoppers, as far as the learner has read: what members may know of a shopper besides the history.
//!
//! In: descriptions of users and their removals, in log order. Out: a shopper's [`Descriptor`]s, only those that enough
//! shoppers have in common. So an attribute that is unique to a person (a name, an address) is never learned from, and
//! the number of values is bounded whatever a shop sends. The learner keeps them, not the models: like histories they
//! are a fold of records, so forgetting a person removes them.

use std::collections::BTreeMap;

use accrue_event::User;
use accrue_store::{Descriptor, Facts, PagedMap, ShopperIdx, shopper_descriptors};
use serde::{Deserialize, Serialize};

/// Shoppers who must have a value for it to count.
const LEAST_SHOPPERS: u32 = 5;
/// Attributes that are counted, at most; and values of one.
const MAX_ATTRIBUTES: usize = 64;
const MAX_VALUES: usize = 256;
/// Shoppers in a page of a checkpoint.
const PAGE: usize = 64;

/// The descriptors of all described shoppers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Descriptions {
    shoppers: PagedMap<ShopperIdx, Box<[Descriptor]>, PAGE>,
    /// How many shoppers have each value, by attribute. A value without a place is not counted: no shopper is found by it.
    counts: BTreeMap<u32, BTreeMap<u32, u32>>,
}

impl Descriptions {
    /// The descriptions that the facts hold: for a checkpoint of a build that did not keep them.
    pub(crate) fn of(facts: &Facts) -> Self {
        let mut descriptions = Self::default();
        facts.described_users().for_each(|(shopper, user)| descriptions.describe(shopper, user));
        descriptions
    }

    /// Replaces a shopper's description.
    pub(crate) fn describe(&mut self, shopper: ShopperIdx, user: &User) {
        self.remove(shopper);
        let mut descriptors = shopper_descriptors(&user.attributes);
        descriptors.retain(|&descriptor| self.count(descriptor));
        if !descriptors.is_empty() {
            self.shoppers.insert(shopper, descriptors.into());
        }
    }

    /// Removes a shopper's description.
    pub(crate) fn remove(&mut self, shopper: ShopperIdx) {
        for descriptor in self.shoppers.remove(&shopper).iter().flatten() {
            let values = self.counts.get_mut(&descriptor.attribute).expect("kept descriptors are counted");
            let n = values.get_mut(&descriptor.value).expect("kept descriptors are counted");
            *n -= 1;
            if *n == 0 {
                values.remove(&descriptor.value);
            }
            if values.is_empty() {
                self.counts.remove(&descriptor.attribute);
            }
        }
    }

    /// Counts one more shopper with this value; `false` if there is no place for it.
    fn count(&mut self, Descriptor { attribute, value }: Descriptor) -> bool {
        if self.counts.len() >= MAX_ATTRIBUTES && !self.counts.contains_key(&attribute) {
            return false;
        }
        let values = self.counts.entry(attribute).or_default();
        if values.len() >= MAX_VALUES && !values.contains_key(&value) {
            return false;
        }
        *values.entry(value).or_default() += 1;
        true
    }

    /// Writes the descriptors of a shopper that count into `out`.
    pub(crate) fn read(&self, shopper: ShopperIdx, out: &mut Vec<Descriptor>) {
        out.clear();
        let Some(descriptors) = self.shoppers.get(&shopper) else { return };
        let n_shoppers = |of: &Descriptor| self.counts.get(&of.attribute).and_then(|values| values.get(&of.value));
        let counts = |of: &&Descriptor| n_shoppers(of).is_some_and(|&n| n >= LEAST_SHOPPERS);
        out.extend(descriptors.iter().filter(counts));
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::Attribute;

    use super::*;

    fn user(shopper: ShopperIdx, city: &str) -> User {
        let name = Attribute::Text(format!("name {shopper}").into());
        let attributes = [("city".into(), Attribute::Text(city.into())), ("name".into(), name)];
        User { id: format!("u{shopper}").as_str().into(), attributes: attributes.into() }
    }

    fn n_read(descriptions: &Descriptions, shopper: ShopperIdx) -> usize {
        let mut descriptors = Vec::new();
        descriptions.read(shopper, &mut descriptors);
        descriptors.len()
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

    #[test]
    fn values_and_attributes_are_bounded() {
        let mut descriptions = Descriptions::default();
        (0..1_000).for_each(|shopper| descriptions.describe(shopper, &user(shopper, "Rome")));
        let n_values = |descriptions: &Descriptions| descriptions.counts.values().map(BTreeMap::len).max();
        assert_eq!((n_values(&descriptions), n_read(&descriptions, 999)), (Some(MAX_VALUES), 1));
        for shopper in 0..1_000 {
            let attributes = [(format!("a{shopper}").into(), Attribute::Bool(true))].into();
            descriptions.describe(shopper, &User { id: "u".into(), attributes });
        }
        assert_eq!(descriptions.counts.len(), MAX_ATTRIBUTES);
        (0..1_000).for_each(|shopper| descriptions.remove(shopper));
        assert_eq!(descriptions, Descriptions::default());
    }
}
