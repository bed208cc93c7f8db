//! Playground: what a shopper did, beside the page or the search that they get, twice, with other settings.
//!
//! Pages are computed as for a shopper of no experiment, without a draw, and are not recorded.

use std::collections::HashMap;
use std::sync::Arc;

use accrue_engine::Engine;
use accrue_event::{ItemId, SessionId, Shopper, Timestamp, UserId};
use accrue_serve::{Reason, RecommendRequest, Recommended, SearchRequest, Shop, Visitor};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::format::{count, filled, price, time};
use super::super::part::{badge, call, empty, heading, item, said, title_of};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::params::At;
use crate::problem::Problem;
use crate::recommend::seen;
use crate::server::Server;

const PATH: &str = "/console/playground";
/// What can be done with items that were chosen before.
const SEEN: [&str; 3] = ["keep", "drop:purchase", "drop"];
/// Steps of a weight between 0 and 1.
const WEIGHTS: [&str; 6] = ["0", "0.2", "0.4", "0.6", "0.8", "1"];
/// Events of the past, at most.
const N_PAST: usize = 40;
/// Items of a page, at most.
const MOST: usize = 30;
/// Shoppers among whom those with the longest histories are offered, and how many are.
const N_LOOKED_AT: usize = 300;
const N_OFFERED: usize = 8;
/// Longest text that may be searched for, in bytes.
const MAX_QUERY_BYTES: usize = 256;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

/// The settings of one of the two pages.
struct Side<'v> {
    name: &'static str,
    scene: &'v str,
    seen: &'v str,
    diversity: &'v str,
    taste: &'v str,
    filter: &'v str,
}

impl<'v> Side<'v> {
    fn of(view: &'v View, name: &'static str) -> Self {
        let get = |field: &str, otherwise: &'static str| view.param(&format!("{name}_{field}")).unwrap_or(otherwise);
        // The second page begins with one setting that differs, so that the difference shows at once.
        let is_second = name == "b";
        Self {
            name,
            scene: get("scene", ""),
            seen: get("seen", "keep"),
            diversity: get("diversity", if is_second { "0.6" } else { "0" }),
            taste: get("taste", if is_second { "0" } else { "0.5" }),
            filter: get("filter", ""),
        }
    }
}

/// What both pages are for.
struct Asked<'v> {
    user: Option<&'v str>,
    session: Option<&'v str>,
    query: Option<&'v str>,
    items: Vec<String>,
    n: usize,
}

impl<'v> Asked<'v> {
    fn of(view: &'v View) -> Self {
        let items = view.param("items").unwrap_or_default().split([',', ' ']).filter(|id| !id.is_empty());
        Self {
            user: view.param("user"),
            session: view.param("session"),
            query: view.param("q"),
            items: items.take(20).map(str::to_owned).collect(),
            n: view.number("n", 10, MOST).max(1),
        }
    }

    fn visitor(&self) -> Result<Visitor, Problem> {
        let at = At("");
        Ok(Visitor {
            user: at.id_if::<UserId>("user", self.user)?,
            session: at.id_if::<SessionId>("session", self.session)?,
        })
    }
}

/// One of the two pages.
struct Answer {
    items: Vec<Recommended>,
    titles: Titles,
    degraded: Vec<&'static str>,
    total: Option<usize>,
    corrected: Option<String>,
    took_ms: f64,
    call: String,
}

async fn page(view: View) -> Result<Response, Problem> {
    let (texts, asked) = (view.texts(), Asked::of(&view));
    let sides = [Side::of(&view, "a"), Side::of(&view, "b")];
    let engine = &view.server.engine;
    // A fault of one page stands in its place, and the rest is shown.
    let answers = [answer(&view, &asked, &sides[0]).await, answer(&view, &asked, &sides[1]).await];
    let visitor = asked.visitor().unwrap_or_default();
    let body = html! {
        p .lead { (texts.playground_lead) }
        (form(texts, engine, &asked, &sides))
        div .playground {
            section .card .past { (heading(texts.past, None)) (past(texts, engine, &asked, &visitor)) }
            @let first = answers[0].as_ref().ok();
            (side(texts, texts.page_a, &answers[0], None))
            (side(texts, texts.page_b, &answers[1], first))
        }
    };
    Ok(view.page(PATH, texts.playground, body))
}

