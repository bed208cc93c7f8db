//! Published encoders: token ids and vectors equal those of other implementations.
//!
//! `ACCRUE_ENCODERS` names a folder with `minilm` and `e5` (folders of encoders) and `golden-minilm.jsonl`,
//! `golden-e5.jsonl`: lines `{text, ids, vector}`, computed by another implementation.

use std::path::PathBuf;

use accrue_encode::TextEncoder;
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn check(name: &str) {
    let Some(root) = std::env::var_os("ACCRUE_ENCODERS").map(PathBuf::from) else {
        return eprintln!("skipped: ACCRUE_ENCODERS is not set");
    };
    let lines = std::fs::read_to_string(root.join(format!("golden-{name}.jsonl"))).unwrap();
    let lines: Vec<Line> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let encoder = TextEncoder::open(&root.join(name)).unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
    let vectors = encoder.encode(&texts, 2).unwrap();
    let mut worst: f32 = 0.0;
    for (line, vector) in lines.iter().zip(&vectors) {
        assert_eq!(encoder.ids(&line.text).unwrap(), line.ids, "{:.40}", line.text);
        let gap = vector.iter().zip(&line.vector).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        worst = worst.max(gap);
    }
    println!("{name}: {} texts, largest gap of a component {worst:e}", lines.len());
    assert!(worst < 2e-5, "{worst:e}");
}

#[test]
fn minilm_equals_its_golden_file() {
    check("minilm");
}

#[test]
fn multilingual_e5_equals_its_golden_file() {
    check("e5");
}
