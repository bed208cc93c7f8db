//! The gradients of all parameters, from what the passes of all groups kept.
//!
//! In: groups after their backward passes. Out: the gradients, added to those of earlier groups. Each job has some rows of
//! one matrix, and an element is one chain over all tokens in order, so the number of threads changes nothing.

use accrue_kernel::{Activation, Packed, Start, View, ViewMut, add_row_sums, axpy, multiply};

use super::parameters::{Adapters, GAIN, N_MATRICES, PART, Parameters, adapter_scale, cut, cut_mut};
use super::pass::{Group, KeptLayer};
use super::threads::each;

/// Jobs that the rows of a matrix are divided into, by matrix.
const JOBS: [usize; N_MATRICES] = [3, 1, 2, 2];

/// Memory of a job.
#[derive(Debug, Default)]
pub(super) struct GradientScratch {
    packed: Packed,
    small: Vec<f32>,
}

/// One job.
enum Job<'a> {
    /// Rows of a matrix from `first` on.
    Rows { layer: usize, matrix: usize, first: usize, out: &'a mut [f32] },
    /// The biases of the matrices, and gains and shifts.
    Vectors { layer: usize, parts: Vec<(usize, &'a mut [f32])> },
    /// Adapters of a matrix.
    Adapter { layer: usize, matrix: usize, left: &'a mut [f32], right: &'a mut [f32] },
}

/// Adds the gradients of these groups. `gradient`: that of the trained parameters.
pub(super) fn add_gradients(
    of: &Parameters,
    groups: &[Group],
    gradient: &mut [f32],
    scratches: &mut [GradientScratch],
) {
    let sizes = &of.sizes;
    let mut jobs = Vec::new();
    if let Some(adapters) = &of.adapters {
        let lengths = sizes.adapter_lengths(adapters.rank);
        for (layer, values) in gradient.chunks_exact_mut(lengths.iter().sum()).enumerate() {
            let mut parts = cut_mut(values, lengths).into_iter();
            for matrix in 0..N_MATRICES {
                if let (Some(left), Some(right)) = (parts.next(), parts.next()) {
                    jobs.push(Job::Adapter { layer, matrix, left, right });
                }
            }
        }
    } else {
        let (embeddings, layers) = match of.first_layer {
            0 => gradient.split_at_mut(sizes.layer_begin(0)),
            _ => (&mut [][..], gradient),
        };
        if of.first_layer == 0 {
            add_embeddings(of, groups, embeddings);
        }
        for (number, values) in layers.chunks_exact_mut(sizes.layer_len()).enumerate() {
            add_jobs(of, of.first_layer + number, values, &mut jobs);
        }
    }
    each(scratches, jobs, |job, scratch| job.run(of, groups, scratch));
}

fn add_jobs<'a>(of: &Parameters, layer: usize, values: &'a mut [f32], jobs: &mut Vec<Job<'a>>) {
    let mut vectors = Vec::new();
    for (part, values) in cut_mut(values, of.sizes.lengths()).into_iter().enumerate() {
        let Some(matrix) = PART.iter().position(|&at| at == part) else {
            vectors.push((part, values));
            continue;
        };
        let [rows, cols] = of.sizes.shape(matrix);
        let rows_each = rows.div_ceil(JOBS[matrix]);
        let cut = values.chunks_mut(rows_each * cols).enumerate();
        jobs.extend(cut.map(|(at, out)| Job::Rows { layer, matrix, first: at * rows_each, out }));
    }
    jobs.push(Job::Vectors { layer, parts: vectors });
}

/// Positions, types, gain and shift.
fn add_embeddings(of: &Parameters, groups: &[Group], gradient: &mut [f32]) {
    let d = of.sizes.d;
    let [positions, types, gain, shift] = cut_mut(gradient, of.sizes.embedding_lengths());
    for group in groups {
        let places = group.lengths.iter().flat_map(|&length| 0..length);
        for (place, row) in places.zip(group.embedded.chunks_exact(d)) {
            axpy(1.0, row, &mut positions[(of.first_position + place) * d..][..d]);
            axpy(1.0, row, &mut types[..d]);
        }
        axpy(1.0, &group.embedding_norm[..d], gain);
        axpy(1.0, &group.embedding_norm[d..], shift);
    }
}

impl Job<'_> {
    fn run(self, of: &Parameters, groups: &[Group], scratch: &mut GradientScratch) {
        let d = of.sizes.d;
        match self {
            Self::Rows { layer, matrix, first, out } => {
                let [rows, cols] = of.sizes.shape(matrix);
                let n_rows = out.len() / cols;
                for group in groups {
                    let [left, right] = group.layers[layer].factors(matrix);
                    let n = group.rows.len();
                    scratch.packed.pack(View::new(right, n, cols));
                    let left = View::columns(&left[first..], n, n_rows, rows).transposed();
                    let out = ViewMut::new(out, n_rows, cols);
                    multiply(left, &scratch.packed, Start::Output, Activation::Identity, out);
                }
            }
            Self::Vectors { layer, parts } => {
                for (part, out) in parts {
                    for group in groups {
                        let kept: &KeptLayer = &group.layers[layer];
                        match GAIN.iter().position(|&gain| gain == part || gain + 1 == part) {
                            Some(norm) => axpy(1.0, &kept.norms[(2 * norm + part - GAIN[norm]) * d..][..d], out),
                            None => {
                                let matrix = PART.iter().position(|&at| at + 1 == part).unwrap_or(0);
                                add_row_sums(kept.outputs(matrix), out);
                            }
                        }
                    }
                }
            }
            Self::Adapter { layer, matrix, left, right } => {
                let Some(adapters) = &of.adapters else { return };
                add_adapter(of, adapters, (layer, matrix), groups, [left, right], scratch);
            }
        }
    }
}

/// `dL += s · Sᵀ·(T·Rᵀ)`, `dR += s · (S·L)ᵀ·T`, where `Sᵀ·T` is the gradient of the matrix.
fn add_adapter(
    of: &Parameters,
    adapters: &Adapters,
    (layer, matrix): (usize, usize),
    groups: &[Group],
    [d_left, d_right]: [&mut [f32]; 2],
    GradientScratch { packed, small }: &mut GradientScratch,
) {
    let (rank, [rows, cols]) = (adapters.rank, of.sizes.shape(matrix));
    let lengths = of.sizes.adapter_lengths(rank);
    let all = cut(&adapters.values[layer * lengths.iter().sum::<usize>()..], lengths);
    let scaled = |values: &[f32]| values.iter().map(|x| adapter_scale(rank) * x).collect::<Vec<f32>>();
    let (left, right) = (scaled(all[2 * matrix]), scaled(all[2 * matrix + 1]));
    let left = Packed::of(View::new(&left, rows, rank));
    let right = Packed::of(View::new(&right, rank, cols).transposed());
    for group in groups {
        let [s, t] = group.layers[layer].factors(matrix);
        let n = group.rows.len();
        let (s, t) = (View::new(s, n, rows), View::new(t, n, cols));
        small.resize(n * rank, 0.0);
        multiply(t, &right, Start::Zero, Activation::Identity, ViewMut::new(small, n, rank));
        packed.pack(View::new(small, n, rank));
        multiply(s.transposed(), packed, Start::Output, Activation::Identity, ViewMut::new(d_left, rows, rank));
        multiply(s, &left, Start::Zero, Activation::Identity, ViewMut::new(small, n, rank));
        packed.pack(t);
        let small = View::new(small, n, rank).transposed();
        multiply(small, packed, Start::Output, Activation::Identity, ViewMut::new(d_right, rank, cols));
    }
}
