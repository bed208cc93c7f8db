//! A sequence network that learns from every event: GRU4Rec (Hidasi et al. 2016), SASRec (Kang, McAuley 2018) or NextItNet (Yuan et
//! al. 2019), trained by a small step after each few events instead of in passes.
//!
//! The network reads the last items that a shopper chose, each as its row `v_i`, and returns a state `h`. An item's
//! score is the *lift* `s(i) = h · v_i − log mean_j exp(h · v_j)`, over some items j spread over the table, so that a
//! score means the same for every shopper: how much likelier the item is than the average one.
//!
//! Events wait in windows until there are `batch_events` of them; then one step is taken: forward and backward over
//! these windows and some of the reservoir, AdamW on the dense weights, row-wise Adagrad on the rows. A step whose loss
//! or gradient is not finite changes nothing and is counted. Negatives, replay and first rows are functions of the seed
//! and of offsets. Refuses: to keep anything of a shopper beyond the windows that wait and the sample in the reservoir.

use std::sync::Arc;

use accrue_kernel::{Draws, dot};
use accrue_store::{CheckpointWriter, ItemIdx, SectionSource, StoreError};
use accrue_tensor::{Mode, Optimizer, Tape, scale_to_norm};
use serde::{Deserialize, Serialize};

use super::gradients::Gradients;
use super::layers::Dense;
use super::settings::SequenceSettings;
use super::windows::{Pending, Reservoir, Run};
use crate::catalogue::Catalogue;
use crate::collaborative::FitError;
use crate::members::{Column, Counter, Member};
use crate::stored::StoredFault;
use crate::table::{EmbeddingTable, TableSettings};
use crate::transfer::{InitSettings, RateRamp, part, read_part, size_if};
use crate::{Context, Step};

/// Streams of random numbers.
const NEGATIVES: u64 = 0x5345_5155_0003;
const ROWS: u64 = 0x5345_5155_0004;
/// Standard deviation of a new row's numbers.
const INIT: f32 = 0.05;
/// Number of items in the mean that a score is compared with.
const SPREAD: usize = 128;

/// The model of one shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Sequence {
    settings: SequenceSettings,
    seed: u64,
    dense: Arc<Dense>,
    items: EmbeddingTable,
    pending: Pending,
    reservoir: Reservoir,
    learned_to: u64,
    n_skipped: u64,
    /// Learning-rate multiplier of the dense weights, if they were taken from another shop.
    ramp: RateRamp,
}

/// What a checkpoint keeps: the layers follow from the settings.
#[derive(Serialize, Deserialize)]
struct Stored {
    first: FirstForm,
    ramp: RateRamp,
}

/// The first stored form, which a network keeps that took nothing from another shop.
#[derive(Serialize, Deserialize)]
struct FirstForm {
    settings: SequenceSettings,
    seed: u64,
    weights: Vec<f32>,
    optimizer: Optimizer,
    items: EmbeddingTable,
    pending: Pending,
    reservoir: Reservoir,
    learned_to: u64,
    n_skipped: u64,
}

impl From<Sequence> for Stored {
    fn from(model: Sequence) -> Self {
        let Sequence { settings, seed, dense, items, pending, reservoir, learned_to, n_skipped, ramp } = model;
        let (weights, optimizer) = (dense.weights.values().to_vec(), dense.optimizer.clone());
        let first = FirstForm { settings, seed, weights, optimizer, items, pending, reservoir, learned_to, n_skipped };
        Self { first, ramp }
    }
}

impl TryFrom<Stored> for Sequence {
    type Error = StoredFault;

    fn try_from(stored: Stored) -> Result<Self, StoredFault> {
        let Stored { first, ramp } = stored;
        let FirstForm { settings, seed, weights, optimizer, items, pending, reservoir, learned_to, n_skipped } = first;
        let unfit = |error: FitError| StoredFault::Settings(error.to_string().into());
        let mut dense = Dense::new(&settings, seed).map_err(unfit)?.ok_or(StoredFault::NoKind)?;
        let n_expected = dense.weights.values().len();
        if weights.len() != n_expected || !optimizer.fits(n_expected) || items.dim() != settings.d {
            let (found, expected) = (vec![weights.len(), items.dim()], vec![n_expected, settings.d]);
            return Err(StoredFault::Sizes { what: "weights, and a row of an item", found, expected });
        }
        dense.weights.change(|values| values.copy_from_slice(&weights));
        dense.optimizer = optimizer;
        Ok(Self { settings, seed, dense: Arc::new(dense), items, pending, reservoir, learned_to, n_skipped, ramp })
    }
}

