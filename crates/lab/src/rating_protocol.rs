//! The protocol `ratings`: the errors of predicted ratings, over k folds, on the latest ratings, or on a test file.
//!
//! In: `user item rating` per line. Every rating is predicted once, by a model fitted on the other folds. With
//! `split=time`: `user item rating time` per line, and the latest `share=0.2` are predicted from all earlier ones. Out:
//! RMSE, mean absolute error, the share of errors of at most half a star, each with an interval by bootstrap over
//! users.

use std::collections::BTreeMap;

use accrue_event::SettingFault;
use accrue_kernel::Draws;
use accrue_model::collaborative::ratings::{AnyRatingModel, Ratings};
use accrue_model::collaborative::{Fit, parallel};
use serde::Serialize;

use crate::LabError;
use crate::cost::{Cost, Stopwatch};
use crate::evaluation::{Request, Stage};
use crate::metrics::Interval;
use crate::protocol::{LATEST, SHARE, check_share};
use crate::ranking::Known;
use crate::read::{Data, RatingFile, Timed, Vocabulary, split_by_time};
use crate::report::round;
use crate::settings::{Pairs, described_rating_model, rating_model_kind, rating_model_settings};

/// Streams of random numbers.
const FOLDS: u64 = 0x464F_4C44;
const BOOTSTRAP: u64 = 0x5242_4F4F;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 500;

/// The result. The same bytes for the same seed, except for `cost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RatingReport {
    /// `ratings`.
    pub protocol: &'static str,
    /// The name of the model.
    pub model: String,
    /// Settings of protocol and model.
    pub settings: BTreeMap<String, String>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// `rmse`, `mae`, `within_half`.
    pub metrics: BTreeMap<&'static str, f64>,
    /// 95 % intervals, by bootstrap over users.
    pub ci95: BTreeMap<&'static str, Interval>,
    /// The metrics of users that were trained on and of users that were not, if there are both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_user: Vec<Known>,
    /// RMSE of each fold.
    pub folds: Vec<f64>,
    /// Number of predicted ratings.
    pub n_eval: usize,
    /// Number of parameters that the model learned, in the first fold.
    pub n_params: u64,
    /// What was left out of the files, and how often.
    pub counted: BTreeMap<&'static str, u64>,
    /// Time and memory used.
    pub cost: Cost,
    /// Each predicted rating, if they were asked for; not part of the printed report.
    #[serde(skip)]
    pub predictions: Vec<PredictedRating>,
}

/// One predicted rating.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictedRating {
    /// The user.
    pub user: String,
    /// Whether the user has a rating in the training data.
    pub trained_on: bool,
    /// The item.
    pub item: String,
    /// The rating in the file.
    pub rating: f32,
    /// The predicted rating.
    pub predicted: f32,
}

/// Rows of a file: `(user, item, rating)`.
type Rows = Vec<(u32, u32, f32)>;

/// Sums of one user's errors: squared, absolute, number within half a star, number.
type Sums = [f64; 4];

