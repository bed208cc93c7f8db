//! What the shopper buys again and again and is due: the time since the last purchase, over the interval that is
//! expected from the shopper's own purchases and those of all shoppers.

use accrue_model::Part;
use accrue_store::ItemIdx;

use super::Asked;
use crate::page::seen::bought;

/// Candidates where the scene sets no limit.
const LIMIT: usize = 50;
/// The part of the expected interval that must have passed.
const DUE: f32 = 0.7;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let situation = asked.situation;
    let ensemble = &situation.shop.version.ensemble;
    if ensemble.members.replenishment.is_none() {
        return false;
    }
    let bought = bought(&situation.shop, situation.context.past);
    let scores = ensemble.scores_by(Part::Replenishment, situation.prepared, &bought);
    let mut due: Vec<(f32, ItemIdx)> = scores.into_iter().zip(bought).filter(|(score, _)| *score >= DUE).collect();
    due.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.extend(due.into_iter().take(asked.limit.unwrap_or(LIMIT)).map(|(_, item)| item));
    true
}
