//! PostgreSQL. A row comes as `row_to_json`, which the server writes: numbers with all their digits, times in UTC, arrays, JSON
//! and composite values as JSON, bytes as hexadecimal text.
//!
//! Statements are sent without parameters, because the types of the cursor's columns are known to the server alone: a value stands
//! there as a text in quotes with a cast to its own type.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqlSafeStr as _, Statement as _};
use tokio::runtime::Runtime;

use super::sql::{
    ColumnKind, CursorQuery, CursorValue, Database, OPTIONS, OpenTransactions, Row, Table, Wanted, timeout, within,
};
use super::{Address, RemoteError, RemoteSettings, RemoteSource};

/// What every session begins with.
const SESSION: &str = "SET TIME ZONE 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'iso_8601'; \
                       SET extra_float_digits = 1; SET bytea_output = 'hex'; SET standard_conforming_strings = on; \
                       SET default_transaction_read_only = on";

pub(super) fn open(address: &Address, settings: &RemoteSettings) -> Result<Box<dyn RemoteSource>, RemoteError> {
    let options: Vec<String> = address
        .options()
        .filter(|(key, _)| !OPTIONS.contains(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let url = format!("postgres://{}?{}", address.server(), options.join("&"));
    let options = PgConnectOptions::from_str(&url).map_err(|error| address.fault(error.to_string()))?;
    let limit = timeout(address)?;
    let database = Postgres { options: options.application_name("accrue"), connection: None, limit };
    let wanted = Wanted::of(address, &database)?;
    Ok(Box::new(Table::new(database, wanted, settings)?))
}

struct Postgres {
    options: PgConnectOptions,
    /// With the runtime that drives it. There is none before it is connected: a server looks at its sources within a runtime of
    /// its own, where another one cannot be dropped.
    connection: Option<(Runtime, PgConnection)>,
    /// How long the server may take for an answer.
    limit: Duration,
}

impl Postgres {
    /// The rows of statements without parameters.
    fn fetch(&mut self, sql: String) -> Result<Vec<PgRow>, sqlx::Error> {
        let (runtime, connection) = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        within(runtime, self.limit, connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))))
    }

    fn text(&mut self, sql: &str) -> Result<Option<String>, sqlx::Error> {
        let rows = self.fetch(sql.to_owned())?;
        rows.first().map(|row| row.try_get_unchecked::<String, _>(0)).transpose()
    }
}

impl Database for Postgres {
    fn connect(&mut self) -> Result<(), sqlx::Error> {
        self.connection = None;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = within(&runtime, self.limit, PgConnection::connect_with(&self.options))?;
        self.connection = Some((runtime, connection));
        self.fetch(SESSION.to_owned()).map(drop)
    }

    fn quoted(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn kind_of(&self, name: &str) -> ColumnKind {
        kind_of(name)
    }

    fn literal(&self, value: &CursorValue) -> Option<String> {
        // JSON and the like have no order.
        let has_order =
            !matches!(&*value.kind, "json" | "xml" | "point" | "box" | "polygon" | "circle" | "line" | "path");
        has_order.then(|| format!("'{}'::{}", value.text.replace('\'', "''"), value.kind))
    }

    fn columns(&mut self, query: &str) -> Result<Vec<String>, sqlx::Error> {
        let (runtime, connection) = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let sql = AssertSqlSafe(query.to_owned()).into_sql_str();
        let statement = within(runtime, self.limit, connection.prepare(sql))?;
        Ok(statement.columns().iter().map(|column| sqlx::Column::name(column).to_owned()).collect())
    }

    fn cursor(&mut self, query: &CursorQuery<'_>) -> Result<Option<Vec<CursorValue>>, sqlx::Error> {
        let columns: Vec<String> =
            query.columns.iter().map(|name| format!("{name}::text, pg_typeof({name})::text")).collect();
        let rows = self.fetch(format!("SELECT {} {}", columns.join(", "), query.rest))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let value = |place: usize| {
            Ok(CursorValue { text: row.try_get_unchecked(2 * place)?, kind: row.try_get_unchecked(2 * place + 1)? })
        };
        (0..columns.len()).map(value).collect::<Result<_, sqlx::Error>>().map(Some)
    }

    fn rows(&mut self, rest: &str, cursor: &[String]) -> Result<Vec<Row>, sqlx::Error> {
        let columns: String = cursor.iter().map(|name| format!(", {name}::text")).collect();
        let rows = self.fetch(format!("SELECT row_to_json(t.*)::text{columns} {rest}"))?;
        let read = |row: PgRow| {
            let json: &str = row.try_get_unchecked(0)?;
            let cursor = (1..=cursor.len()).map(|place| row.try_get_unchecked(place));
            Ok(Row { json: json.into(), cursor: cursor.collect::<Result<_, sqlx::Error>>()? })
        };
        rows.into_iter().map(read).collect()
    }

    fn transactions(&mut self) -> Result<Option<OpenTransactions>, sqlx::Error> {
        // The functions of this name are there since version 8.3, those of the newer name since 13.
        Ok(self.text("SELECT txid_snapshot_xmax(txid_current_snapshot())::text")?.map(OpenTransactions))
    }

    fn have_ended(&mut self, moment: &OpenTransactions) -> Result<bool, sqlx::Error> {
        let OpenTransactions(next) = moment;
        let sql = format!("SELECT (txid_snapshot_xmin(txid_current_snapshot()) >= {next})::text");
        Ok(self.text(&sql)?.as_deref() == Some("true"))
    }

    fn tables(&mut self) -> Vec<String> {
        let sql = "SELECT CASE WHEN table_schema = 'public' THEN '' ELSE table_schema || '.' END || table_name \
                   FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema') \
                   ORDER BY 1 LIMIT 60";
        let rows = self.fetch(sql.to_owned()).unwrap_or_default();
        rows.iter().filter_map(|row| row.try_get_unchecked(0).ok()).collect()
    }
}

/// What a type of the server is, by its name as `pg_typeof` writes it.
fn kind_of(name: &str) -> ColumnKind {
    match name {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => ColumnKind::Number,
        "date" | "timestamp with time zone" | "timestamp without time zone" => ColumnKind::Time,
        "text" | "character varying" | "character" | "name" | "citext" => ColumnKind::Text,
        _ => ColumnKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_days_is_no_time() {
        let kinds = ["date", "daterange", "timestamp with time zone", "bigint", "uuid"].map(kind_of);
        let expected = [ColumnKind::Time, ColumnKind::Other, ColumnKind::Time, ColumnKind::Number, ColumnKind::Other];
        assert_eq!(kinds, expected);
    }
}
