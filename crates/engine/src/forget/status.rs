//! The erasure that is under way in a running engine: its progress, the people it hides, its thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_event::UserId;
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
    /// Why the last one failed, if it did; the next start of the server finishes it.
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

/// The erasure of an engine, shared by requests, reads and the thread that carries it out.
#[derive(Default)]
pub(crate) struct Erasure {
    slot: Mutex<ErasureSlot>,
    closed: Condvar,
    /// People who are being forgotten; reads treat them as unknown visitors.
    hidden: ArcSwap<BTreeSet<UserId>>,
}

#[derive(Default)]
pub(crate) struct ErasureSlot {
    pub status: ErasureStatus,
    pub closing: bool,
    pub thread: Option<JoinHandle<()>>,
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

    /// Hides these people, and no others, from reads.
    pub fn hide(&self, users: BTreeSet<UserId>) {
        self.hidden.store(Arc::new(users));
    }

    pub fn slot(&self) -> MutexGuard<'_, ErasureSlot> {
        self.slot.lock()
    }

    pub fn update(&self, change: impl FnOnce(&mut ErasureStatus)) {
        change(&mut self.slot.lock().status);
    }

    /// Rests, unless the engine closes.
    pub fn rest(&self, rest: Duration) -> Result<(), EngineError> {
        let until = Instant::now() + rest;
        let mut slot = self.slot.lock();
        while !slot.closing && !self.closed.wait_until(&mut slot, until).timed_out() {}
        if slot.closing { Err(EngineError::Closing) } else { Ok(()) }
    }

    /// Stops the erasure that is under way, if there is one, and waits for its thread.
    pub fn close(&self) {
        let thread = {
            let mut slot = self.slot.lock();
            slot.closing = true;
            slot.thread.take()
        };
        self.closed.notify_all();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the erasure had panicked; the next start finishes it");
        }
    }
}
