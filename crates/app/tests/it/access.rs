//! Who may ask what over HTTP: addresses, keys, origins, and what browsers send.

use std::io::Write as _;

use accrue_http::{HttpSettings, Key, Scope};
use serde_json::{Value, json};

use crate::shop::{ADMIN_KEY, Answer, READ_KEY, SHOP_ORIGIN, Shop, WEB_KEY, WRITE_KEY};

#[test]
fn wrong_addresses_and_methods_are_problems() {
    let shop = Shop::open(HttpSettings::default());
    shop.get("/v1/nothing").problem(404, "not_found");
    let answer = shop.send("PUT", "/v1/events", &[], b"");
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(shop.send("HEAD", "/healthz", &[], b"").status, 200);
}

#[test]
fn request_ids_are_echoed_if_they_are_safe_to_log() {
    let shop = Shop::open(HttpSettings::default());
    let with = |id: &str| shop.send("GET", "/healthz", &[("x-request-id", id)], b"");
    assert_eq!(with("order-77:a/b").header("x-request-id"), Some("order-77:a/b"));
    let long = "x".repeat(129);
    let ids: Vec<_> =
        ["a b", "", "<script>", &long].iter().map(|id| with(id).header("x-request-id").map(str::to_owned)).collect();
    assert!(ids.iter().all(|id| id.as_ref().is_some_and(|id| !id.contains(['<', ' ']) && id.len() < 40)), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn keys_permit_the_routes_of_their_scopes() {
    let shop = Shop::with_keys();
    let event = json!({"id": "k", "type": "view", "user": "u1", "item": "sku-9"}).to_string();
    let call = |key: &str, method: &str, path: &str| {
        let bearer = format!("Bearer {key}");
        let body = if method == "POST" { event.as_bytes() } else { b"" };
        shop.send(method, path, &[("authorization", &bearer)], body).status
    };
    for (key, events, recommend, delete, quarantine) in [
        (READ_KEY, 403, 200, 403, 403),
        (WRITE_KEY, 200, 403, 404, 403),
        (ADMIN_KEY, 200, 200, 404, 200),
        (WEB_KEY, 200, 403, 403, 403),
        ("unknown-key-0123456789", 401, 401, 401, 401),
    ] {
        assert_eq!(call(key, "POST", "/v1/events"), events, "{key}");
        assert_eq!(call(key, "GET", "/v1/recommend/u1"), recommend, "{key}");
        assert_eq!(call(key, "DELETE", "/v1/items/none"), delete, "{key}");
        assert_eq!(call(key, "GET", "/v1/quarantine"), quarantine, "{key}");
    }
    let without = shop.get("/v1/recommend/u1");
    without.problem(401, "key_required");
    assert_eq!(without.header("www-authenticate"), Some("Bearer realm=\"accrue\""));
    assert_eq!(shop.send("GET", "/metrics", &[("x-api-key", READ_KEY)], b"").status, 200);
    assert_eq!(shop.get("/healthz").status, 200);
    // Behind a proxy keys work in the same way.
    let forwarded = [("x-forwarded-for", "1.2.3.4"), ("x-api-key", READ_KEY)];
    assert_eq!(shop.send("GET", "/v1/trending", &forwarded, b"").status, 200);
}

#[test]
fn without_keys_proxies_and_pages_of_other_sites_are_refused() {
    let shop = Shop::open(HttpSettings::default());
    let with = |name: &str, value: &str| shop.send("GET", "/v1/trending", &[(name, value)], b"");
    assert_eq!(shop.get("/v1/trending").status, 200);
    for (name, value) in [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-host", "shop")] {
        with(name, value).problem(401, "key_required");
    }
    with("origin", "https://evil.example").problem(403, "origin_not_allowed");
    assert_eq!(with("origin", "http://localhost:5173").status, 200);
    let mut stream = shop.connect();
    stream.write_all(b"GET /v1/trending HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").unwrap();
    Answer::read(&mut stream).problem(403, "host_not_allowed");
}

#[test]
fn pages_of_allowed_origins_may_send_events() {
    let shop = Shop::with_keys();
    let ask = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        shop.send("OPTIONS", "/v1/events", &headers, b"")
    };
    let allowed = ask(SHOP_ORIGIN);
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some(SHOP_ORIGIN));
    assert!(allowed.header("access-control-allow-headers").unwrap().contains("x-api-key"));
    assert_eq!(allowed.header("vary"), Some("origin"));
    assert_eq!(ask("https://evil.example").header("access-control-allow-origin"), None);

    let event = json!({"id": "o", "type": "view", "session": "s1", "item": "sku-9", "at": "2026-11-21T10:00:00Z"});
    let event = event.to_string();
    let send = |origin: &str| {
        let headers = [("origin", origin), ("x-api-key", WEB_KEY)];
        shop.send("POST", "/v1/events", &headers, event.as_bytes())
    };
    send("https://evil.example").problem(403, "origin_not_allowed");
    let taken = send(SHOP_ORIGIN);
    assert_eq!(taken.json()["accepted"], 1);
    assert_eq!(taken.header("access-control-allow-origin"), Some(SHOP_ORIGIN));
    // The key's rate allows a burst of one. A page can read why it is refused.
    let limited = send(SHOP_ORIGIN);
    limited.problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), Some("1000"));
    assert_eq!(limited.header("access-control-allow-origin"), Some(SHOP_ORIGIN));
}

