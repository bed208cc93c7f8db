//! The protocol `pictures`: which items a picture, a title or both find alike.
//!
//! Items with labels are read from a table, their pictures from a folder or an archive. `lab` divides them and
//! counts; the encoder and what is fitted on the pairs of title and picture of the other items are `encode`'s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use accrue_encode::{ImageEncoder, Picture, fit_projection};
use accrue_event::{Attribute, Item};
use accrue_lab::pictures::{Compared, NEAREST, PictureSplit, precision, title_words};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::picture_files::PictureFiles;
use super::request::Run;
use super::search_files::read_items;
use super::settings::number;

/// The name of the protocol.
pub const PICTURES: &str = "pictures";
/// Its models.
pub const PICTURE_MODELS: [(&str, &str); 5] = [
    ("image", "The vectors that an encoder computes of pictures."),
    ("title", "The words of titles."),
    ("image+title", "Both, with the sum of both cosines."),
    ("fitted", "Pictures by a projection that is fitted on the titles and pictures of the other items."),
    ("fitted+title", "The fitted projection and the words of titles, with the sum of both cosines."),
];
/// Labels that are compared, unless others are named.
const LABELS: &str = "article_type,sub_category,master_category,base_colour";
/// Numbers in a fitted vector, unless it is said.
const WIDTH: usize = 256;
/// Pictures that are decoded at once.
const BATCH: usize = 256;

/// What to compare, out of `key=value` pairs.
struct Asked {
    encoder: String,
    images: PathBuf,
    labels: Vec<String>,
    seed: u64,
    on_validation: bool,
    /// Numbers in a fitted vector.
    width: usize,
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
    let is_fitted = run.model.starts_with("fitted");
    let (uses_image, uses_title) = (run.model != "title", run.model.ends_with("title"));
    let mut made = if uses_image {
        image_vectors(&asked, &files, &split, &ids, &titles, is_fitted, progress)?
    } else {
        ImageVectors::default()
    };
    let image = std::mem::take(&mut made.vectors);
    let title = if uses_title { title_words(&titles, &split) } else { Vec::new() };
    let mut parts: Vec<(f32, &[Vec<f32>])> = Vec::new();
    parts.extend(uses_image.then_some((1.0, &*image)));
    parts.extend(uses_title.then_some((1.0, &*title)));
    let nearest = Compared { parts }.nearest(&split);
    let mut report = json!({
        "protocol": PICTURES, "model": run.model, "seed": asked.seed, "at": NEAREST, "n_eval": split.queries.len(),
        "n_gallery": split.gallery.len(), "n_others": split.others.len(), "main_metric": asked.labels[0],
        "n_params": made.n_params, "settings": run.settings.iter().cloned().collect::<BTreeMap<_, _>>(), "refused": refused,
        "metrics": {}, "ci95": {}, "cost": {"encode_s": made.encode_s, "train_s": made.train_s},
    });
    for label in &asked.labels {
        let (mean, interval) = precision(&split, &nearest, &labels(&items, label)?);
        report["metrics"][label] = json!(mean);
        report["ci95"][label] = serde_json::to_value(interval)?;
    }
    Ok(report)
}

/// The vectors of pictures by the places of their items, and what they cost.
#[derive(Default)]
struct ImageVectors {
    vectors: Vec<Vec<f32>>,
    n_params: usize,
    encode_s: f64,
    train_s: f64,
}

