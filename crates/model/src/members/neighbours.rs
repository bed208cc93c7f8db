//! Item neighbours by decayed co-visitation, learned pair by pair as events happen.
//!
//! Three counts are kept for a pair of items: *sequence* (b came d places after a in a visit, weighing 1/d), *together*
//! (both in one visit, in any order) and *across* (b in a later visit of a shopper who had chosen a before). All decay,
//! so that fashions pass. In: events with their history. Out: for a shopper, the sum of the rows of what they chose,
//! normalised. Item-to-item collaborative filtering after Linden, Smith, York 2003; counts by forward decay. Rows are
//! bounded: a full row drops its weakest neighbour.

use accrue_event::SettingFault;
use accrue_kernel::NO_PLACE;
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::{Column, MAX_PAIRED, MAX_REACH, Member, MemberSettings};
use crate::accumulator::Accumulator;
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::decay::HalfLife;
use crate::pairs::{self, FOUND_AT_ONCE, PairRow};
use crate::{Context, Scored, Step};

/// Sequence, together, across.
const N_KINDS: usize = 3;
const SEQUENCE: usize = 0;
const TOGETHER: usize = 1;

/// How far pairs reach and how fast they decay.
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
    /// Neighbours kept for all items together. In a large catalogue each item keeps fewer than `capacity`, though never
    /// fewer than 16.
    pub pairs: usize,
    /// Candidates of a page.
    pub candidates: usize,
}

impl MemberSettings for NeighboursSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn validate(&self) -> Result<(), SettingFault> {
        match self.half_life_days {
            days if days > 0.0 && days.is_finite() => Ok(()),
            days => Err(SettingFault::new("half_life_days", days, "above 0")),
        }
    }

    fn limit(&self) -> Result<(), SettingFault> {
        SettingFault::check("half_life_days", self.half_life_days, 1e-3..=1e6)?;
        SettingFault::check("sequence_reach", self.sequence_reach, ..=MAX_REACH)?;
        SettingFault::check("visit_reach", self.visit_reach, ..=MAX_REACH)?;
        SettingFault::check("across_reach", self.across_reach, ..=MAX_REACH)?;
        SettingFault::check("capacity", self.capacity, ..=MAX_PAIRED)?;
        SettingFault::check("pairs", self.pairs, ..=1 << 32)
    }
}

impl NeighboursSettings {
    /// Neighbours that an item may keep where there are `n_items`. Powers of two, so that rows need not shrink at each
    /// new item.
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
            candidates: 200,
        }
    }
}

/// The rows of all items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neighbours {
    settings: NeighboursSettings,
    half_life: HalfLife,
    rows: CowVec<PairRow<N_KINDS>>,
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
    /// Of the visit's rows: the part of the latest item's that comes after it, and the largest part of any row.
    best: Accumulator<2>,
    /// While learning: the items that an event is paired with, and what the pair adds to the item's row.
    pairs: Vec<(ItemIdx, [f32; N_KINDS])>,
}

impl Member for Neighbours {
    type Settings = NeighboursSettings;
    type Situation = NeighbourSums;

