//! Searches: what shoppers look for, what they find nothing for, what they choose after it.

use std::sync::Arc;

use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::format::{count, percent};
use super::super::part::{Figure, empty, figure, heading, item, said};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::searches::{ChosenAfterBody, QueryBody};
use crate::server::Server;

const PATH: &str = "/console/searches";
const SEARCHES: &str = "/v1/searches";
const N: usize = 25;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

async fn page(view: View) -> Response {
    let (texts, found) = (view.texts(), view.server.searches(N));
    let share = found.without_result as f64 / found.searches.max(1) as f64;
    let figures = [
        (texts.n_searches, count(found.searches), "searches", "count"),
        (texts.n_without_result, count(found.without_result), "without_result", "count"),
        (texts.share_without_result, percent(share), "", ""),
    ];
    let body = html! {
        p .lead { (texts.searches_lead) }
        dl .figures {
            @for (label, value, field, form) in figures {
                (figure(Figure { label, value, unit: "", api: SEARCHES, field, form, note: html! { (texts.since_start) } }))
            }
        }
        div .columns {
            section .card { (heading(texts.frequent_searches, Some(SEARCHES))) (queries(texts, &found.frequent, false)) }
            section .card { (heading(texts.unanswered_searches, Some(SEARCHES))) (queries(texts, &found.unanswered, true)) }
        }
        section .card { (heading(texts.chosen_after, Some(SEARCHES))) (chosen(&view, &found.chosen_after)) }
    };
    view.page(PATH, texts.searches, body)
}

/// A search in the playground.
fn trial(query: &str) -> Markup {
    html! { a href={ "/console/playground?q=" (encoded(query)) } { (said(query)) } }
}

fn queries(texts: &Texts, queries: &[QueryBody], unanswered: bool) -> Markup {
    if queries.is_empty() {
        return empty(if unanswered { texts.all_answered } else { texts.no_searches }, texts.searches_hint);
    }
    html! {
        table .plain {
            thead { tr { th { (texts.query) } th .number { (texts.n_searches) } th .number { (texts.n_without_result) } th {} } }
            tbody {
                @for query in queries {
                    tr {
                        td { (trial(&query.query)) }
                        td .number { (count(query.searches)) }
                        td .number { (count(query.without_result)) }
                        td {
                            @if unanswered {
                                a href={ "/console/rules?query=" (encoded(&query.query)) } { (texts.make_rule) }
                            }
                        }
                    }
                }
            }
        }
        @if unanswered { p .soft { (texts.unanswered_note) } }
    }
}

fn chosen(view: &View, queries: &[ChosenAfterBody]) -> Markup {
    let texts = view.texts();
    if queries.is_empty() {
        return empty(texts.nothing_chosen_after, texts.chosen_after_hint);
    }
    let title = |id: &str| {
        view.server.engine.with_shop(|shop| {
            let item = shop.facts.items.get(id)?;
            super::super::part::title_of(shop.facts, item)
        })
    };
    html! {
        table {
            thead { tr { th { (texts.query) } th .number { (texts.weight) } th { (texts.chosen_most) } } }
            tbody {
                @for query in queries {
                    tr {
                        td { (trial(&query.query)) }
                        td .number { (format!("{:.1}", query.weight)) }
                        td {
                            @for (place, id) in query.items.iter().enumerate() {
                                @if place > 0 { " · " }
                                (item(id, title(id).as_deref()))
                            }
                        }
                    }
                }
            }
        }
        p .soft { (texts.chosen_after_note) }
    }
}
