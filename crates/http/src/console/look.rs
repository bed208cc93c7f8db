//! The language and the colours that a person chose, in cookies, or else what the browser asks for.

use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::session::cookie;
use super::texts::{self, EN, Texts};
use super::{ROOT, is_of_console};

const LANGUAGE: &str = "accrue_language";
const THEME: &str = "accrue_theme";

/// The looks of a page.
#[derive(Clone, Copy)]
pub(in super::super) struct Look {
    pub texts: &'static Texts,
    /// `light` or `dark`; none is what the browser prefers.
    pub theme: Option<&'static str>,
}

impl Look {
    /// The looks that a request asks for.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepts = || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let theme =
            cookie(headers, THEME).and_then(|chosen| ["light", "dark"].into_iter().find(|known| *known == chosen));
        let texts = match cookie(headers, LANGUAGE) {
            Some(chosen) => of_language(chosen),
            None => accepts().map_or(&EN, preferred),
        };
        Self { texts, theme }
    }
}

/// The language that a tag names, such as `zh-CN`, if the console has it.
fn named(tag: &str) -> Option<&'static Texts> {
    let tag = tag.trim().to_ascii_lowercase();
    texts::ALL.into_iter().find(|language| tag.starts_with(language.tag))
}

fn of_language(tag: &str) -> &'static Texts {
    named(tag).unwrap_or(&EN)
}

/// The first language of the header that the console has. Browsers list them in the order of preference.
fn preferred(accepts: &str) -> &'static Texts {
    let mut tags = accepts.split(',').map(|tag| tag.split(';').next().unwrap_or_default());
    tags.find_map(named).unwrap_or(&EN)
}

/// A choice.
#[derive(Deserialize)]
pub(super) struct Choice {
    language: Option<String>,
    theme: Option<String>,
    /// Where to go on.
    back: Option<String>,
}

/// Keeps a choice for a year, and goes back to the page.
pub(super) async fn choose(Query(Choice { language, theme, back }): Query<Choice>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    let mut keep = |name: &str, value: &str| {
        let set = format!("{name}={value}; Path={ROOT}; Max-Age=31536000; SameSite=Lax");
        if let Ok(set) = HeaderValue::from_str(&set) {
            headers.append(header::SET_COOKIE, set);
        }
    };
    if let Some(language) = language {
        keep(LANGUAGE, of_language(&language).tag);
    }
    if let Some(theme) = theme.filter(|theme| ["light", "dark", "auto"].contains(&theme.as_str())) {
        keep(THEME, &theme);
    }
    let back = back.filter(|back| is_own_page(back)).unwrap_or_else(|| ROOT.into());
    let back = HeaderValue::from_str(&back).unwrap_or(HeaderValue::from_static(ROOT));
    headers.insert(header::LOCATION, back);
    response
}

/// Whether an address that a request names leads to the console and nowhere else.
pub(super) fn is_own_page(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    is_of_console(path) && !address.contains(['\\', '\r', '\n']) && !path.contains("..") && !path.contains('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_the_console_has_is_taken() {
        for (accepts, tag) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
            ("de-DE,de;q=0.9,en;q=0.8,zh;q=0.7", "en"),
            ("fr, zh-TW", "zh"),
            ("fr", "en"),
            ("", "en"),
        ] {
            assert_eq!(preferred(accepts).tag, tag, "{accepts}");
        }
    }

    #[test]
    fn a_redirect_stays_in_the_console() {
        assert!(is_own_page("/console/quality?x=1"));
        for foreign in [
            "//evil.example",
            "https://evil.example/console",
            "/",
            "/console/../v1",
            "/console/%2e%2E/x",
            "/console\\\\evil",
            "",
        ] {
            assert!(!is_own_page(foreign), "{foreign}");
        }
    }
}
