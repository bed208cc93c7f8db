//! Pages over HTTP: their contract, their bounds, and that every answer is recorded.

use std::time::{Duration, Instant};

use accrue_engine::Config;
use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::{Answer, Shop};

#[test]
fn recommendations_have_the_fields_of_the_contract() {
    let shop = Shop::furnished();
    let check = |answer: &Answer| {
        let answer = answer.json();
        assert!(answer["recommendation_id"].as_str().is_some_and(|id| !id.is_empty()));
        assert!(answer["version"].is_u64() && answer["offset"].is_u64() && answer["took_ms"].is_f64(), "{answer}");
        assert!(answer["degraded"].is_array());
        for item in answer["items"].as_array().unwrap() {
            assert!(item["id"].is_string() && item["score"].is_f64() && item["reasons"].is_array(), "{item}");
        }
        answer
    };
    let request = json!({
        "user": "u1", "session": "s1", "scene": "home", "device": "phone", "items": ["mug-1"], "n": 2, "offset": 0,
        "filter": "price:5..20 AND NOT category:used", "exclude": ["mug-3"], "seen": "keep", "diversity": 0.5,
        "explain": true, "events": [{"type": "view", "item": "mug-2", "at": 1_763_700_000_000_u64, "user": "u1"}]
    });
    let first = check(&shop.post("/v1/recommend", &request));
    assert!(first["items"].as_array().unwrap().len() <= 2);
    let second =
        check(&shop.get("/v1/recommend/u1?n=2&filter=price%3A5..20&explain=true&seen=drop&scene=cart&device=phone"));
    assert_ne!(first["recommendation_id"], second["recommendation_id"]);
    check(&shop.get("/v1/recommend/stranger"));
    check(&shop.get("/v1/items/mug-1/similar?n=2"));
    assert!(!check(&shop.get("/v1/trending"))["items"].as_array().unwrap().is_empty());
    assert!(!check(&shop.get("/v1/new?n=3"))["items"].as_array().unwrap().is_empty());
    let batch = json!({"requests": [{"user": "u1", "n": 1}, {"user": "u2", "n": 2}, {}]});
    let answers = shop.post("/v1/recommend/batch", &batch).json();
    assert_eq!(answers["recommendations"].as_array().unwrap().len(), 3);
    assert!(answers["took_ms"].is_f64());
}

#[test]
fn every_id_of_a_user_has_recommendations() {
    let shop = Shop::furnished();
    for user in ["batch", "similar", "new", "recommend", "a%2Fb", "%C3%A4", "a%20b", "..a", "{user}"] {
        let path = format!("/v1/recommend/{}?n=1", user.replace(['{', '}'], "%7B"));
        assert_eq!(shop.get(&path).json()["items"].as_array().unwrap().len(), 1, "{user}");
    }
    let view = json!({"id": "b1", "type": "view", "user": "batch", "item": "mug-3", "at": "2026-11-21T10:03:00Z"});
    assert_eq!(shop.post("/v1/events", &view).json()["accepted"], 1);
    let page = shop.get("/v1/recommend/batch?n=3&explain=true").json();
    assert!(page["items"].to_string().contains("viewed"), "the page uses the history of the user: {page}");
    // The other methods of the address are as they were.
    let batch = json!({"requests": [{"user": "batch", "n": 1}]});
    assert_eq!(shop.post("/v1/recommend/batch", &batch).json()["recommendations"].as_array().unwrap().len(), 1);
    let refused = shop.send("DELETE", "/v1/recommend/batch", &[], b"");
    refused.problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = refused.header("allow").unwrap().split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[test]
fn pages_by_offset_continue_each_other_and_end_where_the_list_does() {
    let shop = Shop::open(HttpSettings::default());
    let items: Vec<Value> = (0..30)
        .map(|n| json!({"id": format!("mug-{n}"), "title": format!("Mug {n}"), "brand": format!("b{}", n % 4), "parent": (n % 6 < 2).then(|| format!("p{}", n / 6))}))
        .collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).json()["accepted"], 30);
    let events: Vec<Value> = (0..40)
        .map(|n| json!({"id": format!("e{n}"), "type": "view", "user": format!("u{}", n % 5), "item": format!("mug-{}", n * n % 17), "at": 1_763_700_000_000_u64 + n}))
        .collect();
    assert_eq!(shop.post("/v1/events", &json!(events)).json()["accepted"], 40);
    shop.engine.wait_until_learned();
    let page = |offset: usize, n: usize| {
        shop.post("/v1/recommend", &json!({"user": "u1", "n": n, "offset": offset, "diversity": 0.6})).json()
    };
    let whole = page(0, 1000);
    let whole = whole["items"].as_array().unwrap();
    assert_eq!(whole.len(), 25, "one of each parent");
    let pages: Vec<Value> =
        (0..25).step_by(4).flat_map(|at| page(at, 4)["items"].as_array().unwrap().clone()).collect();
    assert_eq!(&pages, whole);
    let check = |offset, degraded: &str| {
        let page = page(offset, 4);
        assert_eq!((&page["items"], &page["degraded"]), (&json!([]), &json!([degraded])));
    };
    check(25, "few_candidates");
    check(10_000, "too_deep");
}

