//! The inverse of a large symmetric positive definite matrix, computed in place.
//!
//! In: the lower triangle of `A`, `[n, n]`. Out: `A⁻¹`, whole, in the memory of `A`; it also allocates three panels of
//! `n × 256`. Refuses: a matrix that is not positive definite, as soon as a pivot shows it.
//!
//! The symmetric sweep (Beaton 1964; Goodnight, *A tutorial on the sweep operator*, 1979), a block of pivots `K` at a time. With
//! `A_KK = L Lᵀ` and `W = A_·K L⁻ᵀ`
//!
//! `A_IJ := A_IJ - W_I W_Jᵀ,  A_IK := W_I L⁻¹,  A_KK := -L⁻ᵀ L⁻¹`,
//!
//! and `-A⁻¹` is left after all blocks. That is `n³` operations, as of a Cholesky factorization with the inverse after
//! it, nearly all of them in packed products on tiles of the lower triangle. An element is one chain of additions over
//! the pivots in their order, so the result does not depend on the number of threads.

use accrue_kernel::{Activation, Packed, Start, View, ViewMut, axpy, multiply, scale};

use super::linear::cholesky;
use super::parallel;

/// Pivots swept at a time: the inner dimension of the products.
const PIVOTS: usize = 256;
/// Rows and columns of a tile: a multiple of the product's six rows and of its panels of 64 columns.
const TILE: usize = 384;

/// `a := a⁻¹`, from its lower triangle; returns false, with `a` overwritten, if it is not positive definite. `a: [n, n]`
///
/// `progress` is called with the number of blocks of pivots done, and of all blocks; if it returns false, so does this.
#[must_use]
pub(crate) fn invert(a: &mut [f32], n: usize, threads: usize, progress: impl Fn(usize, usize) -> bool) -> bool {
    let mut sweep = Sweep::new(n);
    let n_blocks = n.div_ceil(PIVOTS);
    for block in 0..n_blocks {
        let first = block * PIVOTS;
        if !sweep.sweep(a, first, n.min(first + PIVOTS), threads) {
            return false;
        }
        if !progress(block + 1, n_blocks) {
            return false;
        }
    }
    negate_and_mirror(a, n, threads);
    true
}

/// Buffers for the panels of one block of `b` pivots: 256, or fewer in the last block.
struct Sweep {
    n: usize,
    /// The columns of the pivots, `[n, b]`; later their new values.
    columns: Vec<f32>,
    /// `W`, then `-W`: `[n, b]`, zero in the rows of the pivots.
    scaled: Vec<f32>,
    /// `W_Jᵀ` of each tile `J`: `[b, 384]`.
    packed: Vec<Packed>,
}

impl Sweep {
    fn new(n: usize) -> Self {
        let panel = || vec![0.0; n * PIVOTS.min(n)];
        Self { n, columns: panel(), scaled: panel(), packed: vec![Packed::default(); n.div_ceil(TILE)] }
    }

    /// Sweeps the pivots `first..end`.
    fn sweep(&mut self, a: &mut [f32], first: usize, end: usize, threads: usize) -> bool {
        let (n, b) = (self.n, end - first);
        let Some(inverse) = inverse_factor(a, n, first, end) else { return false };
        let inverse_transposed = Packed::of(View::new(&inverse, b, b).transposed());
        let negative_inverse: Vec<f32> = inverse.iter().map(|x| -x).collect();
        let negative_inverse = Packed::of(View::new(&negative_inverse, b, b));
        let mut pivots = vec![0.0; b * b];
        product(
            View::new(&inverse, b, b).transposed(),
            &negative_inverse,
            Start::Zero,
            ViewMut::new(&mut pivots, b, b),
        );

        let (columns, scaled) = (&mut self.columns[..n * b], &mut self.scaled[..n * b]);
        gather(a, n, first, end, threads, columns);
        times(columns, &inverse_transposed, threads, scaled);
        parallel::for_each_chunk(
            threads,
            &mut self.packed,
            1,
            || (),
            |(), tile, packed| {
                let rows = rows_of_tile(scaled, b, tile);
                packed[0].pack(View::new(rows, rows.len() / b, b).transposed());
            },
        );
        parallel::for_each_chunk(threads, scaled, TILE * b, || (), |(), _, rows| scale(-1.0, rows));
        times(scaled, &negative_inverse, threads, columns);

        let (columns, scaled, packed) = (&*columns, &*scaled, &self.packed);
        parallel::for_each_chunk(
            threads,
            a,
            TILE * n,
            || (),
            |(), tile, rows| {
                let left = rows_of_tile(scaled, b, tile);
                for (other, packed) in packed[..=tile].iter().enumerate() {
                    let out = ViewMut::columns(&mut rows[other * TILE..], left.len() / b, packed.n_cols(), n);
                    product(View::new(left, left.len() / b, b), packed, Start::Output, out);
                }
                scatter(columns, &pivots, first, end, tile * TILE, n, rows);
            },
        );
        true
    }
}

