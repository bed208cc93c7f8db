//! Quarantine: records that the check refused, by reason; they are released or deleted here.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::QuarantinedRecord;
use accrue_store::Offset;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::Fields;
use super::super::format::{clipped, count, filled, time};
use super::super::part::{Done, Figure, empty, figure, heading, outcome, said};
use super::super::view::{View, encoded};
use crate::body::off_worker;
use crate::problem::{Code, Problem};
use crate::server::Server;

const PATH: &str = "/console/quarantine";
/// Records on a page.
const N: usize = 30;
/// Characters of a record as it was sent.
const MAX_CHARS: usize = 1_000;
/// Records in quarantine that are counted by reason; of further ones only the number is known.
const MAX_COUNTED: usize = 100_000;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Result<Response, Problem> {
    let texts = view.texts();
    let reason = view.param("reason").map(str::to_owned);
    let from = Offset(view.number("from", 0, usize::MAX) as u64);
    let (engine, sought) = (view.server.engine.clone(), reason.clone());
    // It reads the log.
    let (records, next) = off_worker(move || engine.quarantine(from, N, sought.as_deref())).await?;
    let (total, by_reason) = by_reason(&view);
    let call = reason.as_ref().map_or_else(String::new, |reason| format!("&reason={}", encoded(reason)));
    let call = format!("/v1/quarantine?limit={N}{call}");
    let body = html! {
        (outcome(&view))
        p .lead { (texts.quarantine_lead) }
        dl .figures.small {
            (figure(Figure {
                label: texts.in_quarantine, value: count(total), unit: texts.records, api: "/metrics", field: "", form: "",
                note: Markup::default(),
            }))
            @for (code, n) in by_reason.iter().take(11) {
                (figure(Figure {
                    label: code, value: count(*n), unit: "", api: &format!("/v1/quarantine?reason={}", encoded(code)),
                    field: "", form: "",
                    note: html! { a href={ (PATH) "?reason=" (encoded(code)) } { (texts.look) } },
                }))
            }
        }
        section .card {
            (heading(&reason.as_ref().map_or(texts.records.to_owned(), |reason| filled(texts.refused_for, &[reason])), Some(&call)))
            @if reason.is_some() { p { a href=(PATH) { "← " (texts.all_reasons) } } }
            @if records.is_empty() { (empty(texts.quarantine_empty, texts.quarantine_hint)) }
            @else { (list(&view, &records)) }
            @if let Some(next) = next {
                p {
                    a .button href={
                        (PATH) "?from=" (next.0)
                        @if let Some(reason) = &reason { "&reason=" (encoded(reason)) }
                    } { (texts.next_page) }
                }
            }
        }
    };
    Ok(view.page(PATH, texts.quarantine, body))
}

/// How many records are in quarantine, and how many of them for each reason, most first.
fn by_reason(view: &View) -> (u64, Vec<(Box<str>, u64)>) {
    view.server.engine.with_shop(|shop| {
        let quarantine = &shop.facts.quarantine;
        let mut counts = BTreeMap::<&str, u64>::new();
        for reason in quarantine.values().take(MAX_COUNTED) {
            *counts.entry(reason).or_default() += 1;
        }
        let mut counts: Vec<(Box<str>, u64)> = counts.into_iter().map(|(reason, n)| (reason.into(), n)).collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        (quarantine.len() as u64, counts)
    })
}

fn list(view: &View, records: &[QuarantinedRecord]) -> Markup {
    let texts = view.texts();
    html! {
        form method="post" action=(PATH) data-confirm=(texts.confirm_quarantine) {
            (view.form_token())
            input type="hidden" name="offsets" value=(records.iter().map(|record| record.offset.to_string()).collect::<Vec<_>>().join(","));
            div .row {
                button name="action" value="release" { (filled(texts.release_n, &[&count(records.len() as u64)])) }
                button .danger name="action" value="drop" { (filled(texts.drop_n, &[&count(records.len() as u64)])) }
            }
        }
        ol .records {
            @for record in records {
                li {
                    div .head {
                        b { (said(&record.reason)) } " " (said(&record.detail))
                        div .soft { (record.kind.name()) " · " (texts.record) " " (count(record.offset)) " · " (time(record.received_at)) }
                    }
                    details { summary { (texts.as_sent) } pre { code { (clipped(&record.raw, MAX_CHARS)) } } }
                    form method="post" action=(PATH) .row {
                        (view.form_token())
                        input type="hidden" name="offsets" value=(record.offset);
                        button name="action" value="release" { (texts.release) }
                        button .danger name="action" value="drop" data-confirm=(texts.confirm_quarantine) { (texts.delete) }
                    }
                }
            }
        }
    }
}

async fn act(State(server): State<Arc<Server>>, fields: Fields) -> Result<Response, Problem> {
    let given = fields.get("offsets").unwrap_or_default();
    let offsets: Option<Vec<Offset>> = given.split(',').take(N).map(|text| text.parse().ok().map(Offset)).collect();
    let offsets =
        offsets.ok_or_else(|| Problem::new(Code::InvalidValue, "offsets: numbers of records are expected"))?;
    let done = match fields.get("action") {
        Some("release") => {
            server.engine.release(offsets).await?;
            Done::Checked
        }
        Some("drop") => {
            server.engine.drop_quarantined(offsets).await?;
            Done::Dropped
        }
        other => return Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    };
    Ok(done.redirect(PATH))
}
