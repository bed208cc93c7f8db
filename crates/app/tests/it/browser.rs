//! A real browser: the script of `examples/browser/` in the pages of a shop, and the page at `/`.
//!
//! The browser is Chromium, driven by `chromedriver` (the WebDriver protocol over plain HTTP). `ACCRUE_WEBDRIVER` names
//! a driver that runs (`http://127.0.0.1:9515`); otherwise `chromedriver` is started from the path. Without either each
//! test says that it is skipped. With `ACCRUE_PICTURES` the test of the page at `/` writes the manual's picture into
//! that folder.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::Server;

/// A window of a browser without a screen.
pub(crate) struct Browser {
    driver: Option<Child>,
    /// `127.0.0.1:9515`
    address: String,
    session: String,
}

impl Browser {
    /// A window, or `None` (and a line that says so) if there is no driver.
    pub(crate) fn open(test: &str) -> Option<Self> {
        let (driver, address) = match std::env::var("ACCRUE_WEBDRIVER") {
            Ok(url) => (None, url.trim_start_matches("http://").trim_end_matches('/').to_owned()),
            Err(_) => match start_driver() {
                Some((driver, address)) => (Some(driver), address),
                None => {
                    println!("skipped: {test} (no chromedriver in the path, and ACCRUE_WEBDRIVER is not set)");
                    return None;
                }
            },
        };
        let options =
            json!({"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=900,1080"]});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"}}}});
        let (status, answer) = drive(&address, "POST", "/session", &wanted.to_string());
        let session = answer["value"]["sessionId"].as_str().unwrap_or_default().to_owned();
        let browser = Self { driver, address, session };
        if status != 200 {
            println!("skipped: {test} (the driver starts no browser: {})", answer["value"]["message"]);
            return None;
        }
        Some(browser)
    }

    pub(crate) fn command(&self, method: &str, path: &str, body: Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let (status, answer) = drive(&self.address, method, &format!("/session/{}/{path}", self.session), &body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["value"].clone()
    }

    pub(crate) fn go(&self, url: &str) {
        self.command("POST", "url", json!({"url": url}));
    }

    /// What a function body in the page returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("POST", "execute/sync", json!({"script": script, "args": []}))
    }

    /// The same, or `None` while the page is loaded again.
    pub(crate) fn run_if_loaded(&self, script: &str) -> Option<Value> {
        let body = json!({"script": script, "args": []}).to_string();
        let path = format!("/session/{}/execute/sync", self.session);
        let (status, answer) = drive(&self.address, "POST", &path, &body);
        (status == 200).then(|| answer["value"].clone())
    }

    /// What an asynchronous function body in the page returns.
    pub(crate) fn wait_for(&self, script: &str) -> Value {
        let script =
            format!("const done = arguments[0]; (async () => {{ {script} }})().then(done, (e) => done(String(e)))");
        self.command("POST", "execute/async", json!({"script": script, "args": []}))
    }

    /// Clicks as a person does: the browser scrolls to the element and sends all events of a click.
    pub(crate) fn click(&self, selector: &str) {
        let found = self.command("POST", "element", json!({"using": "css selector", "value": selector}));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).unwrap_or_default();
        self.command("POST", &format!("element/{id}/click"), json!({}));
    }
}

impl Browser {
    /// Sets the size of the window.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        // Narrower than a window can be is a phone.
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let cdp = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics});
        self.command("POST", "goog/cdp/execute", cdp);
    }

    /// Presses keys, one after the other, where the focus is.
    pub(crate) fn keys(&self, text: &str) {
        let presses = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})));
        let presses: Vec<Value> = presses.collect();
        self.command("POST", "actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]}));
    }

    /// Errors and refusals that the browser reported since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("POST", "se/log", json!({"type": "browser"}));
        let lines = log.as_array().cloned().unwrap_or_default().into_iter();
        let severe = lines.filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = drive(&self.address, "DELETE", &format!("/session/{}", self.session), "");
        }
        if let Some(driver) = &mut self.driver {
            let _ = driver.kill();
            let _ = driver.wait();
        }
    }
}

