//! A blend: weighted scores of several models, with weights found on items held back from the training data.
//!
//! Each model's scores for a history are brought to one scale and summed. Unless weights are given, the parts are first
//! fitted without the held-out items of a sample of users, weights are found that rank those items best (coordinate
//! ascent on NDCG: Metzler & Croft, *Linear feature-based models for information retrieval*, 2007), and the parts are
//! fitted again on everything. It never sees a test item.

use accrue_kernel::{Draws, axpy, top_k};
use libm::log2;
use serde::{Deserialize, Serialize};

use super::{
    AnyModel, AnySettings, CollaborativeModel, Fit, FitError, Interactions, InteractionsBuilder, Kind, parallel,
};

/// Stream of random numbers.
const STREAM: u64 = 0x424C_454E;
/// Best items of each part that compete with a held-out item.
const COMPETITORS: usize = 100;
/// Length of the list that NDCG is computed on.
const LIST: usize = 20;
/// Factors by which a weight is tried.
const FACTORS: [f64; 8] = [0.0, 0.3, 0.6, 0.8, 1.25, 1.6, 3.0, 10.0];
/// Rounds over all weights, at most.
const ROUNDS: usize = 6;

/// Which items are held back to find the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holdout {
    /// A user's last item.
    #[default]
    Last,
    /// A user's item at random, for histories without an order.
    Random,
    /// Whole sessions: their last item is the one to predict, and none of their items is learned.
    Session,
}

/// How scores of different models are made comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Divided by the largest.
    #[default]
    Max,
    /// The square root of the above, which reduces the weight of the highest scores.
    Root,
    /// Mean 0, deviation 1 over all items.
    Deviation,
    /// Not scaled.
    None,
}

/// What a held-out item competes with to find the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rivals {
    /// The best items of each part: for rankings of all items.
    #[default]
    Best,
    /// Items at random: for rankings among sampled ones.
    Random,
}

/// Which models are blended, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedBlendSettings {
    /// The models with their settings.
    pub parts: Vec<AnySettings>,
    /// A weight for each part; if none are given, they are found.
    pub weights: Vec<f64>,
    /// What is held back to find them.
    pub holdout: Holdout,
    /// What a held-out item competes with.
    pub rivals: Rivals,
    /// How scores are made comparable.
    pub scale: Scale,
    /// Users whose items are held back.
    pub sample: usize,
}

impl Default for WeightedBlendSettings {
    fn default() -> Self {
        let parts = [Kind::ItemCounts, Kind::Markov, Kind::ItemKnn, Kind::SessionKnn];
        Self {
            parts: parts.into_iter().map(Kind::default_settings).collect(),
            weights: Vec::new(),
            holdout: Holdout::default(),
            rivals: Rivals::default(),
            scale: Scale::default(),
            sample: 8000,
        }
    }
}

/// Fitted parts with their weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightedBlend {
    scale: Scale,
    weights: Vec<f32>,
    parts: Vec<AnyModel>,
}

impl CollaborativeModel for WeightedBlend {
    type Settings = WeightedBlendSettings;

    fn fit(data: &Interactions, settings: &WeightedBlendSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let (n_parts, n_weights) = (settings.parts.len(), settings.weights.len());
        FitError::check(n_parts > 0, "parts", n_parts, "at least one model")?;
        let fits = n_weights == 0 || n_weights == n_parts;
        FitError::check(fits, "weights", n_weights, "a weight for each part, or none at all")?;
        let weights = match &*settings.weights {
            [] => found_weights(data, settings, fit)?,
            given => given.iter().map(|&weight| weight as f32).collect(),
        };
        // A part of weight 0 need not be fitted.
        let kept = || settings.parts.iter().zip(&weights).filter(|&(_, &weight)| weight != 0.0);
        let parts = kept().map(|(part, _)| part.fit(data, fit)).collect::<Result<_, _>>()?;
        Ok(Self { scale: settings.scale, weights: kept().map(|(_, &weight)| weight).collect(), parts })
    }

    fn n_params(&self) -> u64 {
        self.parts.iter().map(AnyModel::n_params).sum::<u64>() + self.weights.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        self.score_batch(&[history], out);
    }

