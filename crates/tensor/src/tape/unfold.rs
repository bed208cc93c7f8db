//! Causal convolution, and pooling over sequences.

use accrue_kernel::axpy;

use super::{Op, Tape, Var};
use crate::WeightId;

impl Tape<'_> {
    /// A causal convolution along each sequence: row `t` depends on rows `t, t - dilation, …, t - (kernel - 1) ·
    /// dilation`.
    /// `x: [n, d], weight: [kernel · d, outputs], bias: [1, outputs] → [n, outputs]`
    pub fn convolution(&mut self, x: Var, weight: WeightId, bias: WeightId, kernel: usize, dilation: usize) -> Var {
        let unfolded = self.unfold(x, kernel, dilation);
        self.linear(unfolded, weight, Some(bias))
    }

    /// The inputs of a causal convolution, oldest first; zeros before a sequence begins. `x: [n, d] → [n, kernel · d]`
    pub fn unfold(&mut self, x: Var, kernel: usize, dilation: usize) -> Var {
        let (rows, d) = self.shape(x);
        let (at, segments) = (self.buffers.nodes[x.0].value(), self.segments);
        self.push(Op::Unfold { x, kernel, dilation }, rows, kernel * d, 0, |before, out, _, _| {
            forward(&before[at], segments, d, kernel, dilation, out);
        })
    }
}

/// `(output row, position in the kernel, input row)` of each pair; the last position is the row itself.
pub(super) fn seen(segments: &[usize], kernel: usize, dilation: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut first = 0;
    segments.iter().flat_map(move |&length| {
        let begin = first;
        first += length;
        (0..length).flat_map(move |t| {
            (0..kernel).filter_map(move |place| {
                let back = (kernel - 1 - place) * dilation;
                (back <= t).then(|| (begin + t, place, begin + t - back))
            })
        })
    })
}

/// `x: [n, d] → out: [n, kernel · d]`, zero where a sequence has no such row.
pub(super) fn forward(x: &[f32], segments: &[usize], d: usize, kernel: usize, dilation: usize, out: &mut [f32]) {
    for (row, place, from) in seen(segments, kernel, dilation) {
        out[(row * kernel + place) * d..][..d].copy_from_slice(&x[from * d..][..d]);
    }
}

/// `dy: [n, kernel · d] → adds to dx: [n, d]`
pub(super) fn backward(dy: &[f32], segments: &[usize], d: usize, kernel: usize, dilation: usize, dx: &mut [f32]) {
    for (row, place, from) in seen(segments, kernel, dilation) {
        axpy(1.0, &dy[(row * kernel + place) * d..][..d], &mut dx[from * d..][..d]);
    }
}

/// `x: [n, d] → out, winners: [n_segments, d]`; among equal elements the first is chosen.
pub(super) fn max_over_segments(x: &[f32], segments: &[usize], d: usize, out: &mut [f32], winners: &mut [u32]) {
    let mut first = 0;
    for ((&length, out), winners) in segments.iter().zip(out.chunks_exact_mut(d)).zip(winners.chunks_exact_mut(d)) {
        assert!(length > 0, "max_over_segments: a sequence is empty");
        out.copy_from_slice(&x[first * d..][..d]);
        winners.fill(first as u32);
        for row in first + 1..first + length {
            for (i, &x) in x[row * d..][..d].iter().enumerate() {
                if x > out[i] {
                    (out[i], winners[i]) = (x, row as u32);
                }
            }
        }
        first += length;
    }
}
