//! Forgetting people while the server answers.
//!
//! In: users. Out: the folder and everything that runs over it as if those people had never come. Facts and models are learned again
//! beside the running ones, over the log as it will be (a reader that hides their records). When the new ones are near the end of the
//! log, writes wait: the old threads end, the records become tombstones, new threads start with what was learned, and writes go on.
//! Reads never stop. Until that moment the people are unknown visitors to them, and what they do meanwhile is erased with the rest.
//!
//! The people and their records are written down before anything else is done (`PendingErasure`), so that the next opening finishes an
//! erasure that a crash or a stop interrupted, and erases what the people did until then. Nothing else is changed until the switch. Facts and models are in memory twice for that time.
//!
//! An attempt that fails is repeated after increasing waits. Until it is done, its people stay hidden and its records stay noted,
//! and people of later requests are forgotten together with them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_event::UserId;
use accrue_store::{CataloguePlace, Facts, Log, LogReader, PendingErasure};
use accrue_train::{
    Recovered, Traces, TrainError, erase, find_traces, is_same_person, recover, refuse_if_pruned, with_other_spellings,
};

use super::at_rest::finish_forgetting;
use super::mentions::mentions;
use super::status::{Begun, Erased, ErasureState, ErasureStatus};
use crate::backoff::Backoff;
use crate::config::learn_settings;
use crate::engine::Engine;
use crate::error::{EngineError, Resource};
use crate::folder::{checkpoints_in, remove_search};
use crate::learn::fits;
use crate::running::{Running, Shutdown};
use crate::threads::thread;

/// Records learned between two rests.
const PIECE: u64 = 1_024;
/// Time of rest for each second of work: the learner and the readers run beside it.
const REST: f64 = 1.0;
/// This near to the end of the log, the new learner's thread learns the rest.
const NEAR: u64 = 4_096;
/// Rounds of following a log that grows, each up to the end that it had at the beginning. After this number it no longer rests, and
/// after twice the number it is near enough in any case.
const ROUNDS_WITH_REST: usize = 8;
/// It begins again if a guest, whose earlier records were kept, became one of the people. After this number of attempts writes wait until
/// it is done.
const MAX_ATTEMPTS: usize = 3;
/// How long an erasure waits at most for answers on their way to the log. The writer takes them within a tenth of a second.
const ANSWERS: Duration = Duration::from_secs(2);
/// When an erasure that failed is tried again.
const RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(300));

impl Engine {
    /// The progress of the erasure.
    pub fn erasure(&self) -> ErasureStatus {
        self.inner.erasure.slot().status.clone()
    }

    /// Begins to forget these people, and returns when their records are written down; a thread goes on with it.
    ///
    /// If the log cannot be read, the people are written down without their records, hidden, and searched for again after a wait; the status
    /// says why.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if nothing is known of one of them: then nothing is done. [`EngineError::Conflict`] while others are being
    /// forgotten. Otherwise if the log was pruned too far, or the note cannot be written.
    pub fn forget(&self, users: BTreeSet<UserId>) -> Result<ErasureStatus, EngineError> {
        let erasure = &self.inner.erasure;
        {
            let mut slot = erasure.slot();
            if slot.closing {
                return Err(EngineError::Closing);
            }
            if slot.status.state != ErasureState::Idle {
                let message = "people are being forgotten just now; ask again when that is done".into();
                return Err(EngineError::Conflict { message });
            }
            slot.status.state = ErasureState::Searching;
        }
        let begun = self.begin_erasure(&users);
        let mut slot = erasure.slot();
        match begun {
            Ok(begun) => {
                slot.begin(&begun);
                erasure.hide(begun.users.clone());
                erasure.count();
                // Whose visits these are is not known.
                self.inner.visits.clear();
                if slot.is_waiting {
                    slot.next = Some(begun);
                    erasure.notify();
                } else {
                    let engine = self.clone();
                    // The thread of the erasure before this one has ended, because the state was idle.
                    slot.thread = Some(eraser(self.clone(), move || engine.run_erasures(Some(begun))));
                }
                Ok(slot.status.clone())
            }
            // Until it is noted whom this is about, no other erasure begins.
            Err(error) => {
                let may_start = !slot.is_waiting;
                drop(slot);
                self.keep_asked(users, error, may_start)
            }
        }
    }

