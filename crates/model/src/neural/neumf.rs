//! Neural matrix factorization: the sum of an inner product and a small network.
//!
//! He, Liao, Zhang, Nie, Hu and Chua, *Neural collaborative filtering* (WWW 2017): a generalised product `p ∘ q` and a
//! multi-layer perceptron over `[p', q']`, joined by a last linear layer, binary cross-entropy against sampled items.
//! The paper has a row for every user. Here a user's vector is that of the chosen items, `p = |H|^-½ Σ y_j` over the
//! history without the item to predict, as in Kabbur, Ning and Karypis, *FISM* (KDD 2013), so that any history can be
//! scored.
//!
//! ```text
//! score = w · [p ∘ q, relu(W₂ relu(W₁ [p', q']))] + b
//! ```

use accrue_kernel::{Draws, axpy};
use accrue_tensor::{
    Activation, Buffers, Init, Mode, Optimizer, RowGradients, RowOptimizer, Rule, Tape, TensorError, Var, WeightId,
    Weights, binary_cross_entropy, finite_norm,
};
use serde::{Deserialize, Serialize};

use super::windows::order;
use crate::collaborative::parallel::for_each_chunk;
use crate::collaborative::{CollaborativeModel, Epoch, Fit, FitError, Interactions};
use crate::stored::StoredFault;

/// Parts of a batch whose gradients are summed separately. Their number is fixed, because rounding depends on it.
const N_CHUNKS: usize = 8;
/// Streams of random numbers.
const INIT: u64 = 0x6e65_756d_0001;
const PAIRS: u64 = 0x6e65_756d_0002;

/// Size of the network and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NeuMfSettings {
    /// Width of the factors on both sides.
    pub d: usize,
    /// Width of the perceptron's first layer; the second has half of it.
    pub hidden: usize,
    /// Share of values dropped in the perceptron.
    pub dropout: f64,
    /// Sampled items for each chosen one.
    pub negatives: usize,
    /// Items of a history that are to be predicted in a pass; the others are their context.
    pub targets: usize,
    /// Passes over the users.
    pub epochs: usize,
    /// Users a step.
    pub batch: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// Decay of weights and touched rows.
    pub weight_decay: f64,
}

impl Default for NeuMfSettings {
    fn default() -> Self {
        Self {
            d: 32,
            hidden: 64,
            dropout: 0.1,
            negatives: 4,
            targets: 64,
            epochs: 40,
            batch: 32,
            learning_rate: 1e-3,
            weight_decay: 0.0,
        }
    }
}

/// The sizes that the layers are built from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Shape {
    d: usize,
    hidden: usize,
}

/// The layers.
#[derive(Clone, Debug, PartialEq)]
struct Layers {
    first: (WeightId, WeightId),
    second: (WeightId, WeightId),
    of_product: WeightId,
    of_perceptron: (WeightId, WeightId),
}

impl Layers {
    fn new(shape: Shape, weights: &mut Weights) -> Self {
        let Shape { d, hidden } = shape;
        let mut layer = |name: &str, shape: [usize; 2]| {
            let weight = weights.matrix(&format!("{name}.weight"), shape, Init::Xavier);
            (weight, weights.rows(&format!("{name}.bias"), [1, shape[1]], Init::Constant(0.0)))
        };
        let (first, second) = (layer("first", [2 * d, hidden]), layer("second", [hidden, hidden.div_ceil(2)]));
        let of_perceptron = layer("out.perceptron", [hidden.div_ceil(2), 1]);
        Self { first, second, of_product: weights.matrix("out.product", [d, 1], Init::Constant(1.0)), of_perceptron }
    }

    /// `p, q: [n, d]` for the product, `pq: [n, 2 d]` for the perceptron `→ [n, 1]`
    fn scores(&self, tape: &mut Tape, p: Var, q: Var, pq: Var, dropout: f32) -> Var {
        let h = tape.linear(pq, self.first.0, Some(self.first.1));
        let h = tape.activate(h, Activation::Relu, dropout);
        let h = tape.linear(h, self.second.0, Some(self.second.1));
        let h = tape.activate(h, Activation::Relu, dropout);
        let perceptron = tape.linear(h, self.of_perceptron.0, Some(self.of_perceptron.1));
        let product = tape.product(p, q);
        let product = tape.linear(product, self.of_product, None);
        tape.add(product, perceptron)
    }
}

/// Fitted layers and tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct NeuMf {
    shape: Shape,
    layers: Layers,
    weights: Weights,
    /// Vectors of the items to predict: factors of the product, then of the perceptron. `[n_items, 2 d]`
    offered: Vec<f32>,
    /// Vectors of the items of a history: the same. `[n_items, 2 d]`
    chosen: Vec<f32>,
}

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Saved {
    shape: Shape,
    weights: Vec<f32>,
    offered: Vec<f32>,
    chosen: Vec<f32>,
}

