//! `POST /v1/predict` over HTTP: what is learned from impressions, and what is said without any.

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::Shop;

const N_USERS: usize = 20;
const N_ITEMS: usize = 10;

/// A page of all items every minute. Users click on items of their own parity in one case of two, on others never; the
/// third click of a page is followed by a cart and a purchase.
fn pages(n: usize) -> Vec<Value> {
    let mut events = Vec::new();
    let mut at_ms = 1_700_000_000_000_i64;
    let mut push = |event_type: &str, user: usize, item: usize, more: Value| {
        at_ms += 700;
        let mut event = json!({"id": format!("e{at_ms}"), "type": event_type, "user": format!("u{user}"),
            "item": format!("i{item}"), "at": at_ms});
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        events.push(event);
    };
    (0..N_USERS.max(N_ITEMS)).for_each(|number| push("view", number % N_USERS, number % N_ITEMS, Value::Null));
    let mut n_clicks = 0;
    for page in 0..n {
        let user = page * 7 % N_USERS;
        for item in 0..N_ITEMS {
            push("impression", user, item, json!({"position": item, "scene": "home"}));
        }
        for item in (0..N_ITEMS).filter(|item| item % 2 == user % 2 && (page + item) % 4 < 2) {
            n_clicks += 1;
            let steps = if n_clicks % 3 == 0 { &["click", "cart", "purchase"][..] } else { &["click"][..] };
            steps.iter().for_each(|event_type| push(event_type, user, item, Value::Null));
        }
    }
    events
}

fn known_shop() -> Shop {
    let shop = Shop::open(HttpSettings::default());
    let items: Vec<Value> = (0..N_ITEMS).map(|item| json!({"id": format!("i{item}"), "title": "Mug"})).collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).json()["accepted"], N_ITEMS);
    shop
}

fn ask(shop: &Shop, body: Value) -> Value {
    shop.post("/v1/predict", &body).json()
}

#[test]
fn without_impressions_there_are_no_probabilities_and_the_answer_says_so() {
    let shop = known_shop();
    let answer = ask(&shop, json!({"user": "u1", "items": ["i0", "nothing"]}));
    assert_eq!(answer["degraded"], json!(["no_impressions", "unknown_items"]));
    assert_eq!(answer["items"][0], json!({"id": "i0", "click": null, "cart": null, "purchase": null}));
    assert_eq!((&answer["impressions"], answer["items"].as_array().unwrap().len()), (&json!(0), 2));
    assert!(shop.get("/v1/quality").json().get("clicks").is_none());
}

#[test]
fn impressions_and_what_followed_them_become_probabilities() {
    let shop = known_shop();
    for events in pages(300).chunks(500) {
        assert_eq!(shop.post("/v1/events", &json!(events)).json()["accepted"], events.len());
    }
    shop.engine.wait_until_learned();
    let items: Vec<String> = (0..N_ITEMS).map(|item| format!("i{item}")).collect();
    let answer = ask(&shop, json!({"user": "u2", "items": items, "scene": "home"}));
    let of = |item: usize, head: &str| answer["items"][item][head].as_f64().unwrap();
    let mean =
        |parity: usize| (0..N_ITEMS).filter(|item| item % 2 == parity).map(|item| of(item, "click")).sum::<f64>();
    assert!(mean(0) > 2.0 * mean(1), "{answer}");
    for item in 0..N_ITEMS {
        let [click, cart, purchase] = ["click", "cart", "purchase"].map(|head| of(item, head));
        assert!(1.0 >= click && click >= cart && cart >= purchase && purchase > 0.0, "{answer}");
    }
    assert!(answer["impressions"].as_u64().unwrap() > 1_000 && answer["degraded"] == json!([]), "{answer}");
    // An unknown visitor gets what is usual, and each item can be taken as if it stood first.
    let anybody = ask(&shop, json!({"items": ["i0", "gone"], "order": "any"}));
    assert!(anybody["items"][0]["click"].is_number() && anybody["items"][1]["click"].is_null(), "{anybody}");
    assert_eq!(anybody["degraded"], json!(["unknown_items"]));
    let quality = &shop.get("/v1/quality").json()["clicks"];
    let click = &quality["heads"]["click"];
    assert!((click["rate"].as_f64().unwrap() - click["predicted"].as_f64().unwrap()).abs() < 0.05, "{quality}");
    assert!(click["auc"].as_f64().unwrap() > 0.6 && quality["waiting"].as_u64().unwrap() > 0, "{quality}");
}

#[test]
fn requests_out_of_bounds_are_refused_with_the_field() {
    let shop = known_shop();
    let many: Vec<String> = (0..1_001).map(|item| format!("i{item}")).collect();
    for (body, field) in [
        (json!({"items": []}), "items"),
        (json!({"items": many}), "items"),
        (json!({"items": ["i1", ""]}), "items[1]"),
        (json!({"items": ["i1"], "position": 10_001}), "position"),
        (json!({"items": ["i1"], "user": "\u{7}"}), "user"),
        (json!({"items": ["i1"], "query": "q".repeat(2_000)}), "query"),
        (json!({"items": ["i1"], "scene": "s".repeat(2_000)}), "scene"),
    ] {
        let problem = shop.post("/v1/predict", &body).problem(400, "invalid_value");
        assert_eq!(problem["field"], field, "{problem}");
    }
    shop.post("/v1/predict", &json!({"items": ["i1"], "n": 3})).problem(400, "unknown_field");
    assert_eq!(shop.post("/v1/predict", &json!({"items": ["i1"], "order": "best"})).status, 400);
    assert_eq!(shop.post("/v1/predict", &json!({"user": "u1"})).status, 400);
}
