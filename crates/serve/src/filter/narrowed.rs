//! A filter beside facets: which of its conditions are a shopper's selection within a facet.
//!
//! In: a filter and the fields that are counted. Out: for each item whether it passes, or fails nothing but the
//! selection of one facet. Such an item is no hit, and it is counted in that facet, which so shows what else could be
//! chosen: the usual rule of shops, where a click on a second brand adds to the first.
//!
//! A selection is a condition that `AND` joins at the top of the filter, that names only the facet's field, and that
//! has no `NOT` in it. What `NOT` excludes stays out of all counts.

use accrue_store::{ColumnField, Facts, ItemIdx};

use super::pass::{Check, MAX_WORK, Meter};
use super::{Filter, Node, NumberField, Subject, Test, TextField};

/// A field whose values a facet counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FacetField {
    Column(ColumnField),
    Price,
    Stock,
}

/// A filter over one catalogue, divided among facets.
pub(crate) struct Narrowed<'f> {
    facts: &'f Facts,
    /// What restricts the hits and every facet.
    rest: Vec<Check<'f>>,
    /// The selections, each with the place of its facet.
    own: Vec<(usize, Check<'f>)>,
    meter: Meter,
}

/// How an item passes a filter beside facets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passes {
    /// It is a hit, and counts in every facet.
    All,
    /// It is no hit because of the selection in this facet alone, where it counts.
    AllBut(usize),
    /// It is neither.
    No,
}

impl Filter {
    /// The filter beside facets of these fields, over the catalogue of these facts.
    pub(crate) fn narrowed<'f>(&'f self, facets: &[&FacetField], facts: &'f Facts) -> Narrowed<'f> {
        let mut narrowed = Narrowed { facts, rest: Vec::new(), own: Vec::new(), meter: Meter::new(MAX_WORK) };
        let parts = match &self.root {
            Node::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        for part in parts {
            match facets.iter().position(|facet| selects(part, facet)) {
                Some(place) => narrowed.own.push((place, Check::of(part, facts))),
                None => narrowed.rest.push(Check::of(part, facts)),
            }
        }
        narrowed.rest.sort_by_key(Check::expense);
        narrowed
    }
}

impl Filter {
    /// The categories that conditions at the top of the filter select, one each.
    pub(crate) fn selected_categories(&self) -> Vec<&str> {
        let parts = match &self.root {
            Node::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let category = |part| match part {
            &Node::Test(Test::Text(TextField::Category, ref texts)) => {
                texts.given().first().filter(|_| texts.given().len() == 1)
            }
            _ => None,
        };
        parts.iter().filter_map(category).map(|text| &**text).collect()
    }
}

impl Narrowed<'_> {
    /// How an item passes.
    pub fn passes(&self, item: ItemIdx) -> Passes {
        let Some(described) = self.facts.described(item) else { return Passes::No };
        let subject = Subject::metered(described, &self.meter);
        let matches = |part: &Check<'_>| part.matches(self.facts, item, &subject);
        if !self.rest.iter().all(matches) {
            return Passes::No;
        }
        let mut failed = self.own.iter().filter(|(_, part)| !matches(part)).map(|(place, _)| *place);
        let passes = match failed.next() {
            None => Passes::All,
            Some(first) if failed.all(|other| other == first) => Passes::AllBut(first),
            Some(_) => Passes::No,
        };
        if self.is_cut() { Passes::No } else { passes }
    }

    /// Whether no further item passes because the conditions have read too much.
    pub fn is_cut(&self) -> bool {
        self.meter.is_cut()
    }
}

/// Whether a condition names only this field, and excludes nothing.
fn selects(part: &Node, facet: &FacetField) -> bool {
    match part {
        Node::All(parts) | Node::Any(parts) => parts.iter().all(|part| selects(part, facet)),
        Node::Not(_) => false,
        Node::Test(test) => match (test, facet) {
            (Test::Number(NumberField::Price, _), FacetField::Price) => true,
            (Test::Number(NumberField::Stock, _), FacetField::Stock) => true,
            (Test::Text(TextField::Brand, _), FacetField::Column(ColumnField::Brand)) => true,
            (Test::Text(TextField::Category, _), FacetField::Column(ColumnField::Category)) => true,
            (Test::Text(TextField::Tag, _), FacetField::Column(ColumnField::Tag)) => true,
            (Test::Text(TextField::Currency, _), FacetField::Column(ColumnField::Currency)) => true,
            (Test::Text(TextField::Locale, _), FacetField::Column(ColumnField::Locale)) => true,
            (Test::Attribute(name, _), FacetField::Column(ColumnField::Attribute(counted))) => name == counted,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{Item, Price};

    use super::super::pass::tests::facts;
    use super::*;

    #[test]
    fn an_item_that_only_the_selection_of_one_facet_leaves_out_counts_there() {
        let mut item = Item::bare("mug".into());
        (item.brand, item.price, item.categories) = (Some("Acme".into()), Price::new(9.0), vec!["mugs".into()]);
        let facts = facts([item]);
        let passes = |filter: &str| {
            let facets = [&FacetField::Column(ColumnField::Brand), &FacetField::Price];
            Filter::parse(filter).unwrap().narrowed(&facets, &facts).passes(0)
        };
        assert_eq!(passes("brand:acme AND price:5..10 AND category:mugs"), Passes::All);
        assert_eq!(passes("brand:bolt"), Passes::AllBut(0));
        assert_eq!(passes("(brand:bolt OR brand:cask) AND price:5..10"), Passes::AllBut(0));
        assert_eq!(passes("brand:acme AND price>10 AND price<20"), Passes::AllBut(1));
        assert_eq!(passes("brand:bolt AND price:1..2"), Passes::No, "two selections leave it out");
        assert_eq!(passes("brand:bolt AND NOT category:mugs"), Passes::No);
        assert_eq!(passes("NOT brand:acme"), Passes::No, "what is excluded is no choice");
        assert_eq!(passes("brand:bolt OR price:1..2"), Passes::No, "two fields in one condition");
        assert_eq!(passes("category:plates"), Passes::No, "no facet counts it");
    }
}
