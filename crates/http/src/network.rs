//! Networks of addresses, as settings write them.

use std::net::IpAddr;

/// An address or a network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/56` or `10.1.2.3`. An IPv4 network in IPv6 notation (`::ffff:10.0.0.0/104`) is
    /// the IPv4 network.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = prefix.map_or(Some(bits), |prefix| prefix.trim().parse().ok())?;
        if prefix > bits {
            return None;
        }
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) if prefix >= 96 => Some(Self { address, prefix: prefix - 96 }),
            _ => Some(Self { address, prefix }),
        }
    }

    /// Whether every address of its kind is in it.
    pub(super) fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether the address is in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
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
    fn a_network_in_ipv6_notation_is_the_ipv4_network() {
        let mapped = Network::parse("::ffff:10.0.0.0/104").unwrap();
        assert_eq!(mapped, Network::parse("10.0.0.0/8").unwrap());
        assert!(Network::parse("::ffff:10.1.2.3").unwrap().contains("10.1.2.3".parse().unwrap()));
    }
}
