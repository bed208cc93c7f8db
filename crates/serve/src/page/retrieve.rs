//! Retrieval: which items compete for the page, in tiers that are opened one after the other.
//!
//! The first tier holds the candidates of the models and the newest items that the models do not know yet, less what
//! the request excludes. Where that leaves fewer than [`ENOUGH`], the rest of the catalogue competes with them, in the
//! same tier, so that a narrow filter ranks all items that pass it. Otherwise the rest of the catalogue is a second
//! tier, for pages that reach beyond the first. Which of the two happens does not depend on the offset or length of the
//! page.

use accrue_store::ItemIdx;

use super::{Share, Situation};
use crate::{Seen, Shop, filter::Filter};

/// With fewer acceptable candidates than this, the whole catalogue is scored.
const ENOUGH: usize = 100;
/// Items of the rest of the catalogue that are scored, at most; the newest first.
pub(super) const MAX_SCANNED: usize = 100_000;
/// Items unknown to the models that compete, at most; the newest first.
const MAX_UNMET: usize = 32;

/// Text for an item that the scan of the catalogue found.
pub(super) const SCANNED: Share =
    Share { code: "catalogue", text: "found by a scan of the rest of the catalogue", added: 0.0 };

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
    /// The candidates of the models in the first tier, sorted; `None` before it was opened.
    retrieved: Option<Vec<ItemIdx>>,
    is_exhausted: bool,
}

impl<'a> Retrieval<'a> {
    pub fn new(situation: &'a Situation<'a>) -> Self {
        Self { situation, accept: Accept::new(situation), retrieved: None, is_exhausted: false }
    }

    /// Opens the next tier; `None` after the last.
    pub fn next_tier(&mut self) -> Option<Tier> {
        if self.is_exhausted {
            return None;
        }
        let Some(retrieved) = self.retrieved.take() else {
            let retrieved = self.by_models();
            let scanned = if retrieved.len() < ENOUGH { self.by_scan(&retrieved) } else { Vec::new() };
            self.is_exhausted = retrieved.len() < ENOUGH;
            self.retrieved = Some(retrieved.clone());
            return Some(Tier { retrieved, scanned });
        };
        self.is_exhausted = true;
        Some(Tier { scanned: self.by_scan(&retrieved), retrieved: Vec::new() })
    }

    /// The candidates of the models, and the newest items that they do not know: an item that was just posted competes
    /// at once.
    fn by_models(&self) -> Vec<ItemIdx> {
        let Situation { shop, context, prepared, work, .. } = self.situation;
        let ensemble = &shop.version.ensemble;
        let mut found = ensemble.candidates(context, prepared, usize::MAX);
        found.extend(shop.unmet().take(MAX_UNMET));
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
    /// Items that it excludes, sorted.
    kept_off: Vec<ItemIdx>,
}

impl<'a> Accept<'a> {
    fn new(situation: &Situation<'a>) -> Self {
        let Situation { shop, request, about, context, .. } = situation;
        let excluded = request.exclude.iter().filter_map(|item| shop.facts.items.get(item.as_str()));
        let mut kept_off: Vec<ItemIdx> = about.iter().copied().chain(excluded).collect();
        if request.seen == Seen::Drop {
            kept_off.extend(context.past.iter().map(|past| past.item));
        }
        kept_off.sort_unstable();
        kept_off.dedup();
        Self { shop: *shop, filter: request.filter.as_ref(), kept_off }
    }

    fn item(&self, item: ItemIdx) -> bool {
        self.kept_off.binary_search(&item).is_err() && self.shop.shown(item, self.filter).is_some()
    }
}