impl From<NeuMf> for Saved {
    fn from(model: NeuMf) -> Self {
        let NeuMf { shape, weights, offered, chosen, .. } = model;
        Self { shape, weights: weights.values().to_vec(), offered, chosen }
    }
}

impl TryFrom<Saved> for NeuMf {
    type Error = StoredFault;

    fn try_from(saved: Saved) -> Result<Self, StoredFault> {
        let Saved { shape, weights: values, offered, chosen } = saved;
        let mut weights = Weights::new(0);
        let layers = Layers::new(shape, &mut weights);
        let n_expected = weights.values().len();
        if values.len() != n_expected || offered.len() != chosen.len() || !offered.len().is_multiple_of(2 * shape.d) {
            let found = vec![values.len(), offered.len(), chosen.len()];
            let n_factors = offered.len().next_multiple_of(2 * shape.d);
            let expected = vec![n_expected, n_factors, n_factors];
            return Err(StoredFault::Sizes { what: "weights, and vectors of both sides", found, expected });
        }
        if !values.iter().chain(&offered).chain(&chosen).all(|x| x.is_finite()) {
            return Err(StoredFault::NotFinite);
        }
        weights.change(|to| to.copy_from_slice(&values));
        Ok(Self { shape, layers, weights, offered, chosen })
    }
}

impl PartialEq for NeuMf {
    fn eq(&self, other: &Self) -> bool {
        let values = self.weights.values() == other.weights.values();
        self.shape == other.shape && values && self.offered == other.offered && self.chosen == other.chosen
    }
}

/// A part of a batch, with the buffers that it writes to.
#[derive(Default)]
struct Chunk {
    users: Vec<u32>,
    counter: u64,
    buffers: Buffers,
    gradient: Vec<f32>,
    offered: RowGradients,
    chosen: RowGradients,
    loss: f64,
    n: usize,
}

impl NeuMf {
    fn plan(settings: &NeuMfSettings, n_items: usize, seed: u64) -> Result<Self, FitError> {
        let NeuMfSettings { d, hidden, dropout, negatives, targets, epochs, batch, learning_rate, weight_decay } =
            *settings;
        let positive = "a number above 0";
        let counts = [d, hidden, negatives, targets, epochs, batch];
        for (name, n) in ["d", "hidden", "negatives", "targets", "epochs", "batch"].into_iter().zip(counts) {
            FitError::check(n > 0, name, n, positive)?;
        }
        FitError::check((0.0..1.0).contains(&dropout), "dropout", dropout, "a number from 0 to below 1")?;
        FitError::check(learning_rate > 0.0, "learning_rate", learning_rate, positive)?;
        FitError::check(weight_decay >= 0.0, "weight_decay", weight_decay, "a number of at least 0")?;
        let shape = Shape { d, hidden };
        let mut weights = Weights::new(seed);
        let layers = Layers::new(shape, &mut weights);
        let table = |number| {
            let mut values = vec![0.0; n_items * 2 * d];
            Init::Normal { deviation: 0.05 }.fill(seed ^ INIT, number, [n_items, 2 * d], &mut values);
            values
        };
        Ok(Self { shape, layers, weights, offered: table(0), chosen: table(1) })
    }

    /// `Σ y_j` over a history. `→ [2 d]`
    fn sum(&self, history: &[u32]) -> Vec<f32> {
        let width = 2 * self.shape.d;
        let mut sum = vec![0.0; width];
        for &item in history {
            axpy(1.0, &self.chosen[item as usize * width..][..width], &mut sum);
        }
        sum
    }

    /// The gradients of a chunk's users.
    fn learn(&self, data: &Interactions, settings: &NeuMfSettings, seed: u64, chunk: &mut Chunk) {
        chunk.gradient.clear();
        chunk.gradient.resize(self.weights.values().len(), 0.0);
        (chunk.loss, chunk.n) = (0.0, 0);
        chunk.offered.clear();
        chunk.chosen.clear();
        let users = std::mem::take(&mut chunk.users);
        for (place, &user) in users.iter().enumerate() {
            let draws = Draws::new(seed, PAIRS, chunk.counter << 20 | place as u64);
            self.learn_user(data.history(user as usize), data.n_items(), settings, draws, chunk);
        }
        chunk.users = users;
    }

