//! When a challenger begins, is shadowed, is judged and is dropped, as the learner's thread decides in a running server: periodic
//! resets, and challengers that an operator requests.
//!
//! ```text
//!     waiting ──► learning ──► shadowing ──► judging ──► waiting (promoted, or refused for the last time)
//!        ▲            │            │  ▲          │
//!        └── undone ──┴── undone ──┘  └──────────┘ refused: it learns on, and is judged again
//! ```
//!
//! In: the learner, after each chunk of records. Out: orders to the challenger's thread (`thread.rs`), which does the long work.
//! Nothing here is part of the learned fold except what the log says. A promotion takes effect at its record, with the
//! challenger that was shadowed until then; it has the same bytes as one that is trained again from the log. When a reset is due follows
//! from the verdicts so far. After a crash, a challenger that was under way begins again.

use accrue_store::Offset;
use accrue_train::{EarlierRecords, GateSettings, Learner, ResetSettings, Verdict};

use super::mailbox::{Comparison, Mailbox, Order, OrderResult};
use super::request::{Command, RequestedChallenger};
use super::status::{ChallengerState, ChallengerStatus};

/// A learner that is further behind the facts than this catches up before it begins a reset.
const MAX_LAG: u64 = 4_096;

/// What the challenger is doing.
#[derive(Clone, Debug)]
enum Phase {
    /// There is none; the next one is not due yet.
    Waiting,
    /// It learns from the log, without the suspect windows of this checksum. Another checksum ends it.
    Training(String),
    /// It learns and is evaluated on the same events as the current model.
    Shadowing,
    /// The comparison is decided. The verdict is being written, or lies before this offset.
    Judging(Option<Offset>),
}

pub(crate) struct Lifecycle {
    settings: ResetSettings,
    phase: Phase,
    /// An operator's request that has no verdict yet; until it has one, no periodic reset begins.
    requested: Option<Box<RequestedChallenger>>,
    /// Verdicts against the requested challenger.
    n_refused: u64,
    /// The end of the log when the server began: before it there may be verdicts that the learner has not reached.
    opened_at: Offset,
    /// Challengers dropped because records were undone or released.
    n_dropped: u64,
    /// After a failure, no reset begins before this number of events is learned.
    not_before: u64,
    failed: Option<String>,
}

impl Lifecycle {
    pub fn new(settings: ResetSettings, opened_at: Offset) -> Self {
        let (requested, failed) = (None, None);
        Self {
            settings,
            phase: Phase::Waiting,
            requested,
            n_refused: 0,
            opened_at,
            n_dropped: 0,
            not_before: 0,
            failed,
        }
    }

    /// Does what is due; `applied` is how far the facts are, `earlier` the log resolved by them.
    pub fn advance(
        &mut self,
        learner: &mut Learner,
        earlier: &mut dyn EarlierRecords,
        mailbox: &Mailbox,
        applied: Offset,
    ) {
        // While a verdict is being written, commands wait: without the shadowed challenger, a promotion would train it again.
        if !matches!(self.phase, Phase::Judging(_))
            && let Some(command) = mailbox.take_command()
        {
            self.obey(command, learner, mailbox);
        }
        let next = match &self.phase {
            Phase::Waiting if self.is_due(learner, applied) => self.begin(learner, mailbox),
            Phase::Waiting => Phase::Waiting,
            Phase::Training(windows) if *windows != learner.lineage().windows_digest() => {
                mailbox.cancel_order();
                self.drop_challenger("records were undone or released while it learned")
            }
            Phase::Training(windows) => match mailbox.take_result() {
                None => Phase::Training(windows.clone()),
                Some(OrderResult::Learned(mut challenger)) => match challenger.learn(earlier, learner.end()) {
                    Ok(()) => {
                        tracing::info!(offset = learner.end().0, "the challenger has caught up, and is shadowed");
                        learner.shadow(*challenger, self.gate());
                        Phase::Shadowing
                    }
                    Err(error) => self.fail(learner, error.to_string()),
                },
                Some(OrderResult::Failed(why)) => self.fail(learner, why),
                Some(OrderResult::Judged(_)) => Phase::Waiting,
            },
            Phase::Shadowing => self.judge_if_decided(learner, mailbox),
            Phase::Judging(None) => match mailbox.take_result() {
                None => Phase::Judging(None),
                Some(OrderResult::Judged(end)) => self.take_verdict(learner, end),
                Some(OrderResult::Failed(why)) => self.fail(learner, why),
                Some(OrderResult::Learned(_)) => Phase::Waiting,
            },
            &Phase::Judging(Some(end)) => self.take_verdict(learner, end),
        };
        self.phase = next;
        mailbox.report(learner.end(), self.status(learner));
    }

    fn is_due(&self, learner: &Learner, applied: Offset) -> bool {
        let n_learned = learner.n_learned();
        let is_due = learner.resets().due_in(&self.settings, n_learned) == Some(0) && n_learned >= self.not_before;
        (self.requested.is_some() || is_due)
            && !learner.is_on_probation()
            && learner.end() >= self.opened_at
            && learner.end().0.saturating_add(MAX_LAG) >= applied.0
    }

