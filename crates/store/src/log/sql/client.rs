//! The connections of a log in a database: made when they are needed, made again when they are lost.
//!
//! One connection is the writer's. It holds the lock of the log, which the server gives to one connection at a time and takes back when
//! the connection ends. So a writer that has got the lock again knows that what its lost connection had sent was done or never will be,
//! and the end of the log says which. The epoch, a number that each start of a writer advances, is compared in each transaction: a writer
//! that was replaced while it did not notice cannot append, also where locks are not known to a server that took over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::local_part::LocalPart;
use super::super::row;
use super::session::{Arg, Cell, Dialect, Failure, Kind, Session, Tables, failure};
use crate::{Offset, StoreError, StoreUrl};

/// How long a lock is waited for: a server needs a moment to notice that a connection has ended.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often it is tried.
const LOCK_EVERY: Duration = Duration::from_millis(50);

/// What all connections of a log share.
pub(super) struct Shared {
    pub(super) dialect: &'static Dialect,
    /// The address of the server with the options that its client knows.
    server: String,
    /// How long the server may take for an answer.
    limit: Duration,
    pub(super) url: StoreUrl,
    pub(super) tables: Tables,
    pub(super) local: LocalPart,
    /// The epoch of the writer of this process; 0 if it does not write.
    pub(super) epoch: AtomicI64,
    /// The end of what was acknowledged.
    pub(super) until: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        dialect: &'static Dialect,
        scheme: &str,
        url: &StoreUrl,
        local: LocalPart,
    ) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Refused { place: url.to_string(), why };
        let (mut prefix, mut limit, mut options) = ("accrue", Duration::from_secs(30), Vec::new());
        for (key, value) in url.options() {
            match key {
                "prefix" => prefix = value,
                "timeout" => {
                    let seconds = value.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
                    let wrong = || refused(format!("`timeout` is {value:?}, but must be seconds, 0.1 to 3600"));
                    limit = Duration::from_secs_f64(seconds.ok_or_else(wrong)?);
                }
                _ => options.push(format!("{key}={value}")),
            }
        }
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = prefix.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !begins || prefix.len() > 40 || !prefix.bytes().all(is_word) {
            let form =
                "must be 1 to 40 small letters, digits and `_`, a letter first: it begins the names of the tables";
            return Err(refused(format!("`prefix` is {prefix:?}, but {form}")));
        }
        Ok(Self {
            dialect,
            server: format!("{scheme}://{}?{}", url.server(), options.join("&")),
            limit,
            url: url.clone(),
            tables: Tables::new(prefix),
            local,
            epoch: AtomicI64::new(0),
            until: AtomicU64::new(0),
        })
    }

    /// The name of the place, for messages.
    pub(super) fn name(&self) -> PathBuf {
        PathBuf::from(self.url.to_string())
    }

    pub(super) fn refused(&self, why: impl Into<String>) -> StoreError {
        StoreError::Refused { place: self.url.to_string(), why: why.into() }
    }

    /// The error of the server, with its place and, if it is a common one, its remedy.
    pub(super) fn error(&self, doing: &str, error: &sqlx::Error) -> StoreError {
        let place = self.url.to_string();
        let said = match error {
            sqlx::Error::Database(refusal) => refusal.message().to_owned(),
            error => error.to_string(),
        };
        match failure(error) {
            Failure::Lost => StoreError::Unreachable { place, why: format!("{doing} failed: {said}") },
            Failure::Full => StoreError::DiskFull { path: self.name(), cause: format!("the database says: {said}") },
            Failure::NoTable => StoreError::NoLog { path: self.name() },
            Failure::Rights => self.refused(format!(
                "{doing} failed: {said}; the user needs to exist and to have the rights to create tables in the database, and to select, \
                 insert, update and delete in {}_*",
                self.tables.prefix
            )),
            Failure::Other => self.refused(format!("{doing} failed: {said}")),
        }
    }

    /// The error for a connection that may no longer write.
    fn replaced(&self, epoch: i64) -> StoreError {
        self.refused(format!(
            "another server has taken over this log (its epoch is {epoch}, this one's was {}), so this one cannot write any more; stop it",
            self.epoch.load(Ordering::Acquire)
        ))
    }
}

