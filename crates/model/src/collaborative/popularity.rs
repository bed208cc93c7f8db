//! Popularity: every shopper gets the items chosen most often. The baseline that every other model has to beat.

use serde::{Deserialize, Serialize};

use super::{CollaborativeModel, Fit, FitError, Interactions};

/// It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItemCountsSettings {}

/// How often each item was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemCounts {
    counts: Vec<u32>,
}

impl CollaborativeModel for ItemCounts {
    type Settings = ItemCountsSettings;

    fn fit(data: &Interactions, _: &ItemCountsSettings, _: &Fit<'_>) -> Result<Self, FitError> {
        Ok(Self { counts: data.counts() })
    }

    fn n_params(&self) -> u64 {
        self.counts.len() as u64
    }

    fn score(&self, _: &[u32], out: &mut [f32]) {
        for (out, &count) in out.iter_mut().zip(&self.counts) {
            *out = count as f32;
        }
    }
}
