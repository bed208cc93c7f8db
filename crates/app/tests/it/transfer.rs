//! A new shop begins with what another one has learned, through the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const MAPPING: &str = r#"
[fields]
type = "type"
user = "user"
item = "item"
at = "at"

[item]
title = "name"
"#;
const CONFIG: &str = "[model.two_tower]\nenabled = true\ndim = 16\nbuckets = 1024\n";

/// A temporary folder with a configuration and the events of two shops with the same kinds of products.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write("accrue.toml", CONFIG);
        place.write("mapping.toml", MAPPING);
        place.write("old.csv", events("old", 1_200));
        place.write("new.csv", events("new", 150));
        place.json(&["ingest", "--data", "old", "old.csv", "--mapping", "mapping.toml"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
        command.args(arguments).args(["--json", "--quiet"]);
        command.current_dir(self.dir.path()).env_clear().stdin(Stdio::null()).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What is said of a run that fails.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stderr)
    }

    fn ingest_new(&self, data: &str, source: &str) -> Output {
        self.run(&["ingest", "--data", data, "--init", source, "new.csv", "--mapping", "mapping.toml"])
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Visits of four events, each to products of one kind, whose titles are the same in both shops.
fn events(shop: &str, n: usize) -> String {
    let mut rows = String::from("type,user,item,at,name\n");
    for number in 0..n {
        let (visit, kind) = (number / 4, (number / 4 * 7) % 5);
        let item = kind * 6 + (number * 5 + visit) % 6;
        let (day, hour, minute) = (1 + number / 144, number % 144 / 6, number % 6 * 10);
        let at = format!("2026-11-{day:02}T{hour:02}:{minute:02}:00Z");
        rows += &format!("purchase,{shop}-{},{shop}-{item},{at},kind{kind} thing\n", visit % 30);
    }
    rows
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let into = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &into),
            false => _ = std::fs::copy(entry.path(), into).unwrap(),
        }
    }
}

#[test]
fn a_replay_without_the_source_is_equal_and_a_backup_has_what_was_taken() {
    let place = Place::new();
    let begun = place.ingest_new("new", "from=old");
    assert!(begun.status.success(), "{}", text(&begun.stderr));
    std::fs::remove_dir_all(place.path("old")).unwrap();
    let verified = place.json(&["replay", "--data", "new", "--verify"]);
    assert_eq!(verified["equal"], true, "{verified}");
    let alone = place.json(&["ingest", "--data", "alone", "new.csv", "--mapping", "mapping.toml"]);
    assert_eq!(alone["accepted"], serde_json::from_slice::<Value>(&begun.stdout).unwrap()["accepted"]);
    let of_alone = place.json(&["replay", "--data", "alone"]);
    assert_ne!(of_alone["state"], verified["state"], "the models began with something");
    place.json(&["backup", "kept", "--data", "new"]);
    place.json(&["restore", "kept", "--data", "again"]);
    let again = place.json(&["replay", "--data", "again", "--verify"]);
    assert_eq!((&again["equal"], &again["state"]), (&Value::Bool(true), &verified["state"]));
    // More events without the flag: the folder keeps what it began with.
    place.write("more.csv", events("new", 200));
    place.json(&["ingest", "--data", "new", "more.csv", "--mapping", "mapping.toml"]);
    assert_eq!(place.json(&["replay", "--data", "new", "--verify"])["equal"], true);
}

#[test]
fn sources_and_targets_that_cannot_be_used_are_refused_with_the_reason() {
    let place = Place::new();
    let refused = |data: &str, source: &str| {
        let output = place.ingest_new(data, source);
        assert_eq!(output.status.code(), Some(2), "{source}");
        assert!(!place.path(data).join("init.parts").exists() || data == "full", "{source}: nothing is left");
        text(&output.stderr)
    };
    assert!(refused("a", "from=nowhere").contains("nowhere is no data folder"));
    assert!(refused("a", "from=new.csv").contains("new.csv is no data folder"));
    let unknown = refused("b", "from=old@99");
    assert!(unknown.contains("no state of version 99") && unknown.contains("it has "), "{unknown}");
    assert!(refused("c", "old").contains("from=FOLDER@VERSION"));
    place.json(&["ingest", "--data", "full", "new.csv", "--mapping", "mapping.toml"]);
    let has_records = refused("full", "from=old");
    assert!(has_records.contains("has records already"), "{has_records}");
    place.write("accrue.toml", CONFIG.replace("16", "24"));
    let other_width = refused("d", "from=old");
    assert!(other_width.contains("`model.two_tower.dim` is 24") && other_width.contains("16"), "{other_width}");
    place.write("accrue.toml", "");
    place.json(&["ingest", "--data", "plain", "old.csv", "--mapping", "mapping.toml"]);
    place.write("accrue.toml", CONFIG);
    let plain = refused("e", "from=plain");
    assert!(plain.contains("model.two_tower.enabled"), "{plain}");
}

#[test]
fn a_folder_whose_parts_are_gone_or_damaged_does_not_start_and_says_what_is_missing() {
    let place = Place::new();
    assert!(place.ingest_new("new", "from=old").status.success());
    let parts = place.path("new").join("init.parts");
    let whole = std::fs::read(&parts).unwrap();
    std::fs::remove_file(&parts).unwrap();
    let started: [&[&str]; 4] = [
        &["replay", "--data", "new"],
        &["ingest", "--data", "new", "new.csv", "--mapping", "mapping.toml"],
        &["backup", "kept", "--data", "new"],
        &["serve", "--data", "new", "--listen", "127.0.0.1:0"],
    ];
    for arguments in started {
        let gone = place.refused(arguments);
        assert!(gone.contains("init.parts: the file is missing"), "{arguments:?}: {gone}");
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&parts, flipped).unwrap();
    for arguments in started {
        let damaged = place.refused(arguments);
        assert!(damaged.contains("init.parts"), "{arguments:?}: {damaged}");
    }
    for broken in [&whole[..whole.len() / 2], b"", b"\x01\0\0\0 something else"] {
        std::fs::write(&parts, broken).unwrap();
        let damaged = place.refused(&["replay", "--data", "new"]);
        assert!(damaged.contains("init.parts") && damaged.contains("not parts of models"), "{damaged}");
    }
    std::fs::write(&parts, whole).unwrap();
    assert_eq!(place.json(&["replay", "--data", "new", "--verify"])["equal"], true);
    // The same command again goes on with the folder, also once the source is gone.
    std::fs::rename(place.path("old"), place.path("moved")).unwrap();
    place.write("more.csv", events("new", 40));
    let again = place.run(&["ingest", "--data", "new", "--init", "from=old", "more.csv", "--mapping", "mapping.toml"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(place.json(&["replay", "--data", "new", "--verify"])["equal"], true);
    // A copy of the folder is a source as good as the folder.
    copy_folder(&place.path("new"), &place.path("copy"));
    assert!(place.ingest_new("third", "from=copy").status.success());
}
