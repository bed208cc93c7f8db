//! Variants: of items that have a parent in common (sizes, colours), a page shows the best one.

use std::collections::HashSet;

use accrue_store::ItemIdx;

use super::Candidate;
use crate::Shop;

/// The parents that a list has met.
pub(crate) struct Variants<'a> {
    shop: Shop<'a>,
    /// Answers only "met before"; the order is the list's.
    met: HashSet<&'a str>,
}

impl<'a> Variants<'a> {
    pub fn new(shop: &Shop<'a>) -> Self {
        Self { shop: *shop, met: HashSet::new() }
    }

    /// Whether the item is the first of its parent so far; an item without a parent stands for itself.
    pub fn is_first(&mut self, item: ItemIdx) -> bool {
        let parent = self.shop.facts.entry(item).and_then(|entry| entry.item.parent.as_deref());
        parent.is_none_or(|parent| self.met.insert(parent))
    }

    /// Keeps the first of each parent, also across the lists that it is given one after the other.
    pub(super) fn one_of_each(&mut self, mut ranked: Vec<Candidate>) -> Vec<Candidate> {
        ranked.retain(|candidate| self.is_first(candidate.item));
        ranked
    }
}
