//! The sources of settings, one over the other: a file, variables and flags in one table, with the origin of each key.
//!
//! In: the text of a file, variables and flags. Out: a table in which later sources have replaced the values of earlier
//! ones. Each is read as settings when it is added, so that a fault is reported with its own place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use accrue_engine::{MOVED_SETTINGS, moved_to, read_text};
use accrue_event::{MismatchKind, Tree, misspelling};
use serde::Deserialize as _;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::error::ConfigError;
use super::settings::Config;

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

/// The settings of the sources so far.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) table: Table,
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Layers {
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
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
    pub(super) fn variable(&self, name: &str) -> Option<(String, bool)> {
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
    pub(super) fn refuse_near_miss(&self, name: &str) -> Result<(), ConfigError> {
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

    pub(super) fn add_variable(
        &mut self,
        name: &str,
        text: &str,
        (key, is_text): (String, bool),
    ) -> Result<(), ConfigError> {
        let value = if is_text { Value::String(text.into()) } else { value_of(text) };
        self.add(&key, value, Origin::Environment(name.into()), name)
    }

    pub(super) fn add(&mut self, key: &str, value: Value, origin: Origin, place: &str) -> Result<(), ConfigError> {
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
    pub(super) fn origin_of(&self, key: &str) -> String {
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
pub(super) fn read(table: &Table, place: impl Fn(&str) -> String) -> Result<Config, ConfigError> {
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

pub(super) fn is_setting(name: &str) -> bool {
    name.starts_with(PREFIX) && !FLAG_VARIABLES.contains(&name)
}

/// Whether a variable is the short name of one.
pub(super) fn is_short(name: &str) -> bool {
    SHORT_VARIABLES.iter().any(|(short, _)| *short == name)
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

pub(super) fn leaves(prefix: &str, table: &Table, found: &mut impl FnMut(&str, &Value)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => leaves(&key, inner, found),
            value => found(&key, value),
        }
    }
}
