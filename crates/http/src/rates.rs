//! How fast a key may be used: by all of its clients, and by each address.
//!
//! In: the time, and what a request costs in tokens. Out: whether it may go on, or after how many seconds to try again.
//! A request of events costs as many tokens as it has events, which is known when its body was read: it enters with one
//! token and may then leave the bucket below zero, so that a batch is never too large to be sent at all.
//!
//! A request is charged to the bucket of its address and to that of its key, in this order, so that one address never
//! spends what belongs to the others. An address of IPv6 is a network of 64 bits; the network of 48 bits around it may be
//! one customer's as well, so it has a bucket of its own, before that of the address:
//!
//! - one that is not let in, whichever bucket is empty, is charged to none;
//! - one whose body arrived is charged for its bytes before they are read, to its address in any case; to its key only
//!   if it goes on. Its records are charged to all, as far as they cost more;
//! - what refused events cost beyond that is not charged to the key.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::connection::site;
use super::problem::{Code, Problem};

/// Tokens per second of a key that every visitor can read, where the settings name no rate.
const PUBLISHED_PER_S: f64 = 1_000.0;
/// Seconds whose tokens a bucket holds: of a key that visitors can read, whose clients send in batches, and of others.
const PUBLISHED_BURST_S: f64 = 10.0;
const BURST_S: f64 = 2.0;
/// One address may use this share of such a key's rate, where the settings name none.
const SHARE_OF_ADDRESS: f64 = 0.25;
/// A network of 48 bits may use this many times the rate of one address.
const ADDRESSES_PER_SITE: f64 = 2.0;
/// Seconds that a bucket below zero takes to fill up to zero, at most.
const MAX_WAIT_S: f64 = 60.0;
/// Addresses that are counted apart; beyond it, those that came last share one count.
const MAX_ADDRESSES: usize = 10_000;
/// How often the addresses whose buckets are full are removed, at most.
const SWEPT_AFTER: Duration = Duration::from_secs(1);

/// A token bucket: refilled evenly, up to the tokens of some seconds.
struct Bucket {
    per_s: f64,
    most: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(per_s: f64, burst_s: f64, at: Instant) -> Self {
        let most = (burst_s * per_s).max(1.0);
        Self { per_s, most, tokens: most, at }
    }

    fn refill(&mut self, now: Instant) {
        let passed_s = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed_s * self.per_s).min(self.most);
        self.at = self.at.max(now);
    }

    /// Seconds until there are `least` tokens, if there are not.
    fn wait(&mut self, least: f64, now: Instant) -> Result<(), u64> {
        self.refill(now);
        let missing = least - self.tokens;
        if missing > 0.0 { Err((missing / self.per_s).ceil().max(1.0) as u64) } else { Ok(()) }
    }

    fn spend(&mut self, tokens: f64) {
        self.tokens = (self.tokens - tokens).max(-MAX_WAIT_S * self.per_s);
    }
}

/// The rates of one key.
pub(super) struct Rates {
    of_key: Option<Mutex<Bucket>>,
    of_addresses: Option<Addresses>,
    of_sites: Option<Addresses>,
}

/// A bucket for each address, or each network.
struct Addresses {
    per_s: f64,
    counted: Mutex<Buckets>,
}

struct Buckets {
    buckets: HashMap<IpAddr, Bucket>,
    /// When those with full buckets were last removed.
    swept: Instant,
}

impl Rates {
    /// The rates as the settings give them. A key that visitors can read has limits in any case.
    pub(super) fn new(is_published: bool, per_s: Option<f64>, per_address_per_s: Option<f64>, now: Instant) -> Self {
        let per_s = per_s.or(is_published.then_some(PUBLISHED_PER_S));
        let share = per_s.filter(|_| is_published).map(|per_s| SHARE_OF_ADDRESS * per_s);
        let burst_s = if is_published { PUBLISHED_BURST_S } else { BURST_S };
        let of_address = per_address_per_s.or(share);
        Self {
            of_key: per_s.map(|per_s| Mutex::new(Bucket::full(per_s, burst_s, now))),
            of_addresses: of_address.map(|per_s| Addresses::new(per_s, now)),
            of_sites: of_address.map(|per_s| Addresses::new(ADDRESSES_PER_SITE * per_s, now)),
        }
    }

