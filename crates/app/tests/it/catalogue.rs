//! Which items a shop's pages show: dates of publication, unknown and incomplete items, and filters on fields.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::time::{Duration, Instant};

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::{Shop, wait_until};

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

#[test]
fn a_product_that_is_taken_out_takes_its_variants_along() {
    let shop = Shop::open(HttpSettings::default());
    let items = json!([
        {"id": "P", "title": "Linen shirt", "price": 30},
        {"id": "P-s", "parent": "P"},
        {"id": "P-m", "parent": "P"},
        {"id": "mug", "title": "Red mug", "price": 9},
    ]);
    assert_eq!(shop.post("/v1/items", &items).status, 200);
    let on_sale = || {
        let page = shop.get("/v1/recommend/u1?n=10&variants=all").json();
        let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(on_sale().len(), 4);
    assert_eq!(shop.send("DELETE", "/v1/items/P-s", &[], b"").status, 204);
    assert_eq!(on_sale(), ["P", "P-m", "mug"].map(str::to_owned).into(), "a variant goes alone");
    assert_eq!(shop.send("DELETE", "/v1/items/P", &[], b"").status, 204);
    assert_eq!(on_sale(), ["mug"].map(str::to_owned).into());
    assert_eq!(shop.send("DELETE", "/v1/items/P-m", &[], b"").status, 404, "it is gone");
    // What is sent again is back.
    assert_eq!(shop.post("/v1/items", &items).status, 200);
    assert_eq!(on_sale().len(), 4);
}

#[test]
fn a_variant_stands_in_for_the_one_of_its_product_that_sold_and_is_sold_out() {
    let shop = Shop::open(HttpSettings::default());
    let variant = |product: usize, colour: &str, stock: u32| json!({"id": format!("p{product}-{colour}"), "parent": format!("p{product}"), "title": "Coffee tee", "price": 9, "colour": colour, "stock": stock});
    // The red one of product 0 sold best and is sold out; product 3 never sold.
    let items: Vec<Value> =
        (0..4).flat_map(|n| [variant(n, "blue", 5), variant(n, "red", u32::from(n != 0))]).collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).status, 200);
    let sold = |product: usize, n: usize| {
        (0..n).map(move |shopper| json!({"type": "purchase", "user": format!("u{shopper}"), "item": format!("p{product}-red")}))
    };
    let events: Vec<Value> = sold(0, 12).chain(sold(1, 6)).chain(sold(2, 3)).collect();
    assert_eq!(shop.post("/v1/events", &json!(events)).status, 200);
    settle(&shop, "tee");
    let ids = |path: &str| -> Vec<String> {
        let answer = shop.get(path).json();
        let listed = answer.get("items").or(answer.get("hits")).and_then(Value::as_array).unwrap().clone();
        listed.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    wait_until("the purchases are learned", || ids("/v1/trending?n=4").len() == 3);
    assert_eq!(ids("/v1/trending?n=4"), ["p0-blue", "p1-red", "p2-red"]);
    assert_eq!(ids("/v1/trending?n=4&filter=colour:blue"), ["p0-blue", "p1-blue", "p2-blue"]);
    assert_eq!(ids("/v1/trending?n=4&variants=all"), ["p1-red", "p2-red"]);
    assert_eq!(ids("/v1/search?q=tee")[..3], ["p0-blue", "p1-red", "p2-red"]);
}

