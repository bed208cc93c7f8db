//! Optimizers for the dense weights of a network and for the touched rows of large tables.
//!
//! In: gradients. Out: updated parameters; the optimizer holds its state. Rows are updated lazily: a row without a
//! gradient costs nothing, and neither it nor its state changes. `NaN` is not looked for here;
//! [`finite_norm`](crate::finite_norm) checks a gradient once, before any weight changes.

use accrue_kernel::{AdamStep, adagrad, adam, axpy, momentum, prefetch};
use serde::{Deserialize, Serialize};

/// How many gradients ahead of the current one have their rows prefetched.
const AHEAD: usize = 12;

/// How a gradient becomes an update: `g` is the gradient times the step's scale, `η` the rate, `t` the step, from 1.
///
/// ```text
/// Sgd        x ← x − η g
/// Momentum   m ← μ m + g              x ← x − η m
/// Adagrad    s ← s + g²               x ← x − η g / (√s + ε)
/// Adam       m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
///            x ← (1 − η λ) x − η · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)      λ: weight decay, AdamW's
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// Plain gradient descent.
    Sgd,
    /// Keeps a decaying sum of gradients: Polyak (1964).
    Momentum {
        /// The factor that the sum is multiplied by at each step.
        mu: f32,
    },
    /// Duchi, Hazan and Singer, *Adaptive subgradient methods* (2011).
    Adagrad {
        /// Added to the square root.
        epsilon: f32,
    },
    /// Kingma and Ba, *Adam* (2015); with decay AdamW: Loshchilov and Hutter, *Decoupled weight decay* (2019).
    Adam {
        /// Decay of the mean of gradients.
        beta_1: f32,
        /// Decay of the mean of squared gradients.
        beta_2: f32,
        /// Added to the square root.
        epsilon: f32,
        /// Share of a parameter that is subtracted at each step, times the rate.
        weight_decay: f32,
    },
}

impl Rule {
    /// Adam with the constants of its paper.
    pub const ADAM: Self = Self::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };

    /// Updates a run of parameters. `step` counts from 1.
    fn apply(self, step: u64, rate: f32, scale: f32, run: &mut Run) {
        let Run { gradient, values, first, second } = run;
        match self {
            Self::Sgd => axpy(-rate * scale, gradient, values),
            Self::Momentum { mu } => {
                // The sum accumulates the clipped gradient, so the scale is applied first.
                gradient.iter_mut().for_each(|g| *g *= scale);
                momentum(rate, mu, gradient, values, first);
            }
            Self::Adagrad { epsilon } => {
                gradient.iter_mut().for_each(|g| *g *= scale);
                adagrad(rate, epsilon, gradient, values, first);
            }
            Self::Adam { beta_1, beta_2, epsilon, weight_decay } => {
                let step = adam_step([beta_1, beta_2], epsilon, weight_decay, step, rate, scale);
                adam(&step, gradient, values, first, second);
            }
        }
    }

    /// Number of state values per parameter.
    fn n_moments(self) -> usize {
        match self {
            Self::Sgd => 0,
            Self::Momentum { .. } | Self::Adagrad { .. } => 1,
            Self::Adam { .. } => 2,
        }
    }
}

/// The numbers of one step of Adam, for a caller that updates its parameters itself. `step` counts from 1; `scale`
/// multiplies the gradient first.
pub fn adam_step(betas: [f32; 2], epsilon: f32, weight_decay: f32, step: u64, rate: f32, scale: f32) -> AdamStep {
    let correction_1 = 1.0 - power(betas[0], step);
    let root_2 = (1.0 - power(betas[1], step)).sqrt();
    AdamStep {
        rate: rate * root_2 / correction_1,
        beta_1: betas[0],
        beta_2: betas[1],
        epsilon: epsilon * root_2,
        keep: 1.0 - rate * weight_decay,
        gradient_scale: scale,
    }
}

