//! Accrue's `serve` room.

pub mod filter;
pub mod search;
