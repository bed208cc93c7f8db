//! Campaigns: what is sponsored into slots of pages, what it spent today and in all. A campaign is listed, edited and
//! removed here.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use accrue_engine::{CampaignAccount, CampaignChange, CampaignList, campaign_mark};
use accrue_event::{Campaign, ItemId};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::{Entered, Fields, fault};
use super::super::format::{clipped, count, filled, percent, time};
use super::super::part::{Done, badge, empty, heading, outcome, said};
use super::super::texts::Texts;
use super::super::view::{View, encoded};
use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::settings::Scope;

const PATH: &str = "/console/campaigns";
const CAMPAIGNS: &str = "/v1/campaigns";
/// Campaigns on a page; there may be a thousand.
const N: usize = 200;
/// The field that says which state of a campaign the form was opened with.
const INSTEAD_OF: &str = "instead_of";
/// Texts of a list that are shown.
const N_TEXTS: usize = 5;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Response {
    let list = view.server.engine.campaigns();
    let edited = view.param("edit").and_then(|id| list.document.campaigns.iter().find(|campaign| &*campaign.id == id));
    let entered = edited.map(entered).unwrap_or_default();
    render(&view, &list, &entered, edited.is_some(), StatusCode::OK)
}

/// The page with this in its form. A campaign that is edited keeps its name.
fn render(view: &View, list: &CampaignList, entered: &Entered, is_edited: bool, status: StatusCode) -> Response {
    let texts = view.texts();
    let CampaignList { document, accounts, .. } = list;
    let n = document.campaigns.len();
    let from = view.param("from").and_then(|from| from.parse().ok()).unwrap_or(0).min(n);
    let shown = from..n.min(from + N);
    let accounts: BTreeMap<&str, &CampaignAccount> = accounts.iter().map(|(id, account)| (&**id, account)).collect();
    let scenes: Vec<(Box<str>, Vec<usize>)> = view
        .server
        .engine
        .scenes()
        .in_force
        .into_iter()
        .filter_map(|(name, scene)| {
            let places = scene.sponsored.filter(|places| !places.is_empty())?;
            Some((name, places))
        })
        .collect();
    let body = html! {
        (outcome(view))
        p .lead { (texts.campaigns_lead) }
        section .card {
            (heading(texts.sponsored_places, Some("/v1/scenes")))
            @if scenes.is_empty() { (empty(texts.no_slots, texts.no_slots_hint)) }
            @else {
                ul { @for (name, places) in &scenes { li { b { (said(name)) } " " (listed_places(places)) } } }
            }
        }
        section .card {
            (heading(texts.campaigns, Some(CAMPAIGNS)))
            @if document.campaigns.is_empty() { (empty(texts.no_campaigns, texts.no_campaigns_hint)) }
            @else {
                (table(view, &document.campaigns[shown.clone()], &accounts))
                @if n > N { (pages(view, &shown, n)) }
            }
            p .soft { (texts.minor_units) " " @if let Some(currency) = &document.currency { (currency) } }
        }
        @if view.permits(Scope::Write) {
            section .card #edit {
                (heading(if is_edited { texts.edit_campaign } else { texts.new_campaign }, None))
                (form(view, entered, is_edited))
            }
        } @else { p .soft { (texts.needs_write_campaigns) } }
    };
    view.page_with(status, PATH, texts.campaigns, body)
}

