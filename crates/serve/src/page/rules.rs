//! Rules of the shop on a page of recommendations: boosts within a tier, burials behind all tiers, pins at their places.
//!
//! Scores are logarithms of probabilities up to a common term, so a boost by a factor adds the factor's logarithm: it
//! multiplies the item's probability. What is hidden is left out where candidates are accepted.

use std::collections::HashSet;

use accrue_kernel::ln;
use accrue_store::ItemIdx;

use super::retrieve::Retrieval;
use super::{Candidate, Share, Situation};
use crate::ReasonCode;
use crate::rules::with_pins;
use crate::scene::Rest;
use crate::shop::Product;

/// What boosts added to a score.
fn share(text: String, added: f32) -> Share {
    Share { code: ReasonCode::Rule, text: text.into(), added }
}

/// The candidates of a tier, which are given best first, after boosts. Those that a rule buries go to `buried`, which
/// follows behind the last tier.
pub(super) fn reorder(
    situation: &Situation<'_>,
    ranked: impl Iterator<Item = Candidate>,
    buried: &mut Vec<Candidate>,
) -> Vec<Candidate> {
    let Situation { shop, rules, .. } = situation;
    let mut free: Vec<Candidate> = Vec::new();
    for mut candidate in ranked {
        let item = candidate.item;
        if let Some(rule) = rules.buries(shop, item) {
            candidate.shares.push(share(format!("put behind others by rule {rule}"), 0.0));
            buried.push(candidate);
            continue;
        }
        let added = ln(rules.boost(shop, item));
        if added != 0.0 {
            let verb = if added < 0.0 { "lowered" } else { "boosted" };
            candidate.score += added;
            candidate.shares.push(share(format!("{verb} by rule {}", rules.boosted_by(shop, item)), added));
        }
        free.push(candidate);
    }
    free.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    free
}

/// The items with places of their own that the page may show, in the order of their places.
pub(super) struct Pinned {
    places: Vec<(usize, Candidate)>,
    products: HashSet<Product>,
}

impl Pinned {
    /// What rules pin on the page. A page without the rest of the shop has no other items than those of its sources.
    pub fn new(situation: &Situation<'_>, retrieval: &Retrieval<'_>) -> Self {
        let Situation { shop, request, rules, prepared, .. } = situation;
        let mut pinned = Self { places: Vec::new(), products: HashSet::new() };
        if situation.scene.rest == Rest::Never {
            return pinned;
        }
        let mut pins = Vec::new();
        for pin in rules.pins() {
            if retrieval.accepts(pin.item) && pinned.products.insert(shop.counted(pin.item, request.grouping)) {
                pins.push(pin);
            }
        }
        let items: Vec<ItemIdx> = pins.iter().map(|pin| pin.item).collect();
        let scores = shop.version.ensemble.score_all(prepared, &items);
        for (pin, score) in pins.into_iter().zip(scores) {
            let shares = vec![share(format!("pinned by rule {}", pin.rule), 0.0)];
            pinned.places.push((pin.place, Candidate { item: pin.item, score, shares }));
        }
        pinned
    }

    /// Whether an item has no place of its own.
    pub fn is_free(&self, situation: &Situation<'_>, item: ItemIdx) -> bool {
        self.products.is_empty() || !self.products.contains(&situation.shop.counted(item, situation.request.grouping))
    }

    /// The list with the pinned items at their places.
    pub fn into_list(self, list: Vec<Candidate>) -> Vec<Candidate> {
        with_pins(list, self.places)
    }
}
