//! What proxies say of a request: which host a browser asked for, and whether it did so over TLS.

use axum::http::{HeaderMap, header};

/// The elements of a header whose values are lists, in order: the proxy next to the browser comes first.
fn elements<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The value of a parameter in each element of `Forwarded` (RFC 7239).
fn parameters<'h>(headers: &'h HeaderMap, name: &'h str) -> impl Iterator<Item = &'h str> {
    let pairs = elements(headers, "forwarded").flat_map(|element| element.split(';'));
    let pairs = pairs.filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(move |(known, _)| known.trim().eq_ignore_ascii_case(name));
    values.map(|(_, value)| value.trim().trim_matches('"'))
}

/// The hosts that proxies were asked for, as they name them, and with the port where they name it apart.
pub(super) fn hosts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let ports: Vec<&str> = elements(headers, "x-forwarded-port").collect();
    let named = elements(headers, "x-forwarded-host").chain(parameters(headers, "host"));
    named.flat_map(move |host| {
        let with_ports: Vec<String> = ports.iter().map(|port| format!("{host}:{port}")).collect();
        std::iter::once(host.to_owned()).chain(with_ports)
    })
}

/// Whether the browser used TLS: as it says of the page that sent a form, or as the first proxy says.
pub(super) fn is_over_tls(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let says = |proto: Option<&str>| proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
    origin || says(elements(headers, "x-forwarded-proto").next()) || says(parameters(headers, "proto").next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_told_by_the_browser_and_by_the_first_proxy() {
        for (name, value, expected) in [
            ("origin", "https://shop.example", true),
            ("origin", "http://shop.example", false),
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "HTTPS, http", true),
            ("x-forwarded-proto", "http, https", false),
            ("forwarded", "for=1.1.1.1;proto=https, for=10.0.0.1;proto=http", true),
            ("forwarded", "for=1.1.1.1;proto=http", false),
            ("accept", "https", false),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(is_over_tls(&headers), expected, "{name}: {value}");
        }
    }
}
