//! The gate: a challenger is learned from the log beside the current model, shadows the same choices, and replaces the current model only if it is not
//! worse.
//!
//! In: a [`Challenge`] (other settings, more passes, only the recent past), and the past. Out: its state at an offset, and a
//! [`Verdict`] on it. Learning it is part of the fold: the state that a promotion puts in force is a function of the log up to
//! there, whoever computed it, and when. The verdict is not: it may look at latency, so it is written into the log as a record.
//!
//! Two capitals are in play (`guard/capital.rs`), over choices that both predicted before either learned them. One bets that the
//! challenger is *not* worse by the margin; when it reaches 1/α the challenger is promoted (non-inferiority, sequentially). The
//! other bets that it is worse; when that one reaches 1/α, or the choices run out, the challenger is refused.

use std::sync::Arc;

use accrue_event::{EventType, SettingFault};
use accrue_kernel::Draws;
use accrue_model::{Context, Ensemble, PendingFit, Prepared, Step, TypeWeights};
use accrue_store::{Fact, Offset};
use serde::{Deserialize, Serialize};

use crate::guard::{Capital, ranks_of};
use crate::learner::has_had_enough;
use crate::lenient::{self, Recorded};
use crate::{LearnSettings, Learner, SuspectWindow, TrainError};

/// Stream of the random numbers that choose which choices both predict.
const SHADOW_TEST: u64 = 0x5052_4552;

/// What a challenger is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Challenge {
    /// What it learns with. The seed and the length of histories are the current model's.
    pub settings: LearnSettings,
    /// It learns from the choices from this record on; descriptions and histories go back to the beginning.
    pub from: Offset,
    /// Passes over them.
    pub passes: u32,
    /// All passes but the last end before this record: later than what is known when it begins, they could not be repeated.
    pub until: Offset,
    /// What was disowned when it began ([`crate::Lineage::footing`]), for one that is judged while events come in: between the verdict and
    /// its record something may be undone or released, and then the promotion is passed over. `None` where nothing can come between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footing: Option<String>,
    /// Whether somebody asked for it; otherwise one with a footing is a periodic reset.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}

impl Challenge {
    /// The current model's settings once more, over the whole log: a reset.
    pub(crate) fn reset(settings: &LearnSettings, footing: String) -> Self {
        let (from, until) = (Offset(0), Offset(0));
        Self { settings: settings.clone(), from, passes: 1, until, footing: Some(footing), asked: false }
    }

    /// The form in which the log keeps it.
    ///
    /// # Panics
    /// Never: settings are plain tables.
    pub fn to_record(&self) -> String {
        toml::to_string(self).expect("a challenge is a plain table")
    }

    /// Reads what [`Challenge::to_record`] wrote; its settings as [`LearnSettings::from_record`] does.
    ///
    /// # Errors
    /// If the text is no such record.
    pub fn from_record(text: &str) -> Result<Recorded<Self>, TrainError> {
        #[derive(Deserialize)]
        struct Record<S> {
            settings: S,
            from: Offset,
            passes: u32,
            until: Offset,
            footing: Option<String>,
            #[serde(default)]
            asked: bool,
        }
        // Directly where that is possible: a table of TOML does not hold every number that settings do.
        let exact: Option<Record<LearnSettings>> = toml::from_str(text).ok();
        if let Some(Record { settings, from, passes, until, footing, asked }) = exact
            && settings.works()
        {
            let settings = Self { settings, from, passes, until, footing, asked };
            return Ok(Recorded { settings, passed_over: Vec::new() });
        }
        let record: Record<toml::Table> =
            toml::from_str(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        let Record { settings, from, passes, until, footing, asked } = record;
        let Recorded { settings, passed_over } = lenient::read_table(settings, LearnSettings::works);
        Ok(Recorded { settings: Self { settings, from, passes, until, footing, asked }, passed_over })
    }

    /// Whether a record tells of a reset. Settings that this build does not know are passed over: nothing is learned by them.
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

/// When a challenger may replace the current model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GateSettings {
    /// Loss of mean gain (0 to 1) that counts as not worse.
    pub margin: f64,
    /// Chance to promote a challenger that is worse by the margin, and to refuse one that is not worse.
    pub alpha: f64,
    /// Both predict one choice in so many.
    pub predict_one_in: u64,
    /// Choices predicted after which a challenger that has not proved itself is refused.
    pub max_choices: u64,
    /// A challenger may take so many times the current model's time for a page.
    pub max_latency: f64,
    /// A challenger may hold so many times the current model's learned numbers.
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

/// Reads records again, with what they mean: what a state that begins earlier needs.
pub trait EarlierRecords {
    /// Hands each record of `from..to` over: its offset, when it came in, its fact.
    ///
    /// # Errors
    /// If the log cannot be read, or does not reach back so far; and whatever `take` returns.
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError>;
}

/// Takes one earlier record.
pub type Take<'a> = dyn FnMut(Offset, i64, Fact<'_>) -> Result<(), TrainError> + 'a;

/// A challenger, learned up to an offset.
#[derive(Clone, Debug)]
pub struct Challenger {
    challenge: Challenge,
    learner: Learner,
    /// Windows that it leaves out.
    excluded: Vec<SuspectWindow>,
    /// Passes that are over.
    passed: u32,
    at: Offset,
}

impl Challenger {
    /// Nothing learned yet.
    pub fn new(challenge: &Challenge, excluded: &[SuspectWindow]) -> Self {
        let mut settings = challenge.settings.clone();
        settings.guard.enabled = false;
        settings.predict_one_in = u64::MAX;
        // It learns from choices alone and at its own pace, whether it rides along or is learned again later: the same bytes.
        settings.impressions.window_s = 0;
        settings.drift.boost = 1.0;
        // It contends for what is shared; arms go on as they are.
        settings.arms = None;
        let excluded = excluded.iter().filter(|window| !window.released).cloned().collect();
        Self { challenge: challenge.clone(), learner: Learner::new(settings), excluded, passed: 0, at: Offset(0) }
    }

