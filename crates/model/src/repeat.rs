//! Repeat purchase: how often and how lately this shopper chose this very item.
//!
//! In: the shopper's history. Out: for each item in it, the weighted count, its decayed form, the age of the last time,
//! and whether it is in this visit's basket already. Everything is read from the history, so there is nothing to learn here; what
//! frequency and recency are *worth* is learned by the blend.

use accrue_store::ItemIdx;

use crate::Context;
use crate::accumulator::Accumulator;
use crate::decay::HalfLife;

/// Columns of the sums: count, decayed count, days since the last time, in this visit.
const N_SUMS: usize = 4;
/// Half-life of the decayed count.
const HALF_LIFE_DAYS: f64 = 45.0;

/// A shopper's own items, prepared for one request.
#[derive(Clone, Debug, Default)]
pub struct Repeat {
    own: Accumulator<N_SUMS>,
}

impl Repeat {
    /// Names of the columns that [`Repeat::features`] writes.
    pub const FEATURES: [&'static str; 3] = ["own_count", "own_decayed", "own_recency"];

    /// Reads the history of the shopper in `context`.
    pub fn prepare(&mut self, context: &Context<'_>, n_items: u32) {
        let half_life = HalfLife::days(HALF_LIFE_DAYS);
        self.own.clear(n_items as usize);
        let first_of_visit = context.past.len() - context.in_visit;
        for (place, past) in context.past.iter().enumerate() {
            let weight = context.weight(past);
            let age_ms = context.now_ms - past.at_ms();
            let sums = self.own.entry(past.item);
            sums[0] = (sums[0] + weight).max(0.0);
            sums[1] = (sums[1] + weight * half_life.left(age_ms)).max(0.0);
            sums[2] = (age_ms.max(0) as f64 / 86_400_000.0) as f32;
            if place >= first_of_visit {
                sums[3] = 1.0;
            }
        }
    }

    /// Whether the shopper chose the item before, in an earlier visit or in this one.
    pub fn contains(&self, item: ItemIdx) -> bool {
        self.own.get(item)[0] > 0.0
    }

    /// Whether the item was chosen in the visit that is going on.
    pub fn in_visit(&self, item: ItemIdx) -> bool {
        self.own.get(item)[3] > 0.0
    }

    /// The shopper's own items, in the order of their first place in the history.
    pub fn items(&self) -> &[ItemIdx] {
        self.own.touched()
    }

    /// Count, decayed count, and 1 / (1 + days since the last time); zeros for an item never chosen.
    pub fn features(&self, item: ItemIdx, out: &mut [f32]) {
        let [count, decayed, age_days, _] = self.own.get(item);
        out[0] = count;
        out[1] = decayed;
        out[2] = if count > 0.0 { 1.0 / (1.0 + age_days) } else { 0.0 };
    }
}
