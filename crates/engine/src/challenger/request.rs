//! A challenger that an operator requests: other settings, more passes, or recent choices only. It is trained and judged as a periodic
//! reset is (`lifecycle.rs`), in place of one that is under way, and is lost when the server stops.

use std::collections::BTreeMap;

use accrue_event::{Mismatch, Tree};
use accrue_model::Settings;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::moved_to;

/// Settings of the models by name, as under `[model]` in the configuration file: `factorization.rate`.
pub type Changes = BTreeMap<String, Value>;

/// The request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChallengerRequest {
    /// Settings that differ from those in force.
    pub set: Changes,
    /// The first record whose choices it learns from.
    pub from: u64,
    /// Passes over the log.
    pub passes: u32,
    /// Loss of mean gain (0 to 1) that counts as not worse.
    pub margin: f64,
}

/// A request with the settings that result from it.
#[derive(Clone, Debug)]
pub(crate) struct RequestedChallenger {
    pub request: ChallengerRequest,
    pub models: Settings,
}

/// What an operator has told the learner's thread to do.
pub(crate) enum Command {
    /// Train this challenger, in place of any that is under way.
    Start(Box<RequestedChallenger>),
    /// Drop the requested challenger; a periodic reset goes on.
    Dismiss,
}

/// Changes of settings that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No setting has this key.
    #[error("there is no setting `{key}`")]
    Unknown {
        /// The key, as under `[model]`.
        key: String,
    },
    /// The setting has another key now.
    #[error("there is no setting `{key}` any more: it is now `{new}`")]
    Moved {
        /// The key, as under `[model]`.
        key: String,
        /// The new key, as under `[model]`.
        new: &'static str,
    },
    /// The value is not of the setting's kind.
    #[error(transparent)]
    Value(#[from] Mismatch),
    /// The settings cannot be written as TOML.
    #[error(transparent)]
    Unwritable(#[from] toml::ser::Error),
}

/// The models' settings with some of them changed.
///
/// # Errors
/// If there is no such setting, or it cannot have this value.
pub fn with_changes(models: &Settings, changes: &Changes) -> Result<Settings, ChangeError> {
    let mut models = models.clone();
    for (key, value) in changes {
        // Written again for each change: after a model is named by one, its settings are there for those that follow.
        let mut table = Table::try_from(&models)?;
        *place(&mut table, key).ok_or_else(|| unknown(key))? = value.clone();
        let tree = Tree::deserialize(table).map_err(|error| Mismatch::custom(error.message()))?;
        models = tree.read()?;
    }
    Ok(models)
}

fn place<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Value> {
    let mut names = key.split('.');
    let first = table.get_mut(names.next()?)?;
    names.try_fold(first, |value, name| value.get_mut(name))
}

fn unknown(key: &str) -> ChangeError {
    let new = moved_to(&format!("model.{key}")).and_then(|new| new.strip_prefix("model."));
    match new {
        Some(new) => ChangeError::Moved { key: key.to_owned(), new },
        None => ChangeError::Unknown { key: key.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use accrue_model::Part;

    use super::*;

    fn changed(toml: &str) -> Result<Settings, ChangeError> {
        with_changes(&Settings::default(), &toml::from_str(toml).unwrap())
    }

    #[test]
    fn settings_are_changed_by_name() {
        let settings = changed("'factorization.rate' = 0.5\npart = 'neighbours'").unwrap();
        assert_eq!((settings.factorization.rate, settings.part), (0.5, Part::Neighbours));
        for (wrong, told) in [
            ("'factorization.speed' = 1", "there is no setting `factorization.speed`"),
            ("'nothing.rate' = 1", "there is no setting `nothing.rate`"),
            ("'retrieval.new' = 1", "it is now `newness.candidates`"),
            ("part = 'magic'", "part: must be one of"),
            ("'factorization.rate' = 'fast'", "factorization.rate: must be a number"),
        ] {
            let error = changed(wrong).unwrap_err().to_string();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}
