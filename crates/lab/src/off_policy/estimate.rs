//! The estimators and their errors. The header of `off_policy/mod.rs` has the formulas.

use serde::Serialize;

use super::interval::{Estimate, clustered};
use super::{Decision, RewardModel};

/// Stream of the random numbers that assign users to folds.
const FOLDS: u64 = 0x464f_4c44;

/// Settings of the estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OffPolicySettings {
    /// The largest weight; larger ones are reduced to it. `None` reduces none.
    pub clip: Option<f64>,
    /// The smallest accepted number of effective decisions.
    pub least_effective: f64,
    /// Number of parts of the users, at least 2; the reward model for each part is fitted on the others.
    pub folds: u64,
    /// Weight of the reward model's prior, in observations.
    pub smoothing: f64,
    /// The seed that assigns users to parts.
    pub seed: u64,
}

impl Default for OffPolicySettings {
    fn default() -> Self {
        Self { clip: None, least_effective: 100.0, folds: 5, smoothing: 20.0, seed: 1 }
    }
}

/// The estimates for the target policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimates {
    /// Number of decisions.
    pub n: usize,
    /// Number of users.
    pub n_users: usize,
    /// Number of decisions of the target policy itself that would contain as much information.
    pub n_effective: f64,
    /// The largest weight, before any reduction.
    pub max_weight: f64,
    /// Number of weights that were reduced.
    pub n_clipped: usize,
    /// The mean weight, before any reduction: near 1 if the propensities are right and the logging policy shows all
    /// that the target may show.
    pub mean_weight: f64,
    /// The mean reward of the logging policy.
    pub logged: Estimate,
    /// Inverse propensity scoring.
    pub ips: Estimate,
    /// Self-normalised inverse propensity scoring: divided by the sum of weights.
    pub snips: Estimate,
    /// Doubly robust.
    pub dr: Estimate,
}

/// Why there is no estimate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OffPolicyError {
    /// There are no decisions, or all are of one user.
    #[error("there are {n_users} users with decisions, and an interval over users needs two")]
    TooFewUsers {
        /// The number of users.
        n_users: usize,
    },
    /// The log contains too little information about the policy.
    #[error(
        "the log contains as much information about this policy as {effective:.1} decisions of its own, but at least {least} are \
         required: log more randomised decisions, or choose a policy that is closer to the logging policy"
    )]
    TooFewEffective {
        /// The number of effective decisions.
        effective: f64,
        /// The required number.
        least: f64,
    },
    /// A decision with an invalid number.
    #[error("decision {idx}: its {what} is {value}, but must be {expected}")]
    Number {
        /// The index of the decision.
        idx: usize,
        /// The name of the number.
        what: &'static str,
        /// The number.
        value: f64,
        /// The accepted values.
        expected: &'static str,
    },
}

/// Estimates the reward of the target policy per decision.
///
/// # Errors
/// [`OffPolicyError`] if a number is invalid or the log contains too little information.
pub fn estimate(decisions: &[Decision], settings: &OffPolicySettings) -> Result<Estimates, OffPolicyError> {
    decisions.iter().enumerate().try_for_each(|(idx, decision)| validate(idx, decision))?;
    let raw: Vec<f64> = decisions.iter().map(|decision| decision.target / decision.propensity).collect();
    let (sum, n_effective) = (raw.iter().sum::<f64>(), n_effective(&raw));
    if n_effective < settings.least_effective || decisions.is_empty() {
        return Err(OffPolicyError::TooFewEffective { effective: n_effective, least: settings.least_effective });
    }
    let most = settings.clip.unwrap_or(f64::INFINITY);
    let weights: Vec<f64> = raw.iter().map(|weight| weight.min(most)).collect();
    let mut users: Vec<u32> = decisions.iter().map(|decision| decision.user).collect();
    users.sort_unstable();
    users.dedup();
    let n_users = users.len();
    let doubly_robust = doubly_robust_terms(decisions, &weights, settings);
    let over = |term: &dyn Fn(usize) -> (f64, f64)| {
        let terms = decisions.iter().enumerate().map(|(idx, decision)| {
            let (y, x) = term(idx);
            (decision.user, y, x)
        });
        clustered(terms).ok_or(OffPolicyError::TooFewUsers { n_users })
    };
    Ok(Estimates {
        n: decisions.len(),
        n_users,
        n_effective,
        max_weight: raw.iter().copied().fold(0.0, f64::max),
        n_clipped: raw.iter().filter(|weight| **weight > most).count(),
        mean_weight: sum / decisions.len() as f64,
        logged: over(&|idx| (decisions[idx].reward(), 1.0))?,
        ips: over(&|idx| (weights[idx] * decisions[idx].reward(), 1.0))?,
        snips: over(&|idx| (weights[idx] * decisions[idx].reward(), weights[idx]))?,
        dr: over(&|idx| (doubly_robust[idx], 1.0))?,
    })
}

fn validate(idx: usize, decision: &Decision) -> Result<(), OffPolicyError> {
    let refuse = |what, value, expected| Err(OffPolicyError::Number { idx, what, value, expected });
    if !(decision.propensity > 0.0 && decision.propensity <= 1.0 + 1e-9) {
        return refuse("propensity", decision.propensity, "above 0 and at most 1");
    }
    if !(0.0..=1.0 + 1e-9).contains(&decision.target) {
        return refuse("target probability", decision.target, "from 0 to 1");
    }
    if !decision.reward().is_finite() {
        return refuse("reward", decision.reward(), "a finite number");
    }
    match decision.expected.iter().find(|(_, chance)| !chance.is_finite()) {
        Some(&(_, chance)) => refuse("expected share of a cell", chance, "a finite number"),
        None => Ok(()),
    }
}

