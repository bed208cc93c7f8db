//! Ranking protocols: fit on histories, rank items for each query, see where the relevant ones land.
//!
//! In: a [`Task`], made from files by its protocol. Out: one [`Outcome`] a query, and from them the metrics. Among equal
//! scores a relevant item ranks behind the others; a score that is `NaN` is an error. Queries are shared by threads in
//! fixed batches: the result does not show how many threads there were.

mod evaluate;
mod measure;
mod summary;
mod task;

pub use evaluate::{Outcome, evaluate};
pub use measure::{FIGURES, Figure, Measured};
pub use summary::{Group, Summary, summarise};
pub use task::{Counted, LastItems, Query, Task};
