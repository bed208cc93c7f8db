//! How a sequence network is trained: batches of windows, an objective, Adam.
//!
//! In: a network's shape, how to train it, histories. Out: a [`Trainer`] with trained parameters. Refuses: invalid
//! settings.
//!
//! A step has three phases, each one fork over the threads. *Forward and backward*: a batch is cut into a fixed number
//! of chunks; a chunk puts a few windows at a time on a tape, so that their numbers stay in the cache. *Sum*: the
//! chunks' gradients of the dense weights are added in the order of chunks; with shared candidates, each block of
//! candidates gets its gradient. *Step*: the optimizer updates the dense weights, and those rows of the table that have
//! a gradient. With `accumulate = n` the first two are done for `n` batches, one after the other, and the third once,
//! on the sum. So the result depends neither on the number of threads nor on their timing. A gradient that is not
//! finite is an error before any parameter changes.

use accrue_kernel::{Draws, axpy};
use accrue_tensor::{
    CandidateBlock, Init, Optimizer, RowGradients, RowOptimizer, Rule, SoftmaxScratch, Target, TensorError, Weights,
    finite_norm, scale_to_norm,
};
use libm::pow;

use super::chunk::Chunk;
use super::network::Network;
use super::objective::Objective;
use super::pass::{Pass, sample, share, target};
use super::settings::Training;
use super::trainer::{NEGATIVES, Shared, Trainer};
use super::windows::{order, windows};
use crate::collaborative::parallel::for_each_chunk;
use crate::collaborative::{Epoch, Fit, FitError, Interactions};

/// Parts of a batch whose gradients are summed separately. Their number is fixed, because rounding depends on it.
const N_CHUNKS: usize = 8;
/// Candidates in a block of the shared softmax.
const BLOCK: usize = 512;
/// The stream of the items' first vectors.
const ITEMS: u64 = 0x6e65_7572_0004;

impl<'a, N: Network> Trainer<'a, N> {
    /// A network before its first step.
    ///
    /// # Errors
    /// [`FitError::Setting`] if the training is not valid.
    pub fn new(
        shape: &N::Shape,
        training: Training,
        data: &'a Interactions,
        seed: u64,
        threads: usize,
    ) -> Result<Self, FitError> {
        training.check()?;
        let (d, length) = N::width_and_length(shape);
        let mut weights = Weights::new(seed);
        let network = N::new(shape, &mut weights);
        let n_items = data.n_items();
        let mut items = vec![0.0; n_items * d];
        let init = Init::Normal { deviation: training.deviation as f32 };
        init.fill(seed ^ ITEMS, 0, [n_items, d], &mut items);
        let decay = training.weight_decay as f32;
        let rule = Rule::Adam { beta_1: 0.9, beta_2: training.beta_2 as f32, epsilon: 1e-8, weight_decay: decay };
        let mut total = 0.0;
        let cumulative = if training.negative_power == 0.0 {
            Vec::new()
        } else {
            let weigh = |&n: &u32| {
                total += pow(f64::from(n), training.negative_power);
                total
            };
            data.counts().iter().map(weigh).collect()
        };
        let dense = Optimizer::new(rule, weights.values().len());
        let rows = RowOptimizer::new(rule, n_items, d);
        let gradient = vec![0.0; weights.values().len()];
        let (chunks, shared) = ((0..N_CHUNKS).map(|_| Chunk::default()).collect(), Shared::default());
        let windows = windows(data, length);
        Ok(Self {
            shape: shape.clone(),
            network,
            weights,
            items,
            d,
            training,
            data,
            windows,
            cumulative,
            seed,
            threads,
            dense,
            rows,
            chunks,
            shared,
            gradient,
        })
    }

    /// Steps in a pass.
    pub fn n_steps(&self) -> usize {
        self.windows.len().div_ceil(self.windows_a_step())
    }

    /// Windows whose gradients make a step.
    fn windows_a_step(&self) -> usize {
        self.training.batch.saturating_mul(self.training.accumulate)
    }

