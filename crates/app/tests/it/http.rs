//! The HTTP interface from outside: a real server on a free port, a data folder of its own, plain sockets.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine};
use accrue_http::{HttpSettings, Key, Scope, ServeError, serve};
use serde_json::{Value, json};

const READ_KEY: &str = "read-key-0123456789";
const WRITE_KEY: &str = "write-key-0123456789";
const ADMIN_KEY: &str = "admin-key-0123456789";
const WEB_KEY: &str = "web-key-0123456789";
const SHOP_ORIGIN: &str = "https://shop.example";

/// A running server. Dropping it stops the server and removes its folder.
pub(super) struct Shop {
    pub(super) address: SocketAddr,
    pub(super) engine: Engine,
    pub(super) stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    dir: PathBuf,
}

impl Shop {
    pub(super) fn open(settings: HttpSettings) -> Self {
        static N_SHOPS: AtomicU32 = AtomicU32::new(0);
        let number = N_SHOPS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("accrue-http-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let engine = Engine::open(&dir, &Config::default()).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let served = engine.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                serve(served, listener, settings, async {
                    let _ = stopped.await;
                })
                .await
            })
        });
        Self { address, engine, stop: Some(stop), thread: Some(thread), dir }
    }

    fn with_keys() -> Self {
        let key = |name: &str, key: &str, scope: Scope| Key {
            name: name.into(),
            key: key.into(),
            scopes: [scope].into(),
            origins: Vec::new(),
            rate_limit_per_s: None,
            rate_limit_per_address_per_s: None,
            weight: None,
        };
        let web = Key {
            origins: vec![SHOP_ORIGIN.into()],
            rate_limit_per_s: Some(0.001),
            ..key("web", WEB_KEY, Scope::Publish)
        };
        let keys = vec![
            key("reader", READ_KEY, Scope::Read),
            key("writer", WRITE_KEY, Scope::Write),
            key("admin", ADMIN_KEY, Scope::Admin),
            web,
        ];
        Self::open(HttpSettings { keys, ..Default::default() })
    }

    /// A shop with three mugs and a few events.
    pub(super) fn furnished() -> Self {
        let shop = Self::open(HttpSettings::default());
        let items = json!([
            {"id": "mug-1", "title": "Red mug", "brand": "Acme", "categories": ["mugs"], "price": 9.9},
            {"id": "mug-2", "title": "Blue mug", "brand": "Acme", "categories": ["mugs"], "price": 12.5},
            {"id": "mug-3", "title": "Green mug", "brand": "Other", "categories": ["mugs"], "price": 7.0},
        ]);
        assert_eq!(shop.post("/v1/items", &items).json()["accepted"], 3);
        let events = json!([
            {"id": "e1", "type": "view", "user": "u1", "item": "mug-1", "at": "2026-11-21T10:00:00Z"},
            {"id": "e2", "type": "cart", "user": "u1", "item": "mug-2", "at": "2026-11-21T10:01:00Z", "price": 12.5},
            {"id": "e3", "type": "view", "session": "s9", "item": "mug-3", "at": "2026-11-21T10:02:00Z"},
        ]);
        assert_eq!(shop.post("/v1/events", &events).json()["accepted"], 3);
        shop.engine.wait_until_learned();
        shop
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            request += &format!("content-length: {}\r\n", body.len());
        }
        request += "\r\n";
        // The server may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(body));
        Answer::read(&mut stream)
    }

    pub(super) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(super) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body)
    }

    /// Begins a request that the server reads and that waits for its body.
    pub(super) fn begin_post(&self, path: &str, n_bytes: usize) -> TcpStream {
        let mut stream = self.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {n_bytes}\r\nexpect: 100-continue\r\n\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    }

    pub(super) fn stop(&mut self) -> Result<(), ServeError> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        match self.thread.take() {
            Some(thread) => thread.join().unwrap(),
            None => Ok(()),
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = self.engine.close();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let mut piece = [0; 16 << 10];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(n_bytes) => bytes.extend_from_slice(&piece[..n_bytes]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if bytes.is_empty() => panic!("no answer: {error}"),
                Err(_) => break,
            }
        }
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has headers");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body of a success.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem document, which must have that status and code and all members.
    #[track_caller]
    pub(super) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:accrue:problem:{code}"));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        problem
    }
}

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
    let blank = shop.json("PATCH", "/v1/items/mug-1", &json!({"title": " "})).problem(400, "invalid_value");
    assert_eq!(blank["field"], "title");
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
    shop.json("PATCH", "/v1/items/none", &json!({"stock": 1})).problem(404, "item_not_found");
    let unknown = shop.json("PATCH", "/v1/items/mug-2", &json!({"prize": 8})).problem(400, "unknown_field");
    assert_eq!(unknown["field"], "prize");
    assert_eq!(
        shop.json("PATCH", "/v1/items/mug-2", &json!({"price": -1})).problem(400, "invalid_value")["field"],
        "price"
    );
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
    assert_eq!(shop.post("/v1/items?sync=true", &json!([{"id": "mug-1", "title": "Mug"}])).json()["accepted"], 1);
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
    assert_eq!(answer["quarantined"][0]["index"], 0, "{answer}");
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
fn recommendations_have_the_fields_of_the_contract() {
    let shop = Shop::furnished();
    let check = |answer: &Answer| {
        let answer = answer.json();
        assert!(answer["recommendation_id"].as_str().is_some_and(|id| !id.is_empty()));
        assert!(answer["version"].is_u64() && answer["offset"].is_u64() && answer["took_ms"].is_f64(), "{answer}");
        assert!(answer["degraded"].is_array());
        for item in answer["items"].as_array().unwrap() {
            assert!(item["id"].is_string() && item["score"].is_f64() && item["reasons"].is_array(), "{item}");
        }
        answer
    };
    let request = json!({
        "user": "u1", "session": "s1", "scene": "home", "device": "phone", "items": ["mug-1"], "n": 2, "offset": 0,
        "filter": "price:5..20 AND NOT category:used", "exclude": ["mug-3"], "seen": "keep", "diversity": 0.5,
        "explain": true, "events": [{"type": "view", "item": "mug-2", "at": 1_763_700_000_000_u64, "user": "u1"}]
    });
    let first = check(&shop.post("/v1/recommend", &request));
    assert!(first["items"].as_array().unwrap().len() <= 2);
    let second =
        check(&shop.get("/v1/recommend/u1?n=2&filter=price%3A5..20&explain=true&seen=drop&scene=cart&device=phone"));
    assert_ne!(first["recommendation_id"], second["recommendation_id"]);
    check(&shop.get("/v1/recommend/stranger"));
    check(&shop.get("/v1/items/mug-1/similar?n=2"));
    assert!(!check(&shop.get("/v1/trending"))["items"].as_array().unwrap().is_empty());
    assert!(!check(&shop.get("/v1/new?n=3"))["items"].as_array().unwrap().is_empty());
    let batch = json!({"requests": [{"user": "u1", "n": 1}, {"user": "u2", "n": 2}, {}]});
    let answers = shop.post("/v1/recommend/batch", &batch).json();
    assert_eq!(answers["recommendations"].as_array().unwrap().len(), 3);
    assert!(answers["took_ms"].is_f64());
}