    /// The buckets of an address, that of its network first.
    fn buckets(&self, address: Option<IpAddr>) -> [Option<(&Addresses, IpAddr)>; 2] {
        let of_site = self.of_sites.as_ref().zip(address.and_then(site));
        [of_site, self.of_addresses.as_ref().zip(address)]
    }

    /// Takes the token that each request costs.
    pub(super) fn enter(&self, address: Option<IpAddr>, now: Instant) -> Result<(), u64> {
        let take = |bucket: &mut Bucket| {
            bucket.wait(1.0, now)?;
            bucket.spend(1.0);
            Ok(())
        };
        let of_key = || self.of_key.as_ref().map_or(Ok(()), |bucket| take(&mut bucket.lock()));
        // Each bucket is asked before the next one, and pays if all have let the request in.
        let [of_site, of_address] = self.buckets(address);
        let pays = |buckets: Option<(&Addresses, IpAddr)>, next: &dyn Fn() -> Result<(), u64>| {
            let Some((addresses, address)) = buckets else { return next() };
            addresses.with(address, now, |bucket| {
                bucket.wait(1.0, now)?;
                next()?;
                bucket.spend(1.0);
                Ok(())
            })
        };
        pays(of_site, &|| pays(of_address, &of_key))
    }

    /// Takes what a request costs beyond that. It may leave a bucket below zero; while it is, no request is let in.
    pub(super) fn charge(&self, address: Option<IpAddr>, tokens: f64, now: Instant) -> Result<(), u64> {
        // What was read has cost time, so its address pays in any case.
        let mut had = f64::INFINITY;
        let paid = self.buckets(address).into_iter().flatten().map(|(addresses, address)| {
            addresses.with(address, now, |bucket| {
                let wait = bucket.wait(0.0, now);
                had = had.min(bucket.tokens.max(0.0));
                bucket.spend(tokens);
                wait
            })
        });
        paid.fold(Ok(()), Result::and)?;
        let Some(bucket) = &self.of_key else { return Ok(()) };
        let mut bucket = bucket.lock();
        bucket.wait(0.0, now)?;
        bucket.spend(tokens.min(had));
        Ok(())
    }

    /// Takes what a request that goes on costs beyond what it was let in for.
    pub(super) fn spend(&self, address: Option<IpAddr>, tokens: f64, now: Instant) {
        let had = self.charge_address(address, tokens, now);
        if let Some(bucket) = &self.of_key {
            let mut bucket = bucket.lock();
            bucket.refill(now);
            // An address takes no more from the tokens of all than it has itself.
            bucket.spend(tokens.min(had));
        }
    }

    /// Takes from the address, and not from the key, what its refused events cost. Returns the tokens that it had.
    pub(super) fn charge_address(&self, address: Option<IpAddr>, tokens: f64, now: Instant) -> f64 {
        let mut had = f64::INFINITY;
        for (addresses, address) in self.buckets(address).into_iter().flatten() {
            addresses.with(address, now, |bucket| {
                bucket.refill(now);
                had = had.min(bucket.tokens.max(0.0));
                bucket.spend(tokens);
            });
        }
        had
    }
}

/// Wrong keys per second that one address may send to the login of the console, after [`PUBLISHED_BURST_S`] at once.
const WRONG_KEYS_PER_S: f64 = 1.0;
/// The same of all clients whose addresses are not known, together.
const WRONG_KEYS_OF_UNKNOWN_PER_S: f64 = 20.0;

/// How often wrong keys may be sent to the login of the console. Right ones cost nothing.
pub(super) struct LoginRates {
    of_addresses: Rates,
    of_unknown: Rates,
}

