//! Rules as a shop puts and reads them.
//!
//! In: rules as the shop writes them. Out: one record of all rules for each change.

use accrue_event::ShopRule;
use accrue_serve::{RuleFault, Rules, Shop};
use accrue_store::{Body, Offset};

use crate::engine::Engine;
use crate::error::{EngineError, Resource};
use crate::in_force::rules::written;

/// A change of the rules.
#[derive(Clone, Debug)]
pub enum RuleChange {
    /// These rules replace all others.
    Replace(Vec<ShopRule>),
    /// The rule is added, or replaces the one of its name.
    Put(Box<ShopRule>),
    /// The rule of this name is removed.
    Remove(Box<str>),
}

impl RuleChange {
    /// Refuses new rules about fields that no item has: a negated condition on such a field holds for every item, so a
    /// typing error in a rule that hides would empty the shop.
    fn check_fields(&self, shop: &Shop<'_>) -> Result<(), RuleFault> {
        match self {
            RuleChange::Replace(rules) => {
                for (place, rule) in rules.iter().enumerate() {
                    shop.check_rule(rule).map_err(|fault| fault.within(&format!("rules[{place}]")))?;
                }
                Ok(())
            }
            RuleChange::Put(rule) => shop.check_rule(rule),
            RuleChange::Remove(_) => Ok(()),
        }
    }

    fn of(self, mut rules: Vec<ShopRule>) -> Result<Vec<ShopRule>, EngineError> {
        match self {
            RuleChange::Replace(rules) => {
                Rules::read(&rules)?;
                return Ok(rules);
            }
            RuleChange::Put(rule) => {
                let own = |RuleFault { field, message }| {
                    let field = field.trim_start_matches("rules[0].").to_owned();
                    EngineError::Rules(RuleFault { field, message })
                };
                Rules::read(std::slice::from_ref(&rule)).map_err(own)?;
                match rules.iter_mut().find(|known| known.name == rule.name) {
                    Some(known) => *known = *rule,
                    None => rules.push(*rule),
                }
            }
            RuleChange::Remove(name) => {
                let n = rules.len();
                rules.retain(|rule| rule.name != name);
                if rules.len() == n {
                    return Err(EngineError::NotFound { what: Resource::Rule, id: name.into() });
                }
            }
        }
        Rules::read(&rules)?;
        Ok(rules)
    }
}

impl Engine {
    /// The rules of the shop, and the offset after their latest change.
    pub fn rules(&self) -> (Offset, Vec<ShopRule>) {
        self.with_shop(|shop| (shop.facts.shop_rules.since, written(shop.facts).rules))
    }

    /// Changes the rules. They hold from the next answer on.
    ///
    /// # Errors
    /// [`EngineError::Rules`], [`EngineError::NotFound`], [`EngineError::Conflict`] if one of them was written by another build, and those of [`Engine::ingest_from`].
    pub async fn change_rules(&self, change: RuleChange) -> Result<(), EngineError> {
        self.with_shop(|shop| change.check_fields(&shop))?;
        self.edit(move |facts, _| {
            let known = written(facts);
            let rules = match change {
                RuleChange::Replace(_) => change.of(known.rules)?,
                RuleChange::Put(_) | RuleChange::Remove(_) => change.of(known.to_change()?)?,
            };
            let json = serde_json::to_string(&rules)
                .map_err(|error| EngineError::Invalid { field: "rules", message: error.to_string() })?;
            Ok(if json == *facts.shop_rules.json { Vec::new() } else { vec![Body::Rules(json.into())] })
        })
        .await
    }
}
