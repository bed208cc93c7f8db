//! The settings of how search repairs itself.

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

/// How search repairs itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepairSettings {
    /// Whether a server accepts what passes the gate by itself.
    pub automatic: bool,
    /// Different shoppers without whom nothing is proposed.
    pub least_shoppers: u32,
    /// What a shopper counts who is known from events of published keys alone. At 0 they count nothing, so that no
    /// visitor of a page can make a proposal.
    pub published: f32,
}

impl Default for RepairSettings {
    fn default() -> Self {
        Self { automatic: false, least_shoppers: 4, published: 0.0 }
    }
}

impl RepairSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("least_shoppers", self.least_shoppers, 2..=1_000)?;
        SettingFault::check("published", self.published, 0.0..=1.0)
    }
}
