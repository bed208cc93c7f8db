//! Values that stand only in the first row of a group: Shopify titles a product in the row of its first variant, and dates
//! an order in the row of its first line.

use super::cell::{Cell, Reading};
use super::rule::Test;

/// Which value of a group a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// An empty cell has the value of the row above.
    FromAbove,
    /// An empty cell has the first value of the group.
    FromFirst,
    /// Every cell has the first value of the group, because the column describes the group and not the row: Shopify
    /// puts the further pictures of a product beside its variants.
    OfGroup,
}

#[derive(Clone, Debug)]
struct Filled {
    column: usize,
    filling: Filling,
    /// The value for the latest row.
    text: Option<Box<str>>,
}

/// The columns that are filled from the rows above, and what was seen in them.
#[derive(Clone, Debug)]
pub(super) struct FillDown {
    columns: Vec<Filled>,
    /// The columns that name the group, of which the first that is not empty counts; without any, all rows are one group.
    group: Vec<usize>,
    /// The name of the group of the latest row.
    name: String,
    continues_group: bool,
    /// The column and the test that tell where a group begins, if no column names the group in each of its rows.
    begins: Option<(usize, Test)>,
}

impl FillDown {
    /// Fills columns among rows of which one of the columns `group` has the same text. Of several entries for one
    /// column the first counts.
    pub fn new(columns: impl IntoIterator<Item = (usize, Filling)>, group: Vec<usize>) -> Self {
        let mut filled: Vec<Filled> = Vec::new();
        for (column, filling) in columns {
            if !filled.iter().any(|known| known.column == column) {
                filled.push(Filled { column, filling, text: None });
            }
        }
        Self { columns: filled, group, name: String::new(), continues_group: false, begins: None }
    }

    /// Has groups begin at the rows that pass this test.
    pub fn that_begins(self, begins: Option<(usize, Test)>) -> Self {
        Self { begins, ..self }
    }

    /// Whether there is nothing to fill.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.begins.is_none()
    }

    /// The name of the group that a row above began.
    pub fn group_above(&self) -> Option<&str> {
        Some(&*self.name).filter(|name| self.begins.is_some() && self.continues_group && !name.is_empty())
    }

    /// Goes on to the next row.
    pub fn next<C: Cell>(&mut self, row: &[C], is_empty: impl Fn(&str) -> bool) {
        let text = |column: usize| row.get(column).map(Cell::text).filter(|text| !is_empty(text));
        let name = self.group.iter().find_map(|column| text(*column));
        // Merged cells of a spreadsheet name the group once, if that column is to be filled too.
        let is_filled = |column: &usize| {
            self.columns.iter().any(|filled| filled.column == *column && filled.filling == Filling::FromAbove)
        };
        let is_named_once = self.group.iter().any(is_filled);
        let begins = self.begins.as_ref().map(|(column, test)| {
            let text = row.get(*column).map(Cell::text).unwrap_or_default();
            test.holds(&text, is_empty(&text), Reading::Text)
        });
        self.continues_group = match &name {
            _ if begins.is_some() => begins == Some(false),
            Some(name) => *self.name == **name,
            None => self.group.is_empty() || (is_named_once && !self.name.is_empty()),
        };
        if !self.continues_group {
            self.name.clear();
            self.name.extend(name.as_deref());
        }
        for filled in &mut self.columns {
            if !self.continues_group {
                filled.text = None;
            }
            if filled.filling == Filling::FromAbove || filled.text.is_none() {
                filled.text = text(filled.column).map(|text| (*text).into()).or(filled.text.take());
            }
        }
    }

    /// Whether the latest row belongs to a named group of which an earlier row was seen.
    pub fn continues_group(&self) -> bool {
        self.continues_group && !self.name.is_empty()
    }

    /// The text for a cell of this column in the latest row, if it is empty or not its own.
    pub fn text(&self, column: usize, is_empty: bool) -> Option<&str> {
        let filled = self.columns.iter().find(|known| known.column == column)?;
        filled.text.as_deref().filter(|_| is_empty || filled.filling == Filling::OfGroup)
    }

    /// Whether this column is filled.
    pub fn fills(&self, column: usize) -> bool {
        self.columns.iter().any(|known| known.column == column)
    }
}
