//! Challengers beside a running server, as the learner's thread sees them: periodic resets and those that somebody asks for (`asked.rs`).
//! When one is begun, when it joins, when it is judged, and when it is let go.
//!
//! ```text
//!     waiting ──► learning ──► shadowing ──► judging ──► waiting (promoted, or refused for the last time)
//!        ▲            │            │  ▲          │
//!        └── undone ──┴── undone ──┘  └──────────┘ refused: it learns on, and is judged anew
//! ```
//!
//! In: the learner after each chunk of records. Out: orders to the challenger's thread (`challenging.rs`), which does the long work.
//! Nothing here is part of the fold but what the log says: the verdict's record takes effect where it lies, by a state that rode along
//! (the same bytes as learned again from the log), and what is due follows from the verdicts so far. After a crash, whatever was
//! under way is begun again.

use accrue_store::Offset;
use accrue_train::{GateSettings, Learner, Past, ResetSettings, Verdict};

use super::asked::{Trial, Wish};
use super::challenging::{Contestants, Desk, Done, Order};
use super::contract::{ChallengerState, ChallengerStatus};

/// A learner so many records behind the facts has other things to do than to begin a reset.
const CURRENT: u64 = 4_096;

/// Where a reset stands.
#[derive(Clone, Debug)]
enum Phase {
    /// For the next one to be due.
    Waiting,
    /// The challenger learns from the log, under this footing.
    Learning(String),
    /// It rides along.
    Shadowing,
    /// The contest is over; the verdict is on its way into the log, or lies before this offset.
    Judging(Option<Offset>),
}

pub(super) struct Resetting {
    settings: ResetSettings,
    phase: Phase,
    /// What somebody asked for and has no verdict yet; while it is there, nothing is reset.
    trial: Option<Box<Trial>>,
    /// Verdicts against it.
    n_refused: u64,
    /// What the log held when the server began: it may tell of verdicts that the learner has yet to meet.
    opened_at: Offset,
    /// Challengers let go because something was undone or released.
    n_dropped: u64,
    /// After a failure: not before so many events are learned.
    not_before: u64,
    failed: Option<String>,
}

impl Resetting {
    pub(super) fn new(settings: ResetSettings, opened_at: Offset) -> Self {
        let (trial, failed) = (None, None);
        Self { settings, phase: Phase::Waiting, trial, n_refused: 0, opened_at, n_dropped: 0, not_before: 0, failed }
    }

    /// Does what is due; `applied` is how far the facts are, `past` the log with them.
    pub(super) fn tend(&mut self, learner: &mut Learner, past: &mut dyn Past, desk: &Desk, applied: Offset) {
        // A verdict on its way into the log is waited for: a promotion without the one that rides along would be learned again.
        if !matches!(self.phase, Phase::Judging(_))
            && let Some(wish) = desk.wished()
        {
            self.take_up(wish, learner, desk);
        }
        let next = match &self.phase {
            Phase::Waiting if self.is_due(learner, applied) => self.begin(learner, desk),
            Phase::Waiting => Phase::Waiting,
            Phase::Learning(footing) if *footing != learner.lineage().footing() => {
                desk.recall();
                self.drop_challenger("something was undone or released while it learned")
            }
            Phase::Learning(footing) => match desk.take() {
                None => Phase::Learning(footing.clone()),
                Some(Done::Learned(mut challenger)) => match challenger.learn(past, learner.end()) {
                    Ok(()) => {
                        tracing::info!(offset = learner.end().0, "the challenger has caught up, and rides along");
                        learner.shadow(*challenger, self.gate());
                        Phase::Shadowing
                    }
                    Err(error) => self.fail(learner, error.to_string()),
                },
                Some(Done::Failed(why)) => self.fail(learner, why),
                Some(Done::Judged(_)) => Phase::Waiting,
            },
            Phase::Shadowing => self.watch(learner, desk),
            Phase::Judging(None) => match desk.take() {
                None => Phase::Judging(None),
                Some(Done::Judged(end)) => self.settle(learner, end),
                Some(Done::Failed(why)) => self.fail(learner, why),
                Some(Done::Learned(_)) => Phase::Waiting,
            },
            &Phase::Judging(Some(end)) => self.settle(learner, end),
        };
        self.phase = next;
        desk.tell(learner.end(), self.status(learner));
    }

