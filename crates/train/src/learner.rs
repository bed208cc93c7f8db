//! The learner: one step per fact, in log order; before some steps it predicts, to know how good it is.
//!
//! In: facts with their offsets. Out: a [`Version`] whenever asked. It keeps histories of its own: the server's may have run
//! ahead, and what a shopper did later must not be seen when an earlier event is learned.

mod sections;
mod succession;

use std::sync::Arc;

use accrue_event::EventType;
use accrue_model::{Context, Ensemble, PendingFit, Prepared, Step, TypeWeights, Version};
use accrue_store::{Fact, Facts, Histories, Interaction, ItemIdx, Names, Offset};
use serde::{Deserialize, Serialize};

pub use self::sections::BegunAnew;
use crate::gain::LIST;
use crate::gate::{Challenge, Shadow};
use crate::guard::{Finding, Guard, Observation, Probation, Tally};
use crate::impressions::{Impressions, Shown};
use crate::lenient::{PassedOver, Recorded};
use crate::line::Line;
use crate::prequential::{ArmQuality, Quality};
use crate::resets::Resets;
use crate::versions::{Lineage, Sealing};
use crate::{LearnSettings, TrainError};

/// Stream of the random numbers that choose which events are predicted.
const STREAM: u64 = 0x5052_4551;
/// Predictions become rarer by one in a step of so many records.
const YOUTH: u64 = 1_024;
/// The code of the type `impression`, the first of [`EventType::BUILT_IN`].
const IMPRESSION: u8 = 0;
/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The first version is sealed after so many choices.
const FIRST_VERSION: u64 = 2_000;
/// Settings of records remembered that this build does not know.
const PASSED_OVER: usize = 256;

/// The learned state up to an offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learner {
    settings: LearnSettings,
    /// What learns.
    line: Line,
    guard: Guard,
    lineage: Lineage,
    /// Whether the line was rolled back and has not proved itself since: then the good version serves.
    on_probation: bool,
    /// Choices since the last version was sealed, or rolled back to.
    since_sealed: u64,
    /// Choices since the end of the good version, learned or not.
    since_good: u64,
    /// Choices after which a line that was undone had shown harm: on probation it must learn as many to show what they do.
    undone: u64,
    /// Rollbacks by alarm so far, those of a line on probation not counted.
    n_alarms: u64,
    histories: Histories,
    impressions: Impressions,
    weights: TypeWeights,
    quality: Quality,
    /// What came of challengers.
    resets: Resets,
    /// Interactions learned.
    n_learned: u64,
    /// Choices of which nothing was learned because their shopper had made them so often that day.
    n_repeats_passed: u64,
    /// Records folded.
    end: Offset,
    /// When the last of them came in, in milliseconds since 1970.
    received_ms: i64,
    /// Parts that could not be taken from a checkpoint: from there on the state is no fold of the log alone.
    begun_anew: Vec<BegunAnew>,
    /// Settings of records that this build does not know, with the record that first had them.
    #[serde(skip)]
    passed_over: Vec<(Offset, PassedOver)>,
    /// Items that this pass over the past has met, if it is a further one or some are announced before their time: the models know the
    /// others as well. No part of the fold, which goes over the log once.
    #[serde(skip)]
    met: Option<Vec<bool>>,
    /// The next shopper whose history may lie where the facts hold it.
    #[serde(skip)]
    share_from: usize,
    #[serde(skip)]
    prepared: Prepared,
    /// A challenger that rides along. No part of the fold: lost in a crash, the challenge begins again.
    #[serde(skip)]
    shadow: Option<Box<Shadow>>,
}

impl PartialEq for Learner {
    fn eq(&self, other: &Self) -> bool {
        self.end == other.end
            && self.settings == other.settings
            && self.line == other.line
            && self.guard == other.guard
            && self.lineage == other.lineage
            && self.on_probation == other.on_probation
            && (self.since_sealed, self.since_good, self.undone) == (other.since_sealed, other.since_good, other.undone)
            && self.n_alarms == other.n_alarms
            && self.n_repeats_passed == other.n_repeats_passed
            && self.histories == other.histories
            && self.impressions == other.impressions
            && self.weights == other.weights
            && self.quality == other.quality
            && self.resets == other.resets
    }
}

