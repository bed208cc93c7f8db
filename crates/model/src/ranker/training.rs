//! How a network over features is trained: a table of vectors, the network's weights, steps of Adam.
//!
//! A step has three phases. *Forward and backward*: the batch is cut into chunks by its length alone; a chunk puts a few
//! rows at a time on a tape, so that their numbers stay in the cache. *Sum*: the chunks' gradients are added in their
//! order. *Update*: all weights, and the rows of the table. With `l2` every row of the table has a gradient at every
//! step, as in the published recipes; without it only the rows of the batch change. So the result depends on neither
//! the number of threads nor their timing. A gradient that is not finite is an error before anything changes.

use accrue_kernel::{Draws, axpy};
use accrue_tensor::{
    Buffers, Init, Mode, Optimizer, RowGradients, RowOptimizer, Rule, Tape, TensorError, Weights, binary_cross_entropy,
    finite_norm,
};

use super::model::ClickModel;
use super::network::{ClickInput, ClickNetwork};
use super::rows::{ClickRows, ClickShape};
use super::settings::ClickTraining;
use crate::collaborative::FitError;
use crate::collaborative::parallel::for_each_chunk;

/// Parts of a batch whose gradients are summed separately, at most.
const N_CHUNKS: usize = 8;
/// Rows on one tape.
const ON_A_TAPE: usize = 128;
/// Weights whose gradients one thread sums at a time.
const SUM_LEN: usize = 1 << 14;
/// Streams of random numbers.
const TABLE: u64 = 0x636c_6963_0001;
const DROPOUT: u64 = 0x636c_6963_0002;
/// Deviation of a vector's first numbers.
const DEVIATION: f32 = 0.05;

/// A network with its table, and what training needs of both.
#[derive(Clone, Debug)]
pub struct NetworkModel<N> {
    network: N,
    weights: Weights,
    /// A vector of each feature, then its own weight. `[n_rows, d + 1]`
    table: Vec<f32>,
    shape: ClickShape,
    d: usize,
    l2: f32,
    seed: u64,
    dense: Optimizer,
    rows: RowOptimizer,
    /// Means of the weights and of the table over recent steps.
    mean: Option<Mean>,
    n_steps: u64,
    scratch: Scratch,
}

/// Memory that is used within one step; a copy of a model gets its own.
#[derive(Debug, Default)]
struct Scratch(Vec<Chunk>);

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Exponential means: Polyak and Juditsky (1992), weighted towards the recent steps.
#[derive(Clone, Debug)]
struct Mean {
    keep: f32,
    weights: Vec<f32>,
    table: Vec<f32>,
}

/// A part of a batch, with the buffers that it writes to.
#[derive(Debug, Default)]
struct Chunk {
    buffers: Buffers,
    gradient: Vec<f32>,
    rows: RowGradients,
    loss: f64,
}

impl<N: ClickNetwork> ClickModel for NetworkModel<N> {
    type Settings = N::Settings;

    fn training(settings: &N::Settings) -> &ClickTraining {
        N::training(settings)
    }

    fn new(settings: &N::Settings, shape: ClickShape, seed: u64) -> Result<Self, FitError> {
        let training = N::training(settings);
        training.check()?;
        let (d, mut weights) = (training.d, Weights::new(seed));
        let network = N::new(settings, shape, d, &mut weights)?;
        let rule = Rule::ADAM;
        let mut model = Self {
            network,
            dense: Optimizer::new(rule, weights.values().len()),
            rows: RowOptimizer::new(rule, 0, d + 1),
            weights,
            table: Vec::new(),
            shape: ClickShape { n_rows: 0, ..shape },
            d,
            l2: training.l2 as f32,
            seed,
            mean: None,
            n_steps: 0,
            scratch: Scratch::default(),
        };
        model.grow(shape.n_rows);
        if training.averaging > 0.0 {
            let (weights, table) = (model.weights.values().to_vec(), model.table.clone());
            model.mean = Some(Mean { keep: training.averaging as f32, weights, table });
        }
        Ok(model)
    }

