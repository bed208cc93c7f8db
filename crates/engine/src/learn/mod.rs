//! The learner's thread: it follows the log behind the facts, publishes versions and writes checkpoints.

pub(crate) mod fits;
pub(crate) mod past;
pub(crate) mod thread;
