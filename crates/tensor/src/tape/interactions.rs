//! Interactions between the fields of a row: pairs of them, and some of them alone.
//!
//! A row is `n` fields side by side, each `d` numbers wide. Rendle, *Factorization machines* (ICDM 2010), computes the
//! sum over all pairs in linear time.

use accrue_kernel::axpy;

use super::{Op, Tape, Var};

impl Tape<'_> {
    /// The products of all pairs of fields, summed: `Σ_{f<g} v_f ∘ v_g = ½ ((Σ v_f)² − Σ v_f²)`.
    /// `x: [n, fields · d] → [n, d]`
    ///
    /// # Panics
    /// If a row is not a whole number of fields.
    pub fn pair_products(&mut self, x: Var, d: usize) -> Var {
        let (rows, width) = self.shape(x);
        assert!(d > 0 && width.is_multiple_of(d), "pair_products: rows of {width} in fields of {d}");
        let at = self.buffers.nodes[x.0].value();
        self.push(Op::PairProducts { x }, rows, d, rows * d, |before, out, sums, _| {
            let each = before[at].chunks_exact(width).zip(out.chunks_exact_mut(d)).zip(sums.chunks_exact_mut(d));
            for ((row, out), sum) in each {
                for field in row.chunks_exact(d) {
                    for ((out, sum), &x) in out.iter_mut().zip(&mut *sum).zip(field) {
                        // Each field meets the sum of those before it, so nothing cancels.
                        *out += *sum * x;
                        *sum += x;
                    }
                }
            }
        })
    }

    /// Adjacent columns. `x: [n, d] → [n, width]`
    ///
    /// # Panics
    /// If there are not as many columns.
    pub fn columns(&mut self, x: Var, first: usize, width: usize) -> Var {
        let (rows, d) = self.shape(x);
        assert!(first + width <= d, "columns: {first} and {width} more of {d}");
        let at = self.buffers.nodes[x.0].value();
        self.push(Op::Columns { x, first }, rows, width, 0, |before, out, _, _| {
            for (row, out) in before[at].chunks_exact(d).zip(out.chunks_exact_mut(width)) {
                out.copy_from_slice(&row[first..first + width]);
            }
        })
    }
}

/// `dx_f += dy ∘ (Σ v − v_f)`. `x, dx: [n, fields · d], sums, dy: [n, d]`
pub(super) fn pair_products_backward(
    (x, width): (&[f32], usize),
    sums: &[f32],
    (dy, d): (&[f32], usize),
    dx: &mut [f32],
) {
    let rows = x.chunks_exact(width).zip(dx.chunks_exact_mut(width));
    for ((x, dx), (sum, dy)) in rows.zip(sums.chunks_exact(d).zip(dy.chunks_exact(d))) {
        for (x, dx) in x.chunks_exact(d).zip(dx.chunks_exact_mut(d)) {
            for (((dx, &x), &sum), &dy) in dx.iter_mut().zip(x).zip(sum).zip(dy) {
                *dx += dy * (sum - x);
            }
        }
    }
}

/// `dy: [n, width], dx: [n, d]`
pub(super) fn columns_backward(dy: &[f32], width: usize, first: usize, d: usize, dx: &mut [f32]) {
    for (dy, dx) in dy.chunks_exact(width).zip(dx.chunks_exact_mut(d)) {
        axpy(1.0, dy, &mut dx[first..first + width]);
    }
}
