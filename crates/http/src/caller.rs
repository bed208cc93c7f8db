//! Who makes a request: what follows from its key and its address beyond its being admitted.
//!
//! In: the key and the address that the connection or a trusted proxy names. Out: as whom its events are taken in, what
//! they cost, and whether answers may speak of persons.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use accrue_engine::{Asker, Sender};
use accrue_event::Namespace;
use accrue_serve::filter::counting_reads;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::connection::{Connection, peer};
use super::network::Network;
use super::problem::{Code, Problem};
use super::rates::Rates;
use super::settings::{Key, Scope};
use super::turns::{Claim, Payer};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Bytes of a body, decompressed, that cost a token where its events cost less.
const BYTES_PER_TOKEN: usize = 512;
/// What a refused event costs its sender beside an accepted one.
const COST_OF_REFUSAL: f64 = 9.0;
/// As how many visitors a key of the shop's own counts where pages wait for their turn, if the settings do not say.
const WEIGHT_OF_OWN_KEY: f64 = 100.0;
/// Items of a page that cost a token.
const ITEMS_PER_TOKEN: usize = 10;
/// MiB that the filters of one address may read in a second, and ten times as much at once. They are counted apart from
/// requests, so that an address that asks for expensive filters goes on sending events.
const READ_MIB_PER_S: f64 = 16.0;
/// Bytes of texts, values and conditions in such a MiB.
const MIB: f64 = (1 << 20) as f64;

/// A key with what its use so far has left.
pub(super) struct KnownKey {
    pub(super) key: Key,
    pub(super) rates: Rates,
    /// What filters may read.
    reads: Rates,
    sender: Sender,
    /// Its place in the settings.
    pub(super) number: usize,
}

