//! How many candidates the blend learns from, and how often.

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

/// How the blend's training examples are made. How many candidates a page has is set for each model (`model.<name>.candidates`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrievalSettings {
    /// The blend learns from one event in this many, chosen by the offset, and from more where there were few events so far.
    pub learn_one_in: u64,
    /// Candidates of each model when the blend learns, and as many items drawn at random.
    pub learn_candidates: usize,
}

impl Default for RetrievalSettings {
    fn default() -> Self {
        Self { learn_one_in: 8, learn_candidates: 40 }
    }
}

impl RetrievalSettings {
    pub(crate) fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("learn_one_in", self.learn_one_in, 1..)
    }

    pub(crate) fn limit(&self) -> Result<(), SettingFault> {
        SettingFault::check("learn_one_in", self.learn_one_in, ..=1_000_000)?;
        SettingFault::check("learn_candidates", self.learn_candidates, ..=1_000)
    }
}
