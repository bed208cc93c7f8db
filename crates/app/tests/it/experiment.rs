//! Experiments from outside: arms over HTTP, and the report of `accrue experiment` on a log.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use accrue_event::{Event, EventId, EventType, ItemId, Timestamp};
use accrue_kernel::Draws;
use accrue_model::Exploration;
use accrue_store::{Assignment, Body, CheckedEvent, Log, LogSettings, Page, Served};
use serde_json::{Value, json};

use crate::server::Server;

const SETTINGS: &str = "
[serve.explore]
places = 2
among = 5
temperature = 2.0
[serve.experiment]
name = 'leaders'
[[serve.experiment.arms]]
name = 'a'
share = 0.5
[[serve.experiment.arms]]
name = 'b'
share = 0.5
part = 'popularity'
explore = 1.0
";

fn accrue(dir: &Path, arguments: &[&str]) -> Output {
    let config = dir.join("accrue.toml");
    std::fs::create_dir_all(dir).unwrap();
    if !config.exists() {
        std::fs::write(&config, SETTINGS).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(arguments).arg("--data").arg(dir.join("shop")).arg("--config").arg(config).env_clear();
    command.output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn start(dir: &Path) -> Server {
    let config = dir.join("accrue.toml");
    std::fs::write(&config, SETTINGS).unwrap();
    start_with(dir)
}

/// With the settings in the folder.
fn start_with(dir: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir.join("shop"));
    Server::start(command.arg("--config").arg(dir.join("accrue.toml")).env_clear())
}

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let (status, answer) = server.ask("POST", path, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer
}

#[test]
fn places_drawn_by_belief_are_recorded_with_their_propensities() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("accrue.toml"), "[serve.explore]\nshare = 1.0\nplaces = 2\nby = 'belief'\n")
        .unwrap();
    let bought: Vec<Value> = (0..300)
        .map(|n| json!({"id": format!("e{n}"), "type": "purchase", "user": format!("u{}", n % 20), "item": format!("i{}", n * n % 23)}))
        .collect();
    let lines: Vec<String> = bought.iter().map(Value::to_string).collect();
    let file = dir.path().join("events.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    assert!(accrue(dir.path(), &["ingest", "--now", file.to_str().unwrap()]).status.success());
    let server = start_with(dir.path());
    for n in 0..60 {
        post(&server, "/v1/recommend", &json!({"user": format!("u{}", n % 20), "n": 6}));
    }
    // Acknowledged after the answers were queued: they are in the log now.
    post(&server, "/v1/events", &json!([{"id": "last", "type": "view", "user": "u1", "item": "i1"}]));
    drop(server);
    let exported = String::from_utf8(accrue(dir.path(), &["export", "served"]).stdout).unwrap();
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 60);
    let chances =
        |line: &Value| line["propensities"].as_array().unwrap().iter().filter_map(Value::as_f64).collect::<Vec<_>>();
    for line in &lines {
        let chances = chances(line);
        assert!(chances[..2].iter().all(|&chance| chance > 0.0 && chance <= 1.0), "{line}");
        assert!(chances[2..].iter().all(|&chance| chance == 1.0), "{line}");
    }
    let moved = lines.iter().filter(|line| line["ranks"][0].as_u64() > Some(0)).count();
    assert!(moved > 0 && moved < 60, "{moved} of 60: uncertain items are moved up in some of the answers");
}

