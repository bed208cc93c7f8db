//! What a key that stands in a page can and cannot do, over HTTP.

use accrue_http::{HttpSettings, Key, Scope};
use serde_json::{Value, json};

use crate::shop::{Answer, Shop, key};

const OWN_KEY: &str = "own-key-0123456789";
const WEB_KEY: &str = "web-key-0123456789";
const APP_KEY: &str = "app-key-0123456789";
const ADMIN_KEY: &str = "admin-key-0123456789";

/// A shop with 30 items, of which the backend told, and keys for its backend, its pages and its app.
fn shop() -> Shop {
    let keys = vec![
        key("own", OWN_KEY, &[Scope::Read, Scope::Write]),
        key("web", WEB_KEY, &[Scope::Publish, Scope::Search]),
        key("app", APP_KEY, &[Scope::Publish]),
        key("admin", ADMIN_KEY, &[Scope::Admin]),
    ];
    let shop = Shop::open(HttpSettings { keys, ..Default::default() });
    let items: Vec<Value> =
        (0..30).map(|n| json!({"id": format!("i{n}"), "title": format!("Mug {n}"), "price": 5})).collect();
    assert_eq!(ask(&shop, OWN_KEY, "POST", "/v1/items", &json!(items)).json()["accepted"], 30);
    shop
}

fn ask(shop: &Shop, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    shop.send(method, path, &[("x-api-key", key), ("content-type", "application/json")], body.as_bytes())
}

fn send(shop: &Shop, key: &str, events: &Value) -> Value {
    ask(shop, key, "POST", "/v1/events", events).json()
}

fn get(shop: &Shop, key: &str, path: &str) -> Value {
    ask(shop, key, "GET", path, &Value::Null).json()
}

fn ids(answer: &Value) -> Vec<String> {
    let items = answer.get("items").or_else(|| answer.get("hits")).unwrap().as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn metric(shop: &Shop, name: &str) -> f64 {
    let page = ask(shop, OWN_KEY, "GET", "/metrics", &Value::Null);
    let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

#[test]
fn the_ids_of_a_published_key_take_none_from_others() {
    let shop = shop();
    let squat: Vec<Value> = (0..20)
        .map(|n| json!({"id": format!("order-{n}"), "type": "view", "session": "x", "item": "i1", "at": 1_760_000_000_000_u64}))
        .collect();
    assert_eq!(send(&shop, WEB_KEY, &json!(squat))["accepted"], 20);
    assert_eq!(send(&shop, WEB_KEY, &json!(squat))["duplicates"], 20, "a batch that is sent again");
    assert_eq!(send(&shop, APP_KEY, &json!(squat))["accepted"], 20, "another key has ids of its own");
    let orders: Vec<Value> = (0..20)
        .map(|n| json!({"id": format!("order-{n}"), "type": "purchase", "user": "u1", "item": "i7", "price": 9.9, "at": 1_760_000_000_000_u64}))
        .collect();
    assert_eq!(send(&shop, OWN_KEY, &json!(orders))["accepted"], 20);
    assert_eq!(send(&shop, OWN_KEY, &json!(orders))["duplicates"], 20);
}

#[test]
fn an_own_event_cannot_have_the_id_of_a_published_one() {
    let shop = shop();
    let view = |id: &str| json!({"id": id, "type": "view", "user": "u1", "session": "x", "item": "i1", "at": 1_760_000_000_000_u64});
    assert_eq!(send(&shop, WEB_KEY, &json!([view("order-1")]))["accepted"], 1);
    // Also with white space around it, and also if such an event is known.
    for id in ["@publish:web:order-1", " @publish:web:order-2 ", "@publish:"] {
        let answer =
            ask(&shop, OWN_KEY, "POST", "/v1/events", &json!([view(id), view(&format!("own{}", id.trim()))])).json();
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(0)), "{id}: {answer}");
        assert_eq!(answer["quarantined"][0]["reason"], "reserved_id", "{id}: {answer}");
    }
    // Released, it would still have that id.
    let held = ask(&shop, ADMIN_KEY, "GET", "/v1/quarantine?reason=reserved_id", &Value::Null).json();
    let offsets: Vec<&Value> = held["records"].as_array().unwrap().iter().map(|record| &record["offset"]).collect();
    assert_eq!(offsets.len(), 3, "{held}");
    let released =
        ask(&shop, ADMIN_KEY, "POST", "/v1/quarantine", &json!({"action": "release", "offsets": offsets})).json();
    assert!(!released.to_string().contains("\"accepted\":1"), "{released}");
    // What was exported may come in again with every right.
    assert_eq!(send(&shop, ADMIN_KEY, &json!([view("@publish:web:order-1")]))["duplicates"], 1);
}

