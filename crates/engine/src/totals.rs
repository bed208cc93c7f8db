//! How many products are on sale under each filter, for the totals of answers.
//!
//! Counting looks at the whole catalogue, which costs more than the rest of a page. So a count is kept until the catalogue
//! changes, or for a few seconds, because an item may reach its date of publication without a change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use accrue_serve::filter::Filter;
use accrue_serve::{Grouping, IncompleteItems, ListRequest, Shop};
use accrue_store::Offset;
use parking_lot::Mutex;

/// How long a count is kept.
const KEPT: Duration = Duration::from_secs(5);
/// Filters whose counts are kept.
const MAX_FILTERS: usize = 256;

/// Counts of one state of the catalogue.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// The state of the catalogue that was counted, and when; `None` before the first count.
    of: Option<(Offset, Instant)>,
    by_filter: BTreeMap<Key, usize>,
}

/// What decides which items a list may have.
type Key = (String, Grouping, Option<IncompleteItems>);

impl Totals {
    /// How many products (or items) of the shop a list may have.
    pub fn n_on_sale(&self, shop: &Shop<'_>, list: &ListRequest) -> usize {
        let filter = list.filter.as_ref().map_or_else(String::new, Filter::to_string);
        let key = (filter, list.grouping, list.incomplete);
        let (changed, now) = (shop.facts.catalogue_changed, Instant::now());
        {
            let mut counts = self.0.lock();
            let is_current = counts.of.is_some_and(|(of, at)| of == changed && now.duration_since(at) < KEPT);
            if !is_current || counts.by_filter.len() >= MAX_FILTERS {
                *counts = Counts { of: Some((changed, now)), by_filter: BTreeMap::new() };
            }
            if let Some(&n) = counts.by_filter.get(&key) {
                return n;
            }
        }
        // Others answer meanwhile; the same count twice does no harm.
        let n = shop.n_on_sale(list);
        let mut counts = self.0.lock();
        if counts.of.is_some_and(|(of, _)| of == changed) {
            counts.by_filter.insert(key, n);
        }
        n
    }
}
