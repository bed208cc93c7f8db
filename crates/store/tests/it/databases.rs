//! The log in real databases: the same operations in every place, and what happens when connections, locks and servers are lost.
//! `ACCRUE_TEST_POSTGRES` and `ACCRUE_TEST_MYSQL` name the servers; `./check --services` starts them. A test whose server is not named
//! says that it is skipped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use accrue_event::Timestamp;
use accrue_store::{Body, Log, LogPlace, LogReader, LogSettings, Offset, StoreError, backup, restore, restore_into};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _};

use crate::fixture::{Folder, bodies, filled, id, read_all, refusal_id};

const SETTINGS: LogSettings = LogSettings { segment_records: 50 };

/// A server of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Postgres,
    MySql,
}

/// The servers that variables name.
fn servers() -> Vec<(Kind, String)> {
    let named = |kind, variable: &str| {
        let url = std::env::var(variable).ok().filter(|url| !url.is_empty());
        if url.is_none() {
            println!("{variable} is not set: skipped");
        }
        url.map(|url| (kind, url))
    };
    let servers = [named(Kind::Postgres, "ACCRUE_TEST_POSTGRES"), named(Kind::MySql, "ACCRUE_TEST_MYSQL")];
    servers.into_iter().flatten().collect()
}

/// A log of a test in a database, whose tables are dropped at its end.
struct Database {
    kind: Kind,
    url: String,
    prefix: String,
}

