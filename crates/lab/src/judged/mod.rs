//! The model `judged` of the protocol `search`: how relevant a title is to a query, learned from judgments of people.
//!
//! In: queries and titles as the search reads them, rated pairs, and vectors if there is an encoder. Out: how well the
//! ratings of queries that were not learned from are predicted, by cross-validation over queries: the root of the mean
//! squared error, and NDCG@10 (gain 2^r − 1) of the judged titles of a query in the predicted order, over queries with
//! at least `ENOUGH` of them.
//!
//! The model is a sum of trees (`boosting.rs`) over the features of a pair (`features.rs`) and over what two simpler models
//! make of it (`stacked.rs`). Each fold is fitted on one thread, so the figures do not depend on the number of threads.

mod features;
mod stacked;

use std::collections::BTreeMap;

use accrue_event::SettingFault;
use accrue_kernel::Draws;
use serde::Serialize;

use crate::LabError;
use crate::boosting::{Boosted, BoostingSettings, Rows};
use crate::metrics::Interval;
use crate::report::round;

/// Judged titles without which the order of a query's titles does not count.
const ENOUGH: usize = 5;
/// The length of the list that counts.
const DEPTH: usize = 10;
/// Resamples of a bootstrap.
const RESAMPLES: u64 = 500;
/// Streams of random numbers.
const FOLDS: u64 = 0x4A44_464C;
const BOOTSTRAP: u64 = 0x4A44_424F;
/// Features of the report, at most.
const TOLD: usize = 20;

/// A word of a text, as a search reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its stem.
    pub term: String,
    /// The word in small letters.
    pub plain: String,
    /// Whether it has digits.
    pub has_digits: bool,
}

/// A text as its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// In their order.
    pub words: Vec<Word>,
    /// All of them with blanks between.
    plain: String,
}

impl Text {
    /// A text of these words.
    pub fn new(words: Vec<Word>) -> Self {
        let plain: Vec<&str> = words.iter().map(|word| &*word.plain).collect();
        Self { plain: plain.join(" "), words }
    }
}

/// A rated pair, by places of its query and its title.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The query.
    pub query: usize,
    /// The title.
    pub title: usize,
    /// How relevant people found the title.
    pub rating: f32,
}

/// What is learned from.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The queries.
    pub queries: Vec<Text>,
    /// The titles.
    pub titles: Vec<Text>,
    /// The rated pairs.
    pub pairs: Vec<Pair>,
    /// Vectors of the queries and of the titles, each of the length 1.
    pub vectors: Option<(Encoded, Encoded)>,
}

/// How it is learned and evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedSettings {
    /// Parts that the queries are dealt to; each is predicted from the others.
    pub folds: usize,
    /// Models of a fold whose predictions are averaged.
    pub models: usize,
    /// How trees are fitted.
    pub boosting: BoostingSettings,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Number of threads.
    pub threads: usize,
}

impl JudgedSettings {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), SettingFault> {
        // A pair is predicted from models that saw neither its own fold nor the one that it trains for.
        SettingFault::check("folds", self.folds, 3..=50)?;
        SettingFault::check("models", self.models, 1..=50)?;
        SettingFault::check("trees", self.boosting.trees, 1..=20_000)?;
        SettingFault::check("leaves", self.boosting.leaves, 2..=1_000)?;
        SettingFault::check("least", self.boosting.least, 1..=1_000_000)?;
        SettingFault::check("step", self.boosting.step, 1e-4..=1.0)?;
        SettingFault::check("rows", self.boosting.rows, 0.01..=1.0)?;
        SettingFault::check("features", self.boosting.features, 0.001..=1.0)
    }
}

/// The result. The same bytes for the same seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JudgedReport {
    /// `rmse`, `ndcg@10`; `rmse_of_mean`: of the mean rating as the prediction; `ndcg@10_by_chance`: of an order by chance.
    pub metrics: BTreeMap<&'static str, f64>,
    /// 95 % intervals, by bootstrap over queries.
    pub ci95: BTreeMap<&'static str, Interval>,
    /// Of each fold.
    pub folds: Vec<BTreeMap<&'static str, f64>>,
    /// The share of each feature in what the splits of the trees gained: the largest ones.
    pub features: Vec<(String, f64)>,
    /// Rated pairs, and queries whose order counts.
    pub n_eval: usize,
    /// See `n_eval`.
    pub n_ordered: usize,
    /// The predicted rating of each pair.
    #[serde(skip)]
    pub predictions: Vec<f32>,
}

