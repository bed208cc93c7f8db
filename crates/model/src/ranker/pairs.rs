//! Pairs: a weight for every feature and every pair of features, and a factorization machine, learned row by row.
//!
//! ```text
//! logit = b + Σ_i w_i x_i + Σ_{i<j} (p_{h(i,j)} + ⟨v_i, v_j⟩) x_i x_j
//! ```
//!
//! The weights of pairs (Chang et al., *Training and testing low-degree polynomial data mappings via linear SVM*, JMLR
//! 2010) remember what often came together; the vectors generalise to pairs that never did. Pairs are hashed into a
//! table of fixed size (Weinberger et al., *Feature hashing for large scale multitask learning*, ICML 2009). Each number
//! has a step size of its own: Adagrad (Duchi, Hazan and Singer, JMLR 2011). One row costs a few hundred additions, so
//! this is the model for a stream that is read once; the networks need several passes.

use accrue_kernel::{sigmoid, softplus};
use accrue_tensor::{Init, TensorError};
use serde::{Deserialize, Serialize};

use super::model::ClickModel;
use super::rows::{ClickRows, ClickShape, Feature};
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// The stream of the first vectors.
const VECTORS: u64 = 0x636c_6963_0003;
/// Added to the square roots of sums of squared gradients.
const EPSILON: f32 = 1e-6;
/// Features of a row that form pairs, at most; the others have only their own weights.
const MAX_PAIRED: usize = 64;

/// Settings of the weights of pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PairsSettings {
    /// The table of pairs has two to this power weights.
    pub bits: u32,
    /// Step size of weights.
    pub rate: f64,
    /// Step size of vectors.
    pub vector_rate: f64,
    /// Deviation of a vector's first numbers.
    pub deviation: f64,
    /// How it is trained; step sizes, `l2` and `averaging` are for networks.
    #[serde(flatten)]
    pub training: ClickTraining,
}

impl Default for PairsSettings {
    fn default() -> Self {
        let training = ClickTraining { d: 8, epochs: 20, patience: 1, averaging: 0.0, l2: 0.0, ..Default::default() };
        Self { bits: 22, rate: 0.1, vector_rate: 0.1, deviation: 0.1, training }
    }
}

/// A number and the sum of its squared gradients.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    value: f32,
    squares: f32,
}

impl Weight {
    fn step(&mut self, rate: f32, gradient: f32) {
        self.squares += gradient * gradient;
        self.value -= rate * gradient / (self.squares.sqrt() + EPSILON);
    }
}

/// The weights of features, pairs and vectors.
#[derive(Clone, Debug)]
pub struct Pairs {
    settings: PairsSettings,
    seed: u64,
    n_rows: usize,
    bias: Weight,
    own: Vec<Weight>,
    pairs: Vec<Weight>,
    /// `[n_rows, d]`
    vectors: Vec<f32>,
    /// Sums of squared gradients of the vectors. `[n_rows, d]`
    squares: Vec<f32>,
    scratch: Scratch,
}

/// What one row needs.
#[derive(Clone, Debug, Default)]
struct Scratch {
    features: Vec<Feature>,
    places: Vec<(u32, f32)>,
    sum: Vec<f32>,
}

/// Where the weight of a pair is. A function of both features alone, the smaller first.
fn place(one: u32, other: u32, mask: u64) -> u32 {
    let (low, high) = (one.min(other), one.max(other));
    let mixed = (u64::from(low) << 32 | u64::from(high)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32 & mask) as u32
}

impl Pairs {
    /// Fills `scratch` with what the row's logit is made of, and returns the logit.
    fn forward(&self, features: &[Feature], scratch: &mut Scratch) -> f32 {
        let d = self.settings.training.d;
        let mask = self.pairs.len() as u64 - 1;
        let Scratch { features: known, places, sum } = scratch;
        known.clear();
        known.extend(features.iter().filter(|feature| (feature.row as usize) < self.n_rows));
        places.clear();
        sum.clear();
        sum.resize(d, 0.0);
        let mut logit = self.bias.value;
        for (nth, feature) in known.iter().enumerate() {
            logit += self.own[feature.row as usize].value * feature.value;
            if nth >= MAX_PAIRED {
                continue;
            }
            for other in &known[..nth] {
                places.push((place(feature.row, other.row, mask), feature.value * other.value));
            }
            let vector = &self.vectors[feature.row as usize * d..][..d];
            let mut inner = 0.0;
            for (sum, &x) in sum.iter_mut().zip(vector) {
                let x = x * feature.value;
                inner += *sum * x;
                *sum += x;
            }
            logit += inner;
        }
        places.iter().fold(logit, |logit, &(place, value)| logit + self.pairs[place as usize].value * value)
    }