async fn answer(view: &View, asked: &Asked<'_>, side: &Side<'_>) -> Result<Answer, Problem> {
    let engine = &view.server.engine;
    let (at, began) = (At(""), std::time::Instant::now());
    let filter = at.filter(Some(side.filter), engine)?;
    let visitor = asked.visitor()?;
    let weight = |name: &str, text: &str| at.share(name, text.parse::<f32>().ok(), 0.0);
    if let Some(query) = asked.query {
        at.text("q", query, MAX_QUERY_BYTES)?;
        let request = SearchRequest {
            query: query.to_owned(),
            visitor,
            n: asked.n,
            filter,
            personalisation: weight("taste", side.taste)?,
            explain: true,
            ..Default::default()
        };
        let search = engine.start_search(request)?;
        if search.is_waiting() {
            view.wait_without_turn(search.ready()).await?;
        }
        let found = engine.preview_search(search)?;
        return Ok(Answer {
            titles: titles(engine, &found.hits),
            items: found.hits,
            degraded: found.degraded,
            total: Some(found.total),
            corrected: found.corrected.map(String::from),
            took_ms: began.elapsed().as_secs_f64() * 1e3,
            call: search_call(asked, side),
        });
    }
    let request = RecommendRequest {
        visitor,
        scene: (!side.scene.is_empty()).then(|| side.scene.to_lowercase().into()),
        items: at.items("items", &asked.items, asked.items.len())?,
        n: asked.n,
        filter,
        seen: seen(at, Some(side.seen), engine)?,
        diversity: Some(weight("diversity", side.diversity)?),
        explain: true,
        ..Default::default()
    };
    let page = engine.preview(request);
    Ok(Answer {
        titles: titles(engine, &page.items),
        items: page.items,
        degraded: page.degraded,
        total: page.total,
        corrected: None,
        took_ms: began.elapsed().as_secs_f64() * 1e3,
        call: page_call(asked, side),
    })
}

/// Titles and prices by item.
type Titles = HashMap<ItemId, (Option<String>, Option<String>)>;

/// The title and the price of each item, and of those that the reasons cite.
fn titles(engine: &Engine, items: &[Recommended]) -> Titles {
    engine.with_shop(|shop| {
        let of = |id: &ItemId| {
            let described = shop.facts.described(shop.facts.items.get(id.as_str())?)?;
            let price = described.price().map(|of_item| price(of_item, described.currency()));
            Some((id.clone(), (described.title().map(str::to_owned), price)))
        };
        let cited = items.iter().flat_map(|listed| listed.reasons.iter().filter_map(|reason| reason.item.as_ref()));
        items.iter().map(|listed| &listed.id).chain(cited).filter_map(of).collect()
    })
}

fn page_call(asked: &Asked<'_>, side: &Side<'_>) -> String {
    let Some(user) = asked.user.filter(|_| asked.items.is_empty()) else { return String::new() };
    let mut call = format!("/v1/recommend/{}?n={}", encoded(user), asked.n);
    let optional = [("scene", side.scene), ("filter", side.filter), ("session", asked.session.unwrap_or_default())];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        call.push_str(&format!("&{name}={}", encoded(value)));
    }
    call + &format!(
        "&seen={}&diversity={}&explain=true&fields=title,price",
        encoded(side.seen),
        encoded(side.diversity)
    )
}

fn search_call(asked: &Asked<'_>, side: &Side<'_>) -> String {
    let mut call = format!("/v1/search?q={}&n={}", encoded(asked.query.unwrap_or_default()), asked.n);
    let [user, session] = [asked.user, asked.session].map(Option::unwrap_or_default);
    let optional = [("user", user), ("session", session), ("filter", side.filter)];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        call.push_str(&format!("&{name}={}", encoded(value)));
    }
    call + &format!("&personalisation={}&explain=true", encoded(side.taste))
}