fn product(a: View, b: &Packed, start: Start, out: ViewMut) {
    multiply(a, b, start, Activation::Identity, out);
}

/// `rows: [n, b] → [384, b]`, fewer in the last tile.
fn rows_of_tile(rows: &[f32], b: usize, tile: usize) -> &[f32] {
    &rows[tile * TILE * b..rows.len().min((tile + 1) * TILE * b)]
}

/// `out = rows · matrix`. `rows, out: [n, b], matrix: [b, b]`
fn times(rows: &[f32], matrix: &Packed, threads: usize, out: &mut [f32]) {
    let b = matrix.n_cols();
    parallel::for_each_chunk(
        threads,
        out,
        TILE * b,
        || (),
        |(), tile, out| {
            let (rows, n) = (rows_of_tile(rows, b, tile), out.len() / b);
            product(View::new(rows, n, b), matrix, Start::Zero, ViewMut::new(out, n, b));
        },
    );
}

/// `L⁻¹` of the pivots' block; `None` if that is not positive definite. `→ [b, b]`, lower, zero above
fn inverse_factor(a: &[f32], n: usize, first: usize, end: usize) -> Option<Vec<f32>> {
    let b = end - first;
    let mut factor = vec![0.0; b * b];
    for (row, factor) in (first..end).zip(factor.chunks_exact_mut(b)) {
        let len = row - first + 1;
        factor[..len].copy_from_slice(&a[row * n + first..][..len]);
    }
    cholesky(&mut factor, b, 1).then(|| {
        for row in 0..b {
            let (done, current) = factor.split_at_mut(row * b);
            invert_row(done, &mut current[..b], row);
        }
        factor
    })
}

/// Row `row` of `L⁻¹` overwriting that of `L`, from the finished rows above it.
fn invert_row(done: &[f32], current: &mut [f32], row: usize) {
    let b = current.len();
    let reciprocal = 1.0 / current[row];
    let factor = current[..row].to_vec();
    current[..row].fill(0.0);
    for (above, &x) in factor.iter().enumerate() {
        axpy(-x * reciprocal, &done[above * b..][..=above], &mut current[..=above]);
    }
    current[row] = reciprocal;
}

/// The columns of the pivots, `[n, b]`, from the lower triangle: above the pivots they are read as rows. Zero in the rows of the pivots.
fn gather(a: &[f32], n: usize, first: usize, end: usize, threads: usize, columns: &mut [f32]) {
    let b = end - first;
    parallel::for_each_chunk(
        threads,
        columns,
        TILE * b,
        || (),
        |(), tile, out| {
            let start = tile * TILE;
            let above = first.clamp(start, start + out.len() / b) - start;
            for pivot in 0..b {
                let row = &a[(first + pivot) * n + start..][..above];
                row.iter().enumerate().for_each(|(place, &x)| out[place * b + pivot] = x);
            }
            for (row, out) in (start..).zip(out.chunks_exact_mut(b)).skip(above) {
                match row < end {
                    true => out.fill(0.0),
                    false => out.copy_from_slice(&a[row * n + first..][..b]),
                }
            }
        },
    );
}

/// Writes the new values of the pivots' columns, `[n, b]`, and of their own block, `[b, b]`, into some rows of the
/// lower triangle.
fn scatter(columns: &[f32], pivots: &[f32], first: usize, end: usize, start: usize, n: usize, rows: &mut [f32]) {
    let b = end - first;
    for (row, out) in (start..).zip(rows.chunks_exact_mut(n)) {
        if row >= end {
            out[first..end].copy_from_slice(&columns[row * b..][..b]);
        } else if row >= first {
            let pivot = row - first;
            out[..first].iter_mut().enumerate().for_each(|(column, x)| *x = columns[column * b + pivot]);
            out[first..end].copy_from_slice(&pivots[pivot * b..][..b]);
        }
    }
}