/// Memory for learning and scoring.
#[derive(Debug, Default)]
struct SequenceScratch(Gradients);

impl Clone for SequenceScratch {
    /// The memory is scratch: a copy begins with none.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A shopper's state, prepared for any number of scores, and the memory that learning and scoring need.
#[derive(Clone, Debug, Default)]
pub struct ShopperState {
    /// `h`, `[d]`; empty for an empty past.
    state: Vec<f32>,
    /// `log mean exp` of the scores of items spread over the table.
    average: f32,
    scratch: SequenceScratch,
}

impl Member for Sequence {
    type Settings = SequenceSettings;
    type Situation = ShopperState;

    const COLUMNS: &'static [Column] = &[Column::linear("sequence", -6.0, 9.0, 0.3)];
    const TIES_BY_POPULARITY: bool = true;
    const RETRIEVES_FOR_LEARNING: bool = false;
    const COUNTERS: &'static [Counter] = &[Counter {
        metric: "learner_steps_skipped",
        field: "steps_skipped",
        help: "Steps of the sequence network not taken because a loss or a gradient was not finite.",
        always: true,
    }];

    /// A network that has learned nothing; `None` for the kind `none`.
    ///
    /// # Panics
    /// If the settings are not valid.
    fn new(settings: &SequenceSettings, seed: u64) -> Option<Self> {
        let dense = Dense::new(settings, seed).expect("settings are validated before they come here")?;
        let rows = TableSettings {
            dim: settings.d,
            init: INIT,
            rate: settings.row_rate,
            rate_floor: 0.1,
            l2: settings.row_decay,
            scanned: true,
        };
        Some(Self {
            dense: Arc::new(dense),
            items: EmbeddingTable::new(rows, seed, ROWS),
            pending: Pending::default(),
            reservoir: Reservoir::default(),
            learned_to: 0,
            n_skipped: 0,
            ramp: RateRamp::default(),
            seed,
            settings: settings.clone(),
        })
    }

    /// A network of another kind or size is created again.
    fn set_settings(&mut self, settings: &SequenceSettings, _: u64) -> bool {
        if !self.fits(settings) {
            return false;
        }
        self.items.set_steps(settings.row_rate, settings.row_decay);
        if settings.reservoir < self.settings.reservoir {
            self.reservoir = Reservoir::default();
        }
        self.settings = settings.clone();
        true
    }

    /// Adds a choice, and takes a step if enough events wait. Every choice has the same weight, whatever its type,
    /// because the network learns which item comes next. `anchor_pull` regularises it towards `reference`.
    fn learn(&mut self, step: &Step<'_>, _: &Catalogue, reference: Option<&Self>, shopper: &mut ShopperState) {
        if step.weight <= 0.0 || step.n_items < 2 {
            return;
        }
        self.items.touch(step.event.item);
        let SequenceSettings { length, batch_events, .. } = self.settings;
        self.pending.gather(step, length, (batch_events - 1).min(length / 2));
        if self.pending.n_events() >= batch_events {
            self.learned_to = step.offset + 1;
            self.step(step, reference, &mut shopper.scratch.0);
        }
    }

    /// Reads a shopper's last choices once, for any number of scores.
    fn prepare(&self, _: &Catalogue, context: &Context<'_>, shopper: &mut ShopperState) {
        let d = self.settings.d;
        shopper.state.clear();
        shopper.average = 0.0;
        let chosen = context.past.iter().rev().filter(|past| context.weight(past) > 0.0);
        let mut rows: Vec<&[f32]> =
            chosen.filter_map(|past| self.items.row(past.item)).take(self.settings.length).collect();
        if rows.is_empty() {
            return;
        }
        rows.reverse();
        let segments = [rows.len()];
        let mut tape = Tape::new(&mut shopper.scratch.0.buffers, &self.dense.weights, &segments, Mode::Predict);
        let x = tape.leaf(rows.len(), d, |x| {
            x.chunks_exact_mut(d).zip(rows).for_each(|(x, row)| x.copy_from_slice(row));
        });
        let states = self.dense.states(&mut tape, x);
        let states = tape.value(states);
        shopper.state.extend_from_slice(&states[states.len() - d..]);
        let n_items = self.items.len();
        let n_spread = n_items.min(SPREAD);
        let spread = (0..n_spread).filter_map(|place| self.items.row((place * n_items / n_spread) as u32));
        let mut scores: Vec<f32> = spread.map(|row| dot(&shopper.state, row)).collect();
        if !scores.is_empty() {
            let n = scores.len() as f32;
            shopper.average = accrue_kernel::softmax_row(1.0, &mut scores) - accrue_kernel::ln(n);
        }
    }

    /// The lift of each item; 0, that of the average item, for one never seen and for a shopper without a past.
    fn columns(&self, _: &Catalogue, shopper: &ShopperState, items: &[ItemIdx], out: &mut [f32]) {
        if shopper.state.is_empty() {
            return;
        }
        for (out, &item) in out.iter_mut().zip(items) {
            *out = self.items.row(item).map_or(0.0, |row| dot(&shopper.state, row) - shopper.average);
        }
    }

    /// The items with the largest scores: an int8 scan over all rows.
    fn retrieve(&self, _: &Catalogue, _: &Context<'_>, shopper: &ShopperState, limit: usize, out: &mut Vec<ItemIdx>) {
        if !shopper.state.is_empty() {
            out.extend(self.items.nearest(&shopper.state, limit));
        }
    }

    /// Updates the image that the scan reads.
    fn refresh(&mut self) {
        self.items.refresh();
    }

    fn drop_images(&mut self) {
        self.items.drop_images();
    }

    fn save(&self, section: &str, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        match Stored::from(self.clone()) {
            Stored { first, ramp } if ramp == RateRamp::default() => writer.value(section, Self::VERSION, &first),
            stored => writer.value(section, WITH_RAMP, &stored),
        }
    }

    fn load(section: &str, source: &mut SectionSource<'_>) -> Result<Option<Self>, StoreError> {
        let stored = match source.checkpoint().section_version(section) {
            Some(WITH_RAMP) => source.value::<Stored>(section, WITH_RAMP)?,
            _ => {
                let first = source.value::<FirstForm>(section, Self::VERSION)?;
                first.map(|first| Stored { first, ramp: RateRamp::default() })
            }
        };
        match stored.map(Self::try_from).transpose() {
            Ok(model) => Ok(model),
            Err(why) => {
                source.reject(section, why.to_string());
                Ok(None)
            }
        }
    }

    fn share_with(&mut self, other: &Self) {
        if self.dense == other.dense {
            self.dense = other.dense.clone();
        }
        self.items.share_with(&other.items);
        self.reservoir.share_with(&other.reservoir);
    }

    fn n_params(&self) -> u64 {
        (self.dense.weights.values().len() + self.items.len() * self.settings.d) as u64
    }

    /// Bytes of copied dense weights are not counted.
    fn copied_bytes(&self) -> u64 {
        self.items.copied_bytes()
    }

    fn is_finite(&self) -> bool {
        self.dense.weights.values().iter().all(|weight| weight.is_finite()) && self.items.is_finite()
    }

    fn counts(&self) -> Vec<u64> {
        vec![self.n_skipped]
    }

    /// The dense weights of the network.
    fn part_for_others(&self) -> Option<Vec<u8>> {
        Some(part(&NetworkParts { settings: self.settings.clone(), weights: self.dense.weights.values().to_vec() }))
    }

    /// The layers are taken of a network of the same kind and size. The items' rows learn from nothing.
    fn begin_with(&mut self, part: &[u8], settings: &InitSettings) {
        let Some(parts) = read_part::<NetworkParts>(part) else { return };
        let n = self.dense.weights.values().len();
        if self.fits(&parts.settings) && parts.weights.len() == n {
            Arc::make_mut(&mut self.dense).weights.change(|values| values.copy_from_slice(&parts.weights));
            self.ramp = RateRamp::of(settings);
        }
    }

    fn size_of_part(bytes: &[u8]) -> Option<usize> {
        size_if(bytes, |parts: &NetworkParts| parts.weights.iter().all(|weight| weight.is_finite()))
    }
}

