//! The protocol `pictures`: which items a picture, a title or both find alike.
//!
//! Items with labels are read from a table, their pictures from a folder or an archive. `lab` divides them and counts; the
//! encoder and what is fitted on the pairs of title and picture of the other items are `encode`'s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use accrue_encode::{ImageEncoder, Picture};
use accrue_event::{Attribute, Item};
use accrue_lab::pictures::{Compared, NEAREST, PictureSplit, precision, title_words};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::picture_files::PictureFiles;
use super::search::read_items;
use super::{Run, number};

/// The name of the protocol.
pub const PICTURES: &str = "pictures";
/// Its models.
pub const PICTURE_MODELS: [(&str, &str); 3] = [
    ("image", "The vectors that an encoder computes of pictures."),
    ("title", "The words of titles."),
    ("image+title", "Both, with the sum of both cosines."),
];
/// Labels that are compared, unless others are named.
const LABELS: &str = "article_type,sub_category,master_category,base_colour";
/// Pictures that are decoded at once.
const BATCH: usize = 256;

/// What to compare, out of `key=value` pairs.
struct Asked {
    encoder: String,
    images: PathBuf,
    labels: Vec<String>,
    seed: u64,
    on_validation: bool,
}

/// Runs one model.
pub(super) fn pictures(run: &Run<'_>, progress: &(dyn Fn(f64, &str) + Sync)) -> anyhow::Result<Value> {
    let known: Vec<&str> = PICTURE_MODELS.iter().map(|(name, _)| *name).collect();
    ensure!(
        known.contains(&run.model),
        "there is no model `{}` for the protocol {PICTURES}; there is {}",
        run.model,
        known.join(", ")
    );
    let Some(file) = &run.request.items else {
        bail!("{PICTURES} needs --items, a table of items with titles and labels")
    };
    let asked = Asked::of(run)?;
    let (mut items, refused) = read_items(run, file)?;
    let files = PictureFiles::open(&asked.images)?;
    let names = files.names()?;
    items.retain(|item| names.contains(item.id.as_str()));
    let ids: Vec<&str> = items.iter().map(|item| item.id.as_str()).collect();
    let split = PictureSplit::of(&ids, asked.seed, asked.on_validation)?;
    let titles: Vec<&str> = items.iter().map(|item| item.title.as_deref().unwrap_or("")).collect();
    let started = Instant::now();
    let (uses_image, uses_title) = (run.model.contains("image"), run.model.contains("title"));
    let (mut image, mut n_numbers) = (Vec::new(), 0);
    if uses_image {
        let encoder = ImageEncoder::open(&asked.encoder)?;
        n_numbers = encoder.width();
        let wanted = wanted(&ids, &[&split.queries, &split.gallery]);
        image = features(&encoder, &files, &wanted, items.len(), &|done| progress(done, "the pictures"))?;
        image.iter_mut().for_each(|vector| normalise(vector));
    }
    let encode_s = started.elapsed().as_secs_f64();
    let title = if uses_title { title_words(&titles, &split) } else { Vec::new() };
    let mut parts: Vec<(f32, &[Vec<f32>])> = Vec::new();
    parts.extend(uses_image.then_some((1.0, &*image)));
    parts.extend(uses_title.then_some((1.0, &*title)));
    let nearest = Compared { parts }.nearest(&split);
    let mut report = json!({
        "protocol": PICTURES, "model": run.model, "seed": asked.seed, "at": NEAREST, "n_eval": split.queries.len(),
        "n_gallery": split.gallery.len(), "n_others": split.others.len(), "main_metric": asked.labels[0],
        "n_params": n_numbers, "settings": run.settings.iter().cloned().collect::<BTreeMap<_, _>>(), "refused": refused,
        "metrics": {}, "ci95": {}, "cost": {"encode_s": encode_s, "train_s": 0.0},
    });
    for label in &asked.labels {
        let (mean, interval) = precision(&split, &nearest, &labels(&items, label)?);
        report["metrics"][label] = json!(mean);
        report["ci95"][label] = serde_json::to_value(interval)?;
    }
    Ok(report)
}

