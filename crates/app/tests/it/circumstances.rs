//! What a page says of itself, and what the shop says of its users, from the events of other shoppers to the answer:
//! scene, device, search text and attributes.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::server::Server;

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.env("ACCRUE_DATA", dir).env("ACCRUE_LOG", "error").env("ACCRUE_LEARN_RESET_EVERY_EVENTS", "0");
    command.env("ACCRUE_MODEL_AFFINITY_ENABLED", "true").env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000");
    command
}

/// Users of even numbers are from Rome and choose item `r…`, the others from Oslo and choose `o…`, all in the scene `home`; in the
/// scene `cart` all choose `c…`, and after a search for `blue` on a phone `b…`.
fn event(number: u64) -> Value {
    let (user, place) = (number % 20, number / 20 % 4);
    let (scene, item) = match number / 80 % 4 {
        0 => ("cart", format!("c{place}")),
        1 => ("search", format!("b{place}")),
        _ if user.is_multiple_of(2) => ("home", format!("r{place}")),
        _ => ("home", format!("o{place}")),
    };
    let mut event = json!({"type": "purchase", "user": format!("u{user}"), "item": item, "scene": scene, "at":
        1_763_700_000_000_u64 + number * 3_600_000});
    if scene == "search" {
        (event["query"], event["device"]) = ("Blue".into(), "phone".into());
    }
    event
}

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = server.ask(method, path, &body);
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

fn first(answer: &Value) -> char {
    answer["items"][0]["id"].as_str().unwrap().chars().next().unwrap()
}

#[test]
fn scene_device_search_and_description_reach_the_models_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(command(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]));
    let city = |user: u64| if user.is_multiple_of(2) { "Rome" } else { "Oslo" };
    for user in 0..22 {
        ask(&server, "PUT", &format!("/v1/users/u{user}"), &json!({"attributes": {"city": city(user)}}));
    }
    for begins in (0..3_200).step_by(400) {
        let events: Vec<Value> = (begins..begins + 400).map(event).collect();
        ask(&server, "POST", "/v1/events", &events.into());
    }
    server.wait_until_learned();
    // The last two users have no history.
    let of = |user: u64| json!({"user": format!("u{user}"), "scene": "home", "n": 4, "explain": true});
    let (roman, other) =
        (ask(&server, "POST", "/v1/recommend", &of(20)), ask(&server, "POST", "/v1/recommend", &of(21)));
    assert_eq!((first(&roman), first(&other)), ('r', 'o'), "{roman} {other}");
    for item in roman["items"].as_array().unwrap() {
        let share = |reason: &Value| reason["share"].as_f64().unwrap();
        let reasons = item["reasons"].as_array().unwrap();
        let sum: f64 = reasons.iter().map(share).sum();
        assert!((sum - item["score"].as_f64().unwrap()).abs() < 1e-3, "{item}");
        let circumstances = reasons.iter().find(|reason| reason["code"] == "circumstances").unwrap();
        assert!(share(circumstances) > 0.0, "{item}");
    }
    let cart = ask(&server, "GET", "/v1/recommend/stranger?scene=cart&n=4", &Value::Null);
    assert_eq!(first(&cart), 'c', "{cart}");
    let phone = ask(&server, "GET", "/v1/recommend/stranger?device=phone&n=4", &Value::Null);
    assert_eq!(first(&phone), 'b', "{phone}");
    // A description that is removed no longer counts.
    ask(&server, "DELETE", "/v1/users/u21", &Value::Null);
    let undescribed = ask(&server, "POST", "/v1/recommend", &of(21));
    assert_ne!(undescribed["items"], other["items"]);
    drop(server);
    let replay = command(dir.path()).args(["replay", "--verify", "--json", "--quiet"]).output().unwrap();
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
}
