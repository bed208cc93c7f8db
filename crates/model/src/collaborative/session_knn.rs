//! Session neighbours: which items came next in the past sessions that are most like this one.
//!
//! Past sessions that share items with the last `window` items of this one are compared by
//! `Σ_shared e^(-d/query_decay) · idf / |session|^½`, `d` places from the end; the `k` closest vote for their items, a vote falling with the
//! distance to the last shared item as `e^(-gap/distance_decay)`, items before it counting `before` times. VS-kNN: Ludewig & Jannach, *Evaluation of
//! session-based recommendation algorithms*, UMUAI 2018; the decays: Garg et al., *Sequence and time aware neighborhood*, SIGIR 2019.

use libm::{exp, pow};
use serde::{Deserialize, Serialize};

use super::sparse::RowSums;
use super::{CollaborativeModel, Fit, FitError, Interactions, Occurrences};

/// How sessions are compared and how they vote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionKnnSettings {
    /// Neighbouring sessions that vote.
    pub k: usize,
    /// Latest sessions of each item that are compared.
    pub sample: usize,
    /// Last items of the session that are compared.
    pub window: usize,
    /// Places over which an item's weight in the comparison falls to 1/e.
    pub query_decay: f64,
    /// Places from the last shared item over which a vote falls to 1/e.
    pub distance_decay: f64,
    /// Weight of items before the last shared item.
    pub before: f64,
    /// Sessions over which a neighbour's weight falls to 1/e, counted from the end of the data; 0 for no decay.
    pub age_decay: f64,
    /// Exponent of the inverse frequency of shared items and of those voted for.
    pub idf: f64,
}

impl Default for SessionKnnSettings {
    fn default() -> Self {
        Self {
            k: 500,
            sample: 2000,
            window: 10,
            query_decay: 3.0,
            distance_decay: 3.0,
            before: 0.5,
            age_decay: 0.0,
            idf: 0.5,
        }
    }
}

/// The past sessions and where each item occurs in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionKnn {
    settings: SessionKnnSettings,
    sessions: Interactions,
    occurrences: Occurrences,
    /// `(n_sessions / n_with_item)^idf`, `[n_items]`
    rarity: Vec<f32>,
}

impl CollaborativeModel for SessionKnn {
    type Settings = SessionKnnSettings;

    fn fit(data: &Interactions, settings: &SessionKnnSettings, _: &Fit<'_>) -> Result<Self, FitError> {
        let positive = "a positive number";
        for (name, value) in [("k", settings.k), ("sample", settings.sample), ("window", settings.window)] {
            FitError::check(value > 0, name, value, positive)?;
        }
        for (name, value) in [("query_decay", settings.query_decay), ("distance_decay", settings.distance_decay)] {
            FitError::check(value > 0.0, name, value, positive)?;
        }
        for (name, value) in [("before", settings.before), ("age_decay", settings.age_decay), ("idf", settings.idf)] {
            FitError::check(value >= 0.0, name, value, "a number of at least 0")?;
        }
        let n_sessions = data.n_users() as f64;
        let rarity =
            data.distinct().counts().into_iter().map(|n| pow(n_sessions / f64::from(n.max(1)), settings.idf) as f32);
        Ok(Self {
            settings: settings.clone(),
            rarity: rarity.collect(),
            occurrences: data.occurrences(),
            sessions: data.clone(),
        })
    }

    fn n_params(&self) -> u64 {
        self.sessions.n_interactions() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        self.score_batch(&[history], out);
    }

    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let mut likeness = RowSums::new(self.sessions.n_users());
        for (history, out) in histories.iter().zip(out.chunks_exact_mut(self.rarity.len().max(1))) {
            out.fill(0.0);
            likeness.clear();
            self.compare(history, &mut likeness);
            for (session, likeness) in likeness.largest(self.settings.k) {
                self.vote(history, session as usize, likeness, out);
            }
        }
    }
}

impl SessionKnn {
    /// Sums the weights of shared items by session.
    fn compare(&self, history: &[u32], likeness: &mut RowSums) {
        let window = &history[history.len().saturating_sub(self.settings.window)..];
        for (place, &item) in window.iter().enumerate() {
            if window[place + 1..].contains(&item) {
                continue; // Only the last occurrence is used.
            }
            let back = (window.len() - 1 - place) as f64;
            let weight = exp(-back / self.settings.query_decay) as f32 * self.rarity[item as usize];
            let (mut last, mut n) = (usize::MAX, 0);
            for (session, _) in self.occurrences.of(item as usize).rev() {
                if session != last {
                    last = session;
                    n += 1;
                    likeness.add(session as u32, weight);
                }
                if n >= self.settings.sample {
                    break;
                }
            }
        }
        let n_sessions = self.sessions.n_users() as f64;
        likeness.scale(|session, sum| {
            let length = self.sessions.history(session as usize).len() as f32;
            let age = n_sessions - f64::from(session);
            let fresh = if self.settings.age_decay > 0.0 { exp(-age / self.settings.age_decay) as f32 } else { 1.0 };
            sum * fresh / length.sqrt()
        });
    }

    fn vote(&self, history: &[u32], session: usize, likeness: f32, out: &mut [f32]) {
        let items = self.sessions.history(session);
        let shared = history.iter().rev().find_map(|shared| items.iter().rposition(|item| item == shared));
        let Some(shared) = shared else { return };
        for (place, &item) in items.iter().enumerate() {
            if place == shared {
                continue;
            }
            let gap = place.abs_diff(shared) as f64 - 1.0;
            let near = exp(-gap / self.settings.distance_decay);
            let side = if place < shared { self.settings.before } else { 1.0 };
            out[item as usize] += likeness * (near * side) as f32 * self.rarity[item as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_item_of_the_most_similar_session_scores_most() {
        let data = Interactions::new(7, [vec![0, 1, 2], vec![0, 3, 4], vec![5, 1, 6]]);
        let model = SessionKnn::fit(&data, &SessionKnnSettings::default(), &Fit::quiet(1, 1)).expect("plain data");
        let mut out = [0.0; 7];
        model.score(&[0, 1], &mut out);
        let best = (0..7).max_by(|&a, &b| out[a].total_cmp(&out[b]));
        assert_eq!(best, Some(2), "{out:?}");
        assert!(out[6] > out[4], "the last item counts more: {out:?}");
    }
}
