//! Item neighbours by decayed co-visitation, learned pair by pair as events happen.
//!
//! Three counts are kept for a pair of items: *sequence* (b came d places after a in a visit, weighing 1/d), *together* (both
//! in one visit, in any order) and *across* (b in a later visit of somebody who had chosen a before). All decay, so fashions
//! pass. In: events with their history. Out: for a shopper, the sum of the rows of what they chose, normalised.
//! Item-to-item collaborative filtering after Linden, Smith, York 2003; counts by forward decay.
//! Rows are bounded: the weakest neighbour gives way.

use std::sync::Arc;

use accrue_store::{ItemIdx, Past};
use serde::{Deserialize, Serialize};

use crate::accumulator::Accumulator;
use crate::cow::CowVec;
use crate::decay::{HalfLife, power_of_two};
use crate::{Context, Scored, Step};

/// Sequence, together, across.
const N_KINDS: usize = 3;
const TOGETHER: usize = 1;

/// How far pairs reach and how long they live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeighboursSettings {
    /// Half-life of a pair, in days.
    pub half_life_days: f64,
    /// Events back in a visit that `sequence` reaches.
    pub sequence_reach: usize,
    /// Events back in a visit that `together` reaches.
    pub visit_reach: usize,
    /// Events of earlier visits that `across` reaches.
    pub across_reach: usize,
    /// Neighbours kept for an item, at most.
    pub capacity: usize,
    /// Neighbours kept for all items together: in a large catalogue each gets fewer than `capacity`, though never fewer than 16.
    pub pairs: usize,
}

impl NeighboursSettings {
    /// Neighbours that an item may keep where there are `n_items`. Powers of two, so that rows need not shrink at each new item.
    fn capacity_among(&self, n_items: u32) -> usize {
        let fair = (self.pairs / n_items.max(1) as usize).max(FEWEST);
        (1 << fair.ilog2()).min(self.capacity.max(1))
    }
}

/// Neighbours that an item may keep however large the catalogue is.
const FEWEST: usize = 16;

impl Default for NeighboursSettings {
    fn default() -> Self {
        Self {
            half_life_days: 120.0,
            sequence_reach: 10,
            visit_reach: 20,
            across_reach: 20,
            capacity: 128,
            pairs: 1 << 25,
        }
    }
}

/// Places looked at for the weakest neighbour when a row is full.
const LOOKED_AT: usize = 16;

/// One item's neighbours, in no order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    items: Vec<ItemIdx>,
    weights: Vec<[f32; N_KINDS]>,
    totals: [f32; N_KINDS],
    epoch: i32,
    /// Where the next look for the weakest begins.
    cursor: u32,
}

impl Row {
    /// Adds `weights`, which are in units of `epoch` (a whole number of half-lives).
    fn add(&mut self, item: ItemIdx, mut weights: [f32; N_KINDS], epoch: i32, capacity: usize) {
        let unit = self.unit(epoch);
        for (weight, total) in weights.iter_mut().zip(&mut self.totals) {
            *weight *= unit;
            *total += *weight;
        }
        if let Some(place) = accrue_kernel::find(&self.items, item) {
            for (known, weight) in self.weights[place].iter_mut().zip(weights) {
                *known += weight;
            }
        } else if self.items.len() < capacity {
            self.items.push(item);
            self.weights.push(weights);
        } else {
            self.shrink(capacity);
            let weakest = self.weakest();
            self.items[weakest] = item;
            self.weights[weakest] = weights;
        }
    }

    /// Lets the weakest go where the catalogue has outgrown the row.
    #[inline]
    fn shrink(&mut self, capacity: usize) {
        if self.items.len() <= capacity {
            return;
        }
        let mut strongest: Vec<usize> = (0..self.items.len()).collect();
        strongest.sort_by(|&a, &b| self.strength(b).total_cmp(&self.strength(a)).then(a.cmp(&b)));
        strongest.truncate(capacity);
        strongest.sort_unstable();
        self.items = strongest.iter().map(|&place| self.items[place]).collect();
        self.weights = strongest.iter().map(|&place| self.weights[place]).collect();
    }

    fn strength(&self, place: usize) -> f32 {
        self.weights[place].iter().sum()
    }

