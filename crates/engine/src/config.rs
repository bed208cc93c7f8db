//! The settings of a shop's engine: what is checked, how the log lies on the disk, what the models are made of, when
//! they learn, and what is kept of answers.
//!
//! In: plain values, for instance the sections of a TOML file. Out: a [`Config`], or the first value that cannot be
//! used.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use accrue_event::{CheckSettings, SettingFault, Timestamp, format_duration, parse_duration};
use accrue_serve::Scenes;
use accrue_store::{LogPlace, LogSettings, StoreUrl};
use accrue_train::LearnSettings;
use serde::{Deserialize, Serialize};

use crate::content::ContentConfig;
use crate::in_force::scenes::WrittenScenes;
use crate::traffic::{ArmLearning, ExperimentSettings, ServeConfig};

/// All settings of an engine.
///
/// ```
/// let config: accrue_engine::Config = toml::from_str("[learn]\nseed = 7").unwrap();
/// assert_eq!((config.learn.seed, config.learn.history_capacity), (7, 1000));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the check tolerates.
    pub check: CheckSettings,
    /// How the log lies on the disk.
    pub log: LogConfig,
    /// How long records are kept.
    pub store: StoreConfig,
    /// What the models are made of.
    pub model: accrue_model::Settings,
    /// When models learn, publish and are saved.
    pub learn: LearnConfig,
    /// Which items are shown.
    pub catalogue: accrue_serve::CatalogueSettings,
    /// How search ranks.
    pub search: accrue_serve::search::SearchSettings,
    /// What is kept of answers.
    pub serve: ServeConfig,
    /// Which encoder describes items by vectors.
    pub content: ContentConfig,
    /// What each kind of page does, by the name of the scene.
    pub scene: WrittenScenes,
}

/// When models learn, publish and are saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnConfig {
    /// Seed of all random numbers, together with the offset. A data folder keeps the seed that it began with.
    pub seed: u64,
    /// Milliseconds between publications while there is something new.
    pub publish_every_ms: u64,
    /// Events between checkpoints.
    pub checkpoint_every_events: u64,
    /// Checkpoints kept; the oldest are deleted.
    pub checkpoints_kept: usize,
    /// Events remembered of a shopper. A data folder keeps the value that it began with.
    pub history_capacity: usize,
    /// How many choices of one item by one shopper, of one type, are learned on one day; 0 for no limit.
    pub same_item_a_day: u32,
    /// One choice in this many is predicted before it is learned, to measure quality (more where there were few so far).
    pub predict_one_in: u64,
    /// How drift is detected, and how it raises learning rates.
    pub drift: accrue_train::DriftSettings,
    /// How impressions become negatives.
    pub impressions: accrue_train::ImpressionSettings,
    /// How the click heads learn from impressions.
    pub clicks: accrue_train::ClickSettings,
    /// How the guard tests the current model, and when it rolls back.
    pub guard: accrue_train::GuardSettings,
    /// When a server resets its models by itself.
    pub reset: accrue_train::ResetSettings,
}

impl Default for LearnConfig {
    fn default() -> Self {
        let learning = LearnSettings::default();
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
            clicks: learning.clicks,
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
        Self { segment_records: LogSettings::default().segment_records }
    }
}

impl From<&LogConfig> for LogSettings {
    fn from(settings: &LogConfig) -> Self {
        Self { segment_records: settings.segment_records }
    }
}

/// Where the log is, and how long it keeps its records, counted from when they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The server that holds the log; without one it is in the data folder.
    pub url: StoreUrl,
    /// Records older than this are removed, in whole segments.
    pub keep: Keep,
    /// Served answers older than this are erased, even where other records stay.
    pub keep_served: Keep,
}

/// Segments begun within the shorter of both times: a record is removed at most that part of it too late.
const SEGMENTS: u64 = 10;

impl StoreConfig {
    /// Whether segments are removed by age.
    pub(crate) fn prunes(&self) -> bool {
        self.keep != Keep::Forever
    }

    /// The time after which a new segment is begun; `None` if everything is kept.
    pub fn segment_span(&self) -> Option<Duration> {
        let shorter = [self.keep, self.keep_served].into_iter().filter_map(Keep::seconds).min()?;
        Some(Duration::from_millis(shorter.saturating_mul(1_000) / SEGMENTS))
    }
}

/// How long something is kept.
///
/// ```
/// use accrue_engine::Keep;
///
/// assert_eq!("400d".parse(), Ok(Keep::For { seconds: 34_560_000 }));
/// assert_eq!(("forever".parse(), Keep::default().to_string()), (Ok(Keep::Forever), "forever".into()));
/// assert!("400".parse::<Keep>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// It is never removed.
    #[default]
    Forever,
    /// It is removed when it is older.
    For {
        /// The age in seconds.
        seconds: u64,
    },
}

impl Keep {
    fn seconds(self) -> Option<u64> {
        match self {
            Self::Forever => None,
            Self::For { seconds } => Some(seconds),
        }
    }

    /// What came in before this is too old at `now`; `None` if nothing is.
    pub fn cutoff(self, now: Timestamp) -> Option<Timestamp> {
        let ms = self.seconds()?.saturating_mul(1_000);
        Some(Timestamp(now.0.saturating_sub_unsigned(ms)))
    }
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither \"forever\" nor a duration of at least a second; write it as 400d, 36h, 90m or 90s")]
pub struct KeepError(String);

