//! The writer's thread: takes jobs from a bounded queue, and groups batches of events that wait into one commit.
//!
//! Verdicts on a batch depend on the batch as the client sent it, never on how batches were grouped.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use accrue_event::RawEvent;
use accrue_store::Body;

use super::batch::{Incoming, Ingested, Sender};
use super::group::NewInGroup;
use super::job::{Job, Reply};
use super::served::PATIENCE;
use super::writer::Writer;
use crate::clock::Arrival;
use crate::error::EngineError;

/// Records in a group commit, at most (a single batch may be larger).
const GROUP: usize = 8_192;
/// For how long a group takes further batches. What was judged first is acknowledged with the last, so batches that come as
/// fast as they are judged must not keep it open.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// A batch of events, as it waits in the queue.
type Waiting = (Vec<Incoming<RawEvent>>, Sender, Reply<Ingested>);

/// A batch that was judged and is not appended yet, with the place where its answer goes.
struct Pending {
    outcome: Ingested,
    n_records: usize,
    reply: Reply<Ingested>,
}

impl Writer {
    /// Serves the queue until told to close.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = self.wait(jobs);
        while let Some(job) = next.take() {
            match job {
                Job::Events(batch, sender, reply) => next = self.events(batch, sender, reply, jobs),
                Job::Items(items, absent, reply) => drop(reply.send(self.items(items, absent))),
                Job::Patches(patches, reply) => drop(reply.send(self.patches(patches))),
                Job::Users(users, reply) => drop(reply.send(self.users(users))),
                Job::Read(ids, reply) => drop(reply.send(self.read_events(&ids))),
                Job::Find(ids, reply) => drop(reply.send(self.has_events(&ids))),
                Job::Changes(changes, read, reply) => drop(reply.send(self.changes(changes, read))),
                Job::Edit(edit, reply) => drop(reply.send(self.edit(edit))),
                Job::Release(offsets, reply) => drop(reply.send(self.release(&offsets))),
                Job::Drop(offsets, reply) => drop(reply.send(self.drop_quarantined(&offsets))),
                Job::Detach { cut, searched, reply } => drop(reply.send(self.detach(cut, searched))),
                Job::Close => break,
            }
            if next.is_none() {
                next = self.wait(jobs);
            }
        }
        // Answers that were served until now are recorded as well; a failure shows in `poisoned`.
        let _ = self.commit(self.clock.stamp(), Vec::new());
    }

    /// The next job. While none comes, answers that wait to be recorded get commits of their own.
    fn wait(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        loop {
            match jobs.recv_timeout(PATIENCE) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.recover_if_due();
                    // A failure poisons the writer, and writes are refused until it has recovered.
                    drop(self.commit(self.clock.stamp(), Vec::new()));
                }
            }
        }
    }

    /// Takes a batch and those that wait after it into one commit; returns the job that ended the group.
    fn events(
        &mut self,
        batch: Vec<Incoming<RawEvent>>,
        sender: Sender,
        reply: Reply<Ingested>,
        jobs: &Receiver<Job>,
    ) -> Option<Job> {
        let arrival = self.clock.read();
        let mut bodies = Vec::with_capacity(batch.len());
        let mut waiting = Vec::new();
        let ended_by = self.judge_group((batch, sender, reply), jobs, arrival, &mut bodies, &mut waiting);
        match self.commit(arrival.stamp, bodies) {
            Ok(start) => {
                let mut end = start;
                for pending in waiting {
                    end.0 += pending.n_records as u64;
                    drop(pending.reply.send(Ok(Ingested { offset: end.0, ..pending.outcome })));
                }
            }
            Err(error) => {
                for pending in waiting {
                    drop(pending.reply.send(Err(error.repeated())));
                }
            }
        }
        match ended_by {
            Ended::By(job) => job,
            Ended::Failed(error, reply) => {
                // After the commit, so that the check goes on from what is in the log.
                if let Err(error) = self.renew_check() {
                    tracing::warn!(%error, "the check counts events of a batch that failed as if they were in the log");
                }
                drop(reply.send(Err(error)));
                None
            }
        }
    }

    /// Judges a batch and those that wait after it, until there are enough, none waits, or one fails.
    fn judge_group(
        &mut self,
        first: Waiting,
        jobs: &Receiver<Job>,
        arrival: Arrival,
        bodies: &mut Vec<Body>,
        waiting: &mut Vec<Pending>,
    ) -> Ended {
        let mut group = NewInGroup::default();
        let began = Instant::now();
        let mut next = Some(first);
        while let Some((batch, sender, reply)) = next.take() {
            let before = bodies.len();
            match self.judge_if_room(batch, &sender, arrival, &mut group, bodies) {
                Ok((outcome, n_records)) => waiting.push(Pending { outcome, n_records, reply }),
                // Its sender is told that nothing was taken. What it left in the group is not in the log, so no further
                // batch is compared with it.
                Err(error) => {
                    bodies.truncate(before);
                    return Ended::Failed(error, reply);
                }
            }
            if bodies.len() < GROUP && began.elapsed() < GROUP_TIME {
                match jobs.try_recv() {
                    Ok(Job::Events(batch, sender, reply)) => next = Some((batch, sender, reply)),
                    Ok(other) => return Ended::By(Some(other)),
                    Err(_) => {}
                }
            }
        }
        Ended::By(None)
    }
}

/// What ended a group.
enum Ended {
    /// A job of another kind, or there are enough batches or none waits.
    By(Option<Job>),
    /// A batch could not be judged.
    Failed(EngineError, Reply<Ingested>),
}
