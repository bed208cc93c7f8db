//! `/v1/versions`: the versions of the models, their standing with the guard, and rollbacks.

use std::sync::Arc;

use accrue_engine::{ChallengerRequest, ChallengerStatus, Changes, Versions};
use accrue_store::Offset;
use accrue_train::{SuspectWindow, VersionEntry};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{self, off_worker};
use super::params::{Id, Params};
use super::problem::{Code, Problem, ProblemDocument};
use super::server::Server;

/// All versions, and the state of the guard.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionsBody {
    /// Oldest first; the last one is still being learned.
    versions: Vec<VersionBody>,
    /// The version that answers.
    serving: u64,
    /// The last good version; 0 before there is one.
    good: u64,
    /// Whether the good version answers, because the current one is on probation after a rollback.
    on_probation: bool,
    /// Automatic rollbacks.
    alarms: u64,
    /// Records that were learned and undone.
    suspect: Vec<WindowBody>,
    /// The progress of the next reset, and the outcomes of earlier challengers.
    challenger: ChallengerBody,
}

/// The progress of the next reset, and the outcomes of earlier challengers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChallengerBody {
    /// `off`, `waiting`, `learning`, `shadowing` or `judging`.
    state: String,
    /// The challenger that was requested, until it has its verdict; absent for a periodic reset.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<AskedBody>,
    /// Events to be learned before the next reset is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_in: Option<u64>,
    /// While it learns: it has processed the records before this offset.
    learned: u64,
    /// Its figures so far, while it is a shadow.
    #[serde(skip_serializing_if = "Option::is_none")]
    standing: Option<StandingBody>,
    /// Resets refused since the last promotion.
    refused_in_a_row: u64,
    /// Challengers that were promoted.
    promoted: u64,
    /// Challengers that were refused.
    refused: u64,
    /// Challengers dropped since the server began, because records were undone or released.
    dropped: u64,
    /// The last verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<JudgedBody>,
    /// Why the last challenger failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

/// A challenger to be trained on the log and compared with the current model.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AskChallenger {
    /// Settings of the models that differ from the current ones, by name as under `[model]` in the configuration file;
    /// none for the same settings.
    #[schema(value_type = Object, example = json!({"factorization.rate": 0.02}))]
    set: Changes,
    /// It learns from the choices from this record on (0).
    from: Option<u64>,
    /// Passes over them, 1 to 100 (1).
    passes: Option<u32>,
    /// Loss of mean gain, 0 to 0.4, that still counts as not worse (`learn.reset.gate.margin`).
    margin: Option<f64>,
}

/// A challenger that was requested.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AskedBody {
    /// Settings that differ.
    #[schema(value_type = Object)]
    set: Changes,
    /// It learns from the choices from this record on.
    from: u64,
    /// Passes over them.
    passes: u32,
    /// Loss of mean gain that still counts as not worse.
    margin: f64,
}

impl From<ChallengerRequest> for AskedBody {
    fn from(ChallengerRequest { set, from, passes, margin }: ChallengerRequest) -> Self {
        Self { set, from, passes, margin }
    }
}

/// A challenger and the current model, over the same choices.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StandingBody {
    /// Choices that both predicted.
    choices: u64,
    /// Mean gain of the challenger, 0 to 1.
    gain: f64,
    /// Mean gain of the current model.
    gain_of_line: f64,
}

/// A verdict on a challenger.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JudgedBody {
    /// Its offset in the log.
    offset: u64,
    /// Whether the challenger was promoted.
    promoted: bool,
    /// Why, or why not.
    why: String,
}

