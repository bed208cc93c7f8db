//! Tables of PostgreSQL.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::harness::{
    Follower, accrue, command, event_ids, ingest, kills_change_nothing, n_events_for_kills, refusal, server, unique,
};
use super::proxy::Proxy;

/// How the columns of the test's orders become purchases.
const MAP: &str = "user=customer,item=sku,at=at,quantity=quantity,type='purchase'";

/// A schema of the test's own, removed at the end.
struct Schema {
    url: String,
    name: String,
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
}

impl Schema {
    fn new(name: &str) -> Option<Self> {
        let url = server("ACCRUE_TEST_POSTGRES")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(PgConnection::connect(&url)).unwrap();
        let mut schema = Self { url, name: unique(name), runtime, connection };
        schema.run(&format!("CREATE SCHEMA {0}; SET search_path = {0}", schema.name));
        Some(schema)
    }

    fn run(&mut self, sql: &str) {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(self.connection.execute(statement)).unwrap();
    }

    /// A table of orders with so many rows.
    fn orders(&mut self, n: usize) {
        self.run(
            "CREATE TABLE orders(id bigserial PRIMARY KEY, customer text, sku text, at timestamptz, quantity int)",
        );
        self.add_orders(n);
    }

    fn add_orders(&mut self, n: usize) {
        self.run(&format!(
            "INSERT INTO orders(customer, sku, at, quantity) SELECT 'u' || i % 97, 'sku-' || i * i % 61, \
             timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute', 1 + i % 3 FROM generate_series(1, {n}) AS i"
        ));
    }

    fn address(&self, options: &str) -> String {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{separator}{options}", self.url).replace("SCHEMA", &self.name)
    }

