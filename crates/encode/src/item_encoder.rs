//! The encoder of items: their texts and their pictures, as one vector.
//!
//! In: items, an encoder of texts, and, where the shop has pictures, an encoder of those. Out: one vector of norm 1
//! for an item, and for a query one that can be compared with it. With pictures, an item's vector is `(√(1 − w) ·
//! text, √w · picture)` side by side, so that the cosine of two items is the mean of both cosines with the weights `1
//! − w` and `w`. What an item lacks is replaced by a direction of its own, which is nearly at right angles with all
//! others: an item without a picture is as unlike all others in its picture as two different things are, and its
//! vector has norm 1 too. The vector of a query has only the part of texts, divided by `√(1 − w)`, so that its
//! product with an item's vector is the cosine of the two texts.

use std::path::{Path, PathBuf};

use accrue_event::{Item, ItemId};
use accrue_kernel::Draws;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::image::{PictureFile, PictureFolder};
use crate::{EncodeError, Encoder, EncoderSettings, ImageEncoder, Kind, Space, item_text, text_hash};

/// Streams of the random numbers that replace a text and a picture.
const NO_TEXT: u64 = 0x4e4f_5458;
const NO_PICTURE: u64 = 0x4e4f_5049;

/// Which encoders describe items, and where pictures lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemEncoderSettings {
    /// The encoder of texts: a folder, [`HASHED`](crate::HASHED), or empty for none.
    pub text: String,
    /// What is written before texts.
    pub prefixes: EncoderSettings,
    /// The encoder of pictures: a folder, [`PIXELS`](crate::PIXELS), or empty for none.
    pub image: String,
    /// The folder of the pictures.
    pub images: PathBuf,
    /// What addresses begin with that stand for the folder; empty for none.
    pub images_at: String,
    /// The weight of pictures beside texts, from 0 to 1.
    pub image_weight: f32,
}

/// An encoder of items.
#[derive(Debug)]
pub struct ItemEncoder {
    text: Option<Encoder>,
    pictures: Option<Pictures>,
}

#[derive(Debug)]
struct Pictures {
    encoder: ImageEncoder,
    folder: PictureFolder,
    weight: f32,
}

/// What is to be encoded of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemInput {
    /// The item.
    pub id: ItemId,
    /// Hash of the text and of the picture's name and size, by which a change is noticed.
    pub hash: u64,
    /// Whether the item names a picture that is not there, or not yet.
    pub lacks_picture: bool,
    text: Option<String>,
    picture: Option<PathBuf>,
}

/// What became of an item.
#[derive(Debug)]
pub struct EncodedItem {
    /// Its vector; `None` if neither its text nor its picture gave one.
    pub vector: Option<Vec<f32>>,
    /// Why its picture could not be used.
    pub fault: Option<EncodeError>,
}

impl ItemInput {
    /// Whether there is something to encode.
    pub fn is_known(&self) -> bool {
        self.text.is_some() || self.picture.is_some()
    }

    /// Whether the item's picture is there.
    pub fn has_picture(&self) -> bool {
        self.picture.is_some()
    }
}

impl ItemEncoder {
    /// Opens the encoders and the folder that the settings name; at least one encoder.
    ///
    /// # Errors
    /// If a folder cannot be used.
    pub fn open(settings: &ItemEncoderSettings) -> Result<Self, EncodeError> {
        let is_named = |name: &str| !name.is_empty();
        let text = is_named(&settings.text).then(|| Encoder::open(&settings.text, &settings.prefixes)).transpose()?;
        let pictures = is_named(&settings.image).then(|| {
            let folder = PictureFolder::open(&settings.images, &settings.images_at)?;
            Ok::<_, EncodeError>(Pictures {
                encoder: ImageEncoder::open(&settings.image)?,
                folder,
                weight: settings.image_weight,
            })
        });
        Ok(Self { text, pictures: pictures.transpose()? })
    }

    /// The space of the vectors.
    pub fn space(&self) -> Space {
        let text = self.text.as_ref().map(Encoder::space);
        let Some(Pictures { encoder, weight, .. }) = &self.pictures else { return text.unwrap_or(Space::of(&[])) };
        let Some(text) = text else { return encoder.space() };
        Space::of(&[
            b"text and picture",
            &text.0.to_le_bytes(),
            &encoder.space().0.to_le_bytes(),
            &weight.to_le_bytes(),
        ])
    }

    /// Whether items' pictures are read.
    pub fn reads_pictures(&self) -> bool {
        self.pictures.is_some()
    }

