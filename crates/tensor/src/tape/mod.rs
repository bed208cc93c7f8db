//! The tape: a forward pass writes down what it does, the backward pass reads it from the end.
//!
//! In: leaves (rows given from outside), [`Weights`], and calls, one for each coarse operation. Out: values, and after
//! [`Tape::backward`] the gradients of leaves and weights. Values are rows, `[n, d]`; several sequences lie one after the
//! other and `segments` has their lengths: operations that look along a sequence stay within it, so there is no padding.
//! Refuses: shapes that do not fit (panics: they are mistakes of a model's file, not of data), threads.
//!
//! All values of a tape lie in one buffer, all gradients in another, kept from tape to tape: a step allocates nothing once
//! the buffers have grown. Dropout masks are functions of a key, never of a generator's state.

mod attention;
mod gru;
mod sliding;
mod unfold;

#[cfg(test)]
mod tests;

use crate::{Activation, WeightId, Weights};
use accrue_kernel::{
    Draws, Packed, Start, View, ViewMut, add_masked, add_product, add_row_sums, axpy, dot, draw_mask, gelu_backward,
    gelu_in_place, layer_norm, layer_norm_backward, mask_in_place, multiply, relu_backward, relu_in_place,
    sigmoid_backward, sigmoid_in_place, tanh_backward, tanh_in_place,
};
use std::ops::Range;

pub use attention::Attention;

/// Rows on a tape: `[n, d]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// Whether a tape drops values.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Nothing is dropped; no gradient will be asked for.
    Predict,
    /// Masks are drawn from these draws, in the order of the calls.
    Train(Draws),
}

/// What a tape writes into, kept from tape to tape.
#[derive(Debug, Default)]
pub struct Buffers {
    nodes: Vec<Node>,
    values: Vec<f32>,
    gradients: Vec<f32>,
    masks: Vec<u8>,
    indices: Vec<u32>,
    scratch: Scratch,
}

/// Room for what lives within one operation.
#[derive(Debug, Default)]
struct Scratch {
    packed: Packed,
    floats: Vec<f32>,
}

#[derive(Debug)]
struct Node {
    op: Op,
    rows: usize,
    cols: usize,
    /// Where the value begins in both buffers.
    begin: usize,
    /// What the operation keeps for its backward pass lies behind the value.
    n_kept: usize,
    masks: Range<usize>,
    indices: Range<usize>,
}

impl Node {
    fn value(&self) -> Range<usize> {
        self.begin..self.begin + self.rows * self.cols
    }

    fn kept(&self) -> Range<usize> {
        let end = self.value().end;
        end..end + self.n_kept
    }
}

/// All that a tape can do.
#[derive(Clone, Copy, Debug)]
enum Op {
    Leaf,
    Linear { x: Var, weight: WeightId, bias: Option<WeightId> },
    LayerNorm { x: Var, gain: WeightId, shift: WeightId },
    AddRows { x: Var, table: WeightId },
    Add { x: Var, y: Var, scale: f32 },
    Dropout { x: Var, scale: f32 },
    Activate { x: Var, activation: Activation, scale: f32 },
    Sigmoid { x: Var },
    Tanh { x: Var },
    Product { x: Var, y: Var },
    Concat { x: Var, y: Var },
    RowDots { x: Var, y: Var },
    Select { x: Var },
    Attention { qkv: Var, how: Attention },
    Gru { gates: Var, weight: WeightId, bias: WeightId },
    Unfold { x: Var, kernel: usize, dilation: usize },
    MaxOverSegments { x: Var },
    SlidingMax { x: Var },
    VerticalConvolution { x: Var, weight: WeightId },
}

