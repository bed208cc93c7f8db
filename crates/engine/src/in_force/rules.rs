//! The rules that answers apply, read from the facts; they are read again whenever the facts have other ones.

use std::sync::Arc;

use accrue_event::ShopRule;
use accrue_serve::Rules;
use accrue_store::{Facts, Offset};
use arc_swap::ArcSwap;
use serde::Deserialize as _;

use crate::error::EngineError;

/// The rules that the facts have.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct WrittenRules {
    /// Those that this build can read.
    pub rules: Vec<ShopRule>,
    /// The names of the others, which another build wrote.
    pub unread: Vec<String>,
}

impl WrittenRules {
    /// The rules to change one of. With a rule that cannot be read there are none: the change would remove it.
    ///
    /// # Errors
    /// [`EngineError::Conflict`]
    pub fn to_change(self) -> Result<Vec<ShopRule>, EngineError> {
        match &*self.unread {
            [] => Ok(self.rules),
            names => Err(EngineError::Conflict {
                message: format!(
                    "this version of the program cannot read {} of the rules ({}); a change of one rule would remove them, so \
                     put all rules again, or use the version that wrote them",
                    names.len(),
                    names.join(", ")
                ),
            }),
        }
    }
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
    let rules: Vec<serde_json::Value> = serde_json::from_str(json).unwrap_or_else(|error| {
        tracing::error!(%error, "the rules of the shop in the log cannot be read; no rule holds");
        written.unread.push("all of them".into());
        Vec::new()
    });
    for rule in rules {
        match ShopRule::deserialize(&rule) {
            Ok(rule) => written.rules.push(rule),
            Err(error) => {
                let name = rule.get("name").and_then(|name| name.as_str()).unwrap_or("without a name").to_owned();
                tracing::error!(rule = %name, %error, "a rule in the log cannot be read; the others hold");
                written.unread.push(name);
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
        assert_eq!(written.unread, ["two-a-brand"]);
        assert!(matches!(written.to_change(), Err(EngineError::Conflict { .. })));
        assert_eq!(read("").to_change().unwrap(), []);
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
