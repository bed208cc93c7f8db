//! The settings of a shop's server as one value, and their sections as a file has them.

use std::path::PathBuf;

use accrue_engine::traffic::ServeConfig;
use accrue_engine::{Config as EngineConfig, ContentConfig, LearnConfig, LogConfig, StoreConfig, WrittenScenes};
use accrue_event::{CheckSettings, RecordKind, SettingFault};
use accrue_http::HttpSettings;
use accrue_serve::CatalogueSettings;
use accrue_serve::search::SearchSettings;
use accrue_store::LogPlace;
use serde::{Deserialize, Serialize};

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
    /// Where the log is.
    pub fn log_place(&self) -> LogPlace {
        self.engine.log_place(&self.data)
    }

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
