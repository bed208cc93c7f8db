//! Encoders of pictures: from a file to a vector of norm 1 whose cosines tell how alike two pictures are.
//!
//! In: a folder with `config.json`, which names the architecture, and `model.safetensors`; and pictures. Out: vectors
//! with the same bits on any number of threads. Where no weights can be had, [`PIXELS`] compares small gray copies.
//!
//! An architecture is a file here behind [`ImageNetwork`], and a line in [`ARCHITECTURES`].

mod efficientnet;
mod fit;
mod folder;
mod picture;
mod pixels;
mod projection;
mod resize;

use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use safetensors::SafeTensorError;
use serde::Deserialize;
use serde_json::Value;

pub use self::fit::{FitFault, MIN_PAIRS, fit_projection};
pub use self::folder::{PictureFile, PictureFolder};
pub use self::picture::{MAX_PICTURE_BYTES, MAX_PIXELS, Picture};
pub use self::projection::Projection;
use crate::folder::{read_json, unsupported};
use crate::weights::WeightFile;
use crate::{EncodeError, PictureFault, Space};

/// The name that stands for the encoder of pictures without weights, instead of a folder.
pub const PIXELS: &str = "pixels";

/// Every architecture, by the beginning of the `name` in `config.json`.
const ARCHITECTURES: &[(&str, ReadNetwork)] = &[("efficientnet-lite", efficientnet::read)];

/// Reads a network from `config.json` (its path and its content) and its weights.
type ReadNetwork = fn(&Path, &Value, PictureInput, &mut WeightFile) -> Result<Box<dyn ImageNetwork>, EncodeError>;

/// What every network of pictures does.
trait ImageNetwork: Debug + Send + Sync {
    /// The pixels that it reads.
    fn input(&self) -> &PictureInput;
    /// Numbers in its features.
    fn width(&self) -> usize;
    /// The features of a picture. `pixels: [size, size, 3] → [width]`
    fn features(&self, pixels: &[f32], scratch: &mut Scratch) -> Vec<f32>;
}

/// How a picture becomes the input of a network: the whole of it is stretched to a square, and each channel is
/// `(value − mean) / std`, with values from 0 to 255.
#[derive(Clone, Debug, PartialEq)]
struct PictureInput {
    size: usize,
    mean: [f32; 3],
    std: [f32; 3],
}

/// Memory of a forward pass, kept by each thread from one picture to the next.
#[derive(Debug, Default)]
struct Scratch {
    map: Vec<f32>,
    next: Vec<f32>,
    wide: Vec<f32>,
    deep: Vec<f32>,
}

/// An encoder of pictures.
#[derive(Debug)]
pub struct ImageEncoder {
    network: Option<Box<dyn ImageNetwork>>,
    /// What was fitted on the shop's own items.
    projection: Option<Projection>,
    space: Space,
}

impl ImageEncoder {
    /// The encoder that `name` stands for: [`PIXELS`], or a folder with `config.json` and `model.safetensors`.
    ///
    /// # Errors
    /// If a file is missing, or holds what this build cannot use.
    pub fn open(name: &str) -> Result<Self, EncodeError> {
        if name == PIXELS {
            return Ok(Self { network: None, projection: None, space: Space::of(&[PIXELS.as_bytes()]) });
        }
        let folder = Path::new(name);
        let path = folder.join("config.json");
        let config: Value = read_json(&path)?;
        let network = network_named(&path, &config)?;
        let input = PictureInput::read(&path, &config)?;
        let mut weights = WeightFile::open(&folder.join("model.safetensors"))?;
        let network = network(&path, &config, input, &mut weights)?;
        let fitted = Projection::read(&path, &config, network.width())?;
        let hash = fitted.as_ref().map_or(0, |(_, hash)| *hash);
        let how = format!("{:?} {hash}", network.input());
        let space =
            Space::of(&[b"picture", config.to_string().as_bytes(), &weights.hash()?.to_le_bytes(), how.as_bytes()]);
        Ok(Self { network: Some(network), projection: fitted.map(|(projection, _)| projection), space })
    }

    /// Whether this is the encoder without weights.
    pub fn is_pixels(&self) -> bool {
        self.network.is_none()
    }

    /// Numbers in a vector.
    pub fn width(&self) -> usize {
        let of_network = self.network.as_ref().map_or(pixels::N_PIXELS, |network| network.width());
        self.projection.as_ref().map_or(of_network, Projection::width)
    }

    /// The space of its vectors.
    pub fn space(&self) -> Space {
        self.space
    }

    /// What the network computes for a picture, before a projection and the division by the norm.
    pub fn features(&self, picture: &Picture) -> Vec<f32> {
        self.features_with(picture, &mut Scratch::default())
    }

    fn features_with(&self, picture: &Picture, scratch: &mut Scratch) -> Vec<f32> {
        let Some(network) = &self.network else { return pixels::features(picture) };
        let PictureInput { size, mean, std } = network.input();
        let mut pixels = resize::stretched(picture, *size, *size);
        for pixel in pixels.as_chunks_mut::<3>().0 {
            for channel in 0..3 {
                pixel[channel] = (pixel[channel] - mean[channel]) / std[channel];
            }
        }
        network.features(&pixels, scratch)
    }

    /// The vectors of files, each with norm 1 or the fault of its file, on at most `threads` threads; the same bits
    /// on any number of them.
    pub fn encode<P: AsRef<Path> + Sync>(&self, paths: &[P], threads: usize) -> Vec<Result<Vec<f32>, EncodeError>> {
        on_threads(paths, threads, |path, scratch| self.vector(path.as_ref(), scratch))
    }

