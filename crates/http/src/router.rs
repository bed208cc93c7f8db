//! The routes, the middleware around them, the description of the interface, and the server that runs them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use accrue_engine::Engine;
use accrue_event::SettingFault;
use axum::Router;
use axum::extract::{MatchedPath, State};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use utoipa::OpenApi;
use utoipa_axum::routes;

use super::access::AccessControl;
use super::history::{FIRST_INTERVAL, History};
use super::large::LargeBodies;
use super::long::LongPages;
use super::metrics::Metrics;
use super::problem::{Code, Problem, ProblemDocument};
use super::registry::Registry;
use super::request_id::RequestIds;
use super::search_counts::SearchCounts;
use super::server::Server;
use super::settings::{HttpSettings, Scope};
use super::site::Site;
use super::turns::Turns;
use super::{
    campaigns, console, events, forget, items, listener, lists, middleware, new_products, predict, probes, proposals,
    quality, quarantine, recommend, rules, scenes, search, searches, status, storefront, suggest, synonyms, users,
    versions, what_if,
};

/// Why a server did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting is not valid.
    #[error(transparent)]
    Settings(#[from] SettingFault),
    /// The socket has no address.
    #[error("the listening socket has no address")]
    NoAddress(#[source] io::Error),
}

/// Serves requests until `shutdown` is done; then accepts no more, and gives those in flight
/// `settings.shutdown_limit_s` to end. The engine stays open; the caller closes it.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    engine: Engine,
    listener: TcpListener,
    settings: HttpSettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_site(engine, listener, settings, Site::default(), shutdown).await
}

/// [`serve`] with what the pages for people show beside the shop.
///
/// # Errors
/// [`ServeError`].
pub async fn serve_site(
    engine: Engine,
    listener: TcpListener,
    settings: HttpSettings,
    site: Site,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    settings.validate().map_err(|fault| fault.within("http"))?;
    let address = listener.local_addr().map_err(ServeError::NoAddress)?;
    let is_loopback = address.ip().is_loopback();
    if settings.keys.is_empty() && !is_loopback {
        tracing::warn!(%address, "no keys are configured and the address is not loopback: every request will be refused");
    }
    let limit = Duration::from_secs(settings.shutdown_limit_s);
    let most = listener::connections_within_files(settings.max_connections);
    let connections = listener::Connections::new(&settings, most);
    let (router, server) = build(engine, settings.clone(), site, is_loopback, Some(Arc::clone(&connections)));
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let serving = listener::serve(listener, router, connections, &settings, async move {
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
    let sampling = async {
        loop {
            server.sample();
            tokio::time::sleep(FIRST_INTERVAL).await;
        }
    };
    tokio::select! {
        () = sampling => Ok(()),
        () = proposals::repair(&server) => Ok(()),
        () = serving => Ok(()),
        () = overdue => {
            tracing::warn!(limit_s = limit.as_secs(), "requests still in flight were cut off");
            Ok(())
        }
    }
}

/// The routes with the middleware around them, for a server that listens at `settings.listen`.
pub fn router(engine: Engine, settings: HttpSettings) -> Router {
    let is_loopback = settings.is_loopback();
    build(engine, settings, Site::default(), is_loopback, None).0
}

fn build(
    engine: Engine,
    settings: HttpSettings,
    site: Site,
    is_loopback: bool,
    connections: Option<Arc<listener::Connections>>,
) -> (Router, Arc<Server>) {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (routes, table) = registry().finish();
    let (routes, openapi) = routes.split_for_parts();
    let server = Arc::new(Server {
        engine,
        access: AccessControl::new(&settings, is_loopback),
        ids: RequestIds::new(),
        metrics: Metrics::default(),
        history: History::new(),
        searches: SearchCounts::default(),
        in_flight: AtomicUsize::new(0),
        connections,
        turns: Turns::new(n_cores),
        long_pages: LongPages::new(n_cores),
        large_bodies: LargeBodies::new(settings.max_large_bodies),
        published_large_bodies: LargeBodies::published((settings.max_large_bodies / 4).max(1)),
        published_writes: Semaphore::new(events::PUBLISHED_AT_A_TIME as usize),
        routes: table,
        openapi: serde_json::to_vec(&openapi).expect("a description is plain data").into(),
        settings,
        site,
    });
    let router = routes
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&server), middleware::around))
        .with_state(Arc::clone(&server));
    (router, server)
}

/// A longer path is shown in part, and no route is looked for that it may mean: nobody mistypes so many letters.
const LONGEST_PATH: usize = 200;

async fn not_found(State(server): State<Arc<Server>>, method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let is_read = [Method::GET, Method::HEAD].contains(&method);
    if console::is_of_console(path) && path.ends_with('/') && is_read {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        return Redirect::permanent(&format!("{}{query}", path.trim_end_matches('/'))).into_response();
    }
    let near = match (path.len() <= LONGEST_PATH).then(|| server.routes.near(path)).flatten() {
        Some((near, methods)) => format!("did you mean {} {near}? ", methods.join(", ")),
        None => String::new(),
    };
    let shown: String = path.chars().take(LONGEST_PATH).collect();
    let detail = format!("no route has the path {shown}; {near}/openapi.json lists all");
    Problem::new(Code::NotFound, detail).into_response()
}

