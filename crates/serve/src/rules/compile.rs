//! Rules as the shop writes them are checked and read; the first fault is told with the place of its field.

use std::collections::HashSet;

use accrue_event::{ItemId, RuleAction, ShopRule, clean_id, normalised};

use super::{LEAST, MAX_RULE_ITEMS, MAX_RULES, MOST, Rule, Rules};
use crate::filter::Filter;
use crate::shop::Shop;
use crate::suggest::words;

/// Longest text of a rule, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// The last place that a pin may name.
const MAX_POSITION: u32 = 1_000;

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct RuleFault {
    /// The field, such as `rules[3].filter`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl RuleFault {
    /// The same fault of a rule that is a part of `outer`.
    pub fn within(self, outer: &str) -> Self {
        Self { field: format!("{outer}.{}", self.field), ..self }
    }
}

impl Shop<'_> {
    /// Checks that items have the fields that a rule's filter and attribute name. A filter that cannot be read is left to
    /// [`Rules::read`], and a shop without a single item has no fields yet.
    ///
    /// # Errors
    /// The first field that no item has.
    pub fn check_rule(&self, rule: &ShopRule) -> Result<(), RuleFault> {
        let fault = |field: &str, message: String| RuleFault { field: field.into(), message };
        if let Some(Ok(filter)) = rule.filter.as_deref().map(Filter::parse) {
            self.check_filter(&filter).map_err(|unknown| fault("filter", unknown.to_string()))?;
        }
        match rule.attribute.as_deref() {
            Some(name) if !self.facts.items.is_empty() && !self.facts.overview().has_numbers(name) => {
                let message = format!("no item has an attribute {name:?} that is a number");
                Err(fault("attribute", message))
            }
            _ => Ok(()),
        }
    }
}

impl Rules {
    /// Checks and reads rules.
    ///
    /// # Errors
    /// The first fault.
    pub fn read(rules: &[ShopRule]) -> Result<Self, RuleFault> {
        if rules.len() > MAX_RULES {
            return Err(RuleFault { field: "rules".into(), message: format!("must be at most {MAX_RULES}") });
        }
        let mut names = HashSet::new();
        let mut read = Vec::with_capacity(rules.len());
        for (place, rule) in rules.iter().enumerate() {
            let fault =
                |(field, message): (&str, String)| RuleFault { field: format!("rules[{place}].{field}"), message };
            if !names.insert(&*rule.name) {
                return Err(fault(("name", format!("another rule is named {:?} too", rule.name))));
            }
            read.push(Rule::read(rule).map_err(fault)?);
        }
        Ok(Self(read))
    }
}

impl Rule {
    fn read(rule: &ShopRule) -> Result<Self, (&'static str, String)> {
        check_texts(rule)?;
        check_fields(rule)?;
        check_numbers(rule)?;
        let filter = rule.filter.as_deref().map(Filter::parse).transpose();
        let words = rule.query.as_deref().map(words);
        if words.as_ref().is_some_and(Vec::is_empty) {
            return Err(("query", "has no word; leave it out for a rule that holds everywhere".into()));
        }
        Ok(Self {
            // Ids as records have them; an id in another form would hide nothing.
            written: ShopRule {
                items: rule.items.iter().map(|id| ItemId::from(&*clean_id(id.as_str()))).collect(),
                ..rule.clone()
            },
            words,
            category: rule.category.as_deref().map(|category| normalised(category).into()),
            filter: filter.map_err(|error| ("filter", error.to_string()))?,
        })
    }
}

fn check_texts(rule: &ShopRule) -> Result<(), (&'static str, String)> {
    let texts = [
        ("name", Some(&rule.name)),
        ("query", rule.query.as_ref()),
        ("category", rule.category.as_ref()),
        ("attribute", rule.attribute.as_ref()),
    ];
    for (field, text) in texts {
        let Some(text) = text else { continue };
        if text.trim().is_empty() || text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
            return Err((field, format!("must have 1 to {MAX_TEXT_BYTES} bytes and no control characters")));
        }
    }
    Ok(())
}

/// Which fields go with which action.
fn check_fields(rule: &ShopRule) -> Result<(), (&'static str, String)> {
    let is_boost = rule.action == RuleAction::Boost;
    let is_pin = rule.action == RuleAction::Pin;
    let only_for = |field, is_there: bool, is_right: bool, action: &str| match is_there && !is_right {
        true => Err((field, format!("is for the action {action} only"))),
        false => Ok(()),
    };
    only_for("factor", rule.factor.is_some(), is_boost, "boost")?;
    only_for("attribute", rule.attribute.is_some(), is_boost, "boost")?;
    only_for("full_at", rule.full_at.is_some(), is_boost, "boost")?;
    only_for("position", rule.position.is_some(), is_pin, "pin")?;
    if is_boost && rule.factor.is_none() {
        return Err(("factor", "is needed for the action boost".into()));
    }
    if rule.attribute.is_some() != rule.full_at.is_some() {
        return Err(("full_at", "goes with attribute: the number from which on an item gets the whole factor".into()));
    }
    if is_pin && (rule.items.is_empty() || rule.filter.is_some()) {
        return Err(("items", "a pin names its items, and has no filter".into()));
    }
    if !is_pin && !rule.items.is_empty() && rule.filter.is_some() {
        return Err(("filter", "name the items, or give a filter, not both; `id:` in a filter names items too".into()));
    }
    let is_of_all = rule.items.is_empty() && rule.filter.is_none();
    if is_of_all && rule.attribute.is_none() {
        return Err(("items", "say which items: items, or a filter".into()));
    }
    if rule.items.len() > MAX_RULE_ITEMS {
        return Err(("items", format!("must be at most {MAX_RULE_ITEMS}")));
    }
    Ok(())
}

fn check_numbers(rule: &ShopRule) -> Result<(), (&'static str, String)> {
    if rule.factor.is_some_and(|factor| !(LEAST..=MOST).contains(&factor)) {
        return Err(("factor", format!("must be {LEAST} to {MOST}")));
    }
    if rule.full_at.is_some_and(|number| !(number.is_finite() && number > 0.0)) {
        return Err(("full_at", "must be a number above 0".into()));
    }
    if rule.position.is_some_and(|position| !(1..=MAX_POSITION).contains(&position)) {
        return Err(("position", format!("must be 1 to {MAX_POSITION}")));
    }
    match (rule.from, rule.until) {
        (Some(from), Some(until)) if until <= from => Err(("until", "must be after from".into())),
        _ => Ok(()),
    }
}
