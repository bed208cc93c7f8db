//! Ranking protocols: a model is fitted on histories and ranks items for each query; the ranks of relevant items are
//! measured.
//!
//! In: a [`Task`], which a protocol makes from files. Out: one [`Outcome`] per query, and the metrics computed from
//! them. Among equal scores a relevant item ranks behind the others; a `NaN` score is an error. Threads share the
//! queries in fixed batches, so the result does not depend on the number of threads.

mod evaluate;
mod measure;
mod summary;
mod task;

pub use evaluate::{Outcome, evaluate};
pub use measure::{FIGURES, Figure, Measured};
pub use summary::{Group, Known, Summary, summarise};
pub use task::{LastItems, LeftOut, Names, Query, Task};
