//! The messages between the learner's thread and the challenger's thread: one order, one result, one command of an operator at a time.
//!
//! Each side overwrites what it sent before. Orders are numbered, so the result of an order that was replaced or cancelled is dropped.

use std::time::{Duration, Instant};

use accrue_model::{Ensemble, TypeWeights};
use accrue_store::Offset;
use accrue_train::{Challenge, Challenger, GateSettings, ShadowResult};
use parking_lot::{Condvar, Mutex};

use super::request::Command;
use super::status::ChallengerStatus;

/// The longest rest at once. A rest is as long as the work before it took on the clock, and a machine that was suspended meanwhile
/// did not work.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// What the challenger's thread is to do.
pub(crate) enum Order {
    /// Train this challenger until it is near to where the learner is.
    Learn(Box<Challenger>),
    /// Measure both models, and write the verdict into the log.
    Judge(Box<Comparison>),
}

/// Both models at the moment when the comparison was decided.
pub(crate) struct Comparison {
    pub challenge: Challenge,
    pub result: ShadowResult,
    pub challenger: Ensemble,
    pub current: Ensemble,
    pub weights: TypeWeights,
    pub gate: GateSettings,
}

/// The result of an order.
pub(crate) enum OrderResult {
    /// The challenger is near to where the learner is.
    Learned(Box<Challenger>),
    /// The verdict lies in the log before this offset.
    Judged(Offset),
    /// The order failed, and why.
    Failed(String),
}

/// Shared by both threads and by operators' requests.
#[derive(Default)]
pub(crate) struct Mailbox {
    slots: Mutex<Slots>,
    changed: Condvar,
}

#[derive(Default)]
struct Slots {
    /// Number of the latest order, counted up also when it is cancelled.
    number: u64,
    order: Option<Order>,
    result: Option<OrderResult>,
    /// An operator's latest command.
    command: Option<Command>,
    /// The learner has learned from the records before this offset.
    learner: Offset,
    /// The challenger has learned from the records before this offset.
    challenger: Offset,
    status: ChallengerStatus,
    closing: bool,
}

/// The learner's side.
impl Mailbox {
    /// Sends an order in place of the one before. The learner is at `learner`.
    pub fn send_order(&self, order: Order, learner: Offset) {
        let mut slots = self.slots.lock();
        slots.number += 1;
        slots.learner = learner;
        (slots.order, slots.result) = (Some(order), None);
        drop(slots);
        self.changed.notify_all();
    }

    /// Cancels the order, also if the challenger's thread is working on it.
    pub fn cancel_order(&self) {
        let mut slots = self.slots.lock();
        slots.number += 1;
        (slots.order, slots.result) = (None, None);
        drop(slots);
        self.changed.notify_all();
    }

    /// The result of the order, once.
    pub fn take_result(&self) -> Option<OrderResult> {
        self.slots.lock().result.take()
    }

    /// An operator's command, once.
    pub fn take_command(&self) -> Option<Command> {
        self.slots.lock().command.take()
    }

    /// Reports how far the learner is, and the state of the challenger.
    pub fn report(&self, learner: Offset, status: ChallengerStatus) {
        let mut slots = self.slots.lock();
        (slots.learner, slots.status) = (learner, status);
    }
}

/// The operator's side.
impl Mailbox {
    /// Leaves a command for the learner's thread, in place of one that it has not taken yet.
    pub fn send_command(&self, command: Command) {
        let mut slots = self.slots.lock();
        if let Command::Start(requested) = &command {
            slots.status.requested = Some(requested.request.clone());
        }
        slots.command = Some(command);
    }

    /// The state of the challenger.
    pub fn status(&self) -> ChallengerStatus {
        let slots = self.slots.lock();
        ChallengerStatus { learned: slots.challenger.0, ..slots.status.clone() }
    }

    /// Ends the challenger's thread.
    pub fn close(&self) {
        self.slots.lock().closing = true;
        self.changed.notify_all();
    }
}

/// The challenger's side.
impl Mailbox {
    /// Waits for an order; `None` when the engine closes.
    pub fn next_order(&self) -> Option<(u64, Order)> {
        let mut slots = self.slots.lock();
        loop {
            if slots.closing {
                return None;
            }
            if let Some(order) = slots.order.take() {
                return Some((slots.number, order));
            }
            self.changed.wait(&mut slots);
        }
    }

    /// Reports how far the challenger is, and returns how far the learner is; `None` if order `number` is no longer wanted.
    pub fn exchange_progress(&self, number: u64, challenger: Offset) -> Option<Offset> {
        let mut slots = self.slots.lock();
        if slots.closing || slots.number != number {
            return None;
        }
        slots.challenger = challenger;
        Some(slots.learner)
    }

    /// Rests for this long, or until order `number` is no longer wanted.
    pub fn rest(&self, number: u64, rest: Duration) {
        let until = Instant::now() + rest.min(LONGEST_REST);
        let mut slots = self.slots.lock();
        while !slots.closing && slots.number == number {
            if self.changed.wait_until(&mut slots, until).timed_out() {
                break;
            }
        }
    }

    /// Leaves the result of order `number`, unless it is no longer wanted.
    pub fn send_result(&self, number: u64, result: OrderResult) {
        let mut slots = self.slots.lock();
        if slots.number == number {
            slots.result = Some(result);
        }
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
    fn an_order_tells_where_the_learner_is_and_its_result_is_taken_once() {
        let mailbox = Mailbox::default();
        mailbox.send_order(order(), Offset(7_000));
        let (number, _) = mailbox.next_order().unwrap();
        assert_eq!(mailbox.exchange_progress(number, Offset(300)), Some(Offset(7_000)));
        assert_eq!(mailbox.status().learned, 300);
        mailbox.send_result(number, OrderResult::Judged(Offset(7_001)));
        assert!(matches!(mailbox.take_result(), Some(OrderResult::Judged(Offset(7_001)))));
        assert!(mailbox.take_result().is_none());
    }

    #[test]
    fn the_result_of_a_cancelled_order_is_dropped() {
        let mailbox = Mailbox::default();
        mailbox.send_order(order(), Offset(7_000));
        let (first, _) = mailbox.next_order().unwrap();
        mailbox.cancel_order();
        assert_eq!(mailbox.exchange_progress(first, Offset(0)), None);
        mailbox.send_result(first, OrderResult::Failed("too late".into()));
        mailbox.send_order(order(), Offset(8_000));
        let (second, _) = mailbox.next_order().unwrap();
        mailbox.send_result(first, OrderResult::Failed("too late".into()));
        assert!(mailbox.take_result().is_none());
        assert_eq!(mailbox.exchange_progress(second, Offset(0)), Some(Offset(8_000)));
        // A rest for a cancelled order ends at once, and so does any rest when the engine closes.
        mailbox.rest(first, LONGEST_REST);
        mailbox.close();
        mailbox.rest(second, LONGEST_REST);
        assert!(mailbox.next_order().is_none());
    }
}
