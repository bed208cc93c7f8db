//! The protocol `ctr`: how well a click model predicts labelled rows.
//!
//! In: `label feature feature …` per line. In the mode `batch` the model is fitted on the training file until a
//! validation part (its own file, or the share `holdout` of the training rows) gets no better, and predicts the test
//! file. In the mode `online` it reads the training file once, in order, and predicts each line before it learns it; a
//! test file is predicted afterwards. Out: area under the curve, loss and calibration by tenths, with intervals by
//! bootstrap over rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use accrue_event::SettingFault;
use accrue_kernel::{Draws, sigmoid};
use accrue_model::collaborative::{Epoch, Fit, FitError, parallel};
use accrue_model::ranker::{AnyClickSettings, ClickData, ClickRows, auc, calibration_error, deciles, log_loss};
use serde::Serialize;

use crate::LabError;
use crate::cost::{Cost, Stopwatch};
use crate::evaluation::Stage;
use crate::metrics::Interval;
use crate::read::{ClickReader, FieldsBy, ReadFor};
use crate::report::round;
use crate::settings::{Pairs, click_model_kind, click_model_settings, described_click_model};

/// The name of the protocol.
pub const CTR: &str = "ctr";
/// Streams of random numbers.
const HOLDOUT: u64 = 0x4354_5231;
const BOOTSTRAP: u64 = 0x4354_5232;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 200;
/// Rows between two reports of progress.
const BETWEEN: usize = 1 << 13;

/// What is to be evaluated.
#[derive(Clone, Debug)]
pub struct ClickRequest {
    /// Name of the model.
    pub model: String,
    /// The rows to learn from.
    pub train: PathBuf,
    /// The rows that say when to stop; without them a share of the training rows.
    pub valid: Option<PathBuf>,
    /// The rows to predict.
    pub test: Option<PathBuf>,
    /// Settings of the protocol and of the model.
    pub settings: Vec<(String, String)>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Number of threads.
    pub threads: usize,
    /// Whether the report is to hold the probability of each row.
    pub predictions: bool,
}

/// The result. The same bytes for the same seed, except for `cost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClickReport {
    /// `ctr`.
    pub protocol: &'static str,
    /// The name of the model.
    pub model: String,
    /// Settings of protocol and model.
    pub settings: BTreeMap<String, String>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// `auc`, `logloss`, `calibration` (mean distance of tenths from what happened), `calibration_worst` (the largest);
    /// in the mode `online` with a test file also `prequential.auc` and `prequential.logloss`.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals, by bootstrap over rows.
    pub ci95: BTreeMap<String, Interval>,
    /// `auc`.
    pub main_metric: &'static str,
    /// The rows by tenths, from the least to the most probable.
    pub deciles: Vec<DecileFigures>,
    /// How features belong to fields, and their numbers.
    pub data: ClickFigures,
    /// Number of predicted rows.
    pub n_eval: usize,
    /// Number of parameters that the model learned.
    pub n_params: u64,
    /// Mean loss by pass, for fits.
    pub curve: Vec<f64>,
    /// What was left out of the files, and how often.
    pub counted: BTreeMap<&'static str, u64>,
    /// Time and memory used.
    pub cost: Cost,
    /// Each predicted row, if they were asked for; not part of the printed report.
    #[serde(skip)]
    pub predictions: Vec<PredictedClick>,
}

/// One tenth of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DecileFigures {
    /// Number of rows.
    pub n: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of rows with the label 1.
    pub happened: f64,
}

/// The size of the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClickFigures {
    /// `column`, `name` or `nothing`: how features belong to fields.
    pub fields_by: &'static str,
    /// Number of fields.
    pub n_fields: usize,
    /// Number of features.
    pub n_features: usize,
    /// Rows that were learned.
    pub n_train: usize,
    /// Rows that decided when to stop.
    pub n_valid: usize,
}

/// One predicted row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PredictedClick {
    /// The number of the row, from 1.
    pub row: usize,
    /// The label in the file.
    pub label: f32,
    /// The predicted probability.
    pub predicted: f32,
}

/// What a mode found out.
struct Found {
    labels: Vec<f32>,
    probabilities: Vec<f32>,
    more: BTreeMap<String, f64>,
    n_train: usize,
    n_valid: usize,
    n_params: u64,
    curve: Vec<f64>,
    cost: Cost,
}

/// Settings of the protocol.
struct ClickProtocol {
    is_online: bool,
    holdout: f64,
}

