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
//! Everything after `e` is linear, and `B` is symmetric, so the backward pass is the forward pass again. Trained by BPR, as in the
//! paper, or with `negatives` above 1 by a softmax over items sampled once a step, which needs far fewer passes (Wu, Wang, Gao et
//! al., *On the effectiveness of sampled softmax loss for item recommendation*, 2022). The vector that is to choose an item is made
//! without that item.

use accrue_kernel::{Draws, axpy, dot, sigmoid, softplus};
use accrue_tensor::{Init, Optimizer, Rule, finite_norm};
use serde::{Deserialize, Serialize};

use super::windows::order;
use crate::collaborative::parallel::for_each_chunk;
use crate::collaborative::{CollaborativeModel, Epoch, Fit, FitError, Interactions};

/// Streams of random numbers.
const INIT: u64 = 0x6c67_636e_0001;
const NEGATIVES: u64 = 0x6c67_636e_0002;
/// Rows of the graph that a thread takes at a time.
const ROWS: usize = 256;

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
    /// Pull of the learned vectors towards 0.
    pub l2: f64,
    /// Items that a choice is held against: 1 is BPR with one drawn for each choice, more are a step's, shared by its softmax.
    pub negatives: usize,
}

impl Default for LightGcnSettings {
    fn default() -> Self {
        Self { d: 64, hops: 1, epochs: 60, batch: 8192, learning_rate: 5e-3, l2: 1e-4, negatives: 1 }
    }
}

/// Smoothed vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LightGcn {
    d: usize,
    /// `[n_items, d]`
    items: Vec<f32>,
    /// `n_i^-½`. `[n_items]`
    item_norms: Vec<f32>,
}

/// The normalised matrix, by rows and by columns.
struct Graph {
    items_of: Interactions,
    users_of: Interactions,
    user_norms: Vec<f32>,
    item_norms: Vec<f32>,
    d: usize,
    threads: usize,
}

fn norms(rows: &Interactions) -> Vec<f32> {
    rows.histories().map(|row| 1.0 / (row.len().max(1) as f32).sqrt()).collect()
}

impl Graph {
    fn new(data: &Interactions, d: usize, threads: usize) -> Self {
        let items_of = data.distinct();
        let users_of = items_of.transposed();
        let (user_norms, item_norms) = (norms(&items_of), norms(&users_of));
        Self { items_of, users_of, user_norms, item_norms, d, threads }
    }

    /// `A·x`. `x: [n_items, d] → [n_users, d]`
    fn to_users(&self, x: &[f32]) -> Vec<f32> {
        self.spread(&self.items_of, &self.user_norms, &self.item_norms, x)
    }

    /// `Aᵀ·x`. `x: [n_users, d] → [n_items, d]`
    fn to_items(&self, x: &[f32]) -> Vec<f32> {
        self.spread(&self.users_of, &self.item_norms, &self.user_norms, x)
    }

    fn spread(&self, edges: &Interactions, own: &[f32], others: &[f32], x: &[f32]) -> Vec<f32> {
        let d = self.d;
        let mut out = vec![0.0; own.len() * d];
        for_each_chunk(
            self.threads,
            &mut out,
            ROWS * d,
            || (),
            |(), number, rows| {
                for (place, sum) in rows.chunks_exact_mut(d).enumerate() {
                    let row = number * ROWS + place;
                    for &other in edges.history(row) {
                        axpy(own[row] * others[other as usize], &x[other as usize * d..][..d], sum);
                    }
                }
            },
        );
        out
    }

    /// `(x + Bx + … + B^hops x) / (hops + 1)`. `x: [n_items, d]`
    fn smooth(&self, x: &[f32], hops: usize) -> Vec<f32> {
        let (mut sum, mut layer) = (x.to_vec(), x.to_vec());
        for _ in 0..hops {
            layer = self.to_items(&self.to_users(&layer));
            axpy(1.0, &layer, &mut sum);
        }
        accrue_kernel::scale(1.0 / (hops + 1) as f32, &mut sum);
        sum
    }
}

/// A user, what they chose, and what they did not.
struct Triple {
    user: usize,
    chosen: usize,
    other: usize,
}

impl CollaborativeModel for LightGcn {
    type Settings = LightGcnSettings;

