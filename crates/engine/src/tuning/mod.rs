//! Training of the shop's encoder on its own choices, beside a running server or without one.
//!
//! In: a data folder, an encoder's folder. Out: another encoder's folder, if it finds later choices better than the old one.
//! The data folder is only read: to use the new encoder is a setting, and its vectors are a space of their own.
//!
//! The work is done in a folder beside the new one, `NAME.tuning`: there lie the plan (which records are read, so that a log
//! that grows changes nothing) and the state of the training. Broken off at any moment, the same command goes on and
//! ends with the same bytes. The new folder appears as a whole, in one renaming.

mod judge;
mod pairs;
mod split;
mod train;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use accrue_encode::{EncodeError, Encoder, EncoderSettings, HASHED, Kind, Trained, Tuner};
use accrue_store::{LogReader, Offset};
use serde::Serialize;

pub use judge::{Change, Comparison, Figures};
pub use pairs::{PairKind, PairSettings, TextPair, TextPairs, text_pairs};
pub use work::tuning_folder;

use crate::config::Config;
use crate::error::EngineError;
use split::{MIN_HELD_OUT, MIN_PAIRS, Split};
use train::{Run, rest, train};
use work::{Plan, Work, note, plan_of};

/// Texts encoded at once.
const TEXTS: usize = 512;

/// A training.
#[derive(Clone, Debug)]
pub struct TuneRequest {
    /// The folder of the encoder to begin with.
    pub encoder: String,
    /// What is written before texts.
    pub prefixes: EncoderSettings,
    /// The new folder.
    pub out: PathBuf,
    /// What of the encoder is trained.
    pub trained: Trained,
    /// Kinds of pairs; see [`PairSettings::kinds`].
    pub kinds: Vec<PairKind>,
    /// The records before this offset; the whole log where nothing is said.
    pub to: Option<Offset>,
    /// The most pairs.
    pub most: usize,
    /// The share of the latest pairs that is held out.
    pub held_out: f64,
    /// How often every pair is seen.
    pub epochs: f64,
    /// Pairs of a step.
    pub batch: usize,
    /// Hard negatives of a pair.
    pub negatives: usize,
    /// The learning rate; what is usual where nothing is said.
    pub rate: Option<f32>,
    /// What cosines are divided by.
    pub temperature: f32,
    /// Tokens of a text that are read in training.
    pub tokens: usize,
    /// Of everything random.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
    /// The share of the time in which they work, 0 to 1.
    pub share: f64,
    /// The time after which the training is broken off, to go on at the next call.
    pub budget: Option<Duration>,
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TuneEnd {
    /// The new folder is there.
    Written,
    /// It would not have been better.
    Refused,
    /// The time was over; the same call goes on.
    BrokenOff,
}

/// What a training did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TuneReport {
    /// How it ended.
    pub end: TuneEnd,
    /// The new folder.
    pub out: PathBuf,
    /// Pairs that were trained on, by kind.
    pub pairs: BTreeMap<String, usize>,
    /// Pairs that were held out, all of them later.
    pub held_out: usize,
    /// Parameters that were trained.
    pub parameters: usize,
    /// Steps taken, also by earlier calls, and steps in all.
    pub steps: [u64; 2],
    /// Milliseconds of a step of this call, the median.
    pub step_ms: f64,
    /// The loss over the first and the last twentieth of this call's steps.
    pub loss: [f64; 2],
    /// The comparison with the old encoder, once the training has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Why an encoder cannot be trained.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// The log cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The encoder cannot be used, or a file of it not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The encoder has no weights.
    #[error("`hashed` has no weights that could be trained; name a folder of an encoder")]
    NoWeights,
    /// The new folder is there already.
    #[error("{} is there already; nothing is overwritten", path.display())]
    There {
        /// The folder.
        path: PathBuf,
    },
    /// The new folder would lie in one that is only read.
    #[error("{} lies in {}, which is only read; name a folder beside it", path.display(), dir.display())]
    Inside {
        /// The new folder.
        path: PathBuf,
        /// The data folder, or that of the encoder.
        dir: PathBuf,
    },
    /// Another process trains into the same folder.
    #[error("{}: another process is training into this folder", path.display())]
    Locked {
        /// The folder of the training.
        path: PathBuf,
    },
    /// The state in the folder of the training is of another one.
    #[error("{}: the training that was begun there has another encoder, other pairs or other settings", path.display())]
    OtherPlan {
        /// The folder of the training.
        path: PathBuf,
    },
    /// There are too few pairs.
    #[error(
        "the log has {found} pairs of texts to learn from and {held_out} later ones to judge by; it takes {MIN_PAIRS} \
         and {MIN_HELD_OUT}"
    )]
    TooFew {
        /// Pairs to learn from.
        found: usize,
        /// Pairs held out.
        held_out: usize,
    },
    /// A file of the training cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What is under way, for people who wait.
#[derive(Clone, Copy, Debug)]
pub enum TuneProgress {
    /// Texts that were encoded, of so many.
    Encoded(usize, usize),
    /// Steps taken, of so many, and the loss of the last.
    Step(u64, u64, f64),
}

