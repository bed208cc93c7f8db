//! Ranking: hits by how well they match, what sells, and the shopper's taste.
//!
//! ```text
//! score     = relevance + pull · (SELLS · standing² + CHOSEN · chosen + s · TASTE · taste)
//! relevance = bm25 + weight · unit · similarity
//! pull      = relevance for an item with all words of the query that the shop knows, a part of it for the others
//! ```
//!
//! The unit is the score of an item of mean length that has each word of the query once, so that words and meaning are
//! weighed alike for every query (a convex combination of normalised scores: Bruch, Gai, Ingber, *An analysis of fusion
//! functions for hybrid retrieval*, TOIS 2023). Without vectors the relevance is bm25.
//!
//! What was chosen after the same query before (`accrue_store::Searches`: by several shoppers, less what positions
//! explain) is `chosen`, 0 to 1. The standing of an item is how its sales compare with those of the leader, and its
//! taste the models' score for this shopper, both 0 to 1; s is the requested strength of the taste. For a visitor
//! without a history the taste is that of the whole shop. What sells is multiplied with how well the text matches, so
//! it decides among items that match alike and cannot raise an item that has only some of the words over those that
//! have all. The square raises the best sellers: the length of a title, which decides between bm25 scores of one word,
//! does not keep them off the first page. What a rule of the shop boosts is multiplied by its factor before taste. All
//! parts are reasons.
//!
//! The standing is known for every match, so the best sellers among thousands of equal matches are found. The taste is
//! computed for the [`BREADTH`] best products; those after them have none.

use std::collections::{HashMap, HashSet};

use accrue_store::{Chosen, ItemIdx};

use crate::rules::ActiveRules;
use crate::search::{Candidate, Match, MatchedField, ReadQuery, SearchField};
use crate::{Grouping, Reason, Recommended, SearchRequest, Shop};

/// The best products, which taste may reorder.
pub(super) const BREADTH: usize = 200;
/// How much the best seller is raised, in units of its lexical score.
const SELLS: f32 = 2.0;
/// How much the item that most shoppers chose after the same query is raised, in the same units.
const CHOSEN: f32 = 2.0;
/// How much the shopper's favourite is raised at full strength, in the same units.
const TASTE: f32 = 0.5;
/// How much what is sold of one variant counts for the others of its product.
const OF_OTHERS: f32 = 0.99;
/// Variants of a product whose sales are read for each match of a search.
const MAX_VARIANTS_READ: usize = 16;
/// The part of both for an item that lacks a word of the query.
const LACKING: f32 = 0.1;
/// What a boost multiplies at least, in the same units.
const BOOSTED: f32 = 0.1;
/// More than any score.
const BURIED: f32 = 100_000.0;

/// What is known of a search before any item is looked at.
#[derive(Default)]
pub(super) struct Known<'r> {
    pub rules: ActiveRules<'r>,
    /// What shoppers chose after the same query, by item.
    chosen: Vec<Chosen>,
    /// What shoppers chose after queries that mean nearly the same, 0 to 1 by item.
    chosen_near: HashMap<ItemIdx, f32>,
    /// The score of a usual hit.
    pub unit: f32,
    /// Whether learned weights may move hits: not where the query names something by a code or a number.
    pub is_learned: bool,
}

impl<'r> Known<'r> {
    pub fn of(shop: &Shop<'r>, request: &SearchRequest, query: &ReadQuery) -> Self {
        let rules = ActiveRules::of(shop, Some(&request.query), request.filter.as_ref());
        let chosen = shop.facts.searches.chosen(&request.query, shop.facts.stream_time.0);
        let is_learned = !query.is_blank() && !query.is_exact();
        let mut chosen_near: HashMap<ItemIdx, f32> = HashMap::new();
        for (text, similarity) in &request.near {
            for Chosen { item, strength, .. } in shop.facts.searches.chosen(text, shop.facts.stream_time.0) {
                let most = chosen_near.entry(item).or_default();
                *most = most.max(strength * similarity);
            }
        }
        Self { rules, chosen, chosen_near, unit: query.unit(), is_learned }
    }