#[test]
fn a_beacon_of_a_browser_delivers_events() {
    let mut settings = HttpSettings::default();
    let published = |name: &str, key: &str, scopes: &[Scope]| Key {
        name: name.into(),
        key: key.into(),
        scopes: scopes.iter().copied().collect(),
        origins: vec![SHOP_ORIGIN.into()],
        rate_limit_per_s: None,
        rate_limit_per_address_per_s: None,
        weight: None,
    };
    settings.keys = vec![published("web", WEB_KEY, &[Scope::Publish]), published("own", WRITE_KEY, &[Scope::Write])];
    let shop = Shop::open(settings);
    let headers = [("origin", SHOP_ORIGIN), ("content-type", "text/plain;charset=UTF-8")];
    let view =
        |id: &str| json!({"id": id, "type": "view", "session": "s1", "item": "i1", "at": "2026-11-21T10:00:00Z"});
    let array = json!([view("b1"), view("b2")]).to_string();
    let sent = shop.send("POST", &format!("/v1/events?key={WEB_KEY}"), &headers, array.as_bytes());
    assert_eq!(sent.json()["accepted"], 2);
    assert_eq!(sent.header("access-control-allow-origin"), Some(SHOP_ORIGIN));
    let lines = format!("{}\n{}\n", view("b3"), view("b4"));
    let sent = shop.send("POST", &format!("/v1/events?key={WEB_KEY}"), &headers, lines.as_bytes());
    assert_eq!(sent.json()["accepted"], 2);
    let secret = shop.send("POST", &format!("/v1/events?key={WRITE_KEY}"), &headers, array.as_bytes());
    secret.problem(401, "unknown_key");
    assert!(!secret.text().contains(WRITE_KEY));
    shop.send("GET", &format!("/v1/trending?key={WEB_KEY}"), &[], b"").problem(401, "key_required");
    let with_header = [headers[1], ("x-api-key", WRITE_KEY)];
    shop.send("POST", "/v1/items", &with_header, b"[]").problem(415, "unsupported_media_type");
}

/// The script for browsers, run by `node` in a page of stubs; without `node` its size alone is tested.
#[test]
fn the_script_for_browsers_sends_events_that_the_server_takes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/browser");
    assert!(std::fs::read(folder.join("accrue.js")).unwrap().len() <= 1024);
    let key = Key {
        name: "web".into(),
        key: WEB_KEY.into(),
        scopes: [Scope::Publish].into(),
        origins: vec![SHOP_ORIGIN.into()],
        rate_limit_per_s: None,
        rate_limit_per_address_per_s: None,
        weight: None,
    };
    let shop = Shop::open(HttpSettings { keys: vec![key], ..Default::default() });
    let url = format!("http://{}/v1/events?key={WEB_KEY}", shop.address);
    let Ok(ran) = std::process::Command::new("node").arg(folder.join("test.js")).arg(url).output() else { return };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let beacon: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let path = beacon["address"].as_str().unwrap().split_once("/v1").unwrap().1;
    let body = beacon["body"].as_str().unwrap();
    let events: Value = serde_json::from_str(body).unwrap();
    let types: Vec<_> = events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["view", "impression", "click", "cart"]);
    assert_eq!((&events[2]["recommendation_id"], &events[2]["position"]), (&json!("67408f1ab3c2-1f"), &json!(2)));
    let headers = [("origin", SHOP_ORIGIN), ("content-type", "text/plain;charset=UTF-8")];
    let outcome = shop.send("POST", &format!("/v1{path}"), &headers, body.as_bytes()).json();
    // Without `at` they count as repaired.
    assert_eq!(outcome["repaired"], 4, "{outcome}");
}

#[test]
fn invalid_settings_are_refused_at_the_start() {
    let mut shop = Shop::open(HttpSettings { max_events: 0, ..Default::default() });
    assert!(shop.stop().unwrap_err().to_string().contains("max_events"));
}
