//! Settings: defaults, then `accrue.toml`, then `ACCRUE_*` variables, then flags; the later wins.
//!
//! In: a TOML file, the environment and flags as plain values. Out: a valid [`Config`], and for each key where its value
//! came from. A key that there is not is refused with its place and the nearest one that there is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use accrue_event::CheckSettings;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::experiment::{ExperimentSettings, ExploreSettings};

/// The file that is read from the working directory where no other is named.
pub const DEFAULT_FILE: &str = "accrue.toml";
/// What names of variables begin with: `ACCRUE_LEARN_SEED` is `learn.seed`.
const PREFIX: &str = "ACCRUE_";
/// Variables that are no settings: flags of the command line, and what the tests read.
const FLAG_VARIABLES: [&str; 6] =
    ["ACCRUE_CONFIG", "ACCRUE_JSON", "ACCRUE_QUIET", "ACCRUE_LOG", "ACCRUE_DATASETS", "ACCRUE_KILLS"];
/// Short names of variables.
const SHORT_VARIABLES: [(&str, &str); 2] = [("ACCRUE_SEED", "learn.seed"), ("ACCRUE_LISTEN", "http.listen")];

/// All settings of a shop's server.
///
/// ```
/// let config: accrue::config::Config = toml::from_str("[learn]\nseed = 7").unwrap();
/// assert_eq!((config.learn.seed, config.learn.history_capacity), (7, 1000));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The server's address, keys and limits.
    pub http: crate::http::HttpSettings,
    /// What the check tolerates.
    pub check: CheckSettings,
    /// How the log lies on the disk.
    pub log: LogConfig,
    /// What the models are made of.
    pub model: accrue_model::Settings,
    /// When models learn, publish and are saved.
    pub learn: LearnConfig,
    /// How search ranks.
    pub search: accrue_serve::search::SearchSettings,
    /// What is kept of answers.
    pub serve: ServeConfig,
}

/// What is kept of answers, and what is tried on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Which answers are recorded in the log: `true`, `false`, or a share of them.
    pub record: RecordShare,
    /// Which answers are drawn by chance, and how.
    pub explore: ExploreSettings,
    /// An experiment that is running.
    pub experiment: Option<ExperimentSettings>,
    /// Share of shoppers, others each day, whose pages the last version known good makes, 0 to 1.
    pub good_share: f64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self { record: Default::default(), explore: Default::default(), experiment: None, good_share: 0.01 }
    }
}

/// A share of answers: all, none, or a number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordShare {
    /// All or none.
    Whole(bool),
    /// So many, chosen by a hash of the answer's id.
    Part(f64),
}

impl RecordShare {
    /// The share as a number.
    pub fn share(self) -> f64 {
        match self {
            Self::Whole(all) => f64::from(u8::from(all)),
            Self::Part(share) => share,
        }
    }
}

impl Default for RecordShare {
    fn default() -> Self {
        Self::Whole(true)
    }
}

/// When models learn, publish and are saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnConfig {
    /// Where all randomness comes from, with the offset.
    pub seed: u64,
    /// Milliseconds between publications while there is something new.
    pub publish_every_ms: u64,
    /// Events between checkpoints.
    pub checkpoint_every_events: u64,
    /// Checkpoints kept; the oldest are deleted.
    pub checkpoints_kept: usize,
    /// Events remembered of a shopper.
    pub history_capacity: usize,
    /// Choices of one item by one shopper, of one type, that teach on one day; 0 is no bound.
    pub same_item_a_day: u32,
    /// One event in so many is predicted before it is learned, to measure quality (a young shop: more often).
    pub predict_one_in: u64,
    /// How changes of what shoppers do are found, and how they hasten learning.
    pub drift: accrue_train::DriftSettings,
    /// How impressions become negatives.
    pub impressions: accrue_train::ImpressionSettings,
    /// How what is learned is judged, and when it is undone.
    pub guard: accrue_train::GuardSettings,
    /// When a server learns its models again by itself.
    pub reset: accrue_train::ResetSettings,
}

