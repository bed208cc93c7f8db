//! Light graph convolution: vectors smoothed over who chose what.
//!
//! He, Deng, Wang, Li, Zhang and Wang, *LightGCN: simplifying and powering graph convolution network for recommendation*
//! (SIGIR 2020), in the form without rows for users: a user begins with nothing, so only items' vectors are learned and
//! anyone with a history is answered. With `A` the normalised matrix of users by items, `a_ui = (n_u · n_i)^-½`:
//!
//! ```text
//! item = (e + Bᵀe + … + B^hops e) / (hops + 1)        B = AᵀA, two layers of the paper's graph
//! user = A · item                                      score = user · item
//! ```

mod graph;
mod objective;

use accrue_kernel::{Draws, axpy};
use accrue_tensor::{Init, Optimizer, Rule, Schedule, finite_norm};
use serde::{Deserialize, Serialize};

use self::graph::{Graph, Layers};
pub use self::objective::Similarity;
use self::objective::{Choice, Rivals, Room, Softmax, bpr};
use super::windows::order;
use crate::collaborative::{CollaborativeModel, Epoch, Fit, FitError, Interactions, singular_vectors};

/// Streams of random numbers.
const INIT: u64 = 0x6c67_636e_0001;
const NEGATIVES: u64 = 0x6c67_636e_0002;
/// Rounds of the subspace iteration that a spectral start takes.
const ROUNDS: usize = 4;
/// Deviation of a learned number at the start.
const DEVIATION: f32 = 0.1;

/// Where items' vectors begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At random, as in the paper.
    Normal,
    /// At the graph's first singular vectors.
    #[default]
    Spectral,
}

/// Depth of the graph and how it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LightGcnSettings {
    /// Width of an item's vector.
    pub d: usize,
    /// From items to users and back, this many times; 1 is a little more than the paper's three layers see.
    pub hops: usize,
    /// Passes over all interactions.
    pub epochs: usize,
    /// Interactions a step; each step smooths the whole graph.
    pub batch: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// How the step size moves.
    pub schedule: Schedule,
    /// Pull of the learned vectors towards 0.
    pub l2: f64,
    /// Items that a choice is held against: 1 is BPR with one drawn for each choice, more are a step's, shared by its softmax.
    pub negatives: usize,
    /// Share of them drawn by how often they were chosen; the others are drawn evenly.
    pub popular: f64,
    /// How two vectors make a score.
    pub similarity: Similarity,
    /// What scores are divided by in the softmax.
    pub temperature: f64,
    /// Where items' vectors begin.
    pub start: Start,
    /// EXPERIMENT
    pub correct: bool,
    /// EXPERIMENT
    pub take_out: bool,
    /// EXPERIMENT
    pub power: f64,
}

impl Default for LightGcnSettings {
    fn default() -> Self {
        Self {
            d: 64,
            hops: 1,
            epochs: 60,
            batch: 8192,
            learning_rate: 5e-3,
            schedule: Schedule::Linear,
            l2: 0.0,
            negatives: 512,
            popular: 0.0,
            similarity: Similarity::Cosine,
            temperature: 0.15,
            start: Start::Spectral,
            correct: true,
            take_out: true,
            power: 0.0,
        }
    }
}

/// Smoothed vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LightGcn {
    d: usize,
    /// As they meet a user's vector: with length 1, if the score is a cosine. `[n_items, d]`
    items: Vec<f32>,
    /// An item's weight in a user's vector: `n_i^-½`, times the length that `items` has lost. `[n_items]`
    weights: Vec<f32>,
}

impl CollaborativeModel for LightGcn {
    type Settings = LightGcnSettings;

