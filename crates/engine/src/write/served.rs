//! Answers that wait to be recorded: handed over without waiting, written into the log with the next group.
//!
//! An answer acknowledges nothing, so a crash may lose those of the last tenth of a second. Events never wait for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use accrue_store::{Body, Served};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

/// How long an answer waits for a group of events before it gets a commit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Answers that may wait; more are dropped and counted, because serving must not wait for the disk.
const CAPACITY: usize = 16_384;

/// Answers that wait for the writer.
pub(crate) struct ServedQueue {
    share: f64,
    waiting: Mutex<Vec<Served>>,
    n_lost: AtomicU64,
}

impl ServedQueue {
    /// A queue that keeps this share of answers, 0 to 1.
    pub fn new(share: f64) -> Self {
        Self { share, waiting: Mutex::default(), n_lost: AtomicU64::new(0) }
    }

    /// Whether the answer with this id is to be recorded. The hash of the id decides, so that a share covers the same shoppers and hours
    /// as the whole.
    pub fn keeps(&self, recommendation_id: &str) -> bool {
        // The upper 53 bits as a number in 0..1.
        ((xxh3_64(recommendation_id.as_bytes()) >> 11) as f64) < self.share * (1_u64 << 53) as f64
    }

    /// Hands an answer over.
    pub fn push(&self, served: Served) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < CAPACITY {
            waiting.push(served);
        } else {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All that wait, as records.
    pub fn take(&self) -> impl Iterator<Item = Body> + use<> {
        self.take_answers().map(|served| Body::Served(Box::new(served)))
    }

    /// All that wait.
    pub fn take_answers(&self) -> impl Iterator<Item = Served> + use<> {
        std::mem::take(&mut *self.waiting.lock()).into_iter()
    }

    /// Answers that could not be recorded.
    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use accrue_store::{Offset, Page};

    use super::*;

    fn served() -> Served {
        Served {
            recommendation_id: "r1".into(),
            page: Page::Recommend,
            user: None,
            session: None,
            version: 1,
            learned: Offset(0),
            first_position: 0,
            items: Vec::new(),
            propensities: Vec::new(),
            arm: None,
            ranks: Vec::new(),
            asked: Box::default(),
        }
    }

    #[test]
    fn a_share_is_kept_by_the_hash_of_the_id() {
        let kept = |share| (0..10_000).filter(|n| ServedQueue::new(share).keeps(&format!("67408f-{n:x}"))).count();
        assert_eq!((kept(0.0), kept(1.0)), (0, 10_000));
        assert!((2_300..2_700).contains(&kept(0.25)), "{}", kept(0.25));
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let queue = ServedQueue::new(1.0);
        (0..CAPACITY + 3).for_each(|_| queue.push(served()));
        assert_eq!((queue.n_lost(), queue.take().count(), queue.take().count()), (3, CAPACITY, 0));
    }
}
