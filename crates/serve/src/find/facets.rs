//! Facets: how many of the products that match have each value of a field.
//!
//! In: the names of fields, and every match. Out: for each field its values with their counts, or how its numbers are
//! spread. Counts are exact: over all matches and not those of the page, and by product: a product counts once for a
//! value, however many of its variants have it, and only for variants that may be shown and pass the filter.
//!
//! The values of a field are read from a column of the catalogue ([`accrue_store::Column`]), so counting costs a few
//! nanoseconds for each match and facet.

use std::sync::Arc;

use accrue_store::{Column, ColumnField, Described, ItemIdx, ProductIdx};
use unicode_normalization::UnicodeNormalization as _;

use super::facet::{Facet, FacetCounts, MAX_VALUES, ValueCount};
use super::ranges::ranges;
use crate::Shop;
use crate::filter::{FacetField, Passes, UnknownField};
use crate::shop::Product;

/// A facet of numbers also has the numbers themselves if they are at most this many different ones.
const MAX_NUMBERS: usize = 50;

/// A name that is not a field whose values can be counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FacetError {
    /// There is no such field.
    #[error("{0}")]
    Unknown(UnknownField),
    /// Nearly every item has a value of its own.
    #[error("the values of {0} are not counted, because nearly every item has its own")]
    NotCounted(Box<str>),
}

/// Fields of the vocabulary that are counted.
const COUNTED: [&str; 7] = ["brand", "category", "tag", "price", "stock", "currency", "locale"];
/// Fields of the vocabulary that are not.
const NOT_COUNTED: [&str; 6] = ["id", "title", "description", "parent", "published_at", "available"];

impl Shop<'_> {
    /// The facet of a name: a field in the words of filters, `attributes.NAME`, or just `NAME`. In a shop without a
    /// single item every name may be that of an attribute.
    ///
    /// # Errors
    /// If no item has such a field.
    pub fn facet(&self, name: &str) -> Result<Facet, FacetError> {
        // Names of records are composed and trimmed too.
        let composed: String = name.trim().nfc().collect();
        let name = &*composed;
        let own = match name {
            "brand" => Some(FacetField::Column(ColumnField::Brand)),
            "category" => Some(FacetField::Column(ColumnField::Category)),
            "tag" => Some(FacetField::Column(ColumnField::Tag)),
            "currency" => Some(FacetField::Column(ColumnField::Currency)),
            "locale" => Some(FacetField::Column(ColumnField::Locale)),
            "price" => Some(FacetField::Price),
            "stock" => Some(FacetField::Stock),
            _ => None,
        };
        if let Some(field) = own {
            return Ok(Facet { name: name.into(), field, is_numeric: false });
        }
        if NOT_COUNTED.contains(&name) {
            return Err(FacetError::NotCounted(name.into()));
        }
        let attribute = name.strip_prefix("attributes.").unwrap_or(name);
        let overview = self.facts.overview();
        if !self.facts.items.is_empty() && !overview.has_attribute(attribute) {
            let near = self.near(attribute, &COUNTED);
            return Err(FacetError::Unknown(UnknownField { name: attribute.into(), near, is_text: false }));
        }
        let field = FacetField::Column(ColumnField::Attribute(attribute.into()));
        Ok(Facet { name: name.into(), field, is_numeric: overview.has_numbers_only(attribute) })
    }
}

/// Counts the facets of one search.
pub(super) struct Counting<'a> {
    shop: Shop<'a>,
    counters: Vec<Counter>,
    /// The matches that are variants, which are counted together.
    variants: Vec<(ProductIdx, ItemIdx, Passes)>,
}

/// The counts of one facet.
struct Counter {
    name: Box<str>,
    field: FacetField,
    column: Option<Arc<Column>>,
    /// Products by group of values.
    by_group: Vec<u32>,
    /// Matches by spelling, which decide how a value is written.
    by_code: Vec<u32>,
    /// The codes with a count, so that the cost is that of the matches and not of all values in the shop.
    met: Vec<u32>,
    /// The numbers of the matches, for a field of numbers.
    numbers: Option<Vec<(f64, Product)>>,
}

impl<'a> Counting<'a> {
    pub fn new(shop: &Shop<'a>, facets: &[Facet]) -> Self {
        let counter = |facet: &Facet| {
            let column = match &facet.field {
                FacetField::Column(field) => Some(shop.facts.column(field)),
                FacetField::Price | FacetField::Stock => None,
            };
            let (n_groups, n_codes) = column.as_ref().map_or((0, 0), |column| (column.n_groups(), column.n_codes()));
            Counter {
                name: facet.name.clone(),
                field: facet.field.clone(),
                by_group: vec![0; n_groups],
                by_code: vec![0; n_codes],
                met: Vec::new(),
                numbers: (facet.is_numeric || column.is_none()).then(Vec::new),
                column,
            }
        };
        Self { shop: *shop, counters: facets.iter().map(counter).collect(), variants: Vec::new() }
    }

    /// Counts a match that may be shown.
    pub fn take(&mut self, item: ItemIdx, product: Product, passes: Passes) {
        match product {
            Product::OfVariants(product) => self.variants.push((product, item, passes)),
            Product::Alone(_) => {
                for counter in counted(&mut self.counters, passes) {
                    counter.add(&self.shop, product, &[item], &mut Vec::new());
                }
            }
        }
    }

