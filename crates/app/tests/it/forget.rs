//! `accrue forget` on a data folder: nothing of the person is left in it, also after being killed in the middle.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use accrue_kernel::Draws;
use serde_json::Value;

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
fn a_forgotten_person_is_nowhere_in_the_folder_and_replay_agrees() {
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
    assert!(holds(dir.path(), "person-3"), "one unknown name, and nothing is done");
}

#[test]
fn killed_at_any_moment_the_next_start_finishes_it() {
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
        // Killed before it began, during it, or after its end: asked for again, it is done or was done.
        let again = accrue(folder, &["forget", "person-5"]);
        assert!(matches!(again.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&again.stderr));
        let replay = json(&accrue(folder, &["replay", "--verify"]));
        assert_eq!((&replay["equal"], &replay["state"]), (&Value::Bool(true), &expected), "seed {SEED}, copy {number}");
        assert!(!holds(folder, "person-5"), "copy {number}");
    }
}
