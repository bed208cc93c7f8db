//! The parameters of a network in training: where each stands, and the packed forms that products need.
//!
//! In: a folder's weights. Out: one slice of numbers for all of them, in the order embeddings, first layer … last layer,
//! so that what is trained is the slice, its end (the last layers), or low-rank adapters beside it. A matrix is stored
//! with its longer side as rows: as in the file, `[outputs, inputs]`, except `down`, which is `[inputs, outputs]`.
//!
//! Adapters: `W + s · L · R` with `L: [rows, rank]`, which begins at 0, and `R: [rank, cols]`. Hu et al., *LoRA: low-rank
//! adaptation of large language models* (2022).

use std::path::Path;

use accrue_kernel::{Activation, Draws, Packed, Start, View, ViewMut, axpy, multiply};

use super::threads::each;
use crate::EncodeError;
use crate::folder::Plan;
use crate::weights::{Table, WeightFile};

/// Stream of the random numbers that adapters begin with.
const STREAM: u64 = 0x4c6f_5241;
/// Matrices of a layer: to queries, keys and values side by side, of the mixed values, up and down.
pub(super) const N_MATRICES: usize = 4;
pub(super) const QKV: usize = 0;
pub(super) const MIXED: usize = 1;
pub(super) const UP: usize = 2;
pub(super) const DOWN: usize = 3;
/// Parts of a layer, in order: each matrix with its bias, and after the second and the last matrix gain and shift.
pub(super) const N_PARTS: usize = 12;
/// The part of each matrix; its bias is the next one.
pub(super) const PART: [usize; N_MATRICES] = [0, 2, 6, 8];
/// The parts of the gains; the shift is the next one.
pub(super) const GAIN: [usize; 2] = [4, 10];

/// What of a network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trained {
    /// All of it, with the words that occur in the texts.
    Whole,
    /// The last layers, at least one.
    LastLayers(usize),
    /// Low-rank additions to the matrices of all layers.
    Adapters {
        /// The rank, from 1.
        rank: usize,
    },
}

/// The sizes of a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub d: usize,
    pub inner: usize,
    pub n_heads: usize,
    pub n_layers: usize,
    pub n_positions: usize,
    pub n_types: usize,
}

impl Sizes {
    /// Rows and columns of a matrix as it is stored.
    pub fn shape(&self, matrix: usize) -> [usize; 2] {
        match matrix {
            QKV => [3 * self.d, self.d],
            MIXED => [self.d, self.d],
            _ => [self.inner, self.d],
        }
    }

    /// The lengths of a layer's parts.
    pub fn lengths(&self) -> [usize; N_PARTS] {
        let (d, inner) = (self.d, self.inner);
        [3 * d * d, 3 * d, d * d, d, d, d, inner * d, inner, inner * d, d, d, d]
    }

    /// Numbers of a layer.
    pub fn layer_len(&self) -> usize {
        self.lengths().iter().sum()
    }

    /// The lengths of positions, types, gain and shift.
    pub fn embedding_lengths(&self) -> [usize; 4] {
        [self.n_positions * self.d, self.n_types * self.d, self.d, self.d]
    }

    /// Where a layer begins.
    pub fn layer_begin(&self, layer: usize) -> usize {
        self.embedding_lengths().iter().sum::<usize>() + layer * self.layer_len()
    }

    /// The lengths of `L` and `R` of each matrix of a layer.
    pub fn adapter_lengths(&self, rank: usize) -> [usize; 2 * N_MATRICES] {
        std::array::from_fn(|at| self.shape(at / 2)[at % 2] * rank)
    }
}

/// Cuts a slice into consecutive parts.
pub(super) fn cut<const N: usize>(mut values: &[f32], lengths: [usize; N]) -> [&[f32]; N] {
    lengths.map(|length| {
        let (part, rest) = values.split_at(length);
        values = rest;
        part
    })
}

/// Cuts a slice into consecutive parts that may be changed.
pub(super) fn cut_mut<const N: usize>(mut values: &mut [f32], lengths: [usize; N]) -> [&mut [f32]; N] {
    lengths.map(|length| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(length);
        values = rest;
        part
    })
}

/// The packed matrices of a layer, for products with states and for products with their gradients.
#[derive(Debug, Default)]
pub(super) struct PackedLayer {
    pub forward: [Packed; N_MATRICES],
    pub backward: [Packed; N_MATRICES],
}

/// Low-rank additions to all matrices.
#[derive(Debug)]
pub(super) struct Adapters {
    pub rank: usize,
    pub values: Vec<f32>,
}

/// The factor of adapters. With it the rate of one rank does for others (Kalajdzievski, *rank-stabilized LoRA*, 2023).
pub(super) fn adapter_scale(rank: usize) -> f32 {
    2.0 / (rank as f32).sqrt()
}

