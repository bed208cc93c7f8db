//! A model of whole data sets inside the fold: fitted again and again behind the stream, on the choices that were learned.
//!
//! Any model of the [registry](crate::collaborative::registry) can stand beside those that learn from every event. Its parameters
//! are as old as its last fit; the history that it answers is always the current one. In: steps of the fold. Out: how far an item's
//! score stands out among all items.
//!
//! A fit takes seconds, and may not make the fold depend on how fast a machine is. So it has two places in the stream, both counted in
//! choices: at the first its data is frozen, at the second its result is in force. Between them whoever likes may compute it
//! ([`PendingFit::compute`]); if nobody did, the fold does so itself when it gets there.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | what can be set, and what is refused |
//! | `choices.rs` | the latest choices, as a ring, and histories out of them |
//! | `model.rs` | the model: when a fit begins and is in force, how it scores |

mod choices;
mod model;
mod settings;

pub use model::{Fitted, PendingFit, Standing};
pub use settings::{FittedKind, FittedSettings};
