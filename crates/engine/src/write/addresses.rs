//! How many sessions of one address count for one item, how many impressions, and how many clicks of it are charged.
//! Sessions cost nothing to invent: without a bound, whoever reads a published key off a page makes an item the first of
//! the shop with a few hundred of them, decides with invented impressions how probable a click is, and spends the budgets
//! of campaigns.
//!
//! In: an address, an item and a shopper of an event of a published key, and its time of arrival. Out: whether the
//! event counts. Within an hour the first sessions of an address about an item do, and go on to; later ones do not. What a
//! session says again does not count for others. Impressions, clicks, guests and pages of an address are counted likewise.
//! Addresses are not written down: the record says that the event has no effect, so a replay needs none.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use accrue_event::Timestamp;

use super::sketch::Sketch;

const HOUR_MS: i64 = 3_600_000;
/// Items of one address that are counted within an hour; events about further ones do not count.
const MAX_ITEMS: u32 = 20_000;
/// Pairs of an address and an item that are counted each by itself. Further ones share counts, so that a flood of pairs
/// ends no bound: some of their events then do not count though their address has sent few.
const MAX_PAIRS: usize = 200_000;

/// The sessions of the current hour.
#[derive(Default)]
pub(crate) struct AddressCounts {
    hour: i64,
    /// The sessions of each address and item, by hashes.
    sessions: HashMap<u64, Vec<Session>>,
    /// How many items each address and each site has there.
    items: HashMap<(AddressOrSite, IpAddr), u32>,
    /// How often what is only counted came from each address and from each site, by hashes.
    times: HashMap<u64, u32>,
    /// The counts of what came when there were [`MAX_PAIRS`] of them already.
    beyond: Option<Box<Sketch>>,
    // Random, so that no client can choose names that collide.
    hasher: RandomState,
}

/// A session of an address that counts for an item.
struct Session {
    shopper: u64,
    /// The kinds of events that it sent about the item, as bits.
    said: u64,
}

/// Whether an event of a session about a subject counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It does: it is the first of its kind of the session within the hour.
    First,
    /// The session said the same within the hour.
    Again,
    /// It does not: too many other sessions of the address came before.
    TooManySessions,
}