#[test]
fn a_purchase_of_a_page_counts_for_nothing() {
    let shop = shop();
    let events = |kind: &str, item: &str| -> Value {
        (0..5).map(|n| json!({"id": format!("{kind}-{n}"), "type": kind, "user": format!("u{n}"), "session": format!("s{n}"), "item": item, "price": 5})).collect()
    };
    send(&shop, OWN_KEY, &events("purchase", "i1"));
    let published = send(&shop, WEB_KEY, &events("purchase", "i2"));
    assert_eq!(published["repaired"], 5, "it is taken, so that it is not sent again: {published}");
    assert_eq!(send(&shop, WEB_KEY, &events("purchase", "i2"))["duplicates"], 5);
    send(&shop, WEB_KEY, &events("return", "i1"));
    shop.engine.wait_until_learned();
    assert_eq!(ids(&get(&shop, OWN_KEY, "/v1/trending")), ["i1"]);
    assert_eq!(metric(&shop, "accrue_published_inert_total{reason=\"order\"}"), 10.0);
    let again = get(&shop, OWN_KEY, "/v1/recommend/u1?session=s1&scene=again");
    assert_eq!(ids(&again), ["i1"], "what the backend reported was neither added to nor sent back");
}

#[test]
fn an_item_that_only_published_events_name_is_nowhere() {
    let shop = shop();
    let invented = "BUY PILLS <b>evil.example</b>";
    let of = |n: usize, item: &str| json!({"id": format!("p{n}-{item}"), "type": "cart", "session": format!("s{n}"), "item": item});
    let events: Vec<Value> = (0..25).map(|n| of(n, invented)).collect();
    assert_eq!(send(&shop, WEB_KEY, &json!(events))["repaired"], 25);
    assert_eq!(send(&shop, WEB_KEY, &json!(events))["duplicates"], 25);
    shop.engine.wait_until_learned();
    for page in ["/v1/new?n=100", "/v1/trending?n=100", "/v1/recommend/u1?n=100", "/v1/search?q=pills"] {
        let page = get(&shop, OWN_KEY, page);
        assert!(!ids(&page).iter().any(|id| id == invented), "{page}");
    }
    assert_eq!(metric(&shop, "accrue_published_inert_total{reason=\"unknown_item\"}"), 25.0);
    assert_eq!(metric(&shop, "accrue_items"), 30.0);
    // As soon as the shop itself names the item, events of pages count.
    let post = ask(&shop, OWN_KEY, "POST", "/v1/items", &json!([{"id": "i99", "title": "Mug 99"}]));
    assert_eq!(post.json()["accepted"], 1);
    send(&shop, WEB_KEY, &json!([of(0, "i99")]));
    shop.engine.wait_until_learned();
    assert_eq!(ids(&get(&shop, OWN_KEY, "/v1/trending?n=1")), ["i99"]);
}

