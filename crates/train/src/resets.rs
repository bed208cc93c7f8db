//! When the current model is trained again from the beginning of the log, and the verdicts on challengers so far.
//!
//! A model that learns from every event carries its whole past: early steps at high rates, windows that were undone
//! later, choices among items that are gone. A *periodic reset* trains the same settings again by replay beside the
//! current model, and replaces it through the gate (`gate.rs`). In: verdicts in the log. Out: whether a reset is due.
//! Nothing is trained here, and the period is counted in learned events and not by a clock, so that it is the same
//! after a restart.
//!
//! A log with promotions costs a replay more than one pass, because each promoted state is trained again at its record.
//! If a reset happens whenever the log has grown by the share g, there are at most (1 + g) / g further passes, however
//! long the log is: the offsets n, n / (1 + g), n / (1 + g)² … sum to n (1 + g) / g.

use accrue_event::SettingFault;
use accrue_store::Offset;
use serde::{Deserialize, Serialize};

use crate::GateSettings;

/// When a server resets its models by itself, and how the result is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResetSettings {
    /// Smallest number of events learned between two resets; 0 for no resets.
    pub every_events: u64,
    /// The share by which the learned events must have grown since the last reset. It bounds the cost of a replay.
    pub growth: f64,
    /// Share of one core that training the challenger may take, above 0 to 1.
    pub share: f64,
    /// Refusals in a row after which a reset waits for a whole period.
    pub attempts: u64,
    /// When a challenger may replace the current model.
    pub gate: GateSettings,
}

impl Default for ResetSettings {
    fn default() -> Self {
        Self { every_events: 1_000_000, growth: 0.25, share: 0.25, attempts: 3, gate: GateSettings::default() }
    }
}

impl ResetSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key is relative to the table of these settings.
    pub fn validate(&self) -> Result<(), SettingFault> {
        if self.every_events > 0 {
            SettingFault::check("every_events", self.every_events, 1_000..)?;
        }
        SettingFault::check("growth", self.growth, 0.0..=100.0)?;
        SettingFault::check("share", self.share, 0.001..=1.0)?;
        SettingFault::check("attempts", self.attempts, 1..=100)?;
        self.gate.validate().map_err(|fault| fault.within("gate"))
    }

    /// The gate of one attempt. All attempts of a period share the probability of a wrong promotion (Bonferroni).
    pub fn gate(&self) -> GateSettings {
        GateSettings { alpha: self.gate.alpha / self.attempts.max(1) as f64, ..self.gate.clone() }
    }
}

/// The verdicts on challengers in the log so far. Part of the fold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resets {
    /// Events learned at the last promotion; 0 without one.
    reset_at: u64,
    /// Events learned at the last refusal of a reset.
    refused_at: u64,
    /// Resets refused since the last promotion.
    refused_in_a_row: u64,
    n_promoted: u64,
    n_refused: u64,
    last: Option<Judged>,
    /// Whether one is due at once, because a part of the models could not be read from a checkpoint.
    is_due_now: bool,
}

/// The verdict on a challenger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The record of the verdict.
    pub offset: Offset,
    /// Whether it became the current model.
    pub promoted: bool,
    /// The reason.
    pub why: Box<str>,
}

impl Resets {
    /// Events to be learned before the next reset is due; `None` if resets are off.
    pub fn due_in(&self, settings: &ResetSettings, n_learned: u64) -> Option<u64> {
        if settings.every_events == 0 {
            return None;
        }
        if self.is_due_now {
            return Some(0);
        }
        let exhausted = self.refused_in_a_row > 0 && self.refused_in_a_row.is_multiple_of(settings.attempts.max(1));
        let since = if exhausted { self.refused_at } else { self.reset_at };
        let period = settings.every_events.max((settings.growth * since as f64) as u64);
        Some(since.saturating_add(period).saturating_sub(n_learned))
    }

    /// Makes a reset due at once, until the next verdict.
    pub(crate) fn make_due(&mut self) {
        self.is_due_now = true;
    }

