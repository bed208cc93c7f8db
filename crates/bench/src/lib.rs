//! `accrue bench`: the budgets of this build, measured on this machine.
//!
//! In: names, a size, the configuration. Out: one [`Measure`] a row, with rows about the machine. Durability, the check
//! and de-duplication are always on; data are in a temporary folder that is removed. Other processes may run on the
//! machine, so a reference loop runs before and after: if it slows down, so did everything else. The benches only
//! measure; a row that misses its target says so and the run continues.

mod bed;
mod bench;
mod checkpoint;
mod client;
mod connections;
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
mod new_products;
mod page_stages;
mod published;
mod recovery;
mod reset;
mod run;
mod sample;
mod search;
mod search_pages;
mod search_words;
mod serving;
mod shop;
mod what_if;

pub use bench::Bench;
pub use measure::{Measure, Size};
pub use run::{Options, Report, benches, run};
