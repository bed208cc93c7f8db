//! Light graph convolution: item vectors smoothed over the graph of users and their choices.
//!
//! He, Deng, Wang, Li, Zhang and Wang, *LightGCN: simplifying and powering graph convolution network for
//! recommendation* (SIGIR 2020), without rows for users: a user's vector starts at 0, so only items' vectors are
//! learned, and any history can be scored. With `A` the normalised matrix of users by items, `a_ui = (n_u · n_i)^-½`:
//!
//! ```text
//! item = (e + Be + … + B^hops e) / (hops + 1)          B = AᵀA, two layers of the paper's graph
//! user = A · item                                       score = cos(user, item) + popularity · ln n_item, or user · item
//! ```
//! Everything after `e` is linear, and `B` is symmetric, so the backward pass is the forward pass again. The
//! objectives: `objective.rs`. The choices of a step are removed from the graph that predicts them; otherwise an item
//! would be predicted by its own edge. `e` starts at the graph's first singular vectors, towards which smoothing alone
//! would turn it (Shen et al., *How powerful is graph convolution for recommendation?*, CIKM 2021), and needs few
//! passes from there.
//!
//! In: histories as sets. Out: an item's score for a set; for an empty one, popularity. Refuses: settings out of range,
//! a loss that is not finite.

mod graph;
mod objective;

use accrue_kernel::{Draws, axpy, dot_rows, gather_rows, ln, scale};
use accrue_tensor::{Init, Optimizer, Rule, Schedule, finite_norm};
use serde::{Deserialize, Serialize};

use self::graph::{Graph, Layers};
pub use self::objective::Similarity;
use self::objective::{Choice, Rivals, Softmax, Workspace, bpr};
use super::windows::order;
use crate::collaborative::{CollaborativeModel, Epoch, Fit, FitError, Interactions, singular_vectors};

/// Streams of random numbers.
const INIT: u64 = 0x6c67_636e_0001;
const NEGATIVES: u64 = 0x6c67_636e_0002;
/// Rounds of the subspace iteration that a spectral start takes.
const ROUNDS: usize = 4;
/// Standard deviation of a learned number at the start.
const DEVIATION: f32 = 0.1;
/// Share of it that is noise in a spectral start.
const NOISE: f32 = 0.01;
/// Steps a pass has at least, so that a step never removes all edges of a small graph.
const FEWEST_STEPS: usize = 16;

/// How items' vectors start.
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
    /// From items to users and back, this many times; 1 reaches a little further than the paper's three layers.
    pub hops: usize,
    /// Passes over all interactions.
    pub epochs: usize,
    /// Interactions a step, at most a fraction of all; each step smooths the whole graph.
    pub batch: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// How the step size changes.
    pub schedule: Schedule,
    /// Weight decay of the learned vectors.
    pub l2: f64,
    /// Items that a choice is compared with. 1 is BPR with one drawn for each choice; more are drawn once a step and
    /// shared by its softmax.
    pub negatives: usize,
    /// Share of the softmax's items that are drawn in proportion to how often they were chosen; the others are drawn
    /// uniformly.
    pub popular_negatives: f64,
    /// How two vectors make a score.
    pub similarity: Similarity,
    /// The divisor of scores in the softmax.
    pub temperature: f64,
    /// The factor of the logarithm of an item's count in its score, because a vector's direction holds little of the
    /// count.
    pub popularity: f64,
    /// How items' vectors start.
    pub start: Start,
}

impl Default for LightGcnSettings {
    fn default() -> Self {
        Self {
            d: 64,
            hops: 1,
            epochs: 6,
            batch: 4096,
            learning_rate: 5e-3,
            schedule: Schedule::Linear,
            l2: 0.0,
            negatives: 4096,
            popular_negatives: 0.5,
            similarity: Similarity::Cosine,
            temperature: 0.07,
            popularity: 0.03,
            start: Start::Spectral,
        }
    }
}

