//! Operations over the last rows of a sequence: a maximum, and filters that all columns share.
//!
//! With both, a network that reads a *window* at every step (Tang and Wang, *Personalized top-N sequential
//! recommendation via convolutional sequence embedding*, WSDM 2018) puts a sequence on the tape once, however many
//! windows overlap. Rows before the beginning of a sequence are ignored by a maximum and count as zero in a sum.

use accrue_kernel::{axpy, dot};

use super::unfold::seen;
use super::{Op, Tape, Var};
use crate::WeightId;

impl Tape<'_> {
    /// The largest element of each column among a row and the `reach - 1` rows before it, within each sequence.
    /// `x: [n, d] → [n, d]`. Among equal elements the earliest is chosen, and only that one gets the gradient.
    pub fn sliding_max(&mut self, x: Var, reach: usize) -> Var {
        assert!(reach > 0, "sliding_max: the reach is 0");
        let (rows, d) = self.shape(x);
        let (at, segments) = (self.buffers.nodes[x.0].value(), self.segments);
        let mut winners = vec![0; rows * d];
        let out = self.push(Op::SlidingMax { x }, rows, d, 0, |before, out, _, _| {
            max_forward(&before[at], segments, d, reach, out, &mut winners);
        });
        self.buffers.nodes[out.0].indices = self.keep_indices(&winners);
        out
    }

    /// Causal filters that are the same for every column: `y[t, f] = Σ_p weight[f, p] · x[t - (kernel - 1 -
    /// p)]`, one row of `d` columns per filter. `x: [n, d], weight: [filters, kernel] → [n, filters · d]`
    pub fn vertical_convolution(&mut self, x: Var, weight: WeightId) -> Var {
        let ((rows, d), [filters, kernel]) = (self.shape(x), self.weights.shape(weight));
        let (at, segments, weights) = (self.buffers.nodes[x.0].value(), self.segments, self.weights);
        self.push(Op::VerticalConvolution { x, weight }, rows, filters * d, 0, |before, out, _, _| {
            for (row, place, from) in seen(segments, kernel, 1) {
                for (filter, out) in out[row * filters * d..][..filters * d].chunks_exact_mut(d).enumerate() {
                    axpy(weights.of(weight)[filter * kernel + place], &before[at.clone()][from * d..][..d], out);
                }
            }
        })
    }
}

/// `x: [n, d] → out, winners: [n, d]`: the largest elements and the indices of their rows.
fn max_forward(x: &[f32], segments: &[usize], d: usize, reach: usize, out: &mut [f32], winners: &mut [u32]) {
    let mut first = 0;
    for &length in segments {
        for row in first..first + length {
            let (out, winners) = (&mut out[row * d..][..d], &mut winners[row * d..][..d]);
            let oldest = (row + 1).saturating_sub(reach).max(first);
            out.copy_from_slice(&x[oldest * d..][..d]);
            winners.fill(oldest as u32);
            for candidate in oldest + 1..=row {
                for ((out, winner), &x) in out.iter_mut().zip(&mut *winners).zip(&x[candidate * d..][..d]) {
                    if x > *out {
                        (*out, *winner) = (x, candidate as u32);
                    }
                }
            }
        }
        first += length;
    }
}

/// `dy: [n, filters · d] → adds to dx: [n, d] and d_weight: [filters, kernel]`. `weight` and `d_weight` have the same
/// shape.
pub(super) fn vertical_backward(
    (x, dy): (&[f32], &[f32]),
    segments: &[usize],
    [filters, kernel, d]: [usize; 3],
    weight: &[f32],
    dx: &mut [f32],
    d_weight: &mut [f32],
) {
    for (row, place, from) in seen(segments, kernel, 1) {
        for (filter, dy) in dy[row * filters * d..][..filters * d].chunks_exact(d).enumerate() {
            axpy(weight[filter * kernel + place], dy, &mut dx[from * d..][..d]);
            d_weight[filter * kernel + place] += dot(dy, &x[from * d..][..d]);
        }
    }
}
