//! Two towers that learn from every event.
//!
//! An item's vector is the sum of the rows of its id and its facets, and its content vector by a learned linear map. The
//! shopper's vector is made of rows of its own: `u = Σ_e w_e · q_{i_e} / √Σ w²` over the last events, where `w` is learned
//! by type, age and place, plus rows of the circumstances (scene, search text, device), of the shopper's descriptors, and
//! one that all shoppers share. An item's score is the *lift* `s(i) = u · p_i + u · a − log mean_j exp(u · p_j)`, where
//! `a` is the row of the item's age and the mean is over some items spread over the table. There is no row for a user.
//!
//! Choices wait until there are `batch_events` of them; then one step is taken, by the sampled softmax over the items of
//! the step (`negatives.rs`), with some of the reservoir. A step whose loss or gradient is not finite changes nothing and
//! is counted. Covington, Adams, Sargin, *Deep neural networks for YouTube recommendations* (RecSys 2016) have the two
//! sides; Kula, *Metadata embeddings for user and item cold-start recommendations* (2015) the sums of facets, which give a
//! product its vector before its first event.

use std::sync::Arc;

use accrue_kernel::{Draws, dot, squared_norm};
use accrue_store::ItemIdx;
use accrue_tensor::{CandidateBlock, Candidates, FirstPass, PackedStates, SoftmaxScratch, Target, finite_norm};
use serde::{Deserialize, Serialize};

use super::examples::{Example, Reservoir};
use super::negatives::{Rates, Sample};
use super::parts::TowerParts;
use super::recency::{Evidence, Recency};
use super::settings::{FirstRows, TwoTowerSettings};
use crate::catalogue::Catalogue;
use crate::members::tower::{Inputs, N_AGES, Tower, age_bin, age_hash};
use crate::members::{Column, Counter, Member};
use crate::table::{EmbeddingTable, TableSettings};
use crate::transfer::{InitSettings, RateRamp, part, read_part, size_if};
use crate::{Context, Step};

/// Streams of random numbers.
const DRAWS: u64 = 0x5457_4f54_0002;
const CHOSEN: u64 = 0x5457_4f54_0010;
const OFFERED: u64 = 0x5457_4f54_0020;
/// Standard deviation of the numbers of random first rows.
const INIT: f32 = 0.05;
/// The smallest share of the rate that a row's step may fall to.
const RATE_FLOOR: f32 = 0.1;
/// Number of items in the mean that a score is compared with.
const SPREAD: usize = 128;
/// An item with fewer choices is new.
const FEW: u32 = 10;
/// The facet that every shopper has. Hashes of descriptors differ from it as they differ from one another.
const EVERYBODY: u32 = 0x6576_6572;

/// The model of one shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoTower {
    pub(super) settings: TwoTowerSettings,
    /// Rows of what a shopper chose, and of shoppers themselves.
    pub(super) chosen: Tower,
    /// Rows of items as something to recommend.
    pub(super) offered: Tower,
    pub(super) recency: Recency,
    /// Learning-rate multiplier of the rows taken from another shop.
    pub(super) ramp: RateRamp,
    /// The vector of each item without its age, as it was when the item was last in a step.
    items: EmbeddingTable,
    rates: Rates,
    pending: Vec<Arc<Example>>,
    reservoir: Reservoir,
    n_skipped: u64,
}

/// A shopper's vector, prepared for any number of scores.
#[derive(Clone, Debug, Default)]
pub struct TowerState {
    /// `u`, `[dim]`; empty where nothing was learned.
    vector: Vec<f32>,
    /// `log mean exp` of the scores of items spread over the table.
    average: f32,
    /// What an age adds to a score, by its bin.
    by_age: [f32; N_AGES],
    now_ms: i64,
    inputs: Inputs,
}

impl Member for TwoTower {
    type Settings = TwoTowerSettings;
    type Situation = TowerState;