#[test]
fn every_id_of_a_user_has_recommendations() {
    let shop = Shop::furnished();
    for user in ["batch", "similar", "new", "recommend", "a%2Fb", "%C3%A4", "a%20b", "..a", "{user}"] {
        let path = format!("/v1/recommend/{}?n=1", user.replace(['{', '}'], "%7B"));
        assert_eq!(shop.get(&path).json()["items"].as_array().unwrap().len(), 1, "{user}");
    }
    let view = json!({"id": "b1", "type": "view", "user": "batch", "item": "mug-3", "at": "2026-11-21T10:03:00Z"});
    assert_eq!(shop.post("/v1/events", &view).json()["accepted"], 1);
    let page = shop.get("/v1/recommend/batch?n=3&explain=true").json();
    assert!(page["items"].to_string().contains("viewed"), "the page uses the history of the user: {page}");
    // The other methods of the address are as they were.
    let batch = json!({"requests": [{"user": "batch", "n": 1}]});
    assert_eq!(shop.post("/v1/recommend/batch", &batch).json()["recommendations"].as_array().unwrap().len(), 1);
    let refused = shop.send("DELETE", "/v1/recommend/batch", &[], b"");
    refused.problem(405, "method_not_allowed");
    let mut allowed: Vec<_> = refused.header("allow").unwrap().split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[test]
fn pages_by_offset_continue_each_other_and_end_where_the_list_does() {
    let shop = Shop::open(HttpSettings::default());
    let items: Vec<Value> = (0..30)
        .map(|n| json!({"id": format!("mug-{n}"), "title": format!("Mug {n}"), "brand": format!("b{}", n % 4), "parent": (n % 6 < 2).then(|| format!("p{}", n / 6))}))
        .collect();
    assert_eq!(shop.post("/v1/items", &json!(items)).json()["accepted"], 30);
    let events: Vec<Value> = (0..40)
        .map(|n| json!({"id": format!("e{n}"), "type": "view", "user": format!("u{}", n % 5), "item": format!("mug-{}", n * n % 17), "at": 1_763_700_000_000_u64 + n}))
        .collect();
    assert_eq!(shop.post("/v1/events", &json!(events)).json()["accepted"], 40);
    shop.engine.wait_until_learned();
    let page = |offset: usize, n: usize| {
        shop.post("/v1/recommend", &json!({"user": "u1", "n": n, "offset": offset, "diversity": 0.6})).json()
    };
    let whole = page(0, 1000);
    let whole = whole["items"].as_array().unwrap();
    assert_eq!(whole.len(), 25, "one of each parent");
    let pages: Vec<Value> =
        (0..25).step_by(4).flat_map(|at| page(at, 4)["items"].as_array().unwrap().clone()).collect();
    assert_eq!(&pages, whole);
    let check = |offset, degraded: &str| {
        let page = page(offset, 4);
        assert_eq!((&page["items"], &page["degraded"]), (&json!([]), &json!([degraded])));
    };
    check(25, "few_candidates");
    check(10_000, "too_deep");
}

#[test]
fn inline_events_are_checked_and_bad_ones_reported() {
    let shop = Shop::furnished();
    let good = json!({"type": "View", "item": " mug-2 ", "at": 1_763_700_000_000_u64});
    let bad = [
        json!({"type": "view"}),
        json!({"type": "stare", "item": "mug-1"}),
        json!({"type": "view", "item": "mug-1", "at": "soon"}),
    ];
    let all: Vec<&Value> = std::iter::once(&good).chain(&bad).collect();
    let answer = shop.post("/v1/recommend", &json!({"events": all, "explain": true})).json();
    assert!(answer["degraded"].as_array().unwrap().contains(&json!("events_ignored")), "{answer}");
    let ignored = answer["ignored_events"].as_array().unwrap();
    let told: Vec<_> =
        ignored.iter().map(|event| (event["index"].as_u64().unwrap(), event["reason"].as_str().unwrap())).collect();
    assert_eq!(told, [(1, "no_item"), (2, "unknown_type"), (3, "bad_time")]);
    let without = shop.post("/v1/recommend", &json!({"events": [good], "explain": true})).json();
    assert_eq!(without["items"], answer["items"], "what is ignored changes nothing");
    assert!(without.get("ignored_events").is_none());
}

/// The lines of `export served`, once the writer has written `n` of them.
fn served(shop: &Shop, n: usize) -> Vec<accrue_store::Served> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut found = Vec::new();
        let mut log = accrue_store::LogReader::open(&shop.dir).unwrap();
        log.read(accrue_store::Offset(0), usize::MAX, |record| {
            if let accrue_store::Body::Served(served) = record.body {
                found.push(*served);
            }
        })
        .unwrap();
        if found.len() >= n {
            return found;
        }
        assert!(Instant::now() < deadline, "{} of {n} answers were recorded", found.len());
        std::thread::yield_now();
    }
}

