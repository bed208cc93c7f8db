//! Settings of the two towers.

use std::ops::Bound;

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

use super::parts::TowerParts;
use crate::members::MemberSettings;
use crate::transfer::{TransferError, read_part};

/// How the item side's rows begin. Those of the shopper's side are always random: with two zeros nothing would move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstRows {
    /// With zeros: an item is scored by what was learned alone.
    #[default]
    Zero,
    /// With small random numbers.
    Random,
}

/// Size of the towers and how they learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwoTowerSettings {
    /// Whether the model learns. Off by default.
    pub enabled: bool,
    /// Numbers in a vector.
    pub dim: usize,
    /// Last events that make a shopper's vector.
    pub reach: usize,
    /// Choices gathered for a step.
    pub batch_events: usize,
    /// Items drawn evenly for a step.
    pub negatives: usize,
    /// Items drawn for a step as often as they are chosen, besides the choices of the step itself.
    pub popular: usize,
    /// Past choices kept to be learned again.
    pub reservoir: usize,
    /// Past choices learned again for each new one.
    pub replay: f32,
    /// Step of Adagrad on the rows.
    pub rate: f32,
    /// Decay of the rows that a step touches.
    pub row_decay: f32,
    /// How the item side's rows begin.
    pub first_rows: FirstRows,
    /// Rows for facets: hashes of facets share them.
    pub buckets: usize,
    /// Candidates of a page.
    pub candidates: usize,
}

impl Default for TwoTowerSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            dim: 64,
            reach: 30,
            batch_events: 16,
            negatives: 192,
            popular: 64,
            reservoir: 4096,
            replay: 0.5,
            rate: 0.2,
            row_decay: 1e-4,
            first_rows: FirstRows::Zero,
            buckets: 1 << 15,
            candidates: 100,
        }
    }
}

impl MemberSettings for TwoTowerSettings {
    fn candidates(&self) -> usize {
        self.candidates
    }

    fn switched_off(&self) -> Option<SettingFault> {
        (!self.enabled).then(|| SettingFault::new("enabled", false, "true"))
    }

    fn needs_facets(&self) -> bool {
        true
    }

    fn begins_alone(&self) -> bool {
        true
    }

    fn fit(&self, part: Option<&[u8]>) -> Result<(), TransferError> {
        match part.and_then(read_part::<TowerParts>) {
            Some(parts) => parts.fit(self.dim, self.buckets),
            None => Err(TransferError::Nothing("its models were trained without `model.two_tower.enabled = true`")),
        }
    }

    fn validate(&self) -> Result<(), SettingFault> {
        let counts = [
            ("dim", self.dim, 1, 1024),
            ("reach", self.reach, 1, 1000),
            ("batch_events", self.batch_events, 1, 4096),
            ("negatives", self.negatives, 1, 100_000),
            ("popular", self.popular, 0, 100_000),
            ("reservoir", self.reservoir, 0, 1_000_000),
            ("buckets", self.buckets, 1, 1 << 24),
        ];
        for (key, value, least, most) in counts {
            SettingFault::check(key, value, least..=most)?;
        }
        SettingFault::check("rate", self.rate, (Bound::Excluded(0.0), Bound::Included(10.0)))?;
        SettingFault::check("row_decay", self.row_decay, 0.0..=1.0)?;
        SettingFault::check("replay", self.replay, 0.0..=64.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_invalid_settings_are_named() {
        assert_eq!(TwoTowerSettings::default().validate(), Ok(()));
        let refused = |change: fn(&mut TwoTowerSettings), key: &str| {
            let mut settings = TwoTowerSettings { enabled: true, ..Default::default() };
            change(&mut settings);
            let fault = settings.validate().expect_err("it is not valid").to_string();
            assert!(fault.contains(key), "{fault}");
        };
        refused(|settings| settings.dim = 0, "`dim` is 0");
        refused(|settings| settings.batch_events = 0, "`batch_events` is 0");
        refused(|settings| settings.rate = 0.0, "`rate` is 0");
        refused(|settings| settings.rate = f32::NAN, "`rate` is NaN");
        refused(|settings| settings.replay = -1.0, "`replay` is -1");
        refused(|settings| settings.buckets = usize::MAX, "`buckets`");
    }
}
