//! Turns to compute a page. Only as many pages as there are cores are computed at a time, so that threads are left for
//! everything else: probes, events, and answers that are being sent.
//!
//! The caller whose latest pages took the least time is served first: one that asks without pause waits behind those
//! that ask now and then. A caller is a key of the shop's own, or, of a key that stands in pages, an address. A key of
//! the shop's own asks for many visitors, often over one connection, so it has a weight: its time counts for that much
//! less. Of one caller's pages, that of the connection which used the least time is first. A page that would wait for
//! too long is refused, because its visitor would be gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How long a page may wait, beside a few times what pages take.
const WAIT: Duration = Duration::from_millis(50);
/// How many times the mean time of a page a page may wait.
const PAGES_TO_WAIT_FOR: u32 = 4;
/// Waiting pages for each core that may wait for longer, because they are soon served.
const LONG_WAITERS_PER_TURN: usize = 4;
/// How long those may wait.
const PATIENT_WAIT: Duration = Duration::from_secs(2);

/// Callers whose time is counted, at most; a further one is served like one that has used none.
const MAX_CALLERS: usize = 10_000;
/// How often callers who have used a negligible time are removed, at most.
const SWEPT_AFTER: Duration = Duration::from_secs(1);
/// Seconds of computation that are negligible.
const NEGLIGIBLE_S: f64 = 1e-6;
/// Amounts that differ by less than one part in this many of a doubling count as equal.
const STEPS_PER_DOUBLING: f64 = 1024.0;

/// The caller that is charged with the time of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Payer {
    /// A key of the shop's own, by its place in the settings.
    Key(usize),
    /// An address.
    Address(IpAddr),
}

/// Seconds of computation; halves every second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    used_s: f64,
    at: Instant,
}

impl Usage {
    pub(super) fn none(at: Instant) -> Self {
        Self { used_s: 0.0, at }
    }

    pub(super) fn seconds_at(&self, now: Instant) -> f64 {
        self.used_s * (-now.saturating_duration_since(self.at).as_secs_f64()).exp2()
    }

    pub(super) fn add(&mut self, took: Duration, now: Instant) {
        *self = Self { used_s: self.seconds_at(now) + took.as_secs_f64(), at: now };
    }
}

/// The turns of a server.
pub(super) struct Turns {
    n_turns: usize,
    queue: Mutex<Queue>,
}

struct Queue {
    free: usize,
    next: u64,
    began: Instant,
    /// The pages that wait, by caller.
    waiting: HashMap<QueueKey, Waiting>,
    n_waiting: usize,
    /// The callers of pages that wait, the one that has used the least time first.
    order: BTreeSet<(u64, QueueKey)>,
    /// Mean seconds of a page, over about the last hundred.
    page_s: f64,
    used: HashMap<Payer, Usage>,
    /// When callers who have used a negligible time were last removed.
    swept: Instant,
}

/// Key of a queue: its pages wait together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum QueueKey {
    Payer(Payer),
    /// All that is known is the connection: each page by itself, by the number of the request.
    Unknown(u64),
}

/// The pages of one caller that wait.
struct Waiting {
    /// What the caller has used, by its weight.
    used: u64,
    weight: f64,
    /// By what the connection has used, then by arrival.
    pages: BTreeMap<(u64, u64), oneshot::Sender<Turn>>,
}

/// A page in the queue: its caller, what its connection has used, the number of the request.
type Place = (QueueKey, (u64, u64));

/// What decides about the place of a page in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// The caller; `None` if all that is known is the connection.
    pub payer: Option<Payer>,
    /// The caller's weight.
    pub weight: f64,
    /// Seconds of computation that the latest pages of the connection took.
    pub of_connection_s: f64,
}

/// The permission to compute a page; dropping it passes it on.
pub(super) struct Turn {
    turns: Arc<Turns>,
    payer: Option<Payer>,
    began: Instant,
}

impl Queue {
    /// Enters a page into the queue.
    fn enter(&mut self, claim: &Claim, now: Instant, give: oneshot::Sender<Turn>) -> Place {
        self.next += 1;
        let page = (self.amount(claim.of_connection_s, now), self.next);
        let caller = claim.payer.map_or(QueueKey::Unknown(self.next), QueueKey::Payer);
        let used = claim.payer.map_or(page.0, |payer| self.amount_of(payer, claim.weight));
        let waiting = self.waiting.entry(caller).or_insert_with(|| {
            self.order.insert((used, caller));
            Waiting { used, weight: claim.weight, pages: BTreeMap::new() }
        });
        waiting.pages.insert(page, give);
        self.n_waiting += 1;
        (caller, page)
    }

