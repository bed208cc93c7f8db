//! What an evaluation prints: the contract that scripts outside rely on.

use std::collections::BTreeMap;

use accrue_train::Change;
use serde::Serialize;

use crate::Cost;
use crate::metrics::{Hit, Interval, bootstrap, mean};

/// The result of an evaluation. The same bytes for the same seed, save under `cost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How it was measured.
    pub protocol: &'static str,
    /// What was measured.
    pub model: String,
    /// Settings of protocol and model.
    pub settings: BTreeMap<String, String>,
    /// Of all randomness.
    pub seed: u64,
    /// Means over all predictions, and over first-time (`.new`) and repeated (`.repeat`) pairs alone.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals, by bootstrap over users.
    pub ci95: BTreeMap<String, Interval>,
    /// The same by week of the stream.
    pub weeks: Vec<Week>,
    /// The same by twentieth of the stream's events, for streams whose weeks are too many or too thin.
    pub blocks: Vec<Block>,
    /// What the drift detector found while the models learned.
    pub drift: DriftFigures,
    /// Predictions made.
    pub n_eval: usize,
    /// Numbers that the model learned.
    pub n_params: u64,
    /// What it took.
    pub cost: Cost,
    /// Every prediction, in the order of the stream; too many to print.
    #[serde(skip)]
    pub hits: Vec<Hit>,
}

/// Changes of how well the blend foresees what it learns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DriftFigures {
    /// To the better and to the worse.
    pub n_changes: u64,
    /// To the worse.
    pub n_worse: u64,
    /// The latest ones, by record.
    pub changes: Vec<Change>,
}

/// One week's means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Week {
    /// Weeks since the first prediction.
    pub week: u32,
    /// Predictions made.
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
    /// Which, from 0.
    pub block: u32,
    /// Predictions made.
    pub n_eval: usize,
    /// Hit rate.
    #[serde(rename = "hr@20")]
    pub hit_rate: f64,
    /// NDCG.
    #[serde(rename = "ndcg@20")]
    pub ndcg: f64,
}

/// Into how many equal blocks the events of a stream are cut: figures every 5 % of them.
pub(crate) const BLOCKS: u32 = 20;

/// A figure's name and how it is read off a prediction.
type Figure = (&'static str, fn(&Hit) -> f64);

const FIGURES: [Figure; 2] = [("hr@20", Hit::hit), ("ndcg@20", Hit::gain)];

/// Means over all, new and repeated pairs.
pub(crate) fn metrics(hits: &[Hit]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for (name, value) in FIGURES {
        metrics.insert(name.to_string(), round(mean(hits.iter(), value)));
        metrics.insert(format!("{name}.new"), round(mean(hits.iter().filter(|hit| !hit.repeat), value)));
        metrics.insert(format!("{name}.repeat"), round(mean(hits.iter().filter(|hit| hit.repeat), value)));
    }
    metrics
}

/// Intervals over all pairs.
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

/// Means by twentieth of the stream; those before the first prediction are left out.
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

/// Six digits after the point: more than any figure means, and the same on every machine.
pub(crate) fn round(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}
