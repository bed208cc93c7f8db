//! Search: what matches a query, counted, ordered for the shopper, and cut into pages.
//!
//! In: a request, and the shop that answers it. Out: the hits of the page with the reasons that sum to their scores,
//! the number of all products that match, and the counts of the facets. The stages, each a file:
//!
//! | stage | what it does |
//! |---|---|
//! | match | the index names every item that has the words or is similar ([`crate::search`]); those that may not be shown or fail the filter are gone before anything is counted (below) |
//! | [`facets`] | counts values over all matches, by product; [`ranges`] chooses where ranges of numbers end |
//! | [`rank`] | orders by how well words and meaning match, what sells and what the shopper likes |
//! | [`features`] | what choices taught: how much each feature of a hit counts |
//! | [`sort`] | orders by a field instead, if the request says so |
//! | [`rules`](crate::rules) | what the shop pins, boosts, buries and hides |
//! | variants | of each product one item stands in the list: the best, or the first in the order asked for |
//! | cut | the page |
//!
//! All pages are cut from one list, whatever their offset; by score it ends after [`MAX_DEPTH`] products, and a page
//! that asks for more says `too_deep`.
//!
//! A query without words lists what passes the filter, a category for instance, by what sells and by taste. As on pages
//! of recommendations, incomplete items are left out there, because the shopper does not ask for them by words.

mod facet;
mod facets;
mod features;
#[cfg(test)]
mod meaning_tests;
mod ranges;
mod rank;
mod sort;
mod sort_key;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashSet;

use accrue_store::{ItemIdx, RankingState};

pub use self::facet::{Facet, FacetCounts, MAX_FACETS, MAX_VALUES, NumberCounts, RangeCount, ValueCount};
use self::facets::Counting;
pub use self::facets::FacetError;
pub use self::ranges::MAX_RANGES;
use self::rank::{BREADTH, Found, Known, order};
pub use self::sort::SortError;
pub use self::sort_key::{MAX_SORT_FIELDS, Sort};
use crate::filter::{FacetField, Narrowed, Passes};
use crate::page::Variants;
use crate::rules::{Pin, with_pins};
use crate::search::{Admitted, MAX_DEPTH, Match, MatchedField, ReadQuery, Retrieved, SearchError, SearchReader};
use crate::shop::Product;
use crate::{Degraded, Grouping, RankedHit, SearchAnswer, SearchRequest, Shop};

/// An item that matches and may be shown, or would be but for the selection in one facet.
#[derive(Clone, Copy)]
struct Matched {
    found: Match,
    passes: Passes,
}

