//! Access control: keys with their scopes, rates and origins, and the rule for a server without keys.
//!
//! In: what a route needs ([`super::route_table`]), a request's headers, and the time. Out: admission, or a problem.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version, header};

use super::caller::{Caller, KnownKey, client_address, too_fast};
use super::console::{Sessions, is_of_console};
use super::network::Network;
use super::problem::{Code, Problem};
use super::rates::LoginRates;
use super::settings::{HttpSettings, Key, Scope, is_local_name};

/// The header that may carry a key, besides `Authorization: Bearer …`.
static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// What a browser says about the page that a request comes from: `same-origin`, `same-site`, `cross-site` or `none`.
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a route needs to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing: probes, the description of the interface, and the page that introduces it.
    Open,
    /// A key with this scope, or with `admin`. `Publish` is included in `write`, and `Search` in `read`.
    Needs(Scope),
}

/// The parts of a request that decide about its admission.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) version: Version,
    pub(super) headers: &'r HeaderMap,
    /// The address that is connected.
    pub(super) connected: Option<IpAddr>,
}

/// The keys, and whether requests without one are admitted.
pub(super) struct AccessControl {
    keys: Vec<Arc<KnownKey>>,
    trusted_proxies: Vec<Network>,
    is_loopback: bool,
    /// People who have logged in to the console.
    pub(super) sessions: Sessions,
    /// How often they may try.
    pub(super) logins: LoginRates,
}

impl AccessControl {
    pub(super) fn new(settings: &HttpSettings, is_loopback: bool) -> Self {
        let now = Instant::now();
        let trusted_proxies = settings.trusted_proxies.iter().filter_map(|text| Network::parse(text)).collect();
        let keys = settings.keys.iter().enumerate();
        let keys = keys.map(|(number, key)| Arc::new(KnownKey::new(key, number, now))).collect();
        Self { keys, trusted_proxies, is_loopback, sessions: Sessions::new(), logins: LoginRates::new(now) }
    }

    /// Admits a request, or says why not.
    pub(super) fn admit(&self, access: Access, asked: Asked<'_>, now: Instant) -> Result<Caller, Problem> {
        let Access::Needs(scope) = access else { return Ok(Caller::default()) };
        let headers = asked.headers;
        if self.keys.is_empty() {
            return self.admit_without_keys(asked).map(|()| Caller::default());
        }
        let admit = |known: &Arc<KnownKey>| {
            let address = client_address(asked.connected, headers, &self.trusted_proxies);
            known.admit(scope, headers, address, now)?;
            Ok(Caller::new(Arc::clone(known), address))
        };
        if let Some(given) = given_key(headers) {
            let Some(known) = self.find(given) else {
                return Err(unauthorized(Code::UnknownKey, "the key is not among those of this server"));
            };
            return admit(known);
        }
        if let Some(known) = self.logged_in(asked, now) {
            let address = client_address(asked.connected, headers, &self.trusted_proxies);
            known.admit_session(scope, address, now)?;
            return Ok(Caller::new(Arc::clone(known), address));
        }
        let in_address = if scope == Scope::Publish { key_in_address(asked.uri) } else { None };
        let Some(given) = in_address else {
            let detail = "send a key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`";
            return Err(unauthorized(Code::KeyRequired, detail));
        };
        // Addresses end up in logs and histories, so that a secret must not be one. The answer is the same for a
        // secret key and an unknown one.
        match self.find(&given).filter(|known| known.key.is_public()) {
            Some(known) => admit(known),
            None => {
                let detail = "the key in the address is not among those with the scopes `publish` and `search` alone; send others as `X-Api-Key: KEY`";
                Err(unauthorized(Code::UnknownKey, detail))
            }
        }
    }

    /// The key of the person who is logged in to the console and makes this request. A browser adds the cookie to every
    /// request, so that it counts where nothing is changed, and in the console, whose forms prove that they are its own.
    fn logged_in(&self, asked: Asked<'_>, now: Instant) -> Option<&Arc<KnownKey>> {
        let is_covered = asked.method.is_safe() || is_of_console(asked.uri.path());
        let key = self.sessions.key(asked.headers, now).filter(|_| is_covered)?;
        self.keys.get(key)
    }