    /// A requested challenger takes the place of the one that is under way; to dismiss it does not end a periodic reset.
    fn obey(&mut self, command: Command, learner: &mut Learner, mailbox: &Mailbox) {
        let requested = match command {
            Command::Start(requested) => Some(requested),
            Command::Dismiss if self.requested.is_some() => None,
            Command::Dismiss => return,
        };
        mailbox.cancel_order();
        learner.dismiss();
        self.phase = Phase::Waiting;
        (self.requested, self.n_refused, self.failed) = (requested, 0, None);
    }

    /// When the challenger may replace the current model.
    fn gate(&self) -> GateSettings {
        let gate = self.settings.gate();
        let requested = self.requested.as_ref();
        requested.map_or(gate.clone(), |requested| GateSettings { margin: requested.request.margin, ..gate })
    }

    fn begin(&mut self, learner: &mut Learner, mailbox: &Mailbox) -> Phase {
        let challenger = match self.requested.as_deref() {
            Some(RequestedChallenger { request, models }) => {
                learner.trial(models.clone(), Offset(request.from), request.passes)
            }
            None => learner.reset(),
        };
        match challenger {
            Ok(challenger) => {
                let (events, requested) = (learner.n_learned(), self.requested.is_some());
                tracing::info!(events, requested, "a challenger learns from the beginning of the log");
                self.failed = None;
                mailbox.send_order(Order::Learn(Box::new(challenger)), learner.end());
                Phase::Training(learner.lineage().windows_digest())
            }
            Err(error) => self.fail(learner, error.to_string()),
        }
    }

    fn judge_if_decided(&mut self, learner: &Learner, mailbox: &Mailbox) -> Phase {
        let (Some(result), Some(model)) = (learner.shadow_result(), learner.shadow_model()) else {
            return self.drop_challenger("the current model was rolled back or replaced while it was shadowed");
        };
        let Some(challenge) = learner.challenge().filter(|_| result.verdict != Verdict::Open) else {
            return Phase::Shadowing;
        };
        let comparison = Comparison {
            challenge: challenge.clone(),
            result,
            challenger: model.clone(),
            current: learner.ensemble().clone(),
            weights: learner.weights().clone(),
            gate: self.gate(),
        };
        mailbox.send_order(Order::Judge(Box::new(comparison)), learner.end());
        Phase::Judging(None)
    }

    /// The verdict lies in the log before `end`; once the learner has reached it, the learner tells what it was.
    fn take_verdict(&mut self, learner: &mut Learner, end: Offset) -> Phase {
        if learner.end() < end {
            return Phase::Judging(Some(end));
        }
        let resets = learner.resets();
        let promoted = resets.last().is_some_and(|last| last.promoted);
        let why = resets.last().map_or("", |last| &*last.why).to_owned();
        if promoted {
            tracing::info!(%why, "the challenger was promoted: learning goes on from it");
            self.requested = None;
            return Phase::Waiting;
        }
        // Verdicts on resets are counted from the log, because the next server has to know them.
        self.n_refused += 1;
        let in_a_row = if self.requested.is_some() { self.n_refused } else { resets.refused_in_a_row() };
        if learner.shadow_result().is_none() {
            return self
                .drop_challenger("the current model was rolled back or replaced before the verdict took effect");
        }
        if in_a_row.is_multiple_of(self.settings.attempts) {
            tracing::warn!(%why, in_a_row, "the challenger was refused and dropped: the next one begins after a whole period");
            learner.dismiss();
            self.requested = None;
            return Phase::Waiting;
        }
        tracing::info!(%why, in_a_row, "the challenger was refused: it learns on, and is judged again");
        learner.restart_shadow_test(self.gate());
        Phase::Shadowing
    }

    fn drop_challenger(&mut self, why: &'static str) -> Phase {
        self.n_dropped += 1;
        tracing::info!(why, "the challenger was dropped; another one begins when the current model serves again");
        Phase::Waiting
    }

    /// The cause of a failure (a pruned log, a full disk) will not be gone in a minute, so the next reset is tried after a whole period.
    fn fail(&mut self, learner: &mut Learner, why: String) -> Phase {
        tracing::warn!(%why, "the challenger failed; the next reset is tried after a whole period");
        learner.dismiss();
        if self.requested.take().is_none() {
            self.not_before = learner.n_learned().saturating_add(self.settings.every_events);
        }
        self.failed = Some(why);
        Phase::Waiting
    }

    /// Whether no challenger is under way.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Waiting)
    }

    /// The state of the challenger.
    pub fn status(&self, learner: &Learner) -> ChallengerStatus {
        let resets = learner.resets();
        let left = self.not_before.saturating_sub(learner.n_learned());
        ChallengerStatus {
            state: match self.phase {
                Phase::Waiting => ChallengerState::Waiting,
                Phase::Training(_) => ChallengerState::Learning,
                Phase::Shadowing => ChallengerState::Shadowing,
                Phase::Judging(_) => ChallengerState::Judging,
            },
            due_in: resets.due_in(&self.settings, learner.n_learned()).map(|events| events.max(left)),
            standing: learner.shadow_result(),
            requested: self.requested.as_ref().map(|requested| requested.request.clone()),
            n_dropped: self.n_dropped,
            failed: self.failed.clone(),
            ..ChallengerStatus::of(resets)
        }
    }
}