impl Default for LearnConfig {
    fn default() -> Self {
        let learning = accrue_train::LearnSettings::default();
        Self {
            seed: learning.seed,
            publish_every_ms: 50,
            checkpoint_every_events: 1_000_000,
            checkpoints_kept: 3,
            history_capacity: learning.history_capacity,
            same_item_a_day: learning.same_item_a_day,
            predict_one_in: learning.predict_one_in,
            drift: learning.drift,
            impressions: learning.impressions,
            guard: learning.guard,
            reset: accrue_train::ResetSettings::default(),
        }
    }
}

/// How the log lies on the disk: [`accrue_store::LogSettings`] with a form in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Records after which a segment is sealed.
    pub segment_records: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_records: accrue_store::LogSettings::default().segment_records }
    }
}

impl From<&LogConfig> for accrue_store::LogSettings {
    fn from(settings: &LogConfig) -> Self {
        Self { segment_records: settings.segment_records }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "accrue-data".into(),
            http: Default::default(),
            check: CheckSettings::default(),
            log: LogConfig::default(),
            model: accrue_model::Settings::default(),
            learn: LearnConfig::default(),
            search: Default::default(),
            serve: ServeConfig::default(),
        }
    }
}

impl Config {
    /// Refuses values that contradict themselves; the first fault found is told.
    pub fn validate(&self) -> Result<(), String> {
        self.check.validate().map_err(|fault| fault.within("check").to_string())?;
        self.http.validate().map_err(|error| error.to_string())?;
        let learn = &self.learn;
        let retrieval = &self.model.retrieval;
        let recorded = self.serve.record.share();
        if !(0.0..=1.0).contains(&recorded) {
            return Err(format!("`serve.record` is {recorded}, but must be true, false, or a share from 0 to 1"));
        }
        self.serve.explore.validate()?;
        let good_share = self.serve.good_share;
        if !(0.0..=1.0).contains(&good_share) {
            return Err(format!("`serve.good_share` is {good_share}, but must be from 0 to 1"));
        }
        if let Some(experiment) = &self.serve.experiment {
            experiment.validate(self.model.part, recorded)?;
        }
        in_range("learn.publish_every_ms", learn.publish_every_ms, 1, 60_000)?;
        in_range("learn.checkpoint_every_events", learn.checkpoint_every_events, 1000, u64::MAX)?;
        in_range("learn.checkpoints_kept", learn.checkpoints_kept as u64, 1, 1000)?;
        in_range("learn.history_capacity", learn.history_capacity as u64, 1, 100_000)?;
        in_range("learn.predict_one_in", learn.predict_one_in, 1, u64::MAX)?;
        let drift = &learn.drift;
        if !(drift.delta > 0.0 && drift.delta < 1.0) {
            return Err(format!("`learn.drift.delta` is {}, but must be above 0 and below 1", drift.delta));
        }
        if !(1.0..=10.0).contains(&drift.boost) {
            return Err(format!("`learn.drift.boost` is {}, but must be 1 to 10", drift.boost));
        }
        in_range("learn.drift.boost_half_life", drift.boost_half_life, 10, u64::MAX)?;
        let impressions = &learn.impressions;
        in_range("learn.impressions.capacity", impressions.capacity as u64, 0, 100_000_000)?;
        if !(0.0..=1.0).contains(&impressions.weight) {
            return Err(format!("`learn.impressions.weight` is {}, but must be 0 to 1", impressions.weight));
        }
        let guard = &learn.guard;
        in_range("learn.guard.anchor_one_in", guard.anchor_one_in, 2, u64::MAX)?;
        in_range("learn.guard.anchors", guard.anchors as u64, 128, 100_000)?;
        in_range("learn.guard.test_one_in", guard.test_one_in, 1, u64::MAX / 4)?;
        in_range("learn.guard.tests_per_s", guard.tests_per_s, 1, 1_000_000)?;
        in_range("learn.guard.version_every", guard.version_every, 1_000, u64::MAX)?;
        in_range("learn.guard.confirm_after", guard.confirm_after, 500, guard.version_every)?;
        in_range("learn.guard.versions_kept", guard.versions_kept as u64, 0, 100)?;
        if !(0.0..=0.4).contains(&guard.tolerance) {
            return Err(format!("`learn.guard.tolerance` is {}, but must be 0 to 0.4", guard.tolerance));
        }
        if !(guard.alpha > 0.0 && guard.alpha < 1.0) {
            return Err(format!("`learn.guard.alpha` is {}, but must be above 0 and below 1", guard.alpha));
        }
        validate_reset(&learn.reset)?;
        in_range("log.segment_records", self.log.segment_records, 1, u64::MAX)?;
        self.model.validate()?;
        let (factorization, blend) = (&self.model.factorization, &self.model.blend);
        for (key, value) in
            [("factorization.rate", factorization.rate), ("blend.rate", blend.rate), ("blend.average", blend.average)]
        {
            if !(value > 0.0 && value <= 1.0) {
                return Err(format!("`model.{key}` is {value}, but must be above 0 and at most 1"));
            }
        }
        for (key, value) in [("factorization.l2", factorization.l2), ("blend.forget", blend.forget)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("`model.{key}` is {value}, but must be 0 to 1"));
            }
        }
        let half_life = self.model.neighbours.half_life_days;
        if !(half_life > 0.0 && half_life.is_finite()) {
            return Err(format!("`model.neighbours.half_life_days` is {half_life}, but must be above 0"));
        }
        in_range("model.factorization.dim", self.model.factorization.dim as u64, 1, 4096)?;
        in_range("model.retrieval.learn_one_in", retrieval.learn_one_in, 1, u64::MAX)
    }
}

