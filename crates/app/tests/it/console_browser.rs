//! The console and the storefront in a real browser, on the shop of the demonstration: nothing is refused by the
//! content policy, nothing is wider than the window, figures and curves follow the shop, and what a visitor clicks
//! changes the page.
//!
//! With `ACCRUE_PICTURES` the pictures of the manuals are written into that folder, and with `ACCRUE_ALL_PICTURES` those
//! of every page, language, width and colour.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::{Browser, from_base64};
use crate::server::ask;

/// A demonstration that runs until it is dropped.
struct Demo {
    process: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_accrue"));
        command.args(["demo", "--listen", "127.0.0.1:0", "--speed", "100"]).current_dir(folder.path()).env_clear();
        command.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        let address = first.trim().rsplit("http://").next().unwrap().to_owned();
        // The pipe is read to its end, so that the process does not wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self { process, address, _folder: folder }
    }

    /// What an operator finds: rules, searches without a result, a refused record.
    fn furnish(&self) {
        let rules = json!({"rules": [
            {"name": "lamps of the week", "action": "pin", "query": "lamp", "items": [self.an_item()], "position": 1},
            {"name": "winter", "action": "boost", "factor": 1.5, "filter": "price:..30", "until": "2030-03-01T00:00:00Z"},
        ]});
        assert_eq!(ask(&self.address, "PUT", "/v1/rules", &rules.to_string()).0, 200);
        for query in ["typewriter", "typewriter", "sundial", "typewriter", "lamp"] {
            assert_eq!(ask(&self.address, "GET", &format!("/v1/search?q={query}&typo=off"), "").0, 200);
        }
        let refused =
            json!([{"id": "r1", "type": "view", "user": "u1", "item": "x", "at": "the day before yesterday"}]);
        assert_eq!(ask(&self.address, "POST", "/v1/events", &refused.to_string()).0, 422);
    }

    fn an_item(&self) -> String {
        let (_, found) = ask(&self.address, "GET", "/v1/search?q=lamp&n=1", "");
        found["hits"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Returns when the models have predicted enough that figures are not those of the first moments.
    fn wait_for_predictions(&self, n: u64) {
        let began = Instant::now();
        loop {
            let (_, quality) = ask(&self.address, "GET", "/v1/quality", "");
            if quality["all"]["samples"].as_u64().is_some_and(|samples| samples >= n) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{quality}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is wrong with a page that anybody can see: the browser's complaints, and parts that stand out of the window.
fn faults(browser: &Browser, page: &str) -> Vec<String> {
    let complaints = browser.complaints().into_iter();
    let mut faults: Vec<String> = complaints.map(|message| format!("{page}: {message}")).collect();
    let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth]");
    if widths[0].as_u64() > widths[1].as_u64() {
        faults.push(format!("{page} is {} wide in a window of {}", widths[0], widths[1]));
    }
    faults
}

/// Writes a picture of a manual.
fn picture(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("ACCRUE_PICTURES") else { return };
    let quality = json!({"format": "webp", "quality": 82});
    browser.run("document.activeElement?.blur(); scrollTo(0, 0)");
    let shot = json!({"cmd": "Page.captureScreenshot", "params": quality});
    let shot = browser.command("POST", "goog/cdp/execute", shot);
    write(&folder, &format!("{name}.webp"), shot["data"].as_str().unwrap());
}

/// Writes a picture of a page in one of its looks.
fn look(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("ACCRUE_ALL_PICTURES") else { return };
    let shot = browser.command("GET", "screenshot", Value::Null);
    write(&folder, &format!("{name}.png"), shot.as_str().unwrap());
}

fn write(folder: &OsStr, name: &str, base64: &str) {
    let path = Path::new(folder).join(name);
    std::fs::write(&path, from_base64(base64)).unwrap();
    println!("written: {}", path.display());
}

/// Waits until a script returns something true. Each look is a script of its own, because one that waits in a page ends when the
/// page is loaded again.
fn wait_until(browser: &Browser, script: &str) -> bool {
    let script = format!("return Boolean((() => {{ {script} }})())");
    (0..600).any(|_| {
        let is_there = browser.run_if_loaded(&script) == Some(json!(true));
        if !is_there {
            std::thread::sleep(Duration::from_millis(25));
        }
        is_there
    })
}

const PAGES: [&str; 12] = [
    "",
    "/quality",
    "/playground",
    "/catalogue",
    "/searches",
    "/rules",
    "/campaigns",
    "/what-if",
    "/experiments",
    "/quarantine",
    "/people",
    "/settings",
];

#[test]
fn the_console_is_sound_in_a_real_browser_at_every_width_and_in_both_colours() {
    let Some(browser) = Browser::open("the_console_is_sound_in_a_real_browser_at_every_width_and_in_both_colours")
    else {
        return;
    };
    let demo = Demo::start();
    demo.wait_for_predictions(300);
    demo.furnish();
    let console = format!("http://{}/console", demo.address);
    // Two samples of the curve, five seconds apart.
    let has_curve = || {
        browser.go(&console);
        wait_until(&browser, "return document.querySelector('.plot polyline')")
    };
    assert!((0..8).any(|_| has_curve()), "two samples within two minutes");
    let user = {
        browser.go(&format!("{console}/playground"));
        browser.run("return document.querySelector('.chips a').href")
    };
    let user = user.as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for (language, theme, width) in [("en", "light", 1280), ("zh", "dark", 1280), ("en", "dark", 390)] {
        browser.resize(width, 900);
        browser.go(&format!("{console}/look?language={language}&theme={theme}"));
        for page in PAGES {
            browser.go(&format!("{console}{page}"));
            let name = if page.is_empty() { "overview" } else { &page[1..] };
            if page.is_empty() || page == "/quality" {
                assert!(wait_until(&browser, "return document.querySelector('.plot polyline')"), "{page} has no curve");
            }
            found.extend(faults(&browser, &format!("{page} {language} {theme} {width}")));
            look(&browser, &format!("{name}-{language}-{theme}-{width}"));
            if (language, theme) == ("en", "light") && ["overview", "quality", "searches", "rules"].contains(&name) {
                picture(&browser, &format!("console-{name}"));
            }
        }
        browser.go(&user);
        found.extend(faults(&browser, "playground of a shopper"));
        look(&browser, &format!("shopper-{language}-{theme}-{width}"));
        if theme == "light" {
            browser.run(
                "document.querySelectorAll('details').forEach((details, place) => details.open = place % 10 == 0)",
            );
            // Tall enough for the first places of both pages.
            browser.resize(width, 1250);
            picture(&browser, "console-playground");
            browser.resize(width, 900);
        }
        browser.go(&format!("{console}/catalogue"));
        browser.click("tbody td a");
        found.extend(faults(&browser, "an item"));
        look(&browser, &format!("item-{language}-{theme}-{width}"));
        if theme == "light" {
            picture(&browser, "console-item");
        }
    }
    assert_eq!(found, Vec::<String>::new());
    // Figures follow the shop without a reload.
    browser.go(&console);
    let field = "document.querySelector('[data-field=\"samples.-1.records_per_s\"]')";
    browser.run(&format!("window.before = {field}.textContent"));
    assert!(wait_until(&browser, &format!("return {field}.textContent !== window.before")), "the rate changes");
    // The keyboard: the first stop skips the menu, and `/` goes to the search field.
    browser.go(&format!("{console}/catalogue"));
    browser.keys("\u{e004}");
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    browser.keys("/");
    assert_eq!(browser.run("return document.activeElement.name"), "q");
    assert_eq!(browser.run("return document.activeElement.value"), "", "the key itself is not typed");
}

#[test]
fn a_scene_is_judged_from_its_page_in_a_real_browser_which_follows_the_work() {
    let Some(browser) = Browser::open("a_scene_is_judged_from_its_page_in_a_real_browser_which_follows_the_work")
    else {
        return;
    };
    let demo = Demo::start();
    demo.wait_for_predictions(300);
    let console = format!("http://{}/console", demo.address);
    browser.resize(1280, 1100);
    browser.go(&format!("{console}/look?language=en&theme=light"));
    browser.go(&format!("{console}/what-if"));
    browser.click("#propose button");
    // The page is asked for again by its script until the answer is there.
    assert!(wait_until(&browser, "return document.querySelector('[data-again], #found dl')"), "it has begun");
    let is_done = || {
        browser.go(&format!("{console}/what-if"));
        wait_until(&browser, "return document.querySelector('#found table')")
    };
    assert!((0..8).any(|_| is_done()), "it is judged within two minutes");
    let told = browser.run("return document.querySelector('#found').innerText").to_string();
    assert!(told.contains("Refused"), "the demonstration draws nothing by chance: {told}");
    assert_eq!(faults(&browser, "what if"), Vec::<String>::new());
    picture(&browser, "console-what-if");
    browser.resize(390, 900);
    assert_eq!(faults(&browser, "what if, narrow"), Vec::<String>::new());
}

#[test]
fn what_a_visitor_of_the_storefront_clicks_changes_the_page_in_a_real_browser() {
    let Some(browser) = Browser::open("what_a_visitor_of_the_storefront_clicks_changes_the_page_in_a_real_browser")
    else {
        return;
    };
    let demo = Demo::start();
    demo.wait_for_predictions(300);
    browser.resize(1280, 900);
    browser.go(&format!("http://{}/", demo.address));
    let shown = |page: &str| {
        assert!(
            wait_until(&browser, &format!("return document.querySelector('#content').dataset.shown === {page:?}")),
            "{page}"
        )
    };
    let tiles = || browser.run("return [...document.querySelectorAll('.tiles')][0].innerText").to_string();
    shown("#/");
    picture(&browser, "shop-home");
    let before = tiles();
    browser.click(".tile a");
    assert!(wait_until(&browser, "return location.hash.startsWith('#/item/') && document.querySelector('#add')"));
    assert!(wait_until(&browser, "return document.querySelector('#past a')"), "the click is listed");
    look(&browser, "shop-product");
    browser.click("#add");
    shown("#/basket");
    look(&browser, "shop-basket");
    assert_eq!(browser.run("return document.querySelectorAll('.basket li').length"), 1);
    browser.click(".brand");
    shown("#/");
    assert_ne!(tiles(), before, "what was put into the basket counts at once");
    assert!(browser.run("return document.querySelectorAll('#why li').length").as_u64().unwrap() > 0);
    let you = browser.run("return document.querySelector('#you').textContent");
    let page = ask(&demo.address, "POST", "/v1/recommend", &json!({"session": you, "explain": true}).to_string()).1;
    assert!(page.to_string().contains("\"event\":{"), "the server knows the visit: {page}");
    // Search, with suggestions and a facet.
    browser.click("#query");
    browser.keys("la");
    assert!(wait_until(&browser, "return document.querySelectorAll('#suggestions li').length > 1"), "suggestions");
    browser.keys("mp\u{e007}");
    assert!(wait_until(
        &browser,
        "return location.hash.startsWith('#/search') && document.querySelector('.facets input')"
    ));
    look(&browser, "shop-search");
    let n_hits = browser.run("return document.querySelector('.row .soft').textContent");
    browser.click(".facets input");
    assert!(
        wait_until(&browser, &format!("return document.querySelector('.row .soft').textContent !== {n_hits}")),
        "{n_hits}"
    );
    browser.resize(390, 900);
    let found = faults(&browser, "the storefront");
    assert_eq!(found, Vec::<String>::new());
}