impl LightGcnSettings {
    fn check(&self) -> Result<(), FitError> {
        let counts = [("d", self.d), ("epochs", self.epochs), ("batch", self.batch), ("negatives", self.negatives)];
        for (name, n) in counts {
            FitError::check(n > 0, name, n, "a number above 0")?;
        }
        for (name, x) in [("learning_rate", self.learning_rate), ("temperature", self.temperature)] {
            FitError::check(x > 0.0 && x.is_finite(), name, x, "a number above 0")?;
        }
        for (name, x) in [("l2", self.l2), ("popularity", self.popularity)] {
            FitError::check(x >= 0.0 && x.is_finite(), name, x, "a number of at least 0")?;
        }
        let share = self.popular_negatives;
        FitError::check((0.0..=1.0).contains(&share), "popular_negatives", share, "a share from 0 to 1")
    }
}

/// Smoothed vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LightGcn {
    d: usize,
    similarity: Similarity,
    /// As their product with a user's vector needs them: of length 1, if the score is a cosine. `[n_items, d]`
    items: Vec<f32>,
    /// An item's weight in a user's vector: `n_i^-½`, times the length removed from `items`. `[n_items]`
    weights: Vec<f32>,
    /// The share of popularity in scores. `[n_items]`
    biases: Vec<f32>,
}

impl CollaborativeModel for LightGcn {
    type Settings = LightGcnSettings;

    fn fit(data: &Interactions, settings: &LightGcnSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        settings.check()?;
        let LightGcnSettings { d, hops, epochs, learning_rate, l2, .. } = *settings;
        let mut graph = Graph::new(data, d, fit.threads);
        let mut learned = start(data, settings, fit)?;
        let mut optimizer = Optimizer::new(Rule::ADAM, learned.len());
        let rows = graph.all().histories().enumerate();
        let pairs: Vec<Choice> =
            rows.flat_map(|(user, row)| row.iter().map(move |&item| Choice { user, chosen: item as usize })).collect();
        let batch = settings.batch.min(pairs.len() / FEWEST_STEPS).max(1);
        let n_steps = (epochs * pairs.len().div_ceil(batch)) as u64;
        let (mut workspace, mut layers) = (Workspace::default(), Layers::default());
        for epoch in 1..=epochs {
            let mut total = 0.0;
            for edges in order(pairs.len(), fit.seed, epoch).chunks(batch) {
                fit.go_on()?;
                let step = optimizer.n_steps();
                let mut draws = Draws::new(fit.seed, NEGATIVES, step);
                let choices: Vec<Choice> = edges.iter().map(|&edge| pairs[edge as usize]).collect();
                graph.without(edges);
                let smoothed = graph.smooth(&learned, hops, &mut layers);
                let (loss, of_smoothed) = loss(&graph, &smoothed, &choices, settings, &mut draws, &mut workspace);
                // B is symmetric: the gradient is smoothed as the vectors were.
                let mut gradient = graph.smooth(&of_smoothed, hops, &mut layers);
                if l2 > 0.0 {
                    for &Choice { chosen, .. } in &choices {
                        let range = chosen * d..(chosen + 1) * d;
                        axpy(l2 as f32 / choices.len() as f32, &learned[range.clone()], &mut gradient[range]);
                    }
                }
                finite_norm(step, &[&gradient, &[loss as f32]]).map_err(|_| FitError::Diverged { epoch })?;
                let rate = learning_rate as f32 * settings.schedule.factor(step, 0, n_steps);
                optimizer.step(rate, 1.0, &mut gradient, &mut learned);
                total += loss * choices.len() as f64;
            }
            // No loss includes the last step's changes yet.
            finite_norm(optimizer.n_steps(), &[&learned]).map_err(|_| FitError::Diverged { epoch })?;
            (fit.progress)(Epoch { done: epoch, of: epochs, loss: Some(total / pairs.len().max(1) as f64) });
        }
        graph.without(&[]);
        Ok(Self::new(&graph, &learned, settings))
    }

