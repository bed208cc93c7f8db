//! The protocol `search`: rankings of a catalogue's items against judgments of people.
//!
//! In: judgments `query,docid,rating`, and for each query the ids that a search returned, best first. Out: NDCG@10 with
//! items that were not judged counted as wrong (which favours the systems that were pooled) and with them removed
//! (*condensed*: Sakai, *Alternatives to Bpref*, 2007), the share of judged items among the first ten, and the
//! reciprocal rank of the first relevant item. The gain of a rating r is 2^r − 1. Queries without anything relevant are
//! left out. Two settings are compared query by query.

use std::collections::BTreeMap;

use accrue_kernel::Draws;
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::metrics::Interval;
use crate::report::round;

/// The length of the list that counts.
const DEPTH: usize = 10;
/// Resamples of a bootstrap.
const RESAMPLES: u64 = 1_000;
/// Streams of random numbers.
const BOOTSTRAP: u64 = 0x5342_4F4F;
const TYPOS: u64 = 0x5459_504F;
const FOLDS: u64 = 0x464F_4C44;

/// The ratings of a query by item.
pub type Ratings = BTreeMap<String, f64>;

/// Reads judgments: rows of query, item and rating, with or without a header, by query.
///
/// # Errors
/// [`LabError::Empty`] if no query has a relevant item, or a row has no rating.
pub fn read_judgments(csv: &str) -> Result<BTreeMap<String, Ratings>, LabError> {
    let mut all: BTreeMap<String, Ratings> = BTreeMap::new();
    for (i, line) in csv.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut cells = line.rsplitn(3, ',').map(unquoted);
        let (rating, item, query) = (cells.next(), cells.next(), cells.next());
        let (Some(rating), Some(item), Some(query)) = (rating, item, query) else {
            return Err(LabError::Empty("a row of the judgments has fewer than three cells: query,docid,rating"));
        };
        match rating.trim().parse::<f64>() {
            Ok(rating) if rating.is_finite() => drop(all.entry(query).or_default().insert(item, rating)),
            _ if i == 0 => check_header(&query, &item, &rating)?,
            _ => return Err(LabError::Empty("a rating of the judgments is no number; rows are query,docid,rating")),
        }
    }
    all.retain(|_, ratings| ratings.values().any(|rating| *rating > 0.0));
    if all.is_empty() {
        return Err(LabError::Empty("no query of the judgments has a relevant item"));
    }
    Ok(all)
}

/// Names of the columns, in lower case. The first of each is the usual one.
const QUERY: [&str; 7] = ["query", "q", "query_text", "search", "search_term", "keyword", "topic"];
const ITEM: [&str; 10] =
    ["docid", "doc_id", "doc", "document", "item", "item_id", "product", "product_id", "id", "sku"];
const RATING: [&str; 7] = ["rating", "relevance", "grade", "label", "judgment", "judgement", "score"];

/// Refuses a header of other columns: its rows would be taken by their positions, and say nothing about searches.
fn check_header(query: &str, item: &str, rating: &str) -> Result<(), LabError> {
    let is = |name: &str, known: &[&str]| {
        known.contains(&name.trim().trim_start_matches('\u{feff}').to_lowercase().as_str())
    };
    match is(query, &QUERY) && is(item, &ITEM) && is(rating, &RATING) {
        true => Ok(()),
        false => Err(LabError::Empty(
            "the judgments have a header of other columns; they are query,docid,rating, in this order",
        )),
    }
}

fn unquoted(cell: &str) -> String {
    let cell = cell.trim();
    match cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => cell.to_string(),
    }
}

/// How one query was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchedQuery {
    /// The query as it was judged.
    pub query: String,
    /// The text that was sent.
    pub sent: String,
    /// The query as it was searched, if it was corrected.
    #[serde(default)]
    pub corrected: Option<String>,
    /// NDCG with unjudged items counted as wrong.
    pub ndcg: f64,
    /// NDCG without unjudged items.
    pub condensed: f64,
    /// The share of judged items among the first ten places.
    pub judged: f64,
    /// 1 / rank of the first relevant item among the first ten.
    pub mrr: f64,
    /// The first ten items.
    pub items: Vec<String>,
}