impl LoginRates {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            of_addresses: Rates::new(false, None, Some(WRONG_KEYS_PER_S), now),
            of_unknown: Rates::new(false, Some(WRONG_KEYS_OF_UNKNOWN_PER_S), None, now),
        }
    }

    fn of(&self, address: Option<IpAddr>) -> &Rates {
        if address.is_some() { &self.of_addresses } else { &self.of_unknown }
    }

    /// Whether a key is looked at.
    pub(super) fn permit(&self, address: Option<IpAddr>, now: Instant) -> Result<(), Problem> {
        self.of(address).charge(address, 0.0, now).map_err(|wait_s| {
            let detail = format!("too many logins with wrong keys; try again in {wait_s} s");
            Problem::new(Code::RateLimited, detail).retry_after(wait_s)
        })
    }

    /// Takes note of a wrong key.
    pub(super) fn failed(&self, address: Option<IpAddr>, now: Instant) {
        self.of(address).spend(address, 1.0, now);
    }
}

impl Addresses {
    fn new(per_s: f64, now: Instant) -> Self {
        Self { per_s, counted: Mutex::new(Buckets { buckets: HashMap::new(), swept: now }) }
    }

    fn with<T>(&self, address: IpAddr, now: Instant, f: impl FnOnce(&mut Bucket) -> T) -> T {
        let mut counted = self.counted.lock();
        let Buckets { buckets, swept } = &mut *counted;
        let is_full = buckets.len() >= MAX_ADDRESSES && !buckets.contains_key(&address);
        if is_full && now.saturating_duration_since(*swept) >= SWEPT_AFTER {
            *swept = now;
            // A full bucket is what an address without one would get.
            buckets.retain(|_, bucket| {
                bucket.refill(now);
                bucket.tokens < bucket.most
            });
        }
        let is_counted = buckets.len() < MAX_ADDRESSES || buckets.contains_key(&address);
        let counted_as = if is_counted { address } else { Ipv4Addr::UNSPECIFIED.into() };
        f(buckets.entry(counted_as).or_insert_with(|| Bucket::full(self.per_s, PUBLISHED_BURST_S, now)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn address(n: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(0x0a00_0000 + n).into())
    }

    #[test]
    fn a_key_gives_its_rate_and_a_burst() {
        let start = Instant::now();
        let slow = Rates::new(false, Some(0.5), None, start);
        assert_eq!(slow.enter(None, start), Ok(()));
        assert_eq!(slow.enter(None, start), Err(2));
        assert_eq!(slow.enter(None, start + Duration::from_millis(1500)), Err(1));
        assert_eq!(slow.enter(None, start + Duration::from_secs(2)), Ok(()));
        let fast = Rates::new(false, Some(10.0), None, start);
        assert_eq!((0..30).filter(|_| fast.enter(None, start).is_ok()).count(), 20);
        let later = start + Duration::from_secs(60);
        assert_eq!((0..30).filter(|_| fast.enter(None, later).is_ok()).count(), 20);
        let unlimited = Rates::new(false, None, None, start);
        assert!((0..1000).all(|n| unlimited.enter(address(n), start).is_ok()));
    }

    #[test]
    fn a_batch_is_paid_for_before_the_next_one_enters() {
        let start = Instant::now();
        let rates = Rates::new(true, Some(100.0), None, start);
        assert_eq!(rates.enter(None, start), Ok(()));
        assert_eq!(rates.charge(None, 2_999.0, start), Ok(()), "a full bucket of 1,000 tokens lets a larger batch in");
        assert_eq!(rates.charge(None, 5.0, start), Err(20), "one that entered at the same time");
        assert_eq!(rates.enter(None, start + Duration::from_secs(19)), Err(2));
        assert_eq!(rates.enter(None, start + Duration::from_secs(21)), Ok(()));
    }

    #[test]
    fn an_address_uses_up_its_share_and_not_that_of_others() {
        let start = Instant::now();
        let rates = Rates::new(true, Some(100.0), None, start);
        assert_eq!(rates.charge(address(1), 251.0, start), Ok(()));
        assert_eq!(rates.enter(address(1), start), Err(1));
        assert_eq!(rates.enter(address(2), start), Ok(()));
        rates.charge_address(address(2), 10_000.0, start);
        assert_eq!(rates.enter(address(2), start), Err(61), "the wait has a bound");
        assert_eq!(rates.enter(None, start), Ok(()), "an address that is not known has no limit of its own");
    }

    #[test]
    fn bodies_of_one_address_that_arrive_at_once_take_no_more_from_the_key_than_its_share() {
        let start = Instant::now();
        let rates = Rates::new(true, Some(100.0), None, start);
        assert!((0..3).all(|_| rates.enter(address(1), start).is_ok()));
        (0..3).for_each(|_| rates.spend(address(1), 9_999.0, start));
        let of_others = (2..6).map(|n| (0..250).filter(|_| rates.enter(address(n), start).is_ok()).count());
        assert_eq!(of_others.sum::<usize>(), 750, "of the 1,000 tokens of the key");
    }

    #[test]
    fn a_refused_request_is_not_charged_to_others() {
        let start = Instant::now();
        // The address has nothing left: what it sends is not charged to the key.
        let rates = Rates::new(true, Some(100.0), None, start);
        assert_eq!(rates.charge(address(1), 250.0, start), Ok(()));
        for _ in 0..1_000 {
            assert!(rates.enter(address(1), start).is_err());
        }
        let of_others = (2..6).map(|n| (0..250).filter(|_| rates.enter(address(n), start).is_ok()).count());
        assert_eq!(of_others.sum::<usize>(), 750, "of the 1,000 tokens of the key");
        // The key has nothing left: an address that was not let in is not charged.
        assert!(rates.enter(address(6), start).is_err());
        let later = start + Duration::from_secs(10);
        assert_eq!((0..1_000).filter(|_| rates.enter(address(6), later).is_ok()).count(), 250);
        // A body that was read is charged to its address, and to its key only if it goes on.
        let rates = Rates::new(true, Some(100.0), None, start);
        assert_eq!(rates.charge(address(1), 300.0, start), Ok(()));
        assert!(rates.charge(address(1), 700.0, start).is_err());
        assert_eq!(rates.charge(None, 701.0, start), Ok(()), "700 tokens were left");
        let wait = rates.enter(address(1), start + Duration::from_secs(30));
        assert_eq!(wait, Err(1), "1,000 tokens were taken of its 250, and 25 come in a second");
    }

    #[test]
    fn the_networks_of_one_customer_share_what_two_addresses_may_use() {
        let start = Instant::now();
        let network = |n: u128| Some(IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8_0007 << 80 | n << 64)));
        let rates = Rates::new(true, Some(100.0), None, start);
        let let_in = (0..1_000).filter(|n| rates.enter(network(*n), start).is_ok()).count();
        assert_eq!(let_in, 500, "twice the 250 tokens of an address");
        assert_eq!(rates.of_addresses.as_ref().map(|addresses| addresses.counted.lock().buckets.len()), Some(500));
        assert_eq!(rates.enter(address(1), start), Ok(()));
        assert!(rates.charge(network(2_000), 1.0, start).is_ok() && rates.charge(network(2_001), 1.0, start).is_err());
    }

