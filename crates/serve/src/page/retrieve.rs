//! Retrieval: which items compete for the page, in tiers that are opened one after the other.
//!
//! Where a scene says whose candidates stand first, those are a tier of their own. The next tier holds what the scene's
//! [sources](super::sources) find, less what the request excludes. On most scenes,
//! where that leaves fewer than [`ENOUGH`], the rest of the catalogue competes with them, in the same tier, so that a
//! narrow filter ranks all items that pass it. Otherwise the rest of the catalogue is a second tier, for pages that reach
//! beyond the first. What the shopper sent back follows as the last tier. Which of the two happens does not depend on the
//! offset or length of the page. A scene without the rest of the shop (`again`: what the shopper bought and kept) has no
//! tier behind what its sources find.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use accrue_store::ItemIdx;

use super::seen::KeptOff;
use super::sources::{self, Asked};
use super::work::Stage;
use super::{Share, Situation};
use crate::rules::ActiveRules;
use crate::scene::Rest;
use crate::{Degraded, ReasonCode, Shop, filter::FilterPass};

/// With fewer acceptable candidates than this, the whole catalogue is scored.
const ENOUGH: usize = 100;
/// Items of the rest of the catalogue that are scored, at most; the newest first.
pub(super) const MAX_SCANNED: usize = 100_000;

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

impl Tier {
    /// How many items it has.
    pub fn len(&self) -> usize {
        self.retrieved.len() + self.scanned.len()
    }
}

/// The tiers of one page.
pub(super) struct Retrieval<'a> {
    situation: &'a Situation<'a>,
    accept: Accept<'a>,
    /// What the sources find, once they were asked.
    found: OnceCell<Found>,
    /// The tiers that are left.
    next: Next,
}

/// What the sources find and the request accepts, each item once, in the order of the items.
struct Found {
    all: Vec<ItemIdx>,
    /// What stands before all others.
    first: Vec<ItemIdx>,
}

/// The tier that is opened next.
enum Next {
    First,
    /// What the sources find, without what stands before all others.
    Found,
    /// The rest of the catalogue, with the candidates of the first tier, sorted.
    Rest(Vec<ItemIdx>),
    /// What the shopper sent back.
    SentBack,
    None,
}

impl<'a> Retrieval<'a> {
    pub fn new(situation: &'a Situation<'a>) -> Self {
        Self { situation, accept: Accept::new(situation), found: OnceCell::new(), next: Next::First }
    }

