//! The learner: one step per fact, in log order. Before some steps it predicts, so that the quality of the models is
//! known.
//!
//! In: facts with their offsets. Out: a [`Version`](accrue_model::Version) whenever the caller asks for one. It keeps
//! histories of its own, because those of the facts may be ahead: what a shopper did later must not be known when an
//! earlier event is learned.

mod challenger;
mod choice;
mod impressions;
mod replacement;
mod sections;
mod settings;
mod shadow;
mod versions;

use std::sync::Arc;

use accrue_event::EventType;
use accrue_model::{Ensemble, PendingFit, Prepared, TypeWeights};
use accrue_store::{Descriptor, Fact, Facts, Histories, Interaction, ItemIdx, Offset};
use serde::{Deserialize, Serialize};

pub use self::challenger::Challenger;
pub use self::sections::RestartedSection;
use self::shadow::Shadow;
use crate::clicks::{ClickScratch, Clicks, ShownPage};
use crate::descriptions::Descriptions;
use crate::gate::Challenge;
use crate::guard::{Guard, Probation, Tally};
use crate::impressions::Impressions;
use crate::lenient::IgnoredSetting;
use crate::model_state::ModelState;
use crate::prequential::Quality;
use crate::resets::Resets;
use crate::versions::Lineage;
use crate::{LearnSettings, TrainError};

/// The learned state up to an offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    settings: LearnSettings,
    /// The models that learn.
    current: ModelState,
    guard: Guard,
    lineage: Lineage,
    stage: VersionStage,
    histories: Histories,
    descriptions: Descriptions,
    impressions: Impressions,
    clicks: Clicks,
    weights: TypeWeights,
    quality: Quality,
    /// Verdicts on challengers.
    resets: Resets,
    progress: Progress,
    /// Sections that could not be read from a checkpoint. With any, the state is not a fold of the log alone.
    restarted: Vec<RestartedSection>,
    #[serde(skip)]
    unsaved: Unsaved,
}

/// How far the current model is between two versions: it decides when one is sealed or confirmed and when a probation
/// may end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct VersionStage {
    /// Whether the current model was rolled back and has not been cleared since: then the good version serves.
    on_probation: bool,
    /// Choices since the last version was sealed, or since the last rollback.
    since_sealed: u64,
    /// Choices since the end of the good version, whether they were learned or not.
    since_good: u64,
    /// Number of choices that the last alarm undid. On probation the current model must learn as many before it may be
    /// cleared, because the same harm would not show earlier.
    undone: u64,
    /// Rollbacks by alarm so far, those on probation not counted.
    n_alarms: u64,
}

impl VersionStage {
    fn count_choice(&mut self, weight: f32) {
        self.since_sealed += u64::from(weight != 0.0);
        self.since_good += u64::from(weight != 0.0);
    }

    fn probation(&self) -> Probation {
        match self.on_probation {
            false => Probation::None,
            true if self.since_sealed < self.undone => Probation::TooSoon,
            true => Probation::Due,
        }
    }
}

/// How far the log is learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// Interactions learned.
    n_learned: u64,
    /// Choices that were not learned because of [`LearnSettings::same_item_a_day`].
    n_repeats_skipped: u64,
    /// The next record.
    end: Offset,
    /// When the last record arrived, in milliseconds since 1970.
    received_ms: i64,
}

/// What is neither compared nor saved: scratch memory, and what a restarted process finds out or begins again.
#[derive(Clone, Debug, Default)]
struct Unsaved {
    /// Settings of records that this build does not know, with the record that first had each.
    ignored: Vec<(Offset, IgnoredSetting)>,
    /// The items that this pass over the log has met. It is needed in later passes, and where items are announced
    /// before the records that describe them, because then the models know more items than the pass has met. `None` in
    /// the fold, a first pass.
    met: Option<Vec<bool>>,
    /// The next shopper whose history [`Learner::share_histories`] compares.
    share_from: usize,
    prepared: Prepared,
    /// The page that the latest impressions are of.
    shown: ShownPage,
    click_scratch: ClickScratch,
    /// Descriptors of the shopper of the present event.
    descriptors: Vec<Descriptor>,
    /// The challenger that is shadowed. After a crash its training begins again.
    shadow: Option<Box<Shadow>>,
}

/// Two learners are equal if they have learned the same: everything is compared but what is not saved.
impl PartialEq for Learner {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that a new field cannot be forgotten.
        let Self {
            settings,
            current,
            guard,
            lineage,
            stage,
            histories,
            descriptions,
            impressions,
            clicks,
            weights,
            quality,
            resets,
            progress,
            restarted,
            unsaved: _,
        } = self;
        *progress == other.progress
            && *settings == other.settings
            && *current == other.current
            && *guard == other.guard
            && *lineage == other.lineage
            && *stage == other.stage
            && *histories == other.histories
            && *descriptions == other.descriptions
            && *impressions == other.impressions
            && *clicks == other.clicks
            && *weights == other.weights
            && *quality == other.quality
            && *resets == other.resets
            && *restarted == other.restarted
    }
}