#[test]
fn nobody_is_silenced_or_imitated_with_a_published_key() {
    let shop = shop();
    let own = |id: &str, kind: &str, item: &str| json!({"id": id, "type": kind, "user": "u1", "item": item});
    let taken = send(&shop, OWN_KEY, &json!([own("a", "view", "i1"), own("b", "view", "i2"), own("c", "cart", "i3")]));
    assert_eq!(taken["repaired"], 3);
    shop.engine.wait_until_learned();
    let before = get(&shop, OWN_KEY, "/v1/recommend/u1?n=30&explain=true");
    // More events in a minute than a person can cause, and a "not interested" for every item.
    let flood: Vec<Value> =
        (0..700).map(|n| json!({"id": format!("f{n}"), "type": "view", "user": "u1", "item": "i9"})).collect();
    let refused = flood.chunks(100).map(|chunk| {
        let mut chunk = chunk.to_vec();
        chunk.push(json!({"type": "view", "session": "y", "item": "i9"}));
        send(&shop, WEB_KEY, &json!(chunk))["quarantined"].as_array().unwrap().len()
    });
    assert!(refused.sum::<usize>() >= 50);
    let dislikes: Vec<Value> =
        (0..30).map(|n| json!({"type": "dislike", "user": "u1", "session": "x", "item": format!("i{n}")})).collect();
    assert_eq!(send(&shop, WEB_KEY, &json!(dislikes))["repaired"], 30);
    shop.engine.wait_until_learned();
    let after = get(&shop, OWN_KEY, "/v1/recommend/u1?n=30&explain=true");
    let sorted = |page: &Value| {
        let mut ids = ids(page);
        ids.sort();
        ids
    };
    assert_eq!(sorted(&before), sorted(&after), "no dislike of somebody else's is heard");
    assert!(!after.to_string().contains(r#""item":"i9""#), "nor is a view cited: {after}");
    assert_eq!(send(&shop, OWN_KEY, &json!([own("d", "view", "i4")]))["repaired"], 1, "own events are taken");
    assert_eq!(send(&shop, APP_KEY, &json!([own("d", "view", "i4")]))["repaired"], 1, "and those of another key");
    // The page of a visit hears what that visit did: its session is known to nobody else.
    let visit = get(&shop, OWN_KEY, "/v1/recommend/u1?n=30&session=x");
    assert!(ids(&visit).is_empty(), "{visit}");
}

#[test]
fn refused_records_of_a_published_key_are_cut_counted_and_listed_in_bounds() {
    let shop = shop();
    let long = "x".repeat(300_000);
    let refused: Vec<Value> = (0..1_500)
        .map(|n| json!({"id": format!("r{n}"), "type": "view", "item": if n < 3 { long.as_str() } else { "i1" }}))
        .collect();
    let good = json!({"type": "view", "session": "s", "item": "i1"});
    for chunk in refused.chunks(500) {
        let mut batch = chunk.to_vec();
        batch.push(good.clone());
        let outcome = send(&shop, WEB_KEY, &json!(batch));
        assert_eq!(outcome["quarantined"].as_array().unwrap().len(), 500, "each is told");
    }
    assert_eq!(metric(&shop, "accrue_quarantine_records"), 1_000.0, "as many as an hour has room for are kept");
    assert_eq!(metric(&shop, "accrue_published_refusals_counted_total"), 500.0);
    assert_eq!(metric(&shop, "accrue_refusals_total{reason=\"no_shopper\"}"), 1_500.0);
    let listed = get(&shop, ADMIN_KEY, "/v1/quarantine?limit=2");
    let records = listed["records"].as_array().unwrap();
    assert!(records.iter().all(|record| record["raw"].as_str().unwrap().len() <= 2_048), "{listed}");
    // The beginning of a record is no record.
    let release = json!({"action": "release", "offsets": [records[0]["offset"]]});
    let released = ask(&shop, ADMIN_KEY, "POST", "/v1/quarantine", &release).json();
    assert_eq!(released["quarantined"][0]["reason"], "no_shopper", "{released}");
    let beyond = vec![b' '; (1 << 20) + 1];
    shop.send("POST", "/v1/events", &[("x-api-key", WEB_KEY)], &beyond).problem(413, "body_too_large");
}

#[test]
fn the_rate_of_a_published_key_counts_events() {
    let key = |name: &str, text: &str, scope: Scope| Key {
        name: name.into(),
        key: text.into(),
        scopes: [scope].into(),
        origins: Vec::new(),
        rate_limit_per_s: Some(0.5),
        rate_limit_per_address_per_s: None,
        weight: None,
    };
    let keys = vec![key("web", WEB_KEY, Scope::Publish), key("own", OWN_KEY, Scope::Write)];
    let shop = Shop::open(HttpSettings { keys, ..Default::default() });
    let batch: Vec<Value> =
        (0..50).map(|n| json!({"type": "view", "session": format!("s{n}"), "item": "i1"})).collect();
    assert_eq!(send(&shop, WEB_KEY, &json!(batch))["repaired"], 50, "a batch is never too large for a rate");
    let limited = ask(&shop, WEB_KEY, "POST", "/v1/events", &json!(batch[..1]));
    limited.problem(429, "rate_limited");
    let wait: u32 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=62).contains(&wait), "a debt of a minute at most: {wait}");
    assert_eq!(send(&shop, OWN_KEY, &json!(batch))["repaired"], 50, "of other keys it counts requests");
}

