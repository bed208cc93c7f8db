//! `accrue tune-encoder` on a log in which searches lead to items whose titles have none of their words.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../encode/tests/it/folder.rs"]
mod made;

const MAPPING: &str = r#"
[fields]
type = "type"
user = "user"
session = "session"
item = "item"
at = "at"
query = "query"

[item]
title = "name"
"#;
/// What is searched for, and the words of the titles that are chosen then.
const SEARCHES: [(&str, [&str; 2]); 4] =
    [("cup", ["mug", "red"]), ("light", ["lamp", "heart"]), ("tea", ["pot", "blue"]), ("a b", ["holder", "mug"])];

/// A temporary folder with a shop and an encoder with random weights.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(n_events: usize) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.path("small")).unwrap();
        made::Folder::random(&made::Shape::SMALL, 5).write(&place.path("small"));
        place.write("mapping.toml", MAPPING);
        place.write("events.csv", events(n_events));
        let ingested = place.run(&["ingest", "--data", "shop", "events.csv", "--mapping", "mapping.toml"]);
        assert!(ingested.status.success(), "{}", text(&ingested.stderr));
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

    /// Trains, with settings for a small network; checks the exit code.
    fn tune(&self, out: &str, more: &[&str], code: i32) -> Output {
        let arguments = ["tune-encoder", "--data", "shop", "--encoder", "small", "--out", out, "--rate", "0.003"];
        let output = self.run(&[&arguments[..], &["--epochs", "6"], more].concat());
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", text(&output.stderr));
        output
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stderr)
    }

    fn weights(&self, folder: &str) -> Vec<u8> {
        std::fs::read(self.path(folder).join("model.safetensors")).unwrap()
    }

    /// Whether a folder or the rest of a training is there.
    fn is_there(&self, out: &str) -> [bool; 2] {
        [out.to_owned(), format!("{out}.tuning")].map(|name| self.path(&name).exists())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Searches, each with a click on one of the items whose titles have its words.
fn events(n: usize) -> String {
    let words = ["c", "d", "e", "s", "t", "r", "i", "n"];
    let mut rows = String::from("type,user,session,item,at,query,name\n");
    for number in 0..n {
        let (query, titles) = SEARCHES[number * 7 % 4];
        let (first, second) = (number / 3 % 8, number / 11 % 8);
        let (word, other) = (words[first], words[second]);
        let name = format!("{} {word} {} {other}", titles[0], titles[1]);
        let (day, hour, minute) = (1 + number / 144, number % 144 / 6, number % 6 * 10);
        let at = format!("2026-11-{day:02}T{hour:02}:{minute:02}:00Z");
        let item = format!("{}-{first}-{second}", number * 7 % 4);
        rows += &format!("click,u{},s{number},{item},{at},{query},{name}\n", number % 90);
    }
    rows
}

#[test]
fn an_encoder_learns_what_searches_lead_to_and_is_written_with_what_it_was_made_from() {
    let place = Place::new(1_200);
    let report = json(&place.tune("new", &[], 0));
    assert_eq!(report["end"], "written", "{report}");
    assert!(report["comparison"]["all"]["mrr"]["difference"][0].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(place.is_there("new"), [true, false]);
    let note: Value = serde_json::from_slice(&std::fs::read(place.path("new/tuned.json")).unwrap()).unwrap();
    assert_eq!(
        (&note["from"], &note["pairs"], &note["steps"]),
        (&"small".into(), &report["pairs"], &report["steps"][0])
    );
    // It is a folder like any other: another training can begin with it, and texts can be encoded.
    let mut encode = Command::new(env!("CARGO_BIN_EXE_accrue"));
    encode.args(["encode", "--encoder", "new"]).current_dir(place.dir.path()).env_clear();
    let mut encode = encode.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut encode.stdin.take().unwrap(), b"red mug\n").unwrap();
    let vector: Vec<f32> = serde_json::from_slice(&encode.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(vector.len(), 24);
    let error = place.refused(&["tune-encoder", "--data", "shop", "--encoder", "small", "--out", "new"]);
    assert!(error.contains("new is there already"), "{error}");
}

#[test]
fn a_training_that_was_broken_off_ends_with_the_same_bytes_although_the_log_grew() {
    let place = Place::new(900);
    for how in [&[][..], &["--last-layers", "1"], &["--adapters", "4", "--rate", "0.02"]] {
        // The last of two equal flags would be refused, so the rate is given once.
        let arguments = ["tune-encoder", "--data", "shop", "--encoder", "small", "--epochs", "6", "--negatives", "1"];
        let rate = if how.contains(&"--rate") { &[][..] } else { &["--rate", "0.003"] };
        let with = |out: &str, more: &[&str]| place.run(&[&arguments[..], rate, how, &["--out", out], more].concat());
        let whole = with("whole", &[]);
        assert_eq!(whole.status.code(), Some(0), "{how:?}: {}{}", text(&whole.stdout), text(&whole.stderr));
        for call in ["first", "second", "last"] {
            // Every call takes a step at least; the last one takes what is left.
            let budget = if call == "last" { &[][..] } else { &["--budget", "1s", "--share", "0.2"] };
            let part = with("parts", &[budget, &["--threads", "2"]].concat());
            assert_eq!(part.status.code(), Some(0), "{how:?}: {}", text(&part.stderr));
            if json(&part)["end"] == "written" {
                break;
            }
            assert_eq!(place.is_there("parts"), [false, true]);
            if call == "first" {
                place.write("more.csv", events(950));
                place.run(&["ingest", "--data", "shop", "more.csv", "--mapping", "mapping.toml"]);
            }
        }
        assert!(place.weights("whole") == place.weights("parts"), "{how:?}");
        for folder in ["whole", "parts"] {
            std::fs::remove_dir_all(place.path(folder)).unwrap();
        }
    }
}

#[test]
fn an_encoder_that_would_be_no_better_is_refused_and_nothing_stays() {
    let place = Place::new(600);
    let refused = place.run(&[
        "tune-encoder",
        "--data",
        "shop",
        "--encoder",
        "small",
        "--out",
        "new",
        "--rate",
        "1e-9",
        "--epochs",
        "0.1",
    ]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));
    assert_eq!((json(&refused)["end"].as_str(), place.is_there("new")), (Some("refused"), [false, false]));
}

#[test]
fn what_cannot_be_trained_is_named() {
    let place = Place::new(60);
    let tune = |encoder: &str, out: &str| {
        place.refused(&["tune-encoder", "--data", "shop", "--encoder", encoder, "--out", out])
    };
    let cases = [
        ("small", "new", "pairs of texts to learn from"),
        ("hashed", "new", "has no weights"),
        ("nothing", "new", "config.json"),
        ("shop", "new", "config.json"),
        ("small", "small", "small is there already"),
        ("small", "shop/new", "shop/new lies in shop, which is only read"),
        ("small", "small/new", "small/new lies in small, which is only read"),
        ("small", "events.csv/new", "events.csv"),
    ];
    for (encoder, out, expected) in cases {
        let error = tune(encoder, out);
        assert!(error.contains(expected), "{encoder} {out}: {error}");
    }
    let mut decoder = made::Folder::random(&made::Shape::SMALL, 5);
    decoder.files.get_mut("config.json").unwrap()["model_type"] = "gpt2".into();
    std::fs::create_dir(place.path("decoder")).unwrap();
    decoder.write(&place.path("decoder"));
    let error = tune("decoder", "new");
    assert!(error.contains("model_type is gpt2") && error.contains("bert"), "{error}");
    let error = place.refused(&["tune-encoder", "--data", "none", "--encoder", "small", "--out", "new"]);
    assert!(error.contains("none"), "{error}");
    assert_eq!(place.is_there("new"), [false, false]);
}

#[test]
fn a_training_with_other_settings_does_not_go_on_with_the_old_state() {
    let place = Place::new(600);
    place.tune("new", &["--budget", "1s", "--share", "0.01"], 0);
    assert_eq!(place.is_there("new"), [false, true]);
    let other = ["--batch", "16"];
    let error = text(&place.tune("new", &other, 2).stderr);
    assert!(error.contains("other settings") && error.contains("new.tuning"), "{error}");
    assert!(Path::new(&place.path("new.tuning")).is_dir());
    std::fs::remove_dir_all(place.path("new.tuning")).unwrap();
    place.tune("new", &other, 0);
}
