//! A challenger that an operator asks for: other settings, more passes, or the recent past alone. It takes the way of a periodic
//! reset (`lifecycle.rs`), in place of one that is under way, and is lost when the server stops.

use std::collections::BTreeMap;

use accrue_model::Settings;
use serde::Serialize;
use toml::{Table, Value};

/// Settings of the models by name, as under `[model]` in the configuration file: `factorization.rate`.
pub type Changes = BTreeMap<String, Value>;

/// What is asked for.
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

/// A request with the settings that it comes to.
#[derive(Clone, Debug)]
pub(crate) struct RequestedChallenger {
    pub request: ChallengerRequest,
    pub models: Settings,
}

/// What an operator has told the learner's thread to do.
pub(crate) enum Command {
    /// Train this challenger, in place of any that is under way.
    Start(Box<RequestedChallenger>),
    /// Drop the challenger that was asked for; a periodic reset goes on.
    Dismiss,
}

/// The models' settings with some of them changed.
///
/// # Errors
/// If there is no such setting, or it cannot have this value.
pub fn with_changes(models: &Settings, changes: &Changes) -> Result<Settings, String> {
    let mut table = Table::try_from(models).map_err(|error| error.to_string())?;
    for (key, value) in changes {
        let mut place = &mut table;
        let mut keys: Vec<&str> = key.split('.').collect();
        let last = keys.pop().unwrap_or(key);
        for table in keys {
            let inner = place.get_mut(table).and_then(Value::as_table_mut);
            place = inner.ok_or_else(|| format!("{key}: there is no table `{table}`"))?;
        }
        if !place.contains_key(last) {
            return Err(format!("{key}: there is no setting `{last}`"));
        }
        place.insert(last.into(), value.clone());
        // After a model is named by one change, its settings are there for the changes that follow.
        table = Table::try_from(read(table)?).map_err(|error| error.to_string())?;
    }
    read(table)
}

fn read(table: Table) -> Result<Settings, String> {
    table.try_into().map_err(|error: toml::de::Error| error.message().to_string())
}

#[cfg(test)]
mod tests {
    use accrue_model::Part;

    use super::*;

    fn changed(toml: &str) -> Result<Settings, String> {
        with_changes(&Settings::default(), &toml::from_str(toml).unwrap())
    }

    #[test]
    fn settings_are_changed_by_name() {
        let settings = changed("'factorization.rate' = 0.5\npart = 'neighbours'").unwrap();
        assert_eq!((settings.factorization.rate, settings.part), (0.5, Part::Neighbours));
        let wrong =
            ["'factorization.speed' = 1", "'nothing.rate' = 1", "part = 'magic'", "'factorization.rate' = 'fast'"];
        for wrong in wrong {
            assert!(changed(wrong).is_err(), "{wrong}");
        }
    }
}
