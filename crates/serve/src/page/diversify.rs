//! Variety: within windows of the list, items move up that are unlike those above them.
//!
//! In each window the places are filled one by one, each by the item with the best score less its likeness to what stands above
//! it in the window (maximal marginal relevance: Carbonell, Goldstein, SIGIR 1998):
//!
//! ```text
//! value(i) = (1 - d) · (score(i) - lowest) / (highest - lowest) - d · max over picked j of cosine(i, j)
//! ```
//!
//! with `d` the diversity asked for; 0 keeps the order, 1 looks at likeness alone. Scores stay what they were.
//! A window is [`WINDOW`] places of the ranked list, whatever the page. So every place is filled by one of the [`WINDOW`] items
//! ranked around it, the windows before a page need no work, and the cost grows with the page and not with its offset: at most
//! `(n + 2 · WINDOW) · WINDOW` pairs are compared.

use std::ops::Range;

use super::{Candidate, Share, Situation};

/// Places of the ranked list that are reordered together.
pub(super) const WINDOW: usize = 200;

/// Noted of an item that stands higher than its score alone would put it.
const MOVED_UP: Share = Share { code: "diversity", text: "unlike the items above it", added: 0.0 };

/// Reorders the windows of a ranked list that `page`, a range of its places, lies in.
pub(super) fn diversify(situation: &Situation<'_>, mut ranked: Vec<Candidate>, page: Range<usize>) -> Vec<Candidate> {
    let diversity = situation.request.diversity;
    if diversity <= 0.0 {
        return ranked;
    }
    let mut begins = 0;
    for window in ranked.chunks_mut(WINDOW) {
        let ends = begins + window.len();
        if page.start < ends && begins < page.end {
            reorder(situation, window, diversity, page.end.min(ends) - begins);
        }
        begins = ends;
    }
    ranked
}

/// Fills the first `n` places of a window; what is left stays in its order behind them.
fn reorder(situation: &Situation<'_>, window: &mut [Candidate], diversity: f32, n: usize) {
    let (Some(first), Some(last)) = (window.first(), window.last()) else { return };
    let (low, span) = (last.score, (first.score - last.score).max(1e-6));
    let cosine = |a, b| situation.shop.version.ensemble.preference.cosine(a, b);
    // Places of the items that are left, in the order of their ranks, each with its largest likeness to what was picked.
    let mut left: Vec<(usize, f32)> = (0..window.len()).map(|rank| (rank, 0.0)).collect();
    let mut picked = Vec::with_capacity(window.len());
    while picked.len() < n {
        let value = |&(rank, likeness): &(usize, f32)| {
            (1.0 - diversity) * (window[rank].score - low) / span - diversity * likeness
        };
        let mut best = 0;
        for place in 1..left.len() {
            if value(&left[place]) > value(&left[best]) {
                best = place;
            }
        }
        let (rank, _) = left.remove(best);
        picked.push(rank);
        if picked.len() < n {
            situation.work.compare(left.len());
            for (other, likeness) in &mut left {
                *likeness = likeness.max(cosine(window[rank].item, window[*other].item));
            }
        }
    }
    picked.extend(left.into_iter().map(|(rank, _)| rank));
    let reordered: Vec<Candidate> = picked.iter().map(|&rank| window[rank].clone()).collect();
    window.clone_from_slice(&reordered);
    for (place, (candidate, rank)) in window.iter_mut().zip(picked).enumerate() {
        if rank > place && place < n {
            candidate.shares.push(MOVED_UP);
        }
    }
}