fn form(texts: &Texts, engine: &Engine, asked: &Asked<'_>, sides: &[Side<'_>; 2]) -> Markup {
    // The scenes in force, after the page of which nothing is said.
    let in_force = engine.scenes().in_force;
    let scenes: Vec<&str> = std::iter::once("").chain(in_force.keys().map(|name| &**name)).collect();
    html! {
        form .card .controls method="get" action=(PATH) {
            div .row {
                label { (texts.user) input name="user" value=[asked.user] placeholder=(texts.a_user) data-search; }
                label { (texts.session) input name="session" value=[asked.session] placeholder=(texts.a_guest); }
                label { (texts.about_items) input name="items" value=(asked.items.join(", ")) placeholder=(texts.ids); }
                label { (texts.search_for) input name="q" value=[asked.query] placeholder=(texts.words_or_none); }
                label .narrow { (texts.places) input name="n" type="number" min="1" max=(MOST) value=(asked.n); }
            }
            @for side in sides {
                fieldset .row {
                    legend { (if side.name == "a" { texts.page_a } else { texts.page_b }) }
                    @if asked.query.is_none() {
                        (choice(side, texts.scene, "scene", side.scene, &scenes, texts.no_scene))
                        (choice(side, texts.chosen_before, "seen", side.seen, &SEEN, ""))
                        (choice(side, texts.diversity, "diversity", side.diversity, &WEIGHTS, ""))
                    } @else {
                        (choice(side, texts.taste, "taste", side.taste, &["0", "0.25", "0.5", "0.75", "1"], ""))
                    }
                    label {
                        (texts.filter)
                        input name={ (side.name) "_filter" } value=(side.filter) placeholder="price:10..20 AND brand:Acme";
                    }
                }
            }
            button .primary { (texts.compare) }
        }
    }
}

fn choice(side: &Side<'_>, label: &str, field: &str, chosen: &str, options: &[&str], none: &str) -> Markup {
    html! {
        label {
            (label)
            select name={ (side.name) "_" (field) } {
                @for option in options {
                    option value=(option) selected[*option == chosen] { (if option.is_empty() { none } else { option }) }
                }
                @if !options.contains(&chosen) { option value=(chosen) selected { (chosen) } }
            }
        }
    }
}

fn past(texts: &Texts, engine: &Engine, asked: &Asked<'_>, visitor: &Visitor) -> Markup {
    let Some(shopper) = visitor.shopper() else {
        return html! {
            (empty(texts.nobody_chosen, texts.nobody_hint))
            (offered(texts, engine))
        };
    };
    // People who are being forgotten are unknown here too.
    let is_hidden = visitor.user.as_ref().is_some_and(|user| engine.user(user).is_none());
    let events = if is_hidden { Vec::new() } else { engine.with_shop(|shop| past_events(&shop, &shopper)) };
    html! {
        @if let Some(user) = asked.user { p { b { (said(user)) } " " (call(&format!("/v1/users/{}", encoded(user)))) } }
        @if events.is_empty() {
            (empty(texts.no_past, texts.no_past_hint))
            (offered(texts, engine))
        } @else {
            p .soft { (filled(texts.n_events_kept, &[&count(events.len() as u64)])) }
            ol .events {
                @for event in events.iter().rev().take(N_PAST) {
                    li .visit[event.starts_visit] {
                        span .kind { (event.kind) }
                        (item(&event.item, event.title.as_deref()))
                        span .soft { (time(event.at)) }
                    }
                }
            }
        }
    }
}

struct PastRow {
    kind: String,
    item: String,
    title: Option<String>,
    at: Timestamp,
    starts_visit: bool,
}

fn past_events(shop: &Shop<'_>, shopper: &Shopper) -> Vec<PastRow> {
    let facts = shop.facts;
    let Some(shopper) = facts.shopper(shopper) else { return Vec::new() };
    let event = |event: &accrue_store::PastEvent| PastRow {
        kind: facts.type_of(event.type_code).map_or_else(String::new, |kind| kind.name().to_owned()),
        item: facts.items.name(event.item).unwrap_or_default().to_owned(),
        title: title_of(facts, event.item),
        at: Timestamp(event.at_ms()),
        starts_visit: event.starts_visit,
    };
    facts.histories.get(shopper).past().iter().map(event).collect()
}

/// Shoppers of whom much is known, to begin with.
fn offered(texts: &Texts, engine: &Engine) -> Markup {
    let mut users: Vec<(usize, String)> = engine.with_shop(|shop| {
        let names = shop.facts.user_names().take(N_LOOKED_AT);
        let n_events = |user: &str| {
            let shopper = shop.facts.shopper(&Shopper::User(user.into()))?;
            Some((shop.facts.histories.n_events(shopper), user.to_owned()))
        };
        names.filter_map(n_events).collect()
    });
    users.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    html! {
        @if !users.is_empty() {
            p .soft { (texts.try_one_of) }
            ul .chips {
                @for (n, user) in users.iter().take(N_OFFERED) {
                    li { a href={ (PATH) "?user=" (encoded(user)) } { (said(user)) " " span .soft { (n) } } }
                }
            }
        }
    }
}

