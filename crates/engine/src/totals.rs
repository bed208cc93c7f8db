//! How many products are on sale under each filter, for the totals of answers.
//!
//! Counting looks at the whole catalogue, which costs more than the rest of a page. So a count is kept until the
//! catalogue changes, or for a few seconds, because an item may reach its date of publication without a change. Where
//! counting takes long, a count is also kept a while after a change, so that a large shop whose stock changes all the
//! time does not spend more than a small share of its time on counting. A count of what is popular also ends when the
//! models have learned more.

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

/// A count that took less is taken again after every change of the catalogue.
const CHEAP: Duration = Duration::from_millis(2);
/// A count that took longer is kept this many times as long as it took.
const MULTIPLE: u32 = 50;

/// The counts of the latest requests.
#[derive(Debug, Default)]
pub(crate) struct Totals(Mutex<BTreeMap<Key, Count>>);

/// What decides which items a list may have; the offset is that of the rules.
type Key = (ListKind, String, Grouping, Option<IncompleteItems>, Offset);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ListKind {
    OnSale,
    Popular,
}

/// What a count follows from: the catalogue, and for what is popular also what the models have learned.
type State = (Offset, u64);

/// How many items there were.
#[derive(Clone, Copy, Debug)]
struct Count {
    n: usize,
    /// The state that was counted.
    of: State,
    at: Instant,
    took: Duration,
}

impl Count {
    /// Whether the count still holds in the state `of`.
    fn holds(&self, of: State, now: Instant) -> bool {
        let age = now.duration_since(self.at);
        let is_costly = self.took >= CHEAP && age < self.took * MULTIPLE;
        is_costly || (age < KEPT && self.of == of)
    }
}

impl Totals {
    /// How many products (or items) of the shop a list of everything may have.
    pub fn n_on_sale(&self, shop: &Shop<'_>, list: &ListRequest) -> usize {
        self.n(ListKind::OnSale, list, shop, (shop.facts.catalogue_changed, 0), || shop.n_on_sale(list))
    }

    /// How many of them a list of what is popular may have.
    pub fn n_popular(&self, shop: &Shop<'_>, list: &ListRequest) -> usize {
        let of = (shop.facts.catalogue_changed, shop.version.offset);
        self.n(ListKind::Popular, list, shop, of, || shop.n_popular(list))
    }

    fn n(
        &self,
        counted: ListKind,
        list: &ListRequest,
        shop: &Shop<'_>,
        of: State,
        count: impl FnOnce() -> usize,
    ) -> usize {
        let rules = shop.facts.shop_rules.since;
        let filter = list.filter.as_ref().map_or_else(String::new, Filter::to_string);
        let key = (counted, filter, list.grouping, list.incomplete, rules);
        let begun = Instant::now();
        if let Some(count) = self.0.lock().get(&key).filter(|count| count.holds(of, begun)) {
            return count.n;
        }
        // Without the lock: others answer meanwhile, and the same count twice does no harm.
        let n = count();
        let count = Count { n, of, at: begun, took: begun.elapsed() };
        let mut counts = self.0.lock();
        if counts.len() >= MAX_FILTERS {
            counts.clear();
        }
        counts.insert(key, count);
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_holds_until_the_catalogue_changes_and_longer_where_counting_takes_long() {
        let at = Instant::now();
        let holds = |took: u64, of: u64, age: u64| {
            let count = Count { n: 1, of: (Offset(1), 7), at, took: Duration::from_millis(took) };
            count.holds((Offset(of), 7), at + Duration::from_millis(age))
        };
        assert!(holds(1, 1, 4_000) && !holds(1, 1, 6_000), "for a few seconds");
        assert!(!holds(1, 2, 10), "a cheap count is taken again after a change");
        assert!(holds(10, 2, 400) && !holds(10, 2, 600), "a costly one after fifty times its time");
    }
}
