//! `docs/internals/files.md` lists every source file with the first sentence of its head.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The crates, in the order of ARCHITECTURE.md.
const CRATES: [&str; 14] = [
    "kernel", "tensor", "event", "store", "encode", "model", "train", "serve", "lab", "engine", "ingest", "http",
    "bench", "app",
];
const HEAD: &str = "# Every source file

The first sentence of each file's head, by crate in the order of dependence. [ARCHITECTURE.md](../../ARCHITECTURE.md) answers
where something happens. A test writes this list and compares it: `ACCRUE_WRITE_FILES=1 cargo test -p accrue --test it map`.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The source files below a folder, without those that hold tests alone, sorted by path.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The first sentence of the lines that begin with `//!`.
fn first_sentence(source: &str) -> String {
    let head = source.lines().take_while(|line| line.starts_with("//!")).map(|line| line[3..].trim());
    let paragraph: Vec<&str> = head.take_while(|line| !line.is_empty()).collect();
    let text = paragraph.join(" ");
    let end = text.match_indices(". ").map(|(at, _)| at + 1).next().unwrap_or(text.len());
    text[..end].to_owned()
}

fn listing() -> String {
    let mut text = String::from(HEAD);
    for name in CRATES {
        let folder = root().join("crates").join(name).join("src");
        let mut files = Vec::new();
        if folder.is_dir() {
            sources(&folder, &mut files);
        }
        files.sort();
        writeln!(text, "\n## {name}\n\n| file | what |\n|---|---|").unwrap();
        for file in files {
            let what = first_sentence(&std::fs::read_to_string(&file).unwrap());
            let path = file.strip_prefix(&folder).unwrap().display().to_string();
            assert!(!what.is_empty(), "{name}/src/{path} has no head");
            writeln!(text, "| `{path}` | {} |", what.replace('|', "\\|")).unwrap();
        }
    }
    text
}

#[test]
fn every_source_file_is_listed_with_its_purpose() {
    let path = root().join("docs/internals/files.md");
    let (crates, listing) = (std::fs::read_dir(root().join("crates")).unwrap(), listing());
    for folder in crates {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(CRATES.contains(&name.as_str()), "the crate `{name}` is not listed");
    }
    if std::env::var_os("ACCRUE_WRITE_FILES").is_some() {
        std::fs::write(&path, &listing).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = listing.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(is, was)| is != was);
    assert!(
        written == listing,
        "docs/internals/files.md is not the list of the files; the first line that differs: {differing:?}. \
         Write it again: ACCRUE_WRITE_FILES=1 cargo test -p accrue --test it map"
    );
}