fn validate_reset(reset: &accrue_train::ResetSettings) -> Result<(), String> {
    if reset.every_events > 0 {
        in_range("learn.reset.every_events", reset.every_events, 1_000, u64::MAX)?;
    }
    in_range("learn.reset.attempts", reset.attempts, 1, 100)?;
    let gate = &reset.gate;
    in_range("learn.reset.gate.predict_one_in", gate.predict_one_in, 1, u64::MAX)?;
    in_range("learn.reset.gate.max_choices", gate.max_choices, 1, u64::MAX)?;
    for (key, value, least, most) in [
        ("growth", reset.growth, 0.0, 100.0),
        ("share", reset.share, 0.001, 1.0),
        ("gate.margin", gate.margin, 0.0, 0.4),
        ("gate.alpha", gate.alpha, 1e-9, 0.5),
        ("gate.max_latency", gate.max_latency, 0.1, 1e6),
        ("gate.max_params", gate.max_params, 0.1, 1e6),
    ] {
        if !(least..=most).contains(&value) {
            return Err(format!("`learn.reset.{key}` is {value}, but must be {least} to {most}"));
        }
    }
    Ok(())
}

fn in_range(key: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    match value {
        _ if (least..=most).contains(&value) => Ok(()),
        _ if most == u64::MAX => Err(format!("`{key}` is {value}, but must be at least {least}")),
        _ => Err(format!("`{key}` is {value}, but must be {least} to {most}")),
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything else.
    Default,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A key that there is not.
    #[error("{place}: there is no key `{key}`{nearest}")]
    Unknown {
        /// File and line, variable or flag.
        place: String,
        /// The key.
        key: String,
        /// `; did you mean …`, or what there is.
        nearest: String,
    },
    /// A value of the wrong type, or no TOML.
    #[error("{place}: {message}")]
    Value {
        /// File and line, variable or flag.
        place: String,
        /// What is wrong.
        message: String,
    },
}

/// Everything that settings are made of, as plain values.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must be there; otherwise [`DEFAULT_FILE`] is read if it is.
    pub file: Option<PathBuf>,
    /// All variables of the environment.
    pub environment: Vec<(String, String)>,
    /// (key, value, flag) of the command line.
    pub flags: Vec<(&'static str, Value, &'static str)>,
}

