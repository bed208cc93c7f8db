//! Rules of the shop: what a merchant wants at a place, higher, lower, or not at all, for a query, a category or
//! everywhere.

use serde::{Deserialize, Serialize};

use crate::{ItemId, Timestamp};

/// A rule as the shop writes it. What its texts mean is checked where rules are used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShopRule {
    /// Names the rule in reasons; each name once.
    pub name: Box<str>,
    /// What happens to the items.
    pub action: RuleAction,
    /// The search that it holds for, by its words; other searches, and pages without a search, are not changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<str>>,
    /// The category whose pages it holds for: those whose filter selects it. Without a query and a category it holds
    /// everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Box<str>>,
    /// The items, in the order of their places for a pin; a parent includes its variants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemId>,
    /// The items that this filter accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Box<str>>,
    /// For a pin, the place of the first item, from 1; 1 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// For a boost, what a score is multiplied by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f32>,
    /// For a boost, the attribute whose number decides how much of the factor an item gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<Box<str>>,
    /// The number from which on an item gets the whole factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_at: Option<f64>,
    /// From when on it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when it holds; not at that moment any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// Puts items at places of their own.
    Pin,
    /// Multiplies scores.
    Boost,
    /// Puts items behind all others.
    Bury,
    /// Leaves items out.
    Hide,
}