impl Shop<'_> {
    /// Answers a search over `index`.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn search(&self, index: &SearchReader, request: &SearchRequest) -> Result<SearchAnswer, SearchError> {
        self.search_read(index.read(&request.query, request.typo)?, request)
    }

    /// [`Shop::search`] with a query that was read before, for instance to encode it.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn search_read(&self, mut query: ReadQuery, request: &SearchRequest) -> Result<SearchAnswer, SearchError> {
        let known = Known::of(self, request, &query);
        let vectors = self.version.ensemble.catalogue.vectors();
        let is_compared = request.meaning.as_ref().is_none_or(|meaning| query.compare(vectors, meaning));
        let Matches { retrieved, all: matched, pinned, is_cut } = self.matches(&mut query, request, &known)?;
        let facets = self.count(&matched, request);
        let mut answer =
            Answer { total: retrieved.total, degraded: Vec::new(), page: Vec::new(), is_own: true, ranked: Vec::new() };
        match &request.sort {
            None => self.by_score(&retrieved, &pinned, request, &known, &mut answer),
            Some(sort) => self.by_field(sort, &matched, request, &mut answer),
        }
        let Answer { total, mut degraded, page, is_own, ranked } = answer;
        degraded.extend((!is_compared).then_some(Degraded::NoVectors.name()));
        degraded.extend(is_cut.then_some(Degraded::FilterCut.name()));
        let reasons = if request.explain {
            query.explain(&page.iter().map(|found| found.item).collect::<Vec<_>>())?
        } else {
            Vec::new()
        };
        let reasons = reasons.into_iter().map(Some).chain(std::iter::repeat(None));
        let hit =
            |(found, fields): (&Found, Option<Vec<MatchedField>>)| self.hit(found, fields.as_deref(), is_own, &known);
        let hits = page.iter().zip(reasons).map(hit).collect();
        let (version, offset) = (self.version.number, self.version.offset);
        let Retrieved { corrected, dropped, .. } = retrieved;
        Ok(SearchAnswer { version, offset, total, degraded, hits, ranked, facets, corrected, dropped })
    }

    /// What matches: the candidates for an order by score, and, if the request has facets or another order, every
    /// match.
    fn matches<'r>(
        &self,
        query: &mut ReadQuery,
        request: &SearchRequest,
        known: &Known<'r>,
    ) -> Result<Matches<'r>, SearchError> {
        let rules = &known.rules;
        let fields: Vec<&FacetField> = request.facets.iter().map(|facet| &facet.field).collect();
        let narrowed = request.filter.as_ref().map(|filter| filter.narrowed(&fields, self.facts));
        let keeps_all = request.sort.is_some() || !request.facets.is_empty();
        let all = RefCell::new(Vec::new());
        let is_open = request.query.trim().is_empty();
        let pins = if request.sort.is_none() { rules.pins() } else { &[] };
        let pinned_products: HashSet<Product> =
            pins.iter().map(|pin| self.counted(pin.item, request.grouping)).collect();
        let met = RefCell::new(Vec::new());
        let admit = |found: Match| {
            let item = found.item_idx;
            let passes = self.passes(item, narrowed.as_ref(), is_open);
            if passes == Passes::No || rules.hides(self, item) {
                return None;
            }
            if !pins.is_empty()
                && passes == Passes::All
                && pinned_products.contains(&self.counted(item, request.grouping))
            {
                met.borrow_mut().push(found);
            }
            if keeps_all {
                all.borrow_mut().push(Matched { found, passes });
            }
            let is_hit = passes == Passes::All;
            is_hit.then(|| {
                let product = match self.counted(item, request.grouping) {
                    Product::OfVariants(product) => Some(product),
                    Product::Alone(_) => None,
                };
                let score = if request.sort.is_none() { self.found(&found, known).rank() } else { found.relevance() };
                Admitted { score, product }
            })
        };
        let depth = if request.sort.is_some() { 1 } else { request.offset.saturating_add(request.n).max(BREADTH) };
        let may =
            |item: ItemIdx| self.passes(item, narrowed.as_ref(), is_open) == Passes::All && !rules.hides(self, item);
        let mut retrieved = query.retrieve_of(&admit, &may, depth)?;
        let (mut all, met) = (all.into_inner(), met.into_inner());
        if retrieved.n_rounds > 1 {
            // What an earlier round asked about, the last one asked about too.
            let mut items = HashSet::new();
            all.reverse();
            all.retain(|matched: &Matched| items.insert(matched.found.item_idx));
            all.reverse();
        }
        let mut pinned = Vec::new();
        for (pin, found, is_new) in self.pinned(pins, &may, &met, request.grouping) {
            retrieved.total += usize::from(is_new);
            all.extend((is_new && keeps_all).then_some(Matched { found, passes: Passes::All }));
            pinned.push((pin, found));
        }
        // In an order by a field, completions of a word would not come after the items that have the word itself.
        let is_whole = |matched: &Matched| matched.found.has_all;
        if request.sort.is_some() && all.iter().any(|matched| matched.passes == Passes::All && is_whole(matched)) {
            all.retain(is_whole);
        }
        let is_cut = narrowed.as_ref().is_some_and(Narrowed::is_cut);
        Ok(Matches { retrieved, all, pinned, is_cut })
    }

    /// The pinned items that may be shown, one of each product, as matches, and whether each is one hit more: an item
    /// that does not match is pinned all the same. `met` has the matches of their products.
    fn pinned<'r>(
        &self,
        pins: &[Pin<'r>],
        may: &dyn Fn(ItemIdx) -> bool,
        met: &[Match],
        grouping: Grouping,
    ) -> Vec<(Pin<'r>, Match, bool)> {
        let mut products = HashSet::new();
        let mut pinned = Vec::new();
        for &pin in pins {
            let product = self.counted(pin.item, grouping);
            if !may(pin.item) || !products.insert(product) {
                continue;
            }
            let own = met.iter().find(|found| found.item_idx == pin.item).copied();
            let is_new = !met.iter().any(|found| self.counted(found.item_idx, grouping) == product);
            let unmatched = Match { item_idx: pin.item, lexical: 0.0, similar: 0.0, has_all: false };
            pinned.push((pin, own.unwrap_or(unmatched), is_new));
        }
        pinned
    }

    fn passes(&self, item: ItemIdx, narrowed: Option<&Narrowed<'_>>, is_open: bool) -> Passes {
        let may = if is_open { self.may_recommend(item, None) } else { self.shown(item, None).is_some() };
        match narrowed {
            _ if !may => Passes::No,
            None => Passes::All,
            Some(narrowed) => narrowed.passes(item),
        }
    }

    fn count(&self, matched: &[Matched], request: &SearchRequest) -> Vec<FacetCounts> {
        let mut counting = Counting::new(self, &request.facets);
        if !request.facets.is_empty() {
            for Matched { found, passes } in matched {
                counting.take(found.item_idx, self.counted(found.item_idx, request.grouping), *passes);
            }
        }
        counting.into_counts()
    }

    fn by_score(
        &self,
        retrieved: &Retrieved,
        pinned: &[(Pin<'_>, Match)],
        request: &SearchRequest,
        known: &Known<'_>,
        answer: &mut Answer,
    ) {
        let (mut found, behind) = self.first_products(&retrieved.candidates, request.grouping, known);
        answer.is_own = request.personalisation == 0.0 || found.is_empty() || self.add_taste(request, &mut found);
        if !answer.is_own {
            answer.degraded.push("cold_user");
        }
        let features = self.add_learned(&mut found, known);
        if known.is_learned && self.facts.search_ranking.state() == RankingState::Off {
            answer.degraded.push(Degraded::LearnedOrderOff.name());
        }
        order(&mut found);
        found.extend(behind);
        let mut variants = Variants::new(self, request.grouping);
        found.retain(|found| variants.is_first(found.item));
        let products: HashSet<Product> =
            pinned.iter().map(|(pin, _)| self.counted(pin.item, request.grouping)).collect();
        found.retain(|found| !products.contains(&self.counted(found.item, request.grouping)));
        let found = with_pins(found, pinned.iter().map(|(pin, found)| (pin.place, self.found(found, known))));
        let n_listed = found.len();
        answer.page = found.into_iter().skip(request.offset).take(request.n).collect();
        answer.ranked = features.ranked(&answer.page, known.unit);
        if n_listed >= MAX_DEPTH && retrieved.total > MAX_DEPTH && answer.page.len() < request.n {
            answer.degraded.push("too_deep");
        }
    }

    fn by_field(&self, sort: &Sort, matched: &[Matched], request: &SearchRequest, answer: &mut Answer) {
        let hits = matched.iter().filter(|matched| matched.passes == Passes::All).map(|matched| matched.found);
        let end = request.offset.saturating_add(request.n);
        let (first, total) = self.sorted(sort, hits, request.grouping, end);
        answer.total = total;
        let page = first.iter().skip(request.offset);
        // In an order by a field no rule moves a hit.
        answer.page = page.map(|found| self.found(found, &Known::default())).collect();
    }
}

/// What matches a request.
struct Matches<'r> {
    retrieved: Retrieved,
    all: Vec<Matched>,
    /// The items with places of their own that may be shown, in the order of their places.
    pinned: Vec<(Pin<'r>, Match)>,
    /// Whether the conditions of the filter had read too much before the last match.
    is_cut: bool,
}

/// An answer in the making.
struct Answer {
    total: usize,
    degraded: Vec<&'static str>,
    page: Vec<Found>,
    /// Whether the taste is the shopper's own.
    is_own: bool,
    ranked: Vec<RankedHit>,
}
