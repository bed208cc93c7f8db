//! Variants: of items that have a parent in common (sizes, colours), a page shows the best one.

use std::collections::HashSet;

use accrue_store::ItemIdx;

use super::Candidate;
use crate::Shop;

/// The parents of the items in the list so far.
pub(crate) struct Variants<'a> {
    shop: Shop<'a>,
    /// Only membership is read; the order is the list's.
    met: HashSet<&'a str>,
}

impl<'a> Variants<'a> {
    pub fn new(shop: &Shop<'a>) -> Self {
        Self { shop: *shop, met: HashSet::new() }
    }

    /// Whether the item is the first of its parent so far. An item without a parent is a group of its own.
    pub fn is_first(&mut self, item: ItemIdx) -> bool {
        let parent = self.shop.facts.entry(item).and_then(|entry| entry.item.parent.as_deref());
        parent.is_none_or(|parent| self.met.insert(parent))
    }

    /// The first `n` candidates that are the first of their parents, counting the candidates of earlier calls.
    pub(super) fn one_of_each(&mut self, ranked: impl Iterator<Item = Candidate>, n: usize) -> Vec<Candidate> {
        ranked.filter(|candidate| self.is_first(candidate.item)).take(n).collect()
    }
}
