//! Matrix factorization for implicit feedback by alternating least squares, solved by conjugate gradients.
//!
//! `Σ_(u,i) (1 - x_u·y_i)² + a Σ_all (x_u·y_i)² + λ Σ_u (n_u + a·m)^ν |x_u|² + the same over items`, with `a` the weight of a pair that did not occur. Hu, Koren,
//! Volinsky, *Collaborative filtering for implicit feedback datasets*, ICDM 2008; a few conjugate gradient steps from the last
//! solution: Takács, Pilászy, Tikk, RecSys 2011; the frequency-scaled penalty: Rendle et al., *Revisiting the performance
//! of iALS*, RecSys 2022. A shopper is folded in from the history for each request; there are no rows for users.

use accrue_kernel::{Draws, axpy, dot, dot_rows, gram_product, residual_sum, scale, squared_norm};
use libm::pow;
use serde::{Deserialize, Serialize};

use super::linear::dot_rows_batch;
use super::{CollaborativeModel, Epoch, Fit, FitError, Interactions, parallel};

/// Stream of random numbers.
const STREAM: u64 = 0x0041_4C53;
/// Rows solved by a thread at a time; also the shape of the sums of the Gram matrix.
const CHUNK: usize = 256;
/// Conjugate gradient steps of a fold-in, which starts from zero.
const FOLD_IN_STEPS: usize = 12;

/// Size, weights, iterations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlsSettings {
    /// Numbers in a row.
    pub factors: usize,
    /// Sweeps over users and items.
    pub iterations: usize,
    /// Weight of a pair that did not occur; one that did weighs 1.
    pub unobserved: f64,
    /// Penalty `λ`.
    pub l2: f64,
    /// Exponent `ν` of how often a row occurs in its penalty.
    pub frequency: f64,
    /// Conjugate gradient steps to a row and sweep.
    pub steps: usize,
    /// Whether the loss is computed after each sweep, for a learning curve; that takes about a third of a sweep.
    pub watch_loss: bool,
}

impl Default for AlsSettings {
    fn default() -> Self {
        Self { factors: 64, iterations: 12, unobserved: 0.1, l2: 0.003, frequency: 1.0, steps: 3, watch_loss: false }
    }
}

/// Rows of the items, and what folding a shopper in needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Als {
    settings: AlsSettings,
    /// `[n_items, factors]`
    items: Vec<f32>,
    /// `unobserved · Σ_i y_i y_iᵀ`, `[factors, factors]`
    gram: Vec<f32>,
}

impl CollaborativeModel for Als {
    type Settings = AlsSettings;

    fn fit(data: &Interactions, settings: &AlsSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        FitError::check(settings.factors > 0, "factors", settings.factors, "at least one")?;
        FitError::check(settings.steps > 0, "steps", settings.steps, "at least one")?;
        FitError::check(settings.l2 > 0.0, "l2", settings.l2, "a positive number")?;
        FitError::check(settings.unobserved > 0.0, "unobserved", settings.unobserved, "a positive number")?;
        FitError::check(settings.frequency >= 0.0, "frequency", settings.frequency, "a number of at least 0")?;
        let sets = data.distinct();
        let users_of = sets.transposed();
        let factors = settings.factors;
        let deviation = 0.1 / (factors as f32).sqrt();
        let random_rows = |stream: u64, n: usize| -> Vec<f32> {
            let row = |row: usize| {
                let mut draws = Draws::new(fit.seed, stream, row as u64);
                (0..factors).map(move |_| deviation * draws.normal())
            };
            (0..n).flat_map(row).collect()
        };
        let mut users = random_rows(STREAM, sets.n_users());
        let mut items = random_rows(STREAM + 1, sets.n_items());
        for iteration in 1..=settings.iterations {
            fit.go_on()?;
            let gram = scaled_gram(&items, settings, fit.threads);
            solve_all(&sets, &items, &gram, settings, fit.threads, &mut users);
            let user_gram = scaled_gram(&users, settings, fit.threads);
            solve_all(&users_of, &users, &user_gram, settings, fit.threads, &mut items);
            if !items.iter().all(|x| x.is_finite()) {
                return Err(FitError::Diverged { epoch: iteration });
            }
            let loss =
                settings.watch_loss.then(|| loss(&sets, &users_of, &users, &items, &user_gram, settings, fit.threads));
            (fit.progress)(Epoch { done: iteration, of: settings.iterations, loss });
        }
        let gram = scaled_gram(&items, settings, fit.threads);
        Ok(Self { settings: settings.clone(), items, gram })
    }

