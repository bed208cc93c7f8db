//! Settings: defaults, then `accrue.toml`, then `ACCRUE_*` variables, then flags; later ones override earlier ones.
//!
//! In: a TOML file, the environment and flags as plain values. Out: a valid [`Config`], and the origin of each key's
//! value. An unknown key is refused with its place and the nearest known one. The environment also holds variables of
//! other programs with the same prefix (a cluster's for a service called `accrue`): one that names no key is passed
//! over with a warning, unless it is so similar to a key's that it must be a typing error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use accrue_engine::read_text;
use accrue_engine::traffic::ServeConfig;
use accrue_engine::{
    Config as EngineConfig, ContentConfig, LearnConfig, LogConfig, MOVED_SETTINGS, StoreConfig, WrittenScenes, moved_to,
};
use accrue_event::{CheckSettings, Mismatch, MismatchKind, RecordKind, SettingFault, Tree, misspelling, nearest};
use accrue_http::HttpSettings;
use accrue_serve::CatalogueSettings;
use accrue_serve::search::SearchSettings;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// The file that is read from the working directory if no other is given.
pub const DEFAULT_FILE: &str = "accrue.toml";
/// The prefix of variables: `ACCRUE_LEARN_SEED` is `learn.seed`.
const PREFIX: &str = "ACCRUE_";
/// Variables that are not settings: flags of the command line, and what the tests read.
const FLAG_VARIABLES: [&str; 8] = [
    "ACCRUE_CONFIG",
    "ACCRUE_JSON",
    "ACCRUE_QUIET",
    "ACCRUE_LOG",
    "ACCRUE_DATASETS",
    "ACCRUE_KILLS",
    "ACCRUE_TEST_POSTGRES",
    "ACCRUE_TEST_MYSQL",
];
/// Short names of variables.
const SHORT_VARIABLES: [(&str, &str); 2] = [("ACCRUE_SEED", "learn.seed"), ("ACCRUE_LISTEN", "http.listen")];

/// All settings of a shop's server: those of its engine, and those of the program around it.
///
/// ```
/// let config: accrue::config::Config = toml::from_str("[learn]\nseed = 7\n[http]\nmax_events = 9").unwrap();
/// assert_eq!((config.engine.learn.seed, config.http.max_events), (7, 9));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Sections", into = "Sections")]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// The server's address, keys and limits.
    pub http: HttpSettings,
    /// The engine's settings. Its sections are sections of the file.
    pub engine: EngineConfig,
    /// Tables of other servers that a server follows.
    pub sources: Vec<SourceConfig>,
}

/// A table of another server that a server follows, as `accrue ingest --from … --follow` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its address; `${NAME}` in it is the value of that variable.
    pub from: String,
    /// The name under which its position is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What its records describe, if the mapping does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<RecordKind>,
    /// The mapping: a file, or the name of a system that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<PathBuf>,
    /// The mapping in short form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// Its records are changes of some fields of known items.
    #[serde(default)]
    pub patch: bool,
    /// Events without a time are of the time of their arrival.
    #[serde(default)]
    pub now: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "accrue-data".into(),
            http: HttpSettings::default(),
            engine: EngineConfig::default(),
            sources: Vec::new(),
        }
    }
}

impl Config {
    /// Refuses values that are not valid.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        self.http.validate().map_err(|fault| fault.within("http"))?;
        self.engine.validate()
    }
}

/// A configuration as in its file: the sections of all crates at one level, so that a key that no crate knows is
/// refused.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sections {
    data: PathBuf,
    http: HttpSettings,
    check: CheckSettings,
    log: LogConfig,
    store: StoreConfig,
    model: accrue_model::Settings,
    learn: LearnConfig,
    catalogue: CatalogueSettings,
    search: SearchSettings,
    serve: ServeConfig,
    content: ContentConfig,
    scene: WrittenScenes,
    sources: Vec<SourceConfig>,
}

impl Default for Sections {
    fn default() -> Self {
        Config::default().into()
    }
}

impl From<Config> for Sections {
    fn from(Config { data, http, engine, sources }: Config) -> Self {
        let EngineConfig { check, log, store, model, learn, catalogue, search, serve, content, scene } = engine;
        Self { data, http, check, log, store, model, learn, catalogue, search, serve, content, scene, sources }
    }
}

