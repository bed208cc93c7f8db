//! `/v1/forget`: erases all records of people while the server answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use accrue_engine::{Erased, ErasureState, ErasureStatus};
use accrue_event::UserId;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{self, off_worker};
use super::params::At;
use super::problem::{Code, Problem, ProblemDocument};
use super::server::Server;

/// People in one request.
const MAX_USERS: usize = 10_000;

/// The people to forget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forget {
    /// Ids of users, 1 to 10,000; several at once cost little more than one.
    #[schema(example = json!(["u1"]))]
    #[serde(deserialize_with = "accrue_event::sent_id::list")]
    users: Vec<String>,
}

/// The progress of forgetting. It holds no names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForgettingBody {
    /// `idle`, `searching`, `learning` (the models are learned again without them) or `switching` (writes wait a moment).
    #[schema(value_type = String, example = "learning")]
    state: ErasureState,
    /// People who are being forgotten; 0 while idle.
    users: u64,
    /// Their records, as far as known.
    records: u64,
    /// Records learned again so far …
    replayed: u64,
    /// … of this many.
    of: u64,
    /// The last one since the start of the server that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<ErasedBody>,
    /// Why the last attempt failed. It is tried again after increasing waits, together with whoever is to be forgotten next; the next
    /// start of the server finishes it as well. Its people stay unknown visitors meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// What was forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErasedBody {
    /// People forgotten.
    users: u64,
    /// Records that became tombstones.
    records: u64,
    /// Checkpoints that included one of them, and were deleted.
    checkpoints_removed: u64,
    /// Records learned again.
    replayed: u64,
    /// How long it took.
    seconds: f64,
    /// How long writes waited, in milliseconds.
    writes_waited_ms: f64,
}

impl From<ErasureStatus> for ForgettingBody {
    fn from(status: ErasureStatus) -> Self {
        let ErasureStatus { state, n_users, records, replayed, of, last, failed } = status;
        let is_idle = state == ErasureState::Idle;
        let now = |count: u64| if is_idle { 0 } else { count };
        let last = last.map(|last| {
            let Erased { n_users, records, checkpoints_removed, replayed, seconds, writes_waited_ms } = last;
            ErasedBody { users: n_users, records, checkpoints_removed, replayed, seconds, writes_waited_ms }
        });
        Self { state, users: now(n_users), records: now(records), replayed: now(replayed), of: now(of), last, failed }
    }
}

/// Forget people
///
/// All of their records are erased, and everything is learned again without them, to the byte, while the server keeps
/// answering. From this answer on the server treats them as unknown, and their events until the end are erased as well.
/// A crash or a stop does not cancel it. Backups and the shop's own files are not changed.
#[utoipa::path(
    post,
    path = "/v1/forget",
    tag = "operate",
    request_body = Forget,
    responses(
        (status = 202, description = "Recorded, and begun", body = ForgettingBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn forget(
    State(server): State<Arc<Server>>,
    body::Json(Forget { users }): body::Json<Forget>,
) -> Result<(StatusCode, Json<ForgettingBody>), Problem> {
    if users.is_empty() || users.len() > MAX_USERS {
        let detail = format!("{} users are named; 1 to {MAX_USERS} are expected", users.len());
        return Err(Problem::new(Code::InvalidValue, detail).field("users"));
    }
    let ids = users.iter().enumerate().map(|(place, user)| At("").id(&format!("users[{place}]"), user));
    let users: BTreeSet<UserId> = ids.collect::<Result<_, Problem>>()?;
    let engine = server.engine.clone();
    let begun = off_worker(move || engine.forget(users)).await?;
    Ok((StatusCode::ACCEPTED, Json(begun.into())))
}

/// The progress of forgetting
#[utoipa::path(
    get,
    path = "/v1/forget",
    tag = "operate",
    responses(
        (status = 200, description = "The current progress and the last outcome", body = ForgettingBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn forgetting(State(server): State<Arc<Server>>) -> Json<ForgettingBody> {
    Json(server.engine.erasure().into())
}
