//! The HTTP interface from outside: events, items, users, merges, and searches.

use std::io::Write as _;
use std::time::{Duration, Instant};

use accrue_http::HttpSettings;
use serde_json::{Value, json};

use crate::shop::{Shop, wait_until};

#[test]
fn events_are_accepted_in_every_form() {
    let shop = Shop::open(HttpSettings::default());
    let event = |id: &str| {
        json!({"id": id, "type": "view", "user": "u1", "item": "sku-9", "at": "2026-11-21T10:00:00Z"}).to_string()
    };
    let (a, b, c) = (event("a"), event("b"), event("c"));
    let check = |headers: &[(&str, &str)], body: &str, accepted: u64, duplicates: u64| {
        let answer = shop.send("POST", "/v1/events", headers, body.as_bytes()).json();
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(accepted), &json!(duplicates)), "{body}");
        assert_eq!(answer["quarantined"], json!([]), "{body}");
        answer["offset"].as_u64().unwrap()
    };
    let first = check(&[("content-type", "application/json")], &format!("[{a},{b}]"), 2, 0);
    assert!(first >= 2);
    check(&[], &c, 1, 0);
    check(&[("content-type", "application/x-ndjson")], &format!("{a}\n{b}\r\n\n{}\n", event("d")), 1, 2);
    check(&[("content-type", "application/json; charset=utf-8")], &format!("{}\n{}\n", event("e"), event("f")), 2, 0);
    check(&[], "[]", 0, 0);
}

#[test]
fn compressed_bodies_are_read() {
    let shop = Shop::open(HttpSettings::default());
    let body = r#"[{"id":"z","type":"view","user":"u1","item":"sku-9","at":"2026-11-21T10:00:00Z"}]"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let answer = shop.send("POST", "/v1/events", &[("content-encoding", "gzip")], &gzip).json();
    assert_eq!(answer["accepted"], 1);
    let zstd = zstd::encode_all(body.as_bytes(), 3).unwrap();
    let answer = shop.send("POST", "/v1/events", &[("content-encoding", "zstd")], &zstd).json();
    assert_eq!(answer["duplicates"], 1);
    shop.send("POST", "/v1/events", &[("content-encoding", "gzip")], body.as_bytes()).problem(400, "broken_encoding");
    let answer = shop.send("POST", "/v1/events", &[("content-encoding", "br")], body.as_bytes());
    answer.problem(415, "unsupported_encoding");
    assert_eq!(answer.header("accept-encoding"), Some("gzip, zstd"));
}

#[test]
fn the_limit_of_a_body_counts_decompressed_bytes() {
    let shop = Shop::open(HttpSettings { body_limit_bytes: 100_000, ..Default::default() });
    let spaces = vec![b' '; 1_000_000];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&spaces).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(gzip.len() < 10_000);
    let zstd = zstd::encode_all(&spaces[..], 19).unwrap();
    for (encoding, body) in [("gzip", &gzip), ("zstd", &zstd), ("identity", &spaces)] {
        let answer = shop.send("POST", "/v1/events", &[("content-encoding", encoding)], body);
        assert_eq!(answer.problem(413, "body_too_large")["limit_bytes"], 100_000, "{encoding}");
    }
    let fits = format!("[{}]", " ".repeat(90_000));
    assert_eq!(shop.send("POST", "/v1/events", &[], fits.as_bytes()).json()["accepted"], 0);
}