    /// Keeps a request whose people are known, but whose records cannot be found because the log cannot be read, for later.
    /// `may_start`: whether no thread waits for the next attempt already.
    fn keep_asked(
        &self,
        users: BTreeSet<UserId>,
        error: EngineError,
        may_start: bool,
    ) -> Result<ErasureStatus, EngineError> {
        let erasure = &self.inner.erasure;
        let is_unread = matches!(error, EngineError::Store(_) | EngineError::Train(TrainError::Store(_)));
        let are_known = || self.with_shop(|shop| users.iter().all(|user| shop.facts.user(user).is_some()));
        // A note that cannot be written keeps nothing, so the request fails with the first reason.
        let is_noted = || match PendingErasure::of(&self.inner.dir).begin(&[], &users) {
            Ok(_) => true,
            Err(unwritten) => {
                tracing::error!(error = %unwritten, "who is to be forgotten cannot be written down");
                false
            }
        };
        if !is_unread || !are_known() || !is_noted() {
            erasure.update(|status| status.state = ErasureState::Idle);
            erasure.notify();
            return Err(error);
        }
        erasure.hide(erasure.hidden().union(&users).cloned().collect());
        erasure.count();
        self.inner.visits.clear();
        erasure.update(|status| status.n_users = erasure.hidden().len() as u64);
        if may_start {
            self.retry_erasure(&error);
        } else {
            erasure.update(|status| (status.state, status.failed) = (ErasureState::Idle, Some(error.to_string())));
            erasure.notify();
        }
        Ok(self.erasure())
    }

    /// How often people were forgotten since the start. Whatever is kept of visitors in memory is dropped when this changes.
    pub fn n_erasures(&self) -> u64 {
        self.inner.erasure.n_begun()
    }

    /// Notes the records of these people, and of those whose erasure failed.
    fn begin_erasure(&self, asked: &BTreeSet<UserId>) -> Result<Begun, EngineError> {
        let (inner, running) = (&self.inner, self.running());
        let hidden = inner.erasure.hidden();
        let pending = PendingErasure::of(&inner.dir);
        let mut users: BTreeSet<UserId> = asked.union(&hidden).cloned().collect();
        users.extend(pending.noted()?.users);
        // An answer that somebody just got is written a little later, and may be all that there is of them.
        running.shared.served.wait_until_recorded(ANSWERS);
        let mut log = running.log.lock().another();
        let users = with_other_spellings(&mut log, &users)?;
        // Until the note is written nothing may be removed that the erasure needs; afterwards retention waits for its end.
        let _pruning = running.shared.pruning.lock();
        let mut traces = find_traces(&mut log, &users, mentions)?;
        // Without names there is only what was noted, and this was made sure of then.
        if !users.is_empty() {
            let settings = learn_settings(&inner.config);
            refuse_if_pruned(&mut log, &checkpoints_in(&inner.dir), &settings, &users, &traces)?;
        }
        if let Some(unknown) =
            asked.difference(&hidden).find(|asked| !traces.records.keys().any(|user| is_same_person(user, asked)))
        {
            return Err(EngineError::NotFound { what: Resource::User, id: unknown.to_string() });
        }
        let noted = pending.begin(&traces.offsets, &users)?;
        traces.add_noted(&noted.offsets);
        Ok(Begun { users, traces })
    }

    /// Goes on with an erasure that the start could not finish, after a wait.
    pub(crate) fn retry_erasure(&self, error: &EngineError) {
        tracing::error!(%error, "an erasure cannot be finished; its people are hidden, and it is tried again");
        self.inner.erasure.fail(error);
        let engine = self.clone();
        self.inner.erasure.slot().thread = Some(eraser(self.clone(), move || {
            // Closing ends the wait, and the next start goes on.
            if let Ok(begun) = engine.inner.erasure.wait_for_attempt(RETRY.first()) {
                engine.run_erasures(begun);
            }
        }));
    }

