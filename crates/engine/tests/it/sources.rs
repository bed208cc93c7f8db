//! What comes of a source: records and position in one commit, changes in their order.

use accrue_engine::{Change, Config, Engine, Ingested};
use accrue_event::{ItemId, RawItem, RawUser, RawValue, UserId};
use accrue_store::{Body, LogReader, Offset, SourcePosition};

fn item(json: &str) -> Change {
    Change::Item(serde_json::from_str::<RawItem>(json).unwrap())
}

fn user(json: &str) -> Change {
    Change::User(serde_json::from_str::<RawUser>(json).unwrap())
}

fn event(id: &str) -> Change {
    let json = format!(r#"{{"id":"{id}","type":"purchase","user":"ann","item":"mug","at":1760000000000}}"#);
    Change::Event(serde_json::from_str(&json).unwrap())
}

fn position(text: &str) -> Option<SourcePosition> {
    Some(SourcePosition { source: "orders".into(), position: text.into() })
}

fn counts(ingested: &Ingested) -> (u64, u64, usize) {
    (ingested.accepted, ingested.duplicates, ingested.quarantined.len())
}

#[test]
fn records_and_position_are_one_commit_and_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    assert_eq!(engine.source_position("orders"), None);
    let taken = engine.take_changes(vec![event("1"), event("2")], position("2")).unwrap();
    assert_eq!(counts(&taken), (2, 0, 0));
    // The same records with the same position leave nothing but the count of duplicates.
    let before = engine.status().log_end;
    let again = engine.take_changes(vec![event("1"), event("2")], position("2")).unwrap();
    assert_eq!((counts(&again), engine.status().log_end), ((0, 2, 0), before + 1));
    // A position alone is a commit.
    engine.take_changes(Vec::new(), position("3")).unwrap();
    engine.take_changes(Vec::new(), position("3")).unwrap();
    assert_eq!(engine.status().log_end, before + 2);
    engine.close().unwrap();
    let mut log = LogReader::open(dir.path()).unwrap();
    let mut kinds = Vec::new();
    log.read(Offset(0), 100, |record| {
        kinds.push(match record.body {
            Body::Event(checked) => checked.event.id.to_string(),
            Body::SourceRead(read) => format!("read {}", read.position),
            Body::Duplicates { same, .. } => format!("{same} known"),
            _ => "other".into(),
        });
    })
    .unwrap();
    assert_eq!(kinds, ["other", "1", "2", "read 2", "2 known", "read 3"]);
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    assert_eq!(engine.source_position("orders").as_deref(), Some("3"));
    engine.close().unwrap();
}

#[test]
fn records_that_are_refused_again_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let refused = || {
        let event = r#"{"id":"1","type":"purchase","user":"ann","at":1760000000000}"#;
        let item = r#"{"id":"mug","title":"Mug","price":"none at all"}"#;
        vec![Change::Event(serde_json::from_str(event).unwrap()), self::item(item)]
    };
    let taken = engine.take_changes(refused(), None).unwrap();
    assert_eq!(counts(&taken), (0, 0, 2), "{taken:?}");
    let again = engine.take_changes(refused(), None).unwrap();
    assert_eq!((counts(&again), again.refused_again.len()), ((0, 2, 0), 2), "{again:?}");
    engine.close().unwrap();
}

#[test]
fn changes_of_one_item_in_a_batch_are_taken_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let mug = || ItemId::from("mug");
    let red = r#"{"id":"mug","title":"Red mug","price":9}"#;
    let blue = r#"{"id":"mug","title":"Blue mug","price":9}"#;
    engine.take_changes(vec![item(red)], None).unwrap();
    // Back to what the facts have: both are changes.
    let taken = engine.take_changes(vec![item(blue), item(red), item(red)], None).unwrap();
    assert_eq!(counts(&taken), (2, 1, 0));
    assert_eq!(engine.item(&mug()).unwrap().title.as_deref(), Some("Red mug"));
    let removed = || Change::ItemRemoved(RawValue::text("mug"));
    let taken = engine.take_changes(vec![removed(), removed(), item(blue)], None).unwrap();
    assert_eq!(counts(&taken), (2, 1, 0));
    assert_eq!(engine.item(&mug()).unwrap().title.as_deref(), Some("Blue mug"));
    let patch = |json: &str| Change::Patch(serde_json::from_str(json).unwrap());
    let taken = engine
        .take_changes(vec![patch(r#"{"id":"mug","price":7}"#), removed(), patch(r#"{"id":"mug","price":5}"#)], None)
        .unwrap();
    assert_eq!(counts(&taken), (2, 0, 1), "an item that was removed is not patched");
    assert_eq!(engine.item(&mug()), None);
    engine.close().unwrap();
}

#[test]
fn users_are_described_and_removed_and_faults_are_kept_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let changes = vec![
        user(r#"{"id":"ann","city":"Bern"}"#),
        Change::ItemRemoved(RawValue::Null),
        user(r#"{"city":"Bonn"}"#),
        Change::UserRemoved(RawValue::text("bob")),
        Change::ItemRemoved(RawValue::text("unknown")),
    ];
    let taken = engine.take_changes(changes, None).unwrap();
    assert_eq!(counts(&taken), (1, 2, 2));
    let refused: Vec<(usize, &str)> =
        taken.quarantined.iter().map(|refused| (refused.index, refused.reason.as_str())).collect();
    assert_eq!(refused, [(1, "malformed"), (2, "user_no_id")]);
    assert!(!engine.user(&UserId::from("ann")).unwrap().attributes.is_empty());
    let taken = engine.take_changes(vec![Change::UserRemoved(RawValue::text("ann"))], None).unwrap();
    assert_eq!(counts(&taken), (1, 0, 0));
    assert!(engine.user(&UserId::from("ann")).unwrap().attributes.is_empty());
    engine.close().unwrap();
}
