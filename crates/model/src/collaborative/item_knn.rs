//! Item neighbours by cosine: items are close if the same users chose them.
//!
//! `s_ij = c_ij / ((c_i · c_j)^½ + shrink)`, with `c_ij` the number of users who chose both; each item keeps its `k` closest, and a
//! history's score is the sum over its items (Sarwar et al., *Item-based collaborative filtering recommendation
//! algorithms*, WWW 2001; shrinkage: Bell & Koren 2007).

use libm::pow;
use serde::{Deserialize, Serialize};

use super::sparse::Neighbourhood;
use super::{CollaborativeModel, Fit, FitError, Interactions};

/// Size of a neighbourhood and how it is weighted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItemKnnSettings {
    /// Neighbours that an item keeps.
    pub k: usize,
    /// Added to every denominator, so that rare items get smaller similarities.
    pub shrink: f64,
    /// Exponent of an item's count in the denominator; ½ is the cosine, more favours rare items.
    pub norm: f64,
    /// Exponent of a user's activity: an item of a user with `n` items counts `n^-user_norm`.
    pub user_norm: f64,
    /// Last items of a history that are used; 0 is all.
    pub reach: usize,
    /// An item `d` places before the end of a history counts `d^-decay`.
    pub decay: f64,
}

impl Default for ItemKnnSettings {
    fn default() -> Self {
        Self { k: 200, shrink: 0.0, norm: 0.5, user_norm: 0.0, reach: 0, decay: 0.0 }
    }
}

/// The closest neighbours of each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemKnn {
    settings: ItemKnnSettings,
    neighbours: Neighbourhood,
}

impl CollaborativeModel for ItemKnn {
    type Settings = ItemKnnSettings;

    fn fit(data: &Interactions, settings: &ItemKnnSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let at_least_0 = "a number of at least 0";
        FitError::check(settings.k > 0, "k", settings.k, "at least one neighbour")?;
        FitError::check(settings.shrink >= 0.0, "shrink", settings.shrink, at_least_0)?;
        FitError::check((0.0..=1.0).contains(&settings.norm), "norm", settings.norm, "a number from 0 to 1")?;
        FitError::check(settings.user_norm >= 0.0, "user_norm", settings.user_norm, at_least_0)?;
        FitError::check(settings.decay >= 0.0, "decay", settings.decay, at_least_0)?;
        let sets = data.distinct();
        let users_of = sets.transposed();
        let weight: Vec<f32> =
            sets.histories().map(|set| pow(set.len().max(1) as f64, -settings.user_norm) as f32).collect();
        let mass: Vec<f64> =
            users_of.histories().map(|users| users.iter().map(|&u| f64::from(weight[u as usize])).sum()).collect();
        let powers: Vec<f64> = mass.iter().map(|&mass| pow(mass, settings.norm)).collect();
        let neighbours = Neighbourhood::build(data.n_items(), settings.k, fit.threads, |item, row| {
            for &user in users_of.history(item) {
                for &other in sets.history(user as usize) {
                    row.add(other, weight[user as usize]);
                }
            }
            row.remove(item as u32);
            row.scale(|other, together| {
                (f64::from(together) / (powers[item] * powers[other as usize] + settings.shrink)) as f32
            });
        });
        Ok(Self { settings: settings.clone(), neighbours })
    }

    fn n_params(&self) -> u64 {
        self.neighbours.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        let ItemKnnSettings { reach, decay, .. } = self.settings;
        out.fill(0.0);
        let reach = if reach == 0 { history.len() } else { reach };
        for (back, &item) in history.iter().rev().take(reach).enumerate() {
            self.neighbours.add_row(item, pow((back + 1) as f64, -decay) as f32, out);
        }
    }
}
