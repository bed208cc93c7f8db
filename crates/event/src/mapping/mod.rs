//! A mapping describes how one platform's records become ours.
//!
//! In: a [`Mapping`] (TOML, read by the app) and rows or objects with the platform's own names. Out: raw records with
//! our names, which the check judges like all others. A mapping renames fields, adds constants, reads numbers and times,
//! splits texts, and may quarantine or skip a row. It repairs nothing, so its records carry no marks of repair.

mod bind;
mod bound;
mod bound_state;
mod cell;
mod elements;
mod error;
mod family;
mod fill;
mod left_out;
mod names;
mod notation;
mod object;
mod object_json;
#[cfg(test)]
mod order_tests;
mod orders;
mod pairs;
mod parts;
mod price_parts;
mod records;
mod response;
mod rule;
mod sale;
mod shape;
#[cfg(test)]
mod system_tests;
#[cfg(test)]
mod tests;
mod vocabulary;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::amount::Decimal;
use crate::raw::RawItem;
use crate::{RecordKind, Timestamp};

pub use bound::{BoundMapping, Mapped};
pub use cell::{Cell, Reading};
pub use error::{MappingError, listed};
pub use family::{Family, FamilyFinder, Variants};
pub use names::Names;
pub use object::{Join, Object};
pub use orders::{Orders, UnknownStates};
pub use pairs::Pairs;
pub use parts::Sales;
pub use price_parts::PriceParts;
pub use response::is_answer;
pub use rule::{Condition, MappingRule, Undo};
pub use sale::Sale;
pub use vocabulary::{
    OrderPart, OrderState, StateCell, StateColumn, fields_named, is_charge, is_time_of_order, is_total_of_order,
    is_unclear_number, number_beside_name, order_column, order_state, unclear_sale, usual_column, usual_sale,
};

use error::known_fields;

/// Fields that hold several texts.
const LISTS: &[&str] = &["categories", "tags"];

/// The names and formats of one source.
///
/// ```
/// use accrue_event::{Mapped, Mapping};
///
/// let mapping = Mapping::from_pairs([("item", "sku"), ("user", "customer"), ("type", "'purchase'")]).unwrap();
/// let mut bound = mapping.bind(&["sku", "customer", "country"]).unwrap();
/// let Mapped::Event { event, .. } = bound.apply(&["mug-1", "u1", "UK"]) else { panic!() };
/// let json = r#"{"type":"purchase","user":"u1","item":"mug-1","properties":{"country":"UK"}}"#;
/// assert_eq!(event.to_json(), json);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// What a row describes.
    pub kind: RecordKind,
    /// The name of the platform; it becomes the `source` of every event.
    pub source: Option<Box<str>>,
    /// ISO 4217 code of all prices; it becomes the `currency` of every item.
    pub currency: Option<Box<str>>,
    /// The character between the cells of a row, for the reader of the file.
    pub delimiter: Option<char>,
    /// The encoding of the file, such as `windows-1252`, for its reader; otherwise recognised.
    pub encoding: Option<Box<str>>,
    /// The character before the decimals of numbers; otherwise recognised.
    #[serde(skip_serializing_if = "Decimal::is_any")]
    pub decimal: Decimal,
    /// How many lines stand before the header; otherwise recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_lines: Option<usize>,
    /// The character with which lines begin that are no rows.
    pub comment: Option<char>,
    /// The character that makes the next one part of a cell, as `\\` does in files of MySQL.
    pub escape: Option<char>,
    /// The name of the elements of XML that are records; otherwise recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<Box<str>>,
    /// The format of `at` and `published_at`, if it is not a standard one (`%d/%m/%Y %H:%M`).
    pub time_format: Option<Box<str>>,
    /// The zone of times that state none, such as `Europe/Berlin`; otherwise UTC.
    pub time_zone: Option<Box<str>>,
    /// The time for which the file is read: it decides which sales are valid. Otherwise the caller's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Texts that mean "no value", such as `NULL` or `nan`.
    pub empty: Vec<Box<str>>,
    /// Columns to leave out; a name that ends in `*` means all that begin so, and `*` all that the mapping does not name.
    /// All other columns that the mapping does not name become properties.
    pub drop_columns: Vec<Box<str>>,
    /// Fields and properties whose columns a file may lack.
    pub optional: Vec<Box<str>>,
    /// Fields or columns whose empty cells have the value of the row above, among the variants of a product or the lines of an
    /// order.
    pub fill_down: Vec<Box<str>>,
    /// Field = column, or several of which the first with a value counts. A column with the name of a field, or with
    /// another usual name of it, needs no entry.
    pub fields: BTreeMap<Box<str>, Names>,
    /// Field of an item that takes the values of all its columns, and not only those of the first that has one.
    pub collect: Vec<Box<str>>,
    /// Property = column, for properties that are to have another name. The name may be in a column too: `{Option1
    /// Name}`.
    pub properties: BTreeMap<Box<str>, Names>,
    /// Attributes whose names are values of the file.
    pub pairs: Vec<Pairs>,
    /// Properties that are numbers. Cells of all other properties are texts, so that `007` keeps its zeros.
    pub numbers: Vec<Box<str>>,
    /// Field = text, for rows without a value of their own.
    pub constants: BTreeMap<Box<str>, Box<str>>,
    /// Fields whose text is converted to lower case.
    pub lowercase: Vec<Box<str>>,
    /// Field = text to put before an id, so that the ids of two platforms differ.
    pub prefix: BTreeMap<Box<str>, Box<str>>,
    /// Field = text, or texts, that a value loses at its beginning, such as `gid://shopify/Product/`.
    pub strip: BTreeMap<Box<str>, Names>,
    /// Field = regular expression, of which the first group is the value where it matches.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extract: BTreeMap<Box<str>, Box<str>>,
    /// Field = factor that converts a number to our unit.
    pub scale: BTreeMap<Box<str>, f64>,
    /// Field = number to add, such as -1 for positions that count from 1.
    pub shift: BTreeMap<Box<str>, f64>,
    /// Fields in whose texts `\\n` stands for a line end, and `'` before a sign keeps spreadsheets from computing.
    pub unescape: Vec<Box<str>>,
    /// The address under which pictures lie that are only paths.
    pub image_base: Option<Box<str>>,
    /// Fields whose text is converted to upper case, for ids that are written in both cases.
    pub uppercase: Vec<Box<str>>,
    /// Field of an item = column, for rows that describe the item as well as the event.
    pub item: BTreeMap<Box<str>, Names>,
    /// Field of an item, or property = the text, or texts, between the elements of its list.
    pub separators: BTreeMap<Box<str>, Names>,
    /// A price that is valid for some time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sale: Option<Sale>,
    /// A price that the file has in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_parts: Option<PriceParts>,
    /// An object that belongs to a list beside it, of which each element is a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Join>,
    /// Lines of orders whose words are in any language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders: Option<Orders>,
    /// How a file tells which items are variants of one product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<Variants>,
    /// The test that rows of products pass, whose variants and pictures stand below them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins: Option<Condition>,
    /// Rules that depend on a row's cells, in order.
    pub rule: Vec<MappingRule>,
}

