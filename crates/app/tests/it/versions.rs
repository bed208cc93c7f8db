//! Versions from outside: a server process that completes them, rolls back on request while it answers, survives `kill
//! -9` right after it; and the same on the command line, with challengers. After every decision, the log alone gives
//! the same bytes.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::server::{Server, ask, purchases};

const SEED: u64 = 20_261_123;

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.env("ACCRUE_DATA", dir).env("ACCRUE_LOG", "error").env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "2000");
    for (name, value) in
        [("VERSION_EVERY", "1000"), ("CONFIRM_AFTER", "500"), ("ANCHOR_ONE_IN", "16"), ("TOLERANCE", "0.4")]
    {
        command.env(format!("ACCRUE_LEARN_GUARD_{name}"), value);
    }
    command
}

fn accrue(dir: &Path, arguments: &[&str]) -> Output {
    command(dir).args(arguments).args(["--json", "--quiet"]).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn start(dir: &Path) -> Server {
    Server::start(command(dir).args(["serve", "--listen", "127.0.0.1:0"]))
}

/// Posts events and waits until they are learned.
fn send(server: &Server, range: std::ops::Range<u64>) {
    for first in range.clone().step_by(500) {
        let (status, _) = server.ask("POST", "/v1/events", &purchases(SEED, first..(first + 500).min(range.end)));
        assert_eq!(status, 200);
    }
    server.wait_until_learned();
}

fn is_equal_after_replay(dir: &Path) {
    let replay = json(&accrue(dir, &["replay", "--verify"]));
    assert_eq!(replay["equal"], true, "{replay}");
}

#[test]
fn a_server_rolls_back_while_it_answers_and_keeps_it_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    send(&server, 0..6_000);
    let (status, before) = server.ask("GET", "/v1/versions", "");
    let learning = before["versions"].as_array().unwrap().last().unwrap()["version"].as_u64().unwrap();
    let good = before["good"].as_u64().unwrap();
    assert!(status == 200 && good > 0 && learning > good, "{before}");

    let stop = Arc::new(AtomicBool::new(false));
    let (address, stopped) = (server.address.clone(), stop.clone());
    let reader = std::thread::spawn(move || {
        let mut n_answers = 0;
        while !stopped.load(Ordering::Relaxed) {
            let (status, page) = ask(&address, "GET", "/v1/recommend/u7?n=5", "");
            assert!(status == 200 && page["items"].as_array().unwrap().len() == 5, "{page}");
            n_answers += 1;
        }
        n_answers
    });
    let (status, after) = server.ask("POST", &format!("/v1/versions/{learning}/rollback?why=a%20test"), "");
    stop.store(true, Ordering::Relaxed);
    assert!(reader.join().unwrap() > 0, "requests were answered");
    assert_eq!(status, 200, "{after}");
    assert!(after["suspect"][0]["why"] == "a test" && after["suspect"][0]["released"] == false, "{after}");
    let (_, page) = server.ask("GET", "/v1/recommend/u7?n=5", "");
    assert!(page["version"].as_u64().unwrap() > learning, "{page}");
    for (path, status, code) in [
        ("/v1/versions/999/promote", 404, "version_not_found"),
        ("/v1/versions/x/promote", 400, "invalid_path"),
        ("/v1/versions/suspect/3/release", 404, "not_found"),
    ] {
        let (told, problem) = server.ask("POST", path, "");
        assert!(told == status && problem["code"] == code, "{path}: {problem}");
    }
    drop(server);

    let server = start(dir.path());
    server.wait_until_learned();
    let (_, again) = server.ask("GET", "/v1/versions", "");
    assert_eq!(again["suspect"], after["suspect"], "a kill does not undo it");
    let from = after["suspect"][0]["from"].as_u64().unwrap();
    let (status, released) = server.ask("POST", &format!("/v1/versions/suspect/{from}/release"), "");
    assert!(status == 200 && released["suspect"][0]["released"] == true, "{released}");
    send(&server, 6_000..7_000);
    drop(server);
    is_equal_after_replay(dir.path());
}

