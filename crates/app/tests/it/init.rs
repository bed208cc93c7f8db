//! `accrue init`: the file that it writes is a configuration, and is never written over.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_accrue")).args(arguments).current_dir(folder).env_clear().output().unwrap()
}

#[test]
fn the_file_has_keys_of_its_own_and_every_line_of_it_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["init", "--origin", "https://mugs.example"]);
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8(made.stdout).unwrap().contains("accrue serve"));
    let path = folder.path().join("accrue.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let keys: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("key = \"")?.strip_suffix('"')).collect();
    let mut different = keys.clone();
    different.sort_unstable();
    different.dedup();
    assert!(keys.len() == 4 && different.len() == 4 && keys.iter().all(|key| key.len() == 48), "{keys:?}");
    // Lines that are commented out are settings too, with the values that they have anyway.
    let is_setting = |line: &&str| {
        line.strip_prefix("# ").is_some_and(|rest| {
            rest.split(" = ")
                .next()
                .is_some_and(|key| rest.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        })
    };
    assert!(text.lines().filter(is_setting).count() >= 5);
    let whole: Vec<&str> =
        text.lines().map(|line| if is_setting(&line) { line.trim_start_matches("# ") } else { line }).collect();
    std::fs::write(folder.path().join("whole.toml"), whole.join("\n")).unwrap();
    for file in ["accrue.toml", "whole.toml"] {
        let shown = run(folder.path(), &["config", "--config", file, "--json"]);
        assert!(shown.status.success(), "{file}: {}", String::from_utf8_lossy(&shown.stderr));
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(shown["http.keys"]["value"][3]["origins"][0], "https://mugs.example", "{file}");
        assert_eq!(shown["http.listen"]["value"], "127.0.0.1:7171", "{file}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "it holds secrets");
    }
}

#[test]
fn a_file_that_is_there_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("accrue.toml"), "# mine\n").unwrap();
    let refused = run(folder.path(), &["init"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("already there") && told.contains("hint: "), "{told}");
    assert_eq!(std::fs::read_to_string(folder.path().join("accrue.toml")).unwrap(), "# mine\n");
    let another = run(folder.path(), &["init", "--config", "other.toml"]);
    assert!(another.status.success() && folder.path().join("other.toml").is_file());
    assert_eq!(run(folder.path(), &["init", "--config", "third.toml", "--origin", "shop"]).status.code(), Some(2));
}
