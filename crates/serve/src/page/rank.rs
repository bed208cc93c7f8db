//! Ranking: the models score a tier of candidates, and they are sorted by score.

use accrue_kernel::TopK;
use accrue_store::ItemIdx;

use super::retrieve::{SCANNED, Tier};
use super::{Candidate, Situation};
use crate::shop::with_scratch;
use crate::{SearchRequest, Shop};

/// The candidates of a tier, best first; equal scores are ordered by item.
pub(super) fn rank(situation: &Situation<'_>, tier: Tier) -> impl Iterator<Item = Candidate> + use<> {
    let Tier { retrieved, scanned } = tier;
    let items = [&retrieved[..], &scanned].concat();
    let scores = situation.shop.version.ensemble.score_all(situation.prepared, &items);
    situation.work.score(items.len());
    // By item, not by position in the tier: the order must not depend on how a candidate was found.
    let mut order = TopK::new(items.len());
    items.iter().zip(&scores).for_each(|(&item, &score)| order.push(score, item));
    let candidate = move |(score, item): (f32, ItemIdx)| {
        let shares = if retrieved.binary_search(&item).is_ok() { Vec::new() } else { vec![SCANNED] };
        Candidate { item, score, shares }
    };
    order.into_descending().map(candidate)
}

impl Shop<'_> {
    /// The scores of `items` for the visitor who searches, by which search orders hits, and whether the visitor has a history. Without
    /// one, they are the same for all visitors: what this shop's shoppers choose.
    pub(crate) fn taste(&self, request: &SearchRequest, items: &[ItemIdx]) -> (Vec<f32>, bool) {
        let past = self.past(&request.visitor, None, &[]);
        let context = past.context(self, request.circumstances());
        let ensemble = &self.version.ensemble;
        let scores = with_scratch(|prepared| {
            ensemble.prepare(&context, prepared);
            prepared.score_by(request.part);
            ensemble.score_all(prepared, items)
        });
        (scores, !context.past.is_empty())
    }
}