/// What the server says of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) epoch: i64,
    pub(super) until: i64,
}

/// An error in a transaction: of the server, or of what was found.
pub(super) enum Fault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A connection, or the means to make one.
pub(super) struct Client {
    pub(super) shared: Arc<Shared>,
    session: Option<Box<dyn Session>>,
    /// Whether this is the connection that holds the lock.
    is_writer: bool,
}

impl Client {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, session: None, is_writer: false }
    }

    /// Connects if it is not connected.
    fn connected(&mut self) -> Result<&mut Box<dyn Session>, StoreError> {
        if self.session.is_none() {
            if self.is_writer {
                self.reconnect()?;
            } else {
                self.session = Some(self.connect()?);
            }
        }
        // Reached with a session only.
        self.session.as_mut().ok_or_else(|| StoreError::Unreachable {
            place: self.shared.url.to_string(),
            why: "there is no connection".into(),
        })
    }

    fn connect(&self) -> Result<Box<dyn Session>, StoreError> {
        (self.shared.dialect.connect)(&self.shared.server, self.shared.limit)
            .map_err(|error| self.shared.error("connecting", &error))
    }

    /// Connects and takes the log's lock.
    fn connect_locked(&mut self) -> Result<(), StoreError> {
        self.session = None;
        let began = Instant::now();
        let mut session = self.connect()?;
        let shared = self.shared.clone();
        while !session.try_lock(&shared.tables).map_err(|error| shared.error("locking the log", &error))? {
            if began.elapsed() >= LOCK_WAIT {
                return Err(shared.refused(
                    "another server has this log open; stop it, or give this one a log of its own (?prefix=NAME). One that is gone without \
                     having closed its connection is let go by the database when it notices that, at the latest after its TCP keepalive",
                ));
            }
            std::thread::sleep(LOCK_EVERY);
        }
        self.session = Some(session);
        Ok(())
    }

    /// Makes this the writer's connection: takes the lock.
    pub(super) fn become_writer(&mut self) -> Result<(), StoreError> {
        self.connect_locked()?;
        self.is_writer = true;
        Ok(())
    }

    /// Connects the writer again: what its last connection had sent is then decided. Returns where the log ends.
    pub(super) fn reconnect(&mut self) -> Result<u64, StoreError> {
        self.connect_locked()?;
        let shared = self.shared.clone();
        let state = self.state()?.ok_or_else(|| shared.refused("the tables of the log are gone; restore them"))?;
        if state.epoch != shared.epoch.load(Ordering::Acquire) {
            self.session = None;
            return Err(shared.replaced(state.epoch));
        }
        let acknowledged = shared.until.load(Ordering::Acquire);
        if (state.until as u64) < acknowledged {
            self.session = None;
            return Err(shared.refused(format!(
                "the database ends at {}, but {acknowledged} records were acknowledged: a server that took over lacks the last ones. Bring \
                 back the server that has them, or stop this one and start it with an empty data folder, which goes on without them",
                state.until
            )));
        }
        Ok(state.until as u64)
    }

    /// What the server says of the log; `None` if there is none.
    pub(super) fn state(&mut self) -> Result<Option<State>, StoreError> {
        let sql = format!("SELECT epoch, until FROM {} WHERE one = 1", self.shared.tables.log);
        let rows = match self
            .read("reading the state of the log", |session| session.query(&sql, &[], &[Kind::Int, Kind::Int]))
        {
            Err(StoreError::NoLog { .. }) => return Ok(None),
            rows => rows?,
        };
        let cells = rows.first().map(|row| (row[0].int(), row[1].int()));
        Ok(match cells {
            Some((Some(epoch), Some(until))) => Some(State { epoch, until }),
            _ => None,
        })
    }

    /// Runs something that changes nothing, once more if the connection turns out to be lost.
    pub(super) fn read<T>(
        &mut self,
        doing: &str,
        request: impl Fn(&mut dyn Session) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let was_connected = self.session.is_some();
        match request(&mut **self.connected()?) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let is_lost = failure(&error) == Failure::Lost;
                if is_lost {
                    self.session = None;
                }
                // A new connection that is lost at once would be lost again.
                if is_lost && was_connected && !is_timeout(&error) {
                    return self.read(doing, request);
                }
                Err(self.shared.error(doing, &error))
            }
        }
    }

    /// Runs a statement that makes a table or that may be repeated.
    pub(super) fn run(&mut self, doing: &str, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        self.read(doing, |session| session.run(sql, args))
    }

    /// Runs a transaction of the writer's process. If the connection is lost it may or may not have happened, so it must be one that can
    /// be repeated.
    pub(super) fn transaction<T>(
        &mut self,
        doing: &str,
        mut work: impl FnMut(&mut dyn Session) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        // A connection that was lost since it was last used is noticed before anything begins.
        self.read(doing, |session| session.statement(shared.dialect.begin))?;
        let session = self.connected()?;
        let mut in_epoch = || -> Result<T, Fault> {
            let sql = format!("SELECT epoch FROM {} WHERE one = 1 FOR UPDATE", shared.tables.log);
            let rows = session.query(&sql, &[], &[Kind::Int])?;
            match rows.first().map(|row| &row[0]) {
                Some(Cell::Int(epoch)) if *epoch == shared.epoch.load(Ordering::Acquire) => {}
                Some(Cell::Int(epoch)) => return Err(shared.replaced(*epoch).into()),
                _ => return Err(shared.refused("the tables of the log are gone; restore them").into()),
            }
            let done = work(&mut **session)?;
            session.statement("COMMIT")?;
            Ok(done)
        };
        let fault = match in_epoch() {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let is_open = session.statement("ROLLBACK").is_ok();
        if !is_open {
            self.session = None;
        }
        Err(match fault {
            Fault::Store(error) => error,
            Fault::Sql(error) => shared.error(doing, &error),
        })
    }

    /// Appends rows in one durable transaction. If the connection is lost meanwhile it is found out whether that happened; if not, the rows
    /// are sent once more.
    pub(super) fn append(&mut self, from: Offset, rows: &row::Rows) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let end = from.0 + rows.len() as u64;
        let epoch = shared.epoch.load(Ordering::Acquire);
        let mut is_repeated = false;
        loop {
            match self.connected()?.append(&shared.tables, epoch, from, rows) {
                Ok(true) => break,
                Ok(false) => return Err(self.why_not_appended(from)),
                Err(error) if failure(&error) == Failure::Lost => {
                    self.session = None;
                    let until = self.reconnect()?;
                    if until == end {
                        break;
                    }
                    if until != from.0 {
                        return Err(self.why_not_appended(from));
                    }
                    if std::mem::replace(&mut is_repeated, true) {
                        return Err(shared.error("appending records", &error));
                    }
                }
                Err(error) => return Err(shared.error("appending records", &error)),
            }
        }
        shared.until.store(end, Ordering::Release);
        Ok(())
    }

    fn why_not_appended(&mut self, from: Offset) -> StoreError {
        match self.state() {
            Ok(Some(state)) if state.epoch != self.shared.epoch.load(Ordering::Acquire) => {
                self.session = None;
                self.shared.replaced(state.epoch)
            }
            Ok(Some(state)) => self.shared.refused(format!(
                "the log ends at {} there and at {from} here: something else has written to its tables; stop it, and restore a backup",
                state.until
            )),
            Ok(None) => self.shared.refused("the tables of the log are gone; restore them"),
            Err(error) => error,
        }
    }
}

fn is_timeout(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}
