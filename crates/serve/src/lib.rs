//! Serving: from a request to a page, out of the facts and the published version.
//!
//! In: a request as plain values, the facts (current at the last acknowledgement) and a version. Out: items, best
//! first, each with the reasons that sum to its score. This crate trains nothing, writes nothing and knows no HTTP.

mod campaigns;
mod catalogue;
mod catalogue_settings;
mod codes;
pub mod filter;
mod find;
#[cfg(test)]
mod fixture;
mod library;
mod lists;
mod page;
mod predict;
pub mod repair;
mod request;
mod rules;
mod scene;
pub mod search;
mod shop;
mod suggest;

pub use campaigns::{CampaignFault, Campaigns, MAX_CAMPAIGN_ITEMS, MAX_CAMPAIGNS};
pub use catalogue_settings::{CatalogueSettings, IncompleteItems, UnknownItems};
pub use codes::{Degraded, ReasonCode};
pub use find::{
    Facet, FacetCounts, FacetError, MAX_FACETS, MAX_RANGES, MAX_SORT_FIELDS, MAX_VALUES, NumberCounts, RangeCount,
    Sort, SortError, ValueCount,
};
pub use library::NewListed;
pub use page::sources::sources;
pub use page::{PageWork, Sibling, Stage, StageWork, Why, WithoutEvent};
pub use predict::{PredictRequest, Predicted, Prediction};
pub use request::{
    CitedEvent, Explore, Grouping, ListRequest, NewTrial, RankedHit, Reason, RecommendRequest, Recommendation,
    Recommended, SearchAnswer, SearchRequest, Seen, SponsoredBy, Visitor,
};
pub use rules::{MAX_RULE_ITEMS, MAX_RULES, RuleFault, Rules};
pub use scene::{
    CapsSettings, DiversityKind, DiversitySettings, FatigueSettings, LikeBy, PriceSetting, Rest, SceneSettings, Scenes,
    ValueSettings,
};
pub use shop::Shop;
pub use suggest::{MAX_SUGGESTIONS, SuggestRequest, Suggestion, SuggestionKind, Suggestions};

/// Places of the list that pages by offset are cut from, of recommendations and of search hits. As in other search servers, it is far longer
/// than what a shopper pages through; a program that reads the whole catalogue should export it.
pub const MAX_DEPTH: usize = 10_000;
