//! Lists that are the same for every visitor: items like one item, what is in demand, what is new.
//!
//! In: the facts and the version. Out: up to `n` items, one of each variant group, each with the one reason for it.

use std::collections::HashSet;

use accrue_event::Timestamp;
use accrue_kernel::TopK;
use accrue_model::Scored;
use accrue_store::ItemIdx;

use crate::page::Variants;
use crate::{Grouping, ListRequest, Reason, Recommendation, Recommended, Shop};

/// Items whose descriptions are compared with that of one item, at most, newest first.
const MAX_COMPARED: usize = 100_000;
/// How long an item counts as just published: a fortnight.
const LATELY_MS: i64 = 14 * 24 * 3600 * 1000;
/// Items found by description for each that is requested, so that enough are left after variants are removed.
const VARIANT_SLACK: usize = 4;

impl Shop<'_> {
    /// Items like `item`: neighbours by the shoppers' choices, then, where those do not fill the page, by description.
    pub fn similar(&self, item: ItemIdx, list: &ListRequest) -> Recommendation {
        let (shop, n, grouping) = (self.with_incomplete(list.incomplete), list.n, list.grouping);
        let product = self.product(item).filter(|_| grouping == Grouping::Product);
        let is_other = |other: ItemIdx| other != item && (product.is_none() || self.product(other) != product);
        let acceptable = |other: ItemIdx| is_other(other) && shop.may_recommend(other, list.filter.as_ref());
        let mut variants = Variants::new(self, grouping);
        let neighbours = self.version.ensemble.neighbours();
        let neighbours =
            neighbours.map_or_else(Vec::new, |neighbours| neighbours.similar(item, usize::MAX >> 1)).into_iter();
        let neighbours = neighbours.filter(|scored| acceptable(scored.item) && variants.is_first(scored.item));
        let chosen: Vec<Scored> = neighbours.take(n).collect();
        let mut degraded = Vec::new();
        if chosen.is_empty() {
            degraded.push("no_neighbours");
        }
        let mut described = Vec::new();
        if chosen.len() < n {
            let known: HashSet<ItemIdx> = chosen.iter().map(|scored| scored.item).collect();
            // An item that is only described alike ranks below all that were chosen together.
            let below = chosen.last().map_or(1.0, |weakest| weakest.score);
            let n_wanted = n - chosen.len();
            let alike = self.described_alike(item, VARIANT_SLACK * n_wanted, below, |other| {
                acceptable(other) && !known.contains(&other)
            });
            described.extend(alike.filter(|scored| variants.is_first(scored.item)).take(n_wanted));
        }
        let text = format!("chosen together with {}", self.title(item));
        let mut items = self.list(chosen, "chosen_together", &text);
        items.extend(self.list(described, "described_alike", &format!("described like {}", self.title(item))));
        self.full_list(items, n, degraded)
    }

    /// The `n` acceptable items whose descriptions are most like that of `item`; scores are cosines times `scale`.
    fn described_alike(
        &self,
        item: ItemIdx,
        n: usize,
        scale: f32,
        accept: impl Fn(ItemIdx) -> bool,
    ) -> impl Iterator<Item = Scored> {
        let mut best = TopK::new(n);
        for other in (0..self.facts.items.len() as u32).rev().take(MAX_COMPARED) {
            let cosine = self.version.ensemble.catalogue.cosine(item, other);
            if cosine > 0.0 && accept(other) {
                best.push(scale * cosine, other);
            }
        }
        best.into_sorted().into_iter().map(|(score, item)| Scored { item, score })
    }

    /// The items that are most popular at the moment.
    pub fn trending(&self, list: &ListRequest) -> Recommendation {
        let (shop, n) = (self.with_incomplete(list.incomplete), list.n);
        let mut variants = Variants::new(self, list.grouping);
        let leaders = self.version.ensemble.popularity().leaders(self.facts.stream_time.0);
        let shown =
            leaders.filter(|leader| leader.score > 0.0 && shop.may_recommend(leader.item, list.filter.as_ref()));
        let items = self.list(shown.filter(|leader| variants.is_first(leader.item)).take(n), "popular", "popular now");
        self.full_list(items, n, Vec::new())
    }

    /// The newest items, newest first, by the date of publication, or by the first sight of an item that has none; the
    /// score is that day, counted from 1970.
    pub fn new_items(&self, list: &ListRequest) -> Recommendation {
        let (shop, n) = (self.with_incomplete(list.incomplete), list.n);
        let mut variants = Variants::new(self, list.grouping);
        let newest = self.newest().filter(|&(_, item)| shop.may_recommend(item, list.filter.as_ref()));
        let first = newest.filter(|&(_, item)| variants.is_first(item)).take(n);
        let scored = first.map(|(at_ms, item)| Scored { item, score: at_ms as f32 / 86_400_000.0 });
        let items = self.list(scored, "new_item", "new in the shop");
        self.full_list(items, n, Vec::new())
    }

    /// Items from the newest on, each with the time from which it counts as new. At most [`MAX_COMPARED`] of those with a
    /// date of publication, and as many of the others.
    fn newest(&self) -> impl Iterator<Item = (i64, ItemIdx)> {
        let (ensemble, overview, now_ms) = (&self.version.ensemble, self.facts.overview(), self.now_ms);
        let published = overview.published(..=Timestamp(now_ms)).map(|(at, item)| (at.0, item));
        let n_items = self.facts.items.len() as u32;
        // Most catalogues have dates for all items or for none.
        let n_undated = if overview.n_published() < u64::from(n_items) { MAX_COMPARED } else { 0 };
        let is_undated =
            |item: &ItemIdx| self.facts.entry(*item).is_some_and(|entry| entry.item.published_at.is_none());
        let first_seen = move |item| ensemble.first_seen_ms(item).unwrap_or(now_ms);
        let undated = (0..n_items).rev().take(n_undated).filter(is_undated).map(move |item| (first_seen(item), item));
        let (mut published, mut undated) = (published.take(MAX_COMPARED).peekable(), undated.peekable());
        std::iter::from_fn(move || match (published.peek(), undated.peek()) {
            (Some((at_ms, _)), Some((seen_ms, _))) if at_ms < seen_ms => undated.next(),
            (None, _) => undated.next(),
            (Some(_), _) => published.next(),
        })
    }

    /// The latest `n` items that were published within the last [`LATELY_MS`]. An item whose date of publication comes
    /// days after its description is not among the newest of the models, so it would have no place to begin with.
    pub(crate) fn just_published(&self, n: usize) -> impl Iterator<Item = ItemIdx> + use<'_> {
        let since = Timestamp(self.now_ms.saturating_sub(LATELY_MS));
        self.facts.overview().published(since..=Timestamp(self.now_ms)).map(|(_, item)| item).take(n)
    }

    fn list(&self, picked: impl IntoIterator<Item = Scored>, code: &'static str, text: &str) -> Vec<Recommended> {
        let recommended = |scored: Scored| Recommended {
            reasons: vec![Reason::plain(code, text, scored.score)],
            ..self.recommended(scored.item, scored.score)
        };
        picked.into_iter().map(recommended).collect()
    }

    fn full_list(&self, items: Vec<Recommended>, n: usize, mut degraded: Vec<&'static str>) -> Recommendation {
        if items.len() < n {
            degraded.push("few_candidates");
        }
        self.recommendation(items, degraded)
    }
}
