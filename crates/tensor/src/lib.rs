//! A small tape of coarse fused operations with their backward passes, optimizers and weight files.
//!
//! In: rows of numbers and [`Weights`]. Out: rows of numbers, and gradients for both. A forward pass is written as
//! calls on a [`Tape`]; [`Tape::backward`] walks it from the end. Buffers are kept from step to step.
//! Refuses: tables of embeddings (their rows enter as leaves), words of the shop's domain, threads of its own (a tape
//! belongs to one thread; who runs several adds their gradients in a fixed order), and `NaN`: a loss or a gradient that
//! is no finite number is an error before it reaches a weight.

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
pub use loss::{Loss, binary_cross_entropy, cross_entropy, hinge, huber, pairwise_logistic};
pub use optimizer::{Optimizer, RowGradients, RowOptimizer, Rule};
pub use schedule::Schedule;
pub use softmax::{CandidateBlock, Candidates, FirstPass, PackedStates, SoftmaxScratch, Target};
pub use tape::{Attention, Buffers, Mode, Tape, Var};
pub use weights::{Init, WeightId, Weights};
