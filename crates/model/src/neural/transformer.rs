//! A causal Transformer over a history.
//!
//! Kang and McAuley, *Self-attentive sequential recommendation* (ICDM 2018), with layer normalisation before each part
//! and GELU inside, as later Transformers have them, and with a cross-entropy over all items as the default objective:
//!
//! ```text
//! h = dropout(item + position)
//! h = h + dropout(attention(norm(h)))        blocks times
//! h = h + dropout(W₂ gelu(W₁ norm(h)))
//! state = norm(h)                            score = state · item
//! ```

use accrue_tensor::{Activation, Attention, Init, Tape, Var, WeightId, Weights};
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::settings::Training;
use crate::collaborative::FitError;

/// Size of the network and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransformerSettings {
    /// Width of vectors and states.
    pub d: usize,
    /// Items of a history that the network reads.
    pub length: usize,
    /// Blocks of attention and feed-forward.
    pub blocks: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Width inside the feed-forward parts.
    pub hidden: usize,
    /// Share of values dropped after each part.
    pub dropout: f64,
    /// Share of attention dropped.
    pub attention_dropout: f64,
    /// Settings of the training.
    #[serde(flatten)]
    pub training: Training,
}

impl Default for TransformerSettings {
    fn default() -> Self {
        let (dropout, attention_dropout) = (0.3, 0.1);
        Self {
            d: 64,
            length: 50,
            blocks: 2,
            heads: 2,
            hidden: 256,
            dropout,
            attention_dropout,
            training: Training::default(),
        }
    }
}

/// The sizes that the layers are built from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    d: usize,
    length: usize,
    blocks: usize,
    heads: usize,
    hidden: usize,
    dropout: f32,
    attention_dropout: f32,
}

/// The layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    shape: Shape,
    positions: WeightId,
    blocks: Vec<Block>,
    norm: Norm,
}

#[derive(Clone, Debug, PartialEq)]
struct Block {
    norm: Norm,
    qkv: Linear,
    out: Linear,
    second_norm: Norm,
    widen: Linear,
    narrow: Linear,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Norm {
    gain: WeightId,
    shift: WeightId,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Linear {
    weight: WeightId,
    bias: WeightId,
}

impl Norm {
    fn new(weights: &mut Weights, name: &str, d: usize) -> Self {
        let gain = weights.rows(&format!("{name}.gain"), [1, d], Init::Constant(1.0));
        Self { gain, shift: weights.rows(&format!("{name}.shift"), [1, d], Init::Constant(0.0)) }
    }

    fn on(self, tape: &mut Tape, x: Var) -> Var {
        tape.layer_norm(x, self.gain, self.shift)
    }
}

impl Linear {
    fn new(weights: &mut Weights, name: &str, shape: [usize; 2]) -> Self {
        let weight = weights.matrix(&format!("{name}.weight"), shape, Init::Xavier);
        Self { weight, bias: weights.rows(&format!("{name}.bias"), [1, shape[1]], Init::Constant(0.0)) }
    }

    fn on(self, tape: &mut Tape, x: Var) -> Var {
        tape.linear(x, self.weight, Some(self.bias))
    }
}

impl Network for Transformer {
    type Settings = TransformerSettings;
    type Shape = Shape;

    fn plan(settings: &TransformerSettings) -> Result<(Shape, Training), FitError> {
        let TransformerSettings { d, length, blocks, heads, hidden, dropout, attention_dropout, ref training } =
            *settings;
        let share = "a number from 0 to below 1";
        FitError::check(heads > 0 && d > 0 && d.is_multiple_of(heads), "d", d, "a multiple of heads")?;
        FitError::check(length > 0, "length", length, "a state reads at least one item")?;
        FitError::check(hidden > 0, "hidden", hidden, "a number above 0")?;
        FitError::check((0.0..1.0).contains(&dropout), "dropout", dropout, share)?;
        FitError::check((0.0..1.0).contains(&attention_dropout), "attention_dropout", attention_dropout, share)?;
        let (dropout, attention_dropout) = (dropout as f32, attention_dropout as f32);
        Ok((Shape { d, length, blocks, heads, hidden, dropout, attention_dropout }, training.clone()))
    }

    fn new(shape: &Shape, weights: &mut Weights) -> Self {
        let &Shape { d, length, hidden, .. } = shape;
        let positions = weights.rows("positions", [length, d], Init::Normal { deviation: 0.02 });
        let blocks = (0..shape.blocks).map(|number| {
            let name = |part: &str| format!("blocks.{number}.{part}");
            Block {
                norm: Norm::new(weights, &name("attention.norm"), d),
                qkv: Linear::new(weights, &name("attention.qkv"), [d, 3 * d]),
                out: Linear::new(weights, &name("attention.out"), [d, d]),
                second_norm: Norm::new(weights, &name("feed_forward.norm"), d),
                widen: Linear::new(weights, &name("feed_forward.widen"), [d, hidden]),
                narrow: Linear::new(weights, &name("feed_forward.narrow"), [hidden, d]),
            }
        });
        let blocks = blocks.collect();
        Self { shape: shape.clone(), positions, blocks, norm: Norm::new(weights, "norm", d) }
    }

    fn width_and_length(shape: &Shape) -> (usize, usize) {
        (shape.d, shape.length)
    }

    fn states(&self, tape: &mut Tape, x: Var) -> Var {
        let &Shape { heads, dropout, attention_dropout, .. } = &self.shape;
        let positions: Vec<u32> = tape.segments().iter().flat_map(|&length| 0..length as u32).collect();
        let h = tape.add_rows(x, self.positions, &positions);
        let mut h = tape.dropout(h, dropout);
        for block in &self.blocks {
            let a = block.norm.on(tape, h);
            let qkv = block.qkv.on(tape, a);
            let a = tape.attention(qkv, Attention { n_heads: heads, is_causal: true, dropout: attention_dropout });
            let a = block.out.on(tape, a);
            h = tape.add_dropped(h, a, dropout);

            let f = block.second_norm.on(tape, h);
            let f = block.widen.on(tape, f);
            let f = tape.activate(f, Activation::Gelu, dropout);
            let f = block.narrow.on(tape, f);
            h = tape.add_dropped(h, f, dropout);
        }
        self.norm.on(tape, h)
    }
}