    fn n_params(&self) -> u64 {
        self.items.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        dot_rows(&self.fold_in(history), &self.items, out);
    }

    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let vectors: Vec<f32> = histories.iter().flat_map(|history| self.fold_in(history)).collect();
        dot_rows_batch(&vectors, &self.items, self.settings.factors, out);
    }
}

impl Als {
    /// The vector of a shopper with this history: the least squares solution with the items held fixed. `→ [factors]`
    pub fn fold_in(&self, history: &[u32]) -> Vec<f32> {
        let mut set = history.to_vec();
        set.sort_unstable();
        set.dedup();
        let settings = AlsSettings { steps: FOLD_IN_STEPS, ..self.settings.clone() };
        let mut solver = Solver::new(settings.factors);
        let mut row = vec![0.0; settings.factors];
        let n_others = self.items.len() / settings.factors;
        solver.solve(&set, &self.items, &self.gram, penalty(&settings, set.len(), n_others), settings.steps, &mut row);
        row
    }
}

fn penalty(settings: &AlsSettings, n: usize, n_others: usize) -> f32 {
    (settings.l2 * pow(n as f64 + settings.unobserved * n_others as f64, settings.frequency)) as f32
}

/// `unobserved · Σ_r row_r row_rᵀ`, summed chunk by chunk. `rows: [n, d] → [d, d]`
fn scaled_gram(rows: &[f32], settings: &AlsSettings, threads: usize) -> Vec<f32> {
    let d = settings.factors;
    let chunk = CHUNK * 16 * d;
    let parts = parallel::map(
        threads,
        rows.len().div_ceil(chunk),
        || (),
        |(), part| {
            let rows = &rows[part * chunk..rows.len().min((part + 1) * chunk)];
            // Rows of the transposed block: each entry of the Gram matrix is one long dot product.
            let n = rows.len() / d;
            let mut columns = vec![0.0; rows.len()];
            for (place, row) in rows.chunks_exact(d).enumerate() {
                row.iter().enumerate().for_each(|(column, &x)| columns[column * n + place] = x);
            }
            let mut sums = vec![0.0_f32; d * d];
            for column in 0..d {
                let upper = &mut sums[column * d + column..(column + 1) * d];
                dot_rows(&columns[column * n..][..n], &columns[column * n..], upper);
            }
            sums
        },
    );
    let mut gram = vec![0.0_f32; d * d];
    for part in parts {
        axpy(1.0, &part, &mut gram);
    }
    for row in 0..d {
        for column in row..d {
            let x = gram[row * d + column] * settings.unobserved as f32;
            (gram[row * d + column], gram[column * d + row]) = (x, x);
        }
    }
    gram
}

/// A step from each row of `rows` to its least squares solution against `others`. `sets` names the others of each row.
fn solve_all(
    sets: &Interactions,
    others: &[f32],
    gram: &[f32],
    settings: &AlsSettings,
    threads: usize,
    rows: &mut [f32],
) {
    let d = settings.factors;
    let n_others = others.len() / d;
    parallel::for_each_chunk(
        threads,
        rows,
        CHUNK * d,
        || Solver::new(d),
        |solver, number, rows| {
            for (place, row) in rows.chunks_exact_mut(d).enumerate() {
                let set = sets.history(number * CHUNK + place);
                solver.solve(set, others, gram, penalty(settings, set.len(), n_others), settings.steps, row);
            }
        },
    );
}

