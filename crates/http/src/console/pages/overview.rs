//! Overview: whether everything works, how much comes in, how well the models predict.

use std::sync::Arc;

use accrue_engine::{IndexState, Status};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::ROOT;
use super::super::format::{count, filled, percent, rate, ratio, seconds, time};
use super::super::part::{Chart, Figure, badge, chart, figure, heading};
use super::super::texts::Texts;
use super::super::view::View;
use super::quality::{status_badge, why};
use crate::server::Server;

const STATUS: &str = "/v1/status";
const QUALITY: &str = "/v1/quality";
const HISTORY: &str = "/v1/quality/history";
const VERSIONS: &str = "/v1/versions";
/// Versions that are listed.
const N_VERSIONS: usize = 5;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page)
}

async fn page(view: View) -> Response {
    view.server.sample();
    let (texts, status) = (view.texts(), view.server.engine.status());
    let body = html! {
        (alarms(texts, &status))
        (figures(&view, &status))
        section .charts {
            (chart(&Chart {
                title: texts.load, api: HISTORY, list: "samples", x: "at", weight: None, form: "rate", empty: texts.chart_begins,
                series: &[("records_per_s", texts.records_per_s), ("requests_per_s", texts.requests_per_s)],
            }))
            (chart(&Chart {
                title: texts.quality_live, api: HISTORY, list: "samples", x: "at", weight: None, form: "ratio", empty: texts.chart_begins,
                series: &[("recent_ndcg", texts.ndcg), ("recent_hit_rate", texts.hit_rate)],
            }))
        }
        div .columns {
            section .card { (heading(texts.parts, Some(STATUS))) (parts(texts, &status)) }
            section .card { (heading(texts.latest_versions, Some(VERSIONS))) (versions(&view)) }
        }
    };
    view.page(ROOT, texts.overview, body)
}

/// What needs somebody to look at it, each with what to do.
fn alarms(texts: &Texts, status: &Status) -> Markup {
    let mut alarms: Vec<(&str, String)> = Vec::new();
    let failed = [
        (texts.writer, &status.poisoned),
        (texts.learner, &status.learner_failed),
        (texts.checkpoint, &status.checkpoint.failed),
        (texts.forgetting, &status.erasure_failed),
        (texts.content, &status.content.last_error),
    ];
    alarms.extend(failed.into_iter().filter_map(|(part, why)| Some((part, why.clone()?))));
    if status.search.state != IndexState::Current {
        alarms.push((texts.search_index, status.search.last_error.clone().unwrap_or_else(|| texts.building.into())));
    }
    html! {
        @if alarms.is_empty() && !status.guard.on_probation {
            p .notice.good role="status" { (texts.all_works) }
        }
        @for (part, why) in &alarms {
            p .notice.bad role="alert" { b { (part) } " " (why) }
        }
        @if status.guard.on_probation {
            p .notice.warn role="alert" {
                (texts.on_probation) " " a href="/console/quality" { (texts.see_quality) }
            }
        }
        @if status.guard.suspect_windows > 0 {
            p .notice.warn {
                (filled(texts.n_suspect, &[&count(status.guard.suspect_windows)])) " "
                a href="/console/quality#suspect" { (texts.see_quality) }
            }
        }
    }
}

