//! The normalised graph of users and the items they chose, and smoothing over it.
//!
//! In: a vector for each item, or for each user. Out: their sums over the edges, `a_ui = (n_u · n_i)^-½`, for all rows
//! or for some. Each row is summed in the order of its edges, so the result does not depend on the number of threads.
//! Refuses nothing; a row without an edge is 0.

use accrue_kernel::{axpy, gather_rows, scale};

use crate::collaborative::Interactions;
use crate::collaborative::parallel::for_each_chunk;

/// Rows of the graph that a thread takes at a time.
const ROWS: usize = 256;

/// The normalised matrix `A`, by rows and by columns.
pub(super) struct Graph {
    all: Interactions,
    all_users_of: Interactions,
    /// The position of each edge of the columns among those of the rows. `[n_edges]`
    edge_of: Vec<u32>,
    /// The edges that are in the graph at the moment; [`Graph::without`] removes some.
    items_of: Interactions,
    users_of: Interactions,
    /// `n_u^-½`. `[n_users]`
    user_norms: Vec<f32>,
    /// `n_i^-½`. `[n_items]`
    pub(super) item_norms: Vec<f32>,
    pub(super) d: usize,
    pub(super) threads: usize,
}

/// Buffers for one layer of each side, reused from step to step.
#[derive(Default)]
pub(super) struct Layers {
    users: Vec<f32>,
    items: Vec<f32>,
}

fn norms(rows: &Interactions) -> Vec<f32> {
    rows.histories().map(|row| 1.0 / (row.len().max(1) as f32).sqrt()).collect()
}

impl Graph {
    /// Repeats are counted once.
    pub(super) fn new(data: &Interactions, d: usize, threads: usize) -> Self {
        let all = data.distinct();
        let users_of = all.transposed();
        let (user_norms, item_norms) = (norms(&all), norms(&users_of));
        let mut edge_of: Vec<u32> = (0..all.n_interactions() as u32).collect();
        edge_of.sort_by_key(|&edge| all.items()[edge as usize]);
        Self {
            items_of: all.clone(),
            users_of: users_of.clone(),
            all,
            all_users_of: users_of,
            edge_of,
            user_norms,
            item_norms,
            d,
            threads,
        }
    }

    /// Every edge once, by users.
    pub(super) fn all(&self) -> &Interactions {
        &self.all
    }

    /// How many users chose the item, at least 1.
    pub(super) fn count(&self, item: usize) -> f32 {
        self.all_users_of.history(item).len().max(1) as f32
    }

    /// Puts all edges but these into the graph; weights stay. `edges: numbers among all`
    pub(super) fn without(&mut self, edges: &[u32]) {
        let mut there = vec![true; self.edge_of.len()];
        edges.iter().for_each(|&edge| there[edge as usize] = false);
        self.items_of = self.all.retained(|edge| there[edge]);
        self.users_of = self.all_users_of.retained(|place| there[self.edge_of[place] as usize]);
    }

    /// `A·x` where `wanted`, 0 elsewhere. `x: [n_items, d], wanted: [n_users] → [n_users, d]`
    pub(super) fn to_users(&self, x: &[f32], wanted: &[bool], out: &mut Vec<f32>) {
        self.spread(&self.items_of, [&self.user_norms, &self.item_norms], x, |user| wanted[user], out);
    }

    /// `Aᵀ·x`. `x: [n_users, d] → [n_items, d]`
    pub(super) fn to_items(&self, x: &[f32], out: &mut Vec<f32>) {
        self.spread(&self.users_of, [&self.item_norms, &self.user_norms], x, |_| true, out);
    }

    fn spread(
        &self,
        edges: &Interactions,
        [own, others]: [&[f32]; 2],
        x: &[f32],
        wanted: impl Fn(usize) -> bool + Sync,
        out: &mut Vec<f32>,
    ) {
        let d = self.d;
        out.resize(own.len() * d, 0.0);
        for_each_chunk(
            self.threads,
            out,
            ROWS * d,
            || (),
            |(), number, rows| {
                for (place, sum) in rows.chunks_exact_mut(d).enumerate() {
                    let row = number * ROWS + place;
                    if wanted(row) {
                        gather_rows(own[row], edges.history(row), others, x, sum);
                    } else {
                        sum.fill(0.0);
                    }
                }
            },
        );
    }

    /// `(x + Bx + … + B^hops x) / (hops + 1)` with `B = AᵀA`. `x: [n_items, d] → [n_items, d]`
    pub(super) fn smooth(&self, x: &[f32], hops: usize, layers: &mut Layers) -> Vec<f32> {
        let mut sum = x.to_vec();
        for hop in 0..hops {
            let layer = if hop == 0 { x } else { &layers.items };
            self.spread(&self.items_of, [&self.user_norms, &self.item_norms], layer, |_| true, &mut layers.users);
            self.to_items(&layers.users, &mut layers.items);
            axpy(1.0, &layers.items, &mut sum);
        }
        scale(1.0 / (hops + 1) as f32, &mut sum);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_an_isolated_pair() {
        // One user with one item: a = 1, so B is the identity.
        let graph = Graph::new(&Interactions::new(1, [[0]]), 2, 1);
        assert_eq!(graph.smooth(&[3.0, -1.0], 4, &mut Layers::default()), [3.0, -1.0]);
    }

    #[test]
    fn only_wanted_users_are_summed() {
        let graph = Graph::new(&Interactions::new(2, [vec![0, 1, 1], vec![1]]), 1, 2);
        let mut users = Vec::new();
        graph.to_users(&[1.0, 2.0], &[true, false], &mut users);
        assert!((users[0] - (0.5_f32.sqrt() + 0.5 * 2.0)).abs() < 1e-6, "{users:?}");
        assert_eq!(users[1], 0.0);
    }

    #[test]
    fn a_removed_edge_is_absent_in_both_directions() {
        let data = Interactions::new(3, [vec![2, 0], vec![0, 1], vec![2]]);
        let mut graph = Graph::new(&data, 1, 1);
        // Edges by users: 0–0, 0–2, 1–0, 1–1, 2–2.
        graph.without(&[1, 2]);
        let edges = |rows: &Interactions| rows.histories().map(<[u32]>::to_vec).collect::<Vec<_>>();
        assert_eq!(edges(&graph.items_of), [vec![0], vec![1], vec![2]]);
        assert_eq!(graph.items_of.transposed(), graph.users_of);
        graph.without(&[]);
        assert_eq!((&graph.items_of, &graph.users_of), (&graph.all, &graph.all.transposed()));
    }
}
