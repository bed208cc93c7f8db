//! People: what is known of a user, and forgetting them.

use std::collections::BTreeSet;
use std::sync::Arc;

use accrue_engine::{ErasureState, ErasureStatus};
use accrue_event::{Shopper, User, UserId};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::Fields;
use super::super::format::{count, filled, seconds};
use super::super::part::{Done, badge, empty, heading, outcome, said};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::body::off_worker;
use crate::params::At;
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::settings::Scope;

const PATH: &str = "/console/people";
const FORGET: &str = "/v1/forget";
/// People in one form.
const MAX_USERS: usize = 1_000;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Response {
    let (texts, engine) = (view.texts(), &view.server.engine);
    let sought = view.param("user");
    let body = html! {
        (outcome(&view))
        p .lead { (texts.people_lead) }
        form .card .row method="get" action=(PATH) role="search" {
            label .wide { (texts.user) input name="user" dir="auto" value=[sought] placeholder=(texts.a_user) data-search; }
            button .primary { (texts.look_up) }
        }
        @if let Some(id) = sought { section .card { (known(&view, id)) } }
        section .card {
            (heading(texts.forget, Some(FORGET)))
            (progress(texts, &engine.erasure()))
            @if view.permits(Scope::Admin) {
                form method="post" action=(PATH) data-confirm=(texts.confirm_forget) {
                    (view.form_token())
                    label .block {
                        (texts.user_ids)
                        textarea name="users" dir="auto" required placeholder=(texts.one_a_line) { (sought.unwrap_or_default()) }
                    }
                    p .soft { (texts.forget_note) }
                    button .danger { (texts.forget_them) }
                }
            } @else { p .soft { (texts.needs_admin) } }
        }
    };
    view.page(PATH, texts.people, body)
}

fn known(view: &View, id: &str) -> Markup {
    let (texts, engine) = (view.texts(), &view.server.engine);
    let user = At("").id::<UserId>("user", id).ok().and_then(|user| engine.user(&user));
    let Some(user) = user else { return empty(texts.no_user, texts.no_user_hint) };
    let n_events = engine.with_shop(|shop| {
        let shopper = shop.facts.shopper(&Shopper::User(user.id.clone()));
        shopper.map_or(0, |shopper| shop.facts.histories.n_events(shopper))
    });
    html! {
        h2 { (said(user.id.as_str())) " " (super::super::part::call(&format!("/v1/users/{}", encoded(id)))) }
        p {
            (filled(texts.n_events_kept_of, &[&count(n_events as u64)])) " "
            a href={ "/console/playground?user=" (encoded(id)) } { (texts.see_playground) }
        }
        (attributes(texts, &user))
    }
}

fn attributes(texts: &Texts, user: &User) -> Markup {
    let value = |value| serde_json::to_string(value).unwrap_or_default();
    html! {
        @if user.attributes.is_empty() { p .soft { (texts.no_attributes) } }
        @else {
            table .plain .fields {
                tbody {
                    @for (name, given) in user.attributes.iter().take(50) {
                        tr { th { code { (said(name)) } } td { (said(&value(given))) } }
                    }
                }
            }
        }
    }
}

fn progress(texts: &Texts, status: &ErasureStatus) -> Markup {
    let state = match status.state {
        ErasureState::Idle => badge("soft", texts.erasure_idle),
        ErasureState::Searching => badge("accent", texts.erasure_searching),
        ErasureState::Learning => badge("accent", texts.erasure_learning),
        ErasureState::Switching => badge("accent", texts.erasure_switching),
    };
    html! {
        p {
            (state)
            @if status.state != ErasureState::Idle {
                " " (filled(texts.erasure_now, &[
                    &count(status.n_users), &count(status.records), &count(status.replayed), &count(status.of),
                ]))
            }
        }
        @if let Some(last) = &status.last {
            p .soft {
                (filled(texts.erasure_last, &[
                    &count(last.n_users), &count(last.records), &seconds(last.seconds), &format!("{:.0} ms", last.writes_waited_ms),
                ]))
            }
        }
        @if let Some(failed) = &status.failed { p .notice.bad { (failed) } }
    }
}

async fn act(State(server): State<Arc<Server>>, fields: Fields) -> Result<Response, Problem> {
    let ids = fields.get("users").unwrap_or_default().lines().map(str::trim).filter(|id| !id.is_empty());
    let users = ids.map(|id| At("").id::<UserId>("users", id)).collect::<Result<BTreeSet<_>, Problem>>()?;
    if users.is_empty() || users.len() > MAX_USERS {
        let detail = format!("users: 1 to {MAX_USERS} ids are expected, a line each");
        return Err(Problem::new(Code::InvalidValue, detail).field("users"));
    }
    let engine = server.engine.clone();
    off_worker(move || engine.forget(users)).await?;
    Ok(Done::Forgetting.redirect(PATH))
}
