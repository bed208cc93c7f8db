//! The challenger's thread: learns a challenger from the log beside the learner, at a bounded share of one core, and carries verdicts
//! into the log.
//!
//! In: orders of the learner's thread (`resetting.rs`), over a desk with one place in each direction. Out: a challenger that has come
//! near to where the learner stands, or the place of a verdict in the log. It decides nothing: when an order comes and what is made of
//! its result is the learner's business. How fast it works depends on the clock, what it learns does not. What it is at is lost in a
//! crash, and begun again; the verdict's record is the one thing that lasts.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use accrue_model::{Ensemble, TypeWeights};
use accrue_store::{LogReader, Offset};
use accrue_train::{Challenge, Challenger, GateSettings, Standing};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::EngineError;
use super::asked::Wish;
use super::contract::ChallengerStatus;
use super::fitting;
use super::shared::Shared;
use super::verdict::{Budgets, N_TIMED, record, verdict};
use super::versioning::SharedPast;
use super::writer::Job;

/// How long a piece of learning should take.
const PIECE_S: f64 = 0.01;
/// Records in a piece.
const PIECE: RangeInclusive<u64> = 16..=256;
/// It is handed over when it could learn the rest within so long, for the learner takes that in one go. One that learns fast enough to get
/// there at all gets this near: while it rests, less comes in than half of it.
const NEAR_S: f64 = 0.02;
/// The longest rest at once: a machine that slept did not work.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Where learner and challenger meet.
#[derive(Default)]
pub(super) struct Desk {
    places: Mutex<Places>,
    called: Condvar,
}

#[derive(Default)]
struct Places {
    /// Counts orders: a result of an order that was taken back is nobody's.
    number: u64,
    order: Option<Order>,
    result: Option<Done>,
    /// What somebody asked for last.
    wish: Option<Wish>,
    /// How far the learner has come.
    learner: Offset,
    /// How far the challenger has come.
    challenger: Offset,
    status: ChallengerStatus,
    closing: bool,
}

/// What the challenger's thread is to do.
pub(super) enum Order {
    /// Learn until near to where the learner stands.
    Learn(Box<Challenger>),
    /// Take the time of pages, and put the verdict into the log.
    Judge(Box<Contestants>),
}

/// Both models at the moment when their contest ended.
pub(super) struct Contestants {
    pub challenge: Challenge,
    pub standing: Standing,
    pub challenger: Ensemble,
    pub line: Ensemble,
    pub weights: TypeWeights,
    pub gate: GateSettings,
}

/// What came of an order.
pub(super) enum Done {
    /// The challenger has come near.
    Learned(Box<Challenger>),
    /// The records before this offset hold the verdict.
    Judged(Offset),
    /// It cannot be done, and why.
    Failed(String),
}

impl Desk {
    /// Gives an order of a learner that stands at `learner`; the one before is settled or taken back.
    pub(super) fn give(&self, order: Order, learner: Offset) {
        let mut places = self.places.lock();
        places.number += 1;
        places.learner = learner;
        (places.order, places.result) = (Some(order), None);
        drop(places);
        self.called.notify_all();
    }

    /// Takes the order back, whoever works at it.
    pub(super) fn recall(&self) {
        let mut places = self.places.lock();
        places.number += 1;
        (places.order, places.result) = (None, None);
        drop(places);
        self.called.notify_all();
    }

    /// Leaves a wish for the learner's thread; a later one takes its place.
    pub(super) fn wish(&self, wish: Wish) {
        let mut places = self.places.lock();
        if let Wish::Begin(trial) = &wish {
            places.status.asked = Some(trial.asked.clone());
        }
        places.wish = Some(wish);
    }

    /// The wish, once.
    pub(super) fn wished(&self) -> Option<Wish> {
        self.places.lock().wish.take()
    }

    /// What came of the order, once.
    pub(super) fn take(&self) -> Option<Done> {
        self.places.lock().result.take()
    }

    /// Tells how far the learner is, and how things stand.
    pub(super) fn tell(&self, learner: Offset, status: ChallengerStatus) {
        let mut places = self.places.lock();
        (places.learner, places.status) = (learner, status);
    }

    /// How things stand now.
    pub(super) fn status(&self) -> ChallengerStatus {
        let places = self.places.lock();
        ChallengerStatus { learned: places.challenger.0, ..places.status.clone() }
    }

    /// Ends the challenger's thread.
    pub(super) fn close(&self) {
        self.places.lock().closing = true;
        self.called.notify_all();
    }

    /// Waits for an order; `None` when the engine closes.
    fn next(&self) -> Option<(u64, Order)> {
        let mut places = self.places.lock();
        loop {
            if places.closing {
                return None;
            }
            if let Some(order) = places.order.take() {
                return Some((places.number, order));
            }
            self.called.wait(&mut places);
        }
    }

    /// Where the learner stands, as long as order `number` holds; tells where the challenger is.
    fn still(&self, number: u64, challenger: Offset) -> Option<Offset> {
        let mut places = self.places.lock();
        if places.closing || places.number != number {
            return None;
        }
        places.challenger = challenger;
        Some(places.learner)
    }

    /// Rests so long, or until the order is taken back.
    fn rest(&self, number: u64, rest: Duration) {
        let until = Instant::now() + rest.min(LONGEST_REST);
        let mut places = self.places.lock();
        while !places.closing && places.number == number {
            if self.called.wait_until(&mut places, until).timed_out() {
                break;
            }
        }
    }

