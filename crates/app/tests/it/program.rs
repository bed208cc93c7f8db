//! Runs the program on files as a shop would, and reads what it says and exports.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(super) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/mapping").join(name)
}

pub(super) fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null()).output().unwrap()
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ingests a file as a user would and returns the summary, what was said, and what is exported of this kind.
pub(super) fn ingested(file: &Path, arguments: &[&str], exported: &str) -> (Value, String, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec!["ingest", file.to_str().unwrap(), "--json", "--data", "d"];
    all.extend(arguments);
    let output = run(folder.path(), &all);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{}: {said}{}", file.display(), text(&output.stdout));
    let export = run(folder.path(), &["export", exported, "--data", "d"]);
    let records = text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (serde_json::from_slice(&output.stdout).unwrap(), said, records)
}

/// The record of this id, or of this item and type.
pub(super) fn find<'r>(records: &'r [Value], key: &str, value: &str) -> &'r Value {
    records.iter().find(|record| record[key] == value).unwrap_or_else(|| panic!("no {key} {value}: {records:?}"))
}

/// The files of several days, one after the other, into one shop: the summaries, and the events.
pub(super) fn ingested_in_order(files: &[(&str, &str)], arguments: &[&str]) -> (Vec<Value>, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let mut summaries = Vec::new();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
        let mut all = vec!["ingest", name, "--json", "--data", "d"];
        all.extend(arguments);
        let output = run(folder.path(), &all);
        summaries.push(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text_of(&output))));
    }
    let export = run(folder.path(), &["export", "events", "--data", "d"]);
    (summaries, text(&export.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

pub(super) fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

pub(super) fn text_of_errors(output: &Output) -> String {
    text(&output.stderr)
}

pub(super) fn text_of(output: &Output) -> String {
    text(&output.stdout)
}

/// A folder with these files.
pub(super) fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}