/// `xⁿ` by repeated squaring, which gives the same bits on every machine.
fn power(x: f32, n: u64) -> f32 {
    let (mut result, mut square, mut n) = (1.0_f64, f64::from(x), n);
    while n > 0 {
        if n & 1 == 1 {
            result *= square;
        }
        square *= square;
        n >>= 1;
    }
    result as f32
}

/// Parameters that are updated together, with their gradient and state. Unused state is empty.
struct Run<'a> {
    gradient: &'a mut [f32],
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

/// The optimizer of dense parameters: every step updates all of them.
///
/// A gradient may be the sum over one batch or over several; the optimizer counts its own steps, not batches. The
/// caller normalises the sum (the training loop divides by the number of targets of the whole step). The rate is given
/// with each step, from a [`Schedule`](crate::Schedule) or not. A saved optimizer continues exactly where it was.
///
/// ```
/// use accrue_tensor::{Optimizer, Rule};
/// let mut optimizer = Optimizer::new(Rule::Sgd, 2);
/// let mut weights = [1.0, 2.0];
/// optimizer.step(0.5, 1.0, &mut [1.0, -1.0], &mut weights);
/// assert_eq!(weights, [0.5, 2.5]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    rule: Rule,
    n_steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Optimizer {
    /// For `n` parameters, before the first step.
    pub fn new(rule: Rule, n: usize) -> Self {
        let moments = rule.n_moments();
        let state = |at| vec![0.0; if moments > at { n } else { 0 }];
        Self { rule, n_steps: 0, first: state(0), second: state(1) }
    }

    /// Updates all parameters. `scale` multiplies the gradient first, for clipping. The gradient may be overwritten.
    /// `gradient, values: [n]`.
    pub fn step(&mut self, rate: f32, scale: f32, gradient: &mut [f32], values: &mut [f32]) {
        self.n_steps += 1;
        let mut run = Run { gradient, values, first: &mut self.first, second: &mut self.second };
        self.rule.apply(self.n_steps, rate, scale, &mut run);
    }

    /// Number of steps taken.
    pub fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// Whether the state is for `n` parameters.
    pub fn fits(&self, n: usize) -> bool {
        let moments = self.rule.n_moments();
        let n_of = |at| if moments > at { n } else { 0 };
        (self.first.len(), self.second.len()) == (n_of(0), n_of(1))
    }
}

/// Gradients of some rows of a table, in the order in which they were computed; a row may occur many times.
#[derive(Clone, Debug, Default)]
pub struct RowGradients {
    /// The rows.
    pub rows: Vec<u32>,
    /// Their gradients. `[rows.len(), d]`
    pub values: Vec<f32>,
}

impl RowGradients {
    /// Removes all gradients and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.values.clear();
    }
}

/// The lazy optimizer of the rows of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowOptimizer {
    rule: Rule,
    d: usize,
    n_steps: u64,
    first: Vec<f32>,
    second: Vec<f32>,
    /// `(row, part, index)` of each gradient, sorted; kept to reuse its memory.
    #[serde(skip)]
    order: Vec<(u32, u32, u32)>,
}

impl RowOptimizer {
    /// For a table `[n_rows, d]`, before the first step.
    pub fn new(rule: Rule, n_rows: usize, d: usize) -> Self {
        let Optimizer { rule, first, second, .. } = Optimizer::new(rule, n_rows * d);
        Self { rule, d, n_steps: 0, first, second, order: Vec::new() }
    }

    /// Makes room for rows at the end of the table; their state is that before the first step.
    pub fn grow(&mut self, n_rows: usize) {
        let moments = self.rule.n_moments();
        for (at, state) in [&mut self.first, &mut self.second].into_iter().enumerate() {
            let n = if moments > at { n_rows * self.d } else { 0 };
            state.resize(n.max(state.len()), 0.0);
        }
    }

