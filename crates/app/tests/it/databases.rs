//! Shops whose log is in a real database, from outside: `ACCRUE_TEST_POSTGRES` and `ACCRUE_TEST_MYSQL` name the servers, and
//! `./check --services` starts them. A test whose server is not named says that it is skipped.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use accrue_kernel::Draws;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection};

use crate::server::{Server, purchases};
use crate::sources::harness::{accrue, digest, server, unique};
use crate::sources::proxy::Proxy;

const SEED: u64 = 20_261_130;

/// The tables of a test's log, dropped at its end.
struct Tables {
    url: String,
    prefix: String,
}

impl Tables {
    fn store(&self) -> String {
        format!("{}?prefix={}", self.url, self.prefix)
    }

    /// The same through another port.
    fn store_through(&self, proxy: &Proxy) -> String {
        let address = address_of(&self.url);
        self.store().replace(address, &format!("127.0.0.1:{}", proxy.port))
    }
}

fn address_of(url: &str) -> &str {
    let server = url.rsplit_once('@').map_or(url, |(_, server)| server);
    server.split('/').next().unwrap()
}

impl Drop for Tables {
    fn drop(&mut self) {
        let dropped: Vec<String> = ["log", "records", "segments", "filters", "ids"]
            .map(|table| format!("DROP TABLE IF EXISTS {}_{table}", self.prefix))
            .into();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sql = sqlx::raw_sql(AssertSqlSafe(dropped.join("; ")));
        runtime.block_on(async {
            match self.url.starts_with("postgres") {
                true => PgConnection::connect(&self.url).await.unwrap().execute(sql).await.map(drop).unwrap(),
                false => MySqlConnection::connect(&self.url).await.unwrap().execute(sql).await.map(drop).unwrap(),
            }
        });
    }
}

/// Runs a test with each server that there is.
fn each_server(name: &str, test: impl Fn(&Tables)) {
    for variable in ["ACCRUE_TEST_POSTGRES", "ACCRUE_TEST_MYSQL"] {
        if let Some(url) = server(variable) {
            test(&Tables { url, prefix: unique(name).to_lowercase() });
        }
    }
}

fn start(dir: &Path, store: &str) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--store", store, "--data"]).arg(dir);
    // Checkpoints and segments small enough that kills happen while they are written.
    command.env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000").env("ACCRUE_LOG_SEGMENT_RECORDS", "1000");
    Server::start(&mut command)
}

