//! What the encoder's thread is doing.

use serde::Serialize;

/// The encoder of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContentStatus {
    /// What it is doing.
    pub state: ContentState,
    /// The encoder of texts as the settings name it; empty if they name none.
    pub encoder: String,
    /// The space of its vectors, as 16 hexadecimal digits, once it is opened.
    pub space: Option<String>,
    /// Items that have a vector of this space.
    pub encoded: u64,
    /// Items that wait for one.
    pub waiting: u64,
    /// Why it failed last, if it did since the start.
    pub last_error: Option<String>,
    /// The pictures, if the settings name an encoder of them.
    pub pictures: Option<PictureStatus>,
}

impl ContentStatus {
    /// Whether the settings name no encoder.
    pub fn is_off(&self) -> bool {
        self.encoder.is_empty() && self.pictures.is_none()
    }

    pub(crate) fn fail(&mut self, why: String) {
        (self.state, self.last_error) = (ContentState::Failed, Some(why));
    }
}

/// The encoder of items' pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PictureStatus {
    /// The encoder as the settings name it.
    pub encoder: String,
    /// Pictures that were encoded since the start.
    pub encoded: u64,
    /// Items that name a picture which is not in the folder, or cannot be used; they are looked at again every minute.
    pub missing: u64,
    /// Pictures that could not be used since the start; their items have the vectors of their texts.
    pub unusable: u64,
    /// Why the last of them could not.
    pub last_error: Option<String>,
}

/// What the encoder is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentState {
    /// The settings name none, or this program does not serve.
    #[default]
    Off,
    /// Its files are being read.
    Opening,
    /// Every item has its vector, or will have it within a second.
    Current,
    /// Items wait for vectors: the catalogue is being encoded.
    Encoding,
    /// It cannot be used; it is tried again after a wait. Items keep the vectors that they have.
    Failed,
}