    const COLUMNS: &'static [Column] =
        &[Column::linear("two_tower", -6.0, 9.0, 0.3), Column::linear("two_tower_new", -6.0, 9.0, 0.0).alone(0.0)];
    const TIES_BY_POPULARITY: bool = true;
    const RETRIEVES_FOR_LEARNING: bool = false;
    const COUNTERS: &'static [Counter] = &[Counter {
        metric: "two_tower_steps_skipped",
        field: "two_tower_steps_skipped",
        help: "Steps of the two towers not taken because a loss or a gradient was not finite.",
        always: false,
    }];

    fn new(settings: &TwoTowerSettings, seed: u64) -> Option<Self> {
        let rows = |first_rows: FirstRows| TableSettings {
            dim: settings.dim,
            init: if first_rows == FirstRows::Random { INIT } else { 0.0 },
            rate: settings.rate,
            rate_floor: RATE_FLOOR,
            l2: settings.row_decay,
            scanned: false,
        };
        settings.enabled.then(|| Self {
            chosen: Tower::new(rows(FirstRows::Random), settings.buckets, seed, CHOSEN),
            offered: Tower::new(rows(settings.first_rows), settings.buckets, seed, OFFERED),
            recency: Recency::default(),
            ramp: RateRamp::default(),
            items: EmbeddingTable::new(TableSettings { scanned: true, ..rows(FirstRows::Zero) }, seed, 0),
            rates: Rates::default(),
            pending: Vec::new(),
            reservoir: Reservoir::default(),
            n_skipped: 0,
            settings: settings.clone(),
        })
    }

    /// Towers of another size are created again.
    fn set_settings(&mut self, settings: &TwoTowerSettings, _: u64) -> bool {
        let shape = |settings: &TwoTowerSettings| (settings.dim, settings.buckets);
        if shape(&self.settings) != shape(settings) {
            return false;
        }
        self.chosen.set_steps(settings.rate, settings.row_decay);
        self.offered.set_steps(settings.rate, settings.row_decay);
        if settings.reservoir < self.settings.reservoir {
            self.reservoir = Reservoir::default();
        }
        self.settings = settings.clone();
        true
    }

    /// Adds a choice, and takes a step if enough wait. Every choice has the same weight, whatever its type: the model
    /// learns which item comes next. What a past event counts does depend on its type.
    fn learn(&mut self, step: &Step<'_>, catalogue: &Catalogue, _: Option<&Self>, _: &mut TowerState) {
        if step.weight <= 0.0 || step.n_items < 2 {
            return;
        }
        let item = step.event.item;
        self.rates.count(item);
        self.chosen.ids.touch(item);
        self.offered.ids.touch(item);
        self.pending.push(Arc::new(Example {
            chosen: item,
            at_ms: step.context.now_ms,
            evidence: Evidence::of(&step.context, self.settings.reach).collect(),
            circumstances: circumstances(&step.context).collect(),
        }));
        if self.pending.len() >= self.settings.batch_events {
            self.step(step, catalogue);
        }
    }

    /// An item's vector at once, so that it can be retrieved before its first event.
    fn describe(&mut self, item: ItemIdx, catalogue: &Catalogue) {
        if let Some(vector) = self.item_vector(item, catalogue) {
            self.items.set(item, &vector);
        }
    }

    fn prepare(&self, catalogue: &Catalogue, context: &Context<'_>, state: &mut TowerState) {
        let TowerState { vector, average, by_age, now_ms, inputs } = state;
        vector.clear();
        if self.items.is_empty() {
            return;
        }
        inputs.begin(&self.chosen, catalogue);
        let evidence: Vec<Evidence> = Evidence::of(context, self.settings.reach).collect();
        self.add_shopper(inputs, catalogue, &evidence, circumstances(context));
        inputs.merge();
        self.chosen.forward(inputs, vector);
        *now_ms = context.now_ms;
        for (bin, out) in by_age.iter_mut().enumerate() {
            *out = self.offered.facet(age_hash(bin)).map_or(0.0, |row| dot(vector, row));
        }
        let n_items = self.items.len();
        let n_spread = n_items.min(SPREAD);
        let spread = (0..n_spread).filter_map(|place| self.items.row((place * n_items / n_spread) as u32));
        let mut scores: Vec<f32> = spread.map(|row| dot(vector, row)).collect();
        *average = match scores.len() {
            0 => 0.0,
            n => accrue_kernel::softmax_row(1.0, &mut scores) - accrue_kernel::ln(n as f32),
        };
    }

    /// The lift of each item, and again where few have chosen it. An item of which nothing is known has a vector of zeros,
    /// with which rows begin.
    fn columns(&self, catalogue: &Catalogue, state: &TowerState, items: &[ItemIdx], out: &mut [f32]) {
        if state.vector.is_empty() {
            return;
        }
        let (lift, of_new) = out.split_at_mut(items.len());
        for (place, &item) in items.iter().enumerate() {
            let product = match self.items.row(item) {
                Some(row) => dot(&state.vector, row),
                None => self.item_vector(item, catalogue).map_or(0.0, |vector| dot(&state.vector, &vector)),
            };
            lift[place] = product - state.average + state.by_age[age_bin(catalogue.age_days(item, state.now_ms))];
            if self.rates.n_chosen(item) < FEW {
                of_new[place] = lift[place];
            }
        }
    }

    /// The items with the largest scores, their ages left out: an int8 scan over all rows.
    fn retrieve(
        &self,
        catalogue: &Catalogue,
        _: &Context<'_>,
        state: &TowerState,
        limit: usize,
        out: &mut Vec<ItemIdx>,
    ) {
        if !state.vector.is_empty() {
            let nearest = self.items.nearest(&state.vector, limit);
            out.extend(nearest.into_iter().filter(|&item| item < catalogue.n_items()));
        }
    }

    /// Updates the image that the scan reads.
    fn refresh(&mut self) {
        self.items.refresh();
    }

    fn drop_images(&mut self) {
        self.items.drop_images();
    }

    fn share_with(&mut self, other: &Self) {
        self.chosen.share_with(&other.chosen);
        self.offered.share_with(&other.offered);
        self.items.share_with(&other.items);
        self.rates.share_with(&other.rates);
        self.reservoir.share_with(&other.reservoir);
    }

    fn n_params(&self) -> u64 {
        self.chosen.n_params() + self.offered.n_params() + self.recency.len() as u64
    }

    fn copied_bytes(&self) -> u64 {
        let towers = self.chosen.copied_bytes() + self.offered.copied_bytes();
        towers + self.items.copied_bytes() + self.rates.copied_bytes() + self.reservoir.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        let towers = self.chosen.is_finite() && self.offered.is_finite();
        towers && self.recency.is_finite() && self.items.is_finite() && self.rates.is_finite()
    }

    fn counts(&self) -> Vec<u64> {
        vec![self.n_skipped]
    }

    fn part_for_others(&self) -> Option<Vec<u8>> {
        Some(part(&TowerParts {
            chosen: self.chosen.shared_rows(),
            offered: self.offered.shared_rows(),
            recency: self.recency.clone(),
        }))
    }

    fn begin_with(&mut self, part: &[u8], settings: &InitSettings) {
        let fits = |parts: &TowerParts| parts.fit(self.settings.dim, self.settings.buckets).is_ok();
        if let Some(parts) = read_part(part).filter(fits) {
            self.chosen.begin_with(&parts.chosen);
            self.offered.begin_with(&parts.offered);
            self.recency = parts.recency;
            self.ramp = RateRamp::of(settings);
        }
    }

    fn size_of_part(bytes: &[u8]) -> Option<usize> {
        size_if(bytes, TowerParts::is_sound)
    }
}