fn listed_places(places: &[usize]) -> String {
    places.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// Which of all campaigns are shown, and links to those before and behind.
fn pages(view: &View, shown: &Range<usize>, n: usize) -> Markup {
    let texts = view.texts();
    html! {
        p .row {
            span .soft { (count(shown.start as u64 + 1)) "–" (count(shown.end as u64)) " / " (count(n as u64)) }
            @if shown.start > 0 {
                a .button href={ (PATH) "?from=" (shown.start.saturating_sub(N)) } { (texts.previous_page) }
            }
            @if shown.end < n { a .button href={ (PATH) "?from=" (shown.end) } { (texts.next_page) } }
        }
    }
}

fn table(view: &View, campaigns: &[Campaign], accounts: &BTreeMap<&str, &CampaignAccount>) -> Markup {
    let (texts, acts) = (view.texts(), view.permits(Scope::Write));
    let none = CampaignAccount::default();
    html! {
        div .scroll {
            table {
                thead {
                    tr {
                        th { (texts.name) } th { (texts.items) } th { (texts.bid) } th { (texts.spent_today) }
                        th { (texts.spent_total) } th { (texts.holds_for) } th { (texts.period) } th {}
                    }
                }
                tbody {
                    @for campaign in campaigns {
                        @let account = accounts.get(&*campaign.id).copied().unwrap_or(&none);
                        tr {
                            td { b { (said(&campaign.id)) } " " (state(texts, campaign, account)) }
                            td { (sponsored(campaign)) }
                            td { (count(campaign.bid)) }
                            td { (today(texts, campaign, account)) }
                            td { (total(texts, account)) }
                            td { (targeting(texts, campaign)) }
                            td { (period(texts, campaign)) }
                            td {
                                @if acts {
                                    form method="post" action=(PATH) .row data-confirm=(texts.confirm_campaign) {
                                        (view.form_token())
                                        input type="hidden" name="id" value=(campaign.id);
                                        a .button href={ (PATH) "?edit=" (encoded(&campaign.id)) "#edit" } { (texts.edit) }
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

/// Whether the pacing of the day lets it take part.
fn state(texts: &Texts, campaign: &Campaign, account: &CampaignAccount) -> Markup {
    let spent = account.today.amount;
    html! {
        @if spent >= campaign.daily_budget { (badge("warn", texts.budget_spent)) }
        @else if spent > 0 && spent >= account.allowance { (badge("warn", texts.paused_by_pacing)) }
    }
}

fn sponsored(campaign: &Campaign) -> Markup {
    html! {
        (texts_of(campaign.items.iter().map(ItemId::as_str)))
        @if let Some(filter) = &campaign.filter { code { (said(filter)) } }
    }
}

fn texts_of<'t>(texts: impl ExactSizeIterator<Item = &'t str>) -> Markup {
    let n_more = texts.len().saturating_sub(N_TEXTS);
    html! {
        @for text in texts.take(N_TEXTS) { div { (said(text)) } }
        @if n_more > 0 { div .soft { "… " (n_more) } }
    }
}

fn today(texts: &Texts, campaign: &Campaign, account: &CampaignAccount) -> Markup {
    let share = percent(account.today.amount as f64 / campaign.daily_budget as f64);
    html! {
        (count(account.today.amount)) " / " (count(campaign.daily_budget)) " (" (share) ")"
        div .soft { (filled(texts.shown_and_clicked, &[&count(account.today.impressions), &count(account.today.clicks)])) }
    }
}

fn total(texts: &Texts, account: &CampaignAccount) -> Markup {
    html! {
        (count(account.total.amount))
        div .soft { (filled(texts.shown_and_clicked, &[&count(account.total.impressions), &count(account.total.clicks)])) }
    }
}

fn targeting(texts: &Texts, campaign: &Campaign) -> Markup {
    let lists = [
        (texts.scenes, &campaign.scenes),
        (texts.category, &campaign.categories),
        (texts.search_for, &campaign.queries),
    ];
    let is_everywhere = lists.iter().all(|(_, list)| list.is_empty()) && campaign.shoppers.is_none();
    html! {
        @for (label, list) in lists {
            @if !list.is_empty() { div { (label) " " (said(&list.iter().take(N_TEXTS).map(|text| &**text).collect::<Vec<_>>().join(", "))) } }
        }
        @if let Some(shoppers) = &campaign.shoppers { div { (texts.shoppers_filter) " " code { (said(shoppers)) } } }
        @if is_everywhere { (texts.everywhere) }
        @if let Some(most) = campaign.per_shopper { div .soft { (filled(texts.per_day_at_most, &[&most.to_string()])) } }
        @if let Some(floor) = campaign.quality_floor { div .soft { "P ≥ " (floor) } }
    }
}

fn period(texts: &Texts, campaign: &Campaign) -> Markup {
    html! {
        @match (campaign.from, campaign.until) {
            (None, None) => (texts.always),
            (from, until) => {
                @if let Some(from) = from { (time(from)) }
                " – "
                @if let Some(until) = until { (time(until)) }
            }
        }
    }
}

fn lines<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("\n")
}

/// A campaign as its form shows it.
fn entered(campaign: &Campaign) -> Entered {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    Entered::of([
        (INSTEAD_OF, Some(campaign_mark(campaign).into())),
        ("id", Some(campaign.id.to_string())),
        ("bid", Some(campaign.bid.to_string())),
        ("daily_budget", Some(campaign.daily_budget.to_string())),
        ("filter", text(&campaign.filter)),
        ("shoppers", text(&campaign.shoppers)),
        ("per_shopper", campaign.per_shopper.map(|most| most.to_string())),
        ("quality_floor", campaign.quality_floor.map(|floor| floor.to_string())),
        ("from", campaign.from.map(|from| from.to_string())),
        ("until", campaign.until.map(|until| until.to_string())),
        ("items", Some(lines(&campaign.items.iter().map(ItemId::as_str).collect::<Vec<_>>()))),
        ("scenes", Some(lines(&campaign.scenes))),
        ("categories", Some(lines(&campaign.categories))),
        ("queries", Some(lines(&campaign.queries))),
    ])
}

/// The fields of the form, by which faults are told.
const FIELDS: [&str; 13] = [
    "id",
    "bid",
    "daily_budget",
    "filter",
    "shoppers",
    "per_shopper",
    "quality_floor",
    "from",
    "until",
    "items",
    "scenes",
    "categories",
    "queries",
];

fn form(view: &View, entered: &Entered, is_edited: bool) -> Markup {
    let texts = view.texts();
    html! {
        form method="post" action=(PATH) .rule {
            (view.form_token())
            @if is_edited { input type="hidden" name=(INSTEAD_OF) value=[entered.get(INSTEAD_OF)]; }
            @if let Some(fault) = entered.fault_of_none(&FIELDS) { p .notice.bad role="alert" { (fault) } }
            div .row {
                label {
                    (texts.name)
                    input name="id" required maxlength="200" value=[entered.get("id")] readonly[is_edited];
                    (entered.told("id"))
                }
                (entered.line(texts.bid, "bid", "45"))
                (entered.line(texts.daily_budget, "daily_budget", "5000"))
                (entered.line(texts.filter, "filter", "brand:Acme"))
            }
            div .row {
                (entered.line(texts.shoppers_filter, "shoppers", "attributes.segment:vip"))
                (entered.line(texts.most_per_shopper, "per_shopper", "3"))
                (entered.line(texts.quality_floor, "quality_floor", "0.01"))
                (entered.line(texts.from, "from", "2026-11-27T00:00:00Z"))
                (entered.line(texts.until, "until", "2026-12-01T00:00:00Z"))
            }
            (entered.area(texts.item_ids, "items", texts.one_a_line))
            (entered.area(texts.scenes, "scenes", texts.one_a_line))
            (entered.area(texts.category, "categories", texts.one_a_line))
            (entered.area(texts.search_for, "queries", texts.one_a_line))
            div .row {
                button .primary name="action" value="save" { (texts.save_campaign) }
                @if is_edited { a .button href=(PATH) { (texts.cancel) } }
            }
            p .soft { (texts.campaign_note) }
        }
    }
}

/// The campaign of a form. What its texts mean is checked where campaigns are used.
fn campaign_of(fields: &Fields) -> Result<Campaign, Problem> {
    let amount = |field: &str| {
        let expected = "a whole number of minor units";
        fields.number(field, expected)?.ok_or_else(|| fault(field, expected))
    };
    Ok(Campaign {
        id: fields.text("id").ok_or_else(|| fault("id", "a name"))?,
        items: fields.lines("items").map(ItemId::from).collect(),
        filter: fields.text("filter"),
        bid: amount("bid")?,
        daily_budget: amount("daily_budget")?,
        scenes: fields.lines("scenes").map(Box::from).collect(),
        categories: fields.lines("categories").map(Box::from).collect(),
        queries: fields.lines("queries").map(Box::from).collect(),
        shoppers: fields.text("shoppers"),
        per_shopper: fields.number("per_shopper", "a number from 1")?,
        quality_floor: fields.number("quality_floor", "a number from 0 to 1")?,
        from: fields.moment("from")?,
        until: fields.moment("until")?,
    })
}

async fn act(view: View, fields: Fields) -> Result<Response, Problem> {
    let engine = &view.server.engine;
    match fields.get("action") {
        Some("save") => {
            let instead_of = fields.text(INSTEAD_OF);
            let is_edited = instead_of.is_some();
            let saved = match campaign_of(&fields).map(Box::new) {
                Ok(campaign) => {
                    let change = CampaignChange::Put { campaign, instead_of };
                    engine.change_campaigns(change).await.map_err(Problem::from)
                }
                Err(problem) => Err(problem),
            };
            match saved {
                Ok(()) => Ok(Done::Saved.redirect(PATH)),
                // What was typed stays, with what is wrong beside its field.
                Err(problem) if matches!(problem.code(), Code::InvalidValue | Code::Conflict) => {
                    let status = problem.code().status();
                    let entered = Entered::refused(fields, &problem);
                    Ok(render(&view, &engine.campaigns(), &entered, is_edited, status))
                }
                Err(problem) => Err(problem),
            }
        }
        Some("remove") => {
            let id = clipped(fields.get("id").unwrap_or_default(), 1_000);
            engine.change_campaigns(CampaignChange::Remove(id.into())).await?;
            Ok(Done::Removed.redirect(PATH))
        }
        other => Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    }
}
