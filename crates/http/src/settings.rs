//! How the server listens, which keys it accepts, and all of its limits. Plain data, read from the configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use accrue_event::SettingFault;
use serde::{Deserialize, Serialize};

use super::network::Network;

/// Settings of the HTTP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port; port 0 picks a free one.
    pub listen: String,
    /// The API keys. Without keys, requests are admitted only on a loopback address and without a proxy.
    pub keys: Vec<Key>,
    /// Most bytes of a request's body, after decompression.
    pub body_limit_bytes: usize,
    /// The same for keys that every visitor can read.
    pub published_body_limit_bytes: usize,
    /// Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For`, or `Forwarded`, tells a client's
    /// address. This machine's own are among them.
    pub trusted_proxies: Vec<String>,
    /// Most events in one request.
    pub max_events: usize,
    /// Most items in one request.
    pub max_items: usize,
    /// Requests served at a time; more are answered 503.
    pub max_concurrent_requests: usize,
    /// Bodies above 64 KiB held at a time; more are answered 503.
    pub max_large_bodies: usize,
    /// Connections open at a time, within the limit of open files; at the limit those that wait longest are closed.
    pub max_connections: usize,
    /// Connections open at a time from one address. A proxy is one address.
    pub max_connections_per_peer: usize,
    /// Seconds that a request may take, that its body may take to arrive, and that its answer may take to be received.
    pub request_timeout_s: u64,
    /// Seconds that a request's line and headers may take to arrive.
    pub header_timeout_s: u64,
    /// Seconds after which an idle connection is closed.
    pub idle_timeout_s: u64,
    /// Seconds that requests in flight have to end when the server stops.
    pub shutdown_limit_s: u64,
}

/// One API key.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Names the key in logs and messages; the key itself is never shown.
    pub name: String,
    /// The secret (or, with the scope `publish` alone, the published) text.
    pub key: String,
    /// What it permits.
    pub scopes: BTreeSet<Scope>,
    /// Web origins (`https://shop.example`, or `*`) whose pages may use it; empty allows no other site's page.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Requests per second, on average; twice as many in a burst. Of a key with the scopes `publish` and `search`
    /// alone, which every visitor can read: events and pages per second, 1,000 if left out; those of ten seconds in a
    /// burst.
    #[serde(default)]
    pub rate_limit_per_s: Option<f64>,
    /// The same for each address. Of a key that every visitor can read a quarter of its rate if left out.
    #[serde(default)]
    pub rate_limit_per_address_per_s: Option<f64>,
    /// As how many visitors a key of the shop's own counts where more pages are asked for than can be computed at once;
    /// 100 if left out. Of a key that stands in a page each address counts as one.
    #[serde(default)]
    pub weight: Option<f64>,
}

/// What a key permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Recommendations, search, descriptions, quality, metrics.
    Read,
    /// Events, items, users.
    Write,
    /// Everything, including the quarantine.
    Admin,
    /// Only sending events: for browsers, where every visitor can read the key.
    Publish,
    /// Search, suggestions and lists, without reasons and without users: for browsers as well.
    Search,
}

impl Scope {
    /// The name in the configuration and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
            Scope::Publish => "publish",
            Scope::Search => "search",
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7171".into(),
            keys: Vec::new(),
            body_limit_bytes: 10 << 20,
            published_body_limit_bytes: 1 << 20,
            trusted_proxies: Vec::new(),
            max_events: 10_000,
            max_items: 100_000,
            max_concurrent_requests: 1024,
            max_large_bodies: 32,
            max_connections: 4096,
            max_connections_per_peer: 1024,
            request_timeout_s: 30,
            header_timeout_s: 10,
            idle_timeout_s: 75,
            shutdown_limit_s: 10,
        }
    }
}

// The secret must not reach logs and panics.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .field("key", &"…")
            .field("scopes", &self.scopes)
            .field("origins", &self.origins)
            .field("rate_limit_per_s", &self.rate_limit_per_s)
            .field("rate_limit_per_address_per_s", &self.rate_limit_per_address_per_s)
            .field("weight", &self.weight)
            .finish()
    }
}

impl Key {
    /// Whether the key permits nothing but what every visitor may do, so that it may stand in a page.
    pub(super) fn is_public(&self) -> bool {
        self.scopes.iter().all(|scope| matches!(scope, Scope::Publish | Scope::Search))
    }

    fn validate(&self, earlier: &[Self]) -> Result<(), SettingFault> {
        // A fault is logged, so it must not hold the secret.
        if self.key.len() < 16 || !self.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let expected = "at least 16 visible ASCII characters (openssl rand -hex 24)";
            return Err(SettingFault::new("key", "too short or not visible ASCII", expected));
        }
        if self.scopes.is_empty() {
            return Err(SettingFault::new("scopes", "empty", "at least one of read, write, admin, publish, search"));
        }
        if earlier.iter().any(|other| other.key == self.key) {
            return Err(SettingFault::new("key", "that of an earlier key", "different from all others"));
        }
        for (name, rate) in [
            ("rate_limit_per_s", self.rate_limit_per_s),
            ("rate_limit_per_address_per_s", self.rate_limit_per_address_per_s),
            ("weight", self.weight),
        ] {
            if let Some(rate) = rate.filter(|rate| !rate.is_finite() || *rate <= 0.0) {
                return Err(SettingFault::new(name, rate, "above 0"));
            }
        }
        match self.origins.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => Err(SettingFault::new(
                "origins",
                origin,
                "`*`, or whole origins as browsers write them, such as https://shop.example",
            )),
            None => Ok(()),
        }
    }
}

