//! Large bodies: how many are held at a time. While all places are taken, a body that arrives slowly gives its place to
//! the next one, so that clients that stop sending cannot keep out those that send.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Within this time no body is slow.
const PATIENCE: Duration = Duration::from_secs(1);
/// A body that arrives with fewer bytes per second is slow.
const SLOW_BYTES_PER_S: f64 = 65_536.0;

/// The large bodies that are arriving or being processed.
pub(super) struct LargeBodies {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    bodies: HashMap<u64, Arc<Large>>,
}

struct Large {
    since: Instant,
    n_bytes: AtomicUsize,
    is_whole: AtomicBool,
    gave_way: Notify,
}

/// The place of a large body; dropping it makes room.
pub(super) struct Place<'b> {
    bodies: &'b LargeBodies,
    number: u64,
    large: Arc<Large>,
}

impl LargeBodies {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: Mutex::default() }
    }

    /// A place, if one is free or a slow body can give its own.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        let mut held = self.held.lock();
        if held.bodies.len() >= self.most {
            let slowest = held.bodies.iter().filter_map(|(number, large)| Some((large.slow_rate()?, *number)));
            let (_, number) = slowest.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
            held.bodies.remove(&number)?.gave_way.notify_one();
        }
        let large = Arc::new(Large {
            since: Instant::now(),
            n_bytes: AtomicUsize::new(0),
            is_whole: AtomicBool::new(false),
            gave_way: Notify::new(),
        });
        let number = held.next;
        held.next += 1;
        held.bodies.insert(number, Arc::clone(&large));
        Some(Place { bodies: self, number, large })
    }
}

impl Large {
    /// Bytes per second, if the body is still arriving and slow.
    fn slow_rate(&self) -> Option<f64> {
        let took = self.since.elapsed();
        let rate = self.n_bytes.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
        (!self.is_whole.load(Ordering::Relaxed) && took >= PATIENCE && rate < SLOW_BYTES_PER_S).then_some(rate)
    }
}

impl Place<'_> {
    /// Notes that a part of the body arrived.
    pub(super) fn received(&self, n_bytes: usize) {
        self.large.n_bytes.fetch_add(n_bytes, Ordering::Relaxed);
    }

    /// Notes that the body is here as a whole.
    pub(super) fn is_whole(&self) {
        self.large.is_whole.store(true, Ordering::Relaxed);
    }

    /// Returns when the place was given to another body.
    pub(super) async fn gave_way(&self) {
        self.large.gave_way.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.bodies.held.lock().bodies.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_body_gives_its_place_and_a_whole_one_keeps_it() {
        let bodies = LargeBodies::new(2);
        let (slow, whole) = (bodies.place().unwrap(), bodies.place().unwrap());
        whole.is_whole();
        assert!(bodies.place().is_none(), "neither has had its time");
        std::thread::sleep(PATIENCE);
        let next = bodies.place().unwrap();
        assert!(!bodies.held.lock().bodies.contains_key(&slow.number));
        drop(slow);
        assert!(bodies.place().is_none(), "a place that was given is not free again");
        drop(next);
        assert!(bodies.place().is_some());
    }
}
