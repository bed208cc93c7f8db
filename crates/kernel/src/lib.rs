//! Accrue's `kernel` room.
