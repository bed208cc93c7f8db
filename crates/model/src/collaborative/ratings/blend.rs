//! A blend of rating models: a ridge regression of held-back ratings on the parts' predictions.
//!
//! One rating in ten is held back, the parts are fitted on the rest, the weights on what was held back, then the parts
//! again on everything (stacking: Wolpert 1992; Breiman 1996).

use accrue_kernel::Draws;
use serde::{Deserialize, Serialize};

use super::{
    AnyRatingModel, AnyRatingSettings, Baseline, BaselineSettings, RatingFactorizationSettings, RatingKnnSettings,
    RatingModel, Ratings,
};
use crate::collaborative::linear::{cholesky, cholesky_solve};
use crate::collaborative::{Fit, FitError};

/// Stream of random numbers.
const STREAM: u64 = 0x5242_4C45;
/// One rating in this many is held back.
const HELD_BACK: u64 = 10;
/// Strength of the regularisation towards equal weights, in ratings.
const PENALTY: f32 = 1.0;

/// The parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatingBlendSettings {
    /// The models with their settings.
    pub parts: Vec<AnyRatingSettings>,
}

impl Default for RatingBlendSettings {
    fn default() -> Self {
        let parts = vec![
            AnyRatingSettings::RatingKnn(RatingKnnSettings::default()),
            AnyRatingSettings::RatingFactorization(RatingFactorizationSettings::default()),
        ];
        Self { parts }
    }
}

/// Fitted parts with their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatingBlend {
    baseline: Baseline,
    weights: Vec<f32>,
    parts: Vec<AnyRatingModel>,
}

impl RatingModel for RatingBlend {
    type Settings = RatingBlendSettings;

    fn fit(data: &Ratings, settings: &RatingBlendSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        FitError::check(!settings.parts.is_empty(), "parts", "none", "at least one model")?;
        let weights = found_weights(data, settings, fit)?;
        let parts = settings.parts.iter().map(|part| part.fit(data, fit)).collect::<Result<_, _>>()?;
        Ok(Self { baseline: Baseline::fit(data, &BaselineSettings::default(), fit)?, weights, parts })
    }

    fn n_params(&self) -> u64 {
        self.parts.iter().map(AnyRatingModel::n_params).sum::<u64>() + self.weights.len() as u64
    }

    fn rate(&self, rated: &[(u32, f32)], items: &[u32], out: &mut [f32]) {
        let mut of_part = vec![0.0; items.len()];
        out.fill(0.0);
        for (part, &weight) in self.parts.iter().zip(&self.weights) {
            part.rate(rated, items, &mut of_part);
            accrue_kernel::axpy(weight, &of_part, out);
        }
        out.iter_mut().for_each(|out| *out = self.baseline.within(*out));
    }
}

fn found_weights(data: &Ratings, settings: &RatingBlendSettings, fit: &Fit<'_>) -> Result<Vec<f32>, FitError> {
    let n_parts = settings.parts.len();
    let equal = vec![1.0 / n_parts as f32; n_parts];
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for (user, rated) in data.users().iter().enumerate() {
        let mut draws = Draws::new(fit.seed, STREAM, user as u64);
        let (back, rest): (Vec<_>, Vec<_>) = rated.iter().copied().partition(|_| draws.below(HELD_BACK) == 0);
        kept.push(rest);
        held.push(back);
    }
    let kept = Ratings::new(data.n_items(), kept);
    if kept.n_ratings() == 0 || held.iter().all(Vec::is_empty) {
        return Ok(equal);
    }
    let parts = settings.parts.iter().map(|part| part.fit(&kept, fit)).collect::<Result<Vec<_>, _>>()?;
    let mut normal = vec![0.0_f32; n_parts * n_parts];
    (0..n_parts).for_each(|part| normal[part * n_parts + part] = PENALTY);
    let mut weights: Vec<f32> = equal.iter().map(|share| PENALTY * share).collect();
    for (rated, held) in kept.users().iter().zip(&held) {
        let items: Vec<u32> = held.iter().map(|&(item, _)| item).collect();
        let mut predicted = vec![vec![0.0; items.len()]; n_parts];
        for (part, predicted) in parts.iter().zip(&mut predicted) {
            part.rate(rated, &items, predicted);
        }
        for (number, &(_, rating)) in held.iter().enumerate() {
            for a in 0..n_parts {
                weights[a] += predicted[a][number] * rating;
                (0..n_parts).for_each(|b| normal[a * n_parts + b] += predicted[a][number] * predicted[b][number]);
            }
        }
    }
    if !cholesky(&mut normal, n_parts, 1) {
        return Ok(equal);
    }
    cholesky_solve(&normal, n_parts, &mut weights);
    Ok(weights)
}
