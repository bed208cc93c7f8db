//! Products and their variants over a whole file: `[variants]`.
//!
//! A system may name the variants in the row of their product (Magento's `configurable_variations`), before or after their own
//! rows, and may leave out the price of a product, because only its variants have one. What a row needs of others is found by
//! reading the file once before: ids, parents, prices and that column.

use std::collections::{BTreeMap, HashMap, HashSet};

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::error::MappingError;
use super::{Mapping, MappingRule, Names};
use crate::check::says_withdrawn;
use crate::raw::RawItem;
use crate::{RawValue, RecordKind, clean_id};

/// How a file tells what belongs together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Variants {
    /// The column of a product's row that names its variants.
    pub column: Option<Box<str>>,
    /// A regular expression of which the first group is the id of a variant in that column; otherwise ids stand between commas.
    pub id: Option<Box<str>>,
    /// The column in which a product has the name that its variants have as their `parent`, if that is not its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<str>>,
    /// The column of pictures of a product that stand in rows of their own, which a rule skips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Box<str>>,
    /// The columns of a product that names what it is sold together with, as bundles and groups do: these are products of their
    /// own. Without a price it has the lowest one of theirs.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub parts: Names,
    /// A regular expression of which the first group that is found is the id of a part there; otherwise ids stand between
    /// commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Box<str>>,
    /// Whether a product without a price has the lowest one of its variants.
    pub lowest_price: bool,
}

/// The field that carries the column with the variants while a file is read before.
const CARRIER: &str = "description";
/// The field that carries the column with the name of a product.
const KEY_CARRIER: &str = "brand";

/// The field that carries the column with the parts of a product.
const PARTS_CARRIER: &str = "title";

/// Variants of a file that are remembered. Beyond, they are as they would be without this.
const MAX_REMEMBERED: usize = 5_000_000;

/// What the rows of a file need of others.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// The product of each variant. Looked up only, as the others are.
    parents: HashMap<Box<str>, Box<str>>,
    /// The lowest price among the variants of a product.
    lowest: HashMap<Box<str>, RawValue>,
    /// Products that are not sold, and whose variants are not either.
    hidden: HashSet<Box<str>>,
    /// The ids of products by the names that their variants have for them.
    ids: HashMap<Box<str>, Box<str>>,
    /// The first picture of a product.
    pictures: HashMap<Box<str>, RawValue>,
}

impl Family {
    /// Whether a product of the file names this item as its variant.
    pub(super) fn is_variant(&self, id: &RawValue) -> bool {
        key(id).is_some_and(|id| self.parents.contains_key(&*id))
    }

    /// Adds to an item what it has from others.
    pub(super) fn complete(&self, item: &mut RawItem) {
        let Some(id) = key(&item.id) else { return };
        if let Some(parent) = key(&item.parent).and_then(|parent| self.ids.get(&parent)) {
            item.parent = RawValue::text(parent.clone());
        }
        if item.image.is_missing()
            && let Some(picture) = self.pictures.get(&*id)
        {
            item.image = picture.clone();
        }
        if item.parent.is_missing()
            && let Some(parent) = self.parents.get(&*id)
        {
            item.parent = RawValue::text(parent.clone());
        }
        if let Some(parent) = key(&item.parent).filter(|parent| self.hidden.contains(&**parent))
            && parent != id
        {
            item.available = RawValue::text("no");
        }
        if item.price.is_missing()
            && let Some(price) = self.lowest.get(&*id)
        {
            item.price = price.clone();
        }
    }
}

/// Finds what the rows of a file need of others, from all of its rows.
#[derive(Clone, Debug)]
pub struct FamilyFinder {
    mapping: Mapping,
    id: Option<Regex>,
    names_variants: bool,
    /// The parts of products, in the order of the file.
    parts: Vec<(Box<str>, Vec<Box<str>>)>,
    part: Option<Regex>,
    names_parts: bool,
    lowest_price: bool,
    prices: HashMap<Box<str>, RawValue>,
    found: Family,
}

impl FamilyFinder {
    /// `None` if the mapping needs nothing of the kind.
    ///
    /// # Errors
    /// If the expression for ids is none.
    pub fn of(mapping: &Mapping) -> Result<Option<Self>, MappingError> {
        let Some(variants) = mapping.variants.as_ref().filter(|_| mapping.kind == RecordKind::Items) else {
            return Ok(None);
        };
        Ok(Some(Self {
            mapping: mapping_to_find(mapping, variants),
            id: variants.expression()?,
            names_variants: variants.column.is_some(),
            parts: Vec::new(),
            part: compiled(variants.part.as_deref())?,
            names_parts: !variants.parts.is_empty(),
            lowest_price: variants.lowest_price,
            prices: HashMap::new(),
            found: Family::default(),
        }))
    }