/// Reads the files, fits on each fold, predicts, and computes the metrics.
///
/// # Errors
/// [`LabError`] if a file, a setting or a model cannot be used.
pub fn evaluate_ratings(request: &Request, progress: &(dyn Fn(Stage) + Sync)) -> Result<RatingReport, LabError> {
    let mut pairs = Pairs::new(&request.settings);
    let protocol = RatingSettings::take(&mut pairs)?;
    let kind = rating_model_kind(&request.model)?;
    let settings = rating_model_settings(kind, &pairs.rest())?;
    let (mut users, mut items) = (Vocabulary::default(), Vocabulary::default());
    let (splits, n_duplicate_lines) = protocol.splits(request, &mut users, &mut items)?;
    let mut stopwatch = Stopwatch::start();
    // Sums over the predictions for users that were trained on, and over those for users that were not.
    let mut by_user = [(); 2].map(|()| vec![Sums::default(); users.len()]);
    let (mut of_folds, mut predictions) = (Vec::new(), Vec::new());
    let (mut n_params, mut n_eval, mut n_trained) = (0, 0, 0);
    for (number, (train, test)) in splits.iter().enumerate() {
        if train.is_empty() || test.is_empty() {
            return Err(LabError::EmptyFold { path: request.train.path().into() });
        }
        let train = grouped(train, users.len(), items.len());
        let model = settings.fit(&train, &Fit::quiet(request.seed, request.threads))?;
        if number == 0 {
            n_params = model.n_params();
        }
        n_trained += train.n_ratings() as u64;
        let predicted = stopwatch.evaluating(|| predicted(&model, &train, test, items.len(), request.threads))?;
        let sums: Vec<Sums> = predicted.iter().map(|rows| sums(rows)).collect();
        of_folds.push(round(figures(&sums)[0]));
        for (user, fold) in sums.iter().enumerate() {
            let all = &mut by_user[usize::from(train.users()[user].is_empty())][user];
            (0..4).for_each(|i| all[i] += fold[i]);
        }
        if request.predictions {
            let is_trained_on = |user: usize| !train.users()[user].is_empty();
            predictions.extend(named(&predicted, is_trained_on, &users, &items));
        }
        n_eval += test.len();
        progress(Stage::Asked((number + 1) as f64 / splits.len() as f64));
    }
    let [known, unknown] = by_user;
    let by_user: Vec<Sums> =
        known.iter().zip(&unknown).map(|(a, b)| std::array::from_fn(|place| a[place] + b[place])).collect();
    let intervals = bootstrap(&by_user, request.seed, request.threads);
    let mut described = described_rating_model(&settings);
    protocol.describe(request.test.is_some(), &mut described);
    Ok(RatingReport {
        protocol: "ratings",
        model: kind.name().to_string(),
        settings: described,
        seed: request.seed,
        metrics: METRICS.into_iter().zip(figures(&by_user).map(round)).collect(),
        ci95: METRICS.into_iter().zip(intervals).collect(),
        by_user: by_known(&known, &unknown, request),
        folds: of_folds,
        n_eval,
        n_params,
        counted: BTreeMap::from([("duplicate_lines", n_duplicate_lines)]),
        cost: stopwatch.cost(n_trained),
        predictions,
    })
}

/// The metrics, in the order of [`figures`].
const METRICS: [&str; 3] = ["rmse", "mae", "within_half"];

/// The predictions of each user, with names.
fn named<'a>(
    predicted: &'a [Vec<PredictedRow>],
    is_trained_on: impl Fn(usize) -> bool + 'a,
    users: &'a Vocabulary,
    items: &'a Vocabulary,
) -> impl Iterator<Item = PredictedRating> + 'a {
    let rows = predicted.iter().enumerate().flat_map(|(user, rows)| rows.iter().map(move |row| (user, row)));
    rows.map(move |(user, &(item, rating, predicted))| PredictedRating {
        user: users.name(user as u32).unwrap_or_default().into(),
        trained_on: is_trained_on(user),
        item: items.name(item).unwrap_or_default().into(),
        rating,
        predicted,
    })
}

/// The figures for users that were trained on and for the others; none if all users are of one of these kinds.
fn by_known(known: &[Sums], unknown: &[Sums], request: &Request) -> Vec<Known> {
    let n_of = |users: &[Sums]| users.iter().map(|sums| sums[3]).sum::<f64>() as usize;
    if n_of(known) == 0 || n_of(unknown) == 0 {
        return Vec::new();
    }
    let figures_of = |(trained_on, users): (bool, &[Sums])| {
        let named = || METRICS.into_iter().map(String::from);
        let ci95 = named().zip(bootstrap(users, request.seed, request.threads)).collect();
        let metrics = named().zip(figures(users).map(round)).collect();
        Known { trained_on, n_eval: n_of(users), metrics, ci95 }
    };
    [(true, known), (false, unknown)].map(figures_of).into()
}

/// Settings of the protocol.
struct RatingSettings {
    n_folds: usize,
    on_validation: bool,
    by_time: bool,
    share: f64,
}

