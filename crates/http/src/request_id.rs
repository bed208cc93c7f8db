//! Ids of requests: they connect an answer with the lines of the log about it.
//!
//! An answer's id is also what an event cites, and what decides which answers are drawn. Anyone learns ids by asking, so
//! the id of one answer must not tell those of others: each ends with 64 bits that cannot be guessed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ids that no other run of the server uses: a start, a counter, which order them in the log, and a random part.
pub(super) struct RequestIds {
    start: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let started_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { start: format!("{started_s:x}"), next: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> String {
        format!("{}-{:x}-{:016x}", self.start, self.next.fetch_add(1, Ordering::Relaxed), random())
    }
}

/// 64 bits from the system.
fn random() -> u64 {
    // As for sessions of the console: without random numbers nothing that must not be guessed can be served.
    getrandom::u64().expect("the system has a source of random bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_within_a_run_and_between_runs() {
        let (ids, others) = (RequestIds::new(), RequestIds::new());
        assert_ne!(ids.next(), ids.next());
        assert_ne!(RequestIds::new().next(), others.next());
    }

    #[test]
    fn an_id_does_not_tell_the_next_one() {
        let ids = RequestIds::new();
        let random_of = |id: String| id.rsplit('-').next().map(str::to_owned);
        let parts: std::collections::BTreeSet<_> = (0..100).map(|_| random_of(ids.next())).collect();
        assert_eq!(parts.len(), 100, "{parts:?}");
    }
}