impl Mapping {
    /// A mapping of fields to columns; a column in quotes (`'purchase'`) is a constant.
    ///
    /// # Errors
    /// As [`Mapping::validate`].
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, MappingError> {
        let mut mapping = Self::default();
        for (field, column) in pairs {
            mapping.add_pair(field, column);
        }
        mapping.validate()?;
        Ok(mapping)
    }

    /// Takes a field from a column, or from a constant in quotes.
    pub fn add_pair(&mut self, field: &str, column: &str) {
        match column.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(constant) => drop(self.constants.insert(field.into(), constant.into())),
            None => drop(self.fields.insert(field.into(), column.into())),
        }
    }

    /// Checks that the mapping names only existing fields and that its rules are complete.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), MappingError> {
        let fields = self.kind.fields();
        known_fields("fields", self.fields.keys(), fields)?;
        known_fields("constants", self.constants.keys(), fields)?;
        known_fields("prefix", self.prefix.keys(), fields)?;
        known_fields("strip", self.strip.keys(), fields)?;
        known_fields("extract", self.extract.keys(), fields)?;
        self.extract.keys().try_for_each(|field| self.extracted(field).map(drop))?;
        let is_property = |name: &str| self.properties.contains_key(name);
        known_fields("optional", self.optional.iter().filter(|name| !is_property(name)), fields)?;
        known_fields("collect", self.collect.iter(), LISTS)?;
        known_fields("lowercase", self.lowercase.iter(), fields)?;
        known_fields("scale", self.scale.keys(), fields)?;
        known_fields("shift", self.shift.keys(), fields)?;
        known_fields("unescape", self.unescape.iter(), fields)?;
        known_fields("uppercase", self.uppercase.iter(), fields)?;
        known_fields("item", self.item.keys(), RawItem::FIELDS)?;
        known_fields("separators", self.separators.keys().filter(|name| !is_property(name)), RawItem::FIELDS)?;
        if self.kind != RecordKind::Events && !self.item.is_empty() {
            return Err(MappingError::ItemBesideNothing);
        }
        self.begins.as_ref().map_or(Ok(()), |begins| begins.test(0).map(drop))?;
        let of_items = [
            ("begins", self.begins.is_some()),
            ("sale", self.sale.is_some()),
            ("price_parts", self.price_parts.is_some()),
            ("variants", self.variants.is_some()),
        ];
        if let Some((key, _)) = of_items.into_iter().find(|(_, given)| *given && self.kind != RecordKind::Items) {
            return Err(MappingError::OnlyOfItems { key });
        }
        if self.orders.is_some() && self.kind != RecordKind::Events {
            return Err(MappingError::OnlyOfEvents { key: "orders" });
        }
        for (idx, pairs) in self.pairs.iter().enumerate() {
            pairs.validate(idx + 1)?;
        }
        self.variants.as_ref().map_or(Ok(None), Variants::expression)?;
        self.zone()?;
        for (field, factor) in &self.scale {
            if !factor.is_finite() || *factor == 0.0 {
                return Err(MappingError::Scale { field: field.clone(), factor: *factor });
            }
        }
        self.rule.iter().enumerate().try_for_each(|(idx, rule)| rule.validate(idx + 1, self.kind))
    }

    /// Whether a time in this text is read by this `time_format`.
    pub fn reads_time(format: &str, text: &str) -> bool {
        shape::read_format(format, text, None).is_some()
    }

    /// The zone of times that state none.
    fn zone(&self) -> Result<Option<jiff::tz::TimeZone>, MappingError> {
        let Some(name) = &self.time_zone else { return Ok(None) };
        let zone = jiff::tz::TimeZone::get(name).map_err(|_| MappingError::Zone { name: name.clone() })?;
        Ok(Some(zone))
    }

    /// The expression for what is the value of a field.
    fn extracted(&self, field: &str) -> Result<Option<regex_lite::Regex>, MappingError> {
        let Some(pattern) = self.extract.get(field) else { return Ok(None) };
        let compiled = regex_lite::Regex::new(pattern);
        compiled.map(Some).map_err(|source| MappingError::ExtractPattern { pattern: pattern.clone(), source })
    }

    /// Every column that the mapping names.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns().map(|(_, column)| column)
    }

    /// Every column that the mapping names, with the key that names it. A key that is added says here whether it names columns: those
    /// of systems have other names in other languages, and what is named is no field by its usual name.
    #[rustfmt::skip]
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self {
            fields, properties, item, rule, sale, price_parts, orders, pairs, variants, begins, join, fill_down, drop_columns,
            kind: _, source: _, currency: _, delimiter: _, encoding: _, decimal: _, skip_lines: _, comment: _, escape: _, element: _,
            time_format: _, time_zone: _, as_of: _, empty: _, optional: _, collect: _, numbers: _, constants: _, lowercase: _, prefix: _,
            strip: _, extract: _, scale: _, shift: _, unescape: _, image_base: _, uppercase: _, separators: _,
        } = self;
        let is_column = move |name: &str| !name.contains('*') && !self.kind.fields().contains(&name);
        let join = join.iter().flat_map(|join| [&*join.object, &*join.to]);
        named("fields", fields.values().flat_map(Names::iter))
            .chain(named("properties", properties.values().flat_map(Names::iter)))
            .chain(named("item", item.values().flat_map(Names::iter)))
            .chain(named("rule", rule.iter().flat_map(MappingRule::columns)))
            .chain(named("sale", sale.iter().flat_map(Sale::columns)))
            .chain(named("price_parts", price_parts.iter().flat_map(PriceParts::columns)))
            .chain(named("orders", orders.iter().flat_map(Orders::columns)))
            .chain(named("pairs", pairs.iter().flat_map(Pairs::columns)))
            .chain(named("variants", variants.iter().flat_map(Variants::columns)))
            .chain(named("begins", begins.iter().map(|begins| &*begins.column)))
            .chain(named("join", join))
            .chain(named(FILL_DOWN, fill_down.iter().map(|name| &**name).filter(move |name| is_column(name))))
            .chain(named("drop_columns", drop_columns.iter().map(|name| &**name).filter(move |name| is_column(name))))
    }
}

/// The key of columns that have the value of the row above. They are what they are otherwise.
const FILL_DOWN: &str = "fill_down";

fn named<'m>(
    key: &'static str,
    columns: impl Iterator<Item = &'m str>,
) -> impl Iterator<Item = (&'static str, &'m str)> {
    columns.map(move |column| (key, column))
}
