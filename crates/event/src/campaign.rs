//! Campaigns: what is sponsored into slots of pages, for whom, and for how much; and what a click on it costs.

use serde::{Deserialize, Serialize};

use crate::{ItemId, Timestamp};

/// All campaigns of a shop as it writes them. What the texts mean is checked where campaigns are used. Amounts are whole
/// minor units of one currency (cents), so that sums are exact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CampaignDocument {
    /// ISO 4217 code of the currency; it is shown, and nothing is converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Box<str>>,
    /// The least price of a click; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve: Option<u64>,
    /// The campaigns.
    pub campaigns: Vec<Campaign>,
}

/// A campaign as the shop writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Names the campaign in answers and charges; each id once.
    pub id: Box<str>,
    /// The items; a parent includes its variants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ItemId>,
    /// The items that this filter accepts, among the candidates of the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Box<str>>,
    /// The most that a click may cost.
    pub bid: u64,
    /// The most that a day may cost.
    pub daily_budget: u64,
    /// The scenes whose slots it takes part in; all that have slots, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenes: Vec<Box<str>>,
    /// The categories whose pages it is for: those whose filter selects one; all pages, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Box<str>>,
    /// The search texts beside whose hits it stands, by their words; all pages, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<Box<str>>,
    /// The shoppers that it is for: a filter of their attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shoppers: Option<Box<str>>,
    /// How often a shopper sees it on one day, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_shopper: Option<u32>,
    /// The least probability of a click with which it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_floor: Option<f32>,
    /// From when on it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when it runs; not at that moment any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a click on a sponsored item costs. It names no person, so it stays when the shopper is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The campaign.
    pub campaign: Box<str>,
    /// The `recommendation_id` of the answer that showed the item.
    pub answer: Box<str>,
    /// The item.
    pub item: ItemId,
    /// The price of the auction.
    pub price: u64,
    /// What is charged: the price, or what was left of the day's budget.
    pub amount: u64,
    /// The day of the stream, counted from 1970.
    pub day: i64,
}

/// A click on a sponsored item that is not charged, because the same visitor or address clicked before. It names no person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidClick {
    /// The campaign.
    pub campaign: Box<str>,
    /// The `recommendation_id` of the answer that showed the item.
    pub answer: Box<str>,
    /// The item.
    pub item: ItemId,
    /// Why it is not charged.
    pub why: InvalidReason,
    /// The day of the stream, counted from 1970.
    pub day: i64,
}

/// Why a click is not charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvalidReason {
    /// A click of the visitor on the item was charged to the campaign within the hour before.
    Repeated,
    /// As many clicks of the address were charged to the campaign within the hour as `check.published` allows.
    TooManyOfAddress,
}

/// A record of the log about campaigns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignRecord {
    /// These campaigns replace all others.
    Document(CampaignDocument),
    /// A click was charged.
    Charge(Charge),
    /// A click was not charged.
    Invalid(InvalidClick),
}
