//! The first phase of a training step: a chunk of a batch forward and backward.
//!
//! In: a trainer as it was before the step, some windows. Out: in the [`Chunk`], the gradients of the dense weights and
//! of the items' rows, and the loss. Windows are put on tapes of about 48 rows, so that their numbers stay in the
//! cache. It changes no parameter. Randomness is a function of the seed, the step, the chunk and the tape.

use accrue_kernel::{Draws, axpy, prefetch};
use accrue_tensor::{
    Buffers, Candidates, FirstPass, Mode, Tape, Target, Var, binary_cross_entropy, finite_norm, hinge,
    pairwise_logistic,
};

use super::chunk::Chunk;
use super::network::Network;
use super::objective::Objective;
use super::trainer::{NEGATIVES, Trainer};
use super::windows::Window;

/// Rows on a tape before the next tape is begun.
const ROWS_A_TAPE: usize = 48;
/// With shared candidates, tapes are collected until there are this many states, because each pass over all candidates
/// is expensive; but not more tapes than this, because they leave the cache.
const STATES_AT_ONCE: usize = 24;
const TAPES_AT_ONCE: usize = 8;
/// Rows of the table that are prefetched while one is copied.
const AHEAD: usize = 8;
/// The stream of dropout masks.
const DROPOUT: u64 = 0x6e65_7572_0002;

/// An item by its count to a power, or uniformly.
pub(super) fn sample(cumulative: &[f64], n_items: usize, draws: &mut Draws) -> u32 {
    let Some(&total) = cumulative.last() else { return draws.below(n_items as u64) as u32 };
    let at = f64::from(draws.uniform()) * total;
    cumulative.partition_point(|&sum| sum <= at).min(n_items - 1) as u32
}

/// The probability of an item in one draw.
pub(super) fn share(cumulative: &[f64], n_items: usize, item: u32) -> f64 {
    let Some(&total) = cumulative.last() else { return 1.0 / n_items as f64 };
    let before = if item == 0 { 0.0 } else { cumulative[item as usize - 1] };
    (cumulative[item as usize] - before) / total
}

/// The targets of states, among all items or among sampled ones.
pub(super) fn target<'t>(item: u32, sampled: &[u32], items: &'t [f32], d: usize) -> Target<'t> {
    if sampled.is_empty() {
        return Target::Among(item);
    }
    let place = sampled.binary_search(&item).ok().map(|place| place as u32);
    Target::Beside(&items[item as usize * d..][..d], place)
}

/// The first phase of a step.
pub(super) struct Pass<'p, 'a, N: Network> {
    pub(super) trainer: &'p Trainer<'a, N>,
    /// The weight of each target in the loss.
    pub(super) weight: f32,
}

/// A tape with some windows on it.
struct Group<'t> {
    tape: Tape<'t>,
    x: Var,
    /// States that are trained on.
    states: Var,
    items: Vec<u32>,
    targets: Vec<u32>,
}

