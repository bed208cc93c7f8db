//! Repeat purchase: how often and how recently this shopper chose this item.
//!
//! In: the shopper's history. Out: for each item in it, the weighted count, its decayed form, and the age of the last
//! choice. All of it is read from the history, so there is nothing to learn here; the blend learns how much frequency
//! and recency add to a score.

use accrue_event::DAY_MS;
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, Member, MemberSettings};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::decay::HalfLife;
use crate::{Context, Step};

/// Columns of the sums: count, decayed count, days since the last choice.
const N_SUMS: usize = 3;
/// Half-life of the decayed count.
const HALF_LIFE_DAYS: f64 = 45.0;

/// How many of the shopper's own items a page may have as candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepeatSettings {
    /// The shopper's own items among the candidates of a page, the latest first.
    pub candidates: usize,
}

impl Default for RepeatSettings {
    fn default() -> Self {
        Self { candidates: 1000 }
    }
}

impl MemberSettings for RepeatSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }
}

/// Reads the shopper's own items; it has no state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repeat;

/// A shopper's own items, prepared for one request.
#[derive(Clone, Debug, Default)]
pub struct OwnItems {
    sums: Accumulator<N_SUMS>,
    /// While the history is read: the age of each event, the share of its weight that is left, and its age in days.
    ages_ms: Vec<f64>,
    left: Vec<f32>,
    ages_days: Vec<f32>,
}

impl OwnItems {
    /// Whether the shopper chose the item before, in an earlier visit or in this one.
    #[inline]
    pub fn contains(&self, item: ItemIdx) -> bool {
        self.sums.get(item)[0] > 0.0
    }
}

impl Member for Repeat {
    type Settings = RepeatSettings;
    type Situation = OwnItems;

    const COLUMNS: &'static [Column] = &[
        Column::log("own_count", 0.0, 0.5, 0.1).alone(0.0),
        Column::log("own_decayed", -7.0, 1.0, 0.1),
        Column::log("own_recency", -9.0, 0.7, 0.1).alone(0.0),
    ];
    const ALWAYS_LEARNS: bool = true;
    const TIES_BY_POPULARITY: bool = true;

    fn new(_: &RepeatSettings, _: u64) -> Option<Self> {
        Some(Self)
    }

    fn set_settings(&mut self, _: &RepeatSettings, _: u64) -> bool {
        true
    }

    fn learn(&mut self, _: &Step<'_>, _: &Catalogue, _: Option<&Self>, _: &mut OwnItems) {}

    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, own: &mut OwnItems) {
        let OwnItems { sums, ages_ms, left, ages_days } = own;
        let half_life = HalfLife::days(HALF_LIFE_DAYS);
        sums.clear(catalogue.n_items() as usize);
        ages_ms.clear();
        ages_ms.extend(context.past.iter().map(|past| (context.now_ms - past.at_ms()).max(0) as f64));
        left.resize(ages_ms.len(), 0.0);
        half_life.left_of_each(ages_ms, left);
        ages_days.resize(ages_ms.len(), 0.0);
        accrue_kernel::quotients(ages_ms, DAY_MS as f64, ages_days);
        for (past, (left, age_days)) in context.past.iter().zip(left.iter().zip(&*ages_days)) {
            let weight = context.weight(past);
            sums.update(past.item, |[count, decayed, _]| {
                [(count + weight).max(0.0), (decayed + weight * *left).max(0.0), *age_days]
            });
        }
    }

    /// Count, decayed count, and 1 / (1 + days since the last choice); zeros for an item never chosen.
    fn columns(&self, _: &Catalogue, own: &OwnItems, items: &[ItemIdx], out: &mut [f32]) {
        let n = items.len();
        if own.sums.touched().is_empty() {
            return;
        }
        for (place, &item) in items.iter().enumerate() {
            let Some(&[count, decayed, age_days]) = own.sums.known(item) else { continue };
            out[place] = count;
            out[n + place] = decayed;
            out[2 * n + place] = if count > 0.0 { 1.0 / (1.0 + age_days) } else { 0.0 };
        }
    }

    fn retrieve(&self, _: &Catalogue, context: &Context<'_>, _: &OwnItems, limit: usize, out: &mut Vec<ItemIdx>) {
        out.extend(context.past.iter().rev().take(limit).map(|past| past.item));
    }

    fn n_params(&self) -> u64 {
        0
    }

    fn is_finite(&self) -> bool {
        true
    }
}