#[test]
fn a_search_is_answered_and_recorded_under_the_arm_of_the_shopper() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    post(&server, "/v1/items", &json!([{"id": "i1", "title": "Red mug"}]));
    for n in 0..20 {
        let who = format!("u{n}");
        let page = post(&server, "/v1/recommend", &json!({"user": who}));
        let hits = post(&server, "/v1/search", &json!({"user": who, "query": "mug"}));
        assert_eq!(hits["experiment"], page["experiment"]);
        assert!(hits["experiment"]["arm"].is_string(), "{hits}");
    }
    assert!(post(&server, "/v1/search", &json!({"query": "mug"}))["experiment"].is_null());
    // Acknowledged after the answers were queued: they are in the log now.
    post(&server, "/v1/events", &json!([{"id": "last", "type": "view", "user": "u1", "item": "i1"}]));
    drop(server);
    let exported = String::from_utf8(accrue(dir.path(), &["export", "served"]).stdout).unwrap();
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 41);
    for pair in lines[..40].chunks(2) {
        assert_eq!((&pair[0]["user"], &pair[0]["arm"]), (&pair[1]["user"], &pair[1]["arm"]));
        assert!(pair[1]["arm"].is_string() && pair[1]["ranks"] == json!([]), "{}", pair[1]);
    }
    let report = json_of(&accrue(dir.path(), &["experiment", "--json"]));
    let answers: u64 = report["arms"].as_array().unwrap().iter().map(|arm| arm["answers"].as_u64().unwrap()).sum();
    assert_eq!(answers, 20, "a report is about pages of recommendations");
}

#[test]
fn arms_are_stable_and_recorded_with_the_propensity_of_every_place() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    let bought: Vec<Value> = (0..60)
        .map(|n| json!({"id": format!("e{n}"), "type": "purchase", "user": format!("u{}", n % 10), "item": format!("i{}", n % 12)}))
        .collect();
    post(&server, "/v1/events", &json!(bought));
    let ask = |who: Value| post(&server, "/v1/recommend", &who);
    let mut arms: BTreeMap<String, String> = BTreeMap::new();
    let mut clicks = Vec::new();
    for round in 0..2 {
        for n in 0..40 {
            let answer = ask(json!({"user": format!("u{n}"), "session": format!("s{round}"), "n": 6}));
            let arm = answer["experiment"]["arm"].as_str().unwrap().to_string();
            assert_eq!(answer["experiment"]["name"], "leaders");
            assert_eq!(arms.entry(format!("u{n}")).or_insert_with(|| arm.clone()), &arm, "another visit, the same arm");
            let (id, item) = (&answer["recommendation_id"], &answer["items"][0]["id"]);
            clicks.push(json!({"id": format!("c{round}-{n}"), "type": "click", "user": format!("u{n}"), "item": item,
                "recommendation_id": id, "position": 0}));
        }
    }
    assert!(ask(json!({"n": 6}))["experiment"].is_null(), "a request without an id has no arm");
    assert!(!ask(json!({"session": "guest"}))["experiment"].is_null());
    // Acknowledged after the answers were queued: they are in the log now.
    post(&server, "/v1/events", &json!(clicks));
    drop(server);

    let exported = accrue(dir.path(), &["export", "served"]);
    let lines: Vec<Value> =
        String::from_utf8(exported.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 82);
    for line in &lines {
        let ranks = line["ranks"].as_array().unwrap();
        if line["arm"] != "b" {
            assert!(ranks.is_empty() && line["propensities"].as_array().unwrap().iter().all(|chance| chance == 1.0));
            continue;
        }
        let ranks: Vec<u32> = ranks.iter().map(|rank| rank.as_u64().unwrap() as u32).collect();
        let exploration = Exploration { places: 2, among: 5, temperature: 2.0 };
        let chance: f64 =
            line["propensities"].as_array().unwrap().iter().map(|chance| chance.as_f64().unwrap()).product();
        assert!((chance - exploration.probability(&ranks)).abs() < 1e-6, "{line}");
    }
    assert!(lines.iter().filter(|line| line["ranks"][0].as_u64() > Some(0)).count() > 10, "the draw moved some items");

    let report = json_of(&accrue(dir.path(), &["experiment", "--json"]));
    let sum =
        |field: &str| report["arms"].as_array().unwrap().iter().map(|arm| arm[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("shoppers"), sum("answers"), sum("clicked"), sum("closed")), (41, 81, 80, 0));
    assert_eq!(report["n_moved"], 0);
    let few = accrue(dir.path(), &["experiment", "--policy", "even", "--json"]);
    assert_eq!(few.status.code(), Some(1), "80 answers are too few for a random policy");
}

