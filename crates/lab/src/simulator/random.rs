//! Random numbers as a pure function: `(seed, stream, counter)` identifies a [`Random`], whose draws are numbered from
//! 0.
//!
//! It adds the distributions that the simulator needs to the kernel's draws. Nothing is saved or shared: two places
//! that use the same triple get the same numbers.

use accrue_kernel::{Draws, random};

/// The purposes of random numbers, so that no two uses share them.
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
    DayPlan,
    Policy,
    Text,
}

/// The draws for one purpose and counter.
pub(super) struct Random(Draws);

impl Random {
    pub(super) fn new(seed: u64, stream: Stream, counter: u64) -> Self {
        Self(Draws::new(seed, stream as u64, counter))
    }

    /// Uniform in the open interval (0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Uniform in `low..high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// An index below `n`, which must not be 0.
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

    /// `mean` rounded down or up at random, with `mean` as the expected value.
    pub(super) fn count(&mut self, mean: f64) -> usize {
        (mean + self.uniform()) as usize
    }
}

/// A stable hash of a text.
pub(super) fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| random(hash, Stream::Text as u64, u64::from(byte), 0))
}