    /// Takes a page out of the queue, if it is still there.
    fn leave(&mut self, (caller, page): Place) -> Option<oneshot::Sender<Turn>> {
        let waiting = self.waiting.get_mut(&caller)?;
        let give = waiting.pages.remove(&page)?;
        self.n_waiting -= 1;
        if waiting.pages.is_empty() {
            self.order.remove(&(waiting.used, caller));
            self.waiting.remove(&caller);
        }
        Some(give)
    }

    /// Takes the page out of the queue that is next: of the caller that has used the least time, that of the connection
    /// which has.
    fn take_first(&mut self) -> Option<oneshot::Sender<Turn>> {
        let &(_, caller) = self.order.first()?;
        let (&page, _) = self.waiting.get(&caller)?.pages.first_key_value()?;
        self.leave((caller, page))
    }

    fn amount_of(&self, payer: Payer, weight: f64) -> u64 {
        self.used.get(&payer).map_or(0, |usage| self.amount(usage.used_s / weight, usage.at))
    }

    /// What the seconds that were used up to `at` amount to beside others. As all of them halve in the same time,
    /// `log₂ s + t` orders them as their values at any one moment do, and does not depend on when it is computed.
    fn amount(&self, used_s: f64, at: Instant) -> u64 {
        let doublings = (used_s / NEGLIGIBLE_S).log2() + at.saturating_duration_since(self.began).as_secs_f64();
        if used_s > NEGLIGIBLE_S { (doublings * STEPS_PER_DOUBLING) as u64 } else { 0 }
    }

    fn charge(&mut self, payer: Payer, took: Duration, now: Instant) {
        let is_full = self.used.len() >= MAX_CALLERS;
        if is_full && now.saturating_duration_since(self.swept) >= SWEPT_AFTER {
            self.swept = now;
            self.used.retain(|_, usage| usage.seconds_at(now) > NEGLIGIBLE_S);
        }
        if self.used.len() < MAX_CALLERS || self.used.contains_key(&payer) {
            self.used.entry(payer).or_insert(Usage::none(now)).add(took, now);
        }
        let caller = QueueKey::Payer(payer);
        if let Some(weight) = self.waiting.get(&caller).map(|waiting| waiting.weight) {
            let used = self.amount_of(payer, weight);
            if let Some(waiting) = self.waiting.get_mut(&caller) {
                self.order.remove(&(waiting.used, caller));
                self.order.insert((used, caller));
                waiting.used = used;
            }
        }
    }
}

impl Turns {
    pub(super) fn new(n_turns: usize) -> Arc<Self> {
        let queue = Queue {
            free: n_turns,
            next: 0,
            began: Instant::now(),
            waiting: HashMap::new(),
            n_waiting: 0,
            order: BTreeSet::new(),
            page_s: 0.0,
            used: HashMap::new(),
            swept: Instant::now(),
        };
        Arc::new(Self { n_turns, queue: Mutex::new(queue) })
    }

    /// A turn for the caller's page; `None` if it would have to wait for too long.
    pub(super) async fn take(self: &Arc<Self>, claim: Claim) -> Option<Turn> {
        let (mut turn, place, limit) = {
            let mut queue = self.queue.lock();
            let now = Instant::now();
            if queue.free > 0 {
                queue.free -= 1;
                return Some(self.turn(claim.payer));
            }
            let is_soon = queue.n_waiting < LONG_WAITERS_PER_TURN * self.n_turns;
            let limit = WAIT + PAGES_TO_WAIT_FOR * Duration::from_secs_f64(queue.page_s);
            let (give, turn) = oneshot::channel();
            let place = queue.enter(&claim, now, give);
            (turn, place, if is_soon { PATIENT_WAIT } else { limit.min(PATIENT_WAIT) })
        };
        let _leaves = Leaves { turns: self, place };
        let mut given = tokio::time::timeout(limit, &mut turn).await.ok()?.ok()?;
        given.payer = claim.payer;
        Some(given)
    }

    fn turn(self: &Arc<Self>, payer: Option<Payer>) -> Turn {
        Turn { turns: Arc::clone(self), payer, began: Instant::now() }
    }
}

/// The turn of a request. Its handler gives it up while it waits for something else than a core.
#[derive(Clone)]
pub(super) struct HeldTurn {
    turns: Arc<Turns>,
    claim: Claim,
    held: Arc<Mutex<Held>>,
}

struct Held {
    turn: Option<Turn>,
    /// How long the turns before it lasted.
    lasted: Duration,
}