#[test]
fn a_share_of_shoppers_is_answered_by_the_good_version() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(
        command(dir.path()).args(["serve", "--listen", "127.0.0.1:0"]).env("ACCRUE_SERVE_GOOD_SHARE", "0.5"),
    );
    send(&server, 0..6_000);
    let (_, versions) = server.ask("GET", "/v1/versions", "");
    let (good, serving) = (&versions["good"], &versions["serving"]);
    assert!(good.as_u64() > Some(0) && serving.as_u64() > good.as_u64(), "{versions}");
    let version_of = |user: u64| {
        let (status, page) = server.ask("GET", &format!("/v1/recommend/u{user}?n=5"), "");
        assert!(status == 200 && page["items"].as_array().unwrap().len() == 5, "{page}");
        page["version"].clone()
    };
    let by: Vec<Value> = (0..50).map(version_of).collect();
    assert!(by.iter().all(|version| version == good || version == serving), "{by:?}");
    let n_good = by.iter().filter(|version| *version == good).count();
    assert!((10..40).contains(&n_good), "{n_good} of 50");
    // The good version does not know what is new, but its answers use the shopper's latest events.
    let by_good = by.iter().position(|version| version == good).unwrap();
    let page = || server.ask("GET", &format!("/v1/recommend/u{by_good}?n=10"), "").1["items"].clone();
    let before = page();
    let other = (by_good + 5) % 10 * 6;
    let at = 1_760_000_000_000_u64 + 6_000 * 60_000;
    let event = format!(r#"{{"type":"purchase","user":"u{by_good}","item":"i{other}","at":{at}}}"#);
    assert_eq!(server.ask("POST", "/v1/events", &event).0, 200);
    assert_ne!(page(), before);
}

#[test]
fn a_challenger_is_judged_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.ndjson");
    let events: Vec<Value> = serde_json::from_str(&purchases(SEED, 0..9_000)).unwrap();
    std::fs::write(&file, events.iter().map(|event| format!("{event}\n")).collect::<String>()).unwrap();
    let ingested = json(&accrue(dir.path(), &["ingest", file.to_str().unwrap()]));
    assert_eq!(ingested["accepted"], 9_000);

    let refused =
        accrue(dir.path(), &["train", "--challenge", "--from", "9000", "--shadow", "4000", "--set", "part=popularity"]);
    let report = json(&refused);
    assert!(refused.status.code() == Some(1) && report["promoted"] == false, "{report}");
    let promoted =
        accrue(dir.path(), &["train", "--challenge", "--passes", "2", "--shadow", "4000", "--margin", "0.05"]);
    let report = json(&promoted);
    assert!(promoted.status.code() == Some(0) && report["promoted"] == true, "{report}");
    assert!(report["standing"]["n"].as_u64().unwrap() > 50, "{report}");
    is_equal_after_replay(dir.path());

    let versions = json(&accrue(dir.path(), &["versions"]));
    let good = versions["good"].as_u64().unwrap();
    let of_good = versions["versions"].as_array().unwrap().iter().find(|entry| entry["number"] == good).unwrap();
    assert!(of_good["why"].as_str().unwrap().contains("not worse"), "{of_good}");
    let compared = json(&accrue(dir.path(), &["versions", "compare", "1", &good.to_string()]));
    assert!(compared["records_between"].as_u64().unwrap() > 1_000, "{compared}");
    let back = accrue(dir.path(), &["rollback", &good.to_string()]);
    assert!(json(&back)["suspect"].as_array().unwrap().len() == 1);
    is_equal_after_replay(dir.path());
    for wrong in [&["versions", "promote", "999"][..], &["versions", "compare", "1", "999"], &["rollback", "999"]] {
        let output = accrue(dir.path(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("version"), "{wrong:?}");
    }
}