    fn fit(data: &Interactions, settings: &LightGcnSettings, fit: &Fit<'_>) -> Result<Self, FitError> {
        let LightGcnSettings { d, hops, epochs, batch, learning_rate, l2, negatives } = *settings;
        let positive = "a number above 0 is expected";
        for (name, n) in [("d", d), ("epochs", epochs), ("batch", batch), ("negatives", negatives)] {
            FitError::check(n > 0, name, n, positive)?;
        }
        FitError::check(learning_rate > 0.0, "learning_rate", learning_rate, positive)?;
        FitError::check(l2 >= 0.0, "l2", l2, "a number of at least 0 is expected")?;
        let graph = Graph::new(data, d, fit.threads);
        let n_items = data.n_items();
        let mut learned = vec![0.0; n_items * d];
        Init::Normal { deviation: 0.1 }.fill(fit.seed ^ INIT, 0, [n_items, d], &mut learned);
        let mut optimizer = Optimizer::new(Rule::ADAM, learned.len());
        let pairs: Vec<(u32, u32)> = (0..graph.items_of.n_users())
            .flat_map(|user| graph.items_of.history(user).iter().map(move |&item| (user as u32, item)))
            .collect();
        for epoch in 1..=epochs {
            let mut total = 0.0;
            for chosen in order(pairs.len(), fit.seed, epoch).chunks(batch) {
                let mut draws = Draws::new(fit.seed, NEGATIVES, optimizer.n_steps());
                let triples = chosen.iter().map(|&place| {
                    let (user, chosen) = pairs[place as usize];
                    let other = negative(graph.items_of.history(user as usize), n_items, &mut draws);
                    Triple { user: user as usize, chosen: chosen as usize, other }
                });
                let triples: Vec<Triple> = triples.collect();
                let smoothed = graph.smooth(&learned, hops);
                let (loss, of_smoothed) = if negatives == 1 {
                    pull(&graph, &smoothed, &triples)
                } else {
                    let mut rivals: Vec<u32> = (0..negatives).map(|_| draws.below(n_items as u64) as u32).collect();
                    rivals.sort_unstable();
                    rivals.dedup();
                    pull_softmax(&graph, &smoothed, &triples, &rivals)
                };
                // B is symmetric: the gradient is smoothed just as the vectors were.
                let mut gradient = graph.smooth(&of_smoothed, hops);
                for triple in &triples {
                    for item in [triple.chosen, triple.other] {
                        let range = item * d..(item + 1) * d;
                        axpy(l2 as f32 / triples.len() as f32, &learned[range.clone()], &mut gradient[range]);
                    }
                }
                finite_norm(optimizer.n_steps(), &[&gradient, &[loss as f32]])
                    .map_err(|_| FitError::Diverged { epoch })?;
                optimizer.step(learning_rate as f32, 1.0, &mut gradient, &mut learned);
                total += loss * triples.len() as f64;
            }
            (fit.progress)(Epoch { done: epoch, of: epochs, loss: Some(total / pairs.len() as f64) });
        }
        Ok(Self { d, items: graph.smooth(&learned, hops), item_norms: graph.item_norms })
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
        for &item in &set {
            let weight = self.item_norms[item as usize] / (set.len() as f32).sqrt();
            axpy(weight, &self.items[item as usize * d..][..d], &mut user);
        }
        accrue_kernel::dot_rows(&user, &self.items, out);
    }
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

/// The mean loss of BPR, and its gradient by the smoothed vectors. `smoothed: [n_items, d] → [n_items, d]`
fn pull(graph: &Graph, smoothed: &[f32], triples: &[Triple]) -> (f64, Vec<f32>) {
    let d = graph.d;
    let users = graph.to_users(smoothed);
    let (mut of_users, mut of_items) = (vec![0.0; users.len()], vec![0.0; smoothed.len()]);
    let weight = 1.0 / triples.len() as f32;
    let row = |item: usize| &smoothed[item * d..(item + 1) * d];
    let mut total = 0.0;
    for &Triple { user, chosen, other } in triples {
        let person = &users[user * d..][..d];
        // The chosen item must be told by the others: with itself in the user's vector it would tell itself.
        let own = graph.user_norms[user] * graph.item_norms[chosen];
        let lead = dot(person, row(chosen)) - own * dot(row(chosen), row(chosen)) - dot(person, row(other));
        total += f64::from(softplus(-lead));
        let force = -weight * sigmoid(-lead);
        axpy(force, row(chosen), &mut of_users[user * d..][..d]);
        axpy(-force, row(other), &mut of_users[user * d..][..d]);
        axpy(force, person, &mut of_items[chosen * d..][..d]);
        axpy(-2.0 * own * force, row(chosen), &mut of_items[chosen * d..][..d]);
        axpy(-force, person, &mut of_items[other * d..][..d]);
    }
    axpy(1.0, &graph.to_items(&of_users), &mut of_items);
    (total / triples.len() as f64, of_items)
}

/// The mean cross-entropy of each choice against `rivals`, which stand for all items, and its gradient by the smoothed vectors. A rival
/// that is the chosen item itself is left out. `smoothed: [n_items, d] → [n_items, d]`
fn pull_softmax(graph: &Graph, smoothed: &[f32], choices: &[Triple], rivals: &[u32]) -> (f64, Vec<f32>) {
    let (d, n_rivals) = (graph.d, rivals.len());
    let users = graph.to_users(smoothed);
    let row = |item: usize| &smoothed[item * d..(item + 1) * d];
    let person = |choice: &Triple| &users[choice.user * d..][..d];
    let packed: Vec<f32> = rivals.iter().flat_map(|&rival| row(rival as usize)).copied().collect();
    let n_items = smoothed.len() / d;
    let stands_for = accrue_kernel::ln(n_items as f32 / n_rivals as f32);
    // A row: the probabilities of the rivals, then that of the chosen item.
    let width = n_rivals + 1;
    let mut probabilities = vec![0.0; choices.len() * width];
    for_each_chunk(
        graph.threads,
        &mut probabilities,
        ROWS * width,
        || (),
        |(), number, rows| {
            for (choice, row_of) in choices[number * ROWS..].iter().zip(rows.chunks_exact_mut(width)) {
                let Triple { user, chosen, .. } = *choice;
                accrue_kernel::dot_rows(person(choice), &packed, &mut row_of[..n_rivals]);
                row_of[..n_rivals].iter_mut().for_each(|score| *score += stands_for);
                if let Ok(place) = rivals.binary_search(&(chosen as u32)) {
                    row_of[place] = f32::NEG_INFINITY;
                }
                let own = graph.user_norms[user] * graph.item_norms[chosen];
                row_of[n_rivals] = dot(person(choice), row(chosen)) - own * dot(row(chosen), row(chosen));
                accrue_kernel::softmax_in_place(row_of);
            }
        },
    );
    let weight = 1.0 / choices.len() as f32;
    let rows = || choices.iter().zip(probabilities.chunks_exact(width));
    let mut of_people = vec![0.0; choices.len() * d];
    for_each_chunk(
        graph.threads,
        &mut of_people,
        ROWS * d,
        || (),
        |(), number, rows| {
            let probabilities = probabilities[number * ROWS * width..].chunks_exact(width);
            for ((choice, row_of), sum) in
                choices[number * ROWS..].iter().zip(probabilities).zip(rows.chunks_exact_mut(d))
            {
                for (&probability, rival) in row_of.iter().zip(packed.chunks_exact(d)) {
                    axpy(weight * probability, rival, sum);
                }
                axpy(weight * (row_of[n_rivals] - 1.0), row(choice.chosen), sum);
            }
        },
    );
    let mut of_rivals = vec![0.0; n_rivals * d];
    for_each_chunk(
        graph.threads,
        &mut of_rivals,
        d,
        || (),
        |(), rival, sum| rows().for_each(|(choice, row_of)| axpy(weight * row_of[rival], person(choice), sum)),
    );
    let (mut of_users, mut of_items) = (vec![0.0; users.len()], vec![0.0; smoothed.len()]);
    let mut total = 0.0;
    for ((choice, row_of), of_person) in rows().zip(of_people.chunks_exact(d)) {
        let Triple { user, chosen, .. } = *choice;
        total -= f64::from(accrue_kernel::ln(row_of[n_rivals].max(f32::MIN_POSITIVE)));
        let force = weight * (row_of[n_rivals] - 1.0);
        let own = graph.user_norms[user] * graph.item_norms[chosen];
        axpy(1.0, of_person, &mut of_users[user * d..][..d]);
        axpy(force, person(choice), &mut of_items[chosen * d..][..d]);
        axpy(-2.0 * own * force, row(chosen), &mut of_items[chosen * d..][..d]);
    }
    for (&rival, of_rival) in rivals.iter().zip(of_rivals.chunks_exact(d)) {
        axpy(1.0, of_rival, &mut of_items[rival as usize * d..][..d]);
    }
    axpy(1.0, &graph.to_items(&of_users), &mut of_items);
    (total / choices.len() as f64, of_items)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loss of the vectors before smoothing, and its gradient by those after.
    type Loss<'a> = dyn Fn(&[f32]) -> (f64, Vec<f32>) + 'a;

    #[test]
    fn the_gradient_is_that_of_its_differences() {
        let data = Interactions::new(5, [vec![0, 1, 2], vec![1, 3], vec![4, 0], vec![2]]);
        let graph = Graph::new(&data, 3, 2);
        let mut draws = Draws::new(1, 2, 3);
        let mut x: Vec<f32> = (0..15).map(|_| draws.normal()).collect();
        let triples = [(0, 1, 4), (1, 3, 0), (2, 4, 1), (0, 2, 3)];
        let triples = triples.map(|(user, chosen, other)| Triple { user, chosen, other });
        let mut check = |loss: &Loss| {
            let gradient = graph.smooth(&loss(&x).1, 2);
            for i in 0..15 {
                let before = x[i];
                x[i] = before + 0.01;
                let above = loss(&x).0;
                x[i] = before - 0.01;
                let below = loss(&x).0;
                x[i] = before;
                let difference = (above - below) / 0.02;
                assert!((difference - f64::from(gradient[i])).abs() < 1e-3, "{i}: {difference} {}", gradient[i]);
            }
        };
        check(&|x| pull(&graph, &graph.smooth(x, 2), &triples));
        check(&|x| pull_softmax(&graph, &graph.smooth(x, 2), &triples, &[0, 1, 4]));
    }

    #[test]
    fn smoothing_a_lonely_pair_keeps_it() {
        // One user with one item: a = 1, so B is the identity.
        let graph = Graph::new(&Interactions::new(1, [[0]]), 2, 1);
        assert_eq!(graph.smooth(&[3.0, -1.0], 4), [3.0, -1.0]);
    }
}
