//! A request and its answer as plain values; the `http` crate gives them their JSON form.

use std::sync::Arc;

use accrue_event::{Event, EventType, ItemId, SessionId, Shopper, UserId};
use serde::Serialize;

use crate::filter::Filter;
use crate::search::QueryVector;
use crate::{Facet, FacetCounts, IncompleteItems, ReasonCode, Sort};
use accrue_model::{Exploration, Part, Thompson};
use accrue_store::{Circumstances, ItemIdx, Trial};

/// Whose page it is. Both may be absent: then the page has what is popular in the whole shop.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// A known user.
    pub user: Option<UserId>,
    /// The visit; alone, it identifies a guest.
    pub session: Option<SessionId>,
}

impl Visitor {
    /// The visitor's identity: a user by their id, a guest by the session; `None` for a visitor with neither.
    pub fn shopper(&self) -> Option<Shopper> {
        let guest = || self.session.clone().map(Shopper::Guest);
        self.user.clone().map(Shopper::User).or_else(guest)
    }
}

/// Whether and how new products may stand on a page whose scene has places for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTrial {
    /// Whether they may. If not, the answer says only whether one could have stood on it.
    pub is_shown: bool,
    /// The seed of the draws.
    pub seed: u64,
    /// Days for which a product is new.
    pub max_age_days: u16,
    /// Clicks after which a product is known.
    pub enough_clicks: u64,
}

/// What to do with items that the shopper chose before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// What the scene of the page says.
    #[default]
    AsScene,
    /// They compete like any other item (shoppers buy again).
    Keep,
    /// They are left out.
    Drop,
    /// Items with one of these events are left out. A return cancels its purchase.
    DropTypes(Vec<EventType>),
}

impl Seen {
    /// Types of events that it may name.
    pub const MAX_TYPES: usize = 64;

    /// The text in which requests and records say it; `None` is what the scene says.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::AsScene => None,
            Self::Keep => Some("keep".to_owned()),
            Self::Drop => Some("drop".to_owned()),
            Self::DropTypes(types) => {
                Some(format!("drop:{}", types.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(",")))
            }
        }
    }

    /// Reads `keep`, `drop`, or `drop:` with types of events, at most [`Seen::MAX_TYPES`]; `None` if it is none of these. Whether
    /// the types exist is not checked.
    pub fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "" | "keep" => Some(Self::Keep),
            "drop" => Some(Self::Drop),
            text => {
                let names = text.strip_prefix("drop:")?.split(',').map(str::trim);
                let types: Vec<EventType> = names.take(Self::MAX_TYPES + 1).map(EventType::from_name).collect();
                (types.len() <= Self::MAX_TYPES).then_some(Self::DropTypes(types))
            }
        }
    }
}

/// What pages, exclusions and seen items count by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grouping {
    /// By product: a page shows one of its variants, and what holds for one variant holds for all.
    #[default]
    Product,
    /// By item: each variant is an item of its own.
    Item,
}

/// How the first places of a page are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Explore {
    /// By rank: the best is likeliest, the next less so.
    Rank(Exploration),
    /// By the uncertainty of the items' scores.
    Belief(Thompson),
}