impl From<Sections> for Config {
    fn from(sections: Sections) -> Self {
        let Sections { data, http, check, log, store, model, learn, catalogue, search, serve, content, scene, sources } =
            sections;
        let engine = EngineConfig { check, log, store, model, learn, catalogue, search, serve, content, scene };
        Self { data, http, engine, sources }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No source sets the value.
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
        /// The error of the system.
        source: std::io::Error,
    },
    /// An unknown key.
    #[error("{place}: there is no key `{key}`{}", there_is(key, known))]
    Unknown {
        /// File and line, variable or flag.
        place: String,
        /// The key, without the tables that hold it.
        key: String,
        /// The keys of the same table.
        known: Vec<&'static str>,
    },
    /// A variable that names no key and is almost the one of a key.
    #[error("{variable}: no key has this variable; did you mean `{key}` ({near})?")]
    NearMiss {
        /// The variable.
        variable: String,
        /// The key that was probably meant.
        key: String,
        /// Its variable.
        near: String,
    },
    /// A key that another one has replaced.
    #[error("{place}: there is no key `{key}` any more; write `{new}`")]
    Moved {
        /// File and line, variable or flag.
        place: String,
        /// The old key.
        key: String,
        /// The new key.
        new: &'static str,
    },
    /// A key inside a value that is not a table.
    #[error("{place}: `{key}` is not a section")]
    NotASection {
        /// Variable or flag.
        place: String,
        /// The key that would have to be a table.
        key: String,
    },
    /// A value of the wrong kind.
    #[error("{place}: {mismatch}")]
    Kind {
        /// File and line, variable or flag.
        place: String,
        /// The key and the fault.
        mismatch: Mismatch,
    },
    /// A text that is not TOML.
    #[error("{place}: {}", error.message())]
    Syntax {
        /// File and line.
        place: String,
        /// The fault.
        error: toml::de::Error,
    },
    /// A value that is not accepted.
    #[error("{place}: {fault}")]
    Setting {
        /// File, variable or flag.
        place: String,
        /// The key, its value and what is accepted.
        fault: SettingFault,
    },
}

/// What there is instead of an unknown key.
fn there_is(key: &str, known: &[&'static str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are: {}", known.join(", ")),
    }
}

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
        environment.sort_by_key(|(name, _)| (SHORT_VARIABLES.iter().any(|(short, _)| short == name), name));
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

/// The settings of the sources so far.
#[derive(Default)]
struct Layers {
    table: Table,
    origins: BTreeMap<String, Origin>,
}

