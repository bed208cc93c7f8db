//! `accrue what-if` and `accrue inspect why` on the log of a server that drew places by chance.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::server::Server;

fn accrue(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command
        .args(arguments)
        .arg("--data")
        .arg(dir.join("shop"))
        .arg("--config")
        .arg(dir.join("accrue.toml"))
        .env_clear();
    command.output().unwrap()
}

fn json_of(output: &Output, code: i32) -> Value {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let (status, answer) = server.ask("POST", path, &body.to_string());
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Waits until the models have learned what the log holds now.
fn wait_until_learned(server: &Server) {
    let quality = || server.ask("GET", "/v1/quality", "").1;
    let end = quality()["log_end"].as_u64().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while quality()["offset"].as_u64().unwrap() < end {
        assert!(std::time::Instant::now() < deadline, "the models learn the log within a minute");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A shop in which shoppers click what stands first, most often. `share` of the answers is drawn.
fn shop(dir: &Path, share: f64, n_answers: u64) {
    let settings = format!("[serve.explore]\nshare = {share:?}\nplaces = 1\namong = 5\ntemperature = inf\n");
    std::fs::write(dir.join("accrue.toml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir.join("shop"));
    let server = Server::start(command.arg("--config").arg(dir.join("accrue.toml")).env_clear());
    let items: Vec<Value> = (0..30)
        .map(|n| json!({"id": format!("i{n}"), "title": format!("thing {n}"), "brand": format!("b{}", n % 3)}))
        .collect();
    post(&server, "/v1/items", &json!(items));
    let bought: Vec<Value> = (0..200)
        .map(|n| json!({"id": format!("e{n}"), "type": "purchase", "user": format!("u{}", n % 25), "item": format!("i{}", n * n % 23)}))
        .collect();
    post(&server, "/v1/events", &json!(bought));
    wait_until_learned(&server);
    for n in 0..n_answers {
        let user = format!("u{}", n % 50);
        let page = post(&server, "/v1/recommend", &json!({"user": user, "n": 5, "scene": "front"}));
        let (id, first) = (&page["recommendation_id"], &page["items"][0]["id"]);
        if n % 3 > 0 {
            let click = json!({"id": format!("c{n}"), "type": "click", "user": user, "item": first,
                "recommendation_id": id, "position": 0});
            post(&server, "/v1/events", &click);
        }
    }
    // Answers are recorded after they are given, and the end of the process would take those that wait.
    let n_records = 230 + n_answers + n_answers - n_answers.div_ceil(3);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while server.ask("GET", "/v1/quality", "").1["log_end"].as_u64().unwrap() < n_records {
        assert!(std::time::Instant::now() < deadline, "all answers are recorded within a minute");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn settings_are_judged_on_answers_whose_places_were_drawn() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path(), 1.0, 300);
    let file = dir.path().join("proposal.toml");
    let ask = |toml: &str, more: &[&str], code: i32| {
        std::fs::write(&file, toml).unwrap();
        let arguments = [&["what-if", "--settings", file.to_str().unwrap(), "--json"], more].concat();
        json_of(&accrue(dir.path(), &arguments), code)
    };
    let same = ask("", &["--least-effective", "20"], 1);
    assert_eq!((&same["answers"], &same["pages"], &same["drawn"]), (&json!(300), &json!(300), &json!(300)), "{same}");
    assert_eq!((&same["unreadable"], &same["changed"]), (&json!(0), &json!(0.0)));
    assert!(same["clicks"]["refused"].as_str().unwrap().contains("none of the 300 pages"), "{same}");
    // Facts are ahead of the models, as they were when the answers were given.
    assert!(same["reproduced"].as_f64().unwrap() > 0.9, "{same}");
    // Where an item of this brand stands first, one of the next four moves up, which a draw may do too.
    let hide = "[[rule]]\nname = 'x'\naction = 'hide'\nfilter = 'brand:b0'";
    let second = ask(hide, &["--least-effective", "8", "--top", "1"], 0);
    assert!(second["judged"].as_f64().unwrap() >= 0.5 && second["changed"].as_f64().unwrap() < 0.9, "{second}");
    let value = second["clicks"]["proposed"]["value"].as_f64().unwrap();
    assert!((0.1..1.2).contains(&value), "two of three pages are clicked: {second}");
    assert!(second["clicks"]["change"]["value"].as_f64().unwrap().abs() < 0.8, "{second}");
    // The last item is moved to the top, which no draw of this log does.
    let far = "[[rule]]\nname = 'x'\naction = 'pin'\nitems = ['i29']";
    let far = ask(far, &["--top", "1"], 1);
    assert!(far["changed"].as_f64().unwrap() > 0.5 && far["judged"].as_f64().unwrap() < 0.5, "{far}");
    assert!(far["clicks"]["refused"].as_str().unwrap().contains("a draw could have shown only"), "{far}");
    let few = ask(hide, &["--answers", "40", "--top", "1"], 1);
    assert_eq!((&few["answers"], &few["pages"]), (&json!(300), &json!(40)));
    assert!(few["clicks"]["refused"].as_str().unwrap().contains("at least 100"), "{few}");
    let plain =
        String::from_utf8(accrue(dir.path(), &["what-if", "--settings", file.to_str().unwrap()]).stdout).unwrap();
    assert!(plain.matches("refused").count() == 1, "told once for clicks and purchases: {plain}");
}

#[test]
fn a_log_without_draws_and_settings_with_a_fault_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path(), 0.0, 60);
    let file = dir.path().join("proposal.toml");
    let ask = |toml: &str| {
        std::fs::write(&file, toml).unwrap();
        accrue(dir.path(), &["what-if", "--settings", file.to_str().unwrap(), "--json"])
    };
    // The last item is moved to the top of every page, whatever the models had learned when it was served.
    let changed = json_of(&ask("[[rule]]\nname = 'x'\naction = 'pin'\nitems = ['i29']"), 1);
    assert!(changed["clicks"]["refused"].as_str().unwrap().contains("serve.explore.share"), "{changed}");
    assert_eq!((&changed["drawn"], &changed["clicks"]["n_effective"]), (&json!(0), &json!(0.0)));
    let same = json_of(&ask(""), 1);
    assert!(same["clicks"]["refused"].as_str().unwrap().contains("nothing to judge"), "{same}");
    for (toml, said) in [
        ("[scene.product]\nsources = ['neigbours']", "did you mean `neighbours`"),
        ("[[rule]]\nname = 'x'\naction = 'hide'", "items"),
        ("[[rule]]\nname = 'x'\naction = 'hide'\nfilter = 'NOT colur:red'", "colur"),
        ("[model.blend]\nrate = 0.1", "accrue train"),
        ("[scnee.home]", "unknown field"),
        ("part = 'bought_together'", "bought_together"),
        ("][", "proposal.toml"),
    ] {
        let refused = ask(toml);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{toml}");
        assert!(stderr.contains(said), "{toml}: {stderr}");
    }
    for least in ["nan", "0", "-1", "inf"] {
        let arguments = ["what-if", "--settings", file.to_str().unwrap(), &format!("--least-effective={least}")];
        let refused = accrue(dir.path(), &arguments);
        assert_eq!(refused.status.code(), Some(2), "{least}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("a number from 1 on"));
    }
    let scene = accrue(dir.path(), &["inspect", "why", "u1", "i1", "--scene", "hoem"]);
    assert!(String::from_utf8_lossy(&scene.stderr).contains("did you mean `home`"), "{scene:?}");
    let missing = accrue(dir.path(), &["what-if", "--settings", "nowhere.toml"]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn inspect_why_says_what_the_server_says_and_confirms_it() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path(), 0.0, 60);
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir.path().join("shop"));
    let server = Server::start(command.arg("--config").arg(dir.path().join("accrue.toml")).env_clear());
    let body = json!({"user": "u7", "n": 10, "scene": "home", "explain": true});
    wait_until_learned(&server);
    let page = post(&server, "/v1/recommend", &body);
    drop(server);
    let mut n_cited = 0;
    for (place, item) in page["items"].as_array().unwrap().iter().enumerate().take(4) {
        let id = item["id"].as_str().unwrap();
        let why = json_of(&accrue(dir.path(), &["inspect", "why", "u7", id, "--scene", "home", "--json"]), 0);
        assert_eq!((&why["place"], &why["is_whole"]), (&json!(place), &json!(true)), "{why}");
        assert!((why["score"].as_f64().unwrap() - item["score"].as_f64().unwrap()).abs() < 1e-4, "{why} {item}");
        let told = |reasons: &Value| {
            let of = |reason: &Value| (reason["code"].clone(), reason["text"].clone(), reason["item"].clone());
            reasons.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(told(&why["reasons"]), told(&item["reasons"]), "{why} {item}");
        for without in why["without"].as_array().unwrap() {
            assert_eq!(without["is_confirmed"], true, "{why}");
            n_cited += 1;
        }
    }
    assert!(n_cited > 3, "{page}");
    let unknown = accrue(dir.path(), &["inspect", "why", "u7", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("unknown"));
    assert_eq!(accrue(dir.path(), &["inspect", "why", "nobody", "i1"]).status.code(), Some(2));
    let plain = accrue(dir.path(), &["inspect", "why", "u7", "i1"]);
    assert!(String::from_utf8_lossy(&plain.stdout).contains("place "), "{plain:?}");
}

#[test]
fn a_running_server_judges_a_proposal_in_the_background_as_the_command_does() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path(), 1.0, 300);
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir.path().join("shop"));
    let server = Server::start(command.arg("--config").arg(dir.path().join("accrue.toml")).env_clear());
    wait_until_learned(&server);
    assert_eq!(server.ask("GET", "/v1/what-if", ""), (200, json!({"state": "none"})));
    for (body, field) in [
        (json!({}), "scenes"),
        (json!({"scenes": {"home": {"sources": ["x"]}}}), ""),
        (json!({"rules": [{"name": "x", "action": "hide"}]}), ""),
        (json!({"rules": [], "top": 0}), "top"),
        (json!({"rules": [], "days": 400}), "days"),
        (json!({"rules": [], "answers": 1_000_000}), "answers"),
        (json!({"rules": [], "least_effective": 0}), "least_effective"),
    ] {
        let (status, problem) = server.ask("POST", "/v1/what-if", &body.to_string());
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_value")), "{body}: {problem}");
        assert!(field.is_empty() || problem["field"] == field, "{body}: {problem}");
    }
    let rule = json!({"name": "x", "action": "hide", "filter": "brand:b0"});
    let body = json!({"rules": [rule], "top": 1, "least_effective": 8});
    let (status, begun) = server.ask("POST", "/v1/what-if", &body.to_string());
    let proposal = &begun["proposal"];
    assert_eq!(
        (status, &proposal["rules"][0]["filter"], &proposal["top"]),
        (202, &json!("brand:b0"), &json!(1)),
        "{begun}"
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let found = loop {
        let (_, latest) = server.ask("GET", "/v1/what-if", "");
        if latest["state"] != "running" {
            break latest;
        }
        assert!(std::time::Instant::now() < deadline, "{latest}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(found["state"], "done", "{found}");
    let clicks = &found["found"]["clicks"];
    assert!(clicks["n_effective"].as_f64().unwrap() > 8.0, "{found}");
    let [low, high] = [0, 1].map(|end| clicks["change"]["ci95"][end].as_f64().unwrap());
    assert!(low < high && (low..high).contains(&clicks["change"]["value"].as_f64().unwrap()), "{found}");
    let file = dir.path().join("proposal.toml");
    std::fs::write(&file, "[[rule]]\nname = 'x'\naction = 'hide'\nfilter = 'brand:b0'").unwrap();
    let arguments = ["what-if", "--settings", file.to_str().unwrap(), "--json", "--top", "1", "--least-effective", "8"];
    let printed = json_of(&accrue(dir.path(), &arguments), 0);
    assert_eq!(printed["clicks"], *clicks, "the same as the command's");
}