#[test]
fn a_broken_line_is_quarantined_and_the_rest_is_accepted() {
    let shop = Shop::open(HttpSettings::default());
    let body = concat!(
        r#"{"id":"a","type":"view","user":"u1","item":"sku-9","at":"2026-11-21T10:00:00Z"}"#,
        "\n",
        r#"{"id":"b","type":"vi"#,
        "\n",
        r#"{"id":"c","type":"view","item":"sku-9","at":"2026-11-21T10:00:00Z"}"#,
        "\n",
        r#"{"id":"d","type":"view","user":"u1","item":"sku-9","at":"2026-11-21T10:00:00Z"}"#,
    );
    let answer = shop.send("POST", "/v1/events", &[("content-type", "application/x-ndjson")], body.as_bytes()).json();
    assert_eq!(answer["accepted"], 2);
    let refused = answer["quarantined"].as_array().unwrap();
    let reasons: Vec<_> = refused.iter().map(|refused| (&refused["index"], refused["reason"].as_str())).collect();
    assert_eq!(reasons, [(&json!(1), Some("malformed")), (&json!(2), Some("no_shopper"))]);
    assert!(refused[0]["detail"].as_str().unwrap().starts_with("line 2, column"), "{refused:?}");
    // The text itself can be listed, also by its reason.
    let listed = shop.get("/v1/quarantine").json();
    assert_eq!(listed["records"].as_array().unwrap().len(), 2);
    assert!(listed["records"][0]["raw"].as_str().unwrap().contains(r#""type":"vi"#), "{listed}");
    let by_reason = shop.get("/v1/quarantine?reason=malformed").json();
    assert_eq!(by_reason["records"].as_array().unwrap().len(), 1);
    // No rule can make it readable, so a release leaves it in quarantine.
    let released =
        shop.post("/v1/quarantine", &json!({"action": "release", "offsets": [by_reason["records"][0]["offset"]]}));
    let released = released.json();
    assert_eq!(
        (&released["accepted"], released["quarantined"].as_array().unwrap().len()),
        (&json!(0), 1),
        "{released}"
    );
}

#[test]
fn a_refused_record_is_in_quarantine_once_if_sent_again() {
    let shop = Shop::open(HttpSettings::default());
    let lines = [("content-type", "application/x-ndjson")];
    // Two equal lines are two records; a corrected event may be accepted under the id that was refused.
    let batch = "{\"id\":\n{\"id\":\n{\"id\":\"a\",\"type\":\"view\",\"item\":\"i\"}\n{\"type\":\"view\",\"item\":\"i\"}\n{\"type\":\"view\",\"item\":\"i\"}\n";
    let send = || shop.send("POST", "/v1/events", &lines, batch.as_bytes()).problem(422, "record_refused");
    let first = send();
    assert_eq!((&first["duplicates"], first["quarantined"].as_array().unwrap().len()), (&json!(0), 5), "{first}");
    let again = send();
    assert_eq!((&again["duplicates"], &again["quarantined"]), (&json!(5), &json!([])), "{again}");
    assert_eq!(shop.engine.status().n_quarantined, 5);
    let corrected = json!([{"id": "a", "type": "view", "item": "i", "user": "u", "at": "2026-11-21T10:00:00Z"}]);
    assert_eq!(shop.post("/v1/events", &corrected).json()["accepted"], 1);

    // A dropped record stays dropped, and a single record is reported each time.
    let offsets: Vec<_> =
        shop.get("/v1/quarantine").json()["records"].as_array().unwrap().iter().map(|r| r["offset"].clone()).collect();
    shop.post("/v1/quarantine", &json!({"action": "drop", "offsets": offsets})).json();
    // The event whose id was taken in since is known; the other records were refused before.
    assert_eq!(shop.send("POST", "/v1/events", &lines, batch.as_bytes()).json()["duplicates"], 5);
    assert_eq!(shop.engine.status().n_quarantined, 0);
    for _ in 0..2 {
        let refused = shop.json("PUT", "/v1/items/x", &json!({"price": "dear"})).problem(422, "record_refused");
        assert_eq!(refused["reason"], "item_bad_price");
    }
    assert_eq!(shop.engine.status().n_quarantined, 1);
}

#[test]
fn descriptions_of_users_and_changes_of_items_pass_the_check() {
    let shop = Shop::furnished();
    let untidy = json!({"attributes": {"city": "  Zu\u{308}rich\u{0} "}});
    assert_eq!(shop.json("PUT", "/v1/users/u1", &untidy).status, 204);
    assert_eq!(shop.get("/v1/users/u1").json()["attributes"], json!({"city": "Zürich"}));
    let long = format!("/v1/users/{}", "x".repeat(1000));
    let refused = shop.json("PUT", &long, &json!({})).problem(422, "record_refused");
    assert_eq!(refused["reason"], "user_id_too_long");

    let change = json!({"title": " Ro\u{301}sa\u{7} mug ", "tags": [" gift ", ""], "attributes": {"size": " L "}});
    let patched = shop.json("PATCH", "/v1/items/mug-1", &change).json();
    assert_eq!((&patched["title"], &patched["tags"]), (&json!("Rósa mug"), &json!(["gift"])));
    assert_eq!((&patched["attributes"], &patched["price"]), (&json!({"size": "L"}), &json!(9.9)));
    let blank = shop.json("PATCH", "/v1/items/mug-1", &json!({"title": " "})).json();
    assert_eq!(blank["title"], "Rósa mug", "a blank text changes nothing, as in a batch");
}

#[test]
fn an_unreadable_body_is_refused_with_the_place() {
    let shop = Shop::open(HttpSettings { max_events: 2, ..Default::default() });
    let post = |body: &str| shop.send("POST", "/v1/events", &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(post(r#"[{"id":"a"},{"id" 7]"#).problem(400, "malformed_json")["position"], 18);
    post("").problem(400, "malformed_json");
    post("7").problem(400, "malformed_json");
    assert_eq!(post("[{},{},{}]").problem(413, "too_many_records")["limit"], 2);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    shop.send("POST", "/v1/events", &form, b"a=b").problem(415, "unsupported_media_type");
    let elements = post(r#"[7,{"type":"view","user":"u","item":"i"}]"#).json();
    assert_eq!(elements["quarantined"][0]["reason"], "malformed");
}

#[test]
fn a_batch_of_which_nothing_is_taken_is_a_problem_with_the_reasons() {
    let shop = Shop::open(HttpSettings::default());
    let wrong = json!([{"event_type": "view", "user_id": "u", "item_id": "i"}, {"type": "view", "user": "u"}]);
    for (new, before) in [(2, 0), (0, 2)] {
        let problem = shop.post("/v1/events", &wrong).problem(422, "record_refused");
        let n = |member: &str| problem[member].as_array().unwrap().len();
        assert_eq!((n("quarantined"), n("refused_before")), (new, before), "{problem}");
        assert_eq!(problem["reason"], "no_type");
    }
    let one_good = json!([{"event_type": "view"}, {"type": "view", "user": "u", "item": "i"}]);
    assert_eq!(shop.post("/v1/events", &one_good).json()["repaired"], 1);
    let problem = shop.post("/v1/items", &json!([{"title": "Mug"}])).problem(422, "record_refused");
    assert_eq!(problem["quarantined"][0]["reason"], "item_no_id");
}

#[test]
fn equal_events_without_a_time_are_one_each_time_they_arrive() {
    let shop = Shop::open(HttpSettings::default());
    let view = json!([{"type": "view", "user": "u", "item": "i"}]);
    for _ in 0..3 {
        assert_eq!(shop.post("/v1/events", &view).json()["repaired"], 1);
    }
    let twice = json!([{"type": "view", "user": "u", "item": "i"}, {"type": "view", "user": "u", "item": "i"}]);
    assert_eq!(shop.post("/v1/events", &twice).json()["repaired"], 2);
    // What says which event it is makes sending it again safe.
    for known in [
        json!([{"id": "e1", "type": "view", "user": "u", "item": "i"}]),
        json!([{"type": "view", "user": "u", "item": "i", "at": "2026-11-20T10:00:00Z"}]),
    ] {
        shop.post("/v1/events", &known).json();
        assert_eq!(shop.post("/v1/events", &known).json()["duplicates"], 1, "{known}");
    }
}

#[test]
fn an_event_that_is_a_month_newer_than_all_others_is_told() {
    let shop = Shop::open(HttpSettings::default());
    let view = |at: &str| json!([{"type": "view", "user": "u", "item": "i", "at": at}]);
    for at in ["2024-12-01T10:00:00Z", "2024-12-20T10:00:00Z", "2024-12-02T10:00:00Z"] {
        assert!(shop.post("/v1/events", &view(at)).json().get("warnings").is_none(), "{at}");
    }
    let live = json!([{"type": "view", "user": "u", "item": "i", "buchungsdatum": "2024-12-21 10:00:00"}]);
    let answer = shop.post("/v1/events", &live).json();
    let warning = answer["warnings"][0].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(warning.contains("(2024-12-20T10:00:00Z)") && warning.contains("without a time (`at`)"), "{warning}");
    assert_eq!(answer["misspelt"], json!([{"name": "buchungsdatum", "near": "at", "records": 1}]));
    let again = json!([{"type": "view", "user": "u", "item": "i", "place": {"x": 1}}]);
    let answer = shop.post("/v1/events", &again).json();
    assert!(answer.get("warnings").is_none(), "the shop is of today now: {answer}");
    assert_eq!(answer["dropped"], json!({"place": 1}));
}

#[test]
fn a_batch_that_is_sent_again_is_known_whatever_its_rate() {
    let shop = Shop::open(HttpSettings::default());
    let views: Vec<_> = (0..600)
        .map(|k| json!({"id": format!("r{k}"), "type": "view", "user": "u", "item": "i", "at": "2026-11-20T10:00:00Z"}))
        .collect();
    assert_eq!(shop.post("/v1/events", &json!(views)).json()["accepted"], 600);
    let again = shop.post("/v1/events", &json!(views)).json();
    assert_eq!((&again["duplicates"], &again["quarantined"]), (&json!(600), &json!([])));
    let new = json!([{"id": "new", "type": "view", "user": "u", "item": "i", "at": "2026-11-20T10:00:00Z"}]);
    assert_eq!(shop.post("/v1/events", &new).problem(422, "record_refused")["reason"], "bot_rate");
}

#[test]
fn ids_that_are_numbers_or_decomposed_name_the_same_in_requests_as_in_records() {
    let shop = Shop::open(HttpSettings::default());
    let at = 1_770_000_000_000_u64;
    let items =
        json!([{"id": 17, "title": "Mug"}, {"id": "Ka\u{308}se", "title": "Cheese"}, {"id": "tea", "title": "Tea"}]);
    assert_eq!(shop.post("/v1/items", &items).status, 200);
    shop.post("/v1/events", &json!([{"type": "view", "user": 5, "item": 17, "at": at}])).json();
    let ids = |page: Value| -> Vec<String> {
        let listed = if page["hits"].is_array() { &page["hits"] } else { &page["items"] };
        listed.as_array().unwrap_or_else(|| panic!("{page}")).iter().map(|item| item["id"].to_string()).collect()
    };
    let page = ids(shop.post("/v1/recommend", &json!({"user": 5, "items": [17], "exclude": ["Ka\u{308}se"]})).json());
    assert_eq!(page, ["\"tea\""], "17 is the page's own item");
    let found = || ids(shop.post("/v1/search", &json!({"query": "mug", "user": 5})).json());
    wait_until("the item is found", || found() == ["\"17\""]);
    let predicted = shop.post("/v1/predict", &json!({"user": 5, "items": [17, "tea"]}));
    assert_eq!(predicted.status, 200);
    let rules = json!({"rules": [{"name": "hidden", "action": "hide", "items": [" Ka\u{308}se ", "17"]}]});
    let put = shop.send("PUT", "/v1/rules", &[("content-type", "application/json")], rules.to_string().as_bytes());
    assert_eq!((put.status, put.json()["missing"].as_array().is_none_or(Vec::is_empty)), (200, true), "{}", put.json());
    assert_eq!(ids(shop.post("/v1/recommend", &json!({"user": 5})).json()), ["\"tea\""]);
    let refused = shop.post("/v1/recommend", &json!({"user": true}));
    assert!(refused.problem(400, "invalid_body")["detail"].to_string().contains("must be a text"));
}

#[test]
fn requests_name_ids_as_records_do() {
    let shop = Shop::open(HttpSettings::default());
    let at = "2026-11-20T10:00:00Z";
    shop.post("/v1/events", &json!([{"type": "view", "user": "Zoe\u{308}", "item": " cafe\u{301} ", "at": at}])).json();
    shop.engine.wait_until_learned();
    for user in ["Zoë", "Zoe\u{308}", " Zoë ", "\u{feff}Zoë"] {
        let page = shop.post("/v1/recommend", &json!({"user": user, "n": 1})).json();
        assert!(!page["degraded"].to_string().contains("cold_user"), "{user:?}: {page}");
    }
    let path = "/v1/items/%20cafe%CC%81";
    let answer = shop.json("PUT", path, &json!({"id": "café", "title": "Cup"}));
    assert_eq!(answer.json()["accepted"], 1);
    assert_eq!(shop.get(path).json()["id"], "café");
    shop.json("POST", "/v1/users/undefined/merge", &json!({"session": "s1"})).problem(400, "invalid_path");
}

#[test]
fn items_are_described_changed_and_retired() {
    let shop = Shop::furnished();
    let item = shop.get("/v1/items/mug-1").json();
    assert_eq!((&item["title"], &item["price"]), (&json!("Red mug"), &json!(9.9)));
    let patched = shop.json("PATCH", "/v1/items/mug-1", &json!({"price": 8.5, "attributes": {"colour": "red"}})).json();
    assert_eq!((&patched["price"], &patched["title"]), (&json!(8.5), &json!("Red mug")));
    assert_eq!(shop.get("/v1/items/mug-1").json()["attributes"], json!({"colour": "red"}));

    assert_eq!(shop.json("PUT", "/v1/items/a%2Fb", &json!({"title": "Slash"})).json()["accepted"], 1);
    assert_eq!(shop.get("/v1/items/a%2Fb").json()["id"], "a/b");
    let refused = shop.json("PUT", "/v1/items/x", &json!({"price": "dear"})).problem(422, "record_refused");
    assert_eq!(refused["reason"], "item_bad_price");
    shop.json("PUT", "/v1/items/x", &json!({"id": "y"})).problem(400, "invalid_value");

    assert_eq!(shop.send("DELETE", "/v1/items/mug-1", &[], b"").status, 204);
    for (method, path) in [("GET", "/v1/items/none"), ("DELETE", "/v1/items/none"), ("GET", "/v1/items/none/similar")] {
        shop.send(method, path, &[], b"").problem(404, "item_not_found");
    }
    let unknown = shop.json("PATCH", "/v1/items/absent", &json!({"stock": 1})).problem(404, "item_not_found");
    assert_eq!(unknown["reason"], "item_not_in_catalogue");
    shop.json("PATCH", "/v1/items/mug-2", &json!({"id": "mug-1", "stock": 1})).problem(400, "invalid_value");
    shop.json("PATCH", "/v1/items/mug-2", &json!([])).problem(400, "invalid_value");
    let two = json!([{"stock": 1}, {"stock": 2}]);
    shop.json("PATCH", "/v1/items/mug-2", &two).problem(413, "too_many_records");
    let cleared = json!({"price": null, "brand": "Bolt", "attributes": {"colour": "blue", "size": null}});
    let cleared = shop.json("PATCH", "/v1/items/mug-2", &cleared).json();
    assert_eq!((&cleared["price"], &cleared["brand"]), (&Value::Null, &json!("Bolt")));
    assert_eq!((&cleared["title"], &cleared["attributes"]), (&json!("Blue mug"), &json!({"colour": "blue"})));
}

#[test]
fn many_items_are_patched_at_once() {
    let shop = Shop::furnished();
    let seen = json!([{"type": "view", "user": "u1", "item": "only-seen", "at": "2026-11-21T10:03:00Z"}]);
    assert_eq!(shop.post("/v1/events", &seen).json()["accepted"], 1);
    let feed = json!([
        {"id": "mug-1", "stock": 0},
        {"id": "only-seen", "stock": 3},
        {"id": "mug-2", "attributes": {"colour": "blue"}},
        {"id": "mug-2", "price": null, "attributes": {"size": "L"}},
        {"id": "absent", "stock": 3},
        {"stock": 3},
        {"id": "mug-3", "price": -1},
        {"id": "mug-3", "price": 7.0},
        {"id": "mug-1", "stock": 5},
    ]);
    let outcome = shop.json("PATCH", "/v1/items", &feed).json();
    assert_eq!((&outcome["accepted"], &outcome["unchanged"]), (&json!(4), &json!(1)));
    let refused = outcome["refused"].as_array().unwrap();
    let reasons: Vec<_> =
        refused.iter().map(|refused| (refused["index"].as_u64(), refused["reason"].as_str())).collect();
    let expected =
        [(1, "item_not_in_catalogue"), (4, "item_not_in_catalogue"), (5, "item_no_id"), (6, "item_bad_price")];
    assert_eq!(reasons, expected.map(|(index, reason)| (Some(index), Some(reason))));
    let mug = |id: &str| shop.get(&format!("/v1/items/{id}")).json();
    assert_eq!((&mug("mug-1")["stock"], &mug("mug-1")["title"]), (&json!(5), &json!("Red mug")));
    assert_eq!(mug("mug-2")["attributes"], json!({"colour": "blue", "size": "L"}));
    assert_eq!((&mug("mug-2")["price"], &mug("mug-2")["title"]), (&Value::Null, &json!("Blue mug")));
    assert_eq!(shop.engine.status().n_quarantined, 0, "refused patches are not kept");

    let nothing = json!([{"id": "absent", "stock": 1}]);
    assert_eq!(
        shop.json("PATCH", "/v1/items", &nothing).problem(422, "record_refused")["reason"],
        "item_not_in_catalogue"
    );
    shop.json("PATCH", "/v1/items/only-seen", &json!({"stock": 1})).problem(404, "item_not_found");
}

#[test]
fn a_patch_of_one_item_has_the_outcome_that_it_has_among_many() {
    let changes = [
        json!({"price": "8,90 €", "stock": "12 pcs"}),
        json!({"price": -1}),
        json!({"price": "dear"}),
        json!({"available": "ausverkauft"}),
        json!({"available": "perhaps"}),
        json!({"stock": -3}),
        json!({"stock": 2.5}),
        json!({"title": {"en": "Mug", "de": "Becher"}}),
        json!({"title": "", "brand": null}),
        json!({"categories": "Kitchen > Mugs", "tags": "gift"}),
        json!({"name": "Cup", "prize": 9}),
        json!({"published_at": "soon"}),
        json!({"published_at": "21.11.2026 10:00"}),
        json!({"attributes": {"size": null, "colour": ["red"]}, "qty": 4}),
        json!({"id": "mug-1", "stock": 5}),
        json!({"parent": 7}),
        json!({}),
    ];
    for change in changes {
        let (one, many) = (Shop::furnished(), Shop::furnished());
        let alone = one.json("PATCH", "/v1/items/mug-1", &change);
        let mut record = change.clone();
        record["id"] = json!("mug-1");
        let among = many.json("PATCH", "/v1/items", &json!([record]));
        let read = |body: &[u8]| serde_json::from_slice::<Value>(body).unwrap();
        assert_eq!(alone.status, among.status, "{change}");
        let (said, told) = (read(&alone.body), read(&among.body));
        assert_eq!(said["reason"], told["reason"], "{change}");
        assert_eq!(said["misspelt"], told["misspelt"], "{change}");
        let item = one.get("/v1/items/mug-1").json();
        assert_eq!(item, many.get("/v1/items/mug-1").json(), "{change}");
        if alone.status == 200 {
            assert_eq!(said["title"], item["title"], "the answer is the item: {change}");
        }
    }
}

#[test]
fn a_catalogue_without_most_of_the_shop_is_refused_unless_that_is_meant() {
    let shop = Shop::furnished();
    let items = |range: std::ops::Range<u32>| -> Value {
        range.map(|n| json!({"id": format!("cup-{n}"), "title": "Cup"})).collect()
    };
    assert_eq!(shop.post("/v1/items?sync=true", &items(0..50)).json()["accepted"], 50);
    let refused = shop.post("/v1/items?sync=true", &items(0..24)).problem(400, "unsafe_sync");
    assert_eq!((&refused["absent"], &refused["catalogue"]), (&json!(26), &json!(50)), "{refused}");
    assert_eq!(shop.post("/v1/items?sync=true", &items(0..25)).json()["retired"], 25, "a half is no most");
    shop.post("/v1/items?sync=true", &items(100..101)).problem(400, "unsafe_sync");
    shop.get("/v1/items/cup-100").problem(404, "item_not_found");
    assert_eq!(shop.post("/v1/items?sync=true&retire_most=true", &items(100..101)).json()["retired"], 25);
}

#[test]
fn a_full_catalogue_retires_absent_items_but_not_after_an_unreadable_one() {
    let shop = Shop::furnished();
    shop.post("/v1/items?sync=true", &json!([])).problem(400, "unsafe_sync");
    let broken = "{\"id\":\"mug-1\"}\n{\"id\":\"mug-2\n";
    let lines = [("content-type", "application/x-ndjson")];
    shop.send("POST", "/v1/items?sync=true", &lines, broken.as_bytes()).problem(400, "unsafe_sync");
    let answer = shop.send("POST", "/v1/items", &lines, broken.as_bytes()).json();
    assert_eq!((&answer["accepted"], &answer["quarantined"][0]["reason"]), (&json!(1), &json!("malformed")));
    let held = shop.get("/v1/quarantine").json();
    let held = (&held["records"][0]["kind"], &held["records"][0]["reason"], &held["records"][0]["raw"]);
    assert_eq!(held, (&json!("items"), &json!("malformed"), &json!("{\"id\":\"mug-2")));
    let only = json!([{"id": "mug-1", "title": "Mug"}]);
    let answer = shop.post("/v1/items?sync=true", &only).json();
    assert!(answer["accepted"] == 1 && answer["retired"].as_u64().is_some_and(|n| n > 0), "{answer}");
    assert_eq!(shop.post("/v1/items?sync=true", &only).json()["retired"], 0, "nothing is retired twice");
    assert!(shop.post("/v1/items", &only).json().get("retired").is_none());
    shop.engine.wait_until_learned();
    let shown = shop.get("/v1/trending").json();
    assert!(shown["items"].as_array().unwrap().iter().all(|item| item["id"] == "mug-1"), "{shown}");
    shop.post("/v1/items?sink=true", &json!([])).problem(400, "unknown_field");
}

#[test]
fn a_full_catalogue_retires_no_item_whose_record_is_refused() {
    let shop = Shop::furnished();
    let sold = |id: &str| shop.get(&format!("/v1/items/{id}")).status == 200;
    let feed = json!([{"id": "mug-1", "title": "Mug", "price": "1,234"}, {"id": "mug-2", "title": "Mug"}]);
    let answer = shop.post("/v1/items?sync=true", &feed).json();
    assert_eq!(answer["quarantined"][0]["index"], 0, "{answer}");
    assert!(sold("mug-1") && sold("mug-2"));
    // Which item this record is about cannot be told, so it may be any.
    let answer = shop.post("/v1/items?sync=true", &json!([{"id": ["mug-1"]}, {"id": "mug-2", "title": "Mug"}])).json();
    assert_eq!((&answer["quarantined"][0]["index"], &answer["retired"]), (&json!(0), &json!(0)), "{answer}");
    assert!(sold("mug-1") && sold("mug-2"));
    shop.post("/v1/items?sync=true", &json!([{"id": "mug-2", "title": "Mug"}])).json();
    assert!(!sold("mug-1") && sold("mug-2"));
}

#[test]
fn users_are_described_and_guests_are_merged() {
    let shop = Shop::furnished();
    assert_eq!(shop.json("PUT", "/v1/users/u1", &json!({"attributes": {"country": "DE"}})).status, 204);
    assert_eq!(shop.get("/v1/users/u1").json(), json!({"id": "u1", "attributes": {"country": "DE"}}));
    assert_eq!(shop.post("/v1/users/u1/merge", &json!({"session": "s9"})).status, 204);
    assert_eq!(shop.send("DELETE", "/v1/users/u1", &[], b"").status, 204);
    assert_eq!(shop.get("/v1/users/u1").json()["attributes"], json!({}));
    shop.get("/v1/users/nobody").problem(404, "user_not_found");
    shop.post("/v1/users/u1/merge", &json!({"session": ""})).problem(400, "invalid_value");
    shop.json("PUT", "/v1/users/u1", &json!({"name": "Ann"})).problem(400, "unknown_field");
    shop.get("/v1/users/%FF").problem(400, "invalid_path");
    shop.get("/v1/users/%20").problem(400, "invalid_path");
}

#[test]
fn search_answers_a_body_and_query_parameters() {
    let shop = Shop::furnished();
    let request = json!({"query": "mug", "user": "u1", "n": 2, "personalisation": 0.0, "explain": true});
    // The index follows the log within a second.
    let deadline = Instant::now() + Duration::from_secs(20);
    while shop.get("/v1/search?q=mug").json()["total"] != 3 {
        assert!(Instant::now() < deadline, "the items were not found");
        std::thread::yield_now();
    }
    let by_body = shop.post("/v1/search", &request).json();
    let by_link = shop.get("/v1/search?q=mug&user=u1&n=2&personalisation=0&explain=true").json();
    for answer in [&by_body, &by_link] {
        assert!(answer["search_id"].is_string() && answer["version"].is_u64() && answer["took_ms"].is_f64());
        assert_eq!(answer["total"], 3, "{answer}");
        let hits = answer["hits"].as_array().unwrap();
        assert_eq!(hits.len(), 2);
        assert!(hits.iter().all(|hit| hit["id"].is_string() && hit["score"].is_f64() && hit["reasons"].is_array()));
    }
    assert_eq!(by_body["hits"], by_link["hits"]);
    assert_ne!(by_body["search_id"], by_link["search_id"]);
}

/// Asks until `is_right`: the index follows the log within a second.
fn until(shop: &Shop, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = shop.get(path).json();
        if is_right(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path}: {answer}");
        std::thread::yield_now();
    }
}

#[test]
fn variants_are_one_hit_and_are_found_by_what_their_product_says() {
    let shop = Shop::open(HttpSettings::default());
    let items = json!([
        {"id": "s", "parent": "shirt", "title": "Linen shirt", "brand": "Acme", "price": 20, "image": "a.jpg"},
        {"id": "m", "parent": "shirt", "price": 21.5},
        {"id": "hat", "title": "Linen hat", "brand": "Bolt", "price": 9.99},
    ]);
    assert_eq!(shop.post("/v1/items", &items).json()["accepted"], 3);
    let ids = |answer: &Value| -> Vec<String> {
        answer["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
    };
    let one = until(&shop, "/v1/search?q=linen", |answer| answer["total"] == 2);
    assert_eq!(ids(&one).len(), 2);
    let all = shop.get("/v1/search?q=linen&variants=all").json();
    assert_eq!((ids(&all).len(), &all["total"]), (3, &json!(3)), "also the one without a title of its own");
    let path = "/v1/search?q=shirt&filter=price%3E21%20AND%20brand%3Aacme&fields=title,price,image,brand,stock";
    let hit = &shop.get(path).json()["hits"][0];
    let said = ["id", "title", "price", "image", "brand", "stock"].map(|field| hit[field].clone());
    assert_eq!(json!(said), json!(["m", "Linen shirt", 21.5, "a.jpg", "Acme", null]));
    assert!(hit.get("stock").is_none(), "what an item does not have is absent");
    assert!(shop.get("/v1/items/m").json()["title"].is_null(), "the description is as it was sent");
    // A parent that is described later, and changed, describes its variants.
    let parent = json!({"id": "shirt", "title": "Silk shirt"});
    assert_eq!(shop.post("/v1/items", &parent).json()["accepted"], 1);
    until(&shop, "/v1/search?q=silk&variants=all", |answer| answer["total"] == 2);
    assert_eq!(shop.send("PATCH", "/v1/items/shirt", &[], br#"{"title": "Cotton shirt"}"#).status, 200);
    until(&shop, "/v1/search?q=cotton&variants=all", |answer| answer["total"] == 2);
    assert_eq!(shop.get("/v1/search?q=silk").json()["total"], 0);
    assert_eq!(shop.get("/v1/new").json()["total"], 2, "products that may be shown");
    assert_eq!(shop.get("/v1/items/s/similar?variants=all").json().get("total"), None, "similar items are not counted");
}
