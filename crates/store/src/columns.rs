//! One field of the whole catalogue as numbers: what counting the values of a field reads instead of every description.
//!
//! In: descriptions, one change at a time. Out: for each item the codes of its own values, and what the codes stand
//! for. What a variant has from its product is not here; [`Facts::completing`](crate::Facts::completing) says where to
//! look.
//!
//! A column is made when it is first asked for, and follows every change of the catalogue from then on. It is derived
//! from the catalogue, so it is neither saved nor part of a digest. At most [`MAX_COLUMNS`] are kept, and one whose
//! values have changed so often that most of what it remembers is out of use is made again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use accrue_event::{Attribute, Item, normalised};
use parking_lot::Mutex;

use crate::{CatalogueEntry, CataloguePlace, ItemIdx};

/// Columns that are kept. The next one takes the place of those of attributes; the other fields are few, and filters read
/// them all the time.
pub const MAX_COLUMNS: usize = 64;
/// Values and lists beyond twice the number of items, from which on a column is made again.
const SPARE: usize = 4_096;

/// No value.
const NONE: u32 = u32::MAX;
/// From here on, a cell is the number of a list.
const LISTS: u32 = 1 << 31;

/// A field whose values can be counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnField {
    /// The brand.
    Brand,
    /// The categories.
    Category,
    /// The tags.
    Tag,
    /// The currency.
    Currency,
    /// The language of the texts.
    Locale,
    /// An attribute.
    Attribute(Box<str>),
}

/// The own values of all items in one field.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// By item: [`NONE`], the code of its one value, or [`LISTS`] + the place of its values in `lists`.
    cells: Vec<u32>,
    lists: Vec<Box<[u32]>>,
    /// By item, `NaN` for one without a number; empty as long as no item has one.
    numbers: Vec<f64>,
    spellings: Vec<Spelling>,
    /// Only looked up; the order is not read.
    codes: HashMap<Box<str>, u32>,
    groups: HashMap<Box<str>, u32>,
}

/// A value as it is written.
#[derive(Clone, Debug)]
struct Spelling {
    text: Box<str>,
    group: u32,
}

impl Column {
    fn of(field: &ColumnField, entries: &[CataloguePlace]) -> Self {
        let mut column = Self::default();
        for (item, entry) in (0..).zip(entries) {
            if let Some(entry) = entry.known() {
                column.set(item, field, &entry.item);
            }
        }
        column
    }

    /// The codes of an item's own values.
    pub fn values(&self, item: ItemIdx) -> Option<&[u32]> {
        match self.cells.get(item as usize)? {
            &NONE => None,
            &list if list >= LISTS => Some(&self.lists[(list - LISTS) as usize]),
            one => Some(std::slice::from_ref(one)),
        }
    }

    /// An item's own value as a number.
    pub fn number(&self, item: ItemIdx) -> Option<f64> {
        self.numbers.get(item as usize).copied().filter(|number| !number.is_nan())
    }

    /// The group of a code: values that differ in case or composition alone are one value to a filter, and in one
    /// group.
    pub fn group(&self, code: u32) -> u32 {
        self.spellings[code as usize].group
    }

    /// The group of a value, which is given in the form that filters compare; `None` if no item has had it.
    pub fn group_of(&self, normalised: &str) -> Option<u32> {
        self.groups.get(normalised).copied()
    }

    /// The value of a code, as the shop writes it.
    pub fn text(&self, code: u32) -> &str {
        &self.spellings[code as usize].text
    }

    /// Codes are below this.
    pub fn n_codes(&self) -> usize {
        self.spellings.len()
    }

    /// Groups are below this.
    pub fn n_groups(&self) -> usize {
        self.groups.len()
    }

    fn is_worn(&self) -> bool {
        self.spellings.len().max(self.lists.len()) > 2 * self.cells.len() + SPARE
    }

    fn set(&mut self, item: ItemIdx, field: &ColumnField, described: &Item) {
        let place = item as usize;
        if self.cells.len() <= place {
            self.cells.resize(place + 1, NONE);
        }
        let (cell, number) = self.own(field, described);
        self.cells[place] = cell;
        if number.is_some() || place < self.numbers.len() {
            self.numbers.resize(self.cells.len().max(self.numbers.len()), f64::NAN);
            self.numbers[place] = number.unwrap_or(f64::NAN);
        }
    }

    fn own(&mut self, field: &ColumnField, item: &Item) -> (u32, Option<f64>) {
        let text = |column: &mut Self, text: &Option<Box<str>>| text.as_ref().map_or(NONE, |text| column.code(text));
        let cell = match field {
            ColumnField::Brand => text(self, &item.brand),
            ColumnField::Currency => text(self, &item.currency),
            ColumnField::Locale => text(self, &item.locale),
            ColumnField::Category => self.texts(&item.categories),
            ColumnField::Tag => self.texts(&item.tags),
            ColumnField::Attribute(name) => match item.attributes.get(name) {
                None => NONE,
                Some(Attribute::Bool(value)) => self.code(if *value { "true" } else { "false" }),
                Some(Attribute::Number(value)) => return (self.code(&value.to_string()), Some(*value)),
                Some(Attribute::Text(text)) => self.code(text),
                // An empty list is a value: a variant that has one inherits none.
                Some(Attribute::List(texts)) if texts.is_empty() => self.list(Vec::new()),
                Some(Attribute::List(texts)) => self.texts(texts),
            },
        };
        (cell, None)
    }

