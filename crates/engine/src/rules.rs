//! Rules as a shop puts and reads them.
//!
//! In: rules as the shop writes them. Out: one record of all rules for each change.

use accrue_event::ShopRule;
use accrue_serve::{RuleFault, Rules, Shop};
use accrue_store::{Body, Offset};

use crate::engine::Engine;
use crate::error::{EngineError, Resource};
use crate::in_force::rules::{WrittenRules, written};

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

    /// The names of rules that this build cannot read, because another one wrote them. They do not hold, and stay until they
    /// are replaced or removed by name.
    pub fn unread_rules(&self) -> Vec<Box<str>> {
        self.with_shop(|shop| written(shop.facts).unread().map(Box::from).collect())
    }

    /// Changes the rules. They hold from the next answer on.
    ///
    /// # Errors
    /// [`EngineError::Rules`], [`EngineError::NotFound`], and those of [`Engine::ingest_from`].
    pub async fn change_rules(&self, change: RuleChange) -> Result<(), EngineError> {
        self.with_shop(|shop| change.check_fields(&shop))?;
        self.edit(move |facts, _| {
            let mut known = written(facts);
            match &change {
                RuleChange::Replace(_) => known = WrittenRules::default(),
                RuleChange::Put(rule) => drop(known.remove_unread(&rule.name)),
                RuleChange::Remove(name) => {
                    if known.remove_unread(name) {
                        return Ok(vec![Body::Rules(known.to_json()?.into())]);
                    }
                }
            }
            known.rules = change.of(known.rules)?;
            let json = known.to_json()?;
            Ok(if json == *facts.shop_rules.json { Vec::new() } else { vec![Body::Rules(json.into())] })
        })
        .await
    }
}
