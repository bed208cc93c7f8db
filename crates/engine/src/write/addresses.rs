//! How many sessions of one address count for one item, and how many impressions. Sessions cost nothing to invent:
//! without a bound, whoever reads a published key off a page makes an item the first of the shop with a few hundred of
//! them, and decides with invented impressions how probable a click is.
//!
//! In: an address, an item and a shopper of an event of a published key, and its time of arrival. Out: whether the
//! event counts. Within an hour the first sessions of an address about an item do, and go on to; later ones do not.
//! Addresses are not written down: the record says that the event has no effect, so a replay needs none.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use accrue_event::Timestamp;

const HOUR_MS: i64 = 3_600_000;
/// Items of one address that are counted within an hour; events about further ones do not count.
const MAX_ITEMS: u32 = 20_000;
/// Pairs of an address and an item that are counted; events of further ones count as if no address were known.
const MAX_PAIRS: usize = 200_000;

/// The sessions of the current hour.
#[derive(Default)]
pub(super) struct AddressCounts {
    hour: i64,
    /// The sessions of each address and item, by hashes.
    sessions: HashMap<u64, Vec<u64>>,
    /// How many items each address has there.
    items: HashMap<IpAddr, u32>,
    /// How many impressions of each address and of each site counted.
    impressions: HashMap<(Scope, IpAddr), u32>,
    // Random, so that no client can choose names that collide.
    hasher: RandomState,
}

/// What a bound is for: the first address of a site is written as the site is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Scope {
    Address,
    Site,
}

/// A customer of a provider is given a network of IPv6 addresses; networks of one /48 have this many times the sessions
/// of one /64 together.
const SITE: usize = 4;

impl AddressCounts {
    /// [`AddressCounts::admit_one`] for an address, and of IPv6 also for the network (/48) that it is in.
    pub fn admit(&mut self, address: IpAddr, subject: &str, shopper: u64, at: Timestamp, most: usize) -> bool {
        let by_site = site(address).is_none_or(|site| self.admit_one(site, subject, shopper, at, SITE * most));
        by_site && self.admit_one(address, subject, shopper, at, most)
    }

    /// Whether one more impression of the address counts; `most` within an hour do, and of a network of IPv6 (/48) four
    /// times as many. 0 is no bound.
    pub fn admit_impression(&mut self, address: IpAddr, at: Timestamp, most: u32) -> bool {
        self.begin_hour(at);
        let of_address = Some(((Scope::Address, address), most));
        let of_site = site(address).map(|site| ((Scope::Site, site), most.saturating_mul(SITE as u32)));
        most == 0
            || of_address.into_iter().chain(of_site).all(|(bounded, most)| {
                if self.impressions.len() >= MAX_PAIRS && !self.impressions.contains_key(&bounded) {
                    return true;
                }
                let counted = self.impressions.entry(bounded).or_default();
                *counted = counted.saturating_add(1);
                *counted <= most
            })
    }

    fn begin_hour(&mut self, at: Timestamp) {
        let hour = at.0.div_euclid(HOUR_MS);
        if hour != self.hour {
            self.hour = hour;
            self.sessions.clear();
            self.items.clear();
            self.impressions.clear();
        }
    }

    /// Whether an event of this shopper counts. `subject`: an item, or an item after a search; `most`: sessions of an
    /// address about it; 0 is no bound.
    fn admit_one(&mut self, address: IpAddr, subject: &str, shopper: u64, at: Timestamp, most: usize) -> bool {
        if most == 0 {
            return true;
        }
        self.begin_hour(at);
        let pair = self.hasher.hash_one((address, subject));
        if let Some(sessions) = self.sessions.get_mut(&pair) {
            let is_known = sessions.contains(&shopper);
            let has_room = sessions.len() < most;
            if !is_known && has_room {
                sessions.push(shopper);
            }
            return is_known || has_room;
        }
        if self.sessions.len() >= MAX_PAIRS {
            return true;
        }
        let n_items = self.items.entry(address).or_default();
        if *n_items >= MAX_ITEMS {
            return false;
        }
        *n_items += 1;
        self.sessions.insert(pair, vec![shopper]);
        true
    }
}

/// Of IPv6 the network (/48) that an address is in.
fn site(address: IpAddr) -> Option<IpAddr> {
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
    fn networks_of_one_site_have_a_bound_together() {
        let mut counts = AddressCounts::default();
        let network = |n: u16| IpAddr::from([0x2001, 0xdb8, 7, n, 0, 0, 0, 0]);
        let counted = (0..100).filter(|&n| counts.admit(network(n), "mug", u64::from(n), Timestamp(0), 3)).count();
        assert_eq!(counted, 12);
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 8, 0, 0, 0, 0, 0]);
        assert!(counts.admit(elsewhere, "mug", 1_000, Timestamp(0), 3));
    }

    #[test]
    fn the_first_impressions_of_an_address_count_within_an_hour() {
        let mut counts = AddressCounts::default();
        let mut counted =
            |address, at_ms| (0..100).filter(|_| counts.admit_impression(address, Timestamp(at_ms), 40)).count();
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!([counted(one, 0), counted(one, 9), counted(other, 9), counted(one, HOUR_MS)], [40, 0, 40, 40]);
        let networks = (0..10).map(|n| IpAddr::from([0x2001, 0xdb8, 7, n, 0, 0, 0, 0]));
        assert_eq!(networks.map(|network| counted(network, HOUR_MS)).sum::<usize>(), 160, "four times, of one /48");
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut counts = AddressCounts::default();
        let mut admitted = 0;
        for n in 0..MAX_ITEMS + 1_000 {
            admitted += u32::from(counts.admit(IpAddr::from([1, 2, 3, 4]), &n.to_string(), 1, Timestamp(0), 3));
        }
        assert_eq!(admitted, MAX_ITEMS);
        for n in 0..2 * MAX_PAIRS as u32 {
            let address = IpAddr::from(n.to_be_bytes());
            assert!(counts.admit(address, "mug", 1, Timestamp(0), 3));
        }
        assert_eq!(counts.sessions.len(), MAX_PAIRS);
    }
}