    /// Whether a key is needed to see anything.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The address of the client of a request, as far as it is known.
    pub(super) fn client_address(&self, connected: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        client_address(connected, headers, &self.trusted_proxies)
    }

    /// The number and the name of the key with this text, if its holder may look at the shop.
    pub(super) fn key_for_console(&self, given: &str) -> Result<(usize, &str), Problem> {
        let Some(known) = self.find(given.trim().as_bytes()) else {
            return Err(unauthorized(Code::UnknownKey, "the key is not among those of this server"));
        };
        if !known.opens(Scope::Read) {
            let detail = format!("the console needs a key with {}", admitting(Scope::Read));
            return Err(Problem::new(Code::MissingScope, detail).member("scope", Scope::Read.name()));
        }
        Ok((known.number, &known.key.name))
    }

    /// The name of the key that a request has, for the log; `None` if it has none that is known.
    pub(super) fn key_name(&self, uri: &Uri, headers: &HeaderMap) -> Option<&str> {
        let known = match given_key(headers) {
            Some(given) => self.find(given),
            None => match self.sessions.key(headers, Instant::now()) {
                Some(number) => self.keys.get(number),
                None => self.find(&key_in_address(uri)?),
            },
        };
        known.map(|known| &*known.key.name)
    }

    /// Every key is compared in full, so that the time does not depend on how close a guess is.
    fn find(&self, given: &[u8]) -> Option<&Arc<KnownKey>> {
        let mut found = None;
        for known in &self.keys {
            if equal_in_constant_time(known.key.key.as_bytes(), given) {
                found = Some(known);
            }
        }
        found
    }

    fn admit_without_keys(&self, Asked { version, headers, .. }: Asked<'_>) -> Result<(), Problem> {
        if !self.is_loopback {
            let detail = "this server has no keys and listens beyond this machine: give it keys (`[[http.keys]]`), or let it listen on 127.0.0.1";
            return Err(unauthorized(Code::KeyRequired, detail));
        }
        let forwarded = headers.keys().find(|name| is_of_a_proxy(name.as_str()));
        // The proxy_pass of nginx without further settings adds no header. It is the only usual client that speaks
        // HTTP/1.0 and closes each connection by a header.
        let closes =
            headers.get(header::CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let proxy = match forwarded {
            Some(name) => Some(format!("header `{name}`")),
            None => (version == Version::HTTP_10 && closes).then(|| "HTTP/1.0 with `connection: close`".to_owned()),
        };
        if let Some(proxy) = proxy {
            let detail = format!(
                "this server has no keys and the request came through a proxy ({proxy}): give it keys (`[[http.keys]]`)"
            );
            return Err(unauthorized(Code::KeyRequired, detail));
        }
        // A page of any site can make a browser on this machine send requests here, and by rebinding its own name to
        // 127.0.0.1 even read the answers. Such a page is recognised by another host in one of these two headers.
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        if host.is_some_and(|host| !is_local_authority(host)) {
            let detail = "without keys this server answers to localhost only: use http://localhost or http://127.0.0.1, or give it keys";
            return Err(Problem::new(Code::HostNotAllowed, detail));
        }
        let refused = || {
            Err(Problem::new(Code::OriginNotAllowed, "without keys, only pages of this machine may call this server"))
        };
        // An image, a link or a form of another site names no origin. Browsers say then whether it is another site, or
        // at least which page asks.
        match headers.get(header::ORIGIN).map(HeaderValue::as_bytes) {
            Some(origin) if is_local_origin(origin) => return Ok(()),
            Some(_) => return refused(),
            None => {}
        }
        if headers.get(&SEC_FETCH_SITE).is_some_and(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
            return refused();
        }
        match headers.get(header::REFERER).map(HeaderValue::as_bytes) {
            Some(page) if !page.is_empty() && !is_local_page(page) => refused(),
            _ => Ok(()),
        }
    }

    /// The origin of the calling page, if some key allows it: the value of `Access-Control-Allow-Origin`.
    pub(super) fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.keys.iter().any(|known| known.allows(origin)).then(|| origin.clone())
    }

    /// Whether answers depend on the origin of the calling page, which caches must know.
    pub(super) fn varies_by_origin(&self) -> bool {
        self.keys.iter().any(|known| !known.key.origins.is_empty())
    }

    /// The answer to a browser's preflight request.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
        let asks = method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed_origin(headers).is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, x-api-key, content-type, content-encoding, x-request-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Some(response)
    }
}

