//! A mapping describes how one platform's records become ours.
//!
//! In: a [`Mapping`] (TOML, read by the app) and rows or objects with the platform's own names. Out: raw records with
//! our names, which the check judges like all others. A mapping renames fields, adds constants, scales numbers and
//! splits texts, and may quarantine a row. It repairs nothing, so its records carry no marks of repair.

mod bound;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::raw::{RawEvent, RawItem, RawUser};

pub use bound::{BoundMapping, Cell, Mapped};
pub use rule::{Condition, MappingRule};

/// What the rows of a source describe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// Events: what shoppers did.
    #[default]
    Events,
    /// Products.
    Items,
    /// Customers.
    Users,
}

impl RecordKind {
    /// The name of this kind in files and answers.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Events => "events",
            RecordKind::Items => "items",
            RecordKind::Users => "users",
        }
    }

    /// The names of the fields of such a record.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            RecordKind::Events => RawEvent::FIELDS,
            RecordKind::Items => RawItem::FIELDS,
            RecordKind::Users => RawUser::FIELDS,
        }
    }
}

/// The names and formats of one source.
///
/// ```
/// use accrue_event::{Mapped, Mapping};
///
/// let mapping = Mapping::from_pairs([("item", "sku"), ("user", "customer"), ("type", "'purchase'")]).unwrap();
/// let bound = mapping.bind(&["sku", "customer", "country"]).unwrap();
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
    /// The format of `at` and `published_at`, if it is not a standard one (`%d/%m/%Y %H:%M`); such times are UTC.
    pub time_format: Option<Box<str>>,
    /// Texts that mean "no value", such as `NULL` or `nan`.
    pub empty: Vec<Box<str>>,
    /// Columns to leave out. All other columns that the mapping does not name become properties.
    pub drop_columns: Vec<Box<str>>,
    /// Field = column. A column with the name of a field needs no entry.
    pub fields: BTreeMap<Box<str>, Box<str>>,
    /// Property = column, for properties that are to have another name.
    pub properties: BTreeMap<Box<str>, Box<str>>,
    /// Properties that are numbers. Cells of all other properties are texts, so that `007` keeps its zeros.
    pub numbers: Vec<Box<str>>,
    /// Field = text, for rows without a value of their own.
    pub constants: BTreeMap<Box<str>, Box<str>>,
    /// Field = text to put before an id, so that the ids of two platforms differ.
    pub prefix: BTreeMap<Box<str>, Box<str>>,
    /// Field = factor that converts a number to our unit.
    pub scale: BTreeMap<Box<str>, f64>,
    /// Fields whose text is converted to upper case, for ids that are written in both cases.
    pub uppercase: Vec<Box<str>>,
    /// Field of an item = column, for rows that describe the item as well as the event.
    pub item: BTreeMap<Box<str>, Box<str>>,
    /// Field of an item = the text between the elements of its list.
    pub separators: BTreeMap<Box<str>, Box<str>>,
    /// Rules that depend on a row's cells, in order.
    pub rule: Vec<MappingRule>,
}