/// The loss of the formula above, divided by the number of choices. `user_gram` is scaled: `a · Σ_u x_u x_uᵀ`.
fn loss(
    sets: &Interactions,
    users_of: &Interactions,
    users: &[f32],
    items: &[f32],
    user_gram: &[f32],
    settings: &AlsSettings,
    threads: usize,
) -> f64 {
    let d = settings.factors;
    let of_penalty = |sets: &Interactions, rows: &[f32], others: &[f32]| -> f64 {
        let weights = sets.histories().map(|set| penalty(settings, set.len(), others.len() / d));
        weights.zip(rows.chunks_exact(d)).map(|(weight, row)| f64::from(weight) * f64::from(squared_norm(row))).sum()
    };
    let errors = parallel::map(
        threads,
        sets.n_users(),
        || (),
        |(), user| {
            let x = &users[user * d..][..d];
            let error = |&item: &u32| f64::from(1.0 - dot(x, &items[item as usize * d..][..d])).powi(2);
            sets.history(user).iter().map(error).sum::<f64>()
        },
    );
    // Σ_all (x_u·y_i)² = Σ_i y_iᵀ (Σ_u x_u x_uᵀ) y_i
    let of_all = parallel::map(
        threads,
        sets.n_items(),
        || vec![0.0; d],
        |product, item| {
            let y = &items[item * d..][..d];
            dot_rows(y, user_gram, product);
            f64::from(dot(y, product))
        },
    );
    let total = errors.iter().sum::<f64>() + of_all.iter().sum::<f64>();
    (total + of_penalty(sets, users, items) + of_penalty(users_of, items, users)) / sets.n_interactions().max(1) as f64
}

/// Buffers for one row's conjugate gradients.
struct Solver {
    /// The rows of the set, gathered once because every step reads them.
    gathered: Vec<f32>,
    residual: Vec<f32>,
    direction: Vec<f32>,
    product: Vec<f32>,
}

impl Solver {
    fn new(d: usize) -> Self {
        Self { gathered: Vec::new(), residual: vec![0.0; d], direction: vec![0.0; d], product: vec![0.0; d] }
    }

    /// Moves `x` towards the solution of `(Σ_set y yᵀ + gram + penalty) x = Σ_set y`.
    fn solve(&mut self, set: &[u32], others: &[f32], gram: &[f32], penalty: f32, steps: usize, x: &mut [f32]) {
        let d = x.len();
        if set.is_empty() {
            return x.fill(0.0);
        }
        self.gathered.clear();
        for &other in set {
            self.gathered.extend_from_slice(&others[other as usize * d..][..d]);
        }
        // residual = b - A x = Σ (1 - y·x) y - (gram + penalty) x
        dot_rows(x, gram, &mut self.residual);
        axpy(penalty, x, &mut self.residual);
        scale(-1.0, &mut self.residual);
        residual_sum(&self.gathered, 1.0, x, &mut self.residual);
        self.direction.copy_from_slice(&self.residual);
        let mut error = squared_norm(&self.residual);
        for step in 1..=steps {
            if error < 1e-12 {
                return;
            }
            let direction = std::mem::take(&mut self.direction);
            self.multiply(gram, penalty, &direction);
            self.direction = direction;
            let length = error / dot(&self.direction, &self.product);
            axpy(length, &self.direction, x);
            if step == steps {
                return;
            }
            axpy(-length, &self.product, &mut self.residual);
            let next = squared_norm(&self.residual);
            let turn = next / error;
            for (direction, &residual) in self.direction.iter_mut().zip(&self.residual) {
                *direction = residual + turn * *direction;
            }
            error = next;
        }
    }

