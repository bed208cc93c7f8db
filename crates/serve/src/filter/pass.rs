//! A filter over one catalogue, for one page, which may ask about every item that the shop has.
//!
//! In: a filter and the facts. Out: whether an item passes. The values of brands, categories, tags, currencies and
//! locales are compared as numbers, read from the columns of the catalogue ([`accrue_store::Column`]), where each text
//! was normalised once. What other conditions read is counted, and a pass that has read [`MAX_WORK`] ends: no further
//! item passes, and [`FilterPass::is_cut`] says so. The facts are locked for the time of a pass, so it has to be short.
//! The bound is a count and no time, so that equal requests are answered alike.

use std::cell::Cell;
use std::sync::Arc;

use accrue_store::{Column, ColumnField, Facts, ItemIdx};

use super::{Filter, Node, Subject, Test, TextField};

/// What the conditions of one pass may read: bytes of plain texts, values, and conditions.
pub const MAX_WORK: usize = 1 << 26;
/// What a byte costs of a text that is not plain ASCII, because composing it takes that much longer.
const OF_COMPOSED: usize = 4;
/// What it costs to look an attribute up.
pub(super) const OF_ATTRIBUTE: usize = 8;

/// Counts what the conditions of a pass read.
#[derive(Debug)]
pub(super) struct Meter {
    most: usize,
    left: Cell<usize>,
    is_cut: Cell<bool>,
}

impl Meter {
    pub(super) fn new(most: usize) -> Self {
        Self { most, left: Cell::new(most), is_cut: Cell::new(false) }
    }

    /// Whether this much more may be read.
    pub(super) fn pay(&self, units: usize) -> bool {
        match self.left.get().checked_sub(units) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(0);
                self.is_cut.set(true);
            }
        }
        !self.is_cut.get()
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.get()
    }
}

thread_local! {
    /// What the passes of this thread have read.
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// Runs work of this thread, and counts what its filters read; [`MAX_WORK`] for each pass at most.
pub fn counting_reads<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = READ.get();
    let done = work();
    (done, READ.get().wrapping_sub(before))
}

impl Drop for Meter {
    fn drop(&mut self) {
        READ.set(READ.get().wrapping_add(self.most - self.left.get()));
    }
}

/// What it costs to read a text.
pub(super) fn cost_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { OF_COMPOSED * text.len() }
}

/// A filter over one catalogue.
pub(crate) struct FilterPass<'f> {
    facts: &'f Facts,
    root: Check<'f>,
    meter: Meter,
}

