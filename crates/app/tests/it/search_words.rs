//! What the words of a search find over HTTP: corrections, words left out, synonyms that survive a restart.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::Shop;

fn shop() -> Shop {
    let shop = Shop::open(HttpSettings::default());
    let items = json!([
        {"id": "1", "title": "Red umbrella", "attributes": {"material": "velvet"}},
        {"id": "2", "title": "Lunch bag woodland"},
        {"id": "3", "title": "Laptop computer sleeve"},
        {"id": "4", "title": "Red plate"},
    ]);
    assert_eq!(shop.post("/v1/items", &items).json()["accepted"], 4);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while shop.get("/v1/search?q=red").json()["total"] != 2 && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    shop
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn a_search_says_what_it_corrected_and_what_it_left_out() {
    let shop = shop();
    let answer = shop.get("/v1/search?q=Red%20umberlla").json();
    assert_eq!((ids(&answer), &answer["corrected"]), (vec!["1"], &json!("Red umbrella")));
    let strict = shop.get("/v1/search?q=umberlla&typo=off").json();
    assert_eq!((&strict["total"], strict.get("corrected")), (&json!(0), None));
    let fewer = shop.get("/v1/search?q=red%20xyzzyq").json();
    assert_eq!((&fewer["total"], &fewer["dropped"]), (&json!(2), &json!(["xyzzyq"])));
    assert!(shop.get("/v1/search?q=red").json().get("dropped").is_none());
    for (query, id) in [("velvet", "1"), ("lunchbag", "2"), ("umbr", "1"), ("luchbag", "2")] {
        assert_eq!(ids(&shop.get(&format!("/v1/search?q={query}")).json()), [id], "{query}");
    }
    assert_eq!(shop.get("/v1/search?q=a&typo=never").status, 400);
}

#[test]
fn synonyms_are_replaced_and_a_fault_changes_nothing() {
    let shop = shop();
    assert_eq!(shop.get("/v1/search/synonyms").json(), json!({"synonyms": []}));
    assert_eq!(ids(&shop.get("/v1/search?q=parasol").json()), [""; 0]);
    let rules = json!({"synonyms": ["parasol, umbrella", "notebook => laptop computer"]});
    assert_eq!(shop.json("PUT", "/v1/search/synonyms", &rules).json(), rules);
    for (query, id) in [("parasol", "1"), ("notebook", "3")] {
        assert_eq!(ids(&shop.get(&format!("/v1/search?q={query}")).json()), [id], "{query}");
    }
    assert_eq!(
        shop.json("PUT", "/v1/search/synonyms", &json!({"synonyms": ["parasol, umbrella", "alone"]})).status,
        400
    );
    assert_eq!(shop.get("/v1/search/synonyms").json(), rules);
}
