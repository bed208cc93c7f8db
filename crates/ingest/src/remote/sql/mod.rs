//! A table or query of an SQL server as a source, read behind a cursor: columns that grow from row to row.
//!
//! `…/DATABASE?table=NAME&cursor=COLUMN,…` or `?query=SELECT …&cursor=…`. The position is the cursor of the last row. Three
//! things lose rows where others read tables so, and are watched here:
//!
//! - *A transaction that commits late.* Its rows have smaller numbers or earlier times than rows that are visible already. So the
//!   newest cursor is looked up first; the rows up to it are read when every transaction that was writing at that moment, and for a
//!   while after it (`settle`), has ended.
//! - *A batch that ends between equal cursors.* Rows of one cursor are never divided between two batches.
//! - *A change of the server's clock or zone.* Cursors are compared by the server, as values of their own type in UTC.
//!
//! The session cannot write. What differs between servers is behind [`Database`].

mod database;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub(super) use self::database::{
    ColumnKind, CursorQuery, CursorValue, Database, OPTIONS, OpenTransactions, Row, Wanted, timeout, within,
};
use super::records::{Place, Records};
use super::{MAX_BYTES, Portion, RemoteError, RemoteSettings, RemoteSource};
use crate::entry::Batch;

/// How long transactions are given to write for the first time, if the address does not say it.
const SETTLE_NUMBER: Duration = Duration::from_millis(200);
const SETTLE_TIME: Duration = Duration::from_secs(5);
/// How often it is looked whether transactions have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a transaction may hold rows back before it is told.
const TELL_AFTER: Duration = Duration::from_secs(10);
/// Rows with one cursor that are read at once, at most.
const MAX_EQUAL: usize = 65_536;

/// How far a table was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Position {
    cursor: Vec<String>,
    after: Vec<String>,
}

/// The newest cursor, until its rows can be read.
struct Newest {
    cursor: Vec<CursorValue>,
    seen_at: Instant,
    writing: Option<OpenTransactions>,
    is_told: bool,
}

pub(super) struct Table<D> {
    database: D,
    name: String,
    wanted: Wanted,
    records: Records,
    /// The names of the cursor's columns, once they are known.
    cursor: Vec<String>,
    after: Option<Vec<String>>,
    is_connected: bool,
    newest: Option<Newest>,
    /// The cursor up to which rows can be read.
    goal: Option<Vec<CursorValue>>,
    looked_at: Option<Instant>,
    /// Whether everything was read that was there when the table was opened.
    is_at_end: bool,
    n_read: u64,
    notes: Vec<String>,
    are_equals_told: bool,
    are_nulls_sought: bool,
    are_unseen_reported: bool,
    /// Rows at once, after rows that were large.
    most_rows: usize,
}

impl<D: Database> Table<D> {
    pub fn new(database: D, wanted: Wanted, settings: &RemoteSettings) -> Result<Self, RemoteError> {
        let name = settings.name.clone();
        let position: Option<Position> = match settings.position.as_deref().map(serde_json::from_str).transpose() {
            Ok(position) => position,
            Err(_) => return Err(other_position(&name, settings.position.as_deref().unwrap_or_default())),
        };
        if let (Some(known), Some(given)) = (&position, &wanted.cursor)
            && known.cursor != *given
        {
            let why = format!(
                "the log has it read by the cursor {}, and the address says {}; use the former, or give the source another name \
                 (--name), which reads it from its beginning",
                known.cursor.join(","),
                given.join(",")
            );
            return Err(RemoteError::Refused { name, why });
        }
        let cursor = position.as_ref().map(|known| known.cursor.clone()).or_else(|| wanted.cursor.clone());
        Ok(Self {
            database,
            records: Records::new(settings)?,
            cursor: cursor.unwrap_or_default(),
            after: position.map(|position| position.after),
            name,
            wanted,
            is_connected: false,
            newest: None,
            goal: None,
            looked_at: None,
            is_at_end: false,
            n_read: 0,
            notes: Vec::new(),
            are_equals_told: false,
            are_nulls_sought: false,
            are_unseen_reported: false,
            most_rows: usize::MAX,
        })
    }