    /// The mapping with which the file is to be read.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Takes in a row.
    pub fn add(&mut self, item: &RawItem) {
        let Some(id) = key(&item.id) else { return };
        let is_full = self.prices.len().max(self.found.parents.len()) >= MAX_REMEMBERED;
        if is_full {
            return;
        }
        if self.lowest_price && price(&item.price).is_some() {
            self.prices.insert(id.clone(), item.price.clone());
        }
        if self.mapping.fields.contains_key("image") && !item.image.is_missing() {
            let product = key(&item.parent).unwrap_or_else(|| id.clone());
            self.found.pictures.entry(product).or_insert_with(|| item.image.clone());
        }
        if let Some(parent) = key(&item.parent) {
            self.found.parents.insert(id.clone(), parent);
        }
        if let Some(name) = key(&item.brand) {
            self.found.ids.insert(name, id.clone());
        }
        if self.names_variants {
            let variants = ids_in(&item.description, self.id.as_ref());
            self.found.parents.extend(variants.into_iter().map(|variant| (variant, id.clone())));
        }
        if self.names_parts && self.parts.len() < MAX_REMEMBERED {
            let parts = ids_in(&item.title, self.part.as_ref());
            if !parts.is_empty() {
                self.parts.push((id.clone(), parts));
            }
        }
        if says_withdrawn(&item.available) {
            self.found.hidden.insert(id);
        }
    }

    /// What was found.
    pub fn finish(mut self) -> Family {
        for parent in self.found.parents.values_mut() {
            if let Some(id) = self.found.ids.get(parent) {
                *parent = id.clone();
            }
        }
        for (variant, parent) in &self.found.parents {
            let Some(own) = self.prices.get(variant) else { continue };
            let lowest = self.found.lowest.entry(parent.clone()).or_insert_with(|| own.clone());
            if price(own) < price(lowest) {
                *lowest = own.clone();
            }
        }
        for (product, parts) in &self.parts {
            let known = parts.iter().filter_map(|part| self.prices.get(part).or_else(|| self.found.lowest.get(part)));
            let lowest = known.min_by(|one, other| {
                price(one).unwrap_or(f64::INFINITY).total_cmp(&price(other).unwrap_or(f64::INFINITY))
            });
            if let Some(lowest) = lowest.cloned() {
                self.found.lowest.entry(product.clone()).or_insert(lowest);
            }
        }
        self.found
    }
}

