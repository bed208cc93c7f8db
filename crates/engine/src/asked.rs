//! A challenger that somebody asks for: other settings, more passes, or the recent past alone. It takes the way of a periodic reset
//! (`resetting.rs`), in place of one that is under way, and is gone with the server that was asked.

use std::collections::BTreeMap;

use accrue_model::Settings;
use serde::Serialize;
use toml::{Table, Value};

use super::contract::ChallengerStatus;
use super::{Engine, EngineError};
use crate::config::Config;

/// Settings of the models by name, as under `[model]` in the configuration file: `factorization.rate`.
pub type Changes = BTreeMap<String, Value>;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Asked {
    /// What differs from the settings in force.
    pub set: Changes,
    /// It learns from the choices from this record on.
    pub from: u64,
    /// Passes over them.
    pub passes: u32,
    /// Loss of mean gain (0 to 1) that counts as not worse.
    pub margin: f64,
}

impl Engine {
    /// Asks for a challenger, in place of any that is under way. It is begun when the learner is neither behind nor on probation.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with settings that there are not, or that cannot work; [`EngineError::Conflict`] if this engine does not serve.
    pub fn ask_for_challenger(&self, asked: Asked) -> Result<ChallengerStatus, EngineError> {
        let running = self.running();
        let shared = &running.shared;
        let refused = |message| EngineError::Invalid { field: "set", message };
        let models = with_changes(&shared.version.load().ensemble.settings, &asked.set).map_err(refused)?;
        Config { model: models.clone(), ..self.home.config.clone() }.validate().map_err(refused)?;
        let log_end = shared.facts.read().end.0;
        if asked.from >= log_end {
            let message = format!("there is nothing to learn from record {} on: the log ends at {log_end}", asked.from);
            return Err(EngineError::Invalid { field: "from", message });
        }
        self.wish(Wish::Begin(Box::new(Trial { asked, models })))
    }

    /// Loss of mean gain that counts as not worse, where nobody says otherwise.
    pub fn margin(&self) -> f64 {
        self.home.config.learn.reset.gate.margin
    }

    /// Lets a challenger go that somebody asked for.
    ///
    /// # Errors
    /// [`EngineError::Conflict`] if this engine does not serve.
    pub fn dismiss_challenger(&self) -> Result<ChallengerStatus, EngineError> {
        self.wish(Wish::End)
    }

    fn wish(&self, wish: Wish) -> Result<ChallengerStatus, EngineError> {
        if self.home.resets.is_none() {
            return Err(EngineError::Conflict { message: "challengers ride along with a server only".into() });
        }
        let running = self.running();
        running.shared.desk.wish(wish);
        running.shared.call_learner();
        Ok(running.shared.desk.status())
    }
}

/// The models' settings with some of them changed.
///
/// # Errors
/// A change of what is no setting, or to what it cannot be.
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
        // A model that was named has settings now, which may be named next.
        table = Table::try_from(read(table)?).map_err(|error| error.to_string())?;
    }
    read(table)
}

fn read(table: Table) -> Result<Settings, String> {
    table.try_into().map_err(|error: toml::de::Error| error.message().to_string())
}

/// What is asked for, and the settings that it comes to.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    pub asked: Asked,
    pub models: Settings,
}

/// What somebody wants of the learner's thread.
pub(super) enum Wish {
    /// This challenger, in place of any that is under way.
    Begin(Box<Trial>),
    /// No longer the one that was asked for.
    End,
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
