//! `accrue bench`: the budgets of this build, measured on this machine.
//!
//! In: names, a size, the configuration. Out: one [`Measure`] a row, beside rows that say what machine it was. Durability, the
//! check and de-duplication are always on, data lie in a temporary folder that is removed. The machine is shared with whatever
//! else runs, so the reference loop runs before and after: when it slows down, so does everything else.
//! It measures what is there and decides nothing; a row that misses its target says so and the run goes on.

mod bed;
mod bench;
mod checkpoint;
mod client;
mod corpus;
mod dataset;
mod folder;
mod freshness;
mod guard;
mod ingest;
mod learning;
mod machine;
mod measure;
mod memory;
mod recovery;
mod reset;
mod run;
mod sample;
mod search;
mod serving;
mod shop;

pub use bench::Bench;
pub use measure::{Measure, Size};
pub use run::{Options, Report, benches, run};
