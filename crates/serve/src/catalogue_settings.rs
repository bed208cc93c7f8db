//! The settings of `[catalogue]`: which items are shown.

use serde::{Deserialize, Serialize};

/// `[catalogue]`: which items are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogueSettings {
    /// Whether items that only events name, and the catalogue does not describe, are shown.
    pub unknown: UnknownItems,
    /// Whether items at price 0 or without a title are recommended.
    pub incomplete: IncompleteItems,
}

impl CatalogueSettings {
    /// The settings where nothing is set.
    pub const DEFAULT: Self = Self { unknown: UnknownItems::Auto, incomplete: IncompleteItems::Hide };
}

impl Default for CatalogueSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether unknown items are shown: items that only events name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownItems {
    /// They are shown as long as the shop has sent no description of any item.
    #[default]
    Auto,
    /// They are always shown.
    Show,
    /// They are never shown.
    Hide,
}

/// Whether incomplete items are recommended: items at price 0, where others have a price, or without a title, where
/// others have one. Search finds them in any case, because the shopper asks for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteItems {
    /// They are not recommended.
    #[default]
    Hide,
    /// They are recommended like all others.
    Show,
}
