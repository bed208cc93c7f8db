//! Pages whose first places were drawn, as decisions: the page as a whole is what was decided, its clicks are the reward.
//!
//! No click model is needed: whatever a shopper looks at, the page was shown with the product of its places' propensities.

use std::collections::BTreeMap;

use accrue_model::Exploration;

use super::{Cell, Decision};

/// A policy over the ranks that the models gave, the best being 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ListPolicy {
    /// As ranked.
    Ranked,
    /// With the first places drawn.
    Drawn(Exploration),
}

impl ListPolicy {
    /// How likely a page of this order is.
    pub fn probability(&self, ranks: &[u32]) -> f64 {
        match self {
            Self::Ranked => f64::from(u8::from(ranks.is_sorted())),
            Self::Drawn(exploration) => exploration.probability(ranks),
        }
    }

    /// The ranks on top of a page of `n`, each way with its chance; the others follow as ranked.
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
    /// To whom.
    pub user: u32,
    /// The items from the top, numbered.
    pub items: &'a [u32],
    /// Their ranks before the first places were drawn: a permutation.
    pub ranks: &'a [u32],
    /// How likely each was to stand there, given those above.
    pub propensities: &'a [f32],
    /// What came of each.
    pub rewards: &'a [f64],
}

impl ShownList<'_> {
    /// The page as a decision, in the light of another policy.
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
    fn each_place_is_filled_once_under_any_policy() {
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
