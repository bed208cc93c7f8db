//! Popularity: everybody gets what most people chose. The line that every other model has to pass.

use serde::{Deserialize, Serialize};

use super::{CollaborativeModel, Fit, FitError, Interactions};

/// Nothing can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PopularitySettings {}

/// How often each item was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Popularity {
    counts: Vec<u32>,
}

impl CollaborativeModel for Popularity {
    type Settings = PopularitySettings;

    fn fit(data: &Interactions, _: &PopularitySettings, _: &Fit<'_>) -> Result<Self, FitError> {
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