    fn n_params(&self) -> u64 {
        self.items.len() as u64
    }

    fn score(&self, history: &[u32], out: &mut [f32]) {
        let mut set = history.to_vec();
        set.sort_unstable();
        set.dedup();
        let mut user = vec![0.0; self.d];
        gather_rows(1.0 / (set.len().max(1) as f32).sqrt(), &set, &self.weights, &self.items, &mut user);
        scale(self.similarity.factor(&user), &mut user);
        dot_rows(&user, &self.items, out);
        axpy(1.0, &self.biases, out);
    }
}

impl LightGcn {
    fn new(graph: &Graph, learned: &[f32], settings: &LightGcnSettings) -> Self {
        let LightGcnSettings { d, similarity, .. } = *settings;
        let mut items = graph.smooth(learned, settings.hops, &mut Layers::default());
        let mut weights = graph.item_norms.clone();
        for (item, weight) in items.chunks_exact_mut(d).zip(&mut weights) {
            let by = similarity.factor(item);
            scale(by, item);
            *weight = if by > 0.0 { *weight / by } else { 0.0 };
        }
        let bias = |count: f32| settings.popularity as f32 * ln(count);
        let biases = (0..weights.len()).map(|item| bias(graph.count(item))).collect();
        Self { d, similarity, items, weights, biases }
    }
}

/// The learned vectors, before the first step. `[n_items, d]`
fn start(data: &Interactions, settings: &LightGcnSettings, fit: &Fit<'_>) -> Result<Vec<f32>, FitError> {
    let (d, n_items) = (settings.d, data.n_items());
    let mut learned = vec![0.0; n_items * d];
    let normal = Init::Normal { deviation: DEVIATION };
    match settings.start {
        Start::Normal => normal.fill(fit.seed ^ INIT, 0, [n_items, d], &mut learned),
        Start::Spectral => {
            // A little noise changes rows that are zero in all singular vectors: a column beyond the rank, an item of a
            // separate component.
            normal.fill(fit.seed ^ INIT, 0, [n_items, d], &mut learned);
            scale(NOISE, &mut learned);
            let vectors = singular_vectors(data, d, ROUNDS, &Fit { progress: &|_| {}, ..*fit })?;
            let rank = vectors.len() / n_items.max(1);
            // A column of length 1 gets the standard deviation of a random start.
            let by = DEVIATION * (n_items as f32).sqrt();
            for (row, vector) in learned.chunks_exact_mut(d).zip(vectors.chunks_exact(rank.max(1))) {
                axpy(by, vector, &mut row[..rank]);
            }
        }
    }
    Ok(learned)
}

/// The mean loss of a step's choices and its gradient by the smoothed vectors. `smoothed: [n_items, d] → [n_items, d]`
fn loss(
    graph: &Graph,
    smoothed: &[f32],
    choices: &[Choice],
    settings: &LightGcnSettings,
    draws: &mut Draws,
    workspace: &mut Workspace,
) -> (f64, Vec<f32>) {
    if settings.negatives == 1 {
        let n_items = graph.item_norms.len();
        let mut other = |choice: &Choice| negative(graph.all().history(choice.user), n_items, draws);
        let others: Vec<usize> = choices.iter().map(&mut other).collect();
        return bpr(graph, smoothed, choices, &others, workspace);
    }
    let softmax = Softmax { similarity: settings.similarity, temperature: settings.temperature as f32 };
    softmax.loss(graph, smoothed, choices, &rivals(graph, settings, draws), workspace)
}

