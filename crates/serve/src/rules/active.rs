//! The rules that hold for one page.

use std::collections::HashSet;

use accrue_event::{Attribute, ItemId, RuleAction};
use accrue_store::ItemIdx;

use super::{LEAST, MOST, Rule};
use crate::filter::Filter;
use crate::suggest::words;
use crate::{Reason, Shop};

/// The rules that hold for one page, by what they do.
#[derive(Default)]
pub(crate) struct ActiveRules<'a> {
    hide: Vec<Active<'a>>,
    bury: Vec<Active<'a>>,
    boost: Vec<Active<'a>>,
    /// In the order in which they take their places.
    pins: Vec<Pin<'a>>,
    pinned: HashSet<ItemIdx>,
}

struct Active<'a> {
    rule: &'a Rule,
    /// The items that it names, with the variants of parents; `None` if it names none.
    items: Option<HashSet<ItemIdx>>,
}

/// An item with the place that a rule gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin<'a> {
    pub item: ItemIdx,
    /// The place, from 0, or the next free one.
    pub place: usize,
    /// The name of the rule.
    pub rule: &'a str,
}

impl<'a> ActiveRules<'a> {
    /// The rules that hold for a page with this query and this filter.
    pub fn of(shop: &Shop<'a>, query: Option<&str>, filter: Option<&Filter>) -> Self {
        let mut active = Self::default();
        if shop.rules.is_empty() {
            return active;
        }
        let typed = query.map(words).unwrap_or_default();
        let categories = filter.map(Filter::selected_categories).unwrap_or_default();
        let holds = |rule: &&Rule| {
            rule.is_in_time(shop.now_ms)
                && rule.words.as_ref().is_none_or(|words| *words == typed)
                && rule.category.as_ref().is_none_or(|category| categories.contains(&&**category))
        };
        for rule in shop.rules.0.iter().filter(holds) {
            let items = (!rule.written.items.is_empty()).then(|| named(shop, rule));
            match rule.action() {
                RuleAction::Hide => active.hide.push(Active { rule, items }),
                RuleAction::Bury => active.bury.push(Active { rule, items }),
                RuleAction::Boost => active.boost.push(Active { rule, items }),
                RuleAction::Pin => active.pins.extend(pins(shop, rule)),
            }
        }
        active.pins.sort_by(|a, b| (a.place, a.rule).cmp(&(b.place, b.rule)));
        // An item takes one place, the first.
        let mut pinned = HashSet::new();
        active.pins.retain(|pin| pinned.insert(pin.item));
        active.pinned = pinned;
        active
    }

    /// Whether a rule leaves the item out.
    pub fn hides(&self, shop: &Shop<'_>, item: ItemIdx) -> bool {
        self.hide.iter().any(|active| active.accepts(shop, item))
    }

    /// Whether a rule may change scores or put items last.
    pub fn reorders(&self) -> bool {
        !(self.bury.is_empty() && self.boost.is_empty())
    }

    /// The rule that puts the item behind all others.
    pub fn buries(&self, shop: &Shop<'_>, item: ItemIdx) -> Option<&'a str> {
        let is_free = !self.pinned.contains(&item);
        self.bury.iter().find(|active| is_free && active.accepts(shop, item)).map(|active| &*active.rule.written.name)
    }

    /// What the item's score is multiplied by: 1 without a boost.
    pub fn boost(&self, shop: &Shop<'_>, item: ItemIdx) -> f32 {
        if self.boost.is_empty() || self.pinned.contains(&item) || self.buries(shop, item).is_some() {
            return 1.0;
        }
        let boosts = self.boost.iter().filter(|active| active.accepts(shop, item));
        boosts.map(|active| active.rule.factor(shop, item)).product::<f32>().clamp(LEAST, MOST)
    }

    /// The names of the rules that boost the item.
    pub fn boosted_by(&self, shop: &Shop<'_>, item: ItemIdx) -> String {
        let boosts = self.boost.iter().filter(|active| active.accepts(shop, item));
        let boosts = boosts.filter(|active| active.rule.factor(shop, item) != 1.0);
        boosts.map(|active| &*active.rule.written.name).collect::<Vec<_>>().join(", ")
    }

    /// The items with places of their own, as far as they may be shown.
    pub fn pins(&self) -> &[Pin<'a>] {
        &self.pins
    }

    /// The rule that gives the item its place.
    pub fn pinned_by(&self, item: ItemIdx) -> Option<&'a str> {
        self.pins.iter().find(|pin| pin.item == item).map(|pin| pin.rule)
    }
}

