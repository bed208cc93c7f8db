//! Fatigue: what the shopper was shown often and never chose stands lower, on scenes that say so.
//!
//! From the `after`-th impression on, each one lowers the score by `strength`, at most [`MOST`] of them. Scores are
//! logarithms of probabilities up to a common term, so each multiplies the item's probability by `exp(−strength)`.
//! Impressions since the last choice of the item count, see `store::Shown`.

use std::borrow::Cow;

use super::{Candidate, Share, Situation};
use crate::ReasonCode;
use crate::scene::Fatigue;

/// Impressions that lower a score, at most.
const MOST: u32 = 5;

/// The candidates, which are given best first, with those lowered that the shopper was shown too often.
pub(super) fn lower_shown_often(
    situation: &Situation<'_>,
    fatigue: &Fatigue,
    ranked: impl Iterator<Item = Candidate>,
) -> Vec<Candidate> {
    let mut ranked: Vec<Candidate> = ranked.collect();
    let mut often = situation.shop.shown_often(&situation.request.visitor, fatigue.after);
    if often.is_empty() {
        return ranked;
    }
    often.sort_unstable();
    for candidate in &mut ranked {
        let Ok(place) = often.binary_search_by_key(&candidate.item, |&(item, _)| item) else { continue };
        let n = often[place].1;
        let added = -fatigue.strength * (n + 1 - fatigue.after).min(MOST) as f32;
        candidate.score += added;
        let text = Cow::Owned(format!("shown {n} times and not chosen"));
        candidate.shares.push(Share { code: ReasonCode::ShownOften, text, added });
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    ranked
}
