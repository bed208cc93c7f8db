//! What happens to a ranked list before it becomes a page: one item of each variant group, then variety.

use std::collections::HashSet;

use accrue_model::Scored;

use crate::Shop;

/// Items to rank for each that is wanted, so that one of each parent is left.
pub(crate) const PARENT_SLACK: usize = 4;

/// Keeps the best item of each parent; items without one stand for themselves.
pub(crate) fn one_of_each_parent(shop: &Shop<'_>, ranked: Vec<Scored>) -> Vec<Scored> {
    // The set only answers "met before"; the order is the list's.
    let mut met = HashSet::new();
    let parent = |scored: &Scored| shop.facts.entry(scored.item).and_then(|entry| entry.item.parent.as_deref());
    ranked.into_iter().filter(|scored| parent(scored).is_none_or(|parent| met.insert(parent))).collect()
}

/// Picks `n` items one by one, each by its score less its likeness to what was picked (maximal marginal relevance, Carbonell,
/// Goldstein 1998). `diversity` 0 keeps the order; 1 looks at likeness alone. Scores stay what they were.
pub(crate) fn vary(shop: &Shop<'_>, mut ranked: Vec<Scored>, diversity: f32, n: usize) -> Vec<Scored> {
    let (Some(first), Some(last)) = (ranked.first(), ranked.last()) else { return ranked };
    if diversity <= 0.0 {
        ranked.truncate(n);
        return ranked;
    }
    let (low, span) = (last.score, (first.score - last.score).max(1e-6));
    let mut picked: Vec<Scored> = Vec::with_capacity(n);
    // The largest likeness of each remaining item to what was picked so far.
    let mut likeness = vec![0.0_f32; ranked.len()];
    while picked.len() < n && !ranked.is_empty() {
        let value = |place: usize| {
            let relevance = (ranked[place].score - low) / span;
            (1.0 - diversity) * relevance - diversity * likeness[place]
        };
        let mut best = 0;
        for place in 1..ranked.len() {
            if value(place) > value(best) {
                best = place;
            }
        }
        let taken = ranked.remove(best);
        likeness.remove(best);
        for (likeness, other) in likeness.iter_mut().zip(&ranked) {
            *likeness = likeness.max(shop.version.ensemble.catalogue.cosine(taken.item, other.item));
        }
        picked.push(taken);
    }
    picked
}
