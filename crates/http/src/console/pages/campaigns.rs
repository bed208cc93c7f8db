//! Campaigns: what is sponsored into slots of pages, what it spent today and in all. A campaign is listed, edited and
//! removed here.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::{CampaignAccount, CampaignList};
use accrue_event::{Campaign, CampaignDocument, ItemId};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use maud::{Markup, html};

use super::super::form::{Fields, fault};
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
/// Texts of a list that are shown.
const N_TEXTS: usize = 5;

pub(in super::super) fn routes() -> MethodRouter<Arc<Server>> {
    get(page).post(act)
}

async fn page(view: View) -> Response {
    let (texts, list) = (view.texts(), view.server.engine.campaigns());
    let CampaignList { document, accounts, .. } = &list;
    let edited = view.param("edit").and_then(|id| document.campaigns.iter().find(|campaign| &*campaign.id == id));
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
        (outcome(&view))
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
            @else { (table(&view, document, &accounts)) }
            p .soft { (texts.minor_units) " " @if let Some(currency) = &document.currency { (currency) } }
        }
        @if view.permits(Scope::Write) {
            section .card #edit {
                (heading(if edited.is_some() { texts.edit_campaign } else { texts.new_campaign }, None))
                (form(&view, edited))
            }
        } @else { p .soft { (texts.needs_write_campaigns) } }
    };
    view.page(PATH, texts.campaigns, body)
}

fn listed_places(places: &[usize]) -> String {
    places.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn table(view: &View, document: &CampaignDocument, accounts: &BTreeMap<&str, &CampaignAccount>) -> Markup {
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
                    @for campaign in document.campaigns.iter().take(N) {
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

fn form(view: &View, campaign: Option<&Campaign>) -> Markup {
    let texts = view.texts();
    let given = |read: fn(&Campaign) -> Option<String>| campaign.and_then(read);
    let text = |label: &str, field: &str, value: Option<String>, hint: &str| {
        html! { label { (label) input name=(field) value=[value] placeholder=(hint); } }
    };
    let area = |label: &str, field: &str, value: String| {
        html! { label .block { (label) textarea name=(field) placeholder=(texts.one_a_line) { (value) } } }
    };
    html! {
        form method="post" action=(PATH) .rule {
            (view.form_token())
            div .row {
                label {
                    (texts.name)
                    input name="id" required maxlength="200" value=[campaign.map(|campaign| &campaign.id)]
                        readonly[campaign.is_some()];
                }
                (text(texts.bid, "bid", given(|campaign| Some(campaign.bid.to_string())), "45"))
                (text(texts.daily_budget, "daily_budget", given(|campaign| Some(campaign.daily_budget.to_string())), "5000"))
                (text(texts.filter, "filter", given(|campaign| campaign.filter.as_deref().map(str::to_owned)), "brand:Acme"))
            }
            div .row {
                (text(texts.shoppers_filter, "shoppers", given(|campaign| campaign.shoppers.as_deref().map(str::to_owned)),
                    "attributes.segment:vip"))
                (text(texts.most_per_shopper, "per_shopper", given(|campaign| Some(campaign.per_shopper?.to_string())), "3"))
                (text(texts.quality_floor, "quality_floor", given(|campaign| Some(campaign.quality_floor?.to_string())), "0.01"))
                (text(texts.from, "from", given(|campaign| Some(campaign.from?.to_string())), "2026-11-27T00:00:00Z"))
                (text(texts.until, "until", given(|campaign| Some(campaign.until?.to_string())), "2026-12-01T00:00:00Z"))
            }
            (area(texts.item_ids, "items", campaign.map(|of| lines(&of.items.iter().map(ItemId::as_str).collect::<Vec<_>>())).unwrap_or_default()))
            (area(texts.scenes, "scenes", campaign.map(|of| lines(&of.scenes)).unwrap_or_default()))
            (area(texts.category, "categories", campaign.map(|of| lines(&of.categories)).unwrap_or_default()))
            (area(texts.search_for, "queries", campaign.map(|of| lines(&of.queries)).unwrap_or_default()))
            div .row {
                button .primary name="action" value="save" { (texts.save_campaign) }
                @if campaign.is_some() { a .button href=(PATH) { (texts.cancel) } }
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

async fn act(State(server): State<Arc<Server>>, fields: Fields) -> Result<Response, Problem> {
    let mut document = server.engine.campaigns().document;
    let campaigns = &mut document.campaigns;
    let done = match fields.get("action") {
        Some("save") => {
            let campaign = campaign_of(&fields)?;
            match campaigns.iter_mut().find(|known| known.id == campaign.id) {
                Some(known) => *known = campaign,
                None => campaigns.push(campaign),
            }
            Done::Saved
        }
        Some("remove") => {
            let id = clipped(fields.get("id").unwrap_or_default(), 1_000);
            campaigns.retain(|campaign| *campaign.id != *id);
            Done::Removed
        }
        other => return Err(Problem::new(Code::InvalidValue, format!("{other:?} is no action of this page"))),
    };
    server.engine.set_campaigns(document).await?;
    Ok(done.redirect(PATH))
}
