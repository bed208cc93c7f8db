//! The backward pass: reads the tape from its end, with one match arm per operation.
//!
//! In: the tape and the derivatives of a loss. Out: the gradients of leaves and weights, added to their current values.
//! An operation whose backward pass needs more than a few lines has it beside its forward pass, in its own file.

use std::ops::Range;

use accrue_kernel::{
    Activation, Start, View, ViewMut, add_masked, add_product, add_row_sums, axpy, gelu_backward, layer_norm_backward,
    mask_in_place, multiply, relu_backward, sigmoid_backward, tanh_backward,
};

use super::{Buffers, Node, Op, Scratch, Tape, Var, attention, gru, interactions, sliding, unfold};
use crate::{WeightId, Weights};

impl Tape<'_> {
    /// Computes the gradients of all leaves from the slopes that were written by [`gradient_mut`](Self::gradient_mut),
    /// and adds the gradients of the weights to `gradient`, which is as long as [`Weights::values`].
    ///
    /// # Panics
    /// If `gradient` has another length.
    pub fn backward(&mut self, gradient: &mut [f32]) {
        assert_eq!(gradient.len(), self.weights.values().len(), "backward: not one gradient per weight");
        let Buffers { nodes, values, gradients, masks, indices, scratch } = &mut *self.buffers;
        gradients.resize(values.len(), 0.0);
        for index in (0..nodes.len()).rev() {
            let node = &nodes[index];
            // Inputs are before the node, so their gradients can be written while the node's own is read.
            let (before, own) = gradients.split_at_mut(node.begin);
            let (dy, buffer) = own.split_at_mut(node.rows * node.cols);
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
            step.run(before, &mut buffer[..node.n_kept], gradient, scratch);
        }
    }
}

/// The backward pass of one node.
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

    /// `gradients` are those of all earlier nodes, `buffer` is as long as what the node kept, `weights` are the gradients
    /// of all weights.
    fn run(&self, gradients: &mut [f32], buffer: &mut [f32], weights: &mut [f32], scratch: &mut Scratch) {
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
                    // Where the input was not above 0 the slope is 0; `dy` is already masked.
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
            Op::PairProducts { x } => {
                let (at, sums) = (self.at(x), &values[self.node.kept()]);
                let width = self.nodes[x.0].cols;
                let x = (&values[at.clone()], width);
                interactions::pair_products_backward(x, sums, (dy, d), &mut gradients[at]);
            }
            Op::Columns { x, first } => {
                let width = self.nodes[x.0].cols;
                interactions::columns_backward(dy, d, first, width, &mut gradients[self.at(x)]);
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
                attention::backward(&values[at], self.segments, how, kept, self.mask, dy, buffer, dx, scratch);
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
