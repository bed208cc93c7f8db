//! Item neighbours by decayed co-visitation, learned pair by pair as events happen.
//!
//! Three counts are kept for a pair of items: *sequence* (b came d places after a in a visit, weighing 1/d), *together* (both
//! in one visit, in any order) and *across* (b in a later visit of somebody who had chosen a before). All decay, so fashions
//! pass. In: events with their history. Out: for a shopper, the sum of the rows of what they chose, normalised.
//! Item-to-item collaborative filtering after Linden, Smith, York 2003; counts by forward decay.
//! Rows are bounded: the weakest neighbour gives way.

use std::sync::Arc;

use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use crate::accumulator::Accumulator;
use crate::cow::CowVec;
use crate::decay::{HalfLife, power_of_two};
use crate::{Context, Scored, Step};

const SEQUENCE: usize = 0;
const TOGETHER: usize = 1;
const ACROSS: usize = 2;
const N_KINDS: usize = 3;

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
    /// Neighbours kept for an item.
    pub capacity: usize,
}

impl Default for NeighboursSettings {
    fn default() -> Self {
        Self { half_life_days: 120.0, sequence_reach: 10, visit_reach: 30, across_reach: 30, capacity: 256 }
    }
}

/// One item's neighbours, in the order of their arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    items: Vec<ItemIdx>,
    weights: Vec<[f32; N_KINDS]>,
    totals: [f32; N_KINDS],
    epoch: i32,
}

impl Row {
    fn add(&mut self, item: ItemIdx, kind: usize, weight: f32, position: f64, capacity: usize) {
        let weight = weight * self.factor(position);
        self.totals[kind] += weight;
        if let Some(place) = self.items.iter().position(|&known| known == item) {
            self.weights[place][kind] += weight;
            return;
        }
        let mut weights = [0.0; N_KINDS];
        weights[kind] = weight;
        if self.items.len() < capacity {
            self.items.push(item);
            self.weights.push(weights);
        } else {
            let weakest = self.weakest();
            self.items[weakest] = item;
            self.weights[weakest] = weights;
        }
    }

    /// What a unit weighs at `position`; moves the epoch when that grows too large.
    fn factor(&mut self, position: f64) -> f32 {
        if self.items.is_empty() {
            self.epoch = position.floor() as i32;
        }
        if position - f64::from(self.epoch) > 30.0 {
            let epoch = position.floor() as i32;
            let shrink = power_of_two(self.epoch - epoch);
            self.weights.iter_mut().flatten().chain(&mut self.totals).for_each(|weight| *weight *= shrink);
            self.epoch = epoch;
        }
        accrue_kernel::exp2((position - f64::from(self.epoch)) as f32)
    }

    fn weakest(&self) -> usize {
        let strength = |weights: &[f32; N_KINDS]| weights[SEQUENCE] + weights[TOGETHER] + weights[ACROSS];
        let mut weakest = 0;
        for (place, weights) in self.weights.iter().enumerate() {
            if strength(weights) < strength(&self.weights[weakest]) {
                weakest = place;
            }
        }
        weakest
    }
}

/// The rows of all items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    settings: NeighboursSettings,
    half_life: HalfLife,
    rows: CowVec<Arc<Row>>,
    copied_bytes: u64,
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

    /// Pairs the event's item with what its shopper chose before.
    pub fn learn(&mut self, step: &Step<'_>) {
        if step.weight <= 0.0 {
            return;
        }
        let (item, context) = (step.event.item, &step.context);
        let position = self.half_life.position(step.event.at_ms);
        let visit = context.visit().iter().rev().take(self.settings.visit_reach);
        for (back, past) in visit.enumerate() {
            let weight = step.weight * context.weight(past);
            if past.item == item || weight <= 0.0 {
                continue;
            }
            if back < self.settings.sequence_reach {
                self.add(past.item, item, SEQUENCE, weight / (back + 1) as f32, position);
            }
            self.add(past.item, item, TOGETHER, weight, position);
            self.add(item, past.item, TOGETHER, weight, position);
        }
        for past in context.earlier().iter().rev().take(self.settings.across_reach) {
            let weight = step.weight * context.weight(past);
            if past.item != item && weight > 0.0 {
                self.add(past.item, item, ACROSS, weight, position);
            }
        }
    }

    fn add(&mut self, from: ItemIdx, to: ItemIdx, kind: usize, weight: f32, position: f64) {
        let row = self.rows.get_mut(from as usize);
        if Arc::get_mut(row).is_none() {
            self.copied_bytes += (row.items.len() * size_of::<(ItemIdx, [f32; N_KINDS])>()) as u64;
        }
        Arc::make_mut(row).add(to, kind, weight, position, self.settings.capacity);
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
            let sum = sums.entry(neighbour);
            for kind in 0..N_KINDS {
                sum[kind] += scale[kind] * shared[kind];
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

    /// Bytes copied by writes after publications, rows included.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes + self.rows.copied_bytes()
    }
}
