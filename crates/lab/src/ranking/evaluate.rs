//! Computes the ranks of relevant items from the scores of a fitted model.

use accrue_kernel::top_k;
use accrue_model::collaborative::{AnyModel, FitError, parallel};

use super::{Query, Task};
use crate::LabError;
use crate::metrics::LIST;

/// Queries that are scored together.
const BATCH: usize = 16;

/// The result of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Ranks of the relevant items from 0, ascending; then `None` for each one that is not a candidate.
    pub ranks: Vec<Option<u32>>,
    /// The best items with their scores, best first, as many as a report needs.
    pub list: Vec<(u32, f32)>,
}

/// Ranks for all queries of the task; `progress` is called with the share done.
///
/// # Errors
/// [`LabError::NotANumber`] if a score is `NaN`; [`LabError::Fit`] if `stop` said so before the end.
pub fn evaluate(
    model: &AnyModel,
    task: &Task,
    threads: usize,
    progress: &(dyn Fn(f64) + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Outcome>, LabError> {
    let n_items = task.train.n_items();
    let mut outcomes: Vec<Result<Outcome, LabError>> = Vec::new();
    outcomes.resize_with(task.queries.len(), || Ok(Outcome::default()));
    let scratch = || vec![0.0_f32; BATCH * n_items];
    parallel::for_each_chunk(threads, &mut outcomes, BATCH, scratch, |scores, number, outcomes| {
        if stop() {
            return outcomes.iter_mut().for_each(|outcome| *outcome = Err(FitError::Stopped.into()));
        }
        let queries = &task.queries[number * BATCH..][..outcomes.len()];
        let histories: Vec<&[u32]> = queries.iter().map(|query| &*query.history).collect();
        let scores = &mut scores[..queries.len() * n_items];
        model.score_batch(&histories, scores);
        for ((outcome, query), scores) in outcomes.iter_mut().zip(queries).zip(scores.chunks_exact_mut(n_items)) {
            *outcome = rank(scores, query, task.drop_seen)
                .ok_or(LabError::NotANumber { model: model.kind().name(), user: query.user });
        }
        if number % 64 == 0 {
            progress((number * BATCH) as f64 / task.queries.len() as f64);
        }
    });
    outcomes.into_iter().collect()
}

/// Ranks of one query; `None` if a score is `NaN`. `scores: [n_items]`, overwritten.
fn rank(scores: &mut [f32], query: &Query, drop_seen: bool) -> Option<Outcome> {
    if scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    if drop_seen {
        query.history.iter().for_each(|&item| scores[item as usize] = f32::NEG_INFINITY);
    }
    let mut targets: Vec<f32> =
        query.relevant.iter().map(|&item| scores[item as usize]).filter(|&score| score > f32::NEG_INFINITY).collect();
    targets.sort_unstable_by(|a, b| b.total_cmp(a));
    let list = match &query.among {
        None => {
            let best = top_k(scores, LIST);
            best.into_iter()
                .filter(|&(score, _)| score > f32::NEG_INFINITY)
                .map(|(score, item)| (item, score))
                .collect()
        }
        Some(_) => Vec::new(),
    };
    let mut n_others = vec![0_u32; targets.len()];
    let lowest = targets.last().copied().unwrap_or(f32::INFINITY);
    let mut count = |score: f32| {
        if score >= lowest {
            // Targets before this index score more than the item.
            let beaten = targets.partition_point(|&target| target > score);
            n_others[beaten] += 1;
        }
    };
    match &query.among {
        Some(among) => among.iter().for_each(|&item| count(scores[item as usize])),
        None => {
            // Relevant items do not count against each other here; `-inf` is below every target.
            query.relevant.iter().for_each(|&item| scores[item as usize] = f32::NEG_INFINITY);
            scores.iter().for_each(|&score| count(score));
        }
    }
    let mut ahead = 0;
    let mut ranks: Vec<Option<u32>> = Vec::with_capacity(query.relevant.len());
    for (place, n) in n_others.into_iter().enumerate() {
        ahead += n;
        ranks.push(Some(ahead + place as u32));
    }
    ranks.resize(query.relevant.len(), None);
    Some(Outcome { ranks, list })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scores: &[f32], query: &Query, drop_seen: bool, expected: &[Option<u32>]) {
        let outcome = rank(&mut scores.to_vec(), query, drop_seen).expect("no NaN");
        assert_eq!(outcome.ranks, expected, "{scores:?} {query:?}");
    }

    fn query(history: &[u32], relevant: &[u32], among: Option<&[u32]>) -> Query {
        Query { user: 0, history: history.into(), relevant: relevant.into(), among: among.map(Into::into) }
    }

    #[test]
    fn among_equal_scores_the_relevant_item_ranks_last() {
        check(&[1.0; 4], &query(&[], &[0], None), true, &[Some(3)]);
        check(&[1.0; 4], &query(&[2], &[0], None), true, &[Some(2)]);
        check(&[1.0; 4], &query(&[2], &[0], None), false, &[Some(3)]);
        check(&[1.0; 4], &query(&[], &[0], Some(&[3])), true, &[Some(1)]);
    }

    #[test]
    fn relevant_items_are_outranked_only_by_each_other() {
        check(&[5.0, 4.0, 3.0, 2.0, 1.0], &query(&[], &[0, 2, 4], None), true, &[Some(0), Some(2), Some(4)]);
        check(&[2.0, 2.0, 2.0, 1.0], &query(&[], &[0, 1], None), true, &[Some(1), Some(2)]);
    }

    #[test]
    fn a_seen_item_is_not_ranked_and_nan_is_refused() {
        check(&[2.0, 1.0], &query(&[0], &[0], None), true, &[None]);
        assert_eq!(rank(&mut [f32::NAN, 0.0], &query(&[], &[1], None), true), None);
    }
}