/// What is counted of an address without regard to sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Counted<'a> {
    /// Guests that became known.
    Guests,
    /// Events by which campaigns are paced.
    Paced,
    /// Impressions.
    Impressions,
    /// Charged clicks on items of a campaign.
    Clicks(&'a str),
    /// Impressions of an item, of which one is evidence.
    ImpressionsOf(&'a str),
    /// Clicks on an item, of which one is evidence.
    ClicksOn(&'a str),
    /// Clicks that are evidence of how often what is shown is clicked.
    EvidenceClicks,
    /// Pages with sponsored items.
    SponsoredPages,
    /// Pages that tell what showing new products costs.
    TrialPages,
}

/// What a bound is for: the first address of a site is written as the site is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum AddressOrSite {
    Address,
    Site,
}

/// A customer of a provider is given a network of IPv6 addresses; networks of one /48 have this many times the sessions
/// of one /64 together.
const SITE: usize = 4;

impl AddressCounts {
    /// Whether a session of this address counts for the subject, an item or an item after a search, because it is among
    /// the first `most` of its address within the hour, and of IPv6 among those of the network (/48); 0 is no bound.
    pub fn admit(&mut self, address: IpAddr, subject: &str, shopper: u64, at: Timestamp, most: usize) -> bool {
        self.say(address, subject, shopper, 0, at, most) != Said::TooManySessions
    }

    /// The same for an event of one of 64 kinds, with whether the session has said that before.
    pub fn say(&mut self, address: IpAddr, subject: &str, shopper: u64, kind: u32, at: Timestamp, most: usize) -> Said {
        let said = self.say_one((AddressOrSite::Address, address), subject, (shopper, kind), at, most);
        // What the address may not say takes no place from its neighbours.
        let is_bounded = most > 0 && said != Said::TooManySessions;
        let Some(site) = site(address).filter(|_| is_bounded) else { return said };
        match self.say_one((AddressOrSite::Site, site), subject, (shopper, 0), at, SITE * most) {
            Said::TooManySessions => Said::TooManySessions,
            Said::First | Said::Again => said,
        }
    }

    /// Whether this counts one more time for the address; `most` times within an hour it does, and for a network of IPv6
    /// (/48) four times as often. 0 is no bound.
    pub fn admit_times(&mut self, counted: Counted<'_>, address: IpAddr, at: Timestamp, most: u32) -> bool {
        self.begin_hour(at);
        most == 0
            || self.bounds(counted, address, most).into_iter().flatten().all(|(bounded, most)| {
                if self.times.len() >= MAX_PAIRS && !self.times.contains_key(&bounded) {
                    return self.beyond.get_or_insert_default().count(bounded) <= most.min(Sketch::MOST - 1);
                }
                let n = self.times.entry(bounded).or_default();
                *n = n.saturating_add(1);
                *n <= most
            })
    }

    /// Whether [`AddressCounts::admit_times`] would say so, without counting.
    pub fn would_admit(&mut self, counted: Counted<'_>, address: IpAddr, at: Timestamp, most: u32) -> bool {
        self.begin_hour(at);
        let mut bounds = self.bounds(counted, address, most).into_iter().flatten();
        let beyond = |bounded| self.beyond.as_ref().map_or(0, |sketch| sketch.get(bounded));
        most == 0
            || bounds.all(|(bounded, most)| self.times.get(&bounded).copied().unwrap_or_else(|| beyond(bounded)) < most)
    }

    /// What counts for an address: the hashes of the address and of its site, each with its bound.
    fn bounds(&self, counted: Counted<'_>, address: IpAddr, most: u32) -> [Option<(u64, u32)>; 2] {
        let of_address = (self.hasher.hash_one((counted, AddressOrSite::Address, address)), most);
        let of_site = site(address)
            .map(|site| (self.hasher.hash_one((counted, AddressOrSite::Site, site)), most.saturating_mul(SITE as u32)));
        [Some(of_address), of_site]
    }

    fn begin_hour(&mut self, at: Timestamp) {
        let hour = at.0.div_euclid(HOUR_MS);
        if hour != self.hour {
            self.hour = hour;
            self.sessions.clear();
            self.items.clear();
            self.times.clear();
            self.beyond = None;
        }
    }

    fn say_one(
        &mut self,
        of: (AddressOrSite, IpAddr),
        subject: &str,
        (shopper, kind): (u64, u32),
        at: Timestamp,
        most: usize,
    ) -> Said {
        self.begin_hour(at);
        let bit = 1 << (kind % u64::BITS);
        let pair = self.hasher.hash_one((of, subject));
        if most == 0 {
            // Any number of sessions counts, and each says a thing once.
            return self.say_beyond(pair, (shopper, kind), usize::MAX);
        }
        if let Some(sessions) = self.sessions.get_mut(&pair) {
            if let Some(session) = sessions.iter_mut().find(|session| session.shopper == shopper) {
                let is_again = session.said & bit != 0;
                session.said |= bit;
                return if is_again { Said::Again } else { Said::First };
            }
            if sessions.len() >= most {
                return Said::TooManySessions;
            }
            sessions.push(Session { shopper, said: bit });
            return Said::First;
        }
        if self.sessions.len() >= MAX_PAIRS {
            return self.say_beyond(pair, (shopper, kind), most);
        }
        let n_items = self.items.entry(of).or_default();
        if *n_items >= MAX_ITEMS {
            return Said::TooManySessions;
        }
        *n_items += 1;
        self.sessions.insert(pair, vec![Session { shopper, said: bit }]);
        Said::First
    }

    /// The same where there are too many pairs to count each by itself.
    fn say_beyond(&mut self, pair: u64, (shopper, kind): (u64, u32), most: usize) -> Said {
        let member = self.hasher.hash_one((pair, shopper));
        let said = self.hasher.hash_one((pair, shopper, kind));
        let sketch = self.beyond.get_or_insert_default();
        if !sketch.has(member) {
            if (sketch.get(pair) as usize) >= most {
                return Said::TooManySessions;
            }
            sketch.count(pair);
            sketch.add(member);
        }
        if sketch.has(said) {
            return Said::Again;
        }
        sketch.add(said);
        Said::First
    }
}

/// Of IPv6 the network (/48) that an address is in.
pub(super) fn site(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() & (!0 << 80)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sessions_of_an_address_count_for_an_item_within_an_hour() {
        let mut counts = AddressCounts::default();
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let mut admit = |address, item: &str, shopper, at_ms| counts.admit(address, item, shopper, Timestamp(at_ms), 3);
        let counted = (0..100).filter(|&shopper| admit(address(1), "mug", shopper, 10)).count();
        assert_eq!(counted, 3);
        assert!(admit(address(1), "mug", 2, 20), "one that counts goes on to");
        assert!(!admit(address(1), "mug", 50, 20));
        assert!(admit(address(1), "cup", 50, 20) && admit(address(2), "mug", 50, 20));
        assert!(admit(address(1), "mug", 50, HOUR_MS), "another hour");
    }

    #[test]
    fn a_session_says_a_thing_once_where_sessions_have_no_bound() {
        let mut counts = AddressCounts::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let mut say = |shopper, kind| counts.say(address, "mug", shopper, kind, Timestamp(10), 0);
        assert!((0..100).all(|shopper| say(shopper, 1) == Said::First));
        assert!((0..100).all(|shopper| say(shopper, 1) == Said::Again));
        assert_eq!(say(0, 2), Said::First);
    }

    #[test]
    fn networks_of_one_site_have_a_bound_together() {
        let mut counts = AddressCounts::default();
        let network = |n: u16| IpAddr::from([0x2001, 0xdb8, 7, n, 0, 0, 0, 0]);
        let counted = (0..100).filter(|&n| counts.admit(network(n), "mug", u64::from(n), Timestamp(0), 3)).count();
        assert_eq!(counted, 12);
        // The first network of the site is written as the site is, and has the bound of an address all the same.
        let mut first = AddressCounts::default();
        let of_first = (0..100).filter(|&n| first.admit(network(0), "mug", n, Timestamp(0), 3)).count();
        assert_eq!(of_first, 3);
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 8, 0, 0, 0, 0, 0]);
        assert!(counts.admit(elsewhere, "mug", 1_000, Timestamp(0), 3));
    }

    #[test]
    fn an_address_that_has_used_up_its_bound_takes_nothing_from_its_neighbours() {
        let mut counts = AddressCounts::default();
        let network = |n: u16| IpAddr::from([0x2001, 0xdb8, 7, n, 0, 0, 0, 0]);
        for n in 0..1_000 {
            counts.admit(network(1), "mug", n, Timestamp(0), 3);
            counts.admit_times(Counted::Impressions, network(1), Timestamp(0), 3);
        }
        for n in 2..5 {
            let admitted = (0..3).filter(|of| counts.admit(network(n), "mug", u64::from(n) * 9 + of, Timestamp(0), 3));
            assert_eq!(admitted.count(), 3, "{n}");
            assert!(counts.admit_times(Counted::Impressions, network(n), Timestamp(0), 3), "{n}");
        }
    }

    #[test]
    fn a_session_says_each_kind_of_thing_about_an_item_once() {
        let mut counts = AddressCounts::default();
        let address = IpAddr::from([10, 0, 0, 1]);
        let mut say = |shopper, kind| counts.say(address, "mug", shopper, kind, Timestamp(0), 2);
        assert_eq!([say(1, 2), say(1, 2), say(1, 4)], [Said::First, Said::Again, Said::First]);
        assert_eq!([say(2, 2), say(3, 2), say(1, 4)], [Said::First, Said::TooManySessions, Said::Again]);
        assert_eq!(counts.say(address, "mug", 1, 2, Timestamp(HOUR_MS), 2), Said::First, "another hour");
        for n in 0..=MAX_PAIRS as u32 {
            counts.say(IpAddr::from(n.to_be_bytes()), "cup", 1, 2, Timestamp(HOUR_MS), 2);
        }
        let late = IpAddr::from([9, 9, 9, 9]);
        let mut say = |kind| counts.say(late, "tea", 1, kind, Timestamp(HOUR_MS), 2);
        assert_eq!([say(2), say(2), say(4)], [Said::First, Said::Again, Said::First], "also beyond the pairs");
    }

    #[test]
    fn the_first_impressions_of_an_address_count_within_an_hour() {
        let mut counts = AddressCounts::default();
        let mut counted = |address, at_ms| {
            (0..100).filter(|_| counts.admit_times(Counted::Impressions, address, Timestamp(at_ms), 40)).count()
        };
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!([counted(one, 0), counted(one, 9), counted(other, 9), counted(one, HOUR_MS)], [40, 0, 40, 40]);
        let networks = (0..10).map(|n| IpAddr::from([0x2001, 0xdb8, 7, n, 0, 0, 0, 0]));
        assert_eq!(networks.map(|network| counted(network, HOUR_MS)).sum::<usize>(), 160, "four times, of one /48");
        for of in [Counted::Clicks("spring"), Counted::Clicks("advent"), Counted::SponsoredPages] {
            let at = Timestamp(HOUR_MS);
            let admitted =
                (0..100).filter(|_| counts.would_admit(of, one, at, 7) && counts.admit_times(of, one, at, 7));
            assert_eq!(admitted.count(), 7, "each is counted by itself");
        }
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut counts = AddressCounts::default();
        let mut admitted = 0;
        for n in 0..MAX_ITEMS + 1_000 {
            admitted += u32::from(counts.admit(IpAddr::from([1, 2, 3, 4]), &n.to_string(), 1, Timestamp(0), 3));
        }
        assert_eq!(admitted, MAX_ITEMS);
        let n = 2 * MAX_PAIRS as u32;
        let admitted =
            (0..n).filter(|n| counts.admit(IpAddr::from(n.to_be_bytes()), "mug", 1, Timestamp(0), 3)).count();
        assert_eq!(counts.sessions.len(), MAX_PAIRS);
        assert!(admitted > n as usize * 99 / 100, "{admitted}: one session of each address");
        let late = IpAddr::from([9, 9, 9, 9]);
        let admitted: Vec<u64> = (0..2_000).filter(|&of| counts.admit(late, "cup", of, Timestamp(0), 30)).collect();
        assert!((20..=40).contains(&admitted.len()), "{}: bounded also beyond the pairs", admitted.len());
        assert!(
            admitted.iter().all(|&of| counts.admit(late, "cup", of, Timestamp(0), 30)),
            "one that counts goes on to"
        );
        for n in 0..2 * MAX_PAIRS as u32 {
            counts.admit_times(Counted::Impressions, IpAddr::from(n.to_be_bytes()), Timestamp(0), 40);
        }
        let of_late = (0..2_000).filter(|_| {
            counts.would_admit(Counted::Impressions, late, Timestamp(0), 40)
                && counts.admit_times(Counted::Impressions, late, Timestamp(0), 40)
        });
        assert!((30..=40).contains(&of_late.count()));
    }
}
