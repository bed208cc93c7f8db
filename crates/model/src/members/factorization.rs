//! Matrix factorization learned online, with the shopper folded in from their history.
//!
//! A shopper's vector is the sum of those of the items chosen: `u = Σ_e a_e · q_{i_e} / √Σ a²` over the last events,
//! and an item's score is
//! `u · p_i + b_i` (asymmetric factorization: Paterek 2007; FISM: Kabbur, Ning, Karypis 2013). There is no row for a user:
//! a new shopper is served after the first event, equal pasts get equal answers, and a person can be forgotten. Loss:
//! logistic, one positive to several sampled negatives. To slow down forgetting, a few earlier choices of the same
//! shopper are learned again at each step. With `map`, a new item begins with the rows that its content makes likely
//! (`content_map`).

use std::ops::Bound;

use accrue_event::SettingFault;
use accrue_kernel::{Draws, dot};
use accrue_store::{CheckpointWriter, ItemIdx, PastEvent, SectionSource, StoreError};
use serde::{Deserialize, Serialize};

use super::content_map::{ContentMap, Expected};
use super::{Column, MAX_REACH, Member, MemberSettings};
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::gaussian::{Gaussian, RowBelief};
use crate::table::{EmbeddingTable, TableSettings};
use crate::{Context, Step};

/// Rows that are multiplied while as many others are brought into the cache.
const AHEAD: usize = 32;
/// Streams of random numbers.
const STREAM: u64 = 0x4641_4354;

/// Sizes and steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactorizationSettings {
    /// Numbers in a row.
    pub dim: usize,
    /// Step of the rows.
    pub rate: f32,
    /// Weight decay.
    pub l2: f32,
    /// Sampled negatives to a positive.
    pub negatives: usize,
    /// Last events that make a shopper's vector.
    pub reach: usize,
    /// Earlier choices of the same shopper learned again at each step.
    pub replay: usize,
    /// Candidates of a page.
    pub candidates: usize,
    /// How far the rows of a new item are pulled towards what its content says, as a share of the distance at its first
    /// choice; they also begin there. 0: no map from content is learned.
    pub map: f32,
}

impl MemberSettings for FactorizationSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("dim", self.dim, 1..=4096)?;
        SettingFault::check("rate", self.rate, (Bound::Excluded(0.0), Bound::Included(1.0)))?;
        SettingFault::check("l2", self.l2, 0.0..=1.0)?;
        SettingFault::check("map", self.map, 0.0..=1.0)
    }

    /// The map from content reads facets.
    fn needs_facets(&self) -> bool {
        self.map > 0.0
    }

    fn limit(&self) -> Result<(), SettingFault> {
        SettingFault::check("negatives", self.negatives, ..=1_000)?;
        SettingFault::check("reach", self.reach, ..=MAX_REACH)?;
        SettingFault::check("replay", self.replay, ..=64)
    }
}

impl Default for FactorizationSettings {
    fn default() -> Self {
        Self { dim: 64, rate: 0.05, l2: 0.002, negatives: 8, reach: 20, replay: 1, candidates: 100, map: 0.0 }
    }
}

/// A shopper's vector `[dim]`, folded in from the last events.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    vector: Vec<f32>,
    /// While learning.
    examples: Examples,
}

/// Items that one shopper chose or did not choose.
#[derive(Clone, Debug, Default)]
struct Examples {
    items: Vec<ItemIdx>,
    /// 1 for a choice, 0 for a negative.
    labels: Vec<f32>,
    /// The probabilities that the model gives; then their errors, times the weight of the event.
    errors: Vec<f32>,
    /// The gradient of the shopper's vector.
    pull: Vec<f32>,
}

impl Examples {
    fn begin(&mut self) {
        self.items.clear();
        self.labels.clear();
    }

    fn push(&mut self, item: ItemIdx, label: f32) {
        self.items.push(item);
        self.labels.push(label);
    }
}

