//! A network in training: its parameters, its optimizers and its data. What is done with them is in `training.rs`, and
//! the first phase of a step in `pass.rs`.

use accrue_tensor::{CandidateBlock, Optimizer, PackedStates, RowOptimizer, Weights};

use super::chunk::Chunk;
use super::network::Network;
use super::settings::Training;
use super::windows::Window;
use crate::collaborative::Interactions;

/// The stream of random numbers that items are sampled by.
pub(super) const NEGATIVES: u64 = 0x6e65_7572_0003;

/// A network in training.
pub struct Trainer<'a, N: Network> {
    pub(super) shape: N::Shape,
    pub(super) network: N,
    pub(super) weights: Weights,
    /// `[n_items, d]`
    pub(super) items: Vec<f32>,
    pub(super) d: usize,
    pub(super) training: Training,
    pub(super) data: &'a Interactions,
    pub(super) windows: Vec<Window<'a>>,
    /// Sums of `count^power` up to each item, to sample from; empty if sampling is uniform.
    pub(super) cumulative: Vec<f64>,
    pub(super) seed: u64,
    pub(super) threads: usize,
    pub(super) dense: Optimizer,
    pub(super) rows: RowOptimizer,
    pub(super) chunks: Vec<Chunk<'a>>,
    pub(super) shared: Shared,
    pub(super) gradient: Vec<f32>,
}

/// Candidates that all states of a step share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) blocks: Vec<CandidateBlock>,
    /// The sampled items, ascending; empty if all items are candidates.
    pub(super) sampled: Vec<u32>,
    pub(super) vectors: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) states: PackedStates,
}