    fn refused(&self, why: impl Into<String>) -> RemoteError {
        RemoteError::Refused { name: self.name.clone(), why: why.into() }
    }

    /// What a failure means. After one that passes, the connection is made again.
    fn failed(&mut self, error: sqlx::Error) -> RemoteError {
        self.is_connected = false;
        let name = self.name.clone();
        match &error {
            sqlx::Error::Database(refusal) => {
                let class = refusal.code().map(|code| code.chars().take(2).collect::<String>()).unwrap_or_default();
                let why = refusal.message().to_owned();
                // 42 is also a table that is missing: the tables that there are help more than the server's words alone.
                let is_table = refusal.code().is_some_and(|code| matches!(&*code, "42P01" | "42S02"));
                match &*class {
                    "28" | "3D" | "3F" | "42" | "22" | "21" | "0A" | "25" => {
                        let tables = if is_table { self.database.tables() } else { Vec::new() };
                        let there = match &tables[..] {
                            [] => String::new(),
                            tables => format!("; there are: {}", accrue_event::listed(tables)),
                        };
                        RemoteError::Refused { name, why: format!("{}: {why}{there}", self.wanted.what) }
                    }
                    _ => RemoteError::Unavailable { name, why },
                }
            }
            sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => {
                RemoteError::Refused { name, why: error.to_string() }
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                RemoteError::Refused { name, why: error.to_string() }
            }
            _ => RemoteError::Unavailable { name, why: error.to_string() },
        }
    }

    fn connect_if_needed(&mut self) -> Result<(), RemoteError> {
        if self.is_connected {
            return Ok(());
        }
        self.database.connect().map_err(|error| self.failed(error))?;
        let select = format!("SELECT * {}", self.wanted.from);
        let columns = self.database.columns(&select).map_err(|error| self.failed(error))?;
        let has = |name: &str| columns.iter().any(|column| column == name);
        if self.cursor.is_empty() && has("id") {
            self.cursor = vec!["id".into()];
        }
        let there = accrue_event::listed(&columns);
        if self.cursor.is_empty() {
            return Err(self.refused(format!(
                "say by which columns its rows follow each other, with cursor=id or cursor=updated_at,id; {} has: {there}",
                self.wanted.what
            )));
        }
        if let Some(missing) = self.cursor.iter().find(|name| !has(name)) {
            return Err(self.refused(format!("{} has no column {missing:?}; it has: {there}", self.wanted.what)));
        }
        self.is_connected = true;
        if !std::mem::replace(&mut self.are_nulls_sought, true) {
            self.note_rows_without_cursor()?;
        }
        Ok(())
    }

    /// Tells rows that are never read.
    fn note_rows_without_cursor(&mut self) -> Result<(), RemoteError> {
        let first = &self.quoted()[..1];
        let rest = format!("{} WHERE {} IS NULL LIMIT 1", self.wanted.from, first[0]);
        let found = self.database.rows(&rest, &[]).map_err(|error| self.failed(error))?;
        if !found.is_empty() {
            self.notes.push(format!("{}: rows without {} are not read", self.name, self.cursor[0]));
        }
        Ok(())
    }

    /// The cursor's columns in quotes, as columns of the table: without its name, `ORDER BY` in PostgreSQL means the text of the
    /// column that is selected, and sorts 10 before 9.
    fn quoted(&self) -> Vec<String> {
        self.cursor.iter().map(|name| format!("t.{}", self.database.quoted(name))).collect()
    }

