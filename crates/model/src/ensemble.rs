//! All models of the spine side by side, and the blend over them: what the learner trains and the server publishes.
//!
//! In: steps, item descriptions. Out: for a context, candidates from every source and their blended scores with reasons.
//! Cloning it is publishing it: only pointers are copied.

use std::sync::Arc;

use accrue_store::{CheckpointWriter, ItemIdx, Past, SectionSource, StoreError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::blend::{Axis, Blend, BlendSettings, Feature, Sample};
use crate::cow::CowVec;
use crate::factorization::{Factorization, FactorizationSettings};
use crate::fitted::{Fitted, FittedSettings, PendingFit, Standing};
use crate::gaussian::{Gaussian, RowBelief};
use crate::neighbours::{NeighbourSums, Neighbours, NeighboursSettings};
use crate::online::{Sequence, SequenceKind, SequenceScratch, SequenceSettings, ShopperState};
use crate::popularity::Popularity;
use crate::preference::{Liking, Preference};
use crate::repeat::Repeat;
use crate::{Context, Scored, Step};

/// Columns of a candidate's feature row; the last two are there only with the models that they come from.
pub const N_FEATURES: usize = 14;
/// The column of the fitted model.
const FITTED: usize = N_FEATURES - 1;
/// The column of the sequence model.
const SEQUENCE: usize = N_FEATURES - 2;
/// Place of matrix factorization's column.
const FACTORIZATION: usize = 9;
/// Groups of the blend: (no visit | short visit | long visit) × (new to the shopper | chosen before).
const N_GROUPS: usize = 6;
/// After each so many events the blend learns a little more rarely, down to one event in `learn_one_in`.
const YOUTH: u64 = 16_384;
/// Stream of the blend's random numbers.
const STREAM: u64 = 0x424c_4e44;

/// The features in the order of their columns.
pub const FEATURES: [Feature; N_FEATURES] = [
    log("popular_day", -14.0, 1.0, 0.05),
    log("popular_week", -14.0, 1.0, 0.15),
    log("popular_season", -14.0, 1.0, 0.05),
    log("own_count", 0.0, 0.5, 0.1),
    log("own_decayed", -7.0, 1.0, 0.1),
    log("own_recency", -9.0, 0.7, 0.1),
    log("followed_by", -12.0, 1.0, 0.25),
    log("in_one_visit", -12.0, 1.0, 0.25),
    log("across_visits", -12.0, 1.0, 0.2),
    Feature { name: "factorization", axis: Axis::Linear { low: -9.0, high: 6.0 }, slope: 0.3 },
    log("preference", -9.0, 1.0, 0.1),
    log("newness", -9.0, 0.7, 0.02),
    Feature { name: "sequence", axis: Axis::Linear { low: -6.0, high: 9.0 }, slope: 0.3 },
    log("fitted", -4.0, 0.75, 0.2),
];

/// The features with or without a sequence model and a fitted one. With the latter alone the former's column is the same for all
/// items, and so puts none before another.
fn features_with(sequence: bool, fitted: bool) -> &'static [Feature] {
    match (sequence, fitted) {
        (_, true) => &FEATURES,
        (true, false) => &FEATURES[..FITTED],
        (false, false) => &FEATURES[..SEQUENCE],
    }
}

const fn log(name: &'static str, low: f32, step: f32, slope: f32) -> Feature {
    Feature { name, axis: Axis::Log { low, step }, slope }
}

