//! Searches: what shoppers look for, what they find nothing for, what they choose after it, and what search proposes
//! to repair in itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::Fields;
use super::super::format::{count, filled, percent};
use super::super::part::{Done, Figure, badge, empty, figure, heading, item, outcome, said};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::problem::{Code, Problem};
use crate::proposals::{DecidedBody, OpenBody, ProposalsBody};
use crate::searches::{ChosenAfterBody, QueryBody, UnchosenBody};
use crate::server::Server;
use crate::settings::Scope;

const PATH: &str = "/console/searches";
const SEARCHES: &str = "/v1/searches";
const PROPOSALS: &str = "/v1/search/proposals";
const N: usize = 25;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Result<Response, Problem> {
    let (texts, found) = (view.texts(), view.server.searches(N).await?);
    let repairs = view.server.proposals().await?;
    let share = found.without_result as f64 / found.searches.max(1) as f64;
    let figures = [
        (texts.n_searches, count(found.searches), "searches", "count"),
        (texts.n_without_result, count(found.without_result), "without_result", "count"),
        (texts.share_without_result, percent(share), "", ""),
    ];
    let body = html! {
        (outcome(&view))
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
        section .card { (heading(texts.unchosen_searches, Some(SEARCHES))) (unchosen(texts, &found.unchosen)) }
        section .card { (heading(texts.proposals, Some(PROPOSALS))) (proposals(&view, &repairs)) }
        section .card { (heading(texts.chosen_after, Some(SEARCHES))) (chosen(&view, &found.chosen_after)) }
    };
    Ok(view.page(PATH, texts.searches, body))
}

/// Accepts or rejects a proposal.
async fn act(State(server): State<Arc<Server>>, fields: Fields) -> Result<Response, Problem> {
    let (is_accepted, done) = match fields.get("action") {
        Some("accept") => (true, Done::Accepted),
        Some("reject") => (false, Done::Rejected),
        other => return Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    };
    server.engine.decide_proposal(fields.get("id").unwrap_or_default(), is_accepted).await?;
    Ok(done.redirect(PATH))
}

fn unchosen(texts: &Texts, queries: &[UnchosenBody]) -> Markup {
    if queries.is_empty() {
        return empty(texts.all_chosen, "");
    }
    html! {
        div .scroll {
            table .plain {
                thead {
                    tr {
                        th { (texts.query) } th .number { (texts.n_searches) } th .number { (texts.n_without_result) }
                        th .number { (texts.n_without_choice) } th { (texts.then_searched) }
                    }
                }
                tbody {
                    @for query in queries {
                        tr {
                            td { (trial(&query.query)) }
                            td .number { (count(query.searches)) }
                            td .number { (count(query.without_result)) }
                            td .number { (count(query.without_choice)) }
                            td { @for (place, then) in query.then.iter().enumerate() { @if place > 0 { " · " } (trial(then)) } }
                        }
                    }
                }
            }
        }
        p .soft { (texts.unchosen_note) }
    }
}

/// The name of a kind of repair.
fn kind(texts: &Texts, kind: &str) -> &'static str {
    match kind {
        "correction" => texts.kind_correction,
        "split" => texts.kind_split,
        "title" => texts.kind_title,
        "category" => texts.kind_category,
        _ => texts.kind_synonym,
    }
}

fn proposals(view: &View, found: &ProposalsBody) -> Markup {
    let texts = view.texts();
    let note = filled(texts.proposals_note, &[&count(found.unproven as u64), &count(found.tested as u64)]);
    html! {
        @if found.open.is_empty() { (empty(texts.no_proposals, texts.no_proposals_hint)) }
        @else {
            div .scroll {
                table {
                    thead {
                        tr {
                            th { (texts.repair_kind) } th { (texts.repair_from) } th { (texts.repair_to) }
                            th .number { (texts.shoppers_of) } th .number { (texts.repair_gain) } th {}
                        }
                    }
                    tbody { @for proposal in &found.open { (open(view, proposal)) } }
                }
            }
        }
        @if !found.decided.is_empty() {
            h3 { (texts.decided_proposals) }
            div .scroll { table { tbody { @for decided in &found.decided { (decided_row(view, decided)) } } } }
        }
        p .soft { (note) }
    }
}

fn open(view: &View, proposal: &OpenBody) -> Markup {
    let (texts, words) = (view.texts(), &proposal.words);
    html! {
        tr {
            td { (badge("accent", kind(texts, words.kind))) }
            td { (trial(&words.from)) }
            td { (said(&words.to)) }
            td .number { (count(proposal.shoppers as u64)) " / " (count(proposal.of as u64)) }
            td .number { (format!("{:+.2}", proposal.gain)) }
            td { (decide(view, &proposal.id, true, true)) }
        }
    }
}

fn decided_row(view: &View, decided: &DecidedBody) -> Markup {
    let (texts, words) = (view.texts(), &decided.words);
    html! {
        tr {
            td { (badge("soft", kind(texts, words.kind))) }
            td { (trial(&words.from)) }
            td { (said(&words.to)) }
            td {
                @if decided.accepted { (badge("good", texts.accepted)) } @else { (badge("soft", texts.rejected)) }
                @if decided.automatic { " " (texts.by_itself) }
            }
            td { (decide(view, &decided.id, !decided.accepted, decided.accepted)) }
        }
    }
}

/// The buttons of a proposal, for a key that may act.
fn decide(view: &View, id: &str, accepts: bool, rejects: bool) -> Markup {
    let texts = view.texts();
    html! {
        @if view.permits(Scope::Write) {
            form method="post" action=(PATH) .row {
                (view.form_token())
                input type="hidden" name="id" value=(id);
                @if accepts { button .primary name="action" value="accept" { (texts.accept) } }
                @if rejects { button .danger name="action" value="reject" { (texts.reject) } }
            }
        }
    }
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