fn side(texts: &Texts, title: &str, answer: &Result<Answer, Problem>, first: Option<&Answer>) -> Markup {
    html! {
        section .card .side-page {
            @match answer {
                Err(problem) => {
                    (heading(title, None))
                    p .notice.bad { (problem.detail()) }
                }
                Ok(answer) => {
                    (heading(title, (!answer.call.is_empty()).then_some(&*answer.call)))
                    (about(texts, answer))
                    @if answer.items.is_empty() { (empty(texts.empty_page, texts.empty_page_hint)) }
                    ol .places { @for (place, listed) in answer.items.iter().enumerate() {
                        (place_of(texts, answer, place, listed, first))
                    } }
                }
            }
        }
    }
}

fn about(texts: &Texts, answer: &Answer) -> Markup {
    html! {
        p .soft {
            @if let Some(total) = answer.total { (filled(texts.n_in_all, &[&count(total as u64)])) " · " }
            (format!("{:.1} ms", answer.took_ms))
            @if let Some(corrected) = &answer.corrected { " · " (texts.corrected) " " (said(corrected)) }
        }
        @for word in &answer.degraded {
            p .notice.warn { (texts.degraded) " " (texts.degraded_sentence(word)) " " code .soft { (word) } }
        }
    }
}

fn place_of(texts: &Texts, answer: &Answer, place: usize, listed: &Recommended, first: Option<&Answer>) -> Markup {
    let (title, price) = answer.titles.get(&listed.id).cloned().unwrap_or_default();
    let moved = first.map(|first| first.items.iter().position(|other| other.id == listed.id));
    html! {
        li {
            div .head {
                (item(listed.id.as_str(), title.as_deref()))
                @match moved {
                    None => {},
                    Some(None) => { " " (badge("accent", texts.only_here)) },
                    Some(Some(before)) if before > place => { " " (badge("good", &format!("↑ {}", before - place))) },
                    Some(Some(before)) if before < place => { " " (badge("warn", &format!("↓ {}", place - before))) },
                    Some(Some(_)) => {},
                }
                span .soft {
                    (said(listed.id.as_str()))
                    @if let Some(price) = price { " · " (price) }
                    " · " (format!("{:.3}", listed.score))
                }
            }
            (reasons(texts, &listed.reasons, &answer.titles))
        }
    }
}

/// The reason that says most about the shopper: the strongest that cites something they did, or else the strongest.
fn telling(reasons: &[Reason]) -> Option<&Reason> {
    let cites = |reason: &&Reason| reason.item.is_some() && reason.share > 0.0;
    let strongest = |a: &&Reason, b: &&Reason| a.share.total_cmp(&b.share);
    reasons.iter().filter(cites).max_by(strongest).or_else(|| reasons.iter().max_by(strongest))
}

fn reasons(texts: &Texts, reasons: &[Reason], titles: &Titles) -> Markup {
    let sentence = |reason: &Reason| {
        let cited = reason.item.as_ref();
        let title = cited.map(|item| titles.get(item).and_then(|(title, _)| title.as_deref()).unwrap_or(item.as_str()));
        texts.reason_sentence(reason, title)
    };
    let most = reasons.iter().map(|reason| reason.share.abs()).fold(f32::MIN_POSITIVE, f32::max);
    html! {
        @if let Some(strongest) = telling(reasons) {
            details .reasons {
                summary { (said(&sentence(strongest))) }
                table .plain {
                    tbody {
                        @for reason in reasons {
                            tr {
                                td { (said(&sentence(reason))) @if let Some(event) = &reason.event { " " span .soft { (time(event.at)) } } }
                                td { code { (reason.code) } }
                                td .number { (format!("{:+.3}", reason.share).replace('-', "−")) }
                                td {
                                    svg .bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                                        rect .minus[reason.share < 0.0] height="8" width=(format!("{:.1}", 100.0 * reason.share.abs() / most)) {}
                                    }
                                }
                            }
                        }
                    }
                }
            }
        } @else {
            p .soft { (texts.no_reasons) }
        }
    }
}
