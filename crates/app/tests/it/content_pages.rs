//! A product that is posted with a title alone, in a shop with an encoder: pages know what it is before anybody chose it.

use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine};
use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::{Shop, wait_until};

/// After all purchases.
const VIEWED_AT_MS: u64 = 1_771_000_000_000;

const KINDS: [&str; 6] = ["mug", "lamp", "cushion", "candle", "basket", "kettle"];
/// The first page has room for all of a kind.
const OF_A_KIND: usize = 8;
const COLOURS: [&str; 10] =
    ["red", "blue", "green", "white", "black", "yellow", "purple", "orange", "pink", "turquoise"];
const FORMS: [&str; 4] = ["small", "large", "striped", "plain"];

/// A shop of six kinds of things. Each shopper buys one kind, four things in a visit.
fn shop_with_encoder() -> Shop {
    let mut config = Config::default();
    config.content.encoder = "hashed".into();
    let shop = Shop::open_with(HttpSettings::default(), |dir| Engine::open_to_serve(dir, &config).unwrap());
    let item = |number: usize| {
        let (kind, form) = (KINDS[number % KINDS.len()], FORMS[number / KINDS.len() % FORMS.len()]);
        let colour = COLOURS[number / KINDS.len() / FORMS.len()];
        json!({"id": format!("i{number}"), "title": format!("{form} {colour} {kind}")})
    };
    let n_items = KINDS.len() * OF_A_KIND;
    let items: Vec<Value> = (0..n_items).map(item).collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).json()["accepted"], n_items);
    wait_until("the catalogue has vectors", || shop.get("/v1/quality").json()["content"]["encoded"] == n_items);
    for shopper in 0..60_usize {
        let choice = |turn: usize| {
            let item = (shopper * 7 + turn * turn * 3) % OF_A_KIND * KINDS.len() + shopper % KINDS.len();
            json!({"id": format!("e{shopper}-{turn}"), "type": "purchase", "user": format!("u{shopper}"),
                "item": format!("i{item}"), "at": 1_770_000_000_000_u64 + (turn / 4 * 60 + shopper) as u64 * 600_000 + (turn % 4) as u64 * 60_000})
        };
        let events: Vec<Value> = (0..16).map(choice).collect();
        assert_eq!(shop.post("/v1/events", &json!(events)).json()["accepted"], 16);
    }
    shop.engine.wait_until_learned();
    shop
}

/// The first page of a visit in which one item was viewed.
fn page_after_view(shop: &Shop, visit: &str, viewed: &str) -> Vec<Value> {
    let view = json!({"type": "view", "session": visit, "item": viewed, "at": VIEWED_AT_MS});
    assert_eq!(shop.post("/v1/events", &json!([view])).status, 200);
    shop.engine.wait_until_learned();
    let page = shop.post("/v1/recommend", &json!({"session": visit, "n": 10, "explain": true})).json();
    page["items"].as_array().unwrap().clone()
}

#[test]
fn a_product_with_a_title_alone_is_recommended_to_the_right_visits_within_a_second() {
    let shop = shop_with_encoder();
    let mut quickest = Duration::MAX;
    for (kind, name) in KINDS.iter().enumerate() {
        let id = format!("new-{name}");
        let viewed = format!("i{kind}");
        let (begun, mut looks) = (Instant::now(), 0);
        shop.post("/v1/items", &json!([{"id": id, "title": format!("brown {name}")}])).json();
        let page = loop {
            looks += 1;
            let page = page_after_view(&shop, &format!("{name}-{looks}"), &viewed);
            if page.iter().any(|item| item["id"] == id.as_str()) {
                break page;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{id} stands on no page");
        };
        quickest = quickest.min(begun.elapsed());
        let place = page.iter().position(|item| item["id"] == id.as_str()).unwrap();
        let cites_the_view = |reason: &Value| reason["code"] == "because_of_event" && reason["item"] == viewed.as_str();
        assert!(page[place]["reasons"].as_array().unwrap().iter().any(cites_the_view), "{}", page[place]);
        let place_for = |other: usize| {
            let page = page_after_view(&shop, &format!("other-{name}-{other}"), &format!("i{other}"));
            page.iter().position(|item| item["id"] == id.as_str()).unwrap_or(page.len())
        };
        let others: Vec<usize> = (0..KINDS.len()).filter(|other| *other != kind).map(place_for).collect();
        // Words of two kinds may share letters, which is what the encoder without weights goes by.
        let n_behind = others.iter().filter(|other| **other > place).count();
        assert!(2 * n_behind > others.len() && others.iter().all(|other| *other >= place), "{id}: {place} {others:?}");
    }
    // Any of six, because a busy machine may hold one up.
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
}
