//! Layers: operations of a weight on every row. This is the forward pass; the backward passes are in `backward.rs`.

use accrue_kernel::{Activation, Start, View, ViewMut, axpy, layer_norm, multiply};

use super::{Op, Tape, Var};
use crate::WeightId;

impl Tape<'_> {
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

    /// Scales each row to mean 0 and variance 1, then `· gain + shift`. `x: [n, d], gain, shift: [1, d] → [n, d]`
    pub fn layer_norm(&mut self, x: Var, gain: WeightId, shift: WeightId) -> Var {
        let (rows, cols) = self.shape(x);
        let weights = self.weights;
        let at = self.buffers.nodes[x.0].value();
        self.push(Op::LayerNorm { x, gain, shift }, rows, cols, 2 * rows, |before, out, statistics, _| {
            layer_norm(&before[at], weights.of(gain), weights.of(shift), statistics, out);
        })
    }

    /// Adds rows of a weight, such as positions. `x: [n, d], table: [m, d], rows: [n] below m → [n, d]`
    pub fn add_rows(&mut self, x: Var, table: WeightId, rows: &[u32]) -> Var {
        let (n, d) = self.shape(x);
        assert!(rows.len() == n && self.weights.shape(table)[1] == d, "add_rows: shapes do not match");
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
}