#[test]
fn a_body_that_is_refused_is_paid_for() {
    let web = || {
        let key = Key {
            name: "web".into(),
            key: WEB_KEY.into(),
            scopes: [Scope::Publish].into(),
            origins: Vec::new(),
            rate_limit_per_s: Some(100.0),
            rate_limit_per_address_per_s: None,
            weight: None,
        };
        Shop::open(HttpSettings { keys: vec![key], ..Default::default() })
    };
    let packed = |plain: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut gzip, plain).unwrap();
        gzip.finish().unwrap()
    };
    // A kilobyte that becomes a megabyte costs as much as that, whatever is wrong with it.
    let blank = packed(&vec![b' '; 1 << 20]);
    let cut = &blank[..blank.len() - 8];
    let headers = [("x-api-key", WEB_KEY), ("content-type", "application/json"), ("content-encoding", "gzip")];
    for (body, code) in [(&blank[..], "malformed_json"), (cut, "broken_encoding")] {
        let shop = web();
        shop.send("POST", "/v1/events", &headers, body).problem(400, code);
        shop.send("POST", "/v1/events", &headers, body).problem(429, "rate_limited");
    }
}

#[test]
fn a_page_pays_for_the_places_before_it_too() {
    let search = || {
        let key = Key {
            name: "web".into(),
            key: WEB_KEY.into(),
            scopes: [Scope::Search].into(),
            origins: Vec::new(),
            rate_limit_per_s: Some(10.0),
            rate_limit_per_address_per_s: None,
            weight: None,
        };
        Shop::open(HttpSettings { keys: vec![key], ..Default::default() })
    };
    let deep = json!({"n": 1, "offset": 9_999});
    for (method, path, body) in
        [("POST", "/v1/recommend", &deep), ("GET", "/v1/search?q=mug&n=1&offset=9999", &Value::Null)]
    {
        let shop = search();
        (0..20).for_each(|_| assert_eq!(ask(&shop, WEB_KEY, "GET", "/v1/search?q=mug&n=1", &Value::Null).status, 200));
        assert_eq!(ask(&shop, WEB_KEY, method, path, body).status, 200, "{path}");
        ask(&shop, WEB_KEY, method, path, body).problem(429, "rate_limited");
    }
}

