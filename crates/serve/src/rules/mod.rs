//! Rules of the shop, applied to searches and to pages of recommendations.
//!
//! In: the rules as the shop wrote them, and a page in the making. Out: the page with items pinned, boosted, buried and
//! hidden, each with the rule in its reasons. Rules are data: numbers and filters, no code.
//!
//! **Which rules hold.** Those whose time it is (`from` has come, `until` has not), and whose query is that of the
//! search (the same words, whatever their case and marks) or whose category is selected by the request's filter
//! (`category:NAME`, joined by `AND` at its top). A rule with both needs both; a rule with neither holds everywhere.
//!
//! **If rules contradict each other.** What any rule hides is hidden, also if another pins it. A pinned item is neither
//! boosted nor buried, and a buried one is not boosted. Boosts multiply, within [`LEAST`] and [`MOST`]. Pins take their
//! places in the order of positions, then of names, each the next free one. A later rule in the list has no advantage
//! over an earlier one.
//!
//! **What rules do not do.** They show nothing that may not be shown: sold-out and retired items, items before their
//! date, items that the request's filter or `exclude` leaves out. In an order by a field only hiding applies, because
//! the shopper chose that order.

mod active;
mod compile;
#[cfg(test)]
mod tests;

use accrue_event::{RuleAction, ShopRule, Timestamp};

pub(crate) use self::active::{ActiveRules, Pin, with_pins};
pub use self::compile::RuleFault;
use crate::filter::Filter;

/// Rules of a shop, at most.
pub const MAX_RULES: usize = 1_000;
/// Items that one rule names, at most.
pub const MAX_RULE_ITEMS: usize = 1_000;
/// The least that boosts make of a score, as a factor.
pub const LEAST: f32 = 0.01;
/// The most.
pub const MOST: f32 = 100.0;

/// The rules of a shop, checked and read.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

/// A rule with its texts read.
#[derive(Clone, Debug)]
struct Rule {
    written: ShopRule,
    /// The words of the query.
    words: Option<Vec<String>>,
    /// The category without case.
    category: Option<Box<str>>,
    filter: Option<Filter>,
}

impl Rules {
    /// No rules.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rule {
    fn is_in_time(&self, now_ms: i64) -> bool {
        let ShopRule { from, until, .. } = &self.written;
        from.is_none_or(|Timestamp(from)| from <= now_ms) && until.is_none_or(|Timestamp(until)| now_ms < until)
    }

    fn action(&self) -> RuleAction {
        self.written.action
    }
}