/// A mapping that contradicts itself or does not match a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A field that does not exist.
    #[error("`{table}` names the field `{field}`, which does not exist; the fields are: {known}")]
    NoField {
        /// The table of the mapping.
        table: &'static str,
        /// The name.
        field: Box<str>,
        /// The names of all fields.
        known: String,
    },
    /// A column that the file does not have.
    #[error("`{table}` names the column `{column}`, which the file does not have; it has: {known}")]
    NoColumn {
        /// The table of the mapping.
        table: &'static str,
        /// The name.
        column: Box<str>,
        /// The columns of the file.
        known: String,
    },
    /// A pattern that is not a regular expression.
    #[error("rule {rule}: `{pattern}` is not a regular expression: {error}")]
    Pattern {
        /// The number of the rule, from 1.
        rule: usize,
        /// The pattern.
        pattern: Box<str>,
        /// The fault of the pattern.
        error: String,
    },
    /// A condition without a test or with several.
    #[error("rule {rule}: `when` needs exactly one test besides `column`, but has {tests}; write one rule for each")]
    Tests {
        /// The number of the rule, from 1.
        rule: usize,
        /// The number of tests.
        tests: usize,
    },
    /// A rule without an effect.
    #[error("rule {rule} does nothing; give it `set`, `copy`, `clear`, `absolute` or `quarantine`")]
    Idle {
        /// The number of the rule, from 1.
        rule: usize,
    },
    /// A reason code with other characters than codes may have.
    #[error("rule {rule}: `{code}` cannot be a reason; use lower-case letters, digits and `_`, at most 64 of them")]
    ReasonCode {
        /// The number of the rule, from 1.
        rule: usize,
        /// The code.
        code: Box<str>,
    },
    /// A factor that is 0 or not finite.
    #[error("`scale` multiplies `{field}` by {factor}; the factor must be a finite number and not 0")]
    Scale {
        /// The field.
        field: Box<str>,
        /// The factor.
        factor: String,
    },
    /// Columns of items in a source without events.
    #[error("`item` describes the items of events, but `kind` is not `events`; use `fields`")]
    ItemBesideNothing,
    /// A text that is not a pair.
    #[error("`{0}` is not `field=column`")]
    NoPair(Box<str>),
}

impl Mapping {
    /// A mapping of fields to columns; a column in quotes (`'purchase'`) is a constant.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, MappingError> {
        let mut mapping = Self::default();
        for (field, column) in pairs {
            match column.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
                Some(constant) => mapping.constants.insert(field.into(), constant.into()),
                None => mapping.fields.insert(field.into(), column.into()),
            };
        }
        mapping.validate()?;
        Ok(mapping)
    }

    /// Reads `item=stock_code,user=customer_id,type='purchase'`.
    pub fn from_argument(argument: &str) -> Result<Self, MappingError> {
        let pair = |text: &'_ str| text.split_once('=').ok_or_else(|| MappingError::NoPair(text.into())).map(|_| ());
        argument.split(',').try_for_each(pair)?;
        Self::from_pairs(argument.split(',').filter_map(|text| text.split_once('=')))
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
        known_fields("scale", self.scale.keys(), fields)?;
        known_fields("uppercase", self.uppercase.iter(), fields)?;
        known_fields("item", self.item.keys(), RawItem::FIELDS)?;
        known_fields("separators", self.separators.keys(), RawItem::FIELDS)?;
        if self.kind != RecordKind::Events && !self.item.is_empty() {
            return Err(MappingError::ItemBesideNothing);
        }
        for (field, factor) in &self.scale {
            if !factor.is_finite() || *factor == 0.0 {
                return Err(MappingError::Scale { field: field.clone(), factor: factor.to_string() });
            }
        }
        self.rule.iter().enumerate().try_for_each(|(idx, rule)| rule.validate(idx + 1, fields))
    }

    /// Resolves the columns in the header of a file, once for all its rows.
    pub fn bind(&self, header: &[&str]) -> Result<BoundMapping, MappingError> {
        self.validate()?;
        BoundMapping::new(self, header)
    }

    /// Prepares the mapping for objects (JSON), in which every name may be absent.
    pub fn bind_objects(&self) -> Result<BoundMapping, MappingError> {
        self.validate()?;
        let mut names: Vec<&str> = self.kind.fields().to_vec();
        names.extend(self.columns().map(|(_, column)| column));
        names.sort_unstable();
        names.dedup();
        BoundMapping::new(self, &names)
    }

    /// Every column that the mapping names, with the table that names it.
    fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = self.fields.values().map(|column| ("fields", &**column));
        let properties = self.properties.values().map(|column| ("properties", &**column));
        let item = self.item.values().map(|column| ("item", &**column));
        let rules = self.rule.iter().flat_map(MappingRule::columns).map(|column| ("rule", column));
        fields.chain(properties).chain(item).chain(rules)
    }
}

fn known_fields<'a>(
    table: &'static str,
    mut fields: impl Iterator<Item = &'a Box<str>>,
    known: &[&str],
) -> Result<(), MappingError> {
    match fields.find(|field| !known.contains(&&***field)) {
        Some(field) => Err(MappingError::NoField { table, field: field.clone(), known: known.join(", ") }),
        None => Ok(()),
    }
}
