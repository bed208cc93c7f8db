//! Tables of MySQL and MariaDB.

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::harness::{
    Follower, accrue, command, event_ids, ingest, kills_change_nothing, n_events_for_kills, refusal, server, taken,
    unique,
};

/// How the columns of the test's orders become purchases.
const MAP: &str = "user=customer,item=sku,at=at,quantity=quantity,type='purchase'";

/// A database of the test's own, removed at the end.
struct Database {
    url: String,
    name: String,
    runtime: tokio::runtime::Runtime,
    connection: MySqlConnection,
}

impl Database {
    fn new(name: &str) -> Option<Self> {
        let url = server("ACCRUE_TEST_MYSQL")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(MySqlConnection::connect(&url)).unwrap();
        let name = unique(name);
        let (server, _) = url.rsplit_once('/').unwrap();
        let mut database = Self { url: format!("{server}/{name}"), name, runtime, connection };
        database.run(&format!("CREATE DATABASE {0}; USE {0}", database.name));
        Some(database)
    }

    fn run(&mut self, sql: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(self.connection.execute(statement)).unwrap();
    }

    /// Runs statements on another connection, which this runtime has made: in another one nobody would see its answers.
    fn run_on(&self, connection: &mut MySqlConnection, sql: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(connection.execute(statement)).unwrap();
    }

    /// A table of orders with so many rows.
    fn orders(&mut self, n: usize) {
        self.run(
            "CREATE TABLE orders(id bigint AUTO_INCREMENT PRIMARY KEY, customer varchar(40), sku varchar(40), at datetime, \
             quantity int)",
        );
        self.add_orders(n);
    }

    fn add_orders(&mut self, n: usize) {
        for first in (0..n).step_by(1_000) {
            let row = |i: usize| {
                let day = 1 + i / 1_440 % 28;
                let (hour, minute) = (i / 60 % 24, i % 60);
                format!(
                    "('u{}', 'sku-{}', '2026-01-{day:02} {hour:02}:{minute:02}:00', {})",
                    i % 97,
                    i * i % 61,
                    1 + i % 3
                )
            };
            let rows: Vec<String> = (first..n.min(first + 1_000)).map(row).collect();
            self.run(&format!("INSERT INTO orders(customer, sku, at, quantity) VALUES {}", rows.join(",")));
        }
    }

