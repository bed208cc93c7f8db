//! Chance as a pure function: `(seed, stream, counter)` names a [`Roll`], whose draws are numbered from 0.
//!
//! A thin coat over the kernel's draws with the shapes of chance that a shop needs. Nothing here is saved or shared; two
//! places that name the same roll see the same numbers.

use accrue_kernel::{Draws, random};

/// What a roll is for, so that no two uses share numbers.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Place = 1,
    Brand,
    Demand,
    ProductOrigin,
    Product,
    Shopper,
    Guest,
    Walk,
    Arrival,
    Session,
    Request,
    Respond,
    Dawn,
    Policy,
    Text,
}

/// The draws of one thing that happens.
pub(super) struct Roll(Draws);

impl Roll {
    pub(super) fn new(seed: u64, stream: Stream, counter: u64) -> Self {
        Self(Draws::new(seed, stream as u64, counter))
    }

    /// Even over the open interval (0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Even over `low..high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// An index below `n`, which is not 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0.below(n as u64) as usize
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Mean 0, variance 1.
    pub(super) fn normal(&mut self) -> f32 {
        self.0.normal()
    }

    /// The integer below or above `mean`, right on average.
    pub(super) fn count(&mut self, mean: f64) -> usize {
        (mean + self.uniform()) as usize
    }
}

/// A stable number for a text.
pub(super) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| random(hash, Stream::Text as u64, u64::from(byte), 0))
}