/// A fold: the predictions for its pairs, and by feature what splits gained.
type Fitted = (Vec<(usize, f32)>, Vec<f64>);

/// A vector for each of several texts.
pub type Encoded = Vec<Vec<f32>>;

/// Predicts each pair from the folds that its query is not in, and computes the metrics.
///
/// # Errors
/// [`LabError`] if a setting cannot work, or there are fewer queries than folds.
pub fn evaluate_judged(
    judged: &Judged,
    settings: &JudgedSettings,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<JudgedReport, LabError> {
    settings.validate()?;
    let (n_queries, n_folds) = (judged.queries.len(), settings.folds);
    if n_queries < n_folds {
        return Err(LabError::Empty("there are fewer queries than folds"));
    }
    let mut order: Vec<usize> = (0..n_queries).collect();
    Draws::new(settings.seed, FOLDS, 0).shuffle(&mut order);
    let mut fold_of = vec![0; n_queries];
    order.iter().enumerate().for_each(|(place, &query)| fold_of[query] = place % n_folds);
    let fold_of: Vec<usize> = judged.pairs.iter().map(|pair| fold_of[pair.query]).collect();
    let of_pairs = judged.vectors.as_ref().map(|(queries, titles)| (&**queries, &**titles));
    let rows = features::features(&judged.queries, &judged.titles, &judged.pairs, of_pairs);
    let simple = stacked::Simple::new(judged, &fold_of, n_folds);
    let numbers: Vec<usize> = (0..n_folds).collect();
    let mut fitted: Vec<Fitted> = Vec::with_capacity(n_folds);
    for some in numbers.chunks(settings.threads.max(1)) {
        let fold = |fold: usize| fit(judged, settings, &rows, &simple, &fold_of, fold);
        let done = std::thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|&number| scope.spawn(move || fold(number))).collect();
            running.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
        });
        match done {
            Ok(done) => fitted.extend(done),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        progress(fitted.len() as f64 / n_folds as f64);
    }
    let mut predictions = vec![0.0; judged.pairs.len()];
    let mut gains = vec![0.0; rows.width + stacked::NAMES.len()];
    for (of_fold, of_features) in fitted {
        of_fold.into_iter().for_each(|(at, predicted)| predictions[at] = predicted);
        gains.iter_mut().zip(of_features).for_each(|(sum, gain)| *sum += gain);
    }
    Ok(report(judged, settings, &fold_of, predictions, &gains))
}

/// Fits on the other folds and predicts one.
fn fit(
    judged: &Judged,
    settings: &JudgedSettings,
    rows: &Rows,
    simple: &stacked::Simple<'_>,
    fold_of: &[usize],
    fold: usize,
) -> Fitted {
    let more = simple.columns(fold);
    let width = rows.width + stacked::NAMES.len();
    let mut values = Vec::with_capacity(judged.pairs.len() * width);
    for (at, more) in more.iter().enumerate() {
        values.extend_from_slice(rows.row(at));
        values.extend_from_slice(more);
    }
    let rows = Rows { values, width };
    let targets: Vec<f32> = judged.pairs.iter().map(|pair| pair.rating).collect();
    let train: Vec<u32> = (0..targets.len() as u32).filter(|&at| fold_of[at as usize] != fold).collect();
    let test: Vec<usize> = (0..targets.len()).filter(|&at| fold_of[at] == fold).collect();
    let (mut sums, mut gains) = (vec![0.0; test.len()], vec![0.0; width]);
    for model in 0..settings.models as u64 {
        let seed = settings.seed.wrapping_mul(1_000).wrapping_add(model * 100 + fold as u64);
        let boosted = Boosted::fit(&rows, &train, &targets, &BoostingSettings { seed, ..settings.boosting.clone() });
        sums.iter_mut().zip(&test).for_each(|(sum, &at)| *sum += boosted.predict(rows.row(at)));
        gains.iter_mut().zip(&boosted.gains).for_each(|(sum, gain)| *sum += gain);
    }
    let n = settings.models as f32;
    (test.into_iter().zip(sums).map(|(at, sum)| (at, sum / n)).collect(), gains)
}

