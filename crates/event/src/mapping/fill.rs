//! Values that stand only in the first row of a group: Shopify titles a product in the row of its first variant, and dates
//! an order in the row of its first line.

use super::cell::Cell;

/// The columns that are filled from the rows above, and what was seen in them.
#[derive(Clone, Debug)]
pub(super) struct FillDown {
    /// The columns to fill, with their latest texts in this group.
    columns: Vec<(usize, Option<Box<str>>)>,
    /// The columns that name the group, of which the first that is not empty counts; without any, all rows are one group.
    group: Vec<usize>,
    /// The name of the group of the latest row.
    name: String,
    continues_group: bool,
}

impl FillDown {
    /// Fills `columns` among rows of which one of the columns `group` has the same text.
    pub fn new(columns: Vec<usize>, group: Vec<usize>) -> Self {
        let columns = columns.into_iter().map(|column| (column, None)).collect();
        Self { columns, group, name: String::new(), continues_group: false }
    }

    /// Goes on to the next row.
    pub fn next<C: Cell>(&mut self, row: &[C], is_empty: impl Fn(&str) -> bool) {
        let text = |column: usize| row.get(column).map(Cell::text).filter(|text| !is_empty(text));
        let name = self.group.iter().find_map(|column| text(*column));
        // Merged cells of a spreadsheet name the group once, if that column is to be filled too.
        let is_named_once = self.group.iter().any(|column| self.columns.iter().any(|(filled, _)| filled == column));
        self.continues_group = match &name {
            Some(name) => *self.name == **name,
            None => self.group.is_empty() || (is_named_once && !self.name.is_empty()),
        };
        if !self.continues_group {
            self.name.clear();
            self.name.extend(name.as_deref());
        }
        for (column, latest) in &mut self.columns {
            match text(*column) {
                Some(text) => *latest = Some((*text).into()),
                None if self.continues_group => {}
                None => *latest = None,
            }
        }
    }

    /// Whether the latest row belongs to a named group of which an earlier row was seen.
    pub fn continues_group(&self) -> bool {
        self.continues_group && !self.name.is_empty()
    }

    /// The text for an empty cell of this column in the latest row.
    pub fn text(&self, column: usize) -> Option<&str> {
        self.columns.iter().find(|(known, _)| *known == column).and_then(|(_, latest)| latest.as_deref())
    }
}