/// Hashes of the scene, the search text, the device and the shopper's descriptors.
fn circumstances(context: &Context<'_>) -> impl Iterator<Item = u32> {
    let of_page = context.circumstances.descriptors();
    of_page.chain(context.descriptors.iter().copied()).map(|descriptor| descriptor.value)
}

/// What a step computed of its examples.
struct Forward {
    shoppers: Inputs,
    items: Inputs,
    /// `[examples, dim]`
    states: Vec<f32>,
    /// The vectors of the sample's items without their ages. `[sample, dim]`
    bare: Vec<f32>,
    /// With them.
    vectors: Vec<f32>,
    /// For each example the weights of its evidence, before they are divided by their norm, and the inverse norm.
    weights: Vec<(Vec<f32>, f32)>,
}

impl TwoTower {
    /// The vector of an item without its age; `None` for one of which nothing is known.
    fn item_vector(&self, item: ItemIdx, catalogue: &Catalogue) -> Option<Vec<f32>> {
        let mut inputs = Inputs::default();
        inputs.begin(&self.offered, catalogue);
        inputs.next_owner();
        inputs.add_item(&self.offered, catalogue, item, 1.0);
        self.offered.knows(&inputs).then(|| {
            let mut vector = Vec::new();
            self.offered.forward(&inputs, &mut vector);
            vector
        })
    }

