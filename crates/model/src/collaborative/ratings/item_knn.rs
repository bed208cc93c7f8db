//! Item neighbours for ratings: how much above or below the baseline the user rated similar items.
//!
//! `r̂ = b_ui + Σ_j s_ij e_uj / (damping + Σ_j |s_ij|)` over the `k` most similar rated items, `e` the residuals of the baseline and
//! `s_ij = n_ij / (n_ij + shrink) · cos(e_i, e_j)`. Sarwar et al., WWW 2001; shrinkage: Koren, KDD 2008.

use libm::pow;
use serde::{Deserialize, Serialize};

use super::{Baseline, BaselineSettings, RatingModel, Ratings};
use crate::collaborative::sparse::Neighbourhood;
use crate::collaborative::{Fit, FitError};

/// Size of a neighbourhood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatingKnnSettings {
    /// Similar rated items that are used.
    pub k: usize,
    /// Neighbours that an item keeps.
    pub kept: usize,
    /// Added to the number of users who rated both.
    pub shrink: f64,
    /// Added to the sum of similarities: with little evidence a prediction stays near the baseline.
    pub damping: f64,
    /// Exponent of a similarity.
    pub power: f64,
}

impl Default for RatingKnnSettings {
    fn default() -> Self {
        Self { k: 40, kept: 1000, shrink: 20.0, damping: 0.1, power: 1.0 }
    }
}

/// Similarities and the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatingKnn {
    k: usize,
    damping: f32,
    baseline: Baseline,
    neighbours: Neighbourhood,
}

impl RatingModel for RatingKnn {
    type Settings = RatingKnnSettings;

    fn fit(data: &Ratings, settings: &RatingKnnSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        FitError::check(settings.k > 0, "k", settings.k, "at least one neighbour")?;
        FitError::check(settings.kept > 0, "kept", settings.kept, "at least one neighbour")?;
        let floats = [("shrink", settings.shrink), ("damping", settings.damping), ("power", settings.power)];
        for (name, value) in floats {
            FitError::check(value >= 0.0, name, value, "a number of at least 0")?;
        }
        let baseline = Baseline::fit(data, &BaselineSettings::default(), fit)?;
        let residuals: Vec<Vec<(u32, f32)>> = data.users().iter().map(|rated| baseline.residuals(rated)).collect();
        let by_item = Ratings::new(data.n_items(), residuals.clone()).by_item();
        let norms: Vec<f32> =
            by_item.iter().map(|rated| rated.iter().map(|&(_, e)| e * e).sum::<f32>().sqrt()).collect();
        let users_of: Vec<Vec<u32>> =
            by_item.iter().map(|rated| rated.iter().map(|&(user, _)| user).collect()).collect();
        let neighbours = Neighbourhood::build(data.n_items(), settings.kept, fit.threads, |item, row| {
            for &(user, e) in &by_item[item] {
                for &(other, other_e) in &residuals[user as usize] {
                    row.add(other, e * other_e);
                }
            }
            row.remove(item as u32);
            row.scale(|other, product| {
                if product <= 0.0 {
                    return 0.0;
                }
                let n = common(&users_of[item], &users_of[other as usize]) as f64;
                let cosine = f64::from(product / (norms[item] * norms[other as usize]));
                pow(cosine * n / (n + settings.shrink), settings.power) as f32
            });
        });
        Ok(Self { k: settings.k, damping: settings.damping as f32, baseline, neighbours })
    }

    fn n_params(&self) -> u64 {
        self.neighbours.len() as u64 + self.baseline.n_params()
    }

    fn rate(&self, rated: &[(u32, f32)], items: &[u32], out: &mut [f32]) {
        let leaning = self.baseline.leaning(rated);
        let mut residuals = self.baseline.residuals(rated);
        residuals.sort_by_key(|&(item, _)| item);
        for (out, &item) in out.iter_mut().zip(items) {
            let (ids, weights) = self.neighbours.row(item);
            let of_rated = |&(other, e): &(u32, f32)| ids.binary_search(&other).ok().map(|place| (weights[place], e));
            let mut similar: Vec<(f32, f32)> = residuals.iter().filter_map(of_rated).collect();
            similar.sort_by(|a, b| b.0.total_cmp(&a.0));
            similar.truncate(self.k);
            let total: f32 = similar.iter().map(|&(weight, _)| weight).sum();
            let sum: f32 = similar.iter().map(|&(weight, e)| weight * e).sum();
            let shift = if total > 0.0 { sum / (self.damping + total) } else { 0.0 };
            *out = self.baseline.within(self.baseline.of(leaning, item) + shift);
        }
    }
}

/// The number of elements that are in both ascending lists.
fn common(a: &[u32], b: &[u32]) -> usize {
    let (mut i, mut j, mut n) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        n += usize::from(a[i] == b[j]);
        (i, j) = (i + usize::from(a[i] <= b[j]), j + usize::from(b[j] <= a[i]));
    }
    n
}