    /// What a weight in units of `epoch` is worth in this row's; moves the row's epoch when that grows large.
    fn unit(&mut self, epoch: i32) -> f32 {
        if self.items.is_empty() {
            self.epoch = epoch;
        }
        if epoch - self.epoch > 30 {
            let shrink = power_of_two(self.epoch - epoch);
            self.weights.iter_mut().flatten().chain(&mut self.totals).for_each(|weight| *weight *= shrink);
            self.epoch = epoch;
        }
        power_of_two(epoch - self.epoch)
    }

    /// The weakest of a few neighbours; the cursor goes round, so that each gets its turn.
    fn weakest(&mut self) -> usize {
        let mut weakest = self.cursor as usize % self.items.len();
        for step in 1..LOOKED_AT {
            let place = (self.cursor as usize + step) % self.items.len();
            if self.strength(place) < self.strength(weakest) {
                weakest = place;
            }
        }
        self.cursor = (self.cursor + LOOKED_AT as u32) % self.items.len() as u32;
        weakest
    }
}

/// The rows of all items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neighbours {
    settings: NeighboursSettings,
    half_life: HalfLife,
    rows: CowVec<Arc<Row>>,
    #[serde(skip)]
    copied_bytes: u64,
}

impl PartialEq for Neighbours {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings && self.rows == other.rows
    }
}

/// Sums over the rows of a shopper's items, prepared for one request.
#[derive(Clone, Debug, Default)]
pub struct NeighbourSums {
    sums: Accumulator<N_KINDS>,
}

