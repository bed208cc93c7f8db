//! The expected reward of an item at a position: the item's mean at that position, shrunk towards the position's mean.
//!
//! `q(item, place) = (Σ r + s·m(place)) / (n + s)` with `m(place) = (Σ r + s·m) / (n + s)`. The model is simple because
//! the doubly robust estimate is unbiased with any model; a better model only narrows its interval.

use std::collections::BTreeMap;

use super::{Cell, Decision};

/// Smoothed means by item and position.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RewardModel {
    smoothing: f64,
    all: Mean,
    places: BTreeMap<u32, Mean>,
    cells: BTreeMap<Cell, Mean>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    sum: f64,
    n: f64,
}

impl Mean {
    fn add(&mut self, reward: f64) {
        self.sum += reward;
        self.n += 1.0;
    }

    fn towards(self, prior: f64, smoothing: f64) -> f64 {
        let n = self.n + smoothing;
        if n > 0.0 { (self.sum + smoothing * prior) / n } else { prior }
    }
}

impl RewardModel {
    /// Fits the means; `smoothing` is the weight of the prior, in observations.
    pub fn fit<'a>(decisions: impl Iterator<Item = &'a Decision>, smoothing: f64) -> Self {
        let mut model = Self { smoothing, ..Self::default() };
        for (cell, reward) in decisions.flat_map(|decision| &decision.shown) {
            model.all.add(*reward);
            model.places.entry(cell.place).or_default().add(*reward);
            model.cells.entry(*cell).or_default().add(*reward);
        }
        model
    }

    /// The expected reward of the cell.
    pub fn reward(&self, cell: Cell) -> f64 {
        let all = self.all.towards(0.0, 0.0);
        let place = self.places.get(&cell.place).copied().unwrap_or_default().towards(all, self.smoothing);
        self.cells.get(&cell).copied().unwrap_or_default().towards(place, self.smoothing)
    }

    /// The expected reward of a page with these cells, each with its weight.
    pub fn of_page<'a>(&self, cells: impl Iterator<Item = &'a (Cell, f64)>) -> f64 {
        cells.map(|&(cell, weight)| weight * self.reward(cell)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_item_has_the_mean_of_its_position_and_an_old_one_its_own() {
        let decision = |item, place, reward| Decision {
            user: 0,
            propensity: 1.0,
            target: 1.0,
            shown: vec![(Cell { item, place }, reward)],
            expected: Vec::new(),
        };
        let log: Vec<_> = (0..1000).map(|n| decision(n % 2, 0, f64::from(n % 2))).collect();
        let model = RewardModel::fit(log.iter(), 10.0);
        let reward = |item, place| model.reward(Cell { item, place });
        assert!((reward(7, 0) - 0.5).abs() < 1e-12 && (reward(7, 3) - 0.5).abs() < 1e-12);
        assert!(reward(1, 0) > 0.98 && reward(0, 0) < 0.02);
        assert_eq!(RewardModel::fit([].into_iter(), 10.0).reward(Cell { item: 0, place: 0 }), 0.0);
    }
}