    /// Opens the next tier; `None` after the last.
    pub fn next_tier(&mut self) -> Option<Tier> {
        match std::mem::replace(&mut self.next, Next::None) {
            Next::First if !self.found().first.is_empty() => {
                self.next = Next::Found;
                Some(Tier { retrieved: self.found().first.clone(), scanned: Vec::new() })
            }
            Next::First | Next::Found => {
                let Found { all, first } = self.found();
                let retrieved: Vec<ItemIdx> =
                    all.iter().copied().filter(|item| first.binary_search(item).is_err()).collect();
                let is_small = match self.situation.scene.rest {
                    Rest::Compete => all.len() < ENOUGH,
                    Rest::Behind => false,
                    Rest::Never => return Some(Tier { retrieved, scanned: Vec::new() }),
                };
                let scanned = if is_small { self.by_scan(all) } else { Vec::new() };
                self.next = if is_small { Next::SentBack } else { Next::Rest(all.clone()) };
                Some(Tier { retrieved, scanned })
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

    /// Tells if the filter ended because its conditions had read too much.
    pub fn tell_if_cut(&self) {
        if self.accept.filter.as_ref().is_some_and(FilterPass::is_cut) {
            self.situation.work.fall_back(Stage::Filter, Degraded::FilterCut);
        }
    }

    /// How many products (or items) the page may show in all, where `n_on_sale` are on sale and pass the filter.
    pub fn total(&self, n_on_sale: usize) -> usize {
        let Situation { shop, request, .. } = self.situation;
        if self.situation.scene.rest == Rest::Never {
            let found = self.found().all.iter();
            return found.map(|&item| shop.counted(item, request.grouping)).collect::<BTreeSet<_>>().len();
        }
        n_on_sale.saturating_sub(self.accept.kept_off.n_left_out(shop, self.accept.filter.as_ref()))
    }

    /// What the scene's sources find and the request accepts.
    fn found(&self) -> &Found {
        self.found.get_or_init(|| self.by_sources())
    }

    fn by_sources(&self) -> Found {
        let Situation { scene, work, .. } = self.situation;
        let (mut found, mut first) = (Vec::new(), Vec::new());
        work.time(Stage::Sources, || {
            let accepts = |item: ItemIdx| self.accept.item(item);
            for &(source, limit) in &scene.sources {
                let asked = Asked { situation: self.situation, limit, accepts: &accepts };
                let n_before = found.len();
                let source = sources::named(source).expect("a scene asks sources of the registry");
                if !source.find(&asked, &mut found) && !scene.has_own_sources {
                    work.fall_back(Stage::Sources, Degraded::SourceUnavailable);
                }
                if scene.first.contains(&source.name) {
                    first.extend_from_slice(&found[n_before..]);
                }
                if found.len() > scene.max_candidates {
                    found.truncate(scene.max_candidates);
                    work.fall_back(Stage::Sources, Degraded::CandidatesCut);
                    break;
                }
            }
            for items in [&mut found, &mut first] {
                items.sort_unstable();
                items.dedup();
            }
        });
        work.look_at(found.len());
        work.pass(Stage::Sources, 0, found.len());
        let n_found = found.len();
        work.time(Stage::Filter, || found.retain(|&item| self.accept.item(item)));
        work.pass(Stage::Filter, n_found, found.len());
        // Sources beyond the limit are cut out of both.
        first.retain(|item| found.binary_search(item).is_ok());
        Found { all: found, first }
    }

    /// The acceptable items of the catalogue that are not in `retrieved`, newest first, at most [`MAX_SCANNED`].
    fn by_scan(&self, retrieved: &[ItemIdx]) -> Vec<ItemIdx> {
        let work = self.situation.work;
        let n_items = self.situation.shop.facts.items.len() as u32;
        let looked_at = |_: &ItemIdx| work.look_at(1);
        let rest = (0..n_items).rev().filter(|item| retrieved.binary_search(item).is_err()).inspect(looked_at);
        let mut scanned = Vec::new();
        work.time(Stage::Filter, || {
            scanned.extend(rest.filter(|&item| self.accept.item(item)).take(MAX_SCANNED));
        });
        work.pass(Stage::Filter, n_items as usize - retrieved.len().min(n_items as usize), scanned.len());
        scanned
    }
}

/// Which items the request accepts.
struct Accept<'a> {
    shop: Shop<'a>,
    filter: Option<FilterPass<'a>>,
    kept_off: KeptOff,
    rules: &'a ActiveRules<'a>,
}

impl<'a> Accept<'a> {
    fn new(situation: &Situation<'a>) -> Self {
        let Situation { shop, request, rules, .. } = situation;
        Self { shop: *shop, filter: shop.pass(request.filter.as_ref()), kept_off: KeptOff::new(situation), rules }
    }

    /// Whether the item may stand among the first.
    fn item(&self, item: ItemIdx) -> bool {
        !self.kept_off.puts_last(item) && self.at_all(item)
    }

    /// Whether the page may show the item.
    fn at_all(&self, item: ItemIdx) -> bool {
        !self.kept_off.leaves_out(&self.shop, item)
            && self.shop.may_recommend(item, self.filter.as_ref())
            && !self.rules.hides(&self.shop, item)
    }

    /// The items that follow behind all others.
    fn last(&self) -> Vec<ItemIdx> {
        self.kept_off.last().iter().copied().filter(|&item| self.at_all(item)).collect()
    }
}
