//! Events of published keys: what they may leave behind is decided once, written down, and found again by a replay.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine, Incoming, Ingested, Sender, digest, replay};
use accrue_event::{Namespace, RawEvent};
use accrue_serve::SearchRequest;

fn batch(lines: impl IntoIterator<Item = String>) -> Vec<Incoming<RawEvent>> {
    lines.into_iter().map(|line| Incoming::Record(serde_json::from_str(&line).unwrap())).collect()
}

fn event(id: &str, kind: &str, session: &str, item: &str) -> String {
    format!(r#"{{"id":"{id}","type":"{kind}","session":"{session}","item":"{item}","at":1760000000000}}"#)
}

/// A page, as a client of this address sends with its key.
fn web(address: Option<IpAddr>) -> Sender {
    Sender::Published { namespace: Namespace::of_key("web"), address }
}

fn publish(engine: &Engine, lines: impl IntoIterator<Item = String>) -> Ingested {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.ingest_from(web(None), batch(lines))).unwrap()
}

#[test]
fn an_id_of_which_nothing_is_left_makes_no_event_the_shops_own() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.ingest(batch([event("own", "view", "g1", "mug")])).unwrap();
    for nothing in [" ".repeat(200), "\\u0000".repeat(200), "\\u0000".into(), " ".repeat(5_000), "\\u200b".repeat(300)]
    {
        let line = format!(
            r#"{{"id":"{nothing}","type":"dislike","user":"victim","session":"s1","item":"mug","at":1760000000000}}"#
        );
        let taken = publish(&engine, [line]);
        assert_eq!(taken.accepted + taken.repaired + taken.duplicates + taken.quarantined.len() as u64, 1);
        let is_own = engine.with_shop(|shop| shop.facts.user(&"victim".into()).is_some());
        assert!(!is_own, "{nothing:?}");
    }
    engine.close().unwrap();
}

#[test]
fn guests_of_published_keys_are_bounded_and_a_replay_finds_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.published.max_shoppers = 30;
    config.check.published.kept_refusals_per_hour = 4;
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine
        .ingest(batch((0..50).map(|n| event(&format!("own{n}"), "view", &format!("g{}", n % 5), &format!("i{n}")))))
        .unwrap();
    let n_shoppers = engine.status().n_shoppers;
    let guests = |range: std::ops::Range<u64>| {
        range.map(|n| event(&format!("e{n}"), "view", &format!("p{n}"), &format!("i{}", n % 50))).collect::<Vec<_>>()
    };
    assert_eq!(publish(&engine, guests(0..25)).accepted, 25);
    assert_eq!(
        publish(&engine, guests(25..80)).accepted,
        55,
        "those beyond the limit are taken in, and have no effect"
    );
    assert_eq!(publish(&engine, guests(0..80)).duplicates, 80, "all of them are known");
    let known = (0..10).map(|n| event(&format!("again{n}"), "cart", &format!("p{n}"), "i1"));
    assert_eq!(publish(&engine, known).accepted, 10, "a guest who is known stays so");
    let refused = (0..9).map(|n| event(&format!("bad{n}"), "view", &format!("p{n}"), ""));
    assert_eq!(publish(&engine, refused).quarantined.len(), 9);
    let status = engine.status();
    assert_eq!((status.n_shoppers - n_shoppers, status.published.shoppers), (30, 30));
    assert_eq!(status.published.inert["too_many_shoppers"], 50);
    assert_eq!((status.n_quarantined, status.published.refusals_counted), (4, 5));
    engine.wait_until_learned();
    engine.close().unwrap();
    let before = digest(dir.path(), &config, None).unwrap();
    assert!(before.parts.contains_key("facts.published"));
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
    // Opened again, it goes on with the same counts.
    let engine = Engine::open(dir.path(), &config).unwrap();
    assert_eq!(publish(&engine, guests(80..90)).accepted, 10);
    assert_eq!(engine.status().published.inert["too_many_shoppers"], 60);
    engine.close().unwrap();
}

#[test]
fn what_waits_in_the_same_group_decides_as_if_it_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let n_inert = runtime.block_on(async {
        let own = engine.ingest_from(Sender::Shop, batch([event("a", "view", "g", "new")]));
        let published =
            engine.ingest_from(web(None), batch([event("b", "view", "p", "new"), event("c", "view", "p", "invented")]));
        let (own, published) = tokio::join!(own, published);
        assert_eq!((own.unwrap().accepted, published.unwrap().accepted), (1, 2));
        engine.status().published.inert["unknown_item"]
    });
    assert_eq!((n_inert, engine.status().n_items), (1, 1));
    engine.close().unwrap();
}