impl Neighbours {
    /// Names of the columns that [`Neighbours::features`] writes.
    pub const FEATURES: [&'static str; N_KINDS] = ["followed_by", "in_one_visit", "across_visits"];

    /// No pairs yet.
    pub fn new(settings: NeighboursSettings) -> Self {
        let half_life = HalfLife::days(settings.half_life_days);
        Self { settings, half_life, rows: CowVec::new(16, Arc::default()), copied_bytes: 0 }
    }

    /// Puts other settings in force. With another half-life the pairs begin anew, for weights have its unit.
    pub fn set_settings(&mut self, settings: NeighboursSettings) {
        if settings.half_life_days == self.settings.half_life_days {
            self.settings = settings;
        } else {
            *self = Self::new(settings);
        }
    }

    /// Pairs the event's item with what its shopper chose before.
    pub fn learn(&mut self, step: &Step<'_>) {
        if step.weight <= 0.0 {
            return;
        }
        let (item, context) = (step.event.item, &step.context);
        let position = self.half_life.position(step.event.at_ms);
        let epoch = position.floor() as i32;
        let unit = step.weight * accrue_kernel::exp2((position - f64::from(epoch)) as f32);
        let capacity = self.settings.capacity_among(step.n_items);
        let NeighboursSettings { sequence_reach, visit_reach, across_reach, .. } = self.settings;
        let positive = |past: &Past| (past.item, unit * context.weight(past));
        let others = |&(other, weight): &(ItemIdx, f32)| other != item && weight > 0.0;
        let visit = context.visit().iter().rev().take(visit_reach).map(positive);
        for (back, (other, weight)) in visit.clone().enumerate().filter(|(_, pair)| others(pair)) {
            let sequence = if back < sequence_reach { weight / (back + 1) as f32 } else { 0.0 };
            self.row_mut(other).add(item, [sequence, weight, 0.0], epoch, capacity);
        }
        for (other, weight) in context.earlier().iter().rev().take(across_reach).map(positive).filter(others) {
            self.row_mut(other).add(item, [0.0, 0.0, weight], epoch, capacity);
        }
        let mut together = visit.filter(others).peekable();
        if together.peek().is_some() {
            let row = self.row_mut(item);
            together.for_each(|(other, weight)| row.add(other, [0.0, weight, 0.0], epoch, capacity));
        }
    }

    /// A row for writing. One that a snapshot still holds is copied first.
    fn row_mut(&mut self, item: ItemIdx) -> &mut Row {
        let shared = self.rows.get_mut(item as usize);
        let before = Arc::as_ptr(shared);
        let row = Arc::make_mut(shared);
        if !std::ptr::eq(before, row) {
            self.copied_bytes += (row.items.len() * size_of::<(ItemIdx, [f32; N_KINDS])>()) as u64;
        }
        row
    }

    /// Sums the rows of what the shopper chose: the visit's last events for `sequence` and `together`, earlier ones for `across`.
    pub fn prepare(&self, context: &Context<'_>, n_items: u32, prepared: &mut NeighbourSums) {
        let sums = &mut prepared.sums;
        sums.clear(n_items as usize);
        for (back, past) in context.visit().iter().rev().take(self.settings.visit_reach).enumerate() {
            let weight = context.weight(past);
            let sequence = if back < self.settings.sequence_reach { weight / (back + 1) as f32 } else { 0.0 };
            self.sum_row(past.item, [sequence, weight, 0.0], sums);
        }
        for past in context.earlier().iter().rev().take(self.settings.across_reach) {
            self.sum_row(past.item, [0.0, 0.0, context.weight(past)], sums);
        }
    }

    fn sum_row(&self, item: ItemIdx, weights: [f32; N_KINDS], sums: &mut Accumulator<N_KINDS>) {
        if weights.iter().all(|&weight| weight <= 0.0) {
            return;
        }
        let row = self.rows.get(item as usize);
        // A row is divided by its mass to a power below one: a frequent item says less about any one neighbour.
        let scale: [f32; N_KINDS] =
            std::array::from_fn(|kind| if row.totals[kind] > 0.0 { weights[kind] / row.totals[kind] } else { 0.0 });
        for (&neighbour, shared) in row.items.iter().zip(&row.weights) {
            for ((sum, scale), shared) in sums.entry(neighbour).iter_mut().zip(scale).zip(shared) {
                *sum += scale * shared;
            }
        }
    }

    /// The three sums of an item.
    pub fn features(&self, prepared: &NeighbourSums, item: ItemIdx, out: &mut [f32]) {
        out.copy_from_slice(&prepared.sums.get(item));
    }

    /// The items with the largest sums (over all kinds), at most `limit`, best first.
    pub fn retrieve(&self, prepared: &NeighbourSums, limit: usize) -> Vec<ItemIdx> {
        let mut best = accrue_kernel::TopK::new(limit);
        for &item in prepared.sums.touched() {
            best.push(prepared.sums.get(item).iter().sum(), item);
        }
        best.into_sorted().into_iter().map(|(_, item)| item).collect()
    }

    /// Items like `item`, best first: cosine of what happened together and in sequence.
    pub fn similar(&self, item: ItemIdx, limit: usize) -> Vec<Scored> {
        let row = self.rows.get(item as usize);
        let mut best = accrue_kernel::TopK::new(limit);
        for (&neighbour, shared) in row.items.iter().zip(&row.weights) {
            let mass = self.rows.get(neighbour as usize).totals[TOGETHER];
            // The two rows' epochs differ; only this row's weights are compared, so its own unit is enough.
            let score = shared.iter().sum::<f32>() / (1.0 + mass).sqrt();
            best.push(score, neighbour);
        }
        best.into_sorted().into_iter().map(|(score, item)| Scored { item, score }).collect()
    }

    /// Holds the memory of `other` wherever both say the same.
    pub fn share_with(&mut self, other: &Self) {
        self.rows.share_with(&other.rows);
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        self.rows.iter().map(|row| (row.items.len() * N_KINDS) as u64).sum()
    }

    /// Bytes copied by writes after publications, rows included.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes + self.rows.copied_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_strongest_when_the_catalogue_outgrows_it() {
        let mut row = Row::default();
        for item in 0..8 {
            row.add(item, [0.0, (item * 7 % 8) as f32 + 1.0, 0.0], 0, 8);
        }
        row.add(100, [0.0, 9.0, 0.0], 0, 4);
        assert_eq!(row.items.len(), 4);
        let mut kept = row.items.clone();
        kept.sort_unstable();
        // Weights were 1, 8, 7, 6, 5, …: of the four strongest the weakest gave way.
        assert_eq!(kept, [1, 2, 3, 100]);
    }

    #[test]
    fn neighbours_are_fewer_in_a_large_catalogue() {
        let settings = NeighboursSettings::default();
        let capacities = [1, 200_000, 300_000, 1_000_000, 100_000_000].map(|n| settings.capacity_among(n));
        assert_eq!(capacities, [128, 128, 64, 32, 16]);
    }
}
