//! `accrue encode`: lines and pictures become vectors.

use std::io::Write as _;
use std::process::Stdio;

use crate::cli::{Place, text};

/// The vectors that a run prints for lines on its standard input.
fn encoded(place: &Place, arguments: &[&str], input: &str) -> Vec<Vec<f32>> {
    let mut command = place.command(arguments);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_become_vectors_of_norm_1() {
    let place = Place::new();
    let lines = "red mug\r\n\nRED MUGS\ndesk lamp";
    let vectors = encoded(&place, &["encode", "--encoder", "hashed"], lines);
    assert_eq!(vectors.len(), 4);
    let dot = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f32>();
    assert!((0..4).all(|line| (dot(line, line) - 1.0).abs() < 1e-5));
    assert!(dot(0, 2) > 0.5 && dot(0, 3).abs() < 0.3, "{} {}", dot(0, 2), dot(0, 3));
    place.write("accrue.toml", "[content]\nencoder = \"hashed\"\n");
    assert_eq!(encoded(&place, &["encode", "--kind", "passage"], lines), vectors);
    assert!(encoded(&place, &["encode", "--threads", "3"], "").is_empty());
}

#[test]
fn pictures_are_a_line_each_and_those_that_cannot_be_used_are_null() {
    let place = Place::new();
    let pixel = [
        0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1,
        8, 6, 0, 0, 0, 0x1F, 0x15, 0xC4, 0x89, 0, 0, 0, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0, 1, 0, 0, 5,
        0, 1, 0x0D, 0x0A, 0x2D, 0xB4, 0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
    ];
    std::fs::write(place.path().join("a.png"), pixel).unwrap();
    place.write("b.png", "this is no picture");
    let arguments = ["encode", "--encoder", "pixels", "--kind", "image"];
    let mut child =
        place.command(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a.png\nb.png\nnone.png\na.png\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<Option<Vec<f32>>> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].as_ref().is_some_and(|vector| vector.len() == 1_200) && lines[0] == lines[3]);
    assert!(lines[1].is_none() && lines[2].is_none());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("b.png: not a picture; expected JPEG, PNG or WebP") && stderr.contains("none.png"),
        "{stderr}"
    );
}

#[test]
fn an_encoder_that_cannot_be_used_is_told_with_its_file() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("folder")).unwrap();
    place.write("folder/config.json", r#"{"model_type": "gpt2"}"#);
    for (arguments, expected) in [
        (vec!["encode"], "no encoder"),
        (vec!["encode", "--encoder", "none"], "none/config.json"),
        (vec!["encode", "--encoder", "folder"], "model_type is gpt2, expected bert"),
    ] {
        let output = place.run(&arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(expected) && message.contains("hint: "), "{message}");
    }
}