#[test]
fn a_merge_brings_what_pages_reported_of_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.ingest(batch([event("a", "view", "s1", "i1"), event("b", "view", "other", "i2")])).unwrap();
    publish(&engine, [event("c", "view", "s1", "i2")]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.merge("s1".into(), "ann".into())).unwrap();
    let ann = accrue_event::Shopper::User("ann".into());
    let n_events = engine
        .with_shop(|shop| shop.facts.shopper(&ann).map_or(0, |shopper| shop.facts.histories.get(shopper).past().len()));
    assert_eq!(n_events, 2);
    engine.wait_until_learned();
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &Config::default(), None, true).unwrap().equal, Some(true));
}

#[test]
fn purchases_of_published_keys_count_only_where_the_settings_say_so() {
    for purchases in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.check.published.purchases = purchases;
        let engine = Engine::open(dir.path(), &config).unwrap();
        engine.ingest(batch([event("a", "view", "g", "i1")])).unwrap();
        let bought =
            [event("b", "purchase", "s1", "i1"), event("c", "return", "s2", "i1"), event("d", "cart", "s3", "i1")];
        assert_eq!(publish(&engine, bought).accepted, 3);
        assert_eq!(engine.status().published.inert["order"], if purchases { 0 } else { 2 });
        assert_eq!(engine.status().n_shoppers, if purchases { 4 } else { 2 });
        engine.wait_until_learned();
        engine.close().unwrap();
        // The log has what was decided, so other settings replay it as it was.
        config.check.published.purchases = !purchases;
        assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
    }
}