fn click(id: String, user: &str, item: ItemId, recommendation_id: &str, at: i64) -> Body {
    let event = Event {
        user: Some(user.into()),
        item: Some(item),
        recommendation_id: Some(recommendation_id.into()),
        position: Some(0),
        ..Event::bare(EventId::new(id), EventType::Click, Timestamp(at))
    };
    Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None })
}

/// Writes a log of 6,000 shoppers, one a minute, with two answers each; every page of `b` is drawn uniformly. The item
/// that the models rank first is clicked at the top with 10 %, any other at the top with 2 %; arm `a` shows it at the
/// top.
fn write_log(dir: &Path, lose_every: Option<u64>) {
    let draw = Exploration { places: 1, among: 4, temperature: f32::INFINITY };
    let mut log = Log::open(dir, LogSettings::default()).unwrap();
    for shopper in 0..6_000_u64 {
        let mut draws = Draws::new(5, 1, shopper);
        let arm = if draws.below(2) == 0 { "a" } else { "b" };
        if arm == "b" && lose_every.is_some_and(|every| shopper % every == 0) {
            continue;
        }
        let user = format!("u{shopper}");
        for number in 0..2 {
            let at = 1_760_000_000_000 + shopper as i64 * 60_000 + number * 1_000;
            let id = format!("r{shopper}-{number}");
            let drawn = draw.draw(4, &mut draws);
            let (ranks, propensities) = match arm {
                "b" => (drawn.ranks, drawn.propensities),
                _ => (Vec::new(), Vec::new()),
            };
            let top = ranks.first().copied().unwrap_or(0);
            let mut items: Vec<ItemId> = (0..4).map(|rank| ItemId::new(format!("i{rank}"))).collect();
            if !ranks.is_empty() {
                items = ranks.iter().map(|&rank| ItemId::new(format!("i{rank}"))).collect();
            }
            let clicked = draws.uniform() < if top == 0 { 0.10 } else { 0.02 };
            let first = items[0].clone();
            let served = Served {
                user: Some(user.as_str().into()),
                version: 1,
                items,
                propensities,
                arm: Some(Assignment { experiment: "leaders".into(), arm: arm.into() }),
                ranks,
                ..Served::bare(id.as_str().into(), Page::Recommend)
            };
            log.append(Timestamp(at), &[Body::Served(Box::new(served))]).unwrap();
            if clicked {
                log.append(Timestamp(at + 500), &[click(format!("c{id}"), &user, first, &id, at)]).unwrap();
            }
        }
    }
}

#[test]
fn the_report_finds_the_difference_and_the_value_of_the_other_policy() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("shop")).unwrap();
    write_log(&dir.path().join("shop"), None);
    let report = json_of(&accrue(dir.path(), &["experiment", "--window", "1h", "--json"]));
    assert_eq!(report["experiment"], "leaders");
    let (a, b) = (&report["arms"][0], &report["arms"][1]);
    let rate = |arm: &Value| arm["click_through"]["value"].as_f64().unwrap();
    // Drawn uniformly, the first of four is at the top in one page of four: .25·.10 + .75·.02 = .04.
    assert!((rate(a) - 0.10).abs() < 0.015 && (rate(b) - 0.04).abs() < 0.01, "{report}");
    let ends = |interval: &Value| (interval[0].as_f64().unwrap(), interval[1].as_f64().unwrap());
    let difference = ends(&report["differences"][0]["anytime95"]);
    assert!(difference.0 < -0.06 && -0.06 < difference.1 && difference.1 < 0.0, "{report}");
    for arm in [a, b] {
        let (low, high) = ends(&arm["anytime95"]);
        assert!(low < rate(arm) && rate(arm) < high, "{arm}");
        // The last hour's window and the hour of attribution are still open.
        assert!((1..=arm["shoppers"].as_u64().unwrap() - 40).contains(&arm["closed"].as_u64().unwrap()), "{arm}");
    }
    assert!(report["split_p_value"].as_f64().unwrap() > 0.05);
    // The value of b's drawn answers under the ranked policy is the value of a.
    let dr = &b["off_policy"]["dr"];
    let (low, high) = ends(&dr["ci95"]);
    assert!(low < 0.10 && 0.10 < high && low > 0.06, "{b}");
    assert!(a["off_policy"]["refused"].as_str().unwrap().contains("randomised"), "a drew nothing");
    let table = accrue(dir.path(), &["experiment", "leaders"]);
    assert!(String::from_utf8(table.stdout).unwrap().contains("the split is as declared"));
}

