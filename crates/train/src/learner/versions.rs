//! Versions in the learner: when one is sealed or confirmed, and what is published.

use accrue_model::{Ensemble, Version};
use accrue_store::Offset;

use super::Learner;
use crate::model_state::ModelState;
use crate::versions::Sealing;

/// The first version is sealed after this many choices.
const FIRST_VERSION: u64 = 2_000;

impl Learner {
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

    /// Seals a version, or confirms the sealed one, when enough choices have been learned and no test suspects strong
    /// harm.
    pub(super) fn advance(&mut self, end: Offset) {
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

    pub(super) fn sealing(&self, end: Offset) -> Sealing {
        Sealing {
            offset: end,
            received_ms: self.progress.received_ms,
            settings: self.settings.fingerprint(),
            tallies: self.guard.tallies(),
        }
    }

    /// The same state without the names that versions have of their build and settings: what a digest covers, because
    /// another build learns the same and calls it otherwise.
    pub(crate) fn without_labels(&self) -> Self {
        let mut learner = self.clone();
        learner.lineage.clear_labels();
        learner
    }

    /// After loading: makes the states of versions share the memory of the current model where both are equal.
    pub(crate) fn share_memory(&mut self) {
        self.current.refresh();
        self.current.share_within();
        self.lineage.kept_states_mut().for_each(|state| state.share_with(&self.current));
        self.lineage.tested_mut().for_each(ModelState::refresh);
    }
}
