//! Compares a trained encoder with the one that it was made from, on pairs of later choices that training never had.
//!
//! In: vectors of both for the same texts. Out: at which rank each finds the passage that belongs to a query, among all
//! candidates, and what the difference is worth: 95 % intervals that resample shoppers (Efron 1979), whose choices are
//! correlated. Both encoders have the same queries, so intervals are of the differences.

use std::collections::{BTreeMap, BTreeSet};

use accrue_kernel::{Draws, dot_rows};
use serde::{Deserialize, Serialize};

use super::pairs::{PairKind, TextPair};

/// Places of a list that count as found.
const PLACES: usize = 10;
/// Resamples of an interval.
const RESAMPLES: u64 = 1_000;
/// Stream of their random numbers.
const STREAM: u64 = 0x4a75_6467;

/// A figure of both encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Of the encoder that training began with.
    pub before: f64,
    /// Of the trained one.
    pub after: f64,
    /// The 95 % interval of the difference.
    pub difference: [f64; 2],
}

/// How well both encoders find what belongs together, over some pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Pairs.
    pub pairs: usize,
    /// The share of pairs whose passage is among the first ten.
    pub recall_at_10: Change,
    /// The mean of 1 / rank.
    pub mrr: Change,
}

/// The comparison of two encoders on pairs held out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Texts among which each query looks for its passage, at most.
    pub candidates: usize,
    /// Over all pairs.
    pub all: Figures,
    /// Over pairs that training did not have.
    pub new_pairs: Figures,
    /// Over pairs whose passage is in no pair of the training.
    pub new_passages: Figures,
    /// By kind of pair.
    pub kinds: BTreeMap<String, Figures>,
}

impl Comparison {
    /// Whether the trained encoder is better beyond chance, and no worse for passages that training did not have.
    pub fn is_better(&self) -> bool {
        let (all, new) = (&self.all.mrr.difference, &self.new_passages.mrr.difference);
        all[0] > 0.0 && (self.new_passages.pairs == 0 || new[1] >= 0.0)
    }
}

/// A pair with the ranks that both encoders give its passage, from 1.
struct Judged {
    pair: TextPair,
    ranks: [usize; 2],
}

/// Compares two encoders. `vectors`: of each text, by each encoder; empty for texts that are not needed.
pub(super) fn compare(
    held_out: &[TextPair],
    trained_on: &[TextPair],
    candidates: &BTreeMap<PairKind, Vec<u32>>,
    vectors: [&[Vec<f32>]; 2],
    seed: u64,
) -> Comparison {
    let mut judged: Vec<Judged> = held_out.iter().map(|&pair| Judged { pair, ranks: [0; 2] }).collect();
    for (at, vectors) in vectors.into_iter().enumerate() {
        for (kind, candidates) in candidates {
            let table: Vec<f32> = candidates.iter().flat_map(|&text| &vectors[text as usize]).copied().collect();
            let mut scores = vec![0.0; candidates.len()];
            for judged in judged.iter_mut().filter(|judged| judged.pair.kind == *kind) {
                let TextPair { query, passage, .. } = judged.pair;
                dot_rows(&vectors[query as usize], &table, &mut scores);
                judged.ranks[at] = rank(&scores, candidates, query, passage);
            }
        }
    }
    let known: BTreeSet<[u32; 2]> = trained_on.iter().map(|pair| [pair.query, pair.passage]).collect();
    let passages: BTreeSet<u32> = trained_on.iter().map(|pair| pair.passage).collect();
    let of = |keep: &dyn Fn(&TextPair) -> bool| {
        figures(&judged.iter().filter(|judged| keep(&judged.pair)).collect::<Vec<_>>(), seed)
    };
    let kinds: BTreeSet<PairKind> = held_out.iter().map(|pair| pair.kind).collect();
    Comparison {
        candidates: kinds.iter().filter_map(|kind| candidates.get(kind)).map(Vec::len).max().unwrap_or(0),
        all: of(&|_| true),
        new_pairs: of(&|pair| !known.contains(&[pair.query, pair.passage])),
        new_passages: of(&|pair| !passages.contains(&pair.passage)),
        kinds: kinds.iter().map(|&kind| (kind.name().to_owned(), of(&|pair| pair.kind == kind))).collect(),
    }
}

