//! Gated recurrent units over sequences, forward and backward.
//!
//! ```text
//! r = σ(x_r + h·W_r + b_r)    z = σ(x_z + h·W_z + b_z)    c = tanh(x_c + r ∘ (h·W_c + b_c))    h' = (1 - z) ∘ c + z ∘ h
//! ```
//! Cho et al., *Learning phrase representations using RNN encoder–decoder* (2014), with the reset gate after the
//! product, as in cuDNN and torch. Step `t` of all sequences that are long enough is one product. Kept per row:
//! `r, z, c` and `h·W_c + b_c`.

use super::{Op, Scratch, Tape, Var};
use crate::WeightId;
use accrue_kernel::{Activation, Packed, Start, View, ViewMut, add_row_sums, multiply, sigmoid, tanh};
use std::ops::Range;

impl Tape<'_> {
    /// Gated recurrent units along each sequence: Cho et al. (2014), in the form of cuDNN.
    /// `gates: [n, 3 d]` (inputs times their weights: reset, update, candidate), `weight: [d, 3 d], bias: [1, 3 d] → [n, d]`
    pub fn gru(&mut self, gates: Var, weight: WeightId, bias: WeightId) -> Var {
        let (rows, width) = self.shape(gates);
        let d = width / 3;
        assert_eq!(self.weights.shape(weight), [d, 3 * d], "gru: the weight has another shape");
        let (at, segments, weights) = (self.buffers.nodes[gates.0].value(), self.segments, self.weights);
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        let op = Op::Gru { gates, weight, bias };
        let out = self.push(op, rows, d, rows * n_kept(d), |before, out, kept, _| {
            forward(&before[at], segments, (weights.packed(weight), weights.of(bias)), kept, out, &mut scratch);
        });
        self.buffers.scratch = scratch;
        out
    }
}

/// Number of values kept per row.
pub(super) fn n_kept(d: usize) -> usize {
    4 * d
}

/// The rows of step `t`, one for each sequence that is long enough.
fn active(segments: &[usize], t: usize) -> impl Iterator<Item = usize> {
    let mut first = 0;
    segments.iter().filter_map(move |&length| {
        let row = first + t;
        first += length;
        (t < length).then_some(row)
    })
}

/// `gates: [n, 3 d] → kept: [n, 4 d], out: [n, d]`. `weight: [d, 3 d]` packed, `bias: [3 d]`.
pub(super) fn forward(
    gates: &[f32],
    segments: &[usize],
    (weight, bias): (&Packed, &[f32]),
    kept: &mut [f32],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let d = bias.len() / 3;
    for t in 0..segments.iter().copied().max().unwrap_or(0) {
        let rows: Vec<usize> = active(segments, t).collect();
        let n = rows.len();
        scratch.floats.clear();
        scratch.floats.resize(n * 4 * d, 0.0);
        let (hidden, through) = scratch.floats.split_at_mut(n * d);
        if t > 0 {
            for (hidden, &row) in hidden.chunks_exact_mut(d).zip(&rows) {
                hidden.copy_from_slice(&out[(row - 1) * d..][..d]);
            }
        }
        let through_view = ViewMut::new(through, n, 3 * d);
        multiply(View::new(hidden, n, d), weight, Start::Bias(bias), Activation::Identity, through_view);
        for ((&row, hidden), through) in rows.iter().zip(hidden.chunks_exact(d)).zip(through.chunks_exact(3 * d)) {
            let (x, kept) = (&gates[row * 3 * d..][..3 * d], &mut kept[row * 4 * d..][..4 * d]);
            let out = &mut out[row * d..][..d];
            for i in 0..d {
                let r = sigmoid(x[i] + through[i]);
                let z = sigmoid(x[d + i] + through[d + i]);
                let candidate = through[2 * d + i];
                let c = tanh(x[2 * d + i] + r * candidate);
                out[i] = (1.0 - z) * c + z * hidden[i];
                (kept[i], kept[d + i], kept[2 * d + i], kept[3 * d + i]) = (r, z, c, candidate);
            }
        }
    }
}

/// The recurrent weights, and the ranges of their gradients.
pub(super) struct Layer<'a> {
    pub(super) transpose: &'a Packed,
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

/// `y, dy: [n, d] → adds to d_gates: [n, 3 d] and to the weights' gradients`
#[allow(clippy::too_many_arguments)]
pub(super) fn backward(
    y: &[f32],
    segments: &[usize],
    layer: &Layer,
    kept: &[f32],
    dy: &[f32],
    d_gates: &mut [f32],
    weights: &mut [f32],
    scratch: &mut Scratch,
) {
    let d = layer.bias.len() / 3;
    let n_rows = y.len() / d;
    // The gradients of each row's output and of its recurrent product `h·W + b`.
    let mut dh = dy.to_vec();
    let mut d_through = vec![0.0; n_rows * 3 * d];
    for t in (0..segments.iter().copied().max().unwrap_or(0)).rev() {
        let rows: Vec<usize> = active(segments, t).collect();
        let n = rows.len();
        scratch.floats.clear();
        scratch.floats.resize(n * 4 * d, 0.0);
        let (back, through) = scratch.floats.split_at_mut(n * d);
        for ((&row, back), through) in rows.iter().zip(back.chunks_exact_mut(d)).zip(through.chunks_exact_mut(3 * d)) {
            let kept = &kept[row * 4 * d..][..4 * d];
            let (dx, dh) = (&mut d_gates[row * 3 * d..][..3 * d], &dh[row * d..][..d]);
            for i in 0..d {
                let (r, z, c, candidate) = (kept[i], kept[d + i], kept[2 * d + i], kept[3 * d + i]);
                let before = if t > 0 { y[(row - 1) * d + i] } else { 0.0 };
                let d_c = dh[i] * (1.0 - z) * (1.0 - c * c);
                let d_z = dh[i] * (before - c) * z * (1.0 - z);
                let d_r = d_c * candidate * r * (1.0 - r);
                dx[i] += d_r;
                dx[d + i] += d_z;
                dx[2 * d + i] += d_c;
                (through[i], through[d + i], through[2 * d + i]) = (d_r, d_z, d_c * r);
                back[i] = dh[i] * z;
            }
            d_through[row * 3 * d..][..3 * d].copy_from_slice(through);
        }
        if t > 0 {
            let out = ViewMut::new(back, n, d);
            multiply(View::new(through, n, 3 * d), layer.transpose, Start::Output, Activation::Identity, out);
            for (&row, back) in rows.iter().zip(back.chunks_exact(d)) {
                accrue_kernel::axpy(1.0, back, &mut dh[(row - 1) * d..][..d]);
            }
        }
    }
    // The hidden state of a row is the output of the row before, and zero at the beginning of a sequence.
    let mut hidden = vec![0.0; n_rows * d];
    let mut first = 0;
    for &length in segments {
        let run = first * d..(first + length.saturating_sub(1)) * d;
        hidden[run.start + d.min(length * d)..][..run.len()].copy_from_slice(&y[run]);
        first += length;
    }
    scratch.packed.pack(View::new(&d_through, n_rows, 3 * d));
    let dw = ViewMut::new(&mut weights[layer.weight.clone()], d, 3 * d);
    let hidden = View::new(&hidden, n_rows, d).transposed();
    multiply(hidden, &scratch.packed, Start::Output, Activation::Identity, dw);
    add_row_sums(&d_through, &mut weights[layer.bias.clone()]);
}
