//! What an operator decides: which version to go on from, which suspect records to learn, which challenger to train.
//!
//! A decision is a record of the log; it has taken effect when the call returns. A requested challenger is trained later.

use accrue_store::{Body, Facts, Offset};

use crate::challenger::request::{ChallengerRequest, Command, RequestedChallenger, with_changes};
use crate::challenger::status::ChallengerStatus;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{EngineError, Resource};
use crate::versions::Versions;
use crate::write::job::Job;

impl Engine {
    /// All versions, as of the last publication.
    pub fn versions(&self) -> Versions {
        let mut versions = (**self.running().shared.versions.load()).clone();
        versions.challenger = self.challenger_status(versions.challenger);
        versions
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
    /// [`EngineError::NotFound`], [`EngineError::Conflict`] if retention removed records of the window, and those of
    /// [`Engine::ingest`].
    pub fn release_window(&self, from: Offset) -> Result<Versions, EngineError> {
        let versions = self.versions();
        let window = versions.suspect.iter().find(|window| window.from == from && !window.released);
        let window =
            window.ok_or_else(|| EngineError::NotFound { what: Resource::SuspectWindow, id: from.to_string() })?;
        let to = window.to;
        let log = self.running().log.lock().another();
        // On the writer's thread, where retention also moves the log's beginning: nothing can come between.
        self.append_and_learn(move |_| match log.start() {
            start if start > from => {
                let message =
                    format!("the records from {from} on cannot be learned: retention removed those before {start}");
                Err(EngineError::Conflict { message })
            }
            _ => Ok(vec![Body::WindowReleased { from, to }]),
        })
    }

    /// Appends records and waits until a version that has learned them answers.
    fn append_and_learn(
        &self,
        records: impl FnOnce(&Facts) -> Result<Vec<Body>, EngineError> + Send + 'static,
    ) -> Result<Versions, EngineError> {
        self.ask_blocking(|reply| Job::Edit(Box::new(move |facts, _| records(facts)), reply))?;
        self.wait_until_learned();
        Ok(self.versions())
    }

    /// Asks for a challenger, in place of any that is under way. Its training begins when the learner is neither behind nor on probation.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] if there is no such setting, or the settings cannot work; [`EngineError::Conflict`] if this engine does
    /// not serve.
    pub fn request_challenger(&self, request: ChallengerRequest) -> Result<ChallengerStatus, EngineError> {
        let running = self.running();
        let shared = &running.shared;
        let refused = |message| EngineError::Invalid { field: "set", message };
        let models = with_changes(&shared.version.load().ensemble.settings, &request.set)
            .map_err(|error| refused(error.to_string()))?;
        Config { model: models.clone(), ..self.inner.config.clone() }
            .validate()
            .map_err(|fault| refused(fault.to_string()))?;
        let log_end = shared.facts.read().end.0;
        if request.from >= log_end {
            let message =
                format!("there is nothing to learn from record {} on: the log ends at {log_end}", request.from);
            return Err(EngineError::Invalid { field: "from", message });
        }
        self.command(Command::Start(Box::new(RequestedChallenger { request, models })))
    }

    /// The loss of mean gain that counts as not worse where a request does not name one.
    pub fn margin(&self) -> f64 {
        self.inner.config.learn.reset.gate.margin
    }

    /// Drops the requested challenger.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] if this engine does not serve.
    pub fn dismiss_challenger(&self) -> Result<ChallengerStatus, EngineError> {
        self.command(Command::Dismiss)
    }

    fn command(&self, command: Command) -> Result<ChallengerStatus, EngineError> {
        if self.inner.resets.is_none() {
            return Err(EngineError::Conflict { message: "only a server trains challengers".into() });
        }
        let running = self.running();
        running.shared.mailbox.send_command(command);
        running.shared.wake_learner();
        Ok(running.shared.mailbox.status())
    }
}
