//! A mapping for one header: columns are resolved to indices and patterns are compiled, once for many rows.

use std::borrow::Cow;

use super::Mapping;
use super::cell::Cell;
use super::error::MappingError;
use super::rule::{MappingRule, Test, reason};
use crate::check::prefix;
use crate::raw::{RawEvent, RawItem, RawUser, is_numeric};
use crate::{RawValue, RecordKind, Rejection, Timestamp};

/// The result of mapping a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapped {
    /// An event, and what the row says about its item.
    Event {
        /// The event, for the check.
        event: RawEvent,
        /// The item's description, for the check.
        item: Option<Box<RawItem>>,
    },
    /// An item.
    Item(RawItem),
    /// A user.
    User(RawUser),
    /// A row that a rule of the mapping quarantines.
    Quarantined {
        /// The reason.
        rejection: Rejection,
        /// The record as it was mapped (JSON), so that it can be judged again when it is released.
        raw: Box<str>,
    },
}

/// A mapping for rows of one header. See [`Mapping::bind`].
#[derive(Clone, Debug)]
pub struct BoundMapping {
    kind: RecordKind,
    fields: Vec<BoundField>,
    constants: Vec<(&'static str, RawValue)>,
    rest: Vec<BoundProperty>,
    item: Vec<BoundField>,
    currency: RawValue,
    rules: Vec<BoundRule>,
    empty: Vec<Box<str>>,
    /// The name of each cell, for objects.
    header: Vec<Box<str>>,
    drop_columns: Vec<Box<str>>,
}

/// A field and how its value is made from a cell.
#[derive(Clone, Debug)]
struct BoundField {
    field: &'static str,
    column: usize,
    numeric: bool,
    shape: Shape,
}

/// A property and the cell that it is made from.
#[derive(Clone, Debug)]
struct BoundProperty {
    name: Box<str>,
    column: usize,
    numeric: bool,
}

/// The conversions of a cell's value.
#[derive(Clone, Debug, Default)]
struct Shape {
    time_format: Option<Box<str>>,
    scale: Option<f64>,
    uppercase: bool,
    prefix: Option<Box<str>>,
    separator: Option<Box<str>>,
}

#[derive(Clone, Debug)]
struct BoundRule {
    when: Option<(usize, Test)>,
    set: Vec<(&'static str, RawValue)>,
    copy: Vec<BoundField>,
    clear: Vec<&'static str>,
    absolute: Vec<&'static str>,
    quarantine: Option<(Box<str>, Box<str>)>,
}

impl Mapping {
    /// Resolves the columns in the header of a file, once for all its rows.
    ///
    /// # Errors
    /// As [`Mapping::validate`], and [`MappingError::NoColumn`] if the header lacks a column.
    pub fn bind(&self, header: &[&str]) -> Result<BoundMapping, MappingError> {
        self.validate()?;
        BoundMapping::new(self, header)
    }

