//! Small files to evaluate on.

use std::path::PathBuf;

use accrue_lab::{LabError, Protocol, RankingReport, RatingReport, Request, evaluate_files, evaluate_ratings};

/// A folder that is removed after the test.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).expect("a file in it");
        path
    }
}

/// A request: model, files, `key=value` settings.
pub fn request(model: &str, train: PathBuf, test: Option<PathBuf>, settings: &[&str]) -> Request {
    let pair = |text: &&str| {
        let (key, value) = text.split_once('=').expect("key=value");
        (key.to_string(), value.to_string())
    };
    Request {
        model: model.into(),
        train: train.into(),
        test: test.map(Into::into),
        settings: settings.iter().map(pair).collect(),
        seed: 1,
        threads: 2,
        predictions: false,
    }
}

pub fn ranking(protocol: &str, request: &Request) -> Result<RankingReport, LabError> {
    evaluate_files(Protocol::named(protocol).expect("a protocol"), request, &|_| {})
}

pub fn ratings(request: &Request) -> Result<RatingReport, LabError> {
    evaluate_ratings(request, &|_| {})
}

/// The histories of forty users, each of whom chooses six consecutive items of a ring of twelve.
pub fn ring() -> String {
    (0..40)
        .map(|user| (0..6).fold(format!("u{user}"), |line, step| format!("{line} {}", (user + step) % 12)) + "\n")
        .collect()
}
