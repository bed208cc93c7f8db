//! What is chosen most this week, in the categories that the page is about: those that its filter selects, else those of
//! its items, else the whole shop.

use accrue_event::normalised;
use accrue_store::ItemIdx;

use super::Asked;
use crate::filter::Filter;

/// Candidates where the scene sets no limit.
const LIMIT: usize = 100;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let situation = asked.situation;
    let (shop, limit) = (&situation.shop, asked.limit.unwrap_or(LIMIT));
    let mut categories: Vec<String> = situation.request.filter.as_ref().map_or_else(Vec::new, |filter: &Filter| {
        filter.selected_categories().into_iter().map(|category| category.to_string()).collect()
    });
    if categories.is_empty() {
        let of_items = situation.about.iter().filter_map(|&item| shop.facts.described(item));
        categories.extend(
            of_items.flat_map(|item| item.categories().iter().map(|category| normalised(category).into_owned())),
        );
    }
    let is_in_category = |item: ItemIdx| {
        categories.is_empty()
            || shop.facts.described(item).is_some_and(|item| {
                item.categories().iter().any(|category| categories.iter().any(|known| *known == normalised(category)))
            })
    };
    let leaders = shop.version.ensemble.popularity().leaders(shop.facts.stream_time.0).map(|leader| leader.item);
    found.extend(leaders.filter(|&item| is_in_category(item) && (asked.accepts)(item)).take(limit));
    true
}
