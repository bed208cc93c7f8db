//! What the learned state depends on besides the events: written into the log whenever it changes.

use std::collections::BTreeMap;

use accrue_event::EventType;
use accrue_model::Settings;
use accrue_store::Split;
use serde::{Deserialize, Serialize};

use crate::lenient::{self, Recorded};
use crate::{DriftSettings, GuardSettings, ImpressionSettings};

/// Settings of the learned state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LearnSettings {
    /// Seed of all randomness; fixed once the first record is written.
    pub seed: u64,
    /// Events kept of each shopper.
    pub history_capacity: usize,
    /// Choices of one item by one shopper, of one type, that teach on one day (UTC); what comes after them is a machine's, or says nothing
    /// new. 0 is no bound.
    pub same_item_a_day: u32,
    /// The learner predicts before it learns on one event in so many (a young shop: more often); [`u64::MAX`] for never.
    pub predict_one_in: u64,
    /// What an event is worth by its type's name, where it differs from the built-in weight.
    pub weights: BTreeMap<String, f32>,
    /// Settings of what watches for changes of what shoppers do.
    pub drift: DriftSettings,
    /// How impressions become negatives.
    pub impressions: ImpressionSettings,
    /// Settings of the guard.
    pub guard: GuardSettings,
    /// Settings of the models.
    pub models: Settings,
    /// Arms of an experiment that learn apart, if there are.
    pub arms: Option<Split>,
}

impl Default for LearnSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            history_capacity: 1000,
            same_item_a_day: 20,
            predict_one_in: 512,
            weights: BTreeMap::new(),
            drift: DriftSettings::default(),
            impressions: ImpressionSettings::default(),
            guard: GuardSettings::default(),
            models: Settings::default(),
            arms: None,
        }
    }
}

impl LearnSettings {
    /// What an event of that type is worth.
    pub fn weight(&self, event_type: &EventType) -> f32 {
        let built_in = || accrue_event::default_weight(event_type);
        self.weights.get(event_type.name()).copied().unwrap_or_else(built_in)
    }

    /// The form in which the log keeps them.
    pub fn to_record(&self) -> String {
        toml::to_string(self).expect("settings are plain tables of numbers")
    }

    /// Reads what [`LearnSettings::to_record`] wrote, in this build or another. What this build does not know, or cannot work with, is
    /// passed over: that setting has its default. A value that works is taken even where it lies out of the bounds that a configuration
    /// has today, for it was in force.
    ///
    /// # Errors
    /// If the text is no such record at all.
    pub fn from_record(text: &str) -> Result<Recorded<Self>, toml::de::Error> {
        lenient::read(text, Self::works)
    }

    pub(crate) fn works(&self) -> bool {
        self.models.validate().is_ok()
    }
}