impl KnownKey {
    fn admit(&self, scope: Scope, headers: &HeaderMap, address: Option<IpAddr>, now: Instant) -> Result<(), Problem> {
        let Key { name, origins, .. } = &self.key;
        self.refuse_unless_open(scope)?;
        if let Some(origin) = headers.get(header::ORIGIN)
            && !origins.is_empty()
            && !self.allows(origin)
        {
            let detail = format!("the key {name:?} is not for pages of {}", String::from_utf8_lossy(origin.as_bytes()));
            return Err(Problem::new(Code::OriginNotAllowed, detail));
        }
        self.rates.enter(address, now).map_err(|wait_s| too_fast(&self.key, wait_s))
    }

    /// Admits a request of a person who logged in with this key. It comes from the server's own pages, which are of no
    /// origin that the key names.
    fn admit_session(&self, scope: Scope, address: Option<IpAddr>, now: Instant) -> Result<(), Problem> {
        self.refuse_unless_open(scope)?;
        self.rates.enter(address, now).map_err(|wait_s| too_fast(&self.key, wait_s))
    }

    fn refuse_unless_open(&self, scope: Scope) -> Result<(), Problem> {
        if self.opens(scope) {
            return Ok(());
        }
        let name = &self.key.name;
        let detail = format!("this needs a key with {}, which the key {name:?} does not have", admitting(scope));
        Err(Problem::new(Code::MissingScope, detail).member("scope", scope.name()))
    }

    /// Whether the key opens what needs this scope.
    pub(super) fn opens(&self, scope: Scope) -> bool {
        let scopes = &self.key.scopes;
        scopes.contains(&scope)
            || scopes.contains(&Scope::Admin)
            || (scope == Scope::Publish && scopes.contains(&Scope::Write))
            || (scope == Scope::Search && scopes.contains(&Scope::Read))
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.key
            .origins
            .iter()
            .any(|allowed| allowed == "*" || allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}

/// The scopes that open a route, for a message.
fn admitting(scope: Scope) -> &'static str {
    match scope {
        Scope::Publish => "the scope `write` (programs of the shop) or `publish` (pages that visitors see)",
        Scope::Search => "the scope `read` (programs of the shop) or `search` (pages that visitors see)",
        Scope::Read => "the scope `read` or `admin`",
        Scope::Write => "the scope `write` or `admin`",
        Scope::Admin => "the scope `admin`",
    }
}

fn unauthorized(code: Code, detail: impl Into<String>) -> Problem {
    Problem::new(code, detail).header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"accrue\""))
}

/// The key of a request.
fn given_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get(&X_API_KEY).map(|value| value.as_bytes().trim_ascii()))
}

/// The key in the address (`?key=…`): a browser's `sendBeacon` can send no header of its own.
fn key_in_address(uri: &Uri) -> Option<Vec<u8>> {
    let given = uri.query()?.split('&').find_map(|pair| pair.strip_prefix("key="))?;
    let mut key = Vec::with_capacity(given.len());
    let mut bytes = given.bytes();
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        key.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    Some(key)
}

/// Whether a header is one that proxies and the networks before a server add to requests.
fn is_of_a_proxy(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-host",
        "x-original-uri",
        "x-scheme",
        "true-client-ip",
        "cdn-loop",
        "x-cloud-trace-context",
        "client-ip",
    ];
    const PREFIXES: [&str; 6] = ["x-forwarded", "x-envoy-", "x-amzn-", "x-azure-", "cf-", "fastly-"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether two texts are equal, in a time that depends on their lengths alone.
fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let different = a.iter().zip(b).fold(0, |different, (a, b)| std::hint::black_box(different | (a ^ b)));
    std::hint::black_box(different) == 0
}

/// Whether `host[:port]` is this machine.
fn is_local_authority(authority: &[u8]) -> bool {
    let Ok(authority) = std::str::from_utf8(authority) else { return false };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    is_local_name(host)
}

/// Whether `http://host[:port]` is a page of this machine.
fn is_local_origin(origin: &[u8]) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(is_local_authority)
}

