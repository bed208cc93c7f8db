//! The log, and the facts that fold out of it.
//!
//! In: checked events, catalogue and user edits. Out: records by offset, durable and in order, and the facts derived from
//! them (vocabulary, catalogue, histories, quarantine). This crate learns nothing and judges nothing.

mod record;

pub use record::{Body, CheckedEvent, Offset, Record};
