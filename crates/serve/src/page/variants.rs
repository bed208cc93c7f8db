//! Variants: of items that have a parent in common (sizes, colours), and of the parent itself, a page shows the best one.

use std::collections::HashSet;

use accrue_store::ItemIdx;

use super::Candidate;
use crate::{Grouping, Shop};

/// The products of the items in the list so far.
pub(crate) struct Variants<'a> {
    shop: Shop<'a>,
    grouping: Grouping,
    /// Only membership is read; the order is the list's.
    met: HashSet<&'a str>,
}

impl<'a> Variants<'a> {
    pub fn new(shop: &Shop<'a>, grouping: Grouping) -> Self {
        Self { shop: *shop, grouping, met: HashSet::new() }
    }

    /// Whether the item is the first of its product so far.
    pub fn is_first(&mut self, item: ItemIdx) -> bool {
        match self.grouping {
            Grouping::Product => self.shop.product(item).is_none_or(|product| self.met.insert(product)),
            Grouping::Item => true,
        }
    }

    /// The first `n` candidates that are the first of their products, counting the candidates of earlier calls.
    pub(super) fn one_of_each(&mut self, ranked: impl Iterator<Item = Candidate>, n: usize) -> Vec<Candidate> {
        ranked.filter(|candidate| self.is_first(candidate.item)).take(n).collect()
    }
}