    fn grow(&mut self, n_rows: usize) {
        let width = self.d + 1;
        for row in self.shape.n_rows..n_rows {
            let begin = self.table.len();
            self.table.resize(begin + width, 0.0);
            let vector = &mut self.table[begin..begin + self.d];
            Init::Normal { deviation: DEVIATION }.fill(self.seed ^ TABLE, row as u64, [1, self.d], vector);
        }
        self.shape.n_rows = self.shape.n_rows.max(n_rows);
        self.rows.grow(self.shape.n_rows);
        if let Some(mean) = &mut self.mean {
            let begin = mean.table.len();
            mean.table.extend_from_slice(&self.table[begin..]);
        }
    }

    fn step(&mut self, rows: &ClickRows, chosen: &[u32], rate: f32, threads: usize) -> Result<f64, TensorError> {
        let chunk_len = chosen.len().div_ceil(N_CHUNKS).max(ON_A_TAPE / 2);
        let mut scratch = std::mem::take(&mut self.scratch.0);
        scratch.resize_with(N_CHUNKS, Chunk::default);
        let (chunks, step) = (&mut scratch[..chosen.len().div_ceil(chunk_len)], self.n_steps);
        for_each_chunk(
            threads,
            chunks,
            1,
            || (),
            |(), number, chunk| {
                let of_chunk = &chosen[number * chunk_len..((number + 1) * chunk_len).min(chosen.len())];
                self.learn(rows, of_chunk, step << 16 | (number as u64) << 8, &mut chunk[0]);
            },
        );
        let mut gradient = std::mem::take(&mut chunks[0].gradient);
        for_each_chunk(
            threads,
            &mut gradient,
            SUM_LEN,
            || (),
            |(), number, sum| {
                let begin = number * SUM_LEN;
                chunks[1..].iter().for_each(|chunk| axpy(1.0, &chunk.gradient[begin..][..sum.len()], sum));
            },
        );
        let loss = chunks.iter().map(|chunk| chunk.loss).sum::<f64>() / chosen.len() as f64;
        let parts: Vec<RowGradients> = chunks.iter_mut().map(|chunk| std::mem::take(&mut chunk.rows)).collect();
        let all: Vec<&[f32]> = std::iter::once(&*gradient).chain(parts.iter().map(|part| &*part.values)).collect();
        finite_norm(step, &all)?;
        self.n_steps += 1;
        let scale = 1.0 / chosen.len() as f32;
        // The gradient of a mean loss is scaled down; that of ½ l2 ‖v‖² is not, so it is scaled up first.
        let mut pull: Option<Vec<f32>> = (self.l2 > 0.0).then(|| {
            let factor = self.l2 / scale;
            self.table.iter().map(|x| factor * x).collect()
        });
        self.rows.step(rate, scale, &parts, pull.as_deref_mut(), &mut self.table, threads);
        let dense = &mut self.dense;
        self.weights.change(|values| dense.step(rate, scale, &mut gradient, values));
        self.follow();
        chunks.iter_mut().zip(parts).for_each(|(chunk, rows)| chunk.rows = rows);
        scratch[0].gradient = gradient;
        self.scratch.0 = scratch;
        Ok(loss)
    }

    fn logits(&self, rows: &ClickRows, first: usize, threads: usize, out: &mut [f32]) {
        for_each_chunk(threads, out, ON_A_TAPE, Buffers::default, |buffers, number, out| {
            let begin = first + number * ON_A_TAPE;
            let indices: Vec<u32> = (begin..begin + out.len()).map(|row| row as u32).collect();
            let segments = [out.len()];
            let mut tape = Tape::new(buffers, &self.weights, &segments, Mode::Predict);
            let input = self.input(&mut tape, rows, &indices);
            let logits = self.network.logits(&mut tape, input);
            out.copy_from_slice(tape.value(logits));
        });
    }