impl<N: Network> Pass<'_, '_, N> {
    /// Gradients and loss of the chunk's windows.
    pub(super) fn run(&self, chunk: &mut Chunk) {
        chunk.gradient.clear();
        chunk.gradient.resize(self.trainer.weights.values().len(), 0.0);
        chunk.rows.clear();
        chunk.loss = 0.0;
        let windows = std::mem::take(&mut chunk.windows);
        let groups = groups(&windows);
        let segments: Vec<Vec<usize>> =
            groups.iter().map(|group| group.iter().map(|window| window.inputs().len()).collect()).collect();
        let mut buffers = std::mem::take(&mut chunk.buffers);
        let counter = chunk.counter;
        let key = |group: usize| Draws::new(self.trainer.seed, DROPOUT, counter << 16 | group as u64);
        if self.trainer.training.objective.shares_candidates() {
            chunk.states.clear();
            chunk.targets.clear();
            chunk.log_sums.clear();
            buffers.resize_with(TAPES_AT_ONCE.max(buffers.len()), Buffers::default);
            let mut first = 0;
            while first < groups.len() {
                let (mut tapes, mut n_states) = (Vec::new(), 0);
                for (place, buffers) in buffers.iter_mut().enumerate() {
                    let number = first + place;
                    let Some(group) = groups.get(number).filter(|_| n_states < STATES_AT_ONCE) else { break };
                    let tape = self.forward(group, &segments[number], buffers, key(number));
                    n_states += tape.targets.len();
                    tapes.push(tape);
                }
                first += tapes.len();
                self.shared(tapes, chunk);
            }
        } else {
            // All tapes use the buffers of one, which stay in the cache.
            buffers.resize_with(1.max(buffers.len()), Buffers::default);
            for (n, (group, segments)) in groups.iter().zip(&segments).enumerate() {
                let draws = key(n);
                let group = self.forward(group, segments, &mut buffers[0], draws);
                self.sampled(group, chunk, draws);
            }
        }
        chunk.buffers = buffers;
        chunk.windows = windows;
        chunk.norm = finite_norm(0, &[&chunk.rows.values]).unwrap_or(f64::INFINITY);
    }

