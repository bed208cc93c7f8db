//! Who makes a request: what follows from its key and its address beyond its being admitted.
//!
//! In: the key and the address that the connection or a trusted proxy names. Out: as whom its events are taken in, what
//! they cost, and whether answers may speak of persons.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use accrue_engine::Sender;
use accrue_event::Namespace;
use axum::http::{HeaderMap, HeaderName};

use super::listener::peer;
use super::problem::{Code, Problem};
use super::rates::Rates;
use super::settings::{Key, Scope};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Bytes of a body, decompressed, that cost a token where its events cost less.
const BYTES_PER_TOKEN: usize = 512;
/// What a refused event costs its sender beside an accepted one.
const COST_OF_REFUSAL: f64 = 9.0;
/// Items of a page that cost a token.
const ITEMS_PER_TOKEN: usize = 10;

/// A key with what its use so far has left.
pub(super) struct KnownKey {
    pub(super) key: Key,
    pub(super) rates: Rates,
    sender: Sender,
}

impl KnownKey {
    pub(super) fn new(key: &Key, now: Instant) -> Self {
        let is_own = key.scopes.contains(&Scope::Write) || key.scopes.contains(&Scope::Admin);
        Self {
            rates: Rates::new(key.is_public(), key.rate_limit_per_s, key.rate_limit_per_address_per_s, now),
            sender: if is_own { Sender::Shop } else { Sender::Published(Namespace::of_key(&key.name)) },
            key: key.clone(),
        }
    }
}

/// The caller of a request that was admitted.
#[derive(Clone, Default)]
pub(super) struct Caller {
    key: Option<Arc<KnownKey>>,
    address: Option<IpAddr>,
}

impl Caller {
    pub(super) fn new(key: Arc<KnownKey>, address: Option<IpAddr>) -> Self {
        Self { key: Some(key), address }
    }

    /// As whom its events are taken in.
    pub(super) fn sender(&self) -> Sender {
        self.key.as_ref().map_or(Sender::Shop, |known| known.sender.clone())
    }

    /// Whether every visitor can have the key.
    pub(super) fn is_public(&self) -> bool {
        self.key.as_ref().is_some_and(|known| known.key.is_public())
    }

    /// Whether it may ask about users, and be told the reasons of an answer.
    pub(super) fn may_know_persons(&self) -> bool {
        self.key
            .as_ref()
            .is_none_or(|known| known.key.scopes.contains(&Scope::Read) || known.key.scopes.contains(&Scope::Admin))
    }

    /// Pays for a batch that was read.
    pub(super) fn charge_batch(&self, n_records: usize, n_bytes: usize) -> Result<(), Problem> {
        // Entering has cost one token.
        self.charge(n_records.max(n_bytes / BYTES_PER_TOKEN).saturating_sub(1))
    }

    /// Pays for a page.
    pub(super) fn charge_page(&self, n_items: usize) -> Result<(), Problem> {
        self.charge(n_items.saturating_sub(1) / ITEMS_PER_TOKEN)
    }

    fn charge(&self, tokens: usize) -> Result<(), Problem> {
        let Some(known) = self.key.as_ref().filter(|known| known.key.is_public()) else { return Ok(()) };
        let charged = known.rates.charge(self.address, tokens as f64, Instant::now());
        charged.map_err(|wait_s| too_fast(&known.key, wait_s))
    }

    /// Makes refused events cost their sender more than accepted ones.
    pub(super) fn fine(&self, n_refused: usize) {
        if let Some(known) = self.key.as_ref().filter(|known| known.key.is_public() && n_refused > 0) {
            known.rates.fine(self.address, COST_OF_REFUSAL * n_refused as f64, Instant::now());
        }
    }
}

/// The problem of a key that is used faster than its rate.
pub(super) fn too_fast(key: &Key, wait_s: u64) -> Problem {
    let detail = format!("the key {:?} sends faster than its rate; try again in {wait_s} s", key.name);
    Problem::new(Code::RateLimited, detail).retry_after(wait_s)
}

/// An address or a network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Reads `10.0.0.0/8` or `10.1.2.3`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.trim().parse().ok())?;
        (prefix <= bits).then_some(Self { address, prefix })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// The address of a client: that of the connection, or, if a trusted proxy made the connection, the last one that no
/// trusted proxy has. A proxy on this machine is trusted. `None` if a proxy does not say.
pub(super) fn client_address(connected: Option<IpAddr>, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    // An IPv6 peer is known as its network.
    let is_local = |address: IpAddr| address.is_loopback() || address == peer(std::net::Ipv6Addr::LOCALHOST.into());
    let is_trusted = |address: IpAddr| is_local(address) || trusted.iter().any(|network| network.contains(address));
    let connected = connected?;
    if !is_trusted(connected) {
        return Some(connected);
    }
    let values = headers.get_all(&X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let forwarded: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let address = forwarded.iter().rev().map_while(|text| text.parse::<IpAddr>().ok()).find(|at| !is_trusted(*at));
    address.map(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_contain_their_addresses() {
        let contains =
            |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.1.2.3", "10.1.2.3") && !contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fd12::1") && !contains("fd00::/8", "fe80::1"));
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "shop.example", "::/129"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_client_is_known_by_what_trusted_proxies_say() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        let check = |connected: &str, forwarded: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(&X_FORWARDED_FOR, value.parse().unwrap());
            }
            let found = client_address(Some(connected.parse().unwrap()), &headers, &trusted);
            assert_eq!(found, expected.map(|address| address.parse().unwrap()), "{connected} {forwarded:?}");
        };
        check("9.9.9.9", &["1.1.1.1"], Some("9.9.9.9"));
        check("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.7"], Some("1.1.1.1"));
        check("10.0.0.1", &["6.6.6.6", "1.1.1.1"], Some("1.1.1.1"));
        check("127.0.0.1", &["1.1.1.1"], Some("1.1.1.1"));
        check("127.0.0.1", &[], None);
        check("::", &[], None);
        check("10.0.0.1", &["1.1.1.1, unknown"], None);
        check("10.0.0.1", &["2001:db8:1:2:3::4"], Some("2001:db8:1:2::"));
    }
}
