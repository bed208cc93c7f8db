//! Sequence networks that learn from every event.
//!
//! The layers are those of [`neural`](crate::neural). They learn differently: not in passes over a data set, but in
//! small steps after each few events, each a function of the state and of the records before it. In: steps of the fold.
//! Out: the state of a shopper, and how much likelier each item is than the average item.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | what can be set, and what is refused |
//! | `layers.rs` | the network of the chosen kind with its dense weights and their optimizer |
//! | `windows.rs` | windows of items that wait for the next step, and the reservoir of past ones |
//! | `gradients.rs` | forward and backward over the windows of a step |
//! | `network.rs` | the model: when a step is due, how it changes the parameters, how it scores |

mod gradients;
mod layers;
mod network;
mod settings;
mod windows;

pub use network::{Sequence, ShopperState};
pub use settings::{SequenceKind, SequenceSettings};
