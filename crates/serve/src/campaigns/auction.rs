//! The auction for the sponsored slots of one page: generalized second price (Edelman, Ostrovsky, Schwarz 2007; Varian
//! 2007).
//!
//! In: bids, each with the probability of a click. Out: the winners of the slots, best first, with the price of a click:
//! the smallest bid that would have kept the place against the bids that did not win before it, or the reserve.
//!
//! ```text
//! eCPM(i)  = bid(i) · P(click on i)                                 in decreasing order
//! price(i) = min { b : b · P(click on i) is not behind eCPM(j) }    j: the best other campaign behind i
//! ```
//!
//! All of it is in integers: bids are minor units of a currency and probabilities are steps of 2⁻²⁴, so prices are exact
//! and the same on every machine. A campaign wins one slot of a page, and a product stands in one.

use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;

use accrue_store::ItemIdx;

use crate::shop::Product;

/// Steps of a probability of 1.
const STEPS: f32 = 16_777_216.0;

/// A probability in steps, at least one.
pub(crate) fn quality(p_click: f32) -> u64 {
    // A float converts with saturation, and NaN to 0.
    ((p_click * STEPS) as u64).clamp(1, STEPS as u64)
}

/// The bid of a campaign for one of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bid<'a> {
    /// The id of the campaign.
    pub campaign: &'a str,
    pub item: ItemIdx,
    pub product: Product,
    /// Minor units for a click.
    pub bid: u64,
    /// [`quality`] of the probability of a click.
    pub quality: u64,
}

impl Bid<'_> {
    /// What a page is expected to earn, in steps.
    fn ecpm(&self) -> u64 {
        self.bid * self.quality
    }

    /// Best first; equal ones by campaign and item.
    fn order(&self, other: &Self) -> Ordering {
        let key = |bid: &Self| Reverse(bid.ecpm());
        key(self).cmp(&key(other)).then_with(|| self.tie(other))
    }

    fn tie(&self, other: &Self) -> Ordering {
        self.campaign.cmp(other.campaign).then(self.item.cmp(&other.item))
    }

    /// The smallest bid with which it stands before `other`.
    fn least_before(&self, other: &Self) -> u64 {
        let wanted = other.ecpm();
        match self.tie(other) {
            Ordering::Less => wanted.div_ceil(self.quality),
            _ => wanted / self.quality + 1,
        }
    }
}

/// The winners of `n_slots` slots, best first, each with its price.
pub(crate) fn auction<'a>(mut bids: Vec<Bid<'a>>, n_slots: usize, reserve: u64) -> Vec<(Bid<'a>, u64)> {
    bids.sort_by(Bid::order);
    let mut won: Vec<(Bid<'a>, u64)> = Vec::new();
    let (mut campaigns, mut products) = (HashSet::new(), HashSet::new());
    for (place, bid) in bids.iter().enumerate() {
        if won.len() == n_slots {
            break;
        }
        if campaigns.contains(bid.campaign) || products.contains(&bid.product) {
            continue;
        }
        // The next that could take the slot: of no campaign that has one, and of no product that stands above.
        let is_rival = |other: &&Bid<'a>| {
            other.campaign != bid.campaign && !campaigns.contains(other.campaign) && !products.contains(&other.product)
        };
        let next = bids[place + 1..].iter().find(is_rival);
        let price = next.map_or(reserve, |next| bid.least_before(next).max(reserve));
        campaigns.insert(bid.campaign);
        products.insert(bid.product);
        won.push((*bid, price));
    }
    won
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    fn bids() -> impl Strategy<Value = Vec<Bid<'static>>> {
        let bid = (0..NAMES.len(), 0..12_u32, 1..2_000_u64, 1e-6..1.0_f32);
        proptest::collection::vec(bid, 0..40).prop_map(|bids| {
            let of_campaign = |name: usize, bid: u64| (name as u64 * 311 + bid) % 2_000 + 1;
            let mut bids: Vec<Bid<'static>> = bids
                .into_iter()
                .map(|(name, item, _, p)| Bid {
                    campaign: NAMES[name],
                    item,
                    product: Product::Alone(item),
                    bid: of_campaign(name, 7),
                    quality: quality(p),
                })
                .collect();
            // An item has one probability, and a campaign has an item once.
            let mut met = HashSet::new();
            bids.retain(|bid| met.insert((bid.campaign, bid.item)));
            for place in 1..bids.len() {
                let first =
                    bids[..place].iter().find(|other| other.item == bids[place].item).map(|other| other.quality);
                bids[place].quality = first.unwrap_or(bids[place].quality);
            }
            bids
        })
    }

    proptest! {
        #[test]
        fn prices_lie_between_the_runner_up_and_the_bid_and_no_smaller_bid_keeps_the_place(
            bids in bids(), n_slots in 0..4_usize, reserve in 1..30_u64
        ) {
            let bids: Vec<_> = bids.into_iter().filter(|bid| bid.bid >= reserve).collect();
            let won = auction(bids.clone(), n_slots, reserve);
            prop_assert!(won.len() <= n_slots);
            prop_assert!(won.is_sorted_by_key(|(bid, _)| Reverse(bid.ecpm())));
            for (slot, (winner, price)) in won.iter().enumerate() {
                prop_assert!(reserve <= *price && *price <= winner.bid, "{price} {winner:?}");
                // The place is kept with the price, whatever the winner's campaign bids for its other items.
                let with = |amount: u64| {
                    let others = bids.iter().filter(|bid| bid.campaign != winner.campaign).copied();
                    let again: Vec<_> = others.chain([Bid { bid: amount, ..*winner }]).collect();
                    auction(again, n_slots, reserve).iter().position(|(bid, _)| bid.campaign == winner.campaign)
                };
                prop_assert!(with(*price) <= Some(slot) && with(*price).is_some(), "{price} {winner:?} {won:?}");
                if *price > reserve {
                    let behind = with(price - 1);
                    prop_assert!(behind.is_none_or(|place| place > slot), "{price} {winner:?} {won:?}");
                }
                if let Some((next, _)) = won.get(slot + 1) {
                    prop_assert!(price * winner.quality >= next.ecpm(), "less than the runner-up");
                }
            }
        }
    }

    fn bid(campaign: &'static str, item: u32, bid: u64, p: f32) -> Bid<'static> {
        Bid { campaign, item, product: Product::Alone(item), bid, quality: quality(p) }
    }

    #[test]
    fn the_second_price_is_what_the_next_would_have_earned_by_the_own_probability() {
        let won = auction(vec![bid("a", 1, 100, 0.25), bid("b", 2, 60, 0.375), bid("c", 3, 50, 0.125)], 2, 1);
        let told: Vec<_> = won.iter().map(|(bid, price)| (bid.campaign, *price)).collect();
        // 60 × .375 / .25 = 90, and 50 × .125 / .375 = 16.7, rounded up to the next minor unit.
        assert_eq!(told, [("a", 90), ("b", 17)]);
    }

    #[test]
    fn equal_bids_are_ordered_by_campaign_and_cost_what_they_bid() {
        let won = auction(vec![bid("b", 2, 50, 0.1), bid("a", 1, 50, 0.1)], 1, 1);
        assert_eq!((won[0].0.campaign, won[0].1), ("a", 50));
        let won = auction(vec![bid("a", 1, 50, 0.1)], 3, 7);
        assert_eq!((won.len(), won[0].1), (1, 7), "alone at the reserve");
    }

    #[test]
    fn hostile_probabilities_have_a_quality() {
        assert_eq!([f32::NAN, -1.0, 0.0, 1e30].map(quality), [1, 1, 1, STEPS as u64]);
    }
}
