//! Cross-entropy over many candidates: all items, or a sample of them with the log-Q correction.
//!
//! In: states `[n, d]`, candidate vectors `[m, d]`, one target per state. Out: the loss and the gradient of the states,
//! and in a second pass the gradient of the candidates. The second pass computes the scores again, one block of
//! candidates at a time, instead of storing `[n, m]` scores. Each block belongs to one thread, and a candidate's
//! gradient is one chain over all states in order, so the result does not depend on the number of threads.
//!
//! Sampled softmax with correction: Bengio and Senécal, *Adaptive importance sampling to accelerate training of a
//! neural probabilistic language model* (2008); Yi et al., *Sampling-bias-corrected neural modeling* (2019).

use accrue_kernel::{Activation, Packed, Start, View, ViewMut, axpy, dot, exp_minus, multiply, softmax_row};

/// States per slab of the first pass: their scores of all candidates stay in the cache.
const SLAB: usize = 24;
/// States per slab of the second pass, with the scores of one block.
const SECOND_SLAB: usize = 96;

/// The target of a state.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The candidate of this index; all candidates compete.
    Among(u32),
    /// This vector `[d]`, in addition to sampled candidates. If the target was sampled too, the second field is its
    /// index there, and that candidate does not compete.
    Beside(&'a [f32], Option<u32>),
}

/// Consecutive candidates that one thread computes at a time.
#[derive(Clone, Debug, Default)]
pub struct CandidateBlock {
    first: usize,
    n: usize,
    /// `[n, d]` and `[d, n]`.
    packed: Packed,
    transpose: Packed,
    /// Added to the scores: `-log Q`. `[n]`, or empty.
    correction: Vec<f32>,
}

impl CandidateBlock {
    /// Copies the vectors. `vectors: [n, d]`, the candidates from index `first` on; `correction: [n]` or empty.
    pub fn load(&mut self, first: usize, vectors: &[f32], d: usize, correction: &[f32]) {
        let n = vectors.len() / d;
        assert!(correction.is_empty() || correction.len() == n, "not one correction per candidate");
        (self.first, self.n) = (first, n);
        self.packed.pack(View::new(vectors, n, d));
        self.transpose.pack(View::new(vectors, n, d).transposed());
        self.correction.clear();
        self.correction.extend_from_slice(correction);
    }

    fn scores(&self, states: View, out: ViewMut) {
        let start = if self.correction.is_empty() { Start::Zero } else { Start::Bias(&self.correction) };
        multiply(states, &self.transpose, start, Activation::Identity, out);
    }

    /// The second pass: adds the gradient of this block's candidates. `log_sums: [n]` and the other arguments are those
    /// of the first pass. `→ gradient: [block, d]`
    pub fn add_gradient(
        &self,
        states: &PackedStates,
        log_sums: &[f32],
        targets: &[Target],
        weight: f32,
        scratch: &mut SoftmaxScratch,
        gradient: &mut [f32],
    ) {
        let d = states.d;
        let slabs = states.rows.chunks(SECOND_SLAB * d).zip(&states.slabs);
        let of_slabs = log_sums.chunks(SECOND_SLAB).zip(targets.chunks(SECOND_SLAB));
        for ((states, packed), (log_sums, targets)) in slabs.zip(of_slabs) {
            let n = targets.len();
            scratch.scores.resize(n * self.n, 0.0);
            self.scores(View::new(states, n, d), ViewMut::new(&mut scratch.scores, n, self.n));
            for ((row, &log_sum), target) in scratch.scores.chunks_exact_mut(self.n).zip(log_sums).zip(targets) {
                exp_minus(log_sum, weight, row);
                match *target {
                    Target::Among(candidate) => {
                        if let Some(place) = self.place(candidate) {
                            row[place] -= weight;
                        }
                    }
                    Target::Beside(_, Some(candidate)) => {
                        if let Some(place) = self.place(candidate) {
                            row[place] = 0.0;
                        }
                    }
                    Target::Beside(_, None) => {}
                }
            }
            let scores = View::new(&scratch.scores, n, self.n).transposed();
            multiply(scores, packed, Start::Output, Activation::Identity, ViewMut::new(gradient, self.n, d));
        }
    }

    /// The position of a candidate in this block, if it is in this block.
    fn place(&self, candidate: u32) -> Option<usize> {
        (candidate as usize).checked_sub(self.first).filter(|&place| place < self.n)
    }
}

/// All states of a step, packed for the second pass.
#[derive(Debug, Default)]
pub struct PackedStates {
    d: usize,
    rows: Vec<f32>,
    slabs: Vec<Packed>,
}

