//! Matrix factorization of ratings: `r = μ + b_u + b_i + x_u·y_i`, solved by alternating ridge regressions.
//!
//! Penalties grow with how often a row occurs (Zhou et al., *Large-scale parallel collaborative filtering for the Netflix prize*, AAIM
//! 2008), and the mean of several solutions from different starts is predicted, because the errors of single solutions
//! are largely independent. A user is folded in by one ridge regression; there are no rows for users.

use accrue_kernel::{Draws, axpy, dot};
use serde::{Deserialize, Serialize};

use super::{Baseline, BaselineSettings, RatingModel, Ratings};
use crate::collaborative::linear::{cholesky, cholesky_solve};
use crate::collaborative::{Epoch, Fit, FitError, parallel};

/// Stream of random numbers.
const STREAM: u64 = 0x5241_5445;

/// Size, penalty, iterations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatingFactorizationSettings {
    /// Numbers in a row.
    pub factors: usize,
    /// Sweeps over users and items.
    pub iterations: usize,
    /// Penalty of a row for each of its ratings.
    pub l2: f64,
    /// Number of solutions that are averaged.
    pub solutions: usize,
}

impl Default for RatingFactorizationSettings {
    fn default() -> Self {
        Self { factors: 20, iterations: 12, l2: 0.1, solutions: 4 }
    }
}

/// Rows of the items, one set a solution, and the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RatingFactorization {
    settings: RatingFactorizationSettings,
    baseline: Baseline,
    /// `solutions × [n_items, factors]`
    solutions: Vec<Vec<f32>>,
}

impl RatingModel for RatingFactorization {
    type Settings = RatingFactorizationSettings;

    fn fit(data: &Ratings, settings: &RatingFactorizationSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let positive = "a positive number";
        FitError::check(settings.factors > 0, "factors", settings.factors, positive)?;
        FitError::check(settings.solutions > 0, "solutions", settings.solutions, positive)?;
        FitError::check(settings.l2 > 0.0, "l2", settings.l2, positive)?;
        let baseline = Baseline::fit(data, &BaselineSettings::default(), fit)?;
        let residuals: Vec<Vec<(u32, f32)>> = data.users().iter().map(|rated| baseline.residuals(rated)).collect();
        let by_item = Ratings::new(data.n_items(), residuals.clone()).by_item();
        let mut solutions = Vec::with_capacity(settings.solutions);
        for number in 0..settings.solutions {
            let mut items = start(data.n_items(), settings.factors, fit.seed, number);
            let mut users = vec![0.0; data.users().len() * settings.factors];
            for iteration in 1..=settings.iterations {
                solve_all(&residuals, &items, settings, fit.threads, &mut users);
                solve_all(&by_item, &users, settings, fit.threads, &mut items);
                if !items.iter().all(|x| x.is_finite()) {
                    return Err(FitError::Diverged { epoch: iteration });
                }
            }
            solutions.push(items);
            (fit.progress)(Epoch { done: number + 1, of: settings.solutions, loss: None });
        }
        Ok(Self { settings: settings.clone(), baseline, solutions })
    }

    fn n_params(&self) -> u64 {
        self.solutions.iter().map(|items| items.len() as u64).sum::<u64>() + self.baseline.n_params()
    }

    fn rate(&self, rated: &[(u32, f32)], items: &[u32], out: &mut [f32]) {
        let d = self.settings.factors;
        let leaning = self.baseline.leaning(rated);
        let residuals = self.baseline.residuals(rated);
        let mut shifts = vec![0.0; items.len()];
        let mut solver = Solver::new(d);
        for rows in &self.solutions {
            let mut user = vec![0.0; d];
            solver.solve(&residuals, rows, self.settings.l2 as f32, &mut user);
            for (shift, &item) in shifts.iter_mut().zip(items) {
                *shift += dot(&user, &rows[item as usize * d..][..d]);
            }
        }
        let share = 1.0 / self.solutions.len() as f32;
        for ((out, &item), shift) in out.iter_mut().zip(items).zip(shifts) {
            *out = self.baseline.within(self.baseline.of(leaning, item) + share * shift);
        }
    }
}

fn start(n_items: usize, factors: usize, seed: u64, number: usize) -> Vec<f32> {
    let row = |item: usize| {
        let mut draws = Draws::new(seed, STREAM + number as u64, item as u64);
        (0..factors).map(move |_| 0.1 * draws.normal())
    };
    (0..n_items).flat_map(row).collect()
}

/// Each row's ridge regression against the rows that it has ratings with.
fn solve_all(
    rated: &[Vec<(u32, f32)>],
    others: &[f32],
    settings: &RatingFactorizationSettings,
    threads: usize,
    rows: &mut [f32],
) {
    /// Rows solved by a thread at a time.
    const CHUNK: usize = 32;
    let d = settings.factors;
    parallel::for_each_chunk(
        threads,
        rows,
        CHUNK * d,
        || Solver::new(d),
        |solver, number, rows| {
            for (place, row) in rows.chunks_exact_mut(d).enumerate() {
                solver.solve(&rated[number * CHUNK + place], others, settings.l2 as f32, row);
            }
        },
    );
}

/// Buffers for one row's normal equations.
struct Solver {
    normal: Vec<f32>,
}

impl Solver {
    fn new(d: usize) -> Self {
        Self { normal: vec![0.0; d * d] }
    }

    /// `x = (Σ y yᵀ + l2·n)⁻¹ Σ e y` over `rated`; zero without ratings.
    fn solve(&mut self, rated: &[(u32, f32)], others: &[f32], l2: f32, x: &mut [f32]) {
        let d = x.len();
        x.fill(0.0);
        if rated.is_empty() {
            return;
        }
        self.normal.fill(0.0);
        for &(other, e) in rated {
            let y = &others[other as usize * d..][..d];
            axpy(e, y, x);
            for (row, &weight) in self.normal.chunks_exact_mut(d).zip(y) {
                axpy(weight, y, row);
            }
        }
        (0..d).for_each(|i| self.normal[i * d + i] += l2 * rated.len() as f32);
        if cholesky(&mut self.normal, d, 1) {
            cholesky_solve(&self.normal, d, x);
        } else {
            // Only rounding errors of huge ratings reach this; then the baseline alone is the prediction.
            x.fill(0.0);
        }
    }
}
