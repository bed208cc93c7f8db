//! Probes for machines: whether the process is alive and ready, its counters, and the description of the interface.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::metrics::Load;
use super::parts::degraded;
use super::problem::{Code, Problem, ProblemDocument};
use super::server::Server;
use super::status::PartBody;

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The server's build.
    #[schema(example = "0.1.0")]
    build: &'static str,
}

/// Whether the process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operate",
    security(()),
    responses((status = 200, description = "It is", body = Health))
)]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok", build: env!("CARGO_PKG_VERSION") })
}

/// The server accepts reads and writes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// The published version.
    version: u64,
    /// Records that it has learned from.
    offset: u64,
    /// Records in the log.
    log_end: u64,
    /// Records that the version has not learned from yet. Answers use a shopper's own events before that.
    lag: u64,
    /// Parts that failed and are tried again while the rest goes on (`/v1/status` says why); empty if all work.
    #[schema(value_type = Vec<String>, example = json!([]))]
    degraded: Vec<&'static str>,
    /// Whether items are found as the catalogue describes them.
    search_index: PartBody,
}

/// Whether the server accepts reads and writes
///
/// 503 with the cause after a failed write; reads continue.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operate",
    security(()),
    responses(
        (status = 200, description = "It does", body = Readiness),
        (status = 503, description = "It does not", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(server): State<Arc<Server>>) -> Result<Json<Readiness>, Problem> {
    let status = server.engine.status();
    if let Some(cause) = status.poisoned {
        let detail = format!("the log cannot be written, reads continue: {cause}");
        return Err(Problem::new(Code::WriterPoisoned, detail).retry_after(60));
    }
    Ok(Json(Readiness {
        status: "ready",
        version: status.version,
        offset: status.learned,
        log_end: status.log_end,
        lag: status.log_end.saturating_sub(status.learned),
        degraded: degraded(&status),
        search_index: PartBody::of_search(&status),
    }))
}

/// Counters for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operate",
    responses(
        (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn metrics(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let (connections, evicted) = server.connections.as_ref().map_or((0, 0), |connections| connections.counts());
    let load = Load { in_flight: server.in_flight.load(Ordering::Relaxed), connections, evicted };
    let page = server.metrics.render(&server.engine.status(), load);
    (content_type("text/plain; version=0.0.4; charset=utf-8"), page)
}

/// The page for people at `/`: what this is, and a try of search and recommendations. It loads nothing from elsewhere,
/// and no other page may show it in a frame.
pub(super) async fn welcome() -> impl IntoResponse {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                          frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (headers, include_str!("welcome.html"))
}

/// This description
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operate",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
pub(super) async fn openapi(State(server): State<Arc<Server>>) -> impl IntoResponse {
    (content_type("application/json"), server.openapi.clone())
}

fn content_type(value: &'static str) -> [(HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, value)]
}
