//! Element-wise operations, and dropout after them. This is the forward pass; the backward passes are in `backward.rs`.

use accrue_kernel::{
    add_masked, add_product, axpy, gelu_in_place, mask_in_place, relu_in_place, sigmoid_in_place, tanh_in_place,
};

use super::{Op, Tape, Var};
use crate::Activation;

impl Tape<'_> {
    /// `x + y`. `x, y: [n, d] → [n, d]`
    pub fn add(&mut self, x: Var, y: Var) -> Var {
        self.add_dropped(x, y, 0.0)
    }

    /// `x + dropout(y)`, for residual connections. `x, y: [n, d] → [n, d]`
    pub fn add_dropped(&mut self, x: Var, y: Var, rate: f32) -> Var {
        let (rows, cols) = self.shape(x);
        assert_eq!(self.shape(y), (rows, cols), "add: shapes differ");
        let (masks, scale) = self.draw(rows * cols, rate);
        let (x_at, y_at, mask) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value(), masks.clone());
        let out = self.push(Op::Add { x, y, scale }, rows, cols, 0, |before, out, _, masks| {
            out.copy_from_slice(&before[x_at]);
            match mask.is_empty() {
                true => axpy(1.0, &before[y_at], out),
                false => add_masked(&before[y_at], &masks[mask], scale, out),
            }
        });
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// Sets each element to 0 with probability `rate`, and divides the others by `1 - rate`. `x: [n, d] → [n, d]`
    /// Srivastava et al., *Dropout* (2014).
    pub fn dropout(&mut self, x: Var, rate: f32) -> Var {
        let (rows, cols) = self.shape(x);
        let (masks, scale) = self.draw(rows * cols, rate);
        if masks.is_empty() {
            return x;
        }
        let (at, mask) = (self.buffers.nodes[x.0].value(), masks.clone());
        let out = self.push(Op::Dropout { x, scale }, rows, cols, 0, |before, out, _, masks| {
            out.copy_from_slice(&before[at]);
            mask_in_place(&masks[mask], scale, out);
        });
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// An activation, then dropout. `x: [n, d] → [n, d]`
    pub fn activate(&mut self, x: Var, activation: Activation, rate: f32) -> Var {
        let (rows, cols) = self.shape(x);
        let (masks, scale) = self.draw(rows * cols, rate);
        let (at, mask) = (self.buffers.nodes[x.0].value(), masks.clone());
        let out = self.push(Op::Activate { x, activation, scale }, rows, cols, 0, |before, out, _, masks| {
            out.copy_from_slice(&before[at]);
            match activation {
                Activation::Identity => {}
                Activation::Relu => relu_in_place(out),
                Activation::Gelu => gelu_in_place(out),
            }
            if !mask.is_empty() {
                mask_in_place(&masks[mask], scale, out);
            }
        });
        self.buffers.nodes[out.0].masks = masks;
        out
    }

    /// `1 / (1 + e⁻ˣ)`. `x: [n, d] → [n, d]`
    pub fn sigmoid(&mut self, x: Var) -> Var {
        self.map(Op::Sigmoid { x }, x, sigmoid_in_place)
    }

    /// Hyperbolic tangent. `x: [n, d] → [n, d]`
    pub fn tanh(&mut self, x: Var) -> Var {
        self.map(Op::Tanh { x }, x, tanh_in_place)
    }

    /// `x · y`, element by element. `x, y: [n, d] → [n, d]`
    pub fn product(&mut self, x: Var, y: Var) -> Var {
        let (rows, cols) = self.shape(x);
        assert_eq!(self.shape(y), (rows, cols), "product: shapes differ");
        let (x_at, y_at) = (self.buffers.nodes[x.0].value(), self.buffers.nodes[y.0].value());
        self.push(Op::Product { x, y }, rows, cols, 0, |before, out, _, _| {
            add_product(&before[x_at], &before[y_at], out);
        })
    }

    fn map(&mut self, op: Op, x: Var, in_place: impl FnOnce(&mut [f32])) -> Var {
        let (rows, cols) = self.shape(x);
        let at = self.buffers.nodes[x.0].value();
        self.push(op, rows, cols, 0, |before, out, _, _| {
            out.copy_from_slice(&before[at]);
            in_place(out);
        })
    }
}
