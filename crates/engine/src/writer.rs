//! The writer: the one thread that puts records into the log.
//!
//! In: jobs from a bounded queue. Each is checked, de-duplicated, appended in a group with others, made durable, applied to the
//! facts, and only then answered. Verdicts depend on the batch as the client sent it, never on how batches were grouped.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use accrue_event::{Check, RawEvent, RawItem, RawUser, Timestamp};
use accrue_store::{Body, Facts, Log, LogReader, Offset, Record};
use tokio::sync::oneshot;

use super::judging::Fresh;
use super::served::PATIENCE;
use super::shared::Shared;
use super::{EngineError, Incoming, Ingested};

/// What the writer is asked to do.
pub(super) enum Job {
    /// Take events in.
    Events(Vec<Incoming<RawEvent>>, Reply<Ingested>),
    /// Describe items; with `true`, retire the others.
    Items(Vec<Incoming<RawItem>>, bool, Reply<Ingested>),
    /// Describe users.
    Users(Vec<Incoming<RawUser>>, Reply<Ingested>),
    /// Any other edit: made into records by the facts as they stand.
    Edit(Edit, Reply<Offset>),
    /// Let quarantined records in.
    Release(Vec<Offset>, Reply<Ingested>),
    /// Give quarantined records up.
    Drop(Vec<Offset>, Reply<u64>),
    /// Stop.
    Close,
}

/// Makes records of an edit, given the facts and the rules as they stand.
pub(super) type Edit = Box<dyn FnOnce(&Facts, &Check) -> Result<Vec<Body>, EngineError> + Send>;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// Records in a group commit, at most (a single batch may be larger).
const GROUP: usize = 8_192;

/// Events judged and not yet appended, with who waits for them.
struct Pending {
    outcome: Ingested,
    n_records: usize,
    reply: Reply<Ingested>,
}

pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) reader: LogReader,
    pub(super) check: Check,
    pub(super) shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(log: Log, check: Check, shared: Arc<Shared>) -> Self {
        Self { reader: log.reader(), log, check, shared }
    }

    /// Serves the queue until told to close.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = self.wait(jobs);
        while let Some(job) = next.take() {
            match job {
                Job::Events(batch, reply) => next = self.events(batch, reply, jobs),
                Job::Items(items, sync, reply) => drop(reply.send(self.items(items, sync))),
                Job::Users(users, reply) => drop(reply.send(self.users(users))),
                Job::Edit(edit, reply) => drop(reply.send(self.edit(edit))),
                Job::Release(offsets, reply) => drop(reply.send(self.release(&offsets))),
                Job::Drop(offsets, reply) => drop(reply.send(self.give_up(&offsets))),
                Job::Close => break,
            }
            if next.is_none() {
                next = self.wait(jobs);
            }
        }
        // Answers served up to the end are kept as well; a failure shows in `poisoned`.
        let _ = self.commit(now(), Vec::new());
    }

    /// The next job. While none comes, answers that were served get commits of their own.
    fn wait(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        loop {
            match jobs.recv_timeout(PATIENCE) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                // A failure poisons the log, which the next write is told.
                Err(RecvTimeoutError::Timeout) => drop(self.commit(now(), Vec::new())),
            }
        }
    }

    /// Takes a batch and those that wait behind it into one commit; returns the job that ended the group.
    fn events(&mut self, batch: Vec<Incoming<RawEvent>>, reply: Reply<Ingested>, jobs: &Receiver<Job>) -> Option<Job> {
        let received_at = now();
        let mut bodies = Vec::with_capacity(batch.len());
        let mut fresh = Fresh::default();
        let mut waiting = Vec::new();
        let mut next = Some((batch, reply));
        let mut ended_by = None;
        while let Some((batch, reply)) = next.take() {
            match self.judge(batch, received_at, &mut fresh, &mut bodies) {
                Ok((outcome, n_records)) => waiting.push(Pending { outcome, n_records, reply }),
                Err(error) => drop(reply.send(Err(error))),
            }
            if bodies.len() < GROUP {
                match jobs.try_recv() {
                    Ok(Job::Events(batch, reply)) => next = Some((batch, reply)),
                    Ok(other) => ended_by = Some(other),
                    Err(_) => {}
                }
            }
        }
        match self.commit(received_at, bodies) {
            Ok(start) => {
                let mut end = start;
                for pending in waiting {
                    end.0 += pending.n_records as u64;
                    drop(pending.reply.send(Ok(Ingested { offset: end.0, ..pending.outcome })));
                }
            }
            Err(error) => {
                for pending in waiting {
                    drop(pending.reply.send(Err(error.again())));
                }
            }
        }
        ended_by
    }

    /// Appends, applies, and tells those who follow; answers that wait go along, behind. Returns the first offset.
    pub(super) fn commit(&mut self, received_at: Timestamp, mut bodies: Vec<Body>) -> Result<Offset, EngineError> {
        bodies.extend(self.shared.served.take());
        let offsets = match self.log.append(received_at, &bodies) {
            Ok(offsets) => offsets,
            Err(error) => {
                let cause = error.to_string();
                self.shared.poison(&cause);
                return Err(EngineError::Poisoned(cause));
            }
        };
        if !bodies.is_empty() {
            let records = (offsets.start.0..).zip(bodies);
            let records = records.map(|(offset, body)| Record { offset: Offset(offset), received_at, body });
            self.shared.apply(records);
        }
        Ok(offsets.start)
    }

    fn edit(&mut self, edit: Edit) -> Result<Offset, EngineError> {
        let bodies = edit(&self.shared.facts.read(), &self.check)?;
        let n_records = bodies.len() as u64;
        let start = self.commit(now(), bodies)?;
        Ok(Offset(start.0 + n_records))
    }
}

/// The clock: read here and nowhere else, and only to be written down.
pub(super) fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_1970.map_or(0, |since| since.as_millis() as i64))
}
