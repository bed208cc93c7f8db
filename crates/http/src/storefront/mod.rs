//! The storefront of a demonstration at `/`: the shop as its visitors see it, in which the person at the browser is one
//! of the shoppers.
//!
//! In: the shop's catalogue and models, through the JSON interface that any shop's page uses. Out: one page of HTML with
//! a script and a style sheet of its own, which loads nothing from elsewhere. It is served where [`Site`] says so; the
//! page at `/` is else the small one of [`super::probes`].
//!
//! A simulated shop has a calendar of its own, which is behind the clock. What the visitor does must not be ahead of it:
//! events come in by `POST /shop/events`, which gives them the time of the stream.

use std::sync::Arc;

use accrue_engine::Incoming;
use accrue_event::{RawEvent, RawValue, Timestamp};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::access::Access;
use super::body;
use super::caller::Caller;
use super::ingested::IngestedBody;
use super::params::At;
use super::probes;
use super::problem::{Code, Problem};
use super::registry::Registry;
use super::server::Server;
use super::settings::Scope;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Events in one request; a page sends one for each thing that it shows.
const MAX_EVENTS: usize = 100;
/// The files that the page loads, with their kinds.
static ASSETS: [(&str, &str, &str); 2] = [
    ("shop.css", "text/css; charset=utf-8", include_str!("shop.css")),
    ("shop.js", "text/javascript; charset=utf-8", include_str!("shop.js")),
];

/// Adds the storefront's routes.
pub(super) fn register(registry: Registry) -> Registry {
    let write = Access::Needs(Scope::Write);
    registry.for_people("/", get(front)).console("/shop/events", write, write, false, events()).console(
        "/shop/assets/{name}",
        Access::Open,
        Access::Open,
        false,
        get(asset),
    )
}

fn events() -> MethodRouter<Arc<Server>> {
    post(take_events)
}

/// The page at `/`.
async fn front(State(server): State<Arc<Server>>) -> Response {
    let Some(name) = &server.site.storefront else { return probes::welcome().await.into_response() };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, page(name).into_string()).into_response()
}

fn page(name: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (name) }
                link rel="icon" href="/console/assets/icon.svg";
                link rel="stylesheet" href="/shop/assets/shop.css";
                script defer src="/shop/assets/shop.js" {}
            }
            body {
                a .skip href="#content" { "Skip to the content" }
                header .top {
                    a .brand href="#/" { (name) }
                    form #search role="search" autocomplete="off" {
                        input #query type="search" placeholder="Search the shop" aria-label="Search the shop"
                            role="combobox" aria-expanded="false" aria-controls="suggestions" aria-autocomplete="list";
                        ul #suggestions role="listbox" hidden {}
                    }
                    nav {
                        a href="#/basket" { "Basket " span #basket-count {} }
                        a .soft href="/console" { "Console" }
                    }
                }
                p .demo {
                    "A simulated shop on a real server: its other shoppers do not exist, what it learns is real. "
                    "You are the shopper " b #you {} ". "
                    button #again .link { "Start again as somebody else" }
                }
                div .layout {
                    main #content tabindex="-1" { p .soft { "The shop opens …" } noscript { "This page needs JavaScript." } }
                    aside #panel aria-label="Why this page" {
                        section { h2 { "Why this page" } div #why { p .soft { "Point at a thing to see why it is here." } } }
                        section { h2 { "What you did" } ol #past {} }
                    }
                }
            }
        }
    }
}

async fn asset(State(server): State<Arc<Server>>, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(known, ..)| *known == name && server.site.storefront.is_some());
    let Some((_, kind, content)) = found else { return Err(no_storefront()) };
    let headers = [
        (header::CONTENT_TYPE, *kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, *content).into_response())
}

fn no_storefront() -> Problem {
    Problem::new(Code::NotFound, "this server shows no storefront; `accrue demo` does")
}

/// What the visitor did.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Did {
    events: Vec<RawEvent>,
}

/// Takes the visitor's events in, at the time of the stream.
async fn take_events(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    body::Json(Did { events }): body::Json<Did>,
) -> Result<Json<IngestedBody>, Problem> {
    if server.site.storefront.is_none() {
        return Err(no_storefront());
    }
    At("").list("events", events.len(), MAX_EVENTS)?;
    let now = server.engine.with_shop(|shop| shop.facts.stream_time);
    if now == Timestamp::default() {
        return Err(Problem::new(Code::Overloaded, "the shop has not opened yet; try again shortly").retry_after(1));
    }
    let at_now = |event: RawEvent| Incoming::Record(RawEvent { at: RawValue::Int(now.0), ..event });
    let batch = events.into_iter().map(at_now).collect();
    Ok(Json(server.engine.ingest_from(caller.sender(), batch).await?.into()))
}
