//! Everything that puts records into the log, on one thread.
//!
//! | file | what it does |
//! |---|---|
//! | `batch` | what comes in, and what became of it |
//! | `job` | what the writer can be asked to do |
//! | `thread` | takes jobs from the queue, and groups batches of events into commits |
//! | `writer` | one commit: append, make durable, apply to the facts |
//! | `check` | judges each record of a batch, and removes duplicates |
//! | `patch` | changes of some fields of items |
//! | `published` | what a published key may leave behind |
//! | `quarantine` | judges quarantined records again, or drops them |
//! | `served` | answers that wait to be recorded |
//! | `search_index` | the search index's thread, which follows the catalogue |

pub(crate) mod batch;
pub(crate) mod check;
pub(crate) mod job;
pub(crate) mod patch;
mod published;
pub(crate) mod quarantine;
pub(crate) mod search_index;
pub(crate) mod served;
pub(crate) mod thread;
pub(crate) mod writer;
