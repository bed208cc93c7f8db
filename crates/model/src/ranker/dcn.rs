//! DCN-v2: Wang, Shivanna, Cheng, Jain, Lin, Hong and Chi, *DCN V2: improved deep & cross network and practical lessons
//! for web-scale learning to rank systems* (WWW 2021), in its parallel form.
//!
//! ```text
//! x_0 = [v_1 … v_F]     x_{l+1} = x_0 ∘ (W_l x_l + b_l) + x_l     logit = w · [x_L, perceptron(x_0)] + b
//! ```

use accrue_tensor::{Tape, Var, Weights};
use serde::{Deserialize, Serialize};

use super::network::{ClickInput, ClickNetwork, Dense, Perceptron, check_layers};
use super::rows::ClickShape;
use super::settings::ClickTraining;
use crate::collaborative::FitError;

/// Settings of DCN-v2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DcnSettings {
    /// Number of cross layers: one more than the highest power of a feature that they form.
    pub crosses: usize,
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

impl Default for DcnSettings {
    fn default() -> Self {
        Self { crosses: 3, hidden: 400, layers: 3, dropout: 0.2, training: ClickTraining::default() }
    }
}

/// Cross layers beside a perceptron.
#[derive(Clone, Debug)]
pub struct Dcn {
    crosses: Vec<Dense>,
    perceptron: Perceptron,
    out: Dense,
}

impl ClickNetwork for Dcn {
    type Settings = DcnSettings;

    fn training(settings: &DcnSettings) -> &ClickTraining {
        &settings.training
    }

    fn new(settings: &DcnSettings, shape: ClickShape, d: usize, weights: &mut Weights) -> Result<Self, FitError> {
        let DcnSettings { crosses, hidden, layers, dropout, .. } = *settings;
        FitError::check(crosses <= 16, "crosses", crosses, "a whole number of at most 16")?;
        check_layers(hidden, layers, dropout)?;
        let width = shape.n_fields * d;
        let cross = |place: usize| Dense::new(weights, &format!("cross.{place}"), [width, width]);
        let crosses: Vec<Dense> = (0..crosses).map(cross).collect();
        let perceptron = Perceptron::new(weights, "deep", width, (hidden, layers), dropout);
        let out = Dense::new(weights, "out", [width + perceptron.width(), 1]);
        Ok(Self { crosses, perceptron, out })
    }

    fn logits(&self, tape: &mut Tape, input: ClickInput) -> Var {
        let first = input.vectors;
        let crossed = self.crosses.iter().fold(first, |x, layer| {
            let weighed = layer.of(tape, x);
            let product = tape.product(first, weighed);
            tape.add(product, x)
        });
        let deep = self.perceptron.states(tape, first);
        let both = tape.concat(crossed, deep);
        let logits = self.out.of(tape, both);
        tape.add(logits, input.linear)
    }
}