    /// Trains in all passes.
    ///
    /// # Errors
    /// [`FitError::Diverged`] if a loss or a gradient is not finite; [`FitError::Stopped`].
    pub fn train(&mut self, fit: &Fit<'_>) -> Result<(), FitError> {
        for epoch in 1..=self.training.epochs {
            let loss = self.epoch(epoch, fit)?;
            (fit.progress)(Epoch { done: epoch, of: self.training.epochs, loss: Some(loss) });
        }
        Ok(())
    }

    /// Trains in one pass; returns the mean loss of its steps. `epoch`: from 1.
    ///
    /// # Errors
    /// [`FitError::Diverged`] if a loss or a gradient is not finite; [`FitError::Stopped`].
    pub fn epoch(&mut self, epoch: usize, fit: &Fit<'_>) -> Result<f64, FitError> {
        let (order, a_step) = (order(self.windows.len(), self.seed, epoch), self.windows_a_step());
        let mut total = 0.0;
        for chosen in order.chunks(a_step) {
            fit.go_on()?;
            total += self.step(chosen).map_err(|_| FitError::Diverged { epoch })?;
        }
        // The last step may have diverged, and there is no later step to detect it.
        let is_finite = finite_norm(self.dense.n_steps(), &[self.weights.values(), &self.items]).is_ok();
        let n_steps = order.chunks(a_step).len().max(1);
        if is_finite { Ok(total / n_steps as f64) } else { Err(FitError::Diverged { epoch }) }
    }

    /// Takes one step on these windows, in batches; returns the mean loss.
    ///
    /// # Errors
    /// [`TensorError::NotFinite`]; no parameter has changed then.
    pub fn step(&mut self, chosen: &[u32]) -> Result<f64, TensorError> {
        let step = self.dense.n_steps();
        let is_last = self.training.last_only;
        let n_targets: usize =
            chosen.iter().map(|&w| if is_last { 1 } else { self.windows[w as usize].targets().len() }).sum();
        // A target has the same weight in any batch of the step.
        let weight = 1.0 / n_targets.max(1) as f32;
        if self.training.objective.shares_candidates() {
            self.load_candidates(step);
        }
        self.gradient.fill(0.0);
        let mut rows = Vec::new();
        let (mut loss, mut of_rows) = (0.0, 0.0);
        for (turn, batch) in chosen.chunks(self.training.batch).enumerate() {
            let counter = step * self.training.accumulate as u64 + turn as u64;
            let (batch_loss, squared_norm) = self.add_batch(batch, counter, weight, &mut rows);
            loss += batch_loss * f64::from(weight);
            of_rows += squared_norm;
        }
        if !self.shared.sampled.is_empty() {
            rows.push(RowGradients { rows: self.shared.sampled.clone(), values: self.shared.gradient.clone() });
        }
        self.apply(loss, of_rows, rows)?;
        Ok(loss)
    }

    /// The first two phases for one batch: adds its gradients to those of the batches before it in the step. `counter`:
    /// number of the batch in the run. Returns the loss and the squared norm of the rows' gradients.
    fn add_batch(&mut self, batch: &[u32], counter: u64, weight: f32, rows: &mut Vec<RowGradients>) -> (f64, f64) {
        let threads = self.threads;
        let per_chunk = batch.len().div_ceil(N_CHUNKS);
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            chunk.windows.clear();
            let part = batch.chunks(per_chunk).nth(number).unwrap_or(&[]);
            chunk.windows.extend(part.iter().map(|&window| self.windows[window as usize]));
            chunk.counter = counter * N_CHUNKS as u64 + number as u64;
        }
        let mut chunks = std::mem::take(&mut self.chunks);
        let pass = Pass { trainer: self, weight };
        for_each_chunk(threads, &mut chunks, 1, || (), |(), _, chunk| pass.run(&mut chunk[0]));