impl RatingSettings {
    fn take(pairs: &mut Pairs) -> Result<Self, LabError> {
        let n_folds = pairs.take("folds", 5, "a whole number of at least 2")?;
        SettingFault::check("folds", n_folds, 2..)?;
        let on_validation = pairs.take_word("on", &["test", "validation"])? == "validation";
        let by_time = pairs.take_word("split", &["folds", "time"])? == "time";
        let share = if by_time { pairs.take("share", LATEST, SHARE)? } else { LATEST };
        check_share(share)?;
        Ok(Self { n_folds, on_validation, by_time, share })
    }

    /// Training and test rows of each split, and the number of repeated lines.
    fn splits(
        &self,
        request: &Request,
        users: &mut Vocabulary,
        items: &mut Vocabulary,
    ) -> Result<(Vec<(Rows, Rows)>, u64), LabError> {
        if self.by_time {
            if let Some(test) = request.test.clone() {
                return Err(LabError::OneFile { protocol: "ratings, split=time", test: test.path().into() });
            }
            return Ok((vec![latest(&request.train, (users, items), self.share, self.on_validation)?], 0));
        }
        let RatingFile { ratings, n_duplicate_lines } = request.train.ratings(users, items)?;
        let test = request.test.as_ref().map(|test| test.ratings(users, items)).transpose()?;
        // For validation: folds inside the data from which the first test would be predicted.
        let splits = match test {
            Some(_) if self.on_validation => folds(ratings, self.n_folds, request.seed + 1),
            Some(test) => vec![(ratings, test.ratings)],
            None => {
                let mut splits = folds(ratings, self.n_folds, request.seed);
                match self.on_validation {
                    true => folds(splits.swap_remove(0).0, self.n_folds, request.seed + 1),
                    false => splits,
                }
            }
        };
        Ok((splits, n_duplicate_lines))
    }

    fn describe(&self, has_test: bool, described: &mut BTreeMap<String, String>) {
        described.insert("on".into(), if self.on_validation { "validation" } else { "test" }.into());
        if self.by_time {
            described.insert("split".into(), "time".into());
            described.insert("share".into(), self.share.to_string());
        } else if !has_test || self.on_validation {
            described.insert("folds".into(), self.n_folds.to_string());
        }
    }
}

/// The latest ratings, to be predicted from all earlier ones; for validation the latest of the earlier ones.
fn latest(
    data: &Data,
    (users, items): (&mut Vocabulary, &mut Vocabulary),
    share: f64,
    on_validation: bool,
) -> Result<(Rows, Rows), LabError> {
    let rows = data.timed(users, items)?;
    let (mut before, mut after) = split_by_time(&rows, share);
    if on_validation {
        (before, after) = split_by_time(before, share);
    }
    // If a user rated an item again, the model learns the last rating before the split and predicts the last one after
    // it.
    let last = |rows: &[Timed]| -> Rows {
        let of_pair: BTreeMap<(u32, u32), f32> = rows.iter().map(|row| ((row.user, row.item), row.rating)).collect();
        of_pair.into_iter().map(|((user, item), rating)| (user, item, rating)).collect()
    };
    Ok((last(before), last(after)))
}

/// Each fold with all others to learn from; ratings are assigned to folds at random.
fn folds(ratings: Rows, n_folds: usize, seed: u64) -> Vec<(Rows, Rows)> {
    let mut order: Vec<usize> = (0..ratings.len()).collect();
    Draws::new(seed, FOLDS, 0).shuffle(&mut order);
    let mut fold_of = vec![0; ratings.len()];
    order.iter().enumerate().for_each(|(rank, &place)| fold_of[place] = rank % n_folds);
    let part = |fold: usize, is_test: bool| -> Rows {
        ratings.iter().zip(&fold_of).filter(|&(_, &of)| (of == fold) == is_test).map(|(&row, _)| row).collect()
    };
    (0..n_folds).map(|fold| (part(fold, false), part(fold, true))).collect()
}

