//! `/v1/campaigns`: what is sponsored into slots of pages, and what it spent.

use std::collections::BTreeMap;
use std::sync::Arc;

use accrue_engine::{CampaignAccount, CampaignChange, CampaignList};
use accrue_event::{Campaign, CampaignDocument, ItemId, Timestamp};
use accrue_store::{Offset, Spend};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body;
use super::params::{Id, clean_item};
use super::problem::{Code, Problem, ProblemDocument};
use super::schema::CampaignRecord;
use super::server::Server;

/// The campaigns of the shop, all of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCampaigns)]
pub(super) struct NewCampaignsBody {
    /// ISO 4217 code of the currency in whose minor units all amounts are; it is shown, and nothing is converted.
    #[schema(value_type = Option<String>, example = "EUR")]
    currency: Option<Box<str>>,
    /// The least price of a click in minor units: 1 to 1000000000, 1 if left out.
    #[schema(example = 5)]
    reserve: Option<u64>,
    /// At most 1000, each with an id of its own.
    #[schema(value_type = Vec<CampaignRecord>)]
    campaigns: Vec<Campaign>,
}

/// The campaigns of the shop.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Campaigns)]
pub(super) struct CampaignsBody {
    /// The records of the log before this one include the latest change; 0 if there was none.
    #[schema(example = 48214)]
    offset: u64,
    /// ISO 4217 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    currency: Option<Box<str>>,
    /// The least price of a click, in minor units.
    reserve: u64,
    /// As they were sent.
    #[schema(value_type = Vec<CampaignRecord>)]
    campaigns: Vec<Campaign>,
    /// What each campaign was shown for and spent, by its id, also those that are no longer in force.
    spend: BTreeMap<Box<str>, CampaignSpendBody>,
    /// Items that campaigns name and the catalogue does not have, by their ids; absent if there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
    missing: BTreeMap<Box<str>, Vec<ItemId>>,
}

/// One campaign.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignWithSpend)]
pub(super) struct CampaignBody {
    /// The campaign; absent if it is no longer in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CampaignRecord>)]
    campaign: Option<Campaign>,
    /// What it was shown for and spent.
    spend: CampaignSpendBody,
    /// The same of its latest days, oldest first; at most 35.
    days: Vec<DayBody>,
}

/// What a campaign was shown for and spent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CampaignSpend)]
pub(super) struct CampaignSpendBody {
    /// On the current day of the stream (UTC), that of the latest event.
    today: SpendBody,
    /// Since its first impression.
    total: SpendBody,
    /// How much of the daily budget may be spent by now: the share of a day's events that usually happen by this time.
    /// While more is spent, the campaign does not take part. In minor units.
    allowance: u64,
}

/// Impressions, clicks and what they cost.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Spend)]
pub(super) struct SpendBody {
    /// Answers in which an item of the campaign stood.
    impressions: u64,
    /// Clicks on it: the first choice of the item that names the answer.
    clicks: u64,
    /// What the clicks cost, in minor units.
    amount: u64,
    /// Further clicks that are not charged: of a visitor who clicked on the item within the hour before, and of an
    /// address beyond `check.published.charged_clicks_per_address`.
    invalid: u64,
}

/// A day of a campaign.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = CampaignDay)]
pub(super) struct DayBody {
    /// When it begins.
    #[schema(value_type = String, example = "2026-11-21T00:00:00Z")]
    from: Timestamp,
    #[serde(flatten)]
    spend: SpendBody,
}

impl From<Spend> for SpendBody {
    fn from(Spend { impressions, clicks, amount, invalid }: Spend) -> Self {
        Self { impressions, clicks, amount, invalid }
    }
}

impl From<&CampaignAccount> for CampaignSpendBody {
    fn from(account: &CampaignAccount) -> Self {
        Self { today: account.today.into(), total: account.total.into(), allowance: account.allowance }
    }
}

impl Server {
    fn campaigns(&self) -> Json<CampaignsBody> {
        let CampaignList { since: Offset(offset), document, accounts } = self.engine.campaigns();
        let CampaignDocument { currency, reserve, campaigns } = document;
        let spend = accounts.iter().map(|(id, account)| (id.clone(), account.into())).collect();
        let missing = self.missing(campaigns.iter().map(|campaign| (&*campaign.id, &campaign.items[..])));
        Json(CampaignsBody { offset, currency, reserve: reserve.unwrap_or(1), campaigns, spend, missing })
    }
}

/// The campaigns of the shop
#[utoipa::path(
    get,
    path = "/v1/campaigns",
    tag = "operate",
    responses(
        (status = 200, description = "All campaigns", body = CampaignsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Arc<Server>>) -> Json<CampaignsBody> {
    server.campaigns()
}

/// Replace all campaigns of the shop
///
/// They hold from the next answer on, in the slots of scenes with `sponsored`. A campaign with a fault refuses all of
/// them, and nothing changes. What was spent stays, by the id of the campaign.
#[utoipa::path(
    put,
    path = "/v1/campaigns",
    tag = "operate",
    request_body = NewCampaignsBody,
    responses(
        (status = 200, description = "All campaigns", body = CampaignsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replace(
    State(server): State<Arc<Server>>,
    body::Json(body): body::Json<NewCampaignsBody>,
) -> Result<Json<CampaignsBody>, Problem> {
    let NewCampaignsBody { currency, reserve, campaigns } = body;
    let campaigns = campaigns.into_iter().map(with_clean_ids).collect();
    let document = CampaignDocument { currency, reserve, campaigns };
    server.engine.change_campaigns(CampaignChange::Replace(document)).await?;
    Ok(server.campaigns())
}

/// A campaign whose items are named as records name them.
fn with_clean_ids(campaign: Campaign) -> Campaign {
    Campaign { items: campaign.items.iter().map(clean_item).collect(), ..campaign }
}

/// A campaign and what it spent
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}",
    tag = "operate",
    params(("id" = String, Path, description = "The campaign")),
    responses(
        (status = 200, description = "The campaign", body = CampaignBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(State(server): State<Arc<Server>>, Id(id): Id) -> Result<Json<CampaignBody>, Problem> {
    let CampaignList { document, accounts, .. } = server.engine.campaigns();
    let Some((_, account)) = accounts.into_iter().find(|(known, _)| **known == *id) else {
        return Err(Problem::new(Code::NotFound, format!("there is no campaign {id:?}, and there never was one")));
    };
    let campaign = document.campaigns.into_iter().find(|campaign| *campaign.id == *id);
    let days = account.days.iter().map(|&(from, spend)| DayBody { from, spend: spend.into() }).collect();
    Ok(Json(CampaignBody { campaign, spend: (&account).into(), days }))
}
