//! The gate: trains a challenger on the log, compares it with the current model on the same choices, and replaces the current model
//! only if the challenger is not worse.
//!
//! In: a [`Challenge`] (other settings, more passes, or only recent choices) and access to the log ([`EarlierRecords`]). Out: the
//! challenger's state at an offset, and a [`Verdict`]. Training is part of the fold: the state that a promotion puts in force is a
//! function of the log up to there, whichever process computed it and when. The verdict is not, because it may depend on measured
//! latency; so it is written into the log as a record.
//!
//! Two sequential tests ([`Capital`]) run over the choices that both models predicted before learning them. The first tests the
//! hypothesis that the challenger is worse by the margin; when its capital reaches 1/α, the challenger is promoted (sequential
//! non-inferiority). The second tests the hypothesis that the challenger is not worse; when its capital reaches 1/α, or the number of
//! choices is used up, the challenger is refused.

use std::sync::Arc;

use accrue_event::{EventType, SettingFault};
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, PendingFit, Prepared, Step, TypeWeights};
use accrue_store::{Fact, Offset};
use serde::{Deserialize, Serialize};

use crate::guard::{Capital, ranks_of};
use crate::learner::exceeds_daily_limit;
use crate::lenient::{self, Recorded};
use crate::{LearnSettings, Learner, SuspectWindow, TrainError};

/// Stream of the random numbers that decide which choices both models predict.
const SHADOW_TEST: u64 = 0x5052_4552;

/// The description of a challenger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Challenge {
    /// Settings that it learns with. The seed and the length of histories are those of the current model.
    pub settings: LearnSettings,
    /// It learns from the choices from this record on. Descriptions of items and histories are read from the beginning of the log.
    pub from: Offset,
    /// Number of passes over these records.
    pub passes: u32,
    /// Every pass but the last ends before this record, which is fixed when the challenger begins: a replay could not repeat passes
    /// that end wherever the log happened to end.
    pub until: Offset,
    /// The checksum of the suspect windows when it began ([`crate::Lineage::windows_digest`]). It is set for a challenger that is judged
    /// while events arrive: records may be undone or released between the verdict and its record, and then the promotion changes
    /// nothing. `None` where nothing can arrive in between.
    #[serde(rename = "footing", skip_serializing_if = "Option::is_none")]
    pub windows_digest: Option<String>,
    /// Whether an operator requested it. A challenger with a `windows_digest` that was not requested is a periodic reset.
    #[serde(rename = "asked", skip_serializing_if = "std::ops::Not::not")]
    pub requested: bool,
}

impl Challenge {
    /// A reset: the settings of the current model, trained again on the whole log.
    pub(crate) fn reset(settings: &LearnSettings, windows_digest: String) -> Self {
        let (from, until) = (Offset(0), Offset(0));
        let windows_digest = Some(windows_digest);
        Self { settings: settings.clone(), from, passes: 1, until, windows_digest, requested: false }
    }

    /// The text that the log keeps.
    ///
    /// # Panics
    /// Never: settings are plain tables.
    pub fn to_record(&self) -> String {
        toml::to_string(self).expect("a challenge is a plain table")
    }

