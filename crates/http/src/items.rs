//! `/v1/items`: what the shop sells.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::Ingested;
use accrue_event::{Attribute, Item, ItemId, RawItem, RawPatch, RawValue, Timestamp, clean_id};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::ingested::{IngestedBody, MisspeltBody, RefusedBody, refuse_if_nothing_taken, refuse_if_refused};
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

/// A change of some fields; those left out stay as they are, and `null` clears a field.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"price": 8.9, "stock": 40}))]
pub(super) struct PatchItem {
    /// New group of its variants.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    parent: Given<Box<str>>,
    /// New title.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    title: Given<Box<str>>,
    /// New description.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Given<Box<str>>,
    /// New brand.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    brand: Given<Box<str>>,
    /// New categories, in place of the old ones.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    categories: Given<Vec<Box<str>>>,
    /// New tags, in place of the old ones.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>)]
    tags: Given<Vec<Box<str>>>,
    /// New price of one piece.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    price: Given<f64>,
    /// New currency, as an ISO 4217 code.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    currency: Given<Box<str>>,
    /// New BCP 47 tag of title and description.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    locale: Given<Box<str>>,
    /// New address of a picture.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    image: Given<Box<str>>,
    /// Whether it may be shown.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    available: Given<bool>,
    /// Pieces in stock; 0 hides the item, and `null` is unknown.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    stock: Given<u32>,
    /// When it was published in the shop (RFC 3339).
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    published_at: Given<Timestamp>,
    /// Attributes to set; the others stay. `null` removes an attribute, or, in place of the object, all of them.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<AttributesRecord>)]
    attributes: Given<BTreeMap<Box<str>, Option<Attribute>>>,
}

/// A field of a change: left out, `null`, or a value.
type Given<T> = Option<Option<T>>;

/// A field that was sent.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Given<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl PatchItem {
    /// The change as a record for the check. An empty text is refused, because the check would leave the field
    /// unchanged.
    fn into_raw(self) -> Result<RawPatch, Problem> {
        fn take<T>(cleared: &mut Vec<Box<str>>, field: &str, given: Given<T>) -> Option<T> {
            if matches!(given, Some(None)) {
                cleared.push(field.into());
            }
            given.flatten()
        }
        let mut cleared = Vec::new();
        let mut item = RawItem::default();
        let texts = [
            ("parent", self.parent),
            ("title", self.title),
            ("description", self.description),
            ("brand", self.brand),
            ("currency", self.currency),
            ("locale", self.locale),
            ("image", self.image),
        ];
        for (field, given) in texts {
            match take(&mut cleared, field, given) {
                Some(text) if text.trim().is_empty() => return Err(At("").fault(field, "must hold some text")),
                Some(text) => item.set(field, RawValue::text(text)),
                None => {}
            }
        }
        for (field, given) in [("categories", self.categories), ("tags", self.tags)] {
            if let Some(texts) = take(&mut cleared, field, given) {
                item.set(field, RawValue::List(texts.into_iter().map(RawValue::text).collect()));
            }
        }
        if let Some(price) = At("").amount("price", take(&mut cleared, "price", self.price))? {
            item.price = RawValue::Float(price);
        }
        if let Some(available) = take(&mut cleared, "available", self.available) {
            item.available = RawValue::Bool(available);
        }
        if let Some(stock) = take(&mut cleared, "stock", self.stock) {
            item.stock = RawValue::Int(stock.into());
        }
        if let Some(at) = take(&mut cleared, "published_at", self.published_at) {
            item.published_at = RawValue::Int(at.0);
        }
        for (name, value) in take(&mut cleared, "attributes", self.attributes).unwrap_or_default() {
            match value {
                Some(value) => item.attributes.push((name, value.into())),
                None => cleared.push(format!("attributes.{name}").into()),
            }
        }
        Ok(RawPatch { item, cleared })
    }
}

/// Change some fields of an item
///
/// For frequent changes of stock and price. Fields that are left out stay as they are, and `null` clears a field. Texts
/// pass the same check as those of a whole description, and its bounds hold for the item after the change. Unknown fields
/// are refused; 422 with the `reason` if the check refuses a value; 404 for an item that the catalogue does not have, also
/// if events name it.
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

/// The outcome of a batch of changes: `accepted` + `repaired` + `unchanged` + the length of `refused` is its number of
/// records.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PatchedBody {
    /// Made as sent.
    #[schema(example = 2)]
    accepted: u64,
    /// Made after repairs.
    #[schema(example = 0)]
    repaired: u64,
    /// How many of the repaired records each repair was made to, by its code; a record may have several.
    #[schema(value_type = BTreeMap<String, u64>, example = json!({}))]
    repairs: BTreeMap<Box<str>, u64>,
    /// Names that were kept as attributes, and are near the name of a field that the record lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misspelt: Vec<MisspeltBody>,
    /// The item is as the record says already.
    #[schema(example = 0)]
    unchanged: u64,
    /// Refused, and not kept in quarantine; `item_not_in_catalogue` if the catalogue does not have the item.
    refused: Vec<RefusedBody>,
    /// The log's end after this batch.
    #[schema(example = 48213)]
    offset: u64,
}

/// Change some fields of many items
///
/// For feeds of stock and prices. Each record has the `id` of an item and the fields to change, with the names of a
/// whole description: those that are left out stay as they are, and `null` clears a field. Records of one item build on
/// each other in their order. The bounds of the check hold for the item after the change. A record with a price, a
/// stock, an availability or a date of publication that cannot be read is refused, and changes nothing. A record for an
/// item that the catalogue does not have is refused, also if events name the item; if no record is taken, the answer is
/// 422 with the reasons.
#[utoipa::path(
    patch,
    path = "/v1/items",
    tag = "collect",
    request_body(content(
        (Vec<ItemRecord> = "application/json"),
        (ItemRecord = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "The outcome of each record", body = PatchedBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn patch_items(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<PatchedBody>, Problem> {
    let batch = server.read_batch::<RawPatch>(request, server.settings.max_items).await?;
    let ingested = server.engine.patch_items(batch.records).await?;
    refuse_if_nothing_taken(&ingested)?;
    let Ingested { accepted, repaired, repairs, misspelt, duplicates, quarantined, offset, .. } = ingested;
    let misspelt = misspelt.into_iter().map(MisspeltBody::from).collect();
    let refused = quarantined.into_iter().map(RefusedBody::from).collect();
    Ok(Json(PatchedBody { accepted, repaired, repairs, misspelt, unchanged: duplicates, refused, offset }))
}

/// Retire an item
///
/// It is no longer shown, and of a product neither are its variants; events stay. A new description makes each of them
/// available again.
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
