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

/// A picture with dark and bright fields.
fn write_picture(path: &std::path::Path, is_dark: impl Fn(u32, u32) -> bool) {
    image::RgbImage::from_fn(40, 40, |x, y| image::Rgb(if is_dark(x, y) { [20; 3] } else { [230; 3] }))
        .save(path)
        .unwrap();
}

/// The vectors in a log by item, the last of each.
fn latest(dir: &std::path::Path) -> std::collections::BTreeMap<String, Vec<f32>> {
    let mut found = std::collections::BTreeMap::new();
    let mut log = LogReader::open(dir).unwrap();
    log.read(Offset(0), usize::MAX, |record| {
        if let Body::Encoded(vector) = record.body {
            let numbers = vector.codes.iter().map(|&code| f32::from(code) * vector.scale).collect();
            found.insert(vector.item.to_string(), numbers);
        }
    })
    .unwrap();
    found
}

#[test]
fn pictures_are_part_of_the_vectors_and_a_replay_needs_none() {
    let (dir, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| pictures.path().join("shop").join(name);
    std::fs::create_dir(pictures.path().join("shop")).unwrap();
    write_picture(&path("left.png"), |x, _| x < 20);
    write_picture(&path("left2.png"), |x, _| x < 18);
    write_picture(&path("top.png"), |_, y| y < 20);
    write_picture(&pictures.path().join("secret.png"), |_, y| y < 20);
    std::fs::write(path("bad.png"), "this is no picture").unwrap();
    let mut config = config("hashed");
    config.content.image_encoder = "pixels".into();
    config.content.images = pictures.path().join("shop");
    config.validate().unwrap();
    let with_picture = |id: &str, title: &str, image: &str| -> RawItem {
        serde_json::from_value(serde_json::json!({"id": id, "title": title, "image": image})).unwrap()
    };
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    let items = vec![
        with_picture("a", "red mug", "left.png"),
        with_picture("b", "garden chair", "/left2.png"),
        with_picture("c", "desk lamp", "top.png"),
        with_picture("bad", "tin", "bad.png"),
        with_picture("late", "wool hat", "late.png"),
        with_picture("out", "umbrella", "../secret.png"),
        item("plain", "red mugs"),
    ];
    engine.put_items_blocking(items, false).unwrap();
    wait_until(&engine, |engine| engine.status().content.encoded == 7);
    let status = engine.status().content.pictures.unwrap();
    assert_eq!((status.encoded, status.unusable, status.missing), (3, 1, 2));
    assert!(status.last_error.unwrap().contains("bad.png: not a picture"));
    write_picture(&path("late.png"), |x, _| x < 20);
    engine.put_items_blocking(vec![with_picture("late", "woollen hat", "late.png")], false).unwrap();
    wait_until(&engine, |engine| engine.status().content.pictures.unwrap().encoded == 4);
    wait_until(&engine, |_| vectors(dir.path()).len() == 8);
    engine.ingest(purchases("ann", &[0, 1])).unwrap();
    engine.wait_until_learned();
    engine.close().unwrap();
    let found = latest(dir.path());
    let cosine = |a: &str, b: &str| found[a].iter().zip(&found[b]).map(|(a, b)| a * b).sum::<f32>();
    assert!(cosine("a", "b") > cosine("a", "c") + 0.2, "{} {}", cosine("a", "b"), cosine("a", "c"));
    assert!(cosine("a", "plain") > cosine("b", "plain") + 0.1, "texts count as well");
    assert!(cosine("late", "a") > cosine("out", "a") + 0.2, "what lies outside of the folder is not read");
    assert!(cosine("out", "c").abs() < 0.2);
    assert_eq!(replay(dir.path(), &Config::default(), None, true).unwrap().equal, Some(true));
    // Nothing is encoded again after a start.
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    wait_until(&engine, |engine| engine.status().content.state == ContentState::Current);
    engine.close().unwrap();
    assert_eq!(vectors(dir.path()).len(), 8);
    // Pictures alone are another space, and items without a picture have no vector of it.
    config.content.encoder.clear();
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    wait_until(&engine, |engine| engine.status().content.encoded == 4);
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &Config::default(), None, true).unwrap().equal, Some(true));
}

#[test]
fn settings_of_pictures_that_cannot_work_are_refused_or_told() {
    let mut config = config("hashed");
    config.content.image_encoder = "pixels".into();
    assert!(config.validate().unwrap_err().to_string().contains("images"));
    config.content.images = "/no/such/folder".into();
    config.validate().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    wait_until(&engine, |engine| engine.status().content.state == ContentState::Failed);
    assert!(engine.status().content.last_error.unwrap().contains("/no/such/folder"));
    engine.close().unwrap();
    config.content.image_weight = 1.0;
    assert!(config.validate().unwrap_err().to_string().contains("image_weight"));
}