/// Settings with where each came from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings in force.
    pub config: Config,
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// Puts the layers on top of each other and validates the result.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        let file = match &sources.file {
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file()),
        };
        if let Some(path) = &file {
            layers.add_file(path)?;
        }
        let mut environment: Vec<_> = sources.environment.iter().filter(|(name, _)| is_setting(name)).collect();
        // Short names come last and so win over long ones, whatever the order of the environment.
        environment.sort_by_key(|(name, _)| (SHORT_VARIABLES.iter().any(|(short, _)| short == name), name));
        for (name, text) in environment {
            layers.add_variable(name, text)?;
        }
        for (key, value, flag) in &sources.flags {
            layers.add(key, value.clone(), Origin::Flag(flag), flag)?;
        }
        let config = read(&layers.table, "the settings")?;
        let invalid = |message: String| ConfigError::Value { place: layers.blame(&message), message };
        config.validate().map_err(invalid)?;
        Ok(Self { config, file, origins: layers.origins })
    }

    /// Every key in force with its value and where that came from, by name.
    pub fn values(&self) -> Vec<(String, Value, Origin)> {
        let table = Table::try_from(&self.config).expect("settings came from TOML or are plain numbers and texts");
        let mut values = Vec::new();
        leaves("", &table, &mut |key, value| {
            let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
            values.push((key.to_owned(), plain(value), origin));
        });
        values.sort_by(|a, b| a.0.cmp(&b.0));
        values
    }
}

/// What has been said so far.
#[derive(Default)]
struct Layers {
    table: Table,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let place = |span: Option<std::ops::Range<usize>>| match span {
            Some(span) => {
                let before = &text.as_bytes()[..span.start.min(text.len())];
                format!("{}:{}", path.display(), 1 + before.iter().filter(|byte| **byte == b'\n').count())
            }
            None => path.display().to_string(),
        };
        // Read as settings for the sake of errors that name their line.
        toml::from_str::<Config>(&text).map_err(|error| explain(place(error.span()), error.message()))?;
        let table: Table = toml::from_str(&text).map_err(|error| explain(place(error.span()), error.message()))?;
        leaves("", &table, &mut |key, _| {
            self.origins.insert(key.to_owned(), Origin::File(path.to_path_buf()));
        });
        self.table = table;
        Ok(())
    }

    fn add_variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let defaults = Table::try_from(Config::default()).expect("defaults have a form in TOML");
        let short = SHORT_VARIABLES.iter().find(|(short, _)| *short == name).map(|(_, key)| (*key).to_owned());
        let mut known = None;
        for table in [&defaults, &self.table] {
            leaves("", table, &mut |key, value| {
                if variable(key) == name {
                    known = Some((key.to_owned(), matches!(value, Value::String(_))));
                }
            });
        }
        // A key without a default is a section's name and the rest.
        let words = name[PREFIX.len()..].to_ascii_lowercase();
        let guessed = || words.split_once('_').map_or(words.clone(), |(section, key)| format!("{section}.{key}"));
        let (key, is_text) = match (short, known) {
            (Some(key), _) => (key.clone(), key == "http.listen"),
            (None, Some(known)) => known,
            (None, None) => (guessed(), false),
        };
        let value = if is_text { Value::String(text.into()) } else { value_of(text) };
        self.add(&key, value, Origin::Environment(name.into()), name)
    }

    fn add(&mut self, key: &str, value: Value, origin: Origin, place: &str) -> Result<(), ConfigError> {
        let mut table = &mut self.table;
        let (path, last) = key.rsplit_once('.').map_or((None, key), |(path, last)| (Some(path), last));
        for section in path.into_iter().flat_map(|path| path.split('.')) {
            let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            table = match entry {
                Value::Table(table) => table,
                _ => {
                    return Err(ConfigError::Value {
                        place: place.into(),
                        message: format!("{section} is no section"),
                    });
                }
            };
        }
        table.insert(last.into(), value);
        self.origins.insert(key.into(), origin);
        read(&self.table, place).map(drop)
    }

    /// Who said the key that a message names.
    fn blame(&self, message: &str) -> String {
        let named = |key: &str| {
            let last = key.rsplit('.').next().unwrap_or(key);
            message.contains(&format!("`{key}`")) || message.contains(&format!("`{last}`"))
        };
        let origin = self.origins.iter().find(|(key, _)| named(key)).map(|(_, origin)| origin);
        origin.map_or_else(|| "the settings".into(), Origin::to_string)
    }
}

