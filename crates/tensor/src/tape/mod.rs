//! The tape: a forward pass records its operations, the backward pass reads them from the end.
//!
//! In: leaves (rows from outside), [`Weights`], and one call per coarse operation. Out: values, and after
//! [`Tape::backward`] the gradients of leaves and weights. Values are rows, `[n, d]`. Several sequences are stored one
//! after the other, and `segments` holds their lengths; operations along a sequence stay within it, so no padding is
//! needed. Shapes that do not match cause a panic, because they are errors in a model's code and not in data. A tape
//! uses one thread.
//!
//! One buffer holds all values of a tape and another all gradients. Both are reused from tape to tape, so that a step
//! allocates nothing once the buffers have grown. Dropout masks are functions of a key and not of a generator's state.

mod attention;
mod backward;
mod elementwise;
mod gru;
mod interactions;
mod layers;
mod rows;
mod sliding;
mod unfold;

#[cfg(test)]
mod tests;

use crate::{Activation, WeightId, Weights};
use accrue_kernel::{Draws, Packed, draw_mask};
use std::ops::Range;

pub use attention::Attention;

/// Rows on a tape: `[n, d]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var(usize);

/// Whether dropout is applied.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Nothing is dropped, and no gradient will be computed.
    Predict,
    /// Masks are drawn from these draws, in the order of calls.
    Train(Draws),
}

/// The memory of a tape, reused from tape to tape.
#[derive(Debug, Default)]
pub struct Buffers {
    nodes: Vec<Node>,
    values: Vec<f32>,
    gradients: Vec<f32>,
    masks: Vec<u8>,
    indices: Vec<u32>,
    scratch: Scratch,
}

/// Memory that is used within one operation.
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
    /// First index of the value in both buffers.
    begin: usize,
    /// Number of values that the operation keeps for its backward pass; they follow the value.
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

/// All operations of a tape.
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
    PairProducts { x: Var },
    Columns { x: Var, first: usize },
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
/// // The derivative of y by each input is ½, and by each weight the input.
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
    /// An empty tape for rows of consecutive sequences. `segments` holds their lengths.
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

    /// The lengths of the sequences.
    pub fn segments(&self) -> &'a [usize] {
        self.segments
    }

    /// The index of the last row of each sequence.
    pub fn last_rows(&self) -> Vec<u32> {
        let ends = self.segments.iter().scan(0, |end, &length| {
            *end += length;
            Some(*end)
        });
        ends.map(|end| end as u32 - 1).collect()
    }

    /// The numbers of rows and columns.
    pub fn shape(&self, x: Var) -> (usize, usize) {
        let node = &self.buffers.nodes[x.0];
        (node.rows, node.cols)
    }

    /// The value, row by row.
    pub fn value(&self, x: Var) -> &[f32] {
        &self.buffers.values[self.buffers.nodes[x.0].value()]
    }

    /// The gradient, after [`backward`](Self::backward).
    pub fn gradient(&self, x: Var) -> &[f32] {
        &self.buffers.gradients[self.buffers.nodes[x.0].value()]
    }

    /// The gradient before [`backward`](Self::backward), into which a loss writes its slopes; 0 elsewhere.
    pub fn gradient_mut(&mut self, x: Var) -> &mut [f32] {
        self.buffers.gradients.resize(self.buffers.values.len(), 0.0);
        let range = self.buffers.nodes[x.0].value();
        &mut self.buffers.gradients[range]
    }

    /// Adds rows from outside, which `fill` writes. `→ [rows, cols]`
    pub fn leaf(&mut self, rows: usize, cols: usize, fill: impl FnOnce(&mut [f32])) -> Var {
        self.push(Op::Leaf, rows, cols, 0, |_, out, _, _| fill(out))
    }

    /// Records a node. `compute` gets all earlier values, the zeroed output, the zeroed values to keep, and all masks.
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

    /// Draws a mask and returns the factor of the values that are not dropped. The mask is empty where nothing is
    /// dropped.
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
}
