//! The tiles of a product: how the output is cut up, and the loop that computes one tile.
//!
//! In: shapes that were checked. Out: the elements. Tiles differ in how many elements are computed at once, never in
//! the order of one element's multiply-adds. Between two blocks of the inner dimension the chain is stored in the
//! output, which loses no bits.
#![allow(unsafe_code)]
// Index loops over several arrays at once; `add_products` needs them to be unrolled.
#![allow(clippy::needless_range_loop)]

use super::{Activation, PANEL, Packed, Start, View, ViewMut};
use crate::activation::{gelu_in_place_inlined, relu_in_place_inlined};
use crate::instruction_set::{Supported, compiled_for_each_set};
use crate::lanes::{Lanes, N_LANES};
use std::hint::black_box;

/// Rows of a full tile: with four registers of 16 columns it has 24 accumulators, of 32 registers.
const ROWS: usize = 6;
/// Most steps of the inner dimension per block: a block of a panel, 64 columns wide, has 32 KB and stays in the
/// first-level cache.
const BLOCK: usize = 128;
/// Rows and columns of a block of the output: with the blocks of both operands it takes less than 600 KB and stays in
/// the second-level cache.
const ROW_BLOCK: usize = 192;
const COLUMN_BLOCK: usize = 384;

pub(super) fn tiles_on(set: Supported, a: View, b: &Packed, start: Start, activation: Activation, out: &mut ViewMut) {
    // A transposed left operand is read along its memory too: there, adjacent rows are adjacent in memory.
    let product = Product { a, b, start, activation };
    match (set.set(), a.strides.1 == 1) {
        (crate::InstructionSet::Avx512, true) => wide_rows_on(set, &product, out),
        (crate::InstructionSet::Avx512, false) => wide_columns_on(set, &product, out),
        (_, true) => narrow_rows_on(set, &product, out),
        (_, false) => narrow_columns_on(set, &product, out),
    }
}

/// Buffer for a tile that extends past the right edge of the output.
type Edge = [f32; ROWS * PANEL];

/// What all tiles of a product share.
struct Product<'a> {
    a: View<'a>,
    b: &'a Packed,
    start: Start<'a>,
    activation: Activation,
}

compiled_for_each_set! { fn wide_rows_on(product: &Product, out: &mut ViewMut) = wide_rows<Lanes> }
compiled_for_each_set! { fn wide_columns_on(product: &Product, out: &mut ViewMut) = wide_columns<Lanes> }
compiled_for_each_set! { fn narrow_rows_on(product: &Product, out: &mut ViewMut) = narrow_rows<Lanes> }
compiled_for_each_set! { fn narrow_columns_on(product: &Product, out: &mut ViewMut) = narrow_columns<Lanes> }

#[inline(always)]
fn wide_rows<L: Lanes>(product: &Product, out: &mut ViewMut) {
    all_tiles::<L, 4, false>(product, out);
}

#[inline(always)]
fn wide_columns<L: Lanes>(product: &Product, out: &mut ViewMut) {
    all_tiles::<L, 4, true>(product, out);
}

#[inline(always)]
fn narrow_rows<L: Lanes>(product: &Product, out: &mut ViewMut) {
    all_tiles::<L, 1, false>(product, out);
}

#[inline(always)]
fn narrow_columns<L: Lanes>(product: &Product, out: &mut ViewMut) {
    all_tiles::<L, 1, true>(product, out);
}

/// `WIDTH`: registers of 16 columns in a full tile. `BY_COLUMNS`: the columns of the left operand are contiguous.
#[inline(always)]
fn all_tiles<L: Lanes, const WIDTH: usize, const BY_COLUMNS: bool>(product: &Product, out: &mut ViewMut) {
    let inner = Blocks::of(product.b.k);
    let rows = Blocks { len: out.n_rows, block: ROW_BLOCK, n_blocks: out.n_rows.div_ceil(ROW_BLOCK) };
    let mut edge = [0.0; ROWS * PANEL];
    for first_column in (0..out.n_cols).step_by(COLUMN_BLOCK) {
        let columns = (first_column, out.n_cols.min(first_column + COLUMN_BLOCK));
        // If the rows of the left operand are contiguous, each block of the output is finished before the next one. If
        // its columns are contiguous, all rows are computed for one block of the inner dimension first, as adjacent
        // rows share pages and cache lines.
        if BY_COLUMNS {
            for inner in inner.all() {
                for rows in rows.all() {
                    block_of_tiles::<L, WIDTH, BY_COLUMNS>(product, inner, rows, columns, out, &mut edge);
                }
            }
        } else {
            for rows in rows.all() {
                for inner in inner.all() {
                    block_of_tiles::<L, WIDTH, BY_COLUMNS>(product, inner, rows, columns, out, &mut edge);
                }
            }
        }
    }
}

