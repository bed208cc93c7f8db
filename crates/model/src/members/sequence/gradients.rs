//! Forward and backward passes over the windows of a step: the gradients, before any parameter changes.
//!
//! The loss is the sampled softmax: each target competes with items drawn evenly for the whole step, each of which
//! represents its part of the catalogue (Bengio and Senécal 2008). Windows are put on tapes of about 48 rows, so that
//! their numbers stay in the cache; a row's gradients are added in the order of windows, then of places, then of
//! candidates. One thread.

use accrue_store::ItemIdx;
use accrue_tensor::{
    Buffers, CandidateBlock, Candidates, FirstPass, Mode, PackedStates, SoftmaxScratch, Tape, Target, finite_norm,
};

use super::layers::Dense;
use super::windows::Run;
use crate::table::EmbeddingTable;

/// Rows on a tape before the next tape is begun.
const ROWS_A_TAPE: usize = 48;

/// Buffers of a step, reused from step to step, and its results.
#[derive(Debug, Default)]
pub(super) struct Gradients {
    pub(super) buffers: Buffers,
    softmax: SoftmaxScratch,
    block: CandidateBlock,
    packed: PackedStates,
    vectors: Vec<f32>,
    states: Vec<f32>,
    log_sums: Vec<f32>,
    state_gradient: Vec<f32>,
    target_gradient: Vec<f32>,
    chosen: Vec<ItemIdx>,
    /// Gradient of the dense weights, summed over targets.
    pub(super) dense: Vec<f32>,
    /// Rows of the table that have a gradient, and their gradients. `[n]`, `[n, d]`
    rows: Vec<ItemIdx>,
    values: Vec<f32>,
    /// `(row, place)` of each gradient in order of rows.
    order: Vec<(ItemIdx, u32)>,
}

impl Gradients {
    /// Computes the gradients of the windows. Each target competes with all of `sampled` (ascending, without
    /// duplicates); all their rows exist in the table. Returns the norm of the dense gradient and the number of
    /// targets; `None` if a loss or a gradient is not finite.
    pub(super) fn find(
        &mut self,
        dense: &Dense,
        table: &EmbeddingTable,
        runs: &[Run],
        sampled: &[ItemIdx],
        n_items: u32,
    ) -> Option<(f64, usize)> {
        let d = table.dim();
        self.dense.clear();
        self.dense.resize(dense.weights.values().len(), 0.0);
        self.states.clear();
        self.log_sums.clear();
        self.chosen.clear();
        self.rows.clear();
        self.values.clear();
        self.vectors.clear();
        sampled.iter().for_each(|&item| self.vectors.extend_from_slice(row(table, item)));
        // log(1 / Q): how many items a drawn one represents.
        let log_represented = accrue_kernel::ln((n_items as f32 / sampled.len().max(1) as f32).max(1.0));
        self.block.load(0, &self.vectors, d, &vec![log_represented; sampled.len()]);
        let mut loss = 0.0;
        for group in groups(runs) {
            loss += self.tape(dense, table, group, sampled);
        }
        let targets: Vec<Target> = self.chosen.iter().map(|&item| target(table, item, sampled)).collect();
        self.packed.load(d, std::iter::once(&*self.states));
        let first = self.values.len();
        self.rows.extend_from_slice(sampled);
        self.values.resize(first + sampled.len() * d, 0.0);
        let gradient = &mut self.values[first..];
        self.block.add_gradient(&self.packed, &self.log_sums, &targets, 1.0, &mut self.softmax, gradient);
        let norm = finite_norm(0, &[&self.dense]).ok()?;
        finite_norm(0, &[&self.values]).ok()?;
        loss.is_finite().then_some((norm, targets.len()))
    }