/// Which model scores: the blend of all, or one of its parts alone. Only what is needed is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of them, by learned curves.
    #[default]
    Blend,
    /// Decayed popularity, by the week.
    Popularity,
    /// The shopper's own items by decayed count, then popularity.
    Repeat,
    /// Item neighbours, the three kinds added up.
    Neighbours,
    /// Preference by description.
    Preference,
    /// Matrix factorization.
    Factorization,
    /// The sequence network, then popularity.
    Sequence,
    /// The fitted model, then popularity.
    Fitted,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 8] = [
        Part::Blend,
        Part::Popularity,
        Part::Repeat,
        Part::Neighbours,
        Part::Preference,
        Part::Factorization,
        Part::Sequence,
        Part::Fitted,
    ];

    /// The name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Part::Blend => "blend",
            Part::Popularity => "popularity",
            Part::Repeat => "repeat",
            Part::Neighbours => "neighbours",
            Part::Preference => "preference",
            Part::Factorization => "factorization",
            Part::Sequence => "sequence",
            Part::Fitted => "fitted",
        }
    }

    /// Columns of the feature row that make its score, with their factors.
    fn columns(self) -> &'static [(usize, f32)] {
        match self {
            Part::Blend => &[],
            Part::Popularity => &[(1, 1.0)],
            Part::Repeat => &[(4, 1.0), (1, 1e-3)],
            Part::Neighbours => &[(6, 1.0), (7, 1.0), (8, 1.0)],
            Part::Preference => &[(10, 1.0)],
            Part::Factorization => &[(9, 1.0)],
            Part::Sequence => &[(SEQUENCE, 1.0), (1, 1e-3)],
            Part::Fitted => &[(FITTED, 1.0), (1, 1e-3)],
        }
    }

    fn needs(self, part: Part) -> bool {
        self == Part::Blend || self == part
    }
}

/// Settings of every model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which model scores.
    pub part: Part,
    /// Of item neighbours.
    pub neighbours: NeighboursSettings,
    /// Of matrix factorization.
    pub factorization: FactorizationSettings,
    /// Of the sequence network.
    pub sequence: SequenceSettings,
    /// Of the model that is fitted behind the stream.
    pub fitted: FittedSettings,
    /// Of the blend.
    pub blend: BlendSettings,
    /// How candidates are found and how often the blend learns.
    pub retrieval: RetrievalSettings,
}

impl Settings {
    /// Refuses what cannot work; says which setting, what it is and what is expected.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), String> {
        if self.part == Part::Sequence && self.sequence.kind == SequenceKind::None {
            return Err(
                "`model.part` is sequence, but `model.sequence.kind` is none; choose gru, transformer or convolution"
                    .into(),
            );
        }
        if self.part == Part::Fitted && self.fitted.model.settings().is_none() {
            return Err(
                "`model.part` is fitted, but `model.fitted.model` is none; name one, such as ease or als".into()
            );
        }
        self.sequence.validate()?;
        self.fitted.validate()
    }

    /// The sequence model that these settings ask for.
    fn sequence(&self, seed: u64) -> Option<Sequence> {
        self.part.needs(Part::Sequence).then(|| Sequence::new(self.sequence.clone(), seed)).flatten()
    }

    /// The fitted model that these settings ask for.
    fn fitted(&self, seed: u64) -> Option<Fitted> {
        self.part.needs(Part::Fitted).then(|| Fitted::new(self.fitted.clone(), seed)).flatten()
    }
}

/// How candidates are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrievalSettings {
    /// Candidates from neighbours.
    pub neighbours: usize,
    /// Candidates from the shopper's own items, the latest first.
    pub own: usize,
    /// Candidates from matrix factorization.
    pub factorization: usize,
    /// Candidates from the sequence network.
    pub sequence: usize,
    /// Candidates from the fitted model.
    pub fitted: usize,
    /// Leaders of the week.
    pub popular: usize,
    /// Newest items.
    pub new: usize,
    /// The blend of an old shop learns from one event in so many, chosen by the offset.
    pub learn_one_in: u64,
    /// Candidates of each source when the blend learns.
    pub learn_candidates: usize,
}

impl Default for RetrievalSettings {
    fn default() -> Self {
        Self {
            neighbours: 200,
            own: 1000,
            factorization: 100,
            sequence: 100,
            fitted: 100,
            popular: 100,
            new: 20,
            learn_one_in: 8,
            learn_candidates: 40,
        }
    }
}

/// The trained state of all models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// Which settings it was made with.
    pub settings: Settings,
    /// Decayed popularity.
    pub popularity: Popularity,
    /// Item neighbours.
    pub neighbours: Neighbours,
    /// Preference by description.
    pub preference: Preference,
    /// Matrix factorization.
    pub factorization: Factorization,
    /// The sequence network, if there is one.
    pub sequence: Option<Sequence>,
    /// The model that is fitted behind the stream, if there is one.
    pub fitted: Option<Fitted>,
    /// The blend over them.
    pub blend: Blend,
    /// When each item was first seen, in milliseconds since 1970; `i64::MAX` for never.
    first_seen: CowVec<i64>,
    /// Newest items, newest last.
    newest: Vec<ItemIdx>,
}

