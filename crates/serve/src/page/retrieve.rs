//! Retrieval: which items compete for the page, in tiers that are opened one after the other.
//!
//! The first tier holds the candidates of the models and the newest items that the models do not know yet, less what
//! the request excludes. Where that leaves fewer than [`ENOUGH`], the rest of the catalogue competes with them, in the
//! same tier, so that a narrow filter ranks all items that pass it. Otherwise the rest of the catalogue is a second
//! tier, for pages that reach beyond the first. What the shopper sent back follows as the last tier. Which of the two
//! happens does not depend on the offset or length of the page.
//!
//! In the scene `again` the only tier is what the shopper bought and kept.

use std::borrow::Cow;
use std::collections::BTreeSet;

use accrue_store::ItemIdx;

use super::scene::is_again;
use super::seen::{KeptOff, bought};
use super::{Share, Situation};
use crate::rules::ActiveRules;
use crate::{ReasonCode, Shop, filter::Filter};

/// With fewer acceptable candidates than this, the whole catalogue is scored.
const ENOUGH: usize = 100;
/// Items of the rest of the catalogue that are scored, at most; the newest first.
pub(super) const MAX_SCANNED: usize = 100_000;
/// Items unknown to the models that compete, at most, and as many that were published lately; the newest first.
const MAX_UNMET: usize = 32;
/// Items unknown to the models that are looked at, at most.
const MAX_LOOKED_AT: usize = 1024;

/// Text for an item that the scan of the catalogue found.
pub(super) const SCANNED: Share =
    Share { code: ReasonCode::Catalogue, text: Cow::Borrowed("from the rest of the shop"), added: 0.0 };

/// Items of one tier, each once.
pub(super) struct Tier {
    /// What the models retrieved, in the order of the items.
    pub retrieved: Vec<ItemIdx>,
    /// What the scan of the catalogue found, newest first.
    pub scanned: Vec<ItemIdx>,
}

/// The tiers of one page.
pub(super) struct Retrieval<'a> {
    situation: &'a Situation<'a>,
    accept: Accept<'a>,
    /// The tiers that are left.
    next: Next,
}

/// The tier that is opened next.
enum Next {
    First,
    /// What the shopper bought.
    Bought,
    /// The rest of the catalogue, with the candidates of the first tier, sorted.
    Rest(Vec<ItemIdx>),
    /// What the shopper sent back.
    SentBack,
    None,
}

impl<'a> Retrieval<'a> {
    pub fn new(situation: &'a Situation<'a>) -> Self {
        let next = if is_again(situation) { Next::Bought } else { Next::First };
        Self { situation, accept: Accept::new(situation), next }
    }

    /// Opens the next tier; `None` after the last.
    pub fn next_tier(&mut self) -> Option<Tier> {
        match std::mem::replace(&mut self.next, Next::None) {
            Next::First => {
                let retrieved = self.by_models();
                let is_small = retrieved.len() < ENOUGH;
                let scanned = if is_small { self.by_scan(&retrieved) } else { Vec::new() };
                self.next = if is_small { Next::SentBack } else { Next::Rest(retrieved.clone()) };
                Some(Tier { retrieved, scanned })
            }
            Next::Bought => {
                let retrieved: Vec<ItemIdx> = self.bought().collect();
                self.situation.work.look_at(retrieved.len());
                Some(Tier { retrieved, scanned: Vec::new() })
            }
            Next::Rest(retrieved) => {
                self.next = Next::SentBack;
                Some(Tier { scanned: self.by_scan(&retrieved), retrieved: Vec::new() })
            }
            Next::SentBack => Some(Tier { retrieved: self.accept.last(), scanned: Vec::new() }),
            Next::None => None,
        }
    }

    /// Whether an item may stand among the first of the page.
    pub fn accepts(&self, item: ItemIdx) -> bool {
        self.accept.item(item)
    }

    /// How many products (or items) the page may show in all, where `n_on_sale` are on sale and pass the filter.
    pub fn total(&self, n_on_sale: usize) -> usize {
        let Situation { shop, request, .. } = self.situation;
        if is_again(self.situation) {
            return self.bought().map(|item| shop.counted(item, request.grouping)).collect::<BTreeSet<_>>().len();
        }
        n_on_sale.saturating_sub(self.accept.kept_off.n_left_out(shop, self.accept.filter))
    }

    /// What the shopper bought, as far as the request accepts it.
    fn bought(&self) -> impl Iterator<Item = ItemIdx> {
        let bought = bought(&self.situation.shop, self.situation.context.past);
        bought.into_iter().filter(|&item| self.accept.item(item))
    }

    /// The candidates of the models, and the newest items that they do not know: an item that was just posted competes
    /// at once.
    fn by_models(&self) -> Vec<ItemIdx> {
        let Situation { shop, context, prepared, work, .. } = self.situation;
        let ensemble = &shop.version.ensemble;
        let mut found = ensemble.candidates(context, prepared, usize::MAX);
        found.extend(shop.unmet().take(MAX_LOOKED_AT).filter(|&item| self.accept.item(item)).take(MAX_UNMET));
        found.extend(shop.just_published(MAX_UNMET));
        found.sort_unstable();
        found.dedup();
        work.look_at(found.len());
        found.retain(|&item| self.accept.item(item));
        found
    }

    /// The acceptable items of the catalogue that are not in `retrieved`, newest first, at most [`MAX_SCANNED`].
    fn by_scan(&self, retrieved: &[ItemIdx]) -> Vec<ItemIdx> {
        let n_items = self.situation.shop.facts.items.len() as u32;
        let looked_at = |_: &ItemIdx| self.situation.work.look_at(1);
        let rest = (0..n_items).rev().filter(|item| retrieved.binary_search(item).is_err()).inspect(looked_at);
        rest.filter(|&item| self.accept.item(item)).take(MAX_SCANNED).collect()
    }
}

/// Which items the request accepts.
struct Accept<'a> {
    shop: Shop<'a>,
    filter: Option<&'a Filter>,
    kept_off: KeptOff,
    rules: &'a ActiveRules<'a>,
}

impl<'a> Accept<'a> {
    fn new(situation: &Situation<'a>) -> Self {
        let Situation { shop, request, rules, .. } = situation;
        Self { shop: *shop, filter: request.filter.as_ref(), kept_off: KeptOff::new(situation), rules }
    }

    /// Whether the item may stand among the first.
    fn item(&self, item: ItemIdx) -> bool {
        !self.kept_off.puts_last(item) && self.at_all(item)
    }

    /// Whether the page may show the item.
    fn at_all(&self, item: ItemIdx) -> bool {
        !self.kept_off.leaves_out(&self.shop, item)
            && self.shop.may_recommend(item, self.filter)
            && !self.rules.hides(&self.shop, item)
    }

    /// The items that follow behind all others.
    fn last(&self) -> Vec<ItemIdx> {
        self.kept_off.last().iter().copied().filter(|&item| self.at_all(item)).collect()
    }
}
