//! The candidates of every model that learns, as many of each as its settings say.

use accrue_store::ItemIdx;

use super::Asked;

pub(super) fn find(asked: &Asked<'_>, found: &mut Vec<ItemIdx>) -> bool {
    let situation = asked.situation;
    let ensemble = &situation.shop.version.ensemble;
    found.extend(ensemble.candidates(&situation.context, situation.prepared, asked.limit.unwrap_or(usize::MAX)));
    true
}
