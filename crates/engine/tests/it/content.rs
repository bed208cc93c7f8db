//! Vectors of items: a server encodes what is posted, the log keeps it, and nothing else needs the encoder.

use accrue_engine::{Config, ContentState, Engine, Incoming, replay};
use accrue_event::{RawEvent, RawItem};
use accrue_store::{Body, LogReader, Offset};

const TITLES: [&str; 6] = ["red mug", "blue mug", "white mug", "desk lamp", "floor lamp", "wall lamp"];

fn config(encoder: &str) -> Config {
    let mut config = Config::default();
    config.content.encoder = encoder.into();
    config
}

fn item(id: &str, title: &str) -> RawItem {
    serde_json::from_value(serde_json::json!({"id": id, "title": title})).unwrap()
}

fn purchases(user: &str, items: &[usize]) -> Vec<Incoming<RawEvent>> {
    let event = |(place, item): (usize, &usize)| {
        let at = 1_760_000_000_000_u64 + place as u64 * 60_000;
        let json = serde_json::json!({"type": "purchase", "user": user, "item": format!("i{item}"), "at": at});
        Incoming::Record(serde_json::from_value(json).unwrap())
    };
    items.iter().enumerate().map(event).collect()
}

/// Waits until `done`; a minute is enough on any machine.
fn wait_until(engine: &Engine, done: impl Fn(&Engine) -> bool) {
    for _ in 0..6_000 {
        if done(engine) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{:?}", engine.status().content);
}

/// The items and spaces of the vectors in a log, in order.
fn vectors(dir: &std::path::Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut log = LogReader::open(dir).unwrap();
    log.read(Offset(0), usize::MAX, |record| {
        if let Body::Encoded(vector) = record.body {
            found.push((vector.item.to_string(), vector.space));
        }
    })
    .unwrap();
    found
}

fn filled(dir: &std::path::Path, config: &Config) -> Engine {
    let engine = Engine::open_to_serve(dir, config).unwrap();
    let items = TITLES.iter().enumerate().map(|(number, title)| item(&format!("i{number}"), title)).collect();
    engine.put_items_blocking(items, false).unwrap();
    wait_until(&engine, |engine| engine.status().content.encoded == 6);
    engine
}

#[test]
fn posted_items_get_vectors_and_a_replay_needs_no_encoder() {
    let dir = tempfile::tempdir().unwrap();
    let config = config("hashed");
    let engine = filled(dir.path(), &config);
    engine.ingest(purchases("ann", &[0, 1])).unwrap();
    engine.put_items_blocking(vec![item("i0", "red mug"), item("i5", "green mug")], false).unwrap();
    engine.put_items_blocking(vec![serde_json::from_str(r#"{"id": "bare", "price": 3}"#).unwrap()], false).unwrap();
    wait_until(&engine, |_| vectors(dir.path()).len() == 7);
    engine.wait_until_learned();
    let status = engine.status().content;
    assert_eq!((status.state, status.encoded, status.last_error), (ContentState::Current, 6, None));
    engine.close().unwrap();
    let encoded: Vec<String> = vectors(dir.path()).into_iter().map(|(item, _)| item).collect();
    assert_eq!(encoded[6], "i5", "what changed is encoded again, what did not is not: {encoded:?}");
    assert_eq!(replay(dir.path(), &Config::default(), None, true).unwrap().equal, Some(true));
    // Nothing is encoded twice after a start, and a program that does not serve encodes nothing.
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    wait_until(&engine, |engine| engine.status().content.state == ContentState::Current);
    engine.close().unwrap();
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.put_items_blocking(vec![item("late", "late mug")], false).unwrap();
    assert_eq!(engine.status().content.state, ContentState::Off);
    engine.close().unwrap();
    assert_eq!(vectors(dir.path()).len(), 7);
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    wait_until(&engine, |_| vectors(dir.path()).len() == 8);
    engine.close().unwrap();
}

#[test]
fn without_its_encoder_a_folder_opens_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), &config("hashed")).close().unwrap();
    let engine = Engine::open_to_serve(dir.path(), &config("/no/such/encoder")).unwrap();
    wait_until(&engine, |engine| engine.status().content.state == ContentState::Failed);
    let error = engine.status().content.last_error.unwrap();
    assert!(error.contains("/no/such/encoder/config.json"), "{error}");
    engine.put_items_blocking(vec![item("new", "new mug")], false).unwrap();
    engine.ingest(purchases("ann", &[0, 3])).unwrap();
    engine.wait_until_learned();
    engine.close().unwrap();
    let engine = Engine::open_to_serve(dir.path(), &Config::default()).unwrap();
    assert_eq!(engine.status().content.state, ContentState::Off);
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &Config::default(), None, true).unwrap().equal, Some(true));
    assert_eq!(vectors(dir.path()).len(), 6);
}