    fn learn_user(&self, set: &[u32], n_items: usize, settings: &NeuMfSettings, mut draws: Draws, chunk: &mut Chunk) {
        let (d, width) = (self.shape.d, 2 * self.shape.d);
        let mut places = set.to_vec();
        draws.shuffle(&mut places);
        places.truncate(settings.targets);
        let pairs = labelled_pairs(&places, set, n_items, settings.negatives, &mut draws);
        let n = pairs.len();
        if n == 0 {
            return;
        }
        let sum = self.sum(set);
        // Without the item to predict, if it is in the history.
        let scale = |label: f32| 1.0 / ((set.len() as f32 - label).max(1.0)).sqrt();
        let segments = [n];
        let mut buffers = std::mem::take(&mut chunk.buffers);
        let mut tape = Tape::new(&mut buffers, &self.weights, &segments, Mode::Train(draws));
        let half = |which: usize| which * d..(which + 1) * d;
        let person = |row: &mut [f32], (item, label): (u32, f32), which: usize| {
            let own = &self.chosen[item as usize * width..][..width][half(which)];
            for ((x, &sum), &own) in row.iter_mut().zip(&sum[half(which)]).zip(own) {
                *x = (sum - label * own) * scale(label);
            }
        };
        let offered = |item: u32, which: usize| &self.offered[item as usize * width..][..width][half(which)];
        let p = tape.leaf(n, d, |x| x.chunks_exact_mut(d).zip(&pairs).for_each(|(x, &pair)| person(x, pair, 0)));
        let q = tape.leaf(n, d, |x| {
            x.chunks_exact_mut(d).zip(&pairs).for_each(|(x, pair)| x.copy_from_slice(offered(pair.0, 0)))
        });
        let pq = tape.leaf(n, width, |x| {
            for (x, &pair) in x.chunks_exact_mut(width).zip(&pairs) {
                person(&mut x[..d], pair, 1);
                x[d..].copy_from_slice(offered(pair.0, 1));
            }
        });
        let scores = self.layers.scores(&mut tape, p, q, pq, settings.dropout as f32);
        let labels: Vec<f32> = pairs.iter().map(|pair| pair.1).collect();
        let mut slopes = vec![0.0; n];
        chunk.loss += binary_cross_entropy(tape.value(scores), &labels, &mut slopes);
        chunk.n += n;
        tape.gradient_mut(scores).copy_from_slice(&slopes);
        tape.backward(&mut chunk.gradient);
        // The gradient of all pairs for the sum of the history; an item to predict is not in the sum of its own pair.
        let mut of_all = vec![0.0; width];
        let (dp, dq, dpq) = (tape.gradient(p), tape.gradient(q), tape.gradient(pq));
        for (i, &(item, label)) in pairs.iter().enumerate() {
            let parts = [&dp[i * d..][..d], &dpq[i * width..][..d]];
            for (which, part) in parts.into_iter().enumerate() {
                axpy(scale(label), part, &mut of_all[half(which)]);
            }
            if label > 0.0 {
                chunk.chosen.rows.push(item);
                chunk.chosen.values.extend(parts.concat().iter().map(|x| -scale(label) * x));
            }
            chunk.offered.rows.push(item);
            chunk.offered.values.extend_from_slice(&dq[i * d..][..d]);
            chunk.offered.values.extend_from_slice(&dpq[i * width + d..][..d]);
        }
        for &item in set {
            chunk.chosen.rows.push(item);
            chunk.chosen.values.extend_from_slice(&of_all);
        }
        chunk.buffers = buffers;
    }
}

/// Each of `places` with the label 1, followed by items drawn at random with the label 0. A drawn item that is in the history `set` is
/// not a negative and is left out, as in the paper.
fn labelled_pairs(
    places: &[u32],
    set: &[u32],
    n_items: usize,
    n_negatives: usize,
    draws: &mut Draws,
) -> Vec<(u32, f32)> {
    let mut pairs = Vec::with_capacity(places.len() * (1 + n_negatives));
    for &item in places {
        pairs.push((item, 1.0));
        for _ in 0..n_negatives {
            let other = draws.below(n_items as u64) as u32;
            if set.binary_search(&other).is_err() {
                pairs.push((other, 0.0));
            }
        }
    }
    pairs
}

impl CollaborativeModel for NeuMf {
    type Settings = NeuMfSettings;

