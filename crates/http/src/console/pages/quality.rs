//! Quality: how well the models predict, by slice and by version; drift; the guard; the gate; promotions and rollbacks.

use std::sync::Arc;

use accrue_engine::{ChallengerRequest, ChallengerState, Status, Versions};
use accrue_store::{Offset, SatisfactionCounts};
use accrue_train::{Drift, Hits, VersionEntry, VersionStatus};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::Fields;
use super::super::format::{clipped, count, difference, filled, percent, ratio, time};
use super::super::part::{Chart, Done, Figure, badge, chart, empty, figure, heading, outcome};
use super::super::texts::Texts;
use super::super::view::View;
use crate::body::off_worker;
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::settings::Scope;

const PATH: &str = "/console/quality";
const QUALITY: &str = "/v1/quality";
const HISTORY: &str = "/v1/quality/history";
const VERSIONS: &str = "/v1/versions";
/// Versions on the page; earlier ones are in the answer of the call.
const N_VERSIONS: usize = 40;
/// Changes of the error and suspect windows on the page.
const N_CHANGES: usize = 10;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Response {
    let (texts, engine) = (view.texts(), &view.server.engine);
    let (status, versions) = (engine.status(), engine.versions());
    let body = html! {
        (outcome(&view))
        p .lead { (texts.quality_lead) }
        (slices(texts, &status))
        section .charts {
            (chart(&Chart {
                title: texts.ndcg_by_slice, api: HISTORY, list: "samples", x: "at", weight: Some("predictions"), form: "ratio",
                empty: texts.chart_begins,
                series: &[("ndcg", texts.all), ("ndcg_first_time", texts.first_time), ("ndcg_repeat", texts.repeat)],
            }))
            (chart(&Chart {
                title: texts.ndcg_by_version, api: VERSIONS, list: "versions", x: "offset", weight: Some("examined"), form: "ratio",
                empty: texts.versions_untested, series: &[("ndcg", texts.this_version), ("ndcg_of_good", texts.good_version)],
            }))
        }
        div .columns {
            section .card { (heading(texts.drift, Some(QUALITY))) (drift(texts, &status.quality.drift)) }
            section .card { (heading(texts.guard, Some(QUALITY))) (guard(texts, &status)) }
        }
        section .card { (heading(texts.satisfaction, None)) (satisfaction(texts, &status.satisfaction[1])) }
        section .card { (heading(texts.challenger, Some(VERSIONS))) (challenger(&view, &versions)) }
        section .card #versions { (heading(texts.versions, Some(VERSIONS))) (timeline(&view, &versions)) }
        @if !versions.suspect.is_empty() {
            section .card #suspect { (heading(texts.suspect, Some(VERSIONS))) (suspect(&view, &versions)) }
        }
    };
    view.page(PATH, texts.quality, body)
}

fn slices(texts: &Texts, status: &Status) -> Markup {
    let quality = &status.quality;
    let recent = [
        (texts.ndcg, ratio(quality.recent_ndcg), "recent_ndcg", "ratio"),
        (texts.hit_rate, percent(quality.recent_hit_rate), "recent_hit_rate", "percent"),
    ];
    let slices: [(&str, &Hits, &str); 3] = [
        (texts.all, &quality.all, "all.ndcg"),
        (texts.first_time, &quality.first_time, "first_time.ndcg"),
        (texts.repeat, &quality.repeat, "repeat.ndcg"),
    ];
    html! {
        dl .figures .five {
            @for (label, value, field, form) in recent {
                (figure(Figure { label, value, unit: "", api: QUALITY, field, form, note: html! { (texts.over_latest) } }))
            }
            @for (label, hits, field) in slices {
                (figure(Figure {
                    label, value: ratio(hits.ndcg()), unit: "NDCG@20", api: QUALITY, field, form: "ratio",
                    note: html! {
                        (filled(texts.hits_of, &[&percent(hits.hit_rate()), &count(hits.samples)]))
                    },
                }))
            }
        }
    }
}

/// How content shoppers were with what they chose, in the latest week.
fn satisfaction(texts: &Texts, counts: &SatisfactionCounts) -> Markup {
    let share = |n: u64, of: u64| if of > 0 { percent(n as f64 / of as f64) } else { "–".into() };
    let stayed = match counts.n_stays {
        0 => "–".into(),
        n => format!("{:.0} s", counts.stayed_ms as f64 / 1e3 / n as f64),
    };
    let said = counts.content + counts.discontent;
    let figures = [
        (texts.stay_mean, stayed, filled(texts.stays_of, &[&count(counts.n_stays)])),
        (
            texts.returns_to_list,
            share(counts.returns_to_list, counts.clicks),
            filled(texts.clicks_of, &[&count(counts.clicks)]),
        ),
        (
            texts.came_again,
            share(counts.returning, counts.visitors),
            filled(texts.visitors_of, &[&count(counts.visitors)]),
        ),
        (texts.said_content, share(counts.content, said), filled(texts.said_of, &[&count(said)])),
    ];
    html! {
        p .soft { (texts.satisfaction_note) }
        dl .figures {
            @for (label, value, note) in figures {
                (figure(Figure { label, value, unit: "", api: "", field: "", form: "", note: html! { (note) } }))
            }
        }
    }
}

