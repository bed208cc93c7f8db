//! The forward pass of a BERT-family network.
//!
//! In: token ids of several texts. Out: one vector for each text, pooled over its tokens and divided by its norm. Texts
//! stand one behind the other without padding: every product runs over the tokens of all of them, attention over the
//! tokens of each. An element of a product does not depend on the rows beside it, so a text has the same bits alone and
//! among others.

use accrue_kernel::{
    Activation, Packed, Start, View, ViewMut, axpy, multiply, normalise_rows, scale, softmax_row, squared_norm,
};

use crate::EncodeError;
use crate::folder::{Between, Plan, Pooling};
use crate::weights::{Table, WeightFile};

/// A matrix that states are multiplied by, and what is added to the product.
#[derive(Debug)]
struct Linear {
    weight: Packed,
    bias: Vec<f32>,
}

/// Gain and shift of a normalisation.
#[derive(Debug)]
struct Norm {
    gain: Vec<f32>,
    shift: Vec<f32>,
}

#[derive(Debug)]
struct Layer {
    /// To queries, keys and values, side by side.
    qkv: Linear,
    mixed: Linear,
    mixed_norm: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

/// A network with its weights.
#[derive(Debug)]
pub(crate) struct Bert {
    width: usize,
    n_heads: usize,
    inner: usize,
    variance_floor: f32,
    activation: Activation,
    pooling: Pooling,
    first_position: usize,
    words: Table,
    /// Positions, each with the type of the first text added: `[positions, width]`.
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

/// Memory of a forward pass, kept by each thread from one pass to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    states: Vec<f32>,
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    wide: Vec<f32>,
    scores: Vec<f32>,
    keys: Packed,
    values: Packed,
}

impl Bert {
    /// Reads the weights of a plan.
    pub fn read(plan: &Plan, file: &mut WeightFile) -> Result<Self, EncodeError> {
        let d = plan.width;
        let words = file.table("embeddings.word_embeddings.weight", [plan.n_words, d])?;
        let mut positions = file.floats("embeddings.position_embeddings.weight", &[plan.n_positions, d])?;
        let types = file.floats("embeddings.token_type_embeddings.weight", &[plan.n_types, d])?;
        positions.chunks_exact_mut(d).for_each(|position| axpy(1.0, &types[..d], position));
        Ok(Self {
            width: d,
            n_heads: plan.n_heads,
            inner: plan.inner,
            variance_floor: plan.variance_floor,
            activation: match plan.between {
                Between::Gelu => Activation::Gelu,
                Between::Relu => Activation::Relu,
            },
            pooling: plan.pooling,
            first_position: plan.first_position,
            words,
            positions,
            norm: Norm::read(file, "embeddings.LayerNorm", d)?,
            layers: (0..plan.n_layers).map(|layer| Layer::read(plan, file, layer)).collect::<Result<_, _>>()?,
        })
    }

    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vectors of texts, each with norm 1. `texts`: token ids, at least one a text and each with a row in the
    /// table of words `→ [texts, width]`
    pub fn vectors(&self, texts: &[&[u32]], scratch: &mut Scratch) -> Result<Vec<Vec<f32>>, EncodeError> {
        self.embed(texts, &mut scratch.states);
        for layer in &self.layers {
            self.apply(layer, texts, scratch);
        }
        let mut first = 0;
        let pooled = texts.iter().map(|ids| {
            let states = &scratch.states[first * self.width..][..ids.len() * self.width];
            first += ids.len();
            self.pool(states).ok_or(EncodeError::NoVector { tokens: ids.len() })
        });
        pooled.collect()
    }

    /// Writes the sums of the embeddings of words, positions and types, normalised. `states: [tokens, width]`
    fn embed(&self, texts: &[&[u32]], states: &mut Vec<f32>) {
        let d = self.width;
        states.resize(texts.iter().map(|ids| ids.len()).sum::<usize>() * d, 0.0);
        let tokens = texts.iter().flat_map(|ids| ids.iter().enumerate());
        for ((place, &id), state) in tokens.zip(states.chunks_exact_mut(d)) {
            self.words.copy_row(id as usize, state);
            axpy(1.0, &self.positions[(self.first_position + place) * d..][..d], state);
        }
        self.norm.apply(self.variance_floor, states);
    }

    /// Replaces the states by those after a layer.
    fn apply(&self, layer: &Layer, texts: &[&[u32]], scratch: &mut Scratch) {
        let d = self.width;
        let n = scratch.states.len() / d;
        for (buffer, columns) in [(&mut scratch.qkv, 3 * d), (&mut scratch.mixed, d), (&mut scratch.wide, self.inner)] {
            buffer.resize(n * columns, 0.0);
        }
        layer.qkv.apply(&scratch.states, Activation::Identity, &mut scratch.qkv);
        self.attend(texts, scratch);
        layer.mixed.add(&scratch.mixed, &mut scratch.states);
        layer.mixed_norm.apply(self.variance_floor, &mut scratch.states);
        layer.up.apply(&scratch.states, self.activation, &mut scratch.wide);
        layer.down.add(&scratch.wide, &mut scratch.states);
        layer.norm.apply(self.variance_floor, &mut scratch.states);
    }