impl PackedStates {
    /// Copies states, part after part. Each: `[n_part, d]`.
    pub fn load<'a>(&mut self, d: usize, parts: impl Iterator<Item = &'a [f32]>) {
        self.d = d;
        self.rows.clear();
        parts.for_each(|part| self.rows.extend_from_slice(part));
        self.slabs.resize_with((self.rows.len() / d).div_ceil(SECOND_SLAB), Packed::default);
        for (packed, rows) in self.slabs.iter_mut().zip(self.rows.chunks(SECOND_SLAB * d)) {
            packed.pack(View::new(rows, rows.len() / d, d));
        }
    }
}

/// Buffers for scores, one per thread.
#[derive(Debug, Default)]
pub struct SoftmaxScratch {
    scores: Vec<f32>,
}

/// The outputs of the first pass.
#[derive(Debug)]
pub struct FirstPass<'a> {
    /// The gradient of the states. `[n, d]`
    pub gradient: &'a mut [f32],
    /// The logarithm of each state's sum of exponentials, which the second pass needs. `[n]`
    pub log_sums: &'a mut [f32],
    /// The gradients of targets that are not among the candidates are added to it; empty if there are none. `[n, d]`
    pub target_gradient: &'a mut [f32],
}

/// All candidates.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// Consecutive blocks.
    pub blocks: &'a [CandidateBlock],
}

