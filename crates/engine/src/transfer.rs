//! Transfer: the models of a new shop begin with what those of another shop have learned.
//!
//! In: the data folder of the source, and of it a version. Out: a file of parts (`init.parts`) in the data folder of the
//! target, and the hash of its bytes in the settings. The settings record at the beginning of the log therefore says with
//! what the models began; the source is not needed again. The file belongs to the log: backups copy it, and without it
//! nothing that learns from the log starts.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use accrue_model::{Ensemble, Parts, parts};
use accrue_store::{Body, LogPlace, LogReader, Offset, StoreError, Unread, UnreadReason};
use accrue_train::{LearnSettings, recover};

use crate::config::{Config, learn_settings};
use crate::error::EngineError;
use crate::folder::checkpoints_in;

/// The folder and the version that models begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The data folder of the other shop.
    pub folder: PathBuf,
    /// One of its versions; `None` for the models that answer.
    pub version: Option<u64>,
}

/// A text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form from=FOLDER or from=FOLDER@VERSION")]
pub struct NoSource(String);

impl std::str::FromStr for Source {
    type Err = NoSource;

    /// Reads `from=FOLDER` or `from=FOLDER@VERSION`.
    fn from_str(text: &str) -> Result<Self, NoSource> {
        let expected = || NoSource(text.to_owned());
        let source = text.strip_prefix("from=").filter(|source| !source.is_empty()).ok_or_else(expected)?;
        let numbered = source.rsplit_once('@').map(|(folder, version)| (folder, version.parse()));
        match numbered {
            Some((folder, Ok(version))) if !folder.is_empty() => {
                Ok(Self { folder: folder.into(), version: Some(version) })
            }
            _ => Ok(Self { folder: source.into(), version: None }),
        }
    }
}

fn parts_in(dir: &Path) -> PathBuf {
    dir.join(accrue_store::PARTS)
}

/// Makes the parts known that the shop of this folder began with, and names them in the settings. A folder without them
/// changes nothing.
///
/// # Errors
/// If the file cannot be read, is damaged, or is missing or another one than the log began with: what is learned from
/// such a log without it would be something else.
pub fn take_up_parts(dir: &Path, config: &mut Config) -> Result<(), EngineError> {
    let path = parts_in(dir);
    let begun = begun_with(&config.log_place(dir))?;
    let unusable = |what: &str| EngineError::Conflict { message: format!("{}: {what}", path.display()) };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match begun {
                None => Ok(()),
                Some(_) => Err(unusable(
                    "the file is missing, and the log began with what it holds of another shop's models; put it back, \
                     for example from a backup of this folder",
                )),
            };
        }
        Err(error) => return Err(StoreError::io(&path, "reading a file", error).into()),
    };
    let parts = parts::provide(&bytes).map_err(|error| unusable(&error.to_string()))?;
    if begun.is_some_and(|begun| begun != parts) {
        return Err(unusable(
            "another file than the one that the log began with, or a damaged one; put that back, for example from a \
             backup of this folder",
        ));
    }
    config.model.init.parts = parts;
    Ok(())
}

/// The hash of the parts that the log of this folder began with, as its first record says; `None` if it began with none,
/// or the beginning is no longer there.
fn begun_with(place: &LogPlace) -> Result<Option<String>, EngineError> {
    if place.is_embedded() && !place.folder().join("log").is_dir() {
        return Ok(None);
    }
    let mut log = match LogReader::open(place.clone()) {
        // A database in which no log was begun.
        Err(StoreError::NoLog { .. }) if !place.is_embedded() => return Ok(None),
        log => log?,
    };
    if log.start() > Offset(0) || log.end() == Offset(0) {
        return Ok(None);
    }
    let Some(Body::Settings(text)) = log.get(Offset(0))?.map(|record| record.body) else { return Ok(None) };
    // What is wrong with a record that cannot be read is said where models are computed from it.
    let parts = LearnSettings::from_record(&text).map(|read| read.settings.models.init.parts).unwrap_or_default();
    Ok((!parts.is_empty()).then_some(parts))
}

