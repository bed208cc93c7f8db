//! The folder of a training: its lock, its plan, and the new encoder's folder that appears as a whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use accrue_encode::{Kind, weights_hash};
use accrue_store::Offset;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{TextPairs, TuneEnd, TuneError, TuneReport, TuneRequest};

/// What a training is of; a state goes on only with the same plan.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The records before this offset were read.
    pub to: u64,
    /// Hashes of the weights, and of texts and pairs.
    weights: String,
    pairs: String,
    /// All settings that the result depends on.
    settings: String,
}

/// The folder beside the new one in which its training is done.
pub fn tuning_folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".tuning");
    out.with_file_name(name)
}

/// The folder in which a training is done.
pub(super) struct Work {
    pub dir: PathBuf,
    /// Locked as long as this is there.
    _lock: File,
}

impl Work {
    /// The folder of the training beside the new one, with its lock.
    pub fn open(out: &Path) -> Result<Self, TuneError> {
        let dir = tuning_folder(out);
        fs::create_dir_all(&dir).map_err(io_error(&dir))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(io_error(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(TuneError::Locked { path: dir }),
            Err(TryLockError::Error(source)) => Err(TuneError::Io { path, source }),
        }
    }

    /// Removes the folder if no training was begun in it.
    pub fn remove_if_not_begun(&self) {
        if !self.dir.join("plan.json").exists() {
            // What failed before counts, and an empty folder harms nothing.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }

    /// The plan of a training that was begun.
    pub fn plan(&self) -> Result<Option<Plan>, TuneError> {
        let path = self.dir.join("plan.json");
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(plan) => Ok(Some(plan)),
                Err(_) => Err(TuneError::OtherPlan { path: self.dir.clone() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TuneError::Io { path, source }),
        }
    }

    pub fn write_plan(&self, plan: &Plan) -> Result<(), TuneError> {
        let (path, part) = (self.dir.join("plan.json"), self.dir.join("plan.json.part"));
        let bytes = serde_json::to_vec_pretty(plan).unwrap_or_default();
        fs::write(&part, bytes).and_then(|()| fs::rename(&part, &path)).map_err(io_error(&path))
    }

    /// Puts the new folder in its place, if it is better; removes what the training needed.
    pub fn end(&self, new: &Path, request: &TuneRequest, report: &TuneReport) -> Result<(), TuneError> {
        if report.end == TuneEnd::Written {
            let path = new.join("comparison.json");
            let bytes = serde_json::to_vec_pretty(&report.comparison).unwrap_or_default();
            fs::write(&path, bytes).map_err(io_error(&path))?;
            fs::rename(new, &request.out).map_err(io_error(&request.out))?;
        }
        fs::remove_dir_all(&self.dir).map_err(io_error(&self.dir))
    }
}

pub(super) fn plan_of(request: &TuneRequest, to: Offset, from: &Path, read: &TextPairs) -> Result<Plan, TuneError> {
    let mut hash = Xxh3::new();
    for (kind, text) in &read.texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(&[u8::from(*kind == Kind::Query)]);
        hash.update(text.as_bytes());
    }
    for pair in &read.pairs {
        hash.update(format!("{pair:?}").as_bytes());
    }
    let TuneRequest { prefixes, trained, held_out, epochs, batch, negatives, rate, temperature, tokens, seed, .. } =
        request;
    let settings = format!(
        "{prefixes:?} {trained:?} {held_out} {epochs} {batch} {negatives} {rate:?} {temperature} {tokens} {seed}"
    );
    Ok(Plan {
        to: to.0,
        weights: format!("{:032x}", weights_hash(from)?),
        pairs: format!("{:032x}", hash.digest128()),
        settings,
    })
}

/// What the new folder says it was made from.
pub(super) fn note(request: &TuneRequest, report: &TuneReport, plan: &Plan) -> String {
    let note = serde_json::json!({
        "made_by": concat!("accrue ", env!("CARGO_PKG_VERSION")),
        "from": request.encoder,
        "from_weights": plan.weights,
        "records_before": plan.to,
        "pairs": report.pairs,
        "held_out": report.held_out,
        "parameters": report.parameters,
        "steps": report.steps[0],
        "settings": plan.settings,
    });
    serde_json::to_string_pretty(&note).unwrap_or_default()
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> TuneError {
    move |source| TuneError::Io { path: path.into(), source }
}
