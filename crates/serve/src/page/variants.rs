//! Variants: of items that have a parent in common (sizes, colours), and of the parent itself, a page shows the best one.

use std::collections::HashSet;

use accrue_store::{ItemIdx, ProductIdx};

use crate::shop::Product;
use crate::{Grouping, Shop};

/// The products of the items in the list so far.
pub(crate) struct Variants<'a> {
    shop: Shop<'a>,
    grouping: Grouping,
    /// Only membership is read; the order is the list's.
    met: HashSet<ProductIdx>,
}

impl<'a> Variants<'a> {
    pub fn new(shop: &Shop<'a>, grouping: Grouping) -> Self {
        Self { shop: *shop, grouping, met: HashSet::new() }
    }

    /// Whether the item is the first of its product so far.
    pub fn is_first(&mut self, item: ItemIdx) -> bool {
        match self.shop.counted(item, self.grouping) {
            Product::OfVariants(product) => self.met.insert(product),
            // Lists have each item once.
            Product::Alone(_) => true,
        }
    }
}
