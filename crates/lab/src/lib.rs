//! Accrue's `lab` room.
