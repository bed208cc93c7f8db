//! Rules: what the shop pins, boosts, buries and hides. A rule is listed, edited and removed here.

use std::sync::Arc;

use accrue_engine::RuleChange;
use accrue_event::{ItemId, RuleAction, ShopRule};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::{Fields, fault};
use super::super::format::{clipped, time};
use super::super::part::{Done, badge, empty, heading, item, outcome, said, title_of};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::settings::Scope;

const PATH: &str = "/console/rules";
const RULES: &str = "/v1/rules";
/// Rules on a page; there may be a thousand.
const N: usize = 200;
/// Items of a rule that are named; it may have a thousand.
const N_ITEMS: usize = 5;
const ACTIONS: [RuleAction; 4] = [RuleAction::Pin, RuleAction::Boost, RuleAction::Bury, RuleAction::Hide];

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Response {
    let (texts, (_, rules)) = (view.texts(), view.server.engine.rules());
    let edited = view.param("edit").and_then(|name| rules.iter().find(|rule| &*rule.name == name));
    let body = html! {
        (outcome(&view))
        p .lead { (texts.rules_lead) }
        section .card {
            (heading(texts.rules, Some(RULES)))
            @if rules.is_empty() { (empty(texts.no_rules, texts.no_rules_hint)) }
            @else { (table(&view, &rules)) }
        }
        @if view.permits(Scope::Write) {
            section .card #edit {
                (heading(if edited.is_some() { texts.edit_rule } else { texts.new_rule }, None))
                (form(&view, edited))
            }
        } @else { p .soft { (texts.needs_write) } }
    };
    view.page(PATH, texts.rules, body)
}

fn word(texts: &Texts, action: RuleAction) -> &'static str {
    match action {
        RuleAction::Pin => texts.pin,
        RuleAction::Boost => texts.boost,
        RuleAction::Bury => texts.bury,
        RuleAction::Hide => texts.hide,
    }
}

/// The name that the interface has for an action.
fn name(action: RuleAction) -> &'static str {
    match action {
        RuleAction::Pin => "pin",
        RuleAction::Boost => "boost",
        RuleAction::Bury => "bury",
        RuleAction::Hide => "hide",
    }
}

