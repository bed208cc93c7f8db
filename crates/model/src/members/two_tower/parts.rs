//! What two towers can take from those of another shop: all rows that are no item's.

use serde::{Deserialize, Serialize};

use super::recency::Recency;
use crate::members::tower::SharedRows;
use crate::transfer::TransferError;

/// The parts of both towers that mean the same in every shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TowerParts {
    pub(super) chosen: SharedRows,
    pub(super) offered: SharedRows,
    pub(super) recency: Recency,
}

impl TowerParts {
    /// Whether all numbers are there, and finite.
    pub(super) fn is_sound(&self) -> bool {
        self.chosen.is_sound()
            && self.offered.is_sound()
            && self.chosen.dim() == self.offered.dim()
            && self.recency.is_finite()
    }

    /// Whether towers of this width, with so many rows for facets, have room for the parts.
    pub(super) fn fit(&self, dim: usize, buckets: usize) -> Result<(), TransferError> {
        let shapes = [
            ("the width of the two towers", self.chosen.dim(), "model.two_tower.dim", dim),
            ("the number of rows for facets", self.chosen.n_buckets(), "model.two_tower.buckets", buckets),
        ];
        match shapes.into_iter().find(|(_, found, _, expected)| found != expected) {
            Some((what, found, key, expected)) => Err(TransferError::Shape { what, found, key, expected }),
            None => Ok(()),
        }
    }
}
