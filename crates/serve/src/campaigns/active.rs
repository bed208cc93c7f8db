//! The campaigns that take part in the auction of one page, and their items.

use std::cell::{Cell, OnceCell};

use accrue_event::{Item, ItemId};
use accrue_store::{ItemIdx, day_of, shopper_hash};

use super::{Campaign, Campaigns};
use crate::filter::Filter;
use crate::suggest::words;
use crate::{RecommendRequest, Shop};

/// Items that one campaign bids for on one page, at most.
const MAX_ITEMS: usize = 30;

/// The caller that asks for a page, as campaigns need it.
pub(crate) struct Audience<'a> {
    shop: Shop<'a>,
    request: &'a RecommendRequest,
    typed: Vec<String>,
    categories: Vec<&'a str>,
    /// By [`shopper_hash`]; `None` for a visitor without an identity.
    shopper: Option<u64>,
    /// The attributes of the shopper, in the form that filters read.
    described: OnceCell<Item>,
}

impl<'a> Audience<'a> {
    pub fn new(shop: &Shop<'a>, request: &'a RecommendRequest) -> Self {
        Self {
            shop: *shop,
            request,
            typed: request.query.as_deref().map(words).unwrap_or_default(),
            categories: request.filter.as_ref().map(Filter::selected_categories).unwrap_or_default(),
            shopper: request.visitor.shopper().map(|shopper| shopper_hash(&shopper)),
            described: OnceCell::new(),
        }
    }

    fn described(&self) -> &Item {
        self.described.get_or_init(|| {
            let user = self.request.visitor.user.as_ref();
            let mut item = Item::bare("shopper".into());
            if let Some(user) = user.and_then(|user| self.shop.facts.described_user(user)) {
                item.attributes = user.attributes.clone();
            }
            item
        })
    }

    /// Whether the page and the shopper are those that the campaign is for, and it may be shown at this moment.
    fn meets(&self, campaign: &Campaign) -> bool {
        let written = &campaign.written;
        let scene = self.request.scene.as_deref().unwrap_or_default();
        campaign.is_in_time(self.shop.now_ms)
            && (written.scenes.is_empty() || written.scenes.iter().any(|of| **of == *scene))
            && (campaign.categories.is_empty() || campaign.categories.iter().any(|of| self.categories.contains(&&**of)))
            && (campaign.queries.is_empty() || campaign.queries.contains(&self.typed))
            && campaign.shoppers.as_ref().is_none_or(|shoppers| shoppers.matches(self.described()))
            && self.is_paced(campaign)
            && self.is_below_cap(campaign)
    }

    fn is_paced(&self, campaign: &Campaign) -> bool {
        let ledger = &self.shop.facts.ledger;
        let at_ms = ledger.time().0;
        let spent = ledger.spent(&campaign.written.id, day_of(at_ms));
        spent == 0 || spent < ledger.allowance(campaign.written.daily_budget, at_ms)
    }

    fn is_below_cap(&self, campaign: &Campaign) -> bool {
        let Some(most) = campaign.written.per_shopper else { return true };
        let Some(shopper) = self.shopper else { return false };
        let ledger = &self.shop.facts.ledger;
        let on_its_way = self.request.lately_sponsored.iter().filter(|of| ***of == *campaign.written.id).count() as u32;
        let shown = ledger.n_shown(shopper, &campaign.written.id, day_of(ledger.time().0));
        shown + on_its_way < most
    }
}

/// A campaign that takes part.
pub(crate) struct Running<'a>(&'a Campaign);

impl Campaigns {
    /// The campaigns that may take part in the auction of this page, highest bid first.
    pub(crate) fn running<'a>(&'a self, audience: &Audience<'_>) -> impl Iterator<Item = Running<'a>> {
        self.campaigns.iter().filter(|campaign| audience.meets(campaign)).map(Running)
    }

    /// The least price of a click.
    pub(crate) fn reserve(&self) -> u64 {
        self.reserve.max(1)
    }
}

impl<'a> Running<'a> {
    pub fn id(&self) -> &'a str {
        &self.0.written.id
    }

    pub fn bid(&self) -> u64 {
        self.0.written.bid
    }

    pub fn quality_floor(&self) -> Option<f32> {
        self.0.written.quality_floor
    }

    /// The items that it bids for, of those that `accepts` lets through: those that it names in their order, or the
    /// best `candidates` that its filter accepts. Counts the items that were looked at in `looked`.
    pub fn items(
        &self,
        shop: &Shop<'_>,
        candidates: &[ItemIdx],
        accepts: impl Fn(ItemIdx) -> bool,
        looked: &Cell<usize>,
    ) -> Vec<ItemIdx> {
        let look = || looked.set(looked.get() + 1);
        let passes = |item: &ItemIdx| {
            look();
            let filter = self.0.filter.as_ref();
            filter.is_none_or(|filter| shop.facts.described(*item).is_some_and(|item| filter.matches_described(item)))
        };
        if self.0.written.items.is_empty() {
            return candidates.iter().copied().filter(passes).filter(|&item| accepts(item)).take(MAX_ITEMS).collect();
        }
        let known = |id: &ItemId| {
            look();
            let item = shop.facts.items.get(id.as_str())?;
            let mut items = std::iter::once(item).chain(shop.variants_of(item).iter().copied());
            items.find(|&item| accepts(item))
        };
        self.0.written.items.iter().filter_map(known).take(MAX_ITEMS).collect()
    }
}
