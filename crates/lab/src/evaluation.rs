//! A fitted model under a protocol on files: the work of `accrue evaluate`.

use std::collections::BTreeMap;
use std::sync::Mutex;

use accrue_model::collaborative::{AnyModel, AnySettings, Epoch, Fit, Kind};
use serde::Serialize;

use crate::LabError;
use crate::cost::{Cost, Stopwatch};
use crate::metrics::Interval;
use crate::protocol::SAMPLED_NEGATIVES;
use crate::protocol::{Protocol, ProtocolSettings};
use crate::ranking::{Group, Known, LeftOut, Measured, Outcome, Query, Summary, Task, evaluate, summarise};
use crate::read::Data;
use crate::report::round;
use crate::settings::{Pairs, described_model, model_kind, model_settings};

/// What is to be evaluated.
#[derive(Clone, Debug)]
pub struct Request {
    /// Name of the model.
    pub model: String,
    /// The data to learn from.
    pub train: Data,
    /// The queries, if the protocol takes them from another file.
    pub test: Option<Data>,
    /// Settings of the protocol and of the model.
    pub settings: Vec<(String, String)>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Number of threads.
    pub threads: usize,
    /// Whether the report is to hold the list of each query.
    pub predictions: bool,
}

/// Progress of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stage {
    /// An epoch of training is done.
    Trained(Epoch),
    /// This share of the queries is evaluated.
    Asked(f64),
    /// This share of a search's budget is used.
    Searched(f64),
}

/// The result. The same bytes for the same seed, except for `cost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankingReport {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// The name of the model.
    pub model: String,
    /// Settings of protocol and model.
    pub settings: BTreeMap<String, String>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Means over queries.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals, by bootstrap over users.
    pub ci95: BTreeMap<String, Interval>,
    /// The size of the data that was learned from.
    pub data: DataFigures,
    /// Number of queries.
    pub n_eval: usize,
    /// Number of parameters that the model learned.
    pub n_params: u64,
    /// The metric of the groups below.
    pub main_metric: &'static str,
    /// The metrics of users that were trained on and of users that were not, if there are both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_user: Vec<Known>,
    /// The main metric by length of the history, with the lift over popularity.
    pub by_history: Vec<Group>,
    /// The main metric by popularity of the chosen items.
    pub by_popularity: Vec<Group>,
    /// Mean loss by epoch, for models that have one.
    pub curve: Vec<f64>,
    /// What was left out of the files, and how often.
    pub counted: LeftOut,
    /// Time and memory used.
    pub cost: Cost,
    /// The list of each query, if they were asked for; not part of the printed report.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
}

/// The size of the data that was learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DataFigures {
    /// Number of histories that are not empty.
    pub n_users: usize,
    /// Number of items in all files.
    pub n_items: usize,
    /// Number of choices or ratings.
    pub n_interactions: usize,
}

/// The list that a model made for one query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The user, or the number of the session.
    pub user: String,
    /// Whether the user has a history in the training data.
    pub trained_on: bool,
    /// The items that the user chose.
    pub relevant: Vec<String>,
    /// Their ranks from 1, ascending; `null` for those that are not candidates.
    pub ranks: Vec<Option<u32>>,
    /// The best items, best first; empty if a query ranks sampled items.
    pub items: Vec<String>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// The metrics of this query.
    pub metrics: BTreeMap<String, f64>,
}