impl HeldTurn {
    /// Waits for a turn, as [`Turns::take`] does.
    pub(super) async fn take(turns: &Arc<Turns>, claim: Claim) -> Option<Self> {
        let turn = Some(turns.take(claim).await?);
        let held = Arc::new(Mutex::new(Held { turn, lasted: Duration::ZERO }));
        Some(Self { turns: Arc::clone(turns), claim, held })
    }

    /// Waits without the turn, which others have meanwhile, and then for the next one; `false` if that takes too long.
    pub(super) async fn wait_without(&self, wait: impl Future<Output = ()>) -> bool {
        self.end();
        wait.await;
        let turn = self.turns.take(self.claim).await;
        let has_turn = turn.is_some();
        self.held.lock().turn = turn;
        has_turn
    }

    /// Gives the turn up for one of others; `false` if that takes too long.
    pub(super) async fn exchange(&self, turns: &Arc<Turns>) -> bool {
        self.end();
        let turn = turns.take(self.claim).await;
        let has_turn = turn.is_some();
        self.held.lock().turn = turn;
        has_turn
    }

    /// Gives the turn up. Returns how long this request has had one.
    pub(super) fn end(&self) -> Duration {
        let mut held = self.held.lock();
        let turn = held.turn.take();
        held.lasted += turn.as_ref().map_or(Duration::ZERO, Turn::lasted);
        held.lasted
    }
}