    pub fn chosen_near(&self, item: ItemIdx) -> f32 {
        self.chosen_near.get(&item).copied().unwrap_or(0.0)
    }

    pub fn chosen_items(&self) -> &[Chosen] {
        &self.chosen
    }

    pub fn chosen(&self, item: ItemIdx) -> Option<&Chosen> {
        self.chosen.binary_search_by_key(&item, |chosen| chosen.item).ok().map(|place| &self.chosen[place])
    }
}

/// A hit and the parts of its score.
pub(super) struct Found {
    pub item: ItemIdx,
    /// The lexical score, which the index explains.
    pub lexical: f32,
    /// What similarity of meaning adds.
    pub similar: f32,
    /// Whether it has all words of the query.
    pub has_all: bool,
    /// What popularity adds.
    sells: f32,
    /// What past choices after this query add.
    chosen: f32,
    /// What taste adds.
    taste: f32,
    /// The shopper's taste, 0 to 1, whatever the strength asked for.
    pub liked: f32,
    /// What learned weights add.
    pub learned: f32,
    /// What boosts by rules of the shop add.
    ruled: f32,
    /// Whether it is behind all others: by a rule, or at price 0.
    is_buried: bool,
    /// How much of a score of 1 is added.
    pull: f32,
}

impl Found {
    pub fn score(&self) -> f32 {
        self.lexical + self.similar + self.sells + self.chosen + self.ruled + self.taste + self.learned
    }

    /// The score without learned weights.
    pub fn unlearned(&self) -> f32 {
        self.score() - self.learned
    }

    /// What retrieval orders by: the score, and far below it for what is buried.
    pub fn rank(&self) -> f32 {
        self.score() - if self.is_buried { BURIED } else { 0.0 }
    }
}

/// How much what sells and what is liked count for a match.
fn pull(found: &Match) -> f32 {
    match found.relevance() {
        relevance if relevance <= 0.0 => 1.0,
        relevance if found.has_all => relevance,
        relevance => LACKING * relevance,
    }
}

/// Orders hits by score, what is buried last.
pub(super) fn order(found: &mut [Found]) {
    found.sort_by(|a, b| {
        let by_score = || b.score().total_cmp(&a.score());
        a.is_buried.cmp(&b.is_buried).then_with(by_score).then(a.item.cmp(&b.item))
    });
}

