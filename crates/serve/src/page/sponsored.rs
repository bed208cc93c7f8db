//! Sponsored slots: on scenes that say so, items of campaigns stand at given places of the first page.
//!
//! The page is made without them first. Then the campaigns that may take part bid for items that the page does not have
//! and that could stand on it: what is sold out, hidden, excluded, disliked, filtered out, bought or already on the page
//! is never sponsored. An [auction](crate::campaigns) by bid × P(click) gives the slots to the best; the items below move
//! down, and the last ones off the page; the next page begins with them, at `next_offset` of the answer.
//!
//! P(click) is that of the click heads for the first slot's place. Before they have learned enough, campaigns with a
//! quality floor do not take part; without heads there is nothing to sell by. On a page with a sponsored item no place is
//! drawn by chance.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use accrue_store::ItemIdx;

use super::retrieve::Retrieval;
use super::seen::bought;
use super::work::Stage;
use super::{Candidate, Share, Situation};
use crate::campaigns::{Audience, Bid, Running, auction, quality};
use crate::predict::has_learned_enough;
use crate::shop::Product;
use crate::{Degraded, ReasonCode};

/// Campaigns that bid on one page, at most: those with the highest bids that have an item for it.
const MAX_CAMPAIGNS: usize = 100;
/// Items that are compared by P(click), at most.
const MAX_ITEMS: usize = 300;
/// Items that are looked at to find those for which campaigns may bid, at most: as many as 333 filters find among the best
/// candidates.
const MAX_LOOKED: usize = 100_000;
/// The best candidates of the page, among which filters of campaigns find items.
pub(super) const AMONG: usize = 300;

/// A sponsored item of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sponsored {
    /// The place on the page, from 0.
    pub place: usize,
    pub campaign: Box<str>,
    /// What a click costs, in minor units.
    pub price: u64,
}

/// Whether campaigns may stand on the page.
pub(super) fn has_slots(situation: &Situation<'_>) -> bool {
    let Situation { shop, request, scene, .. } = situation;
    !scene.sponsored.is_empty() && !shop.campaigns.is_empty() && request.offset == 0 && request.n > 0
}

/// The page with the winners of its slots. `best` are the best candidates, best first.
pub(super) fn sponsor(
    situation: &Situation<'_>,
    retrieval: &Retrieval<'_>,
    best: &[ItemIdx],
    mut page: Vec<Candidate>,
) -> (Vec<Candidate>, Vec<Sponsored>) {
    let Situation { shop, request, scene, prepared, .. } = situation;
    // A slot behind the end of a short page stays empty. One place at least is not for sale, so that the next page begins
    // behind this one, and a visitor who turns pages sees everything.
    let n_places = request.n.min(page.len() + scene.sponsored.len());
    let n_for_sale = if page.is_empty() { 0 } else { request.n - 1 };
    let places = scene.sponsored.iter().map(|place| place - 1).filter(|place| *place < n_places);
    let slots: Vec<usize> = places.take(n_for_sale).collect();
    let Some(&first) = slots.first() else { return (page, Vec::new()) };
    if !request.may_be_sponsored {
        situation.work.fall_back(Stage::Rerank, Degraded::SponsoredWithheld);
        return (page, Vec::new());
    }
    let won = auction(bids(situation, retrieval, best, &page, first), slots.len(), shop.campaigns.reserve());
    let items: Vec<ItemIdx> = won.iter().map(|(bid, _)| bid.item).collect();
    let scores = shop.version.ensemble.score_all(prepared, &items);
    let mut sponsored = Vec::new();
    for (((bid, price), score), place) in won.into_iter().zip(scores).zip(slots) {
        if place > page.len() {
            break;
        }
        let text = Cow::Owned(format!("sponsored by campaign {}", bid.campaign));
        let shares = vec![Share { code: ReasonCode::Sponsored, text, added: 0.0 }];
        page.insert(place, Candidate { item: bid.item, score, shares });
        sponsored.push(Sponsored { place, campaign: bid.campaign.into(), price });
    }
    page.truncate(request.n);
    (page, sponsored)
}

/// What campaigns bid for items that may stand on the page.
fn bids<'a>(
    situation: &Situation<'a>,
    retrieval: &Retrieval<'_>,
    best: &[ItemIdx],
    page: &[Candidate],
    first: usize,
) -> Vec<Bid<'a>> {
    let Situation { shop, request, context, prepared, .. } = situation;
    let counted = |item: ItemIdx| shop.counted(item, request.grouping);
    let mut barred: BTreeSet<Product> = page.iter().map(|candidate| counted(candidate.item)).collect();
    barred.extend(bought(shop, context.past).into_iter().map(counted));
    let accepts = |item: ItemIdx| !barred.contains(&counted(item)) && retrieval.accepts(item);
    let audience = Audience::new(shop, request);
    let mut wanted: Vec<(Running<'a>, Vec<ItemIdx>)> = Vec::new();
    let (mut items, looked) = (BTreeSet::new(), Cell::new(0));
    for campaign in shop.campaigns.running(&audience) {
        if looked.get() >= MAX_LOOKED {
            break;
        }
        let of_campaign = campaign.items(shop, best, accepts, &looked);
        if of_campaign.is_empty() {
            continue;
        }
        items.extend(of_campaign.iter().copied());
        wanted.push((campaign, of_campaign));
        if items.len() >= MAX_ITEMS || wanted.len() >= MAX_CAMPAIGNS {
            break;
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    let Some(heads) = &shop.version.clicks else {
        situation.work.fall_back(Stage::Rerank, Degraded::NoImpressions);
        return Vec::new();
    };
    let is_known = has_learned_enough(heads);
    if !is_known {
        situation.work.fall_back(Stage::Rerank, Degraded::FewImpressions);
    }
    let items: Vec<ItemIdx> = items.into_iter().take(MAX_ITEMS).collect();
    let foreseen = shop.foresee(heads, context, prepared, &items, |_| Some(first as u32));
    let p_click: HashMap<ItemIdx, f32> = items.into_iter().zip(foreseen.into_iter().map(|[click, ..]| click)).collect();
    let mut bids = Vec::new();
    for (campaign, items) in &wanted {
        let floor = campaign.quality_floor();
        if floor.is_some() && !is_known {
            continue;
        }
        let known = items.iter().filter_map(|&item| Some((item, *p_click.get(&item)?)));
        let good = known.filter(|(_, p_click)| floor.is_none_or(|floor| *p_click >= floor));
        bids.extend(good.map(|(item, p_click)| Bid {
            campaign: campaign.id(),
            item,
            product: counted(item),
            bid: campaign.bid(),
            quality: quality(p_click),
        }));
    }
    bids
}