/// Reads the files, fits the model, answers the queries and computes the metrics.
///
/// # Errors
/// [`LabError`] if a file, a setting or a model cannot be used.
pub fn evaluate_files(
    protocol: Protocol,
    request: &Request,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<RankingReport, LabError> {
    let mut pairs = Pairs::new(&request.settings);
    let protocol_settings = protocol.settings(&mut pairs)?;
    let settings = model_settings(model_kind(&request.model)?, &pairs.rest())?;
    let task = protocol.task(&request.train, request.test.as_ref(), &protocol_settings, request.seed)?;
    report(protocol, request, &task, &protocol_settings, &settings, progress)
}

pub(crate) fn report(
    protocol: Protocol,
    request: &Request,
    task: &Task,
    protocol_settings: &ProtocolSettings,
    settings: &AnySettings,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<RankingReport, LabError> {
    let (seed, threads) = (request.seed, request.threads);
    let mut stopwatch = Stopwatch::start();
    let curve = Mutex::new(Vec::new());
    let on_epoch = |epoch: Epoch| {
        curve.lock().expect("no holder panics").extend(epoch.loss);
        progress(Stage::Trained(epoch));
    };
    let model = settings.fit(&task.train, &Fit { progress: &on_epoch, ..Fit::quiet(seed, threads) })?;
    let ((summary, predictions), cost) = {
        let summary = stopwatch.evaluating(|| -> Result<_, LabError> {
            let outcomes = evaluate(&model, task, threads, &|done| progress(Stage::Asked(done)), &|| false)?;
            let baseline = popularity(task, seed, threads)?;
            let cutoffs = &protocol_settings.cutoffs;
            let summary = summarise(task, &outcomes, &baseline, cutoffs, protocol.main_metric(), seed, threads);
            let predictions = if request.predictions { predictions(task, &outcomes, cutoffs) } else { Vec::new() };
            Ok((summary, predictions))
        })?;
        (summary, stopwatch.cost(task.train.n_interactions() as u64))
    };
    let mut described = described_model(settings);
    describe_protocol(protocol, protocol_settings, task, &mut described);
    let Summary { mut metrics, mut ci95, by_user, by_history, by_popularity } = summary;
    if protocol == Protocol::Sessions {
        // The literature on sessions calls the hit rate P.
        for k in &protocol_settings.cutoffs {
            let (name, hr) = (format!("p@{k}"), format!("hr@{k}"));
            metrics.insert(name.clone(), metrics[&hr]);
            ci95.insert(name, ci95[&hr]);
        }
    }
    Ok(RankingReport {
        protocol: protocol.name(),
        model: settings.kind().name().to_string(),
        settings: described,
        seed,
        metrics,
        ci95,
        data: DataFigures {
            n_users: task.train.histories().filter(|history| !history.is_empty()).count(),
            n_items: task.train.n_items(),
            n_interactions: task.train.n_interactions(),
        },
        n_eval: task.queries.len(),
        n_params: model.n_params(),
        main_metric: protocol.main_metric(),
        by_user,
        by_history,
        by_popularity,
        curve: curve.into_inner().expect("no holder panics"),
        counted: task.counted.clone(),
        cost,
        predictions,
    })
}

/// The list of each query, with names.
fn predictions(task: &Task, outcomes: &[Outcome], cutoffs: &[u32]) -> Vec<Prediction> {
    let names = Measured::names(cutoffs);
    let of_query = |(query, outcome): (&Query, &Outcome)| Prediction {
        user: task.names.user(query.user),
        trained_on: !query.history.is_empty(),
        relevant: query.relevant.iter().map(|&item| task.names.item(item)).collect(),
        ranks: outcome.ranks.iter().map(|rank| rank.map(|rank| rank + 1)).collect(),
        items: outcome.list.iter().map(|&(item, _)| task.names.item(item)).collect(),
        scores: outcome.list.iter().map(|&(_, score)| score).collect(),
        metrics: names.iter().cloned().zip(Measured::new(outcome, cutoffs).0.into_iter().map(round)).collect(),
    };
    task.queries.iter().zip(outcomes).map(of_query).collect()
}

/// Popularity's outcomes for the same queries: the baseline of the lift.
fn popularity(task: &Task, seed: u64, threads: usize) -> Result<Vec<Outcome>, LabError> {
    let model: AnyModel = Kind::ItemCounts.default_settings().fit(&task.train, &Fit::quiet(seed, threads))?;
    evaluate(&model, task, threads, &|_| {}, &|| false)
}

fn describe_protocol(
    protocol: Protocol,
    settings: &ProtocolSettings,
    task: &Task,
    described: &mut BTreeMap<String, String>,
) {
    let mut describe = |key: &str, value: String| described.insert(key.to_string(), value);
    describe("on", if settings.on_validation { "validation" } else { "test" }.to_string());
    describe("seen", if task.drop_seen { "drop" } else { "keep" }.to_string());
    describe("at", settings.cutoffs.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    if let Some(share) = settings.share {
        describe("share", share.to_string());
    }
    let draws_negatives = task.queries.iter().any(|query| query.among.is_some())
        && (protocol == Protocol::LeaveOneOut || task.counted.contains_key(SAMPLED_NEGATIVES));
    if draws_negatives {
        describe("negatives", settings.negatives.to_string());
    }
    if settings.refit {
        describe("refit", "true".to_string());
    }
}
