//! The middleware that every request passes: its id, its key, the limit on concurrency, the time limit, the form of
//! errors, CORS, the counters and one line in the log.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Access, Asked};
use super::connection::{Connection, Phase};
use super::console::{Look, is_of_console, refusal};
use super::problem::{Code, Problem, overloaded};
use super::route_table::Route;
use super::server::Server;
use super::turns::HeldTurn;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A shorter body is read to its end even if the answer is known before, so that the connection can be used again.
const MAX_DRAINED: u64 = 16_384;

/// Counts requests while they are served.
pub(super) struct InFlight<'c>(&'c AtomicUsize);

impl<'c> InFlight<'c> {
    /// Adds a request, and returns how many there are now.
    fn enter(counter: &'c AtomicUsize) -> (Self, usize) {
        let inside = counter.fetch_add(1, Ordering::Relaxed) + 1;
        (Self(counter), inside)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The one layer around all routes.
pub(super) async fn around(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let request_id = request_id(&server, request.headers());
    let origin = server.access.allowed_origin(request.headers());
    let key = server.access.key_name(request.uri(), request.headers()).map(str::to_owned);
    let route_entry = server.routes.find(&method, route);
    let may_leave_unread = request.body().size_hint().upper().is_none_or(|n_bytes| n_bytes > MAX_DRAINED);
    let page = is_of_console(request.uri().path()).then(|| (Look::of(request.headers()), request.uri().clone()));
    let answered = match server.access.preflight(&method, request.headers()) {
        Some(preflight) => preflight,
        None => admitted(&server, &route_entry, request, next, started).await,
    };
    let mut response = match answered.extensions().get::<Problem>() {
        Some(problem) => {
            let refused = match &page {
                Some((look, asked)) => refusal(problem, *look, asked, &request_id),
                None => problem.render(&request_id),
            };
            with_headers_of(&answered, refused)
        }
        None => answered,
    };
    let headers = response.headers_mut();
    if server.access.varies_by_origin() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("x-request-id, retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(&X_REQUEST_ID, value);
    }
    if may_leave_unread && is_refused_early(response.status()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status().as_u16();
    let took = started.elapsed();
    let route = route.unwrap_or("unmatched");
    server.metrics.observe(&method, route, status, took);
    let (method, took_ms, key) = (method.as_str(), took.as_micros() as f64 / 1e3, key.as_deref().unwrap_or("-"));
    // Probes come every few seconds, and say nothing as long as they succeed.
    if route_entry.access == Access::Open && status < 400 {
        tracing::debug!(target: "accrue::access", method, route, status, took_ms, key, request_id);
    } else {
        tracing::info!(target: "accrue::access", method, route, status, took_ms, key, request_id);
    }
    response
}

/// Whether a request with this status may have been answered before its body was read. The connection is then closed,
/// because what is left of the body would be taken for the next request, and the client has to be told.
fn is_refused_early(status: StatusCode) -> bool {
    use StatusCode as S;
    let early = [S::UNAUTHORIZED, S::FORBIDDEN, S::NOT_FOUND, S::METHOD_NOT_ALLOWED, S::PAYLOAD_TOO_LARGE];
    early.contains(&status) || status == S::TOO_MANY_REQUESTS || status == S::SERVICE_UNAVAILABLE
}

async fn admitted(server: &Server, route: &Route, mut request: Request, next: Next, started: Instant) -> Response {
    let access = route.access;
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    // Probes are answered even when the server is busy.
    if access != Access::Open && connection.as_ref().is_some_and(|connection| connection.is_extra) {
        let close = HeaderValue::from_static("close");
        return overloaded("too many connections at a time").header(header::CONNECTION, close).into_response();
    }
    let asked = Asked {
        method: request.method(),
        uri: request.uri(),
        version: request.version(),
        headers: request.headers(),
        connected: connection.as_ref().map(|connection| connection.address),
    };
    let caller = match server.access.admit(access, asked, started) {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    if let Err(problem) = route.check_query(request.uri()) {
        return problem.into_response();
    }
    request.extensions_mut().insert(caller.clone());
    // A request counts as being served when it is here as a whole: what waits for its client is no work.
    let mut _permit = None;
    if access != Access::Open && !request.body().is_end_stream() {
        connection.iter().for_each(|connection| connection.enter(Phase::Body));
        _permit = match server.await_body(&mut request).await {
            Ok(permit) => permit,
            Err(problem) => return problem.into_response(),
        };
        connection.iter().for_each(|connection| connection.enter(Phase::Work));
    }
    let (_inside, n_inside) = InFlight::enter(&server.in_flight);
    if access != Access::Open && n_inside > server.settings.max_concurrent_requests {
        return overloaded("too many requests at a time").into_response();
    }
    let mut turn = None;
    if route.is_page {
        turn = HeldTurn::take(&server.turns, caller.claim(connection.as_deref())).await;
        match &turn {
            Some(turn) => drop(request.extensions_mut().insert(turn.clone())),
            None => return overloaded("too many pages at a time").into_response(),
        }
    }
    let limit_s = server.settings.request_timeout_s;
    let answer = tokio::time::timeout(Duration::from_secs(limit_s), caught(next.run(request))).await;
    let lasted = turn.map(|turn| turn.end());
    if let (Some(connection), Some(lasted)) = (&connection, lasted) {
        connection.charge(lasted);
    }
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(panic = panic_text(&*panic), "a request panicked");
            Problem::new(Code::Internal, "the server's log has the cause").into_response()
        }
        Err(_) => {
            let detail = "a write may have been made nevertheless: send it again with the same ids";
            Problem::new(Code::Timeout, detail).retry_after(1).into_response()
        }
    }
}

/// Runs a future; a panic inside becomes an error instead of a closed connection.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

/// Keeps the headers that the router added to the problem: `Allow` of a 405.
fn with_headers_of(answered: &Response, mut problem: Response) -> Response {
    if let Some(allow) = answered.headers().get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}

/// The id that the client gave, if it is safe to log, else a new one.
fn request_id(server: &Server, headers: &HeaderMap) -> String {
    let is_sane = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@~".contains(&b))
    };
    let given = headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(is_sane);
    given.map_or_else(|| server.ids.next(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let panic = runtime.block_on(caught(async { panic!("no {}", "item") })).map(|(): ()| ()).unwrap_err();
        assert_eq!(panic_text(&*panic), "no item");
        assert_eq!(runtime.block_on(caught(async { 7 })).unwrap(), 7);
    }
}
