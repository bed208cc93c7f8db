//! Catalogue: items by search, new ones, and those with something missing.

use std::sync::Arc;

use accrue_engine::Engine;
use accrue_event::{Price, Timestamp};
use accrue_serve::{IncompleteItems, ListRequest, NewListed, Recommended, SearchRequest, Shop};
use accrue_store::{CatalogueEntry, Facts, ItemIdx};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::format::{count, filled, percent, price, time};
use super::super::part::{Figure, badge, call, empty, figure, item, said, title_of};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::params::At;
use crate::problem::Problem;
use crate::server::Server;

const PATH: &str = "/console/catalogue";
/// Items of a list.
const N: usize = 40;
/// Items that are looked at, newest first, until a list is full.
const MOST_LOOKED_AT: usize = 200_000;
/// Items that are looked at between two moments in which a write can be applied.
const CHUNK: usize = 10_000;
/// Longest text that may be searched for, in bytes.
const MAX_QUERY_BYTES: usize = 256;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

/// A list of items with something in common.
struct List {
    name: &'static str,
    title: fn(&Texts) -> &'static str,
    /// Whether an item is listed; none is the list of new items.
    has: Option<fn(&Facts, ItemIdx, &CatalogueEntry) -> bool>,
}

static LISTS: [List; 6] = [
    List { name: "new", title: |texts| texts.new_items, has: None },
    List {
        name: "hidden",
        title: |texts| texts.hidden_items,
        has: Some(|_, _, entry| entry.described && !entry.can_be_shown()),
    },
    List {
        name: "untitled",
        title: |texts| texts.without_title,
        has: Some(|facts, item, entry| {
            entry.is_in_catalogue() && facts.described(item).is_none_or(|item| item.title().is_none())
        }),
    },
    List {
        name: "unpriced",
        title: |texts| texts.without_price,
        has: Some(|_, _, entry| entry.is_in_catalogue() && entry.item.price.is_none_or(|price| price <= Price::ZERO)),
    },
    List {
        name: "unpictured",
        title: |texts| texts.without_image,
        has: Some(|facts, item, entry| {
            entry.is_in_catalogue() && facts.described(item).is_none_or(|item| item.image().is_none())
        }),
    },
    List {
        name: "unknown",
        title: |texts| texts.only_in_events,
        has: Some(|_, _, entry| !entry.described && !entry.retired),
    },
];

/// A line of a list.
pub(super) struct Row {
    pub id: String,
    pub title: Option<String>,
    pub price: Option<String>,
    pub stock: Option<u32>,
    pub state: State,
    pub weekly: f32,
    pub published_at: Option<accrue_event::Timestamp>,
}

/// Whether an item is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Shown,
    Unknown,
    Retired,
    Unavailable,
    SoldOut,
}

impl State {
    pub fn of(entry: &CatalogueEntry) -> Self {
        match entry {
            entry if entry.retired => State::Retired,
            entry if !entry.described => State::Unknown,
            entry if entry.can_be_shown() => State::Shown,
            entry if entry.item.stock == Some(0) => State::SoldOut,
            _ => State::Unavailable,
        }
    }

    pub fn badge(self, texts: &Texts) -> Markup {
        match self {
            State::Shown => badge("good", texts.is_shown),
            State::Unknown => badge("warn", texts.is_unknown),
            State::Retired => badge("soft", texts.is_retired),
            State::Unavailable => badge("soft", texts.is_unavailable),
            State::SoldOut => badge("warn", texts.is_sold_out),
        }
    }
}

/// What a list says of an item.
pub(super) fn row(shop: &Shop<'_>, item: ItemIdx) -> Option<Row> {
    let (facts, popularity) = (shop.facts, shop.version.ensemble.popularity());
    let entry = facts.entry(item)?;
    let described = facts.described(item)?;
    let price = |of_item: Price| price(of_item, described.currency());
    Some(Row {
        id: entry.item.id.to_string(),
        title: title_of(facts, item),
        price: entry.item.price.map(price),
        stock: entry.item.stock,
        state: State::of(entry),
        weekly: popularity.weekly(item, facts.stream_time.0),
        published_at: entry.item.published_at,
    })
}