    /// Updates the rows that have a gradient; `dense: [n_rows, d]`, where given, is a gradient of every row.
    ///
    /// The gradients of a row are added in the order of parts, then of indices. Rows are independent, so the result
    /// does not depend on `threads`. `values: [n_rows, d]`.
    ///
    /// # Panics
    /// If a row is not in the table.
    pub fn step(
        &mut self,
        rate: f32,
        scale: f32,
        parts: &[RowGradients],
        dense: Option<&mut [f32]>,
        values: &mut [f32],
        threads: usize,
    ) {
        self.n_steps += 1;
        let d = self.d;
        self.order.clear();
        for (part, gradients) in parts.iter().enumerate() {
            let places = gradients.rows.iter().enumerate();
            self.order.extend(places.map(|(place, &row)| (row, part as u32, place as u32)));
        }
        self.order.sort_unstable();
        let n_rows = values.len() / d.max(1);
        assert!(self.order.last().is_none_or(|&(row, ..)| (row as usize) < n_rows), "a row is not in the table");
        let mut rest =
            Piece { first_row: 0, order: &self.order, values, first: &mut self.first, second: &mut self.second, dense };
        let (rule, step) = (self.rule, self.n_steps);
        let work = |piece: Piece| piece.step(rule, step, rate, scale, parts, d);
        std::thread::scope(|scope| {
            for thread in 1..threads.max(1) {
                let n_left = threads + 1 - thread;
                let piece;
                (piece, rest) = rest.split(n_left, d);
                scope.spawn(move || work(piece));
            }
            work(rest);
        });
    }
}

/// Consecutive rows that one thread updates.
struct Piece<'a> {
    first_row: usize,
    order: &'a [(u32, u32, u32)],
    values: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    dense: Option<&'a mut [f32]>,
}

impl<'a> Piece<'a> {
    /// Splits off about one of `n` equal parts of the work, in whole rows.
    fn split(self, n: usize, d: usize) -> (Self, Self) {
        let n_rows = self.values.len() / d.max(1);
        let cut_row = match (&self.dense, self.order.get(self.order.len() / n)) {
            (None, Some(&(row, ..))) => row as usize - self.first_row,
            _ => n_rows / n,
        };
        let cut = self.order.partition_point(|&(row, ..)| (row as usize) < self.first_row + cut_row);
        let (order, later_order) = self.order.split_at(cut);
        let halve = |slice: &'a mut [f32]| slice.split_at_mut(if slice.is_empty() { 0 } else { cut_row * d });
        let (values, later_values) = halve(self.values);
        let (first, later_first) = halve(self.first);
        let (second, later_second) = halve(self.second);
        let (dense, later_dense) = self.dense.map(halve).unzip();
        let now = Self { first_row: self.first_row, order, values, first, second, dense };
        let later = Self {
            first_row: self.first_row + cut_row,
            order: later_order,
            values: later_values,
            first: later_first,
            second: later_second,
            dense: later_dense,
        };
        (now, later)
    }

