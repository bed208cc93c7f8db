//! Sequence networks that learn from every event.
//!
//! The layers are those of [`neural`](crate::neural); what differs is how they learn: not in passes over a data set, but in small
//! steps behind the stream, each a function of the state and of the records before it. In: steps of the fold. Out: the state of a
//! shopper, and how much likelier than the average item each item is.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | what can be set, and what is refused |
//! | `layers.rs` | the network of the chosen kind with its dense weights and their optimizer |
//! | `windows.rs` | runs of items that wait for the next step, and the reservoir of past ones |
//! | `gradients.rs` | forward and backward over the windows of a step |
//! | `network.rs` | the model: when a step is due, how it moves, how it scores |

mod gradients;
mod layers;
mod network;
mod settings;
mod windows;

pub use network::{Sequence, ShopperState};
pub use settings::{SequenceKind, SequenceSettings};
