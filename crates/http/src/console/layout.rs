//! What is around every page: head, menu, and the headers that keep foreign content out.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::view::{View, encoded};
use super::{LOGOUT, Look, PAGES, Page, ROOT, texts};

/// Nothing is loaded from elsewhere, no script or style stands in a page, and no other site may show one in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What a document needs to know of its page.
pub(super) struct Frame<'p> {
    look: Look,
    title: &'p str,
    /// The page of the menu that is shown.
    current: Option<&'static str>,
    menu: Option<&'p View>,
}

impl<'p> Frame<'p> {
    /// A document without a menu.
    pub fn bare(look: Look, title: &'p str) -> Self {
        Self { look, title, current: None, menu: None }
    }

    /// A document with the menu.
    pub fn of(view: &'p View, page: Option<&Page>, title: &'p str) -> Self {
        Self { look: view.look, title, current: page.map(|page| page.path), menu: Some(view) }
    }
}

impl View {
    /// The page at `path`, with the menu around it.
    pub fn page(&self, path: &str, title: &str, body: Markup) -> Response {
        self.page_with(StatusCode::OK, path, title, body)
    }

    /// The same with another status.
    pub fn page_with(&self, status: StatusCode, path: &str, title: &str, body: Markup) -> Response {
        let page = PAGES.iter().find(|page| page.path == path);
        let document = document(&Frame::of(self, page, title), body);
        respond(status, document)
    }
}

/// A whole document.
pub(super) fn document(frame: &Frame<'_>, body: Markup) -> Markup {
    let Frame { look, title, .. } = frame;
    let texts = look.texts;
    html! {
        (DOCTYPE)
        html lang=(texts.tag) data-theme=[look.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (without_directions(title)) " · Accrue" }
                link rel="icon" href=(ICON.address());
                link rel="stylesheet" href=(STYLE.address());
                script defer src=(SCRIPT.address()) data-stale=(texts.stale) {}
            }
            body .bare[frame.menu.is_none()] {
                a .skip href="#main" { (texts.skip) }
                @if let Some(view) = frame.menu { (menu(view, frame.current)) }
                main #main tabindex="-1" {
                    @if frame.menu.is_none() { p .brand { (mark()) "Accrue" } (languages(*look, ROOT)) }
                    h1 { bdi dir="auto" { (title) } }
                    (body)
                }
            }
        }
    }
}

fn menu(view: &View, current: Option<&str>) -> Markup {
    let texts = view.texts();
    let back = encoded(&view.address);
    html! {
        header .side {
            a .brand href=(ROOT) { (mark()) "Accrue" }
            nav aria-label=(texts.menu) {
                ul {
                    @for page in PAGES.iter().filter(|page| view.permits(page.sees)) {
                        li {
                            a href=(page.path) aria-current=[(current == Some(page.path)).then_some("page")] {
                                svg .icon viewBox="0 0 24 24" aria-hidden="true" { path d=(page.icon) {} }
                                span { ((page.name)(texts)) }
                            }
                        }
                    }
                }
            }
            div .looks {
                (languages(view.look, &back))
                div .pair role="group" aria-label=(texts.colours) {
                    @for (theme, name) in [("light", texts.light), ("dark", texts.dark), ("auto", texts.auto)] {
                        a href={ "/console/look?theme=" (theme) "&back=" (back) }
                            aria-current=[(view.look.theme.unwrap_or("auto") == theme).then_some("true")] { (name) }
                    }
                }
                @if let Some(key) = view.caller.key_name() {
                    form method="post" action=(LOGOUT) {
                        (view.form_token())
                        span .soft { (texts.key) " " b { (key) } }
                        button .link { (texts.log_out) }
                    }
                } @else {
                    p .soft { (texts.open_server) }
                }
            }
        }
    }
}

/// A text without the characters that change the direction of what follows. A title is plain text, which has no other way
/// to keep them inside.
fn without_directions(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect()
}

/// The languages to choose from; `back` is where to go on, as a part of an address.
fn languages(look: Look, back: &str) -> Markup {
    let texts = look.texts;
    html! {
        div .pair role="group" aria-label=(texts.language) {
            @for language in texts::ALL {
                a lang=(language.tag) href={ "/console/look?language=" (language.tag) "&back=" (back) }
                    aria-current=[(texts.tag == language.tag).then_some("true")] { (language.own_name) }
            }
        }
    }
}

/// The sign of the program: bars that grow.
fn mark() -> Markup {
    html! {
        svg .mark viewBox="0 0 24 24" aria-hidden="true" {
            path d="M3 20V13h4v7zM10 20V9h4v11zM17 20V4h4v16z" {}
        }
    }
}

/// A document as an answer.
pub(super) fn respond(status: StatusCode, document: Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "cookie, accept-language"),
    ];
    (status, headers, document.into_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::texts::EN;

    #[test]
    fn a_title_of_the_shop_changes_the_direction_of_nothing_behind_it() {
        let look = Look { texts: &EN, theme: None };
        let page = document(&Frame::bare(look, "mug \u{202e}der \u{2066}כוס"), html! {}).into_string();
        assert!(page.contains("<title>mug der כוס · Accrue</title>"), "{page}");
        assert!(page.contains("<h1><bdi dir=\"auto\">mug \u{202e}der \u{2066}כוס</bdi></h1>"), "{page}");
    }
}
