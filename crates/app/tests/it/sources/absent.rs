//! A build without the feature names it.

use std::process::Command;

#[test]
fn a_build_without_a_feature_names_it() {
    let dir = tempfile::tempdir().unwrap();
    for (address, told) in [
        ("postgres://u:secret@h/d?table=t", "--features sql"),
        ("mysql://h/d?query=SELECT 1", "--features sql"),
        ("kafka://h:9092/t", "there is no source of this kind"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_accrue"))
            .args(["ingest", "--from", address, "--data"])
            .arg(dir.path().join("shop"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(told) && !errors.contains("secret"), "{errors}");
        assert!(!dir.path().join("shop").exists(), "nothing is made");
    }
}
