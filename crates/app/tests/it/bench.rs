//! `accrue bench` from outside: every row is there and finite, and errors are reported.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
    command.arg("bench").args(arguments).env_clear().current_dir(std::env::temp_dir());
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_tiny_run_fills_every_row() {
    let listed = json(&bench(&["--list", "--json"]));
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|bench| bench["name"].as_str().unwrap()).collect();
    // The result does not depend on the datasets, nor on the full size of the largest shop.
    let mut arguments: Vec<&str> = names.iter().copied().filter(|name| *name != "learn_online_retail").collect();
    arguments.extend(["--tiny", "--json", "--quiet"]);
    let measures = json(&bench(&arguments));
    let measures = measures.as_array().unwrap();
    let mut missing: BTreeSet<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|bench| bench["name"] != "learn_online_retail")
        .flat_map(|bench| bench["rows"].as_array().unwrap())
        .map(|row| row.as_str().unwrap())
        .collect();
    for measure in measures {
        missing.remove(measure["name"].as_str().unwrap());
        let value = measure["value"].as_f64().unwrap_or(f64::NAN);
        assert!(value.is_finite() && value >= 0.0, "{measure}");
        assert!(measure["samples"].as_u64().unwrap() > 0 && measure["unit"].is_string(), "{measure}");
        assert!(measure["met"].is_null(), "tiny sizes meet no budget: {measure}");
    }
    assert!(missing.is_empty(), "{missing:?}");
    for header in ["machine", "load_average", "fsync_ms", "reference_loop_ms", "reference_loop_after_ms"] {
        assert!(measures.iter().any(|measure| measure["name"] == header), "{header}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let output = bench(&["speed"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("\"speed\"") && text.contains("ingest_batch") && text.contains("hint:"), "{text}");
}