/// Version of the section of a network whose weights were taken from another shop.
const WITH_RAMP: u32 = 2;

/// The dense weights of a network, which mean the same in every shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NetworkParts {
    settings: SequenceSettings,
    weights: Vec<f32>,
}

impl Sequence {
    /// Whether the network of these settings is of the same kind and size.
    pub fn fits(&self, settings: &SequenceSettings) -> bool {
        let shape = |settings: &SequenceSettings| {
            (settings.kind, settings.d, settings.length, settings.blocks, settings.heads, settings.weight_decay)
        };
        shape(&self.settings) == shape(settings)
    }

    fn step(&mut self, step: &Step<'_>, reference: Option<&Self>, gradients: &mut Gradients) {
        let SequenceSettings { targets, negatives, replay, reservoir, batch_events, .. } = self.settings;
        let mut runs = self.pending.take(targets);
        let n_new = runs.len();
        let n_replayed = (replay * batch_events as f32).round() as usize;
        runs.extend(self.reservoir.draw(n_replayed, targets, step.seed, step.offset));
        let mut draws = Draws::new(step.seed, NEGATIVES, step.offset);
        let mut sampled: Vec<ItemIdx> =
            (0..negatives).map(|_| draws.below(u64::from(step.n_items)) as ItemIdx).collect();
        sampled.sort_unstable();
        sampled.dedup();
        let of_runs = runs.iter().flat_map(|run| run.inputs().iter().chain(run.targets()));
        sampled.iter().chain(of_runs).for_each(|&item| self.items.touch(item));
        match gradients.find(&self.dense, &self.items, &runs, &sampled, step.n_items) {
            Some((norm, n_targets)) => self.descend(gradients, norm, n_targets, reference),
            None => self.n_skipped += 1,
        }
        runs[..n_new].iter().for_each(|run: &Run| self.reservoir.offer(run, reservoir, step.seed));
    }