/// A condition, with what it is compared with in this catalogue.
pub(super) enum Check<'f> {
    All(Box<[Check<'f>]>),
    Any(Box<[Check<'f>]>),
    Not(Box<Check<'f>>),
    /// The item has a value of one of these groups, which are in order.
    In(Arc<Column>, Box<[u32]>),
    Test(&'f Test),
}

impl Filter {
    /// The filter over the catalogue of these facts.
    pub(crate) fn over<'f>(&'f self, facts: &'f Facts) -> FilterPass<'f> {
        self.over_reading(facts, MAX_WORK)
    }

    /// The same, where the pass may read this much.
    pub(super) fn over_reading<'f>(&'f self, facts: &'f Facts, most: usize) -> FilterPass<'f> {
        FilterPass { facts, root: Check::of(&self.root, facts), meter: Meter::new(most) }
    }
}

impl FilterPass<'_> {
    /// Whether the item passes the filter.
    pub fn accepts(&self, item: ItemIdx) -> bool {
        let Some(described) = self.facts.described(item) else { return false };
        let subject = Subject::metered(described, &self.meter);
        self.root.matches(self.facts, item, &subject) && !self.meter.is_cut()
    }

    /// Whether the pass ended because it had read too much.
    pub fn is_cut(&self) -> bool {
        self.meter.is_cut()
    }
}

impl<'f> Check<'f> {
    pub(super) fn of(node: &'f Node, facts: &Facts) -> Self {
        // What costs little is asked first, so that long texts are read only of the items that pass the rest.
        let each = |parts: &'f [Node]| {
            let mut checks: Vec<Self> = parts.iter().map(|part| Self::of(part, facts)).collect();
            checks.sort_by_key(Self::expense);
            checks.into_boxed_slice()
        };
        match node {
            Node::All(parts) => Self::All(each(parts)),
            Node::Any(parts) => Self::Any(each(parts)),
            Node::Not(part) => Self::Not(Box::new(Self::of(part, facts))),
            Node::Test(test) => {
                let Test::Text(field, texts) = test else { return Self::Test(test) };
                let Some(field) = column_of(*field) else { return Self::Test(test) };
                let column = facts.column(&field);
                let mut groups: Vec<u32> = texts.each().iter().filter_map(|text| column.group_of(text)).collect();
                groups.sort_unstable();
                Self::In(column, groups.into())
            }
        }
    }

    /// Orders conditions by what they read.
    pub(super) fn expense(&self) -> u8 {
        match self {
            Check::All(parts) | Check::Any(parts) => parts.iter().map(Self::expense).max().unwrap_or(0),
            Check::Not(part) => part.expense(),
            Check::In(..) | Check::Test(Test::Number(..) | Test::PublishedAt(_) | Test::Available(_)) => 0,
            Check::Test(Test::Text(TextField::Title, _)) => 2,
            Check::Test(Test::Text(TextField::Description, _)) => 3,
            Check::Test(Test::Text(..) | Test::Attribute(..)) => 1,
        }
    }

    pub(super) fn matches(&self, facts: &Facts, item: ItemIdx, subject: &Subject<'_>) -> bool {
        match self {
            Check::All(parts) => parts.iter().all(|part| part.matches(facts, item, subject)),
            Check::Any(parts) => parts.iter().any(|part| part.matches(facts, item, subject)),
            Check::Not(part) => !part.matches(facts, item, subject),
            Check::In(column, groups) => {
                // A variant without values of its own has those of its product.
                let of_product = || column.values(facts.completing(item)?.0);
                let codes = column.values(item).or_else(of_product).unwrap_or_default();
                subject.pay(1 + codes.len())
                    && codes.iter().any(|&code| groups.binary_search(&column.group(code)).is_ok())
            }
            Check::Test(test) => test.matches(subject),
        }
    }
}

/// The column of a field whose values are kept as numbers.
fn column_of(field: TextField) -> Option<ColumnField> {
    match field {
        TextField::Brand => Some(ColumnField::Brand),
        TextField::Category => Some(ColumnField::Category),
        TextField::Tag => Some(ColumnField::Tag),
        TextField::Currency => Some(ColumnField::Currency),
        TextField::Locale => Some(ColumnField::Locale),
        TextField::Id | TextField::Parent | TextField::Title | TextField::Description => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use accrue_event::{Attribute, Item, Timestamp};
    use accrue_store::{Body, Offset, Record};

    use super::*;

    /// A catalogue of these items.
    pub(in crate::filter) fn facts(items: impl IntoIterator<Item = Item>) -> Facts {
        let mut facts = Facts::new(1);
        for (place, item) in (0..).zip(items) {
            let body = Body::Item(Box::new(item));
            facts.apply(&Record { offset: Offset(place), received_at: Timestamp(0), body });
        }
        facts
    }

    fn item(n: usize) -> Item {
        let mut item = Item::bare(format!("i{n}").as_str().into());
        item.brand = (!n.is_multiple_of(3)).then(|| format!("Brand {}", n % 5).into());
        item.categories = (0..n % 4).map(|c| format!("Küche {c}").into()).collect();
        item.tags = (0..n % 3).map(|t| format!("TAG{}", (n + t) % 7).into()).collect();
        item.description = Some(format!("Ein schöner Becher, Nummer {n}.").into());
        item.attributes.insert("size".into(), Attribute::List(vec![format!("S{}", n % 6).into(), "XL".into()]));
        if n.is_multiple_of(6) {
            item.parent = Some(format!("i{}", n + 1).as_str().into());
        }
        item
    }

    #[test]
    fn what_filters_read_is_counted_for_the_thread() {
        let facts = facts((0..120).map(item));
        let read = |text: &str| {
            let filter = Filter::parse(text).unwrap();
            let pass = || (0..120).filter(|&item| filter.over(&facts).accepts(item)).count();
            counting_reads(pass).1
        };
        let (brands, descriptions) = (read("brand:\"brand 2\""), read("description:nothing"));
        assert!(brands > 0 && descriptions > 10 * brands, "{brands} {descriptions}");
        assert_eq!(counting_reads(|| ()).1, 0);
        let both = counting_reads(|| (read("description:nothing"), read("description:nothing"))).1;
        assert_eq!(both, 2 * descriptions, "what is counted within counts outside too");
    }

    #[test]
    fn a_pass_over_the_catalogue_accepts_what_the_filter_matches() {
        let facts = facts((0..120).map(item));
        for text in [
            "category:\"küche 1\"",
            "category:(\"KÜCHE 2\" OR plates) AND NOT tag:tag3",
            "tag:(tag1 OR tag2 OR tag3 OR tag4) OR brand:\"brand 2\"",
            "brand:none OR brand:\"BRAND 1\" OR brand:\"brand 4\"",
            "NOT brand:\"brand 1\"",
            "description:(\"nummer 7\" OR \"nummer 9\") AND size:s1",
            "description:SCHÖNER AND category:\"küche 0\"",
            "size:(s1 OR s2) AND NOT currency:eur AND NOT locale:de",
            "id:(i1 OR I2 OR i3) OR parent:i7",
        ] {
            let filter = Filter::parse(text).unwrap();
            let pass = filter.over(&facts);
            let mut n = 0;
            for item in 0..facts.entries().len() as ItemIdx {
                let expected = facts.described(item).is_some_and(|item| filter.matches_described(item));
                assert_eq!(pass.accepts(item), expected, "{text}: {item}");
                n += usize::from(expected);
            }
            assert!(n > 0 && n < 120 && !pass.is_cut(), "{text}: {n}");
        }
    }

    #[test]
    fn a_pass_that_has_read_too_much_ends_and_says_so() {
        let facts = facts((0..120).map(item));
        for text in ["description:becher", "NOT description:xyz", "size:(xl OR s1)", "tag:tag1 OR NOT tag:tag1"] {
            let filter = Filter::parse(text).unwrap();
            let accepted = |most: usize| {
                let pass = filter.over_reading(&facts, most);
                let accepted: Vec<ItemIdx> = (0..120).filter(|&item| pass.accepts(item)).collect();
                (accepted, pass.is_cut())
            };
            let (all, is_cut) = accepted(MAX_WORK);
            assert!(all.len() == 120 && !is_cut, "{text}");
            let (some, is_cut) = accepted(200);
            assert!(is_cut && some.len() < 120 && all.starts_with(&some), "{text}: {some:?}");
        }
    }

    #[test]
    fn long_texts_are_read_of_the_items_that_pass_the_rest() {
        let facts = facts((0..120).map(item));
        let filter = Filter::parse("description:becher AND available:false AND category:\"küche 0\"").unwrap();
        // Enough for the other conditions and for no description.
        let pass = filter.over_reading(&facts, 1_000);
        assert!((0..120).all(|item| !pass.accepts(item)) && !pass.is_cut());
    }

    #[test]
    fn many_values_cost_hardly_more_than_one() {
        let facts = facts((0..120).map(item));
        let many = (0..400).map(|n| format!("x{n}")).collect::<Vec<_>>().join(" OR ");
        for field in ["category", "tag", "brand", "size", "id"] {
            let filter = Filter::parse(&format!("{field}:({many})")).unwrap();
            let pass = filter.over_reading(&facts, 120 * 64);
            assert!((0..120).all(|item| !pass.accepts(item)) && !pass.is_cut(), "{field}");
        }
    }
}
