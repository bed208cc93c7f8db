//! Items that the models have not met, newest first, and those published lately: an item that was just posted competes
//! at once.

use accrue_store::ItemIdx;

use super::Asked;

/// Items unknown to the models that compete, and as many that were published lately, where the scene sets no limit.
const LIMIT: usize = 32;
/// Items unknown to the models that are looked at, at most.
const MAX_LOOKED_AT: usize = 1024;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let (shop, limit) = (&asked.situation.shop, asked.limit.unwrap_or(LIMIT));
    found.extend(shop.unmet().take(MAX_LOOKED_AT).filter(|&item| (asked.accepts)(item)).take(limit));
    found.extend(shop.just_published(limit));
    true
}