    /// Adds a shopper to the inputs. Returns the weights of the evidence and their inverse norm.
    fn add_shopper(
        &self,
        inputs: &mut Inputs,
        catalogue: &Catalogue,
        evidence: &[Evidence],
        circumstances: impl Iterator<Item = u32>,
    ) -> (Vec<f32>, f32) {
        inputs.next_owner();
        let weights: Vec<f32> = evidence.iter().map(|evidence| self.recency.weight(evidence)).collect();
        let mass = squared_norm(&weights);
        let norm = if mass > 0.0 { 1.0 / mass.sqrt() } else { 0.0 };
        for (evidence, &weight) in evidence.iter().zip(&weights) {
            inputs.add_item(&self.chosen, catalogue, evidence.item, weight * norm);
        }
        inputs.add_facet(&self.chosen, EVERYBODY, 1.0);
        circumstances.for_each(|hash| inputs.add_facet(&self.chosen, hash, 1.0));
        (weights, norm)
    }

    fn step(&mut self, step: &Step<'_>, catalogue: &Catalogue) {
        let TwoTowerSettings { negatives, popular, replay, reservoir, .. } = self.settings;
        let new = std::mem::take(&mut self.pending);
        let mut examples = new.clone();
        let mut draws = Draws::new(step.seed, DRAWS, step.offset);
        let n_replayed = (replay * new.len() as f32).round() as usize;
        examples.extend((0..n_replayed).filter_map(|_| self.reservoir.draw(&mut draws).cloned()));
        let (popular, even) = ((popular, &self.reservoir), (negatives, step.n_items));
        let sample = Sample::draw(&examples, popular, even, &self.rates, draws);
        self.chosen.follow_space(catalogue);
        self.offered.follow_space(catalogue);
        let forward = self.forward(&examples, &sample, catalogue, step.context.now_ms);
        match self.gradients(&forward, &examples, &sample) {
            Some(gradients) => self.descend(forward, gradients, &new, &sample, catalogue),
            None => self.n_skipped += 1,
        }
        new.iter().for_each(|example| self.reservoir.offer(example, reservoir, step.seed));
    }

    fn forward(&mut self, examples: &[Arc<Example>], sample: &Sample, catalogue: &Catalogue, now_ms: i64) -> Forward {
        let (mut shoppers, mut items) = (Inputs::default(), Inputs::default());
        shoppers.begin(&self.chosen, catalogue);
        let weights = examples.iter().map(|example| {
            let circumstances = example.circumstances.iter().copied();
            self.add_shopper(&mut shoppers, catalogue, &example.evidence, circumstances)
        });
        let weights = weights.collect();
        shoppers.merge();
        items.begin(&self.offered, catalogue);
        for &item in &sample.items {
            items.next_owner();
            items.add_item(&self.offered, catalogue, item, 1.0);
        }
        self.chosen.touch_ids(&shoppers);
        self.chosen.touch_facets(&shoppers);
        self.offered.touch_facets(&items);
        let (mut states, mut bare) = (Vec::new(), Vec::new());
        self.chosen.forward(&shoppers, &mut states);
        self.offered.forward(&items, &mut bare);
        let mut vectors = bare.clone();
        let d = self.settings.dim;
        for (owner, (&item, vector)) in sample.items.iter().zip(vectors.chunks_exact_mut(d)).enumerate() {
            let hash = age_hash(age_bin(catalogue.age_days(item, now_ms)));
            items.add_facet_of(&self.offered, owner, hash);
            if let Some(row) = self.offered.facet(hash) {
                accrue_kernel::axpy(1.0, row, vector);
            }
        }
        Forward { shoppers, items, states, bare, vectors, weights }
    }