impl Learner {
    /// A learner before the first record.
    pub fn new(settings: LearnSettings) -> Self {
        let mut weights = TypeWeights::default();
        for (code, event_type) in EventType::BUILT_IN.iter().enumerate() {
            weights.set(code as u8, settings.weight(event_type));
        }
        let mut learner = Self {
            current: ModelState::new(settings.models.clone(), settings.seed),
            guard: Guard::default(),
            lineage: Lineage::default(),
            stage: VersionStage::default(),
            histories: Histories::new(settings.history_capacity),
            descriptions: Descriptions::default(),
            impressions: Impressions::default(),
            clicks: Clicks::new(settings.seed),
            settings,
            weights,
            quality: Quality::default(),
            resets: Resets::default(),
            progress: Progress::default(),
            restarted: Vec::new(),
            unsaved: Unsaved::default(),
        };
        learner.update_arms();
        learner
    }

    /// The next record to learn from.
    pub fn end(&self) -> Offset {
        self.progress.end
    }

    /// Interactions learned so far.
    pub fn n_learned(&self) -> u64 {
        self.progress.n_learned
    }

    /// Choices that were not learned because their shopper had made the same choice too often on that day
    /// ([`LearnSettings::same_item_a_day`]).
    pub fn n_repeats_skipped(&self) -> u64 {
        self.progress.n_repeats_skipped
    }

    /// The current model, without the arms of an experiment.
    pub fn ensemble(&self) -> &Ensemble {
        &self.current.shared
    }

    /// The current model, with the arms of an experiment.
    pub fn current(&self) -> &ModelState {
        &self.current
    }

    /// The models that answer: the current model, or the good version during a probation.
    pub fn serving(&self) -> &Ensemble {
        let good = self.lineage.good().filter(|_| self.stage.on_probation);
        good.map_or(&self.current.shared, |(_, state)| &state.shared)
    }

    /// Fits that have begun and are not in force yet. The learner computes each when it is due. Computing one earlier,
    /// on another thread, saves the learner the wait and changes nothing else.
    pub fn pending_fits(&self) -> impl Iterator<Item = &Arc<PendingFit>> {
        self.current.models().chain(self.shadow_model()).filter_map(Ensemble::pending_fit)
    }

    /// Number of choices that can be learned before the learner waits for a pending fit or begins the next one.
    pub fn free_choices(&self) -> u64 {
        self.current.models().chain(self.shadow_model()).map(Ensemble::free_choices).min().unwrap_or(u64::MAX)
    }

    /// All versions.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Whether the current model was rolled back and has not been cleared since.
    pub fn is_on_probation(&self) -> bool {
        self.stage.on_probation
    }

    /// Rollbacks by alarm so far.
    pub fn n_alarms(&self) -> u64 {
        self.stage.n_alarms
    }

    /// Mean NDCG@20 of `model` over the trusted holdout choices, and their number. The guard tests one of them at a
    /// time.
    pub fn holdout_ndcg(&self, model: &Ensemble) -> (f64, usize) {
        let ndcg = self.guard.holdout_ndcg(model, &self.weights, &mut Prepared::default());
        (ndcg, self.guard.n_holdout())
    }

    /// The events of each shopper, as far as the log is learned.
    pub fn histories(&self) -> &Histories {
        &self.histories
    }

    /// How well the models predict the next choice.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// The settings in force.
    pub fn settings(&self) -> &LearnSettings {
        &self.settings
    }

    /// Settings in the records taken so far that this build does not know or cannot use, each with the record that
    /// first had it. They have their defaults.
    pub fn ignored_settings(&self) -> &[(Offset, IgnoredSetting)] {
        &self.unsaved.ignored
    }

    /// Sections that could not be read from a checkpoint, and were learned from an offset on instead. With any, the
    /// state is not a fold of the log alone, and a replay reaches another one.
    pub fn restarted(&self) -> &[RestartedSection] {
        &self.restarted
    }

    /// The weight of each type of event.
    pub fn weights(&self) -> &TypeWeights {
        &self.weights
    }

    /// Makes the histories of the next `n` shoppers, in turn, share the memory of those in `facts` where both are
    /// equal. If it is called with as many shoppers as records are learned, only shoppers with events in between have a
    /// second copy.
    pub fn share_histories(&mut self, facts: &Facts, n: usize) {
        let next = &mut self.unsaved.share_from;
        let from = if *next < self.histories.len() { *next } else { 0 };
        *next = from.saturating_add(n);
        self.histories.share_with(&facts.histories, from..*next);
    }

    /// Learns from the next record's fact. `at_ms` is when the record arrived.
    ///
    /// # Errors
    /// If a settings record cannot be read, or if the record needs earlier ones ([`crate::look_back`]).
    ///
    /// # Panics
    /// If the record is not the next one.
    pub fn step(&mut self, offset: Offset, at_ms: i64, fact: Fact<'_>) -> Result<(), TrainError> {
        assert_eq!(offset, self.progress.end, "records are learned in order, without a gap");
        self.take(offset, at_ms, fact)?;
        self.progress.end = offset.next();
        Ok(())
    }

