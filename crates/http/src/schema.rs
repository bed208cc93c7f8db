//! Schemas of records for the interface's description. The server reads records more leniently than these schemas say,
//! because the check judges each field. They are documentation only; no value of these types is created.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// Open-ended fields: texts, numbers, booleans and lists of texts, by name.
#[derive(Debug, ToSchema)]
#[schema(value_type = Object, example = json!({"colour": "red", "dishwasher_safe": true, "materials": ["stoneware"]}))]
pub struct AttributesRecord(pub BTreeMap<String, String>);

/// What a shopper did. A user or a session is required; every type but `search` needs an item.
#[derive(Debug, ToSchema)]
#[schema(as = Event, example = json!({
    "id": "e1", "type": "view", "user": "u1", "session": "s1", "item": "sku-9", "at": "2026-11-21T10:00:00Z"
}))]
pub struct EventRecord {
    /// Two events with the same id are one event. Without an id, it is derived from the content.
    pub id: Option<String>,
    /// `impression`, `view`, `click`, `favorite`, `cart`, `purchase`, `return`, `rating`, `search`, `dislike`, or one
    /// of your own from the configuration.
    #[schema(example = "purchase")]
    pub r#type: String,
    /// The customer.
    pub user: Option<String>,
    /// The visit; alone, it identifies a guest.
    pub session: Option<String>,
    /// The item concerned.
    pub item: Option<String>,
    /// When: RFC 3339, also with the name of a zone, or seconds, milliseconds or microseconds since 1970. The time of
    /// arrival, if no field has a time.
    pub at: Option<String>,
    /// A rating, a dwell time; 1 if left out.
    pub value: Option<f64>,
    /// Pieces; 1 if left out.
    pub quantity: Option<u32>,
    /// Price of one piece.
    pub price: Option<f64>,
    /// The search text.
    pub query: Option<String>,
    /// The platform that sent it.
    pub source: Option<String>,
    /// The `recommendation_id` or `search_id` of the answer that the shopper acted on.
    pub recommendation_id: Option<String>,
    /// The position in that answer, from 0.
    pub position: Option<u32>,
    /// Any other fields.
    pub properties: Option<AttributesRecord>,
}

/// A product. Only the id is required.
#[derive(Debug, ToSchema)]
#[schema(as = Item, example = json!({
    "id": "sku-9", "title": "Red mug", "brand": "Acme", "categories": ["kitchen", "mugs"], "price": 9.9,
    "currency": "EUR", "stock": 40, "published_at": "2026-11-01T00:00:00Z", "attributes": {"colour": "red"}
}))]
pub struct ItemRecord {
    /// The item's id in every event and answer.
    pub id: String,
    /// The group of its variants (sizes, colours): a page shows one of a group.
    pub parent: Option<String>,
    /// The title that shoppers read.
    pub title: Option<String>,
    /// A longer text.
    pub description: Option<String>,
    /// The brand.
    pub brand: Option<String>,
    /// Categories.
    pub categories: Option<Vec<String>>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
    /// Price of one piece.
    pub price: Option<f64>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// BCP 47 tag of title and description.
    pub locale: Option<String>,
    /// Address of a picture.
    pub image: Option<String>,
    /// Whether it may be shown; `true` if left out.
    pub available: Option<bool>,
    /// Pieces in stock; 0 hides the item.
    pub stock: Option<u32>,
    /// When it was published in the shop; it is not shown before, and `/v1/new` sorts by it.
    pub published_at: Option<String>,
    /// Any other fields; filters refer to them by name.
    pub attributes: Option<AttributesRecord>,
}

/// A customer.
#[derive(Debug, ToSchema)]
#[schema(as = User, example = json!({"id": "u1", "attributes": {"country": "DE", "loyalty": "gold"}}))]
pub struct UserRecord {
    /// The user's id in every event and request.
    pub id: String,
    /// Any attributes.
    pub attributes: AttributesRecord,
}