    /// Learns a row whose logit has this slope; `scratch` is that of its forward pass.
    fn backward(&mut self, slope: f32, scratch: &Scratch) {
        let d = self.settings.training.d;
        let (rate, vector_rate) = (self.settings.rate as f32, self.settings.vector_rate as f32);
        self.bias.step(rate, slope);
        for &(place, value) in &scratch.places {
            self.pairs[place as usize].step(rate, slope * value);
        }
        for (nth, feature) in scratch.features.iter().enumerate() {
            let row = feature.row as usize;
            self.own[row].step(rate, slope * feature.value);
            if nth >= MAX_PAIRED {
                continue;
            }
            let (vector, squares) = (&mut self.vectors[row * d..][..d], &mut self.squares[row * d..][..d]);
            for ((x, square), &sum) in vector.iter_mut().zip(squares).zip(&scratch.sum) {
                let gradient = slope * feature.value * (sum - *x * feature.value);
                *square += gradient * gradient;
                *x -= vector_rate * gradient / (square.sqrt() + EPSILON);
            }
        }
    }
}

impl ClickModel for Pairs {
    type Settings = PairsSettings;

    fn training(settings: &PairsSettings) -> &ClickTraining {
        &settings.training
    }

    fn new(settings: &PairsSettings, shape: ClickShape, seed: u64) -> Result<Self, FitError> {
        settings.training.check()?;
        FitError::check((1..=28).contains(&settings.bits), "bits", settings.bits, "a whole number from 1 to 28")?;
        let rates = [("rate", settings.rate), ("vector_rate", settings.vector_rate), ("deviation", settings.deviation)];
        for (name, rate) in rates {
            FitError::check((0.0..1e3).contains(&rate), name, rate, "a number of at least 0")?;
        }
        let mut model = Self {
            settings: settings.clone(),
            seed,
            n_rows: 0,
            bias: Weight::default(),
            own: Vec::new(),
            pairs: vec![Weight::default(); 1 << settings.bits],
            vectors: Vec::new(),
            squares: Vec::new(),
            scratch: Scratch::default(),
        };
        model.grow(shape.n_rows);
        Ok(model)
    }

    fn grow(&mut self, n_rows: usize) {
        let d = self.settings.training.d;
        let init = Init::Normal { deviation: self.settings.deviation as f32 };
        for row in self.n_rows..n_rows {
            let begin = self.vectors.len();
            self.vectors.resize(begin + d, 0.0);
            init.fill(self.seed ^ VECTORS, row as u64, [1, d], &mut self.vectors[begin..]);
        }
        self.n_rows = self.n_rows.max(n_rows);
        self.own.resize(self.n_rows, Weight::default());
        self.squares.resize(self.n_rows * d, 0.0);
    }

    fn step(&mut self, rows: &ClickRows, chosen: &[u32], _: f32, _: usize) -> Result<f64, TensorError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut loss = 0.0;
        for &index in chosen {
            let logit = self.forward(rows.features(index as usize), &mut scratch);
            let label = rows.labels()[index as usize];
            loss += f64::from(softplus(logit) - label * logit);
            self.backward(sigmoid(logit) - label, &scratch);
        }
        self.scratch = scratch;
        match loss.is_finite() {
            true => Ok(loss / chosen.len().max(1) as f64),
            false => Err(TensorError::NotFinite { what: "loss", step: 0 }),
        }
    }

    fn logits(&self, rows: &ClickRows, first: usize, _: usize, out: &mut [f32]) {
        let mut scratch = Scratch::default();
        for (place, out) in out.iter_mut().enumerate() {
            *out = self.forward(rows.features(first + place), &mut scratch);
        }
    }

    fn averaged(&self) -> Option<Self> {
        None
    }

    fn predict_and_learn(
        &mut self,
        rows: &ClickRows,
        first: usize,
        _: &PairsSettings,
        _: usize,
        out: &mut [f32],
    ) -> Result<(), TensorError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        for (place, out) in out.iter_mut().enumerate() {
            *out = self.forward(rows.features(first + place), &mut scratch);
            self.backward(sigmoid(*out) - rows.labels()[first + place], &scratch);
        }
        self.scratch = scratch;
        match out.iter().all(|logit| logit.is_finite()) {
            true => Ok(()),
            false => Err(TensorError::NotFinite { what: "logit", step: first as u64 }),
        }
    }

    fn n_params(&self) -> u64 {
        (1 + self.own.len() + self.pairs.len() + self.vectors.len()) as u64
    }
}
