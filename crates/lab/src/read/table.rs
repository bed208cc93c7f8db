//! Choices from a table with named columns (CSV, Parquet, NDJSON), which the caller has read and checked.
//!
//! In: rows of user, item, and where the table has them rating, time and negative items. Out: the forms that protocols
//! ask for: histories, ratings, choices with times, queries. Histories are in the order of the times; rows with equal
//! times, and rows without any, keep the order of the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{
    HistoryFile, LineFault, RatingFile, ReadError, SampledTest, SessionQuery, Timed, Vocabulary, read_histories,
    read_ratings, read_sampled_test, read_session_queries, read_sessions, read_timed,
};

/// One row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The index of the user.
    pub user: u32,
    /// The index of the item.
    pub item: u32,
    /// The rating, if there is one.
    pub rating: Option<f32>,
    /// The time in any unit, if there is one.
    pub time: Option<f64>,
    /// Items that were not chosen.
    pub negatives: Vec<u32>,
}

/// Rows in the order of the file, with the names of their users and items.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The file, for messages.
    pub path: PathBuf,
    /// The rows.
    pub rows: Vec<Row>,
    /// The names of users.
    pub users: Vocabulary,
    /// The names of items.
    pub items: Vocabulary,
}

/// Where a protocol's data comes from.
#[derive(Clone, Debug)]
pub enum Data {
    /// A file of lines in the protocol's own form, which its reader describes.
    Lines(PathBuf),
    /// A table that was read before.
    Table(Arc<Table>),
}

impl From<PathBuf> for Data {
    fn from(path: PathBuf) -> Self {
        Self::Lines(path)
    }
}

/// What a message expects of a table.
const TIMED: &str = "a column with the time of each choice (`timestamp`, or name it in a mapping)";
const RATED: &str = "a column with ratings (`rating`, or name it in a mapping)";
const ROWS: &str = "rows with a user and an item";