    /// The newest cursor of all rows.
    fn look_up_newest(&mut self) -> Result<Option<Vec<CursorValue>>, RemoteError> {
        self.looked_at = Some(Instant::now());
        let columns = self.quoted();
        let given: Vec<String> = columns.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let order: Vec<String> = columns.iter().map(|name| format!("{name} DESC")).collect();
        let rest = format!("{} WHERE {} ORDER BY {} LIMIT 1", self.wanted.from, given.join(" AND "), order.join(", "));
        let query = CursorQuery { columns: &columns, rest: &rest };
        let newest = self.database.cursor(&query).map_err(|error| self.failed(error))?;
        Ok(newest.filter(|newest| {
            let texts = newest.iter().map(|value| &value.text);
            !self.after.as_ref().is_some_and(|after| after.iter().eq(texts))
        }))
    }

    /// Makes the newest cursor the goal if no transaction can add a row before it any more.
    fn settle(&mut self) -> Result<bool, RemoteError> {
        let Some(newest) = &mut self.newest else { return Ok(false) };
        let is_time = newest.cursor.first().is_some_and(|value| self.database.kind_of(&value.kind) == ColumnKind::Time);
        let settle = self.wanted.settle.unwrap_or(if is_time { SETTLE_TIME } else { SETTLE_NUMBER });
        if newest.seen_at.elapsed() < settle {
            return Ok(false);
        }
        if newest.writing.is_none() {
            match self.database.transactions() {
                Ok(None) => {
                    self.goal = self.newest.take().map(|newest| newest.cursor);
                    let unseen_transactions = self.database.unseen_transactions().filter(|_| !self.are_unseen_reported);
                    self.notes.extend(unseen_transactions.map(|what| format!("{}: {what}", self.name)));
                    self.are_unseen_reported = true;
                    return Ok(true);
                }
                Ok(writing) => newest.writing = writing,
                Err(error) => return Err(self.failed(error)),
            }
        }
        let Some(writing) = &newest.writing else { return Ok(false) };
        match self.database.have_ended(writing) {
            Ok(true) => {
                self.goal = self.newest.take().map(|newest| newest.cursor);
                Ok(true)
            }
            Ok(false) => {
                if newest.seen_at.elapsed() >= TELL_AFTER && !std::mem::replace(&mut newest.is_told, true) {
                    let text = format!(
                        "{}: a transaction of another session has been writing for {} s; the rows after it are read when it ends",
                        self.name,
                        newest.seen_at.elapsed().as_secs()
                    );
                    self.notes.push(text);
                }
                Ok(false)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The rows up to the goal, `n` or fewer; more if they have one cursor.
    fn read(&mut self, n: usize) -> Result<Vec<Row>, RemoteError> {
        let mut limit = n;
        loop {
            let condition = self.condition()?;
            let order = self.quoted().join(", ");
            let rest = format!("{} WHERE {condition} ORDER BY {order} LIMIT {}", self.wanted.from, limit + 1);
            let quoted = self.quoted();
            let mut rows = self.database.rows(&rest, &quoted).map_err(|error| self.failed(error))?;
            if rows.len() <= limit {
                self.goal = None;
                self.is_at_end = true;
                return Ok(rows);
            }
            // A group of equal cursors is not divided.
            let beyond = rows.pop().map(|row| row.cursor).unwrap_or_default();
            let whole = rows.iter().rposition(|row| row.cursor != beyond).map_or(0, |last| last + 1);
            if whole > 0 {
                rows.truncate(whole);
                return self.with_equals(rows);
            }
            if limit >= MAX_EQUAL {
                return Err(self.too_many_equal(&beyond.join(",")));
            }
            limit = (limit * 4).min(MAX_EQUAL);
        }
    }

    /// The rows, with all that the server takes for equal to the last of them: a server may compare texts without case, accents or
    /// blanks at their end, and what is equal to the position is not read any more.
    fn with_equals(&mut self, mut rows: Vec<Row>) -> Result<Vec<Row>, RemoteError> {
        let goal = self.goal.as_deref().unwrap_or_default();
        let has_texts = goal.iter().any(|value| self.database.kind_of(&value.kind) == ColumnKind::Text);
        let Some(last) = rows.last().filter(|_| has_texts) else { return Ok(rows) };
        let columns = self.quoted();
        let mut all = Vec::with_capacity(columns.len());
        for (((text, value), name), column) in last.cursor.iter().zip(goal).zip(&self.cursor).zip(&columns) {
            let value = CursorValue { text: text.clone(), kind: value.kind.clone() };
            all.push(format!("{column} = {}", self.literal(&value, name)?));
        }
        let (condition, order) = (all.join(" AND "), columns.join(", "));
        let rest = format!("{} WHERE {condition} ORDER BY {order} LIMIT {}", self.wanted.from, MAX_EQUAL + 1);
        let equal = self.database.rows(&rest, &columns).map_err(|error| self.failed(error))?;
        if equal.len() > MAX_EQUAL {
            let cursor = equal.last().map(|row| row.cursor.join(",")).unwrap_or_default();
            return Err(self.too_many_equal(&cursor));
        }
        while rows.last().is_some_and(|row| equal.iter().any(|known| known.cursor == row.cursor)) {
            rows.pop();
        }
        rows.extend(equal);
        Ok(rows)
    }

    fn too_many_equal(&self, cursor: &str) -> RemoteError {
        self.refused(format!(
            "more than {MAX_EQUAL} rows have the same {} ({cursor}); add a column that distinguishes them, as in \
             cursor=updated_at,id",
            self.cursor.join(","),
        ))
    }

    /// The rows behind the position and up to the goal. The comparison of the first column alone is there for the server's
    /// indexes.
    fn condition(&self) -> Result<String, RemoteError> {
        let goal = self.goal.as_deref().unwrap_or_default();
        let columns = self.quoted();
        let kinds = goal.iter().map(|value| &value.kind);
        let after: Vec<CursorValue> = match &self.after {
            None => Vec::new(),
            Some(texts) => texts
                .iter()
                .zip(kinds)
                .map(|(text, kind)| CursorValue { text: text.clone(), kind: kind.clone() })
                .collect(),
        };
        let literals = |values: &[CursorValue]| -> Result<Vec<String>, RemoteError> {
            values.iter().zip(&self.cursor).map(|(value, name)| self.literal(value, name)).collect()
        };
        let (after, goal) = (literals(&after)?, literals(goal)?);
        let mut all = Vec::new();
        if let Some(first) = after.first() {
            all.push(format!("{} >= {first}", columns[0]));
            all.push(beyond(&columns, &after, ">", ">"));
        }
        if let Some(first) = goal.first() {
            all.push(format!("{} <= {first}", columns[0]));
            all.push(beyond(&columns, &goal, "<", "<="));
        }
        // A comparison with NULL holds for no row, and the first column is compared in any case.
        all.extend(columns.iter().skip(1).map(|name| format!("{name} IS NOT NULL")));
        Ok(all.join(" AND "))
    }

    fn literal(&self, value: &CursorValue, name: &str) -> Result<String, RemoteError> {
        self.database.literal(value).ok_or_else(|| {
            self.refused(format!(
                "the column {name:?} is of the type {}, by which rows cannot be followed; a cursor is a number, a time, a text or a \
                 UUID",
                value.kind
            ))
        })
    }

    fn portion(&mut self, rows: Vec<Row>) -> Portion {
        let mut batch = Batch::with_capacity(rows.len());
        // Looked up only. Rows that a server takes for equal may stand between rows whose texts are the same.
        let mut n_equal: HashMap<Vec<String>, usize> = HashMap::new();
        let mut before: Option<Vec<String>> = None;
        let n_bytes: usize = rows.iter().map(|row| row.json.len()).sum();
        if n_bytes > MAX_BYTES {
            self.most_rows = (rows.len() / (1 + n_bytes / MAX_BYTES)).max(1);
        }
        for Row { json, cursor } in rows {
            self.n_read += 1;
            let count = n_equal.entry(cursor.clone()).or_default();
            let equal = *count;
            *count += 1;
            if equal > 0 && !std::mem::replace(&mut self.are_equals_told, true) {
                self.notes.push(format!(
                    "{}: several rows have {} = {}; a row that gets the cursor of one that was read already is missed. Add a \
                     column that distinguishes them, as in cursor=updated_at,id",
                    self.name,
                    self.cursor.join(","),
                    cursor.join(",")
                ));
            }
            let key = key_of(&cursor, equal);
            let shown = format!("{} = {}", self.cursor.join(","), cursor.join(","));
            let place = Place { key: &key, shown: &shown, number: self.n_read };
            self.records.add(&json, &place, &mut batch);
            before = Some(cursor);
        }
        let position = before.map(|after| {
            self.after = Some(after.clone());
            let position = Position { cursor: self.cursor.clone(), after };
            serde_json::to_string(&position).expect("a position is plain data")
        });
        Portion { batch, position, is_at_end: self.is_at_end, ..Portion::default() }
    }
}

impl<D: Database> RemoteSource for Table<D> {
    fn next(&mut self, n: usize, wait: Duration) -> Result<Portion, RemoteError> {
        let started = Instant::now();
        loop {
            self.connect_if_needed()?;
            if self.goal.is_some() {
                let rows = self.read(n.min(self.most_rows))?;
                if !rows.is_empty() {
                    let is_full = self.goal.is_some();
                    return Ok(Portion { is_full, ..self.portion(rows) });
                }
            } else if self.newest.is_some() {
                if self.settle()? {
                    continue;
                }
            } else if self.looked_at.is_none_or(|at| at.elapsed() >= self.wanted.every) {
                match self.look_up_newest()? {
                    Some(cursor) => {
                        self.newest = Some(Newest { cursor, seen_at: Instant::now(), writing: None, is_told: false });
                        continue;
                    }
                    None => self.is_at_end = true,
                }
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() || self.is_at_end && wait.is_zero() {
                return Ok(Portion { is_at_end: self.is_at_end, ..Portion::default() });
            }
            std::thread::sleep(left.min(LOOK_AGAIN));
        }
    }

    fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.records.take_notes());
        notes
    }
}

/// What distinguishes a row from all others of a table: an event without an id gets one of it. Each cursor has its own.
fn key_of(cursor: &[String], equal: usize) -> String {
    let plain = |text: &String| match cursor.len() > 1 && text.contains(['/', '\\']) {
        true => text.replace('\\', "\\\\").replace('/', "\\/"),
        false => text.clone(),
    };
    let texts: Vec<String> = cursor.iter().map(plain).collect();
    format!("{}/{equal}", texts.join("/"))
}

/// Rows of which the columns, one after the other, are beyond the values; `last` compares the last column.
fn beyond(columns: &[String], values: &[String], each: &str, last: &str) -> String {
    let mut any = Vec::new();
    for end in 0..columns.len().min(values.len()) {
        let mut all: Vec<String> = (0..end).map(|place| format!("{} = {}", columns[place], values[place])).collect();
        let sign = if end + 1 == columns.len() { last } else { each };
        all.push(format!("{} {sign} {}", columns[end], values[end]));
        any.push(format!("({})", all.join(" AND ")));
    }
    format!("({})", any.join(" OR "))
}

fn other_position(name: &str, position: &str) -> RemoteError {
    let why =
        format!("the position {position} that the log has of it is not one of a table; give it another name (--name)");
    RemoteError::Refused { name: name.into(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that compares texts without case, with rows `k`.
    struct WithoutCase(Vec<&'static str>);

    impl Database for WithoutCase {
        fn connect(&mut self) -> Result<(), sqlx::Error> {
            Ok(())
        }

        fn quoted(&self, name: &str) -> String {
            name.into()
        }

        fn kind_of(&self, _: &str) -> ColumnKind {
            ColumnKind::Text
        }

        fn literal(&self, value: &CursorValue) -> Option<String> {
            Some(value.text.clone())
        }

        fn columns(&mut self, _: &str) -> Result<Vec<String>, sqlx::Error> {
            Ok(vec!["k".into()])
        }

        fn cursor(&mut self, _: &CursorQuery<'_>) -> Result<Option<Vec<CursorValue>>, sqlx::Error> {
            Ok(None)
        }

        fn rows(&mut self, rest: &str, _: &[String]) -> Result<Vec<Row>, sqlx::Error> {
            let number = |sign: &str| rest.split(sign).nth(1).and_then(|rest| rest.split_whitespace().next());
            let limit = number("LIMIT ").and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
            let (equal, after) = (number(" k = "), number("(k > "));
            let is_meant = |key: &&&str| {
                let after = after.map(|after| after.trim_end_matches(')').to_lowercase());
                equal.is_none_or(|equal| equal.eq_ignore_ascii_case(key))
                    && after.is_none_or(|after| key.to_lowercase() > after)
            };
            let row = |key: &&str| Row { json: format!(r#"{{"item":"{key}"}}"#).into(), cursor: vec![(*key).into()] };
            Ok(self.0.iter().filter(is_meant).take(limit).map(row).collect())
        }

        fn transactions(&mut self) -> Result<Option<OpenTransactions>, sqlx::Error> {
            Ok(None)
        }

        fn have_ended(&mut self, _: &OpenTransactions) -> Result<bool, sqlx::Error> {
            Ok(true)
        }

        fn tables(&mut self) -> Vec<String> {
            Vec::new()
        }
    }

    #[test]
    fn rows_that_the_server_takes_for_equal_are_not_divided_and_keep_their_own_keys() {
        let address: super::super::Address = "mysql://h/d?table=t&cursor=k".parse().unwrap();
        let database = WithoutCase(vec!["a1", "A1", "a1", "b", "B"]);
        let wanted = Wanted::of(&address, &database).unwrap();
        let settings = RemoteSettings { name: "t".into(), ..RemoteSettings::default() };
        let mut table = Table::new(database, wanted, &settings).unwrap();
        let mut read = Vec::new();
        loop {
            table.goal = Some(vec![CursorValue { text: "b".into(), kind: "VARCHAR".into() }]);
            let rows = table.read(1).unwrap();
            if rows.is_empty() {
                break;
            }
            read.push(rows.iter().map(|row| row.cursor[0].clone()).collect::<Vec<_>>().join(" "));
            let entries = table.portion(rows).batch.entries;
            let ids: std::collections::BTreeSet<String> = entries.iter().map(|entry| format!("{entry:?}")).collect();
            assert_eq!(ids.len(), entries.len(), "{entries:?}");
        }
        assert_eq!(read, ["a1 A1 a1", "b B"]);
    }

    #[test]
    fn cursors_of_several_columns_have_keys_of_their_own() {
        let key = |texts: &[&str]| key_of(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), 0);
        assert_ne!(key(&["A/B", "C"]), key(&["A", "B/C"]));
        assert_ne!(key(&["A\\", "B"]), key(&["A", "\\B"]));
        assert_ne!(key(&["A\\/B", "C"]), key(&["A\\", "B/C"]));
        assert_eq!((key(&["2026", "7"]), key(&["a/b"])), ("2026/7/0".into(), "a/b/0".into()), "as before");
    }

    #[test]
    fn rows_are_compared_column_by_column() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(beyond(&texts(&["a"]), &texts(&["1"]), ">", ">"), "((a > 1))");
        let two = beyond(&texts(&["a", "b"]), &texts(&["1", "2"]), "<", "<=");
        assert_eq!(two, "((a < 1) OR (a = 1 AND b <= 2))");
    }
}