/// One forward pass, and then its backward pass.
///
/// ```
/// use accrue_tensor::{Buffers, Init, Mode, Tape, Weights};
/// let mut weights = Weights::new(1);
/// let layer = weights.matrix("layer", [2, 1], Init::Constant(0.5));
/// let mut buffers = Buffers::default();
/// let mut tape = Tape::new(&mut buffers, &weights, &[1], Mode::Predict);
/// let x = tape.leaf(1, 2, |x| x.copy_from_slice(&[3.0, 5.0]));
/// let y = tape.linear(x, layer, None);
/// assert_eq!(tape.value(y), [4.0]);
/// // y grows by ½ with each of the inputs, and by the inputs with the weights.
/// tape.gradient_mut(y).fill(1.0);
/// let mut gradient = vec![0.0; weights.values().len()];
/// tape.backward(&mut gradient);
/// assert_eq!(tape.gradient(x), [0.5, 0.5]);
/// assert_eq!(gradient, [3.0, 5.0]);
/// ```
#[derive(Debug)]
pub struct Tape<'a> {
    weights: &'a Weights,
    buffers: &'a mut Buffers,
    segments: &'a [usize],
    draws: Option<Draws>,
}

impl<'a> Tape<'a> {
    /// An empty tape for rows of these sequences, one after the other. `segments`: their lengths.
    pub fn new(buffers: &'a mut Buffers, weights: &'a Weights, segments: &'a [usize], mode: Mode) -> Self {
        buffers.nodes.clear();
        buffers.values.clear();
        buffers.gradients.clear();
        buffers.masks.clear();
        buffers.indices.clear();
        let draws = match mode {
            Mode::Predict => None,
            Mode::Train(draws) => Some(draws),
        };
        Self { weights, buffers, segments, draws }
    }