async fn page(view: View) -> Result<Response, Problem> {
    let (texts, engine) = (view.texts(), &view.server.engine);
    let chosen = LISTS.iter().find(|list| Some(list.name) == view.param("list"));
    let query = view.param("q").filter(|_| chosen.is_none());
    let list = chosen.unwrap_or(&LISTS[0]);
    let (rows, is_whole, api) = match query {
        Some(query) => (found(engine, query)?, true, format!("/v1/search?q={}&n={N}", encoded(query))),
        None => {
            let (rows, is_whole) = listed(engine, list);
            (rows, is_whole, format!("/v1/new?n={N}&fields=title,price"))
        }
    };
    let api = (query.is_some() || list.has.is_none()).then_some(api);
    let body = html! {
        p .lead { (texts.catalogue_lead) }
        (counts(texts, engine))
        @if query.is_none() && list.has.is_none() { (library(texts, engine)) }
        form .card .row method="get" action=(PATH) role="search" {
            label .wide { (texts.find_item) input type="search" name="q" value=[view.param("q")] placeholder=(texts.words_or_id) data-search; }
            button .primary { (texts.search) }
        }
        nav .tabs aria-label=(texts.lists) {
            @for list in &LISTS {
                a href={ (PATH) "?list=" (list.name) }
                    aria-current=[(query.is_none() && std::ptr::eq(list, chosen.unwrap_or(&LISTS[0]))).then_some("page")] {
                    ((list.title)(texts))
                }
            }
        }
        section .card {
            @if let Some(query) = query { p { (texts.found_for) " " b { (said(query)) } " " @if let Some(api) = &api { (call(api)) } } }
            @else if let Some(api) = &api { p .soft { (texts.newest_first) " " (call(api)) } }
            @if rows.is_empty() { (empty(texts.no_items, if query.is_some() { texts.no_items_hint } else { texts.list_is_empty })) }
            @else { (table(texts, &rows)) }
            @if !is_whole { p .soft { (filled(texts.first_of, &[&count(N as u64), &count(MOST_LOOKED_AT as u64)])) } }
        }
    };
    Ok(view.page(PATH, texts.catalogue, body))
}

fn counts(texts: &Texts, engine: &Engine) -> Markup {
    let (described, unknown, titled, priced, dated) = engine.with_shop(|shop| {
        let overview = shop.facts.overview();
        let counts = (overview.n_described(), overview.n_unknown(), overview.n_titled(), overview.n_priced());
        (counts.0, counts.1, counts.2, counts.3, overview.n_published())
    });
    let figures = [
        (texts.described, described),
        (texts.with_title, titled),
        (texts.with_price, priced),
        (texts.with_date, dated),
        (texts.only_in_events, unknown),
    ];
    html! {
        dl .figures.five.small {
            @for (label, n) in figures {
                (figure(Figure { label, value: count(n), unit: "", api: "/metrics", field: "", form: "", note: Markup::default() }))
            }
        }
    }
}

/// Products in the library.
const N_NEW: usize = 12;