    fn forward<'t>(
        &'t self,
        group: &[Window],
        segments: &'t [usize],
        buffers: &'t mut Buffers,
        draws: Draws,
    ) -> Group<'t> {
        let Trainer { network, weights, items: table, d, training, .. } = self.trainer;
        let d = *d;
        let mut tape = Tape::new(buffers, weights, segments, Mode::Train(draws));
        let items: Vec<u32> = group.iter().flat_map(Window::inputs).copied().collect();
        let x = tape.leaf(items.len(), d, |x| {
            for (place, (x, &item)) in x.chunks_exact_mut(d).zip(&items).enumerate() {
                if let Some(&ahead) = items.get(place + AHEAD) {
                    prefetch(&table[ahead as usize * d..][..d]);
                }
                x.copy_from_slice(&table[item as usize * d..][..d]);
            }
        });
        let mut states = network.states(&mut tape, x);
        let mut targets: Vec<u32> = group.iter().flat_map(Window::targets).copied().collect();
        if training.last_only {
            let last = tape.last_rows();
            states = tape.select(states, &last);
            targets = last.iter().map(|&row| targets[row as usize]).collect();
        }
        Group { tape, x, states, items, targets }
    }

    /// All groups' states scored against the shared candidates, then backward.
    fn shared(&self, mut groups: Vec<Group>, chunk: &mut Chunk) {
        let Trainer { items: table, d, shared, .. } = self.trainer;
        let d = *d;
        let before = chunk.targets.len();
        for group in &groups {
            chunk.states.extend_from_slice(group.tape.value(group.states));
            chunk.targets.extend_from_slice(&group.targets);
        }
        let n = chunk.targets.len() - before;
        chunk.log_sums.resize(before + n, 0.0);
        chunk.state_gradient.resize(n * d, 0.0);
        chunk.target_gradient.clear();
        chunk.target_gradient.resize(if shared.sampled.is_empty() { 0 } else { n * d }, 0.0);
        let to_target = |&item: &u32| target(item, &shared.sampled, table, d);
        let targets: Vec<Target> = chunk.targets[before..].iter().map(to_target).collect();
        let candidates = Candidates { blocks: &shared.blocks };
        let Chunk { states, scratch, state_gradient: gradient, log_sums, target_gradient, .. } = &mut *chunk;
        let out = FirstPass { gradient, log_sums: &mut log_sums[before..], target_gradient };
        chunk.loss += candidates.loss(&states[before * d..], &targets, self.weight, scratch, out);
        if !shared.sampled.is_empty() {
            chunk.rows.rows.extend_from_slice(&chunk.targets[before..]);
            chunk.rows.values.extend_from_slice(&chunk.target_gradient);
        }
        let mut first = 0;
        for group in &mut groups {
            let n = group.targets.len() * d;
            group.tape.gradient_mut(group.states).copy_from_slice(&chunk.state_gradient[first..first + n]);
            first += n;
            group.tape.backward(&mut chunk.gradient);
            chunk.rows.rows.extend_from_slice(&group.items);
            chunk.rows.values.extend_from_slice(group.tape.gradient(group.x));
        }
    }

    /// Each state against its target and items sampled for it.
    fn sampled(&self, group: Group, chunk: &mut Chunk, draws: Draws) {
        let Trainer { items: table, d, training, cumulative, data, .. } = self.trainer;
        let (d, n_each, n) = (*d, training.negatives, group.targets.len());
        // A different stream from the dropout's, under the same key.
        let mut key = draws;
        let mut draws = Draws::new(self.trainer.seed, NEGATIVES, key.next_u64());
        let others = (0..n * n_each).map(|_| sample(cumulative, data.n_items(), &mut draws));
        // All targets, then all others, so that both are contiguous.
        let chosen: Vec<u32> = group.targets.iter().copied().chain(others).collect();
        let Group { mut tape, x, states, items, .. } = group;
        let rows: Vec<u32> = (0..(1 + n_each) * n).map(|i| (i % n) as u32).collect();
        let vectors = tape.leaf(chosen.len(), d, |to| {
            for (place, (to, &item)) in to.chunks_exact_mut(d).zip(&chosen).enumerate() {
                if let Some(&ahead) = chosen.get(place + AHEAD) {
                    prefetch(&table[ahead as usize * d..][..d]);
                }
                to.copy_from_slice(&table[item as usize * d..][..d]);
            }
        });
        let repeated = tape.select(states, &rows);
        let scores = tape.row_dots(repeated, vectors);
        let values = tape.value(scores).to_vec();
        let mut slopes = vec![0.0; values.len()];
        let share = 1.0 / n_each as f32;
        let loss = match training.objective {
            Objective::Bpr | Objective::Hinge => {
                let mut total = 0.0;
                let (chosen, others) = values.split_at(n);
                let (of_chosen, of_others) = slopes.split_at_mut(n);
                let mut own = vec![0.0; n];
                for (others, of_others) in others.chunks_exact(n).zip(of_others.chunks_exact_mut(n)) {
                    total += match training.objective {
                        Objective::Hinge => hinge(1.0, chosen, others, &mut own, of_others),
                        _ => pairwise_logistic(chosen, others, &mut own, of_others),
                    };
                    axpy(1.0, &own, of_chosen);
                }
                slopes.iter_mut().for_each(|slope| *slope *= share);
                total * f64::from(share)
            }
            _ => {
                let mut labels = vec![0.0; values.len()];
                labels[..n].fill(1.0);
                let of_targets = binary_cross_entropy(&values[..n], &labels[..n], &mut slopes[..n]);
                let of_others = binary_cross_entropy(&values[n..], &labels[n..], &mut slopes[n..]);
                slopes[n..].iter_mut().for_each(|slope| *slope *= share);
                of_targets + of_others * f64::from(share)
            }
        };
        for (to, slope) in tape.gradient_mut(scores).iter_mut().zip(slopes) {
            *to = slope * self.weight;
        }
        tape.backward(&mut chunk.gradient);
        chunk.loss += loss;
        for (rows, leaf) in [(&items, x), (&chosen, vectors)] {
            chunk.rows.rows.extend_from_slice(rows);
            chunk.rows.values.extend_from_slice(tape.gradient(leaf));
        }
    }
}

/// Groups of windows with about [`ROWS_A_TAPE`] rows together.
fn groups<'w, 'a>(windows: &'w [Window<'a>]) -> Vec<&'w [Window<'a>]> {
    let mut groups = Vec::new();
    let (mut first, mut n_rows) = (0, 0);
    for (number, window) in windows.iter().enumerate() {
        n_rows += window.inputs().len();
        if n_rows >= ROWS_A_TAPE {
            groups.push(&windows[first..=number]);
            (first, n_rows) = (number + 1, 0);
        }
    }
    if first < windows.len() {
        groups.push(&windows[first..]);
    }
    groups
}
