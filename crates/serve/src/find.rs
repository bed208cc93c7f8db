//! Search: lexical hits, filtered, then reordered by the shopper's own scores as far as the request allows.
//!
//! `score = bm25 + s · ½ · best bm25 · taste`, with the taste of a hit (the shopper's own score of it) scaled to 0…1
//! over the [`BREADTH`] best hits and s the requested strength: 0 keeps the lexical order, 1 adds up to half of the
//! best match's score. Both parts are reasons. The hits after those keep their lexical order and have no taste. So all
//! pages are cut from one list, whatever their offset; it ends after [`MAX_DEPTH`] hits, and a page that asks for more
//! says `too_deep`.

use accrue_store::ItemIdx;

use crate::search::{MAX_DEPTH, MatchedField, SearchError, SearchField, SearchReader};
use crate::{Reason, Recommended, SearchAnswer, SearchRequest, Shop};

/// The best lexical hits, which taste may reorder.
const BREADTH: usize = 200;
/// The weight of taste at full strength, in units of the best lexical score.
const TASTE: f32 = 0.5;

/// A hit and the two parts of its score.
struct Found {
    item: ItemIdx,
    lexical: f32,
    taste: f32,
}

impl Shop<'_> {
    /// Answers a search over `index`.
    ///
    /// # Errors
    /// Only when the index's files cannot be read.
    pub fn search(&self, index: &SearchReader, request: &SearchRequest) -> Result<SearchAnswer, SearchError> {
        let accept = |item: ItemIdx| self.shown(item, request.filter.as_ref()).is_some();
        let breadth = request.offset.saturating_add(request.n).max(BREADTH);
        let retrieved = index.retrieve(&request.query, &accept, breadth)?;
        let found = retrieved.candidates.into_iter().map(|(item, lexical)| Found { item, lexical, taste: 0.0 });
        let mut found: Vec<Found> = found.collect();
        let mut degraded = Vec::new();
        let n_moved = found.len().min(BREADTH);
        if request.personalisation > 0.0 && n_moved > 0 && !self.add_taste(request, &mut found[..n_moved]) {
            degraded.push("cold_user");
        }
        let n_listed = found.len();
        let page: Vec<Found> = found.into_iter().skip(request.offset).take(request.n).collect();
        if n_listed == MAX_DEPTH && retrieved.total > MAX_DEPTH && page.len() < request.n {
            degraded.push("too_deep");
        }
        let reasons = if request.explain {
            index.explain(&request.query, &page.iter().map(|found| found.item).collect::<Vec<_>>())?
        } else {
            Vec::new()
        };
        let reasons = reasons.into_iter().map(Some).chain(std::iter::repeat(None));
        let hits = page.iter().zip(reasons).map(|(found, fields)| self.hit(found, fields.as_deref())).collect();
        Ok(SearchAnswer {
            version: self.version.number,
            offset: self.version.offset,
            total: retrieved.total,
            degraded,
            hits,
        })
    }

    /// Reorders the hits by the shopper's taste; `false` if the shopper has no history, and the order is unchanged.
    fn add_taste(&self, request: &SearchRequest, found: &mut [Found]) -> bool {
        let items: Vec<ItemIdx> = found.iter().map(|found| found.item).collect();
        let Some(scores) = self.taste(request, &items) else { return false };
        let best = found.iter().map(|found| found.lexical).fold(f32::MIN_POSITIVE, f32::max);
        let (low, high) =
            scores.iter().fold((f32::MAX, f32::MIN), |(low, high), &score| (low.min(score), high.max(score)));
        let scale = request.personalisation * TASTE * best / (high - low).max(1e-6);
        for (found, score) in found.iter_mut().zip(scores) {
            found.taste = scale * (score - low);
        }
        let order = |found: &Found| found.lexical + found.taste;
        found.sort_by(|a, b| order(b).total_cmp(&order(a)).then(a.item.cmp(&b.item)));
        true
    }

    fn hit(&self, found: &Found, fields: Option<&[MatchedField]>) -> Recommended {
        let mut hit = self.recommended(found.item, found.lexical + found.taste);
        for field in fields.unwrap_or_default() {
            let name = match field.field {
                SearchField::Id => "the id",
                SearchField::Title => "the title",
                SearchField::Brand => "the brand",
                SearchField::Categories => "a category or tag",
                SearchField::Description => "the description",
            };
            let text = format!("{name} matches {}", field.terms.join(", "));
            hit.reasons.push(Reason::plain("lexical", &text, field.contribution));
        }
        if fields.is_some() && found.taste != 0.0 {
            hit.reasons.push(Reason::plain("taste", "what you chose before", found.taste));
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Fixture, Size, user};
    use crate::{SearchAnswer, SearchRequest};

    #[test]
    fn pages_of_hits_are_cut_from_one_list() {
        let fixture = Fixture::new(Size::default());
        let search = |offset, n, personalisation| -> SearchAnswer {
            let (query, filter) = ("mug".to_string(), None);
            let request = SearchRequest {
                query,
                visitor: user(1),
                device: None,
                n,
                offset,
                filter,
                personalisation,
                part: None,
                explain: true,
            };
            fixture.shop().search(&fixture.index, &request).unwrap()
        };
        for personalisation in [0.0, 1.0] {
            let whole = search(0, 1000, personalisation);
            assert_eq!((whole.hits.len(), &whole.degraded[..]), (whole.total, &[][..]));
            assert!(whole.hits.is_sorted_by(|a, b| a.score >= b.score), "also beyond the hits that taste reorders");
            for n in [7, 100, 333] {
                let pages = (0..whole.total).step_by(n).flat_map(|offset| search(offset, n, personalisation).hits);
                assert_eq!(pages.collect::<Vec<_>>(), whole.hits, "{n}");
            }
            for hit in &whole.hits {
                let sum: f32 = hit.reasons.iter().map(|reason| reason.share).sum();
                assert!((sum - hit.score).abs() < 1e-4, "{hit:?}");
            }
        }
        assert_ne!(search(0, 10, 0.0).hits, search(0, 10, 1.0).hits, "taste reorders hits");
    }
}
