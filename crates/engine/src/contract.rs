//! What goes into the engine and what comes out of it, as plain values.

use accrue_event::{RecordKind, Refusal, Rejection};
use accrue_train::{Judged, Resets, Standing, TrainError};
use serde::Serialize;

use super::asked::Asked;

/// An event, item or user as it comes in.
#[derive(Clone, Debug)]
pub enum Incoming<R> {
    /// To be checked.
    Record(R),
    /// Refused before the check: it could not be read, or a mapping's rule spoke against it. Goes into quarantine.
    Refused(Refusal),
}

impl<R> From<R> for Incoming<R> {
    fn from(raw: R) -> Self {
        Self::Record(raw)
    }
}

/// What became of a batch. `received` = accepted + repaired + duplicates + quarantined.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ingested {
    /// Taken in as sent.
    pub accepted: u64,
    /// Taken in after repairs.
    pub repaired: u64,
    /// Known already: by id, or refused once before.
    pub duplicates: u64,
    /// Refused and put into quarantine, with reasons, in the order of the batch.
    pub quarantined: Vec<Refused>,
    /// Refused as before: counted among the duplicates, since the quarantine has them already.
    #[serde(skip)]
    pub refused_again: Vec<Refused>,
    /// The log's end after this batch: its records lie below.
    pub offset: u64,
}

/// A refused record of a batch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// Place in the batch, from 0.
    pub index: usize,
    /// Stable reason code.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
}

/// Why the engine could not do what was asked. The HTTP layer turns these into problem documents.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The log cannot be written; reads go on.
    #[error("the log cannot be written: {0}")]
    Poisoned(String),
    /// The writer's queue is full.
    #[error("too many writes are waiting; try again shortly")]
    Overloaded,
    /// The engine is shutting down.
    #[error("the server is shutting down")]
    Closing,
    /// No such thing.
    #[error("{what} {id:?} is unknown")]
    NotFound {
        /// "item", "user", "quarantined record".
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The request cannot be answered as it is.
    #[error("{field}: {message}")]
    Invalid {
        /// Field of the request.
        field: &'static str,
        /// What was expected.
        message: String,
    },
    /// The state of things speaks against it.
    #[error("{message}")]
    Conflict {
        /// How.
        message: String,
    },
    /// The check speaks against the record.
    #[error("{0}")]
    Refused(Rejection),
    /// The data folder is not usable.
    #[error(transparent)]
    Store(#[from] accrue_store::StoreError),
    /// The learned state cannot be recovered.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The search index cannot be read or written.
    #[error(transparent)]
    Search(#[from] accrue_serve::search::SearchError),
    /// The check's settings contradict themselves.
    #[error("[check]: {0}")]
    Check(#[from] accrue_event::SettingsError),
}

impl EngineError {
    /// The same failure for another of those who waited for it.
    pub(super) fn again(&self) -> Self {
        Self::Poisoned(match self {
            Self::Poisoned(cause) => cause.clone(),
            other => other.to_string(),
        })
    }
}

/// A quarantined record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuarantinedRecord {
    /// Its place in the log: its name in `release` and `drop`.
    pub offset: u64,
    /// When it arrived (RFC 3339).
    pub received_at: accrue_event::Timestamp,
    /// What it was sent as: `events`, `items` or `users`.
    pub kind: RecordKind,
    /// Stable reason code.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
    /// The record as it was sent (JSON).
    pub raw: String,
}

/// Where the engine stands; what `/readyz`, `/metrics` and `/v1/quality` show.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Records in the log.
    pub log_end: u64,
    /// Records the published version has learned from.
    pub learned: u64,
    /// Number of the published version.
    pub version: u64,
    /// Whether the writer is poisoned, and why.
    pub poisoned: Option<String>,
    /// What stopped the learner, if something did.
    pub learner_failed: Option<String>,
    /// Items in the catalogue (described or met in events).
    pub n_items: u64,
    /// Users and guests known.
    pub n_shoppers: u64,
    /// Records in quarantine now.
    pub n_quarantined: u64,
    /// Events taken in as sent.
    pub accepted: u64,
    /// Events by repair code.
    pub repairs: std::collections::BTreeMap<String, u64>,
    /// Refusals by reason code.
    pub reasons: std::collections::BTreeMap<String, u64>,
    /// Events not kept because their id was known.
    pub duplicates: u64,
    /// Answers that were to be recorded and could not, since the start.
    pub served_lost: u64,
    /// Choices of which nothing was learned because their shopper had made them so often that day.
    pub repeats_passed: u64,
    /// Steps of the sequence network that were not taken because a loss or a gradient was no finite number.
    pub steps_skipped: u64,
    /// What came of fits behind the stream, if there is such a model.
    pub fits: Option<FitStatus>,
    /// Bytes copied by publications, per event learned.
    pub copied_bytes_per_event: f64,
    /// Prequential quality: predictions made before learning.
    pub quality: accrue_train::Quality,
    /// Arms that learn apart, in the order of `quality.arms`.
    pub arms: Vec<String>,
    /// How what is learned stands against the last version known good.
    pub guard: GuardStatus,
    /// Where the next reset stands, and what came of those before.
    pub challenger: ChallengerStatus,
}

/// What came of fits behind the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FitStatus {
    /// Those that came into force.
    pub fitted: u64,
    /// Those that failed; the model before stayed in force.
    pub failed: u64,
    /// Why the last one failed, if it did.
    pub fault: Option<String>,
}

