//! Forms that were sent. Only the console's own pages can send them.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use accrue_event::Timestamp;
use axum::Form;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Uri, header};
use maud::{Markup, html};

use super::super::problem::{Code, Problem};
use super::super::server::Server;
use super::forwarded;

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

/// What stands in the fields of a form: a record that is edited, or what was entered and refused.
#[derive(Default)]
pub(super) struct Entered {
    values: HashMap<String, String>,
    /// The field at fault, and what is wrong.
    fault: Option<(String, String)>,
}

impl Entered {
    /// The fields of a record.
    pub fn of<const N: usize>(values: [(&str, Option<String>); N]) -> Self {
        let values = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Self { values, fault: None }
    }

    /// A form as it was sent, with the problem that it led to. The problem may name the field by a path
    /// (`rules[3].filter`).
    pub fn refused(fields: Fields, problem: &Problem) -> Self {
        let field = problem.at_fault().unwrap_or_default().rsplit('.').next().unwrap_or_default();
        let field = field.split('[').next().unwrap_or_default().to_owned();
        Self { values: fields.0, fault: Some((field, problem.detail().to_owned())) }
    }

    /// What stands in a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// What is wrong with a field.
    pub fn fault(&self, name: &str) -> Option<&str> {
        self.fault.as_ref().filter(|(field, _)| field == name).map(|(_, what)| &**what)
    }

    /// What is wrong, if it is wrong with none of these fields.
    pub fn fault_of_none(&self, names: &[&str]) -> Option<&str> {
        self.fault.as_ref().filter(|(field, _)| !names.contains(&&**field)).map(|(_, what)| &**what)
    }

    /// A line of text with its label, and what is wrong with it.
    pub fn line(&self, label: &str, name: &str, hint: &str) -> Markup {
        html! {
            label {
                (label)
                input name=(name) value=[self.get(name)] placeholder=(hint) aria-invalid=[self.fault(name).map(|_| "true")];
                (self.told(name))
            }
        }
    }

    /// Lines of text.
    pub fn area(&self, label: &str, name: &str, hint: &str) -> Markup {
        html! {
            label .block {
                (label)
                textarea name=(name) placeholder=(hint) aria-invalid=[self.fault(name).map(|_| "true")] {
                    (self.get(name).unwrap_or_default())
                }
                (self.told(name))
            }
        }
    }

    /// What is wrong with a field, to stand beside it.
    pub fn told(&self, name: &str) -> Markup {
        html! { @if let Some(fault) = self.fault(name) { span .fault role="alert" { (fault) } } }
    }
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

/// Refuses a form that a page of another site sends.
///
/// A browser says of a page over TLS whether it is of this site (`Sec-Fetch-Site`), whatever a proxy makes of `Host`. Where
/// it does not, the page's origin must be the host that was asked for: `Host`, or what a proxy says it was asked for. A
/// page of another site cannot set any of these headers.
fn refuse_other_sites(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let refused = |detail| Err(Problem::new(Code::OriginNotAllowed, detail));
    if let Some(site) = headers.get("sec-fetch-site") {
        let is_same = matches!(site.as_bytes(), b"same-origin" | b"none");
        return if is_same { Ok(()) } else { refused("a page of another site cannot act in the console") };
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("null");
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host());
    let is_asked_for = |asked: &str| authority.eq_ignore_ascii_case(asked);
    if host.is_some_and(is_asked_for) || forwarded::hosts(headers).any(|asked| is_asked_for(&asked)) {
        return Ok(());
    }
    refused(
        "a page of another site cannot act in the console; behind a proxy, have it hand on the host with its port: \
         `Host` as it was received, or `X-Forwarded-Host`",
    )
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
    #[test]
    fn forms_arrive_through_proxies_that_change_the_host() {
        let check = |pairs: &[(&'static str, &str)]| {
            refuse_other_sites(&headers(pairs), &"/console".parse().unwrap()).map_err(|problem| problem.code())
        };
        let (inner, origin) = (("host", "accrue"), ("origin", "https://shop.example:8443"));
        for forwarded in [
            vec![("sec-fetch-site", "same-origin")],
            vec![("x-forwarded-host", "shop.example:8443")],
            vec![("x-forwarded-host", "shop.example:8443, inner.example")],
            vec![("x-forwarded-host", "shop.example"), ("x-forwarded-port", "8443")],
            vec![("forwarded", "for=1.1.1.1;host=\"shop.example:8443\";proto=https")],
        ] {
            assert_eq!(check(&[vec![inner, origin], forwarded.clone()].concat()), Ok(()), "{forwarded:?}");
        }
        for forwarded in [
            vec![],
            vec![("x-forwarded-host", "shop.example")],
            vec![("x-forwarded-host", "shop.example:8443"), ("sec-fetch-site", "cross-site")],
            vec![("forwarded", "for=1.1.1.1;host=other.example:8443")],
        ] {
            let refused = check(&[vec![inner, origin], forwarded.clone()].concat());
            assert_eq!(refused, Err(Code::OriginNotAllowed), "{forwarded:?}");
        }
    }
}
