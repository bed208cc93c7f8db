//! Pages of search over HTTP: facets, orders, categories without words, suggestions.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::time::{Duration, Instant};

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::Shop;

/// A shop of shirts in sizes and of hats.
fn shop() -> Shop {
    let shop = Shop::open(HttpSettings::default());
    let size = |id: &str, size: &str, price: f32| {
        json!({"id": id, "parent": "shirt", "title": "Linen shirt", "brand": "Acme", "categories": ["Shirts"],
            "price": price, "attributes": {"size": size, "colour": "white"}})
    };
    let items = json!([
        size("s", "S", 20.0),
        size("m", "M", 18.5),
        {"id": "hat", "title": "Linen hat", "brand": "Bolt", "categories": ["Hats", "Summer"], "price": 9.99,
            "attributes": {"colour": "white"}, "stock": 3},
        {"id": "cap", "title": "Linen cap", "brand": "bolt", "categories": ["Hats"], "price": 4,
            "attributes": {"colour": "red"}},
        {"id": "bag", "title": "Linen bag", "categories": ["Bags"]},
    ]);
    assert_eq!(shop.post("/v1/items", &items).json()["accepted"], 5);
    until(&shop, "/v1/search?q=linen", |answer| answer["total"] == 4);
    until(&shop, "/v1/suggest?q=linen%20b", |answer| answer["suggestions"] != json!([]));
    shop
}