    const COLUMNS: &'static [Column] = &[
        Column::log("followed_by", -12.0, 1.0, 0.25),
        Column::log("in_one_visit", -12.0, 1.0, 0.25),
        Column::log("across_visits", -12.0, 1.0, 0.2),
        // A slope of 0 leaves scores as they are until the blend has learned the curves.
        Column::log("followed_by_next", -12.0, 0.85, 0.0).alone(0.0),
        Column::log("in_one_visit_best", -12.0, 0.85, 0.0).alone(0.0),
    ];

    fn new(settings: &NeighboursSettings, _: u64) -> Option<Self> {
        let half_life = HalfLife::days(settings.half_life_days);
        let settings = settings.clone();
        Some(Self { settings, half_life, rows: CowVec::new(16, PairRow::default()), copied_bytes: 0 })
    }

    /// With another half-life the pairs are counted from zero, because weights are in units of it.
    fn set_settings(&mut self, settings: &NeighboursSettings, _: u64) -> bool {
        let fits = settings.half_life_days == self.settings.half_life_days;
        self.settings = settings.clone();
        fits
    }

    /// Pairs the event's item with what its shopper chose before.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, _: Option<&Self>, scratch: &mut NeighbourSums) {
        if step.weight <= 0.0 {
            return;
        }
        let (item, context) = (step.event.item, &step.context);
        let position = self.half_life.position(step.event.at_ms);
        let (epoch, unit) = HalfLife::unit(position);
        let unit = step.weight * unit;
        let capacity = self.settings.capacity_among(step.n_items);
        let NeighboursSettings { sequence_reach, visit_reach, across_reach, .. } = self.settings;
        let NeighbourSums { pairs, .. } = scratch;
        pairs.clear();
        for (back, past) in context.visit().iter().rev().take(visit_reach).enumerate() {
            let weight = unit * context.weight(past);
            let sequence = if back < sequence_reach { weight / (back + 1) as f32 } else { 0.0 };
            pairs.push((past.item, [sequence, weight, 0.0]));
        }
        let earlier = context.earlier().iter().rev().take(across_reach);
        pairs.extend(earlier.map(|past| (past.item, [0.0, 0.0, unit * context.weight(past)])));
        pairs.retain(|&(other, [_, together, across])| other != item && together + across > 0.0);
        self.rows.prefetch(item as usize);
        for pairs in pairs.chunks(FOUND_AT_ONCE) {
            let places = pairs::find_in_rows(&self.rows, pairs.iter().map(|&(other, _)| other), item);
            // A bit for each row, or for a few, that may have got the item since its places were found.
            let mut changed = [0_u64; 4];
            for (&(other, weights), place) in pairs.iter().zip(places) {
                let row = pairs::row_mut(&mut self.rows, other, &mut self.copied_bytes);
                let (word, bit) = (&mut changed[other as usize / 64 % 4], 1 << (other % 64));
                let place = match place {
                    NO_PLACE if *word & bit != 0 => accrue_kernel::find(row.items(), item),
                    NO_PLACE => None,
                    place => Some(place as usize),
                };
                row.add_at(place, item, weights, epoch, capacity);
                *word |= bit;
            }
        }
        let together = pairs.iter().filter(|(_, weights)| weights[TOGETHER] > 0.0);
        if together.clone().next().is_some() {
            pairs::prefetch_row(&self.rows, item);
            let row = pairs::row_mut(&mut self.rows, item, &mut self.copied_bytes);
            together.for_each(|&(other, [_, weight, _])| row.add(other, [0.0, weight, 0.0], epoch, capacity));
        }
    }

    /// Sums the rows of what the shopper chose: the visit's last events for `sequence` and `together`, earlier ones for
    /// `across`.
    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, prepared: &mut NeighbourSums) {
        let NeighbourSums { sums, best, .. } = prepared;
        sums.clear(catalogue.n_items() as usize);
        best.clear(catalogue.n_items() as usize);
        let NeighboursSettings { sequence_reach, visit_reach, across_reach, .. } = self.settings;
        let visit = context.visit().iter().rev().take(visit_reach);
        let earlier = context.earlier().iter().rev().take(across_reach);
        let items = visit.clone().chain(earlier.clone()).map(|past| past.item);
        items.clone().for_each(|item| self.rows.prefetch(item as usize));
        items.clone().take(1).for_each(|item| pairs::prefetch_row(&self.rows, item));
        // A row arrives while the one before it is added up; all together would be more than the nearest cache holds.
        let mut ahead = items.skip(1);
        let mut prefetch_next = || ahead.next().into_iter().for_each(|item| pairs::prefetch_row(&self.rows, item));
        for (back, past) in visit.enumerate() {
            prefetch_next();
            let weight = context.weight(past);
            let sequence = if back < sequence_reach { weight / (back + 1) as f32 } else { 0.0 };
            self.sum_row(past.item, [sequence, weight, 0.0], sums);
            if weight > 0.0 {
                self.best_of_row(past.item, back == 0, best);
            }
        }
        for past in earlier {
            prefetch_next();
            self.sum_row(past.item, [0.0, 0.0, context.weight(past)], sums);
        }
    }

    /// The three sums of each item, then the part that comes after the latest item, and the largest part beside one item: a sum
    /// over twenty items hides that one of them says nearly everything.
    fn columns(&self, _: &Catalogue, prepared: &NeighbourSums, items: &[ItemIdx], out: &mut [f32]) {
        let (of_sums, of_best) = out.split_at_mut(N_KINDS * items.len());
        prepared.sums.columns(items, of_sums);
        prepared.best.columns(items, of_best);
    }

    /// The items with the largest sums over all kinds.
    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, prepared: &NeighbourSums, limit: usize, out: &mut Vec<ItemIdx>) {
        let mut best = accrue_kernel::TopK::new(limit);
        prepared.sums.push_totals(&mut best);
        out.extend(best.into_sorted().into_iter().map(|(_, item)| item));
    }

    fn share_with(&mut self, other: &Self) {
        self.rows.share_with(&other.rows);
    }

    fn n_params(&self) -> u64 {
        self.rows.iter().map(|row| (row.items().len() * N_KINDS) as u64).sum()
    }

    fn copied_bytes(&self) -> u64 {
        self.copied_bytes + self.rows.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        self.rows.iter().all(|row| row.is_finite())
    }
}