    /// Takes a step with finite gradients: the dense weights by their mean over the targets, rows by their sum, because
    /// a row's own optimizer state holds how often it was learned.
    fn descend(&mut self, gradients: &mut Gradients, norm: f64, n_targets: usize, reference: Option<&Self>) {
        let SequenceSettings { learning_rate, clip, row_clip, anchor_pull, d, batch_events, .. } = self.settings;
        let reference = reference.filter(|reference| anchor_pull > 0.0 && reference.fits(&self.settings));
        let n = n_targets.max(1) as f32;
        let scale = scale_to_norm(norm / f64::from(n), f64::from(clip)) / n;
        let Dense { weights, optimizer, .. } = Arc::make_mut(&mut self.dense);
        if let Some(reference) = reference {
            let good = reference.dense.weights.values();
            for ((gradient, &mine), &good) in gradients.dense.iter_mut().zip(weights.values()).zip(good) {
                *gradient += anchor_pull / scale * (mine - good);
            }
        }
        let learning_rate = learning_rate * self.ramp.multiplier(optimizer.n_steps() * batch_events as u64);
        weights.change(|values| optimizer.step(learning_rate, scale, &mut gradients.dense, values));
        let items = &mut self.items;
        gradients.for_each_row(d, |item, gradient| {
            if let (Some(good), Some(mine)) =
                (reference.and_then(|reference| reference.items.row(item)), items.row(item))
            {
                for ((gradient, &mine), &good) in gradient.iter_mut().zip(mine).zip(good) {
                    *gradient += anchor_pull * (mine - good);
                }
            }
            let squared_norm = accrue_kernel::squared_norm(gradient);
            let scale = scale_to_norm(f64::from(squared_norm.sqrt()), f64::from(row_clip));
            items.descend(item, gradient, squared_norm, scale);
        });
    }

    /// Records before this offset are in the weights; choices after it wait for the next step.
    pub fn learned_to(&self) -> u64 {
        self.learned_to
    }

    /// Steps that were taken.
    pub fn n_steps(&self) -> u64 {
        self.dense.optimizer.n_steps()
    }
}