/// Negates the lower triangle and copies it above the diagonal.
fn negate_and_mirror(a: &mut [f32], n: usize, threads: usize) {
    /// Rows and columns of a square that fits both caches, read along rows and written along columns.
    const SQUARE: usize = 64;
    let lower = |row: usize, first: usize| first..n.min(row + 1);
    parallel::for_each_chunk(threads, a, n, || (), |(), row, a| a[lower(row, 0)].iter_mut().for_each(|x| *x = -*x));
    for first in (0..n).step_by(SQUARE) {
        let end = n.min(first + SQUARE);
        let (upper, below) = a.split_at_mut(end * n);
        let upper = &mut upper[first * n..];
        for row in 0..end - first {
            for column in row + 1..end - first {
                upper[row * n + first + column] = upper[column * n + first + row];
            }
        }
        // Few rows a chunk: each reads down columns that neighbouring rows read too.
        let below = &*below;
        parallel::for_each_chunk(
            threads,
            upper,
            SQUARE / 4 * n,
            || (),
            |(), chunk, rows| {
                let first = first + chunk * (SQUARE / 4);
                for (number, square) in below.chunks(SQUARE * n).enumerate() {
                    let column = end + number * SQUARE;
                    for (place, out) in rows.chunks_exact_mut(n).enumerate() {
                        for (out, from) in out[column..].iter_mut().zip(square.chunks_exact(n)) {
                            *out = from[first + place];
                        }
                    }
                }
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_kernel::Draws;

    /// A Gram matrix of few rows with a ridge, as of sparse sets: `[n, n]`.
    fn gram(n: usize) -> Vec<f32> {
        let mut draws = Draws::new(7, 1, n as u64);
        let n_rows = n / 2 + 1;
        let rows: Vec<f32> = (0..n_rows * n).map(|_| if draws.below(5) == 0 { 1.0 } else { 0.0 }).collect();
        let transposed = View::new(&rows, n_rows, n).transposed();
        let mut gram = vec![0.0; n * n];
        product(transposed, &Packed::of(View::new(&rows, n_rows, n)), Start::Zero, ViewMut::new(&mut gram, n, n));
        (0..n).for_each(|i| gram[i * n + i] += 10.0);
        gram
    }

    /// The inverse in double precision, by elimination on an augmented matrix.
    fn slow_inverse(a: &[f32], n: usize) -> Vec<f64> {
        let mut a: Vec<f64> = a.iter().map(|&x| f64::from(x)).collect();
        let mut inverse = vec![0.0; n * n];
        (0..n).for_each(|i| inverse[i * n + i] = 1.0);
        for pivot in 0..n {
            let turn = |matrix: &mut [f64], factors: &[f64], reciprocal: f64| {
                let pivot_row: Vec<f64> = matrix[pivot * n..][..n].iter().map(|x| x * reciprocal).collect();
                for (row, &factor) in matrix.chunks_exact_mut(n).zip(factors) {
                    row.iter_mut().zip(&pivot_row).for_each(|(x, p)| *x -= factor * p);
                }
                matrix[pivot * n..][..n].copy_from_slice(&pivot_row);
            };
            let factors: Vec<f64> = (0..n).map(|row| a[row * n + pivot]).collect();
            let reciprocal = 1.0 / factors[pivot];
            turn(&mut a, &factors, reciprocal);
            turn(&mut inverse, &factors, reciprocal);
        }
        inverse
    }

    fn inverted(mut a: Vec<f32>, n: usize, threads: usize) -> Vec<f32> {
        assert!(invert(&mut a, n, threads, |_, _| true), "{n}: positive definite");
        a
    }

    #[test]
    fn the_inverse_is_that_of_double_precision_at_any_size() {
        for n in [1, 2, 7, 64, 255, 256, 257, 384, 385, 600, 770] {
            let mut a = gram(n);
            let expected = slow_inverse(&a, n);
            // The values above the diagonal are not read.
            (0..n).for_each(|row| a[row * n + row + 1..][..n - row - 1].fill(f32::NAN));
            let found = inverted(a, n, 2);
            let largest = expected.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
            for (place, (&found, expected)) in found.iter().zip(&expected).enumerate() {
                let off = (f64::from(found) - expected).abs() / largest;
                assert!(off < 2e-5, "{n}: [{}, {}] is {found}, not {expected}", place / n, place % n);
            }
        }
    }

    #[test]
    fn the_result_does_not_depend_on_the_number_of_threads() {
        let n = 900;
        let one = inverted(gram(n), n, 1);
        for threads in [2, 3, 8] {
            let same = inverted(gram(n), n, threads).iter().zip(&one).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{threads} threads");
        }
        assert!((0..n * n).all(|place| one[place].to_bits() == one[place % n * n + place / n].to_bits()), "symmetric");
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        assert!(!invert(&mut [1.0, 0.0, 2.0, 1.0], 2, 1, |_, _| true));
        let n = 300;
        let mut a = gram(n);
        a[n * n - 1] = -1.0;
        assert!(!invert(&mut a, n, 2, |_, _| true), "in the second block");
        assert!(!invert(&mut [f32::NAN], 1, 1, |_, _| true));
    }
}
