//! What shoppers chose after the search that the page stands beside, by what the shop has learned of its words.

use accrue_store::ItemIdx;

use super::Asked;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let situation = asked.situation;
    let Some(query) = situation.request.query.as_deref() else { return true };
    let facts = situation.shop.facts;
    let chosen = facts.searches.chosen(query, facts.stream_time.0).into_iter().map(|chosen| chosen.item);
    found.extend(chosen.filter(|&item| (asked.accepts)(item)).take(asked.limit.unwrap_or(usize::MAX)));
    true
}