fn until(shop: &Shop, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = shop.get(path).json();
        if is_so(&answer) || Instant::now() > end {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn hits_have_title_and_price_and_facets_count_products() {
    let shop = shop();
    let answer = shop.get("/v1/search?q=linen&facets=brand,category,price,size").json();
    let hat = answer["hits"].as_array().unwrap().iter().find(|hit| hit["id"] == "hat").unwrap();
    assert_eq!((&hat["title"], &hat["price"]), (&json!("Linen hat"), &json!(9.99)));
    assert!(shop.get("/v1/search?q=hat&fields=brand").json()["hits"][0]["title"].is_null());
    let facets = &answer["facets"];
    assert_eq!(facets["brand"], json!([{"value": "Bolt", "count": 2}, {"value": "Acme", "count": 1}]));
    let category = json!([{"value": "Hats", "count": 2}, {"value": "Bags", "count": 1}, {"value": "Shirts", "count": 1},
        {"value": "Summer", "count": 1}]);
    assert_eq!(facets["category"], category);
    assert_eq!(facets["size"], json!([{"value": "M", "count": 1}, {"value": "S", "count": 1}]));
    assert_eq!((&facets["price"]["min"], &facets["price"]["max"]), (&json!(4.0), &json!(20.0)));
    let ranges = facets["price"]["ranges"].as_array().unwrap();
    for range in ranges {
        let filter = format!("price%3E={}%20AND%20price%3C{}", range["from"], range["to"]);
        let found = shop.get(&format!("/v1/search?q=linen&filter={filter}")).json();
        assert_eq!(found["total"], range["count"], "{range}");
    }
    assert!(shop.get("/v1/search?q=linen").json().get("facets").is_none());

    let of_bolt =
        shop.post("/v1/search", &json!({"q": "linen", "filter": "brand:bolt", "facets": ["brand", "colour"]}));
    let of_bolt = of_bolt.json();
    assert_eq!(of_bolt["total"], 2);
    assert_eq!(of_bolt["facets"]["brand"], facets["brand"], "its own selection does not restrict a facet");
    assert_eq!(of_bolt["facets"]["colour"], json!([{"value": "red", "count": 1}, {"value": "white", "count": 1}]));
}

#[test]
fn hits_are_sorted_and_of_a_product_the_cheapest_variant_stands_in_the_list() {
    let shop = shop();
    let sorted = |sort: &str| {
        let answer = shop.get(&format!("/v1/search?q=linen&sort={sort}")).json();
        ids(&answer).join(" ")
    };
    assert_eq!(sorted("price:asc"), "cap hat m bag");
    assert_eq!(sorted("price:desc"), "s hat cap bag");
    assert_eq!(sorted("title"), "bag cap hat m");
    assert_eq!(sorted("brand,price:desc"), "s hat cap bag");
    let pages: Vec<String> = (0..4)
        .map(|offset| ids(&shop.get(&format!("/v1/search?q=linen&sort=price&n=1&offset={offset}")).json()).join(""))
        .collect();
    assert_eq!(pages.join(" "), "cap hat m bag");
}

#[test]
fn a_category_is_listed_without_words() {
    let shop = shop();
    let list = shop.get("/v1/search?filter=category:hats&facets=brand").json();
    assert_eq!((&list["total"], ids(&list).len()), (&json!(2), 2));
    assert_eq!(
        shop.post("/v1/search", &json!({"filter": "category:hats", "sort": "price"})).json()["hits"][0]["id"],
        "cap"
    );
    assert_eq!(shop.get("/v1/search?q=").json()["total"], 4);
    assert_eq!(shop.get("/v1/search").problem(400, "invalid_query")["field"], "query");
}

#[test]
fn names_that_do_not_exist_are_problems_with_near_ones() {
    let shop = shop();
    let problem = shop.get("/v1/search?q=linen&facets=brand,color").problem(400, "invalid_value");
    assert_eq!((&problem["field"], &problem["near"]), (&json!("facets"), &json!(["colour"])));
    let problem = shop.get("/v1/search?q=linen&sort=prize:asc").problem(400, "invalid_value");
    assert_eq!((&problem["field"], &problem["near"]), (&json!("sort"), &json!(["price"])));
    for sort in ["price:up", "price,title,id,stock,brand", "relevance,price"] {
        shop.get(&format!("/v1/search?q=linen&sort={sort}")).problem(400, "invalid_value");
    }
    let many = vec!["brand"; 21].join(",");
    shop.get(&format!("/v1/search?q=linen&facets={many}")).problem(400, "invalid_value");
    shop.get("/v1/search?q=linen&facets=title").problem(400, "invalid_value");
}

#[test]
fn what_begins_like_the_text_is_suggested_while_it_may_be_shown() {
    let shop = shop();
    let suggested = |query: &str| shop.get(&format!("/v1/suggest?q={query}")).json()["suggestions"].clone();
    assert_eq!(suggested("ha")[0], json!({"text": "Hats", "kind": "category"}));
    assert_eq!(suggested("linen%20ha"), json!([{"text": "Linen hat", "kind": "item", "id": "hat"}]));
    assert_eq!(suggested("lnien%20cap"), json!([{"text": "Linen cap", "kind": "item", "id": "cap"}]));
    assert_eq!(suggested("ACM"), json!([{"text": "Acme", "kind": "brand"}]));
    assert_eq!(shop.send("PATCH", "/v1/items/hat", &[], br#"{"stock": 0}"#).status, 200);
    assert_eq!((suggested("linen%20ha"), suggested("summer")), (json!([]), json!([])), "sold out");
    assert_eq!(shop.send("DELETE", "/v1/items/cap", &[], b"").status / 100, 2);
    until(&shop, "/v1/suggest?q=hats", |answer| answer["suggestions"] == json!([]));
    assert_eq!(suggested("bolt"), json!([]), "no item of the brand is sold");
    shop.get("/v1/suggest").problem(400, "invalid_query");
    shop.get("/v1/suggest?q=a&n=51").problem(400, "invalid_value");
    shop.get(&format!("/v1/suggest?q={}", "a".repeat(2_000))).problem(400, "invalid_value");
}

#[test]
fn rules_of_the_shop_hold_from_the_next_answer_on() {
    let shop = shop();
    let found = || {
        let answer = shop.get("/v1/search?q=linen&explain=true").json();
        ids(&answer).join(" ")
    };
    assert_eq!(shop.get("/v1/rules").json(), json!({"offset": 0, "rules": []}));
    let pin = json!({"name": "linen week", "action": "pin", "query": "Linen", "items": ["bag", "cap"]});
    let rules = shop.post("/v1/rules", &pin).json();
    assert_eq!(rules["rules"], json!([pin]));
    assert!(found().starts_with("bag cap"), "{}", found());
    let hit = &shop.get("/v1/search?q=linen&explain=true").json()["hits"][0];
    assert!(hit["reasons"].to_string().contains("pinned by rule linen week"), "{hit}");
    let all = json!({"rules": [{"name": "no caps", "action": "hide", "filter": "category:hats"}]});
    assert_eq!(shop.json("PUT", "/v1/rules", &all).json()["rules"], all["rules"]);
    assert_eq!(shop.get("/v1/search?q=linen").json()["total"], 2);
    assert_eq!(shop.get("/v1/recommend/anybody?n=10").json()["total"], 2);

    let typo = json!({"rules": [{"name": "x", "action": "hide", "filter": "NOT colur:red"}]});
    let problem = shop.json("PUT", "/v1/rules", &typo).problem(400, "invalid_value");
    assert!(
        problem["field"] == "rules[0].filter" && problem["detail"].as_str().unwrap().contains("colur"),
        "{problem}"
    );
    let problem = shop.post("/v1/rules", &json!({"name": "x", "action": "boost", "filter": "price:"}));
    assert_eq!(problem.problem(400, "invalid_value")["field"], "factor");
    let body = json!({"rules": [{"name": "x", "action": "explode", "items": ["a"]}]});
    shop.json("PUT", "/v1/rules", &body).problem(400, "invalid_body");
    let body = json!({"rules": [{"name": "x", "action": "hide", "filter": "price:"}]});
    assert_eq!(shop.json("PUT", "/v1/rules", &body).problem(400, "invalid_value")["field"], "rules[0].filter");
    assert_eq!(shop.get("/v1/search?q=linen").json()["total"], 2, "nothing changed");

    shop.send("DELETE", "/v1/rules/nothing", &[], b"").problem(404, "not_found");
    assert_eq!(shop.send("DELETE", "/v1/rules/no%20caps", &[], b"").json()["rules"], json!([]));
    assert_eq!(shop.get("/v1/search?q=linen").json()["total"], 4);
    assert_eq!(shop.send("DELETE", "/v1/rules", &[], b"").status, 200);
}

#[test]
fn clicks_of_several_shoppers_move_the_next_identical_search_and_make_a_suggestion() {
    let shop = shop();
    let before = shop.get("/v1/search?q=linen").json();
    let order = ids(&before);
    let last = order[order.len() - 1].to_owned();
    for (n, user) in ["ann", "bob", "eve"].into_iter().enumerate() {
        let found = shop.get(&format!("/v1/search?q=linen&user={user}")).json();
        let position = ids(&found).iter().position(|id| *id == last).unwrap();
        let click = json!({"type": "click", "user": user, "item": last, "recommendation_id": found["search_id"],
            "position": position, "at": format!("2026-03-01T10:00:0{n}Z")});
        let now = shop.get("/v1/search?q=linen&personalisation=0&explain=true").json();
        assert!(!now.to_string().contains("chosen_after_search"), "not before {user}");
        assert_eq!(shop.post("/v1/events", &json!([click])).json()["accepted"], 1);
    }
    // The facts are current at the acknowledgement, so no wait is needed.
    let after = shop.get("/v1/search?q=LINEN&personalisation=0&explain=true").json();
    assert_eq!(ids(&after)[0], last, "{after}");
    assert!(after["hits"][0]["reasons"].to_string().contains("chosen_after_search"));
    let other = shop.get("/v1/search?q=linen%20shirt&explain=true").json();
    assert!(!other.to_string().contains("chosen_after_search"), "another query");
    let suggested = shop.get("/v1/suggest?q=lin").json();
    let query = json!({"text": "linen", "kind": "query"});
    assert!(suggested["suggestions"].as_array().unwrap().contains(&query), "{suggested}");
    assert!(shop.engine.item(&last.as_str().into()).is_some());
}

#[test]
fn rules_name_items_in_any_form_that_records_may_have() {
    let shop = shop();
    let cheese = json!([{"id": "K\u{e4}se", "title": "Linen cheese", "categories": ["Bags"], "price": 3}]);
    assert_eq!(shop.post("/v1/items", &cheese).json()["accepted"], 1);
    assert_eq!(until(&shop, "/v1/search?q=linen", |answer| answer["total"] == 5)["total"], 5);
    let hide = json!({"name": "none", "action": "hide", "items": [" Ka\u{308}se\u{a0}", "cap "]});
    let rules = shop.post("/v1/rules", &hide).json();
    assert_eq!(rules["rules"][0]["items"], json!(["K\u{e4}se", "cap"]), "{rules}");
    assert!(rules["missing"].is_null() || rules["missing"] == json!({}), "{rules}");
    assert_eq!(shop.get("/v1/search?q=linen").json()["total"], 3);
    let campaigns = json!({"campaigns": [{"id": "c", "items": ["Ka\u{308}se "], "bid": 5, "daily_budget": 100}]});
    let answer = shop.json("PUT", "/v1/campaigns", &campaigns);
    assert_eq!(answer.status, 200, "{}", answer.json());
}
