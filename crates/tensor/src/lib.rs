//! A tape of coarse fused operations with their backward passes, optimizers and weight files.
//!
//! In: rows of numbers and [`Weights`]. Out: rows of numbers, and gradients for both. A forward pass is a series of
//! calls on a [`Tape`]; [`Tape::backward`] then reads the tape from its end. Buffers are reused from step to step. This
//! crate knows no embedding tables (their rows enter as leaves) and no term of the shop's domain. A tape belongs to one
//! thread; a caller that runs several tapes adds their gradients in a fixed order. A loss or gradient that is not
//! finite is an error before any weight changes.

mod clip;
mod error;
mod files;
mod loss;
mod optimizer;
mod schedule;
mod softmax;
mod tape;
mod weights;

pub use accrue_kernel::Activation;
pub use clip::{finite_norm, scale_to_norm};
pub use error::TensorError;
pub use files::{read_weights, write_weights};
pub use loss::{binary_cross_entropy, hinge, pairwise_logistic};
pub use optimizer::{Optimizer, RowGradients, RowOptimizer, Rule, adam_step};
pub use schedule::Schedule;
pub use softmax::{CandidateBlock, Candidates, FirstPass, PackedStates, SoftmaxScratch, Target};
pub use tape::{Attention, Buffers, Mode, Tape, Var};
pub use weights::{Init, WeightId, Weights};