impl ClickProtocol {
    fn take(pairs: &mut Pairs) -> Result<Self, LabError> {
        let is_online = pairs.take_word("mode", &["batch", "online"])? == "online";
        let holdout = pairs.take("holdout", 0.1, "a share above 0 and below 1")?;
        SettingFault::check("holdout", holdout, 0.001..=0.9)?;
        Ok(Self { is_online, holdout })
    }
}

/// Reads the files, learns, predicts, and computes the metrics.
///
/// # Errors
/// [`LabError`] if a file, a setting or a model cannot be used.
pub fn evaluate_clicks(request: &ClickRequest, progress: &(dyn Fn(Stage) + Sync)) -> Result<ClickReport, LabError> {
    let mut pairs = Pairs::new(&request.settings);
    let protocol = ClickProtocol::take(&mut pairs)?;
    let kind = click_model_kind(&request.model)?;
    let settings = click_model_settings(kind, &pairs.rest())?;
    // The time to read a stream is part of the time to learn it.
    let stopwatch = Stopwatch::start();
    let mut reader = ClickReader::of(&request.train)?;
    let found = match protocol.is_online {
        true => online(request, &settings, &mut reader, stopwatch, progress)?,
        false => batch(request, &protocol, &settings, &mut reader, progress)?,
    };
    let Found { labels, probabilities, more, n_train, n_valid, n_params, curve, cost } = found;
    if let Some(row) = probabilities.iter().position(|p| !p.is_finite()) {
        return Err(LabError::NotANumber { model: kind.name(), user: row as u32 });
    }
    let tenths = deciles(&labels, &probabilities);
    let worst = tenths.iter().map(|tenth| (tenth.predicted - tenth.happened).abs()).fold(0.0, f64::max);
    let mut metrics = more;
    for (name, value) in [
        ("auc", auc(&labels, &probabilities)),
        ("logloss", log_loss(&labels, &probabilities)),
        ("calibration", calibration_error(&tenths)),
        ("calibration_worst", worst),
    ] {
        metrics.insert(name.into(), round(value));
    }
    let shape = reader.shape();
    let mut described = described_click_model(&settings);
    described.insert("mode".into(), if protocol.is_online { "online" } else { "batch" }.into());
    if !protocol.is_online && request.valid.is_none() {
        described.insert("holdout".into(), protocol.holdout.to_string());
    }
    let predicted = labels.iter().zip(&probabilities).enumerate();
    let predicted = predicted.map(|(row, (&label, &predicted))| PredictedClick { row: row + 1, label, predicted });
    Ok(ClickReport {
        protocol: CTR,
        model: kind.name().into(),
        settings: described,
        seed: request.seed,
        metrics,
        ci95: intervals(&labels, &probabilities, request.seed, request.threads),
        main_metric: "auc",
        deciles: tenths
            .iter()
            .map(|tenth| {
                let (predicted, happened) = (round(tenth.predicted), round(tenth.happened));
                DecileFigures { n: tenth.n, predicted, happened }
            })
            .collect(),
        data: ClickFigures {
            fields_by: match reader.by() {
                FieldsBy::Column(_) => "column",
                FieldsBy::Name => "name",
                FieldsBy::Nothing => "nothing",
            },
            n_fields: shape.n_fields,
            n_features: shape.n_rows,
            n_train,
            n_valid,
        },
        n_eval: labels.len(),
        n_params,
        curve,
        counted: BTreeMap::from([("unknown_features", reader.n_unknown())]),
        predictions: if request.predictions { predicted.collect() } else { Vec::new() },
        cost,
    })
}

