//! Multi-head attention within sequences, forward and backward.
//!
//! `softmax(q·kᵀ / √d_head)·v`: Vaswani et al., *Attention is all you need* (2017). The probabilities before dropout,
//! `[length, length]` for each sequence and head, are kept for the backward pass.

use super::{Op, Scratch, Tape, Var};
use accrue_kernel::{Activation, Start, View, ViewMut, mask_in_place, multiply, softmax_backward, softmax_row};

impl Tape<'_> {
    /// Scaled dot-product attention within each sequence: Vaswani et al., *Attention is all you need* (2017).
    /// `qkv: [n, 3 d]`, the columns of queries, then keys, then values, each divided into heads `→ [n, d]`
    pub fn attention(&mut self, qkv: Var, how: Attention) -> Var {
        let (rows, width) = self.shape(qkv);
        let d = how.check(width);
        let n_probabilities = how.n_heads * self.segments.iter().map(|length| length * length).sum::<usize>();
        let (masks, scale) = self.draw(n_probabilities, how.dropout);
        let how = Attention { dropout: scale, ..how };
        let (at, mask, segments) = (self.buffers.nodes[qkv.0].value(), masks.clone(), self.segments);
        let mut scratch = std::mem::take(&mut self.buffers.scratch);
        let out = self.push(Op::Attention { qkv, how }, rows, d, n_probabilities, |before, out, kept, masks| {
            forward(&before[at], segments, how, kept, &masks[mask], out, &mut scratch);
        });
        self.buffers.scratch = scratch;
        self.buffers.nodes[out.0].masks = masks;
        out
    }
}

/// The form of an attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Number of heads; the width is a multiple of it.
    pub n_heads: usize,
    /// Whether a row attends only to itself and earlier rows.
    pub is_causal: bool,
    /// Share of the probabilities that is dropped in training.
    pub dropout: f32,
}

impl Attention {
    /// The width of the output, for an input of `width` columns.
    pub(super) fn check(self, width: usize) -> usize {
        assert!(self.n_heads > 0 && width.is_multiple_of(3 * self.n_heads), "attention: {width} columns");
        width / 3
    }
}

/// One head of one sequence.
struct Head {
    length: usize,
    width: usize,
    /// Row lengths of `qkv` and of the output.
    strides: (usize, usize),
    /// First indices of queries, keys and values in `qkv`, and of this head in the output.
    begins: ([usize; 3], usize),
    /// First index of the probabilities.
    kept: usize,
}

fn heads(segments: &[usize], n_heads: usize, d: usize) -> impl Iterator<Item = Head> {
    let width = d / n_heads;
    let (mut row, mut kept) = (0, 0);
    segments.iter().flat_map(move |&length| {
        let (first_row, first_kept) = (row, kept);
        row += length;
        kept += n_heads * length * length;
        (0..n_heads).map(move |head| {
            let begin = |part: usize| first_row * 3 * d + part * d + head * width;
            Head {
                length,
                width,
                strides: (3 * d, d),
                begins: ([begin(0), begin(1), begin(2)], first_row * d + head * width),
                kept: first_kept + head * length * length,
            }
        })
    })
}

impl Head {
    /// Queries (0), keys (1) or values (2). `[length, width]`
    fn part<'a>(&self, qkv: &'a [f32], part: usize) -> View<'a> {
        View::columns(&qkv[self.begins.0[part]..], self.length, self.width, self.strides.0)
    }

    fn part_mut<'a>(&self, qkv: &'a mut [f32], part: usize) -> ViewMut<'a> {
        ViewMut::columns(&mut qkv[self.begins.0[part]..], self.length, self.width, self.strides.0)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    fn square(&self) -> std::ops::Range<usize> {
        self.kept..self.kept + self.length * self.length
    }
}

/// `how.dropout` is the factor of the values that are not dropped. `qkv: [n, 3 d] → kept: probabilities, out: [n, d]`
pub(super) fn forward(
    qkv: &[f32],
    segments: &[usize],
    how: Attention,
    kept: &mut [f32],
    mask: &[u8],
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let d = out.len() / segments.iter().sum::<usize>().max(1);
    for head in heads(segments, how.n_heads, d) {
        let n = head.length;
        let p = &mut kept[head.square()];
        scratch.packed.pack(head.part(qkv, 1).transposed());
        let scores = ViewMut::new(p, n, n);
        multiply(head.part(qkv, 0), &scratch.packed, Start::Zero, Activation::Identity, scores);
        for (row, p) in p.chunks_exact_mut(n).enumerate() {
            let (seen, hidden) = p.split_at_mut(if how.is_causal { row + 1 } else { n });
            softmax_row(head.scale(), seen);
            hidden.fill(0.0);
        }
        let p = dropped(p, mask, &head, how, &mut scratch.floats);
        scratch.packed.pack(head.part(qkv, 2));
        let out = ViewMut::columns(&mut out[head.begins.1..], n, head.width, head.strides.1);
        multiply(View::new(p, n, n), &scratch.packed, Start::Zero, Activation::Identity, out);
    }
}

/// The probabilities after dropout.
fn dropped<'a>(p: &'a [f32], mask: &[u8], head: &Head, how: Attention, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    if mask.is_empty() {
        return p;
    }
    buffer.clear();
    buffer.extend_from_slice(p);
    mask_in_place(&mask[head.square()], how.dropout, buffer);
    buffer
}

/// `dy: [n, d], buffer: the length of the probabilities → adds to dx: [n, 3 d]`
#[allow(clippy::too_many_arguments)]
pub(super) fn backward(
    qkv: &[f32],
    segments: &[usize],
    how: Attention,
    kept: &[f32],
    mask: &[u8],
    dy: &[f32],
    buffer: &mut [f32],
    dx: &mut [f32],
    scratch: &mut Scratch,
) {
    let d = dy.len() / segments.iter().sum::<usize>().max(1);
    let add = |a: View, packed: &_, out: ViewMut| multiply(a, packed, Start::Output, Activation::Identity, out);
    for head in heads(segments, how.n_heads, d) {
        let n = head.length;
        let dy = View::columns(&dy[head.begins.1..], n, head.width, head.strides.1);
        let p = &kept[head.square()];
        // Values: dv += pᵀ·dy, with the probabilities after dropout.
        scratch.packed.pack(dy);
        let used = dropped(p, mask, &head, how, &mut scratch.floats);
        add(View::new(used, n, n).transposed(), &scratch.packed, head.part_mut(dx, 2));
        // Probabilities: dp = dy·vᵀ, through dropout, then through the softmax.
        let dp = &mut buffer[head.square()];
        scratch.packed.pack(head.part(qkv, 2).transposed());
        multiply(dy, &scratch.packed, Start::Zero, Activation::Identity, ViewMut::new(dp, n, n));
        if !mask.is_empty() {
            mask_in_place(&mask[head.square()], how.dropout, dp);
        }
        for (row, (p, dp)) in p.chunks_exact(n).zip(dp.chunks_exact_mut(n)).enumerate() {
            let (seen, hidden) = dp.split_at_mut(if how.is_causal { row + 1 } else { n });
            softmax_backward(head.scale(), &p[..seen.len()], seen);
            hidden.fill(0.0);
        }
        // Queries: dq += ds·k; keys: dk += dsᵀ·q.
        let ds = View::new(dp, n, n);
        scratch.packed.pack(head.part(qkv, 1));
        add(ds, &scratch.packed, head.part_mut(dx, 0));
        scratch.packed.pack(head.part(qkv, 0));
        add(ds.transposed(), &scratch.packed, head.part_mut(dx, 1));
    }
}