    /// Reads what [`Challenge::to_record`] wrote; its settings are read as by [`LearnSettings::from_record`].
    ///
    /// # Errors
    /// If the text is not such a record.
    pub fn from_record(text: &str) -> Result<Recorded<Self>, TrainError> {
        // Read directly if possible, because a table of TOML cannot hold every number that settings can.
        if let Ok(record) = toml::from_str::<ChallengeRecord<LearnSettings>>(text)
            && record.settings.works()
        {
            return Ok(Recorded { settings: record.into_challenge(|settings| settings), ignored: Vec::new() });
        }
        let record: ChallengeRecord<toml::Table> =
            toml::from_str(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        let mut ignored = Vec::new();
        let settings = record.into_challenge(|table| {
            let read = lenient::read_table(table, LearnSettings::works);
            ignored = read.ignored;
            read.settings
        });
        Ok(Recorded { settings, ignored })
    }

    /// Whether a record describes a reset. Its settings are not read, so that a record with settings that this build does not know is
    /// recognised too.
    pub(crate) fn is_reset(text: &str) -> bool {
        #[derive(Deserialize)]
        struct Kind {
            footing: Option<String>,
            #[serde(default)]
            asked: bool,
        }
        toml::from_str::<Kind>(text).is_ok_and(|challenge| challenge.footing.is_some() && !challenge.asked)
    }
}

/// A [`Challenge`] as the log has it, with its settings read fully or as a table.
#[derive(Deserialize)]
struct ChallengeRecord<S> {
    settings: S,
    from: Offset,
    passes: u32,
    until: Offset,
    #[serde(rename = "footing")]
    windows_digest: Option<String>,
    #[serde(default, rename = "asked")]
    requested: bool,
}

impl<S> ChallengeRecord<S> {
    fn into_challenge(self, read_settings: impl FnOnce(S) -> LearnSettings) -> Challenge {
        let Self { settings, from, passes, until, windows_digest, requested } = self;
        Challenge { settings: read_settings(settings), from, passes, until, windows_digest, requested }
    }
}

/// When a challenger may replace the current model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateSettings {
    /// Loss of mean gain (0 to 1) up to which a challenger counts as not worse.
    pub margin: f64,
    /// Probability of promoting a challenger that is worse by the margin, and of refusing one that is not worse.
    pub alpha: f64,
    /// One choice in this many is predicted by both models.
    pub predict_one_in: u64,
    /// A challenger without a verdict after this many predicted choices is refused.
    pub max_choices: u64,
    /// Longest time of a page by the challenger, as a multiple of the current model's.
    pub max_latency: f64,
    /// Largest number of learned numbers of the challenger, as a multiple of the current model's.
    pub max_params: f64,
}

impl GateSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("margin", self.margin, 0.0..=0.4)?;
        SettingFault::check("alpha", self.alpha, 1e-9..=0.5)?;
        SettingFault::check("predict_one_in", self.predict_one_in, 1..)?;
        SettingFault::check("max_choices", self.max_choices, 1..)?;
        SettingFault::check("max_latency", self.max_latency, 0.1..=1e6)?;
        SettingFault::check("max_params", self.max_params, 0.1..=1e6)
    }
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { margin: 0.01, alpha: 0.05, predict_one_in: 4, max_choices: 5_000, max_latency: 2.0, max_params: 4.0 }
    }
}

/// Reads records of the log again, with their names resolved. A state that begins at an earlier offset needs them.
pub trait EarlierRecords {
    /// Passes each record of `from..to` to `take`: its offset, when it arrived, and its fact.
    ///
    /// # Errors
    /// If the log cannot be read or begins after `from`; and any error that `take` returns.
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError>;
}

/// Takes one earlier record.
pub type Take<'a> = dyn FnMut(Offset, i64, Fact<'_>) -> Result<(), TrainError> + 'a;

/// A challenger in training, up to an offset.
#[derive(Clone, Debug)]
pub struct Challenger {
    challenge: Challenge,
    learner: Learner,
    /// Suspect windows, from which it learns nothing.
    excluded: Vec<SuspectWindow>,
    /// Passes completed.
    passed: u32,
    at: Offset,
}

impl Challenger {
    /// A challenger that has learned nothing yet.
    pub fn new(challenge: &Challenge, excluded: &[SuspectWindow]) -> Self {
        let mut settings = challenge.settings.clone();
        settings.guard.enabled = false;
        settings.predict_one_in = u64::MAX;
        // It learns neither from impressions nor at rates that drift has raised. Both depend on when records arrive beside the current
        // model, and a replay that trains the challenger at once has to reach the same bytes.
        settings.impressions.window_s = 0;
        settings.drift.boost = 1.0;
        // It may replace the shared models; the models of an experiment's arms stay as they are.
        settings.arms = None;
        let excluded = excluded.iter().filter(|window| !window.released).cloned().collect();
        Self { challenge: challenge.clone(), learner: Learner::new(settings), excluded, passed: 0, at: Offset(0) }
    }

    /// In its present pass it has learned the records before this offset.
    pub fn at(&self) -> Offset {
        self.at
    }

