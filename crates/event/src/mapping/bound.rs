//! A mapping for one header or for objects: columns are resolved and patterns are compiled, once for many rows.

use std::borrow::Cow;

use super::cell::{Cell, Reading};
use super::fill::FillDown;
use super::object::{Nested, Object, Path};
use super::rule::{Test, reason};
use super::shape::Shape;
use super::vocabulary::compact;
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
    /// A row that is no record and no fault, such as the total at the end of a report.
    Skipped,
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
    pub(super) notes: Vec<String>,
}

/// A column by its name, and the path that its name describes.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: Box<str>,
    pub path: Option<Path>,
    /// How many arrays of the path are those of which each element is a record.
    pub n_shared: usize,
}

/// A field and how its value is made.
#[derive(Clone, Debug)]
pub(super) struct BoundField {
    pub field: &'static str,
    /// Where the value is; the first that has one counts.
    pub sources: Vec<Source>,
    /// Names under which objects may have the field; a table's header was searched for them before.
    pub other_names: &'static [&'static str],
    pub shape: Shape,
}

/// Where a value is.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Cell(usize),
    /// Texts and cells, one behind the other: `{Handle}-{Option1 Value}`. Without a value if one of the cells has none.
    Joined(Vec<Piece>),
}

impl Source {
    /// The places of all cells.
    pub fn cells(&self) -> Vec<usize> {
        match self {
            Self::Cell(place) => vec![*place],
            Self::Joined(pieces) => pieces.iter().filter_map(Piece::cell).collect(),
        }
    }