/// A request for recommendations.
#[derive(Clone, Debug)]
pub struct RecommendRequest {
    /// The visitor.
    pub visitor: Visitor,
    /// A history given inline, oldest first; if present it replaces the stored one.
    pub events: Option<Vec<Event>>,
    /// The kind of page: one of the shop's [`Scenes`](crate::Scenes), which say what its stages do.
    pub scene: Option<Box<str>>,
    /// The kind of device, as the shop names it.
    pub device: Option<Box<str>>,
    /// The search text that the page stands beside.
    pub query: Option<Box<str>>,
    /// Items that the page is about (a product page, a cart): read as if just viewed.
    pub items: Vec<ItemId>,
    /// Items wanted, 1 to 1,000.
    pub n: usize,
    /// Items to skip from the top, for the next pages. All pages of a request are cut from one list of at most 10,000
    /// places.
    pub offset: usize,
    /// What may be shown.
    pub filter: Option<Filter>,
    /// Never show these.
    pub exclude: Vec<ItemId>,
    /// The visit: what its other scenes already show is not shown again. The engine knows what they show and adds it to
    /// `exclude`.
    pub visit: Option<Box<str>>,
    /// What to do with items chosen before.
    pub seen: Seen,
    /// Whether variants of a product count as one.
    pub grouping: Grouping,
    /// Whether incomplete items may be recommended; `None` is what the settings say.
    pub incomplete: Option<IncompleteItems>,
    /// How much diversity weighs against score, 0 to 1; `None` is what the scene says.
    pub diversity: Option<f32>,
    /// Which part of the models scores; `None` is the one that the settings name.
    pub part: Option<Part>,
    /// How many products (or items) are on sale and pass the filter, by [`Shop::n_on_sale`](crate::Shop::n_on_sale),
    /// which looks at the whole catalogue.
    pub n_on_sale: Option<usize>,
    /// The campaigns of sponsored items that the visitor was shown and that the facts do not have yet, each as often as
    /// it was shown. The engine knows them.
    pub lately_sponsored: Vec<Box<str>>,
    /// Whether campaigns may stand on the page. The engine says that they may not where one address asks for very many
    /// pages with a published key.
    pub may_be_sponsored: bool,
    /// Draws the first places of a first page, with this number as the seed.
    pub explore: Option<(Explore, u64)>,
    /// Whether new products may stand on a first page; `None` where it does not count among the answers that are compared.
    pub new_trial: Option<NewTrial>,
    /// Whether each item comes with its reasons.
    pub explain: bool,
}

impl Default for RecommendRequest {
    fn default() -> Self {
        Self {
            visitor: Visitor::default(),
            events: None,
            scene: None,
            device: None,
            query: None,
            items: Vec::new(),
            n: 10,
            offset: 0,
            filter: None,
            exclude: Vec::new(),
            visit: None,
            seen: Seen::AsScene,
            grouping: Grouping::Product,
            incomplete: None,
            diversity: None,
            part: None,
            n_on_sale: None,
            lately_sponsored: Vec::new(),
            may_be_sponsored: true,
            explore: None,
            new_trial: None,
            explain: false,
        }
    }
}

/// A request for a list that is the same for every visitor.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Items wanted, 1 to 1,000.
    pub n: usize,
    /// What may be shown.
    pub filter: Option<Filter>,
    /// Whether variants of a product count as one.
    pub grouping: Grouping,
    /// Whether incomplete items may be recommended; `None` is what the settings say.
    pub incomplete: Option<IncompleteItems>,
}

impl RecommendRequest {
    /// What the models may know of the page.
    pub(crate) fn circumstances(&self) -> Circumstances<'_> {
        let (scene, query, device) = (self.scene.as_deref(), self.query.as_deref(), self.device.as_deref());
        Circumstances { scene, query, device, position: None }
    }

    /// The items that the request may be answered with, whoever asks.
    pub fn list(&self) -> ListRequest {
        let (filter, grouping) = (self.filter.clone(), self.grouping);
        ListRequest { n: self.n, filter, grouping, incomplete: self.incomplete }
    }
}

impl Default for ListRequest {
    fn default() -> Self {
        Self { n: 10, filter: None, grouping: Grouping::Product, incomplete: None }
    }
}

/// One term of a score. The shares of an item's reasons sum to its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The name of a [`ReasonCode`].
    pub code: &'static str,
    /// A sentence for people.
    pub text: String,
    /// The item of the history that is cited, if any.
    pub item: Option<ItemId>,
    /// The event of the history that is cited, if any.
    pub event: Option<CitedEvent>,
    /// What the reason adds to the score. For a cited event it is exact: without the event the score is lower by this.
    pub share: f32,
}

impl Reason {
    /// A reason that cites nothing.
    pub(crate) fn plain(code: &'static str, text: &str, share: f32) -> Self {
        debug_assert!(ReasonCode::is_known(code), "{code} is not among the codes of reasons");
        Self { code, text: text.to_string(), item: None, event: None, share }
    }
}

/// The event that a reason cites.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CitedEvent {
    /// The name of its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened, to the second.
    pub at: accrue_event::Timestamp,
}

/// An item of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommended {
    /// Which item.
    pub id: ItemId,
    /// Comparable within one answer only.
    pub score: f32,
    /// Empty unless requested.
    pub reasons: Vec<Reason>,
    /// The campaign that put it there, if one did.
    pub sponsored: Option<SponsoredBy>,
}

/// The campaign that put an item into a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SponsoredBy {
    /// Its id.
    pub campaign: Box<str>,
    /// What a click on the item costs it, in minor units.
    pub price: u64,
}