fn read(table: &Table, place: &str) -> Result<Config, ConfigError> {
    table.clone().try_into().map_err(|error: toml::de::Error| explain(place.to_owned(), error.message()))
}

/// Turns serde's words on a field that there is not into a suggestion.
fn explain(place: String, message: &str) -> ConfigError {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return ConfigError::Value { place, message: message.trim_end().to_owned() };
    };
    let mut quoted = rest.split('`');
    let key = quoted.next().unwrap_or_default().to_owned();
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    let nearest = match nearest(&key, known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.join(", ")),
    };
    ConfigError::Unknown { place, key, nearest }
}

/// The name that is most like `name`, if one is much like it.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let ranked = known.into_iter().map(|known| (edits(name, known), known));
    let limit = (name.chars().count() / 2).clamp(1, 4);
    ranked.filter(|(edits, _)| *edits <= limit).min_by_key(|(edits, _)| *edits).map(|(_, known)| known)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn is_setting(name: &str) -> bool {
    name.starts_with(PREFIX) && !FLAG_VARIABLES.contains(&name)
}

/// The variable that sets a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// A variable's text as TOML, or as a text if it is none.
fn value_of(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
    // `1\nx = 2` would be a table of two.
    let parsed = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.into()))
}

fn leaves(prefix: &str, table: &Table, found: &mut impl FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => leaves(&key, inner, found),
            value => found(&key, value),
        }
    }
}