#[test]
fn a_value_that_cannot_be_read_changes_nothing_and_is_told() {
    let shop = Shop::open(HttpSettings::default());
    let mug =
        json!({"id": "mug", "title": "Red mug", "price": 49.9, "stock": 5, "published_at": "2020-01-01T00:00:00Z"});
    assert_eq!(shop.post("/v1/items", &json!([mug])).status, 200);
    let before = shop.get("/v1/items/mug").json();
    for (field, value) in [
        ("stock", json!("abc")),
        ("stock", json!([1])),
        ("available", json!("perhaps")),
        ("price", json!("1,234")),
        ("published_at", json!("soon")),
    ] {
        let reason = match field {
            "available" => "item_bad_availability",
            "published_at" => "item_bad_time",
            field => &format!("item_bad_{field}"),
        };
        let mut whole = json!({"id": "mug", "title": "Blue mug"});
        whole[field] = value;
        for answer in [
            shop.json("PATCH", "/v1/items", &json!([whole])),
            shop.json("PUT", "/v1/items/mug", &whole),
            shop.post("/v1/items", &json!([whole])),
        ] {
            assert_eq!(answer.problem(422, "record_refused")["reason"], *reason, "{whole}");
        }
        let feed = json!([whole, {"id": "mug", "stock": 5}]);
        let answer = shop.json("PATCH", "/v1/items", &feed).json();
        assert_eq!((&answer["refused"][0]["reason"], &answer["unchanged"]), (&json!(reason), &json!(1)));
        assert_eq!(shop.get("/v1/items/mug").json(), before, "{whole}");
    }
    // More was sold than there was.
    let oversold = shop.json("PATCH", "/v1/items", &json!([{"id": "mug", "stock": -3}])).json();
    assert_eq!((&oversold["repaired"], &oversold["repairs"]), (&json!(1), &json!({"stock_floored": 1})));
}

#[test]
fn repairs_are_told_by_their_reasons_and_misspelt_fields_by_the_near_ones() {
    let shop = Shop::open(HttpSettings::default());
    let items = json!([
        {"id": " a", "titel": "Cup", "colour": "red"},
        {"id": "b", "title": "<b>Cup</b>", "titel": "Tasse", "stok": 3},
    ]);
    let answer = shop.post("/v1/items", &items).json();
    assert_eq!(answer["repairs"], json!({"markup_removed": 1, "trimmed": 1}));
    let misspelt = json!([
        {"name": "stok", "near": "stock", "records": 1},
        {"name": "titel", "near": "title", "records": 1},
    ]);
    assert_eq!(answer["misspelt"], misspelt);
    assert_eq!(shop.get("/v1/items/b").json()["attributes"]["stok"], 3.0);
    let changed = shop.json("PATCH", "/v1/items", &json!([{"id": "b", "prize": 9}])).json();
    assert_eq!(changed["misspelt"][0]["near"], "price");
    let event = json!({"type": "purchase", "user": "u", "item": "a", "quanttity": 3, "at": "2026-03-01T10:00:00Z"});
    let taken = shop.post("/v1/events", &json!([event])).json();
    assert_eq!(taken["misspelt"], json!([{"name": "quanttity", "near": "quantity", "records": 1}]));
    assert!(shop.post("/v1/events", &json!([view("a", "u")])).json().get("misspelt").is_none());
}

#[test]
fn prices_are_printed_and_filtered_as_they_were_sent() {
    let shop = Shop::open(HttpSettings::default());
    let prices = [("a", json!(49.9)), ("b", json!("12345678.91")), ("c", json!(12_345_678.9)), ("d", json!(0.1 + 0.2))];
    let items: Vec<Value> =
        prices.iter().map(|(id, price)| json!({"id": id, "title": "Cup", "price": price})).collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).status, 200);
    settle(&shop, "cup");
    let text = |id: &str| shop.get(&format!("/v1/items/{id}")).text().to_owned();
    for (id, printed) in [("a", "49.9"), ("b", "12345678.91"), ("c", "12345678.9"), ("d", "0.3")] {
        assert!(text(id).contains(&format!("\"price\":{printed},")), "{}", text(id));
    }
    let found =
        |filter: &str| shop.get(&format!("/v1/search?q=cup&filter={filter}&fields=price")).json()["hits"].clone();
    for (filter, id) in
        [("price:49.9", "a"), ("price:12345678.91", "b"), ("price:12345678.9", "c"), ("price:..0.3", "d")]
    {
        let hits = found(filter);
        assert_eq!((hits.as_array().unwrap().len(), &hits[0]["id"]), (1, &json!(id)), "{filter}: {hits}");
    }
}
