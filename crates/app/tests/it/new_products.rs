//! Products that come after the shop has begun: a place of the page, the library, and what they cost.

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Server, purchases};

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
    assert!(first.is_some(), "none of 40 answers had a new product");
    let n_drawn = 1 + ask_for_pages(&server, 0..59);
    assert!((10..50).contains(&n_drawn), "about half of the answers: {n_drawn}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let counted = loop {
        let listed = library(&server);
        let sum = |field: &str| -> u64 {
            listed["products"].as_array().unwrap().iter().map(|new| new[field].as_u64().unwrap()).sum()
        };
        let trial = &listed["trial"];
        let answers = trial["answers_with"].as_u64().unwrap_or(0) + trial["answers_without"].as_u64().unwrap_or(0);
        if answers == 60 && sum("draws") == n_drawn && sum("clicks") == n_drawn && sum("impressions") == n_drawn {
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
