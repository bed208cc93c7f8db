//! Forward and backward pass of some texts of a batch.
//!
//! In: token rows of a group of texts. Out: their vectors, and then, from the gradients of the vectors, what the gradients of
//! all parameters are computed from. Between the two passes a group keeps the states of every layer. Where a value is no
//! longer needed, its gradient takes its place:
//!
//! ```text
//! states ─► qkv ─► probabilities ─► mixed ─► sum ─► between ─► before ─► after ─► last_sum ─► next states
//!           d qkv                            d sum             d before           d last_sum
//! ```
//!
//! The forward pass has the bits of the encoder that serves. There is no dropout: a training is short, each pair is seen
//! once or a few times, and the vectors in training are then those that are served.

use accrue_kernel::{
    Activation, Packed, Start, View, ViewMut, axpy, dot, gelu_backward_in_place, gelu_in_place, layer_norm_above,
    layer_norm_backward, multiply, relu_in_place, scale, softmax_backward, softmax_row, squared_norm,
};

use super::parameters::{DOWN, GAIN, MIXED, N_MATRICES, PART, Parameters, QKV, UP};
use crate::folder::{Between, Plan, Pooling};

/// What a network does besides its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub between: Between,
    pub pooling: Pooling,
    pub variance_floor: f32,
}

impl Form {
    pub fn of(plan: &Plan) -> Self {
        let Plan { between, pooling, variance_floor, .. } = *plan;
        Self { between, pooling, variance_floor }
    }
}

/// What is kept of a layer.
#[derive(Debug, Default)]
pub(super) struct KeptLayer {
    states: Vec<f32>,
    qkv: Vec<f32>,
    probabilities: Vec<f32>,
    mixed: Vec<f32>,
    sum: Vec<f32>,
    statistics: Vec<f32>,
    between: Vec<f32>,
    before: Vec<f32>,
    after: Vec<f32>,
    last_sum: Vec<f32>,
    last_statistics: Vec<f32>,
    /// Gradients of gain and shift of both normalisations: `[4, d]`
    pub norms: Vec<f32>,
}

impl KeptLayer {
    /// The two factors of the gradient of a matrix, which is `Sᵀ·T`: `[tokens, rows], [tokens, cols]`
    pub fn factors(&self, matrix: usize) -> [&[f32]; 2] {
        match matrix {
            QKV => [&self.qkv, &self.states],
            MIXED => [&self.sum, &self.mixed],
            UP => [&self.before, &self.between],
            _ => [&self.after, &self.last_sum],
        }
    }

    /// The gradients of what a matrix gives: `[tokens, outputs]`
    pub fn outputs(&self, matrix: usize) -> &[f32] {
        self.factors(matrix)[usize::from(matrix == DOWN)]
    }
}

/// Consecutive texts of a batch that go through the network together.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Tokens of each text.
    pub lengths: Vec<usize>,
    /// The row of each token in the table of words.
    pub rows: Vec<u32>,
    /// `[texts, d]`, each of norm 1.
    pub vectors: Vec<f32>,
    /// Their gradients.
    pub d_vectors: Vec<f32>,
    norms: Vec<f32>,
    /// After the backward pass the gradients of the sums of embeddings: `[tokens, d]`
    pub embedded: Vec<f32>,
    statistics: Vec<f32>,
    /// Gradients of gain and shift of the embeddings: `[2, d]`
    pub embedding_norm: Vec<f32>,
    pub layers: Vec<KeptLayer>,
    last_states: Vec<f32>,
}

/// Memory of a pass.
#[derive(Debug, Default)]
pub(super) struct PassScratch {
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    wide: Vec<f32>,
    square: Vec<f32>,
    packed: Packed,
}

fn product(x: &[f32], weight: &Packed, start: Start, out: &mut [f32]) {
    let n = out.len() / weight.n_cols();
    let out = ViewMut::new(out, n, weight.n_cols());
    multiply(View::new(x, n, weight.n_rows()), weight, start, Activation::Identity, out);
}