    /// Prepares the mapping for objects (JSON), in which every name may be absent.
    ///
    /// # Errors
    /// As [`Mapping::validate`].
    pub fn bind_objects(&self) -> Result<BoundMapping, MappingError> {
        self.validate()?;
        let mut names: Vec<&str> = self.kind.fields().to_vec();
        names.extend(self.columns().map(|(_, column)| column));
        names.sort_unstable();
        names.dedup();
        BoundMapping::new(self, &names)
    }
}

impl BoundMapping {
    /// The kind of record that the rows describe.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    fn new(mapping: &Mapping, header: &[&str]) -> Result<Self, MappingError> {
        let place = |table: &'static str, column: &str| {
            header.iter().position(|name| *name == column).ok_or_else(|| MappingError::NoColumn {
                table,
                column: column.into(),
                known: header.iter().map(|name| (*name).into()).collect(),
            })
        };
        let mut fields = Vec::new();
        for field in mapping.kind.fields() {
            let column = match mapping.fields.get(*field) {
                Some(column) => Some(place("fields", column)?),
                None if renamed(mapping, field) => None,
                None => place("fields", field).ok(),
            };
            fields.extend(column.map(|column| BoundField::new(field, column, mapping, mapping.kind)));
        }
        let mut item = Vec::new();
        for (field, column) in &mapping.item {
            let column = place("item", column)?;
            item.push(BoundField::new(field_name(RawItem::FIELDS, field), column, mapping, RecordKind::Items));
        }
        let mut rest = Vec::new();
        for (property, column) in &mapping.properties {
            rest.push(BoundProperty::new(property, place("properties", column)?, mapping));
        }
        let mut rules = Vec::new();
        for (idx, rule) in mapping.rule.iter().enumerate() {
            rules.push(BoundRule::new(rule, idx + 1, mapping, place)?);
        }
        let is_used = |name: &str| {
            mapping.columns().any(|(_, used)| used == name) || mapping.drop_columns.iter().any(|drop| **drop == *name)
        };
        let taken: Vec<usize> = fields.iter().map(|field| field.column).collect();
        let unused = |(place, name): (usize, &&str)| {
            (!taken.contains(&place) && !is_used(name)).then(|| BoundProperty::new(name, place, mapping))
        };
        rest.extend(header.iter().enumerate().filter_map(unused));
        Ok(Self {
            kind: mapping.kind,
            fields,
            constants: constants(mapping),
            rest,
            item,
            currency: mapping.currency.clone().map_or(RawValue::Null, RawValue::Text),
            rules,
            empty: mapping.empty.clone(),
            header: header.iter().map(|name| (*name).into()).collect(),
            drop_columns: mapping.drop_columns.clone(),
        })
    }

    /// The record of a row. Cells beyond the end of a short row are missing.
    pub fn apply<C: Cell>(&self, row: &[C]) -> Mapped {
        self.with_rest(row, Vec::new())
    }

    /// The record of an object with the platform's names (see [`Mapping::bind_objects`]).
    pub fn apply_object(&self, mut object: RawEvent) -> Mapped {
        let mut row = vec![RawValue::Null; self.header.len()];
        for (name, cell) in self.header.iter().zip(&mut row) {
            if let Some(value) = object.field_mut(name) {
                *cell = std::mem::take(value);
            }
        }
        let mut rest = Vec::new();
        for (name, value) in object.properties {
            match self.header.iter().position(|known| *known == name) {
                Some(place) => row[place] = value,
                None if self.drop_columns.contains(&name) => {}
                None => rest.push((name, value)),
            }
        }
        self.with_rest(&row, rest)
    }

    fn with_rest<C: Cell>(&self, row: &[C], mut rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        rest.reserve_exact(self.rest.len());
        for property in &self.rest {
            match self.cell(row, property.column, property.numeric) {
                RawValue::Null => {}
                value => rest.push((property.name.clone(), value)),
            }
        }
        match self.kind {
            RecordKind::Events => {
                let mut event = RawEvent { properties: rest, ..RawEvent::default() };
                match self.fill(row, |field, value| set(event.field_mut(field), value)) {
                    Some(rejection) => Mapped::Quarantined { rejection, raw: event.to_json().into() },
                    None => {
                        let item = self.described_item(row, &event.item);
                        Mapped::Event { event, item }
                    }
                }
            }
            RecordKind::Items => {
                let mut item = RawItem { attributes: rest, ..RawItem::default() };
                item.currency.clone_from(&self.currency);
                match self.fill(row, |field, value| set(item.field_mut(field), value)) {
                    Some(rejection) => Mapped::Quarantined { rejection, raw: item.to_json().into() },
                    None => Mapped::Item(item),
                }
            }
            RecordKind::Users => {
                let mut user = RawUser { attributes: rest, ..RawUser::default() };
                match self.fill(row, |field, value| set(user.field_mut(field), value)) {
                    Some(rejection) => Mapped::Quarantined { rejection, raw: user.to_json().into() },
                    None => Mapped::User(user),
                }
            }
        }
    }

