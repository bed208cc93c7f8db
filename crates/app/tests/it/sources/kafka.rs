//! Topics of Kafka.

use std::path::Path;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::harness::{
    Follower, accrue, command, event_ids, ingest, kills_change_nothing, n_events_for_kills, refusal, server, unique,
};

/// A topic of the test's own, removed at the end.
struct Topic {
    servers: String,
    name: String,
    runtime: tokio::runtime::Runtime,
    admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer,
}

impl Topic {
    fn new(name: &str, n_partitions: i32) -> Option<Self> {
        let servers = server("ACCRUE_TEST_KAFKA")?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &servers);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (admin, producer) = (config.create().unwrap(), config.create().unwrap());
        let topic = Self { servers, name: unique(name), runtime, admin, producer };
        topic.create(n_partitions);
        Some(topic)
    }

    fn create(&self, n_partitions: i32) {
        let topic = NewTopic::new(&self.name, n_partitions, TopicReplication::Fixed(1));
        let made = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new())).unwrap();
        made.into_iter().for_each(|made| drop(made.unwrap()));
    }

    fn remove(&self) {
        drop(self.runtime.block_on(self.admin.delete_topics(&[&self.name], &AdminOptions::new())));
    }

    /// Sends a record to a partition, with its time in seconds.
    fn send(&self, partition: i32, at_s: i64, key: Option<&str>, content: Option<&str>) {
        let at_ms = 1_760_000_000_000 + at_s * 1_000;
        let mut record: BaseRecord<'_, str, str> = BaseRecord::to(&self.name).partition(partition).timestamp(at_ms);
        record.key = key;
        record.payload = content;
        while let Err((_, again)) = self.producer.send(record) {
            record = again;
            self.producer.poll(Duration::from_millis(10));
        }
    }

    fn flush(&self) {
        self.producer.flush(Duration::from_secs(30)).unwrap();
    }

    /// Purchases over all partitions, in the order of their numbers and times.
    fn purchases(&self, n_partitions: i32, numbers: std::ops::Range<i64>) {
        for n in numbers {
            let content = format!(r#"{{"type":"purchase","user":"u{}","item":"sku-{}"}}"#, n % 97, n * n % 61);
            let partition = (n * 7 % i64::from(n_partitions)) as i32;
            self.send(partition, n, None, Some(&content));
        }
        self.flush();
    }

    fn address(&self) -> String {
        format!("kafka://{}/{}", self.servers, self.name)
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The times of all events in the log, in its order, in seconds.
fn times(dir: &Path) -> Vec<i64> {
    let output = accrue(dir, &["export", "events"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let at = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["at"].as_str().unwrap().to_owned();
    let seconds = |at: String| accrue_event::Timestamp::parse(&at).unwrap().0 / 1_000 - 1_760_000_000;
    text.lines().map(|line| seconds(at(line))).collect()
}

#[test]
fn a_topic_is_read_in_the_order_of_time_and_then_from_where_it_was_read_to() {
    let Some(topic) = Topic::new("once", 4) else { return };
    topic.purchases(4, 0..9_000);
    let dir = tempfile::tempdir().unwrap();
    let from = topic.address();
    let summary = ingest(dir.path(), &["--from", &from]);
    assert_eq!((&summary["read"], &summary["accepted"]), (&9_000.into(), &9_000.into()), "{summary}");
    assert_eq!(times(dir.path()), (0..9_000).collect::<Vec<_>>(), "the time of a message is that of its event");
    assert_eq!(ingest(dir.path(), &["--from", &from])["read"], 0);
    topic.purchases(4, 9_000..9_010);
    assert_eq!(ingest(dir.path(), &["--from", &from])["accepted"], 10);
}

#[test]
fn kills_lose_nothing_double_nothing_and_change_no_byte() {
    let Some(topic) = Topic::new("kills", 3) else { return };
    let n = n_events_for_kills();
    topic.purchases(3, 0..n as i64);
    kills_change_nothing(&["--from", &topic.address()], n);
}

#[test]
fn what_comes_while_it_is_followed_is_read_and_partitions_that_are_added_too() {
    let Some(topic) = Topic::new("follow", 2) else { return };
    topic.purchases(2, 0..100);
    let dir = tempfile::tempdir().unwrap();
    let mut follower =
        Follower::start(&mut command(dir.path(), &["ingest", "--json", "--follow", "--from", &topic.address()]));
    follower.wait_for("reading begins");
    std::thread::sleep(Duration::from_secs(2));
    topic.purchases(2, 100..200);
    let more = NewPartitions::new(&topic.name, 3);
    topic.runtime.block_on(topic.admin.create_partitions([&more], &AdminOptions::new())).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    topic.purchases(3, 200..300);
    follower.wait_for("more partitions");
    follower.wait_for("300 read");
    assert_eq!(follower.stop()["accepted"], 300);
}

#[test]
fn what_is_no_json_goes_into_quarantine_once_with_its_place() {
    let Some(topic) = Topic::new("bad", 1) else { return };
    topic.purchases(1, 0..3);
    for content in ["no json", "no json", "[1, 2]", "", "\u{0}\u{1}"] {
        topic.send(0, 5, None, Some(content));
    }
    topic.send(0, 6, Some("key"), None);
    topic.flush();
    let dir = tempfile::tempdir().unwrap();
    let summary = ingest(dir.path(), &["--from", &topic.address()]);
    assert_eq!((&summary["accepted"], &summary["quarantined"]["malformed"]), (&3.into(), &5.into()), "{summary}");
    assert_eq!(summary["skipped"], 1, "a record without content: {summary}");
    let listed = accrue(dir.path(), &["quarantine", "list", "--json"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("partition 0, offset 3: not a JSON object"), "{listed}");
}

#[test]
fn a_record_without_content_removes_the_item_of_its_key() {
    let Some(topic) = Topic::new("items", 1) else { return };
    topic.send(0, 1, Some("mug"), Some(r#"{"id":"mug","title":"Mug"}"#));
    topic.send(0, 2, Some("cup"), Some(r#"{"id":"cup","title":"Cup"}"#));
    topic.send(0, 3, Some("mug"), None);
    topic.flush();
    let dir = tempfile::tempdir().unwrap();
    let summary = ingest(dir.path(), &["--from", &topic.address(), "--items"]);
    assert_eq!(summary["accepted"], 3, "{summary}");
    let output = accrue(dir.path(), &["inspect", "item", "mug", "--json"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""retired":true"#));
}

#[test]
fn records_that_retention_removed_are_told_and_not_passed_over() {
    let Some(topic) = Topic::new("gone", 1) else { return };
    topic.purchases(1, 0..100);
    let dir = tempfile::tempdir().unwrap();
    let from = topic.address();
    ingest(dir.path(), &["--from", &from]);
    topic.purchases(1, 100..200);
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&topic.name, 0, rdkafka::Offset::Offset(150)).unwrap();
    topic.runtime.block_on(topic.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    let errors = refusal(dir.path(), &["--from", &from]);
    assert!(errors.contains("the records 100 to 149 are gone") && errors.contains("--accept-loss"), "{errors}");
    let summary = ingest(dir.path(), &["--from", &from, "--accept-loss"]);
    assert_eq!(summary["accepted"], 50, "{summary}");
    assert_eq!(ingest(dir.path(), &["--from", &from])["read"], 0);
}

#[test]
fn a_topic_that_was_made_again_is_refused_and_can_be_read_under_another_name() {
    let Some(topic) = Topic::new("again", 3) else { return };
    topic.purchases(3, 0..300);
    let dir = tempfile::tempdir().unwrap();
    let from = topic.address();
    ingest(dir.path(), &["--from", &from]);
    topic.remove();
    std::thread::sleep(Duration::from_secs(2));
    topic.create(2);
    topic.purchases(2, 0..10);
    let errors = refusal(dir.path(), &["--from", &from]);
    assert!(errors.contains("it was made again") && errors.contains("--name"), "{errors}");
    let summary = ingest(dir.path(), &["--from", &from, "--name", "clicks-2"]);
    assert_eq!(summary["accepted"], 10, "{summary}");
    let missing = refusal(dir.path(), &["--from", &format!("{from}-x")]);
    assert!(missing.contains("has no topic") && missing.contains(&topic.name), "{missing}");
}

#[test]
fn two_shops_on_one_topic_are_told_apart_by_a_rule() {
    let Some(topic) = Topic::new("shops", 1) else { return };
    for n in 0..40 {
        let shop = if n % 4 == 0 { "north" } else { "south" };
        let content = format!(r#"{{"shop":"{shop}","id":"e{n}","type":"view","user":"u{n}","item":"mug"}}"#);
        topic.send(0, n, None, Some(&content));
    }
    topic.flush();
    let mapping = tempfile::NamedTempFile::new().unwrap();
    let rule = "[[rule]]\nwhen = { column = 'shop', not_matches = '^north$' }\nskip = true\n";
    std::fs::write(mapping.path(), rule).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--from", &topic.address(), "--mapping", mapping.path().to_str().unwrap()];
    let summary = ingest(dir.path(), &arguments);
    assert_eq!((&summary["accepted"], &summary["skipped"]), (&10.into(), &30.into()), "{summary}");
    assert_eq!(event_ids(dir.path())[..2], ["e0", "e4"]);
    assert_eq!(ingest(dir.path(), &arguments)["read"], 0);
}

/// How fast a backlog is read, beside a bare loop. `cargo test --release … -- --ignored --nocapture speed`
#[test]
#[ignore = "measures"]
fn speed_of_a_backlog_beside_a_bare_loop() {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::{Message as _, Offset, TopicPartitionList};

    const N: i64 = 200_000;
    let Some(topic) = Topic::new("speed", 4) else { return };
    topic.purchases(4, 0..N);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &topic.servers).set("group.id", "accrue");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    (0..4).for_each(|number| list.add_partition_offset(&topic.name, number, Offset::Beginning).unwrap());
    consumer.assign(&list).unwrap();
    let started = std::time::Instant::now();
    let (mut n_read, mut n_bytes) = (0, 0);
    while n_read < N {
        if let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
            n_read += 1;
            n_bytes += message.payload().map_or(0, <[u8]>::len);
        }
    }
    let bare = N as f64 / started.elapsed().as_secs_f64();
    let dir = tempfile::tempdir().unwrap();
    let summary = ingest(dir.path(), &["--from", &topic.address()]);
    let ingested = N as f64 / summary["seconds"].as_f64().unwrap();
    println!("records of {} bytes a second: {ingested:.0} into the log, {bare:.0} in a bare loop", n_bytes as i64 / N);
    assert_eq!(summary["accepted"], N);
}
