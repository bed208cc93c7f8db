//! Forgetting, in a folder without a server and beside a running one: no record of the person is left, even after a
//! kill in the middle.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use accrue_kernel::Draws;
use serde_json::Value;

use crate::server::Server;

const SEED: u64 = 20_261_122;

fn accrue(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_accrue"))
        .args(arguments)
        .args(["--json", "--quiet", "--data"])
        .arg(dir)
        .env("ACCRUE_LOG_SEGMENT_RECORDS", "700")
        .env("ACCRUE_LEARN_CHECKPOINT_EVERY_EVENTS", "1000")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A data folder with 2,000 events of 40 people; some lines are refused.
fn shop(dir: &Path) {
    let lines: String = (0..2_000_u64)
        .map(|number| {
            let mut draws = Draws::new(SEED, 9, number);
            let (user, item) = (draws.below(40), draws.below(30) * draws.below(8));
            let item = if number % 97 == 0 { String::new() } else { format!("i{item}") };
            let at = 1_760_000_000_000_u64 + number * 60_000;
            format!("{{\"type\":\"purchase\",\"user\":\"person-{user}\",\"item\":\"{item}\",\"at\":{at}}}\n")
        })
        .collect();
    let file = dir.join("events.ndjson");
    std::fs::write(&file, lines).unwrap();
    let ingested = json(&accrue(dir, &["ingest", file.to_str().unwrap()]));
    assert!(ingested["accepted"].as_u64().unwrap() > 1_900);
    std::fs::remove_file(file).unwrap();
}

/// Whether any file of the folder holds the text.
fn holds(dir: &Path, text: &str) -> bool {
    let holds_it =
        |path: &Path| std::fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes());
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { holds(&path, text) } else { holds_it(&path) }
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}

