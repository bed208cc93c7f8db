//! What a network is trained for: which items a state should score high, compared with which others.

use serde::{Deserialize, Serialize};

/// The loss of a state and its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Cross-entropy over all items. Klenitskiy and Vasilev, *Turning dross into gold loss: is BERT4Rec really better than
    /// SASRec?* (2023) show how much of a model's quality depends on it.
    #[default]
    Softmax,
    /// Cross-entropy over items sampled once a batch, corrected by `-log Q`: for tables that are too large for the full softmax.
    SampledSoftmax,
    /// Binary cross-entropy against sampled items, as in SASRec.
    Bce,
    /// The target above a sampled item: BPR.
    Bpr,
    /// The target above a sampled item by a margin of 1. Pairs beyond the margin have no gradient, so random clicks
    /// weigh less.
    Hinge,
}

impl Objective {
    /// Whether all states of a step are scored against the same candidates.
    pub(super) fn shares_candidates(self) -> bool {
        matches!(self, Self::Softmax | Self::SampledSoftmax)
    }
}
