//! Retention: what it removes changes no state, and what needs what was removed is refused with the reason.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use accrue_engine::{Config, Engine, EngineError, Incoming, compact, digest, forget, replay, traces};
use accrue_event::{RawEvent, UserId};
use accrue_train::TrainError;

/// Purchases of 20 people among 30 items; from number 800 on another 20 people come, and from number 1,200 on another 20.
fn events(numbers: std::ops::Range<u64>) -> Vec<Incoming<RawEvent>> {
    let event = |number: u64| {
        let of = 20 * (u64::from(number >= 800) + u64::from(number >= 1_200));
        let (user, item, at) = (of + number * 7 % 20, number * number % 30, 1_760_000_000_000 + number * 60_000);
        let text = format!(r#"{{"id":"e{number}","type":"purchase","user":"u{user}","item":"i{item}","at":{at}}}"#);
        Incoming::Record(serde_json::from_str(&text).unwrap())
    };
    numbers.map(event).collect()
}

fn config(keep: &str) -> Config {
    let mut config = Config::default();
    config.log.segment_records = 300;
    config.store.keep = keep.parse().unwrap();
    config.serve.record = toml::from_str::<Config>("serve.record = false").unwrap().serve.record;
    config
}

/// A folder with 1,600 events in segments of 300 records.
fn shop(dir: &Path, config: &Config) {
    let engine = Engine::open(dir, config).unwrap();
    for start in (0..1_600).step_by(100) {
        engine.ingest(events(start..start + 100)).unwrap();
        engine.wait_until_learned();
    }
    engine.close().unwrap();
}

fn people(user: &str) -> BTreeSet<UserId> {
    BTreeSet::from([UserId::from(user)])
}

#[test]
fn a_compacted_folder_has_the_same_states_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = config("forever");
    shop(dir.path(), &config);
    let before = digest(dir.path(), &config, None).unwrap();
    let nothing = compact(dir.path(), &config, false).unwrap();
    assert_eq!((nothing.records, nothing.log_start), (0, 0));

    let short = self::config("1s");
    std::thread::sleep(Duration::from_millis(1_100));
    let told = compact(dir.path(), &short, true).unwrap();
    assert!(told.dry_run && told.records >= 1_200 && told.users >= 40 && told.size_bytes > 0, "{told:?}");
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true), "a dry run changes nothing");

    let done = compact(dir.path(), &short, false).unwrap();
    assert_eq!((done.records, done.users, done.log_start), (told.records, told.users, told.log_start));
    assert_eq!(digest(dir.path(), &config, None).unwrap(), before);
    let refused = replay(dir.path(), &config, None, true).unwrap_err();
    assert!(refused.to_string().contains("cannot be replayed from its beginning"), "{refused}");

    let engine = Engine::open(dir.path(), &config).unwrap();
    let again = engine.ingest(events(1_590..1_700)).unwrap();
    assert_eq!((again.accepted, again.duplicates), (100, 10), "what is left is known again");
    engine.wait_until_learned();
    assert!(!engine.trending(&Default::default()).unwrap().items.is_empty());
    engine.close().unwrap();
}

#[test]
fn a_person_is_forgotten_if_all_their_records_are_left_and_refused_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let (config, short) = (config("forever"), self::config("2s"));
    let engine = Engine::open(dir.path(), &short).unwrap();
    engine.ingest(events(0..800)).unwrap();
    engine.wait_until_learned();
    // Records of the first 20 people become too old, those of the others do not.
    std::thread::sleep(Duration::from_millis(2_100));
    for start in (800..1_600).step_by(50) {
        engine.ingest(events(start..start + 50)).unwrap();
        engine.wait_until_learned();
    }
    engine.close().unwrap();
    let whole = tempfile::tempdir().unwrap();
    copy(dir.path(), whole.path());
    let done = compact(dir.path(), &short, false).unwrap();
    assert!(done.records > 700 && done.records <= 900, "{done:?}");
    let before = digest(dir.path(), &config, None).unwrap();

    for refused in [
        traces(dir.path(), &config, &people("u3")).map(|_| ()),
        forget(dir.path(), &config, &people("u3"), |_, _| {}).map(|_| ()),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, EngineError::Train(TrainError::Pruned { .. })), "{refused}");
    }
    assert_eq!(digest(dir.path(), &config, None).unwrap(), before, "what was refused changed nothing");

    let forgotten = forget(dir.path(), &config, &people("u53"), |_, _| {}).unwrap();
    assert!(forgotten.records > 10 && forgotten.replayed < 800, "{forgotten:?}");
    let right = forget(whole.path(), &config, &people("u53"), |_, _| {}).unwrap();
    assert_eq!(forgotten.state, right.state, "as in a log that has everything");
}

#[test]
fn a_server_removes_old_records_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let config = config("1s");
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    let mut start = 0;
    for _ in 0..60 {
        engine.ingest(events(start..start + 100)).unwrap();
        engine.wait_until_learned();
        start += 100;
        std::thread::sleep(Duration::from_millis(50));
    }
    engine.close().unwrap();
    let log = accrue_store::LogReader::open(dir.path()).unwrap();
    assert!(log.start().0 > 300, "the log begins at {}", log.start());
    let before = digest(dir.path(), &config, None).unwrap();
    let engine = Engine::open(dir.path(), &config).unwrap();
    assert_eq!(engine.status().accepted, 6_000);
    engine.close().unwrap();
    assert_eq!(digest(dir.path(), &config, None).unwrap().parts, before.parts);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}
