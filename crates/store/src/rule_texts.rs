//! Rules, scenes or campaigns of a shop as the log has them: their text, and since when it holds.

use serde::{Deserialize, Serialize};

use crate::Offset;

/// The rules, the scenes or the campaigns of a shop as the log has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleTexts {
    /// A list of [`accrue_event::ShopRule`], or settings by the name of a scene; empty if there never were any.
    pub json: Box<str>,
    /// The offset after the latest change.
    pub since: Offset,
}
