//! `GET /v1/status`: the parts of the server that work by themselves, and what failed in them.

use std::sync::Arc;

use accrue_engine::{ContentState, ErasureState, IndexState, Status};
use accrue_event::Timestamp;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::parts::degraded;
use super::problem::ProblemDocument;
use super::server::Server;

/// The parts of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatusBody {
    /// The server's build.
    #[schema(example = "0.1.0")]
    build: &'static str,
    /// The parts that failed and are tried again; empty if all work.
    #[schema(value_type = Vec<String>, example = json!([]))]
    degraded: Vec<&'static str>,
    /// Records in the log.
    log_end: u64,
    /// Records that the published version has not learned from yet.
    lag: u64,
    /// Takes events, items and users in.
    writer: PartBody,
    /// Learns from what was taken in.
    learner: PartBody,
    /// Follows the catalogue, so that items are found.
    search_index: PartBody,
    /// Where the next start goes on.
    checkpoint: CheckpointBody,
    /// Erases people's records.
    forgetting: PartBody,
    /// Gives items vectors by their texts: `off` without an encoder, `opening`, `encoding` while the catalogue has items without
    /// vectors, `current`, or `failed`.
    content: PartBody,
    /// The machine's clock: `current`, or `failed` while the newest event is more than an hour ahead of it.
    clock: PartBody,
}

/// A part of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PartBody {
    /// What it is doing; `failed` if the last attempt failed.
    #[schema(value_type = String, example = "current")]
    state: &'static str,
    /// Why it failed last, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// When it last succeeded, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-21T10:00:00Z")]
    last_success: Option<Timestamp>,
}

impl PartBody {
    fn new(state: &'static str, failed: Option<&String>) -> Self {
        let state = if failed.is_some() { "failed" } else { state };
        Self { state, last_error: failed.cloned(), last_success: None }
    }

    /// The encoder of items' texts.
    fn of_content(status: &Status) -> Self {
        let state = match status.content.state {
            ContentState::Off => "off",
            ContentState::Opening => "opening",
            ContentState::Encoding => "encoding",
            ContentState::Current => "current",
            ContentState::Failed => "failed",
        };
        Self { state, last_error: status.content.last_error.clone(), last_success: None }
    }

    /// The clock, compared with the newest event.
    fn of_clock(status: &Status) -> Self {
        let ahead = status
            .ahead_s
            .map(|ahead_s| format!("the newest event is {:.1} hours ahead of it", ahead_s as f64 / 3_600.0));
        Self::new("current", ahead.as_ref())
    }

    /// The search index.
    pub(super) fn of_search(status: &Status) -> Self {
        let state = match status.search.state {
            IndexState::Current => "current",
            IndexState::Building => "building",
            IndexState::Failed => "failed",
        };
        Self { state, last_error: status.search.last_error.clone(), last_success: status.search.committed_at }
    }
}

/// The newest checkpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CheckpointBody {
    /// `current`, `none` (there is none yet) or `failed` (the last attempt failed).
    #[schema(value_type = String, example = "current")]
    state: &'static str,
    /// Records of the log that it does not include; the next start learns them again.
    behind: u64,
    /// Seconds since it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<f64>,
    /// Why the last attempt failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// When it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-21T10:00:00Z")]
    last_success: Option<Timestamp>,
}

/// The parts of the server, and what failed in them
///
/// A part that failed is tried again after increasing waits, and the others go on.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "operate",
    responses(
        (status = 200, description = "The parts", body = StatusBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn status(State(server): State<Arc<Server>>) -> Json<StatusBody> {
    let status = server.engine.status();
    let is_erasing = server.engine.erasure().state != ErasureState::Idle;
    let checkpoint = &status.checkpoint;
    Json(StatusBody {
        build: env!("CARGO_PKG_VERSION"),
        degraded: degraded(&status),
        log_end: status.log_end,
        lag: status.log_end.saturating_sub(status.learned),
        writer: PartBody::new("current", status.poisoned.as_ref()),
        learner: PartBody::new(
            if status.learned < status.log_end { "behind" } else { "current" },
            status.learner_failed.as_ref(),
        ),
        search_index: PartBody::of_search(&status),
        checkpoint: CheckpointBody {
            state: match (&checkpoint.failed, checkpoint.covered) {
                (Some(_), _) => "failed",
                (None, None) => "none",
                (None, Some(_)) => "current",
            },
            behind: status.log_end.saturating_sub(checkpoint.covered.unwrap_or(0)),
            age_s: status.checkpoint_age_s,
            last_error: checkpoint.failed.clone(),
            last_success: checkpoint.written_at,
        },
        forgetting: PartBody::new(if is_erasing { "working" } else { "idle" }, status.erasure_failed.as_ref()),
        content: PartBody::of_content(&status),
        clock: PartBody::of_clock(&status),
    })
}
