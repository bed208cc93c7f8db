//! `/v1/items`: what the shop sells.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::{Absent, Incoming, Ingested};
use accrue_event::{Item, ItemId, RawItem, RawPatch, RawValue, clean_id};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::ingested::{IngestedBody, MisspeltBody, RefusedBody, refuse_if_nothing_taken, refuse_if_refused};
use super::params::{Id, Params};
use super::problem::{Code, Problem, ProblemDocument};
use super::schema::ItemRecord;
use super::server::Server;

/// How items are accepted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PostItems {
    /// `true`: this is the whole catalogue, and items that are absent are retired.
    #[serde(default)]
    sync: bool,
    /// `true`: also where more than half of the catalogue is absent, which otherwise is refused.
    #[serde(default)]
    retire_most: bool,
}

/// Send items
///
/// New items, or new descriptions of known ones, which replace the old ones. With `sync=true` the body is the whole
/// catalogue: items that are absent are retired. Such a body must be readable to its last record and not empty. If more
/// than half of the catalogue is absent (and at least 20 items), nothing is taken, unless `retire_most=true` says that it is meant.
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
    Params(PostItems { sync, retire_most }): Params<PostItems>,
    request: Request,
) -> Result<Json<IngestedBody>, Problem> {
    if retire_most && !sync {
        return Err(Problem::new(Code::InvalidQuery, "retire_most says what sync=true may do").field("retire_most"));
    }
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
    let absent = if retire_most { Absent::RetireMost } else { Absent::from(sync) };
    let ingested = server.engine.put_items(batch.records, absent).await?;
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
    refuse_other_id(&item.id, &id)?;
    item.id = RawValue::text(id);
    let ingested = server.engine.put_items(vec![item.into()], false).await?;
    refuse_if_refused(&ingested)?;
    Ok(Json(ingested.into()))
}

/// An item after a change of some of its fields.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PatchedItemBody {
    #[serde(flatten)]
    #[schema(value_type = ItemRecord)]
    item: Item,
    /// Names that were kept as attributes, and are near the name of a field that the record lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    misspelt: Vec<MisspeltBody>,
}

/// Change some fields of an item
///
/// For frequent changes of stock and price. The body is a record of `PATCH /v1/items`, of which the id may be left out, and
/// is judged as there: fields that are left out stay as they are, `null` clears a field, and the bounds of the check hold for
/// the item after the change. 422 with the `reason` if the check refuses the record; 404 for an item that the catalogue
/// does not have, also if events name it.
#[utoipa::path(
    patch,
    path = "/v1/items/{id}",
    tag = "collect",
    params(("id" = String, Path, description = "The item's id", example = "sku-9")),
    request_body(content = ItemRecord, example = json!({"price": 8.9, "stock": 40})),
    responses(
        (status = 200, description = "The item after the change", body = PatchedItemBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn patch_item(
    State(server): State<Arc<Server>>,
    Id(id): Id,
    request: Request,
) -> Result<Json<PatchedItemBody>, Problem> {
    let mut batch = server.read_batch::<RawPatch>(request, 1).await?;
    if batch.records.is_empty() {
        return Err(Problem::new(Code::InvalidValue, "the body is empty; send one object with the fields to change"));
    }
    if let Some(Incoming::Record(patch)) = batch.records.first_mut() {
        refuse_other_id(&patch.item.id, &id)?;
        patch.item.id = RawValue::text(id.as_str());
    }
    let ingested = server.engine.patch_items(batch.records).await?;
    let not_found = || Problem::new(Code::ItemNotFound, format!("no item has the id {id:?}"));
    if let Some(refused) = ingested.quarantined.iter().find(|refused| refused.reason == NOT_IN_CATALOGUE) {
        return Err(not_found().member("reason", refused.reason.as_str()));
    }
    refuse_if_refused(&ingested)?;
    let item = server.engine.item(&ItemId::from(id.as_str())).ok_or_else(not_found)?;
    let misspelt = ingested.misspelt.into_iter().map(MisspeltBody::from).collect();
    Ok(Json(PatchedItemBody { item, misspelt }))
}

/// The reason of a patch of an item that the catalogue does not have.
const NOT_IN_CATALOGUE: &str = "item_not_in_catalogue";

/// Refuses a body with another id than that of the address.
fn refuse_other_id(sent: &RawValue, id: &str) -> Result<(), Problem> {
    let is_same = match sent {
        RawValue::Null => true,
        RawValue::Text(other) => *clean_id(other) == *id,
        RawValue::Int(other) => other.to_string() == id,
        _ => false,
    };
    if is_same {
        return Ok(());
    }
    let detail = format!("id: the address has {id:?}, the body another id; leave out the one in the body");
    Err(Problem::new(Code::InvalidValue, detail).field("id"))
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
