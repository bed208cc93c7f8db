//! Gated recurrent units over a session.
//!
//! Hidasi, Karatzoglou, Baltrunas and Tikk, *Session-based recommendations with recurrent neural networks* (ICLR 2016),
//! trained on whole sessions with a cross-entropy: over all items, or over a sample as in Hidasi and Karatzoglou,
//! *Recurrent neural networks with top-k gains* (CIKM 2018). Inputs and outputs share the item vectors.

use accrue_tensor::{Init, Tape, Var, WeightId, Weights};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::settings::Training;
use crate::collaborative::FitError;

/// Size of the network and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GruSettings {
    /// Width of vectors and states.
    pub d: usize,
    /// Items of a history that the network reads.
    pub length: usize,
    /// Recurrent layers, stacked.
    pub layers: usize,
    /// Share of values dropped before the first layer and after the last.
    pub dropout: f64,
    /// Settings of the training.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for GruSettings {
    fn default() -> Self {
        Self { d: 64, length: 50, layers: 1, dropout: 0.3, training: Training::default() }
    }
}

/// The sizes that the layers are built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    d: usize,
    length: usize,
    layers: usize,
    dropout: f32,
}

/// The layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    dropout: f32,
    layers: Vec<Layer>,
    out: WeightId,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    input: WeightId,
    input_bias: WeightId,
    recurrent: WeightId,
    recurrent_bias: WeightId,
}

impl Network for Gru {
    type Settings = GruSettings;
    type Shape = Shape;

    fn plan(settings: &GruSettings) -> Result<(Shape, Training), FitError> {
        let GruSettings { d, length, layers, dropout, ref training } = *settings;
        FitError::check(d > 0, "d", d, "a number above 0")?;
        FitError::check(length > 0, "length", length, "a state reads at least one item")?;
        FitError::check(layers > 0, "layers", layers, "a number above 0")?;
        FitError::check((0.0..1.0).contains(&dropout), "dropout", dropout, "a number from 0 to below 1")?;
        Ok((Shape { d, length, layers, dropout: dropout as f32 }, training.clone()))
    }

    fn new(shape: &Shape, weights: &mut Weights) -> Self {
        let d = shape.d;
        let layers = (0..shape.layers).map(|number| {
            let name = |part: &str| format!("layers.{number}.{part}");
            Layer {
                input: weights.matrix(&name("input.weight"), [d, 3 * d], Init::Xavier),
                input_bias: weights.rows(&name("input.bias"), [1, 3 * d], Init::Constant(0.0)),
                recurrent: weights.matrix(&name("recurrent.weight"), [d, 3 * d], Init::Xavier),
                recurrent_bias: weights.rows(&name("recurrent.bias"), [1, 3 * d], Init::Constant(0.0)),
            }
        });
        let layers = layers.collect();
        Self { dropout: shape.dropout, layers, out: weights.matrix("out.weight", [d, d], Init::Xavier) }
    }

    fn width_and_length(shape: &Shape) -> (usize, usize) {
        (shape.d, shape.length)
    }

    fn states(&self, tape: &mut Tape, x: Var) -> Var {
        let mut h = tape.dropout(x, self.dropout);
        for layer in &self.layers {
            let gates = tape.linear(h, layer.input, Some(layer.input_bias));
            h = tape.gru(gates, layer.recurrent, layer.recurrent_bias);
        }
        let h = tape.dropout(h, self.dropout);
        tape.linear(h, self.out, None)
    }
}
