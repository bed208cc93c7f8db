//! Campaigns as a shop puts and reads them.
//!
//! In: campaigns as the shop writes them. Out: one record of all campaigns for each change, and what each has spent.

use accrue_event::{Campaign, CampaignDocument, CampaignRecord, DAY_MS, Timestamp};
use accrue_serve::{CampaignFault, Campaigns};
use accrue_store::{Account, Facts, Offset, Spend};
use xxhash_rust::xxh3::xxh3_64;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::in_force::campaigns::{body, to_change, written};

/// Campaigns of a shop over all time, at most: each has an account for good.
const MAX_ACCOUNTS: usize = 10_000;

/// A change of the campaigns. It is made on those that are in force when it is written, so that changes at the same
/// moment do not undo each other.
#[derive(Clone, Debug)]
pub enum CampaignChange {
    /// These campaigns replace all others.
    Replace(CampaignDocument),
    /// The campaign is added, or replaces the one of its id.
    Put {
        /// The campaign.
        campaign: Box<Campaign>,
        /// The [`campaign_mark`] of the one that it replaces; `None` if there is none to be. Another one was changed
        /// meanwhile, and is not replaced.
        instead_of: Option<Box<str>>,
    },
    /// The campaign of this id is removed.
    Remove(Box<str>),
}

/// A short text that two campaigns have in common only if they are equal.
pub fn campaign_mark(campaign: &Campaign) -> Box<str> {
    format!("{:016x}", xxh3_64(serde_json::to_string(campaign).unwrap_or_default().as_bytes())).into()
}

impl CampaignChange {
    fn of(self, mut known: CampaignDocument) -> Result<CampaignDocument, EngineError> {
        match self {
            Self::Replace(document) => return Ok(document),
            Self::Put { campaign, instead_of } => {
                let place = known.campaigns.iter().position(|known| known.id == campaign.id);
                let now = place.map(|place| campaign_mark(&known.campaigns[place]));
                if now != instead_of {
                    let id = &campaign.id;
                    let message = match (now, instead_of) {
                        (Some(_), None) => format!("there is a campaign {id:?} already; edit that one"),
                        (None, _) => format!("the campaign {id:?} was removed meanwhile"),
                        _ => format!("the campaign {id:?} was changed meanwhile; open it again and repeat your change"),
                    };
                    return Err(EngineError::Conflict { message });
                }
                match place {
                    Some(place) => known.campaigns[place] = *campaign,
                    None => known.campaigns.push(*campaign),
                }
            }
            Self::Remove(id) => known.campaigns.retain(|campaign| campaign.id != id),
        }
        Ok(known)
    }
}

/// The campaigns of a shop and what they spent.
#[derive(Clone, Debug)]
pub struct CampaignList {
    /// The records before this one include the latest change; 0 if there was none.
    pub since: Offset,
    /// The campaigns in force.
    pub document: CampaignDocument,
    /// What each campaign was shown for and spent, also those that are no longer in force, by id.
    pub accounts: Vec<(Box<str>, CampaignAccount)>,
}

/// What a campaign was shown for and spent.
#[derive(Clone, Debug, Default)]
pub struct CampaignAccount {
    /// On the current day of the stream.
    pub today: Spend,
    /// Since its first impression.
    pub total: Spend,
    /// How much of its daily budget may be spent by now; 0 without a campaign in force.
    pub allowance: u64,
    /// Its latest days, oldest first: the moment at which each begins.
    pub days: Vec<(Timestamp, Spend)>,
}

impl CampaignAccount {
    fn of(facts: &Facts, account: Option<&Account>, budget: Option<u64>) -> Self {
        let at_ms = facts.ledger.time().0;
        let begins = |day: i64| Timestamp(day.saturating_mul(DAY_MS));
        Self {
            today: account.map(|account| facts.ledger.today(account)).unwrap_or_default(),
            total: account.map(|account| account.total).unwrap_or_default(),
            allowance: budget.map_or(0, |budget| facts.ledger.allowance(budget, at_ms)),
            days: account
                .map(|known| known.days.iter().map(|&(day, spend)| (begins(day), spend)).collect())
                .unwrap_or_default(),
        }
    }
}

impl Engine {
    /// The campaigns of the shop with their accounts.
    pub fn campaigns(&self) -> CampaignList {
        self.with_shop(|shop| {
            let facts = shop.facts;
            let document = written(facts);
            let budget = |id: &str| shop.campaigns.daily_budget(id);
            let known = facts.ledger.accounts().map(|(id, account)| (id, Some(account)));
            let new = document.campaigns.iter().map(|campaign| &*campaign.id);
            let new = new.filter(|id| facts.ledger.account(id).is_none()).map(|id| (id, None));
            let account = |(id, account): (&str, Option<&Account>)| {
                (Box::from(id), CampaignAccount::of(facts, account, budget(id)))
            };
            let accounts = known.chain(new).map(account).collect();
            CampaignList { since: facts.ledger.document().since, accounts, document }
        })
    }

    /// Changes the campaigns of the shop. They hold from the next answer on.
    ///
    /// # Errors
    /// [`EngineError::Campaigns`], [`EngineError::Conflict`] if the campaign was changed meanwhile, and those of
    /// [`Engine::ingest_from`].
    pub async fn change_campaigns(&self, change: CampaignChange) -> Result<(), EngineError> {
        let asked = change.clone();
        self.with_shop(|shop| {
            let known = known_to(&asked, shop.facts)?;
            let document = asked.of(known.clone())?;
            Campaigns::read(&document)?;
            Ok::<_, EngineError>(shop.check_campaigns(&document, &known)?)
        })?;
        self.edit(move |facts, _| {
            let known = known_to(&change, facts)?;
            let document = change.of(known.clone())?;
            Campaigns::read(&document)?;
            check_accounts(facts, &document)?;
            if known == document {
                return Ok(Vec::new());
            }
            Ok(vec![body(CampaignRecord::Document(document))?])
        })
        .await
    }
}

/// The campaigns that a change is made on. One that replaces them all needs none that can be read.
fn known_to(change: &CampaignChange, facts: &Facts) -> Result<CampaignDocument, EngineError> {
    if matches!(change, CampaignChange::Replace(_)) { Ok(written(facts)) } else { to_change(facts) }
}

/// Refuses further campaigns where too many have an account.
fn check_accounts(facts: &Facts, document: &CampaignDocument) -> Result<(), CampaignFault> {
    let new = document.campaigns.iter().filter(|campaign| facts.ledger.account(&campaign.id).is_none()).count();
    if facts.ledger.accounts().count() + new > MAX_ACCOUNTS {
        let message =
            format!("more than {MAX_ACCOUNTS} campaigns would have an account; use ids of earlier ones again");
        return Err(CampaignFault { field: "campaigns".into(), message });
    }
    Ok(())
}