    fn address(&self, options: &str) -> String {
        format!("{}?{options}", self.url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.run(&format!("DROP DATABASE {}", self.name));
    }
}

#[test]
fn a_table_is_read_once_and_then_from_where_it_was_read_to() {
    let Some(mut database) = Database::new("once") else { return };
    database.orders(4_500);
    let dir = tempfile::tempdir().unwrap();
    let (from, map) = (database.address("table=orders"), format!("{MAP},id=id"));
    let arguments = ["--from", &from, "--map", &map];
    let summary = ingest(dir.path(), &arguments);
    assert_eq!((&summary["read"], &summary["accepted"]), (&4_500.into(), &4_500.into()), "{summary}");
    assert_eq!(ingest(dir.path(), &arguments)["read"], 0);
    database.add_orders(10);
    assert_eq!(ingest(dir.path(), &arguments)["accepted"], 10);
    let expected: Vec<String> = (1..=4_510).map(|id| id.to_string()).collect();
    assert_eq!(event_ids(dir.path()), expected, "in the order of the table");
}

#[test]
fn kills_lose_nothing_double_nothing_and_change_no_byte() {
    let Some(mut database) = Database::new("kills") else { return };
    let n = n_events_for_kills();
    database.orders(n);
    let from = database.address("table=orders&cursor=at,id&settle=0");
    kills_change_nothing(&["--from", &from, "--map", &format!("{MAP},id=id")], n);
}

#[test]
fn a_transaction_that_ends_late_loses_no_row() {
    let Some(mut database) = Database::new("late") else { return };
    database.orders(100);
    let mut late = database.runtime.block_on(MySqlConnection::connect(&database.url)).unwrap();
    let insert =
        |at: &str| format!("INSERT INTO orders(customer, sku, at, quantity) VALUES ('late', 'mug', '{at}', 1)");
    // 101 is written and not committed when 102 is committed.
    database.run_on(&mut late, &format!("START TRANSACTION; {}", insert("2026-05-01")));
    database.run(&insert("2026-05-02"));
    let dir = tempfile::tempdir().unwrap();
    let (from, map) = (database.address("table=orders"), format!("{MAP},id=id"));
    let follow = ["ingest", "--json", "--from", &from, "--map", &map, "--follow"];
    let mut follower = Follower::start(&mut command(dir.path(), &follow));
    follower.wait_for("a transaction of another session is writing");
    database.run_on(&mut late, "COMMIT");
    follower.wait_for("102 read");
    assert_eq!(follower.stop()["accepted"], 102);
    assert_eq!(event_ids(dir.path())[100..], ["101", "102"]);
}

#[test]
fn a_query_has_columns_of_every_type() {
    let Some(mut database) = Database::new("types") else { return };
    database.run(
        "CREATE TABLE odd(id bigint unsigned PRIMARY KEY, n decimal(30, 10), at timestamp(6) NULL, changed datetime, \
         day date, data json, raw varbinary(8), bits bit(10), mood enum('glad', 'sad'), nothing text, flag boolean)",
    );
    database.run(
        "SET time_zone = '+00:00'; \
         INSERT INTO odd VALUES (18446744073709551614, 12345678901234567890.0123456789, '2026-03-04 03:06:07.123456', \
         '2026-03-04 05:06:07', '2026-03-04', '{\"user\": {\"id\": \"ann\"}, \"list\": [\"a\", \"b c\"]}', x'deadbeef', b'101', 'glad', \
         NULL, true), \
         (18446744073709551615, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    );
    let dir = tempfile::tempdir().unwrap();
    let from = database.address("query=SELECT *, 'mug' AS item FROM odd");
    let map = "user=data.user.id,at=at,id=id,type='view'";
    let summary = ingest(dir.path(), &["--from", &from, "--map", map]);
    assert_eq!((&summary["read"], &summary["accepted"]), (&2.into(), &1.into()), "{summary}");
    let output = accrue(dir.path(), &["export", "events"]);
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&event["at"], &event["id"]), (&"2026-03-04T03:06:07.123Z".into(), &"18446744073709551614".into()));
    let properties = &event["properties"];
    assert_eq!((&properties["raw"], &properties["mood"]), (&"\\xdeadbeef".into(), &"glad".into()), "{properties}");
    assert_eq!(ingest(dir.path(), &["--from", &from, "--map", map])["read"], 0);
}

#[test]
fn what_is_not_there_or_not_allowed_is_told_with_what_is_there() {
    let Some(mut database) = Database::new("refusals") else { return };
    database.orders(3);
    let dir = tempfile::tempdir().unwrap();
    let user = database.name.clone();
    database.run(&format!("CREATE USER {user}@localhost; GRANT SELECT ON mysql.user TO {user}@localhost"));
    let server = database.url.split_once('@').unwrap().1.to_owned();
    let as_user = format!("mysql://{user}@{server}?table=orders");
    let cases = [
        (database.address("table=ordres"), vec!["doesn't exist", "there are: orders"]),
        (database.address("table=orders&cursor=updated_at"), vec!["no column \"updated_at\"", "id, customer"]),
        (database.address("query=SELEC 1&cursor=id"), vec!["syntax"]),
        (as_user, vec!["denied"]),
    ];
    for (from, expected) in cases {
        let errors = refusal(dir.path(), &["--from", &from, "--map", MAP]);
        for text in expected {
            assert!(errors.contains(text), "{from}: {errors}");
        }
    }
    database.run(&format!("DROP USER {user}@localhost"));
}

#[test]
fn a_user_that_may_not_see_transactions_is_told() {
    let Some(mut database) = Database::new("blind") else { return };
    database.orders(3);
    let user = database.name.clone();
    database.run(&format!("CREATE USER {user}@localhost; GRANT SELECT ON {user}.* TO {user}@localhost"));
    let server = database.url.split_once('@').unwrap().1.to_owned();
    let dir = tempfile::tempdir().unwrap();
    let from = format!("mysql://{user}@{server}?table=orders");
    let output = accrue(dir.path(), &["ingest", "--json", "--from", &from, "--map", &format!("{MAP},id=id")]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let summary = taken(serde_json::from_slice(&output.stdout).unwrap());
    assert_eq!(summary["accepted"], 3, "{errors}");
    assert!(errors.contains("GRANT PROCESS"), "{errors}");
    database.run(&format!("DROP USER {user}@localhost"));
}