/// Takes a page that no longer waits out of the queue.
struct Leaves<'t> {
    turns: &'t Turns,
    place: Place,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        drop(self.turns.queue.lock().leave(self.place));
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
            let now = Instant::now();
            let took = now.saturating_duration_since(self.began);
            queue.page_s += (took.as_secs_f64() - queue.page_s) / 100.0;
            if let Some(payer) = self.payer {
                queue.charge(payer, took, now);
            }
            let next = queue.take_first();
            if next.is_none() {
                queue.free += 1;
            }
            next
        };
        if let Some(give) = next {
            // A turn that is not taken comes back and is dropped here, which passes it on.
            let _ = give.send(self.turns.turn(None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    fn claim(payer: Option<Payer>, weight: f64, of_connection_s: f64) -> Claim {
        Claim { payer, weight, of_connection_s }
    }

    fn address(last: u8) -> Option<Payer> {
        Some(Payer::Address(IpAddr::from([10, 0, 0, last])))
    }

    /// The order in which pages are computed that wait at the same time, by their places among `claims`.
    fn order(used: &[(Option<Payer>, u64)], claims: &[Claim]) -> Vec<usize> {
        runtime().block_on(async {
            let turns = Turns::new(1);
            let first = turns.take(claim(None, 1.0, 0.0)).await.unwrap();
            for (payer, ms) in used {
                turns.queue.lock().charge(payer.unwrap(), Duration::from_millis(*ms), Instant::now());
            }
            let order = Arc::new(Mutex::new(Vec::new()));
            let waiting: Vec<_> = claims
                .iter()
                .enumerate()
                .map(|(number, claim)| {
                    let (turns, order, claim) = (Arc::clone(&turns), Arc::clone(&order), *claim);
                    tokio::spawn(async move {
                        let turn = turns.take(claim).await;
                        order.lock().push(number);
                        drop(turn);
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            drop(first);
            for task in waiting {
                task.await.unwrap();
            }
            assert_eq!(turns.queue.lock().free, 1);
            Arc::try_unwrap(order).unwrap().into_inner()
        })
    }

    #[test]
    fn the_caller_that_used_least_is_next() {
        let used = [(address(1), 900), (address(2), 1), (address(3), 50)];
        let claims = [1, 2, 3].map(|last| claim(address(last), 1.0, 0.0));
        assert_eq!(order(&used, &claims), [1, 2, 0]);
    }

    #[test]
    fn of_one_caller_the_connection_that_used_least_is_next() {
        let key = Some(Payer::Key(0));
        let claims = [0.9, 0.001, 0.05].map(|of_connection_s| claim(key, 1.0, of_connection_s));
        assert_eq!(order(&[(key, 400)], &claims), [1, 2, 0]);
        let unknown = [0.9, 0.001, 0.05].map(|of_connection_s| claim(None, 1.0, of_connection_s));
        assert_eq!(order(&[], &unknown), [1, 2, 0]);
    }

    #[test]
    fn pages_of_one_caller_are_ordered_by_connection_although_the_caller_is_served_meanwhile() {
        let mut queue = Arc::into_inner(Turns::new(1)).unwrap().queue.into_inner();
        let (mut now, mut waiting) = (Instant::now(), Vec::new());
        for of_connection_s in [0.4, 0.5, 0.3, 0.001] {
            let (give, turn) = oneshot::channel();
            queue.enter(&claim(address(1), 1.0, of_connection_s), now, give);
            waiting.push(turn);
            now += Duration::from_millis(20);
            queue.charge(address(1).unwrap(), Duration::from_millis(1), now);
        }
        drop(queue.take_first());
        assert!(matches!(waiting[3].try_recv(), Err(oneshot::error::TryRecvError::Closed)), "it came last");
        assert!(matches!(waiting[0].try_recv(), Err(oneshot::error::TryRecvError::Empty)));
    }

    #[test]
    fn a_key_of_the_shop_counts_as_many_visitors() {
        let key = Some(Payer::Key(0));
        let used = [(key, 500), (address(1), 10), (address(2), 2)];
        let claims = |weight| [claim(address(1), 1.0, 0.0), claim(key, weight, 0.5), claim(address(2), 1.0, 0.0)];
        assert_eq!(order(&used, &claims(100.0)), [2, 1, 0], "5 ms of each visitor");
        assert_eq!(order(&used, &claims(1.0)), [2, 0, 1], "without the weight it is the heaviest of all");
    }

    #[test]
    fn one_busy_connection_of_the_shop_gets_its_share_beside_many_visitors() {
        // Two hundred visitors and the shop's backend always have a page waiting; each page takes a millisecond.
        let mut queue = Arc::into_inner(Turns::new(1)).unwrap().queue.into_inner();
        let visitors = (0..200).map(|last| claim(address(last), 1.0, 0.0));
        let callers: Vec<Claim> = [claim(Some(Payer::Key(0)), 100.0, 0.0)].into_iter().chain(visitors).collect();
        let (mut now, mut n_of_shop) = (Instant::now(), 0);
        for _ in 0..6_000 {
            let used = |number: usize| queue.amount_of(callers[number].payer.unwrap(), callers[number].weight);
            let next = (0..callers.len()).min_by_key(|&number| (used(number), number)).unwrap();
            let took = Duration::from_millis(1);
            now += took;
            queue.charge(callers[next].payer.unwrap(), took, now);
            n_of_shop += usize::from(next == 0);
        }
        assert!((1_600..2_400).contains(&n_of_shop), "a third: 100 parts of 300, and not 1 of 201: {n_of_shop}");
    }

    #[test]
    fn the_callers_that_are_counted_are_bounded() {
        let mut queue = Arc::into_inner(Turns::new(1)).unwrap().queue.into_inner();
        let (start, took) = (Instant::now(), Duration::from_millis(1));
        for n in 0..MAX_CALLERS as u32 + 100 {
            queue.charge(Payer::Address(IpAddr::from(n.to_be_bytes())), took, start);
        }
        assert_eq!(queue.used.len(), MAX_CALLERS);
        queue.charge(Payer::Key(0), took, start + Duration::from_secs(60));
        assert_eq!(queue.used.len(), 1);
    }

    #[test]
    fn others_are_served_while_a_request_waits_without_its_turn() {
        runtime().block_on(async {
            let turns = Turns::new(1);
            let held = HeldTurn::take(&turns, claim(None, 1.0, 0.0)).await.unwrap();
            let is_back = held
                .wait_without(async {
                    let other = tokio::time::timeout(Duration::from_secs(60), turns.take(claim(None, 1.0, 0.0))).await;
                    assert!(other.unwrap().is_some(), "the turn is free");
                })
                .await;
            assert!(is_back && turns.queue.lock().free == 0);
            held.end();
            assert_eq!(turns.queue.lock().free, 1);
        });
    }

    #[test]
    fn pages_behind_a_long_queue_are_refused_and_turns_are_not_lost() {
        runtime().block_on(async {
            let turns = Turns::new(1);
            let first = turns.take(claim(None, 1.0, 0.0)).await.unwrap();
            let patient: Vec<_> = (0..LONG_WAITERS_PER_TURN)
                .map(|_| {
                    tokio::spawn({
                        let turns = Arc::clone(&turns);
                        async move { turns.take(claim(None, 1.0, 0.0)).await.is_some() }
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            assert!(turns.take(claim(None, 1.0, 0.0)).await.is_none());
            drop(first);
            for task in patient {
                assert!(task.await.unwrap());
            }
            let queue = turns.queue.lock();
            assert_eq!((queue.free, queue.n_waiting), (1, 0));
        });
    }
}