/// Scratch of one request at a time; keep one per thread.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    repeat: Repeat,
    neighbours: NeighbourSums,
    liking: Liking,
    shopper: Vec<f32>,
    sequence: ShopperState,
    fitted: Standing,
    scratch: SequenceScratch,
    visit_len: usize,
    now_ms: i64,
    sample: Sample,
    /// The share by which the next step's learning rates are raised.
    excess: f32,
    /// Where the blend ranked what it learned last; nothing if the last step taught it nothing.
    foreseen: Option<usize>,
    /// Scores instead of the part that the settings name.
    part: Option<Part>,
}

impl Prepared {
    /// Multiplies the learning rates of factorization and blend in the next step, and in that one alone.
    pub fn hasten(&mut self, pace: f32) {
        self.excess = pace - 1.0;
    }

    /// The place (from 0) at which the blend ranked what was chosen in the last step, among the step's candidates and before it
    /// learned from them; `None` if the step was not one that the blend learns from.
    pub fn foreseen(&self) -> Option<usize> {
        self.foreseen
    }

    /// Has another part score from here to the next [`Ensemble::prepare`]. Of parts that the settings leave unlearned there is
    /// nothing to score by.
    pub fn score_by(&mut self, part: Option<Part>) {
        self.part = part;
    }
}

impl Ensemble {
    /// Nothing learned yet.
    ///
    /// # Panics
    /// If the settings are not valid; see [`Settings::validate`].
    pub fn new(settings: Settings, seed: u64) -> Self {
        let (sequence, fitted) = (settings.sequence(seed), settings.fitted(seed));
        let features = features_with(sequence.is_some(), fitted.is_some());
        Self {
            popularity: Popularity::default(),
            neighbours: Neighbours::new(settings.neighbours.clone()),
            preference: Preference::default(),
            factorization: Factorization::new(settings.factorization.clone(), seed),
            blend: Blend::new(settings.blend.clone(), features, N_GROUPS),
            sequence,
            fitted,
            first_seen: CowVec::new(256, i64::MAX),
            newest: Vec::new(),
            settings,
        }
    }

    /// How many items have been seen.
    pub fn n_items(&self) -> u32 {
        self.first_seen.len() as u32
    }

    /// Puts other settings in force. Curves, pairs and counts go on; rows of another size begin anew.
    pub fn set_settings(&mut self, settings: Settings, seed: u64) {
        if settings.factorization.dim != self.settings.factorization.dim {
            self.factorization = Factorization::new(settings.factorization.clone(), seed);
        }
        self.factorization.set_settings(settings.factorization.clone());
        self.neighbours.set_settings(settings.neighbours.clone());
        match self
            .sequence
            .as_mut()
            .filter(|model| settings.part.needs(Part::Sequence) && model.fits(&settings.sequence))
        {
            Some(model) => model.set_settings(settings.sequence.clone()),
            None => self.sequence = settings.sequence(seed),
        }
        match self.fitted.as_mut().filter(|_| settings.fitted(seed).is_some()) {
            Some(model) => model.set_settings(settings.fitted.clone()),
            None => self.fitted = settings.fitted(seed),
        }
        let features = features_with(self.sequence.is_some(), self.fitted.is_some());
        if features.len() != self.blend.n_features() {
            self.blend.set_features(features, N_GROUPS);
        }
        self.blend.set_settings(settings.blend.clone());
        self.settings = settings;
    }

    /// Takes note of an item and when it was first seen.
    pub fn see_item(&mut self, item: ItemIdx, at_ms: i64) {
        if *self.first_seen.get(item as usize) == i64::MAX {
            *self.first_seen.get_mut(item as usize) = at_ms;
            self.newest.push(item);
            if self.newest.len() > 2 * N_NEWEST {
                self.newest.drain(..N_NEWEST);
            }
        }
    }

    /// Takes over what `other` knows of the catalogue: which items there are, since when, and what they are like. Nothing that
    /// was learned moves.
    pub fn take_catalogue(&mut self, other: &Self) {
        self.first_seen = other.first_seen.clone();
        self.newest.clone_from(&other.newest);
        self.preference.take_descriptions(&other.preference);
    }

