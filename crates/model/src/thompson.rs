//! Thompson sampling for the first places of a page: the page is ordered by one draw from each item's distribution of
//! scores.
//!
//! Thompson, *On the likelihood that one unknown probability exceeds another* (Biometrika 1933); Chapelle and Li, *An empirical
//! evaluation of Thompson sampling* (NIPS 2011). The probability that an item is drawn first is the probability that it
//! is the best, given what was learned. So new items and those with few events are shown sometimes, and well-known ones
//! keep their places.
//!
//! In: the beliefs of ranked items. Out: an order of ranks and the exact propensity of each place, which off-policy
//! estimates need. To compute it, scores are drawn on a grid of cells: item `i` falls into cell `c` with probability
//! `π_i(c)`, and of two in one cell the better ranked is above. Then probabilities of orders are sums over cells,
//!
//! ```text
//! H_1(c) = π_{k1}(c),   H_j(c) = π_{kj}(c) · P(the one before is above c; by H_{j-1})
//! P(k1, …, kj above all others, in this order) = Σ_c H_j(c) · Π_{others r} P(r is below c)
//! ```
//!
//! and a place's propensity is the ratio of two of them. Refuses nothing: a page of one item has nothing to draw.

use accrue_kernel::Draws;

use crate::exploration::Drawn;
use crate::gaussian::Gaussian;

/// Cells that scores are drawn on.
const N_CELLS: usize = 512;
/// Standard deviations by which the grid extends beyond the outermost means.
const MARGIN: f32 = 4.0;

/// How many places are drawn, among how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thompson {
    /// Places that are drawn, from the top.
    pub places: usize,
    /// The best items that compete for them.
    pub among: usize,
}

/// Chances of one item's cells.
struct Chances {
    /// `π(c)`. `[N_CELLS]`
    of_cell: Vec<f64>,
    /// `Σ_{c' < c} π(c')`. `[N_CELLS]`
    below: Vec<f64>,
}

impl Chances {
    /// Probability beyond the grid belongs to its outermost cells.
    fn of(belief: Gaussian, low: f32, width: f32) -> Self {
        let edge = |cell: usize| f64::from(belief.below(low + width * cell as f32));
        // In the tails the approximation of Φ may decrease by a rounding error, but a distribution function must not.
        let mut highest = 0.0_f64;
        let rise = |cell: usize| {
            highest = if cell == 0 { 0.0 } else { highest.max(edge(cell)) };
            highest
        };
        let below: Vec<f64> = (0..N_CELLS).map(rise).collect();
        let of_cell = (0..N_CELLS).map(|cell| below.get(cell + 1).copied().unwrap_or(1.0) - below[cell]).collect();
        Self { of_cell, below }
    }

    fn draw(&self, draws: &mut Draws) -> usize {
        let at = f64::from(draws.uniform());
        self.below.partition_point(|&below| below <= at) - 1
    }
}

impl Thompson {
    /// Draws a page. `beliefs`: of all its items, as ranked.
    pub fn draw(&self, beliefs: &[Gaussian], draws: &mut Draws) -> Drawn {
        let n = beliefs.len();
        let chances = self.chances(beliefs);
        let mut order: Vec<(usize, usize)> =
            chances.iter().enumerate().map(|(rank, chances)| (chances.draw(draws), rank)).collect();
        order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let drawn: Vec<usize> = order.iter().take(self.places).map(|&(_, rank)| rank).collect();
        let mut propensities = propensities(&chances, &drawn);
        propensities.resize(n, 1.0);
        let rest = (0..n).filter(|rank| !drawn.contains(rank));
        let ranks = drawn.iter().copied().chain(rest).map(|rank| rank as u32).collect();
        Drawn { ranks, propensities }
    }

    /// Of the items that compete.
    fn chances(&self, beliefs: &[Gaussian]) -> Vec<Chances> {
        let competing = &beliefs[..self.among.min(beliefs.len())];
        let low = competing.iter().map(|b| b.mean - MARGIN * b.deviation()).fold(f32::INFINITY, f32::min);
        let high = competing.iter().map(|b| b.mean + MARGIN * b.deviation()).fold(f32::NEG_INFINITY, f32::max);
        // Where all scores are certain and equal, any width works.
        let width = ((high - low) / N_CELLS as f32).max(f32::MIN_POSITIVE);
        competing.iter().map(|&belief| Chances::of(belief, low, width)).collect()
    }
}