    fn orders_address(&self) -> String {
        self.address("table=SCHEMA.orders")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        self.run(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

#[test]
fn a_table_is_read_once_and_then_from_where_it_was_read_to() {
    let Some(mut schema) = Schema::new("once") else { return };
    schema.orders(4_500);
    let dir = tempfile::tempdir().unwrap();
    let from = schema.orders_address();
    let map = format!("{MAP},id=id");
    let arguments = ["--from", &from, "--map", &map];
    let summary = ingest(dir.path(), &arguments);
    assert_eq!((&summary["read"], &summary["accepted"]), (&4_500.into(), &4_500.into()), "{summary}");
    assert_eq!(ingest(dir.path(), &arguments)["read"], 0);
    schema.add_orders(10);
    let summary = ingest(dir.path(), &arguments);
    assert_eq!((&summary["read"], &summary["accepted"]), (&10.into(), &10.into()), "{summary}");
    let expected: Vec<String> = (1..=4_510).map(|id| id.to_string()).collect();
    assert_eq!(event_ids(dir.path()), expected, "in the order of the table");
}

#[test]
fn kills_lose_nothing_double_nothing_and_change_no_byte() {
    let Some(mut schema) = Schema::new("kills") else { return };
    let n = n_events_for_kills();
    schema.orders(n);
    // Without ids of their own: the place in the table is the id.
    let from = schema.address("table=SCHEMA.orders&settle=0");
    let mapping = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        mapping.path(),
        "drop_columns = ['id']\n[fields]\nuser = 'customer'\nitem = 'sku'\n[constants]\ntype = 'purchase'\n",
    )
    .unwrap();
    let mapping = mapping.path().to_str().unwrap();
    kills_change_nothing(&["--from", &from, "--mapping", mapping], n);
}

#[test]
fn a_transaction_that_ends_late_loses_no_row() {
    let Some(mut schema) = Schema::new("late") else { return };
    schema.orders(100);
    let mut late = schema.runtime.block_on(PgConnection::connect(&schema.url)).unwrap();
    let insert = |at: &str| {
        format!("INSERT INTO {}.orders(customer, sku, at, quantity) VALUES ('late', 'mug', '{at}', 1)", schema.name)
    };
    let (first, second) = (insert("2026-05-01"), insert("2026-05-02"));
    let run = |connection: &mut PgConnection, sql: &str| {
        let statement = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        schema.runtime.block_on(connection.execute(statement)).unwrap();
    };
    // 101 is written and not committed when 102 is committed.
    run(&mut late, &format!("BEGIN; {first}"));
    let mut other = schema.runtime.block_on(PgConnection::connect(&schema.url)).unwrap();
    run(&mut other, &second);
    let dir = tempfile::tempdir().unwrap();
    let from = schema.orders_address();
    let map = format!("{MAP},id=id");
    let follow = ["ingest", "--json", "--from", &from, "--map", &map, "--follow"];
    let mut follower = Follower::start(&mut command(dir.path(), &follow));
    follower.wait_for("a transaction of another session is writing");
    run(&mut late, "COMMIT");
    follower.wait_for("102 read");
    let summary = follower.stop();
    assert_eq!(summary["accepted"], 102, "{summary}");
    assert_eq!(event_ids(dir.path())[100..], ["101", "102"]);
}

#[test]
fn rows_with_one_time_are_not_divided_and_are_told() {
    let Some(mut schema) = Schema::new("equal") else { return };
    schema.run("CREATE TABLE orders(customer text, sku text, at timestamptz)");
    // Groups of 700 rows: 2,000 do not end between two groups.
    schema.run(
        "INSERT INTO orders SELECT 'u' || i, 'sku-' || i % 50, timestamptz '2026-01-01' + i / 700 * interval '1 day' \
         FROM generate_series(0, 6999) AS i",
    );
    let dir = tempfile::tempdir().unwrap();
    let from = schema.address("table=SCHEMA.orders&cursor=at&settle=0");
    let output =
        accrue(dir.path(), &["ingest", "--json", "--from", &from, "--map", "user=customer,item=sku,type='view'"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["accepted"], 7_000, "{errors}");
    assert!(errors.contains("several rows have at = 2026-01-01"), "{errors}");
}

#[test]
fn a_query_has_columns_of_every_type() {
    let Some(mut schema) = Schema::new("types") else { return };
    schema.run(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); \
         CREATE TABLE odd(n numeric(30, 10), at timestamptz, changed timestamp, day date, data jsonb, tags text[], \
         raw bytea, mood mood, key uuid PRIMARY KEY, nothing text, nan float8, span interval, flag boolean)",
    );
    schema.run(
        "INSERT INTO odd VALUES (12345678901234567890.0123456789, '2026-03-04 05:06:07.123456+02', \
         '2026-03-04 05:06:07', '2026-03-04', '{\"user\": {\"id\": \"ann\"}, \"list\": [1, 2]}', '{a,\"b c\"}', '\\xdeadbeef', \
         'glad', '00000000-0000-0000-0000-000000000001', NULL, 'NaN', '1 day 2 hours', true), \
         (NULL, 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, '00000000-0000-0000-0000-000000000002', NULL, NULL, NULL, NULL)",
    );
    let dir = tempfile::tempdir().unwrap();
    let query = "query=SELECT *, 'mug' AS item FROM SCHEMA.odd WHERE 'a&b' <> 'c'&cursor=key".replace("a&b", "a%26b");
    let from = schema.address(&query);
    let map = "user=data.user.id,at=at,type='view'";
    let summary = ingest(dir.path(), &["--from", &from, "--map", map]);
    assert_eq!((&summary["read"], &summary["accepted"]), (&2.into(), &1.into()), "{summary}");
    let refused = summary["quarantined"].as_object().unwrap();
    assert_eq!(refused.values().filter_map(serde_json::Value::as_u64).sum::<u64>(), 1, "{summary}");
    let output = accrue(dir.path(), &["export", "events"]);
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(event["at"], "2026-03-04T03:06:07.123Z");
    let properties = &event["properties"];
    assert_eq!(properties["raw"], "\\xdeadbeef", "{properties}");
    assert_eq!(properties["tags"], serde_json::json!(["a", "b c"]), "{properties}");
    assert_eq!((&properties["mood"], &properties["flag"]), (&"glad".into(), &true.into()), "{properties}");
    assert_eq!(ingest(dir.path(), &["--from", &from, "--map", map])["read"], 0);
}

#[test]
fn items_are_changed_and_removed_by_change_rows() {
    let Some(mut schema) = Schema::new("items") else { return };
    schema.run("CREATE TABLE changes(seq bigserial PRIMARY KEY, op text, id text, title text, price numeric(10, 2))");
    let row = |op: &str, id: &str, title: &str| {
        format!("INSERT INTO changes(op, id, title, price) VALUES ('{op}', '{id}', '{title}', 9.90)")
    };
    schema.run(&[row("c", "mug", "Mug"), row("c", "cup", "Cup"), row("u", "mug", "Red mug")].join(";"));
    let mapping = tempfile::NamedTempFile::new().unwrap();
    let rule = "[[rule]]\nwhen = { column = 'op', equals = 'd' }\ndelete = true\n";
    std::fs::write(mapping.path(), format!("kind = 'items'\ndrop_columns = ['seq', 'op']\n{rule}")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let from = schema.address("table=SCHEMA.changes&cursor=seq");
    let arguments = ["--from", &from, "--mapping", mapping.path().to_str().unwrap()];
    let summary = ingest(dir.path(), &arguments);
    assert_eq!(summary["accepted"], 3, "{summary}");
    schema.run(&[row("d", "cup", ""), row("d", "unknown", "")].join(";"));
    let summary = ingest(dir.path(), &arguments);
    assert_eq!((&summary["accepted"], &summary["duplicates"]), (&1.into(), &1.into()), "{summary}");
    let shown = |id: &str| {
        let output = accrue(dir.path(), &["inspect", "item", id, "--json"]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!((&shown("mug")["item"]["title"], &shown("mug")["item"]["price"]), (&"Red mug".into(), &9.9.into()));
    assert_eq!(shown("cup")["retired"], true);
}

#[test]
fn what_is_not_there_or_not_allowed_is_told_with_what_is_there() {
    let Some(mut schema) = Schema::new("refusals") else { return };
    schema.orders(3);
    let role = format!("{}_role", schema.name);
    schema.run(&format!("CREATE ROLE {role} LOGIN"));
    let dir = tempfile::tempdir().unwrap();
    let orders = format!("{}.orders", schema.name);
    let as_role = schema.orders_address().replace("postgres@", &format!("{role}@"));
    let cases = [
        (schema.address("table=SCHEMA.ordres"), vec!["does not exist", &orders]),
        (schema.address("table=SCHEMA.orders&cursor=updated_at"), vec!["no column \"updated_at\"", "id, customer"]),
        (schema.address("query=SELECT sku FROM SCHEMA.orders"), vec!["cursor=id", "has: sku"]),
        (schema.address("query=SELEC 1&cursor=id"), vec!["syntax error"]),
        (schema.address("query=SELECT '{}'::json AS id&cursor=id"), vec!["json"]),
        (schema.address("table=SCHEMA.orders&every=fast"), vec!["`every` is \"fast\""]),
        (as_role, vec!["permission denied"]),
    ];
    for (from, expected) in cases {
        let errors = refusal(dir.path(), &["--from", &from, "--map", MAP]);
        for text in expected {
            assert!(errors.contains(text), "{from}: {errors}");
        }
    }
    // Another cursor than the one that it was read by.
    ingest(dir.path(), &["--from", &schema.orders_address(), "--map", MAP]);
    let other = schema.address("table=SCHEMA.orders&cursor=at,id");
    let errors = refusal(dir.path(), &["--from", &other, "--map", MAP]);
    assert!(errors.contains("read by the cursor id"), "{errors}");
    schema.run(&format!("DROP ROLE {role}"));
}

#[test]
fn a_server_that_goes_away_is_told_and_read_on_when_it_is_back() {
    let Some(mut schema) = Schema::new("away") else { return };
    schema.orders(3_000);
    let rest = schema.url.split_once('@').unwrap().1;
    let server = rest.split_once('/').unwrap().0.to_owned();
    let proxy = Proxy::to(&server);
    let from = schema.orders_address().replace(&server, &format!("127.0.0.1:{}", proxy.port)) + "&timeout=2";
    proxy.close();
    let dir = tempfile::tempdir().unwrap();
    let map = format!("{MAP},id=id");
    let follow = ["ingest", "--json", "--from", &from, "--map", &map, "--follow"];
    let mut follower = Follower::start(&mut command(dir.path(), &follow));
    follower.wait_for("it is tried again in 2 s");
    proxy.open();
    follower.wait_for("3,000 read");
    proxy.close();
    follower.wait_for("it is tried again in 1 s");
    schema.add_orders(500);
    proxy.open();
    follower.wait_for("3,500 read");
    // A server that keeps the connection and says nothing counts as one that is gone.
    proxy.stall();
    schema.add_orders(500);
    follower.wait_for("no answer within 2 s");
    proxy.resume();
    follower.wait_for("4,000 read");
    let summary = follower.stop();
    assert_eq!((&summary["accepted"], &summary["duplicates"]), (&4_000.into(), &0.into()), "{summary}");
}

#[test]
fn a_server_follows_the_sources_of_its_settings_and_holds_its_folder() {
    let Some(mut schema) = Schema::new("serve") else { return };
    schema.orders(50);
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("accrue.toml");
    let from = schema.orders_address();
    std::fs::write(&settings, format!("[[sources]]\nfrom = \"{from}&every=0.1\"\nmap = \"{MAP},id=id\"\n")).unwrap();
    let data = dir.path().join("shop");
    let mut start = command(&data, &["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
    let server = crate::server::Server::start(start.arg("--config").arg(&settings));
    let wait_for = |n: u64| {
        for _ in 0..600 {
            let (_, quality) = server.ask("GET", "/v1/quality", "");
            // The settings, the events and a position or several.
            if quality["log_end"].as_u64().unwrap() > n + 1 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{n} rows did not come");
    };
    wait_for(50);
    schema.add_orders(7);
    wait_for(58);
    let errors = refusal(&data, &["--from", &from, "--map", MAP]);
    assert!(errors.contains("[[sources]]"), "{errors}");
    assert_eq!(server.end_well(), Some(0));
    assert_eq!(event_ids(&data).len(), 57);
    // What the server read, an ingest does not read again.
    let map = format!("{MAP},id=id");
    assert_eq!(ingest(&data, &["--from", &from, "--map", &map])["read"], 0);
}

/// How fast a backlog is read, beside the same query in a bare loop. `cargo test --release … -- --ignored --nocapture speed`
#[test]
#[ignore = "measures"]
fn speed_of_a_backlog_beside_a_bare_loop() {
    const N: usize = 200_000;
    let Some(mut schema) = Schema::new("speed") else { return };
    schema.orders(N);
    let dir = tempfile::tempdir().unwrap();
    let from = schema.orders_address();
    let started = std::time::Instant::now();
    let mut after = 0_i64;
    let mut n_read = 0;
    loop {
        let sql = format!(
            "SELECT id, customer, sku, at::text, quantity FROM {}.orders WHERE id > {after} ORDER BY id LIMIT 2000",
            schema.name
        );
        let statement = sqlx::raw_sql(AssertSqlSafe(sql));
        let rows = schema.runtime.block_on(schema.connection.fetch_all(statement)).unwrap();
        let Some(last) = rows.last() else { break };
        after = sqlx::Row::get::<i64, _>(last, 0);
        n_read += rows.len();
    }
    let bare = n_read as f64 / started.elapsed().as_secs_f64();
    let summary = ingest(dir.path(), &["--from", &from, "--map", &format!("{MAP},id=id")]);
    let ingested = N as f64 / summary["seconds"].as_f64().unwrap();
    println!("rows a second: {ingested:.0} into the log, {bare:.0} in a bare loop");
    assert_eq!((summary["accepted"].as_u64(), n_read), (Some(N as u64), N));
}