impl FromStr for Keep {
    type Err = KeepError;

    fn from_str(text: &str) -> Result<Self, KeepError> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let whole = |duration: &Duration| duration.subsec_nanos() == 0 && duration.as_secs() > 0;
        match parse_duration(text).filter(whole) {
            Some(duration) => Ok(Self::For { seconds: duration.as_secs() }),
            None => Err(KeepError(text.into())),
        }
    }
}

impl TryFrom<String> for Keep {
    type Error = KeepError;

    fn try_from(text: String) -> Result<Self, KeepError> {
        text.parse()
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::For { seconds } => f.write_str(&format_duration(Duration::from_secs(*seconds))),
        }
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

impl Config {
    /// Where the log of the data folder `dir` is.
    pub fn log_place(&self, dir: &Path) -> LogPlace {
        LogPlace::new(dir, &self.store.url)
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found; its key begins with its section, as in a file.
    pub fn validate(&self) -> Result<(), SettingFault> {
        self.check.validate().map_err(|fault| fault.within("check"))?;
        self.serve.validate(self.model.part).map_err(|fault| fault.within("serve"))?;
        self.learn.validate().map_err(|fault| fault.within("learn"))?;
        self.search.validate().map_err(|fault| fault.within("search"))?;
        self.content.validate().map_err(|fault| fault.within("content"))?;
        LogSettings::from(&self.log).validate().map_err(|fault| fault.within("log"))?;
        let scenes = Scenes::read(&self.scene).map_err(|fault| fault.within("scene"))?;
        scenes.check_types(|own| self.check.types.contains_key(own)).map_err(|fault| fault.within("scene"))?;
        scenes.check_models(&self.models()).map_err(|fault| fault.within("scene"))?;
        self.models().validate()
    }

    /// The settings of the check: where they name no language, texts are taken in that of searches.
    pub fn check_settings(&self) -> CheckSettings {
        let language = self.check.language.clone().or_else(|| Some(self.search.language_tag().into()));
        CheckSettings { language, ..self.check.clone() }
    }

    /// The settings of the models: with an encoder, content is one of them.
    pub fn models(&self) -> accrue_model::Settings {
        let mut models = self.model.clone();
        models.content.enabled |= self.content.is_on();
        models
    }
}

impl LearnConfig {
    fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("publish_every_ms", self.publish_every_ms, 1..=60_000)?;
        SettingFault::check("checkpoint_every_events", self.checkpoint_every_events, 1_000..)?;
        SettingFault::check("checkpoints_kept", self.checkpoints_kept, 1..=1_000)?;
        SettingFault::check("history_capacity", self.history_capacity, LearnSettings::HISTORY_CAPACITY)?;
        SettingFault::check("predict_one_in", self.predict_one_in, LearnSettings::PREDICT_ONE_IN)?;
        self.drift.validate().map_err(|fault| fault.within("drift"))?;
        self.impressions.validate().map_err(|fault| fault.within("impressions"))?;
        self.clicks.validate().map_err(|fault| fault.within("clicks"))?;
        self.guard.validate().map_err(|fault| fault.within("guard"))?;
        self.reset.validate().map_err(|fault| fault.within("reset"))
    }
}

/// Settings that have another place than before: the old key and the new one.
pub const MOVED_SETTINGS: &[(&str, &str)] = &[
    ("model.retrieval.own", "model.repeat.candidates"),
    ("model.retrieval.neighbours", "model.neighbours.candidates"),
    ("model.retrieval.factorization", "model.factorization.candidates"),
    ("model.retrieval.popular", "model.popularity.candidates"),
    ("model.retrieval.new", "model.newness.candidates"),
    ("model.retrieval.sequence", "model.sequence.candidates"),
    ("model.retrieval.fitted", "model.fitted.candidates"),
];

/// Where the setting is now that was once called `key`, if it was moved.
///
/// ```
/// let moved = accrue_engine::moved_to("model.retrieval.own");
/// assert_eq!(moved, Some("model.repeat.candidates"));
/// ```
pub fn moved_to(key: &str) -> Option<&'static str> {
    MOVED_SETTINGS.iter().find(|(old, _)| *old == key).map(|(_, new)| *new)
}

/// The part of the configuration that the learned state depends on.
pub fn learn_settings(config: &Config) -> LearnSettings {
    let own_arms = config.serve.experiment.as_ref().filter(|experiment| experiment.learning == ArmLearning::OwnArm);
    LearnSettings {
        seed: config.learn.seed,
        history_capacity: config.learn.history_capacity,
        same_item_a_day: config.learn.same_item_a_day,
        predict_one_in: config.learn.predict_one_in,
        dates_items_by_events: true,
        drift: config.learn.drift.clone(),
        impressions: config.learn.impressions.clone(),
        clicks: config.learn.clicks.clone(),
        guard: config.learn.guard.clone(),
        weights: config.check.types.iter().map(|(name, weight)| (name.to_string(), *weight)).collect(),
        models: config.models(),
        arms: own_arms.map(ExperimentSettings::split),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_moved_has_a_place_now() {
        let settings = toml::Value::try_from(Config::default()).unwrap();
        let has = |key: &str| key.split('.').try_fold(&settings, |table, name| table.get(name)).is_some();
        for (old, new) in MOVED_SETTINGS {
            assert!(has(new) && !has(old), "{old} {new}");
        }
    }
}