impl Asked {
    fn of(run: &Run<'_>) -> anyhow::Result<Self> {
        let content = &run.config.content;
        let mut asked = Self {
            encoder: content.image_encoder.clone(),
            images: content.images.clone(),
            labels: LABELS.split(',').map(str::to_owned).collect(),
            seed: 7,
            on_validation: false,
        };
        for (key, value) in run.settings {
            match key.as_str() {
                "encoder" => asked.encoder.clone_from(value),
                "images" => asked.images = value.into(),
                "labels" => asked.labels = value.split(',').map(|label| label.trim().to_owned()).collect(),
                "seed" => asked.seed = number(Some(value), key, 0)?,
                "on" if value == "test" => {}
                "on" if value == "validation" => asked.on_validation = true,
                _ => bail!(
                    "there is no setting `{key}={value}`; there is images=FOLDER or ARCHIVE.tar.zst, encoder=DIR, \
                     labels=FIELD,…, seed=N and on=test|validation"
                ),
            }
        }
        ensure!(
            !asked.images.as_os_str().is_empty() && !asked.encoder.is_empty(),
            "{PICTURES} needs --set images=FOLDER, or a .tar or .tar.zst, whose files are called as the items' ids, and \
             --set encoder=DIR"
        );
        Ok(asked)
    }
}

/// The names of the items at these places, with the places.
fn wanted<'a>(ids: &[&'a str], places: &[&[usize]]) -> BTreeMap<&'a str, usize> {
    places.iter().copied().flatten().map(|&place| (ids[place], place)).collect()
}

/// The features of the pictures that are wanted, by the places of their items.
fn features(
    encoder: &ImageEncoder,
    files: &PictureFiles,
    wanted: &BTreeMap<&str, usize>,
    n_items: usize,
    progress: &dyn Fn(f64),
) -> anyhow::Result<Vec<Vec<f32>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = vec![Vec::new(); n_items];
    let (mut places, mut batch, mut n_done) = (Vec::new(), Vec::new(), 0);
    let mut encode = |places: &mut Vec<usize>, batch: &mut Vec<Picture>| {
        n_done += batch.len();
        let features = encoder.features_of(batch, threads);
        places.drain(..).zip(features).for_each(|(place, features)| all[place] = features);
        batch.clear();
        progress(n_done as f64 / wanted.len().max(1) as f64);
    };
    files.each(wanted, |name, bytes| {
        let picture =
            Picture::decode(bytes).map_err(anyhow::Error::msg).with_context(|| format!("the picture {name}"))?;
        places.push(wanted[name]);
        batch.push(picture);
        if batch.len() == BATCH {
            encode(&mut places, &mut batch);
        }
        Ok(())
    })?;
    encode(&mut places, &mut batch);
    ensure!(wanted.values().all(|&place| !all[place].is_empty()), "pictures have gone while they were read");
    Ok(all)
}

/// Divides a vector by its norm.
fn normalise(vector: &mut [f32]) {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm.max(f32::MIN_POSITIVE));
}

/// The labels of one kind, by item.
fn labels(items: &[Item], label: &str) -> anyhow::Result<Vec<String>> {
    let of = |item: &Item| match (label, item.attributes.get(label)) {
        ("brand", _) => item.brand.as_deref().unwrap_or("").to_owned(),
        ("categories", _) => item.categories.join(" > "),
        (_, Some(Attribute::Text(text))) => text.to_string(),
        (_, Some(Attribute::Number(number))) => number.to_string(),
        (_, Some(Attribute::Bool(yes))) => yes.to_string(),
        (_, Some(Attribute::List(texts))) => texts.join(" > "),
        (_, None) => String::new(),
    };
    let labels: Vec<String> = items.iter().map(of).collect();
    if labels.iter().all(String::is_empty) {
        let known: std::collections::BTreeSet<&str> =
            items.iter().take(1_000).flat_map(|item| item.attributes.keys().map(|name| &**name)).collect();
        let known: Vec<&str> = known.into_iter().collect();
        bail!(
            "no item has the field `{label}`; name others with --set labels=FIELD,…: items have {}",
            known.join(", ")
        );
    }
    Ok(labels)
}