    /// Lengths of the sequences.
    pub fn segments(&self) -> &'a [usize] {
        self.segments
    }

    /// The last row of each sequence.
    pub fn last_rows(&self) -> Vec<u32> {
        let ends = self.segments.iter().scan(0, |end, &length| {
            *end += length;
            Some(*end)
        });
        ends.map(|end| end as u32 - 1).collect()
    }

    /// Rows and columns.
    pub fn shape(&self, x: Var) -> (usize, usize) {
        let node = &self.buffers.nodes[x.0];
        (node.rows, node.cols)
    }

    /// The numbers, row by row.
    pub fn value(&self, x: Var) -> &[f32] {
        &self.buffers.values[self.buffers.nodes[x.0].value()]
    }

    /// The gradient, after [`backward`](Self::backward).
    pub fn gradient(&self, x: Var) -> &[f32] {
        &self.buffers.gradients[self.buffers.nodes[x.0].value()]
    }

    /// The gradient before [`backward`](Self::backward), for a loss to write its slopes into; 0 where nobody writes.
    pub fn gradient_mut(&mut self, x: Var) -> &mut [f32] {
        self.buffers.gradients.resize(self.buffers.values.len(), 0.0);
        let range = self.buffers.nodes[x.0].value();
        &mut self.buffers.gradients[range]
    }

    /// Rows from outside: `fill` writes them. `→ [rows, cols]`
    pub fn leaf(&mut self, rows: usize, cols: usize, fill: impl FnOnce(&mut [f32])) -> Var {
        self.push(Op::Leaf, rows, cols, 0, |_, out, _, _| fill(out))
    }

    /// `x·W + b`. `x: [n, inputs], W: [inputs, outputs], b: [1, outputs] → [n, outputs]`
    pub fn linear(&mut self, x: Var, weight: WeightId, bias: Option<WeightId>) -> Var {
        let ((rows, inputs), [k, outputs]) = (self.shape(x), self.weights.shape(weight));
        assert_eq!(inputs, k, "linear: [{rows}, {inputs}]·[{k}, {outputs}]");
        let weights = self.weights;
        let at = self.buffers.nodes[x.0].value();
        self.push(Op::Linear { x, weight, bias }, rows, outputs, 0, |before, out, _, _| {
            let start = bias.map_or(Start::Zero, |bias| Start::Bias(weights.of(bias)));
            let x = View::new(&before[at], rows, inputs);
            multiply(x, weights.packed(weight), start, Activation::Identity, ViewMut::new(out, rows, outputs));
        })
    }

    /// Each row to mean 0 and variance 1, then `· gain + shift`. `x: [n, d], gain, shift: [1, d] → [n, d]`
    pub fn layer_norm(&mut self, x: Var, gain: WeightId, shift: WeightId) -> Var {
        let (rows, cols) = self.shape(x);
        let weights = self.weights;
        let at = self.buffers.nodes[x.0].value();
        self.push(Op::LayerNorm { x, gain, shift }, rows, cols, 2 * rows, |before, out, statistics, _| {
            layer_norm(&before[at], weights.of(gain), weights.of(shift), statistics, out);
        })
    }

    /// Adds rows of a weight: positions. `x: [n, d], table: [m, d], rows: [n] below m → [n, d]`
    pub fn add_rows(&mut self, x: Var, table: WeightId, rows: &[u32]) -> Var {
        let (n, d) = self.shape(x);
        assert!(rows.len() == n && self.weights.shape(table)[1] == d, "add_rows: shapes do not fit");
        let weights = self.weights;
        let at = self.buffers.nodes[x.0].value();
        let indices = self.keep_indices(rows);
        let out = self.push(Op::AddRows { x, table }, n, d, 0, |before, out, _, _| {
            out.copy_from_slice(&before[at]);
            for (out, &row) in out.chunks_exact_mut(d).zip(rows) {
                axpy(1.0, &weights.of(table)[row as usize * d..][..d], out);
            }
        });
        self.buffers.nodes[out.0].indices = indices;
        out
    }

    /// `x + y`. `x, y: [n, d] → [n, d]`
    pub fn add(&mut self, x: Var, y: Var) -> Var {
        self.add_dropped(x, y, 0.0)
    }

    /// `x + dropout(y)`: a residual. `x, y: [n, d] → [n, d]`
    pub fn add_dropped(&mut self, x: Var, y: Var, rate: f32) -> Var {
        let (rows, cols) = self.shape(x);
        assert_eq!(self.shape(y), (rows, cols), "add: shapes differ");
        let (masks, scale) = self.draw(rows * cols, rate);
        let (x_at, y_at, mask) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value(), masks.clone());
        let out = self.push(Op::Add { x, y, scale }, rows, cols, 0, |before, out, _, masks| {
            out.copy_from_slice(&before[x_at]);
            match mask.is_empty() {
                true => axpy(1.0, &before[y_at], out),
                false => add_masked(&before[y_at], &masks[mask], scale, out),
            }
        });
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// Each element is 0 with probability `rate`, else divided by what is left. `x: [n, d] → [n, d]`
    /// Srivastava et al., *Dropout* (2014).
    pub fn dropout(&mut self, x: Var, rate: f32) -> Var {
        let (rows, cols) = self.shape(x);
        let (masks, scale) = self.draw(rows * cols, rate);
        if masks.is_empty() {
            return x;
        }
        let (at, mask) = (self.buffers.nodes[x.0].value(), masks.clone());
        let out = self.push(Op::Dropout { x, scale }, rows, cols, 0, |before, out, _, masks| {
            out.copy_from_slice(&before[at]);
            mask_in_place(&masks[mask], scale, out);
        });
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// An activation, then dropout. `x: [n, d] → [n, d]`
    pub fn activate(&mut self, x: Var, activation: Activation, rate: f32) -> Var {
        let (rows, cols) = self.shape(x);
        let (masks, scale) = self.draw(rows * cols, rate);
        let (at, mask) = (self.buffers.nodes[x.0].value(), masks.clone());
        let out = self.push(Op::Activate { x, activation, scale }, rows, cols, 0, |before, out, _, masks| {
            out.copy_from_slice(&before[at]);
            match activation {
                Activation::Identity => {}
                Activation::Relu => relu_in_place(out),
                Activation::Gelu => gelu_in_place(out),
            }
            if !mask.is_empty() {
                mask_in_place(&masks[mask], scale, out);
            }
        });
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// `1 / (1 + e⁻ˣ)`. `x: [n, d] → [n, d]`
    pub fn sigmoid(&mut self, x: Var) -> Var {
        self.map(Op::Sigmoid { x }, x, sigmoid_in_place)
    }

    /// Hyperbolic tangent. `x: [n, d] → [n, d]`
    pub fn tanh(&mut self, x: Var) -> Var {
        self.map(Op::Tanh { x }, x, tanh_in_place)
    }

    /// `x · y`, element by element. `x, y: [n, d] → [n, d]`
    pub fn product(&mut self, x: Var, y: Var) -> Var {
        let (rows, cols) = self.shape(x);
        assert_eq!(self.shape(y), (rows, cols), "product: shapes differ");
        let (x_at, y_at) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value());
        self.push(Op::Product { x, y }, rows, cols, 0, |before, out, _, _| {
            add_product(&before[x_at], &before[y_at], out);
        })
    }

    /// Columns of both, side by side. `x: [n, a], y: [n, b] → [n, a + b]`
    pub fn concat(&mut self, x: Var, y: Var) -> Var {
        let ((rows, a), (rows_y, b)) = (self.shape(x), self.shape(y));
        assert_eq!(rows, rows_y, "concat: rows differ");
        let (x_at, y_at) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value());
        self.push(Op::Concat { x, y }, rows, a + b, 0, |before, out, _, _| {
            let parts = before[x_at].chunks_exact(a).zip(before[y_at].chunks_exact(b));
            for (out, (x, y)) in out.chunks_exact_mut(a + b).zip(parts) {
                out[..a].copy_from_slice(x);
                out[a..].copy_from_slice(y);
            }
        })
    }

    /// The dot product of each row of `x` with the same row of `y`. `x, y: [n, d] → [n, 1]`
    pub fn row_dots(&mut self, x: Var, y: Var) -> Var {
        let (rows, d) = self.shape(x);
        assert_eq!(self.shape(y), (rows, d), "row_dots: shapes differ");
        let (x_at, y_at) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value());
        self.push(Op::RowDots { x, y }, rows, 1, 0, |before, out, _, _| {
            let pairs = before[x_at].chunks_exact(d).zip(before[y_at].chunks_exact(d));
            for (out, (x, y)) in out.iter_mut().zip(pairs) {
                *out = dot(x, y);
            }
        })
    }

    /// Some rows, in this order; a row may be chosen again. `x: [n, d], rows: [m] below n → [m, d]`
    pub fn select(&mut self, x: Var, rows: &[u32]) -> Var {
        let (_, d) = self.shape(x);
        let at = self.buffers.nodes[x.0].value();
        let indices = self.keep_indices(rows);
        let out = self.push(Op::Select { x }, rows.len(), d, 0, |before, out, _, _| {
            let x = &before[at];
            for (out, &row) in out.chunks_exact_mut(d).zip(rows) {
                out.copy_from_slice(&x[row as usize * d..][..d]);
            }
        });
        self.buffers.nodes[out.0].indices = indices;
        out
    }

    /// Scaled dot-product attention within each sequence: Vaswani et al., *Attention is all you need* (2017).
    /// `qkv: [n, 3 d]`, queries, keys and values side by side, each with its heads side by side `→ [n, d]`
    pub fn attention(&mut self, qkv: Var, how: Attention) -> Var {
        let (rows, width) = self.shape(qkv);
        let d = how.check(width);
        let n_probabilities = how.n_heads * self.segments.iter().map(|length| length * length).sum::<usize>();
        let (masks, scale) = self.draw(n_probabilities, how.dropout);
        let how = Attention { dropout: scale, ..how };
        let (at, mask, segments) = (self.buffers.nodes[qkv.0].value(), masks.clone(), self.segments);
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        let out = self.push(Op::Attention { qkv, how }, rows, d, n_probabilities, |before, out, kept, masks| {
            attention::forward(&before[at], segments, how, kept, &masks[mask], out, &mut scratch);
        });
        self.buffers.scratch = scratch;
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// Gated recurrent units along each sequence: Cho et al. (2014), in the form of cuDNN.
    /// `gates: [n, 3 d]` (inputs times their weights: reset, update, candidate), `weight: [d, 3 d], bias: [1, 3 d] → [n, d]`
    pub fn gru(&mut self, gates: Var, weight: WeightId, bias: WeightId) -> Var {
        let (rows, width) = self.shape(gates);
        let d = width / 3;
        assert_eq!(self.weights.shape(weight), [d, 3 * d], "gru: weights do not fit");
        let (at, segments, weights) = (self.buffers.nodes[gates.0].value(), self.segments, self.weights);
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        let op = Op::Gru { gates, weight, bias };
        let out = self.push(op, rows, d, rows * gru::n_kept(d), |before, out, kept, _| {
            gru::forward(&before[at], segments, (weights.packed(weight), weights.of(bias)), kept, out, &mut scratch);
        });
        self.buffers.scratch = scratch;
        out
    }

    /// A causal convolution along each sequence: row `t` sees rows `t, t - dilation, …, t - (kernel - 1) · dilation`.
    /// `x: [n, d], weight: [kernel · d, outputs], bias: [1, outputs] → [n, outputs]`
    pub fn convolution(&mut self, x: Var, weight: WeightId, bias: WeightId, kernel: usize, dilation: usize) -> Var {
        let unfolded = self.unfold(x, kernel, dilation);
        self.linear(unfolded, weight, Some(bias))
    }

    /// What a causal convolution sees, oldest first; zeros before a sequence begins. `x: [n, d] → [n, kernel · d]`
    pub fn unfold(&mut self, x: Var, kernel: usize, dilation: usize) -> Var {
        let (rows, d) = self.shape(x);
        let (at, segments) = (self.buffers.nodes[x.0].value(), self.segments);
        self.push(Op::Unfold { x, kernel, dilation }, rows, kernel * d, 0, |before, out, _, _| {
            unfold::forward(&before[at], segments, d, kernel, dilation, out);
        })
    }

    /// The largest element of each column within each sequence. `x: [n, d] → [n_segments, d]`
    pub fn max_over_segments(&mut self, x: Var) -> Var {
        let (_, d) = self.shape(x);
        let (at, segments) = (self.buffers.nodes[x.0].value(), self.segments);
        let mut winners = vec![0; segments.len() * d];
        let out = self.push(Op::MaxOverSegments { x }, segments.len(), d, 0, |before, out, _, _| {
            unfold::max_over_segments(&before[at], segments, d, out, &mut winners);
        });
        self.buffers.nodes[out.0].indices = self.keep_indices(&winners);
        out
    }

    fn map(&mut self, op: Op, x: Var, in_place: impl FnOnce(&mut [f32])) -> Var {
        let (rows, cols) = self.shape(x);
        let at = self.buffers.nodes[x.0].value();
        self.push(op, rows, cols, 0, |before, out, _, _| {
            out.copy_from_slice(&before[at]);
            in_place(out);
        })
    }

    /// Writes a node down. `compute` gets all earlier values, the zeroed output, the zeroed room it keeps, all masks.
    fn push(
        &mut self,
        op: Op,
        rows: usize,
        cols: usize,
        n_kept: usize,
        compute: impl FnOnce(&[f32], &mut [f32], &mut [f32], &[u8]),
    ) -> Var {
        let buffers = &mut *self.buffers;
        let begin = buffers.values.len();
        buffers.values.resize(begin + rows * cols + n_kept, 0.0);
        let (before, new) = buffers.values.split_at_mut(begin);
        let (out, kept) = new.split_at_mut(rows * cols);
        compute(before, out, kept, &buffers.masks);
        buffers.nodes.push(Node { op, rows, cols, begin, n_kept, masks: 0..0, indices: 0..0 });
        Var(buffers.nodes.len() - 1)
    }

    /// Draws a mask and says by how much what is left grows. No mask where nothing is dropped.
    fn draw(&mut self, n: usize, rate: f32) -> (Range<usize>, f32) {
        let Some(draws) = self.draws.as_mut().filter(|_| rate > 0.0) else { return (0..0, 1.0) };
        let masks = &mut self.buffers.masks;
        let range = masks.len()..masks.len() + n;
        masks.resize(range.end, 0);
        draw_mask(draws, rate, &mut masks[range.clone()]);
        (range, 1.0 / (1.0 - rate))
    }

    fn keep_indices(&mut self, indices: &[u32]) -> Range<usize> {
        let begin = self.buffers.indices.len();
        self.buffers.indices.extend_from_slice(indices);
        begin..begin + indices.len()
    }

    /// The backward pass: from the slopes written by [`gradient_mut`](Self::gradient_mut) to the gradients of all leaves,
    /// and adds those of the weights to `gradient`, which is as long as [`Weights::values`].
    ///
    /// # Panics
    /// If `gradient` has another length.
    pub fn backward(&mut self, gradient: &mut [f32]) {
        assert_eq!(gradient.len(), self.weights.values().len(), "backward: a gradient for each weight");
        let Buffers { nodes, values, gradients, masks, indices, scratch } = &mut *self.buffers;
        gradients.resize(values.len(), 0.0);
        for index in (0..nodes.len()).rev() {
            let node = &nodes[index];
            // Inputs lie before the node, so their gradients can be written while its own is read.
            let (before, own) = gradients.split_at_mut(node.begin);
            let (dy, kept_room) = own.split_at_mut(node.rows * node.cols);
            let step = Backward {
                weights: self.weights,
                segments: self.segments,
                nodes,
                values,
                node,
                dy,
                mask: &masks[node.masks.clone()],
                indices: &indices[node.indices.clone()],
            };
            step.run(before, &mut kept_room[..node.n_kept], gradient, scratch);
        }
    }
}