/// How well the latest new products are known, and what showing them costs.
fn library(texts: &Texts, engine: &Engine) -> Markup {
    let listed = engine.library(N_NEW);
    let rows: Vec<(String, Option<String>)> = engine.with_shop(|shop| {
        let of = |new: &NewListed| {
            (shop.facts.items.name(new.item).unwrap_or_default().to_owned(), title_of(shop.facts, new.item))
        };
        listed.iter().map(of).collect()
    });
    let trial = engine.status().new_products;
    html! {
        @if !listed.is_empty() {
            section .card #library {
                h2 { (texts.library) " " (call("/v1/new/products")) }
                p .soft { (texts.library_note) }
                @if let Some(trial) = trial {
                    p {
                        (filled(texts.library_trial, &[
                            &count(trial.drawn.answers), &count(trial.drawn.clicks), &count(trial.others.answers),
                            &count(trial.others.clicks), &format!("{:.0}", trial.cost.estimate), &format!("{:.0}", trial.cost.at_most),
                        ]))
                        @if trial.is_spent { " " (badge("warn", texts.library_spent)) }
                    }
                }
                div .scroll {
                    table {
                        thead {
                            tr {
                                th { (texts.item) } th { (texts.new_since) } th .number { (texts.impressions) }
                                th .number { (texts.clicks) } th .number { (texts.draws_of_new) }
                                th .number title=(texts.estimated_note) { (texts.estimated_click) } th .number { (texts.novelty) }
                            }
                        }
                        tbody {
                            @for (new, (id, title)) in listed.iter().zip(&rows) {
                                tr {
                                    td { (item(id, title.as_deref())) @if !new.is_new { " " (badge("soft", texts.known_by_now)) } }
                                    td { (time(Timestamp(new.since_ms))) }
                                    td .number { (count(new.shown.impressions)) }
                                    td .number { (count(new.shown.clicks)) }
                                    td .number { (count(new.draws)) }
                                    td .number { (percent(new.estimated.into())) }
                                    td .number { @if let Some(novelty) = new.novelty { (format!("{novelty:.2}")) } @else { "–" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The items that a search finds, the one with the id first.
fn found(engine: &Engine, query: &str) -> Result<Vec<Row>, Problem> {
    At("").text("q", query, MAX_QUERY_BYTES)?;
    let request = SearchRequest { query: query.to_owned(), n: N, personalisation: 0.0, ..Default::default() };
    // With the vector of the query where it is known; this list is not worth the wait.
    let hits = engine.preview_search(engine.start_search(request)?)?.hits;
    Ok(engine.with_shop(|shop| {
        let by_id = shop.facts.items.get(query);
        let of_hits = hits.iter().filter_map(|hit: &Recommended| shop.facts.items.get(hit.id.as_str()));
        let items = by_id.into_iter().chain(of_hits.filter(|item| Some(*item) != by_id));
        items.filter_map(|item| row(&shop, item)).collect()
    }))
}

/// The first items of a list, and whether the list has no more.
fn listed(engine: &Engine, list: &List) -> (Vec<Row>, bool) {
    let Some(has) = list.has else {
        let newest = engine.with_shop(|shop| {
            let request = ListRequest { n: N, incomplete: Some(IncompleteItems::Show), ..Default::default() };
            let items = shop.new_items(&request).items;
            let of = |new: &Recommended| row(&shop, shop.facts.items.get(new.id.as_str())?);
            items.iter().filter_map(of).collect::<Vec<_>>()
        });
        return (newest, true);
    };
    let n_items = engine.with_shop(|shop| shop.facts.entries().len());
    let (mut rows, mut looked_at) = (Vec::new(), 0);
    while looked_at < n_items.min(MOST_LOOKED_AT) && rows.len() < N {
        let chunk = (n_items.saturating_sub(looked_at + CHUNK)..n_items - looked_at).rev();
        engine.with_shop(|shop| {
            for item in chunk {
                let Some(entry) = shop.facts.entries().get(item) else { continue };
                if has(shop.facts, item as ItemIdx, entry) {
                    rows.extend(row(&shop, item as ItemIdx));
                    if rows.len() == N {
                        return;
                    }
                }
            }
        });
        looked_at += CHUNK;
    }
    let is_whole = rows.len() < N && n_items <= MOST_LOOKED_AT;
    (rows, is_whole)
}

/// A table of items.
pub(super) fn table(texts: &Texts, rows: &[Row]) -> Markup {
    html! {
        div .scroll {
            table {
                thead {
                    tr {
                        th { (texts.item) } th { (texts.id) } th { (texts.state) } th .number { (texts.price) }
                        th .number { (texts.stock) } th .number title=(texts.weekly_note) { (texts.weekly) } th { (texts.published) }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            td { (item(&row.id, row.title.as_deref())) }
                            td { (said(&row.id)) }
                            td { (row.state.badge(texts)) }
                            td .number { (row.price.as_deref().unwrap_or("–")) }
                            td .number { @if let Some(stock) = row.stock { (count(stock.into())) } @else { "–" } }
                            td .number { (format!("{:.1}", row.weekly)) }
                            td { @if let Some(at) = row.published_at { (time(at)) } @else { "–" } }
                        }
                    }
                }
            }
        }
    }
}
