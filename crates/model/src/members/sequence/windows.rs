//! Windows of items that wait for the next step, and a reservoir of past ones.
//!
//! Consecutive events of one shopper are in one window, so that a basket of ten lines costs one forward pass and not
//! ten. Windows wait until there are enough events for a step. When that is depends on the records alone, and waiting
//! windows are part of the state, so a learner that was stopped between two steps resumes exactly.
//!
//! The reservoir is a uniform sample of all past windows in bounded memory: Vitter, *Random sampling with a reservoir*
//! (1985), algorithm R, with draws that are a function of the seed and of the number of windows.

use std::sync::Arc;

use accrue_kernel::Draws;
use accrue_store::ItemIdx;
use serde::{Deserialize, Serialize};

use crate::Step;
use crate::cow::CowVec;

/// Streams of random numbers.
const KEEP: u64 = 0x5345_5155_0001;
const REPLAY: u64 = 0x5345_5155_0002;

/// Items in a row: each but the first was chosen after those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    shopper: u32,
    items: Vec<ItemIdx>,
    /// How many of the last ones have not been learned yet.
    n_new: usize,
}

/// Windows that wait for a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pending {
    windows: Vec<Window>,
    n_events: usize,
}

impl Pending {
    /// Adds the chosen item of a step after what its shopper chose before. `length`: items that a state reads, of which
    /// a new window leaves `n_free` for events to come.
    pub(super) fn gather(&mut self, step: &Step<'_>, length: usize, n_free: usize) {
        let context = &step.context;
        let mut chosen = context.past.iter().rev().filter(|past| context.weight(past) > 0.0).map(|past| past.item);
        let Some(last) = chosen.next() else { return };
        self.n_events += 1;
        let (shopper, item) = (step.event.shopper, step.event.item);
        // After a merge the shopper's last item is one of the other shopper's.
        let goes_on = |window: &&mut Window| {
            window.shopper == shopper && window.items.last() == Some(&last) && window.items.len() <= length
        };
        if let Some(window) = self.windows.iter_mut().find(goes_on) {
            window.items.push(item);
            window.n_new += 1;
            return;
        }
        let before = chosen.take(length.saturating_sub(1 + n_free));
        let mut items: Vec<ItemIdx> = [item, last].into_iter().chain(before).collect();
        items.reverse();
        self.windows.push(Window { shopper, items, n_new: 1 });
    }

    /// Events that wait.
    pub(super) fn n_events(&self) -> usize {
        self.n_events
    }

    /// Returns and removes all windows, with how many of their last places a step should learn: `targets`, or all new
    /// ones if those are more.
    pub(super) fn take(&mut self, targets: usize) -> Vec<Run> {
        self.n_events = 0;
        let windows = std::mem::take(&mut self.windows);
        windows.into_iter().map(|window| Run::new(window.items.into(), targets.max(window.n_new))).collect()
    }
}

/// Items to learn from in a step.
#[derive(Clone, Debug)]
pub(super) struct Run {
    items: Arc<[ItemIdx]>,
    n_targets: usize,
}

impl Run {
    fn new(items: Arc<[ItemIdx]>, targets: usize) -> Self {
        Self { n_targets: targets.min(items.len() - 1), items }
    }

    /// The inputs of the network.
    pub(super) fn inputs(&self) -> &[ItemIdx] {
        &self.items[..self.items.len() - 1]
    }

    /// The items that its last states should predict.
    pub(super) fn targets(&self) -> &[ItemIdx] {
        &self.items[self.items.len() - self.n_targets..]
    }
}

/// A uniform sample of all windows that were learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reservoir {
    windows: CowVec<Arc<[ItemIdx]>>,
    n_seen: u64,
}

impl Default for Reservoir {
    fn default() -> Self {
        Self { windows: CowVec::new(64, Arc::from([])), n_seen: 0 }
    }
}

impl Reservoir {
    /// Adds a window or not, so that each past one is kept with the same probability.
    pub(super) fn offer(&mut self, run: &Run, capacity: usize, seed: u64) {
        let place = match self.n_seen {
            young if young < capacity as u64 => young,
            n_seen => Draws::new(seed, KEEP, n_seen).below(n_seen + 1),
        };
        self.n_seen += 1;
        if place < capacity as u64 {
            *self.windows.get_mut(place as usize) = run.items.clone();
        }
    }

    /// Draws `n` windows to learn again; fewer if there are none.
    pub(super) fn draw(&self, n: usize, targets: usize, seed: u64, offset: u64) -> impl Iterator<Item = Run> {
        let mut draws = Draws::new(seed, REPLAY, offset);
        let n_windows = self.windows.len();
        (0..if n_windows == 0 { 0 } else { n })
            .map(move |_| Run::new(self.windows.get(draws.below(n_windows as u64) as usize).clone(), targets))
    }

    /// Holds the memory of `other` wherever both hold the same values.
    pub(super) fn share_with(&mut self, other: &Self) {
        self.windows.share_with(&other.windows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservoir_is_a_uniform_sample_of_bounded_size() {
        let mut reservoir = Reservoir::default();
        for item in 0..20_000 {
            reservoir.offer(&Run::new(Arc::from([item, item]), 1), 500, 3);
        }
        assert_eq!(reservoir.windows.len(), 500);
        let mean = reservoir.windows.iter().map(|items| f64::from(items[0])).sum::<f64>() / 500.0;
        // The mean of 500 uniform draws below 20,000 has a deviation of 258.
        assert!((mean - 10_000.0).abs() < 1_000.0, "{mean}");
        let drawn = |offset| reservoir.draw(3, 1, 3, offset).map(|run| run.items[0]).collect::<Vec<_>>();
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }
}
