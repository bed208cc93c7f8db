//! Matrix factorization learned by sampled gradients: pairwise (BPR) or softmax, with the shopper folded in.
//!
//! A shopper's vector comes from the items chosen, `u = n^-½ Σ_h q_h`, and an item scores `u·p_i + b_i`; the item that
//! is being learned is left out of the shopper's vector (FISM: Kabbur, Ning, Karypis, KDD 2013). Losses: `-ln σ(s_i -
//! s_j)` against sampled negatives (BPR: Rendle et al.,
//! UAI 2009), or the softmax over the positive and the negatives, their scores corrected by how often they are sampled
//! (Bengio & Senécal 2008; Yi et al., RecSys 2019). Steps: Adagrad on the rows that were touched.

use accrue_kernel::{Draws, axpy, dot, dot_rows, exp, ln, sigmoid, softplus};
use libm::pow;
use serde::{Deserialize, Serialize};

use super::linear::dot_rows_batch;
use super::{CollaborativeModel, Epoch, Fit, FitError, Interactions, parallel};

/// Stream of random numbers.
const STREAM: u64 = 0x4D46_5347;
/// Shoppers whose gradients are taken at the same state. Each is independent of the others, so threads divide them.
const BATCH: usize = 256;
/// Added to a squared gradient's root, to avoid division by zero.
const EPSILON: f32 = 1e-6;

/// How a positive is compared with its negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Softmax over the positive and its negatives.
    #[default]
    Softmax,
    /// Each negative alone.
    Bpr,
}

/// Sizes, steps, loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampledFactorizationSettings {
    /// Numbers in a row.
    pub factors: usize,
    /// Passes over all shoppers.
    pub epochs: usize,
    /// Sampled negatives of a shopper and pass, shared by the positives.
    pub negatives: usize,
    /// Items of a shopper that are learned in a pass, at most.
    pub positives: usize,
    /// Step of Adagrad.
    pub rate: f64,
    /// Penalty on the rows that are touched.
    pub l2: f64,
    /// How a positive is compared with its negatives.
    pub loss: Loss,
    /// Exponent of an item's count in its probability of being a negative.
    pub sampling: f64,
}

impl Default for SampledFactorizationSettings {
    fn default() -> Self {
        Self {
            factors: 64,
            epochs: 30,
            negatives: 256,
            positives: 20,
            rate: 0.05,
            l2: 1e-4,
            loss: Loss::Softmax,
            sampling: 0.5,
        }
    }
}

/// Two rows and a bias an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledFactorization {
    factors: usize,
    /// `q`: the item as evidence of what a shopper likes. `[n_items, factors]`
    chosen: Vec<f32>,
    /// `p`: the item as something to recommend. `[n_items, factors]`
    offered: Vec<f32>,
    bias: Vec<f32>,
}

impl CollaborativeModel for SampledFactorization {
    type Settings = SampledFactorizationSettings;

    fn fit(data: &Interactions, settings: &SampledFactorizationSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let positive = "a positive number";
        for (name, value) in
            [("factors", settings.factors), ("negatives", settings.negatives), ("positives", settings.positives)]
        {
            FitError::check(value > 0, name, value, positive)?;
        }
        FitError::check(settings.rate > 0.0, "rate", settings.rate, positive)?;
        FitError::check(settings.l2 >= 0.0, "l2", settings.l2, "a number of at least 0")?;
        FitError::check(settings.sampling >= 0.0, "sampling", settings.sampling, "a number of at least 0")?;
        let sets = data.distinct();
        let mut trainer = Trainer::new(&sets, settings, fit.seed);
        for epoch in 1..=settings.epochs {
            fit.go_on()?;
            let loss = trainer.pass(epoch, fit.threads);
            if !loss.is_finite() {
                return Err(FitError::Diverged { epoch });
            }
            (fit.progress)(Epoch { done: epoch, of: settings.epochs, loss: Some(loss) });
        }
        Ok(trainer.model)
    }

    fn n_params(&self) -> u64 {
        (self.chosen.len() + self.offered.len() + self.bias.len()) as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        dot_rows(&self.fold_in(history), &self.offered, out);
        axpy(1.0, &self.bias, out);
    }

    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let vectors: Vec<f32> = histories.iter().flat_map(|history| self.fold_in(history)).collect();
        dot_rows_batch(&vectors, &self.offered, self.factors, out);
        out.chunks_exact_mut(self.bias.len().max(1)).for_each(|out| axpy(1.0, &self.bias, out));
    }
}

