//! Campaigns over HTTP: sponsored slots, what clicks are charged, and that the log settles it to the cent.

use accrue_engine::{Config, Engine};
use accrue_http::{HttpSettings, Scope};
use serde_json::{Value, json};

use crate::shop::{Answer, Shop, key};

const OWN_KEY: &str = "own-key-0123456789";
const WEB_KEY: &str = "web-key-0123456789";
const N_ITEMS: usize = 40;
const N_USERS: usize = 20;
const DAY_MS: i64 = 86_400_000;
/// The beginning of a day.
const START_MS: i64 = 20_409 * DAY_MS;

/// A shop of which users saw all items on many pages and clicked on a tenth of them, with a slot on the scene `home`, and
/// with keys for its backend and its pages.
fn shop(config: &Config) -> Shop {
    let keys =
        vec![key("own", OWN_KEY, &[Scope::Read, Scope::Write]), key("web", WEB_KEY, &[Scope::Publish, Scope::Search])];
    let settings = HttpSettings { keys, ..Default::default() };
    let shop = Shop::open_with(settings, |dir| Engine::open(dir, config).unwrap());
    let items: Vec<Value> = (0..N_ITEMS)
        .map(|n| {
            json!({"id": format!("i{n}"), "title": format!("Mug {n}"), "brand": format!("brand{}", n % 4),
            "categories": ["mugs"]})
        })
        .collect();
    assert_eq!(own(&shop, "POST", "/v1/items", &json!(items)).json()["accepted"], N_ITEMS);
    let described = own(&shop, "PUT", "/v1/users/u1", &json!({"attributes": {"segment": "vip"}}));
    assert!(described.status < 300, "{}", described.status);
    let mut events = Vec::new();
    for page in 0..60 {
        for item in 0..N_ITEMS {
            let at = START_MS - DAY_MS + 1_000 * (page * N_ITEMS + item) as i64;
            let (user, item_id) = (format!("u{}", page % N_USERS), format!("i{item}"));
            let mut push = |id: String, kind: &str, at: i64| {
                events.push(json!({"id": id, "type": kind, "user": user, "item": item_id, "at": at, "position": 2,
                    "scene": "home"}));
            };
            push(format!("v{page}-{item}"), "impression", at);
            if (page + item) % 10 == 0 {
                push(format!("c{page}-{item}"), "click", at + 500);
            }
        }
    }
    // A visit at the beginning of the day, after which all impressions of the day before are learned.
    events.push(json!({"id": "last", "type": "view", "user": "u0", "item": "i0", "at": START_MS + 12 * 3_600_000}));
    for events in events.chunks(500) {
        assert_eq!(own(&shop, "POST", "/v1/events", &json!(events)).json()["accepted"], events.len());
    }
    shop.engine.wait_until_learned();
    let scenes = json!({"scenes": {"home": {"sponsored": [3]}}});
    assert_eq!(own(&shop, "PUT", "/v1/scenes", &scenes).status, 200);
    shop
}

fn ask(shop: &Shop, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    shop.send(method, path, &[("x-api-key", key), ("content-type", "application/json")], body.as_bytes())
}

fn own(shop: &Shop, method: &str, path: &str, body: &Value) -> Answer {
    ask(shop, OWN_KEY, method, path, body)
}

