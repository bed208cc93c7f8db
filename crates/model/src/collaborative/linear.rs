//! The dense linear algebra that closed-form models need.
//!
//! In: symmetric matrices and blocks of columns, as flat slices. Out: factorizations in place. The order of each sum
//! does not depend on the number of threads. Sources: Golub & Van Loan, *Matrix computations*, 4th ed., 4.2 (Cholesky),
//! 5.2 (Gram–Schmidt), 8.5 (Jacobi).

use accrue_kernel::{axpy, dot, dot_rows, scale, squared_norm};

use super::parallel;

/// Products of several vectors with all rows, tile by tile, so that rows are read from memory once.
///
/// `vectors: [q, d], rows: [n, d] → out: [q, n]`; each has the bits of [`dot`].
pub(crate) fn dot_rows_batch(vectors: &[f32], rows: &[f32], d: usize, out: &mut [f32]) {
    /// Numbers of a tile: half of a second-level cache.
    const TILE: usize = 1 << 17;
    let n = rows.len() / d;
    let tile = (TILE / d).max(1);
    for (number, rows) in rows.chunks(tile * d).enumerate() {
        for (vector, out) in vectors.chunks_exact(d).zip(out.chunks_exact_mut(n)) {
            dot_rows(vector, rows, &mut out[number * tile..][..rows.len() / d]);
        }
    }
}

/// Rows of a panel of [`cholesky`].
const PANEL: usize = 64;

/// `a := L` with `L Lᵀ = a`, in the lower triangle; returns false if `a` is not positive definite. `a: [n, n]`
///
/// The rows are finished one panel after another; then the rows below use the panel's columns in parallel.
#[must_use]
pub(crate) fn cholesky(a: &mut [f32], n: usize, threads: usize) -> bool {
    for first in (0..n).step_by(PANEL) {
        let end = (first + PANEL).min(n);
        let (upper, below) = a.split_at_mut(end * n);
        for row in first..end {
            let (done, current) = upper.split_at_mut(row * n);
            solve_row(done, n, &mut current[..n], first, row);
            let pivot = current[row] - squared_norm(&current[..row]);
            if pivot.is_nan() || pivot <= 0.0 {
                return false;
            }
            current[row] = pivot.sqrt();
        }
        let upper = &*upper;
        parallel::for_each_chunk(
            threads,
            below,
            n * 16,
            || (),
            |(), _, rows| {
                rows.chunks_exact_mut(n).for_each(|row| solve_row(upper, n, row, first, end));
            },
        );
    }
    true
}

/// Columns `first..end` of a row of `L`, from the finished rows above.
fn solve_row(done: &[f32], n: usize, row: &mut [f32], first: usize, end: usize) {
    for column in first..end {
        let other = &done[column * n..][..column + 1];
        let sum = row[column] - dot(&row[..column], &other[..column]);
        row[column] = sum / other[column];
    }
}

/// Solves `L Lᵀ x = b` in place. `l: [n, n]` lower, `b: [n]`
pub(crate) fn cholesky_solve(l: &[f32], n: usize, b: &mut [f32]) {
    for row in 0..n {
        let sum = b[row] - dot(&l[row * n..][..row], &b[..row]);
        b[row] = sum / l[row * n + row];
    }
    for row in (0..n).rev() {
        let x = b[row] / l[row * n + row];
        b[row] = x;
        axpy(-x, &l[row * n..][..row], &mut b[..row]);
    }
}

/// Makes columns orthonormal, in their order (modified Gram–Schmidt); a column that depends on those before becomes zero.
///
/// `columns: r × [n]`
pub(crate) fn orthonormalise(columns: &mut [Vec<f32>], threads: usize) {
    for first in 0..columns.len() {
        let (done, rest) = columns.split_at_mut(first + 1);
        let q = &mut done[first];
        let norm = squared_norm(q).sqrt();
        if norm <= 1e-12 {
            q.fill(0.0);
            continue;
        }
        scale(1.0 / norm, q);
        let q = &*q;
        let chunk = rest.len().div_ceil(threads.max(1)).max(1);
        // Starting a thread costs about 20 microseconds, so few short columns are done on one thread.
        let threads = if rest.len() * q.len() < 1 << 18 { 1 } else { threads };
        parallel::for_each_chunk(
            threads,
            rest,
            chunk,
            || (),
            |(), _, columns| {
                for column in columns {
                    axpy(-dot(q, column), q, column);
                }
            },
        );
    }
}