impl SampledFactorization {
    /// The vector of a shopper with this history. `→ [factors]`
    pub fn fold_in(&self, history: &[u32]) -> Vec<f32> {
        let mut set = history.to_vec();
        set.sort_unstable();
        set.dedup();
        let mut vector = vec![0.0; self.factors];
        let share = 1.0 / (set.len().max(1) as f32).sqrt();
        set.iter().for_each(|&item| axpy(share, row(&self.chosen, item, self.factors), &mut vector));
        vector
    }
}

fn row(rows: &[f32], item: u32, d: usize) -> &[f32] {
    &rows[item as usize * d..][..d]
}

/// The gradients of one shopper's step, before any of them is applied.
#[derive(Clone, Default)]
struct Gradients {
    loss: f64,
    n: u32,
    /// Items whose `offered` row and bias change.
    offered_items: Vec<u32>,
    /// Gradient of each such row, then of its bias. `[offered_items, factors + 1]`
    offered: Vec<f32>,
    /// Gradient of each row of the history. `[history, factors]`
    chosen: Vec<f32>,
}

struct Trainer<'a> {
    sets: &'a Interactions,
    settings: &'a SampledFactorizationSettings,
    seed: u64,
    model: SampledFactorization,
    /// Adagrad's sums of squares, in the shape of the parameters.
    chosen_squares: Vec<f32>,
    offered_squares: Vec<f32>,
    bias_squares: Vec<f32>,
    /// Items by falling probability of being drawn, with running sums of the probabilities.
    running: Vec<f64>,
    /// `ln` of the expected draws of each item.
    log_draws: Vec<f32>,
}

impl<'a> Trainer<'a> {
    fn new(sets: &'a Interactions, settings: &'a SampledFactorizationSettings, seed: u64) -> Self {
        let (n, d) = (sets.n_items(), settings.factors);
        let rows = |stream: u64| -> Vec<f32> {
            let row = |item: usize| {
                let mut draws = Draws::new(seed, STREAM + stream, item as u64);
                (0..d).map(move |_| 0.1 / (d as f32).sqrt() * draws.normal())
            };
            (0..n).flat_map(row).collect()
        };
        let chance = |count: u32| pow(f64::from(count.max(1)), settings.sampling);
        let counts = sets.counts();
        let mut running: Vec<f64> = counts.iter().map(|&count| chance(count)).collect();
        let total: f64 = running.iter().sum();
        let expected = |chance: f64| ln((chance / total * settings.negatives as f64) as f32);
        let log_draws = running.iter().map(|&chance| expected(chance)).collect();
        let mut sum = 0.0;
        for chance in &mut running {
            sum += *chance / total;
            *chance = sum;
        }
        Self {
            model: SampledFactorization { factors: d, chosen: rows(1), offered: rows(2), bias: vec![0.0; n] },
            chosen_squares: vec![0.0; n * d],
            offered_squares: vec![0.0; n * d],
            bias_squares: vec![0.0; n],
            running,
            log_draws,
            sets,
            settings,
            seed,
        }
    }

    /// One pass over all shoppers in a random order; returns the mean loss.
    fn pass(&mut self, epoch: usize, threads: usize) -> f64 {
        let mut order: Vec<u32> = (0..self.sets.n_users() as u32).collect();
        order.retain(|&user| self.sets.history(user as usize).len() >= 2);
        Draws::new(self.seed, STREAM + 3, epoch as u64).shuffle(&mut order);
        let (mut loss, mut n) = (0.0, 0_u64);
        for users in order.chunks(BATCH) {
            let this = &*self;
            let steps = parallel::map(threads, users.len(), || (), |(), place| this.gradients(epoch, users[place]));
            for (step, &user) in steps.iter().zip(users) {
                loss += step.loss;
                n += u64::from(step.n);
                self.apply(step, user);
            }
        }
        // Histories of a single item leave nothing to learn; that is not a divergence.
        loss / n.max(1) as f64
    }