/// Fits on the training rows and predicts the test.
fn batch(
    request: &ClickRequest,
    protocol: &ClickProtocol,
    settings: &AnyClickSettings,
    reader: &mut ClickReader,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Found, LabError> {
    let Some(test) = &request.test else {
        return Err(LabError::NeedsTest { protocol: CTR, train: request.train.clone() });
    };
    let rows = reader.read(&request.train, ReadFor::Training)?;
    refuse_one_label(&rows, &request.train)?;
    let (train, valid) = match &request.valid {
        Some(valid) => (rows, reader.read(valid, ReadFor::Test)?),
        None => split(&rows, protocol.holdout, request.seed),
    };
    let test = reader.read(test, ReadFor::Test)?;
    let mut stopwatch = Stopwatch::start();
    let curve = Mutex::new(Vec::new());
    let hear = |epoch: Epoch| {
        if let (Some(loss), Ok(mut curve)) = (epoch.loss, curve.lock()) {
            curve.push(round(loss));
        }
        progress(Stage::Trained(epoch));
    };
    let fit = Fit { seed: request.seed, threads: request.threads, progress: &hear, stop: &|| false };
    let data = ClickData { train: &train, valid: &valid, shape: reader.shape() };
    let fitted = settings.fit(data, &fit)?;
    let probabilities = stopwatch.evaluating(|| fitted.probabilities(&test, request.threads));
    let curve = curve.into_inner().unwrap_or_default();
    let n_learned = train.len() * curve.len().max(1);
    Ok(Found {
        labels: test.labels().to_vec(),
        probabilities,
        more: BTreeMap::new(),
        n_train: train.len(),
        n_valid: valid.len(),
        n_params: fitted.n_params(),
        curve,
        cost: stopwatch.cost(n_learned as u64),
    })
}

/// Reads the training rows once, in order: predicts each before it learns it.
fn online(
    request: &ClickRequest,
    settings: &AnyClickSettings,
    reader: &mut ClickReader,
    mut stopwatch: Stopwatch,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Found, LabError> {
    let rows = reader.read(&request.train, ReadFor::Stream)?;
    let mut model = settings.online(reader.shape(), request.seed)?;
    let mut logits = vec![0.0; rows.len()];
    for (place, out) in logits.chunks_mut(BETWEEN).enumerate() {
        let learned = model.predict_and_learn(&rows, place * BETWEEN, request.threads, out);
        learned.map_err(|_| FitError::Diverged { epoch: 1 })?;
        progress(Stage::Asked((place * BETWEEN + out.len()) as f64 / rows.len() as f64));
    }
    let probability = |logits: &[f32]| -> Vec<f32> { logits.iter().map(|&logit| sigmoid(logit)).collect() };
    let (mut labels, mut probabilities) = (rows.labels().to_vec(), probability(&logits));
    let mut cost = stopwatch.cost(rows.len() as u64);
    let mut more = BTreeMap::new();
    if let Some(test) = &request.test {
        more.insert("prequential.auc".to_string(), round(auc(&labels, &logits)));
        more.insert("prequential.logloss".to_string(), round(log_loss(&labels, &probabilities)));
        let test = stopwatch.evaluating(|| reader.read(test, ReadFor::Test))?;
        let mut logits = vec![0.0; test.len()];
        stopwatch.evaluating(|| model.logits(&test, request.threads, &mut logits));
        (labels, probabilities) = (test.labels().to_vec(), probability(&logits));
        cost.eval_s = stopwatch.cost(1).eval_s;
    }
    let n_params = model.n_params();
    Ok(Found { labels, probabilities, more, n_train: rows.len(), n_valid: 0, n_params, curve: Vec::new(), cost })
}

/// Refuses rows that all have the same label: there is nothing to tell apart.
fn refuse_one_label(rows: &ClickRows, path: &Path) -> Result<(), LabError> {
    let n_positive = rows.labels().iter().filter(|&&label| label > 0.5).count();
    if n_positive == 0 || n_positive == rows.len() {
        return Err(LabError::OneLabel { path: path.into() });
    }
    Ok(())
}

/// The rows to learn from, and a share drawn at random to validate on; both keep the order of the file.
fn split(rows: &ClickRows, share: f64, seed: u64) -> (ClickRows, ClickRows) {
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    Draws::new(seed, HOLDOUT, 0).shuffle(&mut order);
    let n_valid = ((rows.len() as f64 * share) as usize).clamp(1, rows.len().max(2) - 1);
    let (valid, train) = order.split_at_mut(n_valid.min(rows.len()));
    valid.sort_unstable();
    train.sort_unstable();
    (rows.select(train), rows.select(valid))
}

/// Intervals of area and loss.
fn intervals(labels: &[f32], probabilities: &[f32], seed: u64, threads: usize) -> BTreeMap<String, Interval> {
    let n = labels.len();
    if n == 0 {
        return BTreeMap::new();
    }
    let resampled = parallel::map(
        threads,
        RESAMPLES,
        || (vec![0.0; n], vec![0.0; n]),
        |(drawn_labels, drawn), resample| {
            let mut draws = Draws::new(seed, BOOTSTRAP, resample as u64);
            for (label, p) in drawn_labels.iter_mut().zip(&mut *drawn) {
                let row = draws.below(n as u64) as usize;
                (*label, *p) = (labels[row], probabilities[row]);
            }
            [auc(drawn_labels, drawn), log_loss(drawn_labels, drawn)]
        },
    );
    let interval = |figure: usize| {
        let mut values: Vec<f64> = resampled.iter().map(|figures| figures[figure]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| round(values[((RESAMPLES - 1) as f64 * share).round() as usize]);
        Interval(at(0.025), at(0.975))
    };
    BTreeMap::from([("auc".to_string(), interval(0)), ("logloss".to_string(), interval(1))])
}
