//! Forgetting people while the server answers.
//!
//! In: users. Out: the folder and all that runs over it, as if they had never come. The models are learned again beside the running
//! ones, over the log as it will be (a reader that hides the records). When the new ones have come near, writes wait: the old threads
//! end, the records become tombstones, new threads begin with what was learned, and writes go on. Answers never stop; until that
//! moment the people are strangers to them, and what they do meanwhile is forgotten with the rest.
//!
//! Before the first step the records are written down (`PendingErasure`), so whatever cuts this off, a crash or a stop, the next
//! opening finishes it. Until the switch nothing else is changed. Both sets of models are in memory for a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_event::UserId;
use accrue_store::{Facts, Log, PendingErasure};
use accrue_train::{Recovered, Traces, erase, find_traces, recover, refuse_if_pruned};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::fitting;
use super::forgetting::{finish_forgetting, mentions, remove_search};
use super::running::{Ending, Running, thread};
use super::{Engine, EngineError, checkpoints_in, learn_settings};

/// Records learned between two rests.
const PIECE: u64 = 1_024;
/// Of each moment of work, as much rest: the learner and the answers go on beside.
const REST: f64 = 1.0;
/// So many records behind the log's end, the rest is left to the new learner.
const NEAR: u64 = 4_096;
/// So often it runs after a log that grows; then it no longer rests, and twice as often later it is near enough in any case.
const PATIENT_ROUNDS: usize = 8;
/// So often it begins again because a guest of before became one of the people; then writes wait until it is done.
const MAX_BEGINNINGS: usize = 3;

/// Where a forgetting stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasingState {
    /// Nobody is being forgotten.
    #[default]
    Idle,
    /// What the log holds of them is being looked for.
    Searching,
    /// The models are learned again without them.
    Learning,
    /// Their records are erased, and the new models take over; writes wait.
    Switching,
}

/// How a forgetting goes, and how the last one went. It holds no names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ErasingStatus {
    /// What is done now.
    pub state: ErasingState,
    /// People it is about.
    pub n_users: u64,
    /// Their records, as far as known.
    pub records: u64,
    /// Records learned again so far, and all that there are.
    pub replayed: u64,
    /// See there.
    pub of: u64,
    /// The last one that ended well.
    pub last: Option<Erased>,
    /// Why the last one could not go on; the next start of the server finishes it.
    pub failed: Option<String>,
}

/// What a forgetting did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Erased {
    /// People forgotten.
    pub n_users: u64,
    /// Records that became tombstones.
    pub records: u64,
    /// Checkpoints that saw one of them, and are gone.
    pub checkpoints_removed: u64,
    /// Records learned again: the cost.
    pub replayed: u64,
    /// How long it took.
    pub seconds: f64,
    /// How long writes waited.
    pub writes_waited_ms: f64,
}

/// The engine's place for it.
#[derive(Default)]
pub(super) struct Erasing {
    place: Mutex<Place>,
    called: Condvar,
    /// Who is a stranger already.
    hidden: ArcSwap<BTreeSet<UserId>>,
}

#[derive(Default)]
struct Place {
    status: ErasingStatus,
    closing: bool,
    thread: Option<JoinHandle<()>>,
}

impl Erasing {
    /// Whether anybody is being forgotten.
    pub(super) fn is_at_work(&self) -> bool {
        !self.hidden.load().is_empty()
    }

    /// Whether this user is being forgotten: to answers, a stranger.
    pub(super) fn hides(&self, user: &UserId) -> bool {
        self.hidden.load().contains(user)
    }

    /// Stops whatever is under way, and waits for it.
    pub(super) fn close(&self) {
        let thread = {
            let mut place = self.place.lock();
            place.closing = true;
            place.thread.take()
        };
        self.called.notify_all();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("forgetting had panicked; the next start finishes it");
        }
    }

    fn note(&self, change: impl FnOnce(&mut ErasingStatus)) {
        change(&mut self.place.lock().status);
    }

    /// Rests, unless the engine closes.
    fn rest(&self, rest: Duration) -> Result<(), EngineError> {
        let until = Instant::now() + rest;
        let mut place = self.place.lock();
        while !place.closing && !self.called.wait_until(&mut place, until).timed_out() {}
        if place.closing { Err(EngineError::Closing) } else { Ok(()) }
    }
}

impl Engine {
    /// How forgetting goes.
    pub fn erasing(&self) -> ErasingStatus {
        self.home.erasing.place.lock().status.clone()
    }

