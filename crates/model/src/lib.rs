//! Models: what can be learned from a shop's events, and how it scores.
//!
//! In: steps (an event with the situation before it). Out: scores for a context, each the sum of its reasons. One file a model.
//! This crate knows no HTTP, no threads and no clock: time comes with the event, randomness from (seed, offset).

mod accumulator;
mod blend;
mod catalogue;
pub mod collaborative;
mod column;
mod context;
mod cow;
mod decay;
mod draw_budget;
mod ensemble;
mod exploration;
mod facets;
mod gaussian;
pub mod members;
pub mod neural;
pub mod new_product;
mod pairs;
pub mod parts;
pub mod ranker;
mod stored;
mod table;
mod thompson;
mod transfer;
mod vectors;
mod version;
mod weights;

pub use blend::{Blend, BlendSettings};
pub use catalogue::Catalogue;
pub use column::{Axis, Column, N_KNOTS, ReasonKind};
pub use context::{Context, Scored, Step};
pub use cow::CowVec;
pub use decay::{Decayed, HalfLife, log2};
pub use draw_budget::DrawCost;
pub use ensemble::{Ensemble, Prepared, RetrievalSettings};
pub use exploration::{Drawn, Exploration, MAX_AMONG, MAX_PLACES};
pub use gaussian::{Gaussian, RowBelief};
pub use members::{
    Counter, Factorization, FactorizationSettings, Fitted, FittedKind, FittedSettings, MAX_CANDIDATES, Member,
    MemberReport, Members, Neighbours, NeighboursSettings, Part, PendingFit, Popularity, Preference, Sequence,
    SequenceKind, SequenceSettings, Settings, Visitor,
};
pub use parts::Parts;
pub use table::{EmbeddingTable, TableSettings};
pub use thompson::Thompson;
pub use transfer::{InitSettings, TransferError};
pub use vectors::{Coded, Vectors};
pub use version::Version;
pub use weights::{MAX_TYPES, TypeWeights};