fn table(view: &View, rules: &[ShopRule]) -> Markup {
    let (texts, acts) = (view.texts(), view.permits(Scope::Write));
    html! {
        div .scroll {
            table {
                thead {
                    tr { th { (texts.name) } th { (texts.action) } th { (texts.holds_for) } th { (texts.items) } th { (texts.period) } th {} }
                }
                tbody {
                    @for rule in rules.iter().take(N) {
                        tr {
                            td { b { (said(&rule.name)) } }
                            td {
                                (badge("accent", word(texts, rule.action)))
                                @if let Some(position) = rule.position { " " (texts.at_place) " " (position) }
                                @if let Some(factor) = rule.factor { " × " (factor) }
                            }
                            td { (holds_for(texts, rule)) }
                            td { (about(view, rule)) }
                            td { (period(texts, rule)) }
                            td {
                                @if acts {
                                    form method="post" action=(PATH) .row data-confirm=(texts.confirm_rule) {
                                        (view.form_token())
                                        input type="hidden" name="name" value=(rule.name);
                                        a .button href={ (PATH) "?edit=" (encoded(&rule.name)) "#edit" } { (texts.edit) }
                                        button .danger name="action" value="remove" { (texts.remove) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn holds_for(texts: &Texts, rule: &ShopRule) -> Markup {
    html! {
        @if let Some(query) = &rule.query {
            (texts.search_for) " " a href={ "/console/playground?q=" (encoded(query)) } { (said(query)) } " "
        }
        @if let Some(category) = &rule.category { (texts.category) " " (said(category)) }
        @if rule.query.is_none() && rule.category.is_none() { (texts.everywhere) }
    }
}

/// The items and the filter of a rule. A rule may name items that the catalogue does not have, which do nothing.
fn about(view: &View, rule: &ShopRule) -> Markup {
    let (texts, ids) = (view.texts(), &rule.items[..rule.items.len().min(N_ITEMS)]);
    let named: Vec<(&str, Option<String>, bool)> = view.server.engine.with_shop(|shop| {
        let of = |id: &'_ ItemId| {
            let found = shop.facts.items.get(id.as_str());
            let is_known = found.and_then(|found| shop.facts.entry(found)).is_some_and(|entry| entry.is_in_catalogue());
            (found.and_then(|found| title_of(shop.facts, found)), is_known)
        };
        ids.iter().map(|id| (id.as_str(), of(id))).map(|(id, (title, is_known))| (id, title, is_known)).collect()
    });
    html! {
        @for (id, title, is_known) in &named {
            div {
                (item(id, title.as_deref()))
                @if title.is_some() { " " span .soft { (said(id)) } }
                @if !is_known { " " (badge("warn", texts.not_in_catalogue)) }
            }
        }
        @if rule.items.len() > N_ITEMS { div .soft { "… " (rule.items.len() - N_ITEMS) } }
        @if let Some(filter) = &rule.filter { code { (said(filter)) } }
    }
}

fn period(texts: &Texts, rule: &ShopRule) -> Markup {
    html! {
        @match (rule.from, rule.until) {
            (None, None) => (texts.always),
            (from, until) => {
                @if let Some(from) = from { (time(from)) }
                " – "
                @if let Some(until) = until { (time(until)) }
            }
        }
    }
}

fn form(view: &View, rule: Option<&ShopRule>) -> Markup {
    let texts = view.texts();
    let given = |read: fn(&ShopRule) -> Option<String>| rule.and_then(read);
    let text = |label: &str, field: &str, value: Option<String>, hint: &str| {
        html! { label { (label) input name=(field) value=[value] placeholder=(hint); } }
    };
    let query = given(|rule| rule.query.as_deref().map(str::to_owned)).or(view.param("query").map(str::to_owned));
    let items =
        rule.map(|rule| rule.items.iter().map(ItemId::as_str).collect::<Vec<_>>().join("\n")).unwrap_or_default();
    html! {
        form method="post" action=(PATH) .rule {
            (view.form_token())
            div .row {
                label {
                    (texts.name)
                    input name="name" required maxlength="200" value=[rule.map(|rule| &rule.name)] readonly[rule.is_some()];
                }
                label {
                    (texts.action)
                    select name="what" {
                        @for action in ACTIONS {
                            option value=(name(action)) selected[rule.is_some_and(|rule| rule.action == action)] {
                                (word(texts, action))
                            }
                        }
                    }
                }
                (text(texts.search_for, "query", query, texts.any_search))
                (text(texts.category, "category", given(|rule| rule.category.as_deref().map(str::to_owned)), texts.any_category))
            }
            div .row {
                (text(texts.filter, "filter", given(|rule| rule.filter.as_deref().map(str::to_owned)), "brand:Acme AND price:..20"))
                (text(texts.first_place, "position", given(|rule| Some(rule.position?.to_string())), texts.for_pins))
                (text(texts.factor, "factor", given(|rule| Some(rule.factor?.to_string())), texts.for_boosts))
                (text(texts.from, "from", given(|rule| Some(rule.from?.to_string())), "2026-11-27T00:00:00Z"))
                (text(texts.until, "until", given(|rule| Some(rule.until?.to_string())), "2026-12-01T00:00:00Z"))
            }
            div .row {
                (text(texts.attribute, "attribute", given(|rule| rule.attribute.as_deref().map(str::to_owned)), texts.for_boosts))
                (text(texts.full_at, "full_at", given(|rule| Some(rule.full_at?.to_string())), texts.for_boosts))
            }
            label .block { (texts.item_ids) textarea name="items" placeholder=(texts.one_a_line) { (items) } }
            div .row {
                button .primary name="action" value="save" { (texts.save_rule) }
                @if rule.is_some() { a .button href=(PATH) { (texts.cancel) } }
            }
            p .soft { (texts.rule_note) }
        }
    }
}

/// The rule of a form. What its texts mean is checked where rules are used.
fn rule_of(fields: &Fields) -> Result<ShopRule, Problem> {
    let action = ACTIONS.into_iter().find(|action| Some(name(*action)) == fields.get("what"));
    Ok(ShopRule {
        name: fields.text("name").ok_or_else(|| fault("name", "a name"))?,
        action: action.ok_or_else(|| fault("action", "pin, boost, bury or hide"))?,
        query: fields.text("query"),
        category: fields.text("category"),
        items: fields.lines("items").map(ItemId::from).collect(),
        filter: fields.text("filter"),
        position: fields.number("position", "a place from 1")?,
        factor: fields.number("factor", "a number above 0")?,
        attribute: fields.text("attribute"),
        full_at: fields.number("full_at", "a number")?,
        from: fields.moment("from")?,
        until: fields.moment("until")?,
    })
}

async fn act(State(server): State<Arc<Server>>, fields: Fields) -> Result<Response, Problem> {
    let (change, done) = match fields.get("action") {
        Some("save") => (RuleChange::Put(Box::new(rule_of(&fields)?)), Done::Saved),
        Some("remove") => {
            (RuleChange::Remove(clipped(fields.get("name").unwrap_or_default(), 1_000).into()), Done::Removed)
        }
        other => return Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    };
    server.engine.change_rules(change).await?;
    Ok(done.redirect(PATH))
}
