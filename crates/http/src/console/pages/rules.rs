//! Rules: what the shop pins, boosts, buries and hides. A rule is listed, edited and removed here.

use std::sync::Arc;

use accrue_engine::RuleChange;
use accrue_event::{ItemId, RuleAction, ShopRule};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::{Entered, Fields, fault};
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
    let (_, rules) = view.server.engine.rules();
    let edited = view.param("edit").and_then(|name| rules.iter().find(|rule| &*rule.name == name));
    let entered = match edited {
        Some(rule) => entered(rule),
        None => Entered::of([("query", view.param("query").map(str::to_owned))]),
    };
    render(&view, &rules, &entered, edited.is_some(), StatusCode::OK)
}

/// The page with this in its form. A rule that is edited keeps its name.
fn render(view: &View, rules: &[ShopRule], entered: &Entered, is_edited: bool, status: StatusCode) -> Response {
    let texts = view.texts();
    let body = html! {
        (outcome(view))
        p .lead { (texts.rules_lead) }
        section .card {
            (heading(texts.rules, Some(RULES)))
            @if rules.is_empty() { (empty(texts.no_rules, texts.no_rules_hint)) }
            @else { (table(view, rules)) }
        }
        @if view.permits(Scope::Write) {
            section .card #edit {
                (heading(if is_edited { texts.edit_rule } else { texts.new_rule }, None))
                (form(view, entered, is_edited))
            }
        } @else { p .soft { (texts.needs_write) } }
    };
    view.page_with(status, PATH, texts.rules, body)
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

/// A rule as its form shows it.
fn entered(rule: &ShopRule) -> Entered {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    Entered::of([
        ("name", Some(rule.name.to_string())),
        ("what", Some(name(rule.action).to_owned())),
        ("query", text(&rule.query)),
        ("category", text(&rule.category)),
        ("filter", text(&rule.filter)),
        ("position", rule.position.map(|position| position.to_string())),
        ("factor", rule.factor.map(|factor| factor.to_string())),
        ("attribute", text(&rule.attribute)),
        ("full_at", rule.full_at.map(|full_at| full_at.to_string())),
        ("from", rule.from.map(|from| from.to_string())),
        ("until", rule.until.map(|until| until.to_string())),
        ("items", Some(rule.items.iter().map(ItemId::as_str).collect::<Vec<_>>().join("\n"))),
    ])
}

/// The fields of the form, by which faults are told.
const FIELDS: [&str; 12] = [
    "name",
    "action",
    "query",
    "category",
    "filter",
    "position",
    "factor",
    "attribute",
    "full_at",
    "from",
    "until",
    "items",
];

fn form(view: &View, entered: &Entered, is_edited: bool) -> Markup {
    let texts = view.texts();
    html! {
        form method="post" action=(PATH) .rule {
            (view.form_token())
            @if is_edited { input type="hidden" name="edited" value="1"; }
            @if let Some(fault) = entered.fault_of_none(&FIELDS) { p .notice.bad role="alert" { (fault) } }
            div .row {
                label {
                    (texts.name)
                    input name="name" required maxlength="200" value=[entered.get("name")] readonly[is_edited];
                    (entered.told("name"))
                }
                label {
                    (texts.action)
                    select name="what" {
                        @for action in ACTIONS {
                            option value=(name(action)) selected[entered.get("what") == Some(name(action))] {
                                (word(texts, action))
                            }
                        }
                    }
                    (entered.told("action"))
                }
                (entered.line(texts.search_for, "query", texts.any_search))
                (entered.line(texts.category, "category", texts.any_category))
            }
            div .row {
                (entered.line(texts.filter, "filter", "brand:Acme AND price:..20"))
                (entered.line(texts.first_place, "position", texts.for_pins))
                (entered.line(texts.factor, "factor", texts.for_boosts))
                (entered.line(texts.from, "from", "2026-11-27T00:00:00Z"))
                (entered.line(texts.until, "until", "2026-12-01T00:00:00Z"))
            }
            div .row {
                (entered.line(texts.attribute, "attribute", texts.for_boosts))
                (entered.line(texts.full_at, "full_at", texts.for_boosts))
            }
            (entered.area(texts.item_ids, "items", texts.one_a_line))
            div .row {
                button .primary name="action" value="save" { (texts.save_rule) }
                @if view.permits(Scope::Admin) { button name="action" value="judge" { (texts.what_if_judge) } }
                @if is_edited { a .button href=(PATH) { (texts.cancel) } }
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

/// Has a rule judged on the log, beside the others that are in force and in the place of the one of its name.
fn judge(view: &View, rule: ShopRule) -> Result<Response, Problem> {
    if !view.permits(Scope::Admin) {
        return Err(Problem::new(
            Code::MissingScope,
            "a what-if reads the whole log: log in with a key that has `admin`",
        ));
    }
    let (_, mut rules) = view.server.engine.rules();
    match rules.iter_mut().find(|known| known.name == rule.name) {
        Some(known) => *known = rule,
        None => rules.push(rule),
    }
    super::what_if::judge_rules(&view.server, rules)
}

async fn act(view: View, fields: Fields) -> Result<Response, Problem> {
    let engine = &view.server.engine;
    match fields.get("action") {
        Some(action @ ("save" | "judge")) => {
            let done = match rule_of(&fields) {
                Ok(rule) if action == "judge" => judge(&view, rule),
                Ok(rule) => {
                    let saved = engine.change_rules(RuleChange::Put(Box::new(rule))).await;
                    saved.map(|()| Done::Saved.redirect(PATH)).map_err(Problem::from)
                }
                Err(problem) => Err(problem),
            };
            match done {
                Ok(response) => Ok(response),
                // What was typed stays, with what is wrong beside its field.
                Err(problem) if [Code::InvalidValue, Code::Conflict].contains(&problem.code()) => {
                    let (is_edited, status) = (fields.get("edited").is_some(), problem.code().status());
                    let entered = Entered::refused(fields, &problem);
                    Ok(render(&view, &engine.rules().1, &entered, is_edited, status))
                }
                Err(problem) => Err(problem),
            }
        }
        Some("remove") => {
            let name = clipped(fields.get("name").unwrap_or_default(), 1_000);
            engine.change_rules(RuleChange::Remove(name.into())).await?;
            Ok(Done::Removed.redirect(PATH))
        }
        other => Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    }
}
