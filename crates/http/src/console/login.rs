//! The login: a form takes a key and sets a cookie that is not the key.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;

use super::super::connection::Connection;
use super::super::problem::{Code, Problem};
use super::super::server::Server;
use super::form::{TOKEN, unproven};
use super::forwarded;
use super::layout::{self, Frame};
use super::look::is_own_page;
use super::view::View;
use super::{LOGIN, Look, ROOT};

/// The form.
pub(super) async fn page(view: View) -> Response {
    if !view.server.access.has_keys() {
        return to(ROOT, None);
    }
    form(view.look, view.param("next"), None, StatusCode::OK)
}

/// Begins a session with the key of the form.
pub(super) async fn enter(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let (look, now) = (Look::of(request.headers()), Instant::now());
    let connected = request.extensions().get::<Arc<Connection>>().map(|connection| connection.address);
    let address = server.access.client_address(connected, request.headers());
    server.access.logins.permit(address, now)?;
    let is_over_tls = forwarded::is_over_tls(request.headers());
    let fields = unproven(request).await?;
    let next = fields.get("next").filter(|next| is_own_page(next));
    let from = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    match server.access.key_for_console(fields.get("key").unwrap_or_default()) {
        Ok((number, name)) => {
            tracing::info!(key = name, %from, "logged in to the console");
            let cookie = server.access.sessions.begin(number, is_over_tls, now);
            Ok(to(next.unwrap_or(ROOT), Some(cookie)))
        }
        Err(problem) => {
            server.access.logins.failed(address, now);
            let (texts, code) = (look.texts, problem.code());
            tracing::warn!(%from, reason = code.name(), "a login to the console failed");
            let why = if code == Code::MissingScope { texts.login_scope } else { texts.login_unknown };
            Ok(form(look, next, Some(why), code.status()))
        }
    }
}

/// Ends the session.
pub(super) async fn leave(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Problem> {
    let headers: HeaderMap = request.headers().clone();
    let expected = server.access.sessions.form_token(&headers, Instant::now());
    if unproven(request).await?.get(TOKEN) != Some(&*expected) {
        return Err(Problem::new(Code::OriginNotAllowed, "the form is not of this session"));
    }
    Ok(to(LOGIN, Some(server.access.sessions.end(&headers))))
}

fn form(look: Look, next: Option<&str>, fault: Option<&str>, status: StatusCode) -> Response {
    let texts = look.texts;
    let body = html! {
        form .login method="post" action=(LOGIN) {
            p .lead { (texts.login_lead) }
            @if let Some(fault) = fault { p .notice.bad role="alert" { (fault) } }
            label for="key" { (texts.key) }
            input #key name="key" type="password" required autofocus autocomplete="current-password";
            @if let Some(next) = next { input type="hidden" name="next" value=(next); }
            button .primary { (texts.log_in) }
            p .soft { (texts.login_note) }
        }
    };
    layout::respond(status, layout::document(&Frame::bare(look, texts.log_in), body))
}

/// A redirect to a page of the console.
fn to(path: &str, cookie: Option<String>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static(ROOT));
    response.headers_mut().insert(header::LOCATION, location);
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
