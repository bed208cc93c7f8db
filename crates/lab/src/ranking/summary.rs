//! The outcomes of all queries in a few numbers, with intervals, and by history length and popularity.

use std::collections::BTreeMap;

use accrue_kernel::Draws;
use accrue_model::collaborative::parallel;
use serde::Serialize;

use super::{Measured, Outcome, Task};
use crate::metrics::{Interval, LIST};
use crate::report::round;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 500;
const STREAM: u64 = 0x424F_4F54;
/// Shortest history of each group.
const LENGTHS: [u32; 6] = [0, 5, 10, 20, 50, 100];
/// Number of groups by popularity of the chosen items.
const POPULARITY_GROUPS: usize = 5;

/// Means and intervals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Means over queries, by metric.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals, by bootstrap over users.
    pub ci95: BTreeMap<String, Interval>,
    /// By length of the history.
    pub by_history: Vec<Group>,
    /// The users that were trained on, and those that were not; empty if there is only one kind.
    pub by_user: Vec<Known>,
    /// By number of choices of the relevant items in training, from the least chosen fifth to the most chosen.
    pub by_popularity: Vec<Group>,
}

/// The queries of users with a history, or of users without.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Known {
    /// Whether the users have a history in the training data.
    pub trained_on: bool,
    /// Number of queries.
    pub n_eval: usize,
    /// Means over these queries, by metric.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals, by bootstrap over users.
    pub ci95: BTreeMap<String, Interval>,
}

/// A group of queries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// Smallest key in the group.
    pub from: u32,
    /// Largest key in the group.
    pub to: u32,
    /// Number of queries.
    pub n_eval: usize,
    /// Mean of the main metric.
    pub value: f64,
    /// Its 95 % interval, by bootstrap over users.
    pub ci95: Interval,
    /// The same for popularity on the same queries.
    pub popularity: f64,
    /// `value / popularity`; absent if the latter is 0.
    pub lift: Option<f64>,
}

/// Summarises outcomes. `baseline` is popularity's outcome for the same queries; `main` is the metric of the groups.
pub fn summarise(
    task: &Task,
    outcomes: &[Outcome],
    baseline: &[Outcome],
    cutoffs: &[u32],
    main: &str,
    seed: u64,
    threads: usize,
) -> Summary {
    let names = Measured::names(cutoffs);
    let measured: Vec<Vec<f64>> = outcomes.iter().map(|outcome| Measured::new(outcome, cutoffs).0).collect();
    let mut summary = Summary::default();
    if measured.is_empty() {
        return summary;
    }
    let all: Vec<usize> = (0..measured.len()).collect();
    let intervals = bootstrap(task, &all, &measured, seed, threads);
    for (place, name) in names.iter().enumerate() {
        let mean = measured.iter().map(|values| values[place]).sum::<f64>() / measured.len() as f64;
        summary.metrics.insert(name.clone(), round(mean));
        summary.ci95.insert(name.clone(), intervals[place]);
    }
    if task.queries.iter().all(|query| query.among.is_none()) {
        let (coverage, novelty) = of_lists(task, outcomes);
        summary.metrics.insert(format!("coverage@{LIST}"), round(coverage));
        summary.metrics.insert(format!("novelty@{LIST}"), round(novelty));
    }
    let place = names.iter().position(|name| name == main).unwrap_or(0);
    let baseline: Vec<f64> = baseline.iter().map(|outcome| Measured::new(outcome, cutoffs).0[place]).collect();
    let values: Vec<(f64, f64)> = measured.iter().map(|values| values[place]).zip(baseline).collect();
    let lengths: Vec<u32> = task.queries.iter().map(|query| query.history.len() as u32).collect();
    let (known, unknown): (Vec<usize>, Vec<usize>) =
        all.into_iter().partition(|&query| !task.queries[query].history.is_empty());
    if !known.is_empty() && !unknown.is_empty() {
        summary.by_user = [(true, known), (false, unknown)]
            .into_iter()
            .map(|(trained_on, queries)| {
                let means = names.iter().enumerate().map(|(place, name)| {
                    let sum: f64 = queries.iter().map(|&query| measured[query][place]).sum();
                    (name.clone(), round(sum / queries.len() as f64))
                });
                let intervals = bootstrap(task, &queries, &measured, seed, threads);
                let ci95 = names.iter().cloned().zip(intervals).collect();
                Known { trained_on, n_eval: queries.len(), metrics: means.collect(), ci95 }
            })
            .collect();
    }
    let groups = |keys: &[u32], group_of: &dyn Fn(u32) -> usize| groups(task, keys, &values, group_of, seed, threads);
    summary.by_history = groups(&lengths, &|length| LENGTHS.partition_point(|&shortest| shortest <= length));
    let counts = task.train.counts();
    let popularity = |relevant: &[u32]| {
        let sum: u64 = relevant.iter().map(|&item| u64::from(counts[item as usize])).sum();
        (sum / relevant.len() as u64) as u32
    };
    let keys: Vec<u32> = task.queries.iter().map(|query| popularity(&query.relevant)).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let ends: Vec<u32> = (1..POPULARITY_GROUPS).map(|group| sorted[group * sorted.len() / POPULARITY_GROUPS]).collect();
    summary.by_popularity = groups(&keys, &|key| ends.partition_point(|&end| end <= key));
    summary
}

