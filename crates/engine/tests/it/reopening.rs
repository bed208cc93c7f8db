//! A data folder that is opened with other settings than before.

use accrue_engine::{Config, Engine, Incoming, replay};
use accrue_event::RawEvent;

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
