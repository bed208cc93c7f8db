//! Answers that wait to be recorded: handed over without waiting, written into the log with the next group.
//!
//! An answer acknowledges nothing, so a crash may lose those of the last tenth of a second. Events never wait for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use accrue_event::{Event, SessionId, UserId};
use accrue_store::{Body, Chargeable, Ledger, Served};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

/// How long an answer waits for a group of events before it gets a commit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Answers that may wait; more are dropped and counted, because serving must not wait for the disk.
const CAPACITY: usize = 16_384;

/// Answers that wait for the writer.
pub(crate) struct ServedQueue {
    share: f64,
    queue: Mutex<Queue>,
    n_lost: AtomicU64,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Served>,
    /// The answers with sponsored items that the writer took and the facts do not have yet.
    in_commit: Vec<Served>,
    /// Answers that were handed over, that the writer took, and of those the ones that are in the facts or lost, since the beginning.
    n_handed_over: u64,
    n_taken: u64,
    n_settled: u64,
}

impl Queue {
    fn take(&mut self) -> Vec<Served> {
        self.n_taken += self.waiting.len() as u64;
        std::mem::take(&mut self.waiting)
    }

    /// The answers with sponsored items that the facts do not have yet.
    fn sponsored(&self) -> impl Iterator<Item = &Served> {
        self.in_commit.iter().chain(&self.waiting).filter(|served| !served.sponsored.is_empty())
    }
}

impl ServedQueue {
    /// A queue that keeps this share of answers, 0 to 1.
    pub fn new(share: f64) -> Self {
        Self { share, queue: Mutex::default(), n_lost: AtomicU64::new(0) }
    }

    /// Whether the answer with this id is to be recorded. The hash of the id decides, so that a share covers the same shoppers and hours
    /// as the whole.
    pub fn keeps(&self, recommendation_id: &str) -> bool {
        // The upper 53 bits as a number in 0..1.
        ((xxh3_64(recommendation_id.as_bytes()) >> 11) as f64) < self.share * (1_u64 << 53) as f64
    }

    /// Hands an answer over.
    pub fn push(&self, served: Served) {
        let mut queue = self.queue.lock();
        if queue.waiting.len() < CAPACITY {
            queue.waiting.push(served);
            queue.n_handed_over += 1;
        } else {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All that wait, as records: those with sponsored items, which count as on their way until [`ServedQueue::settle`],
    /// and the others.
    pub fn take(&self) -> (Vec<Body>, Vec<Body>) {
        let mut queue = self.queue.lock();
        let waiting = queue.take();
        queue.in_commit.extend(waiting.iter().filter(|served| !served.sponsored.is_empty()).cloned());
        drop(queue);
        let (first, others): (Vec<Served>, Vec<Served>) =
            waiting.into_iter().partition(|served| !served.sponsored.is_empty());
        let records = |answers: Vec<Served>| answers.into_iter().map(|served| Body::Served(Box::new(served))).collect();
        (records(first), records(others))
    }

    /// What was taken is in the facts, or lost.
    pub fn settle(&self) {
        let mut queue = self.queue.lock();
        queue.in_commit.clear();
        queue.n_settled = queue.n_taken;
    }

    /// All that wait.
    pub fn take_answers(&self) -> impl Iterator<Item = Served> + use<> {
        let mut queue = self.queue.lock();
        let waiting = queue.take();
        queue.n_settled = queue.n_taken;
        waiting.into_iter()
    }

    /// Waits until every answer that was handed over before is in the log or lost, though not for longer than `limit`: a writer that
    /// cannot write takes none.
    pub fn wait_until_recorded(&self, limit: Duration) {
        let (target, begun) = (self.queue.lock().n_handed_over, Instant::now());
        while self.queue.lock().n_settled < target && begun.elapsed() < limit {
            std::thread::sleep(PATIENCE / 20);
        }
    }

    /// The sponsored slot of an answer on its way from which an event chose its item.
    pub fn chargeable(&self, event: &Event) -> Option<Chargeable> {
        let queue = self.queue.lock();
        queue.sponsored().find_map(|served| Ledger::on_its_way(served, event))
    }

    /// The campaigns of sponsored items in answers to a shopper that are on their way.
    pub fn sponsored_to(&self, user: Option<&UserId>, session: Option<&SessionId>) -> Vec<Box<str>> {
        let queue = self.queue.lock();
        let is_theirs = |served: &&Served| match user {
            Some(user) => served.user.as_ref() == Some(user),
            None => served.user.is_none() && session.is_some() && served.session.as_ref() == session,
        };
        let theirs = queue.sponsored().filter(is_theirs);
        theirs.flat_map(|served| served.sponsored.iter().map(|slot| slot.campaign.clone())).collect()
    }

    /// Answers that could not be recorded.
    pub fn n_lost(&self) -> u64 {
        self.n_lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use accrue_event::{EventType, Timestamp};
    use accrue_store::{Page, SponsoredSlot};

    use super::*;

    fn served() -> Served {
        Served { version: 1, ..Served::bare("r1".into(), Page::Recommend) }
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
        assert_eq!((queue.n_lost(), queue.take().1.len(), queue.take().1.len()), (3, CAPACITY, 0));
    }

    #[test]
    fn what_was_handed_over_is_waited_for_until_it_is_settled() {
        let queue = ServedQueue::new(1.0);
        let waits = |limit: Duration| {
            let begun = Instant::now();
            queue.wait_until_recorded(limit);
            begun.elapsed() >= limit
        };
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(60));
        assert!(!waits(long), "nothing was handed over");
        queue.push(served());
        assert!(waits(short));
        drop(queue.take());
        assert!(waits(short), "it is on its way");
        queue.push(served());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| waits(long));
            drop(queue.take());
            queue.settle();
            assert!(!waiting.join().unwrap());
        });
    }

    #[test]
    fn a_sponsored_answer_is_known_until_it_is_settled_and_is_recorded_first() {
        let queue = ServedQueue::new(0.0);
        let slot = SponsoredSlot { place: 0, campaign: "spring".into(), price: 45 };
        queue.push(served());
        let answer = Served {
            recommendation_id: "r2".into(),
            user: Some("ann".into()),
            session: Some("s1".into()),
            items: vec!["mug".into()],
            sponsored: vec![slot.clone()],
            ..served()
        };
        queue.push(answer.clone());
        let click = Event {
            user: Some("ann".into()),
            item: Some("mug".into()),
            recommendation_id: Some("r2".into()),
            ..Event::bare("e1".into(), EventType::Click, Timestamp(0))
        };
        let known = || {
            let shown = queue.sponsored_to(Some(&"ann".into()), None).len();
            (
                queue.chargeable(&click).map(|known| known.slot),
                shown,
                queue.sponsored_to(None, Some(&"s1".into())).len(),
            )
        };
        assert_eq!(known(), (Some(slot.clone()), 1, 0), "the session belongs to a user");
        let (first, others) = queue.take();
        assert_eq!((first, others.len()), (vec![Body::Served(Box::new(answer))], 1));
        assert_eq!(known(), (Some(slot), 1, 0));
        queue.settle();
        assert_eq!(known(), (None, 0, 0));
    }
}
