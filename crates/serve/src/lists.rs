//! Lists that are the same for every visitor: items like one item, what is in demand, what is new.
//!
//! In: the facts and the version. Out: up to `n` items, one of each variant group, each with the one reason for it.

use std::collections::HashSet;

use accrue_kernel::TopK;
use accrue_model::Scored;
use accrue_store::ItemIdx;

use crate::filter::Filter;
use crate::page::Variants;
use crate::{Grouping, Reason, Recommendation, Recommended, Shop};

/// Items whose descriptions are compared with that of one item, at most, newest first.
const MAX_COMPARED: usize = 100_000;
/// Items found by description for each that is requested, so that enough are left after variants are removed.
const VARIANT_SLACK: usize = 4;

impl Shop<'_> {
    /// Items like `item`: neighbours by the shoppers' choices, then, where those do not fill the page, by description.
    pub fn similar(&self, item: ItemIdx, n: usize, filter: Option<&Filter>, grouping: Grouping) -> Recommendation {
        let product = self.product(item).filter(|_| grouping == Grouping::Product);
        let is_other = |other: ItemIdx| other != item && (product.is_none() || self.product(other) != product);
        let acceptable = |other: ItemIdx| is_other(other) && self.shown(other, filter).is_some();
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
    pub fn trending(&self, n: usize, filter: Option<&Filter>, grouping: Grouping) -> Recommendation {
        let mut variants = Variants::new(self, grouping);
        let leaders = self.version.ensemble.popularity().leaders(self.facts.stream_time.0);
        let shown = leaders.filter(|leader| leader.score > 0.0 && self.shown(leader.item, filter).is_some());
        let items = self.list(shown.filter(|leader| variants.is_first(leader.item)).take(n), "popular", "popular now");
        self.full_list(items, n, Vec::new())
    }

    /// The newest items, newest first; the score is the day of the first sight, counted from 1970.
    pub fn new_items(&self, n: usize, filter: Option<&Filter>, grouping: Grouping) -> Recommendation {
        let ensemble = &self.version.ensemble;
        let mut variants = Variants::new(self, grouping);
        let day = |item| ensemble.first_seen_ms(item).unwrap_or(self.facts.stream_time.0) as f32 / 86_400_000.0;
        let newest = self.unmet().chain(ensemble.newest()).filter(|&item| self.shown(item, filter).is_some());
        let first = newest.filter(|&item| variants.is_first(item)).take(n);
        let items = self.list(first.map(|item| Scored { item, score: day(item) }), "new_item", "new in the shop");
        self.full_list(items, n, Vec::new())
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