    /// The place of the cell, if it is one.
    pub fn cell(&self) -> Option<usize> {
        match self {
            Self::Cell(place) => Some(*place),
            Self::Joined(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    Cell(usize),
}

impl Piece {
    fn cell(&self) -> Option<usize> {
        match self {
            Self::Cell(place) => Some(*place),
            Self::Text(_) => None,
        }
    }
}

/// A property and the cell that it is made from.
#[derive(Clone, Debug)]
pub(super) struct BoundProperty {
    pub name: Box<str>,
    pub sources: Vec<Source>,
    pub reading: Reading,
}

#[derive(Clone, Debug)]
pub(super) struct BoundRule {
    pub when: Option<(usize, Test)>,
    pub set: Vec<(&'static str, RawValue)>,
    pub copy: Vec<BoundField>,
    pub clear: Vec<&'static str>,
    pub absolute: Vec<&'static str>,
    pub quarantine: Option<(Box<str>, Box<str>)>,
    pub skip: bool,
}

/// What the rules say of a row as a whole.
enum Fate {
    Record,
    Refused(Rejection),
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
        let fields =
            self.fields.iter().chain(&self.item).filter(|field| matches!(field.shape.reading, Reading::Amount(_)));
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

    /// The records of an object with the platform's names (see [`Mapping::bind_objects`](super::Mapping::bind_objects)): one, or one for each element of the
    /// array in which the mapping finds the item.
    pub fn apply_object(&mut self, object: Object) -> Vec<Mapped> {
        self.open_arrays(&object);
        let elements = self.array.as_ref().map(|array| object.elements(array)).unwrap_or_default();
        if elements.is_empty() {
            let (row, rest) = self.row_of(&object, None);
            return vec![self.record(&row, rest)];
        }
        let mut records = Vec::with_capacity(elements.len());
        for (place, element) in elements.iter().enumerate() {
            let (row, rest) = self.row_of(&object, Some(element));
            let mut mapped = self.record(&row, rest);
            if let Mapped::Event { event, .. } = &mut mapped
                && place > 0
                && !self.is_id_inside
                && !event.id.is_missing()
            {
                // All elements have the id of the object, and an id counts once.
                event.id = RawValue::text(format!("{}#{}", event.id.text(), place + 1));
            }
            records.push(mapped);
        }
        records
    }

    /// Finds the arrays on the paths that do not name them: `items.item_id` where `items` is one.
    fn open_arrays(&mut self, object: &Object) {
        let mut has_opened = false;
        for column in &mut self.columns {
            if let Some(opened) = column.path.as_ref().and_then(|path| path.opened(object)) {
                column.path = Some(opened);
                has_opened = true;
            }
        }
        if has_opened {
            self.relate_arrays();
        }
    }

    /// Finds the array of which each element is a record, and which paths lead into it.
    pub(super) fn relate_arrays(&mut self) {
        let mut paths = self.keys.iter().filter_map(|place| self.columns[*place].path.as_ref());
        self.array = paths.find_map(Path::up_to_each);
        for column in &mut self.columns {
            column.n_shared = match (&column.path, &self.array) {
                (Some(path), Some(array)) => path.n_shared(array),
                _ => 0,
            };
        }
        let ids = self.fields.iter().filter(|field| field.field == "id").flat_map(|field| &field.sources);
        self.is_id_inside = ids.filter_map(Source::cell).any(|place| self.columns[place].n_shared > 0);
    }

    /// The cells of an object or of one element in it, and what the mapping does not name.
    fn row_of(&mut self, object: &Object, element: Option<&[usize]>) -> (Vec<RawValue>, Vec<(Box<str>, RawValue)>) {
        let inner = ["properties", "attributes"].map(|name| match object.field(name) {
            Some(Nested::Object(inner)) => Some(inner),
            _ => None,
        });
        let mut row: Vec<RawValue> = self.columns.iter().map(|column| column.value(object, &inner, element)).collect();
        let mut taken: Vec<&str> = Vec::new();
        for field in self.fields.iter().filter(|field| !field.other_names.is_empty()) {
            let [Source::Cell(place)] = field.sources[..] else { continue };
            if !row[place].is_missing() {
                continue;
            }
            let others = [Some(object), inner[0], inner[1]];
            let found = field.other_names.iter().find_map(|wanted| {
                others.iter().flatten().find_map(|object| {
                    object.0.iter().find(|(name, value)| {
                        name.len() <= 64 && value.is_given() && !self.names(name) && compact(name) == **wanted
                    })
                })
            });
            if let Some((name, value)) = found {
                row[place] = value.clone().into();
                taken.push(name);
                let note = format!("`{name}` as {}", field.field);
                if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
        let is_left = |name: &str| !self.names(name) && !taken.contains(&name);
        let mut rest = Vec::new();
        for (name, value) in &object.0 {
            match value {
                Nested::Object(inner) if matches!(&**name, "properties" | "attributes") => {
                    let is_path = |name: &str| self.columns.iter().any(|column| column.leads_into_properties(name));
                    let left = inner.0.iter().filter(|(name, _)| is_left(name) && !is_path(name));
                    rest.extend(left.map(|(name, value)| (name.clone(), value.clone().into())));
                }
                _ if is_left(name) => rest.push((name.clone(), value.clone().into())),
                _ => {}
            }
        }
        (row, rest)
    }

    /// Whether the mapping says what becomes of a field of an object.
    fn names(&self, name: &str) -> bool {
        let is_named =
            |column: &Column| *column.name == *name || column.path.as_ref().is_some_and(|path| path.root() == name);
        self.columns.iter().any(is_named) || is_dropped(&self.drop_columns, name)
    }

    fn record<C: Cell>(&mut self, row: &[C], mut rest: Vec<(Box<str>, RawValue)>) -> Mapped {
        if let Some(fill) = &mut self.fill {
            let empty = &self.empty;
            fill.next(row, |text| is_empty(empty, text));
        }
        let this = &*self;
        rest.reserve_exact(this.rest.len());
        for property in &this.rest {
            match this.first(row, &property.sources, property.reading) {
                RawValue::Null => {}
                value => rest.push((property.name.clone(), value)),
            }
        }
        match this.kind {
            RecordKind::Events => {
                let mut event = RawEvent { properties: rest, ..RawEvent::default() };
                match this.fill(row, |field, value| set(event.field_mut(field), value)) {
                    Fate::Skipped => Mapped::Skipped,
                    Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: event.to_json().into() },
                    Fate::Record => {
                        let item = this.described_item(row, &event.item);
                        Mapped::Event { event, item }
                    }
                }
            }
            RecordKind::Items => {
                let mut item = RawItem { attributes: rest, ..RawItem::default() };
                item.currency.clone_from(&this.currency);
                match this.fill(row, |field, value| set(item.field_mut(field), value)) {
                    Fate::Skipped => Mapped::Skipped,
                    Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: item.to_json().into() },
                    // Shopify has a row of its own for each further picture of a product.
                    Fate::Record
                        if item.id.is_missing()
                            && item.price.is_missing()
                            && this.fill.as_ref().is_some_and(FillDown::continues_group) =>
                    {
                        Mapped::Skipped
                    }
                    Fate::Record => Mapped::Item(item),
                }
            }
            RecordKind::Users => {
                let mut user = RawUser { attributes: rest, ..RawUser::default() };
                match this.fill(row, |field, value| set(user.field_mut(field), value)) {
                    Fate::Skipped => Mapped::Skipped,
                    Fate::Refused(rejection) => Mapped::Quarantined { rejection, raw: user.to_json().into() },
                    Fate::Record => Mapped::User(user),
                }
            }
        }
    }

    /// Sets the fields of a record: first constants, then cells, then rules. A rule may refuse or skip the row.
    fn fill<C: Cell>(&self, row: &[C], mut change: impl FnMut(&'static str, Change)) -> Fate {
        for (field, value) in &self.constants {
            change(field, Change::Set(value.clone()));
        }
        for field in &self.fields {
            // An empty cell does not replace the constant.
            match self.value(row, field) {
                RawValue::Null => {}
                value => change(field.field, Change::Set(value)),
            }
            if self.kind == RecordKind::Items
                && field.field == "price"
                && let Some(code) = self.currency_of(row, field)
            {
                change("currency", Change::Set(RawValue::Text(code)));
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
                change(field.field, Change::Set(self.value(row, field)));
            }
            rule.clear.iter().for_each(|field| change(field, Change::Set(RawValue::Null)));
            rule.absolute.iter().for_each(|field| change(field, Change::Absolute));
            if rule.skip {
                return Fate::Skipped;
            }
            if let Some((code, column)) = &rule.quarantine {
                return Fate::Refused(self.refuse(code, column, rule, row));
            }
        }
        Fate::Record
    }

    fn holds<C: Cell>(&self, rule: &BoundRule, row: &[C]) -> bool {
        let Some((column, test)) = &rule.when else { return true };
        let text = self.text(row, *column);
        test.holds(&text, is_empty(&self.empty, &text), Reading::Amount(self.decimal))
    }

    fn refuse<C: Cell>(&self, code: &str, column: &str, rule: &BoundRule, row: &[C]) -> Rejection {
        let text = rule.when.as_ref().map_or(Cow::Borrowed(""), |(place, _)| self.text(row, *place));
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
                item.currency = RawValue::Text(code);
            }
            let value = self.value(row, field);
            says_anything |= value != RawValue::Null;
            if field.field != "currency" || value != RawValue::Null {
                set(item.field_mut(field.field), Change::Set(value));
            }
        }
        says_anything.then(|| Box::new(item))
    }

    fn value<C: Cell>(&self, row: &[C], field: &BoundField) -> RawValue {
        field.shape.apply(self.first(row, &field.sources, field.shape.reading))
    }

    /// The value of the first source that has one.
    fn first<C: Cell>(&self, row: &[C], sources: &[Source], reading: Reading) -> RawValue {
        if let [source] = sources {
            return self.source(row, source, reading);
        }
        let mut values = sources.iter().map(|source| self.source(row, source, reading));
        values.find(|value| !value.is_missing()).unwrap_or_default()
    }

    fn source<C: Cell>(&self, row: &[C], source: &Source, reading: Reading) -> RawValue {
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
        let Reading::Amount(decimal) = field.shape.reading else { return None };
        field.sources.iter().find_map(|source| {
            let text = match source {
                Source::Cell(place) => self.text(row, *place),
                Source::Joined(pieces) => Cow::Owned(self.joined(row, pieces)?),
            };
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
            if is_plain { None } else { amount::read(&text, decimal)?.currency }
        })
    }

    /// The text of a cell, or what an earlier row says in its place.
    fn text<'r, C: Cell>(&'r self, row: &'r [C], column: usize) -> Cow<'r, str> {
        let own = row.get(column).map_or(Cow::Borrowed(""), Cell::text);
        match self.fill.as_ref().and_then(|fill| fill.text(column)) {
            Some(filled) if is_empty(&self.empty, &own) => Cow::Borrowed(filled),
            _ => own,
        }
    }

    fn cell<C: Cell>(&self, row: &[C], column: usize, reading: Reading) -> RawValue {
        let filled = self.fill.as_ref().and_then(|fill| fill.text(column));
        match row.get(column) {
            Some(cell) if filled.is_none() && self.empty.is_empty() => cell.value(reading),
            Some(cell) if !is_empty(&self.empty, &cell.text()) || is_compound(cell, reading) => cell.value(reading),
            _ => filled.map_or(RawValue::Null, |text| reading.of(text)),
        }
    }
}

/// Notes that are kept until they are taken.
const MAX_NOTES: usize = 64;

impl Column {
    /// A column, and the path if its name is one.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), path: Path::parse(name), n_shared: 0 }
    }

    fn value(&self, object: &Object, inner: &[Option<&Object>; 2], element: Option<&[usize]>) -> RawValue {
        if let Some(exact) = object.field(&self.name).filter(|value| value.is_given()) {
            return exact.clone().into();
        }
        match (&self.path, element) {
            (Some(path), Some(element)) => object.at(path, &element[..self.n_shared.min(element.len())]),
            // The array has no elements.
            (Some(_), None) if self.n_shared > 0 => RawValue::Null,
            (Some(path), None) => object.at(path, &[]),
            (None, _) => {
                let found = inner.iter().flatten().find_map(|inner| inner.field(&self.name));
                found.map_or(RawValue::Null, |value| value.clone().into())
            }
        }
    }

    /// Whether the path is one into this field of `properties` or `attributes`.
    fn leads_into_properties(&self, name: &str) -> bool {
        let leads = |path: &Path| matches!(path.root(), "properties" | "attributes") && path.second() == Some(name);
        self.path.as_ref().is_some_and(leads)
    }
}

impl Nested {
    fn is_given(&self) -> bool {
        !matches!(self, Self::Single(value) if value.is_missing())
    }
}

/// Whether a cell has a value that its text does not show.
fn is_compound<C: Cell>(cell: &C, reading: Reading) -> bool {
    matches!(cell.value(reading), RawValue::List(_) | RawValue::Other(_))
}

pub(super) fn is_empty(empty: &[Box<str>], text: &str) -> bool {
    let text = text.trim_ascii();
    text.is_empty() || empty.iter().any(|empty| **empty == *text)
}

/// Whether a column is left out: it is named, or begins as one that ends in `*`.
pub(super) fn is_dropped(drop_columns: &[Box<str>], name: &str) -> bool {
    drop_columns.iter().any(|dropped| match dropped.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => **dropped == *name,
    })
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
