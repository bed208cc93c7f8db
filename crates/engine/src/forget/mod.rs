//! Forgetting people: their records become tombstones, and everything is learned again without them.
//!
//! `at_rest` does it on a folder that no server has open, `while_serving` beside a running server, whose progress is in `status`.
//! `mentions` finds a name in refused records, which have no fields.

pub(crate) mod at_rest;
pub(crate) mod mentions;
pub(crate) mod status;
pub(crate) mod while_serving;
