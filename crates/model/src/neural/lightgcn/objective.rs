//! The objectives of LightGCN: BPR, or a softmax over sampled items.
//!
//! In: smoothed vectors of items, choices `(u, i)`, the items they are compared with. Out: the mean loss, and its
//! gradient by the smoothed vectors. With `z` an item's vector and `q = A_u z` a user's:
//!
//! ```text
//! BPR      -log σ(q · z_i - q · z_j)                                Rendle et al., BPR (UAI 2009), as in the paper
//! softmax  -log exp s_i / (exp s_i + Σ_j exp(s_j - log Q_j))        s = q · z / temperature, or cos(q, z) / temperature
//! ```
//! With the cosine: Wu, Wang, Gao et al., *On the effectiveness of sampled softmax loss for item recommendation*
//! (2022). `Q_j` is how often a step draws item `j`; it corrects the sampled sum to an estimate of the sum over all
//! items (Yi et al., *Sampling-bias-corrected neural modeling*, 2019). Refuses nothing; a user without an edge in the
//! graph has `q = 0` and no gradient.

use accrue_kernel::{axpy, dot, scale, sigmoid, softplus, squared_norm};
use accrue_tensor::{CandidateBlock, Candidates, FirstPass, PackedStates, SoftmaxScratch, Target};
use serde::{Deserialize, Serialize};

use super::graph::Graph;
use crate::collaborative::parallel::for_each_chunk;

/// Choices that a thread takes at a time.
const CHOICES: usize = 192;
/// Sampled items that a thread takes at a time.
const RIVALS: usize = 128;
/// Vectors shorter than this are treated as 0.
const SHORTEST: f32 = 1e-12;

/// How a user's vector and an item's make a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Similarity {
    /// `q · z`, as in the paper.
    Dot,
    /// `q · z / (|q| |z|)`: independent of a vector's length, which depends on how often an item was chosen.
    #[default]
    Cosine,
}

impl Similarity {
    /// The factor of a vector before the product; 0 for a vector without a direction.
    pub(super) fn factor(self, row: &[f32]) -> f32 {
        let length = || squared_norm(row).sqrt();
        match self {
            Self::Dot => 1.0,
            Self::Cosine if length() < SHORTEST => 0.0,
            Self::Cosine => 1.0 / length(),
        }
    }
}

/// A user and an item they chose.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    pub(super) user: usize,
    pub(super) chosen: usize,
}

/// Sampled items, ascending, with the logarithm of how often a step draws each.
pub(super) struct Rivals {
    pub(super) items: Vec<u32>,
    pub(super) log_q: Vec<f32>,
}

/// Buffers that are reused from step to step.
#[derive(Default)]
pub(super) struct Workspace {
    wanted: Vec<bool>,
    users: Vec<f32>,
    of_users: Vec<f32>,
    from_users: Vec<f32>,
    packed: PackedStates,
}

impl Workspace {
    /// The vectors of the choices' users. `smoothed: [n_items, d] → [n_users, d]`, 0 for the others
    fn begin(&mut self, graph: &Graph, smoothed: &[f32], choices: &[Choice]) {
        self.wanted.clear();
        self.wanted.resize(graph.all().n_users(), false);
        choices.iter().for_each(|choice| self.wanted[choice.user] = true);
        graph.to_users(smoothed, &self.wanted, &mut self.users);
        self.of_users.clear();
        self.of_users.resize(self.users.len(), 0.0);
    }

    /// Adds the gradient by users' vectors to those of the items that they are sums of.
    fn end(&mut self, graph: &Graph, of_items: &mut [f32]) {
        graph.to_items(&self.of_users, &mut self.from_users);
        axpy(1.0, &self.from_users, of_items);
    }
}

