//! Accrue's `serve` room.