    fn score_batch(&self, histories: &[&[u32]], out: &mut [f32]) {
        let n_items = out.len() / histories.len().max(1);
        let mut scores = vec![0.0; out.len()];
        out.fill(0.0);
        for (part, &weight) in self.parts.iter().zip(&self.weights) {
            part.score_batch(histories, &mut scores);
            for (scores, out) in scores.chunks_exact_mut(n_items.max(1)).zip(out.chunks_exact_mut(n_items.max(1))) {
                rescale(self.scale, scores);
                axpy(weight, scores, out);
            }
        }
    }
}

impl WeightedBlend {
    /// The weights in use, for parts in the order of the settings, without zeros.
    pub fn weights(&self) -> impl Iterator<Item = (Kind, f32)> {
        self.parts.iter().map(AnyModel::kind).zip(self.weights.iter().copied())
    }
}

fn rescale(scale: Scale, scores: &mut [f32]) {
    let factor = match scale {
        Scale::None => return,
        Scale::Root => {
            rescale(Scale::Max, scores);
            return scores.iter_mut().for_each(|score| *score = score.max(0.0).sqrt());
        }
        Scale::Max => scores.iter().fold(0.0_f32, |max, &score| max.max(score)),
        Scale::Deviation => {
            let n = scores.len().max(1) as f64;
            let mean = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / n;
            let variance = scores.iter().map(|&score| (f64::from(score) - mean).powi(2)).sum::<f64>() / n;
            scores.iter_mut().for_each(|score| *score -= mean as f32);
            variance.sqrt() as f32
        }
    };
    if factor > 0.0 {
        scores.iter_mut().for_each(|score| *score /= factor);
    }
}

/// Scores of all parts for the held-out item and then for its competitors. `[competitors + 1, parts]`
type Contest = Vec<f32>;

/// Data without the held-out items, and `(history, held-out item)` for each sampled user.
fn hold_out(data: &Interactions, settings: &WeightedBlendSettings, seed: u64) -> (Interactions, Vec<(Vec<u32>, u32)>) {
    let mut users: Vec<usize> = (0..data.n_users()).filter(|&user| data.history(user).len() >= 2).collect();
    Draws::new(seed, STREAM, 0).shuffle(&mut users);
    // Most of the data stays, because parts that were fitted on too little would get wrong weights.
    users.truncate(settings.sample.min(data.n_users().div_ceil(2)).max(1));
    users.sort_unstable();
    let mut builder = InteractionsBuilder::new(data.n_items());
    let mut held = Vec::with_capacity(users.len());
    for (user, history) in data.histories().enumerate() {
        if users.binary_search(&user).is_err() {
            builder.push(history);
            continue;
        }
        let place = match settings.holdout {
            Holdout::Last => history.len() - 1,
            Holdout::Random => Draws::new(seed, STREAM + 1, user as u64).below(history.len() as u64) as usize,
            // Sessions are predicted after any of their items.
            Holdout::Session => 1 + Draws::new(seed, STREAM + 1, user as u64).below(history.len() as u64 - 1) as usize,
        };
        let mut rest = history.to_vec();
        let item = rest.remove(place);
        match settings.holdout {
            Holdout::Session => {
                rest.truncate(place);
                builder.push(&[]);
            }
            Holdout::Last | Holdout::Random => builder.push(&rest),
        }
        held.push((rest, item));
    }
    (builder.build(), held)
}

