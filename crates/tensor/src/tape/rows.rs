//! Operations that join rows or select some of them. This is the forward pass; the backward passes are in
//! `backward.rs`.

use accrue_kernel::dot;

use super::{Op, Tape, Var, unfold};

impl Tape<'_> {
    /// The columns of `x`, then those of `y`. `x: [n, a], y: [n, b] → [n, a + b]`
    pub fn concat(&mut self, x: Var, y: Var) -> Var {
        let ((rows, a), (rows_y, b)) = (self.shape(x), self.shape(y));
        assert_eq!(rows, rows_y, "concat: rows differ");
        let (x_at, y_at) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value());
        self.push(Op::Concat { x, y }, rows, a + b, 0, |before, out, _, _| {
            let parts = before[x_at].chunks_exact(a).zip(before[y_at].chunks_exact(b));
            for (out, (x, y)) in out.chunks_exact_mut(a + b).zip(parts) {
                out[..a].copy_from_slice(x);
                out[a..].copy_from_slice(y);
            }
        })
    }

    /// The dot product of each row of `x` with the row of `y` at the same index. `x, y: [n, d] → [n, 1]`
    pub fn row_dots(&mut self, x: Var, y: Var) -> Var {
        let (rows, d) = self.shape(x);
        assert_eq!(self.shape(y), (rows, d), "row_dots: shapes differ");
        let (x_at, y_at) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value());
        self.push(Op::RowDots { x, y }, rows, 1, 0, |before, out, _, _| {
            let pairs = before[x_at].chunks_exact(d).zip(before[y_at].chunks_exact(d));
            for (out, (x, y)) in out.iter_mut().zip(pairs) {
                *out = dot(x, y);
            }
        })
    }

    /// Some rows, in the given order; a row may occur several times. `x: [n, d], rows: [m] below n → [m, d]`
    pub fn select(&mut self, x: Var, rows: &[u32]) -> Var {
        let (_, d) = self.shape(x);
        let at = self.buffers.nodes[x.0].value();
        let indices = self.keep_indices(rows);
        let out = self.push(Op::Select { x }, rows.len(), d, 0, |before, out, _, _| {
            let x = &before[at];
            for (out, &row) in out.chunks_exact_mut(d).zip(rows) {
                out.copy_from_slice(&x[row as usize * d..][..d]);
            }
        });
        self.buffers.nodes[out.0].indices = indices;
        out
    }

    /// The largest element of each column within each sequence. `x: [n, d] → [n_segments, d]`
    pub fn max_over_segments(&mut self, x: Var) -> Var {
        let (_, d) = self.shape(x);
        let (at, segments) = (self.buffers.nodes[x.0].value(), self.segments);
        let mut winners = vec![0; segments.len() * d];
        let out = self.push(Op::MaxOverSegments { x }, segments.len(), d, 0, |before, out, _, _| {
            unfold::max_over_segments(&before[at], segments, d, out, &mut winners);
        });
        self.buffers.nodes[out.0].indices = self.keep_indices(&winners);
        out
    }
}