impl SearchedQuery {
    /// Scores the ids that a search returned for `query`.
    pub fn new(query: &str, sent: &str, ratings: &Ratings, found: &[&str]) -> Self {
        let gain = |id: &&str| ratings.get(*id).map_or(0.0, |rating| rating.exp2() - 1.0);
        let mut ideal: Vec<f64> = ratings.values().map(|rating| rating.exp2() - 1.0).collect();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let ideal = dcg(ideal.into_iter());
        let first = || found.iter().take(DEPTH);
        let relevant = first().position(|id| gain(id) > 0.0);
        Self {
            query: query.to_string(),
            sent: sent.to_string(),
            corrected: None,
            ndcg: dcg(found.iter().map(gain)) / ideal,
            condensed: dcg(found.iter().filter(|id| ratings.contains_key(**id)).map(gain)) / ideal,
            judged: first().filter(|id| ratings.contains_key(**id)).count() as f64 / DEPTH as f64,
            mrr: relevant.map_or(0.0, |rank| 1.0 / (rank + 1) as f64),
            items: first().map(|id| id.to_string()).collect(),
        }
    }
}

fn dcg(gains: impl Iterator<Item = f64>) -> f64 {
    gains.take(DEPTH).enumerate().map(|(i, gain)| gain / (i as f64 + 2.0).log2()).sum()
}

/// The value of a metric for one query.
type Metric = fn(&SearchedQuery) -> f64;

const METRICS: [(&str, Metric); 4] = [
    ("ndcg@10", |query| query.ndcg),
    ("condensed_ndcg@10", |query| query.condensed),
    ("judged@10", |query| query.judged),
    ("mrr", |query| query.mrr),
];

/// Means over the queries, with intervals and by type of query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SearchReport {
    /// `ndcg@10`, `condensed_ndcg@10`, `judged@10`, `mrr`.
    pub metrics: BTreeMap<&'static str, f64>,
    /// 95 % intervals, by bootstrap over queries.
    pub ci95: BTreeMap<&'static str, Interval>,
    /// The metrics of queries of one word, of two, of more, and of those with digits.
    pub by_type: BTreeMap<&'static str, BTreeMap<&'static str, f64>>,
    /// Queries with something relevant.
    pub n_eval: usize,
}

impl SearchReport {
    /// The report of all queries.
    pub fn new(queries: &[SearchedQuery], seed: u64) -> Self {
        let all: Vec<&SearchedQuery> = queries.iter().collect();
        let ci95 = METRICS.map(|(name, value)| {
            let values: Vec<f64> = queries.iter().map(value).collect();
            (name, interval(&values, seed))
        });
        let mut by_type: BTreeMap<&'static str, Vec<&SearchedQuery>> = BTreeMap::new();
        for query in queries {
            let length = match query.query.split_whitespace().count() {
                0 | 1 => "one_word",
                2 => "two_words",
                _ => "more_words",
            };
            by_type.entry(length).or_default().push(query);
            if query.query.bytes().any(|b| b.is_ascii_digit()) {
                by_type.entry("with_digits").or_default().push(query);
            }
        }
        let of_type = |(name, queries): (&'static str, Vec<&SearchedQuery>)| {
            let mut metrics = means(&queries);
            metrics.insert("n", queries.len() as f64);
            (name, metrics)
        };
        Self {
            metrics: means(&all),
            ci95: ci95.into(),
            by_type: by_type.into_iter().map(of_type).collect(),
            n_eval: queries.len(),
        }
    }
}

fn means(queries: &[&SearchedQuery]) -> BTreeMap<&'static str, f64> {
    let mean = |value: fn(&SearchedQuery) -> f64| {
        round(queries.iter().map(|query| value(query)).sum::<f64>() / queries.len().max(1) as f64)
    };
    METRICS.iter().map(|(name, value)| (*name, mean(*value))).collect()
}