    fn is_due(&self, learner: &Learner, applied: Offset) -> bool {
        let n_learned = learner.n_learned();
        let is_due = learner.resets().due_in(&self.settings, n_learned) == Some(0) && n_learned >= self.not_before;
        (self.trial.is_some() || is_due)
            && !learner.is_on_probation()
            && learner.end() >= self.opened_at
            && learner.end().0.saturating_add(CURRENT) >= applied.0
    }

    /// What is under way makes room for what is asked for; a periodic reset does not end because nobody wants another challenger.
    fn take_up(&mut self, wish: Wish, learner: &mut Learner, desk: &Desk) {
        let begins = match wish {
            Wish::Begin(trial) => Some(trial),
            Wish::End if self.trial.is_some() => None,
            Wish::End => return,
        };
        desk.recall();
        learner.dismiss();
        self.phase = Phase::Waiting;
        (self.trial, self.n_refused, self.failed) = (begins, 0, None);
    }

    /// When the challenger may replace the line.
    fn gate(&self) -> GateSettings {
        let gate = self.settings.gate();
        self.trial.as_ref().map_or(gate.clone(), |trial| GateSettings { margin: trial.asked.margin, ..gate })
    }

    fn begin(&mut self, learner: &mut Learner, desk: &Desk) -> Phase {
        let challenger = match self.trial.as_deref() {
            Some(Trial { asked, models }) => learner.trial(models.clone(), Offset(asked.from), asked.passes),
            None => learner.reset(),
        };
        match challenger {
            Ok(challenger) => {
                let (events, asked) = (learner.n_learned(), self.trial.is_some());
                tracing::info!(events, asked, "a challenger learns from the beginning of the log");
                self.failed = None;
                desk.give(Order::Learn(Box::new(challenger)), learner.end());
                Phase::Learning(learner.lineage().footing())
            }
            Err(error) => self.fail(learner, error.to_string()),
        }
    }

    fn watch(&mut self, learner: &Learner, desk: &Desk) -> Phase {
        let (Some(standing), Some(shadowing)) = (learner.standing(), learner.shadowing()) else {
            return self.drop_challenger("the line was rolled back or replaced while it rode along");
        };
        let Some(challenge) = learner.challenge().filter(|_| standing.verdict != Verdict::Open) else {
            return Phase::Shadowing;
        };
        let contestants = Contestants {
            challenge: challenge.clone(),
            standing,
            challenger: shadowing.clone(),
            line: learner.ensemble().clone(),
            weights: learner.weights().clone(),
            gate: self.gate(),
        };
        desk.give(Order::Judge(Box::new(contestants)), learner.end());
        Phase::Judging(None)
    }

    /// The verdict lies in the log; when the learner has met it, it shows what it came to.
    fn settle(&mut self, learner: &mut Learner, end: Offset) -> Phase {
        if learner.end() < end {
            return Phase::Judging(Some(end));
        }
        let resets = learner.resets();
        let promoted = resets.last().is_some_and(|last| last.promoted);
        let why = resets.last().map_or("", |last| &*last.why).to_owned();
        if promoted {
            tracing::info!(%why, "the challenger was promoted: learning goes on from it");
            self.trial = None;
            return Phase::Waiting;
        }
        // Verdicts on resets are counted by the log, for the next server has to know of them.
        self.n_refused += 1;
        let in_a_row = if self.trial.is_some() { self.n_refused } else { resets.refused_in_a_row() };
        if learner.standing().is_none() {
            return self.drop_challenger("the line was rolled back or replaced before the verdict took effect");
        }
        if in_a_row.is_multiple_of(self.settings.attempts) {
            tracing::warn!(%why, in_a_row, "the challenger was refused and let go: the next one comes after a whole period");
            learner.dismiss();
            self.trial = None;
            return Phase::Waiting;
        }
        tracing::info!(%why, in_a_row, "the challenger was refused: it learns on, and is judged anew");
        learner.contest_anew(self.gate());
        Phase::Shadowing
    }