/// One node's backward pass.
struct Backward<'a> {
    weights: &'a Weights,
    segments: &'a [usize],
    nodes: &'a [Node],
    values: &'a [f32],
    node: &'a Node,
    /// The gradient of the node's value.
    dy: &'a [f32],
    mask: &'a [u8],
    indices: &'a [u32],
}

impl Backward<'_> {
    fn at(&self, x: Var) -> Range<usize> {
        self.nodes[x.0].value()
    }

    /// `gradients`: of all earlier nodes. `room`: as long as what the node kept. `weights`: gradients of all weights.
    fn run(&self, gradients: &mut [f32], room: &mut [f32], weights: &mut [f32], scratch: &mut Scratch) {
        let (dy, values, y) = (self.dy, self.values, &self.values[self.node.value()]);
        let d = self.node.cols;
        match self.node.op {
            Op::Leaf => {}
            Op::Linear { x, weight, bias } => self.linear(x, weight, bias, gradients, weights, scratch),
            Op::LayerNorm { x, gain, shift } => {
                let x = self.at(x);
                let (gain_at, shift_at) = (self.weights.range(gain), self.weights.range(shift));
                let [d_gain, d_shift] = weights.get_disjoint_mut([gain_at, shift_at]).expect("two weights");
                let statistics = &values[self.node.kept()];
                let gain = self.weights.of(gain);
                layer_norm_backward(&values[x.clone()], gain, statistics, dy, &mut gradients[x], d_gain, d_shift);
            }
            Op::AddRows { x, table } => {
                axpy(1.0, dy, &mut gradients[self.at(x)]);
                let table = &mut weights[self.weights.range(table)];
                for (dy, &row) in dy.chunks_exact(d).zip(self.indices) {
                    axpy(1.0, dy, &mut table[row as usize * d..][..d]);
                }
            }
            Op::Add { x, y, scale } => {
                axpy(1.0, dy, &mut gradients[self.at(x)]);
                match self.mask.is_empty() {
                    true => axpy(1.0, dy, &mut gradients[self.at(y)]),
                    false => add_masked(dy, self.mask, scale, &mut gradients[self.at(y)]),
                }
            }
            Op::Dropout { x, scale } => add_masked(dy, self.mask, scale, &mut gradients[self.at(x)]),
            Op::Activate { x, activation, scale } => {
                let at = self.at(x);
                let dy = match self.mask.is_empty() {
                    true => dy,
                    false => {
                        scratch.floats.clear();
                        scratch.floats.extend_from_slice(dy);
                        mask_in_place(self.mask, scale, &mut scratch.floats);
                        &scratch.floats
                    }
                };
                match activation {
                    Activation::Identity => axpy(1.0, dy, &mut gradients[at]),
                    // Where the input was not above 0 the slope is 0; the mask is in `dy` already.
                    Activation::Relu => relu_backward(&values[at.clone()], dy, &mut gradients[at]),
                    Activation::Gelu => gelu_backward(&values[at.clone()], dy, &mut gradients[at]),
                }
            }
            Op::Sigmoid { x } => sigmoid_backward(y, dy, &mut gradients[self.at(x)]),
            Op::Tanh { x } => tanh_backward(y, dy, &mut gradients[self.at(x)]),
            Op::Product { x, y } => {
                add_product(dy, &values[self.at(y)], &mut gradients[self.at(x)]);
                add_product(dy, &values[self.at(x)], &mut gradients[self.at(y)]);
            }
            Op::Concat { x, y } => {
                let mut first = 0;
                for part in [x, y] {
                    let width = self.nodes[part.0].cols;
                    for (dy, dx) in dy.chunks_exact(d).zip(gradients[self.at(part)].chunks_exact_mut(width)) {
                        axpy(1.0, &dy[first..first + width], dx);
                    }
                    first += width;
                }
            }
            Op::RowDots { x, y } => {
                let width = self.nodes[x.0].cols;
                for (to, from) in [(x, y), (y, x)] {
                    let from = values[self.at(from)].chunks_exact(width);
                    for ((&dy, from), to) in dy.iter().zip(from).zip(gradients[self.at(to)].chunks_exact_mut(width)) {
                        axpy(dy, from, to);
                    }
                }
            }
            Op::Select { x } => {
                let dx = &mut gradients[self.at(x)];
                for (dy, &row) in dy.chunks_exact(d).zip(self.indices) {
                    axpy(1.0, dy, &mut dx[row as usize * d..][..d]);
                }
            }
            Op::Attention { qkv, how } => {
                let (at, kept) = (self.at(qkv), &values[self.node.kept()]);
                let dx = &mut gradients[at.clone()];
                attention::backward(&values[at], self.segments, how, kept, self.mask, dy, room, dx, scratch);
            }
            Op::Gru { gates, weight, bias } => {
                let layer = gru::Layer {
                    transpose: self.weights.packed_transpose(weight),
                    weight: self.weights.range(weight),
                    bias: self.weights.range(bias),
                };
                let kept = &values[self.node.kept()];
                gru::backward(y, self.segments, &layer, kept, dy, &mut gradients[self.at(gates)], weights, scratch);
            }
            Op::Unfold { x, kernel, dilation } => {
                let dx = &mut gradients[self.at(x)];
                unfold::backward(dy, self.segments, d / kernel, kernel, dilation, dx);
            }
            Op::VerticalConvolution { x, weight } => {
                let (at, [filters, kernel]) = (self.at(x), self.weights.shape(weight));
                let d_weight = &mut weights[self.weights.range(weight)];
                let shape = [filters, kernel, d / filters];
                let given = (&values[at.clone()], dy);
                let of = self.weights.of(weight);
                sliding::vertical_backward(given, self.segments, shape, of, &mut gradients[at], d_weight);
            }
            Op::MaxOverSegments { x } | Op::SlidingMax { x } => {
                let dx = &mut gradients[self.at(x)];
                for (place, (&dy, &row)) in dy.iter().zip(self.indices).enumerate() {
                    dx[row as usize * d + place % d] += dy;
                }
            }
        }
    }

    /// `dx += dy·Wᵀ`, `dW += xᵀ·dy`, `db += Σ dy`.
    fn linear(
        &self,
        x: Var,
        weight: WeightId,
        bias: Option<WeightId>,
        gradients: &mut [f32],
        weights: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (rows, [inputs, outputs]) = (self.node.rows, self.weights.shape(weight));
        let at = self.at(x);
        scratch.packed.pack(View::new(self.dy, rows, outputs));
        let x = View::new(&self.values[at.clone()], rows, inputs).transposed();
        let dw = ViewMut::new(&mut weights[self.weights.range(weight)], inputs, outputs);
        multiply(x, &scratch.packed, Start::Output, Activation::Identity, dw);
        let dy = View::new(self.dy, rows, outputs);
        let dx = ViewMut::new(&mut gradients[at], rows, inputs);
        multiply(dy, self.weights.packed_transpose(weight), Start::Output, Activation::Identity, dx);
        if let Some(bias) = bias {
            add_row_sums(self.dy, &mut weights[self.weights.range(bias)]);
        }
    }
}
