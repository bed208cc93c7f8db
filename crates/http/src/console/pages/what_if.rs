//! What if: scenes and rules judged on the shop's own log before they are switched on, with what was found.

use std::sync::Arc;

use accrue_engine::{Estimate, Judgement, WhatIfFound, WhatIfState, WhatIfStatus, WrittenScenes};
use accrue_event::ShopRule;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::{Entered, Fields, fault};
use super::super::format::{clipped, count, filled, percent};
use super::super::part::{Done, Figure, empty, figure, heading, outcome};
use super::super::texts::Texts;
use super::super::view::View;
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::what_if::ProposalBody;

pub(super) const PATH: &str = "/console/what-if";
const CALL: &str = "/v1/what-if";
/// Characters of a proposal that are shown.
const MAX_CHARS: usize = 2_000;
/// What stands in the form before anything was entered: a change that many shops try.
const EXAMPLE: &str = "{\"home\": {\"diversity\": {\"strength\": 0.3}}}";
const FIELDS: [&str; 3] = ["scenes", "top", "days"];

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Response {
    render(&view, &Entered::of([("scenes", Some(EXAMPLE.to_owned()))]), StatusCode::OK)
}

fn render(view: &View, entered: &Entered, status: StatusCode) -> Response {
    let texts = view.texts();
    let latest = view.server.engine.what_if();
    let body = html! {
        (outcome(view))
        p .lead { (texts.what_if_lead) }
        section .card #found { (heading(texts.what_if_found, Some(CALL))) (found(texts, &latest)) }
        section .card #propose { (heading(texts.what_if_propose, None)) (form(view, entered)) }
    };
    view.page_with(status, PATH, texts.what_if, body)
}

/// The latest what-if. While it is running, the script asks for the page again.
fn found(texts: &Texts, latest: &WhatIfStatus) -> Markup {
    html! {
        @match &latest.state {
            WhatIfState::None => (empty(texts.what_if_none, texts.what_if_none_hint)),
            WhatIfState::Running(done) => p role="status" data-again="3" { (filled(texts.what_if_running, &[&percent(*done)])) },
            WhatIfState::Failed(why) => p .notice.bad role="alert" { (why) },
            WhatIfState::Done(found) => (report(texts, found)),
        }
        @if !latest.proposal.is_empty() {
            details { summary { (texts.what_if_asked) } pre { code { (clipped(&latest.proposal, MAX_CHARS)) } } }
        }
    }
}

fn report(texts: &Texts, found: &WhatIfFound) -> Markup {
    let report = &found.report;
    let figures = [
        (texts.what_if_answers, count(found.answers), String::new()),
        (
            texts.what_if_made_again,
            count(report.pages as u64),
            filled(texts.what_if_of_shoppers, &[&count(report.shoppers as u64)]),
        ),
        (texts.what_if_drawn, count(report.drawn as u64), String::new()),
        (texts.what_if_reproduced, percent(report.reproduced), String::new()),
        (
            texts.what_if_changed,
            percent(report.changed),
            filled(texts.what_if_first_places, &[&count(report.top as u64)]),
        ),
        (texts.what_if_judged, percent(report.judged), texts.what_if_judged_note.to_owned()),
    ];
    html! {
        dl .figures.small {
            @for (label, value, note) in figures {
                (figure(Figure { label, value, unit: "", api: "", field: "", form: "", note: html! { (note) } }))
            }
        }
        div .scroll {
            table {
                thead {
                    tr {
                        th { (texts.what_if_per_page) } th .number { (texts.what_if_now) } th .number { (texts.what_if_proposed) }
                        th .number { (texts.what_if_change) } th .number { (texts.what_if_effective) }
                    }
                }
                tbody {
                    (judged(texts, texts.clicks, &report.clicks))
                    (judged(texts, texts.purchases, &report.purchases))
                }
            }
        }
        p .soft { (texts.what_if_note) }
    }
}

/// A line of the table: estimates with their intervals, or why there are none.
fn judged(texts: &Texts, name: &str, judgement: &Judgement) -> Markup {
    let cell = |estimate: &Estimate, sign: bool| {
        let write = |value: f64| if sign { format!("{value:+.4}") } else { format!("{value:.4}") };
        let [low, high] = [estimate.ci95.0, estimate.ci95.1].map(write);
        html! { td .number { b { (write(estimate.value)) } div .soft { (low) " – " (high) } } }
    };
    html! {
        tr {
            th { (name) }
            @match judgement {
                Judgement::Estimated { current, proposed, change, n_effective, .. } => {
                    (cell(current, false)) (cell(proposed, false)) (cell(change, true))
                    td .number { (format!("{n_effective:.0}")) }
                },
                Judgement::Refused { refused, n_effective } => {
                    td colspan="3" { b { (texts.what_if_refused) } " " (refused) }
                    td .number { (format!("{n_effective:.0}")) }
                },
            }
        }
    }
}

fn form(view: &View, entered: &Entered) -> Markup {
    let texts = view.texts();
    html! {
        form method="post" action=(PATH) .rule {
            (view.form_token())
            @if let Some(fault) = entered.fault_of_none(&FIELDS) { p .notice.bad role="alert" { (fault) } }
            (entered.area(texts.what_if_scenes, "scenes", EXAMPLE))
            div .row {
                (entered.line(texts.what_if_top, "top", "10"))
                (entered.line(texts.what_if_days, "days", "30"))
            }
            div .row { button .primary name="action" value="judge" { (texts.what_if_judge) } }
            p .soft { (texts.what_if_form_note) }
        }
    }
}

/// The proposal of the form of this page.
fn proposed(fields: &Fields) -> Result<ProposalBody, Problem> {
    let scenes: WrittenScenes = match fields.get("scenes") {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Problem::new(Code::InvalidValue, format!("scenes: {error}")).field("scenes"))?,
        None => return Err(fault("scenes", "at least one scene, as JSON")),
    };
    let number = |name| fields.number(name, "a whole number");
    Ok(ProposalBody { scenes, top: number("top")?, days: number("days")?, ..ProposalBody::default() })
}

async fn act(view: View, fields: Fields) -> Result<Response, Problem> {
    match proposed(&fields).and_then(|body| view.server.begin_what_if(body)) {
        Ok(()) => Ok(Done::Judging.redirect(PATH)),
        // What was typed stays, with what is wrong beside its field.
        Err(problem) if [Code::InvalidValue, Code::Conflict].contains(&problem.code()) => {
            let (status, entered) = (problem.code().status(), Entered::refused(fields, &problem));
            Ok(render(&view, &entered, status))
        }
        Err(problem) => Err(problem),
    }
}

/// Begins to judge these rules in the place of those in force, and goes on to what is found.
pub(super) fn judge_rules(server: &Server, rules: Vec<ShopRule>) -> Result<Response, Problem> {
    server.begin_what_if(ProposalBody { rules: Some(rules), ..ProposalBody::default() })?;
    Ok(Done::Judging.redirect(PATH))
}
