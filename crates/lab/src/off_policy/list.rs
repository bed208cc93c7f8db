//! Pages whose first positions were drawn at random, as decisions: the decision is the whole page and its reward the
//! clicks.
//!
//! No click model is needed: the probability of a page is the product of the propensities of its positions, whatever
//! shoppers look at.

use std::collections::BTreeMap;

use accrue_model::Exploration;

use super::{Cell, Decision};

/// A policy over ranked items; the best one has rank 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ListPolicy {
    /// In the order of the ranks.
    Ranked,
    /// With the first positions drawn at random.
    Drawn(Exploration),
}

impl ListPolicy {
    /// The probability of a page with this order.
    pub fn probability(&self, ranks: &[u32]) -> f64 {
        match self {
            Self::Ranked => f64::from(u8::from(ranks.is_sorted())),
            Self::Drawn(exploration) => exploration.probability(ranks),
        }
    }

    /// The ranks of the first positions of a page of `n` items, each with its probability; the other items follow in
    /// order.
    fn fillings(&self, n: usize) -> Vec<(Vec<u32>, f64)> {
        match self {
            Self::Ranked => vec![(Vec::new(), 1.0)],
            Self::Drawn(exploration) => exploration.fillings(n),
        }
    }
}

/// A page as it was shown.
#[derive(Clone, Copy, Debug)]
pub struct ShownList<'a> {
    /// The user.
    pub user: u32,
    /// The indices of the items, from the first position.
    pub items: &'a [u32],
    /// Their ranks before the first positions were drawn: a permutation.
    pub ranks: &'a [u32],
    /// The probability of each item at its position, given the items above.
    pub propensities: &'a [f32],
    /// The reward of each item.
    pub rewards: &'a [f64],
}

impl ShownList<'_> {
    /// The page as a decision, with another policy as the target.
    pub fn decision(&self, policy: &ListPolicy) -> Decision {
        let n = self.items.len();
        let cell = |place: usize, item: u32| Cell { item, place: place as u32 };
        let mut by_rank = vec![0; n];
        for (&rank, &item) in self.ranks.iter().zip(self.items) {
            by_rank[rank as usize] = item;
        }
        let mut expected: BTreeMap<Cell, f64> = BTreeMap::new();
        for (top, chance) in policy.fillings(n) {
            let rest = (0..n as u32).filter(|rank| !top.contains(rank));
            for (place, rank) in top.iter().copied().chain(rest).enumerate() {
                *expected.entry(cell(place, by_rank[rank as usize])).or_default() += chance;
            }
        }
        Decision {
            user: self.user,
            propensity: self.propensities.iter().map(|&chance| f64::from(chance)).product(),
            target: policy.probability(self.ranks),
            shown: self.items.iter().zip(self.rewards).enumerate().map(|(k, (&item, &r))| (cell(k, item), r)).collect(),
            expected: expected.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_position_has_total_probability_one_under_any_policy() {
        let drawn = Exploration { places: 2, among: 3, temperature: 1.0 };
        let shown = ShownList {
            user: 3,
            items: &[12, 10, 11, 13],
            ranks: &[2, 0, 1, 3],
            propensities: &[0.1, 0.7, 1.0, 1.0],
            rewards: &[0.0, 1.0, 0.0, 0.0],
        };
        for policy in [ListPolicy::Ranked, ListPolicy::Drawn(drawn)] {
            let decision = shown.decision(&policy);
            for place in 0..4 {
                let filled: f64 =
                    decision.expected.iter().filter(|(cell, _)| cell.place == place).map(|(_, chance)| chance).sum();
                assert!((filled - 1.0).abs() < 1e-12);
            }
            assert!((decision.propensity - 0.07).abs() < 1e-7);
            assert_eq!(decision.reward(), 1.0);
        }
        let ranked = shown.decision(&ListPolicy::Ranked);
        assert_eq!(ranked.target, 0.0);
        assert!(ranked.expected.iter().all(|(cell, chance)| (cell.item == 10 + cell.place) && *chance == 1.0));
        assert!((shown.decision(&ListPolicy::Drawn(drawn)).target - drawn.probability(&[2, 0, 1, 3])).abs() < 1e-12);
    }
}
