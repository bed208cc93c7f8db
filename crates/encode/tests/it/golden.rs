//! Published encoders: token ids and vectors equal those of other implementations.
//!
//! `ACCRUE_ENCODERS` names a folder with `minilm` and `e5` (folders of encoders) and `golden-minilm.jsonl`,
//! `golden-e5.jsonl`: lines `{text, ids, vector}`, computed by another implementation. For pictures it has
//! `efficientnet-lite0`, and `golden-efficientnet-lite0.jsonl` with lines `{product_id, features_16, l2_norm}` for
//! the files `images/PRODUCT_ID.jpg`.

use std::path::PathBuf;

use accrue_encode::{ImageEncoder, Picture, TextEncoder};
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

/// The first features of a picture by another implementation, and the norm of all.
#[derive(Deserialize)]
struct PictureLine {
    #[serde(default)]
    product_id: String,
    features_16: Vec<f32>,
    l2_norm: f32,
}

impl PictureLine {
    /// The largest gap of a feature, and that of the norm as a share of it.
    fn gaps(&self, features: &[f32]) -> (f32, f32) {
        let gap = features.iter().zip(&self.features_16).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        let norm = features.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
        (gap, (norm / self.l2_norm - 1.0).abs())
    }
}

#[test]
fn efficientnet_lite0_equals_its_golden_file() {
    let Some(root) = std::env::var_os("ACCRUE_ENCODERS").map(PathBuf::from) else {
        return eprintln!("skipped: ACCRUE_ENCODERS is not set");
    };
    let encoder = ImageEncoder::open(root.join("efficientnet-lite0").to_str().unwrap()).unwrap();
    // A picture from a formula, which no decoder of files changes.
    let pixel = |x: usize, y: usize| [3 * x + 5 * y, x * y, x * x + 7 * y].map(|value| (value % 256) as u8);
    let rgb = (0..80).flat_map(|y| (0..60).flat_map(move |x| pixel(x, y))).collect();
    let features = encoder.features(&Picture { width: 60, height: 80, rgb });
    let expected = PictureLine {
        product_id: String::new(),
        features_16: vec![
            1.00319,
            0.006061904,
            0.0,
            0.03573687,
            0.0,
            0.0,
            0.08364687,
            2.215756,
            0.0,
            0.002023507,
            0.0,
            0.2332307,
            0.4859604,
            0.8297423,
            0.0117586,
            0.0,
        ],
        l2_norm: 18.70558,
    };
    let (gap, norm) = expected.gaps(&features);
    println!("a formula: largest gap of a feature {gap:e}, of the norm {norm:e}");
    assert!(gap < 1e-4 && norm < 1e-4, "{gap:e} {norm:e}");
    let lines = std::fs::read_to_string(root.join("golden-efficientnet-lite0.jsonl")).unwrap();
    for line in lines.lines().map(|line| serde_json::from_str::<PictureLine>(line).unwrap()) {
        let picture = Picture::open(&root.join(format!("images/{}.jpg", line.product_id))).unwrap();
        let features = encoder.features(&picture);
        let cosine = cosine(&features, &line.features_16);
        let (gap, norm) = line.gaps(&features);
        println!("{}: cosine of the first features {cosine}, gap {gap:e}, norm {norm:e}", line.product_id);
        // Decoders of JPEG round differently: by a level or two of 256.
        assert!(cosine > 0.998 && norm < 0.02, "{} {cosine} {norm:e}", line.product_id);
    }
}

/// The cosine of the numbers that both have.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let sum = |f: &dyn Fn(f32, f32) -> f32| a.iter().zip(b).map(|(&a, &b)| f(a, b)).sum::<f32>();
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}
