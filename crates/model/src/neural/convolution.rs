//! Dilated causal convolutions over a history.
//!
//! Yuan, Karatzoglou, Arapakis, Jose and He, *A simple convolutional generative network for next item recommendation*
//! (NextItNet, WSDM 2019): residual blocks of two convolutions, the second with twice the dilation of the first, each
//! with layer normalisation and a rectifier. Each block reads four times as far back as the one before.

use accrue_tensor::{Activation, Init, Tape, Var, WeightId, Weights};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::settings::Training;
use crate::collaborative::FitError;

/// Size of the network and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConvolutionSettings {
    /// Width of vectors and states.
    pub d: usize,
    /// Items of a history that the network reads.
    pub length: usize,
    /// Residual blocks.
    pub blocks: usize,
    /// Rows that one convolution reads.
    pub kernel: usize,
    /// Share of values dropped after the items and after each block.
    pub dropout: f64,
    /// Settings of the training.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for ConvolutionSettings {
    fn default() -> Self {
        Self { d: 64, length: 50, blocks: 2, kernel: 3, dropout: 0.3, training: Training::default() }
    }
}

/// The sizes that the layers are built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    d: usize,
    length: usize,
    blocks: usize,
    kernel: usize,
    dropout: f32,
}

/// The layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    shape: Shape,
    blocks: Vec<[Layer; 2]>,
    out: WeightId,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    weight: WeightId,
    bias: WeightId,
    gain: WeightId,
    shift: WeightId,
}

impl Network for Convolution {
    type Settings = ConvolutionSettings;
    type Shape = Shape;

    fn plan(settings: &ConvolutionSettings) -> Result<(Shape, Training), FitError> {
        let ConvolutionSettings { d, length, blocks, kernel, dropout, ref training } = *settings;
        FitError::check(d > 0, "d", d, "a number above 0")?;
        FitError::check(length > 0, "length", length, "a state reads at least one item")?;
        FitError::check((1..=12).contains(&blocks), "blocks", blocks, "1 to 12 blocks are expected")?;
        FitError::check(kernel > 0, "kernel", kernel, "a number above 0")?;
        FitError::check((0.0..1.0).contains(&dropout), "dropout", dropout, "a number from 0 to below 1")?;
        Ok((Shape { d, length, blocks, kernel, dropout: dropout as f32 }, training.clone()))
    }

    fn new(shape: &Shape, weights: &mut Weights) -> Self {
        let &Shape { d, kernel, .. } = shape;
        let mut layer = |name: &str| Layer {
            weight: weights.matrix(&format!("{name}.weight"), [kernel * d, d], Init::Xavier),
            bias: weights.rows(&format!("{name}.bias"), [1, d], Init::Constant(0.0)),
            gain: weights.rows(&format!("{name}.gain"), [1, d], Init::Constant(1.0)),
            shift: weights.rows(&format!("{name}.shift"), [1, d], Init::Constant(0.0)),
        };
        let mut block = |number: usize| ["first", "second"].map(|part| layer(&format!("blocks.{number}.{part}")));
        let blocks = (0..shape.blocks).map(&mut block).collect();
        Self { shape: shape.clone(), blocks, out: weights.matrix("out.weight", [d, d], Init::Xavier) }
    }

    fn width_and_length(shape: &Shape) -> (usize, usize) {
        (shape.d, shape.length)
    }

    fn states(&self, tape: &mut Tape, x: Var) -> Var {
        let &Shape { kernel, dropout, .. } = &self.shape;
        let mut h = tape.dropout(x, dropout);
        for (number, layers) in self.blocks.iter().enumerate() {
            let mut inner = h;
            for (layer, dilation) in layers.iter().zip([1, 2]) {
                inner = tape.convolution(inner, layer.weight, layer.bias, kernel, dilation << (2 * number));
                inner = tape.layer_norm(inner, layer.gain, layer.shift);
                inner = tape.activate(inner, Activation::Relu, 0.0);
            }
            h = tape.add_dropped(h, inner, dropout);
        }
        tape.linear(h, self.out, None)
    }
}
