//! What an operator asks over HTTP: the quarantine, probes, metrics, the description of the interface.

use accrue_http::HttpSettings;
use serde_json::json;

use crate::shop::Shop;

#[test]
fn refused_records_are_listed_in_pages_and_released_or_dropped() {
    let shop = Shop::open(HttpSettings::default());
    let bad = |n: usize| json!({"type": "view", "item": format!("sku-{n}"), "at": "2026-11-21T10:00:00Z"});
    shop.post("/v1/events", &json!([bad(1), bad(2), bad(3), {"type": "view", "user": "u"}]))
        .problem(422, "record_refused");
    let first = shop.get("/v1/quarantine?limit=2&reason=no_shopper").json();
    assert_eq!(first["records"].as_array().unwrap().len(), 2);
    assert_eq!(first["records"][0]["reason"], "no_shopper");
    let next = first["next"].as_u64().unwrap();
    let last = shop.get(&format!("/v1/quarantine?limit=2&reason=no_shopper&from={next}")).json();
    assert_eq!(last["records"].as_array().unwrap().len(), 1);
    assert!(last.get("next").is_none());
    let offset = first["records"][0]["offset"].as_u64().unwrap();
    let released = shop.post("/v1/quarantine", &json!({"action": "release", "offsets": [offset]})).json();
    assert_eq!(released["quarantined"][0]["reason"], "no_shopper", "the rules have not changed");
    let dropped = shop.post("/v1/quarantine", &json!({"action": "drop", "offsets": [offset]})).json();
    assert_eq!(dropped, json!({"dropped": 1}));
    assert_eq!(shop.get("/v1/quarantine").json()["records"].as_array().unwrap().len(), 3);
    shop.post("/v1/quarantine", &json!({"action": "burn", "offsets": []})).problem(400, "invalid_body");
    shop.post("/v1/quarantine", &json!({"action": "drop", "offsets": [999_999]})).problem(404, "record_not_found");
    shop.get("/v1/quarantine?limit=0").problem(400, "invalid_value");
}

#[test]
fn probes_quality_and_metrics_have_current_figures() {
    let shop = Shop::furnished();
    assert_eq!(shop.get("/healthz").json()["status"], "ok");
    let ready = shop.get("/readyz").json();
    assert_eq!(ready["status"], "ready");
    assert!(ready["log_end"].as_u64().unwrap() >= 6, "{ready}");
    let quality = shop.get("/v1/quality").json();
    assert!(quality["all"]["samples"].is_u64() && quality["recent_hit_rate"].is_number(), "{quality}");
    shop.get("/v1/none");
    let metrics = shop.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let page = metrics.text();
    for line in [
        r#"accrue_http_requests_total{method="POST",route="/v1/events",status="200"} 1"#,
        r#"accrue_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        "# TYPE accrue_http_request_duration_seconds histogram",
        "accrue_items 3",
        "accrue_writer_poisoned 0",
        r#"accrue_part_failed{part="writer"} 0"#,
    ] {
        assert!(page.lines().any(|other| other == line), "{line}\nis missing in\n{page}");
    }
}

#[test]
fn the_interface_describes_itself() {
    let openapi = Shop::open(HttpSettings::default()).get("/openapi.json").json();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3."));
    let paths = openapi["paths"].as_object().unwrap();
    for path in ["/v1/events", "/v1/items/{id}", "/v1/recommend/{user}", "/v1/search", "/v1/quarantine", "/metrics"] {
        assert!(paths.contains_key(path), "{path}");
    }
    // Every reference has a target.
    let text = openapi.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(openapi.pointer(reference).is_some(), "{reference}");
    }
    assert_eq!(openapi["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[test]
fn a_page_introduces_the_server_and_loads_nothing_from_elsewhere() {
    for shop in [Shop::open(HttpSettings::default()), Shop::with_keys()] {
        let page = shop.get("/");
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert!(page.text().contains("<title>Accrue</title>") && page.body.len() < 10_000);
        for outside in ["http://", "https://", "src=", "@import", "innerHTML"] {
            assert!(!page.text().contains(outside), "{outside}");
        }
    }
}