fn put(shop: &Shop, campaigns: Value) -> Value {
    let answer = own(shop, "PUT", "/v1/campaigns", &json!({"currency": "EUR", "campaigns": campaigns}));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn spend(shop: &Shop, campaign: &str) -> Value {
    own(shop, "GET", &format!("/v1/campaigns/{campaign}"), &Value::Null).json()["spend"].clone()
}

/// A page of `home`: its id, and the place and id of the sponsored item.
fn page(shop: &Shop, user: &str) -> (String, Option<(usize, String, String)>) {
    sponsored(&own(shop, "GET", &format!("/v1/recommend/{user}?scene=home&n=8"), &Value::Null).json())
}

fn sponsored(answer: &Value) -> (String, Option<(usize, String, String)>) {
    let id = answer["recommendation_id"].as_str().unwrap().to_owned();
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = items.iter().position(|item| item.get("sponsored").is_some());
    (id, found.map(|at| (at, text(&items[at]["id"]), text(&items[at]["sponsored"]["campaign"]))))
}

fn click(shop: &Shop, id: &str, user: &str, answer: &str, item: &str) {
    let event = json!({"id": id, "type": "click", "user": user, "item": item, "recommendation_id": answer,
        "at": START_MS + 13 * 3_600_000});
    assert_eq!(own(shop, "POST", "/v1/events", &event).json()["accepted"], 1);
}

/// Items that are on the plain page of none of these users.
fn absent(shop: &Shop, users: &[&str]) -> Vec<String> {
    let mut shown = Vec::new();
    for user in users {
        let plain = own(shop, "GET", &format!("/v1/recommend/{user}?scene=home&n=8"), &Value::Null).json();
        shown.extend(plain["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
    }
    (0..N_ITEMS).map(|n| format!("i{n}")).filter(|id| !shown.contains(id)).collect()
}

#[test]
fn a_click_is_charged_once_at_the_second_price_and_a_replay_gives_the_same_cents() {
    let config = Config::default();
    let mut shop = shop(&config);
    let items = absent(&shop, &["u1", "u3", "u4"]);
    let campaigns = json!([
        {"id": "first", "items": [items[0]], "bid": 50, "daily_budget": 400},
        {"id": "second", "items": [items[0]], "bid": 30, "daily_budget": 400},
    ]);
    let listed = put(&shop, campaigns.clone());
    assert_eq!((&listed["campaigns"], &listed["reserve"]), (&campaigns, &json!(1)));
    let plain = own(&shop, "GET", "/v1/recommend/u1?n=8", &Value::Null).json();
    assert!(sponsored(&plain).1.is_none(), "only in scenes with slots: {plain}");

    let (answer, found) = page(&shop, "u1");
    let (place, item, campaign) = found.unwrap();
    assert_eq!((place, &item, campaign.as_str()), (2, &items[0], "first"));
    click(&shop, "k1", "u2", &answer, &item);
    assert_eq!(spend(&shop, "first")["today"]["clicks"], 0, "another user's click");
    click(&shop, "k2", "u1", &answer, &items[1]);
    assert_eq!(spend(&shop, "first")["today"]["clicks"], 0, "another item");
    for id in ["k3", "k4"] {
        click(&shop, id, "u1", &answer, &item);
    }
    let first = spend(&shop, "first");
    assert_eq!(
        first["today"],
        json!({"impressions": 1, "clicks": 1, "amount": 30, "invalid": 0}),
        "at equal bids `first` goes before `second`"
    );
    assert_eq!((&first["total"], &spend(&shop, "second")["total"]["amount"]), (&first["today"], &json!(0)));

    // Two clicks of one batch on one answer.
    let (answer, found) = page(&shop, "u3");
    let item = found.unwrap().1;
    let batch: Vec<Value> = ["k5", "k6"]
        .iter()
        .map(|id| {
            json!({"id": id, "type": "click", "user": "u3", "item": item, "recommendation_id": answer,
            "at": START_MS + 13 * 3_600_000})
        })
        .collect();
    assert_eq!(own(&shop, "POST", "/v1/events", &json!(batch)).json()["accepted"], 2);
    assert_eq!(spend(&shop, "first")["total"], json!({"impressions": 2, "clicks": 2, "amount": 60, "invalid": 0}));

    // An answer from before a restart can still be clicked, and a replay of the log comes to the same.
    let (answer, found) = page(&shop, "u4");
    shop.stop().unwrap();
    shop.engine.close().unwrap();
    let engine = Engine::open(&shop.dir, &config).unwrap();
    let event = json!({"id": "k7", "type": "click", "user": "u4", "item": found.unwrap().1, "recommendation_id": answer,
        "at": START_MS + 13 * 3_600_000});
    let raw: accrue_event::RawEvent = serde_json::from_value(event).unwrap();
    engine.ingest(vec![accrue_engine::Incoming::Record(raw)]).unwrap();
    let accounts = engine.campaigns().accounts;
    let total = |id: &str| accounts.iter().find(|(known, _)| &**known == id).unwrap().1.total;
    assert_eq!((total("first").clicks, total("first").amount, total("second").amount), (3, 90, 0));
    engine.close().unwrap();
    let replay = accrue_engine::replay(&shop.dir, &config, None, true).unwrap();
    assert_eq!(replay.equal, Some(true), "{:?}", replay.differing);
}

#[test]
fn a_day_never_costs_more_than_the_budget_and_pacing_holds_the_campaign_back() {
    let shop = shop(&Config::default());
    let items = absent(&shop, &["u1"]);
    put(
        &shop,
        json!([{"id": "a", "items": items, "bid": 50, "daily_budget": 120}, {"id": "b", "items": items, "bid": 49,
        "daily_budget": 120}]),
    );
    // Pages that are all clicked later: the campaign takes part until the first click has come.
    let pages: Vec<_> = (0..N_USERS).map(|user| (user, page(&shop, &format!("u{user}")))).collect();
    let mut n_clicked = 0;
    for (user, (answer, found)) in pages {
        let Some((_, item, _)) = found else { continue };
        n_clicked += 1;
        click(&shop, &format!("k{user}"), &format!("u{user}"), &answer, &item);
    }
    assert!(n_clicked > 10, "{n_clicked}");
    for campaign in ["a", "b"] {
        let spend = spend(&shop, campaign);
        assert!(spend["today"]["amount"].as_u64().unwrap() <= 120, "{spend}");
        let allowance = spend["allowance"].as_u64().unwrap();
        assert!((1..120).contains(&allowance), "about half of the day is over: {spend}");
    }
    assert_eq!(spend(&shop, "a")["today"]["amount"], 120);
    assert!(page(&shop, "u5").1.is_none_or(|(_, _, campaign)| campaign != "a"), "its budget is spent");
}

#[test]
fn a_cap_counts_pages_that_are_not_in_the_log_yet() {
    let shop = shop(&Config::default());
    put(
        &shop,
        json!([{"id": "a", "items": absent(&shop, &["u1"]), "bid": 50, "daily_budget": 5_000, "per_shopper": 2,
        "shoppers": "segment:vip"}]),
    );
    let shown = (0..6).filter(|_| page(&shop, "u1").1.is_some()).count();
    assert_eq!(shown, 2);
    assert!(page(&shop, "u2").1.is_none(), "not in the segment");
}

#[test]
fn events_of_a_page_are_charged_for_what_their_own_session_was_shown_and_no_flood_adds_to_it() {
    let shop = shop(&Config::default());
    put(&shop, json!([{"id": "a", "filter": "brand:brand1", "bid": 50, "daily_budget": 5_000}]));
    let body = json!({"session": "s1", "scene": "home", "n": 8});
    let (answer, found) = sponsored(&ask(&shop, WEB_KEY, "POST", "/v1/recommend", &body).json());
    let item = found.unwrap().1;
    let click = |session: &str, n: usize| {
        json!({"type": "click", "session": session, "user": "u1", "item": item, "recommendation_id": answer,
            "id": format!("{session}-{n}")})
    };
    let flood: Vec<Value> = (0..200).map(|n| click(&format!("bot{n}"), n)).collect();
    ask(&shop, WEB_KEY, "POST", "/v1/events", &json!(flood));
    assert_eq!(spend(&shop, "a")["total"]["clicks"], 0, "whoever was shown the answer knows its id");
    let own_clicks: Vec<Value> = (0..50).map(|n| click("s1", n)).collect();
    ask(&shop, WEB_KEY, "POST", "/v1/events", &json!(own_clicks));
    assert_eq!(spend(&shop, "a")["total"], json!({"impressions": 1, "clicks": 1, "amount": 1, "invalid": 0}));
    // An answer to an unknown visitor is charged by the shop's own events alone.
    let (answer, found) =
        sponsored(&ask(&shop, WEB_KEY, "POST", "/v1/recommend", &json!({"scene": "home", "n": 8})).json());
    let event = json!({"type": "click", "session": "s2", "item": found.unwrap().1, "recommendation_id": answer});
    ask(&shop, WEB_KEY, "POST", "/v1/events", &event);
    assert_eq!(spend(&shop, "a")["total"]["clicks"], 1);
    // The key of a page neither reads nor changes campaigns.
    ask(&shop, WEB_KEY, "GET", "/v1/campaigns", &Value::Null).problem(403, "missing_scope");
    ask(&shop, WEB_KEY, "PUT", "/v1/campaigns", &json!({"campaigns": []})).problem(403, "missing_scope");
}

/// A page that a visitor of a shop's page asks for from an address, and the click on what is sponsored there.
fn ask_and_click(shop: &Shop, session: &str, address: &str) -> (Value, Option<Value>) {
    let with = |path: &str, body: &Value| {
        let headers = [("x-api-key", WEB_KEY), ("content-type", "application/json"), ("x-forwarded-for", address)];
        shop.send("POST", path, &headers, body.to_string().as_bytes()).json()
    };
    let page = with("/v1/recommend", &json!({"session": session, "scene": "home", "n": 8}));
    let (answer, found) = sponsored(&page);
    let clicked = found.map(|(_, item, _)| {
        let event = json!({"type": "click", "session": session, "item": item, "recommendation_id": answer,
            "id": format!("k-{answer}")});
        with("/v1/events", &event)
    });
    (page, clicked)
}

#[test]
fn pages_and_clicks_of_one_address_spend_no_budget() {
    let mut config = Config::default();
    config.check.published.sponsored_pages_per_address = 60;
    let mut shop = shop(&config);
    put(&shop, json!([{"id": "a", "filter": "brand:brand1", "bid": 50, "daily_budget": 1_000_000}]));
    let of = |shop: &Shop| {
        let total = spend(shop, "a")["total"].clone();
        ["impressions", "clicks", "invalid"].map(|field| total[field].as_u64().unwrap())
    };
    // A page of the shop's own before, which is clicked after the flood.
    let (answer, found) = page(&shop, "u5");
    for n in 0..30 {
        ask_and_click(&shop, "s1", "198.51.100.7");
        assert!(of(&shop)[1] <= 10, "{:?} after {n}: one click of a session on an item", of(&shop));
    }
    let [_, of_session, invalid] = of(&shop);
    assert_eq!((of_session + invalid, invalid >= 20), (30, true));
    for n in 0..50 {
        ask_and_click(&shop, &format!("t{n}"), "198.51.100.7");
    }
    let [impressions, clicks, invalid] = of(&shop);
    // The check lets 30 sessions of one address act on one item, so the click of a further one is not even counted.
    assert_eq!((impressions, clicks), (61, 20), "sessions cost nothing to invent");
    assert!((50..=60).contains(&(clicks + invalid)), "{invalid}");
    let (page, clicked) = ask_and_click(&shop, "t99", "198.51.100.7");
    assert!(clicked.is_none() && page["degraded"].as_array().unwrap().contains(&json!("sponsored_withheld")), "{page}");
    // Another address and the shop's own programs are charged as before.
    assert!(ask_and_click(&shop, "other", "203.0.113.9").1.is_some());
    assert_eq!(of(&shop)[1], 21);
    click(&shop, "own", "u5", &answer, &found.unwrap().1);
    assert_eq!(of(&shop)[1], 22);
    // A restart and a replay come to the same.
    shop.stop().unwrap();
    shop.engine.close().unwrap();
    let engine = Engine::open(&shop.dir, &config).unwrap();
    let total = engine.campaigns().accounts[0].1.total;
    assert_eq!((total.clicks, total.invalid), (22, invalid));
    engine.close().unwrap();
    assert_eq!(accrue_engine::replay(&shop.dir, &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn forgetting_a_person_keeps_what_their_clicks_cost() {
    let config = Config::default();
    let shop = shop(&config);
    put(&shop, json!([{"id": "a", "items": absent(&shop, &["u1"]), "bid": 50, "daily_budget": 5_000}]));
    let (answer, found) = page(&shop, "u1");
    click(&shop, "k1", "u1", &answer, &found.unwrap().1);
    let before = spend(&shop, "a");
    assert_eq!(before["total"], json!({"impressions": 1, "clicks": 1, "amount": 1, "invalid": 0}));
    shop.engine.close().unwrap();
    accrue_engine::forget(&shop.dir, &config, &["u1".into()].into(), |_, _| {}).unwrap();
    let engine = Engine::open(&shop.dir, &config).unwrap();
    let account = engine.campaigns().accounts[0].1.clone();
    assert_eq!((account.total.impressions, account.total.clicks, account.total.amount), (0, 1, 1));
    engine.close().unwrap();
    assert_eq!(accrue_engine::replay(&shop.dir, &config, None, true).unwrap().equal, Some(true));
}

#[test]
fn a_campaign_that_has_not_changed_keeps_no_other_one_from_changing() {
    let shop = shop(&Config::default());
    let scenes = json!({"scenes": {"home": {"sponsored": [3]}, "xmas": {"sponsored": [1]}}});
    assert_eq!(own(&shop, "PUT", "/v1/scenes", &scenes).status, 200);
    let xmas = json!({"id": "x", "items": ["i1"], "bid": 5, "daily_budget": 50, "scenes": ["xmas"]});
    put(&shop, json!([xmas]));
    let scenes = json!({"scenes": {"home": {"sponsored": [3]}}});
    assert_eq!(own(&shop, "PUT", "/v1/scenes", &scenes).status, 200);
    put(&shop, json!([xmas, {"id": "y", "items": ["i2"], "bid": 5, "daily_budget": 50}]));
    let changed = json!({"id": "x", "items": ["i1"], "bid": 6, "daily_budget": 50, "scenes": ["xmas"]});
    let problem = own(&shop, "PUT", "/v1/campaigns", &json!({"campaigns": [changed]})).problem(400, "invalid_value");
    assert_eq!(problem["field"], "campaigns[0].scenes", "{problem}");
}

#[test]
fn hostile_campaigns_are_problems_with_their_field() {
    let shop = shop(&Config::default());
    let good = json!({"id": "good", "items": ["i1"], "bid": 5, "daily_budget": 50});
    let before = put(&shop, json!([good]));
    let with = |more: Value| {
        let mut campaign = json!({"id": "<script>alert(1)</script>", "items": ["i1"], "bid": 5, "daily_budget": 50});
        campaign.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"campaigns": [good, campaign]})
    };
    for (more, field) in [
        (json!({"bid": 0}), "campaigns[1].bid"),
        (json!({"daily_budget": 0}), "campaigns[1].daily_budget"),
        (json!({"daily_budget": 4}), "campaigns[1].daily_budget"),
        (json!({"until": "2020-01-01T00:00:00Z"}), "campaigns[1].until"),
        (json!({"from": "2027-02-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}), "campaigns[1].until"),
        (json!({"scenes": ["hom"]}), "campaigns[1].scenes"),
        (json!({"shoppers": "price:5"}), "campaigns[1].shoppers"),
        (json!({"items": [], "filter": "colour:red"}), "campaigns[1].filter"),
        (json!({"id": "good"}), "campaigns[1].id"),
        (json!({"quality_floor": 2}), "campaigns[1].quality_floor"),
    ] {
        let problem = own(&shop, "PUT", "/v1/campaigns", &with(more)).problem(400, "invalid_value");
        assert_eq!(problem["field"], field, "{problem}");
    }
    // Names that the shop does not have, with the nearest ones.
    for (more, field, near) in [
        (json!({"shoppers": "segmnt:vip"}), "campaigns[1].shoppers", "segment"),
        (json!({"shoppers": "NOT segmnt:vip"}), "campaigns[1].shoppers", "segment"),
        (json!({"items": ["nosuch"]}), "campaigns[1].items", "nosuch"),
        (json!({"categories": ["mugz"]}), "campaigns[1].categories", "mugs"),
    ] {
        let problem = own(&shop, "PUT", "/v1/campaigns", &with(more)).problem(400, "invalid_value");
        assert_eq!(problem["field"], field, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(near), "{problem}");
    }
    for more in [
        json!({"bid": -1}),
        json!({"bid": 0.5}),
        json!({"bid": 1e308}),
        json!({"bid": "NaN"}),
        json!({"bid": null}),
        json!({"daily_budget": null}),
        json!({"until": "yesterday"}),
    ] {
        own(&shop, "PUT", "/v1/campaigns", &with(more)).problem(400, "invalid_body");
    }
    let no_budget = json!({"campaigns": [{"id": "a", "items": ["i1"], "bid": 5}]});
    own(&shop, "PUT", "/v1/campaigns", &no_budget).problem(400, "invalid_body");
    let problem = own(&shop, "PUT", "/v1/campaigns", &with(json!({"dayly_budget": 5}))).problem(400, "unknown_field");
    assert!(problem["detail"].as_str().unwrap().contains("daily_budget"), "{problem}");
    let many: Vec<Value> =
        (0..10_000).map(|n| json!({"id": format!("c{n}"), "items": ["i1"], "bid": 5, "daily_budget": 50})).collect();
    let problem = own(&shop, "PUT", "/v1/campaigns", &json!({"campaigns": many})).problem(400, "invalid_value");
    assert_eq!(problem["field"], "campaigns", "{problem}");
    own(&shop, "GET", "/v1/campaigns/never", &Value::Null).problem(404, "not_found");
    assert_eq!(own(&shop, "GET", "/v1/campaigns", &Value::Null).json(), before, "nothing has changed");
    // A name with markup is a name.
    put(&shop, json!([{"id": "<script>alert(1)</script>", "items": ["i1"], "bid": 5, "daily_budget": 50}]));
    let found = own(&shop, "GET", "/v1/campaigns/%3Cscript%3Ealert(1)%3C%2Fscript%3E", &Value::Null).json();
    assert_eq!(found["campaign"]["bid"], 5, "{found}");
}