    /// What is to be encoded of an item; `None` for one that names nothing that could be.
    pub fn input(&self, item: &Item) -> Option<ItemInput> {
        let text = self.text.as_ref().and_then(|_| item_text(item));
        let Some(pictures) = &self.pictures else {
            let text = text?;
            return Some(ItemInput {
                id: item.id.clone(),
                hash: text_hash(&text),
                lacks_picture: false,
                text: Some(text),
                picture: None,
            });
        };
        let named = item.image.as_deref().filter(|image| !image.trim().is_empty());
        let file = named.map(|image| pictures.folder.find(image));
        let mut hash = Xxh3::new();
        hash.update(text.as_deref().unwrap_or("").as_bytes());
        let picture = match &file {
            Some(PictureFile::File(path, n_bytes)) => {
                hash.update(&[0]);
                hash.update(named.unwrap_or("").as_bytes());
                hash.update(&n_bytes.to_le_bytes());
                Some(path.clone())
            }
            _ => None,
        };
        if text.is_none() && picture.is_none() && file != Some(PictureFile::Absent) {
            return None;
        }
        let lacks_picture = file == Some(PictureFile::Absent);
        Some(ItemInput { id: item.id.clone(), hash: hash.digest(), lacks_picture, text, picture })
    }

    /// The vectors of items, on at most `threads` threads; the same bits on any number of them. A picture that cannot
    /// be used counts as one that the item does not have.
    ///
    /// # Errors
    /// If the weights of an encoder give no vector; its folder is damaged then.
    pub fn encode(&self, inputs: &[ItemInput], threads: usize) -> Result<Vec<EncodedItem>, EncodeError> {
        let (with_text, texts): (Vec<usize>, Vec<&str>) =
            inputs.iter().enumerate().filter_map(|(place, input)| Some((place, input.text.as_deref()?))).unzip();
        let mut text_vectors: Vec<Option<Vec<f32>>> = vec![None; inputs.len()];
        if let Some(encoder) = &self.text {
            let vectors = encoder.encode(Some(Kind::Passage), &texts, threads)?;
            with_text.into_iter().zip(vectors).for_each(|(place, vector)| text_vectors[place] = Some(vector));
        }
        let Some(pictures) = &self.pictures else {
            return Ok(text_vectors.into_iter().map(|vector| EncodedItem { vector, fault: None }).collect());
        };
        let (with_picture, paths): (Vec<usize>, Vec<&Path>) =
            inputs.iter().enumerate().filter_map(|(place, input)| Some((place, input.picture.as_deref()?))).unzip();
        let mut picture_vectors: Vec<Option<Result<Vec<f32>, EncodeError>>> = inputs.iter().map(|_| None).collect();
        let vectors = pictures.encoder.encode(&paths, threads);
        with_picture.into_iter().zip(vectors).for_each(|(place, vector)| picture_vectors[place] = Some(vector));
        let each = inputs.iter().zip(text_vectors).zip(picture_vectors);
        Ok(each.map(|((input, text), picture)| self.joined(&input.id, pictures, text, picture)).collect())
    }

    fn joined(
        &self,
        id: &ItemId,
        pictures: &Pictures,
        text: Option<Vec<f32>>,
        picture: Option<Result<Vec<f32>, EncodeError>>,
    ) -> EncodedItem {
        let (picture, fault) = match picture {
            Some(Ok(vector)) => (Some(vector), None),
            Some(Err(fault)) => (None, Some(fault)),
            None => (None, None),
        };
        let Some(encoder) = &self.text else { return EncodedItem { vector: picture, fault } };
        if text.is_none() && picture.is_none() {
            return EncodedItem { vector: None, fault };
        }
        let text = text.unwrap_or_else(|| direction(id, NO_TEXT, encoder.width()));
        let picture = picture.unwrap_or_else(|| direction(id, NO_PICTURE, pictures.encoder.width()));
        let (of_text, of_picture) = ((1.0 - pictures.weight).sqrt(), pictures.weight.sqrt());
        let vector = text.iter().map(|x| of_text * x).chain(picture.iter().map(|x| of_picture * x)).collect();
        EncodedItem { vector: Some(vector), fault }
    }

    /// The share of a query that the encoder of texts knows, 0 to 1; 0 without one.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn known_share(&self, query: &str) -> Result<f32, EncodeError> {
        self.text.as_ref().map_or(Ok(0.0), |text| text.known_share(query))
    }

    /// The vector of a query, whose product with an item's vector is the cosine of their texts; `None` without an
    /// encoder of texts.
    ///
    /// # Errors
    /// If the weights give no vector; the folder is damaged then.
    pub fn query(&self, query: &str) -> Result<Option<Vec<f32>>, EncodeError> {
        let Some(encoder) = &self.text else { return Ok(None) };
        let Some(mut vector) = encoder.encode(Some(Kind::Query), &[query], 1)?.pop() else { return Ok(None) };
        if let Some(pictures) = &self.pictures {
            accrue_kernel::scale(1.0 / (1.0 - pictures.weight).sqrt(), &mut vector);
            vector.resize(encoder.width() + pictures.encoder.width(), 0.0);
        }
        Ok(Some(vector))
    }
}

/// A direction of an item's own, nearly at right angles with that of any other item.
fn direction(id: &ItemId, stream: u64, width: usize) -> Vec<f32> {
    let mut draws = Draws::new(xxh3_64(id.as_str().as_bytes()), stream, 0);
    let mut vector: Vec<f32> = (0..width).map(|_| draws.normal()).collect();
    let norm = accrue_kernel::squared_norm(&vector).sqrt();
    accrue_kernel::scale(1.0 / norm, &mut vector);
    vector
}