impl Active<'_> {
    fn accepts(&self, shop: &Shop<'_>, item: ItemIdx) -> bool {
        match (&self.items, &self.rule.filter) {
            (Some(items), _) => items.contains(&item),
            (None, Some(filter)) => shop.facts.described(item).is_some_and(|item| filter.matches_described(item)),
            (None, None) => true,
        }
    }
}

impl Rule {
    /// The factor of a boost for an item: all of it, or as much as its attribute says.
    fn factor(&self, shop: &Shop<'_>, item: ItemIdx) -> f32 {
        let factor = self.written.factor.unwrap_or(1.0);
        let (Some(name), Some(full_at)) = (&self.written.attribute, self.written.full_at) else { return factor };
        let share = match shop.facts.described(item).and_then(|item| item.attribute(name)) {
            Some(Attribute::Number(number)) => (number / full_at).clamp(0.0, 1.0) as f32,
            Some(Attribute::Bool(true)) => 1.0,
            _ => 0.0,
        };
        1.0 + share * (factor - 1.0)
    }
}

/// The items that a rule names, with the variants of parents.
fn named(shop: &Shop<'_>, rule: &Rule) -> HashSet<ItemIdx> {
    let mut named = HashSet::new();
    for item in rule.written.items.iter().filter_map(|id| shop.facts.items.get(id.as_str())) {
        named.insert(item);
        named.extend(shop.variants_of(item));
    }
    named
}

/// The places of a rule's items. For a parent that is not on sale itself, its first variant that is.
fn pins<'a>(shop: &Shop<'a>, rule: &'a Rule) -> Vec<Pin<'a>> {
    let first = rule.written.position.unwrap_or(1).saturating_sub(1) as usize;
    let known = |id: &ItemId| {
        let item = shop.facts.items.get(id.as_str())?;
        let mut items = std::iter::once(item).chain(shop.variants_of(item).iter().copied());
        items.find(|&item| shop.shown(item, None).is_some())
    };
    let items = rule.written.items.iter().filter_map(known);
    items.zip(first..).map(|(item, place)| Pin { item, place, rule: &rule.written.name }).collect()
}

impl Shop<'_> {
    /// What rules did for an item of a page, as a reason; `ruled` is what boosts added to its score.
    pub(crate) fn reason_of_rules(&self, item: ItemIdx, ruled: f32, rules: &ActiveRules<'_>) -> Option<Reason> {
        if let Some(rule) = rules.pinned_by(item) {
            return Some(Reason::plain("rule", &format!("pinned by rule {rule}"), 0.0));
        }
        if let Some(rule) = rules.buries(self, item) {
            return Some(Reason::plain("rule", &format!("put behind others by rule {rule}"), 0.0));
        }
        let verb = if ruled < 0.0 { "lowered" } else { "boosted" };
        (ruled != 0.0)
            .then(|| Reason::plain("rule", &format!("{verb} by rule {}", rules.boosted_by(self, item)), ruled))
    }
}

/// Puts pinned elements into a list without them: each at its place, or at the next free one.
pub(crate) fn with_pins<T>(list: impl IntoIterator<Item = T>, pins: impl IntoIterator<Item = (usize, T)>) -> Vec<T> {
    let mut merged = Vec::new();
    let mut list = list.into_iter();
    for (place, pinned) in pins {
        merged.extend(list.by_ref().take(place.saturating_sub(merged.len())));
        merged.push(pinned);
    }
    merged.extend(list);
    merged
}
