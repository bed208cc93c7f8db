//! MySQL and MariaDB, with tables of InnoDB. A group is a transaction with statements of many rows.

use std::str::FromStr;
use std::time::Duration;

use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySql, Row as _};
use xxhash_rust::xxh3::xxh3_64;

use super::super::row;
use super::session::{Arg, Cell, Dialect, Kind, Session, Tables, values, within};
use crate::Offset;

pub(super) const DIALECT: Dialect = Dialect {
    blob: "LONGBLOB",
    engine: " ENGINE=InnoDB",
    identity: "UUID()",
    int: "SIGNED",
    begin: "START TRANSACTION",
    upsert,
    connect,
};

/// Rows of one statement. Others have a half, a quarter … of it, so that few statements are prepared.
const ROWS: usize = 1_024;
/// Bytes of bodies in one statement, about: less than the smallest limit of packets in use.
const BYTES: usize = 2 << 20;

struct MySession {
    connection: MySqlConnection,
    /// How long the server may take for an answer.
    limit: Duration,
}

fn connect(url: &str, limit: Duration) -> Result<Box<dyn Session>, sqlx::Error> {
    let options = MySqlConnectOptions::from_str(url)?;
    let connection = within(limit, MySqlConnection::connect_with(&options))?;
    Ok(Box::new(MySession { connection, limit }))
}

fn upsert(table: &str, columns: &[&str], _n_key: usize, n_rows: usize) -> String {
    let last = columns[columns.len() - 1];
    format!(
        "INSERT INTO {table} ({}) VALUES {} ON DUPLICATE KEY UPDATE {last} = VALUES({last})",
        columns.join(", "),
        values(n_rows, columns.len())
    )
}

fn bound<'q>(sql: &str, args: &[Arg<'q>]) -> Query<'q, MySql, MySqlArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    for arg in args {
        query = match *arg {
            Arg::Int(number) => query.bind(number),
            Arg::Bytes(bytes) => query.bind(bytes),
            Arg::Text(text) => query.bind(text),
        };
    }
    query
}

impl MySession {
    /// What a transaction of [`Session::append`] does.
    fn append_rows(
        &mut self,
        tables: &Tables,
        epoch: i64,
        from: Offset,
        rows: &[(Offset, accrue_event::Timestamp, &[u8])],
    ) -> Result<bool, sqlx::Error> {
        let until = from.0 as i64 + rows.len() as i64;
        let sql = format!("UPDATE {} SET until = ? WHERE one = 1 AND epoch = ? AND until = ?", tables.log);
        if self.run(&sql, &[Arg::Int(until), Arg::Int(epoch), Arg::Int(from.0 as i64)])? == 0 {
            return Ok(false);
        }
        let mut rest = rows;
        while !rest.is_empty() {
            let (own, others) = rest.split_at(n_together(rest));
            let sql =
                format!("INSERT INTO {} (seq, received_at, body) VALUES {}", tables.records, values(own.len(), 3));
            let args: Vec<Arg<'_>> = own
                .iter()
                .flat_map(|(offset, at, blob)| [Arg::Int(offset.0 as i64), Arg::Int(at.0), Arg::Bytes(blob)])
                .collect();
            self.run(&sql, &args)?;
            rest = others;
        }
        Ok(true)
    }
}

/// The number of rows that the next statement has: a power of two, and one at least.
fn n_together(rows: &[(Offset, accrue_event::Timestamp, &[u8])]) -> usize {
    let mut bytes = 0;
    let fitting = rows.iter().take(ROWS).take_while(|(_, _, blob)| {
        bytes += blob.len();
        bytes <= BYTES
    });
    let n = fitting.count().max(1);
    1 << n.ilog2()
}

impl Session for MySession {
    fn query(&mut self, sql: &str, args: &[Arg<'_>], kinds: &[Kind]) -> Result<Vec<Vec<Cell>>, sqlx::Error> {
        let rows = within(self.limit, bound(sql, args).fetch_all(&mut self.connection))?;
        let cell = |row: &sqlx::mysql::MySqlRow, place: usize, kind: Kind| -> Result<Cell, sqlx::Error> {
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
        let rows: Vec<_> = rows.iter().collect();
        self.statement(DIALECT.begin)?;
        match self.append_rows(tables, epoch, from, &rows) {
            Ok(true) => self.statement("COMMIT").map(|()| true),
            Ok(false) => self.statement("ROLLBACK").map(|()| false),
            Err(error) => {
                // Where the connection is lost the server does it.
                let _ = self.statement("ROLLBACK");
                Err(error)
            }
        }
    }

    fn try_lock(&mut self, tables: &Tables) -> Result<bool, sqlx::Error> {
        // The lock is one of the whole server, and its name has at most 64 characters.
        let database = self.query("SELECT DATABASE()", &[], &[Kind::Text])?;
        let Some(Cell::Text(database)) = database.first().and_then(|row| row.first()) else { return Ok(false) };
        let name = format!("accrue log {:016x}", xxh3_64(format!("{database} {}", tables.prefix).as_bytes()));
        let rows = self.query("SELECT CAST(GET_LOCK(?, 0) AS SIGNED)", &[Arg::Text(&name)], &[Kind::Int])?;
        Ok(rows.first().is_some_and(|row| row[0] == Cell::Int(1)))
    }
}
