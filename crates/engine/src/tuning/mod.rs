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

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use accrue_encode::{
    EncodeError, Encoder, EncoderSettings, HASHED, Kind, Pairs, Trained, TuneSettings, Tuner, weights_hash,
};
use accrue_kernel::dot_rows;
use accrue_store::{LogReader, Offset};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

pub use judge::{Change, Comparison, Figures};
pub use pairs::{PairKind, PairSettings, TextPair, TextPairs, text_pairs};

use crate::config::Config;
use crate::error::EngineError;

/// Pairs that a training needs at least, and pairs to judge it on.
const MIN_PAIRS: usize = 200;
const MIN_HELD_OUT: usize = 50;
/// Pairs that an encoder is judged on, at most.
const JUDGED: usize = 5_000;
/// Texts encoded at once.
const TEXTS: usize = 512;
/// Passages that are close to a query are hard negatives if their cosine is below this share of its own passage's:
/// above it they are often right (Moreira et al., *NV-Retriever*, 2024). So many of the closest are looked at and kept.
const NEGATIVE_SHARE: f32 = 0.95;
const LOOKED_AT: usize = 64;
const NEGATIVES: usize = 10;
/// How often the state is written.
const SAVED: Duration = Duration::from_secs(60);

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

/// What a training is of; a state goes on only with the same plan.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    /// The records before this offset were read.
    to: u64,
    /// Hashes of the weights, and of texts and pairs.
    weights: String,
    pairs: String,
    /// All settings that the result depends on.
    settings: String,
}