/// A number that was an `f32` with the digits that a person wrote.
fn plain(value: &Value) -> Value {
    match value {
        Value::Float(number) if f64::from(*number as f32) == *number => {
            (*number as f32).to_string().parse().map_or_else(|_| value.clone(), Value::Float)
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(file: &str, environment: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accrue.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        (dir, Sources { file: Some(path), environment, flags: Vec::new() })
    }

    fn origin(resolved: &Resolved, key: &str) -> (String, String) {
        let values = resolved.values();
        let (_, value, origin) = values.iter().find(|(name, ..)| name == key).unwrap();
        (value.to_string(), origin.to_string())
    }

    #[test]
    fn flags_win_over_variables_and_those_over_the_file() {
        let file = "[learn]\nseed = 1\nhistory_capacity = 10\ncheckpoints_kept = 5";
        let (dir, mut sources) =
            sources(file, &[("ACCRUE_SEED", "2"), ("ACCRUE_LEARN_HISTORY_CAPACITY", "20"), ("PATH", "/bin")]);
        sources.flags.push(("learn.seed", Value::Integer(3), "--seed"));
        let resolved = Resolved::load(&sources).unwrap();
        let learn = &resolved.config.learn;
        assert_eq!((learn.seed, learn.history_capacity, learn.checkpoints_kept), (3, 20, 5));
        assert_eq!(origin(&resolved, "learn.seed"), ("3".into(), "flag --seed".into()));
        let history = ("20".into(), "environment ACCRUE_LEARN_HISTORY_CAPACITY".into());
        assert_eq!(origin(&resolved, "learn.history_capacity"), history);
        let file = format!("file {}", dir.path().join("accrue.toml").display());
        assert_eq!(origin(&resolved, "learn.checkpoints_kept"), ("5".into(), file));
        assert_eq!(origin(&resolved, "learn.publish_every_ms"), ("50".into(), "default".into()));
    }

    #[test]
    fn variables_reach_nested_and_optional_keys() {
        let variables = [
            ("ACCRUE_CHECK_RATES_ACTIONS", "7"),
            ("ACCRUE_CHECK_ITEM_PATTERN", r"^\d+$"),
            ("ACCRUE_DATA", "12"),
            ("ACCRUE_LOG", "debug"),
        ];
        let (_dir, sources) = sources("", &variables);
        let config = Resolved::load(&sources).unwrap().config;
        assert_eq!((config.check.rates.actions, config.check.item_pattern.as_deref()), (7, Some(r"^\d+$")));
        assert_eq!(config.data, Path::new("12"), "a text stays one even if it looks like a number");
    }

    #[test]
    fn answers_are_recorded_all_or_none_or_in_part() {
        for (text, share) in [("true", 1.0), ("false", 0.0), ("0.25", 0.25), ("1", 1.0)] {
            let (_dir, sources) = sources("", &[("ACCRUE_SERVE_RECORD", text)]);
            assert_eq!(Resolved::load(&sources).unwrap().config.serve.record.share(), share, "{text}");
        }
    }

    #[test]
    fn faults_name_their_place_and_the_nearest_key() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
        let cases: [Case; 12] = [
            ("[serve]\nrecord = 2", &[], "accrue.toml: `serve.record` is 2, but must be true, false, or a share"),
            ("[learn]\n\nsed = 1", &[], "accrue.toml:3: there is no key `sed`; did you mean `seed`?"),
            ("[lern]\nseed = 1", &[], "accrue.toml:1: there is no key `lern`; did you mean `learn`?"),
            ("[learn]\nquux = 1", &[], "there is no key `quux`; there are: seed, "),
            ("[learn]\nseed = 'x'", &[], "accrue.toml:2: invalid type: string \"x\""),
            ("", &[("ACCRUE_LEARN_SEDE", "1")], "ACCRUE_LEARN_SEDE: there is no key `sede`; did you mean `seed`?"),
            ("[learn.reset]\nshare = 1.5", &[], "`learn.reset.share` is 1.5, but must be 0.001 to 1"),
            ("[learn.reset]\nevery_events = 10", &[], "`learn.reset.every_events` is 10, but must be at least 1000"),
            (
                "[model.factorization]\nrate = -1",
                &[],
                "`model.factorization.rate` is -1, but must be above 0 and at most 1",
            ),
            ("[model.blend]\nrate = nan", &[], "`model.blend.rate` is NaN, but must be above 0 and at most 1"),
            ("", &[("ACCRUE_SEED", "many")], "ACCRUE_SEED: invalid type"),
            ("[learn]\ncheckpoints_kept = 0", &[], "accrue.toml: `learn.checkpoints_kept` is 0, but must be 1 to 1000"),
        ];
        for (file, environment, message) in cases {
            let (_dir, sources) = sources(file, environment);
            let error = Resolved::load(&sources).unwrap_err().to_string();
            assert!(error.contains(message), "{file:?} {environment:?}: {error}");
        }
    }

    #[test]
    fn a_named_file_must_be_there() {
        let sources = Sources { file: Some("nowhere/accrue.toml".into()), ..Sources::default() };
        assert!(matches!(Resolved::load(&sources), Err(ConfigError::Read { .. })));
    }

    #[test]
    fn defaults_are_valid_and_print_as_a_person_wrote_them() {
        let resolved = Resolved { config: Config::default(), file: None, origins: BTreeMap::new() };
        assert_eq!(resolved.config.validate(), Ok(()));
        assert_eq!(origin(&resolved, "model.factorization.rate").0, "0.05");
    }

    #[test]
    fn distance_counts_single_edits() {
        assert_eq!((edits("seed", "seed"), edits("sede", "seed"), edits("", "ab")), (0, 2, 2));
        assert_eq!(nearest("lsten", ["listen", "latency"]), Some("listen"));
        assert_eq!(nearest("x", ["listen"]), None);
    }
}