    fn fit(data: &Interactions, settings: &LightGcnSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let LightGcnSettings { d, hops, epochs, batch, learning_rate, schedule, l2, negatives, .. } = *settings;
        let positive = "a number above 0 is expected";
        for (name, n) in [("d", d), ("epochs", epochs), ("batch", batch), ("negatives", negatives)] {
            FitError::check(n > 0, name, n, positive)?;
        }
        FitError::check(learning_rate > 0.0, "learning_rate", learning_rate, positive)?;
        FitError::check(settings.temperature > 0.0, "temperature", settings.temperature, positive)?;
        FitError::check(l2 >= 0.0, "l2", l2, "a number of at least 0 is expected")?;
        FitError::check((0.0..=1.0).contains(&settings.popular), "popular", settings.popular, "a share is expected")?;
        let mut graph = Graph::new(data, d, fit.threads);
        let softmax = Softmax { similarity: settings.similarity, temperature: settings.temperature as f32 };
        let mut learned = start(data, settings, fit);
        let mut optimizer = Optimizer::new(Rule::ADAM, learned.len());
        let pairs: Vec<Choice> = (0..graph.all().n_users())
            .flat_map(|user| graph.all().history(user).iter().map(move |&item| (user, item as usize)))
            .map(|(user, chosen)| Choice { user, chosen })
            .collect();
        let n_steps = (epochs * pairs.len().div_ceil(batch)) as u64;
        let (mut room, mut layers) = (Room::default(), Layers::default());
        for epoch in 1..=epochs {
            let mut total = 0.0;
            for places in order(pairs.len(), fit.seed, epoch).chunks(batch) {
                let step = optimizer.n_steps();
                let mut draws = Draws::new(fit.seed, NEGATIVES, step);
                let choices: Vec<Choice> = places.iter().map(|&place| pairs[place as usize]).collect();
                if settings.take_out {
                    graph.without(places);
                }
                let smoothed = graph.smooth(&learned, hops, &mut layers);
                let (loss, of_smoothed) = if negatives == 1 {
                    let others: Vec<usize> = choices
                        .iter()
                        .map(|choice| {
                            let set = graph.all().history(choice.user);
                            negative(set, data.n_items(), &mut draws)
                        })
                        .collect();
                    bpr(&graph, &smoothed, &choices, &others, &mut room)
                } else {
                    let rivals = rivals(&graph, settings, &mut draws);
                    softmax.loss(&graph, &smoothed, &choices, &rivals, &mut room)
                };
                // B is symmetric: the gradient is smoothed just as the vectors were.
                let mut gradient = graph.smooth(&of_smoothed, hops, &mut layers);
                if l2 > 0.0 {
                    for &Choice { chosen, .. } in &choices {
                        let range = chosen * d..(chosen + 1) * d;
                        axpy(l2 as f32 / choices.len() as f32, &learned[range.clone()], &mut gradient[range]);
                    }
                }
                finite_norm(step, &[&gradient, &[loss as f32]]).map_err(|_| FitError::Diverged { epoch })?;
                let rate = learning_rate as f32 * schedule.factor(step, 0, n_steps);
                optimizer.step(rate, 1.0, &mut gradient, &mut learned);
                total += loss * choices.len() as f64;
            }
            (fit.progress)(Epoch { done: epoch, of: epochs, loss: Some(total / pairs.len().max(1) as f64) });
        }
        graph.without(&[]);
        Ok(Self::new(graph, &learned, settings))
    }

    fn n_params(&self) -> u64 {
        self.items.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        let d = self.d;
        let mut set = history.to_vec();
        set.sort_unstable();
        set.dedup();
        let mut user = vec![0.0; d];
        accrue_kernel::gather_rows(1.0, &set, &self.weights, &self.items, &mut user);
        accrue_kernel::dot_rows(&user, &self.items, out);
    }
}

impl LightGcn {
    fn new(graph: Graph, learned: &[f32], settings: &LightGcnSettings) -> Self {
        let d = settings.d;
        let mut items = graph.smooth(learned, settings.hops, &mut Layers::default());
        let mut weights = graph.item_norms;
        for (item, weight) in items.chunks_exact_mut(d).zip(&mut weights) {
            let by = settings.similarity.factor(item);
            accrue_kernel::scale(by, item);
            *weight = if by > 0.0 { *weight / by } else { 0.0 };
        }
        Self { d, items, weights }
    }
}