        let parts: Vec<&[f32]> = chunks.iter().map(|chunk| &*chunk.gradient).collect();
        const RUN: usize = 8192;
        for_each_chunk(
            threads,
            &mut self.gradient,
            RUN,
            || (),
            |(), number, sum| {
                for part in &parts {
                    axpy(1.0, &part[number * RUN..][..sum.len()], sum);
                }
            },
        );
        if self.training.objective.shares_candidates() {
            self.add_candidate_gradients(&chunks, weight);
        }
        rows.extend(chunks.iter_mut().map(|chunk| std::mem::take(&mut chunk.rows)));
        let loss = chunks.iter().map(|chunk| chunk.loss).sum::<f64>();
        let of_rows: f64 = chunks.iter().map(|chunk| chunk.norm * chunk.norm).sum();
        self.chunks = chunks;
        (loss, of_rows)
    }

    /// The third phase: updates all parameters, if all gradients are finite. `of_rows`: the squared norm of the rows'
    /// gradients.
    fn apply(&mut self, loss: f64, of_rows: f64, rows: Vec<RowGradients>) -> Result<(), TensorError> {
        let step = self.dense.n_steps();
        if !loss.is_finite() {
            return Err(TensorError::NotFinite { what: "loss", step });
        }
        let of_dense = finite_norm(step, &[&self.gradient, &self.shared.gradient])?;
        let norm = (of_dense * of_dense + of_rows).sqrt();
        if !norm.is_finite() {
            return Err(TensorError::NotFinite { what: "gradient", step });
        }
        let scale = scale_to_norm(norm, self.training.clip);
        let n_steps = (self.n_steps() * self.training.epochs) as u64;
        let factor = self.training.schedule.factor(step, self.training.warm_up, n_steps);
        let rate = self.training.learning_rate as f32 * factor;
        let (dense, gradient) = (&mut self.dense, &mut self.gradient);
        self.weights.change(|values| dense.step(rate, scale, gradient, values));
        let of_all = (self.training.objective == Objective::Softmax).then_some(&mut *self.shared.gradient);
        self.rows.step(rate, scale, &rows, of_all, &mut self.items, self.threads);
        for (chunk, rows) in self.chunks.iter_mut().zip(rows) {
            chunk.rows = rows;
        }
        Ok(())
    }

    /// Which items compete in this step, packed; their gradients begin at 0.
    fn load_candidates(&mut self, step: u64) {
        let (d, n_items) = (self.d, self.data.n_items());
        let sampled = self.training.objective == Objective::SampledSoftmax;
        let mut correction = Vec::new();
        let shared = &mut self.shared;
        if sampled {
            let mut draws = Draws::new(self.seed, NEGATIVES, step);
            let n = self.training.negatives;
            shared.sampled.clear();
            shared.sampled.extend((0..n).map(|_| sample(&self.cumulative, n_items, &mut draws)));
            shared.sampled.sort_unstable();
            shared.sampled.dedup();
            shared.vectors.clear();
            for &item in &shared.sampled {
                shared.vectors.extend_from_slice(&self.items[item as usize * d..][..d]);
                // The probability of being among n draws.
                let share = share(&self.cumulative, n_items, item);
                let chance = -f64::from(accrue_kernel::ln_1p(-share as f32)) * n as f64;
                let chance = 1.0 - f64::from(accrue_kernel::exp(-chance as f32));
                correction.push(-accrue_kernel::ln(chance.max(1e-12) as f32));
            }
        }
        let vectors: &[f32] = if sampled { &shared.vectors } else { &self.items };
        shared.gradient.clear();
        shared.gradient.resize(vectors.len(), 0.0);
        shared.blocks.resize_with((vectors.len() / d).div_ceil(BLOCK), CandidateBlock::default);
        for_each_chunk(
            self.threads,
            &mut shared.blocks,
            1,
            || (),
            |(), number, block| {
                let first = number * BLOCK;
                let end = (first + BLOCK).min(vectors.len() / d);
                let correction = correction.get(first..end).unwrap_or(&[]);
                block[0].load(first, &vectors[first * d..end * d], d, correction);
            },
        );
    }

    /// The second pass of the shared softmax: adds the candidates' gradients to those of the step's batches so far.
    fn add_candidate_gradients(&mut self, chunks: &[Chunk], weight: f32) {
        let (d, shared, items) = (self.d, &mut self.shared, &self.items);
        shared.states.load(d, chunks.iter().map(|chunk| &*chunk.states));
        let log_sums: Vec<f32> = chunks.iter().flat_map(|chunk| &chunk.log_sums).copied().collect();
        let all: Vec<u32> = chunks.iter().flat_map(|chunk| &chunk.targets).copied().collect();
        let targets: Vec<Target> = all.iter().map(|&item| target(item, &shared.sampled, items, d)).collect();
        let (blocks, states) = (&shared.blocks, &shared.states);
        for_each_chunk(
            self.threads,
            &mut shared.gradient,
            BLOCK * d,
            SoftmaxScratch::default,
            |scratch, number, out| blocks[number].add_gradient(states, &log_sums, &targets, weight, scratch, out),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::{Transformer, TransformerSettings};

    const OBJECTIVES: [Objective; 5] =
        [Objective::Softmax, Objective::SampledSoftmax, Objective::Bce, Objective::Bpr, Objective::Hinge];

    /// Each user goes around a circle of 12 items.
    fn circle() -> Interactions {
        let walk = |user: u32| (0..3 + user % 9).map(move |step| (user * 5 + step) % 12).collect::<Vec<_>>();
        Interactions::new(12, (0..60).map(walk).collect::<Vec<_>>())
    }

    fn settings(objective: Objective) -> TransformerSettings {
        let training =
            Training { objective, negatives: 4, epochs: 30, batch: 16, learning_rate: 5e-3, ..Default::default() };
        TransformerSettings { d: 16, hidden: 16, length: 6, blocks: 1, dropout: 0.1, training, ..Default::default() }
    }

    fn trained<'a>(data: &'a Interactions, settings: &TransformerSettings, threads: usize) -> Trainer<'a, Transformer> {
        let (shape, training) = Transformer::plan(settings).unwrap();
        let mut trainer = Trainer::new(&shape, training, data, 3, threads).unwrap();
        for epoch in 1..=settings.training.epochs {
            trainer.epoch(epoch, &Fit::quiet(1, 1)).unwrap();
        }
        trainer
    }

    #[test]
    fn every_objective_learns_what_comes_next() {
        let data = circle();
        for objective in OBJECTIVES {
            let model = trained(&data, &settings(objective), 2).model();
            let mut scores = [0.0; 12];
            let right = (0..12_u32).filter(|&item| {
                crate::collaborative::CollaborativeModel::score(&model, &[(item + 11) % 12, item], &mut scores);
                let best = (0..12_usize).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
                best == Some((item as usize + 1) % 12)
            });
            let right = right.count();
            assert!(right >= 10, "{objective:?}: {right} of 12");
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let data = circle();
        for objective in OBJECTIVES {
            for last_only in [false, true] {
                let mut settings = settings(objective);
                settings.training.epochs = 2;
                settings.training.negative_power = 0.5;
                settings.training.last_only = last_only;
                let one = trained(&data, &settings, 1);
                for threads in [2, 5] {
                    let many = trained(&data, &settings, threads);
                    assert_eq!(one.items, many.items, "{objective:?} {threads}");
                    assert_eq!(one.weights.values(), many.weights.values(), "{objective:?} {threads}");
                }
            }
        }
    }

    /// The gradients of a step over 32 windows, and its loss.
    fn one_step(objective: Objective, batch: usize, accumulate: usize) -> (Vec<f32>, f64) {
        let data = circle();
        let mut settings = settings(objective);
        (settings.training.batch, settings.training.accumulate) = (batch, accumulate);
        (settings.dropout, settings.attention_dropout, settings.training.clip) = (0.0, 0.0, 0.0);
        let (shape, training) = Transformer::plan(&settings).unwrap();
        let mut trainer: Trainer<Transformer> = Trainer::new(&shape, training, &data, 3, 2).unwrap();
        let chosen: Vec<u32> = (0..(batch * accumulate) as u32).collect();
        let loss = trainer.step(&chosen).unwrap();
        ([&*trainer.gradient, &*trainer.shared.gradient, &*trainer.items].concat(), loss)
    }

    #[test]
    fn accumulated_batches_are_one_large_batch() {
        for objective in [Objective::Softmax, Objective::SampledSoftmax] {
            let (large, loss) = one_step(objective, 32, 1);
            let (summed, loss_of_sum) = one_step(objective, 8, 4);
            assert!((loss - loss_of_sum).abs() < 1e-6, "{objective:?}: {loss} {loss_of_sum}");
            let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Adam's first step has the size of the rate whatever the gradient's size, so only rows whose gradient is a
            // rounding error differ.
            assert!(far(&large, &summed) < 1e-5, "{objective:?}: {}", far(&large, &summed));
            let (first, _) = one_step(objective, 8, 1);
            assert!(far(&large, &first) > 1e-3, "{objective:?}: all batches have the same loss");
        }
    }

    #[test]
    fn accumulated_steps_do_not_depend_on_the_number_of_threads() {
        let data = circle();
        let mut settings = settings(Objective::Bce);
        (settings.training.batch, settings.training.accumulate, settings.training.epochs) = (4, 4, 3);
        let (one, many) = (trained(&data, &settings, 1), trained(&data, &settings, 3));
        assert_eq!((&one.items, one.weights.values()), (&many.items, many.weights.values()));
        assert_eq!(one.n_steps(), one.windows.len().div_ceil(16));
    }

    #[test]
    fn a_rate_that_diverges_is_an_error() {
        let data = circle();
        let mut settings = settings(Objective::Bpr);
        settings.training.learning_rate = 1e30;
        let (shape, training) = Transformer::plan(&settings).unwrap();
        let mut trainer: Trainer<Transformer> = Trainer::new(&shape, training, &data, 3, 1).unwrap();
        let result = (1..=20).try_for_each(|epoch| trainer.epoch(epoch, &Fit::quiet(1, 1)).map(drop));
        assert!(matches!(result, Err(FitError::Diverged { .. })), "{result:?}");
    }

    #[test]
    fn invalid_settings_are_refused() {
        let refused = |change: fn(&mut Training), name: &str| {
            let (mut settings, data) = (settings(Objective::Bce), circle());
            change(&mut settings.training);
            let (shape, training) = Transformer::plan(&settings).unwrap();
            let error = Trainer::<Transformer>::new(&shape, training, &data, 1, 1).err().unwrap().to_string();
            assert!(error.starts_with(name), "{error}");
        };
        refused(|training| training.learning_rate = 0.0, "learning_rate=0");
        refused(|training| training.negatives = 0, "negatives=0");
        refused(|training| training.beta_2 = 1.0, "beta_2=1");
        refused(|training| training.batch = 0, "batch=0");
        refused(|training| training.accumulate = 0, "accumulate=0");
    }

    #[test]
    fn items_are_sampled_by_their_count() {
        let data = Interactions::new(3, [vec![0; 90], vec![2; 10]]);
        let cumulative: Vec<f64> = data
            .counts()
            .iter()
            .scan(0.0, |sum, &n| {
                *sum += f64::from(n);
                Some(*sum)
            })
            .collect();
        let mut draws = Draws::new(1, 2, 3);
        let mut seen = [0; 3];
        (0..10_000).for_each(|_| seen[sample(&cumulative, 3, &mut draws) as usize] += 1);
        assert!(seen[1] == 0 && (8_700..9_300).contains(&seen[0]), "{seen:?}");
        assert_eq!(share(&cumulative, 3, 0), 0.9);
        assert_eq!(share(&[], 4, 0), 0.25);
    }
}