    /// Number of records that it has yet to take, in this pass and the later ones, to reach `end`.
    pub fn left(&self, end: Offset) -> u64 {
        let others = u64::from(self.challenge.passes.saturating_sub(self.passed + 1));
        match others {
            0 => end.0.saturating_sub(self.at.0),
            _ => others * self.challenge.until.min(end).0 + end.0 - self.at.0.min(end.0),
        }
    }

    /// Learns all remaining passes: the last one up to `end`, those before it up to [`Challenge::until`].
    ///
    /// # Errors
    /// If the earlier records cannot be read.
    pub fn learn(&mut self, earlier: &mut dyn EarlierRecords, end: Offset) -> Result<(), TrainError> {
        let mut left = u64::MAX;
        // If the log ends early, no record is taken and the loop ends.
        while self.left(end) < left {
            left = self.left(end);
            self.go_on(earlier, end, u64::MAX)?;
        }
        Ok(())
    }

    /// Learns at most `n_records` more of its present pass. How the records are divided into such pieces does not change the result.
    ///
    /// # Errors
    /// If the earlier records cannot be read.
    pub fn go_on(&mut self, earlier: &mut dyn EarlierRecords, end: Offset, n_records: u64) -> Result<(), TrainError> {
        let is_last = self.passed + 1 >= self.challenge.passes;
        let pass_end = if is_last { end } else { self.challenge.until.min(end) };
        let until = pass_end.min(Offset(self.at.0.saturating_add(n_records)));
        earlier.read(self.at, until, &mut |offset, at_ms, fact| self.take(offset, at_ms, fact))?;
        if !is_last && self.at >= pass_end {
            self.passed += 1;
            self.at = Offset(0);
            self.learner.begin_epoch();
        }
        Ok(())
    }

    fn take(&mut self, offset: Offset, at_ms: i64, fact: Fact<'_>) -> Result<(), TrainError> {
        match fact {
            Fact::Interaction(event, _)
                if offset < self.challenge.from || self.excluded.iter().any(|window| window.contains(offset)) =>
            {
                self.learner.remember(&event);
            }
            // It has settings of its own and no versions.
            Fact::Settings(_)
            | Fact::Chosen { .. }
            | Fact::Promoted { .. }
            | Fact::WindowReleased { .. }
            | Fact::ChallengeRefused { .. } => {}
            fact => self.learner.take(offset, at_ms, fact)?,
        }
        self.at = offset.next();
        Ok(())
    }

    /// Fits that it has begun; see [`Learner::pending_fits`].
    pub fn pending_fits(&self) -> impl Iterator<Item = &Arc<PendingFit>> {
        self.learner.pending_fits()
    }

    /// Number of choices that it can learn before it has to wait for a pending fit or begins the next one.
    pub fn free_choices(&self) -> u64 {
        self.learner.free_choices()
    }

    /// Its description.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The models that it has learned.
    pub fn into_state(self) -> Ensemble {
        self.learner.into_current().shared
    }
}

/// A challenger that is shadowed: it predicts and learns the same choices as the current model, and serves nothing.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    pub(crate) challenge: Challenge,
    pub(crate) state: Ensemble,
    pub(crate) weights: TypeWeights,
    pub(crate) test: ShadowTest,
}

impl Shadow {
    pub(crate) fn new(challenger: Challenger, gate: GateSettings) -> Self {
        let challenge = challenger.challenge.clone();
        let weights = challenger.learner.weights().clone();
        // Beside a running server no end is given, and each prediction costs time, so the first verdict ends the test.
        let test = ShadowTest::new(gate, challenge.windows_digest.is_some());
        Self { challenge, state: challenger.into_state(), weights, test }
    }

