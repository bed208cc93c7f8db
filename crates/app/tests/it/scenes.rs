//! Scenes over HTTP: described in the settings and by requests, in force from the next answer on, kept in the log.

use accrue_engine::{Config, Engine};
use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::Shop;

/// A shop in which users buy mugs and plates in turn, and nobody buys hats.
fn shop(config: &Config) -> Shop {
    let shop = Shop::open_with(HttpSettings::default(), |dir| Engine::open(dir, config).unwrap());
    let kinds = ["mug", "plate", "hat"];
    let items: Vec<Value> = (0..90)
        .map(|n| {
            let kind = kinds[n % 3];
            json!({"id": format!("{kind}-{n}"), "title": format!("{kind} number {n}"), "categories": [format!("{kind}s")],
                "brand": format!("brand{}", n % 2)})
        })
        .collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).json()["accepted"], 90);
    let events: Vec<Value> = (0..300_usize)
        .map(|n| {
            let number = n * n % 60 / 3 * 3 + n % 2;
            json!({"id": format!("e{n}"), "type": "purchase", "user": format!("u{}", n % 9),
                "item": format!("{}-{number}", kinds[n % 2]), "at": 1_763_700_000_000_u64 + 3_600_000 * n as u64})
        })
        .collect();
    assert_eq!(shop.post("/v1/events", &json!(events)).json()["accepted"], 300);
    shop.engine.wait_until_learned();
    shop
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn scenes_hold_from_the_next_answer_on_and_after_a_restart() {
    let config: Config = toml::from_str("[scene.front]\nlike = 'home'\nseen = 'drop:purchase'").unwrap();
    let mut shop = shop(&config);
    let all = shop.get("/v1/scenes").json();
    assert_eq!((&all["offset"], &all["changed"]), (&json!(0), &json!({})));
    assert_eq!(
        (&all["scenes"]["front"]["origin"], &all["scenes"]["home"]["origin"]),
        (&json!("settings"), &json!("default"))
    );
    assert_eq!(all["scenes"]["front"]["room_for_new"], 0.5);
    assert!(all["sources"]["trending"].is_string());
    let bought = shop.get("/v1/recommend/u1?scene=again&n=100").json();
    let front = shop.get("/v1/recommend/u1?scene=front&n=20").json();
    assert!(ids(&front).iter().all(|id| !ids(&bought).contains(id)), "{front}");
    let kept = shop.get("/v1/recommend/u1?scene=front&n=20&seen=keep").json();
    assert!(ids(&kept).iter().any(|id| ids(&bought).contains(id)), "a request may say otherwise");

    let plates = json!({"scenes": {"front": {"sources": ["trending"], "limit": {"trending": 4}, "rest": "never",
        "seen": "keep", "seen_pinned": true}}});
    let changed = shop.json("PUT", "/v1/scenes", &plates).json();
    assert_eq!((&changed["changed"], &changed["scenes"]["front"]["origin"]), (&plates["scenes"], &json!("request")));
    assert!(changed["offset"].as_u64().unwrap() > 300);
    let page = shop.post("/v1/recommend", &json!({"scene": "front", "n": 20, "filter": "category:plates"})).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["total"]), (4, &json!(4)), "{page}");
    assert!(ids(&page).iter().all(|id| id.starts_with("plate")), "{page}");
    let pinned = shop.get("/v1/recommend/u1?scene=front&seen=drop").json();
    assert!(pinned["degraded"].to_string().contains("seen_pinned"), "{pinned}");
    let unknown = shop.get("/v1/recommend/u1?scene=fornt").json();
    assert!(unknown["degraded"].to_string().contains("unknown_scene"), "{unknown}");

    shop.stop().unwrap();
    shop.engine.close().unwrap();
    let engine = Engine::open(&shop.dir, &config).unwrap();
    assert_eq!(engine.scenes().changed.len(), 1);
    engine.close().unwrap();
    let replay = accrue_engine::replay(&shop.dir, &config, None, true).unwrap();
    assert_eq!(replay.equal, Some(true), "the scenes of the log are a part of the facts");
}

