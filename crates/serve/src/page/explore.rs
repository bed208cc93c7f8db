//! Exploration: the first places of a first page are drawn at random with known propensities, so that answers can later
//! be used to estimate what another order would have earned.
//!
//! Only the order of the page's own items changes, so the next page continues it as if there had been no draw.

use std::borrow::Cow;

use accrue_kernel::Draws;
use accrue_model::Drawn;
use accrue_store::ItemIdx;

use super::{Candidate, Share, Situation};
use crate::{Explore, ReasonCode};

/// Stream of the random numbers that fill places.
const STREAM: u64 = 0x4558_504c;

/// Text for an item that the draw moved up.
const DRAWN: Share = Share {
    code: ReasonCode::Exploration,
    text: Cow::Borrowed("shown here to learn whether shoppers like it"),
    added: 0.0,
};

/// The page with its first places drawn, and their propensities; `None` if nothing was drawn.
pub(super) fn explore(situation: &Situation<'_>, page: Vec<Candidate>) -> (Vec<Candidate>, Option<Drawn>) {
    let Situation { shop, request, context, prepared, .. } = situation;
    let Some((how, seed)) = request.explore else { return (page, None) };
    if request.offset > 0 || page.len() < 2 {
        return (page, None);
    }
    let mut draws = Draws::new(seed, STREAM, 0);
    let drawn = match how {
        Explore::Rank(exploration) => exploration.draw(page.len(), &mut draws),
        Explore::Belief(thompson) => {
            let items: Vec<ItemIdx> = page.iter().map(|candidate| candidate.item).collect();
            thompson.draw(&shop.version.ensemble.beliefs(context, prepared, &items), &mut draws)
        }
    };
    let at_place = |(place, &rank): (usize, &u32)| {
        let mut candidate = page[rank as usize].clone();
        if rank as usize > place {
            candidate.shares.push(DRAWN);
        }
        candidate
    };
    (drawn.ranks.iter().enumerate().map(at_place).collect(), Some(drawn))
}