/// Eigenvalues and eigenvectors of a symmetric matrix, largest first, by cyclic Jacobi rotations.
///
/// `a: [n, n] → (values: [n], vectors: n × [n])`
pub(crate) fn symmetric_eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    /// More sweeps than any matrix needs: convergence is quadratic.
    const MAX_SWEEPS: usize = 30;
    // Rows of `v` become the eigenvectors, so that a rotation works on two rows.
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let total: f64 = a.iter().map(|x| x * x).sum();
    for _ in 0..MAX_SWEEPS {
        let off: f64 = (0..n).map(|i| a[i * n + i + 1..(i + 1) * n].iter().map(|x| x * x).sum::<f64>()).sum();
        if off <= 1e-22 * total {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]).then(i.cmp(&j)));
    (order.iter().map(|&i| a[i * n + i]).collect(), order.iter().map(|&i| v[i * n..][..n].to_vec()).collect())
}

/// One rotation that makes `a[p][q]` zero.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let apq = a[p * n + q];
    if apq.abs() <= 1e-18 * (a[p * n + p] * a[q * n + q]).abs().sqrt() || apq == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let turn = |matrix: &mut [f64]| {
        let (head, tail) = matrix.split_at_mut(q * n);
        for (x, y) in head[p * n..][..n].iter_mut().zip(&mut tail[..n]) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    };
    turn(a);
    for row in a.chunks_exact_mut(n) {
        let (x, y) = (row[p], row[q]);
        (row[p], row[q]) = (c * x - s * y, s * x + c * y);
    }
    turn(v);
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_kernel::Draws;

    fn gram(n: usize) -> Vec<f32> {
        let mut draws = Draws::new(5, 1, n as u64);
        let rows: Vec<Vec<f32>> = (0..n).map(|_| (0..n + 3).map(|_| draws.normal()).collect()).collect();
        (0..n * n).map(|place| dot(&rows[place / n], &rows[place % n])).collect()
    }

    #[test]
    fn a_solution_solves() {
        for n in [1, 2, 7, 33, 150] {
            let (a, mut l) = (gram(n), gram(n));
            let x: Vec<f32> = (0..n).map(|i| i as f32 - 2.0).collect();
            let mut b: Vec<f32> = (0..n).map(|row| dot(&a[row * n..][..n], &x)).collect();
            assert!(cholesky(&mut l, n, 2));
            cholesky_solve(&l, n, &mut b);
            let worst = b.iter().zip(&x).map(|(b, x)| (b - x).abs()).fold(0.0, f32::max);
            assert!(worst < 0.01 * n as f32, "n={n}: off by {worst}");
        }
        assert!(!cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2, 1), "not positive definite");
    }

    #[test]
    fn eigenvectors_are_scaled_by_their_eigenvalues() {
        let n = 24;
        let a: Vec<f64> = gram(n).into_iter().map(f64::from).collect();
        let (values, vectors) = symmetric_eigen(a.clone(), n);
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for (value, vector) in values.iter().zip(&vectors) {
            for row in 0..n {
                let product: f64 = (0..n).map(|column| a[row * n + column] * vector[column]).sum();
                assert!((product - value * vector[row]).abs() < 1e-9 * values[0]);
            }
        }
    }

    #[test]
    fn columns_become_orthonormal_and_a_dependent_one_zero() {
        let mut columns = vec![vec![3.0, 0.0, 0.0], vec![1.0, 1.0, 0.0], vec![2.0, 2.0, 0.0]];
        orthonormalise(&mut columns, 2);
        assert_eq!(columns, [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]);
    }
}