#[test]
fn the_scenes_that_every_server_has_do_what_their_names_say() {
    let shop = shop(&Config::default());
    let ask = |scene: &str, more: Value| {
        let mut body = json!({"user": "u1", "scene": scene, "n": 9});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shop.post("/v1/recommend", &body).json()
    };
    let kind = |id: &&str| id.split('-').next().unwrap().to_owned();

    let (product, plain) = (ask("product", json!({"items": ["hat-2"]})), ask("none", json!({"items": ["hat-2"]})));
    assert!(ids(&product).iter().all(|id| kind(id) == "hat"), "hats are like a hat: {product}");
    assert!(!ids(&plain).iter().all(|id| kind(id) == "hat"), "{plain}");

    let bought = shop.get("/v1/recommend/u1?scene=again&n=100").json();
    let (email, plain) = (ask("email", json!({})), ask("none", json!({})));
    assert!(ids(&email).iter().all(|id| !ids(&bought).contains(id)), "{email}");
    assert!(ids(&plain).iter().any(|id| ids(&bought).contains(id)), "{plain}");
    for each in ["mug", "plate", "hat"] {
        assert_eq!(ids(&email).iter().filter(|id| kind(id) == each).count(), 3, "{email}");
    }

    let item = ids(&plain)[0].to_owned();
    let event = |kind: &str| shop.post("/v1/events", &json!({"type": kind, "user": "u1", "item": item})).status;
    assert_eq!(event("cart"), 200);
    assert!(!ids(&ask("basket", json!({"n": 100}))).contains(&item.as_str()), "it is in the basket");
    assert!(ids(&ask("basket", json!({"n": 100, "seen": "keep"}))).contains(&item.as_str()));
    assert_eq!(event("purchase"), 200);
    assert!(ids(&ask("basket", json!({"n": 100}))).contains(&item.as_str()), "it may be bought again");

    let query = json!({"query": "gift for a friend"});
    assert_ne!(ids(&ask("search", query.clone()))[0], "hat-29");
    for n in 0..4 {
        let click = json!({"type": "click", "user": format!("u{n}"), "item": "hat-29", "query": "Gift for a friend"});
        assert_eq!(shop.post("/v1/events", &click).status, 200);
    }
    assert_eq!(ids(&ask("search", query))[0], "hat-29", "shoppers chose it after this search");
    let all = shop.get("/v1/scenes").json();
    assert!(all["scenes"]["category"]["sources"].to_string().contains("trending"), "{all}");
    assert!(all["sources"]["after_search"].is_string() && ask("basket", json!({}))["degraded"] == json!([]));
}

