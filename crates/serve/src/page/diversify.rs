//! Diversity: within windows of the list, items that are unlike those above them are moved up.
//!
//! In each window the places are filled one by one, each by the item with the best score less its similarity to the
//! items above it in the window (maximal marginal relevance: Carbonell, Goldstein, SIGIR 1998):
//!
//! ```text
//! value(i) = (1 - d) · (score(i) - lowest) / (highest - lowest) - d · max over picked j of cosine(i, j)
//! ```
//!
//! with `d` the diversity that the request or its scene asks for; 0 keeps the order, 1 uses only similarity. Scores do not change.
//! A window is [`WINDOW`] places of the ranked list, for every page. So every place is filled by one of the [`WINDOW`]
//! items ranked around it, the windows before a page need no work, and the cost grows with the page and not with its
//! offset: at most `(n + 2 · WINDOW) · WINDOW` pairs are compared. Mostly far fewer: a value only falls as more items
//! are picked, so an item is compared only when its last known value is the best (lazy greedy selection: Minoux 1978).

use std::borrow::Cow;
use std::ops::Range;

use super::{Candidate, Share, Situation};
use crate::ReasonCode;

/// Places of the ranked list that are reordered together.
pub(super) const WINDOW: usize = 200;

/// Text for an item that is above its rank by score.
const MOVED_UP: Share =
    Share { code: ReasonCode::Diversity, text: Cow::Borrowed("unlike the items above it"), added: 0.0 };

/// How many places of a ranked list are needed to fill `page`: with diversity, all up to the end of its last window.
pub(super) fn reach(situation: &Situation<'_>, page: &Range<usize>) -> usize {
    if diversity(situation) > 0.0 { page.end.next_multiple_of(WINDOW) } else { page.end }
}

fn diversity(situation: &Situation<'_>) -> f32 {
    situation.request.diversity.unwrap_or(situation.scene.diversity)
}

/// Reorders the windows of a ranked list that overlap `page`, a range of its places.
pub(super) fn diversify(situation: &Situation<'_>, mut ranked: Vec<Candidate>, page: Range<usize>) -> Vec<Candidate> {
    let diversity = diversity(situation);
    if diversity <= 0.0 {
        return ranked;
    }
    let catalogue = &situation.shop.version.ensemble.catalogue;
    let likeness = |a: &Candidate, b: &Candidate| {
        situation.work.compare(1);
        catalogue.cosine(a.item, b.item)
    };
    let mut begins = 0;
    for window in ranked.chunks_mut(WINDOW) {
        let ends = begins + window.len();
        if page.start < ends && begins < page.end {
            let picked = pick(window, diversity, page.end.min(ends) - begins, likeness);
            reorder(window, &picked);
        }
        begins = ends;
    }
    ranked
}

/// An item of the window that has no place yet.
struct Left {
    rank: usize,
    /// Its largest similarity to the first `n_compared` of those that were picked; similarity to the others is not
    /// computed yet.
    likeness: f32,
    n_compared: usize,
}

/// The ranks of the items that fill the first `n` places of a window, in their order; equal values are ordered by rank.
fn pick(
    window: &[Candidate],
    diversity: f32,
    n: usize,
    likeness: impl Fn(&Candidate, &Candidate) -> f32,
) -> Vec<usize> {
    // Mostly the first and the last, but a scene may have placed an item above better ones.
    let scores = window.iter().map(|candidate| candidate.score);
    let (low, high) =
        scores.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), score| (low.min(score), high.max(score)));
    let span = (high - low).max(1e-6);
    // For an item that was not compared with all that were picked, this is an upper bound.
    let value = |left: &Left| (1.0 - diversity) * ((window[left.rank].score - low) / span) - diversity * left.likeness;
    let mut left: Vec<Left> = (0..window.len()).map(|rank| Left { rank, likeness: 0.0, n_compared: 0 }).collect();
    let mut picked: Vec<usize> = Vec::with_capacity(n);
    while picked.len() < n {
        let mut best = 0;
        for place in 1..left.len() {
            if value(&left[place]) > value(&left[best]) {
                best = place;
            }
        }
        let leader = &mut left[best];
        if leader.n_compared == picked.len() {
            picked.push(left.remove(best).rank);
            continue;
        }
        for &above in &picked[leader.n_compared..] {
            leader.likeness = leader.likeness.max(likeness(&window[above], &window[leader.rank]));
        }
        leader.n_compared = picked.len();
    }
    picked
}

/// Puts the picked ranks first; the others follow in their order.
fn reorder(window: &mut [Candidate], picked: &[usize]) {
    let mut is_left = vec![true; window.len()];
    picked.iter().for_each(|&rank| is_left[rank] = false);
    let left = (0..window.len()).filter(|&rank| is_left[rank]);
    let mut reordered: Vec<Candidate> = picked.iter().copied().chain(left).map(|rank| window[rank].clone()).collect();
    for (place, &rank) in picked.iter().enumerate() {
        if rank > place {
            reordered[place].shares.push(MOVED_UP);
        }
    }
    window.clone_from_slice(&reordered);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: every item is compared with every pick.
    fn pick_eagerly(
        window: &[Candidate],
        diversity: f32,
        n: usize,
        likeness: impl Fn(&Candidate, &Candidate) -> f32,
    ) -> Vec<usize> {
        let low = window[window.len() - 1].score;
        let span = (window[0].score - low).max(1e-6);
        let mut picked: Vec<usize> = Vec::new();
        while picked.len() < n {
            let value = |rank: usize| {
                let alike = picked.iter().map(|&above| likeness(&window[above], &window[rank])).fold(0.0, f32::max);
                (1.0 - diversity) * ((window[rank].score - low) / span) - diversity * alike
            };
            let left = (0..window.len()).filter(|rank| !picked.contains(rank));
            let best = left.reduce(|best, rank| if value(rank) > value(best) { rank } else { best });
            picked.push(best.unwrap());
        }
        picked
    }

    proptest! {
        #[test]
        fn lazy_selection_picks_the_same_items_as_the_definition(
            scores in proptest::collection::vec(-3..3_i32, 1..40),
            diversity in 0.0..=1.0_f32,
            share in 0.0..=1.0_f32,
            kinds in 1..7_u32,
        ) {
            let mut scores = scores;
            scores.sort_unstable_by(|a, b| b.cmp(a));
            let candidate = |(item, score): (usize, &i32)| {
                Candidate { item: item as u32, score: *score as f32, shares: Vec::new() }
            };
            let window: Vec<Candidate> = scores.iter().enumerate().map(candidate).collect();
            // Many are equally similar, so that there are ties.
            let likeness = |a: &Candidate, b: &Candidate| {
                if a.item % kinds == b.item % kinds { 1.0 } else { 1.0 / (1 + a.item.abs_diff(b.item)) as f32 }
            };
            let n = (share * window.len() as f32) as usize;
            prop_assert_eq!(pick(&window, diversity, n, likeness), pick_eagerly(&window, diversity, n, likeness));
        }
    }
}