/// Number of decisions of the target policy itself that would contain as much information as these weights: `(Σ w)² / Σ w²`.
pub fn n_effective(weights: &[f64]) -> f64 {
    let (sum, squares) =
        weights.iter().fold((0.0, 0.0), |(sum, squares), weight| (sum + weight, squares + weight * weight));
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

/// The doubly robust term of each decision, for differences of two policies. The mean of the terms is the estimate.
///
/// # Errors
/// [`OffPolicyError::Number`].
pub fn doubly_robust(decisions: &[Decision], settings: &OffPolicySettings) -> Result<Vec<f64>, OffPolicyError> {
    decisions.iter().enumerate().try_for_each(|(idx, decision)| validate(idx, decision))?;
    let most = settings.clip.unwrap_or(f64::INFINITY);
    let weights: Vec<f64> =
        decisions.iter().map(|decision| (decision.target / decision.propensity).min(most)).collect();
    Ok(doubly_robust_terms(decisions, &weights, settings))
}

/// The doubly robust term of each decision, with the reward model fitted on the other parts of the users.
fn doubly_robust_terms(decisions: &[Decision], weights: &[f64], settings: &OffPolicySettings) -> Vec<f64> {
    let folds = settings.folds.max(2);
    let part = |decision: &Decision| accrue_kernel::random(settings.seed, FOLDS, u64::from(decision.user), 0) % folds;
    let mut terms = vec![0.0; decisions.len()];
    for fold in 0..folds {
        let model = RewardModel::fit(decisions.iter().filter(|decision| part(decision) != fold), settings.smoothing);
        for (idx, decision) in decisions.iter().enumerate().filter(|(_, decision)| part(decision) == fold) {
            let shown: f64 = decision.shown.iter().map(|&(cell, _)| model.reward(cell)).sum();
            terms[idx] = model.of_page(decision.expected.iter()) + weights[idx] * (decision.reward() - shown);
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::off_policy::Cell;
    use accrue_kernel::Draws;

    /// Two items, shown with equal probability; the second is clicked five times as often. The target policy shows it
    /// with `share`.
    fn log(n: u64, share: f64) -> Vec<Decision> {
        let cell = |item| Cell { item, place: 0 };
        (0..n)
            .map(|number| {
                let mut draws = Draws::new(3, 4, number);
                let item = draws.below(2) as u32;
                let clicked = f64::from(draws.uniform()) < [0.1, 0.5][item as usize];
                Decision {
                    user: (number / 2) as u32,
                    propensity: 0.5,
                    target: if item == 1 { share } else { 1.0 - share },
                    shown: vec![(cell(item), f64::from(u8::from(clicked)))],
                    expected: vec![(cell(0), 1.0 - share), (cell(1), share)],
                }
            })
            .collect()
    }

    #[test]
    fn all_estimators_find_the_value_of_a_policy_that_was_never_used() {
        let estimates = estimate(&log(20_000, 0.9), &OffPolicySettings::default()).unwrap();
        let truth = 0.9 * 0.5 + 0.1 * 0.1;
        for found in [estimates.ips, estimates.snips, estimates.dr] {
            assert!((found.value - truth).abs() < 0.015, "{found:?}");
            assert!(found.ci95.0 < truth && truth < found.ci95.1, "{found:?}");
        }
        assert!((estimates.logged.value - 0.3).abs() < 0.015);
        assert!((estimates.n_effective / 20_000.0 - 1.0 / 1.64).abs() < 0.02);
        // √(.407 / .600): the model removes the variance that comes from the difference between the items.
        assert!(estimates.dr.standard_error < 0.85 * estimates.ips.standard_error);
    }

    #[test]
    fn the_estimate_of_the_logging_policy_is_its_mean_reward() {
        let estimates = estimate(&log(2_000, 0.5), &OffPolicySettings::default()).unwrap();
        assert!((estimates.ips.value - estimates.logged.value).abs() < 1e-12);
        assert!((estimates.n_effective - 2_000.0).abs() < 1e-6);
    }

    #[test]
    fn clipping_is_counted_and_biases_downwards() {
        let settings = OffPolicySettings { clip: Some(1.0), ..OffPolicySettings::default() };
        let (cut, whole) =
            (estimate(&log(4_000, 0.9), &settings).unwrap(), estimate(&log(4_000, 0.9), &Default::default()));
        assert!(cut.n_clipped > 1_500 && cut.ips.value < 0.8 * whole.unwrap().ips.value);
    }

    #[test]
    fn logs_with_too_little_information_are_refused() {
        let few = estimate(&log(60, 0.9), &OffPolicySettings::default());
        assert!(matches!(few, Err(OffPolicyError::TooFewEffective { .. })), "{few:?}");
        let never: Vec<_> = log(500, 0.5).into_iter().map(|decision| Decision { target: 0.0, ..decision }).collect();
        assert!(
            matches!(estimate(&never, &Default::default()), Err(OffPolicyError::TooFewEffective { effective, .. }) if effective == 0.0)
        );
        let mut bad = log(500, 0.5);
        bad[7].propensity = 0.0;
        assert!(
            estimate(&bad, &Default::default()).unwrap_err().to_string().contains("decision 7: its propensity is 0")
        );
        let one: Vec<_> = log(500, 0.5).into_iter().map(|decision| Decision { user: 1, ..decision }).collect();
        assert_eq!(estimate(&one, &Default::default()), Err(OffPolicyError::TooFewUsers { n_users: 1 }));
        assert!(estimate(&[], &Default::default()).is_err());
    }
}