    /// Holds the memory of `other` wherever both say the same: states that come out of a file one by one share it again.
    pub fn share_with(&mut self, other: &Self) {
        self.first_seen.share_with(&other.first_seen);
        self.popularity.share_with(&other.popularity);
        self.neighbours.share_with(&other.neighbours);
        self.factorization.share_with(&other.factorization);
        if let (Some(mine), Some(theirs)) = (&mut self.sequence, &other.sequence) {
            mine.share_with(theirs);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.fitted, &other.fitted) {
            mine.share_with(theirs);
        }
        if self.preference == other.preference {
            self.preference = other.preference.clone();
        }
    }

    /// When the item was first seen, in milliseconds since 1970.
    pub fn first_seen_ms(&self, item: ItemIdx) -> Option<i64> {
        Some(*self.first_seen.get(item as usize)).filter(|&at_ms| at_ms != i64::MAX)
    }

    /// Learns from one event: the blend first, against the models as they predicted it, then each model. `anchor` is the last state
    /// known good, for models that are pulled towards it.
    pub fn learn(&mut self, step: &Step<'_>, anchor: Option<&Self>, prepared: &mut Prepared) {
        // A young shop has few events to learn its curves from, an old one more than it needs.
        let one_in = (1 + step.offset / YOUTH).min(self.settings.retrieval.learn_one_in.max(1));
        let part = self.settings.part;
        prepared.foreseen = None;
        // Of an item's first sight nothing can be learned: nobody could have been shown it, and it would look as if all that
        // is new were chosen.
        if part == Part::Blend
            && step.weight > 0.0
            && step.is_known
            && accrue_kernel::random(step.seed, STREAM, step.offset, 0).is_multiple_of(one_in)
        {
            // Two samples of three are seen as if the visit had just begun: the page that greets a shopper has less to go by,
            // and so more to learn from.
            let greeting = !accrue_kernel::random(step.seed, STREAM, step.offset, 1).is_multiple_of(3);
            let context = if greeting { step.context.before_visit() } else { step.context };
            self.learn_blend(step, context, prepared);
        }
        // Leaders are candidates of every model, and cost next to nothing.
        self.popularity.learn(step);
        if part.needs(Part::Neighbours) {
            self.neighbours.learn(step);
        }
        if part.needs(Part::Preference) {
            self.preference.learn(step);
        }
        if part.needs(Part::Factorization) {
            self.factorization.set_pace(1.0 + prepared.excess);
            self.factorization.learn(step);
        }
        if let Some(sequence) = &mut self.sequence {
            sequence.learn(step, anchor.and_then(|anchor| anchor.sequence.as_ref()), &mut prepared.scratch);
        }
        if let Some(fitted) = &mut self.fitted {
            fitted.learn(step);
        }
        // Scratch must not outlive the step: a run that was resumed has none.
        prepared.excess = 0.0;
    }

    /// Learns that what was shown was not chosen: `step.weight` is negative. Only matrix factorization does: its logistic loss knows
    /// negatives. Preference and the blend compare, and what was shown is still likelier than an item drawn at random.
    pub fn learn_passed_over(&mut self, step: &Step<'_>) {
        if self.settings.part.needs(Part::Factorization) {
            self.factorization.learn_passed_over(step);
        }
    }

    fn learn_blend(&mut self, step: &Step<'_>, context: Context<'_>, prepared: &mut Prepared) {
        self.prepare(&context, prepared);
        let limit = self.settings.retrieval.learn_candidates;
        let retrieved = self.candidates(&context, prepared, limit, true);
        let mut candidates = retrieved.clone();
        let mut draws = accrue_kernel::Draws::new(step.seed, STREAM + 1, step.offset);
        candidates.extend((0..limit).map(|_| draws.below(u64::from(step.n_items.max(1))) as ItemIdx));
        candidates.push(step.event.item);
        candidates.sort_unstable();
        candidates.dedup();
        let chosen = candidates.binary_search(&step.event.item).expect("the chosen item was put in");
        // Sampled softmax: an item drawn at random stands for all that could have been drawn (Bengio, Senécal 2008).
        let n_drawn = (candidates.len() - retrieved.len()).max(1) as f32;
        let stands_for = accrue_kernel::ln(((step.n_items as f32 - retrieved.len() as f32) / n_drawn).max(1.0));
        let mut sample = std::mem::take(&mut prepared.sample);
        sample.clear();
        for item in &candidates {
            let mut row = [0.0; N_FEATURES];
            let group = self.features(prepared, *item, &mut row);
            sample.push(
                group,
                &row[..self.blend.n_features()],
                if retrieved.binary_search(item).is_ok() { 0.0 } else { stands_for },
            );
        }
        self.blend.learn(&mut sample, chosen, step.weight * (1.0 + prepared.excess));
        // An item drawn at random was given the probability of all that it stands for; here it counts for itself.
        let for_itself = accrue_kernel::exp(-stands_for);
        let worth = |place: usize| {
            let is_retrieved = retrieved.binary_search(&candidates[place]).is_ok();
            sample.probability(place) * if is_retrieved { 1.0 } else { for_itself }
        };
        let least = worth(chosen);
        prepared.foreseen =
            Some((0..candidates.len()).filter(|&place| place != chosen && worth(place) >= least).count());
        prepared.sample = sample;
    }