    /// Lays down what came of order `number`, if anybody still wants it.
    fn put(&self, number: u64, done: Done) {
        let mut places = self.places.lock();
        if places.number == number {
            places.result = Some(done);
        }
    }
}

pub(super) struct Challenging {
    shared: Arc<Shared>,
    log: LogReader,
    jobs: SyncSender<Job>,
    /// Share of one core that learning may take.
    share: f64,
}

impl Challenging {
    pub(super) fn new(shared: Arc<Shared>, log: LogReader, jobs: SyncSender<Job>, share: f64) -> Self {
        Self { shared, log, jobs, share }
    }

    /// Works until the engine closes.
    pub(super) fn run(mut self) {
        while let Some((number, order)) = self.shared.desk.next() {
            let done = match order {
                Order::Learn(challenger) => self.learn(number, challenger),
                Order::Judge(contestants) => {
                    Some(self.judge(*contestants).map_or_else(|error| Done::Failed(error.to_string()), Done::Judged))
                }
            };
            if let Some(done) = done {
                self.shared.desk.put(number, done);
                self.shared.call_learner();
            }
        }
    }

    /// Learns piece by piece, and rests after each for as long as the share asks for. What a piece takes on the clock is at least what it
    /// takes of a core, so the share is never exceeded.
    fn learn(&mut self, number: u64, mut challenger: Box<Challenger>) -> Option<Done> {
        let mut record_s = f64::INFINITY;
        loop {
            let end = self.shared.desk.still(number, challenger.at())?;
            fitting::begin(challenger.pending_fits());
            let (left, free) = (challenger.left(end), challenger.free_choices());
            if left <= free && (left <= *PIECE.start() || left as f64 * record_s <= NEAR_S) {
                return Some(Done::Learned(challenger));
            }
            let piece = ((PIECE_S / record_s) as u64).clamp(*PIECE.start(), *PIECE.end()).min(left).min(free);
            if piece == 0 {
                self.shared.desk.rest(number, fitting::A_MOMENT);
                continue;
            }
            let started = Instant::now();
            let mut past = SharedPast { log: &mut self.log, shared: &self.shared };
            if let Err(error) = challenger.go_on(&mut past, end, piece) {
                return Some(Done::Failed(error.to_string()));
            }
            let took = started.elapsed();
            record_s = took.as_secs_f64() / piece as f64;
            self.shared.desk.rest(number, took.mul_f64(1.0 / self.share - 1.0));
        }
    }

    /// Weighs both models and has the verdict written; returns the log's end behind it.
    fn judge(&self, contestants: Contestants) -> Result<Offset, EngineError> {
        let Contestants { challenge, standing, mut challenger, mut line, weights, gate } = contestants;
        let (shoppers, now_ms) = {
            let facts = self.shared.facts.read();
            let histories: Vec<_> = (0..).take(N_TIMED).map(|shopper| facts.histories.get(shopper).clone()).collect();
            (histories, facts.stream_time.0)
        };
        challenger.refresh();
        line.refresh();
        let budgets = Budgets::measure(&shoppers, &weights, &challenger, &line, now_ms);
        // What is held here has to be copied before it can be learned on.
        drop((challenger, line));
        let body = record(&challenge, &verdict(&standing, &budgets, &gate));
        let (reply, answer) = oneshot::channel();
        let edit = Job::Edit(Box::new(move |_, _| Ok(vec![body])), reply);
        self.jobs.send(edit).map_err(|_| EngineError::Closing)?;
        answer.blocking_recv().unwrap_or(Err(EngineError::Closing))
    }
}

#[cfg(test)]
mod tests {
    use accrue_train::{LearnSettings, Learner};

    use super::*;

    fn order() -> Order {
        Order::Learn(Box::new(Learner::new(LearnSettings::default()).reset().unwrap()))
    }

    #[test]
    fn an_order_names_where_the_learner_stands_and_its_result_is_taken_once() {
        let desk = Desk::default();
        desk.give(order(), Offset(7_000));
        let (number, _) = desk.next().unwrap();
        assert_eq!(desk.still(number, Offset(300)), Some(Offset(7_000)));
        assert_eq!(desk.status().learned, 300);
        desk.put(number, Done::Judged(Offset(7_001)));
        assert!(matches!(desk.take(), Some(Done::Judged(Offset(7_001)))) && desk.take().is_none());
    }

    #[test]
    fn the_result_of_an_order_that_was_taken_back_is_nobodys() {
        let desk = Desk::default();
        desk.give(order(), Offset(7_000));
        let (first, _) = desk.next().unwrap();
        desk.recall();
        assert_eq!(desk.still(first, Offset(0)), None);
        desk.put(first, Done::Failed("too late".into()));
        desk.give(order(), Offset(8_000));
        let (second, _) = desk.next().unwrap();
        desk.put(first, Done::Failed("too late".into()));
        assert!(desk.take().is_none() && desk.still(second, Offset(0)) == Some(Offset(8_000)));
        // Nobody rests for an order that is gone, or in an engine that closes.
        desk.rest(first, LONGEST_REST);
        desk.close();
        desk.rest(second, LONGEST_REST);
        assert!(desk.next().is_none());
    }
}
