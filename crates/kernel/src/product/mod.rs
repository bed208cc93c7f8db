//! Matrix products: `A·B`, `A·Bᵀ`, `Aᵀ·B`, with bias, residual and activation fused in.
//!
//! In: views of row-major f32 matrices; the right operand is packed into panels of 64 columns. Out: a matrix in which
//! each element is one chain of fused multiply-adds over the inner dimension, in order. The chain does not depend on
//! the tile that the element falls into, so the scalar, AVX2 and AVX-512 versions return the same bits. The chain
//! starts from zero, from the bias, or from what the output held (a residual, or a gradient accumulated so far); the
//! activation is applied last. Shapes that do not match cause a panic. A product uses one thread: at the sizes of this
//! program threads inside one product cost more than they save, so callers run whole products in parallel.
//!
//! The tiling follows Goto and van de Geijn, *Anatomy of high-performance matrix multiplication* (2008). While the loop runs over
//! the inner dimension, a tile of 6 × 64 accumulators stays in registers, a block of one panel of `B` in the first-level
//! cache, and a block of the output in the second-level cache.

mod tile;

use crate::InstructionSet;
use crate::instruction_set::Supported;

/// Columns per panel.
const PANEL: usize = 64;
/// Floats per cache line.
const LINE: usize = 16;

/// A matrix in a slice, row by row: `[n_rows, n_cols]`, rows `stride` floats apart; or the transpose of such a matrix.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    n_rows: usize,
    n_cols: usize,
    /// Distance in floats between adjacent rows, then between adjacent columns.
    strides: (usize, usize),
}

impl<'a> View<'a> {
    /// The whole slice. `data: [n_rows, n_cols]`.
    ///
    /// # Panics
    /// If the slice has another length.
    pub fn new(data: &'a [f32], n_rows: usize, n_cols: usize) -> Self {
        assert_eq!(Some(data.len()), n_rows.checked_mul(n_cols), "view: the slice is not [{n_rows}, {n_cols}]");
        Self { data, n_rows, n_cols, strides: (n_cols, 1) }
    }

    /// Some columns of a wider matrix: the slice begins at the first of them; the rows are `stride` floats apart.
    ///
    /// # Panics
    /// If the slice ends before the last row does, or a row is longer than the stride.
    pub fn columns(data: &'a [f32], n_rows: usize, n_cols: usize, stride: usize) -> Self {
        check_columns(data.len(), n_rows, n_cols, stride);
        Self { data, n_rows, n_cols, strides: (stride, 1) }
    }

    /// The transposed matrix, without moving data.
    #[must_use]
    pub fn transposed(self) -> Self {
        let (down, right) = self.strides;
        Self { data: self.data, n_rows: self.n_cols, n_cols: self.n_rows, strides: (right, down) }
    }
}

/// The output of a product: `[n_rows, n_cols]`, rows `stride` floats apart.
#[derive(Debug)]
pub struct ViewMut<'a> {
    data: &'a mut [f32],
    n_rows: usize,
    n_cols: usize,
    stride: usize,
}

impl<'a> ViewMut<'a> {
    /// The whole slice. `data: [n_rows, n_cols]`.
    ///
    /// # Panics
    /// If the slice has another length.
    pub fn new(data: &'a mut [f32], n_rows: usize, n_cols: usize) -> Self {
        assert_eq!(Some(data.len()), n_rows.checked_mul(n_cols), "view: the slice is not [{n_rows}, {n_cols}]");
        Self { data, n_rows, n_cols, stride: n_cols }
    }

    /// Some columns of a wider matrix: the slice begins at the first of them; the rows are `stride` floats apart.
    ///
    /// # Panics
    /// If the slice ends before the last row does, or a row is longer than the stride.
    pub fn columns(data: &'a mut [f32], n_rows: usize, n_cols: usize, stride: usize) -> Self {
        check_columns(data.len(), n_rows, n_cols, stride);
        Self { data, n_rows, n_cols, stride }
    }
}

fn check_columns(len: usize, n_rows: usize, n_cols: usize, stride: usize) {
    assert!(n_cols <= stride, "view: {n_cols} columns in rows of {stride}");
    let end =
        if n_rows == 0 { Some(0) } else { (n_rows - 1).checked_mul(stride).and_then(|at| at.checked_add(n_cols)) };
    assert!(end.is_some_and(|end| end <= len), "view: [{n_rows}, {n_cols}] by {stride} ends after the slice");
}

/// The right operand of a product, `[k, n]`, in panels of 64 columns: `[⌈n / 64⌉, k, 64]`, padded with zeros.
///
/// Weights are packed once and multiplied with many times; packing another matrix reuses the buffer.
///
/// ```
/// use accrue_kernel::{Packed, Start, Activation, View, ViewMut, multiply};
/// // Two shoppers with three features each, and weights from the features to two outputs.
/// let (shoppers, weights) = ([1.0, 0.0, 2.0, 0.0, 1.0, 1.0], [0.5, 1.0, 2.0, 0.0, -1.0, 3.0]);
/// let packed = Packed::of(View::new(&weights, 3, 2));
/// let mut out = [0.0; 4];
/// let bias = [0.25, -10.0];
/// multiply(View::new(&shoppers, 2, 3), &packed, Start::Bias(&bias), Activation::Relu, ViewMut::new(&mut out, 2, 2));
/// assert_eq!(out, [0.0, 0.0, 1.25, 0.0]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Packed {
    k: usize,
    n: usize,
    buffer: Vec<f32>,
    /// Index of the first panel in the buffer: at the start of a cache line, so that no load of 16 floats crosses a
    /// line.
    begin: usize,
}

