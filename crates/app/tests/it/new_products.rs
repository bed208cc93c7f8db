//! Products that come after the shop has begun: a place of the page, the library, and what they cost.

use std::process::Command;

use accrue_engine::{Config, Engine};
use accrue_http::{HttpSettings, Scope};
use serde_json::{Value, json};

use crate::server::{Server, purchases};
use crate::shop::{Answer, Shop, key};

fn start(folder: &std::path::Path, settings: &str) -> Server {
    std::fs::write(folder.join("accrue.toml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(folder.join("shop"));
    Server::start(command.arg("--config").arg(folder.join("accrue.toml")).env_clear())
}

fn send(server: &Server, path: &str, body: &Value) -> Value {
    let (status, answer) = server.ask("POST", path, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Sixty items that are bought, then three new ones.
fn furnish(server: &Server) {
    let item = |id: String| json!({"id": id, "title": format!("thing {id}"), "brand": "Acme", "price": 9.5});
    let items: Vec<Value> = (0..60).map(|n| item(format!("i{n}"))).collect();
    send(server, "/v1/items", &json!(items));
    assert_eq!(server.ask("POST", "/v1/events", &purchases(3, 0..400)).0, 200);
    let new: Vec<Value> = ["new-a", "new-b", "new-c"].map(|id| item(id.into())).to_vec();
    send(server, "/v1/items", &json!(new));
    server.wait_until_learned();
}

/// Asks for home pages with these numbers; how many have a new product in the third place with its reason.
fn ask_for_pages(server: &Server, numbers: std::ops::Range<u64>) -> u64 {
    let mut n_drawn = 0;
    for number in numbers {
        let request = json!({"user": format!("u{}", number % 50), "scene": "home", "n": 10, "explain": true});
        let page = send(server, "/v1/recommend", &request);
        let third = &page["items"][2];
        let is_drawn = third["reasons"].as_array().unwrap().iter().any(|reason| {
            reason["code"] == "exploration" && reason["text"] == "new in the shop, shown to learn who likes it"
        });
        if is_drawn {
            n_drawn += 1;
            assert!(third["id"].as_str().unwrap().starts_with("new-"), "{page}");
            // Just after the purchases: by a later event the products would have been new long ago.
            let event = |kind: &str| {
                json!({"id": format!("{kind}{number}"), "type": kind, "user": format!("u{}", number % 50), "item": third["id"],
                    "recommendation_id": page["recommendation_id"], "position": 2, "at": 1_760_024_000_000_u64 + number})
            };
            send(server, "/v1/events", &json!([event("impression"), event("click")]));
        }
    }
    n_drawn
}

fn library(server: &Server) -> Value {
    let (status, library) = server.ask("GET", "/v1/new/products", "");
    assert_eq!(status, 200, "{library}");
    library
}

#[test]
fn a_product_that_is_new_in_the_shop_stands_on_some_home_pages_and_the_library_counts_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "");
    furnish(&server);
    let listed = library(&server);
    let ids: Vec<&str> = listed["products"].as_array().unwrap().iter().map(|new| new["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["new-c", "new-b", "new-a"], "{listed}");
    assert!(listed["trial"].is_null(), "{listed}");
    // The account begins with the first answer that has one; whether an answer has one is decided by its random id.
    let first = (100..140).find(|&number| ask_for_pages(&server, number..number + 1) == 1);
    // Each of the fifty shoppers once: what one is shown again within half an hour does not count.
    let first = first.expect("none of 40 answers had a new product") % 50;
    let n_drawn = 1 + ask_for_pages(&server, 0..first) + ask_for_pages(&server, first + 1..50);
    assert!((10..50).contains(&n_drawn), "about half of the answers: {n_drawn}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let counted = loop {
        let listed = library(&server);
        let sum = |field: &str| -> u64 {
            listed["products"].as_array().unwrap().iter().map(|new| new[field].as_u64().unwrap()).sum()
        };
        let trial = &listed["trial"];
        let answers = trial["answers_with"].as_u64().unwrap_or(0) + trial["answers_without"].as_u64().unwrap_or(0);
        if answers == 50 && sum("draws") == n_drawn && sum("clicks") == n_drawn && sum("impressions") == n_drawn {
            break listed;
        }
        assert!(std::time::Instant::now() < deadline, "{n_drawn}: {listed}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let trial = &counted["trial"];
    assert!(trial["answers_with"].as_u64().unwrap() >= n_drawn && trial["spent"] == false, "{trial}");
    assert!(trial["cost_at_most"].as_f64().unwrap() > trial["cost"].as_f64().unwrap(), "{trial}");
    // It is in the checkpoint, or learned again from the log.
    drop(server);
    let server = start(dir.path(), "");
    server.wait_until_learned();
    assert_eq!(library(&server)["trial"]["answers_with"], trial["answers_with"]);
}

#[test]
fn a_spent_budget_a_share_of_0_and_unrecorded_answers_end_the_showing_of_new_products() {
    for (settings, most) in [
        // Before anything was counted the bound is already above this.
        ("[serve.new_products]\nbudget = 3", 1),
        ("[serve.new_products]\nshare = 0", 0),
        ("[serve]\nrecord = 0.5", 0),
        ("[scene.home]\nnew_products = 0", 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let server = start(dir.path(), settings);
        furnish(&server);
        // The first answer is in the account once it is recorded.
        let mut n_drawn = ask_for_pages(&server, 0..16);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let before = n_drawn;
        n_drawn += ask_for_pages(&server, 16..36);
        let n_later = n_drawn - before;
        assert!(n_later == 0 && (most > 0 || n_drawn == 0), "{settings}: {before} {n_later}");
    }
}

pub(crate) const OWN_KEY: &str = "own-key-0123456789";
pub(crate) const WEB_KEY: &str = "web-key-0123456789";

/// The same shop in this process, with keys for its backend and for its pages.
pub(crate) fn shop_with_keys(config: &Config) -> Shop {
    let keys =
        vec![key("own", OWN_KEY, &[Scope::Read, Scope::Write]), key("web", WEB_KEY, &[Scope::Publish, Scope::Search])];
    let settings = HttpSettings { keys, ..Default::default() };
    // The events of these tests are of a fixed time, long before they are sent.
    let mut config = config.clone();
    config.check.published.max_late_h = 0;
    let shop = Shop::open_with(settings, |dir| Engine::open(dir, &config).unwrap());
    let item = |id: String| json!({"id": id, "title": format!("thing {id}"), "brand": "Acme", "price": 9.5});
    let of = |ids: Vec<String>| json!(ids.into_iter().map(item).collect::<Vec<_>>());
    assert_eq!(with(&shop, OWN_KEY, "POST", "/v1/items", &of((0..60).map(|n| format!("i{n}")).collect())).status, 200);
    let events: Value = serde_json::from_str(&purchases(3, 0..400)).unwrap();
    assert_eq!(with(&shop, OWN_KEY, "POST", "/v1/events", &events).status, 200);
    let new = ["new-a", "new-b", "new-c"].map(String::from).to_vec();
    assert_eq!(with(&shop, OWN_KEY, "POST", "/v1/items", &of(new)).status, 200);
    shop.engine.wait_until_learned();
    shop
}

pub(crate) fn with(shop: &Shop, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("x-api-key", key), ("content-type", "application/json"), ("x-forwarded-for", "198.51.100.7")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    shop.send(method, path, &headers, body.as_bytes())
}

/// The library when all answers so far are recorded: they are written with the next event.
fn settled(shop: &Shop) -> Value {
    let event = json!({"type": "view", "user": "u1", "item": "i1", "at": 1_760_024_000_000_u64});
    assert_eq!(with(shop, OWN_KEY, "POST", "/v1/events", &event).status, 200);
    with(shop, OWN_KEY, "GET", "/v1/new/products", &Value::Null).json()
}

#[test]
fn a_published_key_neither_ends_new_products_nor_makes_them_known() {
    let mut config = Config::default();
    config.check.published.new_product_pages_per_address = 40;
    let shop = shop_with_keys(&config);
    // A new product is invented to be liked, and another one to be disliked, without any page.
    let event = |id: String, kind: &str, item: &str| json!({"id": id, "type": kind, "session": "g1", "item": item, "position": 2, "at": 1_760_024_000_000_u64});
    let mut invented: Vec<Value> = (0..60).map(|n| event(format!("c{n}"), "click", "new-a")).collect();
    invented.extend((0..1_200).map(|n| event(format!("i{n}"), "impression", "new-b")));
    for events in invented.chunks(200) {
        with(&shop, WEB_KEY, "POST", "/v1/events", &json!(events));
    }
    // One session asks for pages and clicks all that is not new.
    let mut clicks = Vec::new();
    for number in 0..120 {
        let page =
            with(&shop, WEB_KEY, "POST", "/v1/recommend", &json!({"session": "g1", "scene": "home", "n": 10})).json();
        let click = |place: usize| {
            json!({"id": format!("p{number}-{place}"), "type": "click", "session": "g1", "item": page["items"][place]["id"],
                "recommendation_id": page["recommendation_id"], "position": place, "at": 1_760_024_000_000_u64})
        };
        let is_old = |place: &usize| !page["items"][*place]["id"].as_str().unwrap().starts_with("new-");
        clicks.extend((0..10).filter(is_old).map(click));
    }
    settled(&shop);
    for clicks in clicks.chunks(60) {
        with(&shop, WEB_KEY, "POST", "/v1/events", &json!(clicks));
    }
    let listed = settled(&shop);
    for new in listed["products"].as_array().unwrap() {
        assert_eq!(new["is_new"], true, "{new}");
        assert!(new["estimated"].as_f64().unwrap() < 0.3, "{new}");
    }
    let trial = &listed["trial"];
    let n_answers = ["answers_with", "answers_without"].map(|field| trial[field].as_u64().unwrap());
    assert!(n_answers.iter().all(|n| *n > 5) && n_answers.iter().sum::<u64>() <= 40, "40 of an address: {trial}");
    let n_clicks = ["clicks_with", "clicks_without"].map(|field| trial[field].as_u64().unwrap());
    assert!(
        n_clicks.iter().zip(n_answers).all(|(clicks, answers)| *clicks <= answers),
        "one click of an answer: {trial}"
    );
    assert_eq!(trial["spent"], false, "{trial}");
    // The shop's own pages have new products as before.
    let is_new_page = |page: &Value| page["items"][2]["id"].as_str().unwrap().starts_with("new-");
    let own = (0..40).filter(|number| {
        let body = json!({"user": format!("u{}", number % 50), "scene": "home", "n": 10});
        is_new_page(&with(&shop, OWN_KEY, "POST", "/v1/recommend", &body).json())
    });
    assert!(own.count() > 5);
}

#[test]
fn pages_and_clicks_of_one_session_or_address_make_no_new_product_known() {
    // The same session each time; or another one for each page, all of one address.
    for n_sessions in [1, 200] {
        let shop = shop_with_keys(&Config::default());
        let mut events = Vec::new();
        for number in 0..200 {
            let session = format!("s{}", number % n_sessions);
            let asked = json!({"session": session, "scene": "home", "n": 10});
            let page = with(&shop, WEB_KEY, "POST", "/v1/recommend", &asked).json();
            let new = &page["items"][2]["id"];
            if new.as_str().unwrap().starts_with("new-") {
                let event = |kind: &str| {
                    json!({"id": format!("{kind}{number}"), "type": kind, "session": session, "item": new,
                        "recommendation_id": page["recommendation_id"], "position": 2, "at": 1_760_024_000_000_u64})
                };
                events.extend(["impression", "click"].map(event));
            }
        }
        assert!(events.len() > 60, "{n_sessions}: {}", events.len());
        settled(&shop);
        for events in events.chunks(50) {
            assert_eq!(with(&shop, WEB_KEY, "POST", "/v1/events", &json!(events)).status, 200);
        }
        let listed = settled(&shop);
        let clicks: Vec<u64> =
            listed["products"].as_array().unwrap().iter().map(|new| new["clicks"].as_u64().unwrap()).collect();
        assert!(clicks.iter().all(|n| *n <= 1) && clicks.contains(&1), "{n_sessions}: {listed}");
        assert!(listed["products"].as_array().unwrap().iter().all(|new| new["is_new"] == true), "{listed}");
    }
}

#[test]
fn what_rules_pin_stays_and_what_they_bury_is_not_drawn() {
    let shop = shop_with_keys(&Config::default());
    let rules = json!({"rules": [{"name": "front", "action": "pin", "items": ["i7"], "position": 3}]});
    let put = with(&shop, OWN_KEY, "PUT", "/v1/rules", &rules);
    assert_eq!(put.status, 200, "{}", put.json());
    let home = |number: usize| -> Vec<String> {
        let body = json!({"user": format!("u{}", number % 50), "scene": "home", "n": 20});
        let page = with(&shop, OWN_KEY, "POST", "/v1/recommend", &body).json();
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut n_new = 0;
    for number in 0..40 {
        let page = home(number);
        assert_eq!(page.iter().position(|id| id == "i7"), Some(2), "{page:?}");
        assert_eq!(page.iter().collect::<std::collections::BTreeSet<_>>().len(), 20, "{page:?}");
        // The second place of twenty for new products.
        n_new += usize::from(page[11].starts_with("new-"));
    }
    assert!(n_new > 5, "{n_new}");
    let rules = json!({"rules": [{"name": "later", "action": "bury", "items": ["new-a", "new-b", "new-c"]}]});
    let put = with(&shop, OWN_KEY, "PUT", "/v1/rules", &rules);
    assert_eq!(put.status, 200, "{}", put.json());
    for number in 0..40 {
        assert!(home(number)[..10].iter().all(|id| !id.starts_with("new-")), "they stand behind all others");
    }
}
