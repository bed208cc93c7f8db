//! Public data through the whole program. `ACCRUE_DATASETS` names the folder that holds them; a test whose file is missing there fails,
//! and without the variable each test says that it is skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// The file of a data set, or `None` (and a line that says so) if no folder is given.
fn dataset(test: &str, file: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("ACCRUE_DATASETS") else {
        println!("skipped: {test} (ACCRUE_DATASETS is not set)");
        return None;
    };
    let path = Path::new(&folder).join(file);
    assert!(path.is_file(), "{} is missing", path.display());
    Some(path)
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn accrue(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_accrue")).args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn temporary(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("accrue-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// The first `n` lines of a compressed file, in a separate file.
fn head(path: &Path, n: usize, name: &str) -> PathBuf {
    let target = temporary(name);
    let mut out = std::io::BufWriter::new(std::fs::File::create(&target).unwrap());
    let lines = BufReader::new(zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap()).lines();
    for line in lines.take(n) {
        writeln!(out, "{}", line.unwrap()).unwrap();
    }
    out.flush().unwrap();
    target
}

#[test]
fn the_retail_year_is_accepted_except_lines_without_a_product() {
    let Some(file) = dataset("the_retail_year…", "online-retail-uci/y2009_2010.tsv.zst") else { return };
    let mapping = example("online-retail/mapping.toml");
    let report = accrue(&["ingest", "--check", file.to_str().unwrap(), "--mapping", mapping.to_str().unwrap()]);
    assert_eq!(report["read"], 525_461);
    assert_eq!(report["accepted"], 522_476);
    assert_eq!(report["repaired"], 1);
    assert_eq!(report["duplicates"], 0, "true repeats are kept");
    assert_eq!(report["quarantined"], json!({"not_a_product": 2984}));
}

#[test]
fn ingesting_twice_changes_nothing_and_replay_gives_the_same_bytes() {
    let Some(file) = dataset("ingesting_twice…", "online-retail-uci/y2009_2010.tsv.zst") else { return };
    let part = head(&file, 20_001, "retail-part.tsv");
    let (data, mapping) = (temporary("retail"), example("online-retail/mapping.toml"));
    let (data_, part_, mapping_) = (data.to_str().unwrap(), part.to_str().unwrap(), mapping.to_str().unwrap());
    let first = accrue(&["ingest", part_, "--mapping", mapping_, "--data", data_]);
    assert_eq!(first["read"], 20_000);
    let before = accrue(&["inspect", "digest", "--data", data_]);
    let second = accrue(&["ingest", part_, "--mapping", mapping_, "--data", data_]);
    assert_eq!(second["accepted"], 0);
    // Refused lines are duplicates too.
    assert!(first["quarantined"]["not_a_product"].as_u64().unwrap() > 0);
    assert_eq!((&second["duplicates"], &second["quarantined"]), (&json!(20_000), &json!({})));
    let at = before["offset"].to_string();
    let again = accrue(&["inspect", "digest", "--at", &at, "--data", data_]);
    assert_eq!(again["log"], before["log"]);
    assert_eq!(again["state"], before["state"]);
    assert_eq!(accrue(&["replay", "--verify", "--data", data_])["equal"], true);
    std::fs::remove_dir_all(data).unwrap();
    std::fs::remove_file(part).unwrap();
}

#[test]
fn the_stream_protocol_prints_its_contract_and_the_same_bytes_twice() {
    let Some(file) = dataset("the_stream_protocol…", "online-retail-uci/y2009_2010.tsv.zst") else { return };
    let part = head(&file, 60_001, "retail-stream.tsv");
    let mapping = example("online-retail/stream.toml");
    let run = |model: &str, sets: &[&str]| {
        let mut arguments = vec!["evaluate", "--protocol", "stream", "--model", model];
        arguments.extend(["--train", part.to_str().unwrap(), "--mapping", mapping.to_str().unwrap()]);
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        let mut report = accrue(&arguments);
        assert!(report["cost"]["train_s"].is_number());
        report.as_object_mut().unwrap().remove("cost");
        report
    };
    let online = run("blend", &["unit=basket"]);
    assert_eq!(online, run("blend", &["unit=basket"]));
    let ndcg = |report: &Value| report["metrics"]["ndcg@20"].as_f64().unwrap();
    let frozen = run("blend", &["unit=basket", "mode=frozen"]);
    assert!(ndcg(&online) > ndcg(&frozen), "{} against {}", ndcg(&online), ndcg(&frozen));
    // One pass from nothing ends with the figures of learning at every event, except for other random numbers.
    let reset = run("blend", &["unit=basket", "mode=reset:9000", "guard=true"]);
    assert!((ndcg(&online) / ndcg(&reset) - 1.0).abs() < 0.1, "{} against {}", ndcg(&online), ndcg(&reset));
    for mode in ["mode=finetune:1d", "mode=retrain:7d"] {
        let report = run("popularity", &["unit=line", mode, "epochs=1"]);
        assert_eq!(report["n_eval"].as_u64(), run("popularity", &["unit=line"])["n_eval"].as_u64());
    }
    std::fs::remove_file(part).unwrap();
}

#[test]
fn another_domain_is_another_mapping() {
    let Some(file) = dataset("another_domain…", "movielens-100k/ml-100k.inter.zst") else { return };
    let data = temporary("movielens");
    let (data_, mapping) = (data.to_str().unwrap(), example("movielens/mapping.toml"));
    let report = accrue(&["ingest", file.to_str().unwrap(), "--mapping", mapping.to_str().unwrap(), "--data", data_]);
    assert_eq!((&report["read"], &report["accepted"]), (&json!(100_000), &json!(100_000)));
    let export = ["export", "recommendations", "--users", "all", "-n", "5", "--seen", "drop", "--data", data_];
    let output = Command::new(env!("CARGO_BIN_EXE_accrue")).args(export).output().unwrap();
    let lists: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(lists.len(), 943);
    assert!(lists.iter().all(|list| list["items"].as_array().unwrap().len() == 5));
    std::fs::remove_dir_all(data).unwrap();
}