impl Shop<'_> {
    /// A match with what it is worth before taste.
    pub(super) fn found(&self, found: &Match, known: &Known<'_>) -> Found {
        let (item, lexical, similar, pull) = (found.item_idx, found.lexical, found.similar, pull(found));
        let sells = pull * SELLS * self.standing(item).powi(2);
        let chosen = pull * CHOSEN * known.chosen(item).map_or(0.0, |chosen| chosen.strength);
        let rules = &known.rules;
        let (mut ruled, mut is_buried) = (0.0, self.comes_last_in_searches(item));
        if rules.reorders() {
            // Of a query without words, an item that never sold has a score of 0, and a boost must move it too.
            ruled = (rules.boost(self, item) - 1.0) * (lexical + similar + sells + chosen).max(pull * BOOSTED);
            is_buried |= rules.buries(self, item).is_some();
        }
        Found {
            item,
            lexical,
            similar,
            has_all: found.has_all,
            sells,
            chosen,
            taste: 0.0,
            liked: 0.0,
            learned: 0.0,
            ruled,
            is_buried,
            pull,
        }
    }

    /// How well an item sells compared with the leader, 0 to 1. Events of a page about the product count for each of
    /// its variants, and what is sold of one variant nearly as much for the others: they stand in for it when it is sold out,
    /// and come after it while it is not.
    pub(crate) fn standing(&self, item: ItemIdx) -> f32 {
        let popularity = self.version.ensemble.popularity();
        let own = self.own_standing(item);
        let Some(product) = self.facts.products.of(item) else { return own };
        let variants = self.facts.products.variants(product).iter().take(MAX_VARIANTS_READ);
        let of_others = variants.map(|&other| popularity.standing(other)).fold(0.0, f32::max);
        own.max(OF_OTHERS * of_others)
    }

    /// [`Shop::standing`] without what is sold of other variants.
    pub(crate) fn own_standing(&self, item: ItemIdx) -> f32 {
        let popularity = self.version.ensemble.popularity();
        let parent = self.facts.products.of(item).and_then(|product| self.facts.products.parent(product));
        popularity.standing(item).max(parent.map_or(0.0, |parent| popularity.standing(parent)))
    }

    /// The candidates of the [`BREADTH`] best products, and those of the others.
    pub(super) fn first_products(
        &self,
        candidates: &[Candidate],
        grouping: Grouping,
        known: &Known<'_>,
    ) -> (Vec<Found>, Vec<Found>) {
        let mut first = HashSet::new();
        candidates.iter().map(|candidate| self.found(&candidate.found, known)).partition(|found| {
            let product = self.counted(found.item, grouping);
            first.contains(&product) || (first.len() < BREADTH && first.insert(product))
        })
    }

    /// Adds the shopper's taste; `false` if the shopper has no history, so that it is the taste of the whole shop.
    pub(super) fn add_taste(&self, request: &SearchRequest, found: &mut [Found]) -> bool {
        let items: Vec<ItemIdx> = found.iter().map(|found| found.item).collect();
        let (scores, is_own) = self.taste(request, &items);
        let (low, high) =
            scores.iter().fold((f32::MAX, f32::MIN), |(low, high), &score| (low.min(score), high.max(score)));
        let scale = 1.0 / (high - low).max(1e-6);
        for (found, score) in found.iter_mut().zip(scores) {
            found.liked = scale * (score - low);
            found.taste = found.pull * request.personalisation * TASTE * found.liked;
        }
        is_own
    }

    pub(super) fn hit(
        &self,
        found: &Found,
        fields: Option<&[MatchedField]>,
        is_own: bool,
        known: &Known<'_>,
    ) -> Recommended {
        let mut hit = self.recommended(found.item, found.score());
        for field in fields.unwrap_or_default() {
            let name = match field.field {
                SearchField::Id => "the id",
                SearchField::Title => "the title",
                SearchField::Brand => "the brand",
                SearchField::Categories => "a category or tag",
                SearchField::Description => "the description",
                SearchField::Attributes => "an attribute",
            };
            let text = format!("{name} matches {}", field.terms.join(", "));
            hit.reasons.push(Reason::plain("lexical", &text, field.contribution));
        }
        if fields.is_some() && found.similar != 0.0 {
            hit.reasons.push(Reason::plain("similar_meaning", "similar meaning", found.similar));
        }
        if fields.is_some() && found.sells != 0.0 {
            hit.reasons.push(Reason::plain("popular", "popular with other shoppers", found.sells));
        }
        if let Some(chosen) = known.chosen(found.item).filter(|_| fields.is_some() && found.chosen != 0.0) {
            let text = format!("chosen by {} or more shoppers after this search", chosen.n_shoppers);
            hit.reasons.push(Reason::plain("chosen_after_search", &text, found.chosen));
        }
        if fields.is_some() && found.taste != 0.0 {
            let text = if is_own { "like what you chose before" } else { "like what is chosen in this shop" };
            hit.reasons.push(Reason::plain("taste", text, found.taste));
        }
        if fields.is_some() && found.learned != 0.0 {
            hit.reasons.push(Reason::plain("learned_order", "what is chosen after searches", found.learned));
        }
        if fields.is_some() {
            hit.reasons.extend(self.reason_of_rules(found.item, found.ruled, &known.rules));
        }
        hit
    }
}
