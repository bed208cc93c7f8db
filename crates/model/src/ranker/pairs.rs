//! Pairs: a weight for every feature and every pair of features, and field-aware vectors, learned row by row.
//!
//! ```text
//! logit = b + Σ_i w_i x_i + Σ_{i<j} (p_{h(i,j)} + ⟨v_{i,field(j)}, v_{j,field(i)}⟩) x_i x_j
//! ```
//!
//! The weights of pairs (Chang et al., *Training and testing low-degree polynomial data mappings via linear SVM*, JMLR
//! 2010) remember what often came together; the vectors generalise to pairs that never did. A feature has a vector for
//! each field that it meets: Juan, Zhuang, Chin and Lin, *Field-aware factorization machines for CTR prediction* (RecSys
//! 2016). Pairs are hashed into a table of fixed size (Weinberger et al., *Feature hashing for large scale multitask
//! learning*, ICML 2009), and so are vectors where there would be too many. Each number has a step size of its own:
//! Adagrad (Duchi, Hazan and Singer, JMLR 2011). A row costs a few thousand operations, so this is the model for a stream
//! that is read once; the networks need several passes.

use accrue_kernel::{Draws, PAIR_LANES, RowPair, pair_adagrad, pair_dots, prefetch, sigmoid, softplus};
use accrue_tensor::TensorError;
use serde::{Deserialize, Serialize};

use super::model::ClickModel;
use super::rows::{ClickRows, ClickShape, Feature};
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// The stream of the first vectors.
const VECTORS: u64 = 0x636c_6963_0003;
/// Vectors, at most; beyond that features share them.
const MAX_VECTORS: usize = 1 << 21;
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
    /// What sums of squared gradients of weights begin with: the larger, the shorter the first steps.
    pub squares: f64,
    /// The same of vectors.
    pub vector_squares: f64,
    /// How it is trained; step sizes, `l2` and `averaging` are for networks.
    #[serde(flatten)]
    pub training: ClickTraining,
}

impl Default for PairsSettings {
    fn default() -> Self {
        let training = ClickTraining { d: 8, epochs: 20, patience: 1, averaging: 0.0, l2: 0.0, ..Default::default() };
        let (rate, vector_rate, deviation, squares, vector_squares) = (0.05, 0.2, 0.1, 0.1, 0.03);
        Self { bits: 20, rate, vector_rate, deviation, squares, vector_squares, training }
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
        self.value -= rate * gradient / self.squares.sqrt();
    }
}

/// The weights of features, pairs and vectors.
#[derive(Clone, Debug)]
pub struct Pairs {
    settings: PairsSettings,
    seed: u64,
    shape: ClickShape,
    bias: Weight,
    own: Vec<Weight>,
    pairs: Vec<Weight>,
    /// Width of a vector: a multiple of [`PAIR_LANES`], the rest of it 0.
    width: usize,
    /// Vectors, each followed by the sums of its squared gradients. `[vectors, 2 · width]`
    vectors: Vec<f32>,
    scratch: Scratch,
}

/// What one row needs.
#[derive(Clone, Debug, Default)]
struct Scratch {
    features: Vec<Feature>,
    /// For each pair the place of its weight.
    places: Vec<u32>,
    /// For each pair its vectors, and the product of its values.
    rows: Vec<RowPair>,
}

impl Scratch {
    /// Whether the squared gradients of the row's weights are finite, so that no weight becomes anything else.
    fn is_finite(&self, slope: f32) -> bool {
        let values = self.features.iter().map(|feature| feature.value);
        let factors = self.rows.iter().map(|pair| pair.factor);
        values.chain(factors).chain([1.0]).all(|value| {
            let gradient = slope * value;
            (gradient * gradient).is_finite()
        })
    }
}

/// Where the weight of a pair is. A function of both features alone, the smaller first.
fn place(one: u32, other: u32, mask: u64) -> u32 {
    let (low, high) = (one.min(other), one.max(other));
    let mixed = (u64::from(low) << 32 | u64::from(high)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32 & mask) as u32
}

impl Pairs {
    /// The vector of a feature for a field that it meets.
    fn vector(&self, feature: &Feature, field: u32) -> u32 {
        ((feature.row as usize * self.shape.n_fields + field as usize) % MAX_VECTORS) as u32
    }

