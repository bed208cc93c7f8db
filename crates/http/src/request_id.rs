//! Ids of requests: they connect an answer with the lines of the log about it.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ids that no other run of the server uses: a random start and a counter.
pub(super) struct RequestIds {
    start: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let started_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let random = std::hash::RandomState::new().build_hasher().finish();
        Self { start: format!("{started_s:x}{:06x}", random & 0xff_ffff), next: AtomicU64::new(0) }
    }

    pub(super) fn next(&self) -> String {
        format!("{}-{:x}", self.start, self.next.fetch_add(1, Ordering::Relaxed))
    }
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
}