async fn method_not_allowed(
    State(server): State<Arc<Server>>,
    route: Option<MatchedPath>,
    method: Method,
    uri: Uri,
) -> Problem {
    let methods = route.map(|route| server.routes.methods(route.as_str()).join(", ")).unwrap_or_default();
    let remedy = match &*methods {
        "" => "the header `allow` lists them".to_owned(),
        "POST" if method == Method::GET => "it has POST, which takes the parameters as JSON in its body".to_owned(),
        methods => format!("it has {methods}"),
    };
    Problem::new(Code::MethodNotAllowed, format!("{} has no method {method}; {remedy}", uri.path()))
}

/// All routes: a line for what is new is all that the server needs to know of it, see `docs/add-a-route.md`.
fn registry() -> Registry {
    use Scope::{Admin, Publish, Read, Search, Write};
    let registry = Registry::new(Interface::openapi())
        .needs(Publish, routes!(events::post_events))
        .needs(Write, routes!(items::post_items, items::patch_items))
        .needs(Read, routes!(items::get_item))
        .needs(Write, routes!(items::put_item, items::patch_item, items::delete_item))
        .page(Search, routes!(lists::similar))
        .needs(Read, routes!(users::get_user))
        .needs(Write, routes!(users::put_user, users::delete_user))
        .needs(Write, routes!(users::merge))
        // Without a user these tell nothing about persons.
        .page(Search, routes!(recommend::recommend))
        .page(Read, routes!(recommend::recommend_user))
        .page(Read, routes!(recommend::recommend_batch))
        // The path of batches is also that of a user with this id.
        .instance("/v1/recommend/batch", "/v1/recommend/{user}", axum::routing::get(recommend::recommend_user_batch))
        .page(Read, routes!(predict::predict))
        .page(Search, routes!(lists::trending))
        .page(Search, routes!(lists::new_items))
        .page(Read, routes!(new_products::library))
        .page(Search, routes!(search::post_search, search::get_search))
        .page(Search, routes!(suggest::suggest))
        .needs(Read, routes!(searches::searches))
        .needs(Read, routes!(synonyms::list))
        .needs(Write, routes!(synonyms::replace))
        .needs(Read, routes!(proposals::list))
        .needs(Write, routes!(proposals::accept))
        .needs(Write, routes!(proposals::reject))
        .needs(Read, routes!(rules::list))
        .needs(Write, routes!(rules::replace, rules::add, rules::clear))
        .needs(Write, routes!(rules::remove))
        .needs(Read, routes!(campaigns::list))
        .needs(Read, routes!(campaigns::one))
        .needs(Write, routes!(campaigns::replace))
        .needs(Read, routes!(scenes::list))
        .needs(Write, routes!(scenes::replace))
        .needs(Read, routes!(quality::quality))
        .needs(Read, routes!(quality::history))
        .needs(Read, routes!(status::status))
        .needs(Read, routes!(versions::list))
        .needs(Admin, routes!(versions::promote))
        .needs(Admin, routes!(versions::rollback))
        .needs(Admin, routes!(versions::release))
        .needs(Admin, routes!(versions::ask, versions::dismiss))
        .needs(Admin, routes!(what_if::latest, what_if::begin))
        .needs(Admin, routes!(quarantine::list, quarantine::decide))
        .needs(Admin, routes!(forget::forget, forget::forgetting))
        .open(routes!(probes::healthz))
        .open(routes!(probes::readyz))
        .needs(Read, routes!(probes::metrics))
        .open(routes!(probes::openapi));
    console::register(storefront::register(registry))
}

/// The general part of the interface's description; the routes add themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Accrue",
        description = "Search and recommendations for shops, learning from every event as it happens.\n\n\
                       Errors are problem documents (RFC 9457) with a stable `code`."
    ),
    components(schemas(ProblemDocument, crate::quality::MemberBody)),
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
        let published = ApiKeyValue::with_description("key", "A key with the scope `publish` alone.");
        components.add_security_scheme("published", SecurityScheme::ApiKey(ApiKey::Query(published)));
        let none: [&str; 0] = [];
        openapi.security = Some(vec![SecurityRequirement::new("bearer", none), SecurityRequirement::new("key", none)]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::registry::operations;
    use super::*;

    #[test]
    fn every_documented_route_has_its_access() {
        let (routes, table) = registry().finish();
        let openapi = routes.into_openapi();
        assert!(openapi.paths.paths.len() >= 18);
        for (path, item) in &openapi.paths.paths {
            for (method, operation) in operations(item) {
                let route = table.find(&method, Some(path));
                let needs_admin = route.access == Access::Needs(Scope::Admin);
                let decides = ["/v1/quarantine", "/v1/forget", "/v1/what-if"].contains(&&**path)
                    || path.starts_with("/v1/versions/");
                assert_eq!(needs_admin, decides, "{method} {path}");
                // Whatever visitors may ask for computes an answer, so it waits for its turn, by address.
                let is_for_visitors = route.access == Access::Needs(Scope::Search);
                assert!(route.is_page || !is_for_visitors, "{method} {path} is not registered with .page");
                let is_unknown = route.check_query(&"/?no_such_parameter=1".parse().unwrap()).is_err();
                assert_eq!(is_unknown, route.access != Access::Open, "{method} {path} takes any parameter");
                let summary = operation.summary.as_deref();
                assert!(summary.is_some_and(|summary| !summary.is_empty()), "{method} {path} has no summary");
            }
        }
    }
}