    /// Reads a shopper's situation once, for any number of scores.
    pub fn prepare(&self, context: &Context<'_>, prepared: &mut Prepared) {
        prepared.repeat.prepare(context, self.n_items());
        self.neighbours.prepare(context, self.n_items(), &mut prepared.neighbours);
        self.preference.prepare(context, &mut prepared.liking);
        prepared.shopper = self.factorization.shopper(context);
        if let Some(sequence) = &self.sequence {
            sequence.prepare(context, &mut prepared.scratch, &mut prepared.sequence);
        }
        if let Some(fitted) = &self.fitted {
            fitted.prepare(context, &mut prepared.fitted);
        }
        prepared.visit_len = context.in_visit;
        prepared.now_ms = context.now_ms;
        prepared.part = None;
    }

    /// Writes the item's feature row `[N_FEATURES]` and returns its group in the blend.
    pub fn features(&self, prepared: &Prepared, item: ItemIdx, row: &mut [f32]) -> usize {
        self.popularity.features(item, &mut row[0..3]);
        prepared.repeat.features(item, &mut row[3..6]);
        self.neighbours.features(&prepared.neighbours, item, &mut row[6..9]);
        row[FACTORIZATION] = self.factorization.score(&prepared.shopper, item);
        row[10] = self.preference.score(&prepared.liking, item);
        let age_days = (prepared.now_ms - *self.first_seen.get(item as usize)).max(0) as f64 / 86_400_000.0;
        row[11] = 1.0 / (1.0 + age_days as f32);
        row[SEQUENCE] = self.sequence.as_ref().map_or(0.0, |sequence| sequence.score(&prepared.sequence, item));
        row[FITTED] = self.fitted.as_ref().map_or(0.0, |fitted| fitted.score(&prepared.fitted, item));
        let depth = match prepared.visit_len {
            0 => 0,
            1..=4 => 1,
            _ => 2,
        };
        depth * 2 + usize::from(prepared.repeat.contains(item))
    }

    /// The score of an item: the sum of its [`Ensemble::shares`].
    pub fn score(&self, prepared: &Prepared, item: ItemIdx) -> f32 {
        let mut row = [0.0; N_FEATURES];
        let group = self.features(prepared, item, &mut row);
        match prepared.part.unwrap_or(self.settings.part) {
            Part::Blend => self.blend.score(group, &row[..self.blend.n_features()]),
            part => part.columns().iter().map(|&(column, factor)| factor * row[column]).sum(),
        }
    }

    /// [`score`](Self::score) and how far it may be off, by what factorization does not know yet; the other parts count what they
    /// have seen and know it. `prepared`: for `context`.
    pub fn beliefs(&self, context: &Context<'_>, prepared: &Prepared, items: &[ItemIdx]) -> Vec<Gaussian> {
        let variance = self.factorization.shopper_variance(context);
        let shopper = RowBelief { mean: &prepared.shopper, variance };
        let believe = |&item: &ItemIdx| {
            let deviation = self.factorization.belief(shopper, item).deviation();
            let mut row = [0.0; N_FEATURES];
            let group = self.features(prepared, item, &mut row);
            let deviation = match prepared.part.unwrap_or(self.settings.part) {
                // A curve is no line: what matters is where a deviation up and one down lead to.
                Part::Blend => {
                    let at = |value: f32| self.blend.share(group, FACTORIZATION, value);
                    0.5 * (at(row[FACTORIZATION] + deviation) - at(row[FACTORIZATION] - deviation)).abs()
                }
                part => {
                    let of_column = part.columns().iter().filter(|&&(column, _)| column == FACTORIZATION);
                    of_column.map(|&(_, factor)| factor * deviation).sum::<f32>()
                }
            };
            Gaussian { mean: self.score(prepared, item), variance: deviation * deviation }
        };
        items.iter().map(believe).collect()
    }