impl KnownKey {
    pub(super) fn new(key: &Key, number: usize, now: Instant) -> Self {
        let sender = if key.scopes.contains(&Scope::Admin) {
            Sender::Operator
        } else if key.scopes.contains(&Scope::Write) {
            Sender::Shop
        } else {
            Sender::Published { namespace: Namespace::of_key(&key.name), address: None }
        };
        Self {
            rates: Rates::new(key.is_public(), key.rate_limit_per_s, key.rate_limit_per_address_per_s, now),
            reads: Rates::new(false, None, Some(READ_MIB_PER_S), now),
            sender,
            key: key.clone(),
            number,
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

    /// As whom its events are taken in. A caller without a key is one of this machine.
    pub(super) fn sender(&self) -> Sender {
        match self.key.as_ref().map_or(Sender::Operator, |known| known.sender.clone()) {
            Sender::Published { namespace, .. } => Sender::Published { namespace, address: self.address },
            own => own,
        }
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

    /// Whether the caller may do what needs this scope. A caller without a key is one of this machine.
    pub(super) fn permits(&self, scope: Scope) -> bool {
        self.key.as_ref().is_none_or(|known| known.opens(scope))
    }

    /// Its address, as far as it is known.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The name of the key, if there is one.
    pub(super) fn key_name(&self) -> Option<&str> {
        self.key.as_ref().map(|known| &*known.key.name)
    }

    /// Whose places its searches take where there are only so many.
    pub(super) fn asker(&self) -> Asker {
        if self.is_public() { Asker::Page(self.address) } else { Asker::Shop }
    }

    /// What decides when a page of this caller is computed.
    pub(super) fn claim(&self, connection: Option<&Connection>) -> Claim {
        let of_connection_s = connection.map_or(0.0, Connection::used_s);
        let (payer, weight) = match self.key.as_ref().filter(|known| !known.key.is_public()) {
            Some(known) => (Some(Payer::Key(known.number)), known.key.weight.unwrap_or(WEIGHT_OF_OWN_KEY)),
            None if self.key.is_some() => (self.address.map(Payer::Address), 1.0),
            // Without keys all callers are programs of this machine.
            None => (connection.map(|connection| Payer::Address(connection.peer)), 1.0),
        };
        Claim { payer, weight, of_connection_s }
    }

    /// Pays for a body that arrived, by its bytes, decompressed: before it is read, because reading costs time whatever
    /// comes of it.
    pub(super) fn charge_body(&self, n_bytes: usize) -> Result<(), Problem> {
        self.charge(tokens_of(n_bytes) - 1)
    }

    /// Pays for the records of a body whose bytes are paid for, as far as they cost more.
    pub(super) fn charge_records(&self, n_records: usize, n_bytes: usize) {
        if let Some(known) = self.key.as_ref().filter(|known| known.key.is_public()) {
            known.rates.spend(self.address, n_records.saturating_sub(tokens_of(n_bytes)) as f64, Instant::now());
        }
    }

    /// Pays for a page that reaches to this place of its list: what lies before the page is ranked too.
    pub(super) fn charge_page(&self, n_places: usize) -> Result<(), Problem> {
        self.charge(n_places.saturating_sub(1) / ITEMS_PER_TOKEN)
    }

    fn charge(&self, tokens: usize) -> Result<(), Problem> {
        let Some(known) = self.key.as_ref().filter(|known| known.key.is_public()) else { return Ok(()) };
        let charged = known.rates.charge(self.address, tokens as f64, Instant::now());
        charged.map_err(|wait_s| too_fast(&known.key, wait_s))
    }

    /// Does the work of a page, and pays for what its filter read. What that is, is known only afterwards; the facts are locked
    /// meanwhile, so that an address that asks for such work again and again has to wait.
    ///
    /// # Errors
    /// If the filters of the address have read too much, and those of the work.
    pub(super) fn filtering<T, E>(&self, has_filter: bool, work: impl FnOnce() -> Result<T, E>) -> Result<T, Problem>
    where
        Problem: From<E>,
    {
        let Some(known) = self.key.as_ref().filter(|known| has_filter && known.key.is_public()) else {
            return Ok(work()?);
        };
        let is_in_debt = known.reads.charge(self.address, 0.0, Instant::now());
        is_in_debt.map_err(|wait_s| {
            let detail =
                format!("filters of this address read too many texts; try again in {wait_s} s, or without a filter");
            Problem::new(Code::RateLimited, detail).retry_after(wait_s)
        })?;
        let (done, n_read) = counting_reads(work);
        known.reads.charge_address(self.address, n_read as f64 / MIB, Instant::now());
        Ok(done?)
    }

    /// Makes refused events cost their sender more than accepted ones.
    pub(super) fn charge_refused(&self, n_refused: usize) {
        if let Some(known) = self.key.as_ref().filter(|known| known.key.is_public() && n_refused > 0) {
            known.rates.charge_address(self.address, COST_OF_REFUSAL * n_refused as f64, Instant::now());
        }
    }
}

/// What a body of this size costs. Entering has cost one of it.
fn tokens_of(n_bytes: usize) -> usize {
    (n_bytes / BYTES_PER_TOKEN).max(1)
}

/// The problem of a key that is used faster than its rate.
pub(super) fn too_fast(key: &Key, wait_s: u64) -> Problem {
    let detail = format!("the key {:?} sends faster than its rate; try again in {wait_s} s", key.name);
    Problem::new(Code::RateLimited, detail).retry_after(wait_s)
}

/// What the client of a request counts as, see [`peer`]: the address of the connection, or, if a trusted proxy made the
/// connection, the last address in its header that no trusted proxy has. A proxy on this machine is trusted. `None` if
/// a proxy does not say.
///
/// `X-Forwarded-For` is read, and `Forwarded` (RFC 7239) where there is no such header.
pub(super) fn client_address(connected: Option<IpAddr>, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| address.is_loopback() || trusted.iter().any(|network| network.contains(address));
    let connected = connected?.to_canonical();
    if !is_trusted(connected) {
        return Some(peer(connected));
    }
    // A proxy appends its part to what the client sent, which may be any bytes: only that part has to be readable.
    let elements = |name: &HeaderName| -> Vec<Option<&str>> {
        let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let elements = values.flat_map(|value| value.split(|byte| *byte == b','));
        elements.map(|element| std::str::from_utf8(element).ok()).collect()
    };
    let client = |addresses: &mut dyn Iterator<Item = Option<IpAddr>>| {
        addresses.map_while(|address| address).find(|address| !is_trusted(*address))
    };
    let address = if headers.contains_key(&X_FORWARDED_FOR) {
        client(&mut elements(&X_FORWARDED_FOR).into_iter().rev().map(|element| node(element?)))
    } else {
        client(&mut elements(&FORWARDED).into_iter().rev().map(|element| node(for_of(element?)?)))
    };
    address.map(peer)
}

/// The value of `for` in an element of `Forwarded`, such as `for="[2001:db8::1]:443";proto=https`.
fn for_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// The address in a proxy's notation, with or without quotation marks, brackets, a port and a zone.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    let address = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']')?;
            (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(address)?
        }
        None => match text.split_once(':') {
            // Only an IPv6 address has more than one colon.
            Some((address, port)) if !port.contains(':') => is_port(port).then_some(address)?,
            _ => text,
        },
    };
    // A link-local address may name the interface of the proxy.
    let address = address.split_once('%').map_or(address, |(address, _)| address);
    Some(address.parse::<IpAddr>().ok()?.to_canonical())
}

/// Whether this is a port, or, as RFC 7239 permits, a name in place of one.
fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_every_notation_of_proxies() {
        for (text, expected) in [
            ("1.2.3.4", Some("1.2.3.4")),
            (" 1.2.3.4:5678 ", Some("1.2.3.4")),
            ("\"1.2.3.4:5678\"", Some("1.2.3.4")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("\"[2001:db8::1]:_port\"", Some("2001:db8::1")),
            ("::ffff:1.2.3.4", Some("1.2.3.4")),
            ("[::ffff:1.2.3.4]:80", Some("1.2.3.4")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("1.2.3.4:", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]443", None),
            ("shop.example:80", None),
        ] {
            assert_eq!(node(text), expected.map(|address| address.parse().unwrap()), "{text:?}");
        }
    }

    /// The client of a connection from `connected` with these headers.
    fn client(connected: &str, trusted: &[&str], headers: &[(&HeaderName, &str)]) -> Option<String> {
        let trusted: Vec<Network> = trusted.iter().map(|text| Network::parse(text).unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let found = client_address(Some(connected.parse().unwrap()), &map, &trusted);
        found.map(|address| address.to_string())
    }

    #[test]
    fn a_client_is_known_by_what_trusted_proxies_say() {
        let check = |connected: &str, forwarded: &[&str], expected: Option<&str>| {
            let headers: Vec<_> = forwarded.iter().map(|value| (&X_FORWARDED_FOR, *value)).collect();
            let found = client(connected, &["10.0.0.0/8"], &headers);
            assert_eq!(found.as_deref(), expected, "{connected} {forwarded:?}");
        };
        check("9.9.9.9", &["1.1.1.1"], Some("9.9.9.9"));
        check("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.7"], Some("1.1.1.1"));
        check("10.0.0.1", &["6.6.6.6", "1.1.1.1"], Some("1.1.1.1"));
        check("10.0.0.1", &["6.6.6.6, 1.1.1.1:4711, 10.0.0.7:80"], Some("1.1.1.1"));
        check("::ffff:10.0.0.1", &["::ffff:1.1.1.1"], Some("1.1.1.1"));
        check("127.0.0.1", &["1.1.1.1"], Some("1.1.1.1"));
        check("127.0.0.1", &[], None);
        check("::1", &[], None);
        check("10.0.0.1", &["1.1.1.1, unknown"], None);
        check("10.0.0.1", &["2001:db8:1:2:3::4"], Some("2001:db8:1:2::"));
    }

    #[test]
    fn what_a_client_writes_before_a_proxy_hides_no_address() {
        let of = |name: &HeaderName, value: &[u8]| {
            let mut map = HeaderMap::new();
            map.append(name, HeaderValue::from_bytes(value).unwrap());
            client_address(Some("127.0.0.1".parse().unwrap()), &map, &[]).map(|address| address.to_string())
        };
        for before in [&b"\xff"[..], b"\xc3\xbc", b"\"", b"unknown", b"for=\xff", b""] {
            assert_eq!(
                of(&X_FORWARDED_FOR, &[before, b", 1.2.3.4"].concat()).as_deref(),
                Some("1.2.3.4"),
                "{before:?}"
            );
            let forwarded = [before, b", for=1.2.3.4"].concat();
            assert_eq!(of(&FORWARDED, &forwarded).as_deref(), Some("1.2.3.4"), "{before:?}");
        }
        assert_eq!(of(&X_FORWARDED_FOR, b"1.2.3.4, \xff"), None);
    }

    #[test]
    fn a_trusted_proxy_may_be_one_address_of_ipv6() {
        let forwarded = [(&X_FORWARDED_FOR, "1.1.1.1")];
        for trusted in ["2001:db8::5", "2001:db8::4/126", "2001:db8::/64", "2001:db8::/32"] {
            assert_eq!(client("2001:db8::5", &[trusted], &forwarded).as_deref(), Some("1.1.1.1"), "{trusted}");
        }
        let of_another = client("2001:db8::9", &["2001:db8::5"], &forwarded);
        assert_eq!(of_another.as_deref(), Some("2001:db8::"), "a neighbour in its network is no proxy");
    }

    #[test]
    fn the_standard_header_is_read_where_the_usual_one_is_absent() {
        let check = |forwarded: &[&str], expected: Option<&str>| {
            let headers: Vec<_> = forwarded.iter().map(|value| (&FORWARDED, *value)).collect();
            assert_eq!(client("10.0.0.1", &["10.0.0.0/8"], &headers).as_deref(), expected, "{forwarded:?}");
        };
        check(&["for=1.1.1.1"], Some("1.1.1.1"));
        check(&["for=6.6.6.6, For=\"1.1.1.1:80\";proto=https, for=10.0.0.7"], Some("1.1.1.1"));
        check(&["proto=https;for=\"[2001:db8:1:2:3::4]:443\";by=10.0.0.1"], Some("2001:db8:1:2::"));
        check(&["for=6.6.6.6", "for=unknown"], None);
        check(&["proto=https"], None);
        let both = [(&X_FORWARDED_FOR, "1.1.1.1"), (&FORWARDED, "for=6.6.6.6")];
        assert_eq!(client("10.0.0.1", &["10.0.0.0/8"], &both).as_deref(), Some("1.1.1.1"));
    }
}
