//! Challengers: an engine that serves trains them and can be closed at any moment; another engine does not.

use accrue_engine::{ChallengerState, Config, Engine, Incoming, replay};
use accrue_event::RawEvent;

/// Purchases of 20 people among 30 items.
fn events(numbers: std::ops::Range<u64>) -> Vec<Incoming<RawEvent>> {
    let event = |number: u64| {
        let (user, item, at) = (number * 7 % 20, number * number % 30, 1_760_000_000_000 + number * 60_000);
        let text = format!(r#"{{"id":"e{number}","type":"purchase","user":"u{user}","item":"i{item}","at":{at}}}"#);
        Incoming::Record(serde_json::from_str(&text).unwrap())
    };
    numbers.map(event).collect()
}

fn wait_for(engine: &Engine, state: ChallengerState) {
    let mut next = engine.status().log_end;
    for _ in 0..500 {
        if engine.status().challenger.state == state {
            return;
        }
        engine.ingest(events(next..next + 50)).unwrap();
        engine.wait_until_learned();
        next += 50;
    }
    panic!("{:?}", engine.status().challenger);
}

#[test]
fn an_engine_closes_whatever_its_challenger_is_doing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.learn.reset.every_events = 1_000;
    // The first needs hours to catch up, the second is never decided.
    for (state, share, predict_one_in) in
        [(ChallengerState::Learning, 0.001, 1), (ChallengerState::Shadowing, 1.0, u64::MAX)]
    {
        config.learn.reset.share = share;
        config.learn.reset.gate.predict_one_in = predict_one_in;
        let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
        wait_for(&engine, state);
        engine.close().unwrap();
    }
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn an_engine_that_does_not_serve_begins_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.learn.reset.every_events = 1_000;
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(events(0..1_500)).unwrap();
    engine.wait_until_learned();
    assert_eq!(engine.status().challenger.state, ChallengerState::Off);
    engine.close().unwrap();
}
