//! PostgreSQL. A group is one statement with arrays, which is faster than `COPY` for groups of some thousand rows.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Postgres, Row as _};
use xxhash_rust::xxh3::xxh3_64;

use super::super::row;
use super::session::{Arg, Cell, Dialect, Kind, Session, Tables, values, within};
use crate::Offset;

pub(super) const DIALECT: Dialect = Dialect {
    blob: "BYTEA",
    engine: "",
    identity: "CAST(gen_random_uuid() AS VARCHAR(64))",
    int: "BIGINT",
    begin: "BEGIN",
    upsert,
    connect,
};

/// A commit that was acknowledged must not be lost, also where the server's default allows it.
const SESSION: &str =
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

struct PgSession {
    connection: PgConnection,
    /// How long the server may take for an answer.
    limit: Duration,
}

fn connect(url: &str, limit: Duration) -> Result<Box<dyn Session>, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?;
    let options = if options.get_application_name().is_some() { options } else { options.application_name("accrue") };
    let connection = within(limit, PgConnection::connect_with(&options))?;
    let mut session = PgSession { connection, limit };
    session.statement(SESSION)?;
    Ok(Box::new(session))
}

fn upsert(table: &str, columns: &[&str], n_key: usize, n_rows: usize) -> String {
    let last = columns[columns.len() - 1];
    format!(
        "INSERT INTO {table} ({}) VALUES {} ON CONFLICT ({}) DO UPDATE SET {last} = excluded.{last}",
        columns.join(", "),
        values(n_rows, columns.len()),
        columns[..n_key].join(", ")
    )
}

/// The statement with `$1`, `$2` … in the places of `?`.
fn numbered(sql: &str) -> String {
    let mut numbered = String::with_capacity(sql.len() + 16);
    for (place, part) in sql.split('?').enumerate() {
        if place > 0 {
            numbered.push_str(&format!("${place}"));
        }
        numbered.push_str(part);
    }
    numbered
}

fn bound<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(numbered(sql)));
    for arg in args {
        query = match *arg {
            Arg::Int(number) => query.bind(number),
            Arg::Bytes(bytes) => query.bind(bytes),
            Arg::Text(text) => query.bind(text),
        };
    }
    query
}

impl Session for PgSession {
    fn query(&mut self, sql: &str, args: &[Arg<'_>], kinds: &[Kind]) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        let rows = within(self.limit, bound(sql, args).fetch_all(&mut self.connection))?;
        let cell = |row: &sqlx::postgres::PgRow, place: usize, kind: Kind| -> Result<Cell, sqlx::Error> {
            Ok(match kind {
                Kind::Int => row.try_get::<Option<i64>, _>(place)?.map_or(Cell::Null, Cell::Int),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map_or(Cell::Null, Cell::Bytes),
                Kind::Text => row.try_get::<Option<String>, _>(place)?.map_or(Cell::Null, Cell::Text),
            })
        };
        rows.iter().map(|row| kinds.iter().enumerate().map(|(place, kind)| cell(row, place, *kind)).collect()).collect()
    }

    fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, sqlx::Error> {
        Ok(within(self.limit, bound(sql, args).execute(&mut self.connection))?.rows_affected())
    }

    fn statement(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        within(self.limit, self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())))).map(drop)
    }

    fn append(&mut self, tables: &Tables, epoch: i64, from: Offset, rows: &row::Rows) -> Result<bool, sqlx::Error> {
        let sql = format!(
            "WITH writer AS (UPDATE {} SET until = $1 WHERE one = 1 AND epoch = $2 AND until = $3 RETURNING one) \
             INSERT INTO {} (seq, received_at, body) SELECT given.seq, given.received_at, given.body \
             FROM unnest($4::bigint[], $5::bigint[], $6::bytea[]) AS given(seq, received_at, body), writer",
            tables.log, tables.records
        );
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for (offset, received_at, blob) in rows.iter() {
            columns.0.push(offset.0 as i64);
            columns.1.push(received_at.0);
            columns.2.push(blob);
        }
        let until = from.0 as i64 + columns.0.len() as i64;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(until).bind(epoch).bind(from.0 as i64);
        let query = query.bind(columns.0).bind(columns.1).bind(columns.2);
        Ok(within(self.limit, query.execute(&mut self.connection))?.rows_affected() > 0)
    }

    fn try_lock(&mut self, tables: &Tables) -> Result<bool, sqlx::Error> {
        // The lock is one of the database, so its name need not have the database in it.
        let key = xxh3_64(format!("accrue log {}", tables.prefix).as_bytes()) as i64;
        let sql = "SELECT CAST(CAST(pg_try_advisory_lock(?) AS INT) AS BIGINT)";
        let rows = self.query(sql, &[Arg::Int(key)], &[Kind::Int])?;
        Ok(rows.first().is_some_and(|row| row[0] == Cell::Int(1)))
    }
}