/// A network's parameters.
#[derive(Debug)]
pub(super) struct Parameters {
    pub sizes: Sizes,
    /// The position of the first token.
    pub first_position: usize,
    /// The words that occur in the texts, ascending, and their rows.
    pub words: Vec<u32>,
    pub rows: Vec<f32>,
    /// Embeddings and layers.
    pub values: Vec<f32>,
    pub adapters: Option<Adapters>,
    pub packed: Vec<PackedLayer>,
    /// Positions with the first type added: `[positions, d]`
    pub placed: Vec<f32>,
    /// The first layer whose parameters change.
    pub first_layer: usize,
}

impl Parameters {
    /// Reads the weights of a folder. `words`: the words that occur, ascending.
    pub fn read(folder: &Path, plan: &Plan, words: Vec<u32>, trained: Trained, seed: u64) -> Result<Self, EncodeError> {
        let mut file = WeightFile::open(&folder.join("model.safetensors"))?;
        let sizes = Sizes {
            d: plan.width,
            inner: plan.inner,
            n_heads: plan.n_heads,
            n_layers: plan.n_layers,
            n_positions: plan.n_positions,
            n_types: plan.n_types,
        };
        let table: Table = file.table("embeddings.word_embeddings.weight", [plan.n_words, sizes.d])?;
        let mut rows = vec![0.0; words.len() * sizes.d];
        words.iter().zip(rows.chunks_exact_mut(sizes.d)).for_each(|(&word, row)| table.copy_row(word as usize, row));
        let mut values = Vec::with_capacity(sizes.layer_begin(sizes.n_layers));
        for tensor in tensors(&sizes) {
            let numbers = file.floats(&tensor.name, &tensor.shape)?;
            values.extend(if tensor.is_transposed { transposed(&numbers, tensor.shape[1]) } else { numbers });
        }
        let adapters = match trained {
            Trained::Adapters { rank } => Some(Adapters { rank, values: fresh_adapters(&sizes, rank, seed) }),
            _ => None,
        };
        let first_layer = match trained {
            Trained::LastLayers(n) => sizes.n_layers.saturating_sub(n.max(1)),
            _ => 0,
        };
        let packed = (0..sizes.n_layers).map(|_| PackedLayer::default()).collect();
        let first_position = plan.first_position;
        Ok(Self { sizes, first_position, words, rows, values, adapters, packed, placed: Vec::new(), first_layer })
    }

    /// The parts of a layer.
    pub fn layer(&self, layer: usize) -> [&[f32]; N_PARTS] {
        let begin = self.sizes.layer_begin(layer);
        cut(&self.values[begin..][..self.sizes.layer_len()], self.sizes.lengths())
    }

    /// Positions, types, gain and shift.
    pub fn embeddings(&self) -> [&[f32]; 4] {
        cut(&self.values, self.sizes.embedding_lengths())
    }

    /// Packs the matrices of layers from `first` on, for as many threads as there are buffers.
    pub fn pack(&mut self, first: usize, buffers: &mut [Vec<f32>]) {
        let Self { sizes, values, adapters, packed, placed, .. } = self;
        let (sizes, adapters, values) = (*sizes, adapters.as_ref(), &values[..]);
        if first == 0 {
            let [positions, types, ..] = cut(values, sizes.embedding_lengths());
            placed.clear();
            placed.extend_from_slice(positions);
            placed.chunks_exact_mut(sizes.d).for_each(|position| axpy(1.0, &types[..sizes.d], position));
        }
        let mut jobs = Vec::new();
        for (layer, packed) in packed.iter_mut().enumerate().skip(first) {
            let matrices = packed.forward.iter_mut().zip(&mut packed.backward).enumerate();
            jobs.extend(matrices.map(|(matrix, (forward, backward))| (layer, matrix, forward, backward)));
        }
        each(buffers, jobs, |(layer, matrix, forward, backward), buffer| {
            let [rows, cols] = sizes.shape(matrix);
            let stored = &values[sizes.layer_begin(layer)..][..sizes.layer_len()];
            let stored = cut(stored, sizes.lengths())[PART[matrix]];
            let view = match adapters {
                None => View::new(stored, rows, cols),
                Some(adapters) => {
                    adapted(&sizes, adapters, (layer, matrix), stored, buffer);
                    View::new(buffer, rows, cols)
                }
            };
            let (to_outputs, to_inputs) =
                if matrix == DOWN { (view, view.transposed()) } else { (view.transposed(), view) };
            forward.pack(to_outputs);
            backward.pack(to_inputs);
        });
    }