    /// The records before this offset were learned, in the pass that it is at.
    pub fn at(&self) -> Offset {
        self.at
    }

    /// Records that it has yet to take, in this pass and those to come, before it stands at `end`.
    pub fn left(&self, end: Offset) -> u64 {
        let others = u64::from(self.challenge.passes.saturating_sub(self.passed + 1));
        match others {
            0 => end.0.saturating_sub(self.at.0),
            _ => others * self.challenge.until.min(end).0 + end.0 - self.at.0.min(end.0),
        }
    }

    /// Learns all passes that are left: the last one up to `end`, those before it as far as the challenge says.
    ///
    /// # Errors
    /// If the earlier records cannot be read.
    pub fn learn(&mut self, earlier: &mut dyn EarlierRecords, end: Offset) -> Result<(), TrainError> {
        let mut left = u64::MAX;
        // If the log ends early, it gets no further.
        while self.left(end) < left {
            left = self.left(end);
            self.go_on(earlier, end, u64::MAX)?;
        }
        Ok(())
    }

    /// Goes on by `n_records` of its pass, at most: in pieces, however they are cut, it learns what it would learn at once.
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
            // Its settings are its own, and it knows no versions.
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

    /// So many choices it can learn without waiting for one of them, or until the next begins.
    pub fn free_choices(&self) -> u64 {
        self.learner.free_choices()
    }

    /// What it is.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What it learned.
    pub fn into_state(self) -> Ensemble {
        self.learner.into_current().shared
    }
}

/// A challenger that rides along with the current model: it learns the same choices, and both say beforehand what they expect.
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
        // Beside a running server there is no end to wait for, and every prediction costs.
        let test = ShadowTest::new(gate, challenge.footing.is_some());
        Self { challenge, state: challenger.into_state(), weights, test }
    }

    /// Takes a choice of the current model's in, as `current` sees it before it learns: of some both say beforehand what they expect, but for those of
    /// which one of them learns nothing.
    pub(crate) fn ride(
        &mut self,
        current: &Ensemble,
        choice: &Step<'_>,
        current_has_enough: bool,
        prepared: &mut Prepared,
    ) {
        let Self { challenge, state, weights, test } = self;
        let context = Context { weights, ..choice.context };
        let weight = weights.get(choice.event.type_code);
        if has_had_enough(&challenge.settings, &context, &choice.event, weight) {
            return;
        }
        let mut draws = Draws::new(choice.seed, SHADOW_TEST, choice.offset);
        let is_counted = weight > 0.0 && !current_has_enough && test.goes_on();
        if is_counted && draws.below(test.predict_one_in()) == 0 {
            let (models, contexts) = ([current, &*state], [&choice.context, &context]);
            test.count(ranks_of(models, contexts, choice.event.item, &mut draws, prepared).gains());
        }
        state.learn(&Step { context, weight, ..*choice }, None, prepared);
    }

    /// Gives a custom type the weight that the challenger would give it.
    pub(crate) fn weigh(&mut self, type_code: u8, event_type: &EventType) {
        if !self.weights.knows(type_code) {
            self.weights.set(type_code, self.challenge.settings.weight(event_type));
        }
    }
}

/// The current model and a challenger over the same choices.
#[derive(Clone, Debug)]
pub(crate) struct ShadowTest {
    gate: GateSettings,
    not_worse: Capital,
    worse: Capital,
    gains: [f64; 2],
    n: u64,
    /// Whether the first verdict ends it; otherwise it goes on over a stretch that somebody else ends.
    ends_by_itself: bool,
}

/// How a challenger stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShadowResult {
    /// Choices that both predicted.
    pub n: u64,
    /// Mean gain of the challenger.
    pub challenger: f64,
    /// Mean gain of the current model.
    #[serde(rename = "line")]
    pub current: f64,
    /// What follows from it.
    pub verdict: Verdict,
}

/// The verdict that follows from the choices compared so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Open,
    /// Not worse: promote.
    NotWorse,
    /// Worse: refuse.
    Worse,
    /// Neither could be said in time: refuse.
    Unproved,
}

impl ShadowTest {
    pub(crate) fn new(gate: GateSettings, ends_by_itself: bool) -> Self {
        let (not_worse, worse) = (Capital::default(), Capital::default());
        Self { gate, not_worse, worse, gains: [0.0; 2], n: 0, ends_by_itself }
    }

    /// One choice in so many is predicted by both.
    pub(crate) fn predict_one_in(&self) -> u64 {
        self.gate.predict_one_in.max(1)
    }

    /// Whether another choice would still count.
    pub(crate) fn goes_on(&self) -> bool {
        !self.ends_by_itself || self.verdict() == Verdict::Open
    }

    /// Counts a choice: the gains of the current model and challenger.
    pub(crate) fn count(&mut self, [current, challenger]: [f64; 2]) {
        self.n += 1;
        self.gains[0] += current;
        self.gains[1] += challenger;
        // Within -1 and 1.
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
            // A loss within the margin may be certain, too: it is what the margin allows.
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