    /// Resets refused since the last promotion.
    pub fn refused_in_a_row(&self) -> u64 {
        self.refused_in_a_row
    }

    /// Challengers that became the current model.
    pub fn n_promoted(&self) -> u64 {
        self.n_promoted
    }

    /// Challengers that were refused, or whose promotion changed nothing.
    pub fn n_refused(&self) -> u64 {
        self.n_refused
    }

    /// The last verdict.
    pub fn last(&self) -> Option<&Judged> {
        self.last.as_ref()
    }

    /// A challenger became the current model. Whatever its settings, it was trained from the log, so the period begins
    /// again.
    pub(crate) fn promote(&mut self, offset: Offset, why: &str, n_learned: u64) {
        self.n_promoted += 1;
        self.is_due_now = false;
        self.reset_at = n_learned;
        self.refused_in_a_row = 0;
        self.last = Some(Judged { offset, promoted: true, why: why.into() });
    }

    /// A challenger was refused. Only the refusal of a reset counts as an attempt; those that an operator requested do
    /// not.
    pub(crate) fn refuse(&mut self, offset: Offset, why: &str, of_reset: Option<u64>) {
        self.n_refused += 1;
        if let Some(n_learned) = of_reset {
            self.is_due_now = false;
            self.refused_at = n_learned;
            self.refused_in_a_row += 1;
        }
        self.last = Some(Judged { offset, promoted: false, why: why.into() });
    }

    /// A promotion changed nothing, because records were undone or released before it. It says nothing about the
    /// challenger, so it is not an attempt.
    pub(crate) fn skip_promotion(&mut self, offset: Offset, why: &str) {
        self.n_refused += 1;
        self.last = Some(Judged { offset, promoted: false, why: why.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ResetSettings {
        ResetSettings { every_events: 1_000, attempts: 3, ..ResetSettings::default() }
    }

    #[test]
    fn the_period_is_counted_in_events_and_grows_with_the_log() {
        let mut resets = Resets::default();
        assert_eq!(resets.due_in(&settings(), 0), Some(1_000));
        assert_eq!(resets.due_in(&settings(), 1_500), Some(0));
        resets.promote(Offset(1_600), "a test", 1_500);
        assert_eq!(resets.due_in(&settings(), 1_500), Some(1_000), "a quarter of the log would be less");
        resets.promote(Offset(9_000), "a test", 8_000);
        assert_eq!(resets.due_in(&settings(), 8_000), Some(2_000), "a quarter of the log");
        assert_eq!(resets.due_in(&ResetSettings { every_events: 0, ..settings() }, 1 << 40), None);
    }

    #[test]
    fn after_the_last_attempt_it_waits_a_whole_period() {
        let mut resets = Resets::default();
        for attempt in 1..3 {
            resets.refuse(Offset(1_100), "a test", Some(1_000 + attempt));
            assert_eq!(resets.due_in(&settings(), 1_002), Some(0), "attempt {attempt} is not the last");
        }
        resets.refuse(Offset(1_300), "a test", Some(1_200));
        assert_eq!(resets.due_in(&settings(), 1_200), Some(1_000));
        assert_eq!(resets.due_in(&settings(), 2_200), Some(0));
        resets.refuse(Offset(2_300), "a test", Some(2_210));
        assert_eq!(resets.due_in(&settings(), 2_210), Some(0), "three attempts again");
        resets.promote(Offset(2_500), "a test", 2_400);
        assert_eq!((resets.refused_in_a_row(), resets.n_promoted(), resets.n_refused()), (0, 1, 4));
    }

    #[test]
    fn a_refused_request_of_an_operator_is_not_an_attempt() {
        let mut resets = Resets::default();
        for _ in 0..3 {
            resets.refuse(Offset(900), "other settings", None);
        }
        assert_eq!(resets.due_in(&settings(), 1_000), Some(0));
        assert_eq!(resets.last().map(|last| &*last.why), Some("other settings"));
    }
}