/// An answer to a request for recommendations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// Version of the models that answered.
    pub version: u64,
    /// Records of the log that the models have learned from.
    pub offset: u64,
    /// How many products (items, if each variant is an item of its own) the request may show in all: those that are on
    /// sale, pass the filter and are not kept off this page. `None` if it was not counted: for a list of similar items,
    /// whose end is not known without comparing the item with all others, and where the request does not give
    /// [`RecommendRequest::n_on_sale`].
    pub total: Option<usize>,
    /// The offset of the next page, where sponsored items moved others off this one.
    pub next_offset: Option<usize>,
    /// What could not be done as requested, as names of [`Degraded`](crate::Degraded); empty if everything was done.
    pub degraded: Vec<&'static str>,
    /// Best first, except for places that were drawn.
    pub items: Vec<Recommended>,
    /// For each item the place, from 0, that it had by score; empty if nothing was drawn.
    pub ranks: Vec<u32>,
    /// For each item the probability of its place, given those above; empty if nothing was drawn.
    pub propensities: Vec<f32>,
    /// Whether new products could stand on it, and where.
    pub trial: Trial,
}

/// A search request.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// What the shopper typed.
    pub query: String,
    /// The visitor for whom the hits are ordered.
    pub visitor: Visitor,
    /// The kind of device, as the shop names it.
    pub device: Option<Box<str>>,
    /// Hits wanted, 1 to 1,000.
    pub n: usize,
    /// Hits to skip from the top.
    pub offset: usize,
    /// What may be shown.
    pub filter: Option<Filter>,
    /// What is counted over all matches, at most [`MAX_FACETS`](crate::MAX_FACETS).
    pub facets: Vec<Facet>,
    /// The order of the hits; `None` is by score.
    pub sort: Option<Sort>,
    /// Whether variants of a product count as one.
    pub grouping: Grouping,
    /// Whether words that the catalogue does not have are taken for typing errors.
    pub typo: bool,
    /// How far the shopper's own scores may move a hit; 0 is neutral, 1 is strong.
    pub personalisation: f32,
    /// Which part of the models scores the shopper's taste; `None` is the one that the settings name.
    pub part: Option<Part>,
    /// The vector of the query, if it is to be compared with those of items.
    pub meaning: Option<Arc<QueryVector>>,
    /// Other queries that mean nearly the same, with their similarities from 0 to 1.
    pub near: Vec<(Arc<str>, f32)>,
    /// Whether each hit comes with its reasons.
    pub explain: bool,
}

/// The scene of all searches.
const SEARCH: &str = "search";

impl SearchRequest {
    /// What the models may know of the page.
    pub(crate) fn circumstances(&self) -> Circumstances<'_> {
        let (query, device) = (Some(&*self.query), self.device.as_deref());
        Circumstances { scene: Some(SEARCH), query, device, position: None }
    }
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            visitor: Visitor::default(),
            device: None,
            n: 10,
            offset: 0,
            filter: None,
            facets: Vec::new(),
            sort: None,
            grouping: Grouping::Product,
            typo: true,
            personalisation: 0.5,
            part: None,
            meaning: None,
            near: Vec::new(),
            explain: false,
        }
    }
}

/// A hit with what the learned order knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedHit {
    /// The item.
    pub item: ItemIdx,
    /// Its score without learned weights, in units of the score of a usual hit.
    pub score: f32,
    /// Its features, as records have them.
    pub features: Box<[i8]>,
}

/// An answer to a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchAnswer {
    /// Version of the models that ordered the hits.
    pub version: u64,
    /// Records of the log that the models have learned from.
    pub offset: u64,
    /// Products that match and may be shown; items, if each variant is an item of its own.
    pub total: usize,
    /// What could not be done as requested.
    pub degraded: Vec<&'static str>,
    /// Best first, or in the order asked for.
    pub hits: Vec<Recommended>,
    /// The first hits in the order by score with their features, to learn from what is chosen.
    #[serde(skip)]
    pub ranked: Vec<RankedHit>,
    /// The counts of each facet asked for.
    pub facets: Vec<FacetCounts>,
    /// The query as it was searched, if a word of it was taken for a mistyped one.
    pub corrected: Option<Box<str>>,
    /// Words of the query that the hits may lack, because nothing that may be shown has all of them.
    pub dropped: Vec<Box<str>>,
}
