//! What a page of the console is made for: the caller, the looks, and the parameters in its address.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::super::caller::Caller;
use super::super::problem::{Code, Problem, overloaded};
use super::super::server::Server;
use super::super::settings::Scope;
use super::super::turns::HeldTurn;
use super::Look;
use super::form::TOKEN;
use super::texts::Texts;

/// Longest value of a parameter, in bytes; texts that people type are shorter.
const MAX_BYTES: usize = 4_096;

/// A request for a page.
pub(super) struct View {
    pub server: Arc<Server>,
    pub caller: Caller,
    pub look: Look,
    params: HashMap<String, String>,
    /// The path with its parameters.
    pub address: String,
    form_token: Box<str>,
    /// Of a page that computes.
    turn: Option<HeldTurn>,
}

impl FromRequestParts<Arc<Server>> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri);
        let Query(params) = query.map_err(|error| Problem::new(Code::InvalidQuery, error.body_text()))?;
        if let Some((name, _)) = params.iter().find(|(_, value)| value.len() > MAX_BYTES) {
            return Err(Problem::new(Code::InvalidQuery, format!("{name:?} has more than {MAX_BYTES} bytes")));
        }
        Ok(Self {
            server: Arc::clone(server),
            caller: parts.extensions.get::<Caller>().cloned().unwrap_or_default(),
            look: Look::of(&parts.headers),
            params,
            address: parts.uri.path_and_query().map(|address| address.to_string()).unwrap_or_default(),
            form_token: server.access.sessions.form_token(&parts.headers, Instant::now()),
            turn: parts.extensions.get::<HeldTurn>().cloned(),
        })
    }
}

impl View {
    pub fn texts(&self) -> &'static Texts {
        self.look.texts
    }

    /// Waits for something else than a core, while others compute.
    pub async fn wait_without_turn(&self, wait: impl Future<Output = ()>) -> Result<(), Problem> {
        let Some(turn) = &self.turn else {
            wait.await;
            return Ok(());
        };
        if turn.wait_without(wait).await { Ok(()) } else { Err(overloaded("too many pages at a time")) }
    }

    /// A parameter without blanks around it; none if it is empty.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A number between two bounds; `otherwise` if it is absent or none.
    pub fn number(&self, name: &str, otherwise: usize, most: usize) -> usize {
        self.param(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise).min(most)
    }

    /// The hidden field by which a form proves that it is of this session.
    pub fn form_token(&self) -> Markup {
        html! { input type="hidden" name=(TOKEN) value=(self.form_token); }
    }

    pub fn permits(&self, scope: Scope) -> bool {
        self.caller.permits(scope)
    }
}

/// Goes on to a page of the console after a form was carried out.
pub(super) fn redirect(address: &str) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static(super::ROOT));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// A text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
