//! Searches over HTTP in a shop with an encoder, and the order that choices teach.

use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine};
use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::Shop;

fn shop_with_encoder(encoder: &str) -> Shop {
    let mut config = Config::default();
    config.content.encoder = encoder.into();
    config.search.similar.within_ms = 10_000;
    Shop::open_with(HttpSettings::default(), |dir| Engine::open_to_serve(dir, &config).unwrap())
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

fn until(shop: &Shop, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = shop.get(path).json();
        if is_so(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{path}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_similar_to_a_query_is_found_and_the_answer_says_why() {
    let shop = shop_with_encoder("hashed");
    let titles = ["lampshade", "lampshades of linen", "teapot", "coffee cup", "wool hat", "desk", "chair", "rug"];
    let items: Vec<Value> =
        titles.iter().enumerate().map(|(n, title)| json!({"id": format!("i{n}"), "title": title})).collect();
    shop.post("/v1/items", &json!(items)).json();
    until(&shop, "/v1/quality", |quality| quality["content"]["encoded"] == 8);
    shop.engine.wait_until_learned();
    // No item has the word, and it is not taken for another one.
    let path = "/v1/search?q=lampshadow&typo=off&explain=true";
    let answer =
        until(&shop, path, |answer| answer["degraded"].as_array().unwrap().iter().all(|word| word != "no_vectors"));
    assert_eq!(ids(&answer)[0], "i0", "{answer}");
    assert!(answer["hits"][0]["reasons"].to_string().contains("similar_meaning"), "{answer}");
    assert_eq!(answer["dropped"], json!(["lampshadow"]));
    assert_eq!(answer["total"].as_u64().unwrap() as usize, ids(&answer).len());
    assert_eq!(ids(&shop.get("/v1/search?q=teapot").json())[0], "i2");
    for query in ["%20", "%F0%9F%8D%B5", &"x".repeat(1_000), "%22%28%29%2A", "%E7%BA%A2%E8%8C%B6"] {
        let answer = shop.get(&format!("/v1/search?q={query}"));
        assert_eq!(answer.status, 200, "{query}");
    }
}

#[test]
fn without_an_encoder_that_works_searches_are_lexical_and_say_so() {
    let shop = shop_with_encoder("/no/such/folder");
    shop.post("/v1/items", &json!([{"id": "a", "title": "teapot"}])).json();
    let answer = until(&shop, "/v1/search?q=teapot", |answer| answer["total"] == 1);
    assert!(answer["degraded"].as_array().unwrap().contains(&json!("no_encoder")), "{answer}");
    assert!(!shop.get("/v1/search?q=").json()["degraded"].to_string().contains("no_encoder"));
}

/// Searches for each word, of which there are three towels at different prices, and takes the one at this place by price.
fn take(shop: &Shop, words: &[String], place: usize, round: usize) {
    for (n, word) in words.iter().enumerate() {
        let found = shop.get(&format!("/v1/search?q={word}&strength=0")).json();
        let item = format!("{word}-{place}");
        let position = ids(&found).iter().position(|id| *id == item);
        let position = position.unwrap_or_else(|| panic!("{word} in round {round}: {found}"));
        let event = json!({"type": "purchase", "user": format!("u{round}-{n}"), "item": item, "position": position,
            "recommendation_id": found["search_id"], "at": format!("2026-03-01T{:02}:{:02}:00Z", 10 + round, n % 60)});
        // The price is that of the item, which counts as a repair.
        assert_eq!(shop.post("/v1/events", &json!([event])).json()["repairs"], json!({"price_from_item": 1}));
    }
}

#[test]
fn choices_after_searches_teach_the_order_of_other_searches_and_a_replay_learns_the_same() {
    let shop = Shop::open(HttpSettings::default());
    let words: Vec<String> =
        (0..150_u8).map(|n| format!("linen{}{}k", (b'a' + n / 26) as char, (b'a' + n % 26) as char)).collect();
    let towel = |word: &String, place: usize| {
        // The dear one is shown first to begin with, because it was posted first.
        json!({"id": format!("{word}-{place}"), "title": format!("{word} towel"), "price": ([30.0, 20.0, 10.0][place])})
    };
    let items: Vec<Value> = words.iter().flat_map(|word| (0..3).map(move |place| towel(word, place))).collect();
    shop.post("/v1/items", &json!(items)).json();
    until(&shop, &format!("/v1/search?q={}", words[149]), |answer| answer["total"] == 3);
    let state = || shop.get("/v1/quality").json()["search"].clone();
    assert_eq!(state()["state"], "learning");
    // Two shoppers for each query: nothing is counted as chosen after the query itself.
    take(&shop, &words[..140], 2, 0);
    take(&shop, &words[..140], 2, 1);
    let learned = state();
    assert_eq!((&learned["state"], &learned["choices"]), (&json!("active"), &json!(280)), "{learned}");
    assert!(learned["weights"]["price"].as_f64().unwrap() > 0.1, "{learned}");
    let answer = shop.get(&format!("/v1/search?q={}&strength=0&explain=true", words[149])).json();
    assert_eq!(
        ids(&answer)[0],
        format!("{}-2", words[149]),
        "the cheap one, of a query that was never asked: {answer}"
    );
    let reasons = answer["hits"][0]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["code"] == "learned_order"), "{answer}");
    let sum: f64 = reasons.iter().map(|reason| reason["share"].as_f64().unwrap()).sum();
    assert!((sum - answer["hits"][0]["score"].as_f64().unwrap()).abs() < 1e-3, "{answer}");
    // Shoppers turn to the dear ones: the order is worse than the usual one for a while, and is not used meanwhile.
    let mut is_off = false;
    for round in 2..8 {
        take(&shop, &words[..140], 0, round);
        is_off = state()["state"] == "off";
        if is_off {
            let answer = shop.get(&format!("/v1/search?q={}", words[149])).json();
            assert!(answer["degraded"].as_array().unwrap().contains(&json!("learned_order_off")), "{answer}");
            break;
        }
    }
    let now = state();
    assert!(is_off || now["weights"]["price"].as_f64() < learned["weights"]["price"].as_f64(), "{now}");
    shop.engine.close().unwrap();
    let replay = accrue_engine::replay(&shop.dir, &Config::default(), None, true).unwrap();
    assert_eq!(replay.equal, Some(true), "{replay:?}");
}
