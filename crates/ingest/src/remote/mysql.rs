//! MySQL and MariaDB. Statements are sent as texts, so values come as the server writes them, and JSON is made of them here:
//! numbers with all their digits, times in UTC, JSON as it is, bytes that are no UTF-8 as hexadecimal text.
//!
//! Which transactions write is known to `information_schema.innodb_trx`, which needs the right `PROCESS`. Without it rows are read
//! after a wait alone, and that is told.

use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::ValueRef as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _, Statement as _,
    TypeInfo as _,
};
use tokio::runtime::Runtime;

use super::sql::{
    ColumnKind, CursorQuery, CursorValue, Database, OPTIONS, OpenTransactions, Row, Table, Wanted, timeout, within,
};
use super::{Address, RemoteError, RemoteSettings, RemoteSource};

/// What every session begins with.
const SESSION: &str = "SET SESSION TRANSACTION READ ONLY";
/// Transactions that have written and not ended.
const WRITING: &str = "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_rows_modified > 0";

/// The server's list of transactions is made anew only where nobody has read it for 0.1 s: whoever asks more often sees an old one
/// for ever.
const ASK_AGAIN: Duration = Duration::from_millis(500);

pub(super) fn open(address: &Address, settings: &RemoteSettings) -> Result<Box<dyn RemoteSource>, RemoteError> {
    let options: Vec<String> = address
        .options()
        .filter(|(key, _)| !OPTIONS.contains(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let url = format!("mysql://{}?{}", address.server(), options.join("&"));
    let options = MySqlConnectOptions::from_str(&url).map_err(|error| address.fault(error.to_string()))?;
    let limit = timeout(address)?;
    let database = MySql { options, connection: None, limit, may_see_transactions: true, asked_at: None };
    let wanted = Wanted::of(address, &database)?;
    Ok(Box::new(Table::new(database, wanted, settings)?))
}

struct MySql {
    options: MySqlConnectOptions,
    /// With the runtime that drives it. There is none before it is connected: a server looks at its sources within a runtime of
    /// its own, where another one cannot be dropped.
    connection: Option<(Runtime, MySqlConnection)>,
    /// How long the server may take for an answer.
    limit: Duration,
    may_see_transactions: bool,
    /// When the list of transactions was read.
    asked_at: Option<Instant>,
}

impl MySql {
    /// The rows of a statement, with values as texts.
    fn fetch(&mut self, sql: String) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let (runtime, connection) = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        within(runtime, self.limit, connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))))
    }
}

impl MySql {
    /// How long the list of transactions is not read.
    fn until_asked_again(&self) -> Duration {
        self.asked_at.map_or(Duration::ZERO, |at| ASK_AGAIN.saturating_sub(at.elapsed()))
    }
}

impl Database for MySql {
    fn connect(&mut self) -> Result<(), sqlx::Error> {
        self.connection = None;
        // The client sets the zone of the session to UTC, and its character set to utf8mb4.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = within(&runtime, self.limit, MySqlConnection::connect_with(&self.options))?;
        self.connection = Some((runtime, connection));
        self.fetch(SESSION.to_owned()).map(drop)
    }

    fn quoted(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn kind_of(&self, name: &str) -> ColumnKind {
        kind_of(name)
    }

    fn literal(&self, value: &CursorValue) -> Option<String> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        // Hexadecimal, so that no character of a value has a meaning.
        let hex: String = value.text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let text = if hex.is_empty() { "''".to_owned() } else { format!("_utf8mb4 x'{hex}'") };
        Some(match (kind_of(&value.kind), &*value.kind) {
            (ColumnKind::Number, _) if digits(&value.text) => value.text.clone(),
            (ColumnKind::Time, "DATE") => format!("CAST({text} AS DATE)"),
            (ColumnKind::Time, _) => format!("CAST({text} AS DATETIME(6))"),
            (ColumnKind::Text, _) => text,
            _ => return None,
        })
    }

