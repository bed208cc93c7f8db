//! A mapping for one header or for objects: columns are resolved and patterns are compiled, once for many rows.

use std::borrow::Cow;
use std::sync::Arc;

use super::cell::{Cell, Reading};
use super::family::Family;
use super::fill::FillDown;
use super::left_out::is_empty;
use super::object::{Object, Path};
use super::parts::{
    BoundField, BoundOrders, BoundPairs, BoundPriceParts, BoundProperty, BoundRule, BoundSale, Column, Piece,
    PropertyName, Sales, Source,
};
use super::rule::{Test, Undo, reason};
use super::shape::split;
use crate::amount::{self, Decimal};
use crate::check::prefix;
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

/// What the rules say of a row as a whole.
enum Fate {
    Record,
    /// A record that says nothing of its item.
    Undescribed,
    /// A record that takes back the event that it would be.
    Undone(Undo),
    /// A record that, without an item, takes back the order of this id.
    OfOrder(RawValue, Undo),
    Refused(Rejection),
    Deleted,
    Skipped,
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

    /// The record of a row. Cells beyond the end of a short row are missing.
    pub fn apply<C: Cell>(&mut self, row: &[C]) -> Mapped {
        self.record(row, Vec::new())
    }

    /// The records of a row of whose cells some hold JSON.
    pub fn apply_nested<C: Cell>(&mut self, row: &[C]) -> Vec<Mapped> {
        let names = self.columns.iter().map(|column| &*column.name);
        let object = Object::from_cells(names.zip(row).map(|(name, cell)| (name, cell.value(Reading::Text))));
        self.apply_object(object)
    }

    pub(super) fn record<C: Cell>(&mut self, row: &[C], mut rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        if let Some(fill) = &mut self.fill {
            let empty = &self.empty;
            fill.next(row, |text| is_empty(empty, text));
        }
        if self.kind == RecordKind::Events && self.is_charge(row) {
            return Mapped::Skipped;
        }
        self.note_states(row);
        let sale = self.sale_price(row);
        let this = &*self;
        rest.reserve_exact(this.rest.len());
        rest.extend(this.pairs_of_cells(row));
        rest.extend(this.rest.iter().filter_map(|property| this.property(row, property)));
        match this.kind {
            RecordKind::Events => match this.event_record(row, rest) {
                Mapped::Event { event, .. } if self.is_of_deleted_product(&event) => Mapped::Skipped,
                mapped => mapped,
            },
            RecordKind::Items => this.item_record(row, rest, sale),
            RecordKind::Users => this.user_record(row, rest),
        }
    }

