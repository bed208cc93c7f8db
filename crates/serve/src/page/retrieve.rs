//! Retrieval: which items compete for the page, in tiers that are opened one after the other.
//!
//! The first tier is what the models retrieve for the visitor and the newest items that no model has met yet, less what the
//! request does not let onto the page. Where that leaves fewer than [`ENOUGH`], the rest of the catalogue competes with them,
//! in the same tier: a narrow filter is answered by all that passes it. Otherwise the rest of the catalogue is a second tier,
//! for pages that reach beyond the first. Which of the two happens does not depend on how far the page reaches.

use accrue_store::ItemIdx;

use super::{Share, Situation};
use crate::{Seen, Shop, filter::Filter};

/// With fewer acceptable candidates than this, the whole catalogue competes.
const ENOUGH: usize = 100;
/// Items of the rest of the catalogue that are scored at most, newest first.
pub(super) const MAX_SCANNED: usize = 100_000;
/// Items that no model has met yet and that compete at most, newest first.
const MAX_UNMET: usize = 32;

/// Noted of an item that was found by going through the catalogue.
pub(super) const SCANNED: Share =
    Share { code: "catalogue", text: "found by going through the rest of the catalogue", added: 0.0 };

/// Items of one tier, each once.
pub(super) struct Tier {
    /// What the models retrieved, in the order of the items.
    pub retrieved: Vec<ItemIdx>,
    /// What was found by going through the catalogue, newest first.
    pub scanned: Vec<ItemIdx>,
}

/// The tiers of one page.
pub(super) struct Retrieval<'a> {
    situation: &'a Situation<'a>,
    accept: Accept<'a>,
    /// What the first tier took from the models, sorted; `None` before it was opened.
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

    /// What the models retrieve, and the newest of what they have not met: an item posted a moment ago competes at once.
    fn by_models(&self) -> Vec<ItemIdx> {
        let Situation { shop, context, prepared, work, .. } = self.situation;
        let ensemble = &shop.version.ensemble;
        let mut found = ensemble.candidates(context, prepared, usize::MAX, false);
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

/// Which items the request lets onto the page.
struct Accept<'a> {
    shop: Shop<'a>,
    filter: Option<&'a Filter>,
    /// Items that it keeps off, sorted.
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
