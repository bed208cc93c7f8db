//! What a step learns from, and a reservoir of past examples.
//!
//! The reservoir is a uniform sample of all past choices in bounded memory: Vitter, *Random sampling with a reservoir*
//! (1985), algorithm R, with draws that are a function of the seed and of the number of choices.

use std::sync::Arc;

use accrue_kernel::Draws;
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::recency::Evidence;
use crate::cow::CowVec;

/// Stream of the random numbers that decide what the reservoir keeps.
const KEEP: u64 = 0x5457_4f54_0001;

/// A choice with what was known before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Example {
    pub(super) chosen: ItemIdx,
    pub(super) at_ms: i64,
    pub(super) evidence: Box<[Evidence]>,
    /// Hashes of the shopper's circumstances and descriptors.
    pub(super) circumstances: Box<[u32]>,
}

/// A uniform sample of all choices that were learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reservoir {
    examples: CowVec<Arc<Example>>,
    n_seen: u64,
}

impl Default for Reservoir {
    fn default() -> Self {
        Self { examples: CowVec::new(16, Arc::default()), n_seen: 0 }
    }
}

impl Reservoir {
    /// Adds a choice or not, so that each past one is kept with the same probability.
    pub(super) fn offer(&mut self, example: &Arc<Example>, capacity: usize, seed: u64) {
        let place = match self.n_seen {
            young if young < capacity as u64 => young,
            n_seen => Draws::new(seed, KEEP, n_seen).below(n_seen + 1),
        };
        self.n_seen += 1;
        if place < capacity as u64 {
            *self.examples.get_mut(place as usize) = example.clone();
        }
    }

    /// Draws a choice; `None` if there is none.
    pub(super) fn draw(&self, draws: &mut Draws) -> Option<&Arc<Example>> {
        let n = self.examples.len() as u64;
        (n > 0).then(|| self.examples.get(draws.below(n) as usize))
    }

    pub(super) fn share_with(&mut self, other: &Self) {
        self.examples.share_with(&other.examples);
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.examples.copied_bytes()
    }
}
