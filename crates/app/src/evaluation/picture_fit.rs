//! Fits a projection of pictures on a shop's own items: `accrue encode --fit`.
//!
//! In: a table of items with titles, the folder of their pictures, and an encoder of pictures. Out: a folder of an
//! encoder with a projection in it, for `content.image_encoder`. Items without a title or a usable picture are
//! counted and left out.

use std::path::PathBuf;

use accrue_encode::{ImageEncoder, Picture, PictureFile, PictureFolder, fit_projection, write_projected};
use accrue_engine::Config;
use anyhow::{Context as _, ensure};

use super::request::{Request, Run};
use super::search_files::read_items;

/// Pictures that are decoded at once.
const BATCH: usize = 64;
/// Pairs that are learned from, at most: their features take 256 MB.
const MAX_PAIRS: usize = 50_000;

/// What to fit on, and where to write.
#[derive(Clone, Debug)]
pub struct PictureFit {
    /// The table of items.
    pub items: PathBuf,
    /// The folder of the pictures that items name.
    pub images: PathBuf,
    /// What addresses begin with that stand for the folder; empty for none.
    pub images_at: String,
    /// The folder of the encoder.
    pub encoder: PathBuf,
    /// The folder to write.
    pub out: PathBuf,
    /// Numbers in a fitted vector.
    pub width: usize,
}

/// What came of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Fitted {
    /// Items that were learned from.
    pub pairs: usize,
    /// Items that name no picture in the folder, or have no title.
    pub incomplete: usize,
    /// Items whose pictures cannot be used.
    pub unusable: usize,
}

/// Fits a projection and writes the folder.
///
/// # Errors
/// If a file cannot be used, or there is too little to learn from.
pub fn fit_pictures(config: &Config, fit: &PictureFit, progress: &dyn Fn(f64)) -> anyhow::Result<Fitted> {
    let name = fit.encoder.to_str().context("the encoder's folder has a name that is not UTF-8")?;
    let encoder = ImageEncoder::open(name)?;
    ensure!(!encoder.is_pixels(), "a projection is fitted on an encoder with weights");
    let folder = PictureFolder::open(&fit.images, &fit.images_at)?;
    let request = Request::default();
    let run = Run { config, request: &request, model: "", settings: &[] };
    let (items, _) = read_items(&run, &fit.items)?;
    let mut fitted = Fitted { pairs: 0, incomplete: 0, unusable: 0 };
    let (mut features, mut titles): (Vec<Vec<f32>>, Vec<&str>) = (Vec::new(), Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (nth, batch) in items.chunks(BATCH).enumerate() {
        progress((nth * BATCH) as f64 / items.len() as f64);
        let mut pictures = Vec::new();
        for item in batch.iter().take(MAX_PAIRS - features.len()) {
            let file = item.image.as_deref().map(|image| folder.find(image));
            match (item.title.as_deref(), file) {
                (Some(title), Some(PictureFile::File(file, _))) => match Picture::open(&file) {
                    Ok(picture) => {
                        pictures.push(picture);
                        titles.push(title);
                    }
                    Err(_) => fitted.unusable += 1,
                },
                _ => fitted.incomplete += 1,
            }
        }
        features.extend(encoder.features_of(&pictures, threads));
    }
    fitted.pairs = features.len();
    let projection = fit_projection(&features, &titles, fit.width)?;
    write_projected(&fit.encoder, &fit.out, &projection)?;
    Ok(fitted)
}
