//! Versions of the models as an operator sees them, and which of them may be promoted or rolled back to.

use accrue_train::{Learner, Lineage, SuspectWindow, VersionEntry, VersionStatus};
use serde::Serialize;

use crate::challenger::status::ChallengerStatus;
use crate::error::{EngineError, Resource};

/// Every version, and which of them answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Versions {
    /// Oldest first; the last one is the current model.
    pub versions: Vec<VersionEntry>,
    /// Versions whose state is kept, so that learning can go on from them.
    pub kept: Vec<u64>,
    /// The version that answers requests.
    pub serving: u64,
    /// The last good version; 0 before there is one.
    pub good: u64,
    /// Whether the current model is on probation after a rollback; until that ends, the good version answers.
    pub on_probation: bool,
    /// Rollbacks that an alarm caused.
    pub alarms: u64,
    /// Windows of records that were learned and undone.
    pub suspect: Vec<SuspectWindow>,
    /// The challenger, and the verdicts on those before it.
    pub challenger: ChallengerStatus,
}

impl Versions {
    /// The versions of a learner.
    pub fn of(learner: &Learner) -> Self {
        let lineage: &Lineage = learner.lineage();
        let good = lineage.good().map_or(0, |(number, _)| number);
        let on_probation = learner.is_on_probation();
        Self {
            versions: lineage.entries().to_vec(),
            kept: lineage.kept().collect(),
            serving: if on_probation { good } else { lineage.learning() },
            good,
            on_probation,
            alarms: learner.n_alarms(),
            suspect: lineage.windows().to_vec(),
            challenger: ChallengerStatus::of(learner.resets()),
        }
    }

    /// The version with this number.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn version(&self, number: u64) -> Result<&VersionEntry, EngineError> {
        let found = self.versions.iter().find(|entry| entry.number == number);
        found.ok_or_else(|| EngineError::NotFound { what: Resource::Version, id: number.to_string() })
    }

    /// The version to restore when `number` is undone: the latest one before it that was good and whose state is kept.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], or [`EngineError::Conflict`] if no state before it is kept.
    pub fn before(&self, number: u64) -> Result<u64, EngineError> {
        self.version(number)?;
        let was_good = |status| matches!(status, VersionStatus::Good | VersionStatus::Superseded);
        let earlier = self.versions.iter().rev().filter(|entry| entry.number < number && was_good(entry.status));
        let kept = earlier.map(|entry| entry.number).find(|number| self.kept.contains(number));
        kept.ok_or_else(|| EngineError::Conflict {
            message: format!("no state of a version before {number} is kept: nothing to go back to"),
        })
    }

    /// Refuses a version that learning cannot go on from.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], or [`EngineError::Conflict`] if its state is not kept or it is the current model.
    pub fn refuse_if_gone(&self, number: u64) -> Result<(), EngineError> {
        let entry = self.version(number)?;
        let message = match entry.status {
            VersionStatus::Learning => format!("version {number} is the one that is being learned"),
            _ if !self.kept.contains(&number) => {
                let kept: Vec<String> = self.kept.iter().map(u64::to_string).collect();
                let offset = entry.offset;
                format!(
                    "the state of version {number} is no longer kept (kept: {}); `accrue replay --to {offset}` shows what it was",
                    kept.join(", ")
                )
            }
            _ => return Ok(()),
        };
        Err(EngineError::Conflict { message })
    }
}
