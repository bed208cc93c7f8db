//! A connection to an SQL server, for threads that wait: what differs between servers is behind [`Session`].

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use sqlx::mysql::MySqlDatabaseError;
use tokio::runtime::Runtime;

use super::super::row;
use crate::Offset;

/// A value that a statement is given.
#[derive(Clone, Copy)]
pub(super) enum Arg<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Bytes(Vec<u8>),
    Text(String),
}

impl Cell {
    /// The number, if it is one.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

/// The kinds of a result's columns.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Int,
    Bytes,
    Text,
}

/// One connection. In statements `?` is the place of a value.
pub(super) trait Session: Send {
    /// The rows of a statement.
    fn query(&mut self, sql: &str, args: &[Arg<'_>], kinds: &[Kind]) -> Result<Vec<Vec<Cell>>, sqlx::Error>;

    /// Runs a statement; returns the number of rows that it found or changed.
    fn run(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, sqlx::Error>;

    /// Runs a statement without values.
    fn statement(&mut self, sql: &str) -> Result<(), sqlx::Error>;

    /// Appends rows in one durable transaction, if the writer of this epoch still is the log's and the log ends at `from`. Returns
    /// whether it is so; otherwise nothing is changed.
    fn append(&mut self, tables: &Tables, epoch: i64, from: Offset, rows: &row::Rows) -> Result<bool, sqlx::Error>;

    /// Takes the lock of this name for the connection, without waiting.
    fn try_lock(&mut self, tables: &Tables) -> Result<bool, sqlx::Error>;
}

/// Connects to an address, whose server may take so long for an answer.
pub(super) type Connect = fn(&str, Duration) -> Result<Box<dyn Session>, sqlx::Error>;

/// What differs between the languages of servers.
pub(super) struct Dialect {
    /// The type of a column of bytes.
    pub(super) blob: &'static str,
    /// What a statement that makes a table ends with.
    pub(super) engine: &'static str,
    /// An expression for a text that no other log has.
    pub(super) identity: &'static str,
    /// A whole number of 64 bits, as the type of a cast.
    pub(super) int: &'static str,
    /// Begins a transaction.
    pub(super) begin: &'static str,
    /// A statement that inserts a row, or replaces the last column of the one with the same key: table, columns, how many are the key.
    pub(super) upsert: fn(&str, &[&str], usize, usize) -> String,
    /// Connects.
    pub(super) connect: Connect,
}

/// The names of a log's tables.
#[derive(Clone, Debug)]
pub(super) struct Tables {
    /// What they begin with.
    pub(super) prefix: String,
    pub(super) log: String,
    pub(super) records: String,
    pub(super) segments: String,
    pub(super) filters: String,
    pub(super) ids: String,
}

impl Tables {
    pub(super) fn new(prefix: &str) -> Self {
        let named = |what: &str| format!("{prefix}_{what}");
        Self {
            prefix: prefix.into(),
            log: named("log"),
            records: named("records"),
            segments: named("segments"),
            filters: named("filters"),
            ids: named("ids"),
        }
    }
}

/// `(?, ?), (?, ?)`: the values of so many rows with so many columns.
pub(super) fn values(n_rows: usize, n_columns: usize) -> String {
    let row = format!("({})", vec!["?"; n_columns].join(", "));
    vec![row; n_rows].join(", ")
}

/// What a failure means for the connection and for what was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection is lost, or the server asks to begin again: whether a commit happened is not known.
    Lost,
    /// A table is missing.
    NoTable,
    /// The server has no room.
    Full,
    /// The user may not do it, or is not known.
    Rights,
    /// Anything else that the server says.
    Other,
}

/// Errors of MySQL that end a connection or a transaction, or that another server answers after a failover.
const LOST_MYSQL: [u16; 10] = [1053, 1077, 1080, 1152, 1205, 1213, 1290, 1792, 1836, 1927];
const FULL_MYSQL: [u16; 3] = [1021, 1041, 1114];
const RIGHTS_MYSQL: [u16; 6] = [1044, 1045, 1049, 1142, 1143, 1227];

pub(super) fn failure(error: &sqlx::Error) -> Failure {
    let sqlx::Error::Database(refusal) = error else {
        return match error {
            sqlx::Error::Configuration(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_) => Failure::Other,
            _ => Failure::Lost,
        };
    };
    if let Some(refusal) = refusal.try_downcast_ref::<MySqlDatabaseError>() {
        return match refusal.number() {
            1146 => Failure::NoTable,
            number if LOST_MYSQL.contains(&number) => Failure::Lost,
            number if FULL_MYSQL.contains(&number) => Failure::Full,
            number if RIGHTS_MYSQL.contains(&number) => Failure::Rights,
            _ => Failure::Other,
        };
    }
    let code = refusal.code().unwrap_or_default();
    match (&*code, code.get(..2).unwrap_or_default()) {
        ("42P01", _) => Failure::NoTable,
        ("53100", _) => Failure::Full,
        ("42501", _) | (_, "28" | "3D" | "3F") => Failure::Rights,
        // Ended by an administrator, serialisation, a server that only reads since a failover, too many connections.
        ("25006" | "25P02" | "25P03", _) | (_, "08" | "40" | "53" | "55" | "57" | "58") => Failure::Lost,
        _ => Failure::Other,
    }
}

/// Runs a request until it is answered, and no longer than `limit`. The thread may itself be one of a server's runtime.
pub(super) fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let _entered = runtime()?.handle().enter();
    wait_for(async { tokio::time::timeout(limit, request).await }).unwrap_or_else(|_| {
        let why = format!("no answer within {} s; `timeout=SECONDS` in the address allows more", limit.as_secs_f64());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why)))
    })
}

/// The runtime that watches the connections. There is one for the process, because a runtime must not be dropped within another.
fn runtime() -> Result<&'static Runtime, sqlx::Error> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).thread_name("sql").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Polls a future on this thread. `Runtime::block_on` would refuse to do so on a thread of another runtime, where a server's requests
/// read records.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}