/// Two rows and a bias an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Factorization {
    settings: FactorizationSettings,
    /// `q`: the item as evidence of what a shopper likes.
    chosen: EmbeddingTable,
    /// `p`: the item as something to recommend.
    offered: EmbeddingTable,
    bias: CowVec<f32>,
    /// `None` where `map` is 0.
    map: Option<ContentMap>,
}

impl Member for Factorization {
    type Settings = FactorizationSettings;
    type Situation = Folded;

    const COLUMNS: &'static [Column] = &[Column::linear("factorization", -9.0, 6.0, 0.3)];
    const RETRIEVES_FOR_LEARNING: bool = false;

    fn new(settings: &FactorizationSettings, seed: u64) -> Option<Self> {
        let table = TableSettings {
            dim: settings.dim,
            init: 0.06,
            rate: settings.rate,
            rate_floor: 0.2,
            l2: settings.l2,
            scanned: true,
        };
        Some(Self {
            chosen: EmbeddingTable::new(TableSettings { scanned: false, ..table.clone() }, seed, STREAM + 1),
            offered: EmbeddingTable::new(table, seed, STREAM + 2),
            bias: CowVec::new(256, 0.0),
            map: (settings.map > 0.0).then(|| ContentMap::new(settings.dim, seed)),
            settings: settings.clone(),
        })
    }

    /// Rows of another size are initialised again.
    fn set_settings(&mut self, settings: &FactorizationSettings, seed: u64) -> bool {
        let fits = settings.dim == self.settings.dim;
        self.map = match self.map.take() {
            _ if settings.map == 0.0 => None,
            None => Some(ContentMap::new(settings.dim, seed)),
            kept => kept,
        };
        self.settings = settings.clone();
        self.set_rate_multiplier(1.0);
        fits
    }

    /// Learns the event, and a few earlier choices of the same shopper again.
    fn learn(&mut self, step: &Step<'_>, catalogue: &Catalogue, _: Option<&Self>, scratch: &mut Folded) {
        self.set_rate_multiplier(step.rate_multiplier);
        if step.weight != 0.0 {
            // From now on the item belongs to the shopper's past, and every item there has a row.
            self.chosen.touch(step.event.item);
        }
        if step.weight <= 0.0 || step.n_items < 2 {
            return;
        }
        let mut draws = Draws::new(step.seed, STREAM, step.offset);
        let past = step.context.past;
        self.learn_pair(step, past, (step.event.item, step.weight), &mut draws, scratch);
        for _ in 0..self.settings.replay {
            if past.len() < 2 {
                break;
            }
            let place = 1 + draws.below(past.len() as u64 - 1) as usize;
            let weight = step.context.weight(&past[place]);
            if weight > 0.0 {
                self.learn_pair(step, &past[..place], (past[place].item, weight), &mut draws, scratch);
            }
        }
        self.follow_content(step.event.item, catalogue);
    }

    /// A new item has its rows at once. A row that any event has changed keeps what it learned, whether the map knew of that
    /// event or began later.
    fn describe(&mut self, item: ItemIdx, catalogue: &Catalogue) {
        let is_new = self.map.as_ref().is_some_and(|map| map.is_new(item));
        let expected = self.map.as_ref().filter(|_| is_new).and_then(|map| map.expected(catalogue, item));
        let Some(Expected { chosen, offered }) = expected else { return };
        for (table, row) in [(&mut self.chosen, chosen), (&mut self.offered, offered)] {
            if !table.has_moved(item) {
                table.set(item, &row);
            }
        }
    }

    fn save(&self, section: &str, writer: &mut CheckpointWriter) -> Result<(), StoreError> {
        match &self.map {
            None => writer.value(section, Self::VERSION, &WithoutMap::of(self)),
            Some(_) => writer.value(section, WITH_MAP, self),
        }
    }

    fn load(section: &str, source: &mut SectionSource<'_>) -> Result<Option<Self>, StoreError> {
        match source.checkpoint().section_version(section) {
            Some(WITH_MAP) => source.value(section, WITH_MAP),
            _ => Ok(source.value::<WithoutMap>(section, Self::VERSION)?.map(Self::from)),
        }
    }