    /// Learns a choice that the current model is about to learn. Of some choices both models predict the item first; choices from which
    /// one of the models learns nothing are not counted.
    pub(crate) fn learn(
        &mut self,
        current: &Ensemble,
        choice: &Step<'_>,
        current_skips: bool,
        prepared: &mut Prepared,
    ) {
        let Self { challenge, state, weights, test } = self;
        let context = Context { weights, ..choice.context };
        let weight = weights.get(choice.event.type_code);
        if exceeds_daily_limit(&challenge.settings, &context, &choice.event, weight) {
            return;
        }
        let mut draws = Draws::new(choice.seed, SHADOW_TEST, choice.offset);
        let is_counted = weight > 0.0 && !current_skips && test.goes_on();
        if is_counted && draws.below(test.predict_one_in()) == 0 {
            let (models, contexts) = ([current, &*state], [&choice.context, &context]);
            test.count(ranks_of(models, contexts, choice.event.item, &mut draws, prepared).gains());
        }
        state.learn(&Step { context, weight, ..*choice }, None, prepared);
    }

    /// Sets the weight of a custom type at its first event, under the challenger's settings.
    pub(crate) fn weigh(&mut self, type_code: u8, event_type: &EventType) {
        if !self.weights.knows(type_code) {
            self.weights.set(type_code, self.challenge.settings.weight(event_type));
        }
    }
}

/// The sequential comparison of the current model and a challenger over the same choices.
#[derive(Clone, Debug)]
pub(crate) struct ShadowTest {
    gate: GateSettings,
    not_worse: Capital,
    worse: Capital,
    gains: [f64; 2],
    n: u64,
    /// Whether the first verdict ends it. Otherwise the caller ends it after a given range of records.
    ends_by_itself: bool,
}

/// The result of the comparison so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShadowResult {
    /// Choices that both models predicted.
    pub n: u64,
    /// Mean gain of the challenger.
    pub challenger: f64,
    /// Mean gain of the current model.
    #[serde(rename = "line")]
    pub current: f64,
    /// The verdict that follows from the choices so far.
    pub verdict: Verdict,
}

/// The verdict that follows from the choices compared so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// None yet; the comparison goes on.
    Open,
    /// The challenger is not worse: promote it.
    NotWorse,
    /// The challenger is worse: refuse it.
    Worse,
    /// Neither could be shown within the given number of choices: refuse the challenger.
    Unproved,
}

impl ShadowTest {
    pub(crate) fn new(gate: GateSettings, ends_by_itself: bool) -> Self {
        let (not_worse, worse) = (Capital::default(), Capital::default());
        Self { gate, not_worse, worse, gains: [0.0; 2], n: 0, ends_by_itself }
    }

    /// One choice in this many is predicted by both models.
    pub(crate) fn predict_one_in(&self) -> u64 {
        self.gate.predict_one_in.max(1)
    }

    /// Whether another choice would still be counted.
    pub(crate) fn goes_on(&self) -> bool {
        !self.ends_by_itself || self.verdict() == Verdict::Open
    }

    /// Counts a choice: the gains of the current model and of the challenger.
    pub(crate) fn count(&mut self, [current, challenger]: [f64; 2]) {
        self.n += 1;
        self.gains[0] += current;
        self.gains[1] += challenger;
        // Divided so that the value lies between -1 and 1.
        self.not_worse.add((challenger - current + self.gate.margin) / (1.0 + self.gate.margin));
        self.worse.add(current - challenger);
    }

    pub(crate) fn result(&self) -> ShadowResult {
        let n = self.n.max(1) as f64;
        ShadowResult { n: self.n, challenger: self.gains[1] / n, current: self.gains[0] / n, verdict: self.verdict() }
    }

    fn verdict(&self) -> Verdict {
        let proves = |capital: &Capital| capital.value() * self.gate.alpha >= 1.0;
        match () {
            // Tested first: a loss within the margin may be certain too, and the margin allows it.
            () if proves(&self.not_worse) => Verdict::NotWorse,
            () if proves(&self.worse) => Verdict::Worse,
            () if self.n >= self.gate.max_choices => Verdict::Unproved,
            () => Verdict::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_loss_is_refused_beyond_the_margin_and_allowed_within() {
        for (margin, verdict) in [(0.001, Verdict::Worse), (0.2, Verdict::NotWorse)] {
            let mut test = ShadowTest::new(GateSettings { margin, ..GateSettings::default() }, false);
            (0..4_000).for_each(|n| test.count([0.6 + f64::from(n % 3) * 0.01, 0.55]));
            assert_eq!(test.result().verdict, verdict, "{margin}");
        }
    }
}