/// What a query adds to the metrics.
#[derive(Clone, Copy, Default)]
struct OfQuery {
    squares: f64,
    of_mean: f64,
    n: f64,
    /// NDCG of the predicted order and of one by chance, if it counts.
    ndcg: Option<(f64, f64)>,
}

fn report(
    judged: &Judged,
    settings: &JudgedSettings,
    fold_of: &[usize],
    predictions: Vec<f32>,
    gains: &[f64],
) -> JudgedReport {
    let n_pairs = judged.pairs.len();
    let mean = judged.pairs.iter().map(|pair| f64::from(pair.rating)).sum::<f64>() / n_pairs.max(1) as f64;
    let mut by_query: Vec<Vec<usize>> = vec![Vec::new(); judged.queries.len()];
    judged.pairs.iter().enumerate().for_each(|(at, pair)| by_query[pair.query].push(at));
    let of_query = |(query, pairs): (usize, &Vec<usize>)| {
        let rating = |at: usize| f64::from(judged.pairs[at].rating);
        let square = |value: f64| value * value;
        let mut chance = pairs.clone();
        Draws::new(settings.seed, FOLDS, query as u64 + 1).shuffle(&mut chance);
        let mut predicted = chance.clone();
        predicted.sort_by(|&a, &b| predictions[b].total_cmp(&predictions[a]));
        let ratings = |order: &[usize]| order.iter().map(|&at| rating(at)).collect::<Vec<f64>>();
        OfQuery {
            squares: pairs.iter().map(|&at| square(f64::from(predictions[at]) - rating(at))).sum(),
            of_mean: pairs.iter().map(|&at| square(mean - rating(at))).sum(),
            n: pairs.len() as f64,
            ndcg: (pairs.len() >= ENOUGH).then(|| (ndcg(&ratings(&predicted)), ndcg(&ratings(&chance)))),
        }
    };
    let all: Vec<OfQuery> = by_query.iter().enumerate().map(of_query).collect();
    let folds = (0..settings.folds).map(|fold| {
        let is_in = |pairs: &Vec<usize>| pairs.first().is_some_and(|&at| fold_of[at] == fold);
        let some: Vec<OfQuery> =
            by_query.iter().zip(&all).filter(|(pairs, _)| is_in(pairs)).map(|(_, of)| *of).collect();
        metrics(&some)
    });
    let names = features::NAMES.iter().chain(&stacked::NAMES);
    let total = gains.iter().sum::<f64>().max(1e-12);
    let mut told: Vec<(String, f64)> =
        names.zip(gains).map(|(name, gain)| ((*name).to_owned(), round(gain / total))).collect();
    told.sort_by(|a, b| b.1.total_cmp(&a.1));
    told.truncate(TOLD);
    JudgedReport {
        metrics: metrics(&all),
        ci95: intervals(&all, settings.seed),
        folds: folds.collect(),
        features: told,
        n_eval: n_pairs,
        n_ordered: all.iter().filter(|of| of.ndcg.is_some()).count(),
        predictions,
    }
}

fn metrics(queries: &[OfQuery]) -> BTreeMap<&'static str, f64> {
    let sum = |value: fn(&OfQuery) -> f64| queries.iter().map(value).sum::<f64>();
    let n = sum(|of| of.n).max(1.0);
    let n_ordered = sum(|of| f64::from(u8::from(of.ndcg.is_some()))).max(1.0);
    BTreeMap::from([
        ("rmse", round((sum(|of| of.squares) / n).sqrt())),
        ("rmse_of_mean", round((sum(|of| of.of_mean) / n).sqrt())),
        ("ndcg@10", round(sum(|of| of.ndcg.map_or(0.0, |ndcg| ndcg.0)) / n_ordered)),
        ("ndcg@10_by_chance", round(sum(|of| of.ndcg.map_or(0.0, |ndcg| ndcg.1)) / n_ordered)),
    ])
}

/// The 95 % intervals, by bootstrap over queries.
fn intervals(queries: &[OfQuery], seed: u64) -> BTreeMap<&'static str, Interval> {
    let resampled = (0..RESAMPLES).map(|resample| {
        let mut draws = Draws::new(seed, BOOTSTRAP, resample);
        let drawn = |_| queries[draws.below(queries.len() as u64) as usize];
        metrics(&(0..queries.len()).map(drawn).collect::<Vec<OfQuery>>())
    });
    let resampled: Vec<BTreeMap<&'static str, f64>> = resampled.collect();
    let interval = |name: &'static str| {
        let mut values: Vec<f64> = resampled.iter().map(|metrics| metrics[name]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        (name, Interval(at(0.025), at(0.975)))
    };
    BTreeMap::from(["rmse", "ndcg@10"].map(interval))
}

