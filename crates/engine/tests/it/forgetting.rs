//! Erasures that are interrupted, and the records that a person leaves meanwhile.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine, ErasureState, Incoming, replay};
use accrue_event::RawEvent;
use accrue_serve::SearchRequest;
use accrue_store::{Body, LogReader, Offset, PendingErasure};

fn batch(lines: impl IntoIterator<Item = String>) -> Vec<Incoming<RawEvent>> {
    lines.into_iter().map(|line| Incoming::Record(serde_json::from_str(&line).unwrap())).collect()
}

fn event(id: &str, user: &str) -> String {
    format!(r#"{{"id":"{id}","type":"view","user":"{user}","item":"i{}","at":1760000000000}}"#, id.len())
}

/// Offsets of events that name this user.
fn offsets_of(dir: &std::path::Path, user: &str) -> Vec<Offset> {
    let mut log = LogReader::open(dir).unwrap();
    let (mut found, n_records) = (Vec::new(), log.end().0 as usize);
    log.read(Offset(0), n_records, |record| {
        if let Body::Event(checked) = &record.body
            && checked.event.user.as_ref().is_some_and(|found| found.as_str() == user)
        {
            found.push(record.offset);
        }
    })
    .unwrap();
    found
}

#[test]
fn the_next_start_erases_what_a_person_did_after_the_erasure_began() {
    let (dir, config) = (tempfile::tempdir().unwrap(), Config::default());
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(batch((0..9).map(|n| event(&format!("{n}"), if n % 3 == 0 { "ann" } else { "bob" })))).unwrap();
    engine.close().unwrap();
    // As a server leaves it that is stopped while it forgets: the note names the records found so far.
    let before = offsets_of(dir.path(), "ann");
    assert_eq!(before.len(), 3);
    let engine = Engine::open(dir.path(), &config).unwrap();
    PendingErasure::of(dir.path()).begin(&before, &BTreeSet::from(["ann".into()])).unwrap();
    engine.ingest(batch([event("late", "ann"), event("later", "bob")])).unwrap();
    engine.close().unwrap();
    assert_eq!(offsets_of(dir.path(), "ann").len(), 4);

    let engine = Engine::open(dir.path(), &config).unwrap();
    assert_eq!((engine.status().n_shoppers, offsets_of(dir.path(), "ann")), (1, Vec::new()));
    assert!(PendingErasure::of(dir.path()).noted().unwrap().is_empty());
    // What comes after the erasure ended is a new customer's.
    engine.ingest(batch([event("new", "ann")])).unwrap();
    engine.close().unwrap();
    assert_eq!((offsets_of(dir.path(), "ann").len(), offsets_of(dir.path(), "bob").len()), (1, 7));
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

/// Waits until something is so; a minute is enough on any machine.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_search_that_began_before_an_erasure_ended_names_the_items_that_it_found() {
    let (dir, config) = (tempfile::tempdir().unwrap(), Config::default());
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    // Ann's events are the first to name the items. Without them the items have other indices.
    let view =
        |n: usize| format!(r#"{{"id":"v{n}","type":"view","user":"ann","item":"i{}","at":1760000000000}}"#, 4 - n);
    engine.ingest(batch((0..5).map(view))).unwrap();
    let words = ["teapot", "lamp", "notebook", "scarf", "chair"];
    let item =
        |(n, word): (usize, &&str)| serde_json::from_str(&format!(r#"{{"id":"i{n}","title":"{word}"}}"#)).unwrap();
    engine.put_items_blocking(words.iter().enumerate().map(item).collect(), false).unwrap();
    let start =
        |word: &str| engine.start_search(SearchRequest { query: word.into(), ..SearchRequest::default() }).unwrap();
    let hits = |search| engine.preview_search(search).unwrap().hits;
    until("the items are indexed", || words.iter().all(|word| hits(start(word)).len() == 1));
    let started: Vec<_> = words.iter().map(|word| start(word)).collect();
    engine.forget(BTreeSet::from(["ann".into()])).unwrap();
    until("ann is forgotten", || engine.erasure().state == ErasureState::Idle);
    for (n, search) in started.into_iter().enumerate() {
        let found = engine.finish_search(&format!("r{n}"), search).unwrap().answer.hits;
        assert_eq!(found[0].id.as_str(), format!("i{n}"), "{}", words[n]);
    }
    engine.close().unwrap();
}