#[test]
fn scenes_with_a_fault_change_nothing() {
    let shop = Shop::furnished();
    let before = shop.get("/v1/scenes").json();
    for (scenes, field, said) in [
        (json!({"home": {"sources": ["trendng"]}}), "scenes.home.sources[0]", "did you mean `trending`"),
        (json!({"home": {"sources": ["bought_together"]}}), "scenes.home.sources[0]", "model.bought_together.enabled"),
        (json!({"home": {"like": "x"}}), "scenes.home.like", "must be a scene"),
        (json!({"HOME": {}}), "scenes.HOME", "lower case"),
        (json!({"home": {"room_for_new": 2}}), "scenes.home.room_for_new", "0 to 1"),
        (json!({"home": {}, "again": {"seen": "drop"}}), "scenes.again.seen", "nothing but what was bought"),
    ] {
        let problem = shop.json("PUT", "/v1/scenes", &json!({ "scenes": scenes })).problem(400, "invalid_value");
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    let body = json!({"scenes": {"home": {"sorces": ["new"]}}});
    let problem = shop.json("PUT", "/v1/scenes", &body).problem(400, "unknown_field");
    assert!(problem["field"].as_str().unwrap().contains("sorces"), "{problem}");
    for body in [json!({}), json!([]), json!({"scenes": 1}), json!({"scenes": {"home": {"rest": "no"}}})] {
        shop.json("PUT", "/v1/scenes", &body).problem(400, "invalid_body");
    }
    assert_eq!(shop.get("/v1/scenes").json(), before);
    let one = shop.json("PUT", "/v1/scenes", &json!({"scenes": {"home": {}}})).json();
    assert_eq!(one["scenes"]["home"]["room_for_new"], 0.5, "a scene that says nothing is as it was");
    let none = shop.json("PUT", "/v1/scenes", &json!({"scenes": {}})).json();
    assert_eq!(none["changed"], json!({}));
}

#[test]
fn stages_are_counted() {
    let shop = Shop::furnished();
    for _ in 0..3 {
        assert_eq!(shop.get("/v1/recommend/u1?explain=true").status, 200);
    }
    let answer = shop.get("/metrics");
    let metrics = answer.text();
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("accrue_pages_total"), 3.0);
    for stage in ["sources", "filter", "rank", "rerank", "explain"] {
        assert!(value(&format!("accrue_page_stage_seconds_total{{stage=\"{stage}\"}}")) > 0.0);
        assert!(value(&format!("accrue_page_stage_candidates_out_total{{stage=\"{stage}\"}}")) > 0.0);
        assert_eq!(value(&format!("accrue_page_stage_fallbacks_total{{stage=\"{stage}\"}}")), 0.0);
    }
}

#[test]
fn the_scenes_of_one_visit_show_nothing_twice() {
    let shop = shop(&Config::default());
    let ask = |scene: &str, offset: usize, visit: Option<&str>| {
        shop.post("/v1/recommend", &json!({"user": "u1", "scene": scene, "n": 8, "offset": offset, "visit": visit}))
            .json()
    };
    let home = ask("home", 0, Some("v1"));
    let more = ask("home", 8, Some("v1"));
    let basket = ask("basket", 0, Some("v1"));
    let shown: Vec<&str> = ids(&home).into_iter().chain(ids(&more)).collect();
    assert!(ids(&basket).len() == 8 && ids(&basket).iter().all(|id| !shown.contains(id)), "{basket}");
    assert!(ids(&ask("basket", 0, None)).iter().any(|id| shown.contains(id)));
    assert!(ids(&ask("basket", 0, Some("v2"))).iter().any(|id| shown.contains(id)));
    assert_eq!(ids(&shop.get("/v1/recommend/u1?scene=basket&n=8&visit=v1").json()), ids(&basket));
    assert_eq!(ids(&home), ids(&ask("home", 0, Some("v1"))), "the same scene shows what it showed");
    let long = "v".repeat(300);
    shop.post("/v1/recommend", &json!({"visit": long})).problem(400, "invalid_value");
}

#[test]
fn an_attribute_that_no_item_has_as_a_number_is_no_price() {
    let shop = shop(&Config::default());
    let item = json!({"id": "mug-0", "title": "mug number 0", "attributes": {"margin": 2.5, "colour": "red"}});
    assert_eq!(shop.post("/v1/items", &json!([item])).status, 200);
    let put = |price: &str| {
        shop.json("PUT", "/v1/scenes", &json!({"scenes": {"home": {"value": {"purchase": 1, "price": price}}}}))
    };
    for (price, near) in [("margn", "margin"), ("title", "attribute"), ("colour", "number")] {
        let problem = put(price).problem(400, "invalid_value");
        assert_eq!(problem["field"], "scenes.home.value.price", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(near), "{problem}");
    }
    assert_eq!(put("margin").status, 200);
    // A scene that has not changed holds, also once the attribute is gone.
    let without = json!({"id": "mug-0", "title": "mug number 0"});
    assert_eq!(shop.post("/v1/items", &json!([without])).status, 200);
    let both = json!({"scenes": {"home": {"value": {"purchase": 1, "price": "margin"}}, "front": {"like": "home"}}});
    assert_eq!(shop.json("PUT", "/v1/scenes", &both).status, 200);
}
