//! How many sessions of one address count for one item. Sessions cost nothing to invent: without a bound, whoever reads
//! a published key off a page makes an item the first of the shop with a few hundred of them.
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
    // Random, so that no client can choose names that collide.
    hasher: RandomState,
}

/// A customer of a provider is given a network of IPv6 addresses; networks of one /48 have this many times the sessions
/// of one /64 together.
const SITE: usize = 4;

impl AddressCounts {
    /// [`AddressCounts::admit_one`] for an address, and of IPv6 also for the network (/48) that it is in.
    pub fn admit(&mut self, address: IpAddr, subject: &str, shopper: u64, at: Timestamp, most: usize) -> bool {
        let site = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() & (!0 << 80)).into()),
        };
        let by_site = site.is_none_or(|site| self.admit_one(site, subject, shopper, at, SITE * most));
        by_site && self.admit_one(address, subject, shopper, at, most)
    }

    /// Whether an event of this shopper counts. `subject`: an item, or an item after a search; `most`: sessions of an
    /// address about it; 0 is no bound.
    fn admit_one(&mut self, address: IpAddr, subject: &str, shopper: u64, at: Timestamp, most: usize) -> bool {
        if most == 0 {
            return true;
        }
        let hour = at.0.div_euclid(HOUR_MS);
        if hour != self.hour {
            self.hour = hour;
            self.sessions.clear();
            self.items.clear();
        }
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
