//! Training of a challenger: a learner with the settings of its [`Challenge`], which takes the records of the log in
//! passes.
//!
//! In: access to the log. Out: the challenger's models at an offset, the same bytes whichever process trains it and in
//! whichever pieces.

use std::sync::Arc;

use accrue_model::{Ensemble, PendingFit};
use accrue_store::{Fact, Offset};

use super::Learner;
use crate::gate::{Challenge, EarlierRecords};
use crate::{SuspectWindow, TrainError};

/// A challenger in training, up to an offset.
#[derive(Clone, Debug)]
pub struct Challenger {
    pub(super) challenge: Challenge,
    pub(super) learner: Learner,
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
        // It learns neither from impressions nor at rates that drift has raised. Both depend on when records arrive
        // beside the current model, and a replay that trains the challenger at once has to reach the same bytes.
        settings.impressions.window_s = 0;
        // The click heads are not part of what it may replace.
        settings.clicks.enabled = false;
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

    /// Learns at most `n_records` more of its present pass. How the records are divided into such pieces does not
    /// change the result.
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