impl Candidates<'_> {
    /// The first pass. `states: [n, d], targets: [n] → Σ loss`; in the gradients each target is multiplied by `weight`.
    pub fn loss(
        &self,
        states: &[f32],
        targets: &[Target],
        weight: f32,
        scratch: &mut SoftmaxScratch,
        out: FirstPass,
    ) -> f64 {
        let FirstPass { gradient, log_sums, target_gradient } = out;
        let d = states.len() / targets.len().max(1);
        let n_candidates: usize = self.blocks.iter().map(|block| block.n).sum();
        // A target that is not among the candidates has the last column.
        let width = n_candidates + usize::from(matches!(targets.first(), Some(Target::Beside(..))));
        let mut total = 0.0;
        for (slab, targets) in targets.chunks(SLAB).enumerate() {
            let (first, n) = (slab * SLAB, targets.len());
            let states = &states[first * d..][..n * d];
            scratch.scores.resize(SLAB * width, 0.0);
            let scores = &mut scratch.scores[..n * width];
            for block in self.blocks {
                let out = ViewMut::columns(&mut scores[block.first..], n, block.n, width);
                block.scores(View::new(states, n, d), out);
            }
            for (i, (row, target)) in scores.chunks_exact_mut(width).zip(targets).enumerate() {
                let state = &states[i * d..][..d];
                let column = match *target {
                    Target::Among(candidate) => candidate as usize,
                    Target::Beside(vector, sampled) => {
                        row[n_candidates] = dot(state, vector);
                        if let Some(candidate) = sampled {
                            row[candidate as usize] = -1e30;
                        }
                        n_candidates
                    }
                };
                let score = row[column];
                let log_sum = softmax_row(1.0, row);
                log_sums[first + i] = log_sum;
                total += f64::from(log_sum - score);
                row[column] -= 1.0;
                accrue_kernel::scale(weight, row);
            }
            let gradient = &mut gradient[first * d..][..n * d];
            gradient.fill(0.0);
            for block in self.blocks {
                let p = View::columns(&scores[block.first..], n, block.n, width);
                multiply(p, &block.packed, Start::Output, Activation::Identity, ViewMut::new(gradient, n, d));
            }
            for (i, target) in targets.iter().enumerate() {
                if let Target::Beside(vector, _) = *target {
                    let p = scores[i * width + n_candidates];
                    axpy(p, vector, &mut gradient[i * d..][..d]);
                    axpy(p, &states[i * d..][..d], &mut target_gradient[(first + i) * d..][..d]);
                }
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accrue_kernel::Draws;

    const D: usize = 5;

    fn normal(n: usize, seed: u64) -> Vec<f32> {
        let mut draws = Draws::new(seed, 0, 0);
        (0..n).map(|_| draws.normal()).collect()
    }

    fn blocks(candidates: &[f32], correction: &[f32], size: usize) -> Vec<CandidateBlock> {
        let parts = candidates.chunks(size * D).enumerate();
        parts
            .map(|(number, vectors)| {
                let mut block = CandidateBlock::default();
                let first = number * size;
                let correction = correction.get(first..first + vectors.len() / D).unwrap_or(&[]);
                block.load(first, vectors, D, correction);
                block
            })
            .collect()
    }

    /// Runs both passes: loss, gradients of states, of candidates, of targets.
    fn run(
        states: &[f32],
        candidates: &[f32],
        correction: &[f32],
        targets: &[Target],
        size: usize,
    ) -> (f64, Vec<f32>, Vec<f32>, Vec<f32>) {
        let blocks = blocks(candidates, correction, size);
        let n = targets.len();
        let (mut gradient, mut log_sums, mut beside) = (vec![0.0; n * D], vec![0.0; n], vec![0.0; n * D]);
        let mut scratch = SoftmaxScratch::default();
        let all = Candidates { blocks: &blocks };
        let out = FirstPass { gradient: &mut gradient, log_sums: &mut log_sums, target_gradient: &mut beside };
        let loss = all.loss(states, targets, 0.5, &mut scratch, out);
        let mut packed = PackedStates::default();
        packed.load(D, states.chunks(3 * D));
        let mut of_candidates = vec![0.0; candidates.len()];
        for (block, gradient) in blocks.iter().zip(of_candidates.chunks_mut(size * D)) {
            block.add_gradient(&packed, &log_sums, targets, 0.5, &mut scratch, gradient);
        }
        (loss, gradient, of_candidates, beside)
    }

    fn differences(x: &[f32], found: &[f32], what: &str, loss: impl Fn(&[f32]) -> f64) {
        let mut x = x.to_vec();
        for i in 0..x.len() {
            let before = x[i];
            x[i] = before + 0.01;
            let above = loss(&x);
            x[i] = before - 0.01;
            let below = loss(&x);
            x[i] = before;
            // The weight is ½.
            let difference = 0.5 * (above - below) / 0.02;
            assert!((difference - f64::from(found[i])).abs() < 3e-3, "{what} {i}: {difference} {}", found[i]);
        }
    }

    #[test]
    fn a_full_softmax_has_the_gradients_of_finite_differences() {
        let (states, candidates) = (normal(100 * D, 1), normal(13 * D, 2));
        let targets: Vec<Target> = (0..100).map(|i| Target::Among(i % 13)).collect();
        let (_, gradient, of_candidates, _) = run(&states, &candidates, &[], &targets, 4);
        differences(&states, &gradient, "state", |x| run(x, &candidates, &[], &targets, 4).0);
        differences(&candidates, &of_candidates, "candidate", |x| run(&states, x, &[], &targets, 4).0);
    }

    #[test]
    fn a_sampled_softmax_has_the_gradients_of_finite_differences() {
        let (states, candidates, own) = (normal(6 * D, 1), normal(9 * D, 2), normal(6 * D, 3));
        let correction = normal(9, 4);
        fn targets(own: &[f32]) -> Vec<Target<'_>> {
            own.chunks(D).enumerate().map(|(i, own)| Target::Beside(own, (i == 2).then_some(7))).collect()
        }
        let (_, gradient, of_candidates, of_targets) = run(&states, &candidates, &correction, &targets(&own), 4);
        differences(&states, &gradient, "state", |x| run(x, &candidates, &correction, &targets(&own), 4).0);
        differences(&candidates, &of_candidates, "candidate", |x| run(&states, x, &correction, &targets(&own), 4).0);
        differences(&own, &of_targets, "target", |x| run(&states, &candidates, &correction, &targets(x), 4).0);
    }

    #[test]
    fn blocks_of_another_size_give_the_same_loss() {
        let (states, candidates) = (normal(7 * D, 1), normal(20 * D, 2));
        let targets: Vec<Target> = (0..7).map(Target::Among).collect();
        let (one, many) = (run(&states, &candidates, &[], &targets, 20), run(&states, &candidates, &[], &targets, 3));
        assert_eq!(one.0, many.0);
        assert_eq!(one.2, many.2);
    }

    #[test]
    fn a_corrected_sample_of_everything_is_the_full_softmax() {
        // Every candidate except the target is sampled with certainty: the correction is log 1.
        let (states, candidates) = (normal(4 * D, 1), normal(8 * D, 2));
        let among: Vec<Target> = (0..4).map(Target::Among).collect();
        let beside: Vec<Target> = (0..4).map(|i| Target::Beside(&candidates[i * D..][..D], Some(i as u32))).collect();
        let full = run(&states, &candidates, &[], &among, 8).0;
        let sampled = run(&states, &candidates, &[0.0; 8], &beside, 8).0;
        assert!((full - sampled).abs() < 1e-4, "{full} {sampled}");
    }
}