#[test]
fn no_file_holds_a_forgotten_person_and_replay_agrees() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    assert!(holds(dir.path(), "person-17"));
    let counted = json(&accrue(dir.path(), &["forget", "person-17", "--dry-run"]));
    let forgotten = json(&accrue(dir.path(), &["forget", "person-17"]));
    assert_eq!(counted["records"], forgotten["records"]);
    assert!(forgotten["records"].as_u64().unwrap() > 20);
    assert!(!holds(dir.path(), "person-17"));
    let replay = json(&accrue(dir.path(), &["replay", "--verify"]));
    assert_eq!((&replay["equal"], &replay["state"]), (&Value::Bool(true), &forgotten["state"]));
    let unknown = accrue(dir.path(), &["forget", "person-17", "person-3"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(holds(dir.path(), "person-3"), "with one unknown id nothing is done");
}

#[test]
fn the_next_start_finishes_after_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    std::fs::create_dir(&whole).unwrap();
    shop(&whole);
    let copies: Vec<_> = (0..6).map(|number| dir.path().join(format!("copy-{number}"))).collect();
    copies.iter().for_each(|to| copy(&whole, to));
    let expected = json(&accrue(&whole, &["forget", "person-5"]))["state"].clone();
    for (number, folder) in copies.iter().enumerate() {
        let mut process = Command::new(env!("CARGO_BIN_EXE_accrue"))
            .args(["forget", "person-5", "--quiet", "--data"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(Draws::new(SEED, 10, number as u64).below(200)));
        process.kill().unwrap();
        process.wait().unwrap();
        // Killed before it began, during it, or after its end: requested again, it is done or was done.
        let again = accrue(folder, &["forget", "person-5"]);
        assert!(matches!(again.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&again.stderr));
        let replay = json(&accrue(folder, &["replay", "--verify"]));
        assert_eq!((&replay["equal"], &replay["state"]), (&Value::Bool(true), &expected), "seed {SEED}, copy {number}");
        assert!(!holds(folder, "person-5"), "copy {number}");
    }
}

/// A server that records no answers, so that the log holds only what is sent to it.
fn serve(dir: &Path) -> Server {
    serve_that_records(dir, "false")
}

/// A server that records its answers, or not.
fn serve_that_records(dir: &Path, answers: &str) -> Server {
    Server::start(
        Command::new(env!("CARGO_BIN_EXE_accrue"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir)
            .env("ACCRUE_SERVE_RECORD", answers)
            .env("ACCRUE_LOG_SEGMENT_RECORDS", "700")
            .env("ACCRUE_LOG", "error"),
    )
}

fn wait_until_forgotten(server: &Server) -> Value {
    loop {
        let (status, forgetting) = server.ask("GET", "/v1/forget", "");
        assert!(status == 200 && forgetting["failed"].is_null(), "{forgetting}");
        if forgetting["state"] == "idle" {
            return forgetting["last"].clone();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_running_server_forgets_while_it_answers_and_accepts_writes() {
    let dir = tempfile::tempdir().unwrap();
    let (still, alive) = (dir.path().join("still"), dir.path().join("alive"));
    std::fs::create_dir(&still).unwrap();
    shop(&still);
    copy(&still, &alive);
    let expected = json(&accrue(&still, &["forget", "person-17"]));

    let server = serve(&alive);
    let (status, problem) = server.ask("POST", "/v1/forget", r#"{"users":["person-17","nobody"]}"#);
    assert_eq!((status, &problem["code"]), (404, &Value::from("user_not_found")), "{problem}");
    assert_eq!(server.ask("POST", "/v1/forget", r#"{"users":[]}"#).0, 400);
    let page = |user: &str| server.ask("GET", &format!("/v1/recommend/{user}?n=5"), "");
    let stranger = page("a-stranger").1["items"].clone();
    assert_ne!(page("person-17").1["items"], stranger);

    let (stop, n_pages) = (AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (path, what) in [("/v1/recommend/person-3?n=5", "items"), ("/v1/search?q=i1", "hits")] {
                    let (status, answer) = server.ask("GET", path, "");
                    assert!(status == 200 && answer[what].is_array(), "{path}: {status} {answer}");
                    n_pages.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let (status, begun) = server.ask("POST", "/v1/forget", r#"{"users":["person-17"]}"#);
        assert_eq!((status, &begun["users"]), (202, &Value::from(1)), "{begun}");
        assert_eq!(page("person-17").1["items"], stranger, "unknown from this moment on");
        assert_eq!(server.ask("GET", "/v1/users/person-17", "").0, 404);
        let last = wait_until_forgotten(&server);
        stop.store(true, Ordering::Relaxed);
        assert_eq!((&last["users"], &last["records"]), (&Value::from(1), &expected["records"]), "{last}");
    });
    assert!(n_pages.load(Ordering::Relaxed) > 0);
    assert_eq!(page("person-17").0, 200);
    // Other shoppers are not affected: writes are accepted and learned.
    let event = r#"{"type":"purchase","user":"person-3","item":"i1","at":1770000000000}"#;
    let (status, taken) = server.ask("POST", "/v1/events", event);
    assert_eq!((status, &taken["accepted"]), (200, &Value::from(1)), "{taken}");
    assert_eq!(server.ask("POST", "/v1/forget", r#"{"users":["person-17"]}"#).0, 404, "they are unknown now");
    drop(server);
    assert!(!holds(&alive, "person-17"));
    let replay = json(&accrue(&alive, &["replay", "--verify"]));
    assert_eq!(replay["equal"], true, "{replay}");
    // Except for the last event, the states are those of a folder that forgot without a server.
    let offset = expected_end(&still);
    let replay = json(&accrue(&alive, &["replay", "--to", &offset]));
    assert_eq!(replay["state"], expected["state"]);
}

/// The end of a folder's log.
fn expected_end(dir: &Path) -> String {
    json(&accrue(dir, &["replay"]))["offset"].to_string()
}

#[test]
fn writes_during_forgetting_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = serve(dir.path());
    let n_before = server.ask("GET", "/v1/quality", "").1["log_end"].as_u64().unwrap();
    let mut n_written = 0;
    for person in ["person-5", "person-6", "person-7"] {
        let (status, _) = server.ask("POST", "/v1/forget", &format!(r#"{{"users":["{person}"]}}"#));
        assert_eq!(status, 202);
        loop {
            let at = 1_770_000_000_000_u64 + n_written * 1_000;
            let event = format!(r#"{{"id":"late-{n_written}","type":"view","user":"person-3","item":"i1","at":{at}}}"#);
            let (status, taken) = server.ask("POST", "/v1/events", &event);
            assert_eq!((status, &taken["accepted"]), (200, &Value::from(1)), "{taken}");
            n_written += 1;
            if server.ask("GET", "/v1/forget", "").1["state"] == "idle" {
                break;
            }
        }
    }
    assert_eq!(server.ask("GET", "/v1/quality", "").1["log_end"], n_before + n_written);
    drop(server);
    for person in ["person-5", "person-6", "person-7"] {
        assert!(!holds(dir.path(), person), "{person}");
    }
    let replay = json(&accrue(dir.path(), &["replay", "--verify"]));
    assert_eq!(replay["equal"], true, "{replay}");
}

#[test]
fn a_server_killed_while_it_forgets_finishes_at_its_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    std::fs::create_dir(&whole).unwrap();
    shop(&whole);
    let copies: Vec<_> = (0..5).map(|number| dir.path().join(format!("copy-{number}"))).collect();
    copies.iter().for_each(|to| copy(&whole, to));
    let expected = json(&accrue(&whole, &["forget", "person-5"]))["state"].clone();
    for (number, folder) in copies.iter().enumerate() {
        let server = serve(folder);
        assert_eq!(server.ask("POST", "/v1/forget", r#"{"users":["person-5"]}"#).0, 202);
        std::thread::sleep(Duration::from_millis(Draws::new(SEED, 11, number as u64).below(400)));
        drop(server);
        drop(serve(folder));
        assert!(!holds(folder, "person-5"), "copy {number}");
        let replay = json(&accrue(folder, &["replay", "--verify"]));
        assert_eq!((&replay["equal"], &replay["state"]), (&Value::Bool(true), &expected), "seed {SEED}, copy {number}");
    }
}

/// The outcome of the last attempt, once the server has ended it: why it failed, if it did.
fn outcome(server: &Server) -> Option<String> {
    loop {
        let (_, forgetting) = server.ask("GET", "/v1/forget", "");
        if forgetting["state"] == "idle" {
            return forgetting["failed"].as_str().map(str::to_owned);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn forget(server: &Server, person: &str) -> Option<String> {
    let (status, begun) = server.ask("POST", "/v1/forget", &format!(r#"{{"users":["{person}"]}}"#));
    assert_eq!(status, 202, "{begun}");
    outcome(server)
}

#[test]
fn a_person_of_whom_there_is_one_page_that_was_just_answered_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = serve_that_records(dir.path(), "true");
    for number in 0..5 {
        let newcomer = format!("newcomer-{number}");
        let (status, page) = server.ask("GET", &format!("/v1/recommend/{newcomer}"), "");
        assert_eq!(status, 200, "{page}");
        assert_eq!(forget(&server, &newcomer), None);
    }
    let (status, _) = server.ask("POST", "/v1/forget", r#"{"users":["nobody-of-that-name"]}"#);
    assert_eq!(status, 404);
    drop(server);
    assert!(!holds(dir.path(), "newcomer-"));
}

/// Makes the folder of checkpoints unreadable, as a mount that is gone would be, until it is dropped.
struct CheckpointsAway<'d>(&'d Path);

impl<'d> CheckpointsAway<'d> {
    fn new(dir: &'d Path) -> Self {
        std::fs::rename(dir.join("checkpoints"), dir.join("away")).unwrap();
        std::fs::write(dir.join("checkpoints"), "").unwrap();
        Self(dir)
    }
}

impl Drop for CheckpointsAway<'_> {
    fn drop(&mut self) {
        std::fs::remove_file(self.0.join("checkpoints")).unwrap();
        std::fs::rename(self.0.join("away"), self.0.join("checkpoints")).unwrap();
    }
}

#[test]
fn a_forgetting_that_failed_is_done_with_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = serve(dir.path());
    let away = CheckpointsAway::new(dir.path());
    assert!(forget(&server, "person-17").is_some_and(|failed| failed.contains("checkpoints")));
    assert_eq!(server.ask("GET", "/v1/users/person-17", "").0, 404, "they stay hidden");
    drop(away);
    // What they do until then is erased as well.
    let late = r#"{"id":"late","type":"view","user":"person-17","item":"i1","at":1770000000000}"#;
    assert_eq!(server.ask("POST", "/v1/events", late).0, 200);
    assert_eq!(forget(&server, "person-5"), None);
    assert_eq!(server.ask("GET", "/v1/users/person-17", "").0, 404);
    assert_eq!(server.end_well(), Some(0));
    for person in ["person-17", "person-5"] {
        assert!(!holds(dir.path(), person), "{person}");
    }
    let replay = json(&accrue(dir.path(), &["replay", "--verify"]));
    assert_eq!(replay["equal"], true, "{replay}");
}

#[test]
fn a_forgetting_that_failed_is_tried_again_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = serve(dir.path());
    let away = CheckpointsAway::new(dir.path());
    assert!(forget(&server, "person-17").is_some());
    drop(away);
    while outcome(&server).is_some() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.ask("GET", "/v1/forget", "").1["last"]["users"], 1);
    drop(server);
    assert!(!holds(dir.path(), "person-17"));
}

#[test]
fn the_next_start_finishes_every_forgetting_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = serve(dir.path());
    let away = CheckpointsAway::new(dir.path());
    for person in ["person-17", "person-5", "person-17"] {
        assert!(forget(&server, person).is_some(), "{person}");
    }
    drop(server);
    drop(away);
    assert_eq!(serve(dir.path()).end_well(), Some(0));
    for person in ["person-17", "person-5"] {
        assert!(!holds(dir.path(), person), "{person}");
    }
}

/// Flips bits in the middle of a segment that is full, as a bad disk would; a second time puts them back.
fn flip_bits_of_the_first_segment(dir: &Path) {
    let files = std::fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let first = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).min().unwrap();
    let mut bytes = std::fs::read(&first).unwrap();
    let middle = bytes.len() * 2 / 3;
    bytes[middle..middle + 8].iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(first, bytes).unwrap();
}

#[test]
fn who_asked_while_the_log_cannot_be_read_is_hidden_and_forgotten_later() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    // One more record begins another segment, and the first one is closed.
    let file = dir.path().join("more.ndjson");
    std::fs::write(&file, r#"{"type":"view","user":"person-3","item":"i1","at":1770000000000}"#).unwrap();
    json(&accrue(dir.path(), &["ingest", file.to_str().unwrap()]));
    std::fs::remove_file(file).unwrap();
    flip_bits_of_the_first_segment(dir.path());
    let server = serve(dir.path());
    assert!(forget(&server, "person-17").is_some());
    assert!(forget(&server, "person-5").is_some());
    let (status, unknown) = server.ask("POST", "/v1/forget", r#"{"users":["nobody"]}"#);
    assert!(status >= 400, "{unknown}");
    let hidden = |server: &Server| {
        for person in ["person-17", "person-5"] {
            assert_eq!(server.ask("GET", &format!("/v1/users/{person}"), "").0, 404, "{person}");
        }
        assert_eq!(server.ask("GET", "/v1/users/person-3", "").0, 200);
    };
    hidden(&server);
    drop(server);
    let server = serve(dir.path());
    assert!(outcome(&server).is_some());
    hidden(&server);
    flip_bits_of_the_first_segment(dir.path());
    drop(server);
    assert_eq!(serve(dir.path()).end_well(), Some(0));
    for person in ["person-17", "person-5"] {
        assert!(!holds(dir.path(), person), "{person}");
    }
    let replay = json(&accrue(dir.path(), &["replay", "--verify"]));
    assert_eq!(replay["equal"], true, "{replay}");
}

#[test]
fn a_server_starts_without_the_records_that_it_cannot_erase_yet() {
    let dir = tempfile::tempdir().unwrap();
    shop(dir.path());
    let server = serve(dir.path());
    let away = CheckpointsAway::new(dir.path());
    assert!(forget(&server, "person-17").is_some());
    drop(server);
    drop(away);
    // The erasure needs to remove the index; nothing else is in the way of the start.
    let index = dir.path().join("search");
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::write(&index, "").unwrap();
    let server = serve(dir.path());
    let (_, forgetting) = server.ask("GET", "/v1/forget", "");
    assert!(forgetting["failed"].is_string(), "{forgetting}");
    assert_eq!(server.ask("GET", "/v1/users/person-17", "").0, 404);
    assert_eq!(server.ask("GET", "/v1/recommend/person-3?n=5", "").0, 200);
    std::fs::remove_file(&index).unwrap();
    while outcome(&server).is_some() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.end_well(), Some(0));
    assert!(!holds(dir.path(), "person-17"));
    let replay = json(&accrue(dir.path(), &["replay", "--verify"]));
    assert_eq!(replay["equal"], true, "{replay}");
}