    /// Learns the item as the one negative; no other item is drawn.
    fn learn_unchosen(&mut self, step: &Step<'_>) {
        let mut scratch = Folded::default();
        scratch.examples.push(step.event.item, 0.0);
        self.learn_examples(step, step.context.past, step.weight.abs(), &mut scratch);
    }

    fn prepare(&self, _: &Catalogue, context: &Context<'_>, Folded { vector, .. }: &mut Folded) {
        vector.resize(self.settings.dim, 0.0);
        self.fold_in(context, context.past, vector);
    }

    fn columns(&self, _: &Catalogue, Folded { vector, .. }: &Folded, items: &[ItemIdx], out: &mut [f32]) {
        let prefetch = |items: &[ItemIdx]| items.iter().for_each(|&item| self.offered.prefetch(item));
        prefetch(&items[..items.len().min(AHEAD)]);
        for (number, (batch, out)) in items.chunks(AHEAD).zip(out.chunks_mut(AHEAD)).enumerate() {
            // The next rows arrive while these are multiplied.
            let next = &items[(number * AHEAD + batch.len())..];
            prefetch(&next[..next.len().min(AHEAD)]);
            self.offered.dot_each(vector, batch, out);
            for (out, &item) in out.iter_mut().zip(batch) {
                // A row that does not exist has no bias either.
                *out = finite(*out + self.bias.get(item as usize));
            }
        }
    }

    fn retrieve(
        &self,
        _: &Catalogue,
        _: &Context<'_>,
        Folded { vector, .. }: &Folded,
        limit: usize,
        out: &mut Vec<ItemIdx>,
    ) {
        out.extend(self.nearest(vector, limit));
    }

    fn deviations(&self, context: &Context<'_>, Folded { vector, .. }: &Folded, items: &[ItemIdx]) -> Vec<f32> {
        let shopper = RowBelief { mean: vector, variance: self.shopper_variance(context) };
        items.iter().map(|&item| self.belief(shopper, item).deviation()).collect()
    }

    /// Updates the image that the scan reads.
    fn refresh(&mut self) {
        self.offered.refresh();
    }

    fn drop_images(&mut self) {
        self.offered.drop_images();
    }

    fn share_with(&mut self, other: &Self) {
        self.chosen.share_with(&other.chosen);
        self.offered.share_with(&other.offered);
        self.bias.share_with(&other.bias);
        if let (Some(mine), Some(theirs)) = (&mut self.map, &other.map) {
            mine.share_with(theirs);
        }
    }

    fn n_params(&self) -> u64 {
        let of_rows = ((self.chosen.len() + self.offered.len()) * self.settings.dim + self.bias.len()) as u64;
        of_rows + self.map.as_ref().map_or(0, ContentMap::n_params)
    }

    fn copied_bytes(&self) -> u64 {
        let of_map = self.map.as_ref().map_or(0, ContentMap::copied_bytes);
        self.chosen.copied_bytes() + self.offered.copied_bytes() + self.bias.copied_bytes() + of_map
    }

    fn is_finite(&self) -> bool {
        let are_rows = self.chosen.is_finite() && self.offered.is_finite();
        are_rows && self.bias.iter().all(|bias| bias.is_finite()) && self.map.as_ref().is_none_or(ContentMap::is_finite)
    }
}

/// Version of the section of a model with a map.
const WITH_MAP: u32 = 2;

/// The first stored form, which a model without a map keeps.
#[derive(Serialize, Deserialize)]
struct WithoutMap {
    settings: FirstSettings,
    chosen: EmbeddingTable,
    offered: EmbeddingTable,
    bias: CowVec<f32>,
}

/// The settings of that form.
#[derive(Serialize, Deserialize)]
struct FirstSettings {
    dim: usize,
    rate: f32,
    l2: f32,
    negatives: usize,
    reach: usize,
    replay: usize,
    candidates: usize,
}