    /// The features of pictures, on at most `threads` threads.
    pub fn features_of(&self, pictures: &[Picture], threads: usize) -> Vec<Vec<f32>> {
        on_threads(pictures, threads, |picture, scratch| self.features_with(picture, scratch))
    }

    /// The vector of a picture with these features, of norm 1; `None` if they are not finite, or all 0.
    pub fn vector_of(&self, features: Vec<f32>) -> Option<Vec<f32>> {
        let mut vector = match &self.projection {
            Some(projection) => projection.apply(&features),
            None => features,
        };
        let norm = accrue_kernel::squared_norm(&vector).sqrt();
        if !(norm.is_finite() && norm > 0.0) {
            return None;
        }
        accrue_kernel::scale(1.0 / norm, &mut vector);
        Some(vector)
    }

    fn vector(&self, path: &Path, scratch: &mut Scratch) -> Result<Vec<f32>, EncodeError> {
        let picture = Picture::open(path)?;
        self.vector_of(self.features_with(&picture, scratch)).ok_or_else(|| {
            let fault = PictureFault::NoVector;
            EncodeError::Picture { path: path.into(), fault }
        })
    }
}

/// Writes the folder of an encoder with another projection: what `from` holds, the projection, and a `config.json` that
/// names it.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write_projected(from: &Path, to: &Path, projection: &Projection) -> Result<(), EncodeError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| EncodeError::Io { path, source }
    };
    let path = from.join("config.json");
    let mut config: Value = read_json(&path)?;
    std::fs::create_dir_all(to).map_err(io(to))?;
    for name in ["model.safetensors", "LICENSE"] {
        let source = from.join(name);
        if source.is_file() && from != to {
            std::fs::copy(&source, to.join(name)).map_err(io(&source))?;
        }
    }
    let unwritten =
        |fault: SafeTensorError| EncodeError::Weights { path: to.join(projection::FILE), fault: fault.to_string() };
    let bytes = projection.to_bytes().map_err(unwritten)?;
    std::fs::write(to.join(projection::FILE), bytes).map_err(io(to))?;
    config["projection"] = serde_json::json!({ "width": projection.width() });
    let text = serde_json::to_string_pretty(&config).map_err(|source| EncodeError::Json { path, source })?;
    std::fs::write(to.join("config.json"), text + "\n").map_err(io(to))
}

/// Computes something of each input, on at most `threads` threads.
fn on_threads<I: Sync, T: Send>(
    inputs: &[I],
    threads: usize,
    compute: impl Fn(&I, &mut Scratch) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = inputs.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        let mut scratch = Scratch::default();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some((input, result)) = inputs.get(place).zip(results.get(place)) else { return };
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(compute(input, &mut scratch));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(inputs.len()) {
            scope.spawn(work);
        }
        work();
    });
    let computed = |result: Mutex<Option<T>>| {
        let result = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.expect("every place was taken by a thread, and all have ended")
    };
    results.into_iter().map(computed).collect()
}

/// The function that reads the architecture which a configuration names.
fn network_named(path: &Path, config: &Value) -> Result<ReadNetwork, EncodeError> {
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let name = text("name").unwrap_or("");
    if let Some((_, read)) = ARCHITECTURES.iter().find(|(known, _)| name.starts_with(known)) {
        return Ok(*read);
    }
    let known: Vec<String> = ARCHITECTURES.iter().map(|(name, _)| format!("{name}…")).collect();
    let expected = format!("{}, an encoder of pictures", known.join(" or "));
    Err(match (text("name"), text("model_type")) {
        (Some(name), _) => unsupported(path, "name", name, expected),
        (None, Some(model_type)) => unsupported(path, "model_type", model_type, format!("a `name`: {expected}")),
        (None, None) => unsupported(path, "name", "missing", expected),
    })
}

impl PictureInput {
    /// Reads the key `input` of a configuration.
    fn read(path: &Path, config: &Value) -> Result<Self, EncodeError> {
        #[derive(Deserialize)]
        struct Input {
            #[serde(default = "rgb")]
            channels: String,
            size: usize,
            #[serde(default = "stretch")]
            fit: String,
            mean: [f32; 3],
            std: [f32; 3],
        }
        let Some(input) = config.get("input") else {
            return Err(unsupported(path, "input", "missing", "an object with size, mean and std"));
        };
        let json = |source| EncodeError::Json { path: path.into(), source };
        let input = Input::deserialize(input).map_err(json)?;
        if input.channels != rgb() {
            return Err(unsupported(path, "input.channels", input.channels, rgb()));
        }
        if input.fit != stretch() {
            return Err(unsupported(path, "input.fit", input.fit, stretch()));
        }
        if !(8..=1_024).contains(&input.size) {
            return Err(unsupported(path, "input.size", input.size, "a number from 8 to 1024"));
        }
        let is_usable =
            input.mean.iter().chain(&input.std).all(|x| x.is_finite()) && input.std.iter().all(|&x| x > 0.0);
        if !is_usable {
            let found = format!("mean {:?} and std {:?}", input.mean, input.std);
            return Err(unsupported(path, "input", found, "finite numbers, std above 0"));
        }
        Ok(Self { size: input.size, mean: input.mean, std: input.std })
    }
}

fn rgb() -> String {
    "RGB".into()
}

fn stretch() -> String {
    "stretch".into()
}
