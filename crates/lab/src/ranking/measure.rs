//! Metrics of a ranked list, each computed from the ranks of the relevant items.
//!
//! With `r` relevant items and `h(k)` of them among the first `k`: precision `h/k`, recall `h/r`, F1 their harmonic
//! mean, hit rate 1 if `h > 0`, NDCG `Σ 1/log2(rank+1)` divided by that of a perfect list (Järvelin & Kekäläinen 2002),
//! MRR one over the first rank, MAP the mean of the precision at each hit, over `min(r, k)`.

use super::Outcome;

/// A metric of the first `k` ranks.
pub struct Figure {
    /// The name before `@k`.
    pub name: &'static str,
    measure: fn(&[Option<u32>], u32) -> f64,
}

impl Figure {
    /// The metric of one query.
    pub fn of(&self, outcome: &Outcome, k: u32) -> f64 {
        (self.measure)(&outcome.ranks, k)
    }
}

/// All metrics.
pub const FIGURES: [Figure; 7] = [
    Figure { name: "precision", measure: precision },
    Figure { name: "recall", measure: recall },
    Figure { name: "f1", measure: f1 },
    Figure { name: "hr", measure: |ranks, k| f64::from(hits(ranks, k) > 0) },
    Figure { name: "ndcg", measure: ndcg },
    Figure { name: "mrr", measure: mrr },
    Figure { name: "map", measure: map },
];

/// Ranks below `k`; ranks ascend.
fn within(ranks: &[Option<u32>], k: u32) -> impl Iterator<Item = u32> {
    ranks.iter().map_while(move |rank| rank.filter(|&rank| rank < k))
}

fn hits(ranks: &[Option<u32>], k: u32) -> u32 {
    within(ranks, k).count() as u32
}

fn precision(ranks: &[Option<u32>], k: u32) -> f64 {
    f64::from(hits(ranks, k)) / f64::from(k)
}

fn recall(ranks: &[Option<u32>], k: u32) -> f64 {
    f64::from(hits(ranks, k)) / ranks.len() as f64
}

fn f1(ranks: &[Option<u32>], k: u32) -> f64 {
    // 2pr / (p + r) with p = h/k and r = h/n.
    2.0 * f64::from(hits(ranks, k)) / (f64::from(k) + ranks.len() as f64)
}

fn ndcg(ranks: &[Option<u32>], k: u32) -> f64 {
    let gain = |rank: u32| 1.0 / f64::from(rank + 2).log2();
    let best: f64 = (0..k.min(ranks.len() as u32)).map(gain).sum();
    within(ranks, k).map(gain).sum::<f64>() / best
}

fn mrr(ranks: &[Option<u32>], k: u32) -> f64 {
    within(ranks, k).next().map_or(0.0, |rank| 1.0 / f64::from(rank + 1))
}

fn map(ranks: &[Option<u32>], k: u32) -> f64 {
    let sum: f64 = within(ranks, k).enumerate().map(|(n, rank)| (n + 1) as f64 / f64::from(rank + 1)).sum();
    sum / f64::from(k.min(ranks.len() as u32))
}

/// The value of each metric at each cutoff, then `mrr` over the whole list, for one query.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured(pub Vec<f64>);

impl Measured {
    /// The names, in the order of the values.
    pub fn names(cutoffs: &[u32]) -> Vec<String> {
        let at = |k: &u32| FIGURES.iter().map(|figure| format!("{}@{k}", figure.name)).collect::<Vec<_>>();
        cutoffs.iter().flat_map(at).chain(["mrr".to_string()]).collect()
    }

    /// Measures one query.
    pub fn new(outcome: &Outcome, cutoffs: &[u32]) -> Self {
        let at = cutoffs.iter().flat_map(|&k| FIGURES.iter().map(move |figure| figure.of(outcome, k)));
        Self(at.chain([mrr(&outcome.ranks, u32::MAX)]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, ranks: &[Option<u32>], k: u32) -> f64 {
        let figure = FIGURES.iter().find(|figure| figure.name == name).expect("a known name");
        figure.of(&Outcome { ranks: ranks.into(), list: vec![] }, k)
    }

    #[test]
    fn metrics_match_their_definitions() {
        // Relevant items have ranks 1 and 3; a third one is not a candidate.
        let ranks = [Some(0), Some(2), None];
        let near = |name: &str, k: u32, expected: f64| {
            let got = value(name, &ranks, k);
            assert!((got - expected).abs() < 1e-12, "{name}@{k} is {got}, not {expected}");
        };
        near("precision", 4, 0.5);
        near("recall", 4, 2.0 / 3.0);
        near("f1", 4, 2.0 * 0.5 * (2.0 / 3.0) / (0.5 + 2.0 / 3.0));
        near("hr", 1, 1.0);
        near("mrr", 4, 1.0);
        near("map", 4, (1.0 + 2.0 / 3.0) / 3.0);
        near("ndcg", 4, 1.5 / (1.0 + 1.0 / 3_f64.log2() + 0.5));
        near("recall", 2, 1.0 / 3.0);
    }

    #[test]
    fn metrics_are_zero_without_hits_and_one_for_a_perfect_list() {
        for figure in &FIGURES {
            assert_eq!(value(figure.name, &[Some(9), None], 5), 0.0, "{}", figure.name);
            assert_eq!(value(figure.name, &[Some(0)], 1), 1.0, "{}", figure.name);
        }
    }
}
