//! The learner: one step per fact, in log order. Before some steps it predicts, so that the quality of the models is
//! known.
//!
//! In: facts with their offsets. Out: a [`Version`] whenever the caller asks for one. It keeps histories of its own,
//! because those of the facts may be ahead: what a shopper did later must not be known when an earlier event is
//! learned.

mod challenger;
mod impressions;
mod replacement;
mod sections;
mod shadow;

use std::sync::Arc;

use accrue_event::{DAY_MS, EventType};
use accrue_model::parts::provided;
use accrue_model::{Context, Ensemble, PendingFit, Prepared, Step, TypeWeights, Version};
use accrue_store::{Descriptor, Fact, Facts, Histories, Interaction, ItemIdx, Names, Offset};
use serde::{Deserialize, Serialize};

pub use self::challenger::Challenger;
pub use self::sections::RestartedSection;
use self::shadow::Shadow;
use crate::clicks::{ClickScratch, Clicks, ShownPage};
use crate::descriptions::Descriptions;
use crate::gate::Challenge;
use crate::guard::{Finding, Guard, Observation, Probation, Tally};
use crate::impressions::Impressions;
use crate::lenient::{IgnoredSetting, Recorded};
use crate::model_state::ModelState;
use crate::prequential::{ArmQuality, Quality};
use crate::resets::Resets;
use crate::versions::{Lineage, Sealing};
use crate::{LearnSettings, TrainError};