/// A rule of the shop. Only `name` and `action` are always required; what it is about is `items` or `filter`.
#[derive(Debug, ToSchema)]
#[schema(as = Rule, example = json!({
    "name": "advent", "action": "boost", "filter": "tag:christmas", "factor": 1.5, "from": "2026-11-29T00:00:00Z",
    "until": "2026-12-27T00:00:00Z"
}))]
pub struct RuleRecord {
    /// Its name in reasons; each name once.
    pub name: String,
    /// `pin` gives items places of their own, `boost` multiplies their scores, `bury` puts them behind all others,
    /// `hide` leaves them out.
    #[schema(example = "boost")]
    pub action: String,
    /// The search that it holds for: the same words, whatever their case and marks.
    pub query: Option<String>,
    /// The category whose pages it holds for: those whose filter has `category:NAME`, joined by `AND` at its top.
    /// Without a query and a category, a rule holds everywhere.
    pub category: Option<String>,
    /// The items; a parent includes its variants.
    pub items: Option<Vec<String>>,
    /// The items that this filter accepts.
    pub filter: Option<String>,
    /// For a pin: the place of the first item, from 1; the others follow.
    pub position: Option<u32>,
    /// For a boost: the factor, 0.01 to 100.
    pub factor: Option<f32>,
    /// For a boost: an attribute; an item gets as much of the factor as its number is of `full_at`.
    pub attribute: Option<String>,
    /// The number of the attribute from which on an item gets the whole factor.
    pub full_at: Option<f64>,
    /// From when on it holds (RFC 3339).
    pub from: Option<String>,
    /// Until when it holds.
    pub until: Option<String>,
}

/// A campaign. `id`, `bid`, `daily_budget`, and `items` or `filter` are required. Amounts are whole minor units of the
/// currency (cents).
#[derive(Debug, ToSchema)]
#[schema(as = Campaign, example = json!({
    "id": "acme-advent", "filter": "brand:Acme", "bid": 45, "daily_budget": 5000, "scenes": ["home"],
    "shoppers": "attributes.segment:vip", "per_shopper": 3, "quality_floor": 0.01, "until": "2026-12-27T00:00:00Z"
}))]
pub struct CampaignRecord {
    /// Names it in answers and charges; each id once.
    pub id: String,
    /// The items; a parent includes its variants.
    pub items: Option<Vec<String>>,
    /// The items that this filter accepts, among the best 300 candidates of the page.
    pub filter: Option<String>,
    /// The most that a click may cost, 1 to 1000000000 and at least the reserve.
    pub bid: u64,
    /// The most that a day (UTC) may cost, at least the bid.
    pub daily_budget: u64,
    /// The scenes whose slots it takes part in; all that have slots, if left out.
    pub scenes: Option<Vec<String>>,
    /// The categories whose pages it is for: those whose filter has `category:NAME`, joined by `AND` at its top.
    pub categories: Option<Vec<String>>,
    /// The search texts (`query` of the request) beside whose hits it stands: the same words.
    pub queries: Option<Vec<String>>,
    /// The shoppers that it is for: a filter of the attributes of users.
    pub shoppers: Option<String>,
    /// How often a shopper sees it on one day, at most (1 to 1000). Then visitors without an identity do not see it.
    pub per_shopper: Option<u32>,
    /// The least probability of a click with which it is shown, 0 to 1.
    pub quality_floor: Option<f32>,
    /// From when on it runs (RFC 3339).
    pub from: Option<String>,
    /// Until when it runs.
    pub until: Option<String>,
}

