//! The baseline of ratings: `r = μ + b_u + b_i`, the biases shrunk towards zero.
//!
//! Alternating ridge solutions of `Σ (r - μ - b_u - b_i)² + λ_u Σ b_u² + λ_i Σ b_i²`. Koren, *Factorization meets the neighborhood*, KDD 2008, 2.1.

use serde::{Deserialize, Serialize};

use super::{RatingModel, Ratings};
use crate::collaborative::{Fit, FitError};

/// Sweeps; the solution converges in a few.
const SWEEPS: usize = 10;

/// Penalties, in ratings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineSettings {
    /// Ratings without a bias added to a user's.
    pub user_l2: f64,
    /// The same for an item.
    pub item_l2: f64,
}

impl Default for BaselineSettings {
    fn default() -> Self {
        Self { user_l2: 5.0, item_l2: 3.0 }
    }
}

/// The mean and the items' biases; a user's bias is computed from the ratings given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    mean: f32,
    user_l2: f32,
    items: Vec<f32>,
    lowest: f32,
    highest: f32,
}

impl RatingModel for Baseline {
    type Settings = BaselineSettings;

    fn fit(data: &Ratings, settings: &BaselineSettings, _: &Fit<'_>) -> Result<Self, FitError> {
        for (name, value) in [("user_l2", settings.user_l2), ("item_l2", settings.item_l2)] {
            FitError::check(value > 0.0, name, value, "a positive number")?;
        }
        let ratings = || data.users().iter().flatten().map(|&(_, rating)| rating);
        let mean = (ratings().map(f64::from).sum::<f64>() / data.n_ratings() as f64) as f32;
        let by_item = data.by_item();
        let mut model = Self {
            mean,
            user_l2: settings.user_l2 as f32,
            items: vec![0.0; data.n_items()],
            lowest: ratings().fold(f32::INFINITY, f32::min),
            highest: ratings().fold(f32::NEG_INFINITY, f32::max),
        };
        for _ in 0..SWEEPS {
            let users: Vec<f32> = data.users().iter().map(|rated| model.leaning(rated)).collect();
            for (bias, rated) in model.items.iter_mut().zip(&by_item) {
                let sum: f32 = rated.iter().map(|&(user, rating)| rating - mean - users[user as usize]).sum();
                *bias = sum / (settings.item_l2 as f32 + rated.len() as f32);
            }
        }
        Ok(model)
    }

    fn n_params(&self) -> u64 {
        self.items.len() as u64 + 1
    }

    fn rate(&self, rated: &[(u32, f32)], items: &[u32], out: &mut [f32]) {
        let leaning = self.leaning(rated);
        for (out, &item) in out.iter_mut().zip(items) {
            *out = self.within(self.of(leaning, item));
        }
    }
}

impl Baseline {
    /// `b_u` of a user with these ratings.
    pub fn leaning(&self, rated: &[(u32, f32)]) -> f32 {
        let sum: f32 = rated.iter().map(|&(item, rating)| rating - self.mean - self.items[item as usize]).sum();
        sum / (self.user_l2 + rated.len() as f32)
    }

    /// `μ + b_u + b_i`
    pub fn of(&self, leaning: f32, item: u32) -> f32 {
        self.mean + leaning + self.items[item as usize]
    }

    /// The residuals of ratings after the baseline.
    pub fn residuals(&self, rated: &[(u32, f32)]) -> Vec<(u32, f32)> {
        let leaning = self.leaning(rated);
        rated.iter().map(|&(item, rating)| (item, rating - self.of(leaning, item))).collect()
    }

    /// The nearest rating that occurs.
    pub fn within(&self, rating: f32) -> f32 {
        rating.clamp(self.lowest, self.highest)
    }
}
