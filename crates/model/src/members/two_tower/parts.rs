//! What two towers can take from those of another shop: all rows that are no item's.

use serde::{Deserialize, Serialize};

use super::network::TwoTower;
use super::recency::Recency;
use super::settings::TwoTowerSettings;
use crate::members::tower::SharedRows;
use crate::transfer::{InitSettings, Thaw, TransferError};

/// The parts of both towers that mean the same in every shop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TowerParts {
    pub(super) chosen: SharedRows,
    pub(super) offered: SharedRows,
    pub(super) recency: Recency,
}

impl TowerParts {
    /// Whether all numbers are there, and finite.
    pub(crate) fn is_sound(&self) -> bool {
        self.chosen.is_sound()
            && self.offered.is_sound()
            && self.chosen.dim() == self.offered.dim()
            && self.recency.is_finite()
    }

    /// Whether towers of these settings have room for the parts.
    pub(crate) fn fit(&self, settings: &TwoTowerSettings) -> Result<(), TransferError> {
        let shapes = [
            ("the width of the two towers", self.chosen.dim(), "model.two_tower.dim", settings.dim),
            ("the number of rows for facets", self.chosen.n_buckets(), "model.two_tower.buckets", settings.buckets),
        ];
        match shapes.into_iter().find(|(_, found, _, expected)| found != expected) {
            Some((what, found, key, expected)) => Err(TransferError::Shape { what, found, key, expected }),
            None => Ok(()),
        }
    }
}

impl TwoTower {
    /// What another shop can take.
    pub(crate) fn parts(&self) -> TowerParts {
        TowerParts {
            chosen: self.chosen.shared_rows(),
            offered: self.offered.shared_rows(),
            recency: self.recency.clone(),
        }
    }

    /// Begins with the parts of another shop, if they fit.
    pub(crate) fn begin_with(&mut self, parts: &TowerParts, settings: &InitSettings) {
        if parts.fit(&self.settings).is_ok() {
            self.chosen.begin_with(&parts.chosen);
            self.offered.begin_with(&parts.offered);
            self.recency = parts.recency.clone();
            self.thaw = Thaw::of(settings);
        }
    }
}