    /// Sets the fields of a record: first constants, then cells, then rules. A rule may refuse the row.
    fn fill<C: Cell>(&self, row: &[C], mut change: impl FnMut(&'static str, Change)) -> Option<Rejection> {
        for (field, value) in &self.constants {
            change(field, Change::Set(value.clone()));
        }
        for field in &self.fields {
            match field.shape.apply(self.cell(row, field.column, field.numeric)) {
                // An empty cell does not replace the constant.
                RawValue::Null => {}
                value => change(field.field, Change::Set(value)),
            }
        }
        for rule in &self.rules {
            if !self.holds(rule, row) {
                continue;
            }
            for (field, value) in &rule.set {
                change(field, Change::Set(value.clone()));
            }
            for field in &rule.copy {
                change(field.field, Change::Set(field.shape.apply(self.cell(row, field.column, field.numeric))));
            }
            rule.clear.iter().for_each(|field| change(field, Change::Set(RawValue::Null)));
            rule.absolute.iter().for_each(|field| change(field, Change::Absolute));
            if let Some((code, column)) = &rule.quarantine {
                return Some(self.refuse(code, column, rule, row));
            }
        }
        None
    }

    fn holds<C: Cell>(&self, rule: &BoundRule, row: &[C]) -> bool {
        let Some((column, test)) = &rule.when else { return true };
        match row.get(*column) {
            Some(cell) => test.holds(cell, self.is_empty(&cell.text())),
            None => test.holds(&"", true),
        }
    }

    fn refuse<C: Cell>(&self, code: &str, column: &str, rule: &BoundRule, row: &[C]) -> Rejection {
        let cell = rule.when.as_ref().and_then(|(place, _)| row.get(*place));
        let text = cell.map_or(Cow::Borrowed(""), Cell::text);
        let near = prefix(&text, 80);
        Rejection::new(reason(code), format!("a rule of the mapping refuses {column} {near:?}"))
    }

    fn described_item<C: Cell>(&self, row: &[C], id: &RawValue) -> Option<Box<RawItem>> {
        if self.item.is_empty() || id.is_missing() {
            return None;
        }
        let mut item = RawItem { id: id.clone(), ..RawItem::default() };
        let mut says_anything = false;
        for field in &self.item {
            let value = field.shape.apply(self.cell(row, field.column, field.numeric));
            says_anything |= value != RawValue::Null;
            set(item.field_mut(field.field), Change::Set(value));
        }
        item.currency.clone_from(&self.currency);
        says_anything.then(|| Box::new(item))
    }

    fn cell<C: Cell>(&self, row: &[C], column: usize, numeric: bool) -> RawValue {
        match row.get(column) {
            Some(cell) if self.empty.is_empty() || !self.is_empty(&cell.text()) => cell.value(numeric),
            _ => RawValue::Null,
        }
    }

    fn is_empty(&self, text: &str) -> bool {
        let text = text.trim_ascii();
        text.is_empty() || self.empty.iter().any(|empty| **empty == *text)
    }
}

/// A change of a field.
enum Change {
    Set(RawValue),
    Absolute,
}

fn set(field: Option<&mut RawValue>, change: Change) {
    let field = field.expect("a validated mapping names only existing fields");
    match change {
        Change::Set(value) => *field = value,
        Change::Absolute => match field {
            RawValue::Int(number) => *number = number.saturating_abs(),
            RawValue::Float(number) => *number = number.abs(),
            _ => {}
        },
    }
}

impl BoundProperty {
    fn new(name: &str, column: usize, mapping: &Mapping) -> Self {
        Self { name: name.into(), column, numeric: mapping.numbers.iter().any(|number| **number == *name) }
    }
}

impl BoundField {
    fn new(field: &'static str, column: usize, mapping: &Mapping, kind: RecordKind) -> Self {
        let is_time = matches!(field, "at" | "published_at");
        // `scale`, `prefix` and `uppercase` apply to fields of the record itself; the item of an event shares only its
        // price.
        let own = kind == mapping.kind;
        let shape = Shape {
            time_format: mapping.time_format.clone().filter(|_| is_time),
            scale: mapping.scale.get(field).copied().filter(|_| own || field == "price"),
            uppercase: own && mapping.uppercase.iter().any(|name| **name == *field),
            prefix: mapping.prefix.get(field).cloned().filter(|_| own),
            separator: mapping.separators.get(field).cloned().filter(|_| kind == RecordKind::Items),
        };
        Self { field, column, numeric: is_numeric(field) && shape.time_format.is_none(), shape }
    }
}

impl Shape {
    fn apply(&self, value: RawValue) -> RawValue {
        match value {
            RawValue::Text(text) => self.apply_to_text(text),
            RawValue::Int(number) => match (self.scale, &self.prefix) {
                (Some(factor), _) => RawValue::Float(number as f64 * factor),
                (None, Some(prefix)) => RawValue::text(format!("{prefix}{number}")),
                (None, None) => RawValue::Int(number),
            },
            RawValue::Float(number) => RawValue::Float(number * self.scale.unwrap_or(1.0)),
            value => value,
        }
    }