/// NDCG@10 of ratings in the order of a list.
fn ndcg(ratings: &[f64]) -> f64 {
    let dcg = |ratings: &[f64]| -> f64 {
        ratings
            .iter()
            .take(DEPTH)
            .enumerate()
            .map(|(at, rating)| (rating.exp2() - 1.0) / (at as f64 + 2.0).log2())
            .sum()
    };
    let mut ideal = ratings.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    match dcg(&ideal) {
        best if best > 0.0 => dcg(ratings) / best,
        _ => 1.0,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A text whose stems are its words without an `s` at the end.
    pub(crate) fn text(text: &str) -> Text {
        let word = |plain: &str| Word {
            term: plain.trim_end_matches('s').to_owned(),
            plain: plain.to_owned(),
            has_digits: plain.bytes().any(|b| b.is_ascii_digit()),
        };
        Text::new(text.split_whitespace().map(word).collect())
    }

    /// Queries of a colour and a thing; a title of both is rated 3, of the thing 2, of neither 1.
    fn judged(n: usize) -> Judged {
        let (colours, things) = (["red", "blue", "green", "white", "black"], ["mug", "lamp", "shelf", "chair", "hose"]);
        let titles: Vec<(usize, usize)> = (0..25).map(|title| (title / 5, title % 5)).collect();
        let mut draws = Draws::new(3, 4, 5);
        let (mut queries, mut pairs) = (Vec::new(), Vec::new());
        for query in 0..n {
            let (colour, thing) = (draws.below(5) as usize, draws.below(5) as usize);
            queries.push(text(&format!("{} {}", colours[colour], things[thing])));
            for _ in 0..8 {
                let title = draws.below(25) as usize;
                let rating = match titles[title] {
                    (_, other) if other != thing => 1.0,
                    (other, _) if other != colour => 2.0,
                    _ => 3.0,
                };
                pairs.push(Pair { query, title, rating });
            }
        }
        let titles =
            titles.iter().map(|&(colour, thing)| text(&format!("large {} in {}", things[thing], colours[colour])));
        Judged { queries, titles: titles.collect(), pairs, vectors: None }
    }

    fn settings(threads: usize) -> JudgedSettings {
        let boosting = BoostingSettings { trees: 80, step: 0.1, least: 5, ..BoostingSettings::default() };
        JudgedSettings { folds: 5, models: 1, boosting, seed: 11, threads }
    }

    #[test]
    fn ratings_of_queries_that_were_not_learned_from_are_predicted_on_any_number_of_threads() {
        let judged = judged(120);
        let report = evaluate_judged(&judged, &settings(1), &|_| {}).unwrap();
        assert!(report.metrics["rmse"] < 0.3 * report.metrics["rmse_of_mean"], "{:?}", report.metrics);
        assert!(report.metrics["ndcg@10"] > report.metrics["ndcg@10_by_chance"], "{:?}", report.metrics);
        assert_eq!((report.folds.len(), report.n_eval, report.n_ordered), (5, 960, 120));
        let Interval(low, high) = report.ci95["rmse"];
        assert!(low <= report.metrics["rmse"] && report.metrics["rmse"] <= high);
        assert_eq!(report, evaluate_judged(&judged, &settings(3), &|_| {}).unwrap());
    }

    #[test]
    fn ratings_by_chance_are_not_predicted() {
        let mut judged = judged(120);
        let mut draws = Draws::new(9, 9, 9);
        judged.pairs.iter_mut().for_each(|pair| pair.rating = 1.0 + draws.below(3) as f32);
        let report = evaluate_judged(&judged, &settings(2), &|_| {}).unwrap();
        assert!(report.metrics["rmse"] > 0.99 * report.metrics["rmse_of_mean"], "{:?}", report.metrics);
    }

    #[test]
    fn settings_and_data_that_cannot_work_are_refused() {
        let few = judged(3);
        assert!(evaluate_judged(&few, &settings(1), &|_| {}).is_err());
        let wrong = JudgedSettings { folds: 1, ..settings(1) };
        assert!(evaluate_judged(&judged(50), &wrong, &|_| {}).unwrap_err().to_string().contains("folds"));
    }
}