/// The whole digest of a shop whose log is in a database.
fn whole_digest(dir: &Path, store: &str) -> Value {
    let output = accrue(dir, &["inspect", "digest", "--json", "--store", store]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_shop_in_a_database_has_the_state_of_one_in_files_and_comes_back_into_an_empty_folder() {
    let base = tempfile::tempdir().unwrap();
    let events = base.path().join("events.json");
    std::fs::write(&events, purchases(SEED, 0..4_000)).unwrap();
    let events = events.to_str().unwrap();
    let files = base.path().join("files");
    let output = accrue(&files, &["ingest", events, "--quiet"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    each_server("whole", |tables| {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path().join("data"), tables.store());
        let output = accrue(&data, &["ingest", events, "--quiet", "--store", &store]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = whole_digest(&data, &store);
        assert_eq!(without_times(told.clone()), digest(&files));
        std::fs::remove_dir_all(&data).unwrap();
        assert_eq!(whole_digest(&data, &store), told, "from the log alone");
        let server = start(&data, &store);
        server.wait_until_learned();
        let (status, page) = server.ask("POST", "/v1/recommend", r#"{"user":"u3","n":5}"#);
        assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 5), "{page}");
        assert_eq!(server.end_well(), Some(0));
        // Forgetting erases there too, and leaves a state that the log alone gives.
        let output = accrue(&data, &["forget", "u3", "--quiet", "--store", &store]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let export = accrue(&data, &["export", "events", "--store", &store]);
        assert!(!String::from_utf8_lossy(&export.stdout).contains("\"u3\""));
        let replay = accrue(&data, &["replay", "--verify", "--quiet", "--store", &store]);
        assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
        // Without the address the folder is not begun anew.
        let refused = accrue(&data, &["inspect", "digest"]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("name it with --store"));
    });
}

/// What does not depend on times of arrival.
fn without_times(mut digest: Value) -> Value {
    for whole in ["log", "state"] {
        digest.as_object_mut().unwrap().remove(whole);
    }
    let parts = digest["parts"].as_object_mut().unwrap();
    for part in ["learned.all", "learned.guard", "learned.versions"] {
        parts.remove(part);
    }
    digest
}

#[test]
fn kills_of_a_server_whose_log_is_in_a_database_lose_and_double_nothing() {
    let kills = std::env::var("ACCRUE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3);
    each_server("kills", |tables| {
        let folder = tempfile::tempdir().unwrap();
        let (data, store) = (folder.path().join("data"), tables.store());
        let mut acknowledged = 0;
        for kill in 0..kills {
            let server = start(&data, &store);
            let mut draws = Draws::new(SEED, 2, kill);
            let deadline = Instant::now() + Duration::from_millis(200 + draws.below(600));
            let address = server.address.clone();
            // Another thread kills it, so that this happens anywhere in a request.
            let killer = std::thread::spawn(move || {
                while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                    std::thread::park_timeout(left);
                }
                drop(server);
            });
            loop {
                let n = 1 + draws.below(100);
                let body = purchases(SEED, acknowledged..acknowledged + n);
                let asked = std::panic::catch_unwind(|| crate::server::ask(&address, "POST", "/v1/events", &body));
                match asked {
                    Ok((200, _)) => acknowledged += n,
                    _ => break,
                }
            }
            killer.join().unwrap();
        }
        let output = accrue(&data, &["export", "events", "--store", &store]);
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            *times.entry(event["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert!(acknowledged > 0);
        for number in 0..acknowledged {
            assert_eq!(times.get(&format!("e{number}")), Some(&1), "seed {SEED}: event e{number}");
        }
        assert!(times.values().all(|n| *n == 1), "seed {SEED}: an event is there twice");
        println!("{kills} kills, {acknowledged} events acknowledged, {} in the log", times.len());
        let told = whole_digest(&data, &store);
        std::fs::remove_dir_all(&data).unwrap();
        assert_eq!(whole_digest(&data, &store), told, "seed {SEED}: from an empty folder");
    });
}

#[test]
fn while_the_database_is_away_events_are_answered_503_and_pages_go_on() {
    each_server("away", |tables| {
        let folder = tempfile::tempdir().unwrap();
        let proxy = Proxy::to(address_of(&tables.url));
        let server = start(&folder.path().join("data"), &tables.store_through(&proxy));
        let (status, answer) = server.ask("POST", "/v1/events", &purchases(SEED, 0..500));
        assert_eq!(status, 200, "{answer}");
        server.wait_until_learned();
        proxy.close();
        let (status, answer) = server.ask("POST", "/v1/events", &purchases(SEED, 500..600));
        assert_eq!((status, &answer["code"]), (503, &Value::from("writer_poisoned")), "{answer}");
        let (status, page) = server.ask("POST", "/v1/recommend", r#"{"user":"u3","n":5}"#);
        assert_eq!((status, page["items"].as_array().unwrap().len()), (200, 5), "{page}");
        proxy.open();
        let deadline = Instant::now() + Duration::from_secs(60);
        while server.ask("POST", "/v1/events", &purchases(SEED, 500..600)).0 != 200 {
            assert!(Instant::now() < deadline, "the server does not take events again");
            std::thread::sleep(Duration::from_millis(200));
        }
        let (_, answer) = server.ask("POST", "/v1/events", &purchases(SEED, 0..600));
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&Value::from(0), &Value::from(600)), "{answer}");
    });
}
