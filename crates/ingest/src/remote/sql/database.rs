//! What differs between SQL servers, and what an address says of a table.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::super::{Address, RemoteError};

/// How often the newest cursor is looked up, if the address does not say it.
const EVERY: Duration = Duration::from_millis(500);
/// How long a server may take for an answer, if the address does not say it. The end of the program waits for no longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a request until it is answered, and no longer than `limit`: a server that has fallen silent, or a firewall that drops
/// packets, would otherwise hold the thread for good.
pub(in crate::remote) fn within<T>(
    runtime: &Runtime,
    limit: Duration,
    request: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    runtime.block_on(async { tokio::time::timeout(limit, request).await }).unwrap_or_else(|_| {
        let why = format!("no answer within {} s; `timeout=SECONDS` in the address allows more", limit.as_secs_f64());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why)))
    })
}

/// How long the server of an address may take for an answer.
pub(in crate::remote) fn timeout(address: &Address) -> Result<Duration, RemoteError> {
    match address.option("timeout") {
        None => Ok(TIMEOUT),
        Some(text) => match text.parse::<f64>() {
            Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
            _ => Err(address.fault(format!("`timeout` is {text:?}, but must be seconds, 0.1 to 3600"))),
        },
    }
}

/// What a type of a server is, as far as cursors go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remote) enum ColumnKind {
    Number,
    /// A day or a time of day and day; not a range of them.
    Time,
    Text,
    /// Such as a UUID.
    Other,
}

/// One value of a cursor.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::remote) struct CursorValue {
    /// As the server writes it, without a loss.
    pub text: String,
    /// Its type, as the server calls it.
    pub kind: String,
}

/// The transactions that were writing at some time, in the server's own form.
pub(in crate::remote) struct OpenTransactions(pub String);

/// A row: its content as a JSON object, and the texts of its cursor.
pub(in crate::remote) struct Row {
    pub json: Vec<u8>,
    pub cursor: Vec<String>,
}

/// A server, and the connection to it.
pub(in crate::remote) trait Database: Send {
    /// Connects anew, with a session that is in UTC and cannot write.
    fn connect(&mut self) -> Result<(), sqlx::Error>;

    /// A name in the quotes of the server's language.
    fn quoted(&self, name: &str) -> String;

    /// What a type of the server is.
    fn kind_of(&self, name: &str) -> ColumnKind;

    /// A value of a type in the server's language; `None` if values of the type cannot be a cursor.
    fn literal(&self, value: &CursorValue) -> Option<String>;

    /// The names of the columns of a query.
    fn columns(&mut self, query: &str) -> Result<Vec<String>, sqlx::Error>;

    /// The cursor of the row that this query, which names nothing else, begins with.
    fn cursor(&mut self, select: &CursorQuery<'_>) -> Result<Option<Vec<CursorValue>>, sqlx::Error>;

    /// The rows of `t` that follow `condition`, which is everything behind `FROM`.
    fn rows(&mut self, rest: &str, cursor: &[String]) -> Result<Vec<Row>, sqlx::Error>;

    /// The transactions that write now; `None` if the server does not tell.
    fn transactions(&mut self) -> Result<Option<OpenTransactions>, sqlx::Error>;

    /// Whether all of them have ended.
    fn have_ended(&mut self, moment: &OpenTransactions) -> Result<bool, sqlx::Error>;

    /// Why the server does not tell its transactions, so that rows can be missed.
    fn unseen_transactions(&self) -> Option<&'static str> {
        None
    }

    /// The tables that there are, for a message.
    fn tables(&mut self) -> Vec<String>;
}

/// A query for a cursor: its columns in quotes, and everything from `FROM` on.
pub(in crate::remote) struct CursorQuery<'a> {
    pub columns: &'a [String],
    pub rest: &'a str,
}

/// What an address says of a table.
pub(in crate::remote) struct Wanted {
    /// `FROM (…) AS t` or `FROM table AS t`.
    pub from: String,
    /// What is read, for messages.
    pub what: String,
    pub cursor: Option<Vec<String>>,
    pub every: Duration,
    pub settle: Option<Duration>,
}

/// Options that are not handed to the client.
pub(in crate::remote) const OPTIONS: &[&str] = &["table", "query", "cursor", "every", "settle", "timeout"];

impl Wanted {
    pub fn of(address: &Address, database: &dyn Database) -> Result<Self, RemoteError> {
        address.table_name()?;
        let (from, what) = match (address.option("table"), address.option("query")) {
            (Some(table), _) => {
                let parts: Vec<String> = table.split('.').map(|part| database.quoted(part)).collect();
                (format!("FROM {} AS t", parts.join(".")), format!("the table {table}"))
            }
            (_, query) => {
                let query = query.unwrap_or_default().trim().trim_end_matches(';');
                (format!("FROM ({query}) AS t"), "the query".into())
            }
        };
        let seconds = |key: &str| match address.option(key) {
            None => Ok(None),
            Some(text) => match text.parse::<f64>() {
                Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
                _ => Err(address.fault(format!("`{key}` is {text:?}, but must be seconds, 0 to 3600"))),
            },
        };
        let cursor =
            address.option("cursor").map(|columns| columns.split(',').map(|name| name.trim().into()).collect());
        let cursor: Option<Vec<String>> = cursor;
        if cursor.as_ref().is_some_and(|columns| columns.iter().any(String::is_empty)) {
            return Err(address.fault("`cursor` has an empty name; write cursor=id or cursor=updated_at,id"));
        }
        Ok(Self { from, what, cursor, every: seconds("every")?.unwrap_or(EVERY), settle: seconds("settle")? })
    }
}