    fn step(self, rule: Rule, step: u64, rate: f32, scale: f32, parts: &[RowGradients], d: usize) {
        let mut sum = vec![0.0; d];
        let mut order = self.order;
        let n_rows = if self.dense.is_some() { self.values.len() / d } else { 0 };
        let mut next_row = self.first_row;
        loop {
            // With a dense gradient every row is visited, otherwise only those in the order.
            let row = match order.first() {
                _ if n_rows > 0 => next_row,
                Some(&(row, ..)) => row as usize,
                None => return,
            };
            if n_rows > 0 && row == self.first_row + n_rows {
                return;
            }
            next_row = row + 1;
            if let (0, Some(&(ahead, ..))) = (n_rows, order.get(AHEAD)) {
                let ahead = (ahead as usize - self.first_row) * d;
                for numbers in [&*self.values, &*self.first, &*self.second] {
                    prefetch(numbers.get(ahead..ahead + d).unwrap_or(&[]));
                }
            }
            let at = (row - self.first_row) * d;
            match &self.dense {
                Some(dense) => sum.copy_from_slice(&dense[at..][..d]),
                None => sum.fill(0.0),
            }
            while let Some((&(this, part, place), later)) = order.split_first()
                && this as usize == row
            {
                axpy(1.0, &parts[part as usize].values[place as usize * d..][..d], &mut sum);
                order = later;
            }
            let first = if self.first.is_empty() { &mut [] } else { &mut self.first[at..][..d] };
            let second = if self.second.is_empty() { &mut [] } else { &mut self.second[at..][..d] };
            let mut run = Run { gradient: &mut sum, values: &mut self.values[at..][..d], first, second };
            rule.apply(step, rate, scale, &mut run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Rule; 5] = [
        Rule::Sgd,
        Rule::Momentum { mu: 0.9 },
        Rule::Adagrad { epsilon: 1e-8 },
        Rule::ADAM,
        Rule::Adam { beta_1: 0.9, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.01 },
    ];

    #[test]
    fn every_rule_finds_the_minimum_of_a_quadratic() {
        for rule in RULES {
            let mut optimizer = Optimizer::new(rule, 2);
            let mut x = [3.0, -2.0];
            for step in 0..2000 {
                let mut gradient = [2.0 * x[0], 20.0 * x[1]];
                let rate = match rule {
                    Rule::Adagrad { .. } => 0.5,
                    _ => 0.03 / (1.0 + step as f32 * 0.01),
                };
                optimizer.step(rate, 1.0, &mut gradient, &mut x);
            }
            assert!(x.iter().all(|x| x.abs() < 0.02), "{rule:?}: {x:?}");
        }
    }

    #[test]
    fn adam_has_the_values_of_its_recurrence() {
        // Two steps computed in f64, following Algorithm 1 of the paper.
        let (mut m, mut v, mut x) = (0.0_f64, 0.0_f64, 1.0_f64);
        let mut optimizer = Optimizer::new(Rule::ADAM, 1);
        let mut found = [1.0];
        for (t, g) in [(1, 0.5), (2, -0.25)] {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
            x -= 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
            optimizer.step(0.1, 1.0, &mut [g as f32], &mut found);
        }
        assert!((f64::from(found[0]) - x).abs() < 1e-5, "{} {x}", found[0]);
    }

    fn parts() -> [RowGradients; 2] {
        let part = |rows: &[u32], seed: f32| RowGradients {
            rows: rows.to_vec(),
            values: (0..rows.len() * 3).map(|i| (i as f32 * 0.37 + seed).sin()).collect(),
        };
        [part(&[4, 1, 4, 9], 0.1), part(&[1, 0, 9, 9, 7], 0.7)]
    }

    #[test]
    fn touched_rows_are_updated_as_by_a_dense_optimizer_and_others_stay() {
        for rule in RULES {
            for threads in [1, 2, 3] {
                let parts = parts();
                let mut rows = RowOptimizer::new(rule, 10, 3);
                let mut values = vec![0.5; 30];
                rows.step(0.1, 0.5, &parts, None, &mut values, threads);
                let mut gradient = vec![0.0; 30];
                for part in &parts {
                    for (place, &row) in part.rows.iter().enumerate() {
                        axpy(1.0, &part.values[place * 3..][..3], &mut gradient[row as usize * 3..][..3]);
                    }
                }
                let mut expected = vec![0.5; 30];
                Optimizer::new(rule, 30).step(0.1, 0.5, &mut gradient, &mut expected);
                for row in 0..10 {
                    let (found, moved) = (&values[row * 3..][..3], &expected[row * 3..][..3]);
                    let is_touched = [0, 1, 4, 7, 9].contains(&row);
                    assert_eq!(found, if is_touched { moved } else { &[0.5; 3] }, "{rule:?} {threads} row {row}");
                }
            }
        }
    }

    #[test]
    fn a_dense_gradient_updates_every_row_on_any_number_of_threads() {
        let run = |threads| {
            let mut rows = RowOptimizer::new(Rule::ADAM, 10, 3);
            let mut values = vec![0.5; 30];
            let mut dense: Vec<f32> = (0..30_u8).map(|i| f32::from(i) * 0.01 - 0.1).collect();
            rows.step(0.1, 1.0, &parts(), Some(&mut dense), &mut values, threads);
            values
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(4));
        assert!(run(1).chunks(3).all(|row| row != [0.5; 3]));
    }
}