    fn gradients(&self, epoch: usize, user: u32) -> Gradients {
        let (d, history) = (self.settings.factors, self.sets.history(user as usize));
        let counter = (epoch as u64) << 32 | u64::from(user);
        let mut draws = Draws::new(self.seed, STREAM + 4, counter);
        let mut learned: Vec<usize> = (0..history.len()).collect();
        draws.shuffle(&mut learned);
        learned.truncate(self.settings.positives);
        let negatives = self.negatives(history, &mut draws);
        let mut step = Gradients {
            loss: 0.0,
            n: learned.len() as u32,
            offered: vec![0.0; (negatives.len() + learned.len()) * (d + 1)],
            chosen: vec![0.0; history.len() * d],
            offered_items: negatives,
        };
        let n_negatives = step.offered_items.len();
        let share = 1.0 / ((history.len() - 1) as f32).sqrt();
        let mut sum = vec![0.0; d];
        history.iter().for_each(|&item| axpy(share, row(&self.model.chosen, item, d), &mut sum));
        let (mut all, mut scores) = (vec![0.0; d], vec![0.0; n_negatives + 1]);
        let (mut vector, mut vector_gradient) = (vec![0.0; d], vec![0.0; d]);
        for (number, &place) in learned.iter().enumerate() {
            let item = history[place];
            vector.copy_from_slice(&sum);
            axpy(-share, row(&self.model.chosen, item, d), &mut vector);
            for (slot, &negative) in step.offered_items[..n_negatives].iter().enumerate() {
                scores[slot] = self.score(&vector, negative);
            }
            scores[n_negatives] = self.score(&vector, item);
            step.offered_items.push(item);
            step.loss += self.loss_and_slopes(&step.offered_items[..n_negatives], &mut scores);
            vector_gradient.fill(0.0);
            let slots = (0..n_negatives).chain([n_negatives + number]);
            for ((slot, &slope), &item) in
                slots.zip(&scores).zip(step.offered_items[..n_negatives].iter().chain([&item]))
            {
                axpy(slope, row(&self.model.offered, item, d), &mut vector_gradient);
                let gradient = &mut step.offered[slot * (d + 1)..][..d + 1];
                axpy(slope, &vector, &mut gradient[..d]);
                gradient[d] += slope;
            }
            // The learned item is left out of its own shopper's vector.
            axpy(share, &vector_gradient, &mut all);
            axpy(-share, &vector_gradient, &mut step.chosen[place * d..][..d]);
        }
        step.chosen.chunks_exact_mut(d).for_each(|gradient| axpy(1.0, &all, gradient));
        step
    }

    fn score(&self, vector: &[f32], item: u32) -> f32 {
        dot(vector, row(&self.model.offered, item, self.settings.factors)) + self.model.bias[item as usize]
    }

    /// Sampled items that are not in the history, repeats possible.
    fn negatives(&self, history: &[u32], draws: &mut Draws) -> Vec<u32> {
        let draw = |_| {
            let at = f64::from(draws.uniform());
            self.running.partition_point(|&running| running <= at).min(self.running.len() - 1) as u32
        };
        (0..self.settings.negatives).map(draw).filter(|item| history.binary_search(item).is_err()).collect()
    }

    /// Replaces scores (the positive's last) by the derivatives of the loss in them, and returns the loss.
    fn loss_and_slopes(&self, negatives: &[u32], scores: &mut [f32]) -> f64 {
        let (&mut positive, others) =
            scores.split_last_mut().map_or((&mut 0.0, &mut [][..]), |(last, others)| (last, others));
        let mut own = 0.0;
        let mut loss = 0.0_f64;
        match self.settings.loss {
            Loss::Bpr => {
                let share = 1.0 / others.len().max(1) as f32;
                for score in others.iter_mut() {
                    loss += f64::from(share * softplus(*score - positive));
                    *score = share * sigmoid(*score - positive);
                    own -= *score;
                }
            }
            Loss::Softmax => {
                // The correction makes the sampled sum an estimate of the sum over all items.
                others.iter_mut().zip(negatives).for_each(|(score, &item)| *score -= self.log_draws[item as usize]);
                let max = others.iter().fold(positive, |max, &score| max.max(score));
                let total: f32 = exp(positive - max) + others.iter().map(|&score| exp(score - max)).sum::<f32>();
                loss += f64::from(ln(total) + max - positive);
                others.iter_mut().for_each(|score| *score = exp(*score - max) / total);
                own = exp(positive - max) / total - 1.0;
            }
        }
        if let Some(last) = scores.last_mut() {
            *last = own;
        }
        loss
    }