/// Stream of the random numbers that choose which events are predicted.
const STREAM: u64 = 0x5052_4551;
/// Where there were few records so far, more events are predicted: after each this many records, one in one more.
const RECORDS_PER_STEP: u64 = 1_024;
/// The first version is sealed after this many choices.
const FIRST_VERSION: u64 = 2_000;
/// Largest number of ignored settings that are remembered.
const MAX_IGNORED: usize = 256;

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
                if let Some(guest) = published.filter(|&guest| !self.histories.get(guest).past().is_empty()) {
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

    /// Sets the weight of a custom type at its first event.
    fn weigh(&mut self, type_code: u8, own_type: Option<&EventType>) {
        let Some(event_type) = own_type else { return };
        if !self.weights.knows(type_code) {
            self.weights.set(type_code, self.settings.weight(event_type));
        }
        if let Some(shadow) = &mut self.unsaved.shadow {
            shadow.weigh(type_code, event_type);
        }
    }

    /// Puts the settings of a record in force. Before the first interaction the learner begins again with them.
    fn adopt(&mut self, offset: Offset, text: &str) -> Result<(), TrainError> {
        let recorded = LearnSettings::from_record(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        let Recorded { settings, ignored } = recorded;
        self.note_ignored(offset, ignored);
        if !settings.models.init.parts.is_empty() && provided(&settings.models.init).is_none() {
            return Err(TrainError::MissingParts(settings.models.init.parts));
        }
        if self.progress.n_learned == 0 {
            let (progress, descriptions) = (self.progress.clone(), std::mem::take(&mut self.descriptions));
            let unsaved = Unsaved { ignored: std::mem::take(&mut self.unsaved.ignored), ..Unsaved::default() };
            let mut fresh = Self { progress, descriptions, unsaved, ..Self::new(settings) };
            // What was told of items is known to the models whatever their settings are.
            fresh.current.take_catalogue(&self.current);
            *self = fresh;
            return Ok(());
        }
        self.current.set_settings(&settings.models, self.settings.seed);
        self.clicks.drop_waiting();
        self.put_in_force(settings);
        self.update_arms();
        Ok(())
    }

    /// Remembers the ignored settings of a record, each once.
    fn note_ignored(&mut self, offset: Offset, ignored: Vec<IgnoredSetting>) {
        let known = &mut self.unsaved.ignored;
        for setting in ignored {
            if known.len() < MAX_IGNORED && known.iter().all(|(_, known)| known.key != setting.key) {
                known.push((offset, setting));
            }
        }
    }

    fn put_in_force(&mut self, settings: LearnSettings) {
        if settings.weights != self.settings.weights {
            for (code, event_type) in EventType::BUILT_IN.iter().enumerate() {
                self.weights.set(code as u8, settings.weight(event_type));
            }
            self.weights.truncate(EventType::BUILT_IN.len());
        }
        self.settings =
            LearnSettings { seed: self.settings.seed, history_capacity: self.settings.history_capacity, ..settings };
    }

    /// Gives each arm of an experiment models of its own, as the settings say. Arms that have theirs keep them.
    fn update_arms(&mut self) {
        let split = self.settings.arms.as_ref();
        if self.current.split_by(split) {
            self.quality.arms = vec![ArmQuality::default(); split.map_or(0, |split| split.arms.len())];
        }
    }

    fn learn(&mut self, offset: Offset, event: &Interaction, names: &Names<'_>) {
        let is_known = self.is_known(event.item);
        // Anyone can send an event of a published key, with any time.
        if self.settings.dates_items_by_events && !names.is_published {
            self.each_catalogue(|models| models.date_item(event.item, event.at_ms));
        }
        let weight = self.weights.get(event.type_code);
        self.label(event, weight, names.no_evidence);
        if is_for_own_pages(names, weight) {
            self.progress.n_learned += 1;
            self.remember(event);
            return;
        }
        let Unsaved { prepared, descriptors, shadow, .. } = &mut self.unsaved;
        self.descriptions.read(event.shopper, descriptors);
        let context = Context::new(self.histories.get(event.shopper), event.session, event.at_ms, &self.weights)
            .described(descriptors)
            .in_circumstances(names.circumstances);
        let step = Step {
            offset: offset.0,
            seed: self.settings.seed,
            context,
            event: *event,
            weight,
            n_items: self.current.shared.n_items(),
            is_known,
            rate_multiplier: 1.0,
        };
        let is_skipped = exceeds_daily_limit(&self.settings, &context, event, weight);
        if let Some(shadow) = shadow {
            shadow.learn(&self.current.shared, &step, is_skipped, prepared);
        }
        if is_skipped {
            self.progress.n_repeats_skipped += 1;
            self.progress.n_learned += 1;
            self.remember(event);
            return;
        }
        if let Some(one_in) = one_predicted_in(&self.settings, offset, weight) {
            self.current.refresh();
            let serving = match self.lineage.good() {
                Some((_, good)) if self.stage.on_probation => good,
                _ => &self.current,
            };
            self.quality.one_in = one_in;
            self.quality.predict(serving, self.settings.arms.as_ref(), &step, names.shopper, prepared);
        }
        let finding = if weight != 0.0 && self.settings.guard.enabled {
            let choice = Observation {
                offset: offset.0,
                seed: self.settings.seed,
                context,
                event: *event,
                names: *names,
                weight,
                received_ms: self.progress.received_ms,
                probation: self.stage.probation(),
                since_good: self.stage.since_good,
            };
            let good = self.lineage.good().map(|(_, state)| &state.shared);
            self.guard.observe(&self.settings.guard, &choice, &self.current.shared, good, prepared)
        } else {
            Finding::GoOn
        };
        if matches!(finding, Finding::GoOn | Finding::Cleared) {
            let step = Step { rate_multiplier: self.quality.drift.rate_multiplier(), ..step };
            let good = self.lineage.good().map(|(_, state)| state);
            self.current.learn(&step, names.shopper, good, prepared);
            self.quality.drift.observe(&self.settings.drift, offset.0, prepared.foreseen());
        }
        self.remember(event);
        self.progress.n_learned += 1;
        self.stage.count_choice(weight);
        if let Some(arm) = self.current.arm_of(names.shopper) {
            self.quality.arms[arm].n_choices += u64::from(weight != 0.0);
        }
        self.act_on(finding, offset.next());
    }

    /// Carries out what the guard found. `end` is the offset after the choice.
    fn act_on(&mut self, finding: Finding, end: Offset) {
        match finding {
            Finding::Alarm(alarm) => self.undo(end, &alarm),
            Finding::Cleared => self.end_probation(),
            Finding::GoOn | Finding::Withhold if self.settings.guard.enabled => self.advance(end),
            Finding::GoOn | Finding::Withhold => {}
        }
    }

    /// Seals a version, or confirms the sealed one, when enough choices have been learned and no test suspects strong
    /// harm.
    fn advance(&mut self, end: Offset) {
        let guard = &self.settings.guard;
        if self.guard.holds() {
            return;
        }
        let due = guard.version_every.min((self.progress.n_learned / 2).max(FIRST_VERSION));
        if self.lineage.sealed().is_some() {
            if self.stage.since_sealed >= guard.confirm_after.min(due) {
                self.lineage.confirm(guard.versions_kept);
                self.guard.note_sound();
                self.stage.since_good = self.stage.since_sealed;
                self.guard.trust_before(self.lineage.good_end().0, guard.anchors);
                self.guard.restart();
            }
        } else if !self.stage.on_probation && self.stage.since_sealed >= due {
            self.current.refresh();
            let sealing = self.sealing(end);
            self.lineage.seal_current(&self.current, &sealing, self.settings.guard.versions_kept);
            self.stage.since_sealed = 0;
        }
    }

    /// The same state without the names that versions have of their build and settings: what a digest covers, because
    /// another build learns the same and calls it otherwise.
    pub(crate) fn without_labels(&self) -> Self {
        let mut learner = self.clone();
        learner.lineage.clear_labels();
        learner
    }

    fn sealing(&self, end: Offset) -> Sealing {
        Sealing {
            offset: end,
            received_ms: self.progress.received_ms,
            settings: self.settings.fingerprint(),
            tallies: self.guard.tallies(),
        }
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

    /// An immutable copy of the models that answer. It shares memory with them, and with earlier copies, until they
    /// change.
    pub fn publish(&mut self) -> Version {
        self.current.refresh();
        match self.stage.on_probation.then(|| self.publish_good()).flatten() {
            Some(good) => good,
            None => self.version(self.lineage.learning(), &self.current),
        }
    }

    /// An immutable copy of the good version, which knows the items that are sold now; `None` while there is no good
    /// version.
    pub fn publish_good(&self) -> Option<Version> {
        let (number, state) = self.lineage.good()?;
        let mut state = state.clone();
        state.take_catalogue(&self.current);
        Some(self.version(number, &state))
    }

    fn version(&self, number: u64, state: &ModelState) -> Version {
        let end = self.progress.end.0;
        let version = |ensemble: &Ensemble| Version::new(number, end, ensemble.clone(), self.weights.clone());
        let arms = state.arms_of(self.settings.arms.as_ref());
        let arms = arms.map(|(split, models)| (split.clone(), models.iter().map(version).collect()));
        let clicks = self.settings.clicks.enabled.then(|| self.clicks.heads().clone());
        Version { arms, clicks, ..version(&state.shared) }
    }

    /// After loading: makes the states of versions share the memory of the current model where both are equal.
    pub(crate) fn share_memory(&mut self) {
        self.current.refresh();
        self.current.share_within();
        for state in self.lineage.kept_states_mut() {
            state.share_with(&self.current);
            state.refresh();
        }
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

/// If the choice at this offset is predicted before it is learned: one choice in how many is.
fn one_predicted_in(settings: &LearnSettings, offset: Offset, weight: f32) -> Option<u64> {
    let one_in = (1 + offset.0 / RECORDS_PER_STEP).min(settings.predict_one_in.max(1));
    let is_predicted = weight > 0.0
        && settings.predict_one_in != u64::MAX
        && accrue_kernel::random(settings.seed, STREAM, offset.0, 0).is_multiple_of(one_in);
    is_predicted.then_some(one_in)
}

/// Whether an event of a published key is remembered for its own visitor and changes nothing of what others see: it
/// speaks against an item, which anyone can send, any number of times, or its record says so.
fn is_for_own_pages(names: &Names<'_>, weight: f32) -> bool {
    names.own_pages || (names.is_published && weight < 0.0)
}

/// Whether the shopper has made the same choice so often on that day that one more is not learned.
fn exceeds_daily_limit(settings: &LearnSettings, context: &Context<'_>, event: &Interaction, weight: f32) -> bool {
    // More events than a history holds cannot be counted.
    let limit = (settings.same_item_a_day as usize).min(settings.history_capacity);
    let begins_ms = event.at_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    let ends_ms = begins_ms.saturating_add(DAY_MS);
    let latest_first = context.past.iter().rev();
    let of_the_day =
        latest_first.skip_while(|past| past.at_ms() >= ends_ms).take_while(|past| past.at_ms() >= begins_ms);
    let same = of_the_day.filter(|past| (past.item, past.type_code) == (event.item, event.type_code));
    weight != 0.0 && limit > 0 && same.take(limit).count() == limit
}
