//! Forms that were sent. Only the console's own pages can send them.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use accrue_event::Timestamp;
use axum::Form;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, Uri, header};

use super::super::problem::{Code, Problem};
use super::super::server::Server;

/// The field that proves that a form is one of the console's pages.
pub(super) const TOKEN: &str = "form_token";

/// The fields of a form that came from the console's own page.
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    /// What was entered in a field, without blanks around it; none if that is nothing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The same as a text of its own.
    pub fn text(&self, name: &str) -> Option<Box<str>> {
        self.get(name).map(Box::from)
    }

    /// The lines of a field that are not empty.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).unwrap_or_default().lines().map(str::trim).filter(|line| !line.is_empty())
    }

    /// A number; `expected` says which, for the fault.
    pub fn number<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.get(name).map(str::parse).transpose().map_err(|_| fault(name, expected))
    }

    /// A time.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let read = |text| Timestamp::parse(text).ok_or_else(|| fault(name, "a time such as 2026-11-27T00:00:00Z"));
        self.get(name).map(read).transpose()
    }
}

/// A field that does not hold what is expected there.
pub(super) fn fault(field: &str, expected: &str) -> Problem {
    Problem::new(Code::InvalidValue, format!("{field}: {expected} is expected")).field(field)
}

impl FromRequest<Arc<Server>> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Problem> {
        let expected = server.access.sessions.form_token(request.headers(), Instant::now());
        let fields = unproven(request).await?;
        if fields.get(TOKEN) != Some(&*expected) {
            let detail = "the form is not of this session: open the page again and repeat what you did";
            return Err(Problem::new(Code::OriginNotAllowed, detail));
        }
        Ok(fields)
    }
}

/// The fields of a form whose token is not looked at: for the login, before which there is no session.
pub(super) async fn unproven(request: Request) -> Result<Fields, Problem> {
    refuse_other_sites(request.headers(), request.uri())?;
    let fields = Form::<HashMap<String, String>>::from_request(request, &()).await;
    fields.map(|Form(fields)| Fields(fields)).map_err(|error| Problem::new(Code::InvalidBody, error.body_text()))
}

/// Refuses a form that a page of another site sends. Browsers say where a form comes from in one of these headers.
fn refuse_other_sites(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let is_same_site = |value: &HeaderValue| matches!(value.as_bytes(), b"same-origin" | b"none");
    let is_from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| !is_same_site(site));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host());
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let names_another = origin.is_some_and(|origin| {
        let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
        host.is_none_or(|host| !authority.eq_ignore_ascii_case(host))
    });
    if is_from_elsewhere || names_another {
        return Err(Problem::new(Code::OriginNotAllowed, "a page of another site cannot act in the console"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let host = ("host", "shop.example:7171");
        let check = |pairs: &[(&'static str, &str)]| refuse_other_sites(&headers(pairs), &"/console".parse().unwrap());
        assert!(check(&[host]).is_ok());
        assert!(check(&[host, ("origin", "https://shop.example:7171"), ("sec-fetch-site", "same-origin")]).is_ok());
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "https://shop.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(check(&[host, (name, value)]).map_err(|problem| problem.code()), Err(Code::OriginNotAllowed));
        }
    }
}
