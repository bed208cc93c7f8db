//! The challenger's thread: trains a challenger from the log beside the learner, at a bounded share of one core, and writes verdicts
//! into the log.
//!
//! In: orders of the learner's thread (`lifecycle.rs`). Out: a challenger that is near to where the learner is, or the offset of a
//! verdict. It decides nothing: when an order is sent and what is made of its result is up to the learner's thread. How fast it works
//! depends on the clock, what it learns does not. Its work is lost in a crash and begun again; only a verdict lasts, as a record.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use accrue_store::{LogReader, Offset};
use accrue_train::Challenger;
use tokio::sync::oneshot;

use super::mailbox::{Comparison, Order, OrderResult};
use super::verdict::{Costs, N_TIMED, record, verdict};
use crate::error::EngineError;
use crate::learn::earlier_records::SharedResolvedLog;
use crate::learn::fits;
use crate::shared::Shared;
use crate::threads::fault;
use crate::write::job::Job;

/// How long a piece of learning should take.
const PIECE_S: f64 = 0.01;
/// Records in a piece.
const PIECE: RangeInclusive<u64> = 16..=256;
/// The challenger is handed over when it could learn the rest within this time, because the learner's thread learns that rest in one go.
/// A challenger that learns faster than records arrive always gets this near: while it rests, less arrives than half of it.
const NEAR_S: f64 = 0.02;

pub(crate) struct ChallengerThread {
    shared: Arc<Shared>,
    log: LogReader,
    jobs: SyncSender<Job>,
    /// Share of one core that learning may take.
    share: f64,
}

impl ChallengerThread {
    pub fn new(shared: Arc<Shared>, log: LogReader, jobs: SyncSender<Job>, share: f64) -> Self {
        Self { shared, log, jobs, share }
    }

    /// Works until the engine closes.
    pub fn run(mut self) {
        while let Some((number, order)) = self.shared.mailbox.next_order() {
            let work = AssertUnwindSafe(|| match order {
                Order::Learn(challenger) => self.learn(number, challenger),
                Order::Judge(comparison) => Some(match self.judge(*comparison) {
                    Ok(end) => OrderResult::Judged(end),
                    Err(error) => OrderResult::Failed(error.to_string()),
                }),
            });
            // The challenger is lost with a panic, and nothing else: the next order begins anew.
            let result = catch_unwind(work).unwrap_or_else(|panic| Some(OrderResult::Failed(fault(&*panic))));
            if let Some(result) = result {
                self.shared.mailbox.send_result(number, result);
                self.shared.wake_learner();
            }
        }
    }

    /// Learns piece by piece, and rests after each as the share demands. The time of a piece is measured on the clock, which is at least
    /// the time of a core that it took, so the share is never exceeded.
    fn learn(&mut self, number: u64, mut challenger: Box<Challenger>) -> Option<OrderResult> {
        let mut record_s = f64::INFINITY;
        loop {
            let end = self.shared.mailbox.exchange_progress(number, challenger.at())?;
            fits::start(challenger.pending_fits());
            let (left, free) = (challenger.left(end), challenger.free_choices());
            if left <= free && (left <= *PIECE.start() || left as f64 * record_s <= NEAR_S) {
                return Some(OrderResult::Learned(challenger));
            }
            let piece = ((PIECE_S / record_s) as u64).clamp(*PIECE.start(), *PIECE.end()).min(left).min(free);
            if piece == 0 {
                self.shared.mailbox.rest(number, fits::POLL);
                continue;
            }
            let started = Instant::now();
            let mut earlier = SharedResolvedLog { log: &mut self.log, shared: &self.shared };
            if let Err(error) = challenger.go_on(&mut earlier, end, piece) {
                return Some(OrderResult::Failed(error.to_string()));
            }
            let took = started.elapsed();
            record_s = took.as_secs_f64() / piece as f64;
            self.shared.mailbox.rest(number, took.mul_f64(1.0 / self.share - 1.0));
        }
    }

    /// Measures both models and has the verdict written; returns the end of the log after it.
    fn judge(&self, comparison: Comparison) -> Result<Offset, EngineError> {
        let Comparison { challenge, result, mut challenger, mut current, weights, gate } = comparison;
        let (shoppers, now_ms) = {
            let facts = self.shared.facts.read();
            let histories: Vec<_> = (0..).take(N_TIMED).map(|shopper| facts.histories.get(shopper)).collect();
            (histories, facts.stream_time.0)
        };
        challenger.refresh();
        current.refresh();
        let costs = Costs::measure(&shoppers, &weights, &challenger, &current, now_ms);
        // As long as these copies exist, the learner has to copy each row that it changes.
        drop((challenger, current));
        let body = record(&challenge, &verdict(&result, &costs, &gate));
        let (reply, answer) = oneshot::channel();
        let edit = Job::Edit(Box::new(move |_, _| Ok(vec![body])), reply);
        self.jobs.send(edit).map_err(|_| EngineError::Closing)?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closing))
    }
}
