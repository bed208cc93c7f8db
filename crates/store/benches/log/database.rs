//! The log in a database, beside a bare loop of the same client.

use std::future::Future;
use std::time::{Duration, Instant};

use accrue_event::Timestamp;
use accrue_store::{Log, LogPlace, LogSettings};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection};

use super::{bodies, median};

const GROUP: u64 = 1_000;
const RECEIVED: i64 = 1_760_000_000_000;

pub fn measure(n_groups: u64) {
    for (name, variable) in [("PostgreSQL", "ACCRUE_TEST_POSTGRES"), ("MySQL", "ACCRUE_TEST_MYSQL")] {
        match std::env::var(variable).ok().filter(|url| !url.is_empty()) {
            Some(url) => measure_one(name, &url, n_groups),
            None => println!("{variable} is not set: skipped"),
        }
    }
}

enum Bare {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

impl Bare {
    async fn run(&mut self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(drop).unwrap(),
            Self::MySql(connection) => connection.execute(sql).await.map(drop).unwrap(),
        }
    }

    async fn insert(&mut self, from: u64, blobs: &[Vec<u8>]) {
        let seqs: Vec<i64> = (from as i64..).take(blobs.len()).collect();
        match self {
            Self::Postgres(connection) => {
                let sql = "INSERT INTO accrue_bench_bare SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])";
                let query = sqlx::query(sql).bind(&seqs).bind(vec![RECEIVED; blobs.len()]).bind(blobs);
                query.execute(connection).await.map(drop).unwrap();
            }
            Self::MySql(connection) => {
                let values = vec!["(?, ?, ?)"; blobs.len()].join(", ");
                let sql = AssertSqlSafe(format!("INSERT INTO accrue_bench_bare VALUES {values}"));
                let mut query = sqlx::query(sql);
                for (seq, blob) in seqs.iter().zip(blobs) {
                    query = query.bind(seq).bind(RECEIVED).bind(blob);
                }
                query.execute(connection).await.map(drop).unwrap();
            }
        }
    }
}

fn wait<T>(runtime: &tokio::runtime::Runtime, future: impl Future<Output = T>) -> T {
    runtime.block_on(future)
}

fn measure_one(name: &str, url: &str, n_groups: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_postgres = url.starts_with("postgres");
    let (mut bare, blob) = match is_postgres {
        true => (Bare::Postgres(wait(&runtime, PgConnection::connect(url)).unwrap()), "BYTEA"),
        false => (Bare::MySql(wait(&runtime, MySqlConnection::connect(url)).unwrap()), "LONGBLOB"),
    };
    let tables = ["accrue_bench_bare", "b_log", "b_records", "b_segments", "b_filters", "b_ids"];
    let dropped: Vec<String> = tables.iter().map(|table| format!("DROP TABLE IF EXISTS {table}")).collect();
    wait(&runtime, bare.run(&dropped.join("; ")));
    let columns = format!("seq BIGINT NOT NULL PRIMARY KEY, received_at BIGINT NOT NULL, body {blob} NOT NULL");
    wait(&runtime, bare.run(&format!("CREATE TABLE accrue_bench_bare ({columns})")));
    let dir = std::env::temp_dir().join(format!("accrue-bench-database-{}", std::process::id()));
    let place = LogPlace::new(&dir, &format!("{url}?prefix=b").parse().unwrap());
    let mut log = Log::open(place, LogSettings::default()).unwrap();
    let (mut alone, mut logged) = (Vec::new(), Vec::new());
    for group in 0..n_groups {
        let records = bodies(group * GROUP, GROUP);
        let blobs: Vec<Vec<u8>> = records.iter().map(|body| postcard::to_stdvec(body).unwrap()).collect();
        let start = Instant::now();
        wait(&runtime, bare.insert(group * GROUP, &blobs));
        alone.push(start.elapsed());
        let start = Instant::now();
        log.append(Timestamp(RECEIVED), &records).unwrap();
        logged.push(start.elapsed());
    }
    let rate = |times: &[Duration]| GROUP as f64 * times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    let (bare_rate, rate) = (rate(&alone), rate(&logged));
    println!(
        "{name:<10} groups of {GROUP}, durable: the log {rate:>8.0} records/s (p50 {:.2?}), a bare loop {bare_rate:>8.0} (p50 {:.2?}): {:.2} x",
        median(logged),
        median(alone),
        rate / bare_rate
    );
    let start = Instant::now();
    let digest = log.digest(log.end()).unwrap();
    println!("{name:<10} digest {:>8.0} records/s   {digest:032x}", log.end().0 as f64 / start.elapsed().as_secs_f64());
    drop(log);
    wait(&runtime, bare.run(&dropped.join("; ")));
    std::fs::remove_dir_all(&dir).unwrap();
}