/// Trains an encoder on the choices in a data folder's log, and writes the new one if it is better.
///
/// # Errors
/// If the log or the encoder cannot be used, there are too few pairs, or a file cannot be written. What was done so far
/// stays, and the same call goes on.
pub fn tune_encoder(
    dir: &Path,
    config: &Config,
    request: &TuneRequest,
    progress: &mut dyn FnMut(TuneProgress),
) -> Result<TuneReport, TuneError> {
    if request.encoder == HASHED {
        return Err(TuneError::NoWeights);
    }
    // Before anything is read: a folder that cannot be used, or one that is there, should not cost minutes.
    let encoder = Encoder::open(&request.encoder, &request.prefixes)?;
    if fs::symlink_metadata(&request.out).is_ok() {
        return Err(TuneError::There { path: request.out.clone() });
    }
    for read in [dir, Path::new(&request.encoder)] {
        let io = |source| TuneError::Io { path: request.out.clone(), source };
        if accrue_store::is_inside(read, &request.out).map_err(io)? {
            return Err(TuneError::Inside { path: request.out.clone(), dir: read.into() });
        }
    }
    let end = LogReader::open(config.log_place(dir)).map_err(EngineError::from)?.end();
    let work = Work::open(&request.out)?;
    let report = tune_in(&work, encoder, (dir, config, end), request, progress);
    if report.is_err() {
        work.remove_if_not_begun();
    }
    report
}

/// [`tune_encoder`], in the folder of the training.
fn tune_in(
    work: &Work,
    encoder: Encoder,
    (dir, config, end): (&Path, &Config, Offset),
    request: &TuneRequest,
    progress: &mut dyn FnMut(TuneProgress),
) -> Result<TuneReport, TuneError> {
    let (begun, from) = (Instant::now(), Path::new(&request.encoder));
    let old: Option<Plan> = work.plan()?;
    let to = request.to.or(old.as_ref().map(|plan| Offset(plan.to))).unwrap_or(end);
    let settings = PairSettings { kinds: request.kinds.clone(), to, most: request.most, seed: request.seed };
    let read = text_pairs(dir, config, &settings)?;
    let split = Split::of(&read, request.held_out)?;
    let plan = plan_of(request, to, from, &read)?;
    match old {
        Some(old) if old != plan => return Err(TuneError::OtherPlan { path: work.dir.clone() }),
        Some(_) => {}
        None => work.write_plan(&plan)?,
    }
    let needed = needed(&read, &split);
    let before = vectors(&encoder, &read.texts, &needed, request, progress)?;
    drop(encoder);
    let mut tuner = Tuner::open(from, &read.texts, split.settings(request), request.threads)?;
    let state = work.dir.join("state.safetensors");
    let plan_text = serde_json::to_string(&plan).unwrap_or_default();
    if state.is_file() {
        tuner.resume(&state, &plan_text)?;
    }
    let pairs = split.pairs(&read, &before);
    let trained = train(&mut tuner, &pairs, &Run { request, begun, state: &state, plan: &plan_text }, progress)?;
    let mut report = split.report(request, &tuner, &trained);
    if trained.is_over {
        let note = note(request, &report, &plan);
        let new = work.dir.join("encoder");
        tuner.write(from, &new, note.as_bytes())?;
        drop(tuner);
        let encoder = Encoder::open(&new.to_string_lossy(), &request.prefixes)?;
        let after = vectors(&encoder, &read.texts, &needed, request, progress)?;
        let comparison =
            judge::compare(&split.held_out, &split.trained_on, &read.candidates, [&before, &after], request.seed);
        report.end = if comparison.is_better() { TuneEnd::Written } else { TuneEnd::Refused };
        report.comparison = Some(comparison);
        work.end(&new, request, &report)?;
    }
    Ok(report)
}

/// The texts whose vectors are needed, ascending.
fn needed(read: &TextPairs, split: &Split) -> Vec<u32> {
    let pairs = split.trained_on.iter().chain(&split.held_out);
    let kinds: BTreeSet<PairKind> = pairs.clone().map(|pair| pair.kind).collect();
    let candidates = kinds.iter().filter_map(|kind| read.candidates.get(kind)).flatten().copied();
    let all: BTreeSet<u32> = pairs.flat_map(|pair| [pair.query, pair.passage]).chain(candidates).collect();
    all.into_iter().collect()
}

/// The vectors of these texts, each at its text's place; of the others empty ones.
fn vectors(
    encoder: &Encoder,
    texts: &[(Kind, String)],
    needed: &[u32],
    request: &TuneRequest,
    progress: &mut dyn FnMut(TuneProgress),
) -> Result<Vec<Vec<f32>>, TuneError> {
    let mut vectors = vec![Vec::new(); texts.len()];
    let mut n_done = 0;
    for kind in [Kind::Passage, Kind::Query] {
        let of_kind: Vec<u32> = needed.iter().copied().filter(|&text| texts[text as usize].0 == kind).collect();
        for places in of_kind.chunks(TEXTS) {
            let begun = Instant::now();
            let some: Vec<&str> = places.iter().map(|&place| &*texts[place as usize].1).collect();
            let encoded = encoder.encode(Some(kind), &some, request.threads)?;
            places.iter().zip(encoded).for_each(|(&place, vector)| vectors[place as usize] = vector);
            n_done += places.len();
            progress(TuneProgress::Encoded(n_done, needed.len()));
            rest(begun.elapsed(), request.share);
        }
    }
    Ok(vectors)
}
