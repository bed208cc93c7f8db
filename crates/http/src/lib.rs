//! The HTTP interface: JSON becomes plain values, and plain values JSON.
//!
//! In: an [`Engine`] and [`HttpSettings`]. Out: a router or a running server. Each file holds the routes of one noun;
//! all requests pass one gate (ids, keys, limits, errors, counters). No algorithm lives here, and no request is checked
//! beyond its shape and bounds: what a record says is judged behind the engine's door.
//!
//! Recommendations and searches take about a millisecond of one core and run where the request is read; what may take
//! longer (large bodies, batches of requests, decompression) runs on the threads for blocking work. Writes wait for the
//! engine's writer without holding a thread.

mod body;
mod door;
mod events;
mod forget;
mod gate;
mod items;
mod listener;
mod metrics;
mod params;
mod probes;
mod problem;
mod quality;
mod quarantine;
mod recommend;
mod records;
pub mod schema;
mod search;
mod settings;
mod users;
mod versions;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use accrue_engine::Engine;
use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, Uri};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::settings::{HttpSettings, HttpSettingsError, Key, Scope};
use door::Door;
use gate::Ids;
use metrics::Metrics;
use problem::{Code, Problem, ProblemDocument};

/// What all requests share.
struct Server {
    engine: Engine,
    settings: HttpSettings,
    door: Door,
    ids: Ids,
    metrics: Metrics,
    in_flight: AtomicUsize,
    large_bodies: Semaphore,
    /// The description of the interface, written once.
    openapi: Bytes,
}

/// Serves requests until `shutdown` is done; then accepts no more, and gives those in flight
/// `settings.shutdown_limit_s` to end. The engine stays open: closing it is the caller's next step.
pub async fn serve(
    engine: Engine,
    listener: TcpListener,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    settings.validate()?;
    let address = listener.local_addr().context("the listening socket has no address")?;
    let is_loopback = address.ip().is_loopback();
    if settings.keys.is_empty() && !is_loopback {
        tracing::warn!(%address, "no keys are configured and the address is not loopback: every request will be refused");
    }
    let limit = Duration::from_secs(settings.shutdown_limit_s);
    let limited =
        listener::Limited::new(listener, settings.max_connections, Duration::from_secs(settings.idle_timeout_s));
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let serving = axum::serve(limited, build(engine, settings, is_loopback)).with_graceful_shutdown(async move {
        shutdown.await;
        // The receiver lives as long as the server does.
        let _ = stopping.send(());
    });
    let overdue = async {
        if stopped.await.is_ok() {
            tokio::time::sleep(limit).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = serving => ended.context("the server stopped"),
        () = overdue => {
            tracing::warn!(limit_s = limit.as_secs(), "requests still in flight were cut off");
            Ok(())
        }
    }
}

/// The routes with the gate around them, for a server that listens at `settings.listen`.
pub fn router(engine: Engine, settings: HttpSettings) -> Router {
    let is_loopback = settings.is_loopback();
    build(engine, settings, is_loopback)
}

fn build(engine: Engine, settings: HttpSettings, is_loopback: bool) -> Router {
    let (routes, openapi) = routes().split_for_parts();
    let server = Arc::new(Server {
        engine,
        door: Door::new(&settings, is_loopback),
        ids: Ids::new(),
        metrics: Metrics::default(),
        in_flight: AtomicUsize::new(0),
        large_bodies: Semaphore::new(settings.max_large_bodies),
        openapi: serde_json::to_vec(&openapi).expect("a description is plain data").into(),
        settings,
    });
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&server), gate::gate))
        .with_state(server)
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("no route has the path {}; /openapi.json lists them", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("{} has no method {method}; the header `allow` lists them", uri.path()),
    )
}

fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::with_openapi(Interface::openapi())
        .routes(routes!(events::post_events))
        .routes(routes!(items::post_items))
        .routes(routes!(items::get_item, items::put_item, items::patch_item, items::delete_item))
        .routes(routes!(recommend::similar))
        .routes(routes!(users::get_user, users::put_user, users::delete_user))
        .routes(routes!(users::merge))
        .routes(routes!(recommend::recommend))
        .routes(routes!(recommend::recommend_user))
        .routes(routes!(recommend::recommend_batch))
        .routes(routes!(recommend::trending))
        .routes(routes!(recommend::new_items))
        .routes(routes!(search::post_search, search::get_search))
        .routes(routes!(quality::quality))
        .routes(routes!(versions::list))
        .routes(routes!(versions::promote))
        .routes(routes!(versions::rollback))
        .routes(routes!(versions::release))
        .routes(routes!(versions::ask, versions::dismiss))
        .routes(routes!(quarantine::list, quarantine::decide))
        .routes(routes!(forget::forget, forget::forgetting))
        .routes(routes!(probes::healthz))
        .routes(routes!(probes::readyz))
        .routes(routes!(probes::metrics))
        .routes(routes!(probes::openapi))
}

/// The general part of the interface's description; the routes add themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Accrue",
        description = "Search and recommendations for shops, learning from every event as it happens.\n\n\
                       Errors are problem documents (RFC 9457) with a stable `code`."
    ),
    components(schemas(ProblemDocument)),
    modifiers(&KeySchemes),
    tags(
        (name = "collect", description = "What shoppers do, and what the shop sells"),
        (name = "serve", description = "Recommendations and search"),
        (name = "operate", description = "Quality, quarantine, probes")
    )
)]
struct Interface;

/// The two headers that may carry a key.
struct KeySchemes;

impl utoipa::Modify for KeySchemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::SecurityRequirement;
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))));
        let none: [&str; 0] = [];
        openapi.security = Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("key", none)]);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::door::{Access, access};
    use super::*;

    #[test]
    fn every_documented_route_has_its_access() {
        let openapi = routes().into_openapi();
        assert!(openapi.paths.paths.len() >= 18);
        for (path, item) in &openapi.paths.paths {
            let methods = [
                (Method::GET, &item.get),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in methods.into_iter().filter(|(_, operation)| operation.is_some()) {
                let needs_admin = access(&method, Some(path)) == Access::Needs(Scope::Admin);
                let decides = path == "/v1/quarantine" || path == "/v1/forget" || path.starts_with("/v1/versions/");
                assert_eq!(needs_admin, decides, "{method} {path}");
                let summary = operation.as_ref().and_then(|operation| operation.summary.as_deref());
                assert!(summary.is_some_and(|summary| !summary.is_empty()), "{method} {path} has no summary");
            }
        }
    }
}