    fn averaged(&self) -> Option<Self> {
        let mean = self.mean.as_ref()?;
        let mut model = self.clone();
        model.weights.change(|values| values.copy_from_slice(&mean.weights));
        model.table.copy_from_slice(&mean.table);
        Some(model)
    }

    fn n_params(&self) -> u64 {
        (self.weights.values().len() + self.table.len()) as u64
    }
}

impl<N: ClickNetwork> NetworkModel<N> {
    /// The features of some rows on a tape.
    fn input(&self, tape: &mut Tape, rows: &ClickRows, indices: &[u32]) -> ClickInput {
        let (d, width) = (self.d, self.d + 1);
        let of = |row: u32| &self.table[row as usize * width..][..width];
        let vectors = tape.leaf(indices.len(), self.shape.n_fields * d, |out| {
            for (out, &index) in out.chunks_exact_mut(self.shape.n_fields * d).zip(indices) {
                for feature in rows.features(index as usize).iter().filter(|feature| self.is_known(feature)) {
                    axpy(feature.value, &of(feature.row)[..d], &mut out[feature.field as usize * d..][..d]);
                }
            }
        });
        let linear = tape.leaf(indices.len(), 1, |out| {
            for (out, &index) in out.iter_mut().zip(indices) {
                let known = rows.features(index as usize).iter().filter(|feature| self.is_known(feature));
                *out = known.map(|feature| feature.value * of(feature.row)[d]).sum();
            }
        });
        ClickInput { vectors, linear }
    }

    fn is_known(&self, feature: &super::Feature) -> bool {
        (feature.row as usize) < self.shape.n_rows && (feature.field as usize) < self.shape.n_fields
    }

    /// The gradients of a chunk's rows.
    fn learn(&self, rows: &ClickRows, chosen: &[u32], counter: u64, chunk: &mut Chunk) {
        chunk.gradient.clear();
        chunk.gradient.resize(self.weights.values().len(), 0.0);
        chunk.rows.clear();
        chunk.loss = 0.0;
        let d = self.d;
        let (mut labels, mut slopes) = (Vec::new(), Vec::new());
        for (place, indices) in chosen.chunks(ON_A_TAPE).enumerate() {
            let segments = [indices.len()];
            let draws = Draws::new(self.seed, DROPOUT, counter + place as u64);
            let mut tape = Tape::new(&mut chunk.buffers, &self.weights, &segments, Mode::Train(draws));
            let input = self.input(&mut tape, rows, indices);
            let logits = self.network.logits(&mut tape, input);
            labels.clear();
            labels.extend(indices.iter().map(|&index| rows.labels()[index as usize]));
            slopes.clear();
            slopes.resize(indices.len(), 0.0);
            chunk.loss += binary_cross_entropy(tape.value(logits), &labels, &mut slopes);
            tape.gradient_mut(logits).copy_from_slice(&slopes);
            tape.backward(&mut chunk.gradient);
            let (of_vectors, of_linear) = (tape.gradient(input.vectors), tape.gradient(input.linear));
            for (place, &index) in indices.iter().enumerate() {
                let row = &of_vectors[place * self.shape.n_fields * d..][..self.shape.n_fields * d];
                for feature in rows.features(index as usize).iter().filter(|feature| self.is_known(feature)) {
                    let values = &mut chunk.rows.values;
                    chunk.rows.rows.push(feature.row);
                    values.extend(row[feature.field as usize * d..][..d].iter().map(|x| feature.value * x));
                    values.push(feature.value * of_linear[place]);
                }
            }
        }
    }

    /// Moves the means towards the weights. In the first steps they follow faster, so that they forget the start.
    fn follow(&mut self) {
        let Some(mean) = &mut self.mean else { return };
        let young = (1 + self.n_steps) as f32 / (10 + self.n_steps) as f32;
        let share = 1.0 - mean.keep.min(young);
        accrue_kernel::move_towards(share, self.weights.values(), &mut mean.weights);
        accrue_kernel::move_towards(share, &self.table, &mut mean.table);
    }
}