impl FitStatus {
    pub(super) fn of(model: &accrue_model::Fitted) -> Self {
        Self { fitted: model.n_fits(), failed: model.n_failed(), fault: model.fault().map(str::to_owned) }
    }
}

/// What a challenger is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengerState {
    /// This is no server: nothing rides along.
    #[default]
    Off,
    /// None is under way.
    Waiting,
    /// It learns from the log.
    Learning,
    /// It rides along with what is being learned.
    Shadowing,
    /// Its verdict is on its way into the log.
    Judging,
}

impl ChallengerState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Off, Self::Waiting, Self::Learning, Self::Shadowing, Self::Judging];

    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Waiting => "waiting",
            Self::Learning => "learning",
            Self::Shadowing => "shadowing",
            Self::Judging => "judging",
        }
    }
}

/// Where the next reset stands, and what came of the challengers before.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChallengerStatus {
    /// What it is at.
    pub state: ChallengerState,
    /// What somebody asked for, until it has its verdict; otherwise it is a periodic reset.
    pub asked: Option<Asked>,
    /// Events to be learned before the next reset is due; `None` for never.
    pub due_in: Option<u64>,
    /// While it learns: the records before this offset are behind it.
    pub learned: u64,
    /// How it stands, while it rides along.
    pub standing: Option<Standing>,
    /// Resets refused since the last promotion.
    pub refused_in_a_row: u64,
    /// Challengers that became the line.
    pub n_promoted: u64,
    /// Challengers that were refused.
    pub n_refused: u64,
    /// Challengers let go since the start of the server, because something was undone or released.
    pub n_dropped: u64,
    /// The last verdict.
    pub last: Option<Judged>,
    /// Why the last challenger could not go on.
    pub failed: Option<String>,
}

impl ChallengerStatus {
    /// What the log tells of challengers.
    pub(super) fn of(resets: &Resets) -> Self {
        Self {
            refused_in_a_row: resets.refused_in_a_row(),
            n_promoted: resets.n_promoted(),
            n_refused: resets.n_refused(),
            last: resets.last().cloned(),
            ..Self::default()
        }
    }
}

/// How what is learned stands against the last version known good.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GuardStatus {
    /// The last version known good; 0 in a young shop.
    pub good: u64,
    /// Whether the good version answers, while what is being learned proves itself after a rollback.
    pub on_probation: bool,
    /// Rollbacks by alarm.
    pub alarms: u64,
    /// Windows of records that were undone and not released.
    pub suspect_windows: u64,
    /// Since the tests began: choices of the stream examined, the mean NDCG@20 of what is learned, and of the good version.
    pub stream: (u64, f64, f64),
    /// The same over anchors.
    pub anchor: (u64, f64, f64),
}

impl GuardStatus {
    pub(super) fn of(versions: &super::Versions, tallies: [accrue_train::Tally; 2]) -> Self {
        let [stream, anchor] = tallies.map(|tally| (tally.n, tally.line(), tally.good()));
        let suspect_windows = versions.suspect.iter().filter(|window| !window.released).count() as u64;
        let (good, on_probation, alarms) = (versions.good, versions.on_probation, versions.alarms);
        Self { good, on_probation, alarms, suspect_windows, stream, anchor }
    }
}