impl From<ChallengerStatus> for ChallengerBody {
    fn from(status: ChallengerStatus) -> Self {
        Self {
            state: status.state.name().into(),
            asked: status.requested.map(AskedBody::from),
            due_in: status.due_in,
            learned: status.learned,
            standing: status.standing.map(|standing| StandingBody {
                choices: standing.n,
                gain: standing.challenger,
                gain_of_line: standing.current,
            }),
            refused_in_a_row: status.refused_in_a_row,
            promoted: status.n_promoted,
            refused: status.n_refused,
            dropped: status.n_dropped,
            last: status.last.map(|last| JudgedBody {
                offset: last.offset.0,
                promoted: last.promoted,
                why: last.why.into(),
            }),
            failed: status.failed,
        }
    }
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionBody {
    /// Its number: 1, 2, 3 … along the log.
    version: u64,
    /// The version that it continues.
    parent: u64,
    /// Where its own learning began.
    begun: u64,
    /// The records before this offset were learned; for the last version, where it began.
    offset: u64,
    /// When the last of them was received; absent in a shop without records, or for a version of a build that did not
    /// write it down.
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<String>,
    /// The build of the server that completed it.
    build: String,
    /// Checksum of its settings.
    settings: String,
    /// `learning`, `candidate`, `good`, `superseded` or `rolled_back`.
    status: String,
    /// Why.
    why: String,
    /// Whether its state can be restored.
    kept: bool,
    /// Choices of the stream that were tested while it was learned.
    examined: u64,
    /// Mean NDCG@20 over them.
    ndcg: f64,
    /// Mean NDCG@20 of the good version over the same choices.
    ndcg_of_good: f64,
    /// Mean NDCG@20 over the holdout.
    anchor_ndcg: f64,
    /// Mean NDCG@20 of the good version over the same choices of the holdout.
    anchor_ndcg_of_good: f64,
}

/// Records that were learned and undone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WindowBody {
    /// The first of them, by which a release refers to the window.
    from: u64,
    /// The record after the last.
    to: u64,
    /// Why they are suspect.
    why: String,
    /// Whether they were released and learned.
    released: bool,
}

impl VersionBody {
    fn new(entry: &VersionEntry, kept: bool) -> Self {
        Self {
            version: entry.number,
            parent: entry.parent,
            begun: entry.begun.0,
            offset: entry.offset.0,
            received_at: (entry.received_ms > 0).then(|| accrue_event::Timestamp(entry.received_ms).to_string()),
            build: entry.build.to_string(),
            settings: entry.settings.to_string(),
            status: entry.status.name().to_string(),
            why: entry.why.to_string(),
            kept,
            examined: entry.examined,
            ndcg: entry.ndcg,
            ndcg_of_good: entry.ndcg_of_good,
            anchor_ndcg: entry.holdout_ndcg,
            anchor_ndcg_of_good: entry.holdout_ndcg_of_good,
        }
    }
}

impl From<Versions> for VersionsBody {
    fn from(all: Versions) -> Self {
        let window = |window: &SuspectWindow| WindowBody {
            from: window.from.0,
            to: window.to.0,
            why: window.why.to_string(),
            released: window.released,
        };
        let version = |entry: &VersionEntry| VersionBody::new(entry, all.kept.contains(&entry.number));
        Self {
            versions: all.versions.iter().map(version).collect(),
            serving: all.serving,
            good: all.good,
            on_probation: all.on_probation,
            alarms: all.alarms,
            suspect: all.suspect.iter().map(window).collect(),
            challenger: all.challenger.into(),
        }
    }
}

/// Why an operator decides; kept in the log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Reason {
    /// A note for the list of versions.
    #[param(example = "the prices were wrong")]
    why: String,
}