    /// What each feature adds to the score of an item, in the order of [`FEATURES`].
    pub fn shares(&self, prepared: &Prepared, item: ItemIdx) -> [f32; N_FEATURES] {
        let mut row = [0.0; N_FEATURES];
        let group = self.features(prepared, item, &mut row);
        let mut shares = [0.0; N_FEATURES];
        match prepared.part.unwrap_or(self.settings.part) {
            Part::Blend => {
                let of_features = shares.iter_mut().zip(&row).take(self.blend.n_features()).enumerate();
                of_features.for_each(|(feature, (share, &value))| *share = self.blend.share(group, feature, value));
            }
            part => part.columns().iter().for_each(|&(column, factor)| shares[column] = factor * row[column]),
        }
        shares
    }

    /// Candidates from every source, each item once, in the order of the items.
    pub fn candidates(&self, context: &Context<'_>, prepared: &Prepared, cap: usize, learning: bool) -> Vec<ItemIdx> {
        let retrieval = &self.settings.retrieval;
        let mut items = self.neighbours.retrieve(&prepared.neighbours, retrieval.neighbours.min(cap));
        let own = context.past.iter().rev().map(|past: &Past| past.item);
        items.extend(own.take(retrieval.own.min(cap)));
        items
            .extend(self.popularity.leaders(context.now_ms).take(retrieval.popular.min(cap)).map(|leader| leader.item));
        items.extend(self.newest.iter().rev().take(retrieval.new.min(cap)));
        if !learning {
            items.extend(self.factorization.retrieve(&prepared.shopper, retrieval.factorization.min(cap)));
            if let Some(sequence) = &self.sequence {
                items.extend(sequence.retrieve(&prepared.sequence, retrieval.sequence.min(cap)));
            }
            if let Some(fitted) = &self.fitted {
                items.extend(fitted.retrieve(&prepared.fitted, retrieval.fitted.min(cap)));
            }
        }
        items.sort_unstable();
        items.dedup();
        items
    }

    /// The best `limit` items of those that `accept` lets through, best first.
    pub fn rank(
        &self,
        context: &Context<'_>,
        prepared: &mut Prepared,
        limit: usize,
        accept: impl Fn(ItemIdx) -> bool,
    ) -> Vec<Scored> {
        self.prepare(context, prepared);
        let mut best = accrue_kernel::TopK::new(limit);
        for item in self.candidates(context, prepared, usize::MAX, false) {
            if accept(item) {
                best.push(self.score(prepared, item), item);
            }
        }
        best.into_sorted().into_iter().map(|(score, item)| Scored { item, score }).collect()
    }

    /// Makes scans see what was learned; call before publishing.
    pub fn refresh(&mut self) {
        self.factorization.refresh();
        if let Some(sequence) = &mut self.sequence {
            sequence.refresh();
        }
    }

    /// A fit that has begun and is not in force yet.
    pub fn pending_fit(&self) -> Option<&Arc<PendingFit>> {
        self.fitted.as_ref().and_then(Fitted::pending)
    }

    /// So many choices can be learned without waiting for a fit; see [`Fitted::free_choices`].
    pub fn free_choices(&self) -> u64 {
        self.fitted.as_ref().map_or(u64::MAX, Fitted::free_choices)
    }

    /// Numbers that were learned.
    pub fn n_params(&self) -> u64 {
        match self.settings.part {
            Part::Blend => {
                let parts = [
                    Part::Popularity,
                    Part::Neighbours,
                    Part::Preference,
                    Part::Factorization,
                    Part::Sequence,
                    Part::Fitted,
                ];
                parts.iter().map(|&part| self.n_params_of(part)).sum::<u64>() + self.blend.n_params()
            }
            part => self.n_params_of(part),
        }
    }

