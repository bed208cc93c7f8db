//! The learner's thread: it follows the log behind the facts, publishes versions and writes checkpoints.

pub(crate) mod earlier_records;
pub(crate) mod fits;
pub(crate) mod thread;