    /// Erases this, or what is noted, and tries again as long as that fails.
    fn run_erasures(&self, begun: Option<Begun>) {
        let erasure = &self.inner.erasure;
        let (mut next, mut retry) = (begun, RETRY);
        loop {
            let begun = match next.take() {
                Some(begun) => Ok(begun),
                None => self.begin_erasure(&BTreeSet::new()).inspect(|begun| erasure.slot().begin(begun)),
            };
            let error = match begun.and_then(|begun| self.run_erasure(begun)) {
                Ok(erased) => {
                    tracing::info!(records = erased.records, seconds = erased.seconds, "forgotten");
                    erasure.hide(BTreeSet::new());
                    return erasure.update(|status| {
                        (status.state, status.last, status.failed) = (ErasureState::Idle, Some(erased), None);
                    });
                }
                Err(error) => error,
            };
            let next_begun = match error {
                EngineError::Closing => Err(error),
                error => {
                    let wait = retry.fail();
                    tracing::error!(%error, wait_s = wait.as_secs(), "the erasure failed and is tried again");
                    erasure.fail(&error);
                    erasure.wait_for_attempt(wait)
                }
            };
            match next_begun {
                Ok(Some(begun)) => (next, retry) = (Some(begun), RETRY),
                Ok(None) => {}
                Err(_) => {
                    tracing::info!("the next start finishes the erasure");
                    return erasure.update(|status| status.state = ErasureState::Idle);
                }
            }
        }
    }

    fn run_erasure(&self, begun: Begun) -> Result<Erased, EngineError> {
        let started = Instant::now();
        tracing::info!(n_users = begun.users.len(), n_records = begun.traces.offsets.len(), "forgetting begins");
        let erased = self.erase(begun)?;
        Ok(Erased { seconds: started.elapsed().as_millis() as f64 / 1e3, ..erased })
    }

    fn erase(&self, begun: Begun) -> Result<Erased, EngineError> {
        let Begun { users, mut traces } = begun;
        // An attempt that failed in the middle of the switch has ended the threads.
        let n_attempts = if self.running().is_closed() { 0 } else { MAX_ATTEMPTS };
        for _ in 0..n_attempts {
            let Some((recovered, replayed)) = self.learn_again(&users, &mut traces)? else { continue };
            // Writes in flight are answered first; later ones wait from here on.
            let _writes = self.inner.writes.blocking_write();
            let waiting = Instant::now();
            let mut log = self.running().log.lock().another();
            if traces.follow(&mut log, &users, mentions)? {
                let erased = self.switch(&users, traces, Some(recovered))?;
                let writes_waited_ms = waiting.elapsed().as_micros() as f64 / 1e3;
                return Ok(Erased { replayed, writes_waited_ms, ..erased });
            }
        }
        let _writes = self.inner.writes.blocking_write();
        let waiting = Instant::now();
        let erased = self.switch(&users, traces, None)?;
        Ok(Erased { writes_waited_ms: waiting.elapsed().as_micros() as f64 / 1e3, ..erased })
    }

    /// Learns the log without those records to somewhere near its end; returns what was learned and the number of records. `None` if a
    /// guest with records from before became one of the users meanwhile.
    fn learn_again(
        &self,
        users: &BTreeSet<UserId>,
        traces: &mut Traces,
    ) -> Result<Option<(Recovered, u64)>, EngineError> {
        let (inner, first) = (&self.inner, traces.first().unwrap_or_default());
        let mut log = self.running().log.lock().another();
        let mut hiding = log.another();
        let mut recovered =
            recover(&mut hiding, &checkpoints_in(&inner.dir), &learn_settings(&inner.config), first, true)?;
        let from = recovered.learner.end().0;
        for round in 0..2 * ROUNDS_WITH_REST {
            if !traces.follow(&mut log, users, mentions)? {
                return Ok(None);
            }
            hiding.hide(&traces.offsets);
            let end = traces.end();
            recovered.read_on(&mut hiding, end)?;
            while recovered.learner.end() < end {
                let started = Instant::now();
                fits::start(recovered.learner.pending_fits());
                match recovered.learner.free_choices() {
                    0 => inner.erasure.rest(fits::POLL)?,
                    free => recovered.catch_up_by(&mut hiding, PIECE.min(free))?,
                }
                let learner = recovered.learner.end().0;
                inner.erasure.update(|status| {
                    (status.replayed, status.of) = (learner - from, end.0 - from);
                    status.records = traces.offsets.len() as u64;
                });
                let rest = if round < ROUNDS_WITH_REST { started.elapsed().mul_f64(REST) } else { Duration::ZERO };
                inner.erasure.rest(rest)?;
            }
            if log.end().0 - end.0 <= NEAR {
                break;
            }
        }
        let replayed = recovered.learner.end().0 - from;
        Ok(Some((recovered, replayed)))
    }