/// A dimension divided into blocks.
#[derive(Clone, Copy)]
struct Blocks {
    len: usize,
    block: usize,
    n_blocks: usize,
}

impl Blocks {
    /// The inner dimension in blocks of nearly equal length, because a short block loads as much of the output as a
    /// long one. There is at least one block, so that a product over an empty dimension still writes its start value.
    #[inline(always)]
    fn of(k: usize) -> Self {
        let n_blocks = k.div_ceil(BLOCK).max(1);
        Self { len: k, block: k.div_ceil(n_blocks), n_blocks }
    }

    /// First index and end of each block.
    #[inline(always)]
    fn all(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.n_blocks).map(move |number| (number * self.block, self.len.min((number + 1) * self.block)))
    }
}

/// Computes a block of the output for one block of the inner dimension.
#[inline(always)]
fn block_of_tiles<L: Lanes, const WIDTH: usize, const BY_COLUMNS: bool>(
    product: &Product,
    inner: (usize, usize),
    rows: (usize, usize),
    (first_column, end_column): (usize, usize),
    out: &mut ViewMut,
    edge: &mut Edge,
) {
    // `black_box` keeps the compiler from recomputing the end of the block in every step.
    let inner = black_box(inner);
    let mut column = first_column;
    while column < end_column {
        let panel_end = end_column.min((column / PANEL + 1) * PANEL);
        // One wide tile that extends past the edge is faster than two narrow ones.
        if WIDTH == 4 && panel_end - column > 2 * N_LANES {
            column_of_tiles::<L, WIDTH, BY_COLUMNS>(product, inner, rows, column, out, edge);
            column = panel_end;
        } else if WIDTH == 4 && panel_end - column > N_LANES {
            column_of_tiles::<L, 2, BY_COLUMNS>(product, inner, rows, column, out, edge);
            column = panel_end;
        } else {
            column_of_tiles::<L, 1, BY_COLUMNS>(product, inner, rows, column, out, edge);
            column = panel_end.min(column + N_LANES);
        }
    }
}

/// Computes a range of rows, `WIDTH · 16` columns wide, for one block of the inner dimension.
#[inline(always)]
fn column_of_tiles<L: Lanes, const WIDTH: usize, const BY_COLUMNS: bool>(
    product: &Product,
    inner: (usize, usize),
    (first_row, end_row): (usize, usize),
    column: usize,
    out: &mut ViewMut,
    edge: &mut Edge,
) {
    let mut row = first_row;
    while row + ROWS <= end_row {
        tile::<L, ROWS, WIDTH, BY_COLUMNS>(product, inner, (row, column), out, edge);
        row += ROWS;
    }
    match end_row - row {
        5 => tile::<L, 5, WIDTH, BY_COLUMNS>(product, inner, (row, column), out, edge),
        4 => tile::<L, 4, WIDTH, BY_COLUMNS>(product, inner, (row, column), out, edge),
        3 => tile::<L, 3, WIDTH, BY_COLUMNS>(product, inner, (row, column), out, edge),
        2 => tile::<L, 2, WIDTH, BY_COLUMNS>(product, inner, (row, column), out, edge),
        1 => tile::<L, 1, WIDTH, BY_COLUMNS>(product, inner, (row, column), out, edge),
        _ => {}
    }
}