    /// All counts, in the order of the facets.
    pub fn into_counts(mut self) -> Vec<FacetCounts> {
        // Equal keys are equal matches, so the order of equals does not show.
        self.variants.sort_unstable_by_key(|&(product, item, _)| (product, item));
        let (mut items, mut groups) = (Vec::new(), Vec::new());
        for variants in self.variants.chunk_by(|a, b| a.0 == b.0) {
            for (place, counter) in self.counters.iter_mut().enumerate() {
                items.clear();
                let counts = |passes| passes == Passes::All || passes == Passes::AllBut(place);
                items.extend(variants.iter().filter(|(_, _, passes)| counts(*passes)).map(|(_, item, _)| *item));
                counter.add(&self.shop, Product::OfVariants(variants[0].0), &items, &mut groups);
            }
        }
        self.counters.into_iter().map(Counter::into_counts).collect()
    }
}

/// The counters in which a match counts.
fn counted(counters: &mut [Counter], passes: Passes) -> &mut [Counter] {
    match passes {
        Passes::All => counters,
        Passes::AllBut(place) => &mut counters[place..=place],
        Passes::No => &mut [],
    }
}

impl Counter {
    /// Counts a product with those of its items that match. `groups` is scratch memory.
    fn add(&mut self, shop: &Shop<'_>, product: Product, items: &[ItemIdx], groups: &mut Vec<u32>) {
        groups.clear();
        for &item in items {
            let (FacetField::Column(field), Some(column)) = (&self.field, &self.column) else {
                let number = shop.facts.described(item).and_then(|item| number(&self.field, item));
                self.numbers.iter_mut().for_each(|numbers| numbers.extend(number.map(|number| (number, product))));
                continue;
            };
            let from = described_by(shop, field, column, item);
            match column.values(from).unwrap_or_default() {
                // The usual case needs no list: an item alone with one value.
                &[code] if items.len() == 1 => {
                    meet(&mut self.by_code, &mut self.met, code);
                    self.by_group[column.group(code) as usize] += 1;
                }
                codes => {
                    codes.iter().for_each(|&code| meet(&mut self.by_code, &mut self.met, code));
                    groups.extend(codes.iter().map(|&code| column.group(code)));
                }
            }
            if let Some(numbers) = &mut self.numbers {
                numbers.extend(column.number(from).map(|number| (number, product)));
            }
        }
        groups.sort_unstable();
        groups.dedup();
        groups.iter().for_each(|&group| self.by_group[group as usize] += 1);
    }

    fn into_counts(mut self) -> FacetCounts {
        let met = std::mem::take(&mut self.met);
        let mut values =
            self.column.as_ref().map_or_else(Vec::new, |column| values(column, &self.by_group, &self.by_code, met));
        if self.numbers.is_some() && values.len() > MAX_NUMBERS {
            values.clear();
        }
        values.truncate(MAX_VALUES);
        let numbers = self.numbers.map(|numbers| ranges(&numbers));
        FacetCounts { name: self.name, values, numbers }
    }
}

/// Counts a match with this spelling.
fn meet(by_code: &mut [u32], met: &mut Vec<u32>, code: u32) {
    if by_code[code as usize] == 0 {
        met.push(code);
    }
    by_code[code as usize] += 1;
}

/// The item whose values count for `item`: itself, or the one that describes its product.
fn described_by(shop: &Shop<'_>, field: &ColumnField, column: &Column, item: ItemIdx) -> ItemIdx {
    if column.values(item).is_some() {
        return item;
    }
    let is_attribute = matches!(field, ColumnField::Attribute(_));
    match shop.facts.completing(item) {
        Some((other, is_parent)) if is_parent || !is_attribute => other,
        _ => item,
    }
}

fn number(field: &FacetField, item: Described<'_>) -> Option<f64> {
    match field {
        FacetField::Price => item.price().map(accrue_event::Price::to_f64),
        FacetField::Stock => item.own().stock.map(f64::from),
        FacetField::Column(_) => None,
    }
}

/// The values with a count, most products first. `met` has the codes with a count.
fn values(column: &Column, by_group: &[u32], by_code: &[u32], mut met: Vec<u32>) -> Vec<ValueCount> {
    // Of each group the spelling that most matches have; of equally common ones the first by text.
    met.sort_unstable_by(|&a, &b| {
        let by_count = || by_code[b as usize].cmp(&by_code[a as usize]);
        column.group(a).cmp(&column.group(b)).then_with(by_count).then_with(|| column.text(a).cmp(column.text(b)))
    });
    met.dedup_by_key(|code| column.group(*code));
    let count = |code: u32| by_group[column.group(code) as usize];
    met.sort_unstable_by(|&a, &b| count(b).cmp(&count(a)).then_with(|| column.text(a).cmp(column.text(b))));
    // One more than is shown, so that the caller sees that there are more.
    met.truncate(MAX_VALUES + 1);
    met.into_iter().map(|code| ValueCount { value: column.text(code).into(), count: count(code) as usize }).collect()
}
