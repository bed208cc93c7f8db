//! Whether the fields of a filter exist. A filter on a field that no item has would match nothing, and its negation
//! everything, without a sign that something is wrong.
//!
//! In: a filter and the catalogue as a whole. Out: nothing, or the first field that no item has, with the names that are
//! near it. Fields of the vocabulary (`brand`, `stock` …) exist, whether or not items have them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use accrue_event::{RecordKind, SettingFault, fields_named, is_private, misspelling};

use super::parse::own_names;
use super::{Choice, Filter, Node, Test};
use crate::{PriceSetting, SceneSettings, Shop};

/// A field that no item has, or that has no numbers to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownField {
    /// The name in the filter.
    pub name: Box<str>,
    /// Names of fields that are near it, the nearest first.
    pub near: Vec<String>,
    /// The field exists, and the filter compares numbers where all items have texts.
    pub is_text: bool,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, near, is_text } = self;
        if *is_text {
            return write!(
                f,
                "the field {name:?} has no numbers that a range could be compared with, only texts; send numbers, or \
                 name its values"
            );
        }
        write!(f, "no item has the field {name:?}")?;
        match near.as_slice() {
            [] => write!(f, "; the fields of all shops are {}", own_names().collect::<Vec<_>>().join(", ")),
            [one] => write!(f, "; did you mean {one}?"),
            several => write!(f, "; did you mean one of {}?", several.join(", ")),
        }
    }
}

/// Words that a filter may mean a field by, and a mapping must not take for it: a `cost` is mostly what the shop pays.
const MEANT: [(&str, &str); 2] = [("cost", "price"), ("date", "published_at")];

/// Near names that are told, at most.
const N_NEAR: usize = 3;

impl Shop<'_> {
    /// Checks that items have the fields that a filter names. A shop without a single item has no fields yet, and
    /// everything is accepted.
    ///
    /// # Errors
    /// The first field that no item has.
    pub fn check_filter(&self, filter: &Filter) -> Result<(), UnknownField> {
        if self.facts.items.is_empty() {
            return Ok(());
        }
        let overview = self.facts.overview();
        let own: Vec<&str> = own_names().collect();
        for (name, choices) in filter.attributes() {
            if !overview.has_attribute(name) {
                return Err(UnknownField { name: name.into(), near: self.near(name, &own), is_text: false });
            }
            let is_range = choices.iter().all(|choice| matches!(choice, Choice::Range(_)));
            if is_range && !overview.has_numbers(name) {
                return Err(UnknownField { name: name.into(), near: Vec::new(), is_text: true });
            }
        }
        Ok(())
    }

    /// Checks that items have the attributes by which new or changed scenes weigh purchases, as numbers.
    ///
    /// # Errors
    /// The first attribute that no item has as a number.
    pub fn check_scene_prices(
        &self,
        scenes: &BTreeMap<Box<str>, SceneSettings>,
        known: &BTreeMap<Box<str>, SceneSettings>,
    ) -> Result<(), SettingFault> {
        let overview = self.facts.overview();
        let changed = scenes.iter().filter(|(name, scene)| known.get(*name) != Some(*scene));
        for (name, scene) in changed.filter(|_| !self.facts.items.is_empty()) {
            let price = scene.value.as_ref().and_then(|value| value.price.as_ref());
            let Some(PriceSetting::Attribute(attribute)) = price else { continue };
            if overview.has_attribute(attribute) && overview.has_numbers(attribute) {
                continue;
            }
            let mut expected =
                String::from("true for the price, or the name of an attribute that items have as a number");
            let near = self.near_among(attribute, &[], overview.attributes());
            if !near.is_empty() && !overview.has_attribute(attribute) {
                expected.push_str(&format!("; did you mean {}?", near.join(" or ")));
            }
            return Err(SettingFault::new(format!("{name}.value.price"), format!("{attribute:?}"), expected));
        }
        Ok(())
    }

    /// The fields whose names are nearest to `name`, best first: attributes, and those of `own`, the fields of the
    /// vocabulary that may be named in its place. Whoever asks may be a visitor, so attributes that are told to
    /// administrators alone are not among them: their names tell that they are there.
    pub(crate) fn near(&self, name: &str, own: &[&str]) -> Vec<String> {
        self.near_among(name, own, self.facts.overview().attributes().filter(|known| is_private(known).is_none()))
    }

    fn near_among<'n>(&self, name: &str, own: &[&'n str], attributes: impl Iterator<Item = &'n str>) -> Vec<String> {
        let meant = MEANT.iter().filter(|(word, _)| misspelling(name, word) == Some(0)).map(|(_, field)| *field);
        // Filters name the fields in the singular: `category`, `tag`.
        let as_own = |field: &str| own.iter().copied().find(|own| misspelling(field, own) == Some(0));
        let named = meant.chain(fields_named(RecordKind::Items, name)).filter_map(as_own).map(|own| (0, own));
        let spelt = own.iter().copied().chain(attributes).filter_map(|known| Some((distance(name, known)?, known)));
        let found: BTreeSet<(usize, &str)> = named.chain(spelt).collect();
        let mut near: Vec<String> = Vec::new();
        for (_, known) in found {
            if near.len() < N_NEAR && !near.iter().any(|told| told == known) {
                near.push(known.into());
            }
        }
        near
    }
}

impl Filter {
    /// Whether the filter names attributes and no field of the vocabulary.
    pub(crate) fn names_attributes_alone(&self) -> bool {
        fn holds(node: &Node) -> bool {
            match node {
                Node::All(parts) | Node::Any(parts) => parts.iter().all(holds),
                Node::Not(part) => holds(part),
                Node::Test(test) => matches!(test, Test::Attribute(..)),
            }
        }
        holds(&self.root)
    }