#[test]
fn items_that_only_events_name_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.max_unknown_items = 10;
    let engine = Engine::open(dir.path(), &config).unwrap();
    let views =
        |range: std::ops::Range<u32>| batch(range.map(|n| event(&format!("e{n}"), "view", "g", &format!("i{n}"))));
    let first = engine.ingest(views(0..8)).unwrap();
    assert_eq!((first.accepted, first.quarantined.len()), (8, 0));
    let more = engine.ingest(views(5..20)).unwrap();
    assert_eq!((more.accepted, more.duplicates, more.quarantined.len()), (2, 3, 10), "{more:?}");
    assert!(more.quarantined.iter().all(|refused| refused.reason == "too_many_unknown_items"), "{more:?}");
    let known = engine.ingest(batch([event("again", "cart", "g", "i3")])).unwrap();
    assert_eq!(known.accepted, 1, "events about an item that is known go on");
    // Once the catalogue has some of them there is room again, also for what was refused.
    let items =
        ["i12", "i0", "i1"].map(|id| serde_json::from_str(&format!(r#"{{"id":"{id}","title":"Mug"}}"#)).unwrap());
    assert_eq!(engine.put_items_blocking(items.into(), false).unwrap().accepted, 3);
    assert_eq!((engine.status().n_items, engine.status().n_unknown), (11, 8));
    let again = engine.ingest(views(100..110)).unwrap();
    assert_eq!((again.accepted, again.quarantined.len()), (2, 8));
    engine.wait_until_learned();
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn invented_impressions_of_one_address_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.published.impressions_per_address = 100;
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(batch([event("own", "view", "g", "mug")])).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for last in [9, 10] {
        let shown = (0..250).map(|n| event(&format!("{last}-{n}"), "impression", &format!("invented{n}"), "mug"));
        let from = web(Some(IpAddr::from([203, 0, 113, last])));
        let taken = runtime.block_on(engine.ingest_from(from, batch(shown))).unwrap();
        assert_eq!(
            (taken.accepted, taken.repairs.len()),
            (250, 0),
            "what has no effect, or is no evidence, is not told"
        );
    }
    assert_eq!(engine.status().published.inert["too_many_impressions"], 300);
    engine.wait_until_learned();
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn an_address_and_a_session_teach_the_click_heads_one_impression_of_an_item() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.ingest(batch(["mug", "cup"].map(|item| event(&format!("own-{item}"), "view", "g", item)))).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let send = |from: Sender, lines: Vec<String>| runtime.block_on(engine.ingest_from(from, batch(lines))).unwrap();
    // Sessions are known once they have viewed something.
    let sessions = (0..20).map(|n| format!("s{n}"));
    publish(&engine, sessions.clone().map(|s| event(&format!("v{s}"), "view", &s, "cup")));
    let shown = |address: u8| -> Vec<String> {
        let of = |session: String| (0..5).map(move |n| (session.clone(), n));
        let of_all = sessions.clone().flat_map(of);
        of_all.map(|(s, n)| event(&format!("{address}-{s}-{n}"), "impression", &s, "mug")).collect()
    };
    // The windows of impressions end with an event that is later.
    let n_learned = |at_ms: u64| {
        let later = format!(r#"{{"id":"{at_ms}","type":"view","user":"u","item":"cup","at":{at_ms}}}"#);
        engine.ingest(batch([later])).unwrap();
        engine.wait_until_learned();
        engine.status().clicks.unwrap().n_learned
    };
    send(web(Some(IpAddr::from([203, 0, 113, 9]))), shown(9));
    assert_eq!(n_learned(1_760_000_000_000 + 1_800_001), 1, "one of the address");
    // Where addresses are not known, one of each session.
    send(web(None), shown(0));
    assert_eq!(n_learned(1_760_000_000_000 + 3_600_002), 21, "none was taken in anew");
}

#[test]
fn invented_sessions_of_one_address_do_not_make_an_item_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let own =
        (0..60).map(|n| event(&format!("own{n}"), "view", &format!("g{n}"), if n < 50 { "best" } else { "slow" }));
    engine.ingest(batch(own)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let flood = (0..500).map(|n| event(&format!("f{n}"), "view", &format!("invented{n}"), "slow"));
    let from = web(Some(IpAddr::from([203, 0, 113, 9])));
    assert_eq!(runtime.block_on(engine.ingest_from(from, batch(flood))).unwrap().accepted, 500);
    assert_eq!(engine.status().published.inert["too_many_sessions"], 470);
    // Nor does a dislike of a visitor take anything from what others see.
    let dislikes = (0..200).map(|n| event(&format!("d{n}"), "dislike", &format!("cross{n}"), "best"));
    assert_eq!(publish(&engine, dislikes).accepted, 200);
    engine.wait_until_learned();
    let first = engine.trending(&Default::default()).unwrap().items;
    assert_eq!(first[0].id.as_str(), "best");
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &Config::default(), None, true).unwrap().equal, Some(true));
}

#[test]
fn sessions_beyond_those_of_a_query_do_not_teach_the_order_of_searches() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    let engine = Engine::open_to_serve(dir.path(), &config).unwrap();
    let item = |n: usize| serde_json::from_str(&format!(r#"{{"id":"i{n}","title":"Mug {n}"}}"#)).unwrap();
    engine.put_items_blocking((0..5).map(item).collect(), false).unwrap();
    let search = |id: &str| {
        let request = SearchRequest { query: "mug".into(), ..SearchRequest::default() };
        engine.search(id, request).unwrap().answer.hits
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while search("before").len() < 5 {
        assert!(Instant::now() < deadline, "the items are indexed");
        std::thread::yield_now();
    }
    let chosen = search("r1")[3].id.clone();
    let click = |n: usize| {
        let (at, item) = (1_760_000_000_000_u64 + n as u64, &chosen);
        format!(r#"{{"id":"c{n}","type":"click","session":"s{n}","item":"{item}","at":{at},"recommendation_id":"r1"}}"#)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let from = web(Some(IpAddr::from([203, 0, 113, 9])));
    let taken = runtime.block_on(engine.ingest_from(from, batch((0..20).map(click)))).unwrap();
    assert_eq!(taken.accepted + taken.repaired, 20);
    let most = u64::from(config.check.published.sessions_per_query);
    assert_eq!(engine.status().search_ranking.n_choices, most);
    engine.close().unwrap();
}

#[test]
fn an_event_of_a_published_key_takes_a_bounded_place_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.ingest(batch([event("own", "view", "g", "i1")])).unwrap();
    let long = "x".repeat(900);
    let properties: Vec<String> = (0..60).map(|n| format!(r#""p{n:02}":"{long}""#)).collect();
    let line =
        format!(r#"{{"id":"a","type":"view","session":"s","item":"i1","at":1760000000000,{}}}"#, properties.join(","));
    assert_eq!(publish(&engine, [line.clone()]).repaired, 1);
    assert_eq!(publish(&engine, [line]).duplicates, 1, "what is left out is no other content");
    // Without a time it is repaired, and not kept a second time as it was sent.
    publish(&engine, [r#"{"id":"b","type":"view","session":"s","item":"i1"}"#.to_owned()]);
    engine.close().unwrap();
    let mut log = accrue_store::LogReader::open(dir.path()).unwrap();
    let mut published = Vec::new();
    log.read(accrue_store::Offset(0), 10, |record| {
        if let accrue_store::Body::Event(checked) = record.body
            && checked.event.id.is_published()
        {
            published.push(checked);
        }
    })
    .unwrap();
    assert_eq!(published.len(), 2);
    assert!(published.iter().all(|checked| checked.raw.is_none()));
    assert_eq!(published[0].event.properties.len(), 2);
}