    fn drop_challenger(&mut self, why: &'static str) -> Phase {
        self.n_dropped += 1;
        tracing::info!(why, "the challenger was let go; another one begins when the line serves again");
        Phase::Waiting
    }

    /// The next reset is tried after a whole period: what failed now (a pruned log, a writer without a disk) fails in a minute as well.
    fn fail(&mut self, learner: &mut Learner, why: String) -> Phase {
        tracing::warn!(%why, "the challenger cannot go on; the next reset is tried after a whole period");
        learner.dismiss();
        if self.trial.take().is_none() {
            self.not_before = learner.n_learned().saturating_add(self.settings.every_events);
        }
        self.failed = Some(why);
        Phase::Waiting
    }

    /// How things stand.
    pub(super) fn status(&self, learner: &Learner) -> ChallengerStatus {
        let resets = learner.resets();
        let left = self.not_before.saturating_sub(learner.n_learned());
        ChallengerStatus {
            state: match self.phase {
                Phase::Waiting => ChallengerState::Waiting,
                Phase::Learning(_) => ChallengerState::Learning,
                Phase::Shadowing => ChallengerState::Shadowing,
                Phase::Judging(_) => ChallengerState::Judging,
            },
            due_in: resets.due_in(&self.settings, learner.n_learned()).map(|events| events.max(left)),
            standing: learner.standing(),
            asked: self.trial.as_ref().map(|trial| trial.asked.clone()),
            n_dropped: self.n_dropped,
            failed: self.failed.clone(),
            ..ChallengerStatus::of(resets)
        }
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::RawEvent;

    use crate::config::Config;
    use crate::{ChallengerState, Engine, Incoming, replay};

    /// Purchases of 20 people among 30 items.
    fn events(numbers: std::ops::Range<u64>) -> Vec<Incoming<RawEvent>> {
        let event = |number: u64| {
            let (user, item, at) = (number * 7 % 20, number * number % 30, 1_760_000_000_000 + number * 60_000);
            let text = format!(r#"{{"id":"e{number}","type":"purchase","user":"u{user}","item":"i{item}","at":{at}}}"#);
            Incoming::Record(serde_json::from_str(&text).unwrap())
        };
        numbers.map(event).collect()
    }

    fn wait_for(engine: &Engine, state: ChallengerState) {
        let mut next = engine.status().log_end;
        for _ in 0..500 {
            if engine.status().challenger.state == state {
                return;
            }
            engine.ingest(events(next..next + 50)).unwrap();
            engine.wait_until_learned();
            next += 50;
        }
        panic!("{:?}", engine.status().challenger);
    }

    #[test]
    fn an_engine_closes_whatever_its_challenger_is_at() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.learn.reset.every_events = 1_000;
        // In turn: it does not get there for hours, and it is never judged.
        for (state, share, predict_one_in) in
            [(ChallengerState::Learning, 0.001, 1), (ChallengerState::Shadowing, 1.0, u64::MAX)]
        {
            config.learn.reset.share = share;
            config.learn.reset.gate.predict_one_in = predict_one_in;
            let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
            wait_for(&engine, state);
            engine.close().unwrap();
        }
        assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
    }

    #[test]
    fn an_engine_that_does_not_serve_begins_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.learn.reset.every_events = 1_000;
        let engine = Engine::open(dir.path(), &config).unwrap();
        engine.ingest(events(0..1_500)).unwrap();
        engine.wait_until_learned();
        assert_eq!(engine.status().challenger.state, ChallengerState::Off);
        engine.close().unwrap();
    }
}