/// The rank of the passage: one more than candidates with a higher score, and half of those with an equal one. The query
/// itself is no candidate.
fn rank(scores: &[f32], candidates: &[u32], query: u32, passage: u32) -> usize {
    let Some(own) = candidates.iter().position(|&text| text == passage).map(|at| scores[at]) else {
        return candidates.len() + 1;
    };
    let others = scores.iter().zip(candidates).filter(|(_, text)| **text != query && **text != passage);
    let (above, equal) = others.fold((0, 0), |(above, equal), (&score, _)| {
        (above + usize::from(score > own), equal + usize::from(score == own))
    });
    1 + above + equal / 2
}

fn figures(judged: &[&Judged], seed: u64) -> Figures {
    let found = |rank: usize| f64::from(u8::from(rank <= PLACES));
    Figures {
        pairs: judged.len(),
        recall_at_10: change(judged, &found, seed),
        mrr: change(judged, &|rank| 1.0 / rank.max(1) as f64, seed),
    }
}

fn change(judged: &[&Judged], value: &dyn Fn(usize) -> f64, seed: u64) -> Change {
    if judged.is_empty() {
        return Change::default();
    }
    let mean = |at: usize| judged.iter().map(|judged| value(judged.ranks[at])).sum::<f64>() / judged.len() as f64;
    let mut shoppers: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for judged in judged {
        let (sum, n) = shoppers.entry(judged.pair.shopper).or_default();
        *sum += value(judged.ranks[1]) - value(judged.ranks[0]);
        *n += 1.0;
    }
    let shoppers: Vec<(f64, f64)> = shoppers.into_values().collect();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            let mut draws = Draws::new(seed, STREAM, resample);
            let (sum, n) = shoppers.iter().fold((0.0, 0.0), |(sum, n), _| {
                let (own, own_n) = shoppers[draws.below(shoppers.len() as u64) as usize];
                (sum + own, n + own_n)
            });
            sum / n
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (means.len() - 1) as f64).round() as usize];
    Change { before: mean(0), after: mean(1), difference: [at(0.025), at(0.975)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(at: usize) -> Vec<f32> {
        (0..4).map(|place| f32::from(place == at)).collect()
    }

    /// Text 0 and 1 are queries; 2, 3, 4 passages. The second encoder knows that 3 belongs to 1.
    #[test]
    fn an_encoder_that_finds_more_is_better_and_the_same_one_is_not() {
        let before = vec![unit(0), unit(1), unit(0), unit(2), unit(1)];
        let after = vec![unit(0), unit(1), unit(0), unit(1), unit(2)];
        let pair = |query, passage, shopper| TextPair { kind: PairKind::Search, query, passage, at_ms: 0, shopper };
        let held_out: Vec<TextPair> = (0..30).flat_map(|at| [pair(0, 2, at), pair(1, 3, at)]).collect();
        let candidates = BTreeMap::from([(PairKind::Search, vec![2, 3, 4])]);
        let found = compare(&held_out, &held_out[..1], &candidates, [&before, &after], 1);
        assert_eq!((found.all.mrr.before, found.all.mrr.after), (0.75, 1.0));
        assert_eq!((found.new_pairs.pairs, found.new_passages.pairs, found.candidates), (30, 30, 3));
        assert_eq!((found.new_passages.mrr.before, found.new_passages.mrr.after), (0.5, 1.0));
        assert!(found.is_better() && found.all.mrr.difference[0] > 0.2, "{found:?}");
        assert!(!compare(&held_out, &[], &candidates, [&before, &before], 1).is_better());
        assert!(!compare(&held_out, &[], &candidates, [&after, &before], 1).is_better());
    }

    #[test]
    fn what_is_better_for_known_passages_alone_is_not_better() {
        let worse = Change { before: 0.5, after: 0.4, difference: [-0.2, -0.01] };
        let better = Change { before: 0.5, after: 0.6, difference: [0.01, 0.2] };
        let all = Figures { pairs: 100, mrr: better, ..Figures::default() };
        let new_passages = Figures { pairs: 20, mrr: worse, ..Figures::default() };
        assert!(!Comparison { all, new_passages, ..Comparison::default() }.is_better());
        assert!(Comparison { all, ..Comparison::default() }.is_better());
    }

    #[test]
    fn equal_scores_share_their_ranks_and_the_query_is_no_candidate() {
        assert_eq!(rank(&[0.5, 0.5, 0.5, 0.9], &[7, 8, 9, 3], 3, 8), 2);
        assert_eq!(rank(&[0.5, 0.6], &[7, 8], 3, 8), 1);
        assert_eq!(rank(&[0.5, 0.6], &[7, 8], 3, 9), 3);
    }
}
