//! Search that repairs itself, over HTTP: what is proposed, switched on and off, and what hostile searches cannot do.

use accrue_engine::Config;
use accrue_http::{HttpSettings, Scope};
use serde_json::{Value, json};

use crate::shop::{Shop, key};

/// When the shoppers come, in ms.
const START: i64 = 1_767_571_200_000;

fn with_umbrellas() -> Shop {
    let shop = Shop::open(HttpSettings::default());
    let mut items = vec![
        json!({"id": "u1", "title": "Rain umbrella", "categories": ["rain"], "price": 20}),
        json!({"id": "u2", "title": "Pocket umbrella", "categories": ["rain"], "price": 15}),
        json!({"id": "u3", "title": "Walking umbrella", "categories": ["rain"], "price": 30}),
    ];
    items.extend((0..40).map(|n| json!({"id": format!("m{n}"), "title": format!("Stoneware mug {n}"), "price": 9})));
    shop.post("/v1/items", &json!(items)).json();
    searchable(&shop, "umbrella", 3);
    shop
}

/// Waits until the index has what was posted.
fn searchable(shop: &Shop, query: &str, n: u64) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while total(shop, query) != n {
        assert!(std::time::Instant::now() < end, "{query} is not found");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn event(kind: &str, user: &str, query: &str, item: Option<&str>, at_s: i64) -> Value {
    let mut event = json!({"type": kind, "user": user, "query": query, "at": START + 1_000 * at_s});
    if let Some(item) = item {
        event["item"] = json!(item);
    }
    event
}

/// Shoppers who search for `from`, choose nothing, and choose after a search for `to`.
fn replace(shop: &Shop, who: &str, n: usize, from: &str, to: &str, item: &str) {
    let events = (0..n).flat_map(|k| {
        let (user, at_s) = (format!("{who}{k}"), 100 * k as i64);
        [
            event("search", &user, from, None, at_s),
            event("search", &user, to, None, at_s + 20),
            event("click", &user, to, Some(item), at_s + 30),
        ]
    });
    let taken = shop.post("/v1/events", &json!(events.collect::<Vec<_>>())).json();
    assert_eq!(taken["accepted"], 3 * n, "{taken}");
}

fn proposals(shop: &Shop) -> Value {
    shop.get("/v1/search/proposals").json()
}

fn total(shop: &Shop, query: &str) -> u64 {
    shop.get(&format!("/v1/search?q={query}")).json()["total"].as_u64().unwrap()
}

#[test]
fn words_that_shoppers_replaced_are_proposed_and_can_be_switched_on_and_off() {
    let shop = with_umbrellas();
    replace(&shop, "ann", 30, "gamp", "umbrella", "u1");
    replace(&shop, "bob", 30, "pocket gamp", "pocket umbrella", "u2");
    assert_eq!(shop.get("/v1/search?q=gamp&typo=off").json()["total"], 0);
    let found = proposals(&shop);
    let open = found["open"].as_array().unwrap();
    assert_eq!(open.len(), 1, "{found}");
    assert_eq!((&open[0]["kind"], &open[0]["synonyms"]), (&json!("synonym"), &json!("gamp => umbrella")), "{found}");
    assert_eq!((&open[0]["shoppers"], &open[0]["of"]), (&json!(60), &json!(60)), "{found}");
    let searches = shop.get("/v1/searches").json();
    let unchosen = &searches["unchosen"][0];
    assert_eq!((&unchosen["query"], &unchosen["without_choice"]), (&json!("gamp"), &json!(30)), "{searches}");
    assert_eq!(unchosen["then"], json!(["umbrella"]), "{searches}");

    let path = |what: &str| format!("/v1/search/proposals/{}/{what}", open[0]["id"].as_str().unwrap());
    let accepted = shop.send("POST", &path("accept"), &[], b"").json();
    assert_eq!(accepted["accepted"], true, "{accepted}");
    assert_eq!(total(&shop, "gamp&typo=off"), 3);
    assert_eq!(shop.get("/v1/search/synonyms").json()["synonyms"], json!(["gamp => umbrella"]));
    let found = proposals(&shop);
    assert_eq!(
        (found["open"].as_array().unwrap().len(), &found["decided"][0]["accepted"]),
        (0, &json!(true)),
        "{found}"
    );

    assert_eq!(shop.send("POST", &path("reject"), &[], b"").json()["accepted"], false);
    assert_eq!(total(&shop, "gamp&typo=off"), 0);
    assert_eq!(proposals(&shop)["open"], json!([]), "it is not proposed again");
    assert_eq!(shop.send("POST", "/v1/search/proposals/0/accept", &[], b"").status, 404);
    shop.engine.close().unwrap();
    let replay = accrue_engine::replay(&shop.dir, &Config::default(), None, true).unwrap();
    assert_eq!(replay.equal, Some(true), "{replay:?}");
}

#[test]
fn forgotten_shoppers_have_no_part_in_proposals() {
    let shop = with_umbrellas();
    replace(&shop, "ann", 30, "gamp", "umbrella", "u1");
    assert_eq!(proposals(&shop)["open"].as_array().unwrap().len(), 1);
    let users: Vec<String> = (0..28).map(|k| format!("ann{k}")).collect();
    assert_eq!(shop.post("/v1/forget", &json!({"users": users})).status, 202);
    while shop.get("/v1/forget").json()["state"] != "idle" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let found = proposals(&shop);
    assert_eq!((&found["open"], &found["tested"]), (&json!([]), &json!(0)), "{found}");
    assert_eq!(shop.get("/v1/searches").json()["unchosen"], json!([]), "a text is told from three visitors on");
}

#[test]
fn floods_html_and_words_that_work_are_not_proposed() {
    let shop = with_umbrellas();
    replace(&shop, "ann", 30, "<b>gamp</b>", "umbrella", "u1");
    replace(&shop, "bob", 30, "umbrella*", "mug", "m1");
    replace(&shop, "cat", 30, "umbrella 40", "umbrella 41", "u1");
    replace(&shop, "dan", 30, "a, b => c # d", "mug", "m1");
    replace(&shop, "eve", 30, "\u{202e}gamp", "umbrella", "u1");
    let long = "gamp ".repeat(1_400);
    let answer = shop.post("/v1/events", &json!([event("search", "fay", &long, None, 0)]));
    assert!(answer.status < 500, "{}", answer.status);
    // One shopper, however often.
    for k in 0..40 {
        let at_s = 100_000 + 4_000 * k;
        let events = [
            event("search", "gus", "parapluie", None, at_s),
            event("search", "gus", "umbrella", None, at_s + 20),
            event("click", "gus", "umbrella", Some("u1"), at_s + 30),
        ];
        shop.post("/v1/events", &json!(events));
    }
    // Words that lead to each other in a circle.
    replace(&shop, "hal", 30, "umbrella", "mug", "m1");
    replace(&shop, "ida", 30, "mug", "umbrella", "u1");
    let found = proposals(&shop);
    let open = found["open"].as_array().unwrap();
    assert_eq!(open.len(), 0, "{found}");
    assert!(found["tested"].as_u64().unwrap() >= 2, "{found}");
}

#[test]
fn searches_and_choices_of_published_keys_neither_make_a_word_fail_nor_hide_one() {
    const OWN: &str = "own-key-0123456789";
    const WEB: &str = "web-key-0123456789";
    let keys = vec![key("own", OWN, &[Scope::Read, Scope::Write]), key("web", WEB, &[Scope::Publish, Scope::Search])];
    let shop = Shop::open(HttpSettings { keys, ..HttpSettings::default() });
    let ask = |key: &str, method: &str, path: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("x-api-key", key), ("content-type", "application/json"), ("x-forwarded-for", "198.51.100.7")];
        shop.send(method, path, &headers, body.as_bytes()).json()
    };
    let mut items =
        vec![json!({"id": "u1", "title": "Rain umbrella"}), json!({"id": "u2", "title": "Pocket umbrella"})];
    items.extend((0..40).map(|n| json!({"id": format!("m{n}"), "title": format!("Stoneware mug {n}")})));
    ask(OWN, "POST", "/v1/items", &json!(items));
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while ask(OWN, "GET", "/v1/search?q=umbrella", &Value::Null)["total"] != 2 {
        assert!(std::time::Instant::now() < end, "the index does not catch up");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut events = Vec::new();
    for (n, (who, query, item)) in [("bob", "mug", "m1"), ("zoe", "umbrella", "u2")].into_iter().enumerate() {
        for k in 0..40 {
            let at_s = 10_000 * n as i64 + 100 * k;
            events.push(event("search", &format!("{who}{k}"), query, None, at_s));
            events.push(event("click", &format!("{who}{k}"), query, Some(item), at_s + 10));
        }
    }
    for (n, (who, count, from)) in [("eve", 6, "mug"), ("ann", 30, "gamp")].into_iter().enumerate() {
        for k in 0..count {
            let (user, at_s) = (format!("{who}{k}"), 50_000 + 10_000 * n as i64 + 100 * k);
            events.push(event("search", &user, from, None, at_s));
            events.push(event("search", &user, "umbrella", None, at_s + 20));
            events.push(event("click", &user, "umbrella", Some("u1"), at_s + 30));
        }
    }
    assert_eq!(ask(OWN, "POST", "/v1/events", &json!(events))["accepted"], events.len());
    let open = || {
        let found = ask(OWN, "GET", "/v1/search/proposals", &Value::Null);
        let open = found["open"].as_array().unwrap().clone();
        open.iter().map(|one| one["synonyms"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(open(), ["gamp => umbrella"]);
    // Searches without a choice for what works, as events and as searches of a page, and choices after what fails.
    let session = |k: usize| format!("x{k}");
    let searches: Vec<Value> = (0..64)
        .map(|k| json!({"type": "search", "session": session(k), "query": "mug", "id": format!("s{k}")}))
        .collect();
    ask(WEB, "POST", "/v1/events", &json!(searches));
    for k in 0..64 {
        ask(WEB, "GET", &format!("/v1/search?q=mug&session=y{k}"), &Value::Null);
    }
    let clicks: Vec<Value> = (0..64)
        .map(|k| {
            json!({"type": "click", "session": format!("z{k}"), "query": "gamp", "item": format!("m{}", k / 3),
                "id": format!("z{k}")})
        })
        .collect();
    ask(WEB, "POST", "/v1/events", &json!(clicks));
    // The answers to the searches are in the log once a later event is.
    ask(OWN, "POST", "/v1/events", &json!([event("view", "ann0", "", Some("m1"), 90_000)]));
    assert_eq!(open(), ["gamp => umbrella"]);
}