/// A scene of the shop. What it leaves out is as in the scene that `like` names, else as in the scene of the same name
/// that every server has, else as on every page.
#[derive(Debug, ToSchema)]
#[schema(as = Scene, example = json!({
    "sources": ["neighbours", "bought_together", "trending"], "limit": {"trending": 40}, "seen": "drop:purchase"
}))]
pub struct SceneRecord {
    /// The scene whose settings hold where this one says nothing.
    pub like: Option<String>,
    /// Where candidates come from, in the order in which they are asked; the names are under `sources` in the answer.
    pub sources: Option<Vec<String>>,
    /// Candidates of a source, at most (1 to 10000), by its name.
    pub limit: Option<BTreeMap<String, u32>>,
    /// Of the sources, those whose candidates stand before all others.
    pub first: Option<Vec<String>>,
    /// Candidates of all sources together, at most (1 to 100000).
    pub max_candidates: Option<u32>,
    /// What becomes of the rest of the shop: `compete` where the sources find few, `behind` them, or `never`.
    #[schema(example = "behind")]
    pub rest: Option<String>,
    /// What is done with items chosen before, where a request does not say it: `keep`, `drop`, or `drop:` with types.
    pub seen: Option<String>,
    /// Whether a request cannot say otherwise.
    pub seen_pinned: Option<bool>,
    /// The part of the expected first purchases for which places are kept, 0 to 1.
    pub room_for_new: Option<f32>,
    /// How unlike the items are.
    pub diversity: Option<DiversityRecord>,
    /// How many items of one kind stand together, at most.
    pub caps: Option<CapsRecord>,
    /// How far items are lowered that the shopper was shown often and did not choose.
    pub fatigue: Option<FatigueRecord>,
    /// What each action is worth: the best 300 candidates are ordered by Σ worth × probability.
    pub value: Option<ValueRecord>,
    /// Places of the first page, from 1, that campaigns bid for; at most 10, each above the one before.
    #[schema(example = json!([3, 7]))]
    pub sponsored: Option<Vec<u32>>,
    /// The share of the places of the first page on which new products may stand, 0 to 1.
    #[schema(example = 0.1)]
    pub new_products: Option<f32>,
}

/// What each action is worth, 0 to 1000000, 0 if left out. While all are 0, the order is that of the scores.
#[derive(Debug, ToSchema)]
#[schema(as = Value, example = json!({"click": 0.1, "cart": 1, "purchase": 1, "price": "margin"}))]
pub struct ValueRecord {
    /// Of a click.
    pub click: Option<f32>,
    /// Of a cart.
    pub cart: Option<f32>,
    /// Of a purchase; of one unit of money where `price` says so.
    pub purchase: Option<f32>,
    /// What the worth of a purchase is multiplied by: `true` for the item's price, or the name of an attribute that is a
    /// number, such as a margin.
    #[schema(value_type = Option<Object>)]
    pub price: Option<String>,
}

/// How unlike each other the items of a scene are.
#[derive(Debug, ToSchema)]
#[schema(as = Diversity)]
pub struct DiversityRecord {
    /// How much diversity weighs against score, 0 to 1, where a request does not say it.
    pub strength: Option<f32>,
    /// How diverse places are filled: `mmr` (maximal marginal relevance) or `dpp` (a determinantal point process).
    #[schema(example = "dpp")]
    pub kind: Option<String>,
    /// What makes items alike: `descriptions`, `vectors`, `categories`, `brands`; the mean of several.
    pub by: Option<Vec<String>>,
    /// Places of the list that are diversified, from the top (1 to 10000).
    pub places: Option<u32>,
}

/// How many items of one kind may stand together.
#[derive(Debug, ToSchema)]
#[schema(as = Caps)]
pub struct CapsRecord {
    /// Items of one category among `per` places, at most.
    pub category: Option<u32>,
    /// Items of one brand among `per` places, at most.
    pub brand: Option<u32>,
    /// Consecutive places of the list that are counted together: 2 to 100, 10 if left out.
    pub per: Option<u32>,
}

/// How far items are lowered that the shopper was shown often.
#[derive(Debug, ToSchema)]
#[schema(as = Fatigue)]
pub struct FatigueRecord {
    /// The impression since the last choice of the item from which on each one counts: 1 to 1000.
    pub after: Option<u32>,
    /// What each one lowers the score by, a logarithm of a probability: 0 to 5, 0.4 if left out. At most five count.
    pub strength: Option<f32>,
}
