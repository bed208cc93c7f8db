//! How the server listens, which keys it accepts, and all of its limits. Plain data, read from the configuration.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

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
    /// Most events in one request.
    pub max_events: usize,
    /// Most items in one request.
    pub max_items: usize,
    /// Requests served at a time; more are answered 503.
    pub max_concurrent_requests: usize,
    /// Bodies above 64 KiB held at a time; more are answered 503.
    pub max_large_bodies: usize,
    /// Connections open at a time; more wait to be accepted.
    pub max_connections: usize,
    /// Seconds that a request may take, and that its body may take to arrive.
    pub request_timeout_s: u64,
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
    /// Requests per second, on average; twice as many in a burst.
    #[serde(default)]
    pub rate_limit_per_s: Option<f64>,
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
}

impl Scope {
    /// The name in the configuration and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Write => "write",
            Scope::Admin => "admin",
            Scope::Publish => "publish",
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7171".into(),
            keys: Vec::new(),
            body_limit_bytes: 10 << 20,
            max_events: 10_000,
            max_items: 100_000,
            max_concurrent_requests: 1024,
            max_large_bodies: 32,
            max_connections: 4096,
            request_timeout_s: 30,
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
            .finish()
    }
}

/// A setting that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("http setting `{name}`: {message}")]
pub struct HttpSettingsError {
    /// The setting.
    pub name: String,
    /// The values that are accepted.
    pub message: String,
}

impl HttpSettings {
    /// Refuses settings that are not valid, with the first fault found.
    pub fn validate(&self) -> Result<(), HttpSettingsError> {
        let fault = |name: &str, message: &str| Err(HttpSettingsError { name: name.into(), message: message.into() });
        let limits = [
            ("body_limit_bytes", self.body_limit_bytes),
            ("max_events", self.max_events),
            ("max_items", self.max_items),
            ("max_concurrent_requests", self.max_concurrent_requests),
            ("max_large_bodies", self.max_large_bodies),
            ("max_connections", self.max_connections),
            ("request_timeout_s", self.request_timeout_s as usize),
            ("idle_timeout_s", self.idle_timeout_s as usize),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return fault(name, "must be at least 1");
        }
        if self.listen.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return fault("listen", "must be HOST:PORT, such as 127.0.0.1:7171");
        }
        for (idx, key) in self.keys.iter().enumerate() {
            let at = |field: &str| format!("keys[{idx}].{field}");
            if key.key.len() < 16 || !key.key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return fault(&at("key"), "must be at least 16 visible ASCII characters (openssl rand -hex 24)");
            }
            if key.scopes.is_empty() {
                return fault(&at("scopes"), "must name at least one of read, write, admin, publish");
            }
            if self.keys[..idx].iter().any(|other| other.key == key.key) {
                return fault(&at("key"), "is given twice");
            }
            if key.rate_limit_per_s.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
                return fault(&at("rate_limit_per_s"), "must be above 0");
            }
            if let Some(origin) = key.origins.iter().find(|origin| !is_origin(origin)) {
                return fault(&at("origins"), &format!("{origin:?} is not an origin, such as https://shop.example"));
            }
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
    text == "*"
        || text
            .split_once("://")
            .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty() && !rest.contains('/'))
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
        }
    }

    #[test]
    fn defaults_are_valid_and_faults_are_named() {
        let fault = |change: fn(&mut HttpSettings)| {
            let mut settings = HttpSettings { keys: vec![key("0123456789abcdef")], ..Default::default() };
            change(&mut settings);
            settings.validate().err().map(|error| error.name)
        };
        assert_eq!(fault(|_| {}), None);
        assert_eq!(fault(|settings| settings.max_events = 0).as_deref(), Some("max_events"));
        assert_eq!(fault(|settings| settings.listen = "here".into()).as_deref(), Some("listen"));
        assert_eq!(fault(|settings| settings.keys[0].key = "short".into()).as_deref(), Some("keys[0].key"));
        assert_eq!(fault(|settings| settings.keys.push(key("0123456789abcdef"))).as_deref(), Some("keys[1].key"));
        assert_eq!(
            fault(|settings| settings.keys[0].origins = vec!["shop".into()]).as_deref(),
            Some("keys[0].origins")
        );
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