impl Packed {
    /// Packs a matrix. `b: [k, n]`.
    pub fn of(b: View) -> Self {
        let mut packed = Self::default();
        packed.pack(b);
        packed
    }

    /// Packs another matrix into the same buffer. `b: [k, n]`; a transposed view packs the transpose.
    pub fn pack(&mut self, b: View) {
        let (k, n) = (b.n_rows, b.n_cols);
        (self.k, self.n) = (k, n);
        self.buffer.resize(k * n.div_ceil(PANEL) * PANEL + LINE - 1, 0.0);
        let begin = self.buffer.as_ptr().align_offset(LINE * size_of::<f32>());
        self.begin = if begin < LINE { begin } else { 0 };
        if k == 0 {
            return;
        }
        let (down, right) = b.strides;
        for (panel, first) in self.buffer[self.begin..].chunks_exact_mut(k * PANEL).zip((0..n).step_by(PANEL)) {
            let width = PANEL.min(n - first);
            if right == 1 {
                for (row, packed) in panel.chunks_exact_mut(PANEL).enumerate() {
                    packed[..width].copy_from_slice(&b.data[row * down + first..][..width]);
                    packed[width..].fill(0.0);
                }
            } else {
                pack_columns(&b.data[first * right..], (down, right), width, panel);
            }
        }
    }

    /// `[⌈n / 64⌉, k, 64]`
    #[inline(always)]
    fn panels(&self) -> &[f32] {
        &self.buffer[self.begin..][..self.k * self.n.div_ceil(PANEL) * PANEL]
    }

    /// Rows of the matrix: the inner dimension of a product with it.
    pub fn n_rows(&self) -> usize {
        self.k
    }

    /// Columns of the matrix, and of a product with it.
    pub fn n_cols(&self) -> usize {
        self.n
    }
}

/// Packs `width` columns that start `right` floats apart; within a column, elements are `down` floats apart.
fn pack_columns(data: &[f32], (down, right): (usize, usize), width: usize, panel: &mut [f32]) {
    // Eight rows of the panel at a time: each column contributes eight adjacent floats, so each cache line is read
    // once.
    const RUN: usize = 8;
    let k = panel.len() / PANEL;
    for (block, rows) in panel.chunks_mut(RUN * PANEL).enumerate() {
        let n_rows = rows.len() / PANEL;
        if width < PANEL {
            rows.fill(0.0);
        }
        for column in 0..width {
            let from = column * right + block * RUN * down;
            if down == 1 && n_rows == RUN {
                let run: &[f32; RUN] = data[from..].first_chunk().expect("the view ends after its last column");
                for (row, &x) in run.iter().enumerate() {
                    rows[row * PANEL + column] = x;
                }
            } else {
                for row in 0..n_rows {
                    rows[row * PANEL + column] = data[from + row * down];
                }
            }
        }
    }
    debug_assert_eq!(k * PANEL, panel.len());
}

/// The value that an element's chain of multiply-adds starts from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Zero: the plain product.
    Zero,
    /// One number per column. `[n]`.
    Bias(&'a [f32]),
    /// What the output holds: a residual, or a gradient to add to.
    Output,
}

/// The function that is applied to an element after its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)`, with the distribution function of the normal distribution; see [`gelu`](crate::gelu).
    Gelu,
}

/// `out = activation(start + a·b)`. `a: [m, k], b: [k, n] → out: [m, n]`.
///
/// A transposed view of `a` gives `Aᵀ·B`; a `b` that was packed from a transposed view gives `A·Bᵀ`.
///
/// # Panics
/// If the shapes do not match.
#[inline]
pub fn multiply(a: View, b: &Packed, start: Start, activation: Activation, out: ViewMut) {
    multiply_on(Supported::best(), a, b, start, activation, out);
}

/// [`multiply`] on a chosen instruction set, for tests and benches.
///
/// # Panics
/// If the shapes do not match or the processor does not support the set.
pub fn multiply_with(set: InstructionSet, a: View, b: &Packed, start: Start, activation: Activation, out: ViewMut) {
    multiply_on(Supported::check(set), a, b, start, activation, out);
}

fn multiply_on(set: Supported, a: View, b: &Packed, start: Start, activation: Activation, mut out: ViewMut) {
    assert_eq!(a.n_cols, b.k, "multiply: [{}, {}]·[{}, {}]", a.n_rows, a.n_cols, b.k, b.n);
    assert_eq!((out.n_rows, out.n_cols), (a.n_rows, b.n), "multiply: the output is not [{}, {}]", a.n_rows, b.n);
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), b.n, "multiply: a bias of {} for {} columns", bias.len(), b.n);
    }
    if out.n_rows > 0 && out.n_cols > 0 {
        tile::tiles_on(set, a, b, start, activation, &mut out);
    }
}

#[cfg(test)]
mod tests;