/// The 95 % interval of a mean, by bootstrap.
fn interval(values: &[f64], seed: u64) -> Interval {
    if values.is_empty() {
        return Interval(0.0, 0.0);
    }
    let mean = |resample: u64| {
        let mut draws = Draws::new(seed, BOOTSTRAP, resample);
        let drawn = (0..values.len()).map(|_| values[draws.below(values.len() as u64) as usize]);
        drawn.sum::<f64>() / values.len() as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(mean).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| round(means[((means.len() - 1) as f64 * share).round() as usize]);
    Interval(at(0.025), at(0.975))
}

/// The mean difference to another run in each metric, with its paired 95 % interval.
///
/// # Errors
/// [`LabError::Empty`] if the other run answered other queries.
pub fn compare_searches(
    queries: &[SearchedQuery],
    other: &[SearchedQuery],
    seed: u64,
) -> Result<BTreeMap<&'static str, (f64, Interval)>, LabError> {
    let by_query: BTreeMap<&str, &SearchedQuery> = other.iter().map(|query| (&*query.query, query)).collect();
    let pairs: Option<Vec<(&SearchedQuery, &SearchedQuery)>> =
        queries.iter().map(|query| Some((query, *by_query.get(&*query.query)?))).collect();
    let pairs = pairs.filter(|pairs| pairs.len() == other.len());
    let Some(pairs) = pairs else { return Err(LabError::Empty("the other run answered other queries")) };
    let difference = |(name, value): &(&'static str, fn(&SearchedQuery) -> f64)| {
        let differences: Vec<f64> = pairs.iter().map(|(one, other)| value(one) - value(other)).collect();
        let mean = differences.iter().sum::<f64>() / differences.len().max(1) as f64;
        (*name, (round(mean), interval(&differences, seed)))
    };
    Ok(METRICS.iter().map(difference).collect())
}

/// Each query as answered under the setting that did best on the other queries, and the setting chosen for each fold. In: the
/// answers under each setting, of the same queries in the same order. Queries are dealt to the folds at random. Best is the
/// largest sum of both NDCGs, because either alone favours one kind of system; among equals the first setting.
///
/// # Errors
/// [`LabError::Empty`] with fewer queries than folds.
pub fn cross_validated(
    settings: &[Vec<SearchedQuery>],
    n_folds: usize,
    seed: u64,
) -> Result<(Vec<SearchedQuery>, Vec<usize>), LabError> {
    let n = settings.first().map_or(0, Vec::len);
    if n < n_folds || n_folds < 2 {
        return Err(LabError::Empty("there are fewer queries than folds"));
    }
    let mut order: Vec<usize> = (0..n).collect();
    let mut draws = Draws::new(seed, FOLDS, 0);
    (1..n).rev().for_each(|last| order.swap(last, draws.below(last as u64 + 1) as usize));
    let mut fold_of = vec![0; n];
    order.iter().enumerate().for_each(|(place, &query)| fold_of[query] = place % n_folds);
    let without = |answers: &[SearchedQuery], fold: usize| -> f64 {
        let others = answers.iter().zip(&fold_of).filter(|(_, of)| **of != fold);
        others.map(|(query, _)| query.ndcg + query.condensed).sum()
    };
    let best = |fold| {
        (0..settings.len()).fold(0, |best, one| {
            if without(&settings[one], fold) > without(&settings[best], fold) { one } else { best }
        })
    };
    let chosen: Vec<usize> = (0..n_folds).map(best).collect();
    let answers = (0..n).map(|query| settings[chosen[fold_of[query]]][query].clone()).collect();
    Ok((answers, chosen))
}

/// Neighbours of each letter on a QWERTY keyboard.
const NEAR: [&str; 26] = [
    "qsz", "vn", "xv", "sf", "wr", "dg", "fh", "gj", "uo", "hk", "jl", "ko", "n", "bm", "ip", "ol", "wa", "et", "ad",
    "ry", "yi", "cb", "qe", "zc", "tu", "ax",
];

/// The query with typing errors: of the words of three letters or more (letters only) half, rounded up, get one edit,
/// or with even chance one or two from eight letters on. An edit swaps two neighbours, leaves one letter out, doubles
/// one or inserts its neighbour on the keyboard, or hits that neighbour instead; the first letter is left alone nine
/// times in ten.
pub fn mistyped(query: &str, seed: u64, nth: u64) -> String {
    let mut draws = Draws::new(seed, TYPOS, nth);
    let mut words: Vec<String> = query.split_whitespace().map(str::to_string).collect();
    let can = |word: &String| word.len() >= 3 && word.bytes().all(|b| b.is_ascii_alphabetic());
    let mut places: Vec<usize> = (0..words.len()).filter(|&i| can(&words[i])).collect();
    let wanted = places.len().div_ceil(2);
    while places.len() > wanted {
        places.remove(draws.below(places.len() as u64) as usize);
    }
    for place in places {
        let n_edits = if words[place].len() >= 8 { 1 + draws.below(2) } else { 1 };
        let mut word = words[place].to_lowercase().into_bytes();
        (0..n_edits).for_each(|_| edit(&mut word, &mut draws));
        words[place] = String::from_utf8_lossy(&word).into_owned();
    }
    words.join(" ")
}

