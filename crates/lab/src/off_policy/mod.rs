//! Off-policy evaluation: what a policy would have earned, estimated from randomised pages of another policy; and
//! intervals for the difference of two policies that may be read at any time.
//!
//! In: [`Decision`]s: the user, what was shown, its probability under the logging policy and under the target policy,
//! and its reward. Out: [`Estimates`] with 95 % intervals over users, or an error if the log contains too little
//! information. With weights `w = π/p`:
//!
//! ```text
//! IPS    Σ w·r / n                                                    Horvitz, Thompson 1952
//! SNIPS  Σ w·r / Σ w                                                  Swaminathan, Joachims 2015
//! DR     Σ [Σ_a π(a)·q(a) + w·(r − q(shown))] / n                      Dudík, Langford, Li 2011
//! n_eff  (Σ w)² / Σ w²                                                Kish 1965
//! ```
//!
//! `q` is fitted on the other users' decisions ([`RewardModel`], cross-fitting: Chernozhukov et al. 2018). A bound on
//! `w` (`clip`) reduces the variance but adds a bias that no interval shows, so it is off by default. Errors are a
//! propensity of 0, a number that is not finite, and fewer effective decisions than required.

mod estimate;
mod interval;
mod list;
mod open_bandit;
mod reward_model;
mod sequence;
mod simulated;

pub use estimate::{Estimates, OffPolicyError, OffPolicySettings, doubly_robust, estimate, n_effective};
pub use interval::{Estimate, clustered};
pub use list::{ListPolicy, ShownList};
pub use open_bandit::{OpenBanditReport, OpenBanditRequest, evaluate_open_bandit};
pub use reward_model::RewardModel;
pub use sequence::{Balance, ConfidenceSequence, difference};
pub use simulated::{CoverageReport, CoverageSettings, coverage};

/// An item at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The index of the item.
    pub item: u32,
    /// The position on the page, from 0.
    pub place: u32,
}

/// One decision of the logging policy and its reward.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The user. Decisions of one user are correlated.
    pub user: u32,
    /// The probability of the decision under the logging policy, above 0.
    pub propensity: f64,
    /// The probability of the decision under the target policy.
    pub target: f64,
    /// What was shown, with the reward at each position.
    pub shown: Vec<(Cell, f64)>,
    /// The probability of each cell under the target policy.
    pub expected: Vec<(Cell, f64)>,
}

impl Decision {
    /// The sum of the rewards over all positions.
    pub fn reward(&self) -> f64 {
        self.shown.iter().map(|(_, reward)| reward).sum()
    }
}
