//! A part of a batch: its windows, and the results of the first phase of a training step on them.

use accrue_tensor::{Buffers, RowGradients, SoftmaxScratch};

use super::windows::Window;

/// A part of a batch, with the buffers that it writes to.
#[derive(Default)]
pub(super) struct Chunk<'a> {
    pub(super) windows: Vec<Window<'a>>,
    /// Number of the chunk's first window in the run, the key of its random numbers.
    pub(super) counter: u64,
    pub(super) buffers: Vec<Buffers>,
    pub(super) gradient: Vec<f32>,
    pub(super) rows: RowGradients,
    pub(super) scratch: SoftmaxScratch,
    /// With shared candidates: all states, their targets, and the results of the softmax.
    pub(super) states: Vec<f32>,
    pub(super) targets: Vec<u32>,
    pub(super) log_sums: Vec<f32>,
    pub(super) state_gradient: Vec<f32>,
    pub(super) target_gradient: Vec<f32>,
    pub(super) loss: f64,
    pub(super) norm: f64,
}