impl WithoutMap {
    fn of(model: &Factorization) -> Self {
        let Factorization { settings, chosen, offered, bias, map: _ } = model.clone();
        let FactorizationSettings { dim, rate, l2, negatives, reach, replay, candidates, map: _ } = settings;
        let settings = FirstSettings { dim, rate, l2, negatives, reach, replay, candidates };
        Self { settings, chosen, offered, bias }
    }
}

impl From<WithoutMap> for Factorization {
    fn from(stored: WithoutMap) -> Self {
        let FirstSettings { dim, rate, l2, negatives, reach, replay, candidates } = stored.settings;
        let settings = FactorizationSettings { dim, rate, l2, negatives, reach, replay, candidates, map: 0.0 };
        let WithoutMap { chosen, offered, bias, .. } = stored;
        Self { settings, chosen, offered, bias, map: None }
    }
}

impl Factorization {
    /// Multiplies the steps of the rows.
    fn set_rate_multiplier(&mut self, multiplier: f32) {
        self.chosen.set_steps(self.settings.rate * multiplier, self.settings.l2);
        self.offered.set_steps(self.settings.rate * multiplier, self.settings.l2);
    }

    /// The map learns the rows of an item that was chosen, and pulls them.
    fn follow_content(&mut self, item: ItemIdx, catalogue: &Catalogue) {
        let Some(map) = &mut self.map else { return };
        let pull = map.pull(item, self.settings.map);
        if pull > 0.0
            && let Some(expected) = map.expected(catalogue, item)
        {
            self.chosen.approach(item, pull, &expected.chosen);
            self.offered.approach(item, pull, &expected.offered);
        }
        map.learn(catalogue, item, self.chosen.row(item), self.offered.row(item));
    }

    /// The shopper's vector `[dim]`, folded in from the last events; zeros for an empty past.
    pub fn shopper(&self, context: &Context<'_>) -> Vec<f32> {
        let mut vector = vec![0.0; self.settings.dim];
        self.fold_in(context, context.past, &mut vector);
        vector
    }

    /// The variance of each number of [`shopper`](Self::shopper)'s vector, from the variances of the rows in its sum.
    pub fn shopper_variance(&self, context: &Context<'_>) -> f32 {
        let (mut sum, mut mass) = (0.0, 0.0);
        for past in context.past.iter().rev().take(self.settings.reach) {
            let weight = context.weight(past);
            if self.chosen.is_learned(past.item) && weight != 0.0 {
                sum += weight * weight * self.chosen.variance(past.item);
                mass += weight * weight;
            }
        }
        if mass > 0.0 { sum / mass } else { 0.0 }
    }

    /// [`score`](Self::score) and its uncertainty. The bias is taken as known: it is learned first. `shopper`: the vector
    /// and the variance of its numbers.
    pub fn belief(&self, shopper: RowBelief<'_>, item: ItemIdx) -> Gaussian {
        let unlearned = vec![0.0; if self.offered.is_learned(item) { 0 } else { shopper.mean.len() }];
        let mean = self.offered.row(item).unwrap_or(&unlearned);
        let product = Gaussian::of_product(shopper, RowBelief { mean, variance: self.offered.variance(item) });
        Gaussian { mean: self.score(shopper.mean, item), ..product }
    }

    /// Writes the folded-in vector of `past` and returns the common factor of its terms.
    fn fold_in(&self, context: &Context<'_>, past: &[PastEvent], vector: &mut [f32]) -> f32 {
        vector.fill(0.0);
        let mut mass = 0.0;
        let last = past.iter().rev().take(self.settings.reach);
        last.clone().for_each(|past| self.chosen.prefetch(past.item));
        let terms = last.map(|past| (past.item, context.weight(past))).filter(|&(_, weight)| weight != 0.0);
        self.chosen.add_rows(terms, vector, |weight| mass += weight * weight);
        let factor = if mass > 0.0 { 1.0 / mass.sqrt() } else { 0.0 };
        accrue_kernel::scale(factor, vector);
        factor
    }

