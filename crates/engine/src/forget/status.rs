//! The erasure that is under way in a running engine: its progress, the people it hides, its thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_event::UserId;
use accrue_train::Traces;
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, MutexGuard};
use serde::Serialize;

use crate::error::EngineError;

/// What an erasure is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasureState {
    /// None is under way.
    #[default]
    Idle,
    /// It searches the log for the people's records.
    Searching,
    /// It learns the facts and the models again without those records.
    Learning,
    /// It erases the records and replaces facts and models; writes wait.
    Switching,
}

/// The progress of an erasure, and the outcome of the last one. It holds no names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ErasureStatus {
    /// What it is doing.
    pub state: ErasureState,
    /// People to forget.
    pub n_users: u64,
    /// Their records found so far.
    pub records: u64,
    /// Records learned again so far.
    pub replayed: u64,
    /// Records to learn again.
    pub of: u64,
    /// The last erasure that finished.
    pub last: Option<Erased>,
    /// Why the last attempt failed, if it did. It is tried again, and the next start of the server finishes it as well.
    pub failed: Option<String>,
}

/// What an erasure did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Erased {
    /// People forgotten.
    pub n_users: u64,
    /// Records that became tombstones.
    pub records: u64,
    /// Checkpoints that held one of them, and were removed.
    pub checkpoints_removed: u64,
    /// Records learned again: the cost.
    pub replayed: u64,
    /// How long it took.
    pub seconds: f64,
    /// How long writes waited.
    pub writes_waited_ms: f64,
}

/// An erasure whose records are noted.
pub(crate) struct Begun {
    /// All people who are to be forgotten, those of attempts that failed among them.
    pub users: BTreeSet<UserId>,
    pub traces: Traces,
}

/// The erasure of an engine, shared by requests, reads and the thread that carries it out.
#[derive(Default)]
pub(crate) struct Erasure {
    slot: Mutex<ErasureSlot>,
    changed: Condvar,
    /// People who are being forgotten; reads treat them as unknown visitors. Those whose erasure failed stay here until it is done.
    hidden: ArcSwap<BTreeSet<UserId>>,
    /// Erasures that began since the start.
    n_begun: AtomicU64,
}

#[derive(Default)]
pub(crate) struct ErasureSlot {
    pub status: ErasureStatus,
    pub closing: bool,
    /// Whether the thread waits for the next attempt, because one failed.
    pub is_waiting: bool,
    /// What the waiting thread goes on with.
    pub next: Option<Begun>,
    pub thread: Option<JoinHandle<()>>,
}

impl ErasureSlot {
    /// Tells that this is being carried out.
    pub fn begin(&mut self, begun: &Begun) {
        let Begun { users, traces } = begun;
        self.status = ErasureStatus {
            state: ErasureState::Learning,
            n_users: users.len() as u64,
            records: traces.offsets.len() as u64,
            replayed: 0,
            of: traces.end().0 - traces.first().unwrap_or_default().0,
            failed: None,
            last: self.status.last.take(),
        };
    }
}

impl Erasure {
    /// Whether people are being forgotten.
    pub fn is_running(&self) -> bool {
        !self.hidden.load().is_empty()
    }

    /// Whether this user is being forgotten.
    pub fn hides(&self, user: &UserId) -> bool {
        self.hidden.load().contains(user)
    }

    /// The people who are being forgotten.
    pub fn hidden(&self) -> Arc<BTreeSet<UserId>> {
        self.hidden.load_full()
    }

    /// Hides these people, and no others, from reads.
    pub fn hide(&self, users: BTreeSet<UserId>) {
        self.hidden.store(Arc::new(users));
    }

    /// Counts an erasure that begins.
    pub fn count(&self) {
        self.n_begun.fetch_add(1, Ordering::Relaxed);
    }

    pub fn n_begun(&self) -> u64 {
        self.n_begun.load(Ordering::Relaxed)
    }

    pub fn slot(&self) -> MutexGuard<'_, ErasureSlot> {
        self.slot.lock()
    }

    pub fn update(&self, change: impl FnOnce(&mut ErasureStatus)) {
        change(&mut self.slot.lock().status);
    }

    /// Wakes the thread that waits for the next attempt.
    pub fn notify(&self) {
        self.changed.notify_all();
    }

    /// Tells why the attempt failed. The thread that calls this goes on with [`Self::wait_for_attempt`].
    pub fn fail(&self, error: &EngineError) {
        let mut slot = self.slot.lock();
        slot.is_waiting = true;
        slot.status.state = ErasureState::Idle;
        slot.status.failed = Some(error.to_string());
    }

    /// Tells that the thread has ended by a fault in the program. The next request, or the next start, begins again.
    pub fn abandon(&self, why: String) {
        let mut slot = self.slot.lock();
        (slot.is_waiting, slot.status.state, slot.status.failed) = (false, ErasureState::Idle, Some(why));
        drop(slot);
        self.changed.notify_all();
    }

    /// Waits until another attempt is due, or until more people are to be forgotten: then that erasure is returned.
    pub fn wait_for_attempt(&self, wait: Duration) -> Result<Option<Begun>, EngineError> {
        let until = Instant::now() + wait;
        let mut slot = self.slot.lock();
        let next = loop {
            if slot.closing {
                break Err(EngineError::Closing);
            }
            if let Some(begun) = slot.next.take() {
                break Ok(Some(begun));
            }
            // Otherwise a request is searching for records, and tells the thread what came of it.
            if slot.status.state != ErasureState::Idle {
                self.changed.wait(&mut slot);
            } else if Instant::now() >= until {
                slot.status.state = ErasureState::Searching;
                break Ok(None);
            } else {
                self.changed.wait_until(&mut slot, until);
            }
        };
        slot.is_waiting = false;
        next
    }

    /// Rests, unless the engine closes.
    pub fn rest(&self, rest: Duration) -> Result<(), EngineError> {
        let until = Instant::now() + rest;
        let mut slot = self.slot.lock();
        while !slot.closing && !self.changed.wait_until(&mut slot, until).timed_out() {}
        if slot.closing { Err(EngineError::Closing) } else { Ok(()) }
    }

    /// Stops the erasure that is under way, if there is one, and waits for its thread.
    pub fn close(&self) {
        let thread = {
            let mut slot = self.slot.lock();
            slot.closing = true;
            slot.thread.take()
        };
        self.changed.notify_all();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the erasure had panicked; the next start finishes it");
        }
    }
}