impl Neighbours {
    fn sum_row(&self, item: ItemIdx, weights: [f32; N_KINDS], sums: &mut Accumulator<N_KINDS>) {
        if weights.iter().all(|&weight| weight <= 0.0) {
            return;
        }
        let row = self.rows.get(item as usize);
        // A row is divided by its mass to a power below one: a frequent item says less about any one neighbour.
        let scale: [f32; N_KINDS] =
            std::array::from_fn(|kind| if row.totals[kind] > 0.0 { weights[kind] / row.totals[kind] } else { 0.0 });
        sums.add_row(row.items(), row.weights(), scale);
    }

    /// Raises the largest parts of a row to those of an item in this visit, and sets what follows it if it is the latest.
    fn best_of_row(&self, item: ItemIdx, is_latest: bool, best: &mut Accumulator<2>) {
        let row = self.rows.get(item as usize);
        let scale = |kind: usize| if row.totals[kind] > 0.0 { 1.0 / row.totals[kind] } else { 0.0 };
        best.raise_row(row.items(), row.weights(), is_latest.then(|| scale(SEQUENCE)), scale(TOGETHER));
    }

    /// Items like `item`, best first: cosine of what happened together and in sequence.
    pub fn similar(&self, item: ItemIdx, limit: usize) -> Vec<Scored> {
        let row = self.rows.get(item as usize);
        let mut best = accrue_kernel::TopK::new(limit);
        for (&neighbour, shared) in row.items().iter().zip(row.weights()) {
            let mass = self.rows.get(neighbour as usize).totals[TOGETHER];
            // The two rows' epochs differ; only this row's weights are compared, so its own unit is enough.
            let score = shared.iter().sum::<f32>() / (1.0 + mass).sqrt();
            best.push(score, neighbour);
        }
        best.into_sorted().into_iter().map(|(score, item)| Scored { item, score }).collect()
    }
}

#[cfg(test)]
mod tests {
    use accrue_store::{History, Interaction};

    use super::*;
    use crate::TypeWeights;

    fn purchase(shopper: u32, item: ItemIdx) -> Interaction {
        let at_ms = i64::from(shopper) * 1000;
        Interaction { shopper, item, type_code: 5, at_ms, session: Some(shopper), value: 1.0, quantity: 1 }
    }

    /// The columns of an item after these visits of different shoppers, for one with the last of them in progress.
    fn columns_of(item: ItemIdx, visits: &[&[ItemIdx]]) -> Vec<f32> {
        let weights = TypeWeights::default();
        let mut model = Neighbours::new(&NeighboursSettings::default(), 1).unwrap();
        let (catalogue, mut sums, mut history) = (Catalogue::default(), NeighbourSums::default(), History::default());
        for (shopper, visit) in (0..).zip(visits) {
            history = History::default();
            for &item in *visit {
                let event = purchase(shopper, item);
                let context = Context::new(&history, event.session, event.at_ms, &weights);
                let known = Step {
                    offset: 0,
                    seed: 1,
                    context,
                    event,
                    weight: 1.0,
                    n_items: 9,
                    is_known: true,
                    rate_multiplier: 1.0,
                };
                model.learn(&known, &catalogue, None, &mut sums);
                history.push(&event, 100);
            }
        }
        let now = purchase(visits.len() as u32 - 1, 0);
        model.prepare(&catalogue, &Context::new(&history, now.session, now.at_ms, &weights), &mut sums);
        let mut out = vec![0.0; Neighbours::COLUMNS.len()];
        model.columns(&catalogue, &sums, &[item], &mut out);
        out
    }