impl Database {
    fn new(kind: Kind, url: &str) -> Self {
        static N: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("t{}_{}", std::process::id(), N.fetch_add(1, Ordering::Relaxed));
        let database = Self { kind, url: url.into(), prefix };
        if kind == Kind::MySql {
            let user = &database.prefix;
            database.run(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'; GRANT ALL ON *.* TO '{user}'@'%'"));
        }
        database
    }

    /// Connections of this log alone can be told from others by their name or user.
    fn url(&self) -> String {
        match self.kind {
            Kind::Postgres => format!("{}?prefix={}&application_name={}", self.url, self.prefix, self.prefix),
            Kind::MySql => {
                let server = self.url.rsplit_once('@').map_or(&*self.url, |(_, server)| server);
                let server = server.trim_start_matches("mysql://");
                format!("mysql://{}:x@{server}?prefix={}", self.prefix, self.prefix)
            }
        }
    }

    fn place(&self, folder: &Folder) -> LogPlace {
        LogPlace::new(folder.path(), &self.url().parse().unwrap())
    }

    fn run(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        wait(async {
            match self.kind {
                Kind::Postgres => PgConnection::connect(&self.url).await.unwrap().execute(sql).await.map(drop),
                Kind::MySql => MySqlConnection::connect(&self.url).await.unwrap().execute(sql).await.map(drop),
            }
            .unwrap();
        });
    }

    /// Ends all connections of the log; returns how many there were.
    fn end_connections(&self) -> usize {
        wait(async {
            match self.kind {
                Kind::Postgres => {
                    let sql = format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
                        self.prefix
                    );
                    let mut connection = PgConnection::connect(&self.url).await.unwrap();
                    connection.fetch_all(AssertSqlSafe(sql)).await.unwrap().len()
                }
                Kind::MySql => {
                    let mut connection = MySqlConnection::connect(&self.url).await.unwrap();
                    let sql = format!(
                        "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE user = '{}'",
                        self.prefix
                    );
                    let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
                    for row in &rows {
                        let id: i64 = row.get(0);
                        let _ = connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}")))).await;
                    }
                    rows.len()
                }
            }
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.end_connections();
        for table in ["log", "records", "segments", "filters", "ids"] {
            self.run(&format!("DROP TABLE IF EXISTS {}_{table}", self.prefix));
        }
        if self.kind == Kind::MySql {
            self.run(&format!("DROP USER '{}'@'%'", self.prefix));
        }
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Runs a test against each server that there is.
fn each_server(test: impl Fn(&Database, &Folder)) {
    for (kind, url) in servers() {
        test(&Database::new(kind, &url), &Folder::new());
    }
}

fn open(database: &Database, folder: &Folder) -> Log {
    Log::open(database.place(folder), SETTINGS).unwrap()
}

/// Appends the records up to `n` in groups of `group`, as [`filled`] does.
fn fill(log: &mut Log, n: u64, group: u64) {
    while log.end().0 < n {
        let from = log.end().0;
        log.append(Timestamp(from as i64), &bodies(from, (from + group).min(n))).unwrap();
    }
}

#[test]
fn a_log_in_a_database_has_the_records_the_digest_and_the_ids_of_one_in_files() {
    let files = Folder::new();
    let expected = filled(files.path(), 50, 330, 7);
    each_server(|database, folder| {
        let mut log = open(database, folder);
        fill(&mut log, 330, 7);
        let check = |log: &Log| {
            assert_eq!(log.digest(log.end()).unwrap(), expected.digest(expected.end()).unwrap());
            let ids: Vec<_> = (0..400).map(id).collect();
            assert_eq!(log.find_events(&ids).unwrap(), expected.find_events(&ids).unwrap());
            let refusals: Vec<_> = (0..400).map(refusal_id).collect();
            let found = |log: &Log| log.find_refusals(refusals.iter().copied()).unwrap();
            assert_eq!(found(log), found(&expected));
        };
        check(&log);
        drop(log);
        let log = open(database, folder);
        check(&log);
        let mut beside = LogReader::open(database.place(folder)).unwrap();
        assert_eq!(read_all(&mut beside).unwrap(), read_all(&mut expected.reader()).unwrap());
        assert_eq!(beside.verify().unwrap(), expected.reader().verify().unwrap());
        assert_eq!(beside.segment_starts(), expected.reader().segment_starts());
        assert_eq!(beside.sum_before(Offset(200)).unwrap(), expected.reader().sum_before(Offset(200)).unwrap());
        assert_eq!(beside.get(Offset(77)).unwrap(), expected.reader().get(Offset(77)).unwrap());
        assert!(beside.get(Offset(330)).unwrap().is_none());
    });
}

#[test]
fn erasing_and_pruning_in_a_database_give_the_digests_of_files() {
    each_server(|database, folder| {
        let files = Folder::new();
        let mut expected = filled(files.path(), 50, 330, 10);
        let mut log = open(database, folder);
        fill(&mut log, 330, 10);
        let erased: Vec<_> = [0, 49, 50, 123, 329].map(Offset).into();
        log.erase(&erased).unwrap();
        expected.erase(&erased).unwrap();
        let spared = [Offset(109)];
        let erase_served = |log: &Log| {
            let full = log.reader().full_segments().unwrap();
            log.reader().erase_served(&full[2], &spared).unwrap()
        };
        assert_eq!(erase_served(&log), erase_served(&expected));
        let digest = log.digest(log.end()).unwrap();
        assert_eq!(digest, expected.digest(expected.end()).unwrap());
        log.prune(Offset(160)).unwrap();
        assert_eq!((log.start(), log.digest(log.end()).unwrap()), (Offset(150), digest));
        assert!(matches!(log.reader().get(Offset(140)), Ok(None)));
        assert_eq!(log.find_event(&id(120)).unwrap(), None);
        drop(log);
        let mut log = open(database, folder);
        assert_eq!((log.start(), log.end(), log.digest(log.end()).unwrap()), (Offset(150), Offset(330), digest));
        fill(&mut log, 340, 10);
        log.reader().verify().unwrap();
    });
}

#[test]
fn a_log_moves_between_files_and_databases_with_its_digest() {
    let files = Folder::new();
    let log = filled(&files.join("shop"), 50, 330, 10);
    let digest = log.digest(log.end()).unwrap();
    each_server(|database, folder| {
        let (copy, place) =
            (folder.join("copy"), LogPlace::new(&folder.join("data"), &database.url().parse().unwrap()));
        backup(&files.join("shop"), &copy).unwrap();
        assert_eq!(restore_into(&copy, &place).unwrap().digest, digest);
        let mut log = Log::open(place.clone(), SETTINGS).unwrap();
        assert_eq!((log.start(), log.end(), log.digest(log.end()).unwrap()), (Offset(0), Offset(330), digest));
        fill(&mut log, 400, 10);
        let digest = log.digest(log.end()).unwrap();
        // While a server has it open.
        assert_eq!(backup(place.clone(), &folder.join("back")).unwrap().digest, digest);
        drop(log);
        let again = restore(&folder.join("back"), &folder.join("files")).unwrap();
        assert_eq!((again.start, again.end, again.digest), (Offset(0), Offset(400), digest));
        assert_eq!(Log::open(&folder.join("files"), SETTINGS).unwrap().digest(Offset(400)).unwrap(), digest);
        // What is there is not overwritten.
        let other = LogPlace::new(&folder.join("other"), &database.url().parse().unwrap());
        let error = restore_into(&copy, &other).unwrap_err().to_string();
        assert!(error.contains("there is a log already"), "{error}");
        assert!(!folder.join("other").exists());
    });
}

#[test]
fn a_second_server_on_one_log_is_refused() {
    each_server(|database, folder| {
        let mut log = open(database, folder);
        let other = Folder::new();
        let error = Log::open(database.place(&other), SETTINGS).err().unwrap().to_string();
        assert!(error.contains("another server has this log open") && !error.contains(":x@"), "{error}");
        fill(&mut log, 20, 10);
        drop(log);
        let log = open(database, &other);
        assert_eq!(log.end(), Offset(20));
    });
}

#[test]
fn a_server_that_was_replaced_while_it_did_not_notice_cannot_append() {
    each_server(|database, folder| {
        let mut replaced = open(database, folder);
        fill(&mut replaced, 20, 10);
        database.end_connections();
        let other = Folder::new();
        let mut log = open(database, &other);
        fill(&mut log, 30, 10);
        drop(log);
        let error = replaced.append(Timestamp(99), &bodies(20, 25)).unwrap_err().to_string();
        assert!(error.contains("taken over"), "{error}");
        let error = replaced.reopen().unwrap_err().to_string();
        assert!(error.contains("taken over"), "{error}");
        assert!(matches!(replaced.append(Timestamp(99), &bodies(20, 25)), Err(StoreError::Poisoned { .. })));
        assert_eq!(open(database, &other).end(), Offset(30));
    });
}

#[test]
fn connections_that_are_ended_amid_commits_lose_nothing_and_double_nothing() {
    each_server(|database, folder| {
        let mut log = open(database, folder);
        let is_done = Arc::new(AtomicBool::new(false));
        let n_ended = std::thread::scope(|scope| {
            let ended = scope.spawn(|| {
                let mut n = 0;
                while !is_done.load(Ordering::Relaxed) {
                    n += database.end_connections();
                    // Sometimes amid a commit, sometimes amid the opening that follows, and long enough for both to end.
                    std::thread::sleep(Duration::from_millis(3 + n as u64 * 37 % 150));
                }
                n
            });
            let mut reader = log.reader();
            for group in 0..300u64 {
                let range = (group * 10, group * 10 + 10);
                let mut attempts = 0;
                // A group that was reported as failed may be there, which opening the log again shows.
                while log.end().0 < range.1 {
                    let from = log.end().0;
                    if log.append(Timestamp(from as i64), &bodies(from, range.1)).is_err() {
                        while log.reopen().is_err() {
                            attempts += 1;
                            assert!(attempts < 1_000, "the log does not come back");
                        }
                    }
                }
                if group % 20 == 0 {
                    let _ = reader.read(Offset(range.0), 10, |_| {});
                }
            }
            is_done.store(true, Ordering::Relaxed);
            ended.join().unwrap()
        });
        assert!(n_ended > 5, "{n_ended} connections were ended");
        drop(log);
        let log = open(database, folder);
        let read: Vec<Body> = read_all(&mut log.reader()).unwrap().into_iter().map(|record| record.body).collect();
        assert_eq!(read, bodies(0, 3_000));
        log.reader().verify().unwrap();
    });
}

#[test]
fn a_database_that_lost_acknowledged_records_is_not_written_on() {
    each_server(|database, folder| {
        let mut log = open(database, folder);
        fill(&mut log, 40, 10);
        let prefix = &database.prefix;
        // As a replica has it that took over before it had everything.
        database.run(&format!("DELETE FROM {prefix}_records WHERE seq >= 30; UPDATE {prefix}_log SET until = 30"));
        database.end_connections();
        let error = log.append(Timestamp(99), &bodies(40, 45)).unwrap_err().to_string();
        assert!(error.contains("ends at 30, but 40 records were acknowledged"), "{error}");
        assert!(log.reopen().is_err());
    });
}

#[test]
fn tables_of_another_format_or_with_missing_records_are_refused_with_what_to_do() {
    each_server(|database, folder| {
        fill(&mut open(database, folder), 40, 10);
        let prefix = &database.prefix;
        let told = |sql: &str, words: &str| {
            database.run(sql);
            let error = Log::open(database.place(folder), SETTINGS).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        };
        told(&format!("UPDATE {prefix}_log SET format = 9"), "have format 9, but this build reads format 1");
        let error = LogReader::open(database.place(folder)).err().unwrap().to_string();
        assert!(error.contains("have format 9"), "{error}");
        told(&format!("UPDATE {prefix}_log SET format = 0"), "a restore into these tables did not end");
        database.run(&format!("UPDATE {prefix}_log SET format = 1"));
        told(&format!("DELETE FROM {prefix}_records WHERE seq >= 35"), "its last record is at 34");
    });
}

#[test]
fn a_folder_of_one_log_is_not_used_with_another() {
    each_server(|database, folder| {
        drop(open(database, folder));
        let other = Database::new(database.kind, &database.url);
        let error = Log::open(other.place(folder), SETTINGS).err().unwrap().to_string();
        assert!(error.contains("belongs to another log"), "{error}");
        let error = Log::open(folder.path(), SETTINGS).err().unwrap().to_string();
        assert!(error.contains("name it with --store"), "{error}");
    });
}

#[test]
fn a_user_without_rights_is_told_which_it_needs() {
    each_server(|database, folder| {
        let user = format!("{}_r", database.prefix);
        let (create, drop, server) = match database.kind {
            Kind::Postgres => (
                format!("CREATE ROLE {user} LOGIN PASSWORD 'x'; REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
                format!("DROP ROLE {user}"),
                database.url.rsplit_once('@').unwrap().1,
            ),
            Kind::MySql => (
                format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO '{user}'@'%'"),
                format!("DROP USER '{user}'@'%'"),
                database.url.rsplit_once('@').unwrap().1,
            ),
        };
        database.run(&create);
        let scheme = database.url.split("://").next().unwrap();
        let url = format!("{scheme}://{user}:x@{server}?prefix={}", database.prefix).parse().unwrap();
        let error = Log::open(LogPlace::new(folder.path(), &url), SETTINGS).err().unwrap().to_string();
        database.run(&drop);
        assert!(error.contains("the rights to create tables") && !error.contains(":x@"), "{error}");
    });
}

#[test]
fn a_database_that_is_away_is_said_to_be_unreachable() {
    let folder = Folder::new();
    for scheme in ["postgres", "mysql"] {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("{scheme}://shop:secret@127.0.0.1:{port}/shop").parse().unwrap();
        let error = Log::open(LogPlace::new(folder.path(), &url), SETTINGS).err().unwrap();
        let told = error.to_string();
        assert!(matches!(error, StoreError::Unreachable { .. }) && !told.contains("secret"), "{told}");
    }
}
