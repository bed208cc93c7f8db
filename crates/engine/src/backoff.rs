//! Increasing waits between attempts at something that fails: a checkpoint, the search index, the reading of the log, an erasure.

use std::time::{Duration, Instant};

/// When the next attempt is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    /// The wait after the last attempt, and when it ends; `None` if that attempt succeeded.
    failed: Option<(Duration, Instant)>,
}

impl Backoff {
    /// Waits of `first`, then of twice the wait before, up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failed: None }
    }

    /// Whether the last attempt failed.
    pub fn is_failing(&self) -> bool {
        self.failed.is_some()
    }

    /// When the next attempt is due, if the last one failed.
    pub fn next(&self) -> Option<Instant> {
        self.failed.map(|(_, next)| next)
    }

    /// Whether an attempt is due: at any time after one that succeeded.
    pub fn is_due(&self) -> bool {
        self.next().is_none_or(|next| next <= Instant::now())
    }

    /// The last attempt succeeded.
    pub fn succeed(&mut self) {
        self.failed = None;
    }

    /// The last attempt failed; returns how long to wait.
    pub fn fail(&mut self) -> Duration {
        let wait = self.failed.map_or(self.first, |(wait, _)| self.longest.min(2 * wait));
        self.failed = Some((wait, Instant::now() + wait));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        assert!(backoff.is_due() && !backoff.is_failing());
        let waits: Vec<u64> = (0..5).map(|_| backoff.fail().as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        assert!(backoff.is_failing() && !backoff.is_due());
        backoff.succeed();
        assert!(backoff.is_due());
        assert_eq!(backoff.fail(), Duration::from_secs(1));
    }
}
