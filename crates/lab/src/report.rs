//! The report of a stream evaluation. External scripts rely on its form.

use std::collections::BTreeMap;

use accrue_model::ranker::{ClickHeads, HEADS, HeadFigures};
use accrue_train::Change;
use serde::Serialize;

use crate::Cost;
use crate::metrics::{Hit, Interval, bootstrap, mean};

/// The result of an evaluation. The same bytes for the same seed, except for `cost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The name of the protocol.
    pub protocol: &'static str,
    /// The name of the model.
    pub model: String,
    /// Settings of protocol and model.
    pub settings: BTreeMap<String, String>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Means over all predictions, and separately over first-time (`.new`) and repeated (`.repeat`) pairs.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals, by bootstrap over users.
    pub ci95: BTreeMap<String, Interval>,
    /// The same by week of the stream.
    pub weeks: Vec<Week>,
    /// The same by twentieth of the stream's events, for streams with many weeks or few events in each.
    pub blocks: Vec<Block>,
    /// The changes that the drift detector found.
    pub drift: DriftFigures,
    /// How well the click heads predicted what follows an impression, if the events have impressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clicks: Option<ImpressionFigures>,
    /// Number of predictions.
    pub n_eval: usize,
    /// Number of parameters that the model learned.
    pub n_params: u64,
    /// Time and memory used.
    pub cost: Cost,
    /// Every prediction, in stream order; not part of the printed report.
    #[serde(skip)]
    pub hits: Vec<Hit>,
}

/// How well the click heads predicted, over about the last 30,000 impressions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImpressionFigures {
    /// Impressions learned.
    pub n_learned: u64,
    /// Of each head.
    pub heads: BTreeMap<&'static str, HeadFigures>,
}

impl ImpressionFigures {
    /// The figures; `None` if nothing was learned.
    pub(crate) fn of(heads: &ClickHeads) -> Option<Self> {
        let rounded = |figures: HeadFigures| HeadFigures {
            rate: round(figures.rate),
            predicted: round(figures.predicted),
            auc: round(figures.auc),
            logloss: round(figures.logloss),
            calibration: round(figures.calibration),
            calibration_worst: round(figures.calibration_worst),
        };
        let each = HEADS.into_iter().zip(heads.quality()).map(|(name, quality)| (name, rounded(quality.figures())));
        (heads.n_learned() > 0).then(|| Self { n_learned: heads.n_learned(), heads: each.collect() })
    }
}

/// Changes in the quality of the blend's predictions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DriftFigures {
    /// Number of changes in either direction.
    pub n_changes: u64,
    /// Number of changes for the worse.
    pub n_worse: u64,
    /// The latest changes, by record.
    pub changes: Vec<Change>,
}

/// The means of one week.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Week {
    /// Weeks since the first prediction.
    pub week: u32,
    /// Number of predictions.
    pub n_eval: usize,
    /// Hit rate.
    #[serde(rename = "hr@20")]
    pub hit_rate: f64,
    /// NDCG.
    #[serde(rename = "ndcg@20")]
    pub ndcg: f64,
}

/// Means over one twentieth of the stream's events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Block {
    /// The index of the twentieth, from 0.
    pub block: u32,
    /// Number of predictions.
    pub n_eval: usize,
    /// Hit rate.
    #[serde(rename = "hr@20")]
    pub hit_rate: f64,
    /// NDCG.
    #[serde(rename = "ndcg@20")]
    pub ndcg: f64,
}

/// Number of equal blocks into which a stream's events are divided.
pub(crate) const BLOCKS: u32 = 20;

/// A metric's name and its value for one prediction.
type Figure = (&'static str, fn(&Hit) -> f64);

const FIGURES: [Figure; 2] = [("hr@20", Hit::hit), ("ndcg@20", Hit::gain)];

/// Means over all pairs, new pairs and repeated pairs.
pub(crate) fn metrics(hits: &[Hit]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for (name, value) in FIGURES {
        metrics.insert(name.to_string(), round(mean(hits.iter(), value)));
        metrics.insert(format!("{name}.new"), round(mean(hits.iter().filter(|hit| !hit.repeat), value)));
        metrics.insert(format!("{name}.repeat"), round(mean(hits.iter().filter(|hit| hit.repeat), value)));
    }
    metrics
}

/// Intervals of the means over all pairs.
pub(crate) fn intervals(hits: &[Hit], seed: u64) -> BTreeMap<String, Interval> {
    FIGURES
        .iter()
        .map(|&(name, value)| {
            let Interval(low, high) = bootstrap(hits, value, seed);
            (name.to_string(), Interval(round(low), round(high)))
        })
        .collect()
}

/// Means by week.
pub(crate) fn weeks(hits: &[Hit]) -> Vec<Week> {
    let last = hits.iter().map(|hit| hit.week).max();
    (0..last.map_or(0, |last| last + 1))
        .map(|week| {
            let of_week = || hits.iter().filter(move |hit| hit.week == week);
            Week {
                week,
                n_eval: of_week().count(),
                hit_rate: round(mean(of_week(), Hit::hit)),
                ndcg: round(mean(of_week(), Hit::gain)),
            }
        })
        .collect()
}

/// Means by twentieth of the stream; blocks without predictions are left out.
pub(crate) fn blocks(hits: &[Hit]) -> Vec<Block> {
    (0..BLOCKS)
        .map(|block| {
            let within = || hits.iter().filter(move |hit| hit.block == block);
            Block {
                block,
                n_eval: within().count(),
                hit_rate: round(mean(within(), Hit::hit)),
                ndcg: round(mean(within(), Hit::gain)),
            }
        })
        .filter(|block| block.n_eval > 0)
        .collect()
}

/// Rounds to six digits after the point, which is more precise than any metric and the same on every machine.
pub(crate) fn round(x: f64) -> f64 {
    // The sum turns a negative zero into zero.
    (x * 1e6).round() / 1e6 + 0.0
}
