//! A fitted model as a member: fitted repeatedly on a window of the choices that were learned.
//!
//! Any model of the [registry](crate::collaborative::registry) can be a member beside those that learn from every
//! event. Its parameters are as old as its last fit, but it scores from the current history. In: steps of the fold.
//! Out: by how many standard deviations an item's score is above the mean of all items.
//!
//! A fit takes seconds, and the fold must not depend on how fast a machine is. So a fit has two positions in the
//! stream, both counted in choices: at the first its data is frozen, at the second its result takes effect. Between
//! them any thread may compute it ([`PendingFit::compute`]); if none has, the fold computes it itself at the second
//! position.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | what can be set, and what is refused |
//! | `choices.rs` | the latest choices, as a ring, and histories out of them |
//! | `model.rs` | the model: when a fit begins and takes effect, how it scores |

mod choices;
mod model;
mod settings;

pub use model::{Fitted, FittedScores, PendingFit};
pub use settings::{FittedKind, FittedSettings};
