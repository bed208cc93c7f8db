//! Search: lexical hits, filtered, raised by what sells and by the shopper's taste, one of each product.
//!
//! ```text
//! score = bm25 + pull · (SELLS · standing² + s · TASTE · taste)
//! pull  = bm25 for an item with all words of the query that the shop knows, a part of it for the others
//! ```
//!
//! The standing of an item is how its sales compare with those of the leader, and its taste the models' score for this
//! shopper, both 0 to 1; s is the requested strength of the taste. For a visitor without a history the taste is that of the
//! whole shop. What sells is multiplied with how well the text matches, so it decides among items that match alike and
//! cannot raise an item that has only some of the words over those that have all. The square raises the best sellers: the
//! length of a title, which decides between bm25 scores of one word, does not keep them off the first page. All parts are
//! reasons.
//!
//! The standing is known for every match, so the best sellers among thousands of equal matches are found. The taste is
//! computed for the [`BREADTH`] best products; those after them have none. Of each product the best variant stays. So all
//! pages are cut from one list, whatever their offset; it ends after [`MAX_DEPTH`] products, and a page that asks for more
//! says `too_deep`. A blank query matches everything alike, so it lists the shop by what sells and by taste.

use std::collections::HashSet;

use accrue_store::ItemIdx;

use crate::page::Variants;
use crate::search::{Admitted, Candidate, MAX_DEPTH, Match, MatchedField, SearchError, SearchField, SearchReader};
use crate::shop::Product;
use crate::{Grouping, Reason, Recommended, SearchAnswer, SearchRequest, Shop};

/// The best products, which taste may reorder.
const BREADTH: usize = 200;
/// How much the best seller is raised, in units of its lexical score.
const SELLS: f32 = 2.0;
/// How much the shopper's favourite is raised at full strength, in the same units.
const TASTE: f32 = 0.5;
/// The part of both for an item that lacks a word of the query.
const LACKING: f32 = 0.1;

/// A hit and the parts of its score.
struct Found {
    item: ItemIdx,
    /// The lexical score, which the index explains.
    lexical: f32,
    /// What popularity adds.
    sells: f32,
    /// What taste adds.
    taste: f32,
    /// How much of a score of 1 is added.
    pull: f32,
}

impl Found {
    fn score(&self) -> f32 {
        self.lexical + self.sells + self.taste
    }
}

impl From<&Candidate> for Found {
    fn from(candidate: &Candidate) -> Self {
        let Candidate { found, score, .. } = candidate;
        let (item, lexical) = (found.item_idx, found.lexical);
        Self { item, lexical, sells: score - lexical, taste: 0.0, pull: pull(found) }
    }
}

/// How much what sells and what is liked count for a match.
fn pull(found: &Match) -> f32 {
    match *found {
        Match { lexical, .. } if lexical <= 0.0 => 1.0,
        Match { lexical, has_all: true, .. } => lexical,
        Match { lexical, has_all: false, .. } => LACKING * lexical,
    }
}

