//! Settings: defaults, then `accrue.toml`, then `ACCRUE_*` variables, then flags; later ones override earlier ones.
//!
//! In: a TOML file, the environment and flags as plain values. Out: a valid [`Config`], and the origin of each key's
//! value. An unknown key is refused with its place and the nearest known one. The environment also holds variables of
//! other programs with the same prefix (a cluster's for a service called `accrue`): one that names no key is passed
//! over with a warning, unless it is so similar to a key's that it must be a typing error.

mod error;
mod layers;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::{Table, Value};

pub use self::error::ConfigError;
pub use self::layers::Origin;
use self::layers::{Layers, is_setting, is_short, leaves, read};
pub use self::settings::{Config, SourceConfig};

/// The file that is read from the working directory if no other is given.
pub const DEFAULT_FILE: &str = "accrue.toml";

/// All sources of settings, as plain values.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must exist; without one, [`DEFAULT_FILE`] is read if it exists.
    pub file: Option<PathBuf>,
    /// All variables of the environment.
    pub environment: Vec<(String, String)>,
    /// (key, value, flag) of the command line.
    pub flags: Vec<(&'static str, Value, &'static str)>,
}

/// Settings with the origin of each.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// Variables with the prefix of settings that name no key and were passed over.
    pub passed_over: Vec<String>,
    origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// Merges the sources and validates the result.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        let file = match &sources.file {
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file()),
        };
        if let Some(path) = &file {
            layers.add_file(path)?;
        }
        // An empty variable is one that is not set: compose files write `ACCRUE_SEED=${ACCRUE_SEED:-}`.
        let is_given = |name: &str, text: &str| is_setting(name) && !text.trim().is_empty();
        let mut environment: Vec<_> = sources.environment.iter().filter(|(name, text)| is_given(name, text)).collect();
        // Short names come last, so that they override long ones in any order of the environment.
        environment.sort_by_key(|(name, _)| (is_short(name), name));
        let mut passed_over = Vec::new();
        for (name, text) in environment {
            match layers.variable(name) {
                Some(named) => layers.add_variable(name, text, named)?,
                None => {
                    layers.refuse_near_miss(name)?;
                    passed_over.push(name.clone());
                }
            }
        }
        for (key, value, flag) in &sources.flags {
            layers.add(key, value.clone(), Origin::Flag(flag), flag)?;
        }
        let config = read(&layers.table, |_| "the settings".into())?;
        config.validate().map_err(|fault| ConfigError::Setting { place: layers.origin_of(&fault.key), fault })?;
        Ok(Self { config, file, passed_over, origins: layers.origins })
    }

    /// Every key with its value and its origin, by name.
    pub fn values(&self) -> Vec<(String, Value, Origin)> {
        let table = Table::try_from(&self.config).expect("settings come from TOML or are plain numbers and texts");
        let mut values = Vec::new();
        leaves("", &table, &mut |key, value| {
            if is_section_without_settings(key, value) {
                return;
            }
            let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
            values.push((key.to_owned(), plain(value), origin));
        });
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }
}

/// Whether the key is the section of a model that has no settings. An empty table elsewhere would be a setting without entries.
fn is_section_without_settings(key: &str, value: &Value) -> bool {
    let is_empty = value.as_table().is_some_and(Table::is_empty);
    is_empty && key.strip_prefix("model.").is_some_and(|name| !name.contains('.'))
}

/// A number that was an `f32`, with the digits that were typed.
fn plain(value: &Value) -> Value {
    match value {
        Value::Float(number) if f64::from(*number as f32) == *number => {
            (*number as f32).to_string().parse().map_or_else(|_| value.clone(), Value::Float)
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests;