/// The folder in which a training is done.
struct Work {
    dir: PathBuf,
    /// Locked as long as this is there.
    _lock: File,
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
    let begun = Instant::now();
    let from = Path::new(&request.encoder);
    // Before anything is read: a folder that cannot be used, or one that is there, should not cost minutes.
    let encoder = Encoder::open(&request.encoder, &request.prefixes)?;
    if fs::symlink_metadata(&request.out).is_ok() {
        return Err(TuneError::There { path: request.out.clone() });
    }
    let end = LogReader::open(dir).map_err(EngineError::from)?.end();
    let work = Work::open(&request.out)?;
    let old: Option<Plan> = work.plan()?;
    let to = request.to.or(old.as_ref().map(|plan| Offset(plan.to))).unwrap_or(end);
    let settings = PairSettings { kinds: request.kinds.clone(), to, most: request.most, seed: request.seed };
    let read = text_pairs(dir, config, &settings)?;
    let split = Split::of(&read, request.held_out)?;
    let plan = plan_of(request, to, from, &read)?;
    match old {
        Some(old) if old != plan => return Err(TuneError::OtherPlan { path: work.dir }),
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

/// Pairs to learn from and later ones to judge by.
struct Split {
    trained_on: Vec<TextPair>,
    held_out: Vec<TextPair>,
}

impl Split {
    /// Of each kind the latest share is held out; those of titles, which have no time, by the hash of the item.
    fn of(read: &TextPairs, share: f64) -> Result<Self, TuneError> {
        let mut split = Self { trained_on: Vec::new(), held_out: Vec::new() };
        for kind in PairKind::ALL {
            let of_kind: Vec<TextPair> = read.pairs.iter().filter(|pair| pair.kind == kind).copied().collect();
            let first = of_kind.len() - (of_kind.len() as f64 * share).round() as usize;
            // Pairs of one time are of one basket, which is not divided.
            let cut = of_kind.get(first).map(|pair| pair.at_ms);
            let later = |pair: &TextPair| kind == PairKind::Title || cut.is_some_and(|cut| pair.at_ms >= cut);
            let place = (0..of_kind.len()).position(|place| later(&of_kind[place])).unwrap_or(of_kind.len());
            let place = if kind == PairKind::Title { first } else { place };
            split.trained_on.extend_from_slice(&of_kind[..place]);
            split.held_out.extend_from_slice(&of_kind[place..]);
        }
        let (found, held_out) = (split.trained_on.len(), split.held_out.len());
        if found < MIN_PAIRS || held_out < MIN_HELD_OUT {
            return Err(TuneError::TooFew { found, held_out });
        }
        // Some in equal distances, where there are many.
        if held_out > JUDGED {
            split.held_out = (0..JUDGED).map(|at| split.held_out[at * held_out / JUDGED]).collect();
        }
        Ok(split)
    }

    fn settings(&self, request: &TuneRequest) -> TuneSettings {
        let steps_each = (self.trained_on.len() / request.batch.min(self.trained_on.len())).max(1);
        TuneSettings {
            trained: request.trained,
            batch: request.batch,
            steps: ((steps_each as f64 * request.epochs).ceil() as u64).max(1),
            rate: request.rate.unwrap_or(TuneSettings::usual_rate(request.trained)),
            warm_up: 0.1,
            weight_decay: 0.01,
            temperature: request.temperature,
            tokens: request.tokens,
            seed: request.seed,
            prefixes: request.prefixes.clone(),
        }
    }

    /// The pairs of the training, with hard negatives by the old encoder's vectors.
    fn pairs(&self, read: &TextPairs, vectors: &[Vec<f32>]) -> Pairs {
        let pairs: Vec<[u32; 2]> = self.trained_on.iter().map(|pair| [pair.query, pair.passage]).collect();
        let known: BTreeSet<[u32; 2]> =
            pairs.iter().flat_map(|&[query, passage]| [[query, passage], [passage, query]]).collect();
        let mut hard = vec![Vec::new(); pairs.len()];
        for (kind, candidates) in &read.candidates {
            let of_kind = |place: &usize| self.trained_on[*place].kind == *kind;
            let places: Vec<usize> = (0..pairs.len()).filter(of_kind).collect();
            if places.is_empty() {
                continue;
            }
            let table: Vec<f32> = candidates.iter().flat_map(|&text| &vectors[text as usize]).copied().collect();
            let mut closest: BTreeMap<u32, Vec<(f32, u32)>> = BTreeMap::new();
            for place in places {
                let [query, passage] = pairs[place];
                let closest = closest.entry(query).or_insert_with(|| closest_of(vectors, query, &table, candidates));
                let mut own = [0.0];
                dot_rows(&vectors[query as usize], &vectors[passage as usize], &mut own);
                let is_negative = |&&(score, text): &&(f32, u32)| {
                    score < NEGATIVE_SHARE * own[0] && text != query && !known.contains(&[query, text])
                };
                let negatives = closest.iter().filter(is_negative).take(NEGATIVES);
                hard[place] = negatives.map(|(_, text)| *text).collect();
            }
        }
        Pairs { pairs, hard, known }
    }

    fn report(&self, request: &TuneRequest, tuner: &Tuner, done: &Done) -> TuneReport {
        let mut pairs = BTreeMap::new();
        self.trained_on.iter().for_each(|pair| *pairs.entry(pair.kind.name().to_owned()).or_insert(0) += 1);
        TuneReport {
            end: TuneEnd::BrokenOff,
            out: request.out.clone(),
            pairs,
            held_out: self.held_out.len(),
            parameters: tuner.n_trained(),
            steps: [tuner.n_steps(), self.settings(request).steps],
            step_ms: done.step_ms,
            loss: done.loss,
            comparison: None,
        }
    }
}

/// The candidates closest to a query, closest first.
fn closest_of(vectors: &[Vec<f32>], query: u32, table: &[f32], candidates: &[u32]) -> Vec<(f32, u32)> {
    let mut scores = vec![0.0; candidates.len()];
    dot_rows(&vectors[query as usize], table, &mut scores);
    let mut scored: Vec<(f32, u32)> = scores.into_iter().zip(candidates.iter().copied()).collect();
    let by_score = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if scored.len() > LOOKED_AT {
        scored.select_nth_unstable_by(LOOKED_AT, by_score);
        scored.truncate(LOOKED_AT);
    }
    scored.sort_unstable_by(by_score);
    scored
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

/// Sleeps so long that the work before takes the share of the time.
fn rest(worked: Duration, share: f64) {
    if share < 1.0 {
        std::thread::sleep(worked.mul_f64(1.0 / share.max(0.01) - 1.0));
    }
}

/// What a training goes by.
struct Run<'a> {
    request: &'a TuneRequest,
    begun: Instant,
    state: &'a Path,
    plan: &'a str,
}

/// What the steps of a call did.
struct Done {
    is_over: bool,
    step_ms: f64,
    loss: [f64; 2],
}

/// Takes the steps that are left, as far as the time allows.
fn train(
    tuner: &mut Tuner,
    pairs: &Pairs,
    run: &Run<'_>,
    progress: &mut dyn FnMut(TuneProgress),
) -> Result<Done, TuneError> {
    let Run { request, begun, state, plan } = run;
    let n_steps = tuner.settings().steps;
    let (mut saved, mut losses, mut times) = (Instant::now(), Vec::new(), Vec::new());
    while tuner.n_steps() < n_steps {
        if request.budget.is_some_and(|budget| begun.elapsed() >= budget) {
            break;
        }
        let step = Instant::now();
        let batch = pairs.batch(request.seed, tuner.n_steps(), request.batch, request.negatives);
        losses.push(tuner.step(&batch)?);
        times.push(step.elapsed().as_secs_f64() * 1e3);
        progress(TuneProgress::Step(tuner.n_steps(), n_steps, losses.last().copied().unwrap_or(0.0)));
        rest(step.elapsed(), request.share);
        if saved.elapsed() >= SAVED {
            tuner.save(state, plan)?;
            saved = Instant::now();
        }
    }
    if !losses.is_empty() {
        tuner.save(state, plan)?;
    }
    let twentieth = losses.len().div_ceil(20);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let loss = [mean(&losses[..twentieth]), mean(&losses[losses.len() - twentieth..])];
    times.sort_by(f64::total_cmp);
    let step_ms = times.get(times.len() / 2).copied().unwrap_or(0.0);
    Ok(Done { is_over: tuner.n_steps() >= n_steps, step_ms, loss })
}

fn plan_of(request: &TuneRequest, to: Offset, from: &Path, read: &TextPairs) -> Result<Plan, TuneError> {
    let mut hash = Xxh3::new();
    for (kind, text) in &read.texts {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(&[u8::from(*kind == Kind::Query)]);
        hash.update(text.as_bytes());
    }
    for pair in &read.pairs {
        hash.update(format!("{pair:?}").as_bytes());
    }
    let TuneRequest { prefixes, trained, held_out, epochs, batch, negatives, rate, temperature, tokens, seed, .. } =
        request;
    let settings = format!(
        "{prefixes:?} {trained:?} {held_out} {epochs} {batch} {negatives} {rate:?} {temperature} {tokens} {seed}"
    );
    Ok(Plan {
        to: to.0,
        weights: format!("{:032x}", weights_hash(from)?),
        pairs: format!("{:032x}", hash.digest128()),
        settings,
    })
}

/// What the new folder says it was made from.
fn note(request: &TuneRequest, report: &TuneReport, plan: &Plan) -> String {
    let note = serde_json::json!({
        "made_by": concat!("accrue ", env!("CARGO_PKG_VERSION")),
        "from": request.encoder,
        "from_weights": plan.weights,
        "records_before": plan.to,
        "pairs": report.pairs,
        "held_out": report.held_out,
        "parameters": report.parameters,
        "steps": report.steps[0],
        "settings": plan.settings,
    });
    serde_json::to_string_pretty(&note).unwrap_or_default()
}

impl Work {
    /// The folder of the training beside the new one, with its lock.
    fn open(out: &Path) -> Result<Self, TuneError> {
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(".tuning");
        let dir = out.with_file_name(name);
        fs::create_dir_all(&dir).map_err(io_error(&dir))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(io_error(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(TuneError::Locked { path: dir }),
            Err(TryLockError::Error(source)) => Err(TuneError::Io { path, source }),
        }
    }

    /// The plan of a training that was begun.
    fn plan(&self) -> Result<Option<Plan>, TuneError> {
        let path = self.dir.join("plan.json");
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(plan) => Ok(Some(plan)),
                Err(_) => Err(TuneError::OtherPlan { path: self.dir.clone() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TuneError::Io { path, source }),
        }
    }

    fn write_plan(&self, plan: &Plan) -> Result<(), TuneError> {
        let (path, part) = (self.dir.join("plan.json"), self.dir.join("plan.json.part"));
        let bytes = serde_json::to_vec_pretty(plan).unwrap_or_default();
        fs::write(&part, bytes).and_then(|()| fs::rename(&part, &path)).map_err(io_error(&path))
    }

    /// Puts the new folder in its place, if it is better; removes what the training needed.
    fn end(&self, new: &Path, request: &TuneRequest, report: &TuneReport) -> Result<(), TuneError> {
        if report.end == TuneEnd::Written {
            let path = new.join("comparison.json");
            let bytes = serde_json::to_vec_pretty(&report.comparison).unwrap_or_default();
            fs::write(&path, bytes).map_err(io_error(&path))?;
            fs::rename(new, &request.out).map_err(io_error(&request.out))?;
        }
        fs::remove_dir_all(&self.dir).map_err(io_error(&self.dir))
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> TuneError {
    move |source| TuneError::Io { path: path.into(), source }
}
