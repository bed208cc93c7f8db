//! Which items a shop's pages show: dates of publication, unknown and incomplete items, and filters on fields.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::time::{Duration, Instant};

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::http::Shop;

/// The pages that name an item of `items` as `id`, of a search for "cup" and of those that need no search.
fn shown_by(shop: &Shop, id: &str) -> Vec<&'static str> {
    let pages = [
        "/v1/search?q=cup&n=50",
        "/v1/recommend/stranger?n=50",
        "/v1/trending?n=50",
        "/v1/new?n=50",
        "/v1/items/A/similar?n=50",
    ];
    let has = |page: &&str| {
        let answer = shop.get(page).json();
        let items = answer.get("items").or(answer.get("hits")).and_then(Value::as_array).unwrap();
        items.iter().any(|item| item["id"] == id)
    };
    pages.into_iter().filter(has).collect()
}

/// Waits until the index and the models have taken in what was sent.
fn settle(shop: &Shop, last: &str) {
    shop.engine.wait_until_learned();
    let until = Instant::now() + Duration::from_secs(10);
    while shop.get(&format!("/v1/search?q={last}")).json()["total"] == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn view(item: &str, user: &str) -> Value {
    json!({"type": "view", "item": item, "user": user, "at": "2026-03-01T10:00:00Z"})
}

#[test]
fn an_item_is_on_no_page_before_its_date_of_publication() {
    let shop = Shop::open(HttpSettings::default());
    let items = json!([
        {"id": "A", "title": "Cup plain", "published_at": "2025-12-30T00:00:00Z"},
        {"id": "LATER", "title": "Cup secret", "published_at": "2999-01-01T00:00:00Z"},
        {"id": "OLD", "title": "Cup old", "published_at": "2020-01-01"},
    ]);
    assert_eq!(shop.post("/v1/items", &items).status, 200);
    assert_eq!(shop.post("/v1/events", &json!([view("LATER", "u1"), view("A", "u1"), view("OLD", "u1")])).status, 200);
    settle(&shop, "old");
    assert_eq!(shown_by(&shop, "LATER"), [""; 0]);
    let new = shop.get("/v1/new").json();
    let ids: Vec<_> = new["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["A", "OLD"]);
    let earlier = json!({"published_at": "2026-01-01T00:00:00Z"});
    assert_eq!(shop.json("PATCH", "/v1/items/LATER", &earlier).status, 200);
    assert_eq!(shown_by(&shop, "LATER").len(), 5);
    assert_eq!(shop.get("/v1/new?n=1").json()["items"][0]["id"], "LATER");
}

#[test]
fn an_item_that_only_events_name_is_on_no_page_once_there_is_a_catalogue() {
    let shop = Shop::open(HttpSettings::default());
    let events = json!([view("cup-old", "u1"), view("cup-old", "u2"), view("A", "u1")]);
    assert_eq!(shop.post("/v1/events", &events).status, 200);
    shop.engine.wait_until_learned();
    assert!(shown_by(&shop, "cup-old").len() > 2, "without a catalogue, events are all there is");
    assert_eq!(shop.post("/v1/items", &json!([{"id": "A", "title": "Cup plain"}])).status, 200);
    settle(&shop, "plain");
    assert_eq!(shown_by(&shop, "cup-old"), [""; 0]);
    let status = shop.engine.status();
    assert_eq!((status.n_items, status.n_described, status.n_unknown), (2, 1, 1));
    assert!(shop.get("/metrics").text().contains("accrue_items_unknown 1"));
    assert_eq!(shop.post("/v1/items", &json!([{"id": "cup-old", "title": "Cup old"}])).status, 200);
    settle(&shop, "old");
    assert!(!shown_by(&shop, "cup-old").is_empty());
}

#[test]
fn an_incomplete_item_is_found_and_recommended_only_if_asked_for() {
    let shop = Shop::open(HttpSettings::default());
    let items = json!([
        {"id": "A", "title": "Cup plain", "price": 5},
        {"id": "FREE", "title": "Cup sample", "price": 0},
        {"id": "UNTITLED", "description": "a cup", "price": 5},
    ]);
    assert_eq!(shop.post("/v1/items", &items).status, 200);
    let events = json!([view("FREE", "u1"), view("UNTITLED", "u1"), view("A", "u1")]);
    assert_eq!(shop.post("/v1/events", &events).status, 200);
    settle(&shop, "sample");
    for id in ["FREE", "UNTITLED"] {
        assert_eq!(shown_by(&shop, id), ["/v1/search?q=cup&n=50"], "{id}");
        for page in ["/v1/recommend/stranger", "/v1/trending", "/v1/new"] {
            let asked = shop.get(&format!("{page}?incomplete=show")).json();
            assert!(asked["items"].as_array().unwrap().iter().any(|item| item["id"] == id), "{page} {id}");
        }
    }
    shop.get("/v1/trending?incomplete=perhaps").problem(400, "invalid_query");
}

#[test]
fn a_filter_on_a_field_that_no_item_has_is_refused_on_every_page() {
    let shop = Shop::open(HttpSettings::default());
    assert_eq!(shop.get("/v1/trending?filter=colour:red").status, 200, "an empty shop has no fields yet");
    let items = json!([{"id": "A", "title": "Cup", "categories": ["Adult"], "price": 5, "colour": "red"}]);
    assert_eq!(shop.post("/v1/items", &items).status, 200);
    settle(&shop, "cup");
    for filter in ["categories:Adult", "NOT%20categories:Adult", "prize:1..10", "color:red", "NOT%20tags:x"] {
        for page in ["/v1/search?q=cup&", "/v1/recommend/u1?", "/v1/trending?", "/v1/new?", "/v1/items/A/similar?"] {
            let refused = shop.get(&format!("{page}filter={filter}")).problem(400, "invalid_filter");
            assert!(!refused["near"].as_array().unwrap().is_empty(), "{refused}");
        }
    }
    let refused = shop.post("/v1/recommend", &json!({"filter": "prize:1..10"})).problem(400, "invalid_filter");
    assert_eq!((&refused["name"], &refused["near"]), (&json!("prize"), &json!(["price"])));
    for filter in ["category:Adult", "NOT%20tag:x", "price:1..10", "colour:red", "attributes.colour:red"] {
        assert_eq!(shop.get(&format!("/v1/search?q=cup&filter={filter}")).json()["total"], 1, "{filter}");
    }
    assert_eq!(shop.send("DELETE", "/v1/items/A", &[], b"").status, 204);
    assert_eq!(shop.get("/v1/trending?filter=colour:red").status, 200, "a field stays when its last item is retired");
}