/// List versions
#[utoipa::path(
    get,
    path = "/v1/versions",
    tag = "operate",
    responses(
        (status = 200, description = "All versions, oldest first", body = VersionsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Arc<Server>>) -> Json<VersionsBody> {
    Json(server.engine.versions().into())
}

/// Restore a version
///
/// It answers when this returns. What was learned after it is undone, and those records are suspect until they are
/// released.
#[utoipa::path(
    post,
    path = "/v1/versions/{version}/promote",
    tag = "operate",
    params(("version" = u64, Path, description = "A version whose state is kept"), Reason),
    responses(
        (status = 200, description = "All versions", body = VersionsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn promote(
    State(server): State<Arc<Server>>,
    Id(version): Id,
    Params(Reason { why }): Params<Reason>,
) -> Result<Json<VersionsBody>, Problem> {
    let (engine, version) = (server.engine.clone(), number(&version)?);
    let versions = off_worker(move || engine.promote(version, &said(&why, "an operator chose it"))).await?;
    Ok(Json(versions.into()))
}

/// Undo a version
///
/// Restores the latest good version before it.
#[utoipa::path(
    post,
    path = "/v1/versions/{version}/rollback",
    tag = "operate",
    params(("version" = u64, Path, description = "The one to undo, with all after it"), Reason),
    responses(
        (status = 200, description = "All versions", body = VersionsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rollback(
    State(server): State<Arc<Server>>,
    Id(version): Id,
    Params(Reason { why }): Params<Reason>,
) -> Result<Json<VersionsBody>, Problem> {
    let (engine, version) = (server.engine.clone(), number(&version)?);
    let versions = off_worker(move || engine.roll_back(version, &said(&why, "an operator undid it"))).await?;
    Ok(Json(versions.into()))
}

/// Release suspect records
#[utoipa::path(
    post,
    path = "/v1/versions/suspect/{from}/release",
    tag = "operate",
    params(("from" = u64, Path, description = "The first record of the window")),
    responses(
        (status = 200, description = "All versions", body = VersionsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn release(State(server): State<Arc<Server>>, Id(from): Id) -> Result<Json<VersionsBody>, Problem> {
    let (engine, from) = (server.engine.clone(), number(&from)?);
    Ok(Json(off_worker(move || engine.release_window(Offset(from))).await?.into()))
}

/// Request a challenger
///
/// It learns from the log in the background, then runs as a shadow, and is promoted only if it is shown to be no worse.
/// It replaces one that is under way. `GET /v1/versions` shows its progress and its outcome.
#[utoipa::path(
    put,
    path = "/v1/versions/challenger",
    tag = "operate",
    request_body = AskChallenger,
    responses(
        (status = 202, description = "It begins as soon as the learner is neither behind the log nor on probation", body = ChallengerBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ask(
    State(server): State<Arc<Server>>,
    body::Json(AskChallenger { set, from, passes, margin }): body::Json<AskChallenger>,
) -> Result<(StatusCode, Json<ChallengerBody>), Problem> {
    let invalid = |field, detail: String| Err(Problem::new(Code::InvalidValue, detail).field(field));
    let (passes, margin) = (passes.unwrap_or(1), margin.unwrap_or_else(|| server.engine.margin()));
    if !(1..=100).contains(&passes) {
        return invalid("passes", format!("{passes} passes; 1 to 100 are expected"));
    }
    if !(0.0..=0.4).contains(&margin) {
        return invalid("margin", format!("a margin of {margin}; 0 to 0.4 is expected"));
    }
    let request = ChallengerRequest { set, from: from.unwrap_or(0), passes, margin };
    let engine = server.engine.clone();
    // Its settings are validated.
    Ok((StatusCode::ACCEPTED, Json(off_worker(move || engine.request_challenger(request)).await?.into())))
}

/// Cancel a requested challenger
///
/// A periodic reset is not affected.
#[utoipa::path(
    delete,
    path = "/v1/versions/challenger",
    tag = "operate",
    responses(
        (status = 200, description = "The state of challengers", body = ChallengerBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn dismiss(State(server): State<Arc<Server>>) -> Result<Json<ChallengerBody>, Problem> {
    Ok(Json(server.engine.dismiss_challenger()?.into()))
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::new(Code::InvalidPath, format!("{text:?} is not a number")))
}

fn said(why: &str, otherwise: &str) -> String {
    if why.trim().is_empty() { otherwise.into() } else { why.trim().chars().take(500).collect() }
}
