//! The rules that answers apply, read from the facts; they are read again whenever the facts have other ones.

use std::sync::Arc;

use accrue_event::ShopRule;
use accrue_serve::Rules;
use accrue_store::{Facts, Offset, RuleTexts};
use arc_swap::ArcSwap;

/// The rules that the facts have. A record that cannot be read, written by another build, counts as none.
pub(crate) fn written(facts: &Facts) -> Vec<ShopRule> {
    let RuleTexts { json, .. } = &facts.shop_rules;
    if json.is_empty() {
        return Vec::new();
    }
    serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::error!(%error, "the rules of the shop in the log cannot be read; no rule holds");
        Vec::new()
    })
}

/// The rules of the shop, read.
#[derive(Default)]
pub(crate) struct ReadRules(ArcSwap<(Offset, Rules)>);

impl ReadRules {
    /// The rules that the facts have now. They are read again after each change.
    pub fn of(&self, facts: &Facts) -> Arc<(Offset, Rules)> {
        let known = self.0.load_full();
        if known.0 == facts.shop_rules.since {
            return known;
        }
        let read = Rules::read(&written(facts)).unwrap_or_else(|fault| {
            tracing::error!(%fault, "the rules of the shop cannot be used; no rule holds");
            Rules::default()
        });
        let read = Arc::new((facts.shop_rules.since, read));
        self.0.store(Arc::clone(&read));
        read
    }
}