/// Means of `(model, popularity)` by group of the key.
fn groups(
    task: &Task,
    keys: &[u32],
    values: &[(f64, f64)],
    group_of: &dyn Fn(u32) -> usize,
    seed: u64,
    threads: usize,
) -> Vec<Group> {
    let own: Vec<Vec<f64>> = values.iter().map(|&(value, _)| vec![value]).collect();
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (query, &key) in keys.iter().enumerate() {
        members.entry(group_of(key)).or_default().push(query);
    }
    let group = |queries: Vec<usize>| {
        let n = queries.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| queries.iter().map(|&query| of(&values[query])).sum::<f64>() / n;
        let (value, popularity) = (mean(|v| v.0), mean(|v| v.1));
        let keys = queries.iter().map(|&query| keys[query]);
        let (from, to) = (keys.clone().min().unwrap_or(0), keys.max().unwrap_or(0));
        let ci95 = bootstrap(task, &queries, &own, seed, threads)[0];
        let lift = (popularity > 0.0).then(|| round(value / popularity));
        Group { from, to, n_eval: queries.len(), value: round(value), ci95, popularity: round(popularity), lift }
    };
    members.into_values().map(group).collect()
}

/// The share of items that are on some list (coverage), and the mean surprise of a listed item in bits (novelty):
/// `-log2` of the share of users that chose it (Vargas & Castells, *Rank and relevance in novelty and diversity
/// metrics*, RecSys 2011).
fn of_lists(task: &Task, outcomes: &[Outcome]) -> (f64, f64) {
    let counts = task.train.distinct().counts();
    let n_users = task.train.n_users().max(1) as f64;
    let mut is_listed = vec![false; task.train.n_items()];
    let (mut bits, mut n) = (0.0, 0_u64);
    for &(item, _) in outcomes.iter().flat_map(|outcome| &outcome.list) {
        is_listed[item as usize] = true;
        bits -= (f64::from(counts[item as usize].max(1)) / n_users).log2();
        n += 1;
    }
    let n_listed = is_listed.iter().filter(|&&is| is).count();
    (n_listed as f64 / is_listed.len().max(1) as f64, bits / n.max(1) as f64)
}

/// 95 % intervals of all means over these queries, by resampling users (Efron 1979).
fn bootstrap(task: &Task, queries: &[usize], measured: &[Vec<f64>], seed: u64, threads: usize) -> Vec<Interval> {
    let n_metrics = measured[0].len();
    let mut by_user: BTreeMap<u32, (Vec<f64>, f64)> = BTreeMap::new();
    for (query, values) in queries.iter().map(|&query| (&task.queries[query], &measured[query])) {
        let (sums, n) = by_user.entry(query.user).or_insert_with(|| (vec![0.0; n_metrics], 0.0));
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        *n += 1.0;
    }
    let users: Vec<(Vec<f64>, f64)> = by_user.into_values().collect();
    let resampled = parallel::map(
        threads,
        RESAMPLES,
        || (),
        |(), resample| {
            let mut draws = Draws::new(seed, STREAM, resample as u64);
            let (mut sums, mut n) = (vec![0.0; n_metrics], 0.0);
            for _ in 0..users.len() {
                let (user, user_n) = &users[draws.below(users.len() as u64) as usize];
                sums.iter_mut().zip(user).for_each(|(sum, value)| *sum += value);
                n += user_n;
            }
            sums.iter_mut().for_each(|sum| *sum /= n);
            sums
        },
    );
    let interval = |metric: usize| {
        let mut means: Vec<f64> = resampled.iter().map(|means| means[metric]).collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| round(means[((RESAMPLES - 1) as f64 * share).round() as usize]);
        Interval(at(0.025), at(0.975))
    };
    (0..n_metrics).map(interval).collect()
}