impl Layers {
    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = read_text(path).map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let place = |span: Option<Range<usize>>| match span {
            Some(span) => {
                let before = &text.as_bytes()[..span.start.min(text.len())];
                format!("{}:{}", path.display(), 1 + before.iter().filter(|byte| **byte == b'\n').count())
            }
            None => path.display().to_string(),
        };
        let syntax = |error: toml::de::Error| ConfigError::Syntax { place: place(error.span()), error };
        let spans = DeTable::parse(&text).map_err(syntax)?;
        let table: Table = toml::from_str(&text).map_err(syntax)?;
        read(&table, |key| place(span_of(spans.get_ref(), key)))?;
        leaves("", &table, &mut |key, _| {
            self.origins.insert(key.to_owned(), Origin::File(path.to_path_buf()));
        });
        self.table = table;
        Ok(())
    }

    /// The key that a variable names, and whether its value is a text.
    fn variable(&self, name: &str) -> Option<(String, bool)> {
        if let Some((_, key)) = SHORT_VARIABLES.iter().find(|(short, _)| *short == name) {
            return Some(((*key).into(), *key == "http.listen"));
        }
        let defaults = Table::try_from(Config::default()).expect("defaults can be written as TOML");
        let mut known = None;
        let mut sections = BTreeSet::new();
        for table in [&defaults, &self.table] {
            leaves("", table, &mut |key, value| {
                if variable(key) == name {
                    known = Some((key.to_owned(), matches!(value, Value::String(_))));
                }
                let ends = key.match_indices('.').map(|(end, _)| end).chain(value.is_table().then_some(key.len()));
                sections.extend(ends.map(|end| key[..end].to_owned()));
            });
        }
        let moved = MOVED_SETTINGS.iter().map(|(old, _)| *old).find(|old| variable(old) == name);
        // A key without a default is a section's name and the rest.
        let words = name[PREFIX.len()..].to_ascii_lowercase();
        let moved = moved.map(|moved| (moved.to_owned(), false));
        known.or(moved).or_else(|| {
            let keys = sections.iter().rev().filter_map(|section| {
                let rest = words.strip_prefix(&section.replace('.', "_"))?.strip_prefix('_')?;
                Some(format!("{section}.{rest}"))
            });
            keys.map(|key| (key, false)).find(|(key, _)| self.has_key(key))
        })
    }

    /// Whether a key that has no default exists: some value of it is not refused as an unknown key.
    fn has_key(&self, key: &str) -> bool {
        let probe = Self { table: self.table.clone(), origins: BTreeMap::new() }.add(
            key,
            Value::String(String::new()),
            Origin::Default,
            key,
        );
        !matches!(probe, Err(ConfigError::Unknown { .. }))
    }

    /// Refuses a variable that names no key and differs from a key's in a letter or two.
    fn refuse_near_miss(&self, name: &str) -> Result<(), ConfigError> {
        if is_of_a_service(name) {
            return Ok(());
        }
        let defaults = Table::try_from(Config::default()).expect("defaults can be written as TOML");
        let mut known: Vec<_> =
            SHORT_VARIABLES.iter().map(|(short, key)| ((*short).to_owned(), (*key).to_owned())).collect();
        for table in [&defaults, &self.table] {
            leaves("", table, &mut |key, _| known.push((variable(key), key.to_owned())));
        }
        let own = |variable: &str| variable.strip_prefix(PREFIX).unwrap_or(variable).to_owned();
        let near = known.iter().filter_map(|(known, key)| Some((misspelling(&own(name), &own(known))?, known, key)));
        match near.min() {
            None => Ok(()),
            Some((_, near, key)) => {
                Err(ConfigError::NearMiss { variable: name.to_owned(), key: key.clone(), near: near.clone() })
            }
        }
    }

    fn add_variable(&mut self, name: &str, text: &str, (key, is_text): (String, bool)) -> Result<(), ConfigError> {
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
                _ => return Err(ConfigError::NotASection { place: place.into(), key: section.into() }),
            };
        }
        table.insert(last.into(), value);
        self.origins.insert(key.into(), origin);
        read(&self.table, |_| place.into()).map(drop)
    }

    /// Where the value of a key comes from; of a key inside a list or table, where that comes from.
    fn origin_of(&self, key: &str) -> String {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return origin.to_string();
            }
            match key.rfind(['.', '[']) {
                Some(end) => key = &key[..end],
                None => return "the settings".into(),
            }
        }
    }
}

/// The settings in a table. `place` names the source of a key.
fn read(table: &Table, place: impl Fn(&str) -> String) -> Result<Config, ConfigError> {
    let tree = Tree::deserialize(table.clone()).map_err(|error| ConfigError::Syntax { place: place(""), error })?;
    let mismatch = match tree.read() {
        Ok(config) => return Ok(config),
        Err(mismatch) => mismatch,
    };
    let place = place(&mismatch.path);
    if let Some(new) = moved_to(&mismatch.path) {
        return Err(ConfigError::Moved { place, key: mismatch.path, new });
    }
    Err(match &mismatch.kind {
        MismatchKind::UnknownField { known } => {
            ConfigError::Unknown { place, key: mismatch.field().to_owned(), known: known.to_vec() }
        }
        MismatchKind::MissingField | MismatchKind::Value(_) => ConfigError::Kind { place, mismatch },
    })
}

/// Where a key stands in the text of a file; of a key that is not there, where the table around it stands.
fn span_of(file: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let mut names = key.split(['.', '[']).filter(|name| !name.is_empty());
    let (name, value) = file.get_key_value(names.next()?)?;
    let (mut span, mut value) = (name.span(), value.get_ref());
    for name in names {
        let next = match value {
            DeValue::Table(table) => table.get_key_value(name).map(|(name, value)| (name.span(), value.get_ref())),
            DeValue::Array(list) => {
                let place = name.strip_suffix(']').and_then(|place| place.parse::<usize>().ok());
                place.and_then(|place| list.get(place)).map(|value| (value.span(), value.get_ref()))
            }
            _ => None,
        };
        let Some(next) = next else { break };
        (span, value) = next;
    }
    Some(span)
}

fn is_setting(name: &str) -> bool {
    name.starts_with(PREFIX) && !FLAG_VARIABLES.contains(&name)
}