/// A step's sampled items: some drawn uniformly from all items, some from all choices.
fn rivals(graph: &Graph, settings: &LightGcnSettings, draws: &mut Draws) -> Rivals {
    let (n_items, chosen) = (graph.item_norms.len(), graph.all().items());
    let n_popular = (settings.popular_negatives * settings.negatives as f64) as usize;
    let n_even = settings.negatives - n_popular;
    let mut items: Vec<u32> = (0..n_even).map(|_| draws.below(n_items as u64) as u32).collect();
    items.extend((0..n_popular).map(|_| chosen[draws.below(chosen.len() as u64) as usize]));
    items.sort_unstable();
    items.dedup();
    let (even, popular) = (n_even as f32 / n_items as f32, n_popular as f32 / chosen.len() as f32);
    let q = |item: u32| (even + popular * graph.count(item as usize)).min(1.0);
    let log_q = items.iter().map(|&item| ln(q(item))).collect();
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

    /// A loss of the vectors before smoothing, and its gradient with respect to those after.
    type Loss<'a> = dyn FnMut(&[f32]) -> (f64, Vec<f32>) + 'a;

    #[test]
    fn the_gradient_equals_finite_differences() {
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
        check(&mut |x| bpr(&graph, &smooth(x), &choices, &[4, 0, 1, 3], &mut Workspace::default()));
        for similarity in [Similarity::Dot, Similarity::Cosine] {
            let softmax = Softmax { similarity, temperature: 0.7 };
            check(&mut |x| softmax.loss(&graph, &smooth(x), &choices, &rivals, &mut Workspace::default()));
        }
    }

    /// Items of four tastes, ten each; each user has six of one of them.
    fn four_tastes() -> Interactions {
        let mut draws = Draws::new(5, 6, 7);
        let mut history = |user: u32| -> Vec<u32> { (0..6).map(|_| user % 4 * 10 + draws.below(10) as u32).collect() };
        Interactions::new(40, (0..200).map(&mut history).collect::<Vec<_>>())
    }

    /// The model and the loss of each epoch.
    fn fitted(data: &Interactions, settings: &LightGcnSettings) -> (LightGcn, Vec<f64>) {
        let losses = std::sync::Mutex::new(Vec::new());
        let progress = |epoch: Epoch| losses.lock().expect("one writer").extend(epoch.loss);
        let model = LightGcn::fit(data, settings, &Fit { progress: &progress, ..Fit::quiet(3, 2) });
        (model.expect("plain data"), losses.into_inner().expect("one writer"))
    }

    #[test]
    fn a_spectral_start_has_a_lower_loss_than_a_random_one() {
        let data = four_tastes();
        let last = |start: Start, epochs: usize| {
            let settings = LightGcnSettings { start, epochs, d: 8, learning_rate: 1e-3, ..Default::default() };
            fitted(&data, &settings).1[epochs - 1]
        };
        for epochs in [1, 3] {
            let (spectral, normal) = (last(Start::Spectral, epochs), last(Start::Normal, epochs));
            assert!(spectral < normal - 0.1, "{epochs}: {spectral} {normal}");
        }
    }

    #[test]
    fn an_item_is_not_predicted_by_its_own_edge() {
        // Each user has one item, which no other user has: without the edge nothing predicts it, so all 30 are equal.
        let data = Interactions::new(30, (0..30).map(|user| [user]).collect::<Vec<_>>());
        let (_, losses) = fitted(&data, &LightGcnSettings::default());
        assert!(losses.iter().all(|loss| (loss - 30.0_f64.ln()).abs() < 1e-4), "{losses:?}");
    }

    #[test]
    fn every_objective_learns_the_tastes() {
        let data = four_tastes();
        let plain = LightGcnSettings { d: 8, epochs: 5, learning_rate: 0.02, ..Default::default() };
        let dot = LightGcnSettings { similarity: Similarity::Dot, temperature: 1.0, ..plain.clone() };
        let bpr = LightGcnSettings { negatives: 1, start: Start::Normal, ..dot.clone() };
        for settings in [plain, dot, bpr] {
            let (model, _) = fitted(&data, &settings);
            let mut scores = [0.0; 40];
            model.score(&[23, 25], &mut scores);
            let least = scores[20..30].iter().copied().fold(f32::INFINITY, f32::min);
            let others = scores[..20].iter().chain(&scores[30..]).copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(least > others, "{settings:?}: {scores:?}");
        }
    }
}
