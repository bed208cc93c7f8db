//! Events of published keys: what they may leave behind is decided once, written down, and found again by a replay.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use accrue_engine::{Asker, CampaignChange, Config, Engine, Incoming, Ingested, Sender, digest, replay};
use accrue_event::{Namespace, RawEvent};
use accrue_serve::{SearchRequest, Visitor};
use accrue_store::{Body, LogReader, Offset};

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
    let n_events =
        engine.with_shop(|shop| shop.facts.shopper(&ann).map_or(0, |shopper| shop.facts.histories.n_events(shopper)));
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
fn a_page_may_name_a_product_by_the_id_that_its_variants_name() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let variant = r#"{"id":"MUG-S","parent":"red-mug","title":"Red mug, small"}"#;
    engine.put_items_blocking(vec![serde_json::from_str(variant).unwrap()], false).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let from = || web(Some(IpAddr::from([203, 0, 113, 9])));
    let views = |id: &str, item: &str| batch([event(id, "view", "g1", item)]);
    let of_product = runtime.block_on(engine.ingest_from(from(), views("a", "red-mug"))).unwrap();
    let invented = runtime.block_on(engine.ingest_from(from(), views("b", "no-mug"))).unwrap();
    assert_eq!((of_product.accepted, invented.accepted), (1, 1), "the answer does not tell what has an effect");
    engine.wait_until_learned();
    let has = |item: &str| engine.with_shop(|shop| shop.facts.items.get(item).is_some());
    assert_eq!((has("red-mug"), has("no-mug")), (true, false));
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
    let mut config = Config::default();
    config.check.published.max_late_h = 0;
    let engine = Engine::open(dir.path(), &config).unwrap();
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

/// The events of a batch from an address, without their ids.
fn from_address(engine: &Engine, address: IpAddr, lines: impl IntoIterator<Item = String>) -> Ingested {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.ingest_from(web(Some(address)), batch(lines))).unwrap()
}

fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn invented_sessions_of_one_address_do_not_make_an_item_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    let at = now_ms();
    let view = |id: &str, session: &str, item: &str| {
        format!(r#"{{"id":"{id}","type":"view","session":"{session}","item":"{item}","at":{at}}}"#)
    };
    let own = (0..410).map(|n| view(&format!("own{n}"), &format!("g{n}"), if n < 400 { "best" } else { "slow" }));
    engine.ingest(batch(own)).unwrap();
    let address = IpAddr::from([203, 0, 113, 9]);
    let flood = (0..500).map(|n| view(&format!("f{n}"), &format!("invented{n}"), "slow"));
    assert_eq!(from_address(&engine, address, flood).accepted, 500);
    assert_eq!(engine.status().published.inert["too_many_sessions"], 470);
    // Those sessions say all that they can, again and again, of this moment and of each of the days before.
    for type_name in ["view", "click", "favorite", "cart", "rating"] {
        let said = (0..30).flat_map(|session| (0..20).map(move |n| (session, n)));
        let lines = said.map(|(session, n)| {
            let at = at - if n % 2 == 0 { 0 } else { n * 86_400_000 } - n;
            format!(
                r#"{{"id":"{type_name}{session}-{n}","type":"{type_name}","session":"invented{session}","item":"slow","at":{at},"value":5}}"#
            )
        });
        let taken = from_address(&engine, address, lines);
        assert_eq!(taken.accepted + taken.repaired + taken.quarantined.len() as u64, 600, "{taken:?}");
    }
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
fn what_a_session_says_again_and_what_comes_late_changes_its_own_pages_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(batch([event("own", "view", "g", "mug"), event("own2", "view", "g", "cup")])).unwrap();
    let at = now_ms();
    let view = |id: &str, session: &str, item: &str, at: i64| {
        format!(r#"{{"id":"{id}","type":"view","session":"{session}","item":"{item}","at":{at}}}"#)
    };
    let address = IpAddr::from([203, 0, 113, 9]);
    let lines = [
        view("a", "s1", "mug", at),
        view("b", "s1", "mug", at - 1),
        view("c", "s2", "mug", at - 23 * 3_600_000),
        view("d", "s3", "mug", at - 25 * 3_600_000),
        view("e", "s3", "cup", at),
    ];
    assert_eq!(from_address(&engine, address, lines).accepted, 5, "nothing is told to who sends");
    engine.wait_until_learned();
    let known = |session: &str| {
        engine.with_shop(|shop| {
            let guest = shop.facts.shopper(&accrue_event::Shopper::PublishedGuest(session.into())).unwrap();
            shop.facts.histories.n_events(guest)
        })
    };
    assert_eq!(["s1", "s2", "s3"].map(known), [2, 1, 2], "their own pages know all of it");
    engine.close().unwrap();
    let mut log = LogReader::open(dir.path()).unwrap();
    let mut own_pages = Vec::new();
    log.read(Offset(0), usize::MAX, |record| {
        own_pages
            .extend(record.body.event().filter(|checked| checked.is_for_own_pages()).map(|of| of.event.id.clone()));
    })
    .unwrap();
    assert_eq!(own_pages, ["@publish:web:b", "@publish:web:d"].map(accrue_event::EventId::from));
    // Settings of another day replay it as it was.
    let mut other = config.clone();
    (other.check.published.max_late_h, other.check.published.sessions_per_item) = (0, 0);
    assert_eq!(replay(dir.path(), &other, None, true).unwrap().equal, Some(true));
}

#[test]
fn guests_of_one_address_leave_room_for_those_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.published.max_shoppers = 2_600;
    config.check.published.new_shoppers_per_address = 50;
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(batch([event("own", "view", "g", "mug")])).unwrap();
    let searches = (0..60_000)
        .map(|n| format!(r#"{{"id":"q{n}","type":"search","session":"invented{n}","query":"x","at":1760000000000}}"#));
    let searches: Vec<String> = searches.collect();
    for lines in searches.chunks(10_000) {
        from_address(&engine, IpAddr::from([203, 0, 113, 9]), lines.to_vec());
    }
    let status = engine.status().published;
    // A 256th of the places that are free, which is less than 50.
    assert_eq!((status.shoppers, status.places, status.inert["too_many_guests_of_address"]), (10, 10, 59_990));
    let view = from_address(&engine, IpAddr::from([198, 51, 100, 7]), [event("v", "view", "v1", "mug")]);
    assert_eq!((view.accepted, engine.status().published.shoppers), (1, 11), "one of another address counts");
    // The /48 of an IPv6 line has the share of four addresses.
    for network in 0..20_u16 {
        let lines = (0..20).map(|n| event(&format!("w{network}-{n}"), "view", &format!("w{network}-{n}"), "mug"));
        from_address(&engine, IpAddr::from([0x2001, 0xdb8, 7, network, 0, 0, 0, 1]), lines);
    }
    assert!((30..=40).contains(&(engine.status().published.shoppers - 11)), "{:?}", engine.status().published);
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn events_of_a_published_key_beyond_its_bytes_of_a_day_are_counted_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.published.kept_bytes_per_day = 1 << 20;
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(batch([event("own", "view", "g", "mug")])).unwrap();
    let text = "x".repeat(1_000);
    let long = |n: usize| {
        format!(
            r#"{{"id":"e{n}","type":"view","session":"s{}","item":"mug","at":1760000000000,"note":"{text}"}}"#,
            n % 7
        )
    };
    let mut refused = 0;
    for first in (0..3_000).step_by(100) {
        let taken = publish(&engine, (first..first + 100).map(long));
        refused += taken.quarantined.len();
        assert!(taken.quarantined.iter().all(|refused| refused.reason == "too_many_bytes"), "{taken:?}");
    }
    assert!((1_700..=2_100).contains(&refused), "{refused} of 3,000 that take 3 MB");
    assert_eq!(engine.status().published.refusals_counted, refused as u64);
    assert_eq!(engine.status().n_quarantined, 0);
    let own = engine.ingest(batch([event("own2", "view", "g", "mug")])).unwrap();
    assert_eq!(own.accepted, 1, "the shop's own events go on");
    engine.close().unwrap();
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn many_names_of_a_published_event_are_left_out_before_they_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(dir.path(), &Config::default()).unwrap();
    engine.ingest(batch([event("own", "view", "g", "mug")])).unwrap();
    let names = |n: usize| (0..n).map(|n| format!(r#","quantitt{n}":1"#)).collect::<String>();
    let line = |id: &str, n: usize| {
        format!(r#"{{"id":"{id}","type":"view","session":"s","item":"mug","at":1760000000000{}}}"#, names(n))
    };
    let taken = publish(&engine, [line("a", 60_000), line("b", 3)]);
    assert_eq!((taken.accepted, taken.repaired, taken.repairs["property_dropped"]), (1, 1, 1), "{taken:?}");
    assert_eq!(taken.misspelt, [], "no page reads what is told of names");
    let own = engine.ingest(batch([r#"{"type":"view","user":"u","item":"mug","quantitty":1}"#.to_owned()])).unwrap();
    assert_eq!(own.misspelt.len(), 1, "the shop is told");
    assert_eq!(publish(&engine, [line("a", 60_000)]).duplicates, 1, "sent again, it is known");
    engine.close().unwrap();
}

#[test]
fn an_address_paces_campaigns_by_a_bounded_number_of_events() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::default();
    let engine = Engine::open(dir.path(), &config).unwrap();
    let item = |n: usize| serde_json::from_str(&format!(r#"{{"id":"i{n}","title":"Mug"}}"#)).unwrap();
    engine.put_items_blocking((0..200).map(item).collect(), false).unwrap();
    let at = now_ms();
    let views = |of: &str| -> Vec<String> {
        let said = (0..20).flat_map(|session| (0..200).map(move |n| (session, n)));
        let view = |(session, n): (usize, usize)| {
            format!(r#"{{"id":"{of}{session}-{n}","type":"view","session":"{of}{session}","item":"i{n}","at":{at}}}"#)
        };
        said.map(view).collect()
    };
    let address = IpAddr::from([203, 0, 113, 9]);
    from_address(&engine, IpAddr::from([203, 0, 113, 8]), views("before"));
    let campaigns = r#"{"campaigns":[{"id":"spring","items":["i1"],"bid":50,"daily_budget":2400000}]}"#;
    let change = CampaignChange::Replace(serde_json::from_str(campaigns).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(engine.change_campaigns(change)).unwrap();
    engine.ingest(batch(views("own"))).unwrap();
    assert_eq!(from_address(&engine, address, views("flood")).accepted, 4_000);
    engine.wait_until_learned();
    engine.close().unwrap();
    let mut log = LogReader::open(dir.path()).unwrap();
    let mut n_traffic = [0; 3];
    log.read(Offset(0), usize::MAX, |record| {
        let Some(checked) = record.body.event().filter(|checked| checked.is_traffic()) else { return };
        let of = ["before", "own", "flood"].iter().position(|of| checked.event.id.as_str().contains(of)).unwrap();
        n_traffic[of] += 1;
    })
    .unwrap();
    // Without campaigns nothing is paced, so nothing is noted.
    assert_eq!(n_traffic, [4_000, 4_000, 300]);
    assert_eq!(replay(dir.path(), &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn pages_of_published_keys_take_a_bounded_part_of_the_log_and_no_name_that_no_record_can_have() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.published.kept_bytes_per_day = 1 << 20;
    let engine = Engine::open(dir.path(), &config).unwrap();
    engine.ingest(batch([event("own", "view", "g", "mug")])).unwrap();
    let search = |asker: Asker, id: &str, session: &str| {
        let visitor = Visitor { user: None, session: Some(session.into()) };
        let request = SearchRequest { query: "q".repeat(1_000), visitor, ..SearchRequest::default() };
        let search = engine.start_search_of(asker, request).unwrap();
        engine.finish_search(id, search).unwrap();
    };
    search(Asker::Page(None), "long", &"x".repeat(4_000));
    (0..1_500).for_each(|n| search(Asker::Page(None), &format!("page{n}"), "s1"));
    (0..5).for_each(|n| search(Asker::Shop, &format!("own{n}"), "s1"));
    engine.close().unwrap();
    let mut log = LogReader::open(dir.path()).unwrap();
    let (mut n_pages, mut n_own, mut longest) = (0, 0, 0);
    log.read(Offset(0), usize::MAX, |record| {
        let Body::Served(served) = record.body else { return };
        *(if served.published { &mut n_pages } else { &mut n_own }) += 1;
        longest = longest.max(served.session.map_or(0, |session| session.as_str().len()));
    })
    .unwrap();
    assert_eq!((n_own, longest), (5, 2));
    assert!((900..1_100).contains(&n_pages), "{n_pages} of 1,501 that take 1.5 MB");
}

#[test]
fn sessions_beyond_those_of_a_query_do_not_teach_the_order_of_searches() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.check.published.max_late_h = 0;
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
    let mut log = LogReader::open(dir.path()).unwrap();
    let mut published = Vec::new();
    log.read(Offset(0), 10, |record| {
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