    /// The gradients of the states and of the items' vectors; `None` if a loss or a gradient is not finite.
    fn gradients(&self, forward: &Forward, examples: &[Arc<Example>], sample: &Sample) -> Option<(Vec<f32>, Vec<f32>)> {
        let d = self.settings.dim;
        let place = |item| sample.items.binary_search(&item).expect("the sample has all chosen items");
        let places: Vec<usize> = examples.iter().map(|example| place(example.chosen)).collect();
        let beside = |&place: &usize| Target::Beside(&forward.vectors[place * d..][..d], Some(place as u32));
        let targets: Vec<Target<'_>> = places.iter().map(beside).collect();
        let mut block = CandidateBlock::default();
        block.load(0, &forward.vectors, d, &sample.corrections);
        let n = examples.len();
        let (mut of_states, mut log_sums, mut of_targets) = (vec![0.0; n * d], vec![0.0; n], vec![0.0; n * d]);
        let mut scratch = SoftmaxScratch::default();
        let out = FirstPass { gradient: &mut of_states, log_sums: &mut log_sums, target_gradient: &mut of_targets };
        let candidates = Candidates { blocks: std::slice::from_ref(&block) };
        let loss = candidates.loss(&forward.states, &targets, 1.0, &mut scratch, out);
        let mut packed = PackedStates::default();
        packed.load(d, std::iter::once(&*forward.states));
        let mut of_items = vec![0.0; forward.vectors.len()];
        block.add_gradient(&packed, &log_sums, &targets, 1.0, &mut scratch, &mut of_items);
        for (&place, gradient) in places.iter().zip(of_targets.chunks_exact(d)) {
            accrue_kernel::axpy(1.0, gradient, &mut of_items[place * d..][..d]);
        }
        finite_norm(0, &[&of_states, &of_items]).ok()?;
        loss.is_finite().then_some((of_states, of_items))
    }

    /// Moves the weights of the evidence first, because their gradients are of the rows as they were.
    fn descend(
        &mut self,
        mut forward: Forward,
        (of_states, of_items): (Vec<f32>, Vec<f32>),
        new: &[Arc<Example>],
        sample: &Sample,
        catalogue: &Catalogue,
    ) {
        let d = self.settings.dim;
        let of_weights = self.weight_gradients(&forward, &of_states, new, catalogue);
        for (example, gradients) in new.iter().zip(of_weights) {
            for (evidence, gradient) in example.evidence.iter().zip(gradients) {
                self.recency.descend(evidence, gradient, new.len() as f32);
            }
        }
        let of_taken = self.ramp.multiplier(self.rates.n());
        self.chosen.descend(&mut forward.shoppers, &of_states, of_taken);
        self.offered.descend(&mut forward.items, &of_items, of_taken);
        for (&item, vector) in sample.items.iter().zip(forward.bare.chunks_exact(d)) {
            self.items.set(item, vector);
        }
        // Of what was just learned the newest vectors are needed; those of the others move little.
        let mut chosen: Vec<ItemIdx> = new.iter().map(|example| example.chosen).collect();
        chosen.sort_unstable();
        chosen.dedup();
        for item in chosen {
            self.describe(item, catalogue);
        }
    }

    /// The gradients of the weights of each new example's evidence: `∂u/∂w = (q − w u / √Σw²) / √Σw²`, where `u` is the
    /// part of the vector that comes from the history.
    fn weight_gradients(
        &self,
        forward: &Forward,
        of_states: &[f32],
        new: &[Arc<Example>],
        catalogue: &Catalogue,
    ) -> Vec<Vec<f32>> {
        let d = self.settings.dim;
        let weighed = new.iter().zip(&forward.weights).zip(of_states.chunks_exact(d));
        weighed
            .map(|((example, (weights, norm)), gradient)| {
                let mapped = self.chosen.mapped(catalogue, gradient);
                let pulls: Vec<f32> = example
                    .evidence
                    .iter()
                    .map(|evidence| self.chosen.pull(catalogue, evidence.item, gradient, mapped.as_ref()))
                    .collect();
                let of_history = norm * dot(&pulls, weights);
                let of_weight = |(pull, weight): (&f32, &f32)| norm * (pull - norm * weight * of_history);
                pulls.iter().zip(weights).map(of_weight).collect()
            })
            .collect()
    }
}
