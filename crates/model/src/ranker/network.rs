//! What distinguishes one network over features from another: its forward pass.
//!
//! In: the vectors of a row's fields side by side, and the sum of its features' own weights. Out: a logit. Everything
//! else (tables, batches, optimizers, early stopping) is shared: `training.rs`, `fit.rs`.

use accrue_tensor::{Activation, Init, Tape, Var, WeightId, Weights};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::rows::ClickShape;
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// What a network sees of some rows.
#[derive(Clone, Copy, Debug)]
pub struct ClickInput {
    /// The vectors of the fields, side by side. `[n, fields · d]`
    pub vectors: Var,
    /// The sum of the features' own weights: the linear part. `[n, 1]`
    pub linear: Var,
}

/// A network over the features of a row.
pub trait ClickNetwork: Clone + Send + Sync + 'static {
    /// The settings; those of training among them.
    type Settings: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + std::fmt::Debug;

    /// The settings of training.
    fn training(settings: &Self::Settings) -> &ClickTraining;

    /// Adds the weights by name, for rows of `shape` with vectors of `d` numbers.
    ///
    /// # Errors
    /// [`FitError::Setting`] if a setting is not valid.
    fn new(settings: &Self::Settings, shape: ClickShape, d: usize, weights: &mut Weights) -> Result<Self, FitError>;

    /// The forward pass. `→ [n, 1]`
    fn logits(&self, tape: &mut Tape, input: ClickInput) -> Var;
}

/// A bias that is added to every row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bias(WeightId);

impl Bias {
    pub(super) fn new(weights: &mut Weights) -> Self {
        Self(weights.rows("bias", [1, 1], Init::Constant(0.0)))
    }

    /// `x: [n, 1] → [n, 1]`
    pub(super) fn add(self, tape: &mut Tape, x: Var) -> Var {
        let rows = vec![0; tape.shape(x).0];
        tape.add_rows(x, self.0, &rows)
    }
}

/// A linear layer with a bias.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense {
    weight: WeightId,
    bias: WeightId,
}

impl Dense {
    pub(super) fn new(weights: &mut Weights, name: &str, shape: [usize; 2]) -> Self {
        let weight = weights.matrix(&format!("{name}.weight"), shape, Init::Xavier);
        Self { weight, bias: weights.rows(&format!("{name}.bias"), [1, shape[1]], Init::Constant(0.0)) }
    }

    pub(super) fn of(self, tape: &mut Tape, x: Var) -> Var {
        tape.linear(x, self.weight, Some(self.bias))
    }
}

/// Rectified layers of equal width, with dropout after each.
#[derive(Clone, Debug)]
pub(super) struct Perceptron {
    layers: Vec<Dense>,
    dropout: f32,
    width: usize,
}

impl Perceptron {
    pub(super) fn new(
        weights: &mut Weights,
        name: &str,
        inputs: usize,
        (hidden, n_layers): (usize, usize),
        dropout: f64,
    ) -> Self {
        let width = |layer: usize| if layer == 0 { inputs } else { hidden };
        let layer = |place: usize| Dense::new(weights, &format!("{name}.{place}"), [width(place), hidden]);
        Self { layers: (0..n_layers).map(layer).collect(), dropout: dropout as f32, width: width(n_layers) }
    }

    /// Width of the last state.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The last layer's states. `x: [n, inputs] → [n, width]`
    pub(super) fn states(&self, tape: &mut Tape, x: Var) -> Var {
        self.layers.iter().fold(x, |x, layer| {
            let x = layer.of(tape, x);
            tape.activate(x, Activation::Relu, self.dropout)
        })
    }
}

/// Checks the size of a perceptron.
///
/// # Errors
/// [`FitError::Setting`] if one is out of its range.
pub(super) fn check_layers(hidden: usize, layers: usize, dropout: f64) -> Result<(), FitError> {
    FitError::check((1..=16_384).contains(&hidden), "hidden", hidden, "a whole number from 1 to 16384")?;
    FitError::check(layers <= 32, "layers", layers, "a whole number of at most 32")?;
    FitError::check((0.0..1.0).contains(&dropout), "dropout", dropout, "a number from 0 to below 1")
}