#[test]
fn what_the_shop_pays_is_told_to_administrators_alone() {
    let shop = shop();
    let attributes = json!({"cost": 3.5, "EK": "2,95", "colour": "red", "note": "ada@example.com"});
    let item = json!({"id": "priced", "title": "Zinc bucket", "price": 9, "attributes": attributes});
    assert_eq!(ask(&shop, OWN_KEY, "POST", "/v1/items", &json!([item])).status, 200);
    let found = |key: &str, more: &str| get(&shop, key, &format!("/v1/search?q=bucket&fields=attributes{more}"));
    assert!((0..200).any(|_| found(WEB_KEY, "")["total"] == 1 || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        false
    }));
    for key in [WEB_KEY, OWN_KEY] {
        assert_eq!(found(key, "")["hits"][0]["attributes"], json!({"colour": "red"}), "{key}");
        for path in ["/v1/search?q=bucket&facets=cost", "/v1/search?q=bucket&sort=attributes.cost:desc"] {
            ask(&shop, key, "GET", path, &Value::Null).problem(400, "invalid_value");
        }
    }
    for path in ["/v1/search?q=bucket&filter=cost%3E3", "/v1/trending?filter=attributes.cost%3E3"] {
        ask(&shop, WEB_KEY, "GET", path, &Value::Null).problem(400, "invalid_filter");
    }
    // Nor are their names told as what may have been meant.
    for (path, code) in [
        ("/v1/trending?filter=costs%3E3", "invalid_filter"),
        ("/v1/search?q=bucket&facets=costs", "invalid_value"),
        ("/v1/search?q=bucket&sort=ek", "invalid_value"),
    ] {
        let near = ask(&shop, WEB_KEY, "GET", path, &Value::Null).problem(400, code)["near"].to_string();
        assert!(!near.contains("\"cost\"") && !near.contains("EK"), "{path}: {near}");
    }
    let by_name = get(&shop, WEB_KEY, "/v1/search?q=bucket&fields=title,attributes.cost,attributes.colour");
    assert_eq!(by_name["hits"][0]["attributes"], json!({"colour": "red"}));
    let page = ask(&shop, WEB_KEY, "POST", "/v1/recommend", &json!({"n": 40, "fields": ["attributes"]})).json();
    assert!(!page.to_string().contains("cost") && !page.to_string().contains("ada@"), "{page}");
    let of_admin = found(ADMIN_KEY, "")["hits"][0]["attributes"].clone();
    assert_eq!((&of_admin["cost"], &of_admin["note"]), (&json!(3.5), &Value::Null), "nobody is told of persons");
}

#[test]
fn a_key_for_searching_tells_nothing_about_persons() {
    let shop = shop();
    let own = |kind: &str, item: &str| json!({"type": kind, "user": "u1", "item": item});
    send(&shop, OWN_KEY, &json!([own("purchase", "i1"), own("dislike", "i2")]));
    shop.engine.wait_until_learned();
    let found = |shop: &Shop| get(shop, OWN_KEY, "/v1/search?q=mug&n=30")["total"] == 30;
    assert!((0..200).any(|_| found(&shop) || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        false
    }));
    let of_user = get(&shop, OWN_KEY, "/v1/search?q=mug&n=30&user=u1&explain=true");
    assert!(!of_user["hits"][0]["reasons"].as_array().unwrap().is_empty());
    let of_all = get(&shop, WEB_KEY, "/v1/search?q=mug&n=30");
    let asked = get(&shop, WEB_KEY, "/v1/search?q=mug&n=30&user=u1&explain=true");
    assert!(asked["degraded"].to_string().contains("persons_left_out"), "{asked}");
    assert_eq!(asked["hits"], of_all["hits"]);
    assert!(asked["hits"].as_array().unwrap().iter().all(|hit| hit["reasons"] == json!([])));
    let body = json!({"user": "u1", "n": 30, "explain": true});
    let page = ask(&shop, WEB_KEY, "POST", "/v1/recommend", &body).json();
    assert!(page["degraded"].to_string().contains("persons_left_out"), "{page}");
    assert_eq!(ids(&page).len(), 30, "the dislike is u1's: {page}");
    for path in ["/v1/trending", "/v1/new", "/v1/items/i1/similar"] {
        assert!(get(&shop, WEB_KEY, path)["items"].is_array(), "{path}");
    }
    for (method, path) in [
        ("GET", "/v1/recommend/u1"),
        ("GET", "/v1/recommend/batch"),
        ("POST", "/v1/recommend/batch"),
        ("GET", "/v1/users/u1"),
        ("GET", "/v1/items/i1"),
        ("GET", "/metrics"),
        ("GET", "/v1/quality"),
        ("GET", "/v1/quarantine"),
        ("POST", "/v1/items"),
        ("POST", "/v1/users/u1/merge"),
    ] {
        ask(&shop, WEB_KEY, method, path, &json!({})).problem(403, "missing_scope");
    }
    ask(&shop, APP_KEY, "GET", "/v1/search?q=mug", &Value::Null).problem(403, "missing_scope");
}
