//! Gradients against finite differences, and the promises of a training: the served vectors, the same bytes on any number
//! of threads and after an interruption.

use std::path::Path;

use accrue_kernel::Draws;
use tempfile::{TempDir, tempdir};

use super::optimizer::{trained, trained_mut};
use super::parameters::{Tensor, tensors};
use super::*;
use crate::TextEncoder;
use made::{Folder, Shape};

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../tests/it/folder.rs"]
mod made;

const TEXTS: [(Kind, &str); 8] = [
    (Kind::Query, "red mug"),
    (Kind::Query, "tea light holder a b c"),
    (Kind::Query, "blue"),
    (Kind::Passage, "cup red a"),
    (Kind::Passage, "heart light"),
    (Kind::Passage, "blue pot c d e s t r i n"),
    (Kind::Passage, "lamp"),
    (Kind::Passage, "mug blue d"),
];

fn settings(trained: Trained) -> TuneSettings {
    TuneSettings {
        trained,
        batch: 3,
        steps: 8,
        rate: 1e-2,
        warm_up: 0.25,
        weight_decay: 0.01,
        temperature: 0.2,
        tokens: 24,
        seed: 3,
        prefixes: EncoderSettings::default(),
    }
}

fn pairs() -> Pairs {
    let pairs = vec![[0, 3], [1, 4], [2, 5]];
    Pairs { known: pairs.iter().copied().collect(), hard: vec![vec![7], vec![6, 7], vec![]], pairs }
}

fn folder(shape: &Shape) -> TempDir {
    let dir = tempdir().unwrap();
    Folder::random(shape, 5).write(dir.path());
    dir
}

fn tuner(dir: &Path, trained: Trained, threads: usize) -> Tuner {
    Tuner::open(dir, &TEXTS, settings(trained), threads).unwrap()
}

fn batch(step: u64) -> Batch {
    pairs().batch(3, step, 3, 1)
}

/// How far parameters are moved, and how far differences may be from the gradient: a share of its norm, and what the rounding
/// of the loss makes of it.
#[derive(Clone, Copy)]
struct Precision {
    step: f64,
    share: f64,
    floor: f64,
}

const SMOOTH: Precision = Precision { step: 4e-3, share: 0.01, floor: 3e-4 };
/// A rectifier has no slope at 0, and some of its inputs cross 0 within a step. The same family is compared closely with a
/// smooth activation.
const RECTIFIED: Precision = Precision { step: 2e-3, share: 0.08, floor: 1e-3 };

/// Moves a part of the trained parameters along a direction and compares the change of the loss with the gradient.
fn check(tuner: &mut Tuner, what: &str, range: std::ops::Range<usize>, is_row: bool, precision: Precision) {
    fn slice(tuner: &mut Tuner, is_row: bool) -> &mut [f32] {
        if is_row { &mut tuner.parameters.rows } else { trained_mut(&mut tuner.parameters) }
    }
    tuner.gradients(&batch(0)).unwrap();
    let moments = &tuner.moments;
    let gradient = if is_row { &moments.row_gradient } else { &moments.gradient }[range.clone()].to_vec();
    let norm = gradient.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    let mut draws = Draws::new(9, 9, range.start as u64);
    let random: Vec<f32> = gradient.iter().map(|_| draws.normal()).collect();
    let of_random = random.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    let mixed: Vec<f64> = gradient
        .iter()
        .zip(&random)
        .map(|(&g, &x)| f64::from(g) / norm.max(1e-12) + 0.5 * f64::from(x) / of_random)
        .collect();
    let expected: f64 = mixed.iter().zip(&gradient).map(|(u, &g)| u * f64::from(g)).sum();
    let Precision { step, share, floor } = precision;
    let before = slice(tuner, is_row)[range.clone()].to_vec();
    let mut at = |sign: f64| {
        let moved = slice(tuner, is_row)[range.clone()].iter_mut().zip(&mixed).zip(&before);
        moved.for_each(|((x, u), &before)| *x = (f64::from(before) + sign * step * u) as f32);
        tuner.parameters.pack(0, &mut tuner.memory.buffers);
        tuner.gradients(&batch(0)).unwrap().0
    };
    let found = (at(1.0) - at(-1.0)) / (2.0 * step);
    at(0.0);
    let error = (found - expected).abs();
    assert!(error < share * norm + floor, "{what}: {found} by differences, {expected} by the gradient, norm {norm}");
}

