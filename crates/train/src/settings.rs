//! Settings that the learned state depends on. They are written into the log whenever they change.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{RangeFrom, RangeInclusive};

use accrue_event::EventType;
use accrue_model::Settings;
use accrue_store::Split;
use serde::{Deserialize, Serialize};

use crate::lenient::{self, Recorded};
use crate::{ClickSettings, DriftSettings, GuardSettings, ImpressionSettings};

/// Settings of the learned state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnSettings {
    /// Seed of all random numbers; fixed once the first record is written.
    pub seed: u64,
    /// Events kept of each shopper.
    pub history_capacity: usize,
    /// How many choices of one item by one shopper, of one type, are learned on one day (UTC). More of them come from a
    /// program, or add no information. 0 for no limit.
    pub same_item_a_day: u32,
    /// One choice in this many is predicted before it is learned (more where there were few so far); [`u64::MAX`] for none.
    pub predict_one_in: u64,
    /// Whether an item's age counts from its first event where that was before its description came. No configuration
    /// has it: it is in the records of all builds that know it, and one without it is of an older build, whose models
    /// counted from the description alone.
    #[serde(default)]
    pub dates_items_by_events: bool,
    /// Weights of event types by name, where they differ from the built-in weights.
    pub weights: BTreeMap<String, f32>,
    /// Settings of the detection of drift.
    pub drift: DriftSettings,
    /// How impressions become negatives.
    pub impressions: ImpressionSettings,
    /// How the click heads learn from impressions.
    pub clicks: ClickSettings,
    /// Settings of the guard.
    pub guard: GuardSettings,
    /// Settings of the models.
    pub models: Settings,
    /// The arms of an experiment whose models learn apart, if there is one.
    pub arms: Option<Split>,
}

impl LearnSettings {
    /// Values of `history_capacity`.
    pub const HISTORY_CAPACITY: RangeInclusive<usize> = 1..=100_000;
    /// Values of `predict_one_in`, here and wherever a model is measured on one choice in so many.
    pub const PREDICT_ONE_IN: RangeFrom<u64> = 1..;
}

impl Default for LearnSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            history_capacity: 1000,
            same_item_a_day: 20,
            predict_one_in: 512,
            dates_items_by_events: true,
            weights: BTreeMap::new(),
            drift: DriftSettings::default(),
            impressions: ImpressionSettings::default(),
            clicks: ClickSettings::default(),
            guard: GuardSettings::default(),
            models: Settings::default(),
            arms: None,
        }
    }
}

impl LearnSettings {
    /// The weight of events of this type.
    pub fn weight(&self, event_type: &EventType) -> f32 {
        let built_in = || accrue_event::default_weight(event_type);
        self.weights.get(event_type.name()).copied().unwrap_or_else(built_in)
    }

    /// The text that the log keeps.
    pub fn to_record(&self) -> String {
        toml::to_string(self).expect("settings are plain tables of numbers")
    }

    /// A checksum that names these settings. It covers what differs from the defaults, so that a setting which a later
    /// build adds does not rename the settings that were in force before.
    pub(crate) fn fingerprint(&self) -> Box<str> {
        let (own, defaults) = (self.to_record(), Self::default().to_record());
        let (own, defaults) = (lines(&own), lines(&defaults));
        let differing: Vec<_> = own.symmetric_difference(&defaults).collect();
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{differing:?}").as_bytes())).into()
    }

    /// Reads what [`LearnSettings::to_record`] wrote, in this build or another. Settings that this build does not know
    /// or cannot use are ignored and get their defaults. A value that can be used is used even outside the bounds of a
    /// configuration, because it was in force.
    ///
    /// # Errors
    /// If the text is not TOML.
    pub fn from_record(text: &str) -> Result<Recorded<Self>, toml::de::Error> {
        lenient::read(text, Self::works)
    }

    pub(crate) fn works(&self) -> bool {
        self.models.works()
    }
}

/// The lines of a TOML text, each after the table that it is in.
fn lines(text: &str) -> BTreeSet<(&str, &str)> {
    let mut table = "";
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.starts_with('[') {
            true => table = line,
            false => _ = found.insert((table, line)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_builds_that_dated_items_by_their_descriptions_alone_go_on_doing_so() {
        let of = |text: &str| LearnSettings::from_record(text).unwrap().settings.dates_items_by_events;
        assert!(of(&LearnSettings::default().to_record()));
        assert!(!of("seed = 3\n"));
        assert!(!of("seed = 3\naura = 1\n"), "also where a setting is ignored");
    }

    #[test]
    fn a_fingerprint_names_what_differs_from_the_defaults() {
        let default = LearnSettings::default();
        let other_seed = LearnSettings { seed: 2, ..LearnSettings::default() };
        let mut other_rate = LearnSettings::default();
        other_rate.models.blend.rate *= 2.0;
        let nothing = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(b"[]"));
        assert_eq!(*default.fingerprint(), *nothing);
        let names = [&default, &other_seed, &other_rate].map(LearnSettings::fingerprint);
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
        assert_eq!(other_rate.clone().fingerprint(), other_rate.fingerprint());
    }
}