impl Learner {
    /// Nothing learned yet.
    pub fn new(settings: LearnSettings) -> Self {
        let mut weights = TypeWeights::default();
        for (code, event_type) in EventType::BUILT_IN.iter().enumerate() {
            weights.set(code as u8, settings.weight(event_type));
        }
        let mut learner = Self {
            line: Line::new(settings.models.clone(), settings.seed),
            guard: Guard::default(),
            lineage: Lineage::default(),
            on_probation: false,
            since_sealed: 0,
            since_good: 0,
            undone: 0,
            n_alarms: 0,
            histories: Histories::new(settings.history_capacity),
            impressions: Impressions::default(),
            settings,
            weights,
            quality: Quality::default(),
            resets: Resets::default(),
            n_learned: 0,
            n_repeats_passed: 0,
            end: Offset(0),
            received_ms: 0,
            begun_anew: Vec::new(),
            passed_over: Vec::new(),
            met: None,
            share_from: 0,
            prepared: Prepared::default(),
            shadow: None,
        };
        learner.split();
        learner
    }

    /// The next record to learn from.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Interactions learned so far.
    pub fn n_learned(&self) -> u64 {
        self.n_learned
    }

    /// Choices of which nothing was learned because their shopper had made them so often that day
    /// ([`LearnSettings::same_item_a_day`]).
    pub fn n_repeats_passed(&self) -> u64 {
        self.n_repeats_passed
    }

    /// What learns from everybody.
    pub fn ensemble(&self) -> &Ensemble {
        &self.line.shared
    }

    /// What learns, arms included.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// What answers: the line, or the last version known good while the line is on probation.
    pub fn serving(&self) -> &Ensemble {
        let good = self.lineage.good().filter(|_| self.on_probation);
        good.map_or(&self.line.shared, |(_, state)| &state.shared)
    }

    /// Fits that have begun and are not in force yet. The learner computes each when it is due; whoever does it sooner spares it the
    /// wait, and changes nothing else.
    pub fn pending_fits(&self) -> impl Iterator<Item = &Arc<PendingFit>> {
        let riding = self.shadow.as_ref().map(|shadow| &shadow.state);
        self.line.models().chain(riding).filter_map(Ensemble::pending_fit)
    }

    /// So many choices can be learned without waiting for one of those fits, or until the next begins.
    pub fn free_choices(&self) -> u64 {
        let riding = self.shadow.as_ref().map(|shadow| &shadow.state);
        self.line.models().chain(riding).map(Ensemble::free_choices).min().unwrap_or(u64::MAX)
    }

    /// All versions.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Whether the line was rolled back and has not proved itself since.
    pub fn is_on_probation(&self) -> bool {
        self.on_probation
    }

    /// Rollbacks by alarm so far.
    pub fn n_alarms(&self) -> u64 {
        self.n_alarms
    }

    /// Mean NDCG@20 of `model` over the trusted anchors, and how many there are: all at once, where the guard tests one at a time.
    pub fn anchor_ndcg(&self, model: &Ensemble) -> (f64, usize) {
        let ndcg = self.guard.anchor_ndcg(model, &self.weights, &mut Prepared::default());
        (ndcg, self.guard.n_anchors())
    }

    /// What each shopper did, as far as it was learned.
    pub fn histories(&self) -> &Histories {
        &self.histories
    }

    /// How well it foresees what happens next.
    pub fn quality(&self) -> &Quality {
        &self.quality
    }

    /// The settings in force.
    pub fn settings(&self) -> &LearnSettings {
        &self.settings
    }

    /// Settings of the records taken so far that this build does not know or cannot work with, each with the record that first had it:
    /// they have their defaults.
    pub fn settings_passed_over(&self) -> &[(Offset, PassedOver)] {
        &self.passed_over
    }

    /// Parts that could not be taken from a checkpoint and learn from there on; with any, the state is no fold of the log alone, and a
    /// replay comes to another.
    pub fn begun_anew(&self) -> &[BegunAnew] {
        &self.begun_anew
    }