fn found_weights(data: &Interactions, settings: &WeightedBlendSettings, fit: &Fit<'_>) -> Result<Vec<f32>, FitError> {
    let (train, held) = hold_out(data, settings, fit.seed);
    let n_parts = settings.parts.len();
    if held.is_empty() || train.n_interactions() == 0 {
        return Ok(vec![1.0; n_parts]);
    }
    let parts = settings.parts.iter().map(|part| part.fit(&train, fit)).collect::<Result<Vec<_>, _>>()?;
    let n_repeats = held.iter().filter(|(history, item)| history.contains(item)).count();
    let keep_seen = n_repeats * 100 >= held.len();
    let scratch = || vec![0.0; n_parts * data.n_items()];
    let contests = parallel::map(fit.threads, held.len(), scratch, |scores, query| {
        let (history, item) = &held[query];
        for (part, scores) in parts.iter().zip(scores.chunks_exact_mut(data.n_items())) {
            part.score(history, scores);
            rescale(settings.scale, scores);
        }
        let mut rivals = match settings.rivals {
            Rivals::Best => best_of_each(scores, data.n_items(), history.len()),
            Rivals::Random => {
                let mut draws = Draws::new(fit.seed, STREAM + 2, query as u64);
                (0..COMPETITORS).map(|_| draws.below(data.n_items() as u64) as u32).collect()
            }
        };
        rivals.retain(|rival| rival != item && (keep_seen || !history.contains(rival)));
        rivals.insert(0, *item);
        rivals.iter().flat_map(|&rival| scores.iter().skip(rival as usize).step_by(data.n_items()).copied()).collect()
    });
    Ok(ascend(&contests, n_parts, fit.threads).into_iter().map(|weight| weight as f32).collect())
}

/// The best items of each part, each once. `scores: [parts, n_items]`
fn best_of_each(scores: &[f32], n_items: usize, n_seen: usize) -> Vec<u32> {
    let best =
        |scores: &[f32]| top_k(scores, COMPETITORS + n_seen).into_iter().map(|(_, item)| item).collect::<Vec<_>>();
    let mut items: Vec<u32> = scores.chunks_exact(n_items).flat_map(best).collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Weights with the best mean NDCG, changed one at a time while that improves it.
fn ascend(contests: &[Contest], n_parts: usize, threads: usize) -> Vec<f64> {
    let mut weights = vec![1.0; n_parts];
    let mut best = mean_ndcg(contests, &weights, threads);
    for _ in 0..ROUNDS {
        let before = best;
        for part in 0..n_parts {
            let start = weights[part];
            let mut kept = start;
            for factor in FACTORS {
                // A part that was dropped may be taken back.
                weights[part] = if start == 0.0 { factor * 0.1 } else { start * factor };
                let ndcg = mean_ndcg(contests, &weights, threads);
                let others = weights.iter().any(|&weight| weight > 0.0);
                if ndcg > best && others {
                    (best, kept) = (ndcg, weights[part]);
                }
            }
            weights[part] = kept;
        }
        if best <= before {
            break;
        }
    }
    weights
}

fn mean_ndcg(contests: &[Contest], weights: &[f64], threads: usize) -> f64 {
    let gains = parallel::map(
        threads,
        contests.len(),
        || (),
        |(), contest| {
            let score =
                |scores: &[f32]| -> f64 { scores.iter().zip(weights).map(|(&x, weight)| f64::from(x) * weight).sum() };
            let mut scores = contests[contest].chunks_exact(weights.len()).map(score);
            let own = scores.next().unwrap_or(f64::NEG_INFINITY);
            let rank = scores.filter(|&rival| rival >= own).take(LIST).count();
            if rank < LIST { 1.0 / log2(rank as f64 + 2.0) } else { 0.0 }
        },
    );
    gains.iter().sum::<f64>() / contests.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_misleads_loses_its_weight() {
        // The first part always prefers the held-out item, the second a rival.
        let contests: Vec<Contest> = vec![vec![0.6, 0.1, 0.2, 0.9, 0.1, 0.8]; 50];
        let weights = ascend(&contests, 2, 1);
        assert!(weights[0] > 2.0 * weights[1], "{weights:?}");
        assert_eq!(mean_ndcg(&contests, &weights, 1), 1.0);
    }

    #[test]
    fn no_held_out_item_is_learned() {
        let data = Interactions::new(9, (0..40).map(|user| vec![user % 4, 4 + user % 5, 8]).collect::<Vec<_>>());
        for holdout in [Holdout::Last, Holdout::Random, Holdout::Session] {
            let settings = WeightedBlendSettings { holdout, sample: 10, ..WeightedBlendSettings::default() };
            let (train, held) = hold_out(&data, &settings, 1);
            assert_eq!(held.len(), 10);
            let n_left: usize = held.iter().map(|(history, _)| history.len()).sum();
            let expected = if holdout == Holdout::Session { 30 * 3 } else { 30 * 3 + n_left };
            assert_eq!(train.n_interactions(), expected, "{holdout:?}");
        }
    }
}
