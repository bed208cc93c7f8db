//! DeepFM: Guo, Tang, Ye, Li and He, *DeepFM: a factorization-machine based neural network for CTR prediction* (IJCAI
//! 2017).
//!
//! ```text
//! logit = FM(x) + w · relu(W₃ relu(W₂ relu(W₁ [v_1 … v_F])))
//! ```
//!
//! Both parts share the vectors.

use accrue_tensor::{Tape, Var, Weights};
use serde::{Deserialize, Serialize};

use super::fm::pair_term;
use super::network::{ClickInput, ClickNetwork, Dense, Perceptron, check_layers};
use super::rows::ClickShape;
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// Settings of DeepFM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeepFmSettings {
    /// Width of a hidden layer.
    pub hidden: usize,
    /// Number of hidden layers.
    pub layers: usize,
    /// Share of values dropped after each hidden layer.
    pub dropout: f64,
    /// How it is trained.
    #[serde(flatten)]
    pub training: ClickTraining,
}

impl Default for DeepFmSettings {
    fn default() -> Self {
        Self { hidden: 400, layers: 3, dropout: 0.2, training: ClickTraining::default() }
    }
}

/// A factorization machine and a perceptron over the same vectors.
#[derive(Clone, Debug)]
pub struct DeepFm {
    perceptron: Perceptron,
    out: Dense,
    d: usize,
}

impl ClickNetwork for DeepFm {
    type Settings = DeepFmSettings;

    fn training(settings: &DeepFmSettings) -> &ClickTraining {
        &settings.training
    }

    fn new(settings: &DeepFmSettings, shape: ClickShape, d: usize, weights: &mut Weights) -> Result<Self, FitError> {
        let DeepFmSettings { hidden, layers, dropout, .. } = *settings;
        check_layers(hidden, layers, dropout)?;
        let perceptron = Perceptron::new(weights, "deep", shape.n_fields * d, (hidden, layers), dropout);
        let out = Dense::new(weights, "out", [perceptron.width(), 1]);
        Ok(Self { perceptron, out, d })
    }

    fn logits(&self, tape: &mut Tape, input: ClickInput) -> Var {
        let pairs = pair_term(tape, input.vectors, self.d);
        let wide = tape.add(input.linear, pairs);
        let states = self.perceptron.states(tape, input.vectors);
        let deep = self.out.of(tape, states);
        tape.add(wide, deep)
    }
}
