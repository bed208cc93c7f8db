//! A mapping for one header or for objects: columns are resolved and patterns are compiled, once for many rows. In: a row.
//! Out: the value of a field; `records.rs` makes records of the values.

use std::borrow::Cow;
use std::sync::Arc;

use super::cell::{Cell, Reading};
use super::family::Family;
use super::fill::FillDown;
use super::left_out::is_empty;
use super::object::Path;
use super::parts::{
    BoundField, BoundOrders, BoundPairs, BoundPriceParts, BoundProperty, BoundRule, BoundSale, Column, Piece, Sales,
    Source,
};
use super::rule::Undo;
use crate::amount::{self, Decimal};
use crate::raw::{RawEvent, RawItem, RawUser};
use crate::{RawValue, RecordKind, Rejection};

/// The result of mapping a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapped {
    /// An event, and what the row says about its item.
    Event {
        /// The event, for the check.
        event: RawEvent,
        /// The item's description, for the check.
        item: Option<Box<RawItem>>,
        /// Whether the row takes the event back.
        undo: Option<Undo>,
    },
    /// An item.
    Item(RawItem),
    /// A user.
    User(RawUser),
    /// The item of this id is no longer sold.
    ItemRemoved(RawValue),
    /// The description of the user of this id is to be removed.
    UserRemoved(RawValue),
    /// A row that a rule of the mapping quarantines.
    Quarantined {
        /// The reason.
        rejection: Rejection,
        /// The record as it was mapped (JSON), so that it can be judged again when it is released.
        raw: Box<str>,
    },
    /// A row that is no record and no fault, such as the total at the end of a report.
    Skipped,
    /// An event, or an element of one, that has no item where the mapping looks for it, and no query.
    WithoutItem,
}

/// A mapping for rows of one header, or for objects. See [`Mapping::bind`](super::Mapping::bind) and [`Mapping::bind_objects`](super::Mapping::bind_objects).
#[derive(Clone, Debug)]
pub struct BoundMapping {
    pub(super) kind: RecordKind,
    /// What the cells of a row are, in their order.
    pub(super) columns: Vec<Column>,
    /// Whether a column of a table is a path into one of its cells.
    pub(super) is_nested: bool,
    /// The columns of the field that says what a record is about: the item of events, the id of items.
    pub(super) keys: Vec<usize>,
    /// The array of which each element is a record of its own.
    pub(super) array: Option<Path>,
    /// The array around that one, if its elements may be records too.
    pub(super) array_around: Option<Path>,
    /// Whether the id of an event is that of an element, and not that of the object around it.
    pub(super) is_id_inside: bool,
    pub(super) fields: Vec<BoundField>,
    pub(super) constants: Vec<(&'static str, RawValue)>,
    pub(super) rest: Vec<BoundProperty>,
    pub(super) item: Vec<BoundField>,
    pub(super) currency: RawValue,
    pub(super) rules: Vec<BoundRule>,
    pub(super) empty: Vec<Box<str>>,
    pub(super) drop_columns: Vec<Box<str>>,
    pub(super) decimal: Decimal,
    pub(super) fill: Option<FillDown>,
    pub(super) pairs: Vec<BoundPairs>,
    /// An object, and the list that it is to begin.
    pub(super) join: Option<(Path, Path)>,
    pub(super) orders: Option<BoundOrders>,
    pub(super) sale: Option<BoundSale>,
    pub(super) price_parts: Option<BoundPriceParts>,
    pub(super) sales: Sales,
    pub(super) family: Option<Arc<Family>>,
    /// Columns outside the array of the records that stand in for ones inside it, and are not those of an element.
    pub(super) beside_elements: Vec<usize>,
    pub(super) notes: Vec<String>,
}

impl BoundMapping {
    /// The kind of record that the rows describe.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Whether rows are to be mapped with [`BoundMapping::apply_nested`], because a column is a path into a cell.
    pub fn is_nested(&self) -> bool {
        self.is_nested
    }

    /// Whether a column, a constant or a rule gives this field a value.
    pub fn fills(&self, field: &str) -> bool {
        let in_rule = |rule: &BoundRule| {
            rule.set.iter().any(|(set, _)| *set == field) || rule.copy.iter().any(|copy| copy.field == field)
        };
        self.fields.iter().any(|known| known.field == field)
            || self.constants.iter().any(|(constant, _)| *constant == field)
            || self.rules.iter().any(in_rule)
    }

