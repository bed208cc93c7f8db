//! Neural models of behaviour: sequence networks on the tape with items in a table; NeuMF; LightGCN.
//!
//! In: [`Interactions`](crate::collaborative::Interactions). Out: fitted models behind the contract of
//! [`CollaborativeModel`](crate::collaborative::CollaborativeModel). A network's file holds its layers and reads like its
//! paper; what all of them share lies here: windows of histories, objectives, the training step.
//!
//! A score is the dot product of a history's state with an item's vector; items enter and leave through the same table.
//! An empty history is answered with the logarithm of how often each item was chosen.

mod caser;
mod convolution;
mod gru;
mod lightgcn;
mod network;
mod neumf;
mod objective;
mod pass;
mod training;
mod transformer;
mod windows;

pub use caser::{Caser, CaserSettings};
pub use convolution::{Convolution, ConvolutionSettings};
pub use gru::{Gru, GruSettings};
pub use lightgcn::{LightGcn, LightGcnSettings};
pub use network::{Network, Sequential};
pub use neumf::{NeuMf, NeuMfSettings};
pub use objective::Objective;
pub use training::{Trainer, Training};
pub use transformer::{Transformer, TransformerSettings};