    /// The numbers of a matrix with its adapter.
    pub fn matrix(&self, layer: usize, matrix: usize) -> Vec<f32> {
        let stored = self.layer(layer)[PART[matrix]];
        match &self.adapters {
            None => stored.to_vec(),
            Some(adapters) => {
                let mut out = Vec::new();
                adapted(&self.sizes, adapters, (layer, matrix), stored, &mut out);
                out
            }
        }
    }
}

/// `out = stored + s · L · R`.
fn adapted(sizes: &Sizes, adapters: &Adapters, (layer, matrix): (usize, usize), stored: &[f32], out: &mut Vec<f32>) {
    let (rank, [rows, cols]) = (adapters.rank, sizes.shape(matrix));
    let lengths = sizes.adapter_lengths(rank);
    let all = cut(&adapters.values[layer * lengths.iter().sum::<usize>()..], lengths);
    let (left, right) = (all[2 * matrix], all[2 * matrix + 1]);
    let scaled: Vec<f32> = right.iter().map(|x| adapter_scale(rank) * x).collect();
    out.clear();
    out.extend_from_slice(stored);
    let right = Packed::of(View::new(&scaled, rank, cols));
    multiply(View::new(left, rows, rank), &right, Start::Output, Activation::Identity, ViewMut::new(out, rows, cols));
}

/// `L` is 0, so that training begins with the network as it is; `R` is random.
fn fresh_adapters(sizes: &Sizes, rank: usize, seed: u64) -> Vec<f32> {
    let mut values = Vec::new();
    for layer in 0..sizes.n_layers {
        for matrix in 0..N_MATRICES {
            let [rows, cols] = sizes.shape(matrix);
            values.resize(values.len() + rows * rank, 0.0);
            let mut draws = Draws::new(seed, STREAM, (layer * N_MATRICES + matrix) as u64);
            let deviation = 1.0 / (cols as f32).sqrt();
            values.extend((0..rank * cols).map(|_| deviation * draws.normal()));
        }
    }
    values
}

/// A tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// Whether it is stored transposed here.
    pub is_transposed: bool,
    /// The layer, and the matrix with its first row there; none for what adapters leave as it is.
    pub of: Option<(usize, usize, usize)>,
}

/// All tensors but the table of words, in the order of the parameters.
pub(super) fn tensors(sizes: &Sizes) -> Vec<Tensor> {
    let d = sizes.d;
    let plain = |name: String, shape: &[usize]| Tensor { name, shape: shape.into(), is_transposed: false, of: None };
    let mut all = vec![
        plain("embeddings.position_embeddings.weight".into(), &[sizes.n_positions, d]),
        plain("embeddings.token_type_embeddings.weight".into(), &[sizes.n_types, d]),
        plain("embeddings.LayerNorm.weight".into(), &[d]),
        plain("embeddings.LayerNorm.bias".into(), &[d]),
    ];
    for layer in 0..sizes.n_layers {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let matrix = |part: &str, shape: &[usize], matrix: usize, row: usize| Tensor {
            is_transposed: matrix == DOWN,
            of: Some((layer, matrix, row)),
            ..plain(name(&format!("{part}.weight")), shape)
        };
        let vector = |part: &str, n: usize| plain(name(part), &[n]);
        let parts = ["attention.self.query", "attention.self.key", "attention.self.value"];
        all.extend(parts.iter().enumerate().map(|(at, part)| matrix(part, &[d, d], QKV, at * d)));
        all.extend(parts.iter().map(|part| vector(&format!("{part}.bias"), d)));
        all.push(matrix("attention.output.dense", &[d, d], MIXED, 0));
        all.push(vector("attention.output.dense.bias", d));
        all.push(vector("attention.output.LayerNorm.weight", d));
        all.push(vector("attention.output.LayerNorm.bias", d));
        all.push(matrix("intermediate.dense", &[sizes.inner, d], UP, 0));
        all.push(vector("intermediate.dense.bias", sizes.inner));
        all.push(matrix("output.dense", &[d, sizes.inner], DOWN, 0));
        all.push(vector("output.dense.bias", d));
        all.push(vector("output.LayerNorm.weight", d));
        all.push(vector("output.LayerNorm.bias", d));
    }
    all
}

/// The transpose of a matrix with rows of `cols` numbers.
pub(super) fn transposed(matrix: &[f32], cols: usize) -> Vec<f32> {
    let rows = matrix.len() / cols;
    (0..matrix.len()).map(|place| matrix[place % rows * cols + place / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tensors_fill_the_slice_in_the_order_of_its_parts() {
        let sizes = Sizes { d: 4, inner: 6, n_heads: 2, n_layers: 2, n_positions: 5, n_types: 2 };
        let n: usize = tensors(&sizes).iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        assert_eq!(n, sizes.layer_begin(2));
        assert_eq!(transposed(&transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), 2), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