fn check_all(shape: &Shape) {
    let precision = if shape.activation == "relu" { RECTIFIED } else { SMOOTH };
    let dir = folder(shape);
    let mut whole = tuner(dir.path(), Trained::Whole, 2);
    let mut at = 0;
    for Tensor { name, shape, .. } in tensors(&whole.parameters.sizes) {
        let n = shape.iter().product::<usize>();
        check(&mut whole, &name, at..at + n, false, precision);
        at += n;
    }
    let n_rows = whole.parameters.rows.len();
    check(&mut whole, "words", 0..n_rows, true, precision);
    let mut last = tuner(dir.path(), Trained::LastLayers(1), 1);
    let n = trained(&last.parameters).len();
    check(&mut last, "last layer", 0..n, false, precision);
    let mut adapters = tuner(dir.path(), Trained::Adapters { rank: 3 }, 1);
    // Beyond the start, where L is 0 and R has no gradient.
    let mut draws = Draws::new(1, 2, 3);
    trained_mut(&mut adapters.parameters).iter_mut().for_each(|x| *x += 0.05 * draws.normal());
    adapters.parameters.pack(0, &mut adapters.memory.buffers);
    let lengths = adapters.parameters.sizes.adapter_lengths(3);
    let mut at = 0;
    for layer in 0..2 {
        for (part, n) in lengths.into_iter().enumerate() {
            check(&mut adapters, &format!("adapter {layer} {part}"), at..at + n, false, precision);
            at += n;
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    check_all(&Shape::SMALL);
}

#[test]
fn gradients_of_another_family_with_the_first_token_and_a_rectifier_are_right_too() {
    check_all(&Shape { model_type: "xlm-roberta", activation: "relu", pooling: "cls", ..Shape::SMALL });
}

#[test]
fn gradients_of_another_family_with_the_first_token_are_right_too() {
    check_all(&Shape { model_type: "xlm-roberta", pooling: "cls", ..Shape::SMALL });
}

#[test]
fn vectors_in_training_are_those_that_are_served() {
    let dir = folder(&Shape::SMALL);
    let mut tuner = tuner(dir.path(), Trained::Whole, 2);
    let batch = Batch { queries: vec![0, 1, 2], passages: vec![3, 4, 5, 6, 7], excluded: vec![false; 15] };
    let (_, vectors) = tuner.gradients(&batch).unwrap();
    let texts: Vec<&str> = TEXTS.iter().map(|(_, text)| *text).collect();
    let served = TextEncoder::open(dir.path()).unwrap().encode(&texts, 1).unwrap().concat();
    assert!(vectors.iter().zip(&served).all(|(a, b)| a.to_bits() == b.to_bits()) && vectors.len() == served.len());
}

/// The bytes of the weights after all steps.
fn trained_bytes(dir: &Path, trained: Trained, threads: usize, interrupt: bool) -> Vec<u8> {
    let mut tuner = tuner(dir, trained, threads);
    let out = tempdir().unwrap();
    for step in 0..settings(trained).steps {
        if interrupt && step == 3 {
            let state = out.path().join("state");
            tuner.save(&state, "plan").unwrap();
            tuner = self::tuner(dir, trained, threads);
            tuner.resume(&state, "plan").unwrap();
        }
        assert_eq!(tuner.n_steps(), step);
        tuner.step(&batch(step)).unwrap();
    }
    tuner.write(dir, out.path(), b"{}").unwrap();
    TextEncoder::open(out.path()).unwrap();
    std::fs::read(out.path().join("model.safetensors")).unwrap()
}

#[test]
fn the_bytes_depend_on_neither_threads_nor_interruptions() {
    let dir = folder(&Shape { prefix: "bert.", ..Shape::SMALL });
    for trained in [Trained::Whole, Trained::LastLayers(1), Trained::Adapters { rank: 2 }] {
        let expected = trained_bytes(dir.path(), trained, 1, false);
        assert_ne!(expected, std::fs::read(dir.path().join("model.safetensors")).unwrap());
        for (threads, interrupt) in [(2, false), (5, false), (1, true), (3, true)] {
            assert!(trained_bytes(dir.path(), trained, threads, interrupt) == expected, "{trained:?} {threads}");
        }
    }
}

#[test]
fn a_batch_in_slabs_has_the_gradients_of_the_whole() {
    let dir = folder(&Shape::SMALL);
    let gradient = |kept_bytes: Option<usize>| {
        let mut tuner = tuner(dir.path(), Trained::Whole, 2);
        tuner.memory.kept_bytes = kept_bytes.unwrap_or(tuner.memory.kept_bytes);
        let (loss, _) = tuner.gradients(&batch(0)).unwrap();
        (loss, tuner.moments.gradient.clone(), tuner.moments.row_gradient.clone())
    };
    let (whole, slabs) = (gradient(None), gradient(Some(60_000)));
    assert_eq!(whole.0, slabs.0);
    for (whole, slabs) in [(&whole.1, &slabs.1), (&whole.2, &slabs.2)] {
        assert!(whole.iter().zip(slabs).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn training_brings_pairs_together() {
    let dir = folder(&Shape::SMALL);
    for trained in [Trained::Whole, Trained::LastLayers(1), Trained::Adapters { rank: 4 }] {
        let mut tuner = tuner(dir.path(), trained, 1);
        let losses: Vec<f64> = (0..8).map(|step| tuner.step(&batch(step)).unwrap()).collect();
        assert!(losses[7] < 0.5 * losses[0], "{trained:?}: {losses:?}");
    }
}

#[test]
fn the_last_layers_alone_change_and_16_bits_stay_where_nothing_was_trained() {
    let dir = folder(&Shape { dtype: safetensors::Dtype::BF16, ..Shape::SMALL });
    let bytes = trained_bytes(dir.path(), Trained::LastLayers(1), 1, false);
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let old = std::fs::read(dir.path().join("model.safetensors")).unwrap();
    let old = safetensors::SafeTensors::deserialize(&old).unwrap();
    assert_eq!(file.len(), old.len());
    for (name, view) in file.tensors() {
        let is_last = name.starts_with("encoder.layer.1.");
        assert_eq!(view.dtype() == safetensors::Dtype::F32, is_last, "{name}");
        assert_eq!(view.data() == old.tensor(&name).unwrap().data(), !is_last, "{name}");
    }
}

#[test]
fn a_state_of_another_plan_or_a_damaged_one_is_refused() {
    let dir = folder(&Shape::SMALL);
    let mut tuner = tuner(dir.path(), Trained::LastLayers(1), 1);
    let state = dir.path().join("state");
    tuner.save(&state, "one").unwrap();
    let error = tuner.resume(&state, "two").unwrap_err().to_string();
    assert!(error.contains("other settings"), "{error}");
    let bytes = std::fs::read(&state).unwrap();
    for n in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&state, &bytes[..n]).unwrap();
        tuner.resume(&state, "one").unwrap_err();
    }
    for place in [bytes.len() - 4, bytes.len() * 3 / 4, bytes.len() / 2] {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        std::fs::write(&state, &flipped).unwrap();
        let error = tuner.resume(&state, "one").unwrap_err().to_string();
        assert!(error.contains("not those that were written"), "byte {place}: {error}");
    }
    let mut whole = self::tuner(dir.path(), Trained::Whole, 1);
    std::fs::write(&state, &bytes).unwrap();
    let error = whole.resume(&state, "one").unwrap_err().to_string();
    assert!(error.contains("finite numbers of this training"), "{error}");
}

#[test]
fn a_rate_that_is_too_large_ends_in_an_error() {
    let dir = folder(&Shape::SMALL);
    let settings = TuneSettings { rate: 1e30, warm_up: 0.0, ..settings(Trained::Whole) };
    let mut tuner = Tuner::open(dir.path(), &TEXTS, settings, 1).unwrap();
    let failed = (0..8).find_map(|step| tuner.step(&batch(step)).err()).expect("numbers beyond f32");
    assert!(failed.to_string().contains("smaller rate"), "{failed}");
}

#[test]
fn a_decoder_is_refused_by_its_name() {
    let mut folder = Folder::random(&Shape::SMALL, 5);
    folder.files.get_mut("config.json").unwrap()["model_type"] = "gpt2".into();
    let dir = tempdir().unwrap();
    folder.write(dir.path());
    let error = Tuner::open(dir.path(), &TEXTS, settings(Trained::Whole), 1).unwrap_err().to_string();
    assert!(error.contains("model_type is gpt2") && error.contains("bert"), "{error}");
}
