//! Folders that cannot be used are refused with the file and what was expected in it.

use accrue_encode::TextEncoder;
use serde_json::{Value, json};

use super::folder::{Folder, Shape};

/// Opens a folder after a change of it and, once written, of its files; checks that the error has all of `expected`.
#[track_caller]
fn check(change: impl FnOnce(&mut Folder), damage: impl FnOnce(&std::path::Path), expected: &[&str]) {
    let mut folder = Folder::random(&Shape::SMALL, 5);
    change(&mut folder);
    let dir = tempfile::tempdir().unwrap();
    folder.write(dir.path());
    damage(dir.path());
    let error = TextEncoder::open(dir.path()).expect_err("it cannot be used").to_string();
    for part in expected {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

fn config(key: &'static str, value: Value) -> impl FnOnce(&mut Folder) {
    move |folder| folder.files.get_mut("config.json").unwrap()[key] = value
}

const NOTHING: fn(&std::path::Path) = |_| {};
const SAME: fn(&mut Folder) = |_| {};

#[test]
fn an_architecture_that_this_build_does_not_know_is_named() {
    check(config("model_type", json!("gpt2")), NOTHING, &["config.json", "model_type is gpt2", "xlm-roberta"]);
    check(config("model_type", Value::Null), NOTHING, &["model_type is missing"]);
    check(config("hidden_act", json!("gelu_new")), NOTHING, &["hidden_act is gelu_new, expected gelu or relu"]);
    check(config("position_embedding_type", json!("relative_key")), NOTHING, &["position_embedding_type"]);
    check(config("num_attention_heads", json!(5)), NOTHING, &["num_attention_heads is 5", "divisor of hidden_size"]);
    check(config("num_attention_heads", json!(0)), NOTHING, &["num_attention_heads is 0", "from 1 to 24"]);
    check(config("hidden_size", json!(1u64 << 40)), NOTHING, &["hidden_size"]);
    check(config("hidden_size", json!("wide")), NOTHING, &["config.json", "invalid type"]);
    check(config("layer_norm_eps", json!(-1.0)), NOTHING, &["layer_norm_eps"]);
    check(config("max_position_embeddings", json!(2)), NOTHING, &["at least 4 tokens"]);
}

#[test]
fn modules_that_change_the_vector_are_not_passed_over() {
    let modules = json!([{"path": "", "type": "sentence_transformers.models.Transformer"},
                         {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                         {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]);
    check(|folder| drop(folder.files.insert("modules.json", modules)), NOTHING, &["modules.json", "models.Dense"]);
    let pooling = |value: Value| move |folder: &mut Folder| drop(folder.files.insert("1_Pooling/config.json", value));
    check(pooling(json!({"pooling_mode_max_tokens": true})), NOTHING, &["pooling_mode_max_tokens"]);
    check(pooling(json!({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})), NOTHING, &["one of"]);
    check(pooling(json!({"pooling_mode": "lasttoken"})), NOTHING, &["pooling_mode is lasttoken"]);
}

#[test]
fn tensors_that_are_missing_or_misshapen_are_named() {
    let bias = "encoder.layer.1.output.dense.bias";
    check(|folder| drop(folder.tensors.remove(bias)), NOTHING, &["model.safetensors", bias, "and 28 more"]);
    let cut = |folder: &mut Folder| drop(folder.tensors.insert(bias.into(), (vec![23], vec![0.0; 23])));
    check(cut, NOTHING, &[bias, "F32 [23]", "[24]"]);
    let nan = |folder: &mut Folder| folder.tensors.get_mut(bias).unwrap().1[3] = f32::NAN;
    check(nan, NOTHING, &[bias, "not finite, at index 3"]);
    let words = "embeddings.word_embeddings.weight";
    let infinite = |folder: &mut Folder| folder.tensors.get_mut(words).unwrap().1[26] = f32::INFINITY;
    check(infinite, NOTHING, &[words, "not finite, at index 26"]);
    check(config("num_hidden_layers", json!(3)), NOTHING, &["encoder.layer.2.attention.self.query.weight"]);
    check(config("intermediate_size", json!(41)), NOTHING, &["intermediate.dense.weight", "[40, 24]", "[41, 24]"]);
}

#[test]
fn damaged_files_are_named() {
    let weights = |change: fn(&mut Vec<u8>)| {
        move |folder: &std::path::Path| {
            let path = folder.join("model.safetensors");
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
    };
    for n_bytes in [0, 4, 8, 100] {
        let cut = move |folder: &std::path::Path| {
            let path = folder.join("model.safetensors");
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(path, &bytes[..n_bytes]).unwrap();
        };
        check(SAME, cut, &["model.safetensors", "not a safetensors file"]);
    }
    check(SAME, weights(|bytes| bytes.truncate(bytes.len() - 4)), &["model.safetensors", "the file ends at"]);
    check(SAME, weights(|bytes| bytes[7] = 0xFF), &["not a safetensors file", "header of"]);
    check(SAME, weights(|bytes| bytes[8] = b'?'), &["not a safetensors file", "its header"]);
    let pointer =
        |folder: &std::path::Path| std::fs::write(folder.join("model.safetensors"), "version https://git").unwrap();
    check(SAME, pointer, &["not a safetensors file"]);
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let remove = move |folder: &std::path::Path| std::fs::remove_file(folder.join(name)).unwrap();
        check(SAME, remove, &[name]);
        let scribble = move |folder: &std::path::Path| std::fs::write(folder.join(name), "\u{0}{{{").unwrap();
        check(SAME, scribble, &[name]);
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let narrower = |folder: &mut Folder| {
        folder.files.get_mut("config.json").unwrap()["vocab_size"] = json!(40);
        let words = folder.tensors.get_mut("embeddings.word_embeddings.weight").unwrap();
        (words.0[0], words.1) = (40, words.1[..40 * 24].to_vec());
    };
    check(narrower, NOTHING, &["tokenizer.json", "`##n` has id 43", "below 40", "different models"]);
    let beyond = |folder: &mut Folder| {
        let processor = &mut folder.files.get_mut("tokenizer.json").unwrap()["post_processor"];
        processor["special_tokens"]["[CLS]"]["ids"] = json!([9_999]);
    };
    check(beyond, NOTHING, &["tokenizer.json", "id 9999", "below 44"]);
    let chatty = |folder: &mut Folder| {
        let processor = &mut folder.files.get_mut("tokenizer.json").unwrap()["post_processor"];
        processor["single"] = Value::Array(vec![processor["single"][0].clone(); 40]);
    };
    check(chatty, NOTHING, &["tokenizer.json", "40 special tokens"]);
}

#[test]
fn weights_that_give_no_vector_are_an_error_and_no_number() {
    let mut folder = Folder::random(&Shape::SMALL, 5);
    for (name, (_, values)) in &mut folder.tensors {
        if name.starts_with("encoder.layer.1.output.LayerNorm") {
            values.fill(0.0);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    folder.write(dir.path());
    let encoder = TextEncoder::open(dir.path()).unwrap();
    let error = encoder.encode(&["red mug", "tea"], 2).unwrap_err().to_string();
    assert!(error.contains("no usable vector"), "{error}");
}