fn grouped(rows: &Rows, n_users: usize, n_items: usize) -> Ratings {
    let mut users = vec![Vec::new(); n_users];
    rows.iter().for_each(|&(user, item, rating)| users[user as usize].push((item, rating)));
    Ratings::new(n_items, users)
}

/// `(item, rating, predicted rating)`
type PredictedRow = (u32, f32, f32);

/// The predictions of each user's test ratings.
fn predicted(
    model: &AnyRatingModel,
    train: &Ratings,
    test: &Rows,
    n_items: usize,
    threads: usize,
) -> Result<Vec<Vec<PredictedRow>>, LabError> {
    let asked = grouped(test, train.users().len(), n_items);
    let rows = parallel::map(
        threads,
        asked.users().len(),
        || (),
        |(), user| {
            let asked = &asked.users()[user];
            let items: Vec<u32> = asked.iter().map(|&(item, _)| item).collect();
            let mut predicted = vec![0.0; items.len()];
            model.rate(&train.users()[user], &items, &mut predicted);
            predicted.iter().zip(asked).map(|(&predicted, &(item, rating))| (item, rating, predicted)).collect()
        },
    );
    match rows.iter().position(|rows: &Vec<PredictedRow>| rows.iter().any(|row| row.2.is_nan())) {
        Some(user) => Err(LabError::NotANumber { model: "of ratings", user: user as u32 }),
        None => Ok(rows),
    }
}

fn sums(rows: &[PredictedRow]) -> Sums {
    let mut sums = Sums::default();
    for &(_, rating, predicted) in rows {
        let error = f64::from(predicted - rating).abs();
        sums = [sums[0] + error * error, sums[1] + error, sums[2] + f64::from(error <= 0.5), sums[3] + 1.0];
    }
    sums
}

/// RMSE, mean absolute error, share of errors within half a star.
fn figures(users: &[Sums]) -> [f64; 3] {
    let all = users.iter().fold(Sums::default(), |all, user| std::array::from_fn(|i| all[i] + user[i]));
    let n = all[3].max(1.0);
    [(all[0] / n).sqrt(), all[1] / n, all[2] / n]
}

fn bootstrap(users: &[Sums], seed: u64, threads: usize) -> [Interval; 3] {
    let users: Vec<Sums> = users.iter().copied().filter(|sums| sums[3] > 0.0).collect();
    let resampled = parallel::map(
        threads,
        RESAMPLES,
        || (),
        |(), resample| {
            let mut draws = Draws::new(seed, BOOTSTRAP, resample as u64);
            let drawn: Vec<Sums> = (0..users.len()).map(|_| users[draws.below(users.len() as u64) as usize]).collect();
            figures(&drawn)
        },
    );
    std::array::from_fn(|figure| {
        let mut values: Vec<f64> = resampled.iter().map(|figures| figures[figure]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| round(values[((RESAMPLES - 1) as f64 * share).round() as usize]);
        Interval(at(0.025), at(0.975))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rating_is_in_one_fold_and_no_fold_learns_from_itself() {
        let rows: Rows = (0..23).map(|n| (n % 5, n, n as f32)).collect();
        let splits = folds(rows.clone(), 5, 1);
        let mut tested: Rows = splits.iter().flat_map(|(_, test)| test.clone()).collect();
        tested.sort_by_key(|row| row.1);
        assert_eq!(tested, rows);
        assert!(
            splits
                .iter()
                .all(|(train, test)| train.len() + test.len() == 23 && !train.iter().any(|row| test.contains(row)))
        );
    }

    #[test]
    fn figures_match_their_definitions() {
        // Errors of 0.5 and 1.5 for one user, 0 for another.
        let users = [[2.5, 2.0, 1.0, 2.0], [0.0, 0.0, 1.0, 1.0]];
        assert_eq!(figures(&users), [(2.5_f64 / 3.0).sqrt(), 2.0 / 3.0, 2.0 / 3.0]);
    }
}
