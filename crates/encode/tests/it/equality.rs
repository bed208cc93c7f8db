//! Vectors equal those of the reference, alone and among others, on any number of threads.

use accrue_encode::{Encoder, EncoderSettings, Kind, TextEncoder};
use safetensors::Dtype;
use serde_json::json;

use super::folder::{Folder, Shape};
use super::reference;

fn texts() -> Vec<String> {
    let fixed = ["red mug", "", " ", "WHITE HANGING HEART T-LIGHT HOLDER", "a", "blue tea-pot! 红色杯子 🙂", "x\u{0}y"];
    let words = ["red", "mug", "cup", "tea", "light", "heart", "unknown"];
    let grown = (0..30_usize).map(|n| (0..n).map(|i| words[(n * 3 + i * 5) % 7]).collect::<Vec<_>>().join(" "));
    let long = ["tea ".repeat(25_000), "t".repeat(100_000), "红".repeat(40_000), " ".repeat(100_000)];
    fixed.map(String::from).into_iter().chain(grown).chain(long).collect()
}

fn opened(folder: &Folder) -> (tempfile::TempDir, TextEncoder) {
    let dir = tempfile::tempdir().unwrap();
    folder.write(dir.path());
    let encoder = TextEncoder::open(dir.path()).unwrap();
    (dir, encoder)
}

#[track_caller]
fn check(shape: Shape) {
    let folder = Folder::random(&shape, 7);
    let (_dir, encoder) = opened(&folder);
    let texts = texts();
    let vectors = encoder.encode(&texts, 1).unwrap();
    for (text, vector) in texts.iter().zip(&vectors) {
        let ids = encoder.ids(text).unwrap();
        assert!((1..=shape.max_tokens).contains(&ids.len()), "{} tokens", ids.len());
        let expected = reference::vector(&folder, &ids);
        let gap = vector.iter().zip(&expected).map(|(&x, y)| (f64::from(x) - y).abs()).fold(0.0, f64::max);
        assert!(gap < 2e-5, "{shape:?}: {text:.20}: {gap:e}");
        let norm: f64 = vector.iter().map(|&x| f64::from(x).powi(2)).sum();
        assert!((norm - 1.0).abs() < 1e-5, "{text:.20}: {norm}");
        let alone = encoder.encode(&[text], 1).unwrap();
        assert_eq!(alone[0], *vector, "alone and among others: {text:.20}");
    }
    for threads in [2, 3, 64] {
        assert_eq!(encoder.encode(&texts, threads).unwrap(), vectors, "{threads} threads");
    }
}

#[test]
fn a_network_by_words_equals_the_reference() {
    check(Shape::SMALL);
    check(Shape { pooling: "cls", heads: 1, layers: 1, ..Shape::SMALL });
    check(Shape { activation: "relu", width: 33, prefix: "bert.", dtype: Dtype::BF16, ..Shape::SMALL });
}

#[test]
fn a_network_by_pieces_equals_the_reference() {
    check(Shape { model_type: "xlm-roberta", prefix: "roberta.", ..Shape::SMALL });
    check(Shape { model_type: "roberta", pooling: "cls", inner: 128, max_tokens: 38, ..Shape::SMALL });
}

#[test]
fn texts_are_longer_than_the_network_only_up_to_its_positions() {
    let shape = Shape { model_type: "xlm-roberta", max_tokens: 5_000, ..Shape::SMALL };
    let (_dir, encoder) = opened(&Folder::random(&shape, 1));
    assert_eq!((encoder.max_tokens(), encoder.ids(&"mug ".repeat(99)).unwrap().len()), (38, 38));
}

#[test]
fn a_prefix_is_part_of_the_text_and_of_the_space() {
    let mut folder = Folder::random(&Shape::SMALL, 3);
    let dir = tempfile::tempdir().unwrap();
    folder.write(dir.path());
    let name = dir.path().to_str().unwrap();
    let open = |settings: &EncoderSettings| Encoder::open(name, settings).unwrap();
    let prefixed = EncoderSettings { query_prefix: Some("red ".into()), passage_prefix: Some("blue ".into()) };
    let (plain, with) = (open(&EncoderSettings::default()), open(&prefixed));
    let one = |encoder: &Encoder, kind, text: &str| encoder.encode(kind, &[text], 1).unwrap().remove(0);
    let bare = one(&plain, None, "blue mug");
    assert_eq!(one(&with, Some(Kind::Passage), "mug"), bare);
    assert_eq!(one(&plain, Some(Kind::Passage), "blue mug"), bare);
    assert_eq!(one(&with, Some(Kind::Query), "mug"), one(&plain, None, "red mug"));
    assert_ne!(plain.space(), with.space());
    let only_query = EncoderSettings { passage_prefix: None, ..prefixed.clone() };
    assert_eq!(plain.space(), open(&only_query).space(), "queries are compared with passages");
    folder
        .files
        .insert("config_sentence_transformers.json", json!({"prompts": {"query": "red ", "document": "blue "}}));
    folder.write(dir.path());
    let said = open(&EncoderSettings::default());
    assert_eq!((one(&said, Some(Kind::Passage), "mug"), said.space()), (bare, with.space()));
    let silenced = EncoderSettings { query_prefix: Some(String::new()), passage_prefix: Some(String::new()) };
    assert_eq!(open(&silenced).space(), plain.space());
}

#[test]
fn another_encoder_is_another_space() {
    let spaces: Vec<_> = [(1, "mean"), (1, "cls"), (2, "mean")]
        .map(|(seed, pooling)| opened(&Folder::random(&Shape { pooling, ..Shape::SMALL }, seed)).1.space(""))
        .into();
    assert!(spaces[0] != spaces[1] && spaces[0] != spaces[2] && spaces[1] != spaces[2]);
    let again = opened(&Folder::random(&Shape::SMALL, 1)).1.space("");
    assert_eq!(again, spaces[0], "the folder's name does not count");
}