    /// One tape forward and backward; returns the loss of its targets.
    fn tape(&mut self, dense: &Dense, table: &EmbeddingTable, group: &[Run], sampled: &[ItemIdx]) -> f64 {
        let d = table.dim();
        let segments: Vec<usize> = group.iter().map(|run| run.inputs().len()).collect();
        // There is no dropout, so no random numbers are drawn.
        let mode = Mode::Train(accrue_kernel::Draws::new(0, 0, 0));
        let mut tape = Tape::new(&mut self.buffers, &dense.weights, &segments, mode);
        let x = tape.leaf(segments.iter().sum(), d, |x| {
            let items = group.iter().flat_map(Run::inputs);
            x.chunks_exact_mut(d).zip(items).for_each(|(x, &item)| x.copy_from_slice(row(table, item)));
        });
        let all = dense.states(&mut tape, x);
        let mut end = 0;
        let mut learned = Vec::new();
        for run in group {
            end += run.inputs().len() as u32;
            learned.extend(end - run.targets().len() as u32..end);
        }
        let states = tape.select(all, &learned);
        let chosen = group.iter().flat_map(Run::targets).copied();
        let targets: Vec<Target> = chosen.clone().map(|item| target(table, item, sampled)).collect();
        let (n, before) = (targets.len(), self.log_sums.len());
        self.chosen.extend(chosen);
        self.log_sums.resize(before + n, 0.0);
        self.state_gradient.resize(n * d, 0.0);
        self.target_gradient.clear();
        self.target_gradient.resize(n * d, 0.0);
        let out = FirstPass {
            gradient: &mut self.state_gradient[..n * d],
            log_sums: &mut self.log_sums[before..],
            target_gradient: &mut self.target_gradient,
        };
        let candidates = Candidates { blocks: std::slice::from_ref(&self.block) };
        let loss = candidates.loss(tape.value(states), &targets, 1.0, &mut self.softmax, out);
        self.states.extend_from_slice(tape.value(states));
        tape.gradient_mut(states).copy_from_slice(&self.state_gradient[..n * d]);
        tape.backward(&mut self.dense);
        self.rows.extend(group.iter().flat_map(Run::inputs));
        self.values.extend_from_slice(tape.gradient(x));
        self.rows.extend_from_slice(&self.chosen[before..]);
        self.values.extend_from_slice(&self.target_gradient);
        loss
    }

    /// Calls `visit` with each row that has a gradient, in order of rows, and the sum of its gradients `[d]`.
    pub(super) fn for_each_row(&mut self, d: usize, mut visit: impl FnMut(ItemIdx, &mut [f32])) {
        self.order.clear();
        self.order.extend(self.rows.iter().enumerate().map(|(place, &row)| (row, place as u32)));
        self.order.sort_unstable();
        let mut sum = vec![0.0; d];
        for of_row in self.order.chunk_by(|a, b| a.0 == b.0) {
            sum.fill(0.0);
            for &(_, place) in of_row {
                accrue_kernel::axpy(1.0, &self.values[place as usize * d..][..d], &mut sum);
            }
            visit(of_row[0].0, &mut sum);
        }
    }
}

fn row(table: &EmbeddingTable, item: ItemIdx) -> &[f32] {
    table.row(item).expect("rows are touched before a step")
}

fn target<'t>(table: &'t EmbeddingTable, item: ItemIdx, sampled: &[ItemIdx]) -> Target<'t> {
    Target::Beside(row(table, item), sampled.binary_search(&item).ok().map(|place| place as u32))
}

/// Windows with about [`ROWS_A_TAPE`] inputs together.
fn groups(runs: &[Run]) -> Vec<&[Run]> {
    let mut groups = Vec::new();
    let (mut first, mut n_rows) = (0, 0);
    for (number, run) in runs.iter().enumerate() {
        n_rows += run.inputs().len();
        if n_rows >= ROWS_A_TAPE {
            groups.push(&runs[first..=number]);
            (first, n_rows) = (number + 1, 0);
        }
    }
    if first < runs.len() {
        groups.push(&runs[first..]);
    }
    groups
}