/// `[n_items, d]`
fn start(data: &Interactions, settings: &LightGcnSettings, fit: &Fit<'_>) -> Vec<f32> {
    let (d, n_items) = (settings.d, data.n_items());
    let mut learned = vec![0.0; n_items * d];
    Init::Normal { deviation: DEVIATION }.fill(fit.seed ^ INIT, 0, [n_items, d], &mut learned);
    if settings.start == Start::Spectral {
        let vectors = singular_vectors(data, d, ROUNDS, &Fit::quiet(fit.seed, fit.threads));
        let rank = vectors.len() / n_items.max(1);
        // Columns of length 1 get the deviation of a random start.
        let by = DEVIATION * (n_items as f32).sqrt();
        let counts = data.distinct().counts();
        for (item, (row, vector)) in learned.chunks_exact_mut(d).zip(vectors.chunks_exact(rank.max(1))).enumerate() {
            row.iter_mut().for_each(|x| *x *= 0.01);
            let lift = if counts[item] == 0 { 0.0 } else { f64::from(counts[item]).powf(settings.power) as f32 };
            axpy(by * lift, vector, &mut row[..rank]);
        }
    }
    learned
}

/// A step's rivals.
fn rivals(graph: &Graph, settings: &LightGcnSettings, draws: &mut Draws) -> Rivals {
    let n_items = graph.item_norms.len();
    let chosen = graph.all().items();
    let n_popular = (settings.popular * settings.negatives as f64) as usize;
    let n_even = settings.negatives - n_popular;
    let mut items: Vec<u32> = (0..n_even).map(|_| draws.below(n_items as u64) as u32).collect();
    items.extend((0..n_popular).map(|_| chosen[draws.below(chosen.len() as u64) as usize]));
    items.sort_unstable();
    items.dedup();
    let log_q = items.iter().map(|&item| {
        let norm = graph.item_norms[item as usize];
        let count = 1.0 / (norm * norm);
        let q = n_even as f32 / n_items as f32 + n_popular as f32 * count / chosen.len() as f32;
        if settings.correct { accrue_kernel::ln(q.min(1.0)) } else { 0.0 }
    });
    let log_q = log_q.collect();
    Rivals { items, log_q }
}

/// An item that is not in the set; after some tries any item.
fn negative(set: &[u32], n_items: usize, draws: &mut Draws) -> usize {
    const TRIES: usize = 20;
    let mut item = draws.below(n_items as u64) as usize;
    for _ in 0..TRIES {
        if set.binary_search(&(item as u32)).is_err() {
            break;
        }
        item = draws.below(n_items as u64) as usize;
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loss of the vectors before smoothing, and its gradient by those after.
    type Loss<'a> = dyn FnMut(&[f32]) -> (f64, Vec<f32>) + 'a;

    #[test]
    fn the_gradient_is_that_of_its_differences() {
        let data = Interactions::new(5, [vec![0, 1, 2], vec![1, 3], vec![4, 0], vec![2]]);
        let graph = Graph::new(&data, 3, 2);
        let mut draws = Draws::new(1, 2, 3);
        let mut x: Vec<f32> = (0..15).map(|_| draws.normal()).collect();
        let choices = [(0, 1), (1, 3), (2, 4), (0, 2)].map(|(user, chosen)| Choice { user, chosen });
        let rivals = Rivals { items: vec![0, 1, 4], log_q: vec![-0.5, 0.0, -1.0] };
        let mut check = |loss: &mut Loss| {
            let gradient = graph.smooth(&loss(&x).1, 2, &mut Layers::default());
            for i in 0..15 {
                let before = x[i];
                x[i] = before + 0.01;
                let above = loss(&x).0;
                x[i] = before - 0.01;
                let below = loss(&x).0;
                x[i] = before;
                let difference = (above - below) / 0.02;
                assert!((difference - f64::from(gradient[i])).abs() < 2e-3, "{i}: {difference} {}", gradient[i]);
            }
        };
        let smooth = |x: &[f32]| graph.smooth(x, 2, &mut Layers::default());
        check(&mut |x| bpr(&graph, &smooth(x), &choices, &[4, 0, 1, 3], &mut Room::default()));
        for similarity in [Similarity::Dot, Similarity::Cosine] {
            let softmax = Softmax { similarity, temperature: 0.7 };
            check(&mut |x| softmax.loss(&graph, &smooth(x), &choices, &rivals, &mut Room::default()));
        }
    }
}