    /// What each type of event is worth.
    pub fn weights(&self) -> &TypeWeights {
        &self.weights
    }

    /// Has the histories of the next `n` shoppers, round and round, lie where `facts` hold them, wherever both say the same. Called with as
    /// many shoppers as records are learned, it leaves but those apart who are about to do something or just did.
    pub fn share_histories(&mut self, facts: &Facts, n: usize) {
        let from = if self.share_from < self.histories.len() { self.share_from } else { 0 };
        self.share_from = from.saturating_add(n);
        self.histories.share_with(&facts.histories, from..self.share_from);
    }

    /// Takes the next record's fact in. `at_ms` is when the record came in.
    ///
    /// # Errors
    /// If a settings record cannot be read.
    ///
    /// # Panics
    /// If the record is not the next one.
    pub fn step(&mut self, offset: Offset, at_ms: i64, fact: Fact<'_>) -> Result<(), TrainError> {
        assert_eq!(offset, self.end, "records are learned in order, without a gap");
        self.take(offset, at_ms, fact)?;
        self.end = offset.next();
        Ok(())
    }

    /// [`Learner::step`] for a record that need not be the next one.
    pub(crate) fn take(&mut self, offset: Offset, at_ms: i64, fact: Fact<'_>) -> Result<(), TrainError> {
        self.received_ms = at_ms;
        match fact {
            Fact::Nothing => {}
            Fact::Interaction(event, names) => {
                self.weigh(event.type_code, names.own_type);
                self.learn(offset, &event, &names);
            }
            Fact::Shown(impression, names) => self.show(offset, &impression, &names),
            Fact::Described(item, description) => {
                let seen_ms = description.published_at.map_or(at_ms, |published_at| published_at.0);
                self.meet(item, seen_ms);
                self.each_line(|line| line.describe(item, description));
            }
            Fact::Patched(item, patch) => {
                self.meet(item, at_ms);
                self.each_line(|line| line.patch(item, patch));
            }
            Fact::Merged { guest, published, user } => {
                self.histories.merge(guest, user);
                self.impressions.forget_shopper(guest);
                // The facts may have run ahead, so a guest without a history here may be one that came later.
                if let Some(guest) = published.filter(|&guest| !self.histories.get(guest).past().is_empty()) {
                    self.histories.merge(guest, user);
                    self.impressions.forget_shopper(guest);
                }
            }
            Fact::Settings(text) => self.adopt(offset, text)?,
            Fact::Chosen { version, why } => self.choose(version, why),
            Fact::Promoted { .. } => return Err(TrainError::LooksBack(offset)),
            Fact::WindowReleased { from, .. } => {
                self.lineage.release(from);
                // It left out what the line has learned now; learned again, it would not.
                self.shadow = None;
            }
            Fact::ChallengeRefused { challenge, why } => {
                let of_reset = Challenge::is_reset(challenge).then_some(self.n_learned);
                self.resets.refuse(offset, why, of_reset);
            }
        }
        Ok(())
    }

    /// Gives one of the shop's own types its weight at its first event.
    fn weigh(&mut self, type_code: u8, own_type: Option<&EventType>) {
        let Some(event_type) = own_type else { return };
        if !self.weights.knows(type_code) {
            self.weights.set(type_code, self.settings.weight(event_type));
        }
        if let Some(shadow) = &mut self.shadow {
            shadow.weigh(type_code, event_type);
        }
    }