impl Group {
    /// Computes the vectors; `false` if one of them is not finite, or 0.
    pub fn forward(&mut self, of: &Parameters, form: &Form, scratch: &mut PassScratch) -> bool {
        let (d, n) = (of.sizes.d, self.rows.len());
        self.layers.resize_with(of.sizes.n_layers, KeptLayer::default);
        self.embedded.resize(n * d, 0.0);
        let places = self.lengths.iter().flat_map(|&length| 0..length);
        for ((place, &row), state) in places.zip(&self.rows).zip(self.embedded.chunks_exact_mut(d)) {
            state.copy_from_slice(&of.rows[row as usize * d..][..d]);
            axpy(1.0, &of.placed[(of.first_position + place) * d..][..d], state);
        }
        let [.., gain, shift] = of.embeddings();
        let mut states = std::mem::take(&mut self.layers[0].states);
        normalise(form, &self.embedded, [gain, shift], &mut self.statistics, &mut states);
        self.layers[0].states = states;
        for layer in 0..of.sizes.n_layers {
            let (kept, next) = self.layers[layer..].split_at_mut(1);
            let next = next.first_mut().map_or(&mut self.last_states, |next| &mut next.states);
            kept[0].forward((of, layer), form, &self.lengths, next, scratch);
        }
        self.pool(d, form)
    }

    /// Pools the states after the last layer.
    fn pool(&mut self, d: usize, form: &Form) -> bool {
        self.vectors.clear();
        self.vectors.resize(self.lengths.len() * d, 0.0);
        self.norms.clear();
        let mut first = 0;
        for (&length, vector) in self.lengths.iter().zip(self.vectors.chunks_exact_mut(d)) {
            let states = &self.last_states[first * d..][..length * d];
            match form.pooling {
                Pooling::First => vector.copy_from_slice(&states[..d]),
                Pooling::Mean => states.chunks_exact(d).for_each(|state| axpy(1.0, state, vector)),
            }
            let norm = squared_norm(vector).sqrt();
            self.norms.push(norm);
            scale(1.0 / norm, vector);
            first += length;
        }
        self.norms.iter().all(|norm| norm.is_finite() && *norm > 0.0)
    }

    /// Computes the factors of all gradients from those of the vectors.
    pub fn backward(&mut self, of: &Parameters, form: &Form, scratch: &mut PassScratch) {
        let d = of.sizes.d;
        zeroed(&mut scratch.a, self.rows.len() * d);
        let mut first = 0;
        let texts = self.vectors.chunks_exact(d).zip(self.d_vectors.chunks_exact_mut(d)).zip(&self.norms);
        for (&length, ((vector, gradient), &norm)) in self.lengths.iter().zip(texts) {
            // Through v = s / |s|: ds = (dv − v (v·dv)) / |s|.
            axpy(-dot(vector, gradient), vector, gradient);
            let counted = if form.pooling == Pooling::First { 1 } else { length };
            let states = &mut scratch.a[first * d..][..counted * d];
            states.chunks_exact_mut(d).for_each(|state| axpy(1.0 / norm, gradient, state));
            first += length;
        }
        for layer in (of.first_layer..of.sizes.n_layers).rev() {
            self.layers[layer].backward((of, layer), form, &self.lengths, scratch);
        }
        if of.first_layer == 0 {
            let [.., gain, _] = of.embeddings();
            zeroed(&mut scratch.b, self.rows.len() * d);
            zeroed(&mut self.embedding_norm, 2 * d);
            let (d_gain, d_shift) = self.embedding_norm.split_at_mut(d);
            let PassScratch { a, b, .. } = scratch;
            layer_norm_backward(&self.embedded, gain, &self.statistics, a, b, d_gain, d_shift);
            self.embedded.copy_from_slice(b);
        }
    }
}

fn zeroed(buffer: &mut Vec<f32>, n: usize) {
    buffer.clear();
    buffer.resize(n, 0.0);
}

fn normalise(form: &Form, x: &[f32], [gain, shift]: [&[f32]; 2], statistics: &mut Vec<f32>, out: &mut Vec<f32>) {
    statistics.resize(x.len() / gain.len() * 2, 0.0);
    out.resize(x.len(), 0.0);
    layer_norm_above(form.variance_floor, x, gain, shift, statistics, out);
}

