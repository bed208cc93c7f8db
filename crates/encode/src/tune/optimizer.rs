//! AdamW over the parameters that are trained; of the words only over those of the step.
//!
//! In: gradients. Out: changed parameters. Loshchilov and Hutter, *Decoupled weight decay* (2019). Gradients longer than 1
//! are shortened to it. Every chunk has a fixed place, and sums run over chunks in order.

use accrue_kernel::{adam, squared_norm};
use accrue_tensor::{adam_step, scale_to_norm};

use super::parameters::{N_PARTS, PART, Parameters};
use super::threads::each;
use crate::EncodeError;

/// Numbers that a job takes.
const CHUNK: usize = 1 << 16;
/// The norm that longer gradients are shortened to.
const LONGEST: f64 = 1.0;
const BETAS: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// The moments of a slice of parameters.
#[derive(Debug, Default)]
pub(super) struct Pair {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Pair {
    fn zeros(n: usize) -> Self {
        Self { first: vec![0.0; n], second: vec![0.0; n] }
    }
}

/// Gradients and moments.
#[derive(Debug)]
pub(super) struct Moments {
    pub gradient: Vec<f32>,
    pub dense: Pair,
    /// Of the table of words; empty if it is not trained.
    pub row_gradient: Vec<f32>,
    pub rows: Pair,
    /// The rows of the step, ascending.
    pub touched: Vec<u32>,
}

impl Moments {
    pub fn of(parameters: &Parameters) -> Self {
        let n = trained(parameters).len();
        let n_rows = if has_rows(parameters) { parameters.rows.len() } else { 0 };
        Self {
            gradient: vec![0.0; n],
            dense: Pair::zeros(n),
            row_gradient: vec![0.0; n_rows],
            rows: Pair::zeros(n_rows),
            touched: Vec::new(),
        }
    }

    pub fn n_trained(&self) -> usize {
        self.gradient.len() + self.row_gradient.len()
    }

    /// Sets the gradients of a step to 0. `touched`: the rows of words that it has.
    pub fn clear(&mut self, touched: Vec<u32>, d: usize) {
        self.gradient.fill(0.0);
        self.touched = if self.row_gradient.is_empty() { Vec::new() } else { touched };
        for &row in &self.touched {
            self.row_gradient[row as usize * d..][..d].fill(0.0);
        }
    }

    /// Changes the parameters. `step` counts from 1.
    pub fn step<S: Send>(
        &mut self,
        of: &mut Parameters,
        (step, rate, weight_decay): (u64, f32, f32),
        scratches: &mut [S],
    ) -> Result<(), EncodeError> {
        let d = of.sizes.d;
        let norm = self.norm(d, scratches);
        if !norm.is_finite() {
            return Err(EncodeError::NotFiniteStep { step });
        }
        let scale = scale_to_norm(norm, LONGEST);
        let rule = |decays: bool| adam_step(BETAS, EPSILON, if decays { weight_decay } else { 0.0 }, step, rate, scale);
        let (plain, decaying) = (rule(false), rule(true));
        for &row in &self.touched {
            let range = row as usize * d..(row as usize + 1) * d;
            let Pair { first, second } = &mut self.rows;
            let (m, v) = (&mut first[range.clone()], &mut second[range.clone()]);
            adam(&plain, &self.row_gradient[range.clone()], &mut of.rows[range], m, v);
        }
        let runs = runs(of);
        let (mut g, mut x) = (&self.gradient[..], trained_mut(of));
        let (mut m, mut v) = (&mut self.dense.first[..], &mut self.dense.second[..]);
        let mut jobs = Vec::new();
        for (mut length, decays) in runs {
            while length > 0 {
                let n = length.min(CHUNK);
                let (g_part, g_rest) = g.split_at(n);
                let (x_part, x_rest) = std::mem::take(&mut x).split_at_mut(n);
                let (m_part, m_rest) = std::mem::take(&mut m).split_at_mut(n);
                let (v_part, v_rest) = std::mem::take(&mut v).split_at_mut(n);
                jobs.push((decays, g_part, x_part, m_part, v_part));
                (g, x, m, v) = (g_rest, x_rest, m_rest, v_rest);
                length -= n;
            }
        }
        each(scratches, jobs, |(decays, g, x, m, v), _| adam(if decays { &decaying } else { &plain }, g, x, m, v));
        Ok(())
    }

    /// The norm of all gradients.
    fn norm<S: Send>(&self, d: usize, scratches: &mut [S]) -> f64 {
        let mut sums = vec![0.0_f64; self.gradient.len().div_ceil(CHUNK)];
        let jobs = self.gradient.chunks(CHUNK).zip(&mut sums).collect();
        each(scratches, jobs, |(chunk, sum): (&[f32], &mut f64), _| *sum = f64::from(squared_norm(chunk)));
        let rows = self.touched.iter().map(|&row| f64::from(squared_norm(&self.row_gradient[row as usize * d..][..d])));
        sums.into_iter().chain(rows).sum::<f64>().sqrt()
    }
}

/// Whether the table of words is trained.
fn has_rows(of: &Parameters) -> bool {
    of.adapters.is_none() && of.first_layer == 0
}

/// The parameters that are trained, but for words.
pub(super) fn trained(of: &Parameters) -> &[f32] {
    match &of.adapters {
        Some(adapters) => &adapters.values,
        None if of.first_layer == 0 => &of.values,
        None => &of.values[of.sizes.layer_begin(of.first_layer)..],
    }
}

pub(super) fn trained_mut(of: &mut Parameters) -> &mut [f32] {
    let begin = if of.first_layer == 0 { 0 } else { of.sizes.layer_begin(of.first_layer) };
    match &mut of.adapters {
        Some(adapters) => &mut adapters.values,
        None => &mut of.values[begin..],
    }
}

/// Lengths of runs of parameters, and whether weight decay applies to them.
fn runs(of: &Parameters) -> Vec<(usize, bool)> {
    if let Some(adapters) = &of.adapters {
        return vec![(adapters.values.len(), true)];
    }
    let embeddings = of.sizes.embedding_lengths().iter().sum();
    let lengths = of.sizes.lengths();
    let layer = (0..N_PARTS).map(move |part| (lengths[part], PART.contains(&part)));
    let layers = (of.first_layer..of.sizes.n_layers).flat_map(|_| layer.clone());
    let first = (of.first_layer == 0).then_some((embeddings, false));
    first.into_iter().chain(layers).collect()
}
