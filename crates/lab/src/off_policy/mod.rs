//! What a policy would have earned, from what another one showed by chance; and whether two policies differ, read at any time.
//!
//! In: [`Decision`]s (who saw what, how likely that was, how likely the policy in question would have shown it, what came of it).
//! Out: [`Estimates`] with 95 % intervals over users, or a refusal where the log says too little. With weights `w = π/p`:
//!
//! ```text
//! IPS    Σ w·r / n                                                    Horvitz, Thompson 1952
//! SNIPS  Σ w·r / Σ w                                                  Swaminathan, Joachims 2015
//! DR     Σ [Σ_a π(a)·q(a) + w·(r − q(shown))] / n                      Dudík, Langford, Li 2011
//! n_eff  (Σ w)² / Σ w²                                                Kish 1965
//! ```
//!
//! `q` is fitted on the other users' decisions ([`RewardModel`], cross-fitting: Chernozhukov et al. 2018). A bound on `w` (`clip`)
//! trades variance for a bias that no interval shows, so it is off unless it is asked for. What is refused: a propensity of 0,
//! a number that is none, and fewer effective decisions than asked for.

mod estimate;
mod interval;
mod list;
mod open_bandit;
mod reward_model;
mod sequence;
mod simulated;

pub use estimate::{Estimate, Estimates, OffPolicyError, OffPolicySettings, estimate};
pub use interval::clustered;
pub use list::{ListPolicy, ShownList};
pub use open_bandit::{OpenBanditReport, OpenBanditRequest, evaluate_open_bandit};
pub use reward_model::RewardModel;
pub use sequence::{Balance, ConfidenceSequence, difference};
pub use simulated::{CoverageReport, CoverageSettings, coverage};

/// An item at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Which item, numbered from 0.
    pub item: u32,
    /// Where on the page, from 0.
    pub place: u32,
}

/// One decision of the logging policy and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whose: decisions of one user hang together.
    pub user: u32,
    /// How likely the logging policy was to show this, above 0.
    pub propensity: f64,
    /// How likely the policy in question is to show it.
    pub target: f64,
    /// What was shown, with the reward at each place.
    pub shown: Vec<(Cell, f64)>,
    /// What the policy in question shows: for each cell how likely.
    pub expected: Vec<(Cell, f64)>,
}

impl Decision {
    /// The reward over all places.
    pub fn reward(&self) -> f64 {
        self.shown.iter().map(|(_, reward)| reward).sum()
    }
}
