//! Neural models of behaviour: sequence networks on the tape, with items in a table; NeuMF; LightGCN.
//!
//! In: [`Interactions`](crate::collaborative::Interactions). Out: fitted models behind the contract of
//! [`CollaborativeModel`](crate::collaborative::CollaborativeModel). A network's file holds its layers and reads like
//! its paper; the common parts are in files of their own: windows of histories, objectives, the training step.
//!
//! A score is the dot product of a history's state with an item's vector; inputs and outputs share one table of items.
//! For an empty history, an item's score is the logarithm of how often it was chosen.

mod caser;
mod chunk;
mod convolution;
mod gru;
mod lightgcn;
mod network;
mod neumf;
mod objective;
mod pass;
mod sequential;
mod settings;
mod trainer;
mod training;
mod transformer;
mod windows;

pub use caser::{Caser, CaserSettings};
pub use convolution::{Convolution, ConvolutionSettings};
pub use gru::{Gru, GruSettings};
pub use lightgcn::{LightGcn, LightGcnSettings};
pub use network::Network;
pub use neumf::{NeuMf, NeuMfSettings};
pub use objective::Objective;
pub use sequential::Sequential;
pub use settings::Training;
pub use trainer::Trainer;
pub use transformer::{Transformer, TransformerSettings};
