//! A Markov chain with gaps: which items follow an item within a few steps, nearer ones with more weight.
//!
//! `w_ij = Σ 1/gap` over all `j` at most `reach` steps after an `i`, plus `backward` times the same before it; then
//! `w_ij / (w_i·^row_norm · n_j^popularity_norm)`. A history's score is `Σ_d d^-decay · w` over its items, `d` places from the end.
//! First-order chains as recommenders: Rendle, Freudenthaler, Schmidt-Thieme, *Factorizing personalized Markov chains*, WWW
//! 2010; skips and similarity of histories: He & McAuley, *Fusing similarity models with Markov chains*, ICDM 2016.

use libm::pow;
use serde::{Deserialize, Serialize};

use super::sparse::Neighbourhood;
use super::{CollaborativeModel, Fit, FitError, Interactions};

/// How far apart items may be, and how counts are weighted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarkovSettings {
    /// Largest gap between two items that counts.
    pub reach: usize,
    /// A gap of `g` counts `g^-gap_decay`.
    pub gap_decay: f64,
    /// Share of a count that also goes from the later item to the earlier one.
    pub backward: f64,
    /// Exponent of an item's sum over all others, by which its row is divided.
    pub row_norm: f64,
    /// Exponent of the other item's count, by which it is divided.
    pub popularity_norm: f64,
    /// An item `d` places before the end of a history counts `d^-decay`.
    pub decay: f64,
    /// Share of an item's row that is added to the rows of items close to it. 0 is a plain chain; with more, a rare
    /// item also gets the followers of its neighbours.
    pub smooth: f64,
    /// Entries that a row keeps.
    pub k: usize,
}

impl Default for MarkovSettings {
    fn default() -> Self {
        Self {
            reach: 5,
            gap_decay: 1.0,
            backward: 0.5,
            row_norm: 0.5,
            popularity_norm: 0.25,
            decay: 0.5,
            smooth: 0.0,
            k: 2000,
        }
    }
}

/// The followers of each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Markov {
    decay: f64,
    follows: Neighbourhood,
}

impl CollaborativeModel for Markov {
    type Settings = MarkovSettings;

    fn fit(data: &Interactions, settings: &MarkovSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let at_least_0 = "a number of at least 0";
        FitError::check(settings.reach > 0, "reach", settings.reach, "a gap of at least 1")?;
        FitError::check(settings.k > 0, "k", settings.k, "at least one entry of a row")?;
        let floats = [
            ("gap_decay", settings.gap_decay),
            ("backward", settings.backward),
            ("row_norm", settings.row_norm),
            ("popularity_norm", settings.popularity_norm),
            ("decay", settings.decay),
            ("smooth", settings.smooth),
        ];
        for (name, value) in floats {
            FitError::check(value >= 0.0 && value.is_finite(), name, value, at_least_0)?;
        }
        let occurrences = data.occurrences();
        let near: Vec<f32> =
            (0..=settings.reach).map(|gap| pow(gap.max(1) as f64, -settings.gap_decay) as f32).collect();
        let popularity: Vec<f64> =
            data.counts().iter().map(|&n| pow(f64::from(n.max(1)), settings.popularity_norm)).collect();
        let mut follows = Neighbourhood::build(data.n_items(), settings.k, fit.threads, |item, row| {
            for (user, place) in occurrences.of(item) {
                let history = data.history(user);
                for gap in 1..=settings.reach {
                    if let Some(&after) = history.get(place + gap) {
                        row.add(after, near[gap]);
                    }
                    if settings.backward > 0.0 && gap <= place {
                        row.add(history[place - gap], near[gap] * settings.backward as f32);
                    }
                }
            }
            let sum: f64 = row.entries().map(|(_, count)| f64::from(count)).sum();
            let norm = pow(sum, settings.row_norm);
            row.scale(|other, count| (f64::from(count) / (norm * popularity[other as usize])) as f32);
        });
        if settings.smooth > 0.0 {
            follows = smoothed(&follows, data.n_items(), settings, fit.threads);
        }
        Ok(Self { decay: settings.decay, follows })
    }

    fn n_params(&self) -> u64 {
        self.follows.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        out.fill(0.0);
        for (back, &item) in history.iter().rev().enumerate() {
            self.follows.add_row(item, pow((back + 1) as f64, -self.decay) as f32, out);
        }
    }
}

/// `W + smooth · Ŵ W`, with the rows of `Ŵ` summing to one: two steps of the chain.
fn smoothed(follows: &Neighbourhood, n_items: usize, settings: &MarkovSettings, threads: usize) -> Neighbourhood {
    Neighbourhood::build(n_items, settings.k, threads, |item, row| {
        let (ids, weights) = follows.row(item as u32);
        let sum: f32 = weights.iter().sum();
        for (&id, &weight) in ids.iter().zip(weights) {
            row.add(id, weight);
        }
        for (&id, &weight) in ids.iter().zip(weights) {
            let share = settings.smooth as f32 * weight / sum;
            let (next, next_weights) = follows.row(id);
            for (&next, &next_weight) in next.iter().zip(next_weights) {
                row.add(next, share * next_weight);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nearer_follower_scores_more_and_a_backward_pair_counts_half() {
        let data = Interactions::new(4, [[0, 1, 2]]);
        let plain = MarkovSettings { row_norm: 0.0, popularity_norm: 0.0, ..MarkovSettings::default() };
        let model = Markov::fit(&data, &plain, &Fit::quiet(1, 1)).expect("plain data");
        let mut out = [0.0; 4];
        model.score(&[0], &mut out);
        assert_eq!(out, [0.0, 1.0, 0.5, 0.0]);
        model.score(&[1], &mut out);
        assert_eq!(out, [0.5, 0.0, 1.0, 0.0]);
        // Two places from the end counts 2^-0.5.
        model.score(&[1, 3], &mut out);
        assert_eq!(out, [0.5 * 0.5_f32.sqrt(), 0.0, 0.5_f32.sqrt(), 0.0]);
    }
}
