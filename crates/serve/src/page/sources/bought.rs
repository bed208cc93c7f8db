//! What the shopper bought and kept.

use accrue_store::ItemIdx;

use super::Asked;
use crate::page::seen::bought;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let situation = asked.situation;
    let bought = bought(&situation.shop, situation.context.past).into_iter().filter(|&item| (asked.accepts)(item));
    found.extend(bought.take(asked.limit.unwrap_or(usize::MAX)));
    true
}
