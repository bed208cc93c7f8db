//! Content: the encoders that compute the vectors of items and queries, their settings, threads and state.

pub(crate) mod queries;
mod status;
pub(crate) mod thread;

use std::path::PathBuf;

pub use status::{ContentState, ContentStatus, PictureStatus};
pub(crate) use thread::described;

use accrue_encode::{EncoderSettings, ItemEncoderSettings};
use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

/// Which encoders describe items by vectors, and how texts and pictures are handed to them.
///
/// ```
/// let config: accrue_engine::Config = toml::from_str("[content]\nencoder = \"hashed\"").unwrap();
/// assert!(config.content.is_on() && config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentConfig {
    /// A folder of an encoder, `hashed` for one without weights, or empty for none.
    pub encoder: String,
    /// What is written before a search text; empty for what the folder says.
    pub query_prefix: String,
    /// What is written before an item's text; empty for what the folder says.
    pub passage_prefix: String,
    /// A folder of an encoder of pictures, `pixels` for one without weights, or empty for none.
    pub image_encoder: String,
    /// The folder of the pictures that items name.
    pub images: PathBuf,
    /// What addresses of pictures begin with that stand for this folder; empty if items name paths in it.
    pub images_at: String,
    /// The weight of pictures beside texts, from 0 to 1.
    pub image_weight: f32,
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self {
            encoder: String::new(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            image_encoder: String::new(),
            images: PathBuf::new(),
            images_at: String::new(),
            image_weight: 0.5,
        }
    }
}

impl ContentConfig {
    /// Whether items get vectors.
    pub fn is_on(&self) -> bool {
        self.has_texts() || !self.image_encoder.is_empty()
    }

    /// Whether texts are encoded, and queries with them.
    pub fn has_texts(&self) -> bool {
        !self.encoder.is_empty()
    }

    /// What is written before texts.
    pub fn prefixes(&self) -> EncoderSettings {
        let given = |prefix: &String| Some(prefix.clone()).filter(|prefix| !prefix.is_empty());
        EncoderSettings { query_prefix: given(&self.query_prefix), passage_prefix: given(&self.passage_prefix) }
    }

    /// The settings of the encoder of items.
    pub fn item_encoder(&self) -> ItemEncoderSettings {
        ItemEncoderSettings {
            text: self.encoder.clone(),
            prefixes: self.prefixes(),
            image: self.image_encoder.clone(),
            images: self.images.clone(),
            images_at: self.images_at.clone(),
            image_weight: self.image_weight,
        }
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("image_weight", self.image_weight, 0.01..=0.99)?;
        if !self.image_encoder.is_empty() && self.images.as_os_str().is_empty() {
            return Err(SettingFault::new("images", "empty", "the folder of the pictures, as image_encoder is set"));
        }
        Ok(())
    }
}