#[test]
fn inline_events_are_checked_and_bad_ones_reported() {
    let shop = Shop::furnished();
    let good = json!({"type": "View", "item": " mug-2 ", "at": 1_763_700_000_000_u64});
    let bad = [
        json!({"type": "view"}),
        json!({"type": "stare", "item": "mug-1"}),
        json!({"type": "view", "item": "mug-1", "at": "soon"}),
    ];
    let all: Vec<&Value> = std::iter::once(&good).chain(&bad).collect();
    let answer = shop.post("/v1/recommend", &json!({"events": all, "explain": true})).json();
    assert!(answer["degraded"].as_array().unwrap().contains(&json!("events_ignored")), "{answer}");
    let ignored = answer["ignored_events"].as_array().unwrap();
    let told: Vec<_> =
        ignored.iter().map(|event| (event["index"].as_u64().unwrap(), event["reason"].as_str().unwrap())).collect();
    assert_eq!(told, [(1, "no_item"), (2, "unknown_type"), (3, "bad_time")]);
    let without = shop.post("/v1/recommend", &json!({"events": [good], "explain": true})).json();
    assert_eq!(without["items"], answer["items"], "what is ignored changes nothing");
    assert!(without.get("ignored_events").is_none());
}

/// The lines of `export served`, once the writer has written `n` of them.
fn served(shop: &Shop, n: usize) -> Vec<accrue_store::Served> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut found = Vec::new();
        let mut log = accrue_store::LogReader::open(&shop.dir).unwrap();
        log.read(accrue_store::Offset(0), usize::MAX, |record| {
            if let accrue_store::Body::Served(served) = record.body {
                found.push(*served);
            }
        })
        .unwrap();
        if found.len() >= n {
            return found;
        }
        assert!(Instant::now() < deadline, "{} of {n} answers were recorded", found.len());
        std::thread::yield_now();
    }
}

