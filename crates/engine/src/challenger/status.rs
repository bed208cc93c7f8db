//! The state of the challenger, and the verdicts on those before it.

use accrue_train::{Judged, Resets, ShadowResult};
use serde::Serialize;

use super::request::ChallengerRequest;

/// What a challenger is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChallengerState {
    /// The engine does not serve, so it trains no challengers.
    #[default]
    Off,
    /// There is none.
    Waiting,
    /// It learns from the log.
    Learning,
    /// It learns and is evaluated on the same events as the current model.
    Shadowing,
    /// Its verdict is being written into the log.
    Judging,
}

impl ChallengerState {
    /// Every state.
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

/// The challenger, and the verdicts on those before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChallengerStatus {
    /// What it is doing.
    pub state: ChallengerState,
    /// The request that it was made for, until it has its verdict; `None` for a periodic reset.
    #[serde(rename = "asked")]
    pub requested: Option<ChallengerRequest>,
    /// Events to be learned before the next reset is due; `None` for never.
    pub due_in: Option<u64>,
    /// While it learns: it has learned from the records before this offset.
    pub learned: u64,
    /// While it is shadowed: its gains beside those of the current model.
    pub standing: Option<ShadowResult>,
    /// Resets refused since the last promotion.
    pub refused_in_a_row: u64,
    /// Challengers that were promoted.
    pub n_promoted: u64,
    /// Challengers that were refused.
    pub n_refused: u64,
    /// Challengers dropped since the start of the server, because records were undone or released.
    pub n_dropped: u64,
    /// The last verdict.
    pub last: Option<Judged>,
    /// Why the last challenger failed, if it did.
    pub failed: Option<String>,
}

impl ChallengerStatus {
    /// The part that the log determines.
    pub(crate) fn of(resets: &Resets) -> Self {
        Self {
            refused_in_a_row: resets.refused_in_a_row(),
            n_promoted: resets.n_promoted(),
            n_refused: resets.n_refused(),
            last: resets.last().cloned(),
            ..Self::default()
        }
    }
}
