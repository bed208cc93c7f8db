//! Reading settings from the log leniently: the settings that this build knows are used, the others are ignored and
//! reported.
//!
//! An unknown key in a configuration file is a mistake that the operator can correct, so it is refused. A settings
//! record cannot be corrected: a build that removed or renamed a setting must still replay it. In: a table as TOML.
//! Out: settings, and the keys that were ignored.

use accrue_event::Tree;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Settings read from a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<T> {
    /// The settings, with the defaults of those that were ignored.
    pub settings: T,
    /// Settings that this build does not know, or whose values it cannot use.
    pub ignored: Vec<IgnoredSetting>,
}

/// A setting of a record that was ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredSetting {
    /// The key, sections separated by dots.
    pub key: Box<str>,
    /// Its value, as TOML.
    pub value: Box<str>,
}

impl std::fmt::Display for IgnoredSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.key, self.value)
    }
}

/// Reads settings. A value is used only if the settings as a whole still pass `works` with it.
pub(crate) fn read<T>(text: &str, works: impl Fn(&T) -> bool) -> Result<Recorded<T>, toml::de::Error>
where
    T: Default + Serialize + DeserializeOwned,
{
    // Read whole if possible, because a table of TOML cannot hold every number that settings can.
    match toml::from_str::<Tree>(text)?.read() {
        Ok(settings) if works(&settings) => Ok(Recorded { settings, ignored: Vec::new() }),
        _ => Ok(read_table(toml::from_str(text)?, works)),
    }
}

/// [`read`] for a table.
pub(crate) fn read_table<T>(table: Table, works: impl Fn(&T) -> bool) -> Recorded<T>
where
    T: Default + Serialize + DeserializeOwned,
{
    // Not `T::default()`: what a record does not name may differ from what a new configuration has.
    let defaults: T = Tree::deserialize(Table::new()).ok().and_then(|tree| tree.read().ok()).unwrap_or_default();
    let taken = Table::try_from(&defaults).expect("settings are plain tables");
    let settings_of = |table: &Table| Tree::deserialize(table.clone()).ok()?.read().ok().filter(&works);
    let mut taking = Taking { settings: defaults, table: taken, settings_of, left: Vec::new() };
    taking.take(Vec::new(), Value::Table(table));
    // A setting may be valid only with another one that comes later in the table, so those that are left are tried
    // again.
    loop {
        let left = std::mem::take(&mut taking.left);
        let n_left = left.len();
        left.into_iter().for_each(|(path, value)| taking.take(path, value));
        if taking.left.len() == n_left {
            break;
        }
    }
    let ignored = taking
        .left
        .into_iter()
        .map(|(path, value)| IgnoredSetting { key: path.join(".").into(), value: value.to_string().into() });
    Recorded { ignored: ignored.collect(), settings: taking.settings }
}

struct Taking<T, F> {
    /// The defaults with the values taken so far.
    settings: T,
    table: Table,
    settings_of: F,
    left: Vec<(Vec<String>, Value)>,
}

impl<T, F: Fn(&Table) -> Option<T>> Taking<T, F> {
    /// Takes a value, or as much of a table as is valid.
    fn take(&mut self, path: Vec<String>, value: Value) {
        let mut table = self.table.clone();
        put(&mut table, &path, value.clone());
        if let Some(settings) = (self.settings_of)(&table) {
            (self.table, self.settings) = (table, settings);
            return;
        }
        match value {
            Value::Table(inner) if !inner.is_empty() => {
                for (key, value) in inner {
                    let path = path.iter().cloned().chain([key]).collect();
                    self.take(path, value);
                }
            }
            value => self.left.push((path, value)),
        }
    }
}

/// Puts a value into a table, in the place of an earlier one.
fn put(table: &mut Table, path: &[String], value: Value) {
    match (path, value) {
        ([], Value::Table(whole)) => *table = whole,
        ([], _) => {}
        ([key], value) => drop(table.insert(key.clone(), value)),
        ([key, rest @ ..], value) => {
            let entry = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            if let Value::Table(inner) = entry {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LearnSettings;

    fn read(text: &str) -> (LearnSettings, Vec<String>) {
        let recorded = LearnSettings::from_record(text).unwrap();
        (recorded.settings, recorded.ignored.iter().map(IgnoredSetting::to_string).collect())
    }

    #[test]
    fn a_record_of_this_build_is_read_as_written() {
        let mut settings = LearnSettings { seed: 9, ..LearnSettings::default() };
        settings.weights.insert("gift".into(), 2.5);
        settings.arms = Some(accrue_store::Split { experiment: "x".into(), arms: Vec::new() });
        assert_eq!(read(&settings.to_record()), (settings, Vec::new()));
    }

    #[test]
    fn unknown_keys_are_ignored_and_reported_at_any_depth() {
        let text = "seed = 3\nshoe_size = 43\n[models.retrieval]\nlearn_candidates = 7\nlunar = true\n[moon]\nphase = 1\nname = 'full'\n";
        let (settings, ignored) = read(text);
        assert_eq!((settings.seed, settings.models.retrieval.learn_candidates), (3, 7));
        assert_eq!(
            ignored,
            ["models.retrieval.lunar = true", "moon.name = \"full\"", "moon.phase = 1", "shoe_size = 43"]
        );
    }

    #[test]
    fn invalid_values_get_their_default_and_settings_may_need_each_other() {
        let (settings, ignored) = read("same_item_a_day = 'often'\n[models]\npart = 'oracle'\n");
        assert_eq!(settings, LearnSettings { dates_items_by_events: false, ..LearnSettings::default() });
        assert_eq!(ignored, ["models.part = \"oracle\"", "same_item_a_day = \"often\""]);
        // `part` is not valid without `kind`, which comes after it.
        let text = "[models]\npart = 'sequence'\nmagic = 1\n[models.sequence]\nkind = 'gru'\nmagic = 2\n";
        let (settings, ignored) = read(text);
        assert_eq!(settings.models.part, accrue_model::Part::Sequence);
        assert_eq!(ignored, ["models.magic = 1", "models.sequence.magic = 2"]);
    }

    #[test]
    fn a_value_outside_the_bounds_of_a_configuration_is_used() {
        let (settings, ignored) = read("[guard]\ntolerance = 0.9\nversion_every = 3\n");
        assert_eq!((settings.guard.tolerance, settings.guard.version_every), (0.9, 3));
        assert!(ignored.is_empty());
    }

    #[test]
    fn a_text_that_is_not_toml_is_refused() {
        assert!(LearnSettings::from_record("seed = = 3").is_err());
    }
}