    #[test]
    fn the_addresses_that_are_counted_are_bounded() {
        let start = Instant::now();
        let rates = Rates::new(true, Some(1e9), Some(0.1), start);
        for n in 0..20_000 {
            let _ = rates.enter(address(n), start);
        }
        let n_counted = || rates.of_addresses.as_ref().map_or(0, |addresses| addresses.counted.lock().buckets.len());
        assert_eq!(n_counted(), MAX_ADDRESSES + 1);
        assert_eq!(rates.enter(address(50_000), start + Duration::from_secs(3600)), Ok(()));
        assert_eq!(n_counted(), 1);
    }
    #[test]
    fn wrong_keys_of_one_address_are_bounded_and_hold_up_no_other() {
        let start = Instant::now();
        let logins = LoginRates::new(start);
        let try_for_a_minute = |address: Option<IpAddr>| {
            let tries = (0..6_000).map(|n| start + Duration::from_millis(10 * n));
            let looked_at = tries.filter(|now| {
                let is_permitted = logins.permit(address, *now).is_ok();
                if is_permitted {
                    logins.failed(address, *now);
                }
                is_permitted
            });
            looked_at.count()
        };
        assert!((69..=72).contains(&try_for_a_minute(address(1))));
        assert!(logins.permit(address(2), start).is_ok() && logins.permit(None, start).is_ok());
        assert!(try_for_a_minute(None) < 1_300);
        assert!(logins.permit(address(1), start + Duration::from_secs(120)).is_ok());
    }
}
