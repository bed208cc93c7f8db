//! Objects as rows: the cells that paths lead to, what the mapping does not name, and a record for each element of an
//! array.
//!
//! Each record has a copy of what stands around its array, so an object of which the copies would take too much memory
//! is refused.

use super::bound::{BoundMapping, Mapped};
use super::cell::{Cell, Reading};
use super::left_out::{is_dropped, is_empty, note_on_cost};
use super::object::{Nested, Object, Path};
use super::parts::{BoundField, Column, Source};
use super::rule::Undo;
use super::vocabulary::compact;
use crate::private::is_cost;
use crate::raw::RawEvent;
use crate::{RawValue, Reason, RecordKind, Rejection};

/// Bytes that the records of one object may take together.
const MAX_EXPANDED_BYTES: usize = 64 << 20;
/// Notes that are kept until they are taken.
const MAX_NOTES: usize = 64;

impl BoundMapping {
    /// The records of a row of whose cells some hold JSON.
    pub fn apply_nested<C: Cell>(&mut self, row: &[C]) -> Vec<Mapped> {
        let names = self.columns.iter().map(|column| &*column.name);
        let object = Object::from_cells(names.zip(row).map(|(name, cell)| (name, cell.value(Reading::Text))));
        self.apply_object(object)
    }

    /// The records of an object with the platform's names (see
    /// [`Mapping::bind_objects`](super::Mapping::bind_objects)): one, or one for each element of the array in which the
    /// mapping finds the item.
    pub fn apply_object(&mut self, mut object: Object) -> Vec<Mapped> {
        object.open_texts(|name| self.leads_into(name));
        if let Some((from, to)) = &self.join {
            object.join(from, to);
        }
        self.open_arrays(&object);
        let elements = self.elements_of(&object);
        if elements.is_empty() {
            return vec![self.whole_record(&object)];
        }
        if let Some(refused) = self.refuse_expansion(&object, &elements) {
            return vec![refused];
        }
        let mut records = Vec::with_capacity(elements.len());
        let mut of_order = None;
        for (place, element) in elements.iter().enumerate() {
            let (row, rest) = self.row_of(&object, Some(element));
            let mut mapped = self.record(&row, rest);
            // Nor does one that takes back an order, which the object as a whole may do.
            if let Mapped::Event { event, undo: Some(undo), .. } = &mapped
                && undo.is_of_order()
            {
                of_order.get_or_insert((event.clone(), *undo));
                mapped = Mapped::WithoutItem;
            }
            // An element without an id, such as GA4's `(not set)`, is no product, and the others are.
            if let Mapped::Event { event, .. } = &mapped
                && event.item.is_missing()
                && event.query.is_missing()
            {
                mapped = Mapped::WithoutItem;
            }
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
        if let Some((event, undo)) = of_order
            && records.iter().all(|record| *record == Mapped::WithoutItem)
        {
            return vec![match elements.iter().find_map(|element| self.told_of(&object, element)) {
                None => Mapped::Event { event, item: None, undo: Some(undo) },
                Some(told) => {
                    let detail = format!(
                        "none of its items has an id, and one has {told}, so it cannot be told which lines of the order were given \
                         back"
                    );
                    let rejection = Rejection::new(Reason::Rule("unnamed_items".into()), detail);
                    Mapped::Quarantined { rejection, raw: event.to_json().into() }
                }
            }];
        }
        records
    }

    /// The places of the elements of which each is a record.
    fn elements_of(&self, object: &Object) -> Vec<Vec<usize>> {
        let mut elements = self.array.as_ref().map(|array| object.elements(array)).unwrap_or_default();
        if let Some(around) = &self.array_around {
            // What stands around an empty array may have an item of its own.
            elements.extend(object.elements(around));
            elements.sort();
            let inner = elements.clone();
            let has_inner = |place: &Vec<usize>| {
                let next = inner.partition_point(|other| other <= place);
                inner.get(next).is_some_and(|other| other.starts_with(place))
            };
            elements.retain(|place| !has_inner(place));
        }
        elements
    }

    /// The record of an object that has no array of records, or an empty one.
    fn whole_record(&mut self, object: &Object) -> Mapped {
        let (row, rest) = self.row_of(object, None);
        let is_empty = self.kind == RecordKind::Events && self.has_items_in_arrays_alone();
        match self.record(&row, rest) {
            Mapped::Event { event, undo, .. }
                if is_empty
                    && !undo.is_some_and(Undo::is_of_order)
                    && event.item.is_missing()
                    && event.query.is_missing() =>
            {
                Mapped::WithoutItem
            }
            record => record,
        }
    }

    /// What an element says of a product without its id: the name of the field and its value. An element that says nothing
    /// stands for none, as GA4's `(not set)` does.
    fn told_of(&self, object: &Object, element: &[usize]) -> Option<String> {
        let RawValue::Other(json) = object.at(self.array.as_ref()?, element) else { return None };
        let inner: Object = serde_json::from_str(&json).ok()?;
        inner.leaves().into_iter().find_map(|(name, value)| {
            let folded = compact(&name);
            // The list or promotion in which a product stood has a name too.
            let is_around = ["list", "promotion", "creative"].iter().any(|part| folded.contains(part));
            let is_of_line =
                !is_around && ["name", "title", "price", "quantity", "qty"].iter().any(|part| folded.contains(part));
            let is_nothing =
                value.is_empty() || value == "null" || value.parse() == Ok(0.0) || is_empty(&self.empty, &value);
            (is_of_line && !is_nothing).then(|| format!("`{name}` {value:?}"))
        })
    }

    /// Refuses an object of which the elements would take much more memory than the object, because each has a copy of
    /// what is outside its array.
    fn refuse_expansion(&mut self, object: &Object, elements: &[Vec<usize>]) -> Option<Mapped> {
        let (row, rest) = self.row_of(object, elements.first().map(Vec::as_slice));
        let outside = self.columns.iter().zip(&row).filter(|(column, _)| column.n_shared == 0);
        let of_row: usize = outside.map(|(_, value)| value.n_bytes()).sum();
        let of_rest: usize = rest.iter().map(|(name, value)| name.len() + value.n_bytes()).sum();
        let each = of_row + of_rest + size_of::<Mapped>() + size_of::<RawEvent>();
        if each.saturating_mul(elements.len()) <= MAX_EXPANDED_BYTES {
            return None;
        }
        let detail = format!(
            "an array of {} elements, of which each becomes a record with {} bytes of what stands around it, is too large; leave \
             large fields out by `drop_columns`, or send shorter arrays",
            elements.len(),
            of_row + of_rest
        );
        Some(Mapped::Quarantined { rejection: Rejection::new(Reason::Malformed, detail), raw: "{}".into() })
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
        if self.kind == RecordKind::Events {
            for place in &self.keys {
                let column = &mut self.columns[*place];
                if let Some(into) = Path::into_singles(column.path.as_ref(), &column.name, object) {
                    column.path = Some(into);
                    column.is_opened = true;
                    has_opened = true;
                }
            }
        }
        if has_opened {
            self.relate_arrays();
        }
    }

    /// Finds the array of which each element is a record, and which paths lead into it.
    pub(super) fn relate_arrays(&mut self) {
        let paths = || self.keys.iter().filter_map(|place| self.columns[*place].path.as_ref());
        let arrays = || paths().filter_map(Path::up_to_each);
        self.array = arrays().next();
        // Of an array and one in it, the inner one has the records, and the outer one those without any in it.
        let inner = arrays().rfind(|array| self.array.as_ref().is_some_and(|first| array.is_inside(first)));
        self.array = inner.or(self.array.take());
        self.array_around = arrays().find(|array| self.array.as_ref().is_some_and(|inner| inner.is_inside(array)));
        for column in &mut self.columns {
            column.n_shared = match (&column.path, &self.array) {
                (Some(path), Some(array)) => path.n_shared(array),
                _ => 0,
            };
        }
        self.beside_elements = self.beside_elements();
        let ids = self.fields.iter().filter(|field| field.field == "id").flat_map(|field| &field.sources);
        self.is_id_inside = ids.filter_map(Source::cell).any(|place| self.columns[place].n_shared > 0);
    }

    /// Whether the item of an event can only be in an array.
    fn has_items_in_arrays_alone(&self) -> bool {
        let is_inside =
            |place: &usize| self.columns[*place].path.as_ref().is_some_and(|path| path.up_to_each().is_some());
        self.array.is_some() && self.keys.iter().all(is_inside)
    }

    /// The columns outside the array of the records that stand in for columns inside it, in fields of which each element has its
    /// own: the category of a list of products is not that of the products on it, and the total of an order is not the price of a
    /// line.
    fn beside_elements(&self) -> Vec<usize> {
        let is_own = |field: &&BoundField| matches!(field.field, "price" | "quantity" | "value" | "position");
        let of_event = self.fields.iter().filter(|field| self.kind == RecordKind::Events && is_own(field));
        let of_item = self.item.iter().filter(|field| !matches!(field.field, "currency" | "locale"));
        let mut beside = Vec::new();
        for field in of_event.chain(of_item) {
            let cells: Vec<usize> = field.sources.iter().filter_map(Source::cell).collect();
            let is_inside = |place: &usize| self.columns[*place].n_shared > 0;
            if cells.iter().any(is_inside) {
                beside.extend(cells.into_iter().filter(|place| !is_inside(place)));
            }
        }
        beside
    }

    /// The cells of an object or of one element in it, and what the mapping does not name.
    fn row_of(&mut self, object: &Object, element: Option<&[usize]>) -> (Vec<RawValue>, Vec<(Box<str>, RawValue)>) {
        let inner = ["properties", "attributes"].map(|name| match object.field(name) {
            Some(Nested::Object(inner)) => Some(inner),
            _ => None,
        });
        let mut row: Vec<RawValue> = self.columns.iter().map(|column| column.value(object, &inner, element)).collect();
        if element.is_some() {
            self.beside_elements.iter().for_each(|place| row[*place] = RawValue::Null);
        }
        let mut taken: Vec<&str> = Vec::new();
        for field in self.fields.iter().filter(|field| !field.other_names.is_empty()) {
            let [Source::Cell(place)] = field.sources[..] else { continue };
            if !row[place].is_missing() {
                continue;
            }
            let others = [Some(object), inner[0], inner[1]];
            let own = compact(field.field);
            let found = std::iter::once(&*own).chain(field.other_names.iter().copied()).find_map(|wanted| {
                others.iter().flatten().find_map(|object| {
                    object.0.iter().find(|(name, value)| {
                        name.len() <= 64 && value.is_given() && !self.names(name) && compact(name) == *wanted
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
        let is_of_items = self.kind == RecordKind::Items;
        if is_of_items {
            let inner = inner.iter().flatten().flat_map(|inner| &inner.0);
            for (name, _) in object.0.iter().chain(inner).filter(|(name, _)| is_cost(name)) {
                let note = note_on_cost(name);
                if !self.names(name) && self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
                    self.notes.push(note);
                }
            }
        }
        let is_left_out = |name: &str| is_of_items && is_cost(name);
        let is_left = |name: &str| !self.names(name) && !taken.contains(&name) && !is_left_out(name);
        let mut rest = self.pairs_of_object(object, element);
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

    /// Whether a path of the mapping begins at a field of objects.
    pub fn leads_into(&self, name: &str) -> bool {
        let mut paths = self.columns.iter().filter_map(|column| column.path.as_ref());
        paths.any(|path| path.root() == name) || self.pairs.iter().any(|pairs| pairs.root() == Some(name))
    }

    /// Whether the mapping says what becomes of a field of an object.
    fn names(&self, name: &str) -> bool {
        let is_named =
            |column: &Column| *column.name == *name || column.path.as_ref().is_some_and(|path| path.root() == name);
        let is_pairs = self.pairs.iter().any(|pairs| pairs.root() == Some(name));
        self.columns.iter().any(is_named) || is_pairs || is_dropped(&self.drop_columns, name)
    }
}

impl Column {
    /// A column, and the path if its name is one.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), path: Path::parse(name), is_opened: false, n_shared: 0 }
    }

    fn value(&self, object: &Object, inner: &[Option<&Object>; 2], element: Option<&[usize]>) -> RawValue {
        let is_given = |value: &&Nested| value.is_given() && !self.is_opened;
        if let Some(exact) = object.field(&self.name).filter(is_given) {
            return exact.clone().into();
        }
        match (&self.path, element) {
            // What stands around an array has none of its elements.
            (Some(_), Some(element)) if self.n_shared > element.len() => RawValue::Null,
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
