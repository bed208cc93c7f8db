//! A linear item–item model in closed form: each item predicted from all others by ridge regression.
//!
//! `B = I - P · diag(1/P_jj)` with `P = (XᵀX + λI)⁻¹`; a history's score is the sum of its items' rows. Steck, *Embarrassingly shallow
//! autoencoders for sparse data* (EASE), WWW 2019. The matrix is inverted in place, so memory is one matrix of items ×
//! items, and time items³ operations. Refuses: a matrix larger than `max_memory_mb`.

use accrue_kernel::axpy;
use libm::pow;
use serde::{Deserialize, Serialize};

use super::inverse::invert;
use super::{CollaborativeModel, Epoch, Fit, FitError, Interactions, parallel};

/// The penalty and the limit of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EaseSettings {
    /// Penalty `λ`: added to each item's count of users.
    pub l2: f64,
    /// Exponent of an item's count by which its column is divided: 0 is the paper's, more favours the rare.
    pub popularity_norm: f64,
    /// Memory that the matrix of items × items may take.
    pub max_memory_mb: u64,
}

impl Default for EaseSettings {
    fn default() -> Self {
        Self { l2: 250.0, popularity_norm: 0.0, max_memory_mb: 1000 }
    }
}

/// The weights `B`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ease {
    n_items: usize,
    /// `[n_items, n_items]`, zero on the diagonal.
    weights: Vec<f32>,
}

impl CollaborativeModel for Ease {
    type Settings = EaseSettings;

    fn fit(data: &Interactions, settings: &EaseSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        FitError::check(settings.l2 > 0.0, "l2", settings.l2, "a positive number")?;
        let norm = settings.popularity_norm;
        FitError::check((0.0..=1.0).contains(&norm), "popularity_norm", norm, "a number from 0 to 1")?;
        let n = data.n_items();
        let needed_mb = (4 * n * n) as u64 >> 20;
        if needed_mb > settings.max_memory_mb {
            return Err(FitError::TooLarge {
                what: "a matrix of items × items",
                needed_mb,
                limit_mb: settings.max_memory_mb,
                instead: "raise it, or use graph-filter or item-knn",
            });
        }
        let sets = data.distinct();
        let counts = sets.counts();
        let mut weights = gram(&sets, settings.l2 as f32, fit.threads);
        let progress = |done, of| {
            (fit.progress)(Epoch { done, of, loss: None });
            !(fit.stop)()
        };
        if !invert(&mut weights, n, fit.threads, progress) {
            fit.go_on()?;
            // A Gram matrix with a positive diagonal added is positive definite, unless the l2 is so small that
            // rounding loses it.
            return Err(FitError::Diverged { epoch: 1 });
        }
        let diagonal: Vec<f32> = (0..n).map(|item| weights[item * n + item]).collect();
        let column_scale: Vec<f32> = diagonal
            .iter()
            .zip(&counts)
            .map(|(&p, &count)| -1.0 / p * pow(f64::from(count.max(1)), -norm) as f32)
            .collect();
        parallel::for_each_chunk(
            fit.threads,
            &mut weights,
            n,
            || (),
            |(), item, row| {
                row.iter_mut().zip(&column_scale).for_each(|(weight, scale)| *weight *= scale);
                row[item] = 0.0;
            },
        );
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(FitError::Diverged { epoch: 1 });
        }
        Ok(Self { n_items: n, weights })
    }

    fn n_params(&self) -> u64 {
        self.weights.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        let mut set = history.to_vec();
        set.sort_unstable();
        set.dedup();
        out.fill(0.0);
        for item in set {
            axpy(1.0, &self.weights[item as usize * self.n_items..][..self.n_items], out);
        }
    }
}

/// The lower triangle of `XᵀX + λI`: how many users chose both items. `→ [n_items, n_items]`
fn gram(sets: &Interactions, l2: f32, threads: usize) -> Vec<f32> {
    let n = sets.n_items();
    let users_of = sets.transposed();
    let mut gram = vec![0.0; n * n];
    parallel::for_each_chunk(
        threads,
        &mut gram,
        n,
        || (),
        |(), item, row| {
            let row = &mut row[..=item];
            for &user in users_of.history(item) {
                // Sets are sorted in ascending order.
                let others = sets.history(user as usize).iter().take_while(|&&other| other as usize <= item);
                others.for_each(|&other| row[other as usize] += 1.0);
            }
            row[item] += l2;
        },
    );
    gram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_the_ridge_regression_on_the_others() {
        let data = Interactions::new(3, [vec![0, 1], vec![0, 1, 2], vec![1], vec![0, 2]]);
        let settings = EaseSettings { l2: 0.5, ..EaseSettings::default() };
        let model = Ease::fit(&data, &settings, &Fit::quiet(1, 2)).expect("plain data");
        // The normal equations of item 2 on items 0 and 1: [[3.5, 2], [2, 3.5]] w = [2, 1].
        let determinant = 3.5 * 3.5 - 4.0;
        let expected = [(3.5 * 2.0 - 2.0) / determinant, (3.5 - 2.0 * 2.0) / determinant];
        for (item, expected) in expected.into_iter().enumerate() {
            let got = model.weights[item * 3 + 2];
            assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
        }
    }

    #[test]
    fn data_that_exceeds_the_memory_limit_is_refused_before_allocation() {
        let data = Interactions::new(100_000, [[0, 1]]);
        let error = Ease::fit(&data, &EaseSettings::default(), &Fit::quiet(1, 1)).expect_err("40 GB");
        assert!(error.to_string().contains("max_memory_mb=1000"), "{error}");
    }
}
