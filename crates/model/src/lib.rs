//! Models: what can be learned from a shop's events, and how it scores.
//!
//! In: steps (an event with the situation before it). Out: scores for a context, each the sum of its reasons. One file a model.
//! This crate knows no HTTP, no threads and no clock: time comes with the event, randomness from (seed, offset).

mod accumulator;
mod blend;
pub mod collaborative;
mod context;
mod cow;
mod decay;
mod ensemble;
mod exploration;
mod factorization;
mod fitted;
mod gaussian;
mod neighbours;
pub mod neural;
mod online;
mod popularity;
mod preference;
mod repeat;
mod table;
mod thompson;
mod version;
mod weights;

pub use blend::{Axis, Blend, BlendSettings, Feature, N_KNOTS};
pub use context::{Context, Scored, Step};
pub use cow::CowVec;
pub use decay::{Decayed, HalfLife, log2};
pub use ensemble::{Ensemble, FEATURES, N_FEATURES, Part, Prepared, RetrievalSettings, Settings};
pub use exploration::{Drawn, Exploration, MAX_AMONG, MAX_PLACES};
pub use factorization::{Factorization, FactorizationSettings};
pub use fitted::{Fitted, FittedKind, FittedSettings, PendingFit};
pub use gaussian::{Gaussian, RowBelief};
pub use neighbours::{NeighbourSums, Neighbours, NeighboursSettings};
pub use online::{Sequence, SequenceKind, SequenceScratch, SequenceSettings, ShopperState};
pub use popularity::Popularity;
pub use preference::{Liking, Preference};
pub use repeat::Repeat;
pub use table::{EmbeddingTable, TableSettings};
pub use thompson::Thompson;
pub use version::Version;
pub use weights::{MAX_TYPES, TypeWeights};
