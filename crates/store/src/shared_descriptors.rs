//! Which values of shoppers' attributes count: those that several described shoppers have.
//!
//! In: the descriptors of each shopper before and after a change. Out: those of a shopper that are used. So an
//! attribute that is unique to a person (a name, an address) is neither learned from nor used for a page. The learner
//! and the facts each keep such counts, of the shoppers that they have read so far, so that serving follows the rule of
//! learning.
//!
//! The counts depend on the present descriptions alone and not on their order, so they need not be saved: they are
//! counted again from the descriptions. There are at most as many as descriptors of all shoppers.

use std::collections::BTreeMap;

use crate::Descriptor;

/// Shoppers who must have a value for it to count.
const LEAST_SHOPPERS: u32 = 5;

/// How many shoppers have each descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedDescriptors(BTreeMap<Descriptor, u32>);

impl SharedDescriptors {
    /// The counts of these shoppers.
    pub fn of<'d>(shoppers: impl IntoIterator<Item = &'d [Descriptor]>) -> Self {
        let mut counts = Self::default();
        shoppers.into_iter().for_each(|descriptors| counts.add(descriptors));
        counts
    }

    /// Counts a shopper with these descriptors, each once.
    pub fn add(&mut self, descriptors: &[Descriptor]) {
        descriptors.iter().for_each(|&descriptor| *self.0.entry(descriptor).or_default() += 1);
    }

    /// Takes back what [`SharedDescriptors::add`] counted.
    pub fn remove(&mut self, descriptors: &[Descriptor]) {
        for descriptor in descriptors {
            if let Some(n) = self.0.get_mut(descriptor) {
                *n -= 1;
                if *n == 0 {
                    self.0.remove(descriptor);
                }
            }
        }
    }

    /// Whether a descriptor counts.
    pub fn counts(&self, descriptor: &Descriptor) -> bool {
        self.0.get(descriptor).is_some_and(|&n| n >= LEAST_SHOPPERS)
    }
}