    /// [`Learner::step`] for a record that need not be the next one.
    pub(crate) fn take(&mut self, offset: Offset, at_ms: i64, fact: Fact<'_>) -> Result<(), TrainError> {
        self.progress.received_ms = at_ms;
        if !matches!(fact, Fact::Shown(..)) {
            self.unsaved.shown.end();
        }
        match fact {
            Fact::Nothing => {}
            Fact::Interaction(event, names) => {
                self.weigh(event.type_code, names.own_type);
                self.learn(offset, &event, &names);
            }
            Fact::Shown(impression, names) => self.show(offset, &impression, &names),
            Fact::Described(item, description) => {
                let seen_ms = description.published_at.map_or(at_ms, |published_at| published_at.0);
                self.note_item(item, seen_ms);
                self.change_models(|models| models.describe(item, description));
            }
            Fact::Patched(item, patch) => {
                self.note_item(item, at_ms);
                self.change_models(|models| models.patch(item, patch));
            }
            Fact::Encoded(item, vector) => self.change_models(|models| models.encode(item, vector)),
            Fact::UserDescribed(shopper, user) => self.descriptions.describe(shopper, user),
            Fact::UserRemoved(shopper) => self.descriptions.remove(shopper),
            Fact::Merged { guest, published, user } => {
                self.histories.merge(guest, user);
                self.forget_waiting(guest);
                // The facts may be ahead, so a guest without a history here may be one that comes later.
                if let Some(guest) = published.filter(|&guest| self.histories.n_events(guest) > 0) {
                    self.histories.merge(guest, user);
                    self.forget_waiting(guest);
                }
            }
            Fact::Settings(text) => self.adopt(offset, text)?,
            Fact::Chosen { version, why } => self.choose(version, why),
            Fact::Promoted { .. } => return Err(TrainError::LooksBack(offset)),
            Fact::WindowReleased { from, .. } => {
                self.lineage.release(from);
                // The challenger left these records out; trained again, it would learn them.
                self.unsaved.shadow = None;
            }
            Fact::ChallengeRefused { challenge, why } => {
                let of_reset = Challenge::is_reset(challenge).then_some(self.progress.n_learned);
                self.resets.refuse(offset, why, of_reset);
            }
        }
        Ok(())
    }

    /// Makes the same change to all models that learn, those of a shadowed challenger included.
    fn change_models(&mut self, mut change: impl FnMut(&mut Ensemble)) {
        self.current.change(&mut change);
        if let Some(shadow) = &mut self.unsaved.shadow {
            change(&mut shadow.state);
        }
    }

    /// Adds an event to its shopper's history without learning from it.
    pub(crate) fn remember(&mut self, event: &Interaction) {
        self.note_item(event.item, event.at_ms);
        self.histories.push(event);
    }

    /// The current model.
    pub(crate) fn into_current(self) -> ModelState {
        self.current
    }

    /// Makes an item known to the models without learning from it: the shop's items are known also while the models do
    /// not learn.
    pub fn see_item(&mut self, item: ItemIdx, at_ms: i64) {
        self.each_catalogue(|models| models.see_item(item, at_ms));
    }

    /// Makes the same change to what all models know of items: also to the states that the guard compares, so that to them
    /// an item does not look newer than it is.
    fn each_catalogue(&mut self, mut change: impl FnMut(&mut Ensemble)) {
        self.current.change(&mut change);
        self.lineage.tested_mut().for_each(|state| state.change(&mut change));
        if let Some(shadow) = &mut self.unsaved.shadow {
            change(&mut shadow.state);
        }
    }

    fn note_item(&mut self, item: ItemIdx, at_ms: i64) {
        self.see_item(item, at_ms);
        if let Some(met) = &mut self.unsaved.met {
            met.resize(met.len().max(item as usize + 1), false);
            met[item as usize] = true;
        }
    }

    /// Whether an earlier record was about the item.
    fn is_known(&self, item: ItemIdx) -> bool {
        match &self.unsaved.met {
            Some(met) => met.get(item as usize) == Some(&true),
            None => self.current.shared.first_seen_ms(item).is_some(),
        }
    }

    /// Begins another pass over the same events: forgets histories, descriptions and which items have occurred, and
    /// keeps what was learned.
    pub fn begin_epoch(&mut self) {
        self.histories = Histories::new(self.settings.history_capacity);
        self.descriptions = Descriptions::default();
        self.unsaved.met = Some(Vec::new());
    }

    /// The descriptions of shoppers, for digests.
    pub(crate) fn descriptions(&self) -> &Descriptions {
        &self.descriptions
    }

    /// Impressions that wait for their label, for digests.
    pub(crate) fn impressions(&self) -> &Impressions {
        &self.impressions
    }

    /// The click heads, and the impressions that they wait for.
    pub fn clicks(&self) -> &Clicks {
        &self.clicks
    }

    /// State of the guard, for digests.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Choices examined since the tests began, on the stream and on the holdout.
    pub fn tallies(&self) -> [Tally; 2] {
        self.guard.tallies()
    }
}