impl KeptLayer {
    fn forward(
        &mut self,
        (of, layer): (&Parameters, usize),
        form: &Form,
        lengths: &[usize],
        next: &mut Vec<f32>,
        scratch: &mut PassScratch,
    ) {
        let (d, inner, parts) = (of.sizes.d, of.sizes.inner, of.layer(layer));
        let weights: &[Packed; N_MATRICES] = &of.packed[layer].forward;
        let bias = |matrix: usize| parts[PART[matrix] + 1];
        let n = self.states.len() / d;
        for (buffer, columns) in [(&mut self.qkv, 3 * d), (&mut self.mixed, d), (&mut self.before, inner)] {
            buffer.resize(n * columns, 0.0);
        }
        product(&self.states, &weights[QKV], Start::Bias(bias(QKV)), &mut self.qkv);
        self.attend(of.sizes.n_heads, d, lengths, scratch);
        residual(&self.states, &self.mixed, &weights[MIXED], bias(MIXED), &mut self.sum);
        let norm = |at: usize| [parts[GAIN[at]], parts[GAIN[at] + 1]];
        normalise(form, &self.sum, norm(0), &mut self.statistics, &mut self.between);
        product(&self.between, &weights[UP], Start::Bias(bias(UP)), &mut self.before);
        self.after.clear();
        self.after.extend_from_slice(&self.before);
        match form.between {
            Between::Gelu => gelu_in_place(&mut self.after),
            Between::Relu => relu_in_place(&mut self.after),
        }
        residual(&self.between, &self.after, &weights[DOWN], bias(DOWN), &mut self.last_sum);
        normalise(form, &self.last_sum, norm(1), &mut self.last_statistics, next);
    }

    /// Multi-head attention within each text; keeps the probabilities.
    fn attend(&mut self, n_heads: usize, d: usize, lengths: &[usize], scratch: &mut PassScratch) {
        self.probabilities.resize(n_heads * lengths.iter().map(|n| n * n).sum::<usize>(), 0.0);
        for head in heads(lengths, n_heads, d) {
            let n = head.length;
            let p = &mut self.probabilities[head.square()];
            scratch.packed.pack(head.part(&self.qkv, 1).transposed());
            let scores = ViewMut::new(p, n, n);
            multiply(head.part(&self.qkv, 0), &scratch.packed, Start::Zero, Activation::Identity, scores);
            p.chunks_exact_mut(n).for_each(|row| {
                softmax_row(head.scale(), row);
            });
            scratch.packed.pack(head.part(&self.qkv, 2));
            let out = ViewMut::columns(&mut self.mixed[head.out..], n, head.width, d);
            multiply(View::new(p, n, n), &scratch.packed, Start::Zero, Activation::Identity, out);
        }
    }

    /// From the gradients of the states after the layer, in `scratch.a`, to those before it, in the same place.
    fn backward(
        &mut self,
        (of, layer): (&Parameters, usize),
        form: &Form,
        lengths: &[usize],
        scratch: &mut PassScratch,
    ) {
        let (d, parts, weights) = (of.sizes.d, of.layer(layer), &of.packed[layer].backward);
        let n = self.states.len() / d;
        zeroed(&mut self.norms, 4 * d);
        let [d_gain, d_shift, d_last_gain, d_last_shift] = super::parameters::cut_mut(&mut self.norms, [d; 4]);
        let PassScratch { a, b, wide, .. } = scratch;
        zeroed(b, n * d);
        layer_norm_backward(&self.last_sum, parts[GAIN[1]], &self.last_statistics, a, b, d_last_gain, d_last_shift);
        self.last_sum.copy_from_slice(b);
        wide.resize(self.before.len(), 0.0);
        product(b, &weights[DOWN], Start::Zero, wide);
        match form.between {
            Between::Gelu => gelu_backward_in_place(wide, &mut self.before),
            Between::Relu => {
                self.before.iter_mut().zip(&*wide).for_each(|(x, &dy)| *x = if *x > 0.0 { dy } else { 0.0 });
            }
        }
        // The residual adds to what comes through the product.
        product(&self.before, &weights[UP], Start::Output, b);
        zeroed(a, n * d);
        layer_norm_backward(&self.sum, parts[GAIN[0]], &self.statistics, b, a, d_gain, d_shift);
        self.sum.copy_from_slice(a);
        product(a, &weights[MIXED], Start::Zero, b);
        self.attend_backward(of.sizes.n_heads, d, lengths, scratch);
        if layer > of.first_layer || of.first_layer == 0 {
            product(&self.qkv, &weights[QKV], Start::Output, &mut scratch.a);
        }
    }

