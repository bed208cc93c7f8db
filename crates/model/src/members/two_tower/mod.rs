//! Two towers that learn from every event: a vector of each item and a vector of the shopper, whose dot product says how
//! likely the item is chosen next.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | what can be set, and what is refused |
//! | `examples.rs` | what a step learns from: a shopper's history and circumstances, and the item chosen; the reservoir |
//! | `recency.rs` | how much a past event counts, by its type, its age and its place |
//! | `negatives.rs` | which items compete in a step, and how often each is drawn |
//! | `network.rs` | the model: when a step is due, how it changes the parameters, how it scores |
//! | `parts.rs` | what another shop's towers can begin with |
//!
//! A tower itself, a linear map with its backward pass, is `../tower.rs`.

mod examples;
mod negatives;
mod network;
mod parts;
mod recency;
mod settings;

pub use network::{TowerState, TwoTower};
pub use settings::{FirstRows, TwoTowerSettings};
