//! Content: the encoder that computes the vectors of items and queries, its settings, its threads and its state.

pub(crate) mod queries;
mod status;
pub(crate) mod thread;

pub use status::{ContentState, ContentStatus};

use accrue_encode::EncoderSettings;
use serde::{Deserialize, Serialize};

/// Which encoder describes items by vectors, and how texts are handed to it.
///
/// ```
/// let config: accrue_engine::Config = toml::from_str("[content]\nencoder = \"hashed\"").unwrap();
/// assert!(config.content.is_on() && config.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentConfig {
    /// A folder of an encoder, `hashed` for one without weights, or empty for none.
    pub encoder: String,
    /// What is written before a search text; empty for what the folder says.
    pub query_prefix: String,
    /// What is written before an item's text; empty for what the folder says.
    pub passage_prefix: String,
}

impl ContentConfig {
    /// Whether items get vectors.
    pub fn is_on(&self) -> bool {
        !self.encoder.is_empty()
    }

    /// What is written before texts.
    pub fn prefixes(&self) -> EncoderSettings {
        let given = |prefix: &String| Some(prefix.clone()).filter(|prefix| !prefix.is_empty());
        EncoderSettings { query_prefix: given(&self.query_prefix), passage_prefix: given(&self.passage_prefix) }
    }
}
