//! A what-if beside the running server: one proposal at a time is judged on the server's own log, in a thread of its own.
//!
//! In: a proposal. Out: how far the work is, then what was found, until the next proposal. The work reads the log as
//! another program would; while it runs it holds the facts twice more and the models once more, and makes at most
//! [`MOST_ANSWERS`] pages again. It ends when a person is forgotten, whose records it may have read. Nothing is stored: after a restart there is no result.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::what_if::Proposal;
use crate::what_if_log::{WhatIfAsked, judge_on_log};
use crate::what_if_status::{WhatIfState, WhatIfStatus};

/// Answers that are made again, at most, beside a running server.
pub const MOST_ANSWERS: usize = 5_000;

impl Engine {
    /// The latest what-if.
    pub fn what_if(&self) -> WhatIfStatus {
        self.inner.what_if.0.lock().clone()
    }

    /// Begins to judge a proposal on the log. `written` is the proposal as it was sent.
    ///
    /// # Errors
    /// [`EngineError::Proposal`] if the proposal has a fault, and [`EngineError::Conflict`] while another is being
    /// judged or a person is being forgotten.
    pub fn begin_what_if(&self, proposal: Proposal, written: Box<str>, asked: WhatIfAsked) -> Result<(), EngineError> {
        self.with_shop(|shop| proposal.check(&self.inner.config, shop.facts))?;
        let n_erasures = self.n_erasures();
        if self.inner.erasure.is_running() {
            let message = "people are being forgotten just now; ask again when that is done".to_owned();
            return Err(EngineError::Conflict { message });
        }
        let job = self.inner.what_if.clone();
        let mut status = job.0.lock();
        if matches!(status.state, WhatIfState::Running(_)) {
            let message = "another proposal is being judged; ask again when it is done".to_owned();
            return Err(EngineError::Conflict { message });
        }
        *status = WhatIfStatus { proposal: written, state: WhatIfState::Running(0.0) };
        drop(status);
        let asked = WhatIfAsked { answers: asked.answers.min(MOST_ANSWERS), ..asked };
        // The work keeps no engine open.
        let engine = Arc::downgrade(&self.inner);
        let (dir, config, of_thread) = (self.inner.dir.clone(), self.inner.config.clone(), job.clone());
        let work = move || {
            // Whoever is forgotten must not stay in what this thread has read.
            let progress = |done: f64| {
                of_thread.0.lock().state = WhatIfState::Running(done);
                engine.upgrade().is_some_and(|engine| engine.erasure.n_begun() == n_erasures)
            };
            let judged = || judge_on_log(&dir, &config, &proposal, &asked, &progress);
            // A bug here must not leave a what-if that never ends.
            let state = match std::panic::catch_unwind(AssertUnwindSafe(judged)) {
                Ok(Ok(found)) => WhatIfState::Done(Box::new(found)),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a what-if could not be judged");
                    WhatIfState::Failed(error.to_string())
                }
                Err(_) => WhatIfState::Failed("an internal error, which the server's log has".to_owned()),
            };
            of_thread.0.lock().state = state;
        };
        let begun = std::thread::Builder::new().name("what-if".into()).spawn(work);
        if let Err(error) = begun {
            job.0.lock().state = WhatIfState::Failed(error.to_string());
        }
        Ok(())
    }
}
