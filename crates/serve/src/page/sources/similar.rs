//! What is like the items of the page, or, on a page about no item, like the shopper's latest choices: by the vectors of
//! an encoder where the shop has them, else by the words of descriptions.

use accrue_kernel::{QuantisedQuery, TopK};
use accrue_store::ItemIdx;

use super::Asked;

/// Candidates where the scene sets no limit.
const LIMIT: usize = 60;
/// Items that candidates are like, at most.
const MAX_LIKE: usize = 4;
/// Vectors that are read for each of them, at most, and descriptions that are compared; the newest first.
const MAX_VECTORS: usize = 16_384;
const MAX_DESCRIPTIONS: usize = 4_096;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let like = like(asked);
    if like.is_empty() {
        return true;
    }
    let limit = asked.limit.unwrap_or(LIMIT).div_ceil(like.len());
    for &item in &like {
        let accepts = |other: ItemIdx| other != item && (asked.accepts)(other);
        found.extend(by_vector(asked, item, limit, accepts).unwrap_or_else(|| by_words(asked, item, limit, accepts)));
    }
    true
}

/// The items that candidates are to be like, each once.
fn like(asked: &Asked<'_>) -> Vec<ItemIdx> {
    let situation = asked.situation;
    let mut like: Vec<ItemIdx> = Vec::new();
    let chosen = situation.context.past.iter().rev().filter(|past| situation.context.weight(past) > 0.0);
    let of_page = situation.about.iter().rev().copied();
    let latest = chosen.map(|past| past.item).filter(|_| situation.about.is_empty());
    for item in of_page.chain(latest) {
        if like.len() == MAX_LIKE {
            break;
        }
        if !like.contains(&item) {
            like.push(item);
        }
    }
    like
}

fn by_vector(
    asked: &Asked<'_>,
    item: ItemIdx,
    limit: usize,
    accepts: impl Fn(ItemIdx) -> bool,
) -> Option<Vec<ItemIdx>> {
    let vectors = asked.situation.shop.version.ensemble.catalogue.vectors();
    let mut query = vec![0.0; vectors.width()];
    vectors.get(item)?.add_to(1.0, &mut query);
    Some(vectors.nearest(&QuantisedQuery::new(&query), MAX_VECTORS, limit, accepts))
}

fn by_words(asked: &Asked<'_>, item: ItemIdx, limit: usize, accepts: impl Fn(ItemIdx) -> bool) -> Vec<ItemIdx> {
    let shop = &asked.situation.shop;
    let catalogue = &shop.version.ensemble.catalogue;
    let others = (0..catalogue.n_items().min(shop.facts.items.len() as u32)).rev().take(MAX_DESCRIPTIONS);
    let mut best = TopK::new(limit);
    for other in others {
        asked.situation.work.compare(1);
        let cosine = catalogue.cosine(item, other);
        if cosine > 0.0 && cosine > best.threshold() && accepts(other) {
            best.push(cosine, other);
        }
    }
    best.into_sorted().into_iter().map(|(_, item)| item).collect()
}