    fn apply_to_text(&self, mut text: Box<str>) -> RawValue {
        if let Some(format) = &self.time_format {
            return read_time(format, &text).map_or(RawValue::Text(text), |at| RawValue::text(at.to_string()));
        }
        if let Some(separator) = self.separator.as_deref().filter(|separator| !separator.is_empty()) {
            let elements = text.split(separator).map(str::trim).filter(|element| !element.is_empty());
            return RawValue::List(elements.map(RawValue::text).collect());
        }
        if self.uppercase {
            text = text.to_uppercase().into();
        }
        match &self.prefix {
            Some(prefix) => RawValue::text(format!("{prefix}{}", text.trim())),
            None => RawValue::Text(text),
        }
    }
}

fn read_time(format: &str, text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::strtime::parse(format, text.trim()).ok()?;
    if let Ok(at) = parsed.to_timestamp() {
        return Some(at.into());
    }
    let zone = match parsed.iana_time_zone() {
        Some(name) => jiff::tz::TimeZone::get(name).ok()?,
        None => jiff::tz::TimeZone::UTC,
    };
    let civil = parsed.to_datetime().or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0))).ok()?;
    // A time that the change of the clocks leaves out or makes occur twice is not guessed.
    zone.to_ambiguous_timestamp(civil).unambiguous().ok().map(Timestamp::from)
}

impl BoundRule {
    fn new(
        rule: &MappingRule,
        number: usize,
        mapping: &Mapping,
        place: impl Fn(&'static str, &str) -> Result<usize, MappingError>,
    ) -> Result<Self, MappingError> {
        let name = |field: &str| field_name(mapping.kind.fields(), field);
        let mut copy = Vec::new();
        for (field, column) in &rule.copy {
            copy.push(BoundField::new(name(field), place("rule.copy", column)?, mapping, mapping.kind));
        }
        let when = match &rule.when {
            Some(when) => Some((place("rule.when", &when.column)?, when.test(number)?)),
            None => None,
        };
        let column = rule.when.as_ref().map_or("the row", |when| &*when.column);
        Ok(Self {
            when,
            set: rule.set.iter().map(|(field, text)| (name(field), crate::raw::cell(field, text))).collect(),
            copy,
            clear: rule.clear.iter().map(|field| name(field)).collect(),
            absolute: rule.absolute.iter().map(|field| name(field)).collect(),
            quarantine: rule.quarantine.clone().map(|code| (code, column.into())),
        })
    }
}

/// Whether a column with the name of a field is mapped to something else.
fn renamed(mapping: &Mapping, column: &str) -> bool {
    let mut named = mapping.fields.values().chain(mapping.properties.values()).chain(&mapping.drop_columns);
    named.any(|name| **name == *column)
}

fn constants(mapping: &Mapping) -> Vec<(&'static str, RawValue)> {
    let name = |field: &str| field_name(mapping.kind.fields(), field);
    let source = mapping.source.iter().filter(|_| mapping.kind == RecordKind::Events);
    let source = source.map(|source| ("source", RawValue::Text(source.clone())));
    let given = mapping.constants.iter().map(|(field, text)| (name(field), crate::raw::cell(field, text)));
    source.chain(given).collect()
}

/// The static name of a field that validation has accepted.
fn field_name(fields: &'static [&'static str], name: &str) -> &'static str {
    fields.iter().find(|field| **field == name).expect("a validated mapping names only existing fields")
}