    fn apply(&mut self, step: &Gradients, user: u32) {
        let (d, rate, l2) = (self.settings.factors, self.settings.rate as f32, self.settings.l2 as f32);
        let scale = 1.0 / step.n.max(1) as f32;
        let model = &mut self.model;
        for (&item, gradient) in step.offered_items.iter().zip(step.offered.chunks_exact(d + 1)) {
            let at = item as usize * d..(item as usize + 1) * d;
            adagrad(&mut model.offered[at.clone()], &mut self.offered_squares[at], &gradient[..d], scale, rate, l2);
            let at = item as usize..item as usize + 1;
            adagrad(&mut model.bias[at.clone()], &mut self.bias_squares[at], &gradient[d..], scale, rate, 0.0);
        }
        for (&item, gradient) in self.sets.history(user as usize).iter().zip(step.chosen.chunks_exact(d)) {
            let at = item as usize * d..(item as usize + 1) * d;
            adagrad(&mut model.chosen[at.clone()], &mut self.chosen_squares[at], gradient, scale, rate, l2);
        }
    }
}

/// Duchi, Hazan, Singer, *Adaptive subgradient methods*, JMLR 2011.
fn adagrad(row: &mut [f32], squares: &mut [f32], gradient: &[f32], scale: f32, rate: f32, l2: f32) {
    for ((x, square), &gradient) in row.iter_mut().zip(squares).zip(gradient) {
        let gradient = gradient * scale + l2 * *x;
        *square += gradient * gradient;
        *x -= rate * gradient / (square.sqrt() + EPSILON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradients against finite differences of the loss, for both losses.
    #[test]
    fn gradients_are_the_derivatives_of_the_loss() {
        let sets = Interactions::new(12, [vec![0, 1, 2, 3], vec![4, 5, 6], vec![7, 8, 9, 10, 11]]);
        for loss in [Loss::Softmax, Loss::Bpr] {
            let settings =
                SampledFactorizationSettings { factors: 3, negatives: 5, positives: 2, loss, ..Default::default() };
            let mut trainer = Trainer::new(&sets, &settings, 1);
            trainer.model.chosen.iter_mut().chain(&mut trainer.model.offered).for_each(|x| *x *= 10.0);
            let step = trainer.gradients(1, 0);
            let loss_with = |trainer: &mut Trainer<'_>, chosen: bool, place: usize, by: f32| {
                let rows = if chosen { &mut trainer.model.chosen } else { &mut trainer.model.offered };
                rows[place] += by;
                let loss = trainer.gradients(1, 0).loss;
                let rows = if chosen { &mut trainer.model.chosen } else { &mut trainer.model.offered };
                rows[place] -= by;
                loss
            };
            let mut check = |chosen: bool, place: usize, got: f32| {
                let rise = loss_with(&mut trainer, chosen, place, 1e-2) - loss_with(&mut trainer, chosen, place, -1e-2);
                let slope = rise / 2e-2;
                assert!((slope - f64::from(got)).abs() < 2e-3, "{loss:?} {chosen} {place}: {got}, not {slope}");
            };
            for place in 0..12 {
                check(true, place, step.chosen[place]);
            }
            for item in 0..12_usize {
                let slots = step.offered_items.iter().enumerate().filter(|&(_, &other)| other as usize == item);
                let sum: f32 = slots.map(|(slot, _)| step.offered[slot * 4]).sum();
                check(false, item * 3, sum);
            }
        }
    }

    #[test]
    fn the_loss_falls() {
        let sets = Interactions::new(
            20,
            (0..60)
                .map(|user| (0..5).map(|n| user % 2 * 10 + (user + n) % 10).collect::<Vec<u32>>())
                .collect::<Vec<_>>(),
        )
        .distinct();
        let settings = SampledFactorizationSettings { negatives: 10, ..Default::default() };
        let mut trainer = Trainer::new(&sets, &settings, 1);
        let first = trainer.pass(1, 1);
        let last = (2..20).map(|epoch| trainer.pass(epoch, 1)).last().expect("passes were made");
        assert!(last < 0.8 * first, "{first} {last}");
    }
}