/// Whether the address of a page is one of this machine.
fn is_local_page(address: &[u8]) -> bool {
    let Some(scheme) = address.windows(3).position(|window| window == b"://") else { return false };
    let rest = &address[scheme + 3..];
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    is_local_origin(&address[..scheme + 3 + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn key(scopes: &[Scope], origins: &[&str], rate_limit_per_s: Option<f64>) -> Key {
        Key {
            name: "test".into(),
            key: SECRET.into(),
            scopes: scopes.iter().copied().collect(),
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            rate_limit_per_s,
            rate_limit_per_address_per_s: None,
            weight: None,
        }
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect()
    }

    fn access_control(keys: Vec<Key>, is_loopback: bool) -> AccessControl {
        AccessControl::new(&HttpSettings { keys, ..Default::default() }, is_loopback)
    }

    fn code(control: &AccessControl, needs: Scope, pairs: &[(&str, &str)]) -> Option<Code> {
        code_at(control, needs, "/v1/events", Version::HTTP_11, pairs)
    }

    fn code_at(
        control: &AccessControl,
        needs: Scope,
        uri: &str,
        version: Version,
        pairs: &[(&str, &str)],
    ) -> Option<Code> {
        let (uri, headers) = (uri.parse().unwrap(), headers(pairs));
        let asked = Asked { method: &Method::POST, uri: &uri, version, headers: &headers, connected: None };
        control.admit(Access::Needs(needs), asked, Instant::now()).err().map(|problem| problem.code())
    }

    #[test]
    fn only_a_published_key_may_stand_in_the_address() {
        let published = access_control(vec![key(&[Scope::Publish], &["https://shop.example"], None)], false);
        let at = |control: &AccessControl, scope, uri: &str, pairs: &[(&str, &str)]| {
            code_at(control, scope, uri, Version::HTTP_11, pairs)
        };
        let shop = [("origin", "https://shop.example")];
        assert_eq!(at(&published, Scope::Publish, "/v1/events?key=0123456789abcdef", &shop), None);
        assert_eq!(at(&published, Scope::Publish, "/v1/events?a=b&key=%30123456789abcde%66", &shop), None);
        let evil = [("origin", "https://evil.example")];
        let from_evil = at(&published, Scope::Publish, "/v1/events?key=0123456789abcdef", &evil);
        assert_eq!(from_evil, Some(Code::OriginNotAllowed));
        for (uri, expected) in [
            ("/v1/events?key=", Code::UnknownKey),
            ("/v1/events?key=0123456789abcdeF", Code::UnknownKey),
            ("/v1/events?key=%3", Code::KeyRequired),
            ("/v1/events?keys=0123456789abcdef", Code::KeyRequired),
            ("/v1/events", Code::KeyRequired),
        ] {
            assert_eq!(at(&published, Scope::Publish, uri, &shop), Some(expected), "{uri}");
        }
        for scopes in [&[Scope::Write][..], &[Scope::Publish, Scope::Read], &[Scope::Admin]] {
            let secret = access_control(vec![key(scopes, &[], None)], false);
            let code = at(&secret, Scope::Publish, "/v1/events?key=0123456789abcdef", &[]);
            assert_eq!(code, Some(Code::UnknownKey), "{scopes:?}");
            assert_eq!(
                at(&secret, Scope::Read, "/v1/trending?key=0123456789abcdef", &[]),
                Some(Code::KeyRequired),
                "an address opens nothing but sending events"
            );
        }
    }

    #[test]
    fn without_keys_other_sites_are_recognised_by_what_browsers_say() {
        let open = access_control(Vec::new(), true);
        let other_site = Some(Code::OriginNotAllowed);
        for (pairs, expected) in [
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")][..], other_site),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], other_site),
            (&[("referer", "https://evil.example/page")], other_site),
            (&[("referer", "https://evil.example/?http://localhost/")], other_site),
            (&[("referer", "http://localhost.evil.example/")], other_site),
            (&[("referer", "about:blank")], other_site),
            (&[("sec-fetch-site", "same-origin"), ("referer", "https://shop.example/cart")], other_site),
            (&[("sec-fetch-site", "none")], None),
            (&[("sec-fetch-site", "same-origin"), ("referer", "http://127.0.0.1:7171/")], None),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")], None),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:3000")], None),
            (&[("referer", "http://[::1]:3000/shop?page=1")], None),
        ] {
            assert_eq!(code(&open, Scope::Read, pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn without_keys_a_proxy_is_recognised_as_far_as_it_shows() {
        let open = access_control(Vec::new(), true);
        for name in ["via", "x-forwarded-host", "x-envoy-external-address", "x-amzn-trace-id", "cf-ray", "cdn-loop"] {
            assert_eq!(code(&open, Scope::Read, &[(name, "1")]), Some(Code::KeyRequired), "{name}");
        }
        // The default of nginx, and two programs of this machine.
        let with = |version, pairs: &[(&str, &str)]| code_at(&open, Scope::Read, "/v1/trending", version, pairs);
        let host = ("host", "127.0.0.1:7171");
        assert_eq!(with(Version::HTTP_10, &[host, ("connection", "close")]), Some(Code::KeyRequired));
        assert_eq!(with(Version::HTTP_10, &[host]), None);
        assert_eq!(with(Version::HTTP_11, &[host, ("connection", "close")]), None);
    }

    #[test]
    fn a_key_admits_to_the_routes_of_its_scopes() {
        let check = |scopes: &[Scope], opens: [bool; 5]| {
            let control = access_control(vec![key(scopes, &[], None)], true);
            let all = [Scope::Read, Scope::Write, Scope::Admin, Scope::Publish, Scope::Search];
            for (scope, open) in all.into_iter().zip(opens) {
                let expected = (!open).then_some(Code::MissingScope);
                assert_eq!(code(&control, scope, &[("x-api-key", SECRET)]), expected, "{scopes:?} for {scope:?}");
            }
        };
        check(&[Scope::Read], [true, false, false, false, true]);
        check(&[Scope::Write], [false, true, false, true, false]);
        check(&[Scope::Publish], [false, false, false, true, false]);
        check(&[Scope::Search], [false, false, false, false, true]);
        check(&[Scope::Admin], [true; 5]);
    }

    #[test]
    fn a_key_is_found_in_either_header_and_compared_whole() {
        let control = access_control(vec![key(&[Scope::Read], &[], None)], true);
        assert_eq!(code(&control, Scope::Read, &[]), Some(Code::KeyRequired));
        assert_eq!(code(&control, Scope::Read, &[("authorization", "bearer 0123456789abcdef")]), None);
        assert_eq!(
            code(&control, Scope::Read, &[("authorization", "Basic 0123456789abcdef")]),
            Some(Code::KeyRequired)
        );
        for wrong in ["0123456789abcdeF", "0123456789abcde", "0123456789abcdef0", ""] {
            assert_eq!(code(&control, Scope::Read, &[("x-api-key", wrong)]), Some(Code::UnknownKey), "{wrong:?}");
        }
    }

    #[test]
    fn without_keys_only_this_machine_is_admitted() {
        let open = access_control(Vec::new(), true);
        assert_eq!(code(&open, Scope::Admin, &[]), None);
        assert_eq!(code(&open, Scope::Admin, &[("host", "127.0.0.1:7171"), ("origin", "http://localhost:3000")]), None);
        assert_eq!(code(&open, Scope::Read, &[("host", "[::1]:7171")]), None);
        for header in ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"] {
            assert_eq!(code(&open, Scope::Read, &[(header, "1.2.3.4")]), Some(Code::KeyRequired), "{header}");
        }
        assert_eq!(code(&open, Scope::Read, &[("host", "shop.example:7171")]), Some(Code::HostNotAllowed));
        for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
            assert_eq!(code(&open, Scope::Read, &[("origin", origin)]), Some(Code::OriginNotAllowed), "{origin}");
        }
        assert_eq!(code(&access_control(Vec::new(), false), Scope::Read, &[]), Some(Code::KeyRequired));
    }

    #[test]
    fn a_page_needs_an_allowed_origin() {
        let control = access_control(vec![key(&[Scope::Publish], &["https://shop.example"], None)], false);
        let with = |origin| [("x-api-key", SECRET), ("origin", origin)];
        assert_eq!(code(&control, Scope::Publish, &with("https://shop.example")), None);
        assert_eq!(code(&control, Scope::Publish, &with("https://evil.example")), Some(Code::OriginNotAllowed));
        assert_eq!(control.allowed_origin(&headers(&with("https://shop.example"))).unwrap(), "https://shop.example");
        assert_eq!(control.allowed_origin(&headers(&with("https://evil.example"))), None);
    }
}