    fn n_params_of(&self, part: Part) -> u64 {
        match part {
            Part::Blend => self.blend.n_params(),
            Part::Popularity | Part::Repeat => self.popularity.n_params(),
            Part::Neighbours => self.neighbours.n_params(),
            Part::Preference => self.preference.n_params(),
            Part::Factorization => self.factorization.n_params(),
            Part::Sequence => self.sequence.as_ref().map_or(0, Sequence::n_params),
            Part::Fitted => self.fitted.as_ref().map_or(0, Fitted::n_params),
        }
    }

    /// The newest items, newest first.
    pub fn newest(&self) -> impl Iterator<Item = ItemIdx> + '_ {
        self.newest.iter().rev().copied()
    }

    /// Bytes copied by writes after publications.
    pub fn copied_bytes(&self) -> u64 {
        self.popularity.copied_bytes()
            + self.neighbours.copied_bytes()
            + self.preference.copied_bytes()
            + self.factorization.copied_bytes()
            + self.sequence.as_ref().map_or(0, Sequence::copied_bytes)
            + self.fitted.as_ref().map_or(0, Fitted::copied_bytes)
            + self.first_seen.copied_bytes()
    }
}

/// What a checkpoint keeps of an ensemble: a section for each part, with a version of its own. A part whose section this build cannot use
/// is as it was before it learned anything, and the others are taken as they are.
impl Ensemble {
    /// Writes the sections; their names begin with `prefix`. The settings are not among them: they are the caller's.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, writer: &mut CheckpointWriter, prefix: &str) -> Result<(), StoreError> {
        writer.value(&format!("{prefix}/popularity"), 1, &self.popularity)?;
        writer.value(&format!("{prefix}/neighbours"), 1, &self.neighbours)?;
        writer.value(&format!("{prefix}/preference"), 1, &self.preference)?;
        writer.value(&format!("{prefix}/factorization"), 1, &self.factorization)?;
        if let Some(sequence) = &self.sequence {
            writer.value(&format!("{prefix}/sequence"), 1, sequence)?;
        }
        if let Some(fitted) = &self.fitted {
            writer.value(&format!("{prefix}/fitted"), 1, fitted)?;
        }
        writer.value(&format!("{prefix}/blend"), 1, &self.blend)?;
        writer.value(&format!("{prefix}/items"), 1, &(&self.first_seen, &self.newest))
    }

    /// Reads what [`Ensemble::save`] wrote, under the settings that it had.
    ///
    /// # Errors
    /// If a section is damaged.
    pub fn load(
        source: &mut SectionSource<'_>,
        prefix: &str,
        settings: Settings,
        seed: u64,
    ) -> Result<Self, StoreError> {
        let mut ensemble = Self::new(settings, seed);
        read_into(source, &format!("{prefix}/popularity"), 1, &mut ensemble.popularity)?;
        read_into(source, &format!("{prefix}/neighbours"), 1, &mut ensemble.neighbours)?;
        read_into(source, &format!("{prefix}/preference"), 1, &mut ensemble.preference)?;
        read_into(source, &format!("{prefix}/factorization"), 1, &mut ensemble.factorization)?;
        if let Some(sequence) = &mut ensemble.sequence {
            read_into(source, &format!("{prefix}/sequence"), 1, sequence)?;
        }
        if let Some(fitted) = &mut ensemble.fitted {
            read_into(source, &format!("{prefix}/fitted"), 1, fitted)?;
        }
        read_into(source, &format!("{prefix}/blend"), 1, &mut ensemble.blend)?;
        if let Some((first_seen, newest)) = source.value(&format!("{prefix}/items"), 1)? {
            (ensemble.first_seen, ensemble.newest) = (first_seen, newest);
        }
        let features = features_with(ensemble.sequence.is_some(), ensemble.fitted.is_some());
        if features.len() != ensemble.blend.n_features() {
            ensemble.blend.set_features(features, N_GROUPS);
        }
        Ok(ensemble)
    }
}

fn read_into<T: DeserializeOwned>(
    source: &mut SectionSource<'_>,
    name: &str,
    version: u32,
    part: &mut T,
) -> Result<(), StoreError> {
    if let Some(read) = source.value(name, version)? {
        *part = read;
    }
    Ok(())
}

/// Newest items kept in order.
const N_NEWEST: usize = 256;
