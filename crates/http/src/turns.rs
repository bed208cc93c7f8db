//! Turns to compute a page. Only as many pages as there are cores are computed at a time, so that threads are left for
//! everything else: probes, events, and answers that are being sent.
//!
//! The connection whose latest requests took the least time is served first: one that asks without pause waits behind
//! those that ask now and then. A page that would wait for too long is refused, because its visitor would be gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How long a page may wait, beside a few times what pages take.
const WAIT: Duration = Duration::from_millis(50);
/// How many times the mean time of a page a page may wait.
const PAGES_TO_WAIT_FOR: u32 = 4;
/// Waiting pages for each core that may wait for longer, because they are soon served.
const PATIENT_PER_TURN: usize = 4;
/// How long those may wait.
const PATIENT_WAIT: Duration = Duration::from_secs(2);

/// The turns of a server.
pub(super) struct Turns {
    n_turns: usize,
    queue: Mutex<Queue>,
}

struct Queue {
    free: usize,
    next: u64,
    /// Ordered by the time that the connection has used, then by arrival.
    waiting: BTreeMap<(u64, u64), oneshot::Sender<Turn>>,
    /// Mean seconds of a page, over about the last hundred.
    page_s: f64,
}

/// The permission to compute a page; dropping it passes it on.
pub(super) struct Turn {
    turns: Arc<Turns>,
    began: Instant,
}

impl Turns {
    pub(super) fn new(n_turns: usize) -> Arc<Self> {
        let queue = Queue { free: n_turns, next: 0, waiting: BTreeMap::new(), page_s: 0.0 };
        Arc::new(Self { n_turns, queue: Mutex::new(queue) })
    }

    /// A turn for a connection whose latest requests took `used_us` microseconds; `None` if it would have to wait for too long.
    pub(super) async fn take(self: &Arc<Self>, used_us: u64) -> Option<Turn> {
        let (mut turn, place, limit) = {
            let mut queue = self.queue.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return Some(self.turn());
            }
            let place = (used_us, queue.next);
            queue.next += 1;
            let is_soon = queue.waiting.len() < PATIENT_PER_TURN * self.n_turns;
            let limit = WAIT + PAGES_TO_WAIT_FOR * Duration::from_secs_f64(queue.page_s);
            let (give, turn) = oneshot::channel();
            queue.waiting.insert(place, give);
            (turn, place, if is_soon { PATIENT_WAIT } else { limit.min(PATIENT_WAIT) })
        };
        let _leaves = Leaves { turns: self, place };
        match tokio::time::timeout(limit, &mut turn).await {
            Ok(given) => given.ok(),
            Err(_) => None,
        }
    }

    fn turn(self: &Arc<Self>) -> Turn {
        Turn { turns: Arc::clone(self), began: Instant::now() }
    }
}

/// Takes a page that no longer waits out of the queue.
struct Leaves<'t> {
    turns: &'t Turns,
    place: (u64, u64),
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.turns.queue.lock().waiting.remove(&self.place);
    }
}

impl Turn {
    /// How long the turn has lasted.
    pub(super) fn lasted(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.turns.queue.lock();
            queue.page_s += (self.began.elapsed().as_secs_f64() - queue.page_s) / 100.0;
            let next = queue.waiting.pop_first();
            if next.is_none() {
                queue.free += 1;
            }
            next
        };
        if let Some((_, give)) = next {
            // A turn that is not taken comes back and is dropped here, which passes it on.
            let _ = give.send(self.turns.turn());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn the_connection_that_used_least_is_next() {
        runtime().block_on(async {
            let turns = Turns::new(1);
            let first = turns.take(0).await.unwrap();
            let order = Arc::new(Mutex::new(Vec::new()));
            let waiting: Vec<_> = [9000, 10, 500]
                .map(|used| {
                    let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
                    tokio::spawn(async move {
                        let turn = turns.take(used).await;
                        order.lock().push(used);
                        drop(turn);
                    })
                })
                .into();
            tokio::task::yield_now().await;
            drop(first);
            for task in waiting {
                task.await.unwrap();
            }
            assert_eq!(*order.lock(), [10, 500, 9000]);
            assert_eq!(turns.queue.lock().free, 1);
        });
    }

    #[test]
    fn pages_behind_a_long_queue_are_refused_and_turns_are_not_lost() {
        runtime().block_on(async {
            let turns = Turns::new(1);
            let first = turns.take(0).await.unwrap();
            let patient: Vec<_> = (0..PATIENT_PER_TURN)
                .map(|_| {
                    tokio::spawn({
                        let turns = Arc::clone(&turns);
                        async move { turns.take(0).await.is_some() }
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            assert!(turns.take(0).await.is_none());
            drop(first);
            for task in patient {
                assert!(task.await.unwrap());
            }
            let queue = turns.queue.lock();
            assert_eq!((queue.free, queue.waiting.len()), (1, 0));
        });
    }
}
