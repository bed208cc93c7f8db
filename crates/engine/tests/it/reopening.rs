//! A data folder that is opened with other settings than before.

use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine, Incoming, replay};
use accrue_event::RawEvent;
use accrue_serve::SearchRequest;

fn ingest(engine: &Engine, names: std::ops::Range<usize>) {
    let event = |n: usize| {
        let line = format!(
            r#"{{"id":"e{n}","type":"view","user":"u{}","item":"i{}","at":{}}}"#,
            n % 3,
            n % 7,
            1760000000000_u64 + n as u64
        );
        Incoming::<RawEvent>::Record(serde_json::from_str(&line).unwrap())
    };
    engine.ingest(names.map(event).collect()).unwrap();
    engine.wait_until_learned();
}

#[test]
fn a_large_catalogue_that_the_search_index_lacks_is_indexed_beside_the_answers() {
    let dir = tempfile::tempdir().unwrap();
    let item = |n: usize| serde_json::from_str(&format!(r#"{{"id":"i{n}","title":"mug{}"}}"#, n % 9)).unwrap();
    let put = |range: std::ops::Range<usize>| {
        let engine = Engine::open(dir.path(), &Config::default()).unwrap();
        engine.put_items_blocking(range.map(item).collect(), false).unwrap();
        engine.close().unwrap();
    };
    let (search_folder, of_before) = (dir.path().join("search"), dir.path().join("search-before"));
    put(0..50);
    std::fs::rename(&search_folder, &of_before).unwrap();
    put(50..10_050);
    // As after a kill: the index has what it had before.
    let go_back = || {
        std::fs::remove_dir_all(&search_folder).unwrap();
        std::fs::create_dir(&search_folder).unwrap();
        for file in std::fs::read_dir(&of_before).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, search_folder.join(file.file_name().unwrap())).unwrap();
        }
    };
    go_back();
    // A change that comes while the index is behind does not make it whole.
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.put_items_blocking(vec![item(9)], false).unwrap();
    engine.put_items_blocking(vec![serde_json::from_str(r#"{"id":"i8","title":"saucer"}"#).unwrap()], false).unwrap();
    engine.close().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let search = |word: &str| {
        let request = SearchRequest { query: word.into(), n: 5, ..SearchRequest::default() };
        engine.search("s", request).unwrap().answer
    };
    let first = search("mug3");
    assert!(first.degraded.contains(&"stale_index") || first.total == 1_117, "what is missing is told: {first:?}");
    engine.put_items_blocking(vec![serde_json::from_str(r#"{"id":"i7","title":"teapot"}"#).unwrap()], false).unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    while search("mug3").degraded.contains(&"stale_index") || search("teapot").hits.is_empty() {
        assert!(Instant::now() < until, "{:?}", engine.status().search);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(search("mug8").total, 1_115);
    assert_eq!(search("teapot").total, 1, "a change meanwhile is what the index holds");
}

#[test]
fn a_folder_keeps_the_seed_and_the_length_of_histories_that_it_began_with() {
    let (dir, mut config) = (tempfile::tempdir().unwrap(), Config::default());
    config.learn.history_capacity = 20;
    let engine = Engine::open(dir.path(), &config).unwrap();
    ingest(&engine, 0..200);
    engine.close().unwrap();
    let mut other = config.clone();
    (other.learn.history_capacity, other.learn.seed) = (5, 99);
    let engine = Engine::open(dir.path(), &other).unwrap();
    ingest(&engine, 200..400);
    engine.close().unwrap();
    for config in [&other, &config] {
        assert_eq!(replay(dir.path(), config, None, true).unwrap().equal, Some(true));
    }
}