/// Whether a name has the form of those that Kubernetes (`NAME_SERVICE_HOST`, `NAME_SERVICE_PORT_HTTP`) and linked
/// containers (`NAME_PORT_7171_TCP_ADDR`, `NAME_ENV_PATH`) give to every program, for each service that they run.
fn is_of_a_service(name: &str) -> bool {
    let is_port_of_protocol = |rest: &str| {
        let (port, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = rest.split('_').next().unwrap_or_default();
        port.bytes().all(|byte| byte.is_ascii_digit()) && ["TCP", "UDP", "SCTP"].contains(&protocol)
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name.contains("_ENV_")
        || name.match_indices("_PORT_").any(|(at, _)| is_port_of_protocol(&name[at + "_PORT_".len()..]))
}

/// The variable that sets a key.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// A variable's text as TOML, or as a text if it is not TOML.
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
    fn flags_override_variables_and_those_override_the_file() {
        let file = "[learn]\nseed = 1\nhistory_capacity = 10\ncheckpoints_kept = 5";
        let (dir, mut sources) =
            sources(file, &[("ACCRUE_SEED", "2"), ("ACCRUE_LEARN_HISTORY_CAPACITY", "20"), ("PATH", "/bin")]);
        sources.flags.push(("learn.seed", Value::Integer(3), "--seed"));
        let resolved = Resolved::load(&sources).unwrap();
        let learn = &resolved.config.engine.learn;
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
        let check = &config.engine.check;
        assert_eq!((check.rates.actions, check.item_pattern.as_deref()), (7, Some(r"^\d+$")));
        assert_eq!(config.data, Path::new("12"), "a text stays one even if it looks like a number");
    }

    #[test]
    fn variables_of_other_programs_are_passed_over() {
        let foreign = [
            ("ACCRUE_PORT", "tcp://10.0.0.5:7171"),
            ("ACCRUE_SERVICE_HOST", "10.0.0.5"),
            ("ACCRUE_SERVICE_PORT", "7171"),
            ("ACCRUE_SERVICE_PORT_HTTP", "7171"),
            ("ACCRUE_PORT_7171_TCP", "tcp://10.0.0.5:7171"),
            ("ACCRUE_PORT_7171_TCP_ADDR", "10.0.0.5"),
            ("ACCRUE_HTTP_PORT", "tcp://10.0.0.6:80"),
            ("ACCRUE_LOG_SERVICE_HOST", "10.0.0.7"),
            ("ACCRUE_DATA_PORT_80_TCP_PROTO", "tcp"),
            ("ACCRUE_NAME", "/web/accrue"),
            ("ACCRUE_ENV_PATH", "/bin"),
            ("ACCRUE_IMAGE", "accrue:1"),
            ("ACCRUE_TAG", "1.2"),
            ("ACCRUE_HOME", "/opt/accrue"),
            ("ACCRUE_VERSION", "7"),
            ("ACCRUE_", "1"),
        ];
        let (_dir, mut given) = sources("", &foreign);
        given.environment.push(("ACCRUE_LEARN_HISTORY_CAPACITY".into(), "20".into()));
        let resolved = Resolved::load(&given).unwrap();
        assert_eq!(resolved.config.engine.learn.history_capacity, 20);
        let mut expected = foreign.map(|(name, _)| name);
        expected.sort_unstable();
        assert_eq!(resolved.passed_over, expected);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let (_dir, sources) = sources("", &[("ACCRUE_SEED", ""), ("ACCRUE_LISTEN", " "), ("ACCRUE_DATA", "")]);
        let resolved = Resolved::load(&sources).unwrap();
        assert_eq!(resolved.config.http.listen, "127.0.0.1:7171");
        assert_eq!(resolved.config.data, Path::new("accrue-data"));
    }

    #[test]
    fn a_variable_that_is_almost_a_key_is_refused() {
        for (name, near) in [
            ("ACCRUE_SEDE", "ACCRUE_SEED"),
            ("ACCRUE_LISTN", "ACCRUE_LISTEN"),
            ("ACCRUE_DTA", "ACCRUE_DATA"),
            ("ACCRUE_HTTP_MAX_CONNECTION", "ACCRUE_HTTP_MAX_CONNECTIONS"),
            ("ACCRUE_LEARN_HISTORY_CAPACTIY", "ACCRUE_LEARN_HISTORY_CAPACITY"),
        ] {
            let (_dir, sources) = sources("", &[(name, "1")]);
            let error = Resolved::load(&sources).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(&format!("({near})?")), "{name}: {error}");
        }
    }

    #[test]
    fn all_answers_or_none_or_a_share_are_recorded() {
        for (text, share) in [("true", 1.0), ("false", 0.0), ("0.25", 0.25), ("1", 1.0)] {
            let (_dir, sources) = sources("", &[("ACCRUE_SERVE_RECORD", text)]);
            assert_eq!(Resolved::load(&sources).unwrap().config.engine.serve.record.share(), share, "{text}");
        }
    }

    #[test]
    fn faults_name_their_place_and_the_nearest_key() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);
        let cases: [Case; 18] = [
            ("[serve]\nrecord = 2", &[], "accrue.toml: `serve.record` is 2, but must be true, false, or a share"),
            ("[learn]\n\nsed = 1", &[], "accrue.toml:3: there is no key `sed`; did you mean `seed`?"),
            ("[lern]\nseed = 1", &[], "accrue.toml:1: there is no key `lern`; did you mean `learn`?"),
            ("[learn]\nquux = 1", &[], "there is no key `quux`; there are: seed, "),
            ("[learn]\nseed = 'x'", &[], "accrue.toml:2: learn.seed: must be a whole number of at least 0, not \"x\""),
            ("[learn]\nguard = 3", &[], "accrue.toml:2: learn.guard: must be an object or table, not 3"),
            ("[learn\n", &[], "accrue.toml:1: "),
            (
                "[model.retrieval]\nlearn_one_in = 4\nown = 9",
                &[],
                "accrue.toml:3: there is no key `model.retrieval.own` any more; write `model.repeat.candidates`",
            ),
            (
                "",
                &[("ACCRUE_MODEL_RETRIEVAL_POPULAR", "7")],
                "MODEL_RETRIEVAL_POPULAR: there is no key `model.retrieval.popular` any more; write `model.popularity.",
            ),
            (
                "[serve.experiment]\nname = 'x'\n[[serve.experiment.arms]]\nname = 'a'\nshare = 'b'",
                &[],
                "accrue.toml:5: serve.experiment.arms[0].share: must be",
            ),
            (
                "[serve.experiment]\nname = 'x'\narms = [{ name = 'a', share = 1.0 }]",
                &[],
                "accrue.toml: `serve.experiment.arms` is a list of 1, but must be a list of 2 to 16",
            ),
            (
                "",
                &[("ACCRUE_LEARN_SEDE", "1")],
                "ACCRUE_LEARN_SEDE: no key has this variable; did you mean `learn.seed` (ACCRUE_LEARN_SEED)?",
            ),
            ("[learn.reset]\nshare = 1.5", &[], "`learn.reset.share` is 1.5, but must be 0.001 to 1"),
            ("[learn.reset]\nevery_events = 10", &[], "`learn.reset.every_events` is 10, but must be at least 1000"),
            (
                "[model.factorization]\nrate = -1",
                &[],
                "`model.factorization.rate` is -1, but must be above 0 and at most 1",
            ),
            ("[model.blend]\nrate = nan", &[], "`model.blend.rate` is NaN, but must be above 0 and at most 1"),
            ("", &[("ACCRUE_SEED", "many")], "ACCRUE_SEED: learn.seed: must be a whole number"),
            ("[learn]\ncheckpoints_kept = 0", &[], "accrue.toml: `learn.checkpoints_kept` is 0, but must be 1 to 1000"),
        ];
        for (file, environment, message) in cases {
            let (_dir, sources) = sources(file, environment);
            let error = Resolved::load(&sources).unwrap_err().to_string();
            assert!(error.contains(message), "{file:?} {environment:?}: {error}");
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let sources = Sources { file: Some("nowhere/accrue.toml".into()), ..Sources::default() };
        assert!(matches!(Resolved::load(&sources), Err(ConfigError::Read { .. })));
    }

    #[test]
    fn defaults_are_valid_and_print_with_the_digits_of_their_source() {
        let resolved =
            Resolved { config: Config::default(), file: None, passed_over: Vec::new(), origins: BTreeMap::new() };
        assert_eq!(resolved.config.validate(), Ok(()));
        assert_eq!(origin(&resolved, "model.factorization.rate").0, "0.05");
    }

    #[test]
    fn models_without_settings_are_not_listed_and_empty_settings_are() {
        let resolved =
            Resolved { config: Config::default(), file: None, passed_over: Vec::new(), origins: BTreeMap::new() };
        let keys: Vec<String> = resolved.values().into_iter().map(|(key, ..)| key).collect();
        let has = |key: &str| keys.iter().any(|other| other == key);
        assert!(!has("model.preference") && has("model.repeat.candidates") && has("http.keys"), "{keys:?}");
    }
}