#[test]
fn every_answer_is_recorded_and_changes_nothing() {
    let shop = Shop::furnished();
    let before = shop.engine.status();
    let page = shop.post("/v1/recommend", &json!({"user": "u1", "session": "s1", "n": 2, "offset": 1})).json();
    let hits = shop.get("/v1/search?q=mug&user=u1").json();
    let batch = shop.post("/v1/recommend/batch", &json!({"requests": [{}, {"session": "s9"}]})).json();
    let recorded = served(&shop, 4);
    assert_eq!(recorded.len(), 4);
    let ids = |answer: &Value, list: &str| -> Vec<String> {
        answer[list].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let items = |n: usize| recorded[n].items.iter().map(|item| item.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(page["recommendation_id"], *recorded[0].recommendation_id);
    assert_eq!((items(0), recorded[0].first_position), (ids(&page, "items"), 1));
    assert_eq!(recorded[0].user, Some("u1".into()));
    assert_eq!(recorded[0].session, Some("s1".into()));
    assert_eq!(
        (page["version"].as_u64(), page["offset"].as_u64()),
        (Some(recorded[0].version), Some(recorded[0].learned.0))
    );
    assert_eq!(hits["search_id"], *recorded[1].recommendation_id);
    assert_eq!(recorded[1].page, accrue_store::Page::Search { query: "mug".into() });
    assert_eq!(items(1), ids(&hits, "hits"));
    assert_eq!(batch["recommendations"][1]["recommendation_id"], *recorded[3].recommendation_id);

    // It was not learned, and no version was published for it.
    shop.engine.wait_until_learned();
    let after = shop.engine.status();
    assert_eq!((after.log_end, after.learned), (before.log_end + 4, before.log_end + 4));
    assert_eq!((after.version, after.n_shoppers, after.accepted), (before.version, before.n_shoppers, before.accepted));
    // Between events it changes nothing either: the log folds to the same bytes from its beginning.
    let event = json!([{"id": "e9", "type": "click", "user": "u1", "item": page["items"][0]["id"], "recommendation_id": page["recommendation_id"], "position": 0, "at": "2026-11-21T11:00:00Z"}]);
    assert_eq!(shop.post("/v1/events", &event).json()["accepted"], 1);
    shop.engine.close().unwrap();
    let replay = accrue_engine::replay(&shop.dir, &Config::default(), None, true).unwrap();
    assert_eq!(replay.equal, Some(true), "{replay:?}");
}

#[test]
fn requests_out_of_bounds_name_their_field() {
    let shop = Shop::furnished();
    let check = |answer: Answer, code: &str, field: &str| assert_eq!(answer.problem(400, code)["field"], field);
    let recommend = |body: Value| shop.post("/v1/recommend", &body);
    check(recommend(json!({"n": 0})), "invalid_value", "n");
    check(recommend(json!({"n": 1001})), "invalid_value", "n");
    check(recommend(json!({"n": "ten"})), "invalid_body", "n");
    check(recommend(json!({"n": -1})), "invalid_body", "n");
    check(recommend(json!({"offset": 10_001})), "invalid_value", "offset");
    check(recommend(json!({"diversity": 1.5})), "invalid_value", "diversity");
    check(recommend(json!({"seen": "hide"})), "invalid_value", "seen");
    check(recommend(json!({"filter": "price:((1"})), "invalid_filter", "filter");
    check(recommend(json!({"user": "\n"})), "invalid_value", "user");
    check(recommend(json!({"exclude": ["a", ""]})), "invalid_value", "exclude[1]");
    check(recommend(json!({"limit": 3})), "unknown_field", "limit");
    check(recommend(json!({"events": vec![json!({}); 1001]})), "invalid_value", "events");
    let batch = |requests: Value| shop.post("/v1/recommend/batch", &json!({ "requests": requests }));
    check(batch(json!([{}, {"n": 0}])), "invalid_value", "requests[1].n");
    check(batch(json!([{}, {"n": true}])), "invalid_body", "requests[1].n");
    check(batch(Value::Array(vec![json!({}); 101])), "invalid_value", "requests");
    check(shop.get("/v1/recommend/u1?n=many"), "invalid_query", "n");
    check(shop.get("/v1/recommend/u1?limit=3"), "unknown_field", "limit");
    check(shop.get("/v1/trending?n=5000"), "invalid_value", "n");
    check(shop.get("/v1/search?q=mug&personalisation=7"), "invalid_value", "personalisation");
    check(shop.post("/v1/search", &json!({"query": "x".repeat(2000)})), "invalid_value", "query");
    shop.post("/v1/search", &json!({})).problem(400, "invalid_body");
    shop.send("POST", "/v1/recommend", &[], b"{\"n\": 3").problem(400, "malformed_json");
    shop.send("POST", "/v1/recommend", &[("content-type", "text/plain")], b"{}").problem(415, "unsupported_media_type");
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

#[test]
fn answers_carry_fields_and_totals_and_scenes_have_their_pages() {
    let shop = Shop::furnished();
    let page = shop.get("/v1/recommend/u1?n=1&fields=title,price").json();
    assert_eq!((page["total"].as_u64(), page["items"].as_array().unwrap().len()), (Some(3), 1));
    assert!(page["items"][0]["title"].is_string() && page["items"][0].get("image").is_none(), "{page}");
    let by_list = shop.post("/v1/recommend", &json!({"user": "u1", "n": 1, "fields": ["title", "price"]})).json();
    assert_eq!(by_list["items"], page["items"]);
    let plain = shop.get("/v1/recommend/u1?n=1").json();
    assert!(plain["items"][0].get("title").is_none());
    for path in ["/v1/trending", "/v1/new", "/v1/items/mug-1/similar"] {
        let list = shop.get(&format!("{path}?n=1&fields=title")).json();
        let has_total = list["total"].is_u64();
        assert!(has_total != path.ends_with("similar") && list["items"][0]["title"].is_string(), "{path}: {list}");
    }
    let narrow = shop.post("/v1/recommend", &json!({"filter": "id:mug-2", "exclude": ["mug-1"]})).json();
    assert_eq!(narrow["total"], 1);
    let less = shop.post("/v1/recommend", &json!({"exclude": ["mug-1"]})).json();
    assert_eq!(less["total"], 2);
    shop.get("/v1/trending?fields=titel").problem(400, "invalid_value");
    let bought =
        json!({"type": "purchase", "user": "u7", "item": "mug-2", "at": "2026-11-21T10:05:00Z", "price": 12.5});
    assert_eq!(shop.post("/v1/events", &bought).json()["accepted"], 1);
    let again = shop.get("/v1/recommend/u7?scene=again&explain=true").json();
    assert_eq!((&again["total"], &again["items"][0]["id"]), (&json!(1), &json!("mug-2")));
    assert!(!again["items"].to_string().contains("because you bought"), "{again}");
    shop.get("/v1/recommend/u7?scene=again&seen=drop").problem(400, "invalid_value");
    assert_eq!(shop.get("/v1/recommend/u7?scene=home").json()["items"].as_array().unwrap().len(), 3);
}

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