/// Reads what the models of a shop can give to another one, beside a server that runs there.
///
/// # Errors
/// If the folder holds no log, the version is not kept, or this build cannot read what the shop has learned.
pub fn parts_of(source: &Source, config: &Config) -> Result<Parts, EngineError> {
    let name = source.folder.display();
    if !source.folder.join("log").is_dir() {
        return Err(EngineError::Invalid { field: "init", message: format!("{name} is no data folder of a shop") });
    }
    let mut config = config.clone();
    config.model.init = Default::default();
    // The other shop's log is in its folder: this one's may be elsewhere.
    config.store.url = Default::default();
    take_up_parts(&source.folder, &mut config)?;
    let mut log = LogReader::open(&source.folder)?;
    let end = log.end();
    let mut recovered = recover(&mut log, &checkpoints_in(&source.folder), &learn_settings(&config), end, true)?;
    // A converted section is a part of the facts, of which nothing is taken.
    let is_lost = |unread: &&Unread| !matches!(unread.reason, UnreadReason::Converted { .. });
    if let Some(unread) = recovered.unread.iter().find(is_lost) {
        let message =
            format!("{name}: a checkpoint of another build, of which this one cannot use everything: {unread}");
        return Err(EngineError::Conflict { message });
    }
    recovered.catch_up(&mut log)?;
    let learner = &recovered.learner;
    let of_version = |number: u64| -> Option<&Ensemble> {
        if number == learner.lineage().learning() {
            return Some(learner.ensemble());
        }
        learner.lineage().state(number).map(|state| &state.shared)
    };
    let models = match source.version {
        None => Some(learner.serving()),
        Some(number) => of_version(number),
    };
    let Some(models) = models else {
        let mut kept: Vec<u64> = learner.lineage().kept().chain([learner.lineage().learning()]).collect();
        kept.sort_unstable();
        let kept = kept.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("{name} has no state of version {}; it has {kept}", source.version.unwrap_or_default());
        return Err(EngineError::Invalid { field: "init", message });
    };
    if learner.n_learned() == 0 {
        return Err(EngineError::Invalid { field: "init", message: format!("{name} has learned nothing yet") });
    }
    Ok(models.parts())
}

/// Lets the models of an evaluation begin with what another shop has learned.
///
/// # Errors
/// Those of [`parts_of`], and if the models of the settings cannot begin with the parts.
pub fn evaluate_from(source: &Source, config: &mut Config) -> Result<(), EngineError> {
    let bytes = parts_of(source, config)?.to_bytes();
    config.model.init.parts = parts::provide(&bytes).map_err(|error| unfit(source, &error))?;
    Ok(())
}

/// Lets a new shop begin with what another one has learned: writes the parts into its folder and names them in the
/// settings. A shop that has begun so is left as it is, so that the command can be run again, as a service does.
///
/// # Errors
/// Those of [`parts_of`], and if the folder has records and began with no parts, or the models of the settings cannot begin with the parts.
pub fn begin_from(source: &Source, dir: &Path, config: &mut Config) -> Result<(), EngineError> {
    let place = config.log_place(dir);
    if let Ok(log) = LogReader::open(place.clone())
        && log.end() > Offset(0)
    {
        if begun_with(&place)?.is_some() {
            tracing::info!(folder = %dir.display(), "the models have begun with another shop's parts before");
            return take_up_parts(dir, config);
        }
        let message = format!(
            "{} has records already, and models begin with another shop's parts before the first record only; \
             name a new folder with --data",
            dir.display()
        );
        return Err(EngineError::Conflict { message });
    }
    let parts = parts_of(source, config)?;
    parts.fit(&config.models()).map_err(|error| unfit(source, &error))?;
    let path = parts_in(dir);
    write(&path, &parts.to_bytes()).map_err(|error| StoreError::io(&path, "writing a file", error))?;
    take_up_parts(dir, config)
}

fn unfit(source: &Source, error: &accrue_model::TransferError) -> EngineError {
    EngineError::Conflict { message: format!("{}: {error}", source.folder.display()) }
}

/// Writes a file so that it is there whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let unfinished = path.with_extension("unfinished");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_folder_with_or_without_a_version() {
        let source = |text: &str| text.parse::<Source>();
        let of = |folder: &str, version| Ok(Source { folder: folder.into(), version });
        assert_eq!(source("from=shop"), of("shop", None));
        assert_eq!(source("from=/a/b@c/shop@12"), of("/a/b@c/shop", Some(12)));
        assert_eq!(source("from=me@home"), of("me@home", None));
        for broken in ["shop", "from=", ""] {
            assert!(source(broken).unwrap_err().to_string().contains("from=FOLDER@VERSION"), "{broken}");
        }
    }
}