/// Computes one tile of `N_ROWS` by `WIDTH · 16` elements, for one block of the inner dimension.
#[inline(always)]
fn tile<L: Lanes, const N_ROWS: usize, const WIDTH: usize, const BY_COLUMNS: bool>(
    product: &Product,
    (inner_first, inner_end): (usize, usize),
    (row, column): (usize, usize),
    out: &mut ViewMut,
    edge: &mut Edge,
) {
    let n_cols = (WIDTH * N_LANES).min(out.n_cols - column);
    let is_whole = n_cols == WIDTH * N_LANES;
    let own_rows = row * out.stride + column;
    assert!(own_rows + (N_ROWS - 1) * out.stride + n_cols <= out.data.len());
    let start = if inner_first == 0 { product.start } else { Start::Output };
    if !is_whole {
        copy_start_to_edge::<N_ROWS>(start, (own_rows, column), n_cols, out, edge);
    }
    let mut sums = [[L::zero(); WIDTH]; N_ROWS];
    if !matches!(start, Start::Zero) {
        let (from, stride) = match start {
            _ if !is_whole => (edge.as_ptr(), PANEL),
            Start::Bias(bias) => (bias[column..][..n_cols].as_ptr(), 0),
            _ => (out.data[own_rows..].as_ptr(), out.stride),
        };
        for r in 0..N_ROWS {
            for w in 0..WIDTH {
                // SAFETY: the buffer has 6 rows of 64; a whole tile is inside the output, as was checked above; the
                // bias is one row of `n_cols`, which is WIDTH · 16 here.
                sums[r][w] = unsafe { L::load(&*from.add(r * stride + w * N_LANES).cast()) };
            }
        }
    }

    add_products::<L, N_ROWS, WIDTH, BY_COLUMNS>(product, (inner_first, inner_end), (row, column), &mut sums);

    let (to, stride) = match is_whole {
        true => (out.data[own_rows..].as_mut_ptr(), out.stride),
        false => (edge.as_mut_ptr(), PANEL),
    };
    for r in 0..N_ROWS {
        for w in 0..WIDTH {
            // SAFETY: as for the loads.
            sums[r][w].store(unsafe { &mut *to.add(r * stride + w * N_LANES).cast() });
        }
    }
    let is_last = inner_end == product.b.k;
    if is_whole && !(is_last && product.activation != Activation::Identity) {
        return;
    }
    for r in 0..N_ROWS {
        let to = &mut out.data[own_rows + r * out.stride..][..n_cols];
        if !is_whole {
            to.copy_from_slice(&edge[r * PANEL..][..n_cols]);
        }
        match product.activation {
            Activation::Relu if is_last => relu_in_place_inlined(to),
            Activation::Gelu if is_last => gelu_in_place_inlined(to),
            _ => {}
        }
    }
}

/// Copies the start values of a tile with fewer than `WIDTH · 16` columns into the buffer, whose rows have full width.
#[inline(always)]
fn copy_start_to_edge<const N_ROWS: usize>(
    start: Start,
    (own_rows, column): (usize, usize),
    n_cols: usize,
    out: &ViewMut,
    edge: &mut Edge,
) {
    for r in 0..N_ROWS {
        let from = match start {
            Start::Zero => return,
            Start::Bias(bias) => &bias[column..][..n_cols],
            Start::Output => &out.data[own_rows + r * out.stride..][..n_cols],
        };
        edge[r * PANEL..][..n_cols].copy_from_slice(from);
    }
}

/// Adds the products of one block of the inner dimension to the accumulators of a tile.
#[inline(always)]
fn add_products<L: Lanes, const N_ROWS: usize, const WIDTH: usize, const BY_COLUMNS: bool>(
    &Product { a, b, .. }: &Product,
    (inner_first, inner_end): (usize, usize),
    (row, column): (usize, usize),
    sums: &mut [[L; WIDTH]; N_ROWS],
) {
    let length = inner_end - inner_first;
    let (down, right) = if BY_COLUMNS { (1, a.strides.1) } else { (a.strides.0, 1) };
    let panel = &b.panels()[(column / PANEL) * b.k * PANEL..][..b.k * PANEL];
    let panel = &panel[inner_first * PANEL..][..length * PANEL];
    let first = row * down + inner_first * right;
    assert!(length == 0 || first + (N_ROWS - 1) * down + (length - 1) * right < a.data.len());
    let within = column % PANEL;
    assert!(within + WIDTH * N_LANES <= PANEL);
    // SAFETY: `a` is read at `first + r · down + p · right` for r < N_ROWS and p < length; the largest of these indices
    // was checked above. `panel` has length · 64 floats and is read at p · 64 + within + [0, WIDTH · 16), which was
    // checked as well.
    unsafe {
        let (a, panel) = (a.data.as_ptr().wrapping_add(first), panel.as_ptr().add(within));
        for p in 0..length {
            // Plain index loops: the accumulators stay in registers only if all of this is unrolled.
            let mut columns = [L::zero(); WIDTH];
            for w in 0..WIDTH {
                columns[w] = L::load(&*panel.add(p * PANEL + w * N_LANES).cast());
            }
            for r in 0..N_ROWS {
                let x = L::splat(*a.add(r * down + p * right));
                for w in 0..WIDTH {
                    sums[r][w] = sums[r][w].multiply_add(x, columns[w]);
                }
            }
        }
    }
}