    fn columns(&mut self, query: &str) -> Result<Vec<String>, sqlx::Error> {
        let (runtime, connection) = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let sql = AssertSqlSafe(query.to_owned()).into_sql_str();
        let statement = within(runtime, self.limit, connection.prepare(sql))?;
        Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
    }

    fn cursor(&mut self, query: &CursorQuery<'_>) -> Result<Option<Vec<CursorValue>>, sqlx::Error> {
        let rows = self.fetch(format!("SELECT {} {}", query.columns.join(", "), query.rest))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let value = |place: usize| {
            let text = String::from_utf8_lossy(row.try_get_unchecked::<&[u8], _>(place)?).into_owned();
            Ok(CursorValue { text, kind: row.columns()[place].type_info().name().to_owned() })
        };
        (0..query.columns.len()).map(value).collect::<Result<_, sqlx::Error>>().map(Some)
    }

    fn rows(&mut self, rest: &str, cursor: &[String]) -> Result<Vec<Row>, sqlx::Error> {
        let columns: String = cursor.iter().map(|name| format!(", {name}")).collect();
        let rows = self.fetch(format!("SELECT t.*{columns} {rest}"))?;
        rows.iter().map(|row| read(row, cursor.len())).collect()
    }

    fn transactions(&mut self) -> Result<Option<OpenTransactions>, sqlx::Error> {
        if !self.may_see_transactions {
            return Ok(None);
        }
        std::thread::sleep(self.until_asked_again());
        self.asked_at = Some(Instant::now());
        match self.fetch(WRITING.to_owned()) {
            Ok(rows) => {
                let ids: Vec<String> = rows.iter().map(|row| text_of(row, 0)).collect::<Result<_, _>>()?;
                Ok(Some(OpenTransactions(ids.join(","))))
            }
            // Access denied; you need the PROCESS privilege.
            Err(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some("42000") => {
                self.may_see_transactions = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn have_ended(&mut self, moment: &OpenTransactions) -> Result<bool, sqlx::Error> {
        let OpenTransactions(ids) = moment;
        if ids.is_empty() {
            return Ok(true);
        }
        if !self.until_asked_again().is_zero() {
            return Ok(false);
        }
        self.asked_at = Some(Instant::now());
        let rows = self.fetch(WRITING.to_owned())?;
        let open: Vec<String> = rows.iter().map(|row| text_of(row, 0)).collect::<Result<_, _>>()?;
        Ok(!ids.split(',').any(|id| open.iter().any(|open| open == id)))
    }

    fn unseen_transactions(&self) -> Option<&'static str> {
        (!self.may_see_transactions).then_some(
            "the user may not see which transactions are open (GRANT PROCESS): a row of one that lasts longer than `settle` can be \
             missed",
        )
    }

    fn tables(&mut self) -> Vec<String> {
        let rows = self.fetch("SHOW TABLES".to_owned()).unwrap_or_default();
        rows.iter().filter_map(|row| text_of(row, 0).ok()).collect()
    }
}

fn text_of(row: &MySqlRow, place: usize) -> Result<String, sqlx::Error> {
    Ok(String::from_utf8_lossy(row.try_get_unchecked::<&[u8], _>(place)?).into_owned())
}

/// A row whose last columns are those of the cursor.
fn read(row: &MySqlRow, n_cursor: usize) -> Result<Row, sqlx::Error> {
    let n = row.columns().len() - n_cursor;
    let mut json = Vec::with_capacity(32 * n);
    json.push(b'{');
    for (place, column) in row.columns()[..n].iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        push_text(&mut json, column.name());
        json.push(b':');
        let value = row.try_get_raw(place)?;
        if value.is_null() {
            json.extend_from_slice(b"null");
        } else {
            push_value(&mut json, column.type_info().name(), row.try_get_unchecked(place)?);
        }
    }
    json.push(b'}');
    let cursor = (n..row.columns().len()).map(|place| text_of(row, place));
    Ok(Row { json, cursor: cursor.collect::<Result<_, _>>()? })
}

/// Appends a value as JSON.
fn push_value(json: &mut Vec<u8>, kind: &str, bytes: &[u8]) {
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    match kind {
        // A decimal may begin with zeros where it is declared so (ZEROFILL).
        _ if kind_of(kind) == ColumnKind::Number && is_json(bytes) => json.extend_from_slice(bytes),
        "JSON" if is_json(bytes) => json.extend_from_slice(bytes),
        // MariaDB has JSON as texts of this type.
        "LONGTEXT" if matches!(bytes.first(), Some(b'{' | b'[')) && is_json(bytes) => json.extend_from_slice(bytes),
        "BIT" => {
            let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            json.extend_from_slice(value.to_string().as_bytes());
        }
        // `2026-11-29 10:00:00` is in UTC, as the session is.
        "TIMESTAMP" if bytes.first() != Some(&b'0') => {
            json.push(b'"');
            json.extend(bytes.iter().map(|byte| if *byte == b' ' { b'T' } else { *byte }));
            json.extend_from_slice(b"Z\"");
        }
        // The day that is none.
        "DATETIME" | "TIMESTAMP" | "DATE" if bytes.starts_with(b"0000-00-00") => json.extend_from_slice(b"null"),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => push_text(json, text),
            Err(_) => {
                json.extend_from_slice(b"\"\\\\x");
                bytes.iter().for_each(|byte| json.extend_from_slice(format!("{byte:02x}").as_bytes()));
                json.push(b'"');
            }
        },
    }
}

fn push_text(json: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail, and a text can be written.
    let _ = serde_json::to_writer(json, text);
}

/// What a type of the server is. The name of a number may end with `UNSIGNED` or `ZEROFILL`.
fn kind_of(name: &str) -> ColumnKind {
    match name.split(' ').next().unwrap_or(name) {
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "DECIMAL" | "FLOAT" | "DOUBLE" | "YEAR"
        | "BOOLEAN" => ColumnKind::Number,
        "DATETIME" | "TIMESTAMP" | "DATE" => ColumnKind::Time,
        "CHAR" | "VARCHAR" | "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" => ColumnKind::Text,
        _ => ColumnKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: &str, bytes: &[u8]) -> String {
        let mut json = Vec::new();
        push_value(&mut json, kind, bytes);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn types_are_told_apart_by_their_whole_names() {
        let kinds = ["BIGINT UNSIGNED", "DATE", "TIMESTAMP", "VARCHAR", "GEOMETRY"].map(kind_of);
        let expected = [ColumnKind::Number, ColumnKind::Time, ColumnKind::Time, ColumnKind::Text, ColumnKind::Other];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn values_become_json_by_their_types() {
        for (kind, bytes, expected) in [
            ("BIGINT UNSIGNED", &b"18446744073709551615"[..], "18446744073709551615"),
            ("DECIMAL", b"12345678901234567.89", "12345678901234567.89"),
            ("DECIMAL", b"007.50", r#""007.50""#),
            ("JSON", br#"{"a": [1]}"#, r#"{"a": [1]}"#),
            ("LONGTEXT", br#"{"a":1}"#, r#"{"a":1}"#),
            ("LONGTEXT", br"{no json", r#""{no json""#),
            ("TEXT", br#"{"a":1}"#, r#""{\"a\":1}""#),
            ("TIMESTAMP", b"2026-11-29 10:00:00.25", r#""2026-11-29T10:00:00.25Z""#),
            ("DATETIME", b"2026-11-29 10:00:00", r#""2026-11-29 10:00:00""#),
            ("DATETIME", b"0000-00-00 00:00:00", "null"),
            ("BIT", &[1, 2], "258"),
            ("BLOB", b"\xff\x00", r#""\\xff00""#),
            ("VARCHAR", "Größe \"M\"\n".as_bytes(), r#""Größe \"M\"\n""#),
        ] {
            assert_eq!(value(kind, bytes), expected, "{kind}");
        }
    }
}