    /// The places of the cells that are read as amounts, such as prices.
    pub fn amount_columns(&self) -> Vec<usize> {
        let fields = self
            .fields
            .iter()
            .chain(&self.item)
            .filter(|field| matches!(field.shape.reading, Reading::Amount(_) | Reading::Price(_)));
        let properties = self.rest.iter().filter(|property| matches!(property.reading, Reading::Amount(_)));
        let sources = fields.flat_map(|field| &field.sources).chain(properties.flat_map(|property| &property.sources));
        sources.filter_map(Source::cell).collect()
    }

    /// Which columns were taken as fields by their usual names, since the last call: "`name` as title".
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Has rows completed by what others of the file say of them.
    pub fn set_family(&mut self, family: Arc<Family>) {
        self.family = Some(family);
    }

    pub(super) fn value<C: Cell>(&self, row: &[C], field: &BoundField) -> RawValue {
        if !field.is_collected {
            return field.shape.apply(self.first(row, &field.sources, field.shape.reading));
        }
        let mut all = Vec::new();
        for source in &field.sources {
            match field.shape.apply(self.source(row, source, field.shape.reading)) {
                RawValue::List(values) => all.extend(values),
                value => all.push(value),
            }
        }
        let mut found: Vec<RawValue> = Vec::with_capacity(all.len().min(MAX_COLLECTED));
        for value in all.into_iter().filter(|value| !value.is_missing()).take(MAX_COLLECTED) {
            if !found.contains(&value) {
                found.push(value);
            }
        }
        if found.is_empty() { RawValue::Null } else { RawValue::List(found) }
    }

    /// The value of the first source that has one.
    pub(super) fn first<C: Cell>(&self, row: &[C], sources: &[Source], reading: Reading) -> RawValue {
        if let [source] = sources {
            return self.source(row, source, reading);
        }
        let mut values = sources.iter().map(|source| self.source(row, source, reading));
        values.find(|value| !value.is_missing()).unwrap_or_default()
    }

    pub(super) fn source<C: Cell>(&self, row: &[C], source: &Source, reading: Reading) -> RawValue {
        match source {
            Source::Cell(place) => self.cell(row, *place, reading),
            Source::Joined(pieces) => self.joined(row, pieces).map_or(RawValue::Null, |text| reading.of(&text)),
        }
    }

    pub(super) fn joined<C: Cell>(&self, row: &[C], pieces: &[Piece]) -> Option<String> {
        let mut joined = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => joined.push_str(text),
                Piece::Cell(place) => {
                    let text = self.text(row, *place);
                    if is_empty(&self.empty, &text) {
                        return None;
                    }
                    joined.push_str(text.trim());
                }
            }
        }
        Some(joined)
    }

    /// The currency that a price's cell names.
    pub(super) fn currency_of<C: Cell>(&self, row: &[C], field: &BoundField) -> Option<Box<str>> {
        let Reading::Price(decimal) = field.shape.reading else { return None };
        field.sources.iter().find_map(|source| {
            let text = match source {
                Source::Cell(place) => self.text(row, *place),
                Source::Joined(pieces) => Cow::Owned(self.joined(row, pieces)?),
            };
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
            if is_plain { None } else { amount::read_price(&text, decimal)?.currency }
        })
    }

    /// The text of a cell, or what an earlier row says in its place.
    pub(super) fn text<'r, C: Cell>(&'r self, row: &'r [C], column: usize) -> Cow<'r, str> {
        let own = row.get(column).map_or(Cow::Borrowed(""), Cell::text);
        let filled = self.fill.as_ref().and_then(|fill| fill.text(column, is_empty(&self.empty, &own)));
        filled.map_or(own, Cow::Borrowed)
    }

    fn cell<C: Cell>(&self, row: &[C], column: usize, reading: Reading) -> RawValue {
        let fill = self.fill.as_ref().filter(|fill| fill.fills(column));
        let own = row.get(column);
        if fill.is_none() && self.empty.is_empty() {
            return own.map_or(RawValue::Null, |cell| cell.value(reading));
        }
        let is_empty = own.is_none_or(|cell| is_empty(&self.empty, &cell.text()) && !is_compound(cell, reading));
        match (fill.and_then(|fill| fill.text(column, is_empty)), own) {
            (Some(filled), _) => reading.of(filled),
            (None, Some(cell)) if !is_empty || self.empty.is_empty() => cell.value(reading),
            (None, _) => RawValue::Null,
        }
    }
}

/// Elements of the columns of one field that are collected: the check keeps fewer.
const MAX_COLLECTED: usize = 1000;

/// Whether a cell has a value that its text does not show.
fn is_compound<C: Cell>(cell: &C, reading: Reading) -> bool {
    matches!(cell.value(reading), RawValue::List(_) | RawValue::Other(_))
}
