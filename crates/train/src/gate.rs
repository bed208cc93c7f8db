//! The gate: a challenger is trained on the log (`learner/challenger.rs`), compared with the current model on the same
//! choices (`learner/shadow.rs`), and replaces the current model only if it is not worse.
//!
//! In: the gains of both models. Out: a [`Verdict`]. Training is part of the fold: the state that a promotion puts in
//! force is a function of the log up to there, whichever process computed it and when. The verdict is not, because it
//! may depend on measured latency; so it is written into the log as a record, with the description of the challenger
//! ([`Challenge`]).
//!
//! Two sequential tests ([`Capital`]) run over the choices that both models predicted before learning them. The first
//! tests the hypothesis that the challenger is worse by the margin; when its capital reaches 1/α, the challenger is
//! promoted (sequential non-inferiority). The second tests the hypothesis that the challenger is not worse; when its
//! capital reaches 1/α, or the number of choices is used up, the challenger is refused.

use accrue_event::{SettingFault, Tree};
use accrue_store::{Fact, Offset};
use serde::{Deserialize, Serialize};

use crate::guard::Capital;
use crate::lenient::{self, Recorded};
use crate::{LearnSettings, TrainError};

/// The description of a challenger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Challenge {
    /// Settings that it learns with. The seed and the length of histories are those of the current model.
    pub settings: LearnSettings,
    /// It learns from the choices from this record on. Descriptions of items and histories are read from the beginning
    /// of the log.
    pub from: Offset,
    /// Number of passes over these records.
    pub passes: u32,
    /// Every pass but the last ends before this record, which is fixed when the challenger begins: a replay could not
    /// repeat passes that end wherever the log happened to end.
    pub until: Offset,
    /// The checksum of the suspect windows when it began ([`crate::Lineage::windows_digest`]). It is set for a
    /// challenger that is judged while events arrive: records may be undone or released between the verdict and its
    /// record, and then the promotion changes nothing. `None` where nothing can arrive in between.
    #[serde(rename = "footing", skip_serializing_if = "Option::is_none")]
    pub windows_digest: Option<String>,
    /// Whether an operator requested it. A challenger with a `windows_digest` that was not requested is a periodic
    /// reset.
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
        let tree: Tree = toml::from_str(text).map_err(|error| TrainError::Settings(error.to_string()))?;
        // Read whole if possible, because a table of TOML cannot hold every number that settings can.
        if let Ok(record) = tree.read::<ChallengeRecord<LearnSettings>>()
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

    /// Whether a record describes a reset. Its settings are not read, so that a record with settings that this build
    /// does not know is recognised too.
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
        SettingFault::check("predict_one_in", self.predict_one_in, LearnSettings::PREDICT_ONE_IN)?;
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