    fn event_record<C: Cell>(&self, row: &[C], rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        let mut event = RawEvent { properties: rest, ..RawEvent::default() };
        let fate = self.fill(row, None, |field, value| set(event.field_mut(field), value));
        // An order that is taken back has the id that it had as a purchase.
        let before = event.event_type.clone();
        self.price_of_line(row, &mut event);
        let fate = match fate {
            // What is left of a line that was given back whole, as exports with the refunds taken off have it. It does not
            // say how many pieces came back.
            Fate::Record | Fate::Undescribed if self.is_line_of_none(&event) => Fate::Skipped,
            fate => fate,
        };
        if matches!(fate, Fate::Undone(_)) {
            event.event_type = before;
        }
        match fate {
            // A valid mapping deletes no event.
            Fate::Skipped | Fate::Deleted => Mapped::Skipped,
            Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: event.to_json().into() },
            Fate::OfOrder(id, undo) if event.item.is_missing() => {
                Mapped::Event { event: RawEvent { id, ..event }, item: None, undo: Some(undo) }
            }
            fate => {
                let (item, undo) = match fate {
                    Fate::Undescribed => (None, None),
                    Fate::Undone(undo) => (None, Some(undo)),
                    _ => (self.described_item(row, &event.item), None),
                };
                Mapped::Event { event, item, undo }
            }
        }
    }

    fn item_record<C: Cell>(&self, row: &[C], rest: Vec<(Box<str>, RawValue)>, sale: Option<RawValue>) -> Mapped {
        let mut item = RawItem { attributes: rest, ..RawItem::default() };
        item.currency.clone_from(&self.currency);
        if let Some(product) = self.fill.as_ref().and_then(FillDown::group_above) {
            item.parent = RawValue::text(product);
        }
        let fate = self.fill(row, sale, |field, value| set(item.field_mut(field), value));
        self.add_price_parts(row, &mut item);
        if let Some(family) = &self.family {
            family.complete(&mut item);
        }
        match fate {
            Fate::Skipped => Mapped::Skipped,
            Fate::Deleted => Mapped::ItemRemoved(item.id),
            Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: item.to_json().into() },
            // Shopify has a row of its own for each further picture of a product.
            _ if item.id.is_missing()
                && item.price.is_missing()
                && self.fill.as_ref().is_some_and(FillDown::continues_group) =>
            {
                Mapped::Skipped
            }
            Fate::Record | Fate::Undescribed | Fate::Undone(_) | Fate::OfOrder(..) => Mapped::Item(item),
        }
    }

    fn user_record<C: Cell>(&self, row: &[C], rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        let mut user = RawUser { attributes: rest, ..RawUser::default() };
        match self.fill(row, None, |field, value| set(user.field_mut(field), value)) {
            Fate::Skipped => Mapped::Skipped,
            Fate::Deleted => Mapped::UserRemoved(user.id),
            Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: user.to_json().into() },
            Fate::Record | Fate::Undescribed | Fate::Undone(_) | Fate::OfOrder(..) => Mapped::User(user),
        }
    }

    /// A property with its name, if it has both.
    fn property<C: Cell>(&self, row: &[C], property: &BoundProperty) -> Option<(Box<str>, RawValue)> {
        let value = match (self.first(row, &property.sources, property.reading), &property.separators) {
            (RawValue::Null, _) => return None,
            (RawValue::Text(text), Some(separators)) => split(&text, separators, &self.empty),
            (value, _) => value,
        };
        let name = match &property.name {
            PropertyName::Fixed(name) => name.clone(),
            PropertyName::Joined(pieces) => self.joined(row, pieces)?.into(),
        };
        Some((name, value))
    }

    /// Sets the fields of a record: first constants, then cells, then the price of a sale, then rules. A rule may refuse or skip
    /// the row.
    fn fill<C: Cell>(&self, row: &[C], sale: Option<RawValue>, mut change: impl FnMut(&'static str, Change)) -> Fate {
        for (field, value) in &self.constants {
            change(field, Change::Set(value.clone()));
        }
        for field in &self.fields {
            // An empty cell does not replace the constant, nor does one of white space, which elsewhere is a text as it
            // is.
            match self.value(row, field) {
                RawValue::Null => {}
                value if value.is_missing() && self.has_constant(field.field) => {}
                value => change(field.field, Change::Set(value)),
            }
            if self.kind == RecordKind::Items
                && field.field == "price"
                && let Some(code) = self.currency_of(row, field)
            {
                change("currency", Change::Set(RawValue::text(code)));
            }
        }
        if let Some(price) = sale.filter(|price| self.is_below_usual(row, price)) {
            change("price", Change::Set(price));
        }
        let mut fate = Fate::Record;
        for rule in &self.rules {
            if !self.holds(rule, row) || (rule.unless_variant && self.is_variant(row)) {
                continue;
            }
            if !rule.describes {
                fate = Fate::Undescribed;
            }
            for (field, value) in &rule.set {
                change(field, Change::Set(value.clone()));
            }
            for field in &rule.copy {
                change(field.field, Change::Set(self.value(row, field)));
            }
            rule.clear.iter().for_each(|field| change(field, Change::Set(RawValue::Null)));
            rule.absolute.iter().for_each(|field| change(field, Change::Absolute));
            if rule.skip {
                return Fate::Skipped;
            }
            if let Some(order) = rule.undo_order.as_ref().map(|of| self.value(row, of)).filter(|id| !id.is_missing()) {
                let is_left_out = rule.undo == Some(Undo::IfKnown);
                return Fate::OfOrder(order, if is_left_out { Undo::KnownOrder } else { Undo::Order });
            }
            if let Some(undo) = rule.undo.filter(|_| rule.undo_order.is_none()) {
                return Fate::Undone(undo);
            }
            if rule.delete {
                return Fate::Deleted;
            }
            if let Some((code, column)) = &rule.quarantine {
                return Fate::Refused(self.refuse(code, column, rule, row));
            }
        }
        self.undo_of_order(row).map_or(fate, Fate::Undone)
    }

    /// Whether the mapping says what a field is where a record says nothing.
    fn has_constant(&self, field: &str) -> bool {
        self.constants.iter().any(|(constant, _)| *constant == field)
            || (field == "currency" && self.currency != RawValue::Null)
    }

    fn holds<C: Cell>(&self, rule: &BoundRule, row: &[C]) -> bool {
        let reading = Reading::Amount(self.decimal);
        let holds = |test: &Test, text: &str, is_object: bool| {
            test.holds(text, is_empty(&self.empty, text) && !is_object, reading)
        };
        rule.when.iter().all(|(column, test)| {
            let own = row.get(*column);
            let given = |value: &&RawValue| value.is_object() || !is_empty(&self.empty, &value.text());
            let mut elements = own.and_then(Cell::elements).unwrap_or_default().iter().filter(given).peekable();
            if elements.peek().is_none() {
                return holds(test, &self.text(row, *column), own.is_some_and(Cell::is_object));
            }
            // Of an element that repeats, or an array: one that passes is enough, but none may have what must not be.
            let mut passed = elements.map(|value| holds(test, &value.text(), value.is_object()));
            if test.is_negative() { passed.all(|passed| passed) } else { passed.any(|passed| passed) }
        })
    }

    /// Whether a product of the file names the item of this row as its variant.
    fn is_variant<C: Cell>(&self, row: &[C]) -> bool {
        let Some(family) = &self.family else { return false };
        let id = self.fields.iter().find(|field| field.field == "id");
        id.is_some_and(|id| family.is_variant(&self.value(row, id)))
    }

    /// Has rows completed by what others of the file say of them.
    pub fn set_family(&mut self, family: Arc<Family>) {
        self.family = Some(family);
    }

    fn refuse<C: Cell>(&self, code: &str, column: &str, rule: &BoundRule, row: &[C]) -> Rejection {
        let text = rule.when.first().map_or(Cow::Borrowed(""), |(place, _)| self.text(row, *place));
        let near = prefix(&text, 80);
        Rejection::new(reason(code), format!("a rule of the mapping refuses {column} {near:?}"))
    }

    fn described_item<C: Cell>(&self, row: &[C], id: &RawValue) -> Option<Box<RawItem>> {
        if self.item.is_empty() || id.is_missing() {
            return None;
        }
        let mut item = RawItem { id: id.clone(), ..RawItem::default() };
        item.currency.clone_from(&self.currency);
        let mut says_anything = false;
        for field in &self.item {
            if field.field == "price"
                && let Some(code) = self.currency_of(row, field)
            {
                item.currency = RawValue::text(code);
            }
            let value = self.value(row, field);
            says_anything |= !value.is_missing();
            if field.field != "currency" || !value.is_missing() {
                set(item.field_mut(field.field), Change::Set(value));
            }
        }
        item.price = rounded(std::mem::take(&mut item.price), &item.currency);
        says_anything.then(|| Box::new(item))
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

    fn joined<C: Cell>(&self, row: &[C], pieces: &[Piece]) -> Option<String> {
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
    fn currency_of<C: Cell>(&self, row: &[C], field: &BoundField) -> Option<Box<str>> {
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

/// Currencies without decimals, and those with three.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
const THREE_DECIMALS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// A price as a shop would show it. One that an order has computed (`37.8151260504202`, without tax) has the decimals of its
/// currency; one with a few decimals is as it was written.
fn rounded(price: RawValue, currency: &RawValue) -> RawValue {
    let RawValue::Float(number) = price else { return price };
    let is_computed = (number * 1e4).fract() != 0.0 && ((number * 1e4).round() / 1e4 - number).abs() > 1e-9;
    if !is_computed || !number.is_finite() {
        return price;
    }
    let unit = match currency {
        RawValue::Text(code) if WHOLE.contains(&**code) => 1.0,
        RawValue::Text(code) if THREE_DECIMALS.contains(&**code) => 1e3,
        _ => 1e2,
    };
    RawValue::Float((number * unit).round() / unit)
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
