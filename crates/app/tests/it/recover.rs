//! Parts of a server that fail or are interrupted: a learner that is behind when the server ends, checkpoints that cannot be written, a
//! search index whose folder is gone. Each is told, tried again, and comes back by itself.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Server, purchases};

fn serve(dir: &Path) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(dir);
    command.env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000").env("ACCRUE_SERVE_RECORD", "false");
    Server::start(&mut command)
}

/// Asks until the answer has a property.
fn wait_for(server: &Server, path: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let (_, answer) = server.ask("GET", path, "");
        if is_it(&answer) {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{path}: {answer}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn post(server: &Server, path: &str, body: &str) {
    let (status, answer) = server.ask("POST", path, body);
    assert_eq!((status, &answer["quarantined"]), (200, &serde_json::json!([])), "{answer}");
}

fn offset(server: &Server) -> (u64, u64) {
    let (_, ready) = server.ask("GET", "/readyz", "");
    (ready["offset"].as_u64().unwrap(), ready["lag"].as_u64().unwrap())
}

fn replay_agrees(dir: &Path) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_accrue")).args(["replay", "--verify", "--json", "--data"]).arg(dir).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_learner_that_is_behind_saves_on_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    for number in 0..4 {
        post(&server, "/v1/events", &purchases(1, 5_000 * number..5_000 * (number + 1)));
    }
    while offset(&server).0 < 4_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(server);
    let server = serve(dir.path());
    assert!(offset(&server).0 >= 1_000, "it begins where the last checkpoint is");
    assert_eq!(server.end_well(), Some(0));
    replay_agrees(dir.path());
}

#[cfg(unix)]
#[test]
fn a_stop_does_not_wait_for_a_backlog() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    for number in 0..6 {
        post(&server, "/v1/events", &purchases(2, 10_000 * number..10_000 * (number + 1)));
    }
    let lag = offset(&server).1;
    let started = Instant::now();
    assert_eq!(server.end_well(), Some(0));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?} with {lag} records behind");
    let server = serve(dir.path());
    assert!(offset(&server).0 > 0, "it saved where it was");
    assert_eq!(server.end_well(), Some(0));
    replay_agrees(dir.path());
}

#[test]
fn checkpoints_that_cannot_be_written_are_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    let folder = dir.path().join("checkpoints");
    std::fs::write(&folder, "").unwrap();
    post(&server, "/v1/events", &purchases(3, 0..3_000));
    let status = wait_for(&server, "/v1/status", |status| status["checkpoint"]["state"] == "failed");
    assert!(status["checkpoint"]["last_error"].as_str().unwrap().contains("checkpoints"), "{status}");
    assert_eq!(status["degraded"], serde_json::json!(["checkpoint"]));
    assert_eq!(server.ask("GET", "/v1/recommend/u1?n=5", "").0, 200);
    let (status, ready) = server.ask("GET", "/readyz", "");
    assert_eq!((status, &ready["degraded"][0]), (200, &Value::from("checkpoint")));
    std::fs::remove_file(&folder).unwrap();
    let status = wait_for(&server, "/v1/status", |status| status["checkpoint"]["state"] == "current");
    assert!(status["checkpoint"]["age_s"].as_f64().unwrap() < 60.0, "{status}");
    assert_eq!((&status["degraded"], &status["checkpoint"]["behind"]), (&serde_json::json!([]), &Value::from(0)));
    drop(server);
    replay_agrees(dir.path());
}

/// An item with a word of its own.
fn item(word: &str) -> String {
    format!(r#"[{{"id":"{word}-1","title":"A {word} for the shelf","price":5}}]"#)
}

fn finds(server: &Server, word: &str) -> bool {
    server.ask("GET", &format!("/v1/search?q={word}"), "").1["total"] == 1
}

/// A process that is killed in a commit may leave files that the next commit would write.
#[test]
fn a_search_index_with_files_in_its_way_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    post(&server, "/v1/items", &item("zebra"));
    wait_for(&server, "/v1/search?q=zebra", |answer| answer["total"] == 1);
    drop(server);
    let folder = dir.path().join("search");
    let names = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let segments: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".idx")?.to_owned())).collect();
    assert!(!segments.is_empty());
    for segment in segments {
        // A list of removed documents is named after the change that it follows.
        (0..200).for_each(|change| std::fs::write(folder.join(format!("{segment}.{change}.del")), "").unwrap());
    }
    let server = serve(dir.path());
    post(&server, "/v1/items", r#"[{"id":"zebra-1","title":"A quagga for the shelf","price":5}]"#);
    wait_for(&server, "/v1/search?q=quagga", |answer| answer["total"] == 1);
    let status = wait_for(&server, "/v1/status", |status| status["search_index"]["state"] == "current");
    assert!(status["search_index"]["last_error"].as_str().is_some_and(|error| error.contains(".del")), "{status}");
}

#[test]
fn a_search_index_whose_folder_is_gone_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path());
    post(&server, "/v1/items", &item("zebra"));
    wait_for(&server, "/v1/search?q=zebra", |answer| answer["total"] == 1);
    let (folder, away) = (dir.path().join("search"), dir.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, "").unwrap();
    post(&server, "/v1/items", &item("quagga"));
    let status = wait_for(&server, "/v1/status", |status| status["search_index"]["state"] == "failed");
    assert!(!status["search_index"]["last_error"].is_null(), "{status}");
    let (_, answer) = server.ask("GET", "/v1/search?q=zebra", "");
    assert_eq!(answer["total"], 1, "{answer}");
    assert!(answer["degraded"].as_array().unwrap().contains(&Value::from("stale_index")), "{answer}");
    // What is sent meanwhile is found once the folder can be written.
    post(&server, "/v1/items", &item("okapi"));
    assert_eq!(server.ask("DELETE", "/v1/items/zebra-1", "").0, 204);
    std::fs::remove_file(&folder).unwrap();
    wait_for(&server, "/v1/status", |status| status["search_index"]["state"] == "current");
    assert!(finds(&server, "quagga") && finds(&server, "okapi") && !finds(&server, "zebra"));
    let (_, answer) = server.ask("GET", "/v1/search?q=okapi", "");
    assert!(!answer["degraded"].as_array().unwrap().contains(&Value::from("stale_index")), "{answer}");
    // An old state of the folder in the place of the new one is noticed as well.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    post(&server, "/v1/items", &item("tapir"));
    wait_for(&server, "/v1/search?q=tapir", |answer| answer["total"] == 1);
    assert!(finds(&server, "quagga") && finds(&server, "okapi"));
}
