//! Campaigns: which may take part in the auction for the sponsored slots of a page, and the auction.
//!
//! In: the campaigns as the shop wrote them, the ledger, and a page. Out: the campaigns that take part, highest bid first,
//! and from the bids of their items ([`auction`]) those that win slots, each with the price of a click.
//!
//! **Which campaigns take part.** Those whose time it is, whose targeting the page and the shopper pass, that have spent
//! less of the day's budget than [`Ledger::allowance`](accrue_store::Ledger::allowance) permits at this moment (the first
//! click of a day is always permitted), and that the shopper has seen less often today than their cap. A visitor without
//! an identity cannot be counted, so a campaign with a cap is not shown to them.

mod active;
mod auction;
mod compile;
#[cfg(test)]
mod tests;

use accrue_event::{CampaignDocument, Timestamp};

pub(crate) use self::active::{Audience, Running};
pub(crate) use self::auction::{Bid, auction, quality};
pub use self::compile::CampaignFault;
use crate::filter::Filter;

/// Campaigns of a shop, at most.
pub const MAX_CAMPAIGNS: usize = 1_000;
/// Items that one campaign names, at most.
pub const MAX_CAMPAIGN_ITEMS: usize = 1_000;

/// The campaigns of a shop, checked and read.
#[derive(Clone, Debug, Default)]
pub struct Campaigns {
    /// Highest bid first; equal bids by id.
    campaigns: Vec<Campaign>,
    reserve: u64,
}

/// A campaign with its texts read.
#[derive(Clone, Debug)]
struct Campaign {
    written: accrue_event::Campaign,
    filter: Option<Filter>,
    shoppers: Option<Filter>,
    /// The words of each query.
    queries: Vec<Vec<String>>,
    /// Without case.
    categories: Vec<Box<str>>,
}

impl Campaigns {
    /// No campaigns.
    pub const NONE: &'static Self = &Self { campaigns: Vec::new(), reserve: 1 };

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.campaigns.is_empty()
    }

    /// The daily budget of a campaign; `None` if there is none of this id.
    pub fn daily_budget(&self, id: &str) -> Option<u64> {
        self.campaigns.iter().find(|campaign| &*campaign.written.id == id).map(|campaign| campaign.written.daily_budget)
    }
}

impl Campaign {
    fn is_in_time(&self, now_ms: i64) -> bool {
        let accrue_event::Campaign { from, until, .. } = &self.written;
        from.is_none_or(|Timestamp(from)| from <= now_ms) && until.is_none_or(|Timestamp(until)| now_ms < until)
    }
}

/// The least price of a click where the document does not say it.
fn reserve(document: &CampaignDocument) -> u64 {
    document.reserve.unwrap_or(1)
}