fn image_vectors(
    asked: &Asked,
    files: &PictureFiles,
    split: &PictureSplit,
    ids: &[&str],
    titles: &[&str],
    is_fitted: bool,
    progress: &(dyn Fn(f64, &str) + Sync),
) -> anyhow::Result<ImageVectors> {
    let started = Instant::now();
    let encoder = ImageEncoder::open(&asked.encoder)?;
    ensure!(
        !(is_fitted && encoder.is_pixels()),
        "a projection is fitted on an encoder with weights; name one with encoder=DIR"
    );
    let others: &[usize] = if is_fitted { &split.others } else { &[] };
    let wanted = wanted(ids, &[&split.queries, &split.gallery, others]);
    let mut features = features(&encoder, files, &wanted, ids.len(), &|done| progress(done, "the pictures"))?;
    let mut made = ImageVectors { encode_s: started.elapsed().as_secs_f64(), ..ImageVectors::default() };
    let started = Instant::now();
    let projection = match is_fitted {
        true => {
            let of_others: Vec<Vec<f32>> = others.iter().map(|&place| std::mem::take(&mut features[place])).collect();
            let titles: Vec<&str> = others.iter().map(|&place| titles[place]).collect();
            Some(fit_projection(&of_others, &titles, asked.width)?)
        }
        false => None,
    };
    made.train_s = started.elapsed().as_secs_f64();
    made.n_params = projection.as_ref().map_or(0, |projection| projection.width() * (encoder.width() + 1));
    made.vectors = vec![Vec::new(); ids.len()];
    for &place in split.queries.iter().chain(&split.gallery) {
        let features = std::mem::take(&mut features[place]);
        let vector = match &projection {
            Some(projection) => unit(projection.apply(&features)),
            None => encoder.vector_of(features),
        };
        made.vectors[place] = vector.with_context(|| format!("the picture {} has no vector", ids[place]))?;
    }
    Ok(made)
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
            width: WIDTH,
        };
        for (key, value) in run.settings {
            match key.as_str() {
                "encoder" => asked.encoder.clone_from(value),
                "images" => asked.images = value.into(),
                "labels" => asked.labels = value.split(',').map(|label| label.trim().to_owned()).collect(),
                "seed" => asked.seed = number(Some(value), key, 0)?,
                "width" => asked.width = number(Some(value), key, 0)?,
                "on" if value == "test" => {}
                "on" if value == "validation" => asked.on_validation = true,
                _ => bail!(
                    "there is no setting `{key}={value}`; there is images=FOLDER or ARCHIVE.tar.zst, encoder=DIR, \
                     labels=FIELD,…, seed=N, on=test|validation and width=N (numbers in a fitted vector)"
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
        let picture = Picture::decode(bytes).with_context(|| format!("the picture {name}"))?;
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

/// A vector divided by its norm; `None` if that is 0.
fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    (norm > 0.0).then_some(vector)
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use accrue_engine::Config;

    use super::super::{Request, evaluate};
    use super::*;

    /// A PNG of one transparent pixel.
    const PIXEL: [u8; 67] = [
        0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1,
        8, 6, 0, 0, 0, 0x1F, 0x15, 0xC4, 0x89, 0, 0, 0, 0x0A, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0, 1, 0, 0, 5,
        0, 1, 0x0D, 0x0A, 0x2D, 0xB4, 0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
    ];

    /// 3,050 items of two kinds with a picture, and one without.
    fn shop(dir: &Path) -> Request {
        let images = dir.join("images");
        std::fs::create_dir(&images).unwrap();
        let mut table = String::from("id\ttitle\tkind\n");
        for n in 0..3_050 {
            let kind = if n % 2 == 0 { "shoe" } else { "mug" };
            table += &format!("{n}\tNo {n}: a {kind}\t{kind}\n");
            std::fs::write(images.join(format!("{n}.png")), PIXEL).unwrap();
        }
        table += "none\tno picture\tnone\n";
        let items = dir.join("items.tsv");
        std::fs::write(&items, table).unwrap();
        let pair = |key: &str, value: &str| (key.to_string(), value.to_string());
        Request {
            protocol: PICTURES.into(),
            items: Some(items),
            settings: vec![pair("images", images.to_str().unwrap()), pair("encoder", "pixels"), pair("labels", "kind")],
            ..Request::default()
        }
    }

    fn run(request: &Request, model: &str) -> anyhow::Result<Value> {
        let request = Request { models: vec![model.into()], ..request.clone() };
        Ok(evaluate(&Config::default(), &request, &|_, _| {})?.remove(0))
    }

    #[test]
    fn titles_find_their_kind_and_pictures_that_are_equal_find_anything() {
        let dir = tempfile::tempdir().unwrap();
        let request = shop(dir.path());
        let of = |model: &str| run(&request, model).unwrap()["metrics"]["kind"].as_f64().unwrap();
        assert_eq!((of("title"), of("image+title")), (1.0, 1.0));
        let image = run(&request, "image").unwrap();
        let precision = image["metrics"]["kind"].as_f64().unwrap();
        assert!((0.3..0.7).contains(&precision), "equal pictures: {precision}");
        assert_eq!(
            (&image["n_eval"], &image["n_gallery"], &image["n_others"]),
            (&json!(500), &json!(2_500), &json!(50))
        );
        assert_eq!(image["main_metric"], "kind");
    }

    #[test]
    fn what_cannot_be_evaluated_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let request = shop(dir.path());
        let fault = |change: &dyn Fn(&mut Request), model: &str| {
            let mut request = request.clone();
            change(&mut request);
            format!("{:#}", run(&request, model).unwrap_err())
        };
        assert!(fault(&|_| {}, "other").contains("there is image, title"));
        assert!(fault(&|_| {}, "fitted").contains("an encoder with weights"));
        assert!(fault(&|request| request.items = None, "title").contains("--items"));
        let set = |key: &'static str, value: &'static str| {
            move |request: &mut Request| request.settings.push((key.into(), value.into()))
        };
        assert!(fault(&set("labels", "colour"), "title").contains("`colour`"), "and which there are");
        assert!(fault(&set("on", "train"), "title").contains("on=test|validation"));
        assert!(fault(&set("images", "/no/such/archive.tar"), "title").contains("/no/such/archive.tar"));
        assert!(fault(&set("encoder", "/no/such"), "image").contains("/no/such/config.json"));
        assert!(fault(&set("on", "validation"), "title").contains("too few items"));
        std::fs::write(dir.path().join("images/7.png"), "no picture").unwrap();
        assert!(fault(&|_| {}, "image+title").contains("the picture 7: not a picture"));
    }
}