/// The mean loss of BPR, choice `k` against `others[k]`. `smoothed: [n_items, d] → [n_items, d]`
pub(super) fn bpr(
    graph: &Graph,
    smoothed: &[f32],
    choices: &[Choice],
    others: &[usize],
    workspace: &mut Workspace,
) -> (f64, Vec<f32>) {
    let d = graph.d;
    workspace.begin(graph, smoothed, choices);
    let mut of_items = vec![0.0; smoothed.len()];
    let weight = 1.0 / choices.len() as f32;
    let row = |item: usize| &smoothed[item * d..(item + 1) * d];
    let mut total = 0.0;
    for (&Choice { user, chosen }, &other) in choices.iter().zip(others) {
        let state = &workspace.users[user * d..][..d];
        let lead = dot(state, row(chosen)) - dot(state, row(other));
        total += f64::from(softplus(-lead));
        let force = -weight * sigmoid(-lead);
        let of_user = &mut workspace.of_users[user * d..][..d];
        axpy(force, row(chosen), of_user);
        axpy(-force, row(other), of_user);
        axpy(force, state, &mut of_items[chosen * d..][..d]);
        axpy(-force, state, &mut of_items[other * d..][..d]);
    }
    workspace.end(graph, &mut of_items);
    (total / choices.len() as f64, of_items)
}

/// How the sampled softmax computes scores.
#[derive(Clone, Copy)]
pub(super) struct Softmax {
    pub(super) similarity: Similarity,
    pub(super) temperature: f32,
}

/// Some choices: their vectors as the softmax uses them, and the gradients of these.
struct Part<'a> {
    choices: &'a [Choice],
    /// `q`, with the temperature in it. `[n, d]`
    states: Vec<f32>,
    /// The factor of `q`. `[n]`
    scales: Vec<f32>,
    /// The chosen items. `[n, d]`
    targets: Vec<f32>,
    /// `[n]`
    target_scales: Vec<f32>,
    of_states: Vec<f32>,
    of_targets: Vec<f32>,
    log_sums: Vec<f32>,
    loss: f64,
}

impl Softmax {
    /// The mean cross-entropy of each choice against the sampled items. `smoothed: [n_items, d] → [n_items, d]`
    pub(super) fn loss(
        self,
        graph: &Graph,
        smoothed: &[f32],
        choices: &[Choice],
        rivals: &Rivals,
        workspace: &mut Workspace,
    ) -> (f64, Vec<f32>) {
        let (d, weight) = (graph.d, 1.0 / choices.len() as f32);
        workspace.begin(graph, smoothed, choices);
        let (vectors, factors) = self.items(smoothed, d, rivals.items.iter().map(|&item| item as usize));
        let correction: Vec<f32> = rivals.log_q.iter().map(|log_q| -log_q).collect();
        let load = |(number, (vectors, correction)): (usize, (&[f32], &[f32]))| {
            let mut block = CandidateBlock::default();
            block.load(number * RIVALS, vectors, d, correction);
            block
        };
        let blocks: Vec<CandidateBlock> =
            vectors.chunks(RIVALS * d).zip(correction.chunks(RIVALS)).enumerate().map(load).collect();

        let mut parts: Vec<Option<Part>> = choices.chunks(CHOICES).map(|_| None).collect();
        for_each_chunk(graph.threads, &mut parts, 1, SoftmaxScratch::default, |scratch, number, part| {
            let choices = &choices[number * CHOICES..choices.len().min((number + 1) * CHOICES)];
            part[0] =
                Some(self.first_pass(graph, smoothed, (&workspace.users, choices), (&blocks, rivals), weight, scratch));
        });
        let parts: Vec<Part> = parts.into_iter().flatten().collect();

        workspace.packed.load(d, parts.iter().map(|part| &*part.states));
        let log_sums: Vec<f32> = parts.iter().flat_map(|part| &part.log_sums).copied().collect();
        let targets: Vec<Target> = parts.iter().flat_map(|part| part.targets(d, rivals)).collect();
        let mut of_rivals = vec![0.0; vectors.len()];
        for_each_chunk(
            graph.threads,
            &mut of_rivals,
            RIVALS * d,
            SoftmaxScratch::default,
            |scratch, number, gradient| {
                blocks[number].add_gradient(&workspace.packed, &log_sums, &targets, weight, scratch, gradient);
            },
        );

        let mut of_items = vec![0.0; smoothed.len()];
        parts.iter().for_each(|part| self.spread(graph, part, &mut workspace.of_users, &mut of_items));
        for (place, &item) in rivals.items.iter().enumerate() {
            let range = place * d..(place + 1) * d;
            let of_item = &mut of_items[item as usize * d..][..d];
            self.through(&vectors[range.clone()], factors[place], 1.0, &of_rivals[range], of_item);
        }
        workspace.end(graph, &mut of_items);
        (parts.iter().map(|part| part.loss).sum::<f64>() / choices.len() as f64, of_items)
    }