    fn adopt(&mut self, offset: Offset, text: &str) -> Result<(), TrainError> {
        let recorded = LearnSettings::from_record(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        let Recorded { settings, passed_over } = recorded;
        self.note_passed_over(offset, passed_over);
        if self.n_learned == 0 {
            let passed_over = std::mem::take(&mut self.passed_over);
            *self = Self { end: self.end, received_ms: self.received_ms, passed_over, ..Self::new(settings) };
            return Ok(());
        }
        self.line.set_settings(&settings.models, self.settings.seed);
        self.put_in_force(settings);
        self.split();
        Ok(())
    }

    /// Remembers what was passed over of a record, each setting once.
    fn note_passed_over(&mut self, offset: Offset, passed_over: Vec<PassedOver>) {
        for setting in passed_over {
            let is_known = self.passed_over.iter().any(|(_, known)| known.key == setting.key);
            if !is_known && self.passed_over.len() < PASSED_OVER {
                self.passed_over.push((offset, setting));
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

    /// Has arms learn apart as the settings say; those that do already go on.
    fn split(&mut self) {
        let split = self.settings.arms.as_ref();
        if self.line.split_by(split) {
            self.quality.arms = vec![ArmQuality::default(); split.map_or(0, |split| split.arms.len())];
        }
    }

    fn learn(&mut self, offset: Offset, event: &Interaction, names: &Names<'_>) {
        let is_known = self.is_known(event.item);
        let weight = self.weights.get(event.type_code);
        self.label(event, weight);
        let context = Context::new(self.histories.get(event.shopper), event.session, event.at_ms, &self.weights);
        let has_enough = has_had_enough(&self.settings, &context, event, weight);
        if let Some(shadow) = &mut self.shadow {
            let (seed, n_items) = (self.settings.seed, self.line.shared.n_items());
            let choice = Step {
                offset: offset.0,
                seed,
                context,
                event: *event,
                weight,
                n_items,
                is_known,
                rate_multiplier: 1.0,
            };
            shadow.ride(&self.line.shared, &choice, has_enough, &mut self.prepared);
        }
        if has_enough {
            self.n_repeats_passed += 1;
            self.meet(event.item, event.at_ms);
            self.histories.push(event);
            self.n_learned += 1;
            return;
        }
        let one_in = (1 + offset.0 / YOUTH).min(self.settings.predict_one_in.max(1));
        let predicts = weight > 0.0 && self.settings.predict_one_in != u64::MAX;
        if predicts && accrue_kernel::random(self.settings.seed, STREAM, offset.0, 0).is_multiple_of(one_in) {
            self.line.refresh();
            let serving = match self.lineage.good() {
                Some((_, good)) if self.on_probation => good,
                _ => &self.line,
            };
            let mut rank_by = |models: &Ensemble| {
                let list = models.rank(&context, &mut self.prepared, LIST, |_| true);
                list.iter().position(|scored| scored.item == event.item)
            };
            let rank = rank_by(&serving.shared);
            if let Some((split, models)) = serving.arms_of(self.settings.arms.as_ref()) {
                let place = split.arm_of(names.shopper);
                self.quality.arms[place].count(rank_by(&models[place]), rank);
            }
            let repeat = context.past.iter().any(|past| past.item == event.item);
            self.quality.one_in = one_in;
            self.quality.count(rank, repeat, self.line.shared.n_items());
        }
        let finding = if weight != 0.0 && self.settings.guard.enabled {
            let choice = Observation {
                offset: offset.0,
                seed: self.settings.seed,
                context,
                event: *event,
                names: *names,
                weight,
                received_ms: self.received_ms,
                probation: self.probation(),
                since_good: self.since_good,
            };
            let good = self.lineage.good().map(|(_, state)| &state.shared);
            let (settings, line) = (&self.settings.guard, &self.line.shared);
            self.guard.observe(settings, &choice, line, good, &mut self.prepared)
        } else {
            Finding::GoOn
        };
        match finding {
            Finding::GoOn | Finding::Cleared => {
                let step = Step {
                    offset: offset.0,
                    seed: self.settings.seed,
                    context,
                    event: *event,
                    weight,
                    n_items: self.line.shared.n_items(),
                    is_known,
                    rate_multiplier: self.quality.drift.pace(),
                };
                let good = self.lineage.good().map(|(_, state)| state);
                self.line.learn(&step, names.shopper, good, &mut self.prepared);
                self.quality.drift.observe(&self.settings.drift, offset.0, self.prepared.foreseen());
            }
            Finding::Withhold | Finding::Alarm(_) => {}
        }
        self.meet(event.item, event.at_ms);
        self.histories.push(event);
        self.n_learned += 1;
        self.count_choice(weight);
        if let Some(arm) = self.line.arm_of(names.shopper) {
            self.quality.arms[arm].n_choices += u64::from(weight != 0.0);
        }
        match finding {
            Finding::Alarm(alarm) => self.undo(offset.next(), &alarm),
            Finding::Cleared => self.end_probation(),
            Finding::GoOn | Finding::Withhold if self.settings.guard.enabled => self.advance(offset.next()),
            Finding::GoOn | Finding::Withhold => {}
        }
    }

    fn count_choice(&mut self, weight: f32) {
        self.since_sealed += u64::from(weight != 0.0);
        self.since_good += u64::from(weight != 0.0);
    }

    /// Whether the line must prove itself, and may by now. The same harm would not show before as much is learned as was undone.
    fn probation(&self) -> Probation {
        match self.on_probation {
            false => Probation::None,
            true if self.since_sealed < self.undone => Probation::TooSoon,
            true => Probation::Due,
        }
    }

    /// Gives impressions their labels as far as this event tells: what was shown too long ago was passed over, and what is chosen now
    /// was not.
    fn label(&mut self, event: &Interaction, weight: f32) {
        self.impressions.observe(event.at_ms);
        while let Some(passed) = self.impressions.next_passed() {
            self.learn_unchosen(passed);
        }
        if weight > 0.0 {
            self.impressions.choose(event.shopper, event.item);
        }
    }

    /// An impression begins to wait for its label; one of somebody or something that was never learned of does not.
    fn show(&mut self, offset: Offset, impression: &Interaction, names: &Names<'_>) {
        let Interaction { shopper, item, .. } = *impression;
        if !self.histories.get(shopper).past().is_empty() && self.line.shared.first_seen_ms(item).is_some() {
            self.impressions.observe(impression.at_ms);
            let shown = Shown { shopper, item, offset: offset.0, name: names.shopper };
            self.impressions.show(&self.settings.impressions, shown);
        }
    }

    /// A negative step, under the impression's offset and with the shopper's past as it is now.
    fn learn_unchosen(&mut self, Shown { shopper, item, offset, name }: Shown) {
        let at_ms = self.impressions.stream_ms();
        let step = Step {
            offset,
            seed: self.settings.seed,
            context: Context::new(self.histories.get(shopper), None, at_ms, &self.weights),
            event: Interaction { shopper, item, type_code: IMPRESSION, at_ms, session: None, value: 1.0, quantity: 1 },
            weight: -self.settings.impressions.weight,
            n_items: self.line.shared.n_items(),
            is_known: true,
            rate_multiplier: 1.0,
        };
        self.line.learn_unchosen(&step, name);
    }

    /// Seals a version, or confirms the one that was sealed, when it is time.
    fn advance(&mut self, end: Offset) {
        let guard = &self.settings.guard;
        if self.guard.holds() {
            return;
        }
        let due = guard.version_every.min((self.n_learned / 2).max(FIRST_VERSION));
        if self.lineage.candidate().is_some() {
            if self.since_sealed >= guard.confirm_after.min(due) {
                self.lineage.confirm(guard.versions_kept);
                self.guard.note_sound();
                self.since_good = self.since_sealed;
                self.guard.trust_before(self.lineage.good_end().0, guard.anchors);
                self.guard.restart();
            }
        } else if !self.on_probation && self.since_sealed >= due {
            self.line.refresh();
            let sealing = self.sealing(end);
            self.lineage.propose(&self.line, &sealing, self.settings.guard.versions_kept);
            self.since_sealed = 0;
        }
    }

    fn sealing(&self, end: Offset) -> Sealing {
        let settings = xxhash_rust::xxh3::xxh3_64(self.settings.to_record().as_bytes());
        Sealing {
            offset: end,
            received_ms: self.received_ms,
            settings: format!("{settings:016x}").into(),
            tallies: self.guard.tallies(),
        }
    }

    fn each_line(&mut self, mut change: impl FnMut(&mut Ensemble)) {
        self.line.change(&mut change);
        if let Some(shadow) = &mut self.shadow {
            change(&mut shadow.state);
        }
    }

    /// Takes a choice into its shopper's history, and learns nothing.
    pub(crate) fn remember(&mut self, event: &Interaction) {
        self.meet(event.item, event.at_ms);
        self.histories.push(event);
    }

    /// What was learned.
    pub(crate) fn into_line(self) -> Line {
        self.line
    }

    /// Takes note that there is an item, and learns nothing: what is for sale is known also while the models stand still.
    pub fn see_item(&mut self, item: ItemIdx, at_ms: i64) {
        self.line.see_item(item, at_ms);
        // What the tests hold the line against, now and next: to them an item must not look newer than it is.
        self.lineage.tested_mut().for_each(|state| state.see_item(item, at_ms));
        if let Some(shadow) = &mut self.shadow {
            shadow.state.see_item(item, at_ms);
        }
    }

    fn meet(&mut self, item: ItemIdx, at_ms: i64) {
        self.see_item(item, at_ms);
        if let Some(met) = &mut self.met {
            met.resize(met.len().max(item as usize + 1), false);
            met[item as usize] = true;
        }
    }

    /// Whether there was word of the item before the record at hand.
    fn is_known(&self, item: ItemIdx) -> bool {
        match &self.met {
            Some(met) => met.get(item as usize) == Some(&true),
            None => self.line.shared.first_seen_ms(item).is_some(),
        }
    }

    /// Begins another pass over the same events: forgets what shoppers did and which items there has been word of, but nothing that was
    /// learned.
    pub fn begin_epoch(&mut self) {
        self.histories = Histories::new(self.settings.history_capacity);
        self.met = Some(Vec::new());
    }

    /// Freezes what answers as it stands. What was copied by earlier publications is shared, not copied again.
    pub fn publish(&mut self) -> Version {
        self.line.refresh();
        match self.on_probation.then(|| self.publish_good()).flatten() {
            Some(good) => good,
            None => self.version(self.lineage.learning(), &self.line),
        }
    }

    /// Freezes the version known good; `None` while there is none. What the shop sells now is known to it.
    pub fn publish_good(&self) -> Option<Version> {
        let (number, state) = self.lineage.good()?;
        let mut state = state.clone();
        state.take_catalogue(&self.line);
        Some(self.version(number, &state))
    }

    fn version(&self, number: u64, line: &Line) -> Version {
        let version = |ensemble: &Ensemble| Version::new(number, self.end.0, ensemble.clone(), self.weights.clone());
        let arms = line.arms_of(self.settings.arms.as_ref());
        let arms = arms.map(|(split, models)| (split.clone(), models.iter().map(version).collect()));
        Version { arms, ..version(&line.shared) }
    }

    /// After it came out of a file: the states of versions share memory with the line wherever they say the same.
    pub(crate) fn settle(&mut self) {
        self.line.refresh();
        self.line.share_within();
        for state in self.lineage.kept_states_mut() {
            state.share_with(&self.line);
            state.refresh();
        }
    }

    /// Impressions that wait for their label, for digests.
    pub(crate) fn impressions(&self) -> &Impressions {
        &self.impressions
    }

    /// State of the guard, for digests.
    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Choices examined since the tests began, on the stream and on anchors.
    pub fn tallies(&self) -> [Tally; 2] {
        self.guard.tallies()
    }
}

/// Whether the shopper has done the same with the item so often on that day that once more says nothing.
pub(crate) fn has_had_enough(
    settings: &LearnSettings,
    context: &Context<'_>,
    event: &Interaction,
    weight: f32,
) -> bool {
    // More than a history holds cannot be counted.
    let bound = (settings.same_item_a_day as usize).min(settings.history_capacity);
    let day = event.at_ms.div_euclid(DAY_MS);
    let days = context.past.iter().rev().map(|past| (past.at_ms().div_euclid(DAY_MS), past));
    let of_the_day = days.skip_while(|&(of, _)| of > day).take_while(|&(of, _)| of == day);
    let same = of_the_day.filter(|(_, past)| (past.item, past.type_code) == (event.item, event.type_code));
    weight != 0.0 && bound > 0 && same.take(bound).count() == bound
}