impl Shop<'_> {
    /// Answers a search over `index`.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn search(&self, index: &SearchReader, request: &SearchRequest) -> Result<SearchAnswer, SearchError> {
        let admit = |found: Match| {
            self.shown(found.item_idx, request.filter.as_ref())?;
            let score = found.lexical + pull(&found) * SELLS * self.standing(found.item_idx).powi(2);
            let product = match self.counted(found.item_idx, request.grouping) {
                Product::OfVariants(product) => Some(product),
                Product::Alone(_) => None,
            };
            Some(Admitted { score, product })
        };
        let depth = request.offset.saturating_add(request.n).max(BREADTH);
        let retrieved = index.retrieve(&request.query, &admit, depth)?;
        let mut degraded = Vec::new();
        let (mut found, behind) = self.first_products(&retrieved.candidates, request.grouping);
        let is_own = request.personalisation == 0.0 || found.is_empty() || self.add_taste(request, &mut found);
        if !is_own {
            degraded.push("cold_user");
        }
        found.extend(behind);
        let mut variants = Variants::new(self, request.grouping);
        found.retain(|found| variants.is_first(found.item));
        let n_listed = found.len();
        let page: Vec<Found> = found.into_iter().skip(request.offset).take(request.n).collect();
        if n_listed >= MAX_DEPTH && retrieved.total > MAX_DEPTH && page.len() < request.n {
            degraded.push("too_deep");
        }
        let reasons = if request.explain {
            index.explain(&request.query, &page.iter().map(|found| found.item).collect::<Vec<_>>())?
        } else {
            Vec::new()
        };
        let reasons = reasons.into_iter().map(Some).chain(std::iter::repeat(None));
        let hits = page.iter().zip(reasons).map(|(found, fields)| self.hit(found, fields.as_deref(), is_own)).collect();
        Ok(SearchAnswer {
            version: self.version.number,
            offset: self.version.offset,
            total: retrieved.total,
            degraded,
            hits,
        })
    }

    /// How well an item sells compared with the leader, 0 to 1. Events of a page about the product count for each of its
    /// variants.
    fn standing(&self, item: ItemIdx) -> f32 {
        let popularity = self.version.ensemble.popularity();
        let parent = self.facts.products.of(item).and_then(|product| self.facts.products.parent(product));
        popularity.standing(item).max(parent.map_or(0.0, |parent| popularity.standing(parent)))
    }

    /// The candidates of the [`BREADTH`] best products, and those of the others.
    fn first_products(&self, candidates: &[Candidate], grouping: Grouping) -> (Vec<Found>, Vec<Found>) {
        let mut first = HashSet::new();
        candidates.iter().map(Found::from).partition(|found| {
            let product = self.counted(found.item, grouping);
            first.contains(&product) || (first.len() < BREADTH && first.insert(product))
        })
    }

    /// Reorders the hits by taste; `false` if the shopper has no history, so that it is the taste of the whole shop.
    fn add_taste(&self, request: &SearchRequest, found: &mut [Found]) -> bool {
        let items: Vec<ItemIdx> = found.iter().map(|found| found.item).collect();
        let (scores, is_own) = self.taste(request, &items);
        let (low, high) =
            scores.iter().fold((f32::MAX, f32::MIN), |(low, high), &score| (low.min(score), high.max(score)));
        let scale = request.personalisation * TASTE / (high - low).max(1e-6);
        for (found, score) in found.iter_mut().zip(scores) {
            found.taste = found.pull * scale * (score - low);
        }
        found.sort_by(|a, b| b.score().total_cmp(&a.score()).then(a.item.cmp(&b.item)));
        is_own
    }

    fn hit(&self, found: &Found, fields: Option<&[MatchedField]>, is_own: bool) -> Recommended {
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
        if fields.is_some() && found.sells != 0.0 {
            hit.reasons.push(Reason::plain("popular", "popular with other shoppers", found.sells));
        }
        if fields.is_some() && found.taste != 0.0 {
            let text = if is_own { "like what you chose before" } else { "like what is chosen in this shop" };
            hit.reasons.push(Reason::plain("taste", text, found.taste));
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::filter::Filter;
    use crate::fixture::{Fixture, Size, user};
    use crate::{Grouping, Recommended, SearchAnswer, SearchRequest, Visitor};

    fn search(shop: &Fixture, query: &str, of: impl FnOnce(&mut SearchRequest)) -> SearchAnswer {
        let mut request = SearchRequest { query: query.to_string(), explain: true, ..SearchRequest::default() };
        of(&mut request);
        shop.shop().search(&shop.index, &request).unwrap()
    }

    fn ids(hits: &[Recommended]) -> Vec<&str> {
        hits.iter().map(|hit| hit.id.as_str()).collect()
    }

    #[test]
    fn pages_of_hits_are_cut_from_one_list_with_one_of_each_product() {
        let shop = Fixture::new(Size::default());
        let filter = Some(Filter::parse("price:..50").unwrap());
        for grouping in [Grouping::Product, Grouping::Item] {
            for (query, personalisation) in [("mug", 0.0), ("mug", 1.0), ("mug brand3", 0.5), ("", 1.0), ("", 0.0)] {
                let page = |offset, n| {
                    search(&shop, query, |request| {
                        (request.visitor, request.filter) = (user(1), filter.clone());
                        (request.offset, request.n) = (offset, n);
                        (request.grouping, request.personalisation) = (grouping, personalisation);
                    })
                };
                let whole = page(0, 1000);
                assert_eq!((whole.hits.len(), &whole.degraded[..]), (whole.total, &[][..]));
                assert!(whole.hits.is_sorted_by(|a, b| a.score >= b.score), "also beyond the hits that taste reorders");
                let products: BTreeSet<_> = ids(&whole.hits)
                    .into_iter()
                    .map(|id| shop.shop().product(shop.facts.items.get(id).unwrap()))
                    .collect();
                let expected = if grouping == Grouping::Product { whole.total } else { products.len() };
                assert!(products.len() == expected && (200..700).contains(&whole.total), "{}", whole.total);
                for n in [7, 100, 333] {
                    let pages = (0..whole.total).step_by(n).flat_map(|offset| page(offset, n).hits);
                    assert_eq!(pages.collect::<Vec<_>>(), whole.hits, "{n}");
                }
                for hit in &whole.hits {
                    let sum: f32 = hit.reasons.iter().map(|reason| reason.share).sum();
                    assert!((sum - hit.score).abs() < 1e-4, "{hit:?}");
                }
            }
        }
        let first = |personalisation| {
            search(&shop, "mug", |request| (request.visitor, request.personalisation) = (user(1), personalisation)).hits
        };
        assert_ne!(ids(&first(0.0)), ids(&first(1.0)), "taste reorders hits");
    }

    #[test]
    fn among_equal_matches_what_sells_comes_first_for_a_visitor_without_a_history() {
        let shop = Fixture::new(Size::default());
        let popularity = shop.version.ensemble.popularity();
        let standing = |hit: &Recommended| popularity.standing(shop.facts.items.get(hit.id.as_str()).unwrap());
        let best = (0..shop.facts.items.len() as u32).map(|item| popularity.standing(item)).fold(0.0, f32::max);
        for (query, personalisation) in [("mug", 0.0), ("mug", 0.5), ("", 0.0)] {
            let answer = search(&shop, query, |request| {
                (request.visitor, request.n, request.personalisation) = (Visitor::default(), 50, personalisation);
            });
            assert_eq!(answer.degraded.contains(&"cold_user"), personalisation > 0.0);
            assert_eq!(standing(&answer.hits[0]), best, "{query:?} {personalisation}: all titles match alike");
            assert!(personalisation > 0.0 || answer.hits.is_sorted_by(|a, b| standing(a) >= standing(b)), "{query:?}");
            assert!(answer.hits[0].reasons.iter().any(|reason| reason.code == "popular"));
        }
        let of_brand = search(&shop, "mug brand3", |request| request.n = 200);
        let has_brand = |hit: &&Recommended| hit.reasons.iter().any(|reason| reason.text.contains("brand3"));
        let n_of_brand = of_brand.hits.iter().filter(has_brand).count();
        assert!(n_of_brand > 20 && of_brand.hits.iter().take(n_of_brand).all(|hit| has_brand(&hit)), "all words first");
    }
}