    /// `product = A p`
    fn multiply(&mut self, gram: &[f32], penalty: f32, p: &[f32]) {
        dot_rows(p, gram, &mut self.product);
        axpy(penalty, p, &mut self.product);
        gram_product(&self.gathered, p, &mut self.product);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collaborative::linear;

    #[test]
    fn the_loss_equals_the_formula_over_every_pair() {
        let data = Interactions::new(5, [vec![0, 1, 2], vec![1, 2, 4], vec![], vec![4, 0]]);
        let users_of = data.transposed();
        let settings = AlsSettings { factors: 3, frequency: 0.5, l2: 0.2, ..AlsSettings::default() };
        let mut draws = Draws::new(1, 1, 0);
        let users: Vec<f32> = (0..4 * 3).map(|_| draws.normal()).collect();
        let items: Vec<f32> = (0..5 * 3).map(|_| draws.normal()).collect();
        let mut expected = 0.0;
        for (user, x) in users.chunks_exact(3).enumerate() {
            for (item, y) in items.chunks_exact(3).enumerate() {
                let score = f64::from(dot(x, y));
                expected += settings.unobserved * score * score;
                if data.history(user).contains(&(item as u32)) {
                    expected += (1.0 - score) * (1.0 - score);
                }
            }
            let n = data.history(user).len() as f64 + settings.unobserved * 5.0;
            expected += settings.l2 * n.sqrt() * f64::from(squared_norm(x));
        }
        for (item, y) in items.chunks_exact(3).enumerate() {
            let n = users_of.history(item).len() as f64 + settings.unobserved * 4.0;
            expected += settings.l2 * n.sqrt() * f64::from(squared_norm(y));
        }
        let gram = scaled_gram(&users, &settings, 1);
        let found = loss(&data, &users_of, &users, &items, &gram, &settings, 2);
        assert!((found - expected / 8.0).abs() < 1e-5 * expected, "{found} {}", expected / 8.0);
    }

    #[test]
    fn the_loss_falls_with_every_sweep_and_progress_reports_change_nothing() {
        let data = Interactions::new(
            40,
            (0..60_u32).map(|user| (0..6).map(|i| (user * 7 + i * i) % 40).collect::<Vec<u32>>()),
        );
        let losses = std::sync::Mutex::new(Vec::new());
        let hear = |epoch: Epoch| losses.lock().expect("one at a time").push(epoch.loss.expect("watched"));
        let settings = AlsSettings { factors: 8, watch_loss: true, ..AlsSettings::default() };
        let watched = Als::fit(&data, &settings, &Fit { progress: &hear, ..Fit::quiet(3, 2) }).expect("plain data");
        let losses = losses.into_inner().expect("no holder panics");
        assert_eq!(losses.len(), settings.iterations);
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-6)), "{losses:?}");
        let unwatched = AlsSettings { watch_loss: false, ..settings };
        let blind = Als::fit(&data, &unwatched, &Fit::quiet(3, 1)).expect("plain data");
        assert_eq!(watched.items, blind.items);
    }

    #[test]
    fn folding_in_is_the_exact_least_squares_solution() {
        let data = Interactions::new(6, [vec![0, 1, 2], vec![1, 2, 3], vec![4, 5], vec![3, 4, 5], vec![0, 5]]);
        let settings = AlsSettings { factors: 4, ..AlsSettings::default() };
        let model = Als::fit(&data, &settings, &Fit::quiet(1, 1)).expect("plain data");
        let history = [1, 3];
        let mut a = model.gram.clone();
        let mut b = vec![0.0; 4];
        for item in history {
            let y = &model.items[item as usize * 4..][..4];
            axpy(1.0, y, &mut b);
            (0..16).for_each(|place| a[place] += y[place / 4] * y[place % 4]);
        }
        (0..4).for_each(|place| a[place * 5] += penalty(&settings, 2, 6));
        assert!(linear::cholesky(&mut a, 4, 1));
        linear::cholesky_solve(&a, 4, &mut b);
        for (got, expected) in model.fold_in(&history).iter().zip(&b) {
            assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        }
    }
}
