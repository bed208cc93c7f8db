//! A shop for tests of the HTTP interface: a real server on a free port, a data folder of its own, plain sockets.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use accrue_engine::{Config, Engine};
use accrue_http::{HttpSettings, Key, Scope, ServeError, serve};
use serde_json::{Value, json};

pub(super) const READ_KEY: &str = "read-key-0123456789";
pub(super) const WRITE_KEY: &str = "write-key-0123456789";
pub(super) const ADMIN_KEY: &str = "admin-key-0123456789";
pub(super) const WEB_KEY: &str = "web-key-0123456789";
pub(super) const SHOP_ORIGIN: &str = "https://shop.example";

/// Waits until something is so; a minute is enough on any machine.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running server. Dropping it stops the server and removes its folder.
pub(super) struct Shop {
    pub(super) address: SocketAddr,
    pub(super) engine: Engine,
    pub(super) stop: Option<tokio::sync::oneshot::Sender<()>>,
    pub(super) thread: Option<JoinHandle<Result<(), ServeError>>>,
    pub(super) dir: PathBuf,
}

/// A key with these scopes and no limits of its own.
pub(super) fn key(name: &str, key: &str, scopes: &[Scope]) -> Key {
    Key {
        name: name.into(),
        key: key.into(),
        scopes: scopes.iter().copied().collect(),
        origins: Vec::new(),
        rate_limit_per_s: None,
        rate_limit_per_address_per_s: None,
        weight: None,
    }
}

impl Shop {
    /// Connections that the server holds, that of this request among them.
    pub(super) fn n_connections(&self) -> usize {
        let metrics = self.get("/metrics");
        let open = metrics.text().lines().find_map(|line| line.strip_prefix("accrue_http_connections ")).unwrap();
        open.parse().unwrap()
    }

    pub(super) fn open(settings: HttpSettings) -> Self {
        Self::open_with(settings, |dir| Engine::open(dir, &Config::default()).unwrap())
    }

    pub(super) fn open_with(settings: HttpSettings, open: impl FnOnce(&Path) -> Engine) -> Self {
        static N_SHOPS: AtomicU32 = AtomicU32::new(0);
        let number = N_SHOPS.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("accrue-http-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let engine = open(&dir);
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

    pub(super) fn with_keys() -> Self {
        let web = Key {
            origins: vec![SHOP_ORIGIN.into()],
            rate_limit_per_s: Some(0.001),
            ..key("web", WEB_KEY, &[Scope::Publish])
        };
        let keys = vec![
            key("reader", READ_KEY, &[Scope::Read]),
            key("writer", WRITE_KEY, &[Scope::Write]),
            key("admin", ADMIN_KEY, &[Scope::Admin]),
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