    /// Begins to forget these people, and returns when that is written down; a thread goes on with it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if nothing is known of one of them: then nothing is done. [`EngineError::Conflict`] while others are being
    /// forgotten. Otherwise if the log was pruned too far, or a file cannot be read or written.
    pub fn forget(&self, users: BTreeSet<UserId>) -> Result<ErasingStatus, EngineError> {
        let erasing = &self.home.erasing;
        {
            let mut place = erasing.place.lock();
            if place.closing {
                return Err(EngineError::Closing);
            }
            if place.status.state != ErasingState::Idle {
                let message = "people are being forgotten just now; ask again when that is done".into();
                return Err(EngineError::Conflict { message });
            }
            place.status.state = ErasingState::Searching;
        }
        let begun = self.begin(&users);
        let mut place = erasing.place.lock();
        match begun {
            Ok(traces) => {
                place.status = ErasingStatus {
                    state: ErasingState::Learning,
                    n_users: users.len() as u64,
                    records: traces.offsets.len() as u64,
                    replayed: 0,
                    of: traces.end().0 - traces.first().unwrap_or_default().0,
                    failed: None,
                    last: place.status.last.take(),
                };
                erasing.hidden.store(Arc::new(users.clone()));
                let engine = self.clone();
                // The one before has ended: it left this place to us.
                place.thread = Some(thread("eraser", move || engine.run(&users, traces)));
                Ok(place.status.clone())
            }
            Err(error) => {
                place.status.state = ErasingState::Idle;
                Err(error)
            }
        }
    }

    fn begin(&self, users: &BTreeSet<UserId>) -> Result<Traces, EngineError> {
        let home = &self.home;
        let mut log = self.running().log.lock().another();
        let traces = find_traces(&mut log, users, mentions)?;
        if let Some(unknown) = users.iter().find(|user| !traces.records.contains_key(*user)) {
            return Err(EngineError::NotFound { what: "user", id: unknown.to_string() });
        }
        refuse_if_pruned(&mut log, &checkpoints_in(&home.dir), &learn_settings(&home.config), users, &traces)?;
        PendingErasure::of(&home.dir).begin(&traces.offsets)?;
        Ok(traces)
    }

    fn run(&self, users: &BTreeSet<UserId>, traces: Traces) {
        let started = Instant::now();
        tracing::info!(n_users = users.len(), n_records = traces.offsets.len(), "forgetting begins");
        let ended = self.erase(users, traces);
        let erasing = &self.home.erasing;
        if ended.is_ok() {
            erasing.hidden.store(Arc::default());
        }
        erasing.note(|status| {
            status.state = ErasingState::Idle;
            match ended {
                Ok(done) => {
                    let erased = Erased { seconds: started.elapsed().as_secs_f64(), ..done };
                    tracing::info!(records = erased.records, seconds = erased.seconds, "forgotten");
                    status.last = Some(erased);
                }
                Err(EngineError::Closing) => tracing::info!("forgetting is finished by the next start"),
                Err(error) => {
                    tracing::error!(%error, "forgetting could not go on; the next start of the server finishes it");
                    status.failed = Some(error.to_string());
                }
            }
        });
    }

    fn erase(&self, users: &BTreeSet<UserId>, mut traces: Traces) -> Result<Erased, EngineError> {
        for _ in 0..MAX_BEGINNINGS {
            let Some((recovered, replayed)) = self.learn_again(users, &mut traces)? else { continue };
            // Writes in flight are answered first; those that come wait from here on.
            let _turn = self.home.turn.blocking_write();
            let waiting = Instant::now();
            let mut log = self.running().log.lock().another();
            if traces.follow(&mut log, users, mentions)? {
                let erased = self.switch(users, traces, Some(recovered))?;
                let writes_waited_ms = waiting.elapsed().as_secs_f64() * 1e3;
                return Ok(Erased { replayed, writes_waited_ms, ..erased });
            }
        }
        let _turn = self.home.turn.blocking_write();
        let waiting = Instant::now();
        let erased = self.switch(users, traces, None)?;
        Ok(Erased { writes_waited_ms: waiting.elapsed().as_secs_f64() * 1e3, ..erased })
    }