    /// Multi-head attention within each text: `softmax(q·kᵀ / √width)·v`. `qkv: [tokens, 3 width] → mixed: [tokens,
    /// width]`
    fn attend(&self, texts: &[&[u32]], Scratch { qkv, mixed, scores, keys, values, .. }: &mut Scratch) {
        let (d, width) = (self.width, self.width / self.n_heads);
        let factor = 1.0 / (width as f32).sqrt();
        let mut first = 0;
        for n in texts.iter().map(|ids| ids.len()) {
            scores.resize(n * n, 0.0);
            for head in 0..self.n_heads {
                let begin = first * 3 * d + head * width;
                let part = |part: usize| View::columns(&qkv[begin + part * d..], n, width, 3 * d);
                keys.pack(part(1).transposed());
                values.pack(part(2));
                multiply(part(0), keys, Start::Zero, Activation::Identity, ViewMut::new(scores, n, n));
                scores.chunks_exact_mut(n).for_each(|row| {
                    softmax_row(factor, row);
                });
                let out = ViewMut::columns(&mut mixed[first * d + head * width..], n, width, d);
                multiply(View::new(scores, n, n), values, Start::Zero, Activation::Identity, out);
            }
            first += n;
        }
    }

    /// One vector of norm 1 from the states of a text; `None` if they are not finite, or all 0. `states: [tokens,
    /// width]`
    fn pool(&self, states: &[f32]) -> Option<Vec<f32>> {
        let mut vector = vec![0.0; self.width];
        match self.pooling {
            Pooling::First => vector.copy_from_slice(&states[..self.width]),
            // The division by the number of tokens is part of the division by the norm.
            Pooling::Mean => states.chunks_exact(self.width).for_each(|state| axpy(1.0, state, &mut vector)),
        }
        let norm = squared_norm(&vector).sqrt();
        if !(norm.is_finite() && norm > 0.0) {
            return None;
        }
        scale(1.0 / norm, &mut vector);
        Some(vector)
    }
}

impl Linear {
    fn read(file: &mut WeightFile, name: &str, inputs: usize, outputs: usize) -> Result<Self, EncodeError> {
        let weight = file.floats(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = file.floats(&format!("{name}.bias"), &[outputs])?;
        Ok(Self { weight: Packed::of(View::new(&weight, outputs, inputs).transposed()), bias })
    }

    /// Several matrices of the same inputs, side by side.
    fn beside(file: &mut WeightFile, names: &[String], inputs: usize, outputs: usize) -> Result<Self, EncodeError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.extend(file.floats(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(file.floats(&format!("{name}.bias"), &[outputs])?);
        }
        let view = View::new(&weight, outputs * names.len(), inputs);
        Ok(Self { weight: Packed::of(view.transposed()), bias })
    }

    /// `out = activation(x·w + bias)`. `x: [n, inputs] → out: [n, outputs]`
    fn apply(&self, x: &[f32], activation: Activation, out: &mut [f32]) {
        let (n, outputs) = (out.len() / self.bias.len(), self.bias.len());
        let x = View::new(x, n, x.len() / n);
        multiply(x, &self.weight, Start::Bias(&self.bias), activation, ViewMut::new(out, n, outputs));
    }

    /// `out += x·w + bias`. `x: [n, inputs] → out: [n, outputs]`
    fn add(&self, x: &[f32], out: &mut [f32]) {
        let (n, outputs) = (out.len() / self.bias.len(), self.bias.len());
        out.chunks_exact_mut(outputs).for_each(|row| axpy(1.0, &self.bias, row));
        let x = View::new(x, n, x.len() / n);
        multiply(x, &self.weight, Start::Output, Activation::Identity, ViewMut::new(out, n, outputs));
    }
}

impl Norm {
    fn read(file: &mut WeightFile, name: &str, width: usize) -> Result<Self, EncodeError> {
        let gain = file.floats(&format!("{name}.weight"), &[width])?;
        Ok(Self { gain, shift: file.floats(&format!("{name}.bias"), &[width])? })
    }

    fn apply(&self, variance_floor: f32, states: &mut [f32]) {
        normalise_rows(variance_floor, &self.gain, &self.shift, states);
    }
}

impl Layer {
    fn read(plan: &Plan, file: &mut WeightFile, layer: usize) -> Result<Self, EncodeError> {
        let (d, name) = (plan.width, format!("encoder.layer.{layer}"));
        let attention = format!("{name}.attention");
        let qkv = ["query", "key", "value"].map(|part| format!("{attention}.self.{part}"));
        Ok(Self {
            qkv: Linear::beside(file, &qkv, d, d)?,
            mixed: Linear::read(file, &format!("{attention}.output.dense"), d, d)?,
            mixed_norm: Norm::read(file, &format!("{attention}.output.LayerNorm"), d)?,
            up: Linear::read(file, &format!("{name}.intermediate.dense"), d, plan.inner)?,
            down: Linear::read(file, &format!("{name}.output.dense"), plan.inner, d)?,
            norm: Norm::read(file, &format!("{name}.output.LayerNorm"), d)?,
        })
    }
}