    /// From the gradients of the mixed values, in `scratch.b`, to those of queries, keys and values, which replace them.
    fn attend_backward(&mut self, n_heads: usize, d: usize, lengths: &[usize], scratch: &mut PassScratch) {
        let PassScratch { b, c, square, packed, .. } = scratch;
        c.resize(self.qkv.len(), 0.0);
        let write = |a: View, packed: &Packed, out: ViewMut| {
            multiply(a, packed, Start::Zero, Activation::Identity, out);
        };
        for head in heads(lengths, n_heads, d) {
            let n = head.length;
            let dy = View::columns(&b[head.out..], n, head.width, d);
            let p = &self.probabilities[head.square()];
            // Values: dv = pᵀ·dy.
            packed.pack(dy);
            write(View::new(p, n, n).transposed(), packed, head.part_mut(c, 2));
            // Probabilities: dp = dy·vᵀ, then through the softmax.
            square.resize(n * n, 0.0);
            packed.pack(head.part(&self.qkv, 2).transposed());
            write(dy, packed, ViewMut::new(square, n, n));
            for (p, dp) in p.chunks_exact(n).zip(square.chunks_exact_mut(n)) {
                softmax_backward(head.scale(), p, dp);
            }
            // Queries: dq = ds·k; keys: dk = dsᵀ·q.
            let ds = View::new(square, n, n);
            packed.pack(head.part(&self.qkv, 1));
            write(ds, packed, head.part_mut(c, 0));
            packed.pack(head.part(&self.qkv, 0));
            write(ds.transposed(), packed, head.part_mut(c, 1));
        }
        self.qkv.copy_from_slice(c);
    }
}

/// `out = x + bias + y·w`, in the order of the encoder that serves.
fn residual(x: &[f32], y: &[f32], weight: &Packed, bias: &[f32], out: &mut Vec<f32>) {
    out.clear();
    out.extend_from_slice(x);
    out.chunks_exact_mut(bias.len()).for_each(|row| axpy(1.0, bias, row));
    product(y, weight, Start::Output, out);
}

/// One head of one text.
struct Head {
    length: usize,
    width: usize,
    d: usize,
    /// First index of queries; keys and values follow after `d` and `2 d`.
    begin: usize,
    /// First index in `[tokens, d]`.
    out: usize,
    square: usize,
}

fn heads(lengths: &[usize], n_heads: usize, d: usize) -> impl Iterator<Item = Head> {
    let width = d / n_heads;
    let (mut row, mut square) = (0, 0);
    lengths.iter().flat_map(move |&length| {
        let (first_row, first_square) = (row, square);
        row += length;
        square += n_heads * length * length;
        (0..n_heads).map(move |head| Head {
            length,
            width,
            d,
            begin: first_row * 3 * d + head * width,
            out: first_row * d + head * width,
            square: first_square + head * length * length,
        })
    })
}

impl Head {
    fn part<'a>(&self, qkv: &'a [f32], part: usize) -> View<'a> {
        View::columns(&qkv[self.begin + part * self.d..], self.length, self.width, 3 * self.d)
    }

    fn part_mut<'a>(&self, qkv: &'a mut [f32], part: usize) -> ViewMut<'a> {
        ViewMut::columns(&mut qkv[self.begin + part * self.d..], self.length, self.width, 3 * self.d)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    fn square(&self) -> std::ops::Range<usize> {
        self.square..self.square + self.length * self.length
    }
}
