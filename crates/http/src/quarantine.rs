//! `/v1/quarantine`: records that the check refused, and their release or deletion.

use std::sync::Arc;

use accrue_engine::QuarantinedRecord;
use accrue_event::RecordKind;
use accrue_store::Offset;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{self, off_worker};
use super::ingested::IngestedBody;
use super::params::{At, Params};
use super::problem::{Problem, ProblemDocument};
use super::server::Server;

/// Records that one decision may concern.
const MAX_OFFSETS: usize = 10_000;

/// Which records to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QuarantineParams {
    /// The first offset: 0, or `next` of the page before.
    from: Option<u64>,
    /// Number of records: 1 to 1000, 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those of this reason code.
    #[param(example = "bad_time")]
    reason: Option<String>,
}

/// A page of the quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantineBody {
    /// In the order of the log.
    records: Vec<QuarantinedBody>,
    /// The first offset of the next page; absent after the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A quarantined record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QuarantinedBody {
    /// Its offset in the log, by which a decision refers to it.
    #[schema(example = 48211)]
    offset: u64,
    /// When it arrived.
    #[schema(example = "2026-11-21T10:00:00Z")]
    received_at: String,
    /// The kind of record: `events`, `items` or `users`.
    #[schema(value_type = String, example = "events")]
    kind: RecordKind,
    /// Stable reason code.
    #[schema(example = "bad_time")]
    reason: String,
    /// The exact fault.
    #[schema(example = "at: \"yesterday\" is not a time")]
    detail: String,
    /// The record as it was sent, as a JSON text.
    raw: String,
}

impl From<QuarantinedRecord> for QuarantinedBody {
    fn from(record: QuarantinedRecord) -> Self {
        Self {
            offset: record.offset,
            received_at: record.received_at.to_string(),
            kind: record.kind,
            reason: record.reason,
            detail: record.detail,
            raw: record.raw,
        }
    }
}

/// List refused records
///
/// A page ends early where its records are long, after about 4 MB of them.
#[utoipa::path(
    get,
    path = "/v1/quarantine",
    tag = "operate",
    params(QuarantineParams),
    responses(
        (status = 200, description = "A page of records", body = QuarantineBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    Params(QuarantineParams { from, limit, reason }): Params<QuarantineParams>,
) -> Result<Json<QuarantineBody>, Problem> {
    let limit = At("").count("limit", limit, 100, 1..=1000)?;
    let from = Offset(from.unwrap_or(0));
    // It may read the log.
    let (records, next) = off_worker(move || server.engine.quarantine(from, limit, reason.as_deref())).await?;
    let records = records.into_iter().map(QuarantinedBody::from).collect();
    Ok(Json(QuarantineBody { records, next: next.map(|offset| offset.0) }))
}

/// The decision on quarantined records.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Check them again under the current rules, and accept those that pass.
    Release,
    /// Delete them.
    Drop,
}

/// A decision on quarantined records.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"action": "release", "offsets": [48211, 48212]}))]
pub(super) struct Decision {
    /// The decision.
    action: Action,
    /// The offsets of the records: at most 10000.
    offsets: Vec<u64>,
}

/// The outcome.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Decided {
    /// After a release.
    Released(IngestedBody),
    /// After a drop.
    Dropped {
        /// Records deleted.
        #[schema(example = 2)]
        dropped: u64,
    },
}

/// Release or drop refused records
///
/// A release checks the records again and appends those that pass, with their original time; the others stay.
#[utoipa::path(
    post,
    path = "/v1/quarantine",
    tag = "operate",
    request_body = Decision,
    responses(
        (status = 200, description = "The outcome of each record", body = Decided),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn decide(
    State(server): State<Arc<Server>>,
    body::Json(Decision { action, offsets }): body::Json<Decision>,
) -> Result<Json<Decided>, Problem> {
    At("").list("offsets", offsets.len(), MAX_OFFSETS)?;
    let offsets = offsets.into_iter().map(Offset).collect();
    Ok(Json(match action {
        Action::Release => Decided::Released(server.engine.release(offsets).await?.into()),
        Action::Drop => Decided::Dropped { dropped: server.engine.drop_quarantined(offsets).await? },
    }))
}
