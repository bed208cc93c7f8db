//! Challengers: models trained beside the current one on the same log, and promoted if the gate finds them no worse.
//!
//! | file | what it does |
//! |---|---|
//! | `request` | what an operator may request: other settings, more passes, recent choices only |
//! | `lifecycle` | the learner's thread: when a challenger begins, is shadowed, is judged, is dropped |
//! | `thread` | the challenger's thread: trains the challenger, measures its costs, writes the verdict |
//! | `mailbox` | the one place where both threads meet |
//! | `verdict` | what decides: gains, the time of a page, memory |
//! | `status` | all of it as an operator sees it |
//! | `at_rest` | a challenge on a folder that no server has open |

pub(crate) mod at_rest;
pub(crate) mod lifecycle;
pub(crate) mod mailbox;
pub(crate) mod request;
pub(crate) mod status;
pub(crate) mod thread;
pub(crate) mod verdict;
