//! Accrue's `train` room.
