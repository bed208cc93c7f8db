//! Accrue's `model` room.