/// For each drawn place the probability of its item, given those above.
fn propensities(chances: &[Chances], drawn: &[usize]) -> Vec<f32> {
    // P(the first j of `drawn` are above all others, in their order), j = 0, 1, …
    let mut together = vec![1.0];
    let mut above = vec![0.0; N_CELLS];
    for (place, &rank) in drawn.iter().enumerate() {
        let own = &chances[rank];
        if place == 0 {
            above.copy_from_slice(&own.of_cell);
        } else {
            let wins_tie = drawn[place - 1] < rank;
            let mut higher = 0.0;
            for cell in (0..N_CELLS).rev() {
                let before = above[cell];
                above[cell] = own.of_cell[cell] * (higher + if wins_tie { before } else { 0.0 });
                higher += before;
            }
        }
        let others = || (0..chances.len()).filter(|other| !drawn[..=place].contains(other));
        let is_below = |cell: usize| -> f64 {
            let each = others().map(|other| {
                let tie = if rank < other { chances[other].of_cell[cell] } else { 0.0 };
                chances[other].below[cell] + tie
            });
            each.product()
        };
        together.push((0..N_CELLS).map(|cell| above[cell] * is_below(cell)).sum());
    }
    together.windows(2).map(|pair| (pair[1] / pair[0]) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(mean: f32, deviation: f32) -> Gaussian {
        Gaussian { mean, variance: deviation * deviation }
    }

    #[test]
    fn pages_come_as_often_as_their_propensities_say() {
        // The second is uncertain, the third is certainly no better than the first; the fifth is not drawn.
        let beliefs = [belief(2.0, 0.3), belief(1.5, 1.2), belief(1.2, 0.2), belief(1.0, 0.0), belief(0.9, 9.0)];
        for places in [1, 3] {
            let thompson = Thompson { places, among: 4 };
            let (mut seen, n_drawn) = (std::collections::BTreeMap::new(), 8_000);
            for number in 0..n_drawn {
                let drawn = thompson.draw(&beliefs, &mut Draws::new(3, 4, number));
                let chance: f64 = drawn.propensities.iter().map(|&chance| f64::from(chance)).product();
                let mut sorted = drawn.ranks.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, [0, 1, 2, 3, 4]);
                assert_eq!(drawn.ranks[4], 4);
                seen.entry(drawn.ranks[..places].to_vec()).or_insert((0_u32, chance)).0 += 1;
            }

            for (page, (count, chance)) in seen {
                let share = f64::from(count) / n_drawn as f64;
                assert!((share - chance).abs() < 5.0 * (chance / n_drawn as f64).sqrt(), "{page:?}: {share}, {chance}");
            }
        }
    }

    #[test]
    fn the_chances_of_all_pages_sum_to_1() {
        let beliefs = [belief(2.0, 0.3), belief(1.5, 1.2), belief(2.0, 0.3), belief(1.0, 0.01)];
        let chances = Thompson { places: 2, among: 4 }.chances(&beliefs);
        let pairs =
            (0..4).flat_map(|first| (0..4).filter(move |&second| second != first).map(move |second| [first, second]));
        let page =
            |pair: [usize; 2]| propensities(&chances, &pair).iter().map(|&chance| f64::from(chance)).product::<f64>();
        let total: f64 = pairs.map(page).sum();
        assert!((total - 1.0).abs() < 1e-6, "{total}");
    }

    #[test]
    fn items_with_certain_scores_keep_their_places() {
        let thompson = Thompson { places: 2, among: 3 };
        let sure = [belief(3.0, 0.0), belief(2.0, 0.0), belief(2.0, 0.0)];
        let drawn = thompson.draw(&sure, &mut Draws::new(1, 1, 1));
        assert_eq!(drawn, Drawn { ranks: vec![0, 1, 2], propensities: vec![1.0; 3] });
        assert!(thompson.draw(&[], &mut Draws::new(1, 1, 1)).ranks.is_empty());
        assert_eq!(thompson.draw(&sure[..1], &mut Draws::new(1, 1, 1)).propensities, [1.0]);
    }
}