fn drift(texts: &Texts, drift: &Drift) -> Markup {
    let better = drift.n_changes().saturating_sub(drift.n_worse());
    html! {
        p { (filled(texts.drift_now, &[&ratio(drift.mean()), &count(drift.width()), &format!("{:.2}", drift.rate_multiplier())])) }
        @if drift.changes().is_empty() {
            p .soft { (texts.no_drift) }
        } @else {
            p { (filled(texts.drift_changes, &[&count(drift.n_worse()), &count(better)])) }
            table .plain {
                thead { tr { th .number { (texts.record) } th .number { (texts.before) } th .number { (texts.after) } th {} } }
                tbody {
                    @for change in drift.changes().iter().rev().take(N_CHANGES) {
                        tr {
                            td .number { (count(change.offset)) }
                            td .number { (ratio(change.from)) }
                            td .number { (ratio(change.to)) }
                            td {
                                @if change.to > change.from { (badge("bad", texts.worse)) } @else { (badge("good", texts.better)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn guard(texts: &Texts, status: &Status) -> Markup {
    let guard = &status.guard;
    html! {
        p {
            @if guard.on_probation { (badge("warn", texts.probation)) " " (texts.on_probation) }
            @else { (badge("good", texts.watching)) " " (filled(texts.guard_now, &[&guard.good.to_string(), &count(guard.alarms)])) }
        }
        table .plain {
            thead {
                tr {
                    th { (texts.tested_on) } th .number { (texts.choices) } th .number { (texts.this_version) }
                    th .number { (texts.good_version) } th .number { (texts.difference) }
                }
            }
            tbody {
                @for (name, (n, now, good)) in [(texts.stream, guard.stream), (texts.holdout, guard.anchor)] {
                    tr {
                        th { (name) }
                        td .number { (count(n)) }
                        td .number { @if n > 0 { (ratio(now)) } @else { "–" } }
                        td .number { @if n > 0 { (ratio(good)) } @else { "–" } }
                        td .number { @if n > 0 { (difference(now - good)) } @else { "–" } }
                    }
                }
            }
        }
        p .soft { (texts.guard_note) }
    }
}

fn challenger(view: &View, versions: &Versions) -> Markup {
    let (texts, challenger) = (view.texts(), &versions.challenger);
    let state = match challenger.state {
        ChallengerState::Off => texts.challenger_off,
        ChallengerState::Waiting => texts.challenger_waiting,
        ChallengerState::Learning => texts.challenger_learning,
        ChallengerState::Shadowing => texts.challenger_shadowing,
        ChallengerState::Judging => texts.challenger_judging,
    };
    let figures = [challenger.n_promoted, challenger.n_refused, challenger.n_dropped].map(count);
    html! {
        p {
            (state)
            @if let Some(due) = challenger.due_in { " " (filled(texts.next_reset, &[&count(due)])) }
        }
        p .soft { (filled(texts.challengers_so_far, &[&figures[0], &figures[1], &figures[2]])) }
        @if let Some(standing) = &challenger.standing {
            p {
                (filled(texts.standing, &[&count(standing.n), &ratio(standing.challenger), &ratio(standing.current)]))
            }
        }
        @if let Some(last) = &challenger.last {
            p {
                (if last.promoted { badge("good", texts.promoted) } else { badge("bad", texts.refused_verdict) })
                " " (filled(texts.verdict_at, &[&count(last.offset.0)])) " " (clipped(&last.why, 600))
            }
        }
        @if let Some(failed) = &challenger.failed { p .notice.bad { (clipped(failed, 600)) } }
        @if view.permits(Scope::Admin) && challenger.state != ChallengerState::Off {
            form method="post" action=(PATH) .row {
                (view.form_token())
                @if challenger.requested.is_some() {
                    button name="action" value="dismiss" { (texts.dismiss_challenger) }
                } @else {
                    button name="action" value="challenge" { (texts.ask_challenger) }
                }
            }
        }
    }
}

fn timeline(view: &View, all: &Versions) -> Markup {
    let (texts, acts) = (view.texts(), view.permits(Scope::Admin));
    if all.versions.is_empty() {
        return empty(texts.no_versions, "");
    }
    html! {
        @if !acts { p .soft { (texts.needs_admin) } }
        ol .timeline reversed start=(all.versions.last().map_or(1, |entry| entry.number)) {
            @for entry in all.versions.iter().rev().take(N_VERSIONS) {
                li class=(entry.status.name()) {
                    div .head {
                        b { (filled(texts.version_n, &[&entry.number.to_string()])) }
                        " " (status_badge(texts, entry.status))
                        @if all.serving == entry.number { " " (badge("accent", texts.serves)) }
                        span .soft {
                            (filled(texts.from_version, &[&entry.parent.to_string()])) " · "
                            (filled(texts.records_to, &[&count(entry.begun.0), &count(entry.offset.0)]))
                            @if entry.received_ms > 0 { " · " (time(accrue_event::Timestamp(entry.received_ms))) }
                        }
                    }
                    p { (why(texts, entry)) }
                    @if entry.examined > 0 {
                        p .soft {
                            (filled(texts.examined, &[
                                &count(entry.examined), &ratio(entry.ndcg), &ratio(entry.ndcg_of_good),
                                &difference(entry.ndcg - entry.ndcg_of_good),
                            ]))
                        }
                    }
                    @if acts { (actions(view, all, entry)) }
                }
            }
        }
        @if all.versions.len() > N_VERSIONS {
            p .soft { (filled(texts.n_earlier, &[&count((all.versions.len() - N_VERSIONS) as u64)])) }
        }
    }
}

fn actions(view: &View, all: &Versions, entry: &VersionEntry) -> Markup {
    let texts = view.texts();
    let may_promote = all.refuse_if_gone(entry.number).is_ok();
    let may_undo = entry.status != VersionStatus::RolledBack && all.before(entry.number).is_ok();
    if !may_promote && !may_undo {
        return Markup::default();
    }
    html! {
        form method="post" action=(PATH) .row data-confirm=(texts.confirm_version) {
            (view.form_token())
            input type="hidden" name="version" value=(entry.number);
            input name="why" placeholder=(texts.why_for_the_log) aria-label=(texts.why_for_the_log) maxlength="500";
            @if may_promote { button name="action" value="promote" { (texts.go_back_to) } }
            @if may_undo { button .danger name="action" value="rollback" { (texts.undo_version) } }
        }
    }
}

fn suspect(view: &View, all: &Versions) -> Markup {
    let texts = view.texts();
    html! {
        p .soft { (texts.suspect_note) }
        table .plain {
            thead { tr { th { (texts.records) } th { (texts.why) } th {} } }
            tbody {
                @for window in all.suspect.iter().rev().take(N_CHANGES) {
                    tr {
                        td .number { (count(window.from.0)) "–" (count(window.to.0.saturating_sub(1))) }
                        td { (clipped(&window.why, 300)) }
                        td {
                            @if window.released {
                                (badge("soft", texts.released))
                            } @else if view.permits(Scope::Admin) {
                                form method="post" action=(PATH) .row {
                                    (view.form_token())
                                    input type="hidden" name="version" value=(window.from.0);
                                    button name="action" value="release" { (texts.release) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The status of a version as a word in a colour.
pub(super) fn status_badge(texts: &Texts, status: VersionStatus) -> Markup {
    match status {
        VersionStatus::Learning => badge("accent", texts.is_learning),
        VersionStatus::Sealed => badge("warn", texts.is_sealed),
        VersionStatus::Good => badge("good", texts.is_good),
        VersionStatus::Superseded => badge("soft", texts.is_superseded),
        VersionStatus::RolledBack => badge("bad", texts.is_rolled_back),
    }
}

/// Why a version has its status.
pub(super) fn why(texts: &Texts, entry: &VersionEntry) -> String {
    if entry.why.is_empty() { texts.no_reason.to_owned() } else { clipped(&entry.why, 300) }
}

async fn act(State(server): State<Arc<Server>>, fields: Fields) -> Result<Response, Problem> {
    let engine = server.engine.clone();
    let number = || {
        let given = fields.get("version").unwrap_or_default();
        given.parse::<u64>().map_err(|_| Problem::new(Code::InvalidValue, format!("{given:?} is not a version")))
    };
    let why = |otherwise: &str| clipped(fields.get("why").unwrap_or(otherwise), 500);
    let done = match fields.get("action") {
        Some("promote") => {
            let (version, why) = (number()?, why("an operator chose it"));
            off_worker(move || engine.promote(version, &why)).await?;
            Done::Promoted
        }
        Some("rollback") => {
            let (version, why) = (number()?, why("an operator undid it"));
            off_worker(move || engine.roll_back(version, &why)).await?;
            Done::Undone
        }
        Some("release") => {
            let from = Offset(number()?);
            off_worker(move || engine.release_window(from)).await?;
            Done::Released
        }
        Some("challenge") => {
            let request = ChallengerRequest { set: Default::default(), from: 0, passes: 1, margin: engine.margin() };
            off_worker(move || engine.request_challenger(request)).await?;
            Done::Requested
        }
        Some("dismiss") => {
            engine.dismiss_challenger()?;
            Done::Dismissed
        }
        other => return Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    };
    Ok(done.redirect(PATH))
}
