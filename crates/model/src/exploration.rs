//! A page whose first places are drawn at random with known probabilities. Records of such pages show what another
//! policy would have earned, though that policy was never in use.
//!
//! In: how many items are ranked, random draws. Out: an order of ranks and the exact propensity of each place. The first places
//! are drawn one after another without replacement from the best items (Plackett 1975; Luce 1959), the rest follows as ranked:
//!
//! ```text
//! P(rank r at place k | above) = exp(−r/T) / Σ exp(−s/T) over the ranks s < among that are not above
//! ```
//!
//! The product over the drawn places is the probability of the whole page. Refuses nothing: a page of one item has nothing to draw.

use accrue_event::SettingFault;
use accrue_kernel::{Draws, exp};
use serde::{Deserialize, Serialize};

/// How the first places of a page are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exploration {
    /// Places that are drawn, from the top.
    pub places: usize,
    /// The best items, among which they are drawn.
    pub among: usize,
    /// Ranks over which the probability falls to 1/e; `inf` draws uniformly.
    pub temperature: f32,
}

impl Default for Exploration {
    fn default() -> Self {
        Self { places: 2, among: 5, temperature: 3.0 }
    }
}

/// Most places that may be drawn: an off-policy estimate sums over all their fillings.
pub const MAX_PLACES: usize = 3;
/// Most items among which they may be drawn.
pub const MAX_AMONG: usize = 20;

/// A page as it was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// For each place the rank, from 0, of the item in it: a permutation.
    pub ranks: Vec<u32>,
    /// For each place the probability of its item, given the places above it.
    pub propensities: Vec<f32>,
}

impl Exploration {
    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("places", self.places, 1..=MAX_PLACES)?;
        if !(2..=MAX_AMONG).contains(&self.among) || self.among < self.places {
            let expected = format!("2 to {MAX_AMONG} and no less than `places`");
            return Err(SettingFault::new("among", self.among, expected));
        }
        SettingFault::check("temperature", self.temperature, 0.05..)
    }

    /// Draws a page of `n` ranked items.
    pub fn draw(&self, n: usize, draws: &mut Draws) -> Drawn {
        let mut left: Vec<(u32, f64)> = self.weights(n);
        let mut drawn = Drawn { ranks: Vec::with_capacity(n), propensities: Vec::with_capacity(n) };
        for _ in 0..self.places.min(left.len()) {
            let total: f64 = left.iter().map(|(_, weight)| weight).sum();
            let mut at = f64::from(draws.uniform()) * total;
            // Rounding may leave the sum short of its parts; then the last one is chosen.
            let chosen = left.iter().position(|(_, weight)| {
                at -= weight;
                at < 0.0
            });
            let (rank, weight) = left.remove(chosen.unwrap_or(left.len() - 1));
            drawn.ranks.push(rank);
            drawn.propensities.push((weight / total) as f32);
        }
        let mut rest: Vec<u32> = (0..n as u32).filter(|rank| !drawn.ranks.contains(rank)).collect();
        drawn.ranks.append(&mut rest);
        drawn.propensities.resize(n, 1.0);
        drawn
    }

    /// The probability of a page with this order of ranks.
    pub fn probability(&self, ranks: &[u32]) -> f64 {
        let mut left = self.weights(ranks.len());
        let mut chance = 1.0;
        for rank in ranks.iter().take(self.places.min(left.len())) {
            let total: f64 = left.iter().map(|(_, weight)| weight).sum();
            let Some(place) = left.iter().position(|(other, _)| other == rank) else { return 0.0 };
            chance *= left.remove(place).1 / total;
        }
        let drawn = &ranks[..self.places.min(ranks.len())];
        let rest = &ranks[drawn.len()..];
        if rest.is_sorted() { chance } else { 0.0 }
    }

    /// Every way to fill the drawn places of a page of `n`, as ranks from the top, with its probability. They sum to 1.
    pub fn fillings(&self, n: usize) -> Vec<(Vec<u32>, f64)> {
        let mut found = vec![(Vec::new(), 1.0)];
        let weights = self.weights(n);
        for _ in 0..self.places.min(weights.len()) {
            let longer = found.iter().flat_map(|(above, chance)| {
                let left = || weights.iter().filter(|(rank, _)| !above.contains(rank));
                let total: f64 = left().map(|(_, weight)| weight).sum();
                left()
                    .map(|(rank, weight)| ([&above[..], &[*rank]].concat(), chance * weight / total))
                    .collect::<Vec<_>>()
            });
            found = longer.collect();
        }
        found
    }

    /// The ranks that compete on a page of `n`, with their weights.
    fn weights(&self, n: usize) -> Vec<(u32, f64)> {
        let weight = |rank: u32| f64::from(exp(-(rank as f32) / self.temperature)).max(f64::MIN_POSITIVE);
        (0..self.among.min(n) as u32).map(|rank| (rank, weight(rank))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAW: Exploration = Exploration { places: 2, among: 4, temperature: 2.0 };

    #[test]
    fn pages_come_as_often_as_their_propensities_say() {
        let (n, n_drawn) = (6, 60_000);
        let mut seen = std::collections::BTreeMap::new();
        for number in 0..n_drawn {
            let drawn = DRAW.draw(n, &mut Draws::new(5, 6, number));
            let product: f64 = drawn.propensities.iter().map(|&chance| f64::from(chance)).product();
            assert!((product - DRAW.probability(&drawn.ranks)).abs() < 1e-6);
            let mut sorted = drawn.ranks.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..n as u32));
            *seen.entry(drawn.ranks[..2].to_vec()).or_insert(0_u32) += 1;
        }
        let fillings = DRAW.fillings(n);
        assert_eq!((fillings.len(), seen.len()), (12, 12));
        assert!((fillings.iter().map(|(_, chance)| chance).sum::<f64>() - 1.0).abs() < 1e-12);
        for (filling, chance) in fillings {
            let share = f64::from(seen[&filling]) / n_drawn as f64;
            assert!((share - chance).abs() < 4.0 * (chance / n_drawn as f64).sqrt(), "{filling:?}: {share}, {chance}");
        }
    }

    #[test]
    fn short_pages_and_impossible_orders_have_their_probabilities() {
        assert_eq!(DRAW.draw(1, &mut Draws::new(1, 1, 1)), Drawn { ranks: vec![0], propensities: vec![1.0] });
        assert!(DRAW.draw(0, &mut Draws::new(1, 1, 1)).ranks.is_empty());
        assert_eq!(DRAW.probability(&[0, 1, 3, 2]), 0.0, "the rest follows as ranked");
        assert_eq!(DRAW.probability(&[4, 0, 1, 2, 3]), 0.0, "the fifth does not compete");
        let even = Exploration { temperature: f32::INFINITY, ..DRAW };
        assert!((even.probability(&[3, 1, 0, 2]) - 1.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn invalid_settings_are_refused() {
        for (exploration, named) in [
            (Exploration { places: 0, ..DRAW }, "places"),
            (Exploration { among: 1, ..DRAW }, "among"),
            (Exploration { places: 3, among: 2, ..DRAW }, "among"),
            (Exploration { temperature: f32::NAN, ..DRAW }, "temperature"),
            (Exploration { temperature: -1.0, ..DRAW }, "temperature"),
        ] {
            assert!(exploration.validate().is_err_and(|told| told.key == named), "{exploration:?}");
        }
        assert_eq!(Exploration::default().validate(), Ok(()));
    }
}