#[test]
fn every_answer_is_recorded_and_changes_nothing() {
    let shop = Shop::furnished();
    let before = shop.engine.status();
    let page = shop.post("/v1/recommend", &json!({"user": "u1", "session": "s1", "n": 2, "offset": 1})).json();
    let hits = shop.get("/v1/search?q=mug&user=u1").json();
    let batch = shop.post("/v1/recommend/batch", &json!({"requests": [{}, {"session": "s9"}]})).json();
    let recorded = served(&shop, 4);
    assert_eq!(recorded.len(), 4);
    let ids = |answer: &Value, list: &str| -> Vec<String> {
        answer[list].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let items = |n: usize| recorded[n].items.iter().map(|item| item.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(page["recommendation_id"], *recorded[0].recommendation_id);
    assert_eq!((items(0), recorded[0].first_position), (ids(&page, "items"), 1));
    assert_eq!(recorded[0].user, Some("u1".into()));
    assert_eq!(recorded[0].session, Some("s1".into()));
    assert_eq!(
        (page["version"].as_u64(), page["offset"].as_u64()),
        (Some(recorded[0].version), Some(recorded[0].learned.0))
    );
    assert_eq!(hits["search_id"], *recorded[1].recommendation_id);
    assert_eq!(recorded[1].page, accrue_store::Page::Search { query: "mug".into() });
    assert_eq!(items(1), ids(&hits, "hits"));
    assert_eq!(batch["recommendations"][1]["recommendation_id"], *recorded[3].recommendation_id);

    // It was not learned, and no version was published for it.
    let began = std::time::Instant::now();
    while shop.engine.status().log_end != before.log_end + 4 && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    shop.engine.wait_until_learned();
    let after = shop.engine.status();
    assert_eq!((after.log_end, after.learned), (before.log_end + 4, before.log_end + 4));
    assert_eq!((after.version, after.n_shoppers, after.accepted), (before.version, before.n_shoppers, before.accepted));
    // Between events it changes nothing either: the log folds to the same bytes from its beginning.
    let event = json!([{"id": "e9", "type": "click", "user": "u1", "item": page["items"][0]["id"], "recommendation_id": page["recommendation_id"], "position": 0, "at": "2026-11-21T11:00:00Z"}]);
    assert_eq!(shop.post("/v1/events", &event).json()["accepted"], 1);
    shop.engine.close().unwrap();
    let replay = accrue_engine::replay(&shop.dir, &Config::default(), None, true).unwrap();
    assert_eq!(replay.equal, Some(true), "{replay:?}");
}

#[test]
fn requests_out_of_bounds_name_their_field() {
    let shop = Shop::furnished();
    let check = |answer: Answer, code: &str, field: &str| assert_eq!(answer.problem(400, code)["field"], field);
    let recommend = |body: Value| shop.post("/v1/recommend", &body);
    check(recommend(json!({"n": 0})), "invalid_value", "n");
    check(recommend(json!({"n": 1001})), "invalid_value", "n");
    check(recommend(json!({"n": "ten"})), "invalid_body", "n");
    check(recommend(json!({"n": -1})), "invalid_body", "n");
    check(recommend(json!({"offset": 10_001})), "invalid_value", "offset");
    check(recommend(json!({"diversity": 1.5})), "invalid_value", "diversity");
    check(recommend(json!({"seen": "hide"})), "invalid_value", "seen");
    check(recommend(json!({"seen": "drop:impression"})), "invalid_value", "seen");
    check(recommend(json!({"seen": format!("drop:{}", "view,".repeat(65))})), "invalid_value", "seen");
    let values = (0..513).map(|n| n.to_string()).collect::<Vec<_>>().join(" OR ");
    check(recommend(json!({"filter": format!("stock:({values})")})), "invalid_filter", "filter");
    check(recommend(json!({"filter": "price:((1"})), "invalid_filter", "filter");
    check(recommend(json!({"user": "\n"})), "invalid_value", "user");
    check(recommend(json!({"exclude": ["a", ""]})), "invalid_value", "exclude[1]");
    check(recommend(json!({"limit": 3})), "unknown_field", "limit");
    check(recommend(json!({"events": vec![json!({}); 1001]})), "invalid_value", "events");
    let batch = |requests: Value| shop.post("/v1/recommend/batch", &json!({ "requests": requests }));
    check(batch(json!([{}, {"n": 0}])), "invalid_value", "requests[1].n");
    check(batch(json!([{}, {"n": true}])), "invalid_body", "requests[1].n");
    check(batch(Value::Array(vec![json!({}); 101])), "invalid_value", "requests");
    check(shop.get("/v1/recommend/u1?n=many"), "invalid_query", "n");
    check(shop.get("/v1/recommend/u1?limit=3"), "unknown_field", "limit");
    check(shop.get("/v1/trending?n=5000"), "invalid_value", "n");
    check(shop.get("/v1/search?q=mug&personalisation=7"), "invalid_value", "personalisation");
    check(shop.post("/v1/search", &json!({"query": "x".repeat(2000)})), "invalid_value", "query");
    shop.post("/v1/search", &json!({})).problem(400, "invalid_body");
    shop.send("POST", "/v1/recommend", &[], b"{\"n\": 3").problem(400, "malformed_json");
    shop.send("POST", "/v1/recommend", &[("content-type", "text/plain")], b"{}").problem(415, "unsupported_media_type");
}

#[test]
fn answers_carry_fields_and_totals_and_scenes_have_their_pages() {
    let shop = Shop::furnished();
    let page = shop.get("/v1/recommend/u1?n=1&fields=title,price").json();
    assert_eq!((page["total"].as_u64(), page["items"].as_array().unwrap().len()), (Some(3), 1));
    assert!(page["items"][0]["title"].is_string() && page["items"][0].get("image").is_none(), "{page}");
    let by_list = shop.post("/v1/recommend", &json!({"user": "u1", "n": 1, "fields": ["title", "price"]})).json();
    assert_eq!(by_list["items"], page["items"]);
    let plain = shop.get("/v1/recommend/u1?n=1").json();
    assert!(plain["items"][0].get("title").is_none());
    for path in ["/v1/trending", "/v1/new", "/v1/items/mug-1/similar"] {
        let list = shop.get(&format!("{path}?n=1&fields=title")).json();
        let has_total = list["total"].is_u64();
        assert!(has_total != path.ends_with("similar") && list["items"][0]["title"].is_string(), "{path}: {list}");
    }
    let narrow = shop.post("/v1/recommend", &json!({"filter": "id:mug-2", "exclude": ["mug-1"]})).json();
    assert_eq!(narrow["total"], 1);
    let less = shop.post("/v1/recommend", &json!({"exclude": ["mug-1"]})).json();
    assert_eq!(less["total"], 2);
    let cups = ["s", "l"].map(|size| json!({"id": format!("cup-{size}"), "title": "Cup", "parent": "cup"}));
    assert_eq!(shop.post("/v1/items", &json!(cups)).json()["accepted"], 2);
    let of_cups = |exclude: Value| {
        let page = shop.post("/v1/recommend", &json!({"n": 100, "variants": "all", "exclude": exclude})).json();
        page["items"].to_string().matches("cup-").count()
    };
    let none = "a product of which only the variants were described";
    assert_eq!((of_cups(json!([])), of_cups(json!(["cup"]))), (2, 0), "{none}");
    for cup in ["cup-s", "cup-l"] {
        assert_eq!(shop.send("DELETE", &format!("/v1/items/{cup}"), &[], b"").status, 204);
    }
    shop.get("/v1/trending?fields=titel").problem(400, "invalid_value");
    let bought =
        json!({"type": "purchase", "user": "u7", "item": "mug-2", "at": "2026-11-21T10:05:00Z", "price": 12.5});
    assert_eq!(shop.post("/v1/events", &bought).json()["accepted"], 1);
    let again = shop.get("/v1/recommend/u7?scene=again&explain=true").json();
    assert_eq!((&again["total"], &again["items"][0]["id"]), (&json!(1), &json!("mug-2")));
    assert!(!again["items"].to_string().contains("because you bought"), "{again}");
    shop.get("/v1/recommend/u7?scene=again&seen=drop").problem(400, "invalid_value");
    assert_eq!(shop.get("/v1/recommend/u7?scene=home").json()["items"].as_array().unwrap().len(), 3);
}