    fn texts(&mut self, texts: &[Box<str>]) -> u32 {
        match texts {
            [] => NONE,
            [one] => self.code(one),
            several => {
                let codes = several.iter().map(|text| self.code(text)).collect();
                self.list(codes)
            }
        }
    }

    fn list(&mut self, codes: Vec<u32>) -> u32 {
        self.lists.push(codes.into());
        LISTS + (self.lists.len() - 1) as u32
    }

    fn code(&mut self, text: &str) -> u32 {
        if let Some(&code) = self.codes.get(text) {
            return code;
        }
        let (code, n_groups) = (self.spellings.len() as u32, self.groups.len() as u32);
        let group = *self.groups.entry(normalised(text).into()).or_insert(n_groups);
        self.spellings.push(Spelling { text: text.into(), group });
        self.codes.insert(text.into(), code);
        code
    }
}

/// The columns that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Columns(Mutex<BTreeMap<ColumnField, Arc<Column>>>);

/// Derived from the catalogue, so what is equal there is equal here.
impl PartialEq for Columns {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The copy makes its columns when it is asked for them.
impl Clone for Columns {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Columns {
    /// The column of a field, which is made at the first request.
    pub fn get(&self, field: &ColumnField, entries: &[CataloguePlace]) -> Arc<Column> {
        let mut columns = self.0.lock();
        if let Some(column) = columns.get(field).filter(|column| !column.is_worn()) {
            return Arc::clone(column);
        }
        if columns.len() >= MAX_COLUMNS {
            columns.retain(|field, _| !matches!(field, ColumnField::Attribute(_)));
        }
        let column = Arc::new(Column::of(field, entries));
        columns.insert(field.clone(), Arc::clone(&column));
        column
    }

    /// Follows a change of an item's description.
    pub fn change(&mut self, item: ItemIdx, entry: &CatalogueEntry) {
        for (field, column) in self.0.get_mut() {
            Arc::make_mut(column).set(item, field, &entry.item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, edit: impl FnOnce(&mut Item)) -> CataloguePlace {
        let mut item = Item::bare(id.into());
        edit(&mut item);
        CatalogueEntry { item, described: true, retired: false }.into()
    }

    fn values(column: &Column, item: ItemIdx) -> Vec<&str> {
        column.values(item).unwrap_or_default().iter().map(|&code| column.text(code)).collect()
    }

    #[test]
    fn a_column_has_each_items_values_and_follows_its_changes() {
        let size = |value| move |item: &mut Item| drop(item.attributes.insert("size".into(), value));
        let mut entries = vec![
            entry("a", size(Attribute::Number(38.0))),
            entry("b", size(Attribute::List(vec!["L".into(), "XL".into()]))),
            entry("c", |_| {}),
            entry("d", size(Attribute::Text("l".into()))),
        ];
        let mut columns = Columns::default();
        let field = ColumnField::Attribute("size".into());
        let column = columns.get(&field, &entries);
        assert_eq!((values(&column, 0), column.number(0)), (vec!["38"], Some(38.0)));
        assert_eq!((values(&column, 1), column.number(1)), (vec!["L", "XL"], None));
        assert_eq!((column.values(2), column.values(9)), (None, None));
        let group = |item, place: usize| column.group(column.values(item).unwrap()[place]);
        assert!(group(1, 0) == group(3, 0) && group(1, 1) != group(3, 0), "a filter on L finds l");
        assert_eq!((column.group_of("l"), column.group_of("xxl")), (Some(group(1, 0)), None));
        drop(column);

        entries[0] = entry("a", size(Attribute::Bool(true)));
        entries.push(entry("e", size(Attribute::Number(0.5))));
        for item in [0, 4] {
            columns.change(item, &entries[item as usize]);
        }
        let column = columns.get(&field, &entries);
        assert_eq!((values(&column, 0), column.number(0)), (vec!["true"], None));
        assert_eq!((values(&column, 4), column.number(4)), (vec!["0.5"], Some(0.5)));
    }

    #[test]
    fn a_column_whose_values_change_all_the_time_is_bounded() {
        let mut columns = Columns::default();
        let priced =
            |n: usize| entry("a", |item| drop(item.attributes.insert("p".into(), Attribute::Number(n as f64))));
        let field = ColumnField::Attribute("p".into());
        for n in 0..3 * SPARE {
            columns.change(0, &priced(n));
            assert!(columns.get(&field, &[priced(n)]).n_codes() <= SPARE + 3);
        }
    }

    #[test]
    fn columns_of_ever_new_names_are_bounded_and_leave_those_that_filters_read() {
        let columns = Columns::default();
        let category = columns.get(&ColumnField::Category, &[]);
        for n in 0..3 * MAX_COLUMNS {
            columns.get(&ColumnField::Attribute(n.to_string().into()), &[]);
            assert!(columns.0.lock().len() <= MAX_COLUMNS);
        }
        assert!(Arc::ptr_eq(&category, &columns.get(&ColumnField::Category, &[])));
    }
}