    fn fit(data: &Interactions, settings: &NeuMfSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let mut model = Self::plan(settings, data.n_items(), fit.seed)?;
        let sets = data.distinct();
        let users: Vec<u32> =
            (0..sets.n_users() as u32).filter(|&user| !sets.history(user as usize).is_empty()).collect();
        let rule = match Rule::ADAM {
            Rule::Adam { beta_1, beta_2, epsilon, .. } => {
                Rule::Adam { beta_1, beta_2, epsilon, weight_decay: settings.weight_decay as f32 }
            }
            other => other,
        };
        let (n_items, width) = (data.n_items(), 2 * settings.d);
        let mut dense = Optimizer::new(rule, model.weights.values().len());
        let mut rows = [(); 2].map(|()| RowOptimizer::new(rule, n_items, width));
        let mut chunks: Vec<Chunk> = (0..N_CHUNKS).map(|_| Chunk::default()).collect();
        for epoch in 1..=settings.epochs {
            let (mut loss, mut n) = (0.0, 0);
            for batch in order(users.len(), fit.seed, epoch).chunks(settings.batch) {
                fit.go_on()?;
                let counter = dense.n_steps() * N_CHUNKS as u64;
                let per_chunk = batch.len().div_ceil(N_CHUNKS);
                for (number, chunk) in chunks.iter_mut().enumerate() {
                    let part = batch.chunks(per_chunk).nth(number).unwrap_or(&[]);
                    chunk.users = part.iter().map(|&place| users[place as usize]).collect();
                    chunk.counter = counter + number as u64;
                }
                for_each_chunk(
                    fit.threads,
                    &mut chunks,
                    1,
                    || (),
                    |(), _, chunk| {
                        model.learn(&sets, settings, fit.seed, &mut chunk[0]);
                    },
                );
                model
                    .step(&mut dense, &mut rows, &mut chunks, settings, fit.threads)
                    .map_err(|_| FitError::Diverged { epoch })?;
                loss += chunks.iter().map(|chunk| chunk.loss).sum::<f64>();
                n += chunks.iter().map(|chunk| chunk.n).sum::<usize>();
            }
            (fit.progress)(Epoch { done: epoch, of: settings.epochs, loss: Some(loss / n.max(1) as f64) });
        }
        Ok(model)
    }

    fn n_params(&self) -> u64 {
        (self.weights.values().len() + self.offered.len() + self.chosen.len()) as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        let (d, width) = (self.shape.d, 2 * self.shape.d);
        let mut set = history.to_vec();
        set.sort_unstable();
        set.dedup();
        let mut person = self.sum(&set);
        accrue_kernel::scale(1.0 / (set.len().max(1) as f32).sqrt(), &mut person);
        let mut buffers = Buffers::default();
        const AT_ONCE: usize = 256;
        for (out, offered) in out.chunks_mut(AT_ONCE).zip(self.offered.chunks(AT_ONCE * width)) {
            let n = out.len();
            let segments = [n];
            let mut tape = Tape::new(&mut buffers, &self.weights, &segments, Mode::Predict);
            let rows = || offered.chunks_exact(width);
            let p = tape.leaf(n, d, |x| x.chunks_exact_mut(d).for_each(|x| x.copy_from_slice(&person[..d])));
            let q = tape
                .leaf(n, d, |x| x.chunks_exact_mut(d).zip(rows()).for_each(|(x, row)| x.copy_from_slice(&row[..d])));
            let pq = tape.leaf(n, width, |x| {
                for (x, row) in x.chunks_exact_mut(width).zip(rows()) {
                    x[..d].copy_from_slice(&person[d..]);
                    x[d..].copy_from_slice(&row[d..]);
                }
            });
            let scores = self.layers.scores(&mut tape, p, q, pq, 0.0);
            out.copy_from_slice(tape.value(scores));
        }
    }
}

impl NeuMf {
    /// Takes a step on all parameters with the chunks' gradients, added in their order.
    fn step(
        &mut self,
        dense: &mut Optimizer,
        rows: &mut [RowOptimizer; 2],
        chunks: &mut [Chunk],
        settings: &NeuMfSettings,
        threads: usize,
    ) -> Result<(), TensorError> {
        let n: usize = chunks.iter().map(|chunk| chunk.n).sum();
        let (rate, scale) = (settings.learning_rate as f32, 1.0 / n.max(1) as f32);
        let mut gradient = vec![0.0; self.weights.values().len()];
        for chunk in chunks.iter() {
            axpy(1.0, &chunk.gradient, &mut gradient);
            finite_norm(dense.n_steps(), &[&chunk.offered.values, &chunk.chosen.values])?;
        }
        finite_norm(dense.n_steps(), &[&gradient])?;
        self.weights.change(|values| dense.step(rate, scale, &mut gradient, values));
        let take = |of: fn(&mut Chunk) -> &mut RowGradients, chunks: &mut [Chunk]| -> Vec<RowGradients> {
            chunks.iter_mut().map(|chunk| std::mem::take(of(chunk))).collect()
        };
        let offered = take(|chunk| &mut chunk.offered, chunks);
        let chosen = take(|chunk| &mut chunk.chosen, chunks);
        rows[0].step(rate, scale, &offered, None, &mut self.offered, threads);
        rows[1].step(rate, scale, &chosen, None, &mut self.chosen, threads);
        for ((chunk, offered), chosen) in chunks.iter_mut().zip(offered).zip(chosen) {
            (chunk.offered, chunk.chosen) = (offered, chosen);
        }
        Ok(())
    }
}