    /// Ends the old threads, erases the records, and starts new threads with what was learned again; without that, the new learner's
    /// thread learns it.
    fn switch(
        &self,
        users: &BTreeSet<UserId>,
        traces: Traces,
        recovered: Option<Recovered>,
    ) -> Result<Erased, EngineError> {
        let (inner, old) = (&self.inner, self.running());
        inner.erasure.update(|status| status.state = ErasureState::Switching);
        if let Err(error) = old.close(Shutdown::Abandon) {
            tracing::warn!(%error, "the folder is opened again for the erasure");
        }
        let erased = self.start_again(users, traces, recovered, &old);
        if let Err(error) = &erased {
            // There are no threads now, so that writes cannot be taken until the next attempt.
            old.shared.poison(&format!("people were being forgotten, and that failed: {error}; it is tried again"));
        }
        erased
    }

    fn start_again(
        &self,
        users: &BTreeSet<UserId>,
        mut traces: Traces,
        recovered: Option<Recovered>,
        old: &Running,
    ) -> Result<Erased, EngineError> {
        let inner = &self.inner;
        let checkpoints = checkpoints_in(&inner.dir);
        // Answers were recorded until now, and the log may hold a group of records whose commit was reported as failed.
        let is_all = traces.follow(&mut LogReader::open(inner.config.log_place(&inner.dir))?, users, mentions)?;
        let pending = PendingErasure::of(&inner.dir);
        pending.begin(&traces.offsets, users)?;
        let n_checkpoints = checkpoints.list()?.len() as u64;
        let started = match recovered.filter(|_| is_all) {
            Some(recovered) => self.start_without(&traces, recovered, old),
            None => Err(EngineError::Closing),
        };
        // If that fails, it is done as after a crash.
        let running = started.or_else(|error| {
            tracing::warn!(%error, "the models are learned again from the last checkpoint without the erased records");
            finish_forgetting(&inner.dir, &inner.config)?;
            Running::open(&inner.dir, &inner.config, inner.resets.as_ref())
        })?;
        // Answers that were given meanwhile are recorded, except those to the people themselves.
        let served = old.shared.served.take_answers().filter(|served| {
            let user = served.user.as_ref();
            user.is_none_or(|user| !users.contains(user))
        });
        served.for_each(|served| running.shared.served.push(served));
        inner.running.store(Arc::new(running));
        pending.end()?;
        let checkpoints_left = checkpoints.list()?.len() as u64;
        Ok(Erased {
            n_users: users.len() as u64,
            records: traces.offsets.len() as u64,
            checkpoints_removed: n_checkpoints.saturating_sub(checkpoints_left),
            replayed: traces.end().0 - traces.first().unwrap_or_default().0,
            seconds: 0.0,
            writes_waited_ms: 0.0,
        })
    }

    fn start_without(&self, traces: &Traces, mut recovered: Recovered, old: &Running) -> Result<Running, EngineError> {
        let inner = &self.inner;
        let mut log = Log::open(inner.config.log_place(&inner.dir), (&inner.config.log).into())?;
        erase(&mut log, &checkpoints_in(&inner.dir), &traces.offsets)?;
        recovered.read_on(&mut log.reader(), log.end())?;
        // The checkpoint that it began with is old, so the next one is due.
        recovered.checkpoint = None;
        if !have_same_items(&old.shared.facts.read(), &recovered.facts) {
            remove_search(&inner.dir)?;
        }
        let checkpoints = checkpoints_in(&inner.dir);
        Running::start(log, recovered, checkpoints, &inner.dir, &inner.config, inner.resets.as_ref())
    }
}

/// Starts the thread that forgets. After a panic people stay noted: the next request, or the next start, goes on with them.
fn eraser(engine: Engine, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread("eraser", run, move |why| engine.inner.erasure.abandon(why))
}

/// Whether both have the same items under the same numbers, so that the search index is still right.
fn have_same_items(old: &Facts, new: &Facts) -> bool {
    let (old, new) = (old.entries(), new.entries());
    let is_same = |old: &CataloguePlace, new: &CataloguePlace| {
        old.is_retired() == new.is_retired() && old.read().item == new.read().item
    };
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
}
