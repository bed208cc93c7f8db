//! The rules that answers apply, read from the facts; they are read again whenever the facts have other ones.

use std::sync::Arc;

use accrue_event::ShopRule;
use accrue_serve::Rules;
use accrue_store::{Facts, Offset};
use arc_swap::ArcSwap;
use serde::Deserialize as _;
use serde_json::Value;

use crate::error::EngineError;

/// The rules that the facts have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WrittenRules {
    /// Those that this build can read.
    pub rules: Vec<ShopRule>,
    /// The others, which another build wrote, as they are. A change of a rule keeps them.
    unread: Vec<Value>,
}

impl WrittenRules {
    /// The names of those that cannot be read.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.unread.iter().map(name_of)
    }

    /// Removes the rule of this name, if it is one that cannot be read; whether there was one.
    pub fn remove_unread(&mut self, name: &str) -> bool {
        let n = self.unread.len();
        self.unread.retain(|rule| name_of(rule) != name);
        self.unread.len() < n
    }

    /// All of them, as the log has them.
    ///
    /// # Errors
    /// [`EngineError::Invalid`]
    pub fn to_json(&self) -> Result<String, EngineError> {
        let invalid = |error: serde_json::Error| EngineError::Invalid { field: "rules", message: error.to_string() };
        let own: Vec<Value> = self.rules.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(invalid)?;
        match self.unread.is_empty() {
            true => serde_json::to_string(&self.rules),
            false => serde_json::to_string(&[own, self.unread.clone()].concat()),
        }
        .map_err(invalid)
    }
}

fn name_of(rule: &Value) -> &str {
    rule.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The rules that the facts have. Each is read by itself, so that one that this build does not know leaves the others.
pub(crate) fn written(facts: &Facts) -> WrittenRules {
    read(&facts.shop_rules.json)
}

fn read(json: &str) -> WrittenRules {
    let mut written = WrittenRules::default();
    if json.is_empty() {
        return written;
    }
    let rules: Vec<Value> = serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::error!(%error, "the rules of the shop in the log cannot be read; no rule holds");
        Vec::new()
    });
    for rule in rules {
        match ShopRule::deserialize(&rule) {
            Ok(read) => written.rules.push(read),
            Err(error) => {
                tracing::error!(rule = name_of(&rule), %error, "a rule in the log cannot be read; the others hold");
                written.unread.push(rule);
            }
        }
    }
    written
}

/// The rules in force: those that can be used. A filter that an earlier build took may be one that this build refuses.
fn usable(rules: &[ShopRule]) -> Rules {
    Rules::read(rules).unwrap_or_else(|_| {
        let is_usable = |rule: &&ShopRule| match Rules::read(std::slice::from_ref(*rule)) {
            Ok(_) => true,
            Err(fault) => {
                tracing::error!(rule = %rule.name, %fault, "a rule of the shop cannot be used; the others hold");
                false
            }
        };
        let usable: Vec<ShopRule> = rules.iter().filter(is_usable).cloned().collect();
        Rules::read(&usable).unwrap_or_else(|fault| {
            tracing::error!(%fault, "the rules of the shop cannot be used; no rule holds");
            Rules::default()
        })
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
        let read = Arc::new((facts.shop_rules.since, usable(&written(facts).rules)));
        self.0.store(Arc::clone(&read));
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_this_build_does_not_know_leaves_the_others_and_is_not_removed_by_a_change() {
        let json = r#"[{"name":"no-knives","action":"hide","filter":"category:knives"},
            {"name":"two-a-brand","action":"at_most","n":2},
            {"name":"advent","action":"pin","items":["mug"]}]"#;
        let written = read(json);
        assert_eq!(written.rules.iter().map(|rule| &*rule.name).collect::<Vec<_>>(), ["no-knives", "advent"]);
        assert_eq!(written.unread().collect::<Vec<_>>(), ["two-a-brand"]);
        assert_eq!(read(&written.to_json().unwrap()), written, "a change keeps it");
        let mut without = written.clone();
        assert!(without.remove_unread("two-a-brand") && !without.remove_unread("advent"));
        assert_eq!(without.to_json().unwrap(), serde_json::to_string(&written.rules).unwrap());
    }

    #[test]
    fn a_rule_that_cannot_be_used_leaves_the_others() {
        let json = r#"[{"name":"no-knives","action":"hide","filter":"category:knives"},
            {"name":"broken","action":"hide","filter":"category:("}]"#;
        let rules = read(json).rules;
        assert_eq!(rules.len(), 2);
        assert_eq!(format!("{:?}", usable(&rules)), format!("{:?}", Rules::read(&rules[..1]).unwrap()));
    }
}
