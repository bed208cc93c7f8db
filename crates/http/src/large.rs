//! Large bodies: how many are held at a time, in total and for each address. While all places are taken, a body that
//! arrives slowly gives its place to the next one, so that clients that stop sending cannot keep out those that send.

use std::collections::HashMap;
use std::net::IpAddr;
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
    /// Of one address.
    most_of_owner: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    bodies: HashMap<u64, Arc<Large>>,
}

struct Large {
    owner: Option<IpAddr>,
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
    /// Places for bodies of the shop's own programs.
    pub(super) fn new(most: usize) -> Self {
        Self { most, most_of_owner: most, held: Mutex::default() }
    }

    /// Places for bodies that anyone can send. One address has a quarter of them at most.
    pub(super) fn published(most: usize) -> Self {
        Self { most_of_owner: most.div_ceil(4), ..Self::new(most) }
    }

    /// A place for a body of this address, if one is free or a slow body can give its own.
    pub(super) fn place(&self, owner: Option<IpAddr>) -> Option<Place<'_>> {
        let mut held = self.held.lock();
        let of_owner = |large: &Large| owner.is_some() && large.owner == owner;
        let is_full_for_owner = held.bodies.values().filter(|large| of_owner(large)).count() >= self.most_of_owner;
        if is_full_for_owner || held.bodies.len() >= self.most {
            let among = held.bodies.iter().filter(|(_, large)| !is_full_for_owner || of_owner(large));
            let slowest = among.filter_map(|(number, large)| Some((large.slow_rate()?, *number)));
            let (_, number) = slowest.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
            held.bodies.remove(&number)?.gave_way.notify_one();
        }
        let large = Arc::new(Large {
            owner,
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
        let (slow, whole) = (bodies.place(None).unwrap(), bodies.place(None).unwrap());
        whole.is_whole();
        assert!(bodies.place(None).is_none(), "neither has had its time");
        std::thread::sleep(PATIENCE);
        let next = bodies.place(None).unwrap();
        assert!(!bodies.held.lock().bodies.contains_key(&slow.number));
        drop(slow);
        assert!(bodies.place(None).is_none(), "a place that was given is not free again");
        drop(next);
        assert!(bodies.place(None).is_some());
    }

    #[test]
    fn one_address_leaves_places_for_others() {
        let bodies = LargeBodies::published(8);
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from([10, 0, 0, last])));
        let _of_one = [bodies.place(one).unwrap(), bodies.place(one).unwrap()];
        assert!(bodies.place(one).is_none() && bodies.place(other).is_some());
        let whole = LargeBodies::published(1);
        assert!(whole.place(one).is_some(), "each may have one");
        // Behind a proxy that tells no address, and for the shop's own, only the total counts.
        let unknown: Vec<_> = (0..6).map(|_| bodies.place(None).unwrap()).collect();
        assert!(bodies.place(None).is_none() && unknown.len() == 6);
        let own = LargeBodies::new(3);
        assert!([own.place(one), own.place(one), own.place(one)].iter().all(Option::is_some));
    }
}