    /// The items' vectors as they are multiplied with a state, and the factor of each. `→ [n, d], [n]`
    fn items(self, smoothed: &[f32], d: usize, items: impl Iterator<Item = usize>) -> (Vec<f32>, Vec<f32>) {
        let (mut vectors, mut factors) = (Vec::new(), Vec::new());
        for item in items {
            let row = &smoothed[item * d..][..d];
            let by = self.similarity.factor(row);
            vectors.extend(row.iter().map(|x| by * x));
            factors.push(by);
        }
        (vectors, factors)
    }

    /// States, losses and the gradients of states and targets.
    fn first_pass<'a>(
        self,
        graph: &Graph,
        smoothed: &[f32],
        (users, choices): (&[f32], &'a [Choice]),
        (blocks, rivals): (&[CandidateBlock], &Rivals),
        weight: f32,
        scratch: &mut SoftmaxScratch,
    ) -> Part<'a> {
        let (d, n) = (graph.d, choices.len());
        let (targets, target_scales) = self.items(smoothed, d, choices.iter().map(|choice| choice.chosen));
        let (mut states, mut scales) = (Vec::with_capacity(n * d), Vec::with_capacity(n));
        for &Choice { user, .. } in choices {
            let first = states.len();
            states.extend_from_slice(&users[user * d..][..d]);
            let state = &mut states[first..];
            let by = self.similarity.factor(state) / self.temperature;
            scale(by, state);
            scales.push(by);
        }
        let zeros = || vec![0.0; n * d];
        let mut part = Part {
            choices,
            states,
            scales,
            targets,
            target_scales,
            of_states: zeros(),
            of_targets: zeros(),
            log_sums: vec![0.0; n],
            loss: 0.0,
        };
        let (mut of_states, mut of_targets, mut log_sums) = (zeros(), zeros(), vec![0.0; n]);
        let out = FirstPass { gradient: &mut of_states, log_sums: &mut log_sums, target_gradient: &mut of_targets };
        let targets: Vec<Target> = part.targets(d, rivals).collect();
        part.loss = Candidates { blocks }.loss(&part.states, &targets, weight, scratch, out);
        Part { of_states, of_targets, log_sums, ..part }
    }

    /// Turns the gradients of states and targets into those of users' and items' vectors.
    fn spread(self, graph: &Graph, part: &Part, of_users: &mut [f32], of_items: &mut [f32]) {
        let d = graph.d;
        let mut of_q = vec![0.0; d];
        for (k, &Choice { user, chosen }) in part.choices.iter().enumerate() {
            let range = k * d..(k + 1) * d;
            of_q.fill(0.0);
            self.through(
                &part.states[range.clone()],
                part.scales[k],
                self.temperature,
                &part.of_states[range.clone()],
                &mut of_q,
            );
            axpy(1.0, &of_q, &mut of_users[user * d..][..d]);
            let of_chosen = &mut of_items[chosen * d..][..d];
            let by = part.target_scales[k];
            self.through(&part.targets[range.clone()], by, 1.0, &part.of_targets[range], of_chosen);
        }
    }

    /// Adds the gradient before a vector was multiplied by `by`, which made its length `1 / temperature`:
    /// `by · (g - ŷ (ŷ · g))`, or `by · g` for the plain product. `y, gradient, out: [d]`
    fn through(self, y: &[f32], by: f32, temperature: f32, gradient: &[f32], out: &mut [f32]) {
        axpy(by, gradient, out);
        if self.similarity == Similarity::Cosine {
            axpy(-by * temperature * temperature * dot(y, gradient), y, out);
        }
    }
}

impl Part<'_> {
    fn targets<'a>(&'a self, d: usize, rivals: &'a Rivals) -> impl Iterator<Item = Target<'a>> {
        self.targets.chunks_exact(d).zip(self.choices).map(|(vector, choice)| {
            let sampled = rivals.items.binary_search(&(choice.chosen as u32)).ok();
            Target::Beside(vector, sampled.map(|place| place as u32))
        })
    }
}