/// The ids that a product's column names: in a text, or in a list of ids or of texts.
fn ids_in(column: &RawValue, expression: Option<&Regex>) -> Vec<Box<str>> {
    match (column, expression) {
        (RawValue::Text(text), Some(expression)) => {
            let first = |found: regex_lite::Captures<'_>| {
                (1..found.len()).find_map(|group| found.get(group)).map(|group| group.as_str().to_owned())
            };
            let found = expression.captures_iter(text).filter_map(first);
            found.filter_map(|id| key(&RawValue::text(id))).collect()
        }
        (RawValue::Text(text), None) => text.split(',').filter_map(|id| key(&RawValue::text(id))).collect(),
        (RawValue::List(values), _) => values.iter().flat_map(|value| ids_in(value, expression)).collect(),
        (value, None) => key(value).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A mapping for ids, parents, prices, whether items are sold, and the columns with the variants and parts, which fields carry that
/// have another meaning otherwise. What the mapping says of those fields is not said of what they carry.
fn mapping_to_find(mapping: &Mapping, variants: &Variants) -> Mapping {
    let has_pictures = variants.picture.is_some();
    let keep =
        |field: &str| matches!(field, "id" | "parent" | "price" | "available") || (field == "image" && has_pictures);
    // A key that is added says here whether it changes one of these fields.
    #[rustfmt::skip]
    let Mapping {
        kind, source, currency, delimiter, encoding, decimal, skip_lines, comment, escape, element, time_format, time_zone, as_of, empty,
        fields, constants, lowercase, prefix, strip, extract, scale, shift, unescape, image_base, uppercase, separators, sale, price_parts, join, begins,
        rule,
        drop_columns: _, optional: _, fill_down: _, collect: _, properties: _, pairs: _, numbers: _, item: _, orders: _, variants: _,
    } = mapping;
    let mut carried = kept(fields, &keep);
    let carriers = [(CARRIER, &variants.column), (KEY_CARRIER, &variants.key), ("image", &variants.picture)];
    let carriers = carriers.into_iter().filter_map(|(field, column)| Some((field, column.as_deref()?)));
    carried.extend(carriers.map(|(field, column)| (field.into(), Names::from(column))));
    if !variants.parts.is_empty() {
        carried.insert(PARTS_CARRIER.into(), variants.parts.clone());
    }
    let names = |names: &[Box<str>]| names.iter().filter(|name| keep(name)).cloned().collect::<Vec<_>>();
    Mapping {
        kind: *kind,
        source: source.clone(),
        currency: currency.clone(),
        delimiter: *delimiter,
        encoding: encoding.clone(),
        decimal: *decimal,
        skip_lines: *skip_lines,
        comment: *comment,
        escape: *escape,
        element: element.clone(),
        time_format: time_format.clone(),
        time_zone: time_zone.clone(),
        as_of: *as_of,
        empty: empty.clone(),
        fields: carried,
        constants: kept(constants, &keep),
        lowercase: names(lowercase),
        prefix: kept(prefix, &keep),
        strip: kept(strip, &keep),
        extract: kept(extract, &keep),
        scale: kept(scale, &keep),
        shift: kept(shift, &keep),
        unescape: names(unescape),
        image_base: image_base.clone(),
        uppercase: names(uppercase),
        separators: kept(separators, &keep),
        sale: sale.clone(),
        price_parts: price_parts.clone(),
        join: join.clone(),
        begins: begins.clone(),
        rule: rule.iter().filter_map(|rule| rule_to_find(rule, has_pictures, &keep)).collect(),
        optional: ["parent", "price", "available", "image", CARRIER, KEY_CARRIER, PARTS_CARRIER].map(Into::into).into(),
        drop_columns: vec!["*".into()],
        ..Mapping::default()
    }
}

/// The entries of the fields that are kept.
fn kept<T: Clone>(entries: &BTreeMap<Box<str>, T>, keep: &impl Fn(&str) -> bool) -> BTreeMap<Box<str>, T> {
    entries.iter().filter(|(field, _)| keep(field)).map(|(field, entry)| (field.clone(), entry.clone())).collect()
}

/// What a rule does to the fields that are kept; `None` if that is nothing. A rule that asks whether a row is a variant waits for the
/// answer.
fn rule_to_find(rule: &MappingRule, has_pictures: bool, keep: &impl Fn(&str) -> bool) -> Option<MappingRule> {
    if rule.unless_variant || (rule.skip && has_pictures) {
        return None;
    }
    let names = |names: &[Box<str>]| names.iter().filter(|name| keep(name)).cloned().collect::<Vec<_>>();
    let found = MappingRule {
        set: kept(&rule.set, keep),
        copy: kept(&rule.copy, keep),
        clear: names(&rule.clear),
        absolute: names(&rule.absolute),
        ..rule.clone()
    };
    let changes =
        !(found.set.is_empty() && found.copy.is_empty() && found.clear.is_empty() && found.absolute.is_empty());
    (changes || found.skip || found.delete || found.quarantine.is_some()).then_some(found)
}

impl Variants {
    /// The columns that are named.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let Self { column, key, picture, parts, id: _, part: _, lowest_price: _ } = self;
        let one = [column, key, picture].into_iter().filter_map(|column| column.as_deref());
        one.chain(parts.iter())
    }

    /// The expression for ids.
    pub(super) fn expression(&self) -> Result<Option<Regex>, MappingError> {
        compiled(self.part.as_deref())?;
        compiled(self.id.as_deref())
    }
}

fn compiled(pattern: Option<&str>) -> Result<Option<Regex>, MappingError> {
    let compile = |pattern: &str| {
        Regex::new(pattern).map_err(|source| MappingError::VariantPattern { pattern: pattern.into(), source })
    };
    pattern.map(compile).transpose()
}

/// An id as the check will have it.
fn key(id: &RawValue) -> Option<Box<str>> {
    match id {
        RawValue::Text(text) if !id.is_missing() => Some((*clean_id(text)).into()),
        RawValue::Int(number) => Some(number.to_string().into()),
        _ => None,
    }
}

fn price(value: &RawValue) -> Option<f64> {
    match value {
        RawValue::Int(number) => Some(*number as f64),
        RawValue::Float(number) => Some(*number),
        _ => None,
    }
    .filter(|price| *price > 0.0)
}