impl Data {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Lines(path) => path,
            Self::Table(table) => &table.path,
        }
    }

    /// Histories by user, oldest first. `users` and `items` assign indices to new names.
    ///
    /// # Errors
    /// [`ReadError`] if the file does not have the expected form.
    pub fn histories(&self, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<HistoryFile, ReadError> {
        let table = match self {
            Self::Lines(path) => return read_histories(path, users, items),
            Self::Table(table) => table,
        };
        let rows = table.in_order(users, items)?;
        let mut histories = vec![Vec::new(); users.len()];
        rows.iter().for_each(|row| histories[row.user as usize].push(row.item));
        Ok(HistoryFile { histories, n_duplicate_lines: 0 })
    }

    /// Ratings, each pair once, with its latest rating.
    ///
    /// # Errors
    /// As [`Data::histories`].
    pub fn ratings(&self, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<RatingFile, ReadError> {
        let table = match self {
            Self::Lines(path) => return read_ratings(path, users, items),
            Self::Table(table) => table,
        };
        table.need(RATED, "rating", |row| row.rating.is_some())?;
        Ok(RatingFile::of(
            table.in_order(users, items)?.iter().map(|row| (row.user, row.item, row.rating.unwrap_or(0.0))),
        ))
    }

    /// Pairs with whatever rating they have; protocols that rank do not use it.
    ///
    /// # Errors
    /// As [`Data::histories`].
    pub fn pairs(&self, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<RatingFile, ReadError> {
        let table = match self {
            Self::Lines(path) => return read_ratings(path, users, items),
            Self::Table(table) => table,
        };
        Ok(RatingFile::of(
            table.in_order(users, items)?.iter().map(|row| (row.user, row.item, row.rating.unwrap_or(0.0))),
        ))
    }

    /// Choices in the order of their times.
    ///
    /// # Errors
    /// As [`Data::histories`].
    pub fn timed(&self, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<Vec<Timed>, ReadError> {
        let table = match self {
            Self::Lines(path) => return read_timed(path, users, items),
            Self::Table(table) => table,
        };
        table.need(TIMED, "time", |row| row.time.is_some())?;
        let timed = |row: Row| Timed {
            user: row.user,
            item: row.item,
            rating: row.rating.unwrap_or(0.0),
            time: row.time.unwrap_or(0.0),
        };
        Ok(table.in_order(users, items)?.into_iter().map(timed).collect())
    }

    /// Queries with negative items; a table without them has queries without negatives.
    ///
    /// # Errors
    /// As [`Data::histories`].
    pub fn sampled(&self, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<Vec<SampledTest>, ReadError> {
        let table = match self {
            Self::Lines(path) => return read_sampled_test(path, users, items),
            Self::Table(table) => table,
        };
        let query = |row: Row| {
            let mut seen = vec![row.item];
            for item in row.negatives {
                if !seen.contains(&item) {
                    seen.push(item);
                }
            }
            SampledTest { user: row.user, item: row.item, negatives: seen.split_off(1) }
        };
        Ok(table.in_order(users, items)?.into_iter().map(query).collect())
    }

    /// Sessions to learn from. In a table each user, or each session of the mapping, is one.
    ///
    /// # Errors
    /// As [`Data::histories`].
    pub fn sessions(&self, items: &mut Vocabulary) -> Result<Vec<Vec<u32>>, ReadError> {
        match self {
            Self::Lines(path) => read_sessions(path, items),
            Self::Table(table) => table.sessions(items),
        }
    }

    /// Queries for the next item. In a table every item of a session after its first is one.
    ///
    /// # Errors
    /// As [`Data::histories`].
    pub fn session_queries(&self, items: &mut Vocabulary) -> Result<Vec<SessionQuery>, ReadError> {
        let table = match self {
            Self::Lines(path) => return read_session_queries(path, items),
            Self::Table(table) => table,
        };
        let prefixes = |session: Vec<u32>| {
            (1..session.len())
                .map(|place| SessionQuery { prefix: session[..place].to_vec(), next: session[place] })
                .collect::<Vec<_>>()
        };
        Ok(table.sessions(items)?.into_iter().flat_map(prefixes).collect())
    }
}

impl Table {
    /// # Errors
    /// [`ReadError::Line`] for the first row without the value.
    fn need(&self, expected: &'static str, column: &'static str, has: impl Fn(&Row) -> bool) -> Result<(), ReadError> {
        match self.rows.iter().position(|row| !has(row)) {
            None => Ok(()),
            Some(place) => {
                let found = LineFault::NoValue(column);
                Err(ReadError::Row { path: self.path.clone(), row: place + 1, found, expected })
            }
        }
    }

    /// The rows by time, with the indices of `users` and `items`, which are assigned in the order of the file.
    fn in_order(&self, users: &mut Vocabulary, items: &mut Vocabulary) -> Result<Vec<Row>, ReadError> {
        if self.rows.is_empty() {
            return Err(ReadError::Empty { path: self.path.clone(), expected: ROWS });
        }
        let user_of = self.users.moved_into(users);
        let item_of = self.items.moved_into(items);
        let mut rows: Vec<Row> = self
            .rows
            .iter()
            .map(|row| Row {
                user: user_of[row.user as usize],
                item: item_of[row.item as usize],
                negatives: row.negatives.iter().map(|&item| item_of[item as usize]).collect(),
                ..*row
            })
            .collect();
        let time = |row: &Row| row.time.unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|a, b| time(a).total_cmp(&time(b)));
        Ok(rows)
    }

    fn sessions(&self, items: &mut Vocabulary) -> Result<Vec<Vec<u32>>, ReadError> {
        let mut users = Vocabulary::default();
        let rows = self.in_order(&mut users, items)?;
        let mut sessions = vec![Vec::new(); users.len()];
        rows.iter().for_each(|row| sessions[row.user as usize].push(row.item));
        Ok(sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of `(user, item, time)`.
    fn table(rows: &[(&str, &str, Option<f64>)]) -> Data {
        let mut table = Table { path: "t.csv".into(), ..Table::default() };
        for &(user, item, time) in rows {
            let (user, item) = (table.users.number(user), table.items.number(item));
            table.rows.push(Row { user, item, time, ..Row::default() });
        }
        Data::Table(Arc::new(table))
    }

    #[test]
    fn histories_are_in_the_order_of_the_times_whatever_the_order_of_the_rows() {
        let data = table(&[("a", "x", Some(3.0)), ("b", "x", Some(1.0)), ("a", "y", Some(1.0)), ("a", "z", Some(1.0))]);
        let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
        items.number("z");
        let histories = data.histories(&mut users, &mut items).unwrap().histories;
        assert_eq!(histories, [vec![2, 0, 1], vec![1]], "z is item 0, because another file named it first");
        let untimed = table(&[("a", "x", None), ("a", "y", None)]);
        let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
        assert_eq!(untimed.histories(&mut users, &mut items).unwrap().histories, [[0, 1]]);
        let message = untimed.timed(&mut users, &mut items).unwrap_err().to_string();
        assert!(message.contains("t.csv: row 1") && message.contains("`timestamp`"), "{message}");
    }

    #[test]
    fn every_item_of_a_session_after_the_first_is_a_query() {
        let data = table(&[("s", "x", Some(1.0)), ("s", "y", Some(2.0)), ("s", "z", Some(3.0))]);
        let queries = data.session_queries(&mut Vocabulary::default()).unwrap();
        let shown: Vec<_> = queries.iter().map(|query| (&*query.prefix, query.next)).collect();
        assert_eq!(shown, [(&[0][..], 1), (&[0, 1][..], 2)]);
    }
}