    /// Fills `scratch` with what the row's logit is made of, and returns the logit.
    fn forward(&self, features: &[Feature], scratch: &mut Scratch) -> f32 {
        let mask = self.pairs.len() as u64 - 1;
        let Scratch { features: known, places, rows } = scratch;
        known.clear();
        let is_known = |feature: &&Feature| {
            (feature.row as usize) < self.shape.n_rows && (feature.field as usize) < self.shape.n_fields
        };
        known.extend(features.iter().filter(is_known));
        places.clear();
        rows.clear();
        for (nth, feature) in known.iter().take(MAX_PAIRED).enumerate() {
            for other in &known[..nth] {
                let place = place(feature.row, other.row, mask);
                let (one, other_row) = (self.vector(feature, other.field), self.vector(other, feature.field));
                prefetch(&self.pairs[place as usize..][..1]);
                for row in [one, other_row] {
                    prefetch(&self.vectors[row as usize * 2 * self.width..][..2 * self.width]);
                }
                places.push(place);
                rows.push(RowPair { one, other: other_row, factor: feature.value * other.value });
            }
        }
        let own = |feature: &Feature| self.own[feature.row as usize].value * feature.value;
        let linear: f32 = known.iter().map(own).sum();
        let crossed = |(&place, pair): (&u32, &RowPair)| self.pairs[place as usize].value * pair.factor;
        let crossed: f32 = places.iter().zip(&*rows).map(crossed).sum();
        self.bias.value + linear + crossed + pair_dots(rows, self.width, &self.vectors)
    }

    /// Predicts a row and learns it. Returns its logit.
    fn learn(
        &mut self,
        features: &[Feature],
        label: f32,
        row: usize,
        scratch: &mut Scratch,
    ) -> Result<f32, TensorError> {
        let logit = self.forward(features, scratch);
        let slope = sigmoid(logit) - label;
        if !scratch.is_finite(slope) {
            return Err(TensorError::NotFinite { what: "gradient", step: row as u64 });
        }
        self.backward(slope, scratch);
        Ok(logit)
    }

    /// Learns a row whose logit has this slope; `scratch` is that of its forward pass.
    fn backward(&mut self, slope: f32, scratch: &Scratch) {
        let (rate, vector_rate) = (self.settings.rate as f32, self.settings.vector_rate as f32);
        self.bias.step(rate, slope);
        for feature in &scratch.features {
            self.own[feature.row as usize].step(rate, slope * feature.value);
        }
        for (&place, pair) in scratch.places.iter().zip(&scratch.rows) {
            self.pairs[place as usize].step(rate, slope * pair.factor);
        }
        pair_adagrad(&scratch.rows, self.width, slope, vector_rate, &mut self.vectors);
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
        let PairsSettings { rate, vector_rate, deviation, squares, vector_squares, .. } = *settings;
        for (name, value) in [("rate", rate), ("vector_rate", vector_rate), ("deviation", deviation)] {
            FitError::check((0.0..1e3).contains(&value), name, value, "a number of at least 0")?;
        }
        for (name, value) in [("squares", squares), ("vector_squares", vector_squares)] {
            FitError::check((1e-9..1e9).contains(&value), name, value, "a number above 0")?;
        }
        let first = Weight { value: 0.0, squares: squares as f32 };
        let mut model = Self {
            settings: settings.clone(),
            seed,
            shape: ClickShape { n_rows: 0, ..shape },
            bias: first,
            own: Vec::new(),
            pairs: vec![first; 1 << settings.bits],
            width: settings.training.d.next_multiple_of(PAIR_LANES),
            vectors: Vec::new(),
            scratch: Scratch::default(),
        };
        model.grow(shape.n_rows);
        Ok(model)
    }

    fn grow(&mut self, n_rows: usize) {
        let (d, width) = (self.settings.training.d, self.width);
        self.shape.n_rows = self.shape.n_rows.max(n_rows);
        let first = Weight { value: 0.0, squares: self.settings.squares as f32 };
        self.own.resize(self.shape.n_rows, first);
        let n_vectors = (self.shape.n_rows * self.shape.n_fields).min(MAX_VECTORS);
        let first = self.vectors.len() / (2 * width);
        self.vectors.resize(n_vectors * 2 * width, self.settings.vector_squares as f32);
        for vector in first..n_vectors {
            let mut draws = Draws::new(self.seed, VECTORS, vector as u64);
            let values = &mut self.vectors[vector * 2 * width..][..width];
            values.fill(0.0);
            values[..d].iter_mut().for_each(|value| *value = self.settings.deviation as f32 * draws.normal());
        }
    }

    fn step(&mut self, rows: &ClickRows, chosen: &[u32], _: f32, _: usize) -> Result<f64, TensorError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut loss = 0.0;
        let learned = chosen.iter().try_for_each(|&index| {
            let label = rows.labels()[index as usize];
            let logit = self.learn(rows.features(index as usize), label, index as usize, &mut scratch)?;
            loss += f64::from(softplus(logit) - label * logit);
            Ok(())
        });
        self.scratch = scratch;
        learned.map(|()| loss / chosen.len().max(1) as f64)
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
        let learned = out.iter_mut().enumerate().try_for_each(|(place, out)| {
            let row = first + place;
            *out = self.learn(rows.features(row), rows.labels()[row], row, &mut scratch)?;
            Ok(())
        });
        self.scratch = scratch;
        learned
    }

    fn n_params(&self) -> u64 {
        (1 + self.own.len() + self.pairs.len() + self.vectors.len() / 2) as u64
    }
}