    /// The names of the attributes that the filter names.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes().into_iter().map(|(name, _)| name)
    }

    /// The attributes that the filter names, with what it compares them with.
    fn attributes(&self) -> Vec<(&str, &[Choice])> {
        fn collect<'f>(node: &'f Node, found: &mut Vec<(&'f str, &'f [Choice])>) {
            match node {
                Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| collect(part, found)),
                Node::Not(part) => collect(part, found),
                Node::Test(Test::Attribute(name, choices)) => found.push((name, &choices.given)),
                Node::Test(_) => {}
            }
        }
        let mut found = Vec::new();
        collect(&self.root, &mut found);
        found
    }
}

/// How far a name is from that of a field; one may also begin as the other does (`weight` and `weight_g`).
fn distance(name: &str, known: &str) -> Option<usize> {
    let shortest = name.len().min(known.len());
    let is_part = || shortest >= 3 && name.as_bytes()[..shortest].eq_ignore_ascii_case(&known.as_bytes()[..shortest]);
    misspelling(name, known).or_else(|| is_part().then(|| name.len().max(known.len()) - shortest))
}

#[cfg(test)]
mod tests {
    use accrue_event::{Attribute, Item, Timestamp};
    use accrue_store::{Body, Facts, Offset, Record};

    use super::*;
    use crate::fixture::{Fixture, Size};

    /// What is wrong with a filter in a shop whose one item has a colour, a size in words and a weight.
    fn fault(filter: &str) -> Option<UnknownField> {
        let fixture = Fixture::new(Size { n_items: 10, n_unmet: 0, n_events: 10, ..Size::default() });
        let mut item = Item::bare("mug".into());
        item.attributes.insert("colour".into(), Attribute::Text("red".into()));
        item.attributes.insert("size".into(), Attribute::Text("38".into()));
        item.attributes.insert("weight_g".into(), Attribute::Number(300.0));
        let mut facts = Facts::new(1);
        let record = Record { offset: Offset(0), received_at: Timestamp(0), body: Body::Item(Box::new(item)) };
        facts.apply(&record);
        let shop = Shop { facts: &facts, ..fixture.shop() };
        shop.check_filter(&Filter::parse(filter).unwrap()).err()
    }

    #[test]
    fn fields_of_the_vocabulary_and_of_any_item_are_known() {
        for filter in [
            "brand:Acme AND NOT tag:used",
            "price:1..2 OR stock>3",
            "colour:red AND attributes.size:38",
            "NOT weight_g:100..400",
            "weight_g>=100",
            "size:(38 OR 40)",
        ] {
            assert_eq!(fault(filter), None, "{filter}");
        }
    }

    #[test]
    fn a_field_that_no_item_has_is_told_with_near_names_wherever_it_stands() {
        let near = |filter: &str| fault(filter).map(|fault| fault.near.join(" ")).unwrap_or_default();
        assert_eq!(near("categories:mugs"), "category");
        assert_eq!(near("NOT tags:used"), "tag");
        assert_eq!(near("price:1..2 AND (brand:Acme OR prize:1..10)"), "price");
        assert_eq!(near("Colour:red"), "colour");
        assert_eq!(near("color:red"), "colour");
        assert_eq!(near("attributes.colours:red"), "colour");
        assert_eq!(near("weight>100"), "weight_g");
        assert_eq!(near("vendor:Acme"), "brand");
        assert!(near("in_stock:true").contains("available"));
        for (name, field) in [
            ("availability", "available"),
            ("collection", "category"),
            ("cost", "price"),
            ("date", "published_at"),
            ("inventory", "stock"),
            ("label", "tag"),
            ("language", "locale"),
            ("manufacturer", "brand"),
            ("name", "title"),
            ("sku", "id"),
        ] {
            assert!(near(&format!("{name}:x")).split(' ').any(|told| told == field), "{name}");
        }
        let none = fault("xyzzy:1").unwrap();
        assert!(none.near.is_empty() && none.to_string().contains("category"), "{none}");
        assert!(fault("categories:mugs").unwrap().to_string().ends_with("did you mean category?"));
    }

    #[test]
    fn attributes_that_visitors_may_not_read_are_no_hint() {
        let fixture = Fixture::new(Size { n_items: 10, n_unmet: 0, n_events: 10, ..Size::default() });
        let mut item = Item::bare("mug".into());
        item.attributes.insert("purchase_price".into(), Attribute::Number(3.0));
        item.attributes.insert("purpose".into(), Attribute::Text("tea".into()));
        let mut facts = Facts::new(1);
        facts.apply(&Record { offset: Offset(0), received_at: Timestamp(0), body: Body::Item(Box::new(item)) });
        let shop = Shop { facts: &facts, ..fixture.shop() };
        for name in ["purchase_prise", "purchase", "purchse_price", "purpos"] {
            let told = shop.check_filter(&Filter::parse(&format!("{name}:1")).unwrap()).unwrap_err().to_string();
            assert!(!told.contains("purchase_price"), "{name}: {told}");
            assert_eq!(told.contains("purpose"), name == "purpos", "{name}: {told}");
            assert!(!shop.facet(name).unwrap_err().to_string().contains("purchase_price"), "{name}");
        }
    }

    #[test]
    fn a_range_over_texts_alone_is_told() {
        assert!(fault("NOT size:36..40").unwrap().is_text);
        assert!(fault("colour>3").unwrap().to_string().contains("numbers"));
    }

    #[test]
    fn an_empty_shop_accepts_every_field() {
        let fixture = Fixture::new(Size { n_items: 10, n_unmet: 0, n_events: 10, ..Size::default() });
        let shop = Shop { facts: &Facts::new(1), ..fixture.shop() };
        assert_eq!(shop.check_filter(&Filter::parse("prize:1..10").unwrap()), Ok(()));
    }
}