/// One typing error in a word of two letters or more, which changes it.
fn edit(word: &mut Vec<u8>, draws: &mut Draws) {
    let first = usize::from(draws.below(10) > 0);
    loop {
        let at = first + draws.below((word.len() - first) as u64) as usize;
        let near = NEAR.get(usize::from(word[at].wrapping_sub(b'a'))).copied().unwrap_or("e").as_bytes();
        let neighbour = near[draws.below(near.len() as u64) as usize];
        match draws.below(4) {
            0 if word.get(at + 1).is_some_and(|next| *next != word[at]) => word.swap(at, at + 1),
            1 if word.len() > 2 => drop(word.remove(at)),
            2 => word.insert(at + 1, if draws.below(2) == 0 { word[at] } else { neighbour }),
            3 => word[at] = neighbour,
            _ => continue,
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_list_scores_one_and_unjudged_items_cost_only_the_first_figure() {
        let judged =
            read_judgments("query,docid,rating\n\"red, mug\",a,3\n\"red, mug\",b,1\n\"red, mug\",c,0\nnothing,a,0\n");
        let judged = judged.unwrap();
        assert_eq!(judged.len(), 1, "a query without anything relevant is left out");
        let ratings = &judged["red, mug"];
        let perfect = SearchedQuery::new("red, mug", "red, mug", ratings, &["a", "b", "c"]);
        assert_eq!((perfect.ndcg, perfect.condensed, perfect.mrr), (1.0, 1.0, 1.0));
        let unjudged = SearchedQuery::new("red, mug", "red, mug", ratings, &["x", "a", "b"]);
        assert!(unjudged.ndcg < 0.7 && unjudged.condensed == 1.0 && unjudged.mrr == 0.5);
        assert!((unjudged.judged - 0.2).abs() < 1e-9);
        let difference = compare_searches(std::slice::from_ref(&perfect), &[unjudged], 1).unwrap();
        assert!(difference["ndcg@10"].0 > 0.3 && difference["condensed_ndcg@10"].0 == 0.0);
        assert!(compare_searches(&[perfect], &[], 1).is_err());
        assert!(read_judgments("query,docid,rating\nmug,a,x\n").is_err() && read_judgments("").is_err());
        let other = read_judgments("user_id,item_id,rating\nu1,i1,5\n").unwrap_err().to_string();
        assert!(other.contains("query,docid,rating"), "{other}");
        assert!(read_judgments("Query,item_id,relevance\nmug,a,1\n").is_ok() && read_judgments("mug,a,1\n").is_ok());
    }

    #[test]
    fn each_query_is_answered_under_a_setting_that_was_chosen_without_it() {
        let answered = |place: usize, is_good: bool| {
            let ratings = Ratings::from([("a".to_string(), 3.0)]);
            let found: &[&str] = if is_good { &["a"] } else { &["x", "a"] };
            SearchedQuery::new(&format!("query {place}"), "", &ratings, found)
        };
        // The first setting is good on one query alone, the second on all others.
        let first: Vec<_> = (0..20).map(|place| answered(place, place == 7)).collect();
        let second: Vec<_> = (0..20).map(|place| answered(place, place != 7)).collect();
        let (answers, chosen) = cross_validated(&[first.clone(), second.clone()], 5, 3).unwrap();
        assert_eq!(chosen, [1; 5]);
        assert_eq!(answers, second);
        assert!(cross_validated(&[first[..3].to_vec()], 5, 3).is_err());
        // A setting that is best on a query because of that query alone is not chosen for it.
        let lucky = |place: usize| (0..20).map(|other| answered(other, other == place)).collect();
        let lucky: Vec<Vec<SearchedQuery>> = (0..20).map(lucky).collect();
        let (answers, _) = cross_validated(&lucky, 20, 3).unwrap();
        assert!(answers.iter().all(|answer| answer.ndcg < 1.0));
    }

    #[test]
    fn typing_errors_come_again_with_their_seed_and_leave_short_words_and_numbers() {
        assert_eq!(mistyped("red umbrella", 11, 3), mistyped("red umbrella", 11, 3));
        assert_ne!(mistyped("umbrella", 11, 0), "umbrella");
        assert_eq!(mistyped("tv 4k 55", 11, 0), "tv 4k 55");
        let changed = (0..200).filter(|&nth| mistyped("hot water bottle", 11, nth) != "hot water bottle").count();
        assert_eq!(changed, 200);
    }
}
