//! Versions as an operator sees them: which there are, which one to go on from, what was undone and may come back.

use accrue_store::{Body, Facts, LogReader, Offset};
use accrue_train::{Lineage, Past, SuspectWindow, Take, TrainError, VersionEntry, VersionStatus};
use serde::Serialize;

use super::contract::{ChallengerState, ChallengerStatus};
use super::shared::Shared;
use super::{Engine, EngineError};

/// Records read again at once, between which writers get their turn.
const CHUNK: usize = 1_024;

/// All versions, and how the guard stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Versions {
    /// Oldest first; the last one is being learned.
    pub versions: Vec<VersionEntry>,
    /// Those whose states can be gone back to.
    pub kept: Vec<u64>,
    /// The version that answers.
    pub serving: u64,
    /// The last version known good; 0 in a young shop.
    pub good: u64,
    /// Whether what is being learned has to prove itself after a rollback; until then the good version answers.
    pub on_probation: bool,
    /// Rollbacks by alarm.
    pub alarms: u64,
    /// Records that were learned and undone.
    pub suspect: Vec<SuspectWindow>,
    /// Where the next reset stands, and what came of the challengers before.
    pub challenger: ChallengerStatus,
}

impl Versions {
    /// What a learner tells.
    pub fn of(learner: &accrue_train::Learner) -> Self {
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

    /// One version.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn version(&self, number: u64) -> Result<&VersionEntry, EngineError> {
        let found = self.versions.iter().find(|entry| entry.number == number);
        found.ok_or_else(|| EngineError::NotFound { what: "version", id: number.to_string() })
    }

    /// The version to go back to when `number` is to be undone: the latest before it that was good and whose state is kept.
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

    /// Refuses a version that cannot be gone on from.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], or [`EngineError::Conflict`] if its state is gone or it is being learned already.
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

impl Engine {
    /// All versions, as of the last publication.
    pub fn versions(&self) -> Versions {
        let mut versions = (**self.running().shared.versions.load()).clone();
        versions.challenger = self.challenger(versions.challenger);
        versions
    }

    /// Where the next reset stands, if this engine resets; `otherwise` if not.
    pub(super) fn challenger(&self, otherwise: ChallengerStatus) -> ChallengerStatus {
        let now = self.running().shared.desk.status();
        if now.state == ChallengerState::Off { otherwise } else { now }
    }

    /// Goes on from this version: it answers when this returns, and what was learned after it is undone.
    ///
    /// # Errors
    /// Those of [`Versions::refuse_if_gone`] and [`Engine::ingest`].
    pub fn promote(&self, number: u64, why: &str) -> Result<Versions, EngineError> {
        self.versions().refuse_if_gone(number)?;
        self.choose(number, why)
    }

    /// Undoes this version: goes on from the latest good one before it.
    ///
    /// # Errors
    /// Those of [`Versions::before`] and [`Engine::ingest`].
    pub fn roll_back(&self, number: u64, why: &str) -> Result<Versions, EngineError> {
        let before = self.versions().before(number)?;
        self.choose(before, why)
    }

    fn choose(&self, version: u64, why: &str) -> Result<Versions, EngineError> {
        let why = why.into();
        self.append_and_learn(move |_| Ok(vec![Body::Chosen { version, why }]))
    }

    /// Learns the suspect records of the window that begins at `from` after all.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and those of [`Engine::ingest`].
    pub fn release_window(&self, from: Offset) -> Result<Versions, EngineError> {
        let versions = self.versions();
        let window = versions.suspect.iter().find(|window| window.from == from && !window.released);
        let window = window.ok_or_else(|| EngineError::NotFound { what: "suspect window", id: from.to_string() })?;
        let to = window.to;
        self.append_and_learn(move |_| Ok(vec![Body::WindowReleased { from, to }]))
    }

    /// Appends records and waits until what follows from them answers.
    pub(super) fn append_and_learn(
        &self,
        records: impl FnOnce(&Facts) -> Result<Vec<Body>, EngineError> + Send + 'static,
    ) -> Result<Versions, EngineError> {
        self.ask_blocking(|reply| super::Job::Edit(Box::new(move |facts, _| records(facts)), reply))?;
        self.wait_until_learned();
        Ok(self.versions())
    }
}

/// The past as the engine has it: the log, and the facts that writers go on with meanwhile.
pub(super) struct SharedPast<'a> {
    pub(super) log: &'a mut LogReader,
    pub(super) shared: &'a Shared,
}

impl Past for SharedPast<'_> {
    fn read(&mut self, from: Offset, to: Offset, take: &mut Take<'_>) -> Result<(), TrainError> {
        if from < self.log.start() && from < to {
            return Err(TrainError::PastPruned { start: self.log.start() });
        }
        let mut next = from;
        while next < to {
            let limit = CHUNK.min((to.0 - next.0) as usize);
            let mut records = Vec::with_capacity(limit);
            let read = self.log.read(next, limit, |record| records.push(record))?;
            if read == next {
                break;
            }
            next = read;
            let resolved: Vec<_> = {
                let facts = self.shared.facts.read();
                records.iter().map(|record| facts.resolve(record)).collect()
            };
            for (record, fact) in records.iter().zip(resolved) {
                take(record.offset, record.received_at.0, fact)?;
            }
        }
        Ok(())
    }
}