/// Status and body of the driver's answer. The driver keeps its connections open, so the body is read by its length.
fn drive(address: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = BufReader::new(stream);
    let (mut status, mut n_bytes, mut line) = (0, 0, String::new());
    while answer.read_line(&mut line).unwrap() > 2 {
        if status == 0 {
            status = line.split(' ').nth(1).unwrap().parse().unwrap();
        } else if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            n_bytes = n.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut bytes = vec![0; n_bytes];
    answer.read_exact(&mut bytes).unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Starts `chromedriver` on a port that it chooses.
fn start_driver() -> Option<(Child, String)> {
    let mut command = Command::new("chromedriver");
    let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let lines = BufReader::new(driver.stdout.take()?).lines().map_while(Result::ok);
    let port = lines
        .filter_map(|line| line.split("on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok())
        .find(|&port| port > 0);
    match port {
        Some(port) => Some((driver, format!("127.0.0.1:{port}"))),
        None => {
            let _ = driver.kill();
            let _ = driver.wait();
            None
        }
    }
}

/// A site with one page and the script of the example. Returns its origin.
fn serve_site(page: impl Fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let page = page(&origin);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/browser/accrue.js");
    let script = std::fs::read_to_string(script).unwrap();
    // The thread ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &page, &script);
        }
    });
    origin
}

fn answer(mut stream: TcpStream, page: &str, script: &str) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut request = [0; 4096];
    let n = stream.read(&mut request).unwrap_or(0);
    let (kind, body) = if request[..n].starts_with(b"GET /accrue.js") {
        ("text/javascript", script)
    } else {
        ("text/html; charset=utf-8", page)
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", body.len());
    let _ = write!(stream, "{head}connection: close\r\n\r\n{body}");
}

const WEB_KEY: &str = "web-key-for-browsers";
const OWN_KEY: &str = "own-key-of-the-backend";

/// The events in the log, oldest first, once there are `n`.
fn events(data: &Path, n: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let mut export = Command::new(env!("CARGO_BIN_EXE_accrue"));
        let out = export.args(["export", "events", "--data"]).arg(data).env_clear().output().unwrap();
        let lines = String::from_utf8(out.stdout).unwrap();
        let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if events.len() >= n || began.elapsed() > Duration::from_secs(20) {
            return events;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_script_sends_what_a_visitor_does_from_a_real_browser() {
    let Some(browser) = Browser::open("the_script_sends_what_a_visitor_does_from_a_real_browser") else { return };
    let folder = tempfile::tempdir().unwrap();
    // The page needs the server's address and the server the page's origin, so the site is opened first.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/v1/events?key={WEB_KEY}");
    let page = |_: &str| {
        format!(
            "<!doctype html><title>A shop</title><script src=/accrue.js data-url='{url}' data-user=u1></script>\
             <a href='#mug' id=mug data-item=sku-9 data-rec=67408f1ab3c2-1f data-pos=2>Red mug</a>\
             <div data-item=sku-3>Blue mug <button id=cart data-cart>Add to cart</button></div>\
             <div style='height:4000px'></div><p id=far data-item=sku-far data-rec=67408f1ab3c2-1f data-pos=7>Far down</p>\
             <script>accrue('view', 'sku-9')</script>"
        )
    };
    let (shop, stranger) = (serve_site(page), serve_site(page));
    let config = folder.path().join("accrue.toml");
    let keys = format!(
        "[[http.keys]]\nname = \"web\"\nkey = \"{WEB_KEY}\"\nscopes = [\"publish\"]\norigins = [\"{shop}\"]\n\
         [[http.keys]]\nname = \"own\"\nkey = \"{OWN_KEY}\"\nscopes = [\"read\", \"write\"]\n"
    );
    std::fs::write(&config, keys).unwrap();
    let data = folder.path().join("data");
    // What a browser reports of items that the shop has not described has no effect.
    let items = folder.path().join("items.ndjson");
    std::fs::write(
        &items,
        ["sku-9", "sku-3", "sku-far"].map(|id| json!({"id": id, "title": id}).to_string()).join("\n"),
    )
    .unwrap();
    let ingest = [Path::new("ingest"), &items, Path::new("--items"), Path::new("--data"), &data];
    assert!(Command::new(env!("CARGO_BIN_EXE_accrue")).args(ingest).env_clear().status().unwrap().success());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_accrue"));
    serve
        .args(["serve", "--listen", &address.to_string(), "--data"])
        .arg(&data)
        .arg("--config")
        .arg(&config)
        .env_clear();
    let _server = Server::start(&mut serve);

    browser.go(&shop);
    browser.click("#mug");
    browser.click("#cart");
    // In batches, at most a second late.
    let sent = events(&data, 5);
    let seen = |events: &[Value]| -> Vec<(String, String)> {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        events.iter().map(|event| (word(&event["type"]), word(&event["item"]))).collect()
    };
    let mut first = seen(&sent);
    first.sort();
    let expected =
        [("cart", "sku-3"), ("click", "sku-9"), ("impression", "sku-3"), ("impression", "sku-9"), ("view", "sku-9")];
    assert_eq!(first, expected.map(|(a, b)| (a.to_owned(), b.to_owned())), "nothing of what was not in view");
    for event in &sent {
        let is_shown_mug = event["item"] == "sku-9" && event["type"] != "view";
        let rec = if is_shown_mug { json!("67408f1ab3c2-1f") } else { Value::Null };
        let position = if is_shown_mug { json!(2) } else { Value::Null };
        assert_eq!((&event["recommendation_id"], &event["position"]), (&rec, &position), "{event}");
        assert_eq!(event["user"], "u1");
        assert_eq!(event["session"], sent[0]["session"], "one visit");
    }
    // What comes into view just before the page is left arrives too: the browser sends it while it closes the page.
    browser.run("document.querySelector('#far').scrollIntoView()");
    browser.wait_for("await new Promise((on) => requestAnimationFrame(() => setTimeout(on, 50)))");
    browser.go("about:blank");
    let all = events(&data, 6);
    assert_eq!(seen(&all)[5..], [("impression".to_owned(), "sku-far".to_owned())]);
    assert_eq!(all[5]["position"], 7);

    // A page of the shop may also send with `fetch` and a header, which the browser asks about first.
    browser.go(&shop);
    let post = |origin_path: &str, key: &str| {
        format!(
            "const answer = await fetch('http://{address}{origin_path}', {{method: 'POST', headers: {{'x-api-key': '{key}', \
             'content-type': 'application/json'}}, body: JSON.stringify([{{type: 'view', session: 's9', item: 'sku-1'}}])}}); \
             return answer.status"
        )
    };
    assert_eq!(browser.wait_for(&post("/v1/events", WEB_KEY)), 200);
    assert_eq!(browser.wait_for(&post("/v1/items", WEB_KEY)), 403, "the page can read why");
    assert_eq!(
        browser.wait_for(&format!("return (await fetch('http://{address}/v1/trending?key={WEB_KEY}')).status")),
        401
    );
    // Another site can neither read answers nor send with the shop's key.
    let before = events(&data, 7).len();
    browser.go(&stranger);
    assert!(
        browser.wait_for(&post("/v1/events", WEB_KEY)).as_str().is_some_and(|error| error.contains("Failed to fetch"))
    );
    browser.run("accrue('view', 'sku-7')");
    browser.go("about:blank");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(events(&data, before).iter().filter(|event| event["item"] == "sku-7").count(), 0);
}

/// An invented shop: items with titles and prices, and shoppers who prefer one kind of them.
fn invented_shop() -> (String, String) {
    let kinds = ["Mug", "Lamp", "Notebook", "Scarf"];
    let colours = ["red", "blue", "green", "white", "yellow", "grey"];
    let mut items = Vec::new();
    for (k, kind) in kinds.iter().enumerate() {
        for (c, colour) in colours.iter().enumerate() {
            let (id, price) = (format!("sku-{}", k * 10 + c), 4.5 + (k * 7 + c) as f64);
            items.push(json!({"id": id, "title": format!("{kind}, {colour}"), "price": price, "currency": "EUR", "available": true}));
        }
    }
    let event = |number: u64| {
        let (user, draw) = (number % 24, number.wrapping_mul(2_654_435_761) >> 7);
        let kind = if draw % 5 == 0 { draw / 5 % 4 } else { user % 4 };
        let kind_of_event = if draw % 3 == 0 { "purchase" } else { "view" };
        json!({"id": format!("e{number}"), "type": kind_of_event, "user": format!("u{user}"),
            "item": format!("sku-{}", kind * 10 + draw / 20 % 6), "at": 1_760_000_000_000_u64 + number * 600_000})
    };
    (Value::from(items).to_string(), Value::from((0..600).map(event).collect::<Vec<_>>()).to_string())
}

#[test]
fn the_page_at_the_root_recommends_and_searches_by_titles_in_a_real_browser() {
    let Some(browser) = Browser::open("the_page_at_the_root_recommends_and_searches_by_titles_in_a_real_browser")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut serve = Command::new(env!("CARGO_BIN_EXE_accrue"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data")).env_clear();
    let server = Server::start(serve.current_dir(folder.path()));
    let (items, events) = invented_shop();
    assert_eq!(server.ask("POST", "/v1/items", &items).0, 200);
    assert_eq!(server.ask("POST", "/v1/events", &events).0, 200);
    server.wait_until_learned();
    browser.go(&format!("http://{}/", server.address));
    let lines = |place: &str| {
        let script = format!(
            "for (let i = 0; i < 200 && !document.querySelector('#{place} li'); i++) await new Promise((on) => setTimeout(on, 25)); \
             return [...document.querySelectorAll('#{place} li')].map((line) => line.textContent)"
        );
        let lines = browser.wait_for(&script);
        let lines: Vec<String> =
            lines.as_array().unwrap_or(&Vec::new()).iter().filter_map(|line| Some(line.as_str()?.to_owned())).collect();
        lines
    };
    let trending = lines("items");
    let asks_for_a_key = browser.run("return document.querySelector('#key-form').offsetParent !== null");
    assert_eq!(asks_for_a_key, false, "without keys there is none to ask for");
    assert!(trending.len() > 3 && trending.iter().all(|line| line.contains(", ")), "{trending:?}");
    // A shopper's own list, with what it goes by.
    browser.run("document.querySelector('#items').replaceChildren()");
    browser.run("document.querySelector('#user').value = 'u1'");
    browser.click("#recommend button");
    let own = lines("items");
    assert!(own.iter().filter(|line| line.contains("Lamp")).count() * 2 > own.len(), "{own:?}");
    browser.run("document.querySelector('#query').value = 'green mug'");
    browser.click("#search button");
    let hits = lines("hits");
    assert!(hits[0].starts_with("Mug, green · 6.50 EUR"), "{hits:?}");
    let messages = browser.run("return [...document.querySelectorAll('.problem')].map((line) => line.textContent)");
    assert_eq!(messages, json!([]), "no request failed");
    if let Some(pictures) = std::env::var_os("ACCRUE_PICTURES") {
        browser.run("document.querySelector('#query').blur(); document.querySelector('#search button').blur()");
        let picture = browser.command("GET", "screenshot", Value::Null);
        let path = Path::new(&pictures).join("welcome.png");
        std::fs::write(&path, from_base64(picture.as_str().unwrap())).unwrap();
        println!("written: {}", path.display());
    }
}

/// The bytes of a base64 text (RFC 4648).
pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in text.bytes() {
        let Some(digit) = DIGITS.iter().position(|digit| *digit == byte) else { continue };
        bits = bits << 6 | digit as u32;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
        }
    }
    bytes
}

#[test]
fn base64_is_read_as_in_its_standard() {
    for (text, bytes) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
        assert_eq!(from_base64(text), bytes.as_bytes());
    }
}
