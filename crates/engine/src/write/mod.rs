//! Everything that puts records into the log, on one thread.
//!
//! | file | what it does |
//! |---|---|
//! | `absent` | what becomes of items that a whole catalogue does not name |
//! | `batch` | the input and the outcome of a batch |
//! | `job` | what the writer can be asked to do |
//! | `thread` | takes jobs from the queue, and groups batches of events into commits |
//! | `writer` | one commit: append, make durable, apply to the facts |
//! | `check` | judges each record of a batch, and removes duplicates |
//! | `charge` | what a click on a sponsored item is charged |
//! | `changes` | what came of a source, with how far it was read, in one commit |
//! | `group` | what the batches of one commit add, before the facts have it |
//! | `patch` | changes of some fields of items |
//! | `published` | which effects events of a published key may have |
//! | `addresses` | how many sessions of one address count for one item |
//! | `kept` | how many bytes published keys leave in the log on a day |
//! | `room` | whether a batch of a published key is kept or only counted |
//! | `sketch` | counts of very many keys in bounded memory |
//! | `quarantine` | judges quarantined records again, or drops them |
//! | `served` | answers that wait to be recorded |
//! | `index_change` | changes of the catalogue for the search index |
//! | `search_index` | the search index's thread, which follows the catalogue |

pub(crate) mod absent;
pub(crate) mod addresses;
pub(crate) mod batch;
mod changes;
mod charge;
pub(crate) mod check;
pub(crate) mod group;
pub(crate) mod index_change;
pub(crate) mod job;
pub(crate) mod kept;
mod overlay;
pub(crate) mod patch;
mod published;
pub(crate) mod quarantine;
mod room;
pub(crate) mod search_index;
pub(crate) mod served;
mod sketch;
pub(crate) mod thread;
pub(crate) mod writer;
