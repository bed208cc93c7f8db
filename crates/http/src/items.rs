//! `/v1/items`: what the shop sells.

use std::sync::Arc;

use accrue_event::{Attributes, Item, ItemId, RawItem, RawValue, Timestamp, clean_id};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::ingested::{IngestedBody, refuse_if_nothing_taken, refuse_if_refused};
use super::params::{At, Id, Params};
use super::problem::{Code, Problem, ProblemDocument};
use super::schema::{AttributesRecord, ItemRecord};
use super::server::Server;

/// How items are accepted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PostItems {
    /// `true`: this is the whole catalogue, and items that are absent are retired.
    #[serde(default)]
    sync: bool,
}

/// Send items
///
/// New items, or new descriptions of known ones, which replace the old ones. With `sync=true` the body is the whole
/// catalogue: items that are absent are retired. Such a body must be readable to its last record and not empty.
/// An item whose record is refused is not retired. If no record is taken, the answer is 422 with the reasons.
#[utoipa::path(
    post,
    path = "/v1/items",
    tag = "collect",
    params(PostItems),
    request_body(content(
        (Vec<ItemRecord> = "application/json"),
        (ItemRecord = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "The outcome of each record", body = IngestedBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post_items(
    State(server): State<Arc<Server>>,
    Params(PostItems { sync }): Params<PostItems>,
    request: Request,
) -> Result<Json<IngestedBody>, Problem> {
    let batch = server.read_batch::<RawItem>(request, server.settings.max_items).await?;
    if sync && let Some((index, rejection)) = batch.first_unreadable() {
        let detail =
            format!("the item of an unreadable record would be retired; correct it first: {}", rejection.detail);
        return Err(Problem::new(Code::UnsafeSync, detail).member("index", index));
    }
    if batch.records.is_empty() {
        if sync {
            return Err(Problem::new(Code::UnsafeSync, "an empty catalogue would retire every item"));
        }
        return Ok(Json(IngestedBody::nothing(server.engine.status().log_end)));
    }
    let ingested = server.engine.put_items(batch.records, sync).await?;
    refuse_if_nothing_taken(&ingested)?;
    Ok(Json(ingested.into()))
}

/// Get an item's description
#[utoipa::path(
    get,
    path = "/v1/items/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The item's id", example = "sku-9")),
    responses(
        (status = 200, description = "The item", body = ItemRecord),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_item(State(server): State<Arc<Server>>, Id(id): Id) -> Result<Json<Item>, Problem> {
    match server.engine.item(&ItemId::from(id.as_str())) {
        Some(item) => Ok(Json(item)),
        None => Err(Problem::new(Code::ItemNotFound, format!("no item has the id {id:?}"))),
    }
}

/// Replace an item's description
///
/// Replaces the whole description; the item's events stay. The id in the body may be left out. 422 with the `reason` if
/// the check refuses the description.
#[utoipa::path(
    put,
    path = "/v1/items/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The item's id", example = "sku-9")),
    request_body = ItemRecord,
    responses(
        (status = 200, description = "The outcome of the record", body = IngestedBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_item(
    State(server): State<Arc<Server>>,
    Id(id): Id,
    body::Json(mut item): body::Json<RawItem>,
) -> Result<Json<IngestedBody>, Problem> {
    let same = match &item.id {
        RawValue::Null => true,
        RawValue::Text(other) => *clean_id(other) == *id,
        RawValue::Int(other) => other.to_string() == id,
        _ => false,
    };
    if !same {
        let detail = format!("id: the address has {id:?}, the body another id; leave out the one in the body");
        return Err(Problem::new(Code::InvalidValue, detail).field("id"));
    }
    item.id = RawValue::text(id);
    let ingested = server.engine.put_items(vec![item.into()], false).await?;
    refuse_if_refused(&ingested)?;
    Ok(Json(ingested.into()))
}

/// A change of some fields; those left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"price": 8.9, "stock": 40}))]
pub(super) struct PatchItem {
    /// New title.
    #[serde(default, deserialize_with = "given")]
    title: Option<Box<str>>,
    /// New description.
    #[serde(default, deserialize_with = "given")]
    description: Option<Box<str>>,
    /// New brand.
    #[serde(default, deserialize_with = "given")]
    brand: Option<Box<str>>,
    /// New categories, in place of the old ones.
    #[serde(default, deserialize_with = "given")]
    categories: Option<Vec<Box<str>>>,
    /// New tags, in place of the old ones.
    #[serde(default, deserialize_with = "given")]
    tags: Option<Vec<Box<str>>>,
    /// New price of one piece.
    #[serde(default, deserialize_with = "given")]
    price: Option<f32>,
    /// Whether it may be shown.
    #[serde(default, deserialize_with = "given")]
    available: Option<bool>,
    /// Pieces in stock; 0 hides the item.
    #[serde(default, deserialize_with = "given")]
    stock: Option<u32>,
    /// When it was published in the shop (RFC 3339).
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Option<Timestamp>,
    /// Attributes to set; the others stay.
    #[serde(default)]
    #[schema(value_type = AttributesRecord)]
    attributes: Attributes,
}

impl PatchItem {
    /// The change as a record for the check. An empty text is refused, because the check would leave the field
    /// unchanged.
    fn into_raw(self) -> Result<RawItem, Problem> {
        let text = |field: &str, text: Option<Box<str>>| match text {
            Some(text) if text.trim().is_empty() => Err(At("").fault(field, "must hold some text")),
            text => Ok(text.map_or(RawValue::Null, RawValue::Text)),
        };
        let texts = |texts: Option<Vec<Box<str>>>| {
            texts.map_or(RawValue::Null, |texts| RawValue::List(texts.into_iter().map(RawValue::Text).collect()))
        };
        Ok(RawItem {
            title: text("title", self.title)?,
            description: text("description", self.description)?,
            brand: text("brand", self.brand)?,
            categories: texts(self.categories),
            tags: texts(self.tags),
            price: At("").amount("price", self.price)?.map_or(RawValue::Null, |price| RawValue::Float(price.into())),
            available: self.available.map_or(RawValue::Null, RawValue::Bool),
            stock: self.stock.map_or(RawValue::Null, |stock| RawValue::Int(stock.into())),
            published_at: self.published_at.map_or(RawValue::Null, |at| RawValue::Int(at.0)),
            attributes: self.attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ..RawItem::default()
        })
    }
}

/// A field that was sent. `null` is refused, because ignoring it would hide a mistake.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Change some fields of an item
///
/// For frequent changes of stock and price. Texts pass the same check as those of a whole description. Unknown fields and
/// `null` are refused; 422 with the `reason` if the check refuses a value.
#[utoipa::path(
    patch,
    path = "/v1/items/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The item's id", example = "sku-9")),
    request_body = PatchItem,
    responses(
        (status = 200, description = "The item after the change", body = ItemRecord),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn patch_item(
    State(server): State<Arc<Server>>,
    Id(id): Id,
    body::Json(patch): body::Json<PatchItem>,
) -> Result<Json<Item>, Problem> {
    let patch = patch.into_raw()?;
    Ok(Json(server.engine.patch_item(ItemId::from(id.as_str()), patch).await?))
}

/// Retire an item
///
/// It is no longer shown; its events stay. A new description makes it available again.
#[utoipa::path(
    delete,
    path = "/v1/items/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The item's id", example = "sku-9")),
    responses(
        (status = 204, description = "Done"),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_item(State(server): State<Arc<Server>>, Id(id): Id) -> Result<StatusCode, Problem> {
    server.engine.retire_item(ItemId::from(id.as_str())).await?;
    Ok(StatusCode::NO_CONTENT)
}
