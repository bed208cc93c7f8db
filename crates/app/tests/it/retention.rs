//! `accrue compact`: a dry run changes nothing, a kill at any moment loses nothing, answers go before events do.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use accrue_kernel::Draws;
use serde_json::Value;

use crate::server::{Server, purchases};

const SEED: u64 = 20_261_129;

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command
        .args(arguments)
        .args(["--quiet", "--data"])
        .arg(dir)
        .env("ACCRUE_LOG_SEGMENT_RECORDS", "300")
        .env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000");
    command
}

fn run(dir: &Path, keep: &str, arguments: &[&str]) -> Output {
    command(dir, arguments).arg("--json").env("ACCRUE_STORE_KEEP", keep).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn lines(output: &Output) -> usize {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.iter().filter(|byte| **byte == b'\n').count()
}

/// A folder with 2,000 purchases that came in more than a second ago, in segments of 400 records: each command is a commit or more.
fn shop(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    let file = dir.join("events.ndjson");
    for start in (0..2_000).step_by(400) {
        let events: Value = serde_json::from_str(&purchases(SEED, start..start + 400)).unwrap();
        let lines: String = events.as_array().unwrap().iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(&file, lines).unwrap();
        json(&run(dir, "forever", &["ingest", file.to_str().unwrap()]));
    }
    std::fs::remove_file(file).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
}

fn files(dir: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for folder in ["log", "checkpoints"] {
        for entry in std::fs::read_dir(dir.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".seg") || name.ends_with(".ckpt") {
                files.push((name, entry.metadata().unwrap().len()));
            }
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}

fn someone(dir: &Path) -> String {
    let exported = run(dir, "forever", &["export", "events"]);
    let first = exported.stdout.split(|byte| *byte == b'\n').next().unwrap().to_vec();
    serde_json::from_slice::<Value>(&first).unwrap()["user"].as_str().unwrap().into()
}

#[test]
fn a_dry_run_changes_nothing_and_tells_what_would_go() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let user = someone(dir.path());
    let refused = run(dir.path(), "forever", &["compact"]);
    assert_eq!(refused.status.code(), Some(1), "nothing is to be removed");
    assert_eq!(json(&run(dir.path(), "400d", &["compact"]))["records"], 0, "nothing is that old");

    let (before, state) = (files(dir.path()), json(&run(dir.path(), "forever", &["inspect", "digest"])));
    let told = json(&run(dir.path(), "1s", &["compact", "--dry-run"]));
    assert_eq!(told["dry_run"], true);
    for field in ["records", "segments", "size_bytes", "log_start", "log_end", "users"] {
        assert!(told[field].as_u64().is_some_and(|n| n > 0), "{field}: {told}");
    }
    assert!(told["from"].is_string() && told["to"].is_string(), "{told}");
    for field in ["checkpoints_removed", "served", "quarantined", "learned"] {
        assert!(told[field].is_u64(), "{field}: {told}");
    }
    assert_eq!(files(dir.path()), before);
    let said = command(dir.path(), &["compact", "--dry-run"]).env("ACCRUE_STORE_KEEP", "1s").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    for words in ["would remove", "no longer possible", "to forget"] {
        assert!(said.contains(words), "{said}");
    }

    let done = json(&run(dir.path(), "1s", &["compact"]));
    assert_eq!((&done["records"], &done["log_start"]), (&told["records"], &told["log_start"]));
    assert_eq!(json(&run(dir.path(), "forever", &["inspect", "digest"])), state);
    for (arguments, words) in [
        (&["replay", "--verify"][..], "cannot be replayed from its beginning"),
        (&["forget", &user], "nothing was changed"),
        (&["forget", &user, "--dry-run"], "nothing was changed"),
        (&["train", "--challenge"], "pruned"),
    ] {
        let refused = run(dir.path(), "forever", arguments);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && told.contains(words), "{arguments:?}: {told}");
    }
    assert_eq!(json(&run(dir.path(), "forever", &["inspect", "digest"]))["parts"], state["parts"]);
    assert!(lines(&run(dir.path(), "forever", &["export", "events"])) < 1_000);
    // A backup of it can be restored and gives the same state.
    let elsewhere = tempfile::tempdir().unwrap();
    let (backup, again) = (elsewhere.path().join("backup"), elsewhere.path().join("again"));
    json(&run(dir.path(), "forever", &["backup", backup.to_str().unwrap()]));
    json(&run(&again, "forever", &["restore", backup.to_str().unwrap()]));
    assert_eq!(json(&run(&again, "forever", &["inspect", "digest"]))["parts"], state["parts"]);
}

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    shop(&whole);
    let state = json(&run(&whole, "forever", &["inspect", "digest"]));
    for number in 0..6 {
        let folder = dir.path().join(format!("copy-{number}"));
        copy(&whole, &folder);
        let mut process = command(&folder, &["compact"])
            .env("ACCRUE_STORE_KEEP", "1s")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(Draws::new(SEED, 10, number).below(250)));
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(json(&run(&folder, "forever", &["inspect", "digest"])), state, "seed {SEED}, copy {number}");
        let done = json(&run(&folder, "1s", &["compact"]));
        assert!(done["log_start"].as_u64().unwrap() > 1_000, "{done}");
        assert_eq!(json(&run(&folder, "forever", &["inspect", "digest"])), state, "seed {SEED}, copy {number}");
    }
}

#[test]
fn answers_are_erased_before_events_and_a_replay_agrees() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = Server::start(
        Command::new(env!("CARGO_BIN_EXE_accrue"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path())
            .env("ACCRUE_STORE_KEEP_SERVED", "1h")
            .env("ACCRUE_LOG_SEGMENT_RECORDS", "20")
            .env("ACCRUE_LOG", "error"),
    );
    for number in 0..60 {
        assert_eq!(server.ask("GET", &format!("/v1/recommend/u{number}?n=5"), "").0, 200);
        if number % 20 == 19 {
            std::thread::sleep(Duration::from_millis(250));
        }
    }
    assert_eq!(server.ask("POST", "/v1/events", &purchases(SEED, 5_000..5_050)).0, 200);
    server.end_well();
    std::thread::sleep(Duration::from_millis(1_100));
    let before = lines(&run(dir.path(), "forever", &["export", "served"]));
    assert_eq!(before, 60);
    let events = lines(&run(dir.path(), "forever", &["export", "events"]));
    let erase = |dry: &[&str]| {
        let arguments = [&["compact"], dry].concat();
        json(&command(dir.path(), &arguments).arg("--json").env("ACCRUE_STORE_KEEP_SERVED", "1s").output().unwrap())
    };
    let (told, done) = (erase(&["--dry-run"]), erase(&[]));
    assert_eq!(told["served"], done["served"]);
    let erased = done["served"].as_u64().unwrap() as usize;
    assert!(erased >= 40 && done["records"] == 0, "{done}");
    assert_eq!(lines(&run(dir.path(), "forever", &["export", "served"])), before - erased);
    assert_eq!(lines(&run(dir.path(), "forever", &["export", "events"])), events);
    assert_eq!(json(&run(dir.path(), "forever", &["replay", "--verify"]))["equal"], true);
}