    fn learn_pair(
        &mut self,
        step: &Step<'_>,
        past: &[PastEvent],
        (item, weight): (ItemIdx, f32),
        draws: &mut Draws,
        scratch: &mut Folded,
    ) {
        let examples = &mut scratch.examples;
        examples.begin();
        examples.push(item, 1.0);
        for _ in 0..self.settings.negatives {
            let other = draws.below(u64::from(step.n_items)) as ItemIdx;
            if other != item {
                examples.push(other, 0.0);
            }
        }
        for &item in &examples.items {
            self.offered.prefetch(item);
            self.bias.prefetch(item as usize);
        }
        self.learn_examples(step, past, weight, scratch);
    }

    /// Learns the examples in `scratch` for the shopper with `past`: one step of the logistic loss over all of them.
    fn learn_examples(&mut self, step: &Step<'_>, past: &[PastEvent], weight: f32, scratch: &mut Folded) {
        let Folded { vector, examples: Examples { items, labels, errors, pull } } = scratch;
        vector.resize(self.settings.dim, 0.0);
        let factor = self.fold_in(&step.context, past, vector);
        errors.resize(items.len(), 0.0);
        if !self.offered.dot_each(vector, items, errors) {
            items.iter().for_each(|&item| self.offered.touch(item));
            self.offered.dot_each(vector, items, errors);
        }
        for (logit, &item) in errors.iter_mut().zip(&*items) {
            *logit = finite(*logit + self.bias.get(item as usize));
        }
        accrue_kernel::sigmoid_in_place(errors);
        errors.iter_mut().zip(&*labels).for_each(|(error, label)| *error = weight * (*error - label));
        // The gradient of the shopper's vector, before the rows move.
        pull.clear();
        pull.resize(self.settings.dim, 0.0);
        self.offered.add_rows(items.iter().copied().zip(errors.iter().copied()), pull, |_| ());
        let squared_norm = accrue_kernel::squared_norm(vector);
        let examples = items.iter().copied().zip(errors.iter().copied());
        self.offered.descend_each(examples.clone(), vector, squared_norm);
        for (item, error) in examples {
            *self.bias.get_mut(item as usize) -= 0.3 * self.settings.rate * error;
        }
        if factor > 0.0 {
            let squared_norm = accrue_kernel::squared_norm(pull);
            let last = past.iter().rev().take(self.settings.reach);
            let terms = last.map(|past| (past.item, step.context.weight(past))).filter(|&(_, weight)| weight != 0.0);
            self.chosen.descend_each(terms.map(|(item, weight)| (item, weight * factor)), pull, squared_norm);
        }
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.settings.dim
    }

    /// An item's row `[dim]`, by which it is chosen; `None` for one that was never learned.
    pub fn item_row(&self, item: ItemIdx) -> Option<&[f32]> {
        self.offered.row(item).filter(|_| self.offered.is_learned(item))
    }

    /// The items with the largest `u · p_i`, at most `limit`, best first: an int8 scan over all rows.
    pub fn nearest(&self, shopper: &[f32], limit: usize) -> Vec<ItemIdx> {
        self.offered.nearest(shopper, limit)
    }

    /// `u · p_i + b_i`, the logit of choosing the item; that of the average item for one never seen. Always a finite number.
    pub fn score(&self, shopper: &[f32], item: ItemIdx) -> f32 {
        self.offered.row(item).map_or(0.0, |row| finite(dot(shopper, row) + self.bias.get(item as usize)))
    }
}

/// The logit within bounds that no usable one reaches. A logit that is not a number, from rows whose product overflows,
/// becomes the lower bound.
#[inline]
fn finite(logit: f32) -> f32 {
    const BOUND: f32 = 1e4;
    if logit.is_nan() { -BOUND } else { logit.clamp(-BOUND, BOUND) }
}