    /// Learns the log without the records, to somewhere near its end, and says how many that were; `None` if a guest who left something
    /// before became one of the users meanwhile.
    fn learn_again(
        &self,
        users: &BTreeSet<UserId>,
        traces: &mut Traces,
    ) -> Result<Option<(Recovered, u64)>, EngineError> {
        let (home, first) = (&self.home, traces.first().unwrap_or_default());
        let mut log = self.running().log.lock().another();
        let mut blind = log.another();
        let mut recovered =
            recover(&mut blind, &checkpoints_in(&home.dir), &learn_settings(&home.config), first, true)?;
        let from = recovered.learner.end().0;
        for round in 0..2 * PATIENT_ROUNDS {
            if !traces.follow(&mut log, users, mentions)? {
                return Ok(None);
            }
            blind.hide(&traces.offsets);
            let end = traces.end();
            recovered.read_on(&mut blind, end)?;
            while recovered.learner.end() < end {
                let started = Instant::now();
                fitting::begin(recovered.learner.pending_fits());
                match recovered.learner.free_choices() {
                    0 => home.erasing.rest(fitting::A_MOMENT)?,
                    free => recovered.catch_up_by(&mut blind, PIECE.min(free))?,
                }
                let learner = recovered.learner.end().0;
                home.erasing.note(|status| {
                    (status.replayed, status.of) = (learner - from, end.0 - from);
                    status.records = traces.offsets.len() as u64;
                });
                let rest = if round < PATIENT_ROUNDS { started.elapsed().mul_f64(REST) } else { Duration::ZERO };
                home.erasing.rest(rest)?;
            }
            if log.end().0 - end.0 <= NEAR {
                break;
            }
        }
        let replayed = recovered.learner.end().0 - from;
        Ok(Some((recovered, replayed)))
    }

    /// Ends the old threads, erases, and starts new ones over what was learned again; without it, over what is learned now.
    fn switch(
        &self,
        users: &BTreeSet<UserId>,
        mut traces: Traces,
        recovered: Option<Recovered>,
    ) -> Result<Erased, EngineError> {
        let (home, old) = (&self.home, self.running());
        home.erasing.note(|status| status.state = ErasingState::Switching);
        old.close(Ending::Abandoned)?;
        // Answers were recorded up to the end; a merge was not, for writes wait.
        traces.follow(&mut old.log.lock().another(), users, mentions)?;
        let pending = PendingErasure::of(&home.dir);
        pending.begin(&traces.offsets)?;
        let n_checkpoints = checkpoints_in(&home.dir).list()?.len() as u64;
        let put = match recovered {
            Some(recovered) => self.put(&traces, recovered, &old),
            None => Err(EngineError::Closing),
        };
        // Not so: then as it is done after a crash.
        let running = put.or_else(|error| {
            tracing::warn!(%error, "everything is learned again before writes go on");
            finish_forgetting(&home.dir, &home.config)?;
            Running::open(&home.dir, &home.config, home.resets.as_ref())
        })?;
        pending.end()?;
        // Answers given while the threads changed go along; but for those to the people themselves.
        let served = old.shared.served.take_answers().filter(|served| {
            let user = served.user.as_ref();
            user.is_none_or(|user| !users.contains(user))
        });
        served.for_each(|served| running.shared.served.push(served));
        let checkpoints_left = checkpoints_in(&home.dir).list()?.len() as u64;
        home.running.store(Arc::new(running));
        Ok(Erased {
            n_users: users.len() as u64,
            records: traces.offsets.len() as u64,
            checkpoints_removed: n_checkpoints.saturating_sub(checkpoints_left),
            replayed: traces.end().0 - traces.first().unwrap_or_default().0,
            seconds: 0.0,
            writes_waited_ms: 0.0,
        })
    }

    fn put(&self, traces: &Traces, mut recovered: Recovered, old: &Running) -> Result<Running, EngineError> {
        let home = &self.home;
        let mut log = Log::open(&home.dir, (&home.config.log).into())?;
        erase(&mut log, &checkpoints_in(&home.dir), &traces.offsets)?;
        recovered.read_on(&mut log.reader(), log.end())?;
        // The checkpoint that it began with lies far back: the next one is due.
        recovered.checkpoint = None;
        if !sells_the_same(&old.shared.facts.read(), &recovered.facts) {
            remove_search(&home.dir)?;
        }
        let checkpoints = checkpoints_in(&home.dir);
        Running::start(log, recovered, checkpoints, &home.dir, &home.config, home.resets.as_ref())
    }
}

/// Whether both know the same items, under the same numbers: then the search index holds.
fn sells_the_same(old: &Facts, new: &Facts) -> bool {
    let (old, new) = (old.entries(), new.entries());
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| old.retired == new.retired && old.item == new.item)
}