fn figures(view: &View, status: &Status) -> Markup {
    let texts = view.texts();
    let (quality, lag) = (&status.quality, status.log_end.saturating_sub(status.learned));
    let of_items = filled(texts.of_n_choices, &[&count(quality.all.samples)]);
    let records_per_s = view.server.history.latest_rate();
    // Without a prediction there is no mean, and no call that would give one.
    let has_predictions = quality.all.samples > 0;
    let mean = |value: String| if has_predictions { value } else { "–".to_owned() };
    let field = |field: &'static str| if has_predictions { field } else { "" };
    html! {
        dl .figures {
            (figure(Figure {
                label: texts.coming_in, value: records_per_s.map_or("–".into(), rate), unit: texts.records_a_second,
                api: HISTORY, field: "samples.-1.records_per_s", form: "rate",
                note: html! { (filled(texts.n_in_log, &[&count(status.log_end)])) },
            }))
            (figure(Figure {
                label: texts.freshness, value: count(lag), unit: texts.records_behind, api: STATUS, field: "lag", form: "count",
                note: html! { (if lag == 0 { texts.fresh } else { texts.catching_up }) },
            }))
            (figure(Figure {
                label: texts.ndcg, value: mean(ratio(quality.recent_ndcg)), unit: "", api: QUALITY,
                field: field("recent_ndcg"),
                form: "ratio", note: html! { (texts.over_latest) },
            }))
            (figure(Figure {
                label: texts.hit_rate, value: mean(percent(quality.recent_hit_rate)), unit: "", api: QUALITY,
                field: field("recent_hit_rate"), form: "percent", note: html! { (of_items) },
            }))
            (figure(Figure {
                label: texts.items, value: count(status.n_items), unit: "", api: "/metrics", field: "", form: "count",
                note: html! { (filled(texts.n_described, &[&count(status.n_described)])) },
            }))
            (figure(Figure {
                label: texts.shoppers, value: count(status.n_shoppers), unit: "", api: "/metrics", field: "",
                form: "count", note: html! { (texts.users_and_guests) },
            }))
            (figure(Figure {
                label: texts.in_quarantine, value: count(status.n_quarantined), unit: "", api: "/metrics", field: "",
                form: "count",
                note: html! { (filled(texts.n_accepted, &[&count(status.accepted)])) },
            }))
            (figure(Figure {
                label: texts.version, value: status.version.to_string(), unit: "", api: QUALITY, field: "version",
                form: "plain",
                note: html! { (filled(texts.good_is, &[&status.guard.good.to_string()])) },
            }))
        }
    }
}

fn parts(texts: &Texts, status: &Status) -> Markup {
    let state = |failed: &Option<String>| match failed {
        Some(_) => badge("bad", texts.failed),
        None => badge("good", texts.works),
    };
    let age =
        status.checkpoint_age_s.map_or_else(|| texts.none_yet.to_owned(), |age| filled(texts.ago, &[&seconds(age)]));
    let index = match status.search.state {
        IndexState::Current => badge("good", texts.works),
        IndexState::Building => badge("warn", texts.building),
        IndexState::Failed => badge("bad", texts.failed),
    };
    let lag = status.log_end.saturating_sub(status.learned);
    html! {
        table .plain {
            tbody {
                tr { th { (texts.writer) } td { (state(&status.poisoned)) } td { (filled(texts.n_in_log, &[&count(status.log_end)])) } }
                tr {
                    th { (texts.learner) } td { (state(&status.learner_failed)) }
                    td { (filled(texts.n_behind, &[&count(lag)])) }
                }
                tr {
                    th { (texts.search_index) } td { (index) }
                    td { @if let Some(at) = status.search.committed_at { (time(at)) } }
                }
                tr { th { (texts.checkpoint) } td { (state(&status.checkpoint.failed)) } td { (age) } }
                tr { th { (texts.forgetting) } td { (state(&status.erasure_failed)) } td {} }
                tr {
                    th { (texts.content) }
                    td {
                        @if status.content.is_off() { (badge("soft", texts.off)) }
                        @else { (state(&status.content.last_error)) }
                    }
                    td {
                        @if !status.content.is_off() {
                            (filled(texts.n_encoded, &[&count(status.content.encoded), &count(status.content.waiting)]))
                        }
                    }
                }
            }
        }
    }
}

fn versions(view: &View) -> Markup {
    let (texts, all) = (view.texts(), view.server.engine.versions());
    html! {
        table .plain {
            thead { tr { th { (texts.version) } th { (texts.state) } th .number { (texts.ndcg) } th { (texts.why) } } }
            tbody {
                @for entry in all.versions.iter().rev().take(N_VERSIONS) {
                    tr {
                        td .number { (entry.number) }
                        td { (status_badge(texts, entry.status)) }
                        td .number { @if entry.examined > 0 { (ratio(entry.ndcg)) } @else { "–" } }
                        td { (why(texts, entry)) }
                    }
                }
            }
        }
        p { a href="/console/quality" { (texts.see_quality) } }
    }
}
