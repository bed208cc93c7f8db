//! The documents for contributors name files and functions that exist, and `docs/mapping.md` names every key and every system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use accrue_event::Mapping;

/// Documents whose paths are compared with the tree.
const DOCUMENTS: [&str; 7] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/add-a-model.md",
    "docs/add-a-route.md",
    "docs/internals/determinism.md",
    "docs/internals/extending.md",
    "docs/internals/learning.md",
];
/// Files that these documents tell their reader to write.
const TO_WRITE: [&str; 4] = [
    "crates/http/src/brands.rs",
    "crates/model/src/collaborative/recency.rs",
    "crates/model/src/members/returned.rs",
    "examples/mapping/NAME.toml",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(document: &str) -> String {
    std::fs::read_to_string(root().join(document)).unwrap()
}

/// The texts between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether a quoted text is the path of a source, a document or a folder of the tree.
fn is_path(text: &str) -> bool {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let is_named = [".rs", ".md", ".toml", ".sh", ".py", ".js"].iter().any(|end| text.ends_with(end) && text != *end);
    text.chars().all(is_of_path) && !text.starts_with('/') && (is_named || text.ends_with('/'))
}

/// The paths of all files and folders, and each without the folders that documents leave out: some of the first ones, and `src`.
fn known_paths() -> BTreeSet<String> {
    let (mut known, mut folders) = (BTreeSet::new(), vec![PathBuf::new()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if ["target", ".git", "shared"].contains(&parts[0].as_str()) {
                continue;
            }
            known.extend((0..parts.len()).map(|start| parts[start..].join("/")));
            if parts.len() > 3 && parts[2] == "src" {
                known.insert([&parts[1..2], &parts[3..]].concat().join("/"));
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    known
}

#[test]
fn documents_for_contributors_name_files_that_exist() {
    let known = known_paths();
    let mut missing = Vec::new();
    let mut n_paths = 0;
    for document in DOCUMENTS {
        let text = read(document);
        for path in quoted(&text).filter(|text| is_path(text)) {
            n_paths += 1;
            if !known.contains(path.trim_end_matches('/')) && !TO_WRITE.contains(&path) {
                missing.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(n_paths > 400, "{n_paths} paths are too few: the documents are not read");
}

#[test]
fn the_table_of_where_things_happen_names_functions_of_its_files() {
    let text = read("ARCHITECTURE.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| where does the program")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    for asked in ["collect", "check", "store", "learn", "publish", "retrieve", "rank", "explain", "forget", "evaluate"]
    {
        assert!(rows.iter().any(|row| row.trim_start_matches("| ").starts_with(asked)), "no row says where to {asked}");
    }
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [_, functions, files] = cells[..] else { panic!("{row}") };
        let sources: String = quoted(files).map(|path| sources(&root().join("crates").join(path))).collect();
        for function in quoted(functions) {
            let name = function.rsplit("::").next().unwrap();
            let is_defined = ["(", "<"].iter().any(|after| sources.contains(&format!("fn {name}{after}")));
            assert!(is_defined, "no function `{name}` in {files}");
        }
    }
}

/// The text of a source, or of all in a folder.
fn sources(path: &Path) -> String {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().map(|entry| sources(&entry.unwrap().path())).collect();
    }
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The keys that a mapping may have in one of its tables, as the error about another one names them.
fn keys(table: &str) -> Vec<String> {
    let error = toml::from_str::<Mapping>(&format!("{table}\nno_such_key = 1\n")).unwrap_err().to_string();
    let (_, known) = error.split_once("expected").unwrap_or_else(|| panic!("{table}: {error}"));
    quoted(known).map(str::to_owned).collect()
}

#[test]
fn the_manual_of_mappings_names_every_key() {
    let manual = read("docs/mapping.md");
    let is_named = |key: &str| {
        [format!("`{key}"), format!("[{key}"), format!("{key} = ")].iter().any(|form| manual.contains(form.as_str()))
    };
    let tables = ["", "[[rule]]", "[orders]", "[sale]", "[[pairs]]", "[variants]", "[join]", "[begins]"];
    let all: BTreeMap<&str, Vec<String>> = tables.into_iter().map(|table| (table, keys(table))).collect();
    assert!(all[""].len() > 30 && all[""].iter().any(|key| key == "fields"), "{:?}", all[""]);
    for (table, keys) in all {
        for key in keys {
            assert!(is_named(&key), "docs/mapping.md does not name the key `{key}` of {table:?}");
        }
    }
}

#[test]
fn the_manual_of_mappings_links_the_mapping_of_every_system() {
    let manual = read("docs/mapping.md");
    for entry in std::fs::read_dir(root().join("examples/mapping")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(system) = name.strip_suffix(".toml") {
            let is_named = manual.match_indices(system).any(|(at, _)| !manual[at + system.len()..].starts_with('-'));
            assert!(is_named, "docs/mapping.md does not name the system `{system}`");
        }
    }
}
