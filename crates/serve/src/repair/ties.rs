//! Ties of a query to a category: shoppers choose its items after the query, and others stand before them.

use std::collections::{BTreeMap, BTreeSet};

use accrue_event::{ItemId, normalised};
use accrue_store::{ProposalKind, Reformulations};

use super::effect::{Chosen, chosen_after, ids, ndcg};
use super::gate::Share;
use super::{Proposal, Refusal, RepairItem, RepairSettings, RepairView, Tested};
use crate::search::{SearchError, SearchReader};

/// Choosers of own events without whom nothing is said of a query.
const MIN_CHOOSERS: usize = 8;
/// The lower bound of the share of choosers who choose the category.
const LEAST_SHARE: f64 = 0.6;
/// A tie is of use only while at most this share of the first hits is of the category.
const MOST_SHOWN: f64 = 0.5;
const TOP: usize = 10;
/// What the past searches must gain.
const LEAST_GAIN: f64 = 0.02;

/// A query with the category of what is chosen after it.
pub(super) struct Tie {
    pub proposal: Proposal,
    chosen: Chosen,
}

/// The queries of enough choosers, each with the category that most of them chose.
pub(super) fn of(found: &Reformulations, view: &RepairView<'_>, settings: &RepairSettings) -> Vec<Tie> {
    let least = MIN_CHOOSERS.max(settings.least_shoppers as usize);
    let mut ties = Vec::new();
    for (query, outcome) in found.queries() {
        let mut choosers: BTreeSet<u32> = BTreeSet::new();
        let mut by_category: BTreeMap<Box<str>, (BTreeSet<u32>, usize)> = BTreeMap::new();
        for chosen in &outcome.items {
            choosers.extend(&chosen.shoppers);
            let categories = (view.item)(&chosen.item).map(|item| item.categories).unwrap_or_default();
            for (depth, category) in categories.into_iter().enumerate().filter(|(_, category)| may_be_named(category)) {
                let (shoppers, deepest) = by_category.entry(category).or_default();
                shoppers.extend(&chosen.shoppers);
                *deepest = depth.max(*deepest);
            }
        }
        // Of categories that as many chose, the narrowest; items name it last.
        let most = by_category.into_iter().max_by_key(|(_, (shoppers, depth))| (shoppers.len(), *depth));
        let Some((category, (shoppers, _))) = most.filter(|_| choosers.len() >= least) else { continue };
        let mut proposal = Proposal::new(ProposalKind::Category, query, &category);
        (proposal.shoppers, proposal.of) = (shoppers.len(), choosers.len());
        proposal.queries = vec![query.into()];
        ties.push(Tie { proposal, chosen: chosen_after(outcome) });
    }
    ties
}

/// Whether a category can be written in a filter between quotes.
fn may_be_named(category: &str) -> bool {
    !category.is_empty()
        && category.len() <= 100
        && !category.contains(['"', '\\'])
        && !category.contains(char::is_control)
}

fn is_of(item: &RepairItem, category: &str) -> bool {
    let category = normalised(category);
    item.categories.iter().any(|own| normalised(own) == category)
}

impl Tie {
    /// It with its evidence: most choosers choose the category.
    pub fn tested(&self) -> Tested {
        let share = Share { n: self.proposal.shoppers as f64, of: self.proposal.of as f64 };
        let evidence = share.above(LEAST_SHARE);
        Tested { proposal: self.proposal.clone(), share, evidence, refusal: Refusal::Chance }
    }

    /// What past searches gain, if the category stands behind others today and what was chosen comes earlier with the category
    /// raised by `factor`.
    pub fn gain(
        &self,
        view: &RepairView<'_>,
        reader: &SearchReader,
        factor: f32,
    ) -> Result<Result<f32, Refusal>, SearchError> {
        let before = (view.rank)(reader, &self.proposal.from)?;
        let is_of = |id: &ItemId| (view.item)(id).is_some_and(|item| is_of(&item, &self.proposal.to));
        let first = before.iter().take(TOP);
        let n_shown = first.clone().filter(|(id, _)| is_of(id)).count();
        if n_shown as f64 > MOST_SHOWN * first.len() as f64 {
            return Ok(Err(Refusal::NoGain));
        }
        let mut after: Vec<(ItemId, f32)> =
            before.iter().map(|(id, score)| (id.clone(), if is_of(id) { score * factor } else { *score })).collect();
        after.sort_by(|a, b| b.1.total_cmp(&a.1));
        let gain = ndcg(&self.chosen, &ids(&after)) - ndcg(&self.chosen, &ids(&before));
        Ok(if gain >= LEAST_GAIN { Ok(gain as f32) } else { Err(Refusal::NoGain) })
    }
}
