//! Histories cut into windows of at most `length` steps, and the order in which a pass visits them.

use crate::collaborative::Interactions;
use accrue_kernel::Draws;

/// The stream of the order of windows.
const ORDER: u64 = 0x6e65_7572_0001;

/// A range of steps of one history: step `i` reads `items[..=i]` and predicts `items[i + 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window<'a> {
    /// One more item than steps.
    pub(super) items: &'a [u32],
}

impl<'a> Window<'a> {
    /// The inputs. `[steps]`
    pub(super) fn inputs(&self) -> &'a [u32] {
        &self.items[..self.items.len() - 1]
    }

    /// The targets. `[steps]`
    pub(super) fn targets(&self) -> &'a [u32] {
        &self.items[1..]
    }
}

/// All windows: the last `length` steps of a history, the `length` before them, and so on; every step once.
pub(super) fn windows(data: &Interactions, length: usize) -> Vec<Window<'_>> {
    let mut windows = Vec::new();
    for history in data.histories() {
        let mut end = history.len();
        while end >= 2 {
            let begin = end.saturating_sub(length + 1);
            windows.push(Window { items: &history[begin..end] });
            // The first item of this window is the target of the last step of the one before it.
            end = if begin == 0 { 0 } else { begin + 1 };
        }
    }
    windows
}

/// The order of windows in a pass: a function of seed and pass.
pub(super) fn order(n_windows: usize, seed: u64, epoch: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n_windows as u32).collect();
    Draws::new(seed, ORDER, epoch as u64).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_one_window() {
        let data = Interactions::new(9, [vec![0, 1, 2, 3, 4, 5, 6], vec![7], vec![8, 7], vec![]]);
        let found: Vec<_> = windows(&data, 3).iter().map(|window| window.items.to_vec()).collect();
        assert_eq!(found, [vec![3, 4, 5, 6], vec![0, 1, 2, 3], vec![8, 7]]);
        let window = Window { items: &[3, 4, 5] };
        assert_eq!((window.inputs(), window.targets()), (&[3, 4][..], &[4, 5][..]));
    }

    #[test]
    fn orders_differ_between_passes_and_repeat_with_the_seed() {
        assert_ne!(order(50, 1, 1), order(50, 1, 2));
        assert_eq!(order(50, 1, 1), order(50, 1, 1));
    }
}