    #[test]
    fn what_comes_next_is_the_part_of_the_latest_items_row_alone() {
        let next = |visits: &[&[ItemIdx]]| columns_of(2, visits)[N_KINDS];
        // 2 has half of what follows 1, and all of what follows 0.
        let visits: [&[ItemIdx]; 4] = [&[1, 2], &[1, 3], &[0, 2], &[0, 1]];
        let after_1 = next(&visits);
        assert!((after_1 - 0.5).abs() < 1e-3, "{after_1}");
        let after_0 = next(&[visits[0], visits[1], visits[2], &[1, 0]]);
        assert!(after_0 > 0.9, "{after_0}");
        assert_eq!(columns_of(4, &visits)[N_KINDS..], [0.0, 0.0]);
    }

    #[test]
    fn the_best_neighbour_in_the_visit_counts_however_many_others_there_are() {
        let best = |visit: &[ItemIdx]| columns_of(2, &[&[1, 2], &[3, 7], &[4, 7], &[5, 7], visit])[N_KINDS + 1];
        assert!(best(&[1]) > 0.9);
        // The visit itself pairs its items, so 1 has other neighbours too.
        assert!(best(&[1, 3, 4]) > best(&[3, 4]) + 0.2, "{} {}", best(&[1, 3, 4]), best(&[3, 4]));
    }

    #[test]
    fn rows_are_those_of_pairs_that_are_added_one_at_a_time() {
        const N: u32 = 24;
        let weights = TypeWeights::default();
        let settings = NeighboursSettings { capacity: 8, pairs: 1 << 20, ..NeighboursSettings::default() };
        let mut model = Neighbours::new(&settings, 1).unwrap();
        let mut expected: Vec<PairRow<N_KINDS>> = (0..N).map(|_| PairRow::default()).collect();
        let mut draws = accrue_kernel::Draws::new(1, 2, 3);
        let mut history = History::default();
        let NeighboursSettings { sequence_reach, visit_reach, across_reach, .. } = settings;
        for number in 0..2_000_u64 {
            // Few items, so that a visit has the same one several times.
            let item = draws.below(u64::from(N)).min(draws.below(u64::from(N))) as ItemIdx;
            let session = (number / 30) as u32;
            let event = Interaction { shopper: 0, ..purchase(session, item) };
            let context = Context::new(&history, event.session, event.at_ms, &weights);
            let (offset, n_items) = (number, N);
            let step =
                Step { offset, seed: 1, context, event, weight: 1.0, n_items, is_known: true, rate_multiplier: 1.0 };
            model.learn(&step, &Catalogue::default(), None, &mut NeighbourSums::default());
            let (epoch, unit) = HalfLife::unit(HalfLife::days(settings.half_life_days).position(event.at_ms));
            let visit: Vec<ItemIdx> = context.visit().iter().rev().map(|past| past.item).take(visit_reach).collect();
            let earlier: Vec<ItemIdx> =
                context.earlier().iter().rev().map(|past| past.item).take(across_reach).collect();
            for (back, &other) in visit.iter().enumerate().filter(|&(_, &other)| other != item) {
                let sequence = if back < sequence_reach { unit / (back + 1) as f32 } else { 0.0 };
                expected[other as usize].add(item, [sequence, unit, 0.0], epoch, 8);
            }
            for &other in earlier.iter().filter(|&&other| other != item) {
                expected[other as usize].add(item, [0.0, 0.0, unit], epoch, 8);
            }
            for &other in visit.iter().filter(|&&other| other != item) {
                expected[item as usize].add(other, [0.0, unit, 0.0], epoch, 8);
            }
            history.push(&event, 100);
        }
        for (item, expected) in expected.iter().enumerate() {
            assert!(model.rows.get(item) == expected, "{item}: {expected:?}");
        }
    }

    #[test]
    fn neighbours_are_fewer_in_a_large_catalogue() {
        let settings = NeighboursSettings::default();
        let capacities = [1, 200_000, 300_000, 1_000_000, 100_000_000].map(|n| settings.capacity_among(n));
        assert_eq!(capacities, [128, 128, 64, 32, 16]);
    }
}