#[test]
fn a_split_that_loses_shoppers_and_an_unknown_experiment_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("shop")).unwrap();
    write_log(&dir.path().join("shop"), Some(4));
    let report = json_of(&accrue(dir.path(), &["experiment", "--json"]));
    assert!(report["split_p_value"].as_f64().unwrap() < 0.001, "{report}");
    let unknown = accrue(dir.path(), &["experiment", "other"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("the log contains leaders"));
}

const OWN_ARMS: &str = "
[serve.experiment]
name = 'apart'
learning = 'own-arm'
arms = [{ name = 'a', share = 0.5 }, { name = 'b', share = 0.5, diversity = 0.1 }]
";

#[test]
fn arms_that_learn_separately_answer_by_their_own_shoppers_events() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("accrue.toml");
    let begin = |settings: &str| {
        std::fs::write(&config, settings).unwrap();
        start_with(dir.path())
    };
    let event = |kind: &str, user: &str, item: &str, number: usize| json!({"id": format!("{kind}-{user}-{item}-{number}"), "type": kind, "user": user, "item": item});
    // Before the experiment, all shoppers.
    let server = begin("");
    let users: Vec<String> = (0..60).map(|n| format!("u{n}")).collect();
    let early: Vec<Value> = (0..240).map(|n| event("view", &users[n % 60], &format!("i{}", n * n % 17), n)).collect();
    post(&server, "/v1/events", &json!(early));
    drop(server);

    let server = begin(OWN_ARMS);
    let arm = |server: &Server, user: &str| {
        post(server, "/v1/recommend", &json!({"user": user}))["experiment"]["arm"].as_str().unwrap().to_string()
    };
    // Shoppers who viewed the cup buy the mug in arm a, the jug in arm b.
    for round in 0..6 {
        let did = users.iter().flat_map(|user| {
            let next = if arm(&server, user) == "a" { "mug" } else { "jug" };
            [event("view", user, "cup", round), event("purchase", user, next, round)]
        });
        post(&server, "/v1/events", &json!(did.collect::<Vec<_>>()));
    }
    server.wait_until_learned();
    let place = |server: &Server, user: &str, item: &str| {
        let page = post(server, "/v1/recommend", &json!({"user": user, "n": 20, "items": ["cup"]}));
        let items = page["items"].as_array().unwrap();
        items.iter().position(|found| found["id"] == item).unwrap_or(20)
    };
    let newcomers: Vec<String> = (0..20).map(|n| format!("new{n}")).collect();
    let looks_right = |server: &Server| {
        for user in &newcomers {
            let in_a = arm(server, user) == "a";
            let (mug, jug) = (place(server, user, "mug"), place(server, user, "jug"));
            assert!(mug != jug && (mug < jug) == in_a, "{user}: {mug} {jug} in a: {in_a}");
        }
    };
    looks_right(&server);
    let (_, quality) = server.ask("GET", "/v1/quality", "");
    let arms = quality["arms"].as_array().unwrap();
    let choices: Vec<u64> = arms.iter().map(|arm| arm["choices"].as_u64().unwrap()).collect();
    assert_eq!((arms[0]["name"].as_str(), choices.iter().sum::<u64>()), (Some("a"), 720), "{quality}");
    assert!(choices.iter().all(|&n| n > 200) && arms[0]["own"]["samples"] == arms[0]["shared"]["samples"], "{quality}");
    drop(server);

    let verified = accrue(dir.path(), &["replay", "--verify", "--json"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    let server = begin(OWN_ARMS);
    server.wait_until_learned();
    looks_right(&server);
    drop(server);
    let server = begin("");
    server.wait_until_learned();
    assert!(server.ask("GET", "/v1/quality", "").1["arms"].is_null(), "the experiment is over");
}
