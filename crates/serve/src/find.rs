//! Search: lexical hits, filtered, then moved by the shopper's own scores as far as the request allows.
//!
//! `score = bm25 + s · ½ · best bm25 · taste`, with the taste of a hit scaled to 0…1 over the hits and s the strength asked
//! for: 0 keeps the lexical order, 1 lets taste weigh half as much as the best match. Both parts are reasons.

use accrue_store::ItemIdx;

use crate::search::{MatchedField, SearchError, SearchField, SearchReader};
use crate::{Reason, Recommended, SearchAnswer, SearchRequest, Shop};

/// Hits that compete for the page; taste moves items only among these.
const BREADTH: usize = 200;
/// What taste at full strength weighs, in units of the best lexical score.
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
        let breadth = (request.offset + request.n).max(BREADTH);
        let retrieved = index.retrieve(&request.query, &accept, breadth)?;
        let found = retrieved.candidates.into_iter().map(|(item, lexical)| Found { item, lexical, taste: 0.0 });
        let mut found: Vec<Found> = found.collect();
        let mut degraded = Vec::new();
        if request.personalisation > 0.0 && !found.is_empty() && !self.add_taste(request, &mut found) {
            degraded.push("cold_user");
        }
        let page: Vec<Found> = found.into_iter().skip(request.offset).take(request.n).collect();
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

    /// Moves the hits by the shopper's taste; `false` if nothing is known of the shopper, and nothing moved.
    fn add_taste(&self, request: &SearchRequest, found: &mut [Found]) -> bool {
        let items: Vec<ItemIdx> = found.iter().map(|found| found.item).collect();
        let Some(scores) = self.taste(&request.visitor, &items) else { return false };
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