impl HttpSettings {
    /// Refuses settings that are not valid.
    ///
    /// # Errors
    /// The first fault found; its key does not name the table `http`.
    pub fn validate(&self) -> Result<(), SettingFault> {
        SettingFault::check("body_limit_bytes", self.body_limit_bytes, 1..)?;
        SettingFault::check("published_body_limit_bytes", self.published_body_limit_bytes, 1..)?;
        if let Some(wrong) = self.trusted_proxies.iter().find(|text| Network::parse(text).is_none()) {
            return Err(SettingFault::new("trusted_proxies", wrong, "addresses or networks, such as 10.0.0.0/8"));
        }
        // Whoever is trusted may say that a request came from any address, which ends every limit by address.
        let is_everything = |text: &&String| Network::parse(text).is_some_and(|network| network.is_everything());
        if let Some(wrong) = self.trusted_proxies.iter().find(is_everything) {
            return Err(SettingFault::new(
                "trusted_proxies",
                wrong,
                "the addresses of proxies, and not all that there are",
            ));
        }
        SettingFault::check("max_events", self.max_events, 1..)?;
        SettingFault::check("max_items", self.max_items, 1..)?;
        SettingFault::check("max_concurrent_requests", self.max_concurrent_requests, 1..)?;
        SettingFault::check("max_large_bodies", self.max_large_bodies, 1..)?;
        SettingFault::check("max_connections", self.max_connections, 1..)?;
        SettingFault::check("max_connections_per_peer", self.max_connections_per_peer, 1..)?;
        SettingFault::check("header_timeout_s", self.header_timeout_s, 1..)?;
        SettingFault::check("request_timeout_s", self.request_timeout_s, 1..)?;
        SettingFault::check("idle_timeout_s", self.idle_timeout_s, 1..)?;
        if self.listen.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(SettingFault::new("listen", &self.listen, "HOST:PORT, such as 127.0.0.1:7171"));
        }
        for (idx, key) in self.keys.iter().enumerate() {
            key.validate(&self.keys[..idx]).map_err(|fault| fault.within(&format!("keys[{idx}]")))?;
        }
        Ok(())
    }

    /// Whether the address can be reached from this machine only.
    pub(super) fn is_loopback(&self) -> bool {
        match self.listen.parse::<SocketAddr>() {
            Ok(address) => address.ip().is_loopback(),
            Err(_) => self.listen.rsplit_once(':').is_some_and(|(host, _)| is_local_name(host)),
        }
    }
}

/// `scheme://host[:port]` without a path, or `*`.
fn is_origin(text: &str) -> bool {
    // Browsers leave out the port of the scheme, and a part of a name in place of `*` would match nothing.
    let is_written_so = |scheme: &str, rest: &str| {
        let has_usual_port =
            (scheme == "https" && rest.ends_with(":443")) || (scheme == "http" && rest.ends_with(":80"));
        !scheme.is_empty() && !rest.is_empty() && !rest.contains(['/', '*']) && !has_usual_port
    };
    text == "*" || text.split_once("://").is_some_and(|(scheme, rest)| is_written_so(scheme, rest))
}

/// Whether a host name without a port means this machine.
pub(super) fn is_local_name(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.to_ascii_lowercase().ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key {
            name: "web".into(),
            key: text.into(),
            scopes: [Scope::Publish].into(),
            origins: Vec::new(),
            rate_limit_per_s: None,
            rate_limit_per_address_per_s: None,
            weight: None,
        }
    }

    #[test]
    fn defaults_are_valid_and_faults_are_named() {
        let fault = |change: fn(&mut HttpSettings)| {
            let mut settings = HttpSettings { keys: vec![key("0123456789abcdef")], ..Default::default() };
            change(&mut settings);
            settings.validate().err().map(|fault| fault.key)
        };
        assert_eq!(fault(|_| {}), None);
        assert_eq!(fault(|settings| settings.max_events = 0).as_deref(), Some("max_events"));
        assert_eq!(fault(|settings| settings.listen = "here".into()).as_deref(), Some("listen"));
        assert_eq!(fault(|settings| settings.keys[0].key = "short".into()).as_deref(), Some("keys[0].key"));
        assert_eq!(fault(|settings| settings.keys.push(key("0123456789abcdef"))).as_deref(), Some("keys[1].key"));
        for origin in ["shop", "https://shop.example/", "https://*.shop.example", "https://shop.example:443"] {
            let mut settings = HttpSettings { keys: vec![key("0123456789abcdef")], ..Default::default() };
            settings.keys[0].origins = vec![origin.into()];
            assert_eq!(settings.validate().unwrap_err().key, "keys[0].origins", "{origin}");
        }
        assert_eq!(
            fault(|settings| settings.keys[0].rate_limit_per_s = Some(0.0)).as_deref(),
            Some("keys[0].rate_limit_per_s")
        );
    }

    #[test]
    fn a_key_is_never_printed() {
        assert!(!format!("{:?}", key("0123456789abcdef")).contains("0123456789abcdef"));
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        let local = |listen: &str| HttpSettings { listen: listen.into(), ..Default::default() }.is_loopback();
        assert!(local("127.0.0.1:7171") && local("[::1]:0") && local("localhost:80"));
        assert!(!local("0.0.0.0:7171") && !local("[::]:80") && !local("192.168.0.7:80") && !local("localhost.evil:80"));
    }
}
