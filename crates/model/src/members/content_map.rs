//! What matrix factorization expects of an item by its content: learned linear maps from facets and content vectors to
//! the rows of the factorization.
//!
//! In: an item's rows whenever it was chosen. Out: the rows that an item of its kind would have, with which a new item
//! begins and towards which it is pulled while few have chosen it (Gantner et al., *Learning attribute-to-feature mappings
//! for cold-start recommendations*, ICDM 2010). The maps are learned by gradient descent on the squared distance.

use accrue_kernel::squared_norm;
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use super::tower::{Inputs, Tower};
use crate::catalogue::Catalogue;
use crate::cow::CowVec;
use crate::table::TableSettings;

/// Stream of the maps' tables. Their rows begin with zeros, so no numbers are drawn from it.
const STREAM: u64 = 0x4641_4354_0010;
/// Step of Adagrad on the rows of the maps.
const RATE: f32 = 0.1;
/// Rows for facets.
const BUCKETS: usize = 1 << 15;
/// An item that was chosen as often is pulled no longer.
const FEW: u32 = 20;

/// Maps to both rows of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ContentMap {
    chosen: Tower,
    offered: Tower,
    /// How often each item was chosen.
    n_chosen: CowVec<u32>,
}

/// Rows that an item of this kind would have.
pub(super) struct Expected {
    pub(super) chosen: Vec<f32>,
    pub(super) offered: Vec<f32>,
}

impl ContentMap {
    pub(super) fn new(dim: usize, seed: u64) -> Self {
        let rows = TableSettings { dim, init: 0.0, rate: RATE, rate_floor: 0.1, l2: 1e-4, scanned: false };
        Self {
            chosen: Tower::new(rows.clone(), BUCKETS, seed, STREAM),
            offered: Tower::new(rows, BUCKETS, seed, STREAM + 3),
            n_chosen: CowVec::new(256, 0),
        }
    }

    /// What an item's rows would be by its content; `None` if nothing is known of it that others were chosen for.
    pub(super) fn expected(&self, catalogue: &Catalogue, item: ItemIdx) -> Option<Expected> {
        let inputs = Self::inputs(&self.offered, catalogue, item);
        if !self.offered.knows(&inputs) {
            return None;
        }
        let mut expected = Expected { chosen: Vec::new(), offered: Vec::new() };
        self.offered.forward(&inputs, &mut expected.offered);
        self.chosen.forward(&Self::inputs(&self.chosen, catalogue, item), &mut expected.chosen);
        Some(expected)
    }

    fn inputs(tower: &Tower, catalogue: &Catalogue, item: ItemIdx) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.begin(tower, catalogue);
        inputs.next_owner();
        inputs.add_content(tower, catalogue, item, 1.0);
        inputs
    }

    /// Learns the rows of an item that was chosen.
    pub(super) fn learn(
        &mut self,
        catalogue: &Catalogue,
        item: ItemIdx,
        chosen: Option<&[f32]>,
        offered: Option<&[f32]>,
    ) {
        *self.n_chosen.get_mut(item as usize) += 1;
        for (tower, row) in [(&mut self.chosen, chosen), (&mut self.offered, offered)] {
            let Some(row) = row else { continue };
            tower.follow_space(catalogue);
            let mut inputs = Self::inputs(tower, catalogue, item);
            let mut error = Vec::new();
            tower.forward(&inputs, &mut error);
            error.iter_mut().zip(row).for_each(|(mapped, target)| *mapped -= target);
            if squared_norm(&error).is_finite() {
                tower.descend(&mut inputs, &error, 1.0);
            }
        }
    }

    /// Whether the item was never chosen.
    pub(super) fn is_new(&self, item: ItemIdx) -> bool {
        *self.n_chosen.get(item as usize) == 0
    }

    /// How far an item's rows are pulled after a choice, as a share of the distance, if they are pulled by `strength` at
    /// the first one.
    pub(super) fn pull(&self, item: ItemIdx, strength: f32) -> f32 {
        let n = *self.n_chosen.get(item as usize);
        if n < FEW { strength / (1 + n) as f32 } else { 0.0 }
    }

    pub(super) fn share_with(&mut self, other: &Self) {
        self.chosen.share_with(&other.chosen);
        self.offered.share_with(&other.offered);
        self.n_chosen.share_with(&other.n_chosen);
    }

    pub(super) fn n_params(&self) -> u64 {
        self.chosen.n_params() + self.offered.n_params()
    }

    pub(super) fn copied_bytes(&self) -> u64 {
        self.chosen.copied_bytes() + self.offered.copied_bytes() + self.n_chosen.copied_bytes()
    }

    pub(super) fn is_finite(&self) -> bool {
        self.chosen.is_finite() && self.offered.is_finite()
    }
}
