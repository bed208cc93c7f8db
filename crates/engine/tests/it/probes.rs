//! What probes ask for while pages hold the facts.

use std::sync::mpsc::channel;
use std::time::Duration;

use accrue_engine::{Config, Engine};
use accrue_event::RawItem;

fn item(id: &str) -> Vec<RawItem> {
    vec![serde_json::from_str(&format!(r#"{{"id":"{id}","title":"Mug"}}"#)).unwrap()]
}

#[test]
fn the_status_waits_for_no_page_and_no_writer_that_waits_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.put_items_blocking(item("mug"), false).unwrap();
    assert_eq!(engine.status().n_items, 1);
    let writing = engine.with_shop(|_| {
        let writer = engine.clone();
        let writing = std::thread::spawn(move || writer.put_items_blocking(item("plate"), false));
        // From the moment at which the writer waits, other readers wait behind it.
        loop {
            let (reader, (done, is_done)) = (engine.clone(), channel());
            std::thread::spawn(move || done.send(reader.with_shop(|shop| shop.facts.items.len())));
            if is_done.recv_timeout(Duration::from_millis(100)).is_err() {
                break;
            }
        }
        let (prober, (done, is_done)) = (engine.clone(), channel());
        std::thread::spawn(move || done.send(prober.status()).is_ok());
        let status = is_done.recv_timeout(Duration::from_secs(20)).expect("the status is told");
        assert_eq!((status.n_items, status.n_described), (1, 1), "what was said last");
        writing
    });
    writing.join().unwrap().unwrap();
    assert_eq!(engine.status().n_items, 2);
    engine.close().unwrap();
}
