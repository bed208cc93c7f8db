//! The engine from outside, as a program that links it uses it.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

mod challengers;
mod content;
mod forgetting;
mod probes;
mod published;
mod reopening;
mod retention;
mod sources;
