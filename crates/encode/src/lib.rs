//! Encoders: from a text or a picture to a vector of norm 1 whose cosines tell how close two texts are in meaning, or
//! how alike two pictures.
//!
//! In: a folder in the layout of Hugging Face (`config.json`, `tokenizer.json`, `model.safetensors`) with a network
//! of the BERT family, and texts. Out: vectors with the same bits on every instruction set, any number of threads and
//! whatever texts are encoded together. Where no weights can be had, [`HashedEncoder`] compares texts by their
//! letters. A folder that cannot be used is refused with the file and what was expected in it; a text is never
//! refused.
//!
//! Devlin et al., *BERT: pre-training of deep bidirectional transformers* (2019); Conneau et al., *Unsupervised
//! cross-lingual representation learning at scale* (XLM-R, 2020); Reimers and Gurevych, *Sentence-BERT* (2019).
//!
//! Pictures have encoders of their own ([`ImageEncoder`]: EfficientNet-Lite), and an item one vector of both
//! ([`ItemEncoder`]). Tan and Le, *EfficientNet: rethinking model scaling for convolutional neural networks* (2019).
//!
//! Encoders of texts are trained on pairs of texts that belong together ([`Tuner`]); of pictures only a projection is
//! fitted ([`fit_projection`]). This crate reads no log and downloads nothing.

mod atomic;
mod bert;
mod eight_bits;
mod encoder;
mod error;
mod folder;
mod hashed;
mod image;
mod item;
mod item_encoder;
mod space;
mod text;
mod tune;
mod weights;

pub use eight_bits::eight_bits;
pub use encoder::{Encoder, EncoderSettings, HASHED, Kind};
pub use error::{EncodeError, PictureFault};
pub use hashed::HashedEncoder;
pub use image::{
    FitFault, ImageEncoder, MAX_PICTURE_BYTES, MAX_PIXELS, MIN_PAIRS, PIXELS, Picture, PictureFile, PictureFolder,
    Projection, fit_projection, write_projected,
};
pub use item::item_text;
pub use item_encoder::{EncodedItem, ItemEncoder, ItemEncoderSettings, ItemInput};
pub use space::{Space, text_hash};
pub use text::TextEncoder;
pub use tune::{Batch, MAX_TEXTS, Pairs, Trained, TuneSettings, Tuner, weights_hash};
